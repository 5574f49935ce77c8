//! OpenLedger's own pallets: who answers whose questions, and the constants of the market.
//!
//! `Datanets` answers `Models` and `Attribution`; `Workers` answers `Models` and `Inference`; `Models`
//! answers `Inference` and `Attribution`; `Attribution` settles for `Inference`. Wiring them the
//! other way round is not possible: no pallet depends on another.

use crate::{
	governance::governed,
	money::{ToTreasury, TreasuryAccount},
	Attribution, Balances, Datanets, Models, Runtime, RuntimeHoldReason, Timestamp, Workers,
};
use frame_support::{
	parameter_types,
	traits::{fungible::HoldConsideration, ConstU32, ConstU64, LinearStoragePrice},
	PalletId,
};
use frame_system::EnsureRoot;
use openledger_runtime_common::{
	units::{deposit, DAYS, HOURS, MINUTES, OPEN, SLOT_MILLIS},
	AccountId, Balance, BlockNumber, Signature,
};
use sp_runtime::{traits::AccountIdConversion, Permill};

/// How long an account of what happened stays on the chain after it ended: four weeks.
const RETENTION: BlockNumber = 28 * DAYS;

parameter_types! {
	pub const DepositBase: Balance = deposit(1, 0);
	/// Per byte of a footprint. A contribution's counts one for each record and each KiB of data beside
	/// its own entry, so that the largest there can be holds about 2 OPEN while it waits.
	pub const DepositPerByte: Balance = deposit(0, 1) / 100;

	pub const DatanetDepositReason: RuntimeHoldReason =
		RuntimeHoldReason::Datanets(pallet_datanets::HoldReason::DatanetDeposit);
	pub const ContributionDepositReason: RuntimeHoldReason =
		RuntimeHoldReason::Datanets(pallet_datanets::HoldReason::ContributionDeposit);
	pub const AccessDepositReason: RuntimeHoldReason =
		RuntimeHoldReason::Datanets(pallet_datanets::HoldReason::AccessDeposit);
	pub const RecordDepositReason: RuntimeHoldReason =
		RuntimeHoldReason::Models(pallet_models::HoldReason::RecordDeposit);

	pub const MinReviewPeriod: BlockNumber = MINUTES;
	pub const MaxReviewPeriod: BlockNumber = 60 * DAYS;
	pub const BlocksPerDay: BlockNumber = DAYS;
	pub const Retention: BlockNumber = RETENTION;
}

/// The price of a footprint in planks: what every deposit below asks.
type DepositPrice = LinearStoragePrice<DepositBase, DepositPerByte, Balance>;
/// A deposit held under a reason.
type Deposit<Reason> = HoldConsideration<AccountId, Balances, Reason, DepositPrice>;

impl pallet_datanets::Config for Runtime {
	type Currency = Balances;
	type RuntimeHoldReason = RuntimeHoldReason;
	type DatanetDeposit = Deposit<DatanetDepositReason>;
	type ContributionDeposit = Deposit<ContributionDepositReason>;
	type AccessDeposit = Deposit<AccessDepositReason>;
	type DepositPrice = DepositPrice;
	type MaxDatanetsPerOwner = ConstU32<1_000>;
	type MinReviewPeriod = MinReviewPeriod;
	type MaxReviewPeriod = MaxReviewPeriod;
	type BlocksPerDay = BlocksPerDay;
	type MaxRecordsPerContribution = ConstU32<1_000_000>;
	type MaxBytesPerContribution = ConstU64<{ 1 << 30 }>;
	type MaxContributionsPerAccountPerDay = governed::datanets::ContributionsPerAccountPerDay;
	type MaxContributionsPerDatanetPerDay = governed::datanets::ContributionsPerDatanetPerDay;
	type WeightInfo = pallet_datanets::weights::SubstrateWeight<Runtime>;
}

parameter_types! {
	pub const MinWorkerBond: Balance = 1_000 * OPEN;
	pub const WorkerUnbondingDelay: BlockNumber = 14 * DAYS;
	/// A training job at its longest, its challenge and a dispute's decision.
	pub const LongestLiability: BlockNumber = 13 * DAYS;
	pub const StrikeCooldown: BlockNumber = DAYS;
	pub const TimeoutSlash: Permill = Permill::from_perthousand(1);
	pub const FaultSlash: Permill = Permill::from_percent(10);
}

impl pallet_workers::Config for Runtime {
	type RuntimeHoldReason = RuntimeHoldReason;
	type Currency = Balances;
	type Slash = ToTreasury;
	// Of the epoch before: nobody can still bend it when jobs are assigned by it.
	type Randomness = pallet_babe::RandomnessFromOneEpochAgo<Runtime>;
	type SlashOrigin = EnsureRoot<AccountId>;
	type MinBond = MinWorkerBond;
	type UnbondingDelay = WorkerUnbondingDelay;
	type LongestLiability = LongestLiability;
	type MaxUnbondingChunks = ConstU32<16>;
	type MaxBaseModels = ConstU32<16>;
	type MaxPoolMembers = ConstU32<256>;
	type MaxSlots = ConstU32<64>;
	type MaxDraws = ConstU32<8>;
	type MaxStrikes = ConstU32<3>;
	type StrikeCooldown = StrikeCooldown;
	type ForgivenAfter = ConstU32<20>;
	type TimeoutSlash = TimeoutSlash;
	type FaultSlash = FaultSlash;
	type WeightInfo = pallet_workers::weights::SubstrateWeight<Runtime>;
}

parameter_types! {
	pub const MinTrainingBudget: Balance = OPEN;
	pub const DisputeBond: Balance = 100 * OPEN;
	pub const TrainingOpenPeriod: BlockNumber = DAYS;
	pub const TrainingStartPeriod: BlockNumber = 10 * MINUTES;
	pub const MinTrainingPeriod: BlockNumber = 10 * MINUTES;
	pub const MaxTrainingPeriod: BlockNumber = 3 * DAYS;
	pub const TrainingDecisionPeriod: BlockNumber = 7 * DAYS;
}

impl pallet_models::Config for Runtime {
	type Currency = Balances;
	type RuntimeHoldReason = RuntimeHoldReason;
	type RecordDeposit = Deposit<RecordDepositReason>;
	type Datanets = Datanets;
	type Workers = Workers;
	type Time = Timestamp;
	type AdminOrigin = EnsureRoot<AccountId>;
	type DisputeOrigin = EnsureRoot<AccountId>;
	type MinTrainingBudget = MinTrainingBudget;
	type DisputeBond = DisputeBond;
	type OpenPeriod = TrainingOpenPeriod;
	type StartPeriod = TrainingStartPeriod;
	type MinTrainingPeriod = MinTrainingPeriod;
	type MaxTrainingPeriod = MaxTrainingPeriod;
	type ChallengePeriod = governed::models::ChallengePeriod;
	type DecisionPeriod = TrainingDecisionPeriod;
	type RetentionPeriod = Retention;
	type MaxAssignments = ConstU32<5>;
	type OperatorSignature = Signature;
	type BlockMillis = ConstU64<SLOT_MILLIS>;
	type WeightInfo = pallet_models::weights::SubstrateWeight<Runtime>;
}

parameter_types! {
	pub const AnswerTimeout: BlockNumber = 5 * MINUTES;
	pub const RewardPot: PalletId = PalletId(*b"ol/rewrd");
	/// Collects the validators' part of fees until it is divided among them.
	pub ValidatorsAccount: AccountId = PalletId(*b"ol/valid").into_account_truncating();
	/// Longer than a request can stay open, so that none is settled twice.
	pub const SettlementRetention: BlockNumber = RETENTION + HOURS;
}

impl pallet_inference::Config for Runtime {
	type RuntimeHoldReason = RuntimeHoldReason;
	type Currency = Balances;
	type Models = Models;
	type Workers = Workers;
	type Settlement = Attribution;
	type SettlementWeight = pallet_attribution::SettlementWeight<Runtime>;
	type OperatorSignature = Signature;
	type BlockMillis = ConstU64<SLOT_MILLIS>;
	type AnswerTimeout = AnswerTimeout;
	type RetentionPeriod = Retention;
	type MaxOpenRequests = ConstU32<128>;
	type WeightInfo = pallet_inference::weights::SubstrateWeight<Runtime>;
}

impl pallet_attribution::Config for Runtime {
	type RuntimeHoldReason = RuntimeHoldReason;
	type Currency = Balances;
	type Models = Models;
	type Datanets = Datanets;
	type AdminOrigin = EnsureRoot<AccountId>;
	type TreasuryAccount = TreasuryAccount;
	type ValidatorsAccount = ValidatorsAccount;
	type PalletId = RewardPot;
	type RetentionPeriod = SettlementRetention;
	type WeightInfo = pallet_attribution::weights::SubstrateWeight<Runtime>;
}
