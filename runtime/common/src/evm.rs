//! The EVM: every type and constant that ties a runtime to pallet-revive.
//!
//! *Amounts.* The EVM counts in wei, 18 decimals; the chain counts in planks, 12. One plank is
//! [`NativeToEthRatio`] wei.
//!
//! *Gas.* The gas price in wei is `fee multiplier × NativeToEthRatio × GasScale`, 50 gwei on a quiet
//! chain. One unit of gas therefore pays for [`GasScale`] planks of fee, and 21,000 gas, which
//! wallets hard-code for a plain send, for 1.05 × 10^9 planks: enough for the transfer's fee and for
//! the existential deposit of a fresh account. Tests in the runtime assert that.
//!
//! *Accounts.* Every account has an Ethereum address without asking for it (`AutoMap`); the account
//! of an Ethereum key is its address followed by 12 bytes `0xEE`.

use crate::{units::deposit, Balance};
use frame_support::parameter_types;
use frame_support::traits::{ConstBool, ConstU32};
use sp_runtime::{FixedU128, Perbill};

// 0.9.9 of this crate adds a struct field that the EVM does not know; naming it pins 0.9.5.
use alloy_trie as _;

pub use pallet_revive::{
	evm::tx_extension::SetOrigin,
	evm::{fees::Info as FeeInfo, runtime::EthExtra, runtime::UncheckedExtrinsic},
	AccountId32Mapper, AutoMapper,
};

/// Wei in one plank.
pub type NativeToEthRatio = ConstU32<1_000_000>;
/// Planks of fee that one unit of gas pays for.
pub type GasScale = ConstU32<50_000>;
/// Memory of the runtime, for the EVM's own check that its limits fit.
pub type RuntimeMemory = ConstU32<{ 128 * 1024 * 1024 }>;
/// Memory of whoever validates a block.
pub type ValidationMemory = ConstU32<{ 512 * 1024 * 1024 }>;
/// Contracts may be plain `solc` output.
pub type AllowEvmBytecode = ConstBool<true>;
/// Accounts get their Ethereum address when they are created.
pub type AutoMap = ConstBool<true>;

/// EIP-155 chain id of the solo chain's development and local networks.
pub const DEVELOPMENT_CHAIN_ID: u64 = 6_736;

parameter_types! {
	/// Held for one byte of contract storage.
	pub const DepositPerByte: Balance = deposit(0, 1);
	/// Held for one item in the main trie: an account's contract, a code.
	pub const DepositPerItem: Balance = deposit(1, 0);
	/// Held for one storage slot of a contract.
	pub const DepositPerChildTrieItem: Balance = deposit(1, 0) / 100;
	/// Share of a code's deposit that each contract with that code holds as well.
	pub CodeHashLockupDepositPercent: Perbill = Perbill::from_percent(30);
	/// The largest share of a transaction's maximum weight that an Ethereum transaction can take.
	pub MaxEthExtrinsicWeight: FixedU128 = FixedU128::from_rational(9, 10);
}
