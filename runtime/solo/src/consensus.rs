//! Who makes blocks and who finalises them: BABE, GRANDPA, the session that hands keys to both, and
//! the offences that cost a validator its bond.

use crate::{
	money::ToTreasury, Babe, Balance, Balances, Grandpa, Historical, Offences, Runtime,
	RuntimeEvent, RuntimeHoldReason, Session, Validators,
};
use alloc::vec::Vec;
use frame_support::{
	parameter_types,
	traits::{ConstU32, ConstU64},
};
use frame_system::EnsureRoot;
use openledger_runtime_common::units::{deposit, DAYS, MINUTES, OPEN, SLOT_MILLIS};
use openledger_runtime_common::{AccountId, BlockNumber};
use sp_runtime::{
	impl_opaque_keys,
	traits::{ConvertInto, OpaqueKeys},
};

impl_opaque_keys! {
	/// The keys of a validator: one for blocks, one for finality.
	pub struct SessionKeys {
		pub babe: Babe,
		pub grandpa: Grandpa,
	}
}

/// Slots in an epoch, which is also a session: ten minutes.
pub const EPOCH_SLOTS: BlockNumber = 10 * MINUTES;

/// Authorities get a slot of their own in one of four slots on average; the rest are backed up by
/// secondary slots, so that a block comes every slot.
pub const BABE_GENESIS_EPOCH_CONFIG: sp_consensus_babe::BabeEpochConfiguration =
	sp_consensus_babe::BabeEpochConfiguration {
		c: (1, 4),
		allowed_slots: sp_consensus_babe::AllowedSlots::PrimaryAndSecondaryVRFSlots,
	};

/// How long an equivocation can be reported: seven days, in sessions. Validators' bonds stay locked
/// longer.
pub const REPORT_SESSIONS: u32 = 7 * DAYS / EPOCH_SLOTS;

/// How long a bond stays locked after the last session that it stood behind: eight days, in sessions.
const UNBONDING_SESSIONS: u32 = 8 * DAYS / EPOCH_SLOTS;

/// The most validators a session can have.
pub const MAX_AUTHORITIES: u32 = 100;

parameter_types! {
	pub const EpochDuration: u64 = EPOCH_SLOTS as u64;
	pub const ReportLongevity: u64 = (REPORT_SESSIONS * EPOCH_SLOTS) as u64;
	/// How many sets of authorities are remembered so that old votes can be judged.
	pub const MaxSetIdSessionEntries: u64 = REPORT_SESSIONS as u64;
	pub const SessionKeyDeposit: Balance = deposit(1, 64);
	pub const MinValidatorBond: Balance = 10_000 * OPEN;
}

impl pallet_babe::Config for Runtime {
	type EpochDuration = EpochDuration;
	type ExpectedBlockTime = ConstU64<SLOT_MILLIS>;
	// The session decides when an epoch ends.
	type EpochChangeTrigger = pallet_babe::ExternalTrigger;
	type DisabledValidators = Session;
	type WeightInfo = ();
	type MaxAuthorities = ConstU32<MAX_AUTHORITIES>;
	type MaxNominators = ConstU32<0>;
	type KeyOwnerProof = sp_session::MembershipProof;
	type EquivocationReportSystem =
		pallet_babe::EquivocationReportSystem<Self, Offences, Historical, ReportLongevity>;
}

impl pallet_grandpa::Config for Runtime {
	type RuntimeEvent = RuntimeEvent;
	type WeightInfo = ();
	type MaxAuthorities = ConstU32<MAX_AUTHORITIES>;
	type MaxNominators = ConstU32<0>;
	type MaxSetIdSessionEntries = MaxSetIdSessionEntries;
	type KeyOwnerProof = sp_session::MembershipProof;
	type EquivocationReportSystem =
		pallet_grandpa::EquivocationReportSystem<Self, Offences, Historical, ReportLongevity>;
}

impl pallet_authorship::Config for Runtime {
	type FindAuthor = pallet_session::FindAccountFromAuthorIndex<Self, Babe>;
	type EventHandler = ();
}

impl pallet_offences::Config for Runtime {
	type RuntimeEvent = RuntimeEvent;
	type IdentificationTuple = pallet_session::historical::IdentificationTuple<Self>;
	type OnOffenceHandler = Validators;
}

impl pallet_session::Config for Runtime {
	type RuntimeEvent = RuntimeEvent;
	type ValidatorId = AccountId;
	type ValidatorIdOf = ConvertInto;
	type ShouldEndSession = Babe;
	type NextSessionRotation = Babe;
	type SessionManager = pallet_session::historical::NoteHistoricalRoot<Self, Validators>;
	type SessionHandler = <SessionKeys as OpaqueKeys>::KeyTypeIdProviders;
	type Keys = SessionKeys;
	type DisablingStrategy = pallet_session::disabling::UpToLimitWithReEnablingDisablingStrategy;
	type WeightInfo = pallet_session::weights::SubstrateWeight<Runtime>;
	type Currency = Balances;
	type KeyDeposit = SessionKeyDeposit;
}

impl pallet_session::historical::Config for Runtime {
	type RuntimeEvent = RuntimeEvent;
	type FullIdentification = pallet_validators::Identification;
	type FullIdentificationOf = pallet_validators::FullIdentificationOf<Self>;
}

impl pallet_validators::Config for Runtime {
	type Currency = Balances;
	type RuntimeHoldReason = RuntimeHoldReason;
	type Session = Session;
	type AdminOrigin = EnsureRoot<AccountId>;
	type Slash = ToTreasury;
	type MinBond = MinValidatorBond;
	// Four is the least that finalises with one of them away.
	type MinValidators = ConstU32<4>;
	type MaxAuthorities = ConstU32<MAX_AUTHORITIES>;
	type MaxCandidates = ConstU32<1_000>;
	type OffenceWindow = ConstU32<REPORT_SESSIONS>;
	type UnbondingDuration = ConstU32<UNBONDING_SESSIONS>;
	// A day in sessions.
	type JailDuration = ConstU32<{ DAYS / EPOCH_SLOTS }>;
	type WeightInfo = pallet_validators::weights::SubstrateWeight<Runtime>;
}
