//! The runtime of the OpenLedger solo chain: configuration only.
//!
//! Which pallets there are and under which index stands here; how they are wired stands in the
//! modules, by concern: [`system`], [`money`], [`accounts`], [`consensus`], [`governance`], [`evm`]
//! and [`ai`]. [`genesis`] makes the first block's state, [`apis`] is what a node can call.
//!
//! Must not know: business logic, which is in the pallets and in `openledger-primitives`.

#![cfg_attr(not(feature = "std"), no_std)]
// `construct_runtime!` and `impl_runtime_apis!` expand to deep types.
#![recursion_limit = "512"]
#![cfg_attr(test, allow(clippy::arithmetic_side_effects))]

extern crate alloc;

#[cfg(feature = "std")]
include!(concat!(env!("OUT_DIR"), "/wasm_binary.rs"));

#[cfg(feature = "runtime-benchmarks")]
#[macro_use]
mod benches;

pub mod accounts;
pub mod ai;
mod apis;
pub mod consensus;
pub mod evm;
pub mod genesis;
pub mod governance;
pub mod money;
pub mod system;
#[cfg(test)]
mod tests;

pub use apis::RuntimeApi;
pub use consensus::SessionKeys;
pub use openledger_runtime_common::{
	AccountId, Address, Balance, BlockNumber, Hash, Header, Nonce, Signature,
};
pub use system::VERSION;

use alloc::vec::Vec;

/// A block of this runtime.
pub type Block = sp_runtime::generic::Block<Header, UncheckedExtrinsic>;

/// A transaction as it comes over the wire: native, or an Ethereum transaction in a native envelope.
pub type UncheckedExtrinsic = openledger_runtime_common::evm::UncheckedExtrinsic<
	Address,
	Signature,
	evm::EthereumTransactions,
>;

/// Migrations that run in the first block of a new runtime, oldest first.
pub type SingleBlockMigrations = ();

/// Executes blocks: what the node calls through [`apis`].
pub type Executive = frame_executive::Executive<
	Runtime,
	Block,
	frame_system::ChainContext<Runtime>,
	Runtime,
	AllPalletsWithSystem,
>;

/// What the node needs to know of blocks without knowing the runtime's calls.
pub mod opaque {
	use super::Header;
	pub use sp_runtime::OpaqueExtrinsic as UncheckedExtrinsic;

	/// A block whose transactions are bytes.
	pub type Block = sp_runtime::generic::Block<Header, UncheckedExtrinsic>;
}

#[frame_support::runtime]
mod runtime {
	/// The runtime.
	#[runtime::runtime]
	#[runtime::derive(
		RuntimeCall,
		RuntimeEvent,
		RuntimeError,
		RuntimeOrigin,
		RuntimeFreezeReason,
		RuntimeHoldReason,
		RuntimeSlashReason,
		RuntimeLockId,
		RuntimeTask,
		RuntimeViewFunction
	)]
	pub struct Runtime;

	// 0–9 system
	#[runtime::pallet_index(0)]
	pub type System = frame_system::Pallet<Runtime>;
	#[runtime::pallet_index(1)]
	pub type Timestamp = pallet_timestamp::Pallet<Runtime>;
	#[runtime::pallet_index(2)]
	pub type Utility = pallet_utility::Pallet<Runtime>;
	#[runtime::pallet_index(3)]
	pub type Proxy = pallet_proxy::Pallet<Runtime>;
	#[runtime::pallet_index(4)]
	pub type Multisig = pallet_multisig::Pallet<Runtime>;
	#[runtime::pallet_index(5)]
	pub type MultiBlockMigrations = pallet_migrations::Pallet<Runtime>;

	// 10–19 money
	#[runtime::pallet_index(10)]
	pub type Balances = pallet_balances::Pallet<Runtime>;
	#[runtime::pallet_index(11)]
	pub type TransactionPayment = pallet_transaction_payment::Pallet<Runtime>;
	#[runtime::pallet_index(12)]
	pub type Vesting = pallet_vesting::Pallet<Runtime>;

	// 20–29 consensus. Babe comes first so that the epoch is known to everything after it.
	#[runtime::pallet_index(20)]
	pub type Babe = pallet_babe::Pallet<Runtime>;
	#[runtime::pallet_index(21)]
	pub type Authorship = pallet_authorship::Pallet<Runtime>;
	#[runtime::pallet_index(22)]
	pub type Validators = pallet_validators::Pallet<Runtime>;
	#[runtime::pallet_index(23)]
	pub type Session = pallet_session::Pallet<Runtime>;
	#[runtime::pallet_index(24)]
	pub type Historical = pallet_session::historical::Pallet<Runtime>;
	#[runtime::pallet_index(25)]
	pub type Offences = pallet_offences::Pallet<Runtime>;
	#[runtime::pallet_index(26)]
	pub type Grandpa = pallet_grandpa::Pallet<Runtime>;

	// 40–49 governance
	#[runtime::pallet_index(40)]
	pub type Preimage = pallet_preimage::Pallet<Runtime>;
	#[runtime::pallet_index(41)]
	pub type Scheduler = pallet_scheduler::Pallet<Runtime>;
	#[runtime::pallet_index(42)]
	pub type Parameters = pallet_parameters::Pallet<Runtime>;
	#[runtime::pallet_index(49)]
	pub type Sudo = pallet_sudo::Pallet<Runtime>;

	// 50–69 OpenLedger
	#[runtime::pallet_index(50)]
	pub type Datanets = pallet_datanets::Pallet<Runtime>;
	#[runtime::pallet_index(51)]
	pub type Models = pallet_models::Pallet<Runtime>;
	#[runtime::pallet_index(52)]
	pub type Workers = pallet_workers::Pallet<Runtime>;
	#[runtime::pallet_index(53)]
	pub type Inference = pallet_inference::Pallet<Runtime>;
	#[runtime::pallet_index(54)]
	pub type Attribution = pallet_attribution::Pallet<Runtime>;

	// 90 the EVM
	#[runtime::pallet_index(90)]
	pub type Revive = pallet_revive::Pallet<Runtime>;
}
