//! A chain with money, models and datanets, and nobody who computes scores.

use crate as pallet_attribution;
use frame_support::{
	derive_impl, parameter_types,
	traits::{ConstU128, ConstU64, Hooks},
	weights::Weight,
	PalletId,
};
use frame_system::EnsureRoot;
use openledger_primitives::{
	hashing,
	licence::LicenceTerms,
	merkle::Tree,
	receipt::Prices,
	traits::{
		AcceptedContribution, DatanetRegistry, ModelFiles, ModelRegistry, ServedModel,
		TrainingSources, VersionCommitment,
	},
	BaseModelId, ContributionId, DatanetId, DatanetVersion, ModelId, H256,
};
use sp_runtime::{BuildStorage, DispatchError};
use std::collections::BTreeMap;

pub type AccountId = u64;
pub type Balance = openledger_primitives::Balance;

pub const PAYER: AccountId = 1;
pub const HOST: AccountId = 2;
pub const MODEL_OWNER: AccountId = 3;
pub const ALICE: AccountId = 10;
pub const BOB: AccountId = 11;
pub const CAROL: AccountId = 12;
pub const TREASURY: AccountId = 90;
pub const VALIDATORS: AccountId = 91;

pub const ENDOWMENT: Balance = 1_000_000_000;
pub const EXISTENTIAL_DEPOSIT: Balance = 100;
pub const RETENTION: u64 = 20;
/// Records of every contribution.
pub const RECORDS: u32 = 3;

/// Trained on version 1 of datanet 1 (three contributions) and version 0 of datanet 2 (one).
pub const MODEL: ModelId = ModelId(5);
/// Alice's, in the model.
pub const ALICES: ContributionId = ContributionId { datanet: DatanetId(1), index: 0 };
/// Bob's, in the model. The one before it was rejected.
pub const BOBS: ContributionId = ContributionId { datanet: DatanetId(1), index: 2 };
/// A second one of Alice's, in the model.
pub const ALICES_SECOND: ContributionId = ContributionId { datanet: DatanetId(1), index: 3 };
/// Rejected.
pub const REJECTED: ContributionId = ContributionId { datanet: DatanetId(1), index: 1 };
/// Carol's in datanet 1, accepted after the version that the model was trained on.
pub const TOO_NEW: ContributionId = ContributionId { datanet: DatanetId(1), index: 4 };
/// Carol's in datanet 2, in the model.
pub const CAROLS: ContributionId = ContributionId { datanet: DatanetId(2), index: 0 };
/// Accepted in a datanet that the model was not trained on.
pub const ELSEWHERE: ContributionId = ContributionId { datanet: DatanetId(3), index: 0 };

frame_support::construct_runtime!(
	pub enum Test {
		System: frame_system,
		Balances: pallet_balances,
		Attribution: pallet_attribution,
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
	type ExistentialDeposit = ConstU128<EXISTENTIAL_DEPOSIT>;
	type AccountStore = System;
}

parameter_types! {
	pub const AttributionPalletId: PalletId = PalletId(*b"ol/attrb");
	pub const Treasury: AccountId = TREASURY;
	pub const Validators: AccountId = VALIDATORS;
	pub storage ModelSources: BTreeMap<ModelId, Vec<DatanetVersion>> = BTreeMap::new();
	pub storage VersionLeaves: BTreeMap<DatanetVersion, u32> = BTreeMap::new();
	/// Contribution → owner, leaf in the datanet's range, root and number of its records.
	pub storage Accepted: BTreeMap<ContributionId, (AccountId, u32, H256, u32)> = BTreeMap::new();
}

impl pallet_attribution::Config for Test {
	type RuntimeHoldReason = RuntimeHoldReason;
	type Currency = Balances;
	type Models = MockModels;
	type Datanets = MockDatanets;
	type AdminOrigin = EnsureRoot<AccountId>;
	type TreasuryAccount = Treasury;
	type ValidatorsAccount = Validators;
	type PalletId = AttributionPalletId;
	type RetentionPeriod = ConstU64<RETENTION>;
	type WeightInfo = ();
}

pub struct MockModels;

impl ModelRegistry<AccountId> for MockModels {
	fn served(model: ModelId) -> Option<ServedModel<AccountId>> {
		ModelSources::get().contains_key(&model).then(|| ServedModel {
			base: BaseModelId(0),
			owner: MODEL_OWNER,
			prices: Prices::default(),
		})
	}

	fn files(_: ModelId) -> Option<ModelFiles> {
		None
	}

	fn sources(model: ModelId) -> Option<TrainingSources> {
		ModelSources::get().get(&model).map(|sources| sources.clone().try_into().unwrap())
	}

	#[cfg(feature = "runtime-benchmarks")]
	fn benchmark_model(
		_: &AccountId,
		sources: TrainingSources,
	) -> openledger_primitives::traits::ServedModelId {
		let model = ModelId(77);
		let mut models = ModelSources::get();
		models.insert(model, sources.into_inner());
		ModelSources::set(&models);
		openledger_primitives::traits::ServedModelId { model, base: BaseModelId(0) }
	}
}

pub struct MockDatanets;

impl DatanetRegistry<AccountId> for MockDatanets {
	type Error = DispatchError;

	fn version(version: DatanetVersion) -> Option<VersionCommitment> {
		VersionLeaves::get().get(&version).map(|contributions| VersionCommitment {
			root: H256::zero(),
			contributions: *contributions,
			records: 1,
			bytes: 1,
		})
	}

	fn licence(_: DatanetId) -> Option<LicenceTerms> {
		Some(LicenceTerms::OPEN)
	}

	fn ensure_may_train(_: &AccountId, _: DatanetId) -> Result<(), DispatchError> {
		Ok(())
	}

	fn accepted_contribution(id: ContributionId) -> Option<AcceptedContribution<AccountId>> {
		Accepted::get().get(&id).map(|(contributor, leaf_index, root, records)| {
			AcceptedContribution {
				contributor: *contributor,
				leaf_index: *leaf_index,
				root: *root,
				records: *records,
				content: H256::zero(),
				contributed_at: 1,
			}
		})
	}

	fn contributions_of(
		_: DatanetVersion,
	) -> Vec<(ContributionId, AcceptedContribution<AccountId>)> {
		Vec::new()
	}

	#[cfg(feature = "runtime-benchmarks")]
	fn benchmark_version(owner: &AccountId, root: H256, records: u32) -> DatanetVersion {
		let mut versions = VersionLeaves::get();
		let datanet = DatanetId(1_000 + versions.len() as u32);
		let version = DatanetVersion { datanet, version: 0 };
		versions.insert(version, 1);
		VersionLeaves::set(&versions);
		let mut accepted = Accepted::get();
		accepted.insert(ContributionId { datanet, index: 0 }, (*owner, 0, root, records));
		Accepted::set(&accepted);
		version
	}
}

/// The leaf of a contribution's record.
pub fn record_leaf(id: ContributionId, record: u32) -> H256 {
	hashing::hash("openledger/test-record", &[&codec::Encode::encode(&(id, record))])
}

/// The tree over a contribution's records.
pub fn records(id: ContributionId) -> Tree {
	let leaves: Vec<_> = (0..RECORDS).map(|record| record_leaf(id, record)).collect();
	Tree::new(&leaves).unwrap()
}

pub fn accept(id: ContributionId, owner: AccountId, leaf: u32) {
	let mut accepted = Accepted::get();
	accepted.insert(id, (owner, leaf, records(id).root(), RECORDS));
	Accepted::set(&accepted);
}

pub struct ExtBuilder {
	pot: bool,
}

impl Default for ExtBuilder {
	fn default() -> Self {
		Self { pot: true }
	}
}

impl ExtBuilder {
	/// A network whose genesis forgot the pot.
	pub fn without_pot(mut self) -> Self {
		self.pot = false;
		self
	}

	pub fn build(self) -> sp_io::TestExternalities {
		let mut balances = vec![(PAYER, ENDOWMENT), (HOST, ENDOWMENT)];
		if self.pot {
			balances.push((Attribution::pot_account(), EXISTENTIAL_DEPOSIT));
		}
		let mut storage = frame_system::GenesisConfig::<Test>::default().build_storage().unwrap();
		pallet_balances::GenesisConfig::<Test> { balances, ..Default::default() }
			.assimilate_storage(&mut storage)
			.unwrap();
		let mut ext = sp_io::TestExternalities::new(storage);
		ext.execute_with(|| {
			System::set_block_number(1);
			let first = DatanetVersion { datanet: DatanetId(1), version: 1 };
			let second = DatanetVersion { datanet: DatanetId(2), version: 0 };
			VersionLeaves::set(&BTreeMap::from([
				(first, 3),
				(second, 1),
				(DatanetVersion { datanet: DatanetId(1), version: 2 }, 4),
				(DatanetVersion { datanet: DatanetId(3), version: 0 }, 1),
			]));
			ModelSources::set(&BTreeMap::from([(MODEL, vec![first, second])]));
			accept(ALICES, ALICE, 0);
			accept(BOBS, BOB, 1);
			accept(ALICES_SECOND, ALICE, 2);
			accept(TOO_NEW, CAROL, 3);
			accept(CAROLS, CAROL, 0);
			accept(ELSEWHERE, CAROL, 0);
		});
		ext
	}

	pub fn build_and_execute(self, test: impl FnOnce()) {
		self.build().execute_with(|| {
			test();
			Attribution::do_try_state().expect("the invariants hold after every test");
		})
	}
}

/// Lets blocks pass that have room for all the agenda.
pub fn run_to(block: u64) {
	while System::block_number() < block {
		System::set_block_number(System::block_number() + 1);
		Attribution::on_idle(System::block_number(), Weight::MAX);
	}
}
