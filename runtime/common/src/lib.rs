//! What every OpenLedger runtime shares: types, units, block limits, fees, the wiring of the EVM
//! and the supply of OPEN.
//!
//! The solo runtime and the parachain runtime that follows it take these from here, so that an
//! account, a fee and a contract mean the same on both. The crate holds no pallet of its own and
//! must not know which pallets a runtime has.

#![cfg_attr(not(feature = "std"), no_std)]
#![cfg_attr(test, allow(clippy::arithmetic_side_effects))]

extern crate alloc;

pub mod block;
pub mod evm;
pub mod fees;
pub mod supply;
pub mod units;

use sp_runtime::{
	generic,
	traits::{BlakeTwo256, IdentifyAccount, Verify},
	MultiAddress, MultiSignature,
};

pub use openledger_primitives::Balance;

/// A signature by an sr25519, ed25519, ECDSA or Ethereum key.
pub type Signature = MultiSignature;
/// An account: 32 bytes, shown as SS58. An Ethereum address is the account that ends in 12 × `0xEE`.
pub type AccountId = <<Signature as Verify>::Signer as IdentifyAccount>::AccountId;
/// How calls name accounts.
pub type Address = MultiAddress<AccountId, ()>;
/// A block's number. At 3 seconds a block, 32 bits last for 400 years.
pub type BlockNumber = u32;
/// A transaction's number in its account.
pub type Nonce = u32;
/// A block's or a storage value's hash.
pub type Hash = sp_core::H256;
/// A block's header.
pub type Header = generic::Header<BlockNumber, BlakeTwo256>;
