//! A runtime with this pallet and balances, and short ways to say what tests do.

use crate::{self as pallet_workers, types::*, *};
use frame_support::{
	assert_ok, derive_impl, parameter_types,
	traits::{Imbalance, OnUnbalanced, Randomness},
};
use frame_system::EnsureRoot;
use openledger_primitives::{
	hashing,
	jobs::{JobKind, JobOutcome},
	traits::{Assignment, WorkerPool},
	Balance, BaseModelId, H256,
};
use sp_runtime::{BuildStorage, DispatchError, Permill};

pub type AccountId = u64;
pub type BlockNumber = u64;

#[frame_support::runtime]
mod runtime {
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
	pub struct Test;

	#[runtime::pallet_index(0)]
	pub type System = frame_system;
	#[runtime::pallet_index(1)]
	pub type Balances = pallet_balances;
	#[runtime::pallet_index(2)]
	pub type WorkersPallet = pallet_workers;
}

#[derive_impl(frame_system::config_preludes::TestDefaultConfig)]
impl frame_system::Config for Test {
	type Block = frame_system::mocking::MockBlock<Test>;
	type AccountData = pallet_balances::AccountData<Balance>;
}

#[derive_impl(pallet_balances::config_preludes::TestDefaultConfig)]
impl pallet_balances::Config for Test {
	type Balance = Balance;
	type AccountStore = System;
	type ExistentialDeposit = ExistentialDeposit;
}

parameter_types! {
	pub const ExistentialDeposit: Balance = 1;
	pub const UnbondingDelay: BlockNumber = 100;
	pub const LongestLiability: BlockNumber = 80;
	pub const StrikeCooldown: BlockNumber = 50;
	pub const TimeoutSlash: Permill = Permill::from_percent(1);
	pub const FaultSlash: Permill = Permill::from_percent(20);
	pub static MinBond: Balance = 100;
	pub static MaxDraws: u32 = 8;
	/// What was slashed, all in all.
	pub static SlashedTotal: Balance = 0;
	/// The epoch's randomness and the block since which it could be known.
	pub static Epoch: (u64, BlockNumber) = (0, 0);
}

/// Burns what is slashed and remembers how much.
pub struct CountAndBurn;
impl OnUnbalanced<CreditOf<Test>> for CountAndBurn {
	fn on_nonzero_unbalanced(credit: CreditOf<Test>) {
		SlashedTotal::mutate(|total| *total += credit.peek());
	}
}

/// An epoch's randomness that tests set.
pub struct EpochRandomness;
impl Randomness<H256, BlockNumber> for EpochRandomness {
	fn random(subject: &[u8]) -> (H256, BlockNumber) {
		let (seed, known_since) = Epoch::get();
		(hashing::hash("test/randomness", &[&seed.to_le_bytes(), subject]), known_since)
	}
}

impl Config for Test {
	type RuntimeHoldReason = RuntimeHoldReason;
	type Currency = Balances;
	type Slash = CountAndBurn;
	type Randomness = EpochRandomness;
	type SlashOrigin = EnsureRoot<AccountId>;
	type MinBond = MinBond;
	type UnbondingDelay = UnbondingDelay;
	type LongestLiability = LongestLiability;
	type MaxUnbondingChunks = frame_support::traits::ConstU32<4>;
	type MaxBaseModels = frame_support::traits::ConstU32<3>;
	type MaxPoolMembers = frame_support::traits::ConstU32<4>;
	type MaxSlots = frame_support::traits::ConstU32<1_000_000>;
	type MaxDraws = MaxDraws;
	type MaxStrikes = frame_support::traits::ConstU32<3>;
	type StrikeCooldown = StrikeCooldown;
	type ForgivenAfter = frame_support::traits::ConstU32<5>;
	type TimeoutSlash = TimeoutSlash;
	type FaultSlash = FaultSlash;
	type WeightInfo = ();
}

pub const ALICE: AccountId = 1;
pub const BOB: AccountId = 2;
/// An account without money.
pub const PAUPER: AccountId = 99;
/// What everybody from 1 to 10 has at first.
pub const FUNDS: Balance = 10_000;
/// The base model most tests are about.
pub const BASE: BaseModelId = BaseModelId(7);

/// The operator key that tests give a stash.
pub fn key_of(stash: AccountId) -> AccountId {
	stash + 1_000
}

/// Capabilities for inference.
pub fn offers(bases: &[u32], slots: u32) -> Capabilities<<Test as Config>::MaxBaseModels> {
	let mut capabilities = Capabilities {
		kinds: Default::default(),
		base_models: Default::default(),
		memory_mib: 24 * 1024,
		slots,
	};
	capabilities.kinds.try_insert(JobKind::Inference).unwrap();
	for base in bases {
		capabilities.base_models.try_insert(BaseModelId(*base)).unwrap();
	}
	capabilities
}

/// Registers without the key accepting.
pub fn register_only(stash: AccountId, bond: Balance) {
	assert_ok!(WorkersPallet::register(
		RuntimeOrigin::signed(stash),
		key_of(stash),
		bond,
		offers(&[BASE.0], 2)
	));
}

/// A worker in the pool for inference on `BASE`, with two slots.
pub fn worker(stash: AccountId, bond: Balance) {
	register_only(stash, bond);
	assert_ok!(WorkersPallet::accept_operator(RuntimeOrigin::signed(key_of(stash)), stash));
}

/// A worker that serves several base models.
pub fn worker_offering(
	stash: AccountId,
	bond: Balance,
	capabilities: Capabilities<<Test as Config>::MaxBaseModels>,
) {
	assert_ok!(WorkersPallet::register(
		RuntimeOrigin::signed(stash),
		key_of(stash),
		bond,
		capabilities
	));
	assert_ok!(WorkersPallet::accept_operator(RuntimeOrigin::signed(key_of(stash)), stash));
}

/// Assigns inference on `BASE`.
pub fn assign(subject: u64) -> Result<Assignment<AccountId>, DispatchError> {
	<WorkersPallet as WorkerPool<AccountId>>::assign(
		JobKind::Inference,
		BASE,
		&subject.to_le_bytes(),
	)
}

pub fn release(stash: AccountId, outcome: JobOutcome) {
	<WorkersPallet as WorkerPool<AccountId>>::release(&stash, outcome);
}

/// Assigns a job to the only worker there is and lets it end.
pub fn job(stash: AccountId, outcome: JobOutcome) {
	assert_eq!(assign(0).unwrap().worker, stash);
	release(stash, outcome);
}

/// The members of the pool for inference on `BASE`, with their weights.
pub fn pool() -> Vec<(AccountId, Balance)> {
	pool_of(BASE.0)
}

/// The members of the pool for inference on a base model, with their weights.
pub fn pool_of(base: u32) -> Vec<(AccountId, Balance)> {
	Pools::<Test>::get((JobKind::Inference, BaseModelId(base)))
		.into_iter()
		.map(|member| (member.stash, member.weight))
		.collect()
}

pub fn waits(stash: AccountId) -> bool {
	Waiting::<Test>::contains_key((JobKind::Inference, BASE), stash)
}

pub fn record(stash: AccountId) -> Worker<Test> {
	Workers::<Test>::get(stash).unwrap()
}

pub fn held(stash: AccountId) -> Balance {
	use frame_support::traits::fungible::InspectHold;
	Balances::balance_on_hold(&HoldReason::Bond.into(), &stash)
}

pub fn go_to(block: BlockNumber) {
	System::set_block_number(block);
}

pub fn chunks_of(stash: AccountId) -> Vec<(Balance, BlockNumber)> {
	Unbonding::<Test>::get(stash).into_iter().map(|chunk| (chunk.amount, chunk.unlock_at)).collect()
}

/// Accounts 1 to 10 with [`FUNDS`] each, at block 1.
pub fn new_test_ext() -> sp_io::TestExternalities {
	let mut storage = frame_system::GenesisConfig::<Test>::default().build_storage().unwrap();
	pallet_balances::GenesisConfig::<Test> {
		balances: (1..=10).map(|account| (account, FUNDS)).collect(),
		..Default::default()
	}
	.assimilate_storage(&mut storage)
	.unwrap();
	let mut ext = sp_io::TestExternalities::new(storage);
	ext.execute_with(|| {
		System::set_block_number(1);
		SlashedTotal::set(0);
		Epoch::set((0, 0));
		MaxDraws::set(8);
		MinBond::set(100);
	});
	ext
}

pub struct ExtBuilder;

impl ExtBuilder {
	/// Runs a test and checks the invariants after it.
	pub fn build_and_execute(test: impl FnOnce()) {
		new_test_ext().execute_with(|| {
			test();
			Pallet::<Test>::do_try_state().unwrap();
			assert_supply_is_accounted_for();
		});
	}
}

/// Nothing is minted, and nothing but slashes is burned.
pub fn assert_supply_is_accounted_for() {
	use frame_support::traits::fungible::Inspect;
	assert_eq!(
		<Balances as Inspect<AccountId>>::total_issuance() + SlashedTotal::get(),
		10 * FUNDS
	);
}
