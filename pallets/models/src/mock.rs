//! A chain with balances and this pallet, and stand-ins for datanets and workers.
//!
//! The stand-ins keep their state in storage, so that it is rolled back with a failed call as the
//! real pallets' state is.

use crate as pallet_models;
use crate::*;
use codec::{Decode, Encode};
use core::time::Duration;
use frame_support::{
	assert_ok, derive_impl,
	pallet_prelude::ValueQuery,
	parameter_types, storage_alias,
	traits::{
		fungible::HoldConsideration, ConstU128, ConstU32, ConstU64, EitherOfDiverse, Footprint,
		Hooks, LinearStoragePrice, UnixTime,
	},
	weights::Weight,
	Blake2_128Concat,
};
use frame_system::{EnsureRoot, EnsureSignedBy, RawOrigin};
use openledger_pallet_support::{
	offchain::testing::Node,
	operator::testing::{no_signature, Block, NumberedSignature},
};
use openledger_primitives::{
	jobs::{FailureReason, JobKind, JobOutcome},
	licence::LicenceTerms,
	training::{Metrics, TrainingResult},
	traits::{
		AcceptedContribution, Assignment, DatanetRegistry, TrainingSources, VersionCommitment,
		WorkerPool,
	},
	Balance, BaseModelId, ContributionId, DatanetId, DatanetVersion, ModelId, TrainingJobId, H256,
};
use scale_info::TypeInfo;
use sp_runtime::{BuildStorage, DispatchError, DispatchResult};

pub type AccountId = u64;

pub const REGISTRAR: AccountId = 1;
pub const CREATOR: AccountId = 2;
pub const OTHER: AccountId = 3;
pub const POOR: AccountId = 4;
pub const JUDGE: AccountId = 5;
pub const ADMIN: AccountId = 6;
pub const WORKER: AccountId = 10;
pub const OPERATOR: AccountId = 110;
pub const FUNDS: Balance = 1_000_000;
pub const BUDGET: Balance = 1_000;
pub const BOND: Balance = 50;
/// Unix seconds at the start of every test.
pub const START_OF_TIME: u64 = 1_000;

pub const OPEN: u64 = 10;
pub const START: u64 = 5;
pub const MIN_TRAINING: u64 = 4;
pub const MAX_TRAINING: u64 = 100;
pub const CHALLENGE: u64 = 20;
pub const DECISION: u64 = 30;
pub const RETENTION: u64 = 50;
pub const ASSIGNMENTS: u32 = 3;
pub const BLOCK_MILLIS: u64 = 3_000;

frame_support::construct_runtime!(
	pub enum Test {
		System: frame_system,
		Balances: pallet_balances,
		ModelsPallet: pallet_models,
	}
);

#[derive_impl(frame_system::config_preludes::TestDefaultConfig)]
impl frame_system::Config for Test {
	type Block = Block<Test>;
	type AccountData = pallet_balances::AccountData<Balance>;
}

#[derive_impl(pallet_balances::config_preludes::TestDefaultConfig)]
impl pallet_balances::Config for Test {
	type Balance = Balance;
	type ExistentialDeposit = ConstU128<10>;
	type AccountStore = System;
}

parameter_types! {
	pub static UnixSecondsNow: u64 = START_OF_TIME;
	pub const RecordDepositReason: RuntimeHoldReason =
		RuntimeHoldReason::ModelsPallet(pallet_models::HoldReason::RecordDeposit);
	pub const DepositBase: Balance = 100;
	pub const DepositPerByte: Balance = 0;
}

pub struct Clock;
impl UnixTime for Clock {
	fn now() -> Duration {
		Duration::from_secs(UnixSecondsNow::get())
	}
}

frame_support::ord_parameter_types! {
	pub const Admin: AccountId = ADMIN;
	pub const Judge: AccountId = JUDGE;
}

impl Config for Test {
	type Currency = Balances;
	type RuntimeHoldReason = RuntimeHoldReason;
	type RecordDeposit = HoldConsideration<
		AccountId,
		Balances,
		RecordDepositReason,
		LinearStoragePrice<DepositBase, DepositPerByte, Balance>,
		Footprint,
	>;
	type Datanets = Datanets;
	type Workers = Workers;
	type Time = Clock;
	type AdminOrigin = EitherOfDiverse<EnsureRoot<AccountId>, EnsureSignedBy<Admin, AccountId>>;
	type DisputeOrigin = EitherOfDiverse<EnsureRoot<AccountId>, EnsureSignedBy<Judge, AccountId>>;
	type MinTrainingBudget = ConstU128<100>;
	type DisputeBond = ConstU128<BOND>;
	type OpenPeriod = ConstU64<OPEN>;
	type StartPeriod = ConstU64<START>;
	type MinTrainingPeriod = ConstU64<MIN_TRAINING>;
	type MaxTrainingPeriod = ConstU64<MAX_TRAINING>;
	type ChallengePeriod = ConstU64<CHALLENGE>;
	type DecisionPeriod = ConstU64<DECISION>;
	type RetentionPeriod = ConstU64<RETENTION>;
	type MaxAssignments = ConstU32<ASSIGNMENTS>;
	type OperatorSignature = NumberedSignature;
	type BlockMillis = ConstU64<BLOCK_MILLIS>;
	type WeightInfo = ();
}

openledger_pallet_support::make_reports!(Test);

/// A datanet of the stand-in.
#[derive(Clone, Encode, Decode, TypeInfo)]
pub struct MockDatanet {
	pub versions: u32,
	pub licence: LicenceTerms,
	pub closed: bool,
}

#[storage_alias]
type MockDatanets = StorageMap<Mock, Blake2_128Concat, DatanetId, MockDatanet>;

pub const ACCESS_DENIED: DispatchError = DispatchError::Other("access denied");

pub struct Datanets;

impl Datanets {
	pub fn put(number: u32, licence: LicenceTerms) {
		MockDatanets::insert(
			DatanetId(number),
			MockDatanet { versions: 1, licence, closed: false },
		);
	}

	pub fn close(number: u32) {
		MockDatanets::mutate(DatanetId(number), |datanet| datanet.as_mut().unwrap().closed = true);
	}
}

impl DatanetRegistry<AccountId> for Datanets {
	type Error = DispatchError;

	fn version(version: DatanetVersion) -> Option<VersionCommitment> {
		let datanet = MockDatanets::get(version.datanet)?;
		(version.version < datanet.versions).then_some(VersionCommitment {
			root: H256::repeat_byte(1),
			contributions: 1,
			records: 1,
			bytes: 1,
		})
	}

	fn licence(datanet: DatanetId) -> Option<LicenceTerms> {
		MockDatanets::get(datanet).map(|datanet| datanet.licence)
	}

	fn ensure_may_train(_: &AccountId, datanet: DatanetId) -> Result<(), DispatchError> {
		match MockDatanets::get(datanet) {
			Some(datanet) if !datanet.closed => Ok(()),
			_ => Err(ACCESS_DENIED),
		}
	}

	fn accepted_contribution(_: ContributionId) -> Option<AcceptedContribution<AccountId>> {
		None
	}

	/// Two of each version: the second one was made before the first ones of all.
	fn contributions_of(
		version: DatanetVersion,
	) -> Vec<(ContributionId, AcceptedContribution<AccountId>)> {
		let datanet = version.datanet;
		let made = |index, contributed_at| {
			let seed = (datanet.0 as u8) * 10 + index as u8;
			let accepted = AcceptedContribution {
				contributor: OTHER,
				leaf_index: index,
				root: H256::repeat_byte(seed),
				records: 1 + index,
				content: H256::repeat_byte(seed + 100),
				contributed_at,
			};
			(ContributionId { datanet, index }, accepted)
		};
		vec![made(1, 1), made(0, 5)]
	}

	#[cfg(feature = "runtime-benchmarks")]
	fn benchmark_version(_: &AccountId, _: H256, _: u32) -> DatanetVersion {
		let number = MockDatanets::iter_keys().map(|id| id.0).max().unwrap_or(0) + 1;
		Self::put(number, LicenceTerms::OPEN);
		DatanetVersion { datanet: DatanetId(number), version: 0 }
	}
}

/// A worker of the stand-in.
#[derive(Clone, Encode, Decode, TypeInfo)]
pub struct MockWorker {
	pub operator: AccountId,
	pub free_slots: u32,
	pub taken_slots: u32,
	pub suspended: bool,
}

#[storage_alias]
type MockWorkers = StorageMap<Mock, Blake2_128Concat, AccountId, MockWorker>;

/// How many assignments there were for each subject.
#[storage_alias]
type MockSubjects = StorageMap<Mock, Blake2_128Concat, Vec<u8>, u32, ValueQuery>;

#[storage_alias]
type MockOutcomes = StorageValue<Mock, Vec<(AccountId, JobOutcome)>, ValueQuery>;

pub const NOBODY_FREE: DispatchError = DispatchError::Other("nobody is free");

pub struct Workers;

impl Workers {
	pub fn put(worker: AccountId, operator: AccountId, slots: u32) {
		MockWorkers::insert(
			worker,
			MockWorker { operator, free_slots: slots, taken_slots: 0, suspended: false },
		);
	}

	pub fn set_free_slots(worker: AccountId, slots: u32) {
		MockWorkers::mutate(worker, |record| record.as_mut().unwrap().free_slots = slots);
	}

	/// Keeps a worker from being assigned whatever slots come back to it.
	pub fn suspend(worker: AccountId) {
		MockWorkers::mutate(worker, |record| record.as_mut().unwrap().suspended = true);
	}

	pub fn set_operator(worker: AccountId, operator: AccountId) {
		MockWorkers::mutate(worker, |record| record.as_mut().unwrap().operator = operator);
	}

	pub fn operator(worker: AccountId) -> AccountId {
		MockWorkers::get(worker).unwrap().operator
	}

	pub fn taken(worker: AccountId) -> u32 {
		MockWorkers::get(worker).map_or(0, |record| record.taken_slots)
	}

	pub fn all_taken() -> u32 {
		MockWorkers::iter_values().map(|record| record.taken_slots).sum()
	}

	pub fn outcomes() -> Vec<(AccountId, JobOutcome)> {
		MockOutcomes::get()
	}

	pub fn assignments() -> usize {
		MockSubjects::iter_values().map(|count| count as usize).sum()
	}

	pub fn subjects_are_unique() -> bool {
		MockSubjects::iter_values().all(|count| count == 1)
	}
}

impl WorkerPool<AccountId> for Workers {
	type Error = DispatchError;

	fn assign(
		kind: JobKind,
		_: BaseModelId,
		subject: &[u8],
	) -> Result<Assignment<AccountId>, DispatchError> {
		assert_eq!(kind, JobKind::Training);
		// Written before it can fail: whoever calls must take a refusal's writes back.
		MockSubjects::mutate(subject.to_vec(), |count| *count += 1);
		let mut free: Vec<AccountId> = MockWorkers::iter()
			.filter(|(_, worker)| worker.free_slots > 0 && !worker.suspended)
			.map(|(id, _)| id)
			.collect();
		free.sort_unstable();
		let choice = subject.iter().map(|byte| *byte as usize).sum::<usize>();
		let worker = *free.get(choice % free.len().max(1)).ok_or(NOBODY_FREE)?;
		MockWorkers::mutate(worker, |record| {
			let record = record.as_mut().unwrap();
			record.free_slots -= 1;
			record.taken_slots += 1;
			Ok(Assignment { worker, operator: record.operator })
		})
	}

	fn stash_of(operator: &AccountId) -> Option<AccountId> {
		MockWorkers::iter().find(|(_, record)| record.operator == *operator).map(|(id, _)| id)
	}

	fn is_operator(worker: &AccountId, who: &AccountId) -> bool {
		MockWorkers::get(worker).is_some_and(|record| record.operator == *who)
	}

	fn release(worker: &AccountId, outcome: JobOutcome) {
		MockWorkers::mutate(worker, |record| {
			let record = record.as_mut().unwrap();
			record.taken_slots =
				record.taken_slots.checked_sub(1).expect("a slot is given back only once");
			record.free_slots += 1;
		});
		MockOutcomes::append((*worker, outcome));
	}

	#[cfg(feature = "runtime-benchmarks")]
	fn benchmark_worker(stash: &AccountId, operator: &AccountId, _: BaseModelId) {
		Self::put(*stash, *operator, 16);
	}
}

/// A test's chain: who has funds, one worker with two slots, datanets 1 to 3 under open terms.
#[derive(Default)]
pub struct ExtBuilder {
	no_workers: bool,
}

impl ExtBuilder {
	pub fn without_workers(mut self) -> Self {
		self.no_workers = true;
		self
	}

	pub fn build(self) -> sp_io::TestExternalities {
		let mut storage = frame_system::GenesisConfig::<Test>::default().build_storage().unwrap();
		pallet_balances::GenesisConfig::<Test> {
			balances: vec![
				(REGISTRAR, FUNDS),
				(CREATOR, FUNDS),
				(OTHER, FUNDS),
				(POOR, 20),
				(WORKER, FUNDS),
			],
			..Default::default()
		}
		.assimilate_storage(&mut storage)
		.unwrap();
		let mut ext = sp_io::TestExternalities::from(storage);
		ext.execute_with(|| {
			UnixSecondsNow::set(START_OF_TIME);
			System::set_block_number(1);
			for number in 1..=3 {
				Datanets::put(number, LicenceTerms::OPEN);
			}
			if !self.no_workers {
				Workers::put(WORKER, OPERATOR, 2);
			}
		});
		ext
	}

	/// A chain with all that a node gives to offchain workers.
	pub fn build_with_node(self) -> (sp_io::TestExternalities, Node) {
		let mut ext = self.build();
		let node = Node::around(&mut ext);
		(ext, node)
	}

	pub fn build_and_execute(self, test: impl FnOnce()) {
		self.build().execute_with(|| {
			test();
			ModelsPallet::do_try_state().unwrap();
			assert!(Workers::subjects_are_unique());
		});
	}
}

/// Ends blocks, with weight to spare, until the given one has begun.
pub fn begin_block(number: u64) {
	while System::block_number() < number {
		let now = System::block_number();
		ModelsPallet::on_idle(now, Weight::MAX);
		System::set_block_number(now + 1);
	}
}

/// Begins the given block without any idle weight in those before.
pub fn begin_block_without_idle(number: u64) {
	System::set_block_number(number);
}

pub fn sources(datanets: &[u32]) -> TrainingSources {
	datanets
		.iter()
		.map(|number| DatanetVersion { datanet: DatanetId(*number), version: 0 })
		.collect::<Vec<_>>()
		.try_into()
		.unwrap()
}

pub fn register_base(seed: u8, licence: LicenceTerms) -> BaseModelId {
	let base = NextBaseModelId::<Test>::get();
	assert_ok!(ModelsPallet::register_base_model(
		RuntimeOrigin::signed(REGISTRAR),
		H256::repeat_byte(seed),
		H256::repeat_byte(200),
		b"LlamaForCausalLM".to_vec().try_into().unwrap(),
		licence,
		b"SmolLM2-135M-Instruct".to_vec().try_into().unwrap(),
		134_515_008,
	));
	base
}

/// A valid order on a base model.
pub fn order(base: BaseModelId) -> TrainingOrder<u64> {
	TrainingOrder {
		base,
		sources: sources(&[1, 2]),
		spec_hash: H256::repeat_byte(7),
		licence: LicenceTerms::OPEN,
		commercial: true,
		budget: BUDGET,
		training_blocks: 40,
	}
}

pub fn request(who: AccountId, order: TrainingOrder<u64>) -> DispatchResult {
	ModelsPallet::request_training(
		RuntimeOrigin::signed(who),
		order.base,
		order.sources,
		order.spec_hash,
		order.licence,
		order.commercial,
		order.budget,
		order.training_blocks,
	)
}

/// Orders a job of `CREATOR` on a new base model, or on the one that is there.
pub fn new_job() -> TrainingJobId {
	if NextBaseModelId::<Test>::get() == BaseModelId(0) {
		register_base(1, LicenceTerms::OPEN);
	}
	let job = NextTrainingJobId::<Test>::get();
	assert_ok!(request(CREATOR, order(BaseModelId(0))));
	job
}

pub fn result() -> TrainingResult {
	TrainingResult {
		adapter_hash: H256::repeat_byte(11),
		span_index_root: H256::repeat_byte(12),
		influence_root: H256::repeat_byte(13),
		metrics: Metrics {
			heldout_loss_before_micro: 2_400_000,
			heldout_loss_after_micro: 1_900_000,
			trained_tokens: 1_000_000,
			steps: 500,
		},
	}
}

/// The attempt that a job is in.
pub fn attempt(job: TrainingJobId) -> u32 {
	Jobs::<Test>::get(job).map_or(1, |job| job.assignments)
}

/// What the authorised transaction of an operator does that starts.
pub fn start(operator: AccountId, job: TrainingJobId) -> DispatchResult {
	let origin = RawOrigin::Authorized.into();
	ModelsPallet::start_training(origin, job, attempt(job), operator, no_signature())
}

/// What the authorised transaction of an operator does that cannot start.
pub fn decline(operator: AccountId, job: TrainingJobId) -> DispatchResult {
	let origin = RawOrigin::Authorized.into();
	let reason = FailureReason::DataUnavailable;
	ModelsPallet::decline_training(origin, job, attempt(job), reason, operator, no_signature())
}

/// What the authorised transaction of an operator does that has trained.
pub fn deliver(operator: AccountId, job: TrainingJobId, result: TrainingResult) -> DispatchResult {
	let origin = RawOrigin::Authorized.into();
	ModelsPallet::deliver_training(origin, job, attempt(job), result, operator, no_signature())
}

/// What the authorised transaction of an operator does that has started in vain.
pub fn fail(operator: AccountId, job: TrainingJobId, reason: FailureReason) -> DispatchResult {
	let origin = RawOrigin::Authorized.into();
	ModelsPallet::report_failure(origin, job, attempt(job), reason, operator, no_signature())
}

pub fn running_job() -> TrainingJobId {
	let job = new_job();
	assert_ok!(start(OPERATOR, job));
	job
}

pub fn delivered_job() -> TrainingJobId {
	let job = running_job();
	assert_ok!(deliver(OPERATOR, job, result()));
	job
}

pub fn disputed_job() -> TrainingJobId {
	let job = delivered_job();
	assert_ok!(ModelsPallet::dispute_training(
		RuntimeOrigin::signed(CREATOR),
		job,
		DisputeReason::MetricsFalse,
		H256::repeat_byte(9),
	));
	job
}

/// A draft model of `CREATOR`, from a job that took the whole way.
pub fn new_model() -> ModelId {
	let model = NextModelId::<Test>::get();
	let job = delivered_job();
	begin_block(phase(job).deadline());
	assert_ok!(ModelsPallet::settle_training(RuntimeOrigin::signed(OTHER), job));
	model
}

pub fn phase(job: TrainingJobId) -> Phase<AccountId, u64> {
	Jobs::<Test>::get(job).expect("the job exists").phase
}

pub fn held(reason: HoldReason, who: AccountId) -> Balance {
	use frame_support::traits::fungible::InspectHold;
	Balances::balance_on_hold(&reason.into(), &who)
}
