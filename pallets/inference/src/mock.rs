//! A chain with money, models and workers, and a settlement that only moves the fee to a pot.

use crate as pallet_inference;
use frame_support::{
	derive_impl, ensure, parameter_types,
	traits::{fungible::Mutate, tokens::Preservation, ConstU128, ConstU32, ConstU64, Hooks},
	weights::Weight,
};
use openledger_pallet_support::{
	offchain::testing::Node,
	operator::testing::{Block, NumberedSignature},
};
use openledger_primitives::{
	claim::AttributionClaim,
	jobs::{JobKind, JobOutcome},
	receipt::Prices,
	traits::{
		Assignment, ModelFiles, ModelRegistry, PaidAnswer, ServedModel, Settlement,
		TrainingSources, WorkerPool,
	},
	worker_api::BaseModelHashes,
	BaseModelId, ModelId, RequestId, H256,
};
use sp_runtime::{traits::Convert, BuildStorage, DispatchError, DispatchResult};
use std::collections::{BTreeMap, BTreeSet};

pub type AccountId = u64;
pub type Balance = openledger_primitives::Balance;

pub const REQUESTER: AccountId = 1;
pub const OTHER_REQUESTER: AccountId = 2;
pub const MODEL_OWNER: AccountId = 3;
/// A stash with its operator, which has no funds. It has two slots and comes before the other one.
pub const WORKER: AccountId = 10;
pub const OPERATOR: AccountId = 11;
/// Another stash with its operator and two slots.
pub const OTHER_WORKER: AccountId = 20;
pub const OTHER_OPERATOR: AccountId = 21;
/// Where the settlement puts fees.
pub const POT: AccountId = 99;

pub const SLOTS: u32 = 2;
pub const ENDOWMENT: Balance = 1_000_000;
pub const EXISTENTIAL_DEPOSIT: Balance = 100;
pub const TIMEOUT: u64 = 5;
pub const RETENTION: u64 = 20;
pub const MAX_OPEN: u32 = 3;
pub const BLOCK_MILLIS: u64 = 3_000;

/// Costs 2 planks per token of prompt and 10 per token of answer.
pub const MODEL: ModelId = ModelId(5);
/// Costs nothing.
pub const FREE_MODEL: ModelId = ModelId(6);
/// Has the same prices, on a base that nobody holds.
pub const LONELY_MODEL: ModelId = ModelId(7);
/// Costs more than there is.
pub const ABSURD_MODEL: ModelId = ModelId(8);
pub const BASE: BaseModelId = BaseModelId(1);

/// What the pool says when every slot is taken.
pub const NO_WORKER: DispatchError = DispatchError::Other("no worker is free");
/// What the settlement says to a claim that does not fit.
pub const CLAIM_REFUSED: DispatchError = DispatchError::Other("claim refused");

frame_support::construct_runtime!(
	pub enum Test {
		System: frame_system,
		Balances: pallet_balances,
		Inference: pallet_inference,
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
	type ExistentialDeposit = ConstU128<EXISTENTIAL_DEPOSIT>;
	type AccountStore = System;
}

/// A model as the registry keeps it: base, owner, prices per 1,000 tokens of prompt and answer.
type Model = (BaseModelId, AccountId, Balance, Balance);

parameter_types! {
	pub storage Models: BTreeMap<ModelId, Model> = BTreeMap::from([
		(MODEL, (BASE, MODEL_OWNER, 2_000, 10_000)),
		(FREE_MODEL, (BASE, MODEL_OWNER, 0, 0)),
		(LONELY_MODEL, (BaseModelId(9), MODEL_OWNER, 2_000, 10_000)),
		(ABSURD_MODEL, (BASE, MODEL_OWNER, Balance::MAX, 0)),
	]);
	/// Stash → operator, base.
	pub storage Pool: BTreeMap<AccountId, (AccountId, BaseModelId)> = BTreeMap::from([
		(WORKER, (OPERATOR, BASE)),
		(OTHER_WORKER, (OTHER_OPERATOR, BASE)),
	]);
	/// Stash → slots taken.
	pub storage Busy: BTreeMap<AccountId, u32> = BTreeMap::new();
	pub storage Subjects: BTreeSet<Vec<u8>> = BTreeSet::new();
	pub storage Released: Vec<(AccountId, JobOutcome)> = Vec::new();
	pub storage Settled: BTreeMap<RequestId, Balance> = BTreeMap::new();
}

pub struct MockModels;

impl ModelRegistry<AccountId> for MockModels {
	fn served(model: ModelId) -> Option<ServedModel<AccountId>> {
		Models::get().get(&model).map(|(base, owner, input_per_1000, output_per_1000)| {
			ServedModel {
				base: *base,
				owner: *owner,
				prices: Prices {
					input_per_1000: *input_per_1000,
					output_per_1000: *output_per_1000,
				},
			}
		})
	}

	fn files(model: ModelId) -> Option<ModelFiles> {
		Models::get().contains_key(&model).then(model_files)
	}

	fn sources(model: ModelId) -> Option<TrainingSources> {
		Models::get().contains_key(&model).then(TrainingSources::default)
	}

	#[cfg(feature = "runtime-benchmarks")]
	fn benchmark_model(
		_: &AccountId,
		_: TrainingSources,
	) -> openledger_primitives::traits::ServedModelId {
		openledger_primitives::traits::ServedModelId { model: MODEL, base: BASE }
	}
}

/// What every model is made of.
pub fn model_files() -> ModelFiles {
	ModelFiles {
		base: BaseModelHashes { weights: H256::repeat_byte(1), tokenizer: H256::repeat_byte(2) },
		adapter: H256::repeat_byte(3),
		span_index: H256::repeat_byte(4),
	}
}

pub struct MockWorkers;

impl WorkerPool<AccountId> for MockWorkers {
	type Error = DispatchError;

	fn assign(
		kind: JobKind,
		base: BaseModelId,
		subject: &[u8],
	) -> Result<Assignment<AccountId>, DispatchError> {
		assert_eq!(kind, JobKind::Inference);
		let mut subjects = Subjects::get();
		assert!(subjects.insert(subject.to_vec()), "two jobs have one subject");
		Subjects::set(&subjects);
		let mut busy = Busy::get();
		let (worker, operator) = Pool::get()
			.into_iter()
			.find(|(worker, (_, held))| {
				*held == base && busy.get(worker).copied().unwrap_or_default() < SLOTS
			})
			.map(|(worker, (operator, _))| (worker, operator))
			.ok_or(NO_WORKER)?;
		*busy.entry(worker).or_default() += 1;
		Busy::set(&busy);
		Ok(Assignment { worker, operator })
	}

	fn stash_of(operator: &AccountId) -> Option<AccountId> {
		Pool::get().into_iter().find(|(_, (key, _))| key == operator).map(|(stash, _)| stash)
	}

	fn is_operator(worker: &AccountId, who: &AccountId) -> bool {
		Pool::get().get(worker).is_some_and(|(operator, _)| operator == who)
	}

	fn release(worker: &AccountId, outcome: JobOutcome) {
		let mut busy = Busy::get();
		// Panics when a slot is given back that was not taken.
		*busy.get_mut(worker).unwrap() -= 1;
		Busy::set(&busy);
		let mut released = Released::get();
		released.push((*worker, outcome));
		Released::set(&released);
	}

	#[cfg(feature = "runtime-benchmarks")]
	fn benchmark_worker(stash: &AccountId, operator: &AccountId, base: BaseModelId) {
		let mut pool = Pool::get();
		pool.retain(|_, (_, held)| *held != base);
		pool.insert(*stash, (*operator, base));
		Pool::set(&pool);
	}
}

pub struct MockSettlement;

impl Settlement<AccountId> for MockSettlement {
	type Error = DispatchError;

	fn settle(answer: PaidAnswer<AccountId>, claim: &AttributionClaim) -> DispatchResult {
		ensure!(claim.request == answer.request, CLAIM_REFUSED);
		ensure!(claim.model == answer.model, CLAIM_REFUSED);
		ensure!(claim.check().is_ok(), CLAIM_REFUSED);
		let mut settled = Settled::get();
		assert!(settled.insert(answer.request, answer.fee).is_none(), "settled twice");
		Settled::set(&settled);
		if answer.fee > 0 {
			<Balances as Mutate<_>>::transfer(
				&answer.payer,
				&POT,
				answer.fee,
				Preservation::Preserve,
			)?;
		}
		Ok(())
	}
}

pub struct MockSettlementWeight;

impl Convert<&AttributionClaim, Weight> for MockSettlementWeight {
	fn convert(claim: &AttributionClaim) -> Weight {
		Weight::from_parts(1_000 * claim.shares.len() as u64, 0)
	}
}

impl pallet_inference::Config for Test {
	type RuntimeHoldReason = RuntimeHoldReason;
	type Currency = Balances;
	type Models = MockModels;
	type Workers = MockWorkers;
	type Settlement = MockSettlement;
	type SettlementWeight = MockSettlementWeight;
	type OperatorSignature = NumberedSignature;
	type BlockMillis = ConstU64<BLOCK_MILLIS>;
	type AnswerTimeout = ConstU64<TIMEOUT>;
	type RetentionPeriod = ConstU64<RETENTION>;
	type MaxOpenRequests = ConstU32<MAX_OPEN>;
	type WeightInfo = ();
}

openledger_pallet_support::make_reports!(Test);

#[derive(Default)]
pub struct ExtBuilder;

impl ExtBuilder {
	pub fn build(self) -> sp_io::TestExternalities {
		let balances = [REQUESTER, OTHER_REQUESTER, POT].map(|who| (who, ENDOWMENT)).to_vec();
		let mut storage = frame_system::GenesisConfig::<Test>::default().build_storage().unwrap();
		pallet_balances::GenesisConfig::<Test> { balances, ..Default::default() }
			.assimilate_storage(&mut storage)
			.unwrap();
		let mut ext = sp_io::TestExternalities::new(storage);
		ext.execute_with(|| System::set_block_number(1));
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
			check_state();
		})
	}
}

/// The pallet's invariants, and that every taken slot belongs to an open request.
pub fn check_state() {
	Inference::do_try_state().expect("the invariants hold");
	let taken: u32 = Busy::get().values().sum();
	assert_eq!(taken as usize, crate::PendingFor::<Test>::iter().count());
}

/// Lets blocks pass that have room for all the agenda.
pub fn run_to(block: u64) {
	while System::block_number() < block {
		System::set_block_number(System::block_number() + 1);
		Inference::on_idle(System::block_number(), Weight::MAX);
	}
}

/// Lets blocks pass that have no room for the agenda.
pub fn run_full_blocks_to(block: u64) {
	while System::block_number() < block {
		System::set_block_number(System::block_number() + 1);
		Inference::on_idle(System::block_number(), Weight::zero());
	}
}
