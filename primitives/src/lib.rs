//! Types and pure functions that the chain and the workers share.
//!
//! Everything that computes money, shares, proofs or rights is here, as plain functions without
//! storage, so that a worker, an auditor and the runtime compute the same thing from the same code.
//!
//! The crate is `no_std` and must not know FRAME, tokio or burn. Amounts are planks
//! (1 OPEN = 10^12 planks), times are Unix seconds, hashes are BLAKE2b-256 with a domain
//! (see [`hashing`]).

#![cfg_attr(not(feature = "std"), no_std)]
#![cfg_attr(test, allow(clippy::arithmetic_side_effects))]

extern crate alloc;

pub mod claim;
pub mod content;
pub mod contribution;
pub mod hashing;
pub mod ids;
pub mod jobs;
pub mod licence;
pub mod merkle;
pub mod mmr;
pub mod receipt;
pub mod record;
pub mod selection;
pub mod shares;
pub mod span;
pub mod training;
pub mod traits;
pub mod words;
pub mod worker_api;

pub use bounded_collections::{BoundedVec, ConstU32};
pub use ids::{
	BaseModelId, ContributionId, DatanetId, DatanetVersion, ModelId, RequestId, TrainingJobId,
};
pub use primitive_types::H256;

/// An amount of OPEN in planks. 1 OPEN = 10^12 planks.
pub type Balance = u128;

/// A point in time: Unix time in seconds.
pub type UnixSeconds = u64;
