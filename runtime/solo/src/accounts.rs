//! Ways to act for an account: batches, multisigs and proxies.

use crate::{Balances, OriginCaller, Runtime, RuntimeCall, RuntimeEvent, System};
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use frame_support::{
	parameter_types,
	traits::{ConstU32, InstanceFilter},
};
use openledger_runtime_common::{units::deposit, Balance};
use scale_info::TypeInfo;
use sp_runtime::traits::BlakeTwo256;

parameter_types! {
	pub const MultisigDepositBase: Balance = deposit(1, 88);
	pub const MultisigDepositFactor: Balance = deposit(0, 32);
	pub const ProxyDepositBase: Balance = deposit(1, 8);
	pub const ProxyDepositFactor: Balance = deposit(0, 33);
	pub const AnnouncementDepositBase: Balance = deposit(1, 8);
	pub const AnnouncementDepositFactor: Balance = deposit(0, 66);
}

impl pallet_utility::Config for Runtime {
	type RuntimeEvent = RuntimeEvent;
	type RuntimeCall = RuntimeCall;
	type PalletsOrigin = OriginCaller;
	type WeightInfo = pallet_utility::weights::SubstrateWeight<Runtime>;
}

impl pallet_multisig::Config for Runtime {
	type RuntimeEvent = RuntimeEvent;
	type RuntimeCall = RuntimeCall;
	type Currency = Balances;
	type DepositBase = MultisigDepositBase;
	type DepositFactor = MultisigDepositFactor;
	type MaxSignatories = ConstU32<100>;
	type BlockNumberProvider = System;
	type WeightInfo = pallet_multisig::weights::SubstrateWeight<Runtime>;
}

/// What a proxy may do for its principal.
#[derive(
	Copy,
	Clone,
	Eq,
	PartialEq,
	Ord,
	PartialOrd,
	Encode,
	Decode,
	DecodeWithMemTracking,
	Debug,
	MaxEncodedLen,
	TypeInfo,
	Default,
)]
pub enum ProxyType {
	/// Everything.
	#[default]
	#[codec(index = 0)]
	Any,
	/// Everything that does not move OPEN to somebody else at will.
	#[codec(index = 1)]
	NonTransfer,
	/// A validator's keys and bond.
	#[codec(index = 2)]
	Validating,
	/// A worker's operator, capabilities and bond.
	#[codec(index = 3)]
	Working,
	/// Datanets: contributing and curating.
	#[codec(index = 4)]
	Datanets,
	/// Models: training, publishing and prices.
	#[codec(index = 5)]
	Models,
	/// Cancelling other proxies' announcements, and nothing else.
	#[codec(index = 6)]
	CancelProxy,
}

impl InstanceFilter<RuntimeCall> for ProxyType {
	fn filter(&self, call: &RuntimeCall) -> bool {
		let batches = matches!(call, RuntimeCall::Utility(..));
		match self {
			Self::Any => true,
			Self::NonTransfer => {
				batches
					|| matches!(
						call,
						RuntimeCall::System(..)
							| RuntimeCall::Validators(..)
							| RuntimeCall::Session(..)
							| RuntimeCall::Workers(..)
							| RuntimeCall::Datanets(..)
							| RuntimeCall::Models(..)
							| RuntimeCall::Attribution(..)
							| RuntimeCall::Vesting(pallet_vesting::Call::vest { .. })
							| RuntimeCall::Vesting(pallet_vesting::Call::vest_other { .. })
					)
			},
			Self::Validating => {
				batches || matches!(call, RuntimeCall::Validators(..) | RuntimeCall::Session(..))
			},
			Self::Working => batches || matches!(call, RuntimeCall::Workers(..)),
			Self::Datanets => batches || matches!(call, RuntimeCall::Datanets(..)),
			Self::Models => batches || matches!(call, RuntimeCall::Models(..)),
			Self::CancelProxy => {
				matches!(call, RuntimeCall::Proxy(pallet_proxy::Call::reject_announcement { .. }))
			},
		}
	}

	fn is_superset(&self, other: &Self) -> bool {
		match (self, other) {
			(left, right) if left == right => true,
			(Self::Any, _) => true,
			(_, Self::Any) => false,
			(Self::NonTransfer, Self::CancelProxy) => false,
			(Self::NonTransfer, _) => true,
			_ => false,
		}
	}
}

impl pallet_proxy::Config for Runtime {
	type RuntimeEvent = RuntimeEvent;
	type RuntimeCall = RuntimeCall;
	type Currency = Balances;
	type ProxyType = ProxyType;
	type ProxyDepositBase = ProxyDepositBase;
	type ProxyDepositFactor = ProxyDepositFactor;
	type MaxProxies = ConstU32<32>;
	type MaxPending = ConstU32<32>;
	type CallHasher = BlakeTwo256;
	type AnnouncementDepositBase = AnnouncementDepositBase;
	type AnnouncementDepositFactor = AnnouncementDepositFactor;
	type BlockNumberProvider = System;
	type WeightInfo = pallet_proxy::weights::SubstrateWeight<Runtime>;
}
