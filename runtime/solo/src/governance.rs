//! Who may change the chain: Root, by a scheduled call whose bytes are a preimage, and for governed
//! constants by setting a parameter. Sudo exists only where genesis names its key, and
//! `sudo.remove_key` ends it for good.

use crate::{
	Balances, OriginCaller, Preimage, Runtime, RuntimeCall, RuntimeEvent, RuntimeHoldReason,
	RuntimeOrigin, System,
};
use frame_support::{
	dynamic_params::{dynamic_pallet_params, dynamic_params},
	parameter_types,
	traits::{
		fungible::HoldConsideration, AsEnsureOriginWithArg, ConstU32, EqualPrivilegeOnly,
		LinearStoragePrice,
	},
	weights::Weight,
};
use frame_system::EnsureRoot;
use openledger_runtime_common::{
	block::part_of_block,
	units::{deposit, DAYS},
	AccountId, Balance, BlockNumber,
};
use sp_runtime::Perbill;

parameter_types! {
	pub const PreimageDepositBase: Balance = deposit(2, 64);
	pub const PreimageDepositPerByte: Balance = deposit(0, 1);
	pub const PreimageHoldReason: RuntimeHoldReason =
		RuntimeHoldReason::Preimage(pallet_preimage::HoldReason::Preimage);
	pub MaximumSchedulerWeight: Weight = part_of_block(Perbill::from_percent(80));
}

impl pallet_preimage::Config for Runtime {
	type RuntimeEvent = RuntimeEvent;
	type Currency = Balances;
	type ManagerOrigin = EnsureRoot<AccountId>;
	type Consideration = HoldConsideration<
		AccountId,
		Balances,
		PreimageHoldReason,
		LinearStoragePrice<PreimageDepositBase, PreimageDepositPerByte, Balance>,
	>;
	type WeightInfo = pallet_preimage::weights::SubstrateWeight<Runtime>;
}

impl pallet_scheduler::Config for Runtime {
	type RuntimeEvent = RuntimeEvent;
	type RuntimeOrigin = RuntimeOrigin;
	type PalletsOrigin = OriginCaller;
	type RuntimeCall = RuntimeCall;
	type MaximumWeight = MaximumSchedulerWeight;
	type ScheduleOrigin = EnsureRoot<AccountId>;
	type OriginPrivilegeCmp = EqualPrivilegeOnly;
	type MaxScheduledPerBlock = ConstU32<50>;
	type Preimages = Preimage;
	type BlockNumberProvider = System;
	type WeightInfo = pallet_scheduler::weights::SubstrateWeight<Runtime>;
}

impl pallet_sudo::Config for Runtime {
	type RuntimeEvent = RuntimeEvent;
	type RuntimeCall = RuntimeCall;
	type WeightInfo = pallet_sudo::weights::SubstrateWeight<Runtime>;
}

/// Constants that governance can change without a new runtime (`parameters.set_parameter`).
#[dynamic_params(RuntimeParameters, pallet_parameters::Parameters::<Runtime>)]
pub mod governed {
	use super::*;

	/// Limits of datanets.
	#[dynamic_pallet_params]
	#[codec(index = 0)]
	pub mod datanets {
		/// Contributions that one account can make to one datanet in a day.
		#[codec(index = 0)]
		pub static ContributionsPerAccountPerDay: u32 = 200;
		/// Contributions that one datanet takes in a day.
		#[codec(index = 1)]
		pub static ContributionsPerDatanetPerDay: u32 = 10_000;
	}

	/// The market for training.
	#[dynamic_pallet_params]
	#[codec(index = 1)]
	pub mod models {
		/// Blocks after delivery in which a creator can dispute what was trained.
		#[codec(index = 0)]
		pub static ChallengePeriod: BlockNumber = DAYS;
	}
}

#[cfg(feature = "runtime-benchmarks")]
impl Default for RuntimeParameters {
	fn default() -> Self {
		RuntimeParameters::Datanets(governed::datanets::Parameters::ContributionsPerAccountPerDay(
			governed::datanets::ContributionsPerAccountPerDay,
			Some(1),
		))
	}
}

impl pallet_parameters::Config for Runtime {
	type RuntimeEvent = RuntimeEvent;
	type RuntimeParameters = RuntimeParameters;
	type AdminOrigin = AsEnsureOriginWithArg<EnsureRoot<AccountId>>;
	type WeightInfo = ();
}
