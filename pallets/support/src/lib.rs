//! Pieces that several pallets share.
//!
//! - [`agenda`]: things that fall due at a block, served with whatever weight a block has left.
//! - [`operator`]: what a worker's operator key reports, as transactions without fee and account.
//! - [`offchain`]: the way from a job on chain to a worker beside the node, and of its report back.
//! - [`strike`]: what it weighs that a worker fails its job.
//!
//! Must not know any of our pallets.

#![cfg_attr(not(feature = "std"), no_std)]
// Tests may stop at the first surprise.
#![cfg_attr(
	test,
	allow(
		clippy::arithmetic_side_effects,
		clippy::expect_used,
		clippy::indexing_slicing,
		clippy::unwrap_used
	)
)]

extern crate alloc;

pub mod agenda;
pub mod offchain;
pub mod operator;
pub mod strike;
