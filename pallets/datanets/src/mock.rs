//! A chain with balances and this pallet.

use crate as pallet_datanets;
use crate::*;
use codec::{Decode, Encode};
use frame_support::{
	assert_ok, derive_impl, parameter_types,
	traits::{
		fungible::{HoldConsideration, Inspect, InspectHold},
		ConstU128, ConstU32, ConstU64, Get, Hooks, LinearStoragePrice,
	},
	weights::Weight,
};
use openledger_primitives::{licence::LicenceTerms, Balance, DatanetId, H256};
use sp_runtime::{traits::Dispatchable, BuildStorage, DispatchResult};
use std::collections::BTreeMap;

pub type AccountId = u64;
pub type BlockNumber = u64;
pub type Terms = DatanetTerms<BlockNumber>;

pub const OWNER: AccountId = 1;
pub const CURATOR: AccountId = 2;
pub const ALICE: AccountId = 3;
pub const BOB: AccountId = 4;
pub const STRANGER: AccountId = 5;
/// Has the existential deposit and a little more: not enough for any deposit.
pub const POOR: AccountId = 6;
pub const FUNDS: Balance = 1_000_000;
pub const EXISTENTIAL: Balance = 10;

pub const MIN_REVIEW: BlockNumber = 2;
pub const MAX_REVIEW: BlockNumber = 50;
/// The review period of test datanets.
pub const REVIEW: BlockNumber = 5;
pub const DAY: BlockNumber = 20;
pub const MAX_RECORDS: u32 = 100;
pub const MAX_BYTES: u64 = 10_240;
pub const MAX_DATANETS: u32 = 3;
pub const PRICE: Balance = 500;

frame_support::construct_runtime!(
	pub enum Test {
		System: frame_system,
		Balances: pallet_balances,
		Datanets: pallet_datanets,
	}
);

#[derive_impl(frame_system::config_preludes::TestDefaultConfig)]
impl frame_system::Config for Test {
	type Block = frame_system::mocking::MockBlock<Test>;
	type AccountData = pallet_balances::AccountData<Balance>;
}

#[derive_impl(pallet_balances::config_preludes::TestDefaultConfig)]
impl pallet_balances::Config for Test {
	type Balance = Balance;
	type ExistentialDeposit = ConstU128<EXISTENTIAL>;
	type AccountStore = System;
	type RuntimeFreezeReason = RuntimeFreezeReason;
	type FreezeIdentifier = [u8; 8];
	type MaxFreezes = ConstU32<2>;
}

parameter_types! {
	pub const DatanetReason: RuntimeHoldReason =
		RuntimeHoldReason::Datanets(HoldReason::DatanetDeposit);
	pub const ContributionReason: RuntimeHoldReason =
		RuntimeHoldReason::Datanets(HoldReason::ContributionDeposit);
	pub const AccessReason: RuntimeHoldReason =
		RuntimeHoldReason::Datanets(HoldReason::AccessDeposit);
	pub const PriceReason: RuntimeHoldReason =
		RuntimeHoldReason::Datanets(HoldReason::AccessPrice);
	pub const DepositBase: Balance = 20;
	pub const DepositPerByte: Balance = 1;
	pub static AccountLimit: u32 = 3;
	pub static DatanetLimit: u32 = 5;
}

pub type DepositPrice = LinearStoragePrice<DepositBase, DepositPerByte, Balance>;
type Deposit<Reason> = HoldConsideration<AccountId, Balances, Reason, DepositPrice>;

impl Config for Test {
	type Currency = Balances;
	type RuntimeHoldReason = RuntimeHoldReason;
	type DatanetDeposit = Deposit<DatanetReason>;
	type ContributionDeposit = Deposit<ContributionReason>;
	type AccessDeposit = Deposit<AccessReason>;
	type DepositPrice = DepositPrice;
	type MaxDatanetsPerOwner = ConstU32<MAX_DATANETS>;
	type MinReviewPeriod = ConstU64<MIN_REVIEW>;
	type MaxReviewPeriod = ConstU64<MAX_REVIEW>;
	type BlocksPerDay = ConstU64<DAY>;
	type MaxRecordsPerContribution = ConstU32<MAX_RECORDS>;
	type MaxBytesPerContribution = ConstU64<MAX_BYTES>;
	type MaxContributionsPerAccountPerDay = AccountLimit;
	type MaxContributionsPerDatanetPerDay = DatanetLimit;
	type WeightInfo = ();
}

/// A test's chain at its first block: who has funds, and nothing else.
pub struct ExtBuilder;

impl ExtBuilder {
	pub fn build(self) -> sp_io::TestExternalities {
		let mut storage = frame_system::GenesisConfig::<Test>::default().build_storage().unwrap();
		pallet_balances::GenesisConfig::<Test> {
			balances: [OWNER, CURATOR, ALICE, BOB, STRANGER]
				.map(|who| (who, FUNDS))
				.into_iter()
				.chain([(POOR, 2 * EXISTENTIAL)])
				.collect(),
			..Default::default()
		}
		.assimilate_storage(&mut storage)
		.unwrap();
		let mut ext = sp_io::TestExternalities::from(storage);
		ext.execute_with(|| {
			AccountLimit::set(3);
			DatanetLimit::set(5);
			System::set_block_number(1);
		});
		ext
	}

	pub fn build_and_execute(self, test: impl FnOnce()) {
		self.build().execute_with(|| {
			let issuance = Balances::total_issuance();
			test();
			assert_eq!(Balances::total_issuance(), issuance);
			check_everything();
		});
	}
}

/// The pallet's invariants, and that what is held is exactly what open deposits say.
pub fn check_everything() {
	Datanets::do_try_state().unwrap();
	let mut held: BTreeMap<(AccountId, Vec<u8>), Balance> = BTreeMap::new();
	let mut count = |who: AccountId, reason: RuntimeHoldReason, amount: Balance| {
		*held.entry((who, reason.encode())).or_default() += amount;
	};
	for (id, ticket) in DatanetDeposits::<Test>::iter() {
		let owner = pallet::Datanets::<Test>::get(id).unwrap().owner;
		count(owner, DatanetReason::get(), amount(ticket));
	}
	for (id, index, ticket) in PendingDeposits::<Test>::iter() {
		let contributor = Contributions::<Test>::get(id, index).unwrap().contributor;
		count(contributor, ContributionReason::get(), amount(ticket));
	}
	for (_, grant) in Grants::<Test>::iter() {
		count(grant.depositor, AccessReason::get(), amount(grant.ticket));
	}
	for (_, who, request) in AccessRequests::<Test>::iter() {
		count(request.depositor, AccessReason::get(), amount(request.ticket));
		count(who, PriceReason::get(), request.value.price);
	}
	for who in OWNER..=POOR {
		for reason in [
			DatanetReason::get(),
			ContributionReason::get(),
			AccessReason::get(),
			PriceReason::get(),
		] {
			let expected = held.remove(&(who, reason.encode())).unwrap_or_default();
			assert_eq!(held_for(reason, who), expected, "{reason:?} of {who}");
		}
	}
	assert!(held.is_empty());
}

/// What a ticket holds. Its field is private; its encoding is the amount.
fn amount<Reason: Get<RuntimeHoldReason> + 'static>(ticket: Deposit<Reason>) -> Balance {
	Balance::decode(&mut ticket.encode().as_slice()).unwrap()
}

pub fn held_for(reason: RuntimeHoldReason, who: AccountId) -> Balance {
	Balances::balance_on_hold(&reason, &who)
}

pub fn free(who: AccountId) -> Balance {
	Balances::free_balance(who)
}

/// Sends a call as a transaction does: undone as a whole when it fails.
pub fn send(who: AccountId, call: Call<Test>) -> DispatchResult {
	RuntimeCall::from(call)
		.dispatch(RuntimeOrigin::signed(who))
		.map(|_| ())
		.map_err(|failed| failed.error)
}

pub fn terms() -> Terms {
	DatanetTerms {
		price: 0,
		access: AccessPolicy::Open,
		default_verdict: Verdict::Accept,
		review_period: REVIEW,
		metadata: H256::repeat_byte(1),
	}
}

pub fn terms_with(access: AccessPolicy, price: Balance) -> Terms {
	DatanetTerms { access, price, ..terms() }
}

pub fn name() -> DatanetName {
	b"Birds of the north".to_vec().try_into().unwrap()
}

pub fn create_call(terms: Terms) -> Call<Test> {
	Call::create_datanet {
		name: name(),
		kind: DatanetKind::Text,
		licence: LicenceTerms::OPEN,
		terms,
	}
}

/// A datanet of `OWNER` under these terms.
pub fn create(terms: Terms) -> DatanetId {
	let id = NextDatanetId::<Test>::get();
	assert_ok!(send(OWNER, create_call(terms)));
	id
}

pub fn data(seed: u8) -> ContributedData {
	ContributedData {
		root: H256::repeat_byte(seed),
		records: 10,
		bytes: 2_000,
		content: H256::repeat_byte(0xc0),
		salts: H256::repeat_byte(0x5a),
	}
}

pub fn contribute_call(datanet: DatanetId, data: ContributedData) -> Call<Test> {
	let ContributedData { root, records, bytes, content, salts } = data;
	Call::contribute { datanet, root, records, bytes, content, salts }
}

/// A pending contribution of `who`.
pub fn contribute(datanet: DatanetId, who: AccountId, seed: u8) -> u32 {
	let index = Counters::<Test>::get(datanet).contributions;
	assert_ok!(send(who, contribute_call(datanet, data(seed))));
	index
}

/// A contribution of `who` that the owner accepted.
pub fn accepted(datanet: DatanetId, who: AccountId, seed: u8) -> u32 {
	let index = contribute(datanet, who, seed);
	assert_ok!(send(OWNER, Call::accept_contribution { datanet, index }));
	index
}

pub fn give(datanet: DatanetId, who: AccountId, role: Role, expires_at: Option<BlockNumber>) {
	assert_ok!(send(OWNER, Call::grant_access { datanet, who, role, expires_at }));
}

/// Begins blocks without weight to spare, until this one has begun.
pub fn begin_busy_block(number: BlockNumber) {
	System::set_block_number(number);
}

/// Ends blocks with weight to spare, until this one has begun.
pub fn begin_block(number: BlockNumber) {
	while System::block_number() < number {
		let now = System::block_number();
		Datanets::on_idle(now, Weight::MAX);
		System::set_block_number(now + 1);
	}
}

/// Ends the present block with weight to spare.
pub fn end_block() {
	begin_block(System::block_number() + 1);
}

pub fn last_event() -> Event<Test> {
	match System::events().pop().expect("there is an event").event {
		RuntimeEvent::Datanets(event) => event,
		other => panic!("another pallet's event: {other:?}"),
	}
}

/// Everything an account has, free and held.
pub fn total(who: AccountId) -> Balance {
	<Balances as Inspect<AccountId>>::total_balance(&who)
}
