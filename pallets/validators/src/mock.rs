//! A runtime with the real session, historical and offences pallets. Sessions are five blocks long.

use crate::{self as pallet_validators, FullIdentificationOf, Identification, SessionBonds};
use codec::Encode;
use frame_support::{
	assert_ok, derive_impl, parameter_types,
	traits::{tokens::imbalance::ResolveTo, ConstU128, ConstU32, ConstU64, KeyOwnerProofSystem},
	PalletId,
};
use frame_system::EnsureRoot;
use openledger_primitives::Balance;
use pallet_session::historical;
use sp_core::crypto::key_types::DUMMY;
use sp_runtime::{
	impl_opaque_keys,
	testing::UintAuthorityId,
	traits::{AccountIdConversion, ConvertInto},
	BuildStorage, Perbill, RuntimeAppPublic,
};
use sp_staking::{
	offence::{Offence, OffenceError, ReportOffence},
	SessionIndex,
};

pub type AccountId = u64;

pub const MIN_BOND: Balance = 100;
pub const ENDOWMENT: Balance = 10_000;
pub const KEY_DEPOSIT: Balance = 7;
pub const SESSION_LENGTH: u64 = 5;
pub const OFFENCE_WINDOW: SessionIndex = 3;
pub const UNBONDING: SessionIndex = 4;
pub const JAIL: SessionIndex = 2;
/// Accounts with funds; the first [`GENESIS`] of them validate from genesis.
pub const ACCOUNTS: u64 = 14;
/// Genesis validators: account `i` has a bond of `1_100 - 100 * i`.
pub const GENESIS: u64 = 4;

impl_opaque_keys! {
	pub struct SessionKeys {
		pub dummy: UintAuthorityId,
	}
}

impl From<UintAuthorityId> for SessionKeys {
	fn from(dummy: UintAuthorityId) -> Self {
		Self { dummy }
	}
}

frame_support::construct_runtime!(
	pub enum Test {
		System: frame_system,
		Balances: pallet_balances,
		// Before the session pallet, whose genesis asks for the first sets.
		Validators: pallet_validators,
		Session: pallet_session,
		Historical: historical,
		Offences: pallet_offences,
	}
);

#[derive_impl(frame_system::config_preludes::TestDefaultConfig)]
impl frame_system::Config for Test {
	type Block = frame_system::mocking::MockBlock<Test>;
	type AccountData = pallet_balances::AccountData<Balance>;
}

#[derive_impl(pallet_balances::config_preludes::TestDefaultConfig)]
impl pallet_balances::Config for Test {
	type AccountStore = System;
	type Balance = Balance;
	type ExistentialDeposit = ConstU128<1>;
}

impl pallet_session::Config for Test {
	type RuntimeEvent = RuntimeEvent;
	type ValidatorId = AccountId;
	type ValidatorIdOf = ConvertInto;
	type ShouldEndSession = pallet_session::PeriodicSessions<ConstU64<SESSION_LENGTH>, ConstU64<0>>;
	type NextSessionRotation =
		pallet_session::PeriodicSessions<ConstU64<SESSION_LENGTH>, ConstU64<0>>;
	type SessionManager = historical::NoteHistoricalRoot<Test, Validators>;
	type SessionHandler = pallet_session::TestSessionHandler;
	type Keys = SessionKeys;
	type DisablingStrategy = pallet_session::disabling::UpToLimitDisablingStrategy;
	type WeightInfo = ();
	type Currency = Balances;
	type KeyDeposit = ConstU128<KEY_DEPOSIT>;
}

impl historical::Config for Test {
	type RuntimeEvent = RuntimeEvent;
	type FullIdentification = Identification;
	type FullIdentificationOf = FullIdentificationOf<Test>;
}

impl pallet_offences::Config for Test {
	type RuntimeEvent = RuntimeEvent;
	type IdentificationTuple = historical::IdentificationTuple<Test>;
	type OnOffenceHandler = Validators;
}

parameter_types! {
	pub SlashPot: AccountId = PalletId(*b"slashpot").into_account_truncating();
}

impl pallet_validators::Config for Test {
	type Currency = Balances;
	type RuntimeHoldReason = RuntimeHoldReason;
	type Session = Session;
	type AdminOrigin = EnsureRoot<AccountId>;
	type Slash = ResolveTo<SlashPot, Balances>;
	type MinBond = ConstU128<MIN_BOND>;
	type MinValidators = ConstU32<3>;
	type MaxAuthorities = ConstU32<8>;
	type MaxCandidates = ConstU32<10>;
	type OffenceWindow = ConstU32<OFFENCE_WINDOW>;
	type UnbondingDuration = ConstU32<UNBONDING>;
	type JailDuration = ConstU32<JAIL>;
	type WeightInfo = ();
}

pub fn genesis_bond(who: AccountId) -> Balance {
	1_100 - 100 * Balance::from(who)
}

#[derive(Default)]
pub struct ExtBuilder;

impl ExtBuilder {
	pub fn build() -> sp_io::TestExternalities {
		let mut storage = frame_system::GenesisConfig::<Test>::default().build_storage().unwrap();
		pallet_balances::GenesisConfig::<Test> {
			balances: (1..=ACCOUNTS)
				.map(|who| (who, ENDOWMENT))
				.chain([(SlashPot::get(), 1)])
				.collect(),
			..Default::default()
		}
		.assimilate_storage(&mut storage)
		.unwrap();
		pallet_validators::GenesisConfig::<Test> {
			validators: (1..=GENESIS).map(|who| (who, genesis_bond(who))).collect(),
		}
		.assimilate_storage(&mut storage)
		.unwrap();
		pallet_session::GenesisConfig::<Test> {
			keys: (1..=GENESIS).map(|who| (who, who, UintAuthorityId(who).into())).collect(),
			..Default::default()
		}
		.assimilate_storage(&mut storage)
		.unwrap();
		let mut ext = sp_io::TestExternalities::new(storage);
		ext.execute_with(|| System::set_block_number(1));
		ext
	}

	pub fn build_and_execute(test: impl FnOnce()) {
		Self::build().execute_with(|| {
			test();
			check_state();
		});
	}
}

/// The invariants of the pallet, and that no plank appeared or vanished.
pub fn check_state() {
	Validators::do_try_state().unwrap();
	assert_eq!(Balances::total_issuance(), ENDOWMENT * Balance::from(ACCOUNTS) + 1);
}

/// Goes on until `sessions` more sessions have started.
pub fn pass_sessions(sessions: u32) {
	for _ in 0..sessions {
		let now = System::block_number();
		System::run_to_block::<AllPalletsWithSystem>(now - now % SESSION_LENGTH + SESSION_LENGTH);
	}
}

pub fn set_keys(who: AccountId) {
	set_key(who, UintAuthorityId(who));
}

pub fn set_key(who: AccountId, key: UintAuthorityId) {
	let proof = key.sign(&who.encode()).unwrap().encode();
	assert_ok!(Session::set_keys(RuntimeOrigin::signed(who), key.into(), proof));
}

pub fn register(who: AccountId, bond: Balance) {
	set_keys(who);
	assert_ok!(Validators::register(RuntimeOrigin::signed(who), bond));
}

/// The active set, sorted.
pub fn active() -> Vec<AccountId> {
	let mut set = Session::validators();
	set.sort();
	set
}

pub fn disabled() -> Vec<AccountId> {
	let set = Session::validators();
	Session::disabled_validators().into_iter().map(|index| set[index as usize]).collect()
}

pub type Proof = <Historical as KeyOwnerProofSystem<(sp_runtime::KeyTypeId, Vec<u8>)>>::Proof;

/// A proof that `who` validates in the current session, as a node makes it.
pub fn key_proof(who: AccountId) -> Proof {
	Historical::prove((DUMMY, UintAuthorityId(who).encode())).unwrap()
}

/// Who a proof names, if the chain still accepts it.
pub fn check_proof(who: AccountId, proof: Proof) -> Option<(AccountId, Identification)> {
	Historical::check_proof((DUMMY, UintAuthorityId(who).encode()), proof)
}

/// The identification of a member of the current set.
pub fn identify(who: AccountId) -> (AccountId, Identification) {
	let bond = SessionBonds::<Test>::get(Session::current_index(), who).unwrap();
	(who, Identification { bond })
}

/// An offence that costs each offender `percent` times the number of offenders of the same slot.
pub struct Equivocation {
	pub offenders: Vec<(AccountId, Identification)>,
	pub session: SessionIndex,
	pub slot: u64,
	pub percent: u32,
}

impl Offence<(AccountId, Identification)> for Equivocation {
	const ID: [u8; 16] = *b"mock:equivocatio";
	type Slot = u64;

	fn offenders(&self) -> Vec<(AccountId, Identification)> {
		self.offenders.clone()
	}

	fn session_index(&self) -> SessionIndex {
		self.session
	}

	fn validator_set_count(&self) -> u32 {
		Session::validators().len() as u32
	}

	fn slot(&self) -> u64 {
		self.slot
	}

	fn slash_fraction(&self, offenders: u32) -> Perbill {
		Perbill::from_percent(self.percent * offenders)
	}
}

/// Reports an offence through the offences pallet.
pub fn report_identified(
	offender: (AccountId, Identification),
	session: SessionIndex,
	slot: u64,
	percent: u32,
) -> Result<(), OffenceError> {
	Offences::report_offence(
		vec![],
		Equivocation { offenders: vec![offender], session, slot, percent },
	)
}

/// Reports an offence of an active validator in the current session.
pub fn report(who: AccountId, slot: u64, percent: u32) {
	report_identified(identify(who), Session::current_index(), slot, percent).unwrap();
}
