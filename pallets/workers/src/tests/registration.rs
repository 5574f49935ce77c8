//! Becoming a worker, and whose key signs.

use crate::{mock::*, types::*, *};
use frame_support::{assert_noop, assert_ok};
use openledger_primitives::{
	jobs::{JobKind, JobOutcome},
	traits::WorkerPool,
};
use sp_runtime::{DispatchError, TokenError};

fn register(
	stash: AccountId,
	operator: AccountId,
	bond: u128,
	capabilities: Capabilities<<Test as Config>::MaxBaseModels>,
) -> frame_support::pallet_prelude::DispatchResult {
	WorkersPallet::register(RuntimeOrigin::signed(stash), operator, bond, capabilities)
}

fn signs_for(stash: AccountId, who: AccountId) -> bool {
	let is_operator = <WorkersPallet as WorkerPool<AccountId>>::is_operator(&stash, &who);
	let stash_of = <WorkersPallet as WorkerPool<AccountId>>::stash_of(&who);
	assert_eq!(stash_of == Some(stash), is_operator, "asked either way");
	is_operator
}

#[test]
fn register_should_hold_bond_and_wait_for_operator() {
	ExtBuilder::build_and_execute(|| {
		register_only(ALICE, 300);

		assert_eq!(held(ALICE), 300);
		assert_eq!(Balances::free_balance(ALICE), FUNDS - 300);
		assert_eq!(record(ALICE).operator, OperatorKey::Proposed(key_of(ALICE)));
		assert_eq!(pool(), vec![]);
		assert!(!signs_for(ALICE, key_of(ALICE)));
		assert_eq!(assign(0), Err(Error::<Test>::NoWorker.into()));
		System::assert_last_event(
			Event::Registered { stash: ALICE, operator: key_of(ALICE), bond: 300 }.into(),
		);
	});
}

#[test]
fn register_should_accept_minimum_bond_and_refuse_less() {
	ExtBuilder::build_and_execute(|| {
		let few = offers(&[1], 1);
		assert_noop!(
			register(ALICE, key_of(ALICE), 99, few.clone()),
			Error::<Test>::BondBelowMinimum
		);
		assert_ok!(register(ALICE, key_of(ALICE), 100, few));
	});
}

#[test]
fn register_should_fail_when_bond_is_not_free() {
	ExtBuilder::build_and_execute(|| {
		assert_noop!(
			register(PAUPER, key_of(PAUPER), 100, offers(&[1], 1)),
			TokenError::FundsUnavailable
		);
		// The existential deposit must stay.
		assert_noop!(
			register(ALICE, key_of(ALICE), FUNDS, offers(&[1], 1)),
			TokenError::FundsUnavailable
		);
	});
}

#[test]
fn register_should_fail_when_origin_is_not_signed() {
	ExtBuilder::build_and_execute(|| {
		assert_noop!(
			WorkersPallet::register(RuntimeOrigin::root(), 5, 100, offers(&[1], 1)),
			DispatchError::BadOrigin
		);
	});
}

#[test]
fn register_should_fail_when_stash_is_registered() {
	ExtBuilder::build_and_execute(|| {
		register_only(ALICE, 100);
		assert_noop!(register(ALICE, 50, 100, offers(&[1], 1)), Error::<Test>::AlreadyRegistered);
	});
}

#[test]
fn register_should_fail_when_stash_is_an_operator() {
	ExtBuilder::build_and_execute(|| {
		assert_ok!(register(ALICE, BOB, 100, offers(&[1], 1)));
		assert_ok!(WorkersPallet::accept_operator(RuntimeOrigin::signed(BOB), ALICE));
		assert_noop!(
			register(BOB, key_of(BOB), 100, offers(&[1], 1)),
			Error::<Test>::StashIsOperator
		);
	});
}

#[test]
fn register_should_fail_when_operator_is_a_stash() {
	ExtBuilder::build_and_execute(|| {
		register_only(ALICE, 100);
		assert_noop!(register(BOB, BOB, 100, offers(&[1], 1)), Error::<Test>::OperatorIsStash);
		assert_noop!(register(BOB, ALICE, 100, offers(&[1], 1)), Error::<Test>::OperatorIsStash);
	});
}

#[test]
fn register_should_fail_when_operator_signs_for_another() {
	ExtBuilder::build_and_execute(|| {
		worker(ALICE, 100);
		assert_noop!(
			register(BOB, key_of(ALICE), 100, offers(&[1], 1)),
			Error::<Test>::OperatorInUse
		);
	});
}

#[test]
fn register_should_fail_when_capabilities_offer_nothing() {
	ExtBuilder::build_and_execute(|| {
		let key = key_of(ALICE);
		let mut no_kind = offers(&[1], 1);
		no_kind.kinds.clear();
		assert_noop!(register(ALICE, key, 100, no_kind), Error::<Test>::NoJobKind);
		assert_noop!(register(ALICE, key, 100, offers(&[], 1)), Error::<Test>::NoBaseModel);
		assert_noop!(register(ALICE, key, 100, offers(&[1], 0)), Error::<Test>::SlotsOutOfRange);
		assert_noop!(
			register(ALICE, key, 100, offers(&[1], 1_000_001)),
			Error::<Test>::SlotsOutOfRange
		);
		assert_ok!(register(ALICE, key, 100, offers(&[1, 2, 3], 1_000_000)));
	});
}

#[test]
fn capabilities_should_not_decode_when_too_many_bases() {
	use codec::{Decode, Encode};
	let oversized: std::collections::BTreeSet<u32> = (0..4).collect();
	let kinds: std::collections::BTreeSet<JobKind> = [JobKind::Training].into();
	let bytes = (kinds.clone(), oversized, 1u32, 1u32).encode();
	assert!(Capabilities::<<Test as Config>::MaxBaseModels>::decode(&mut bytes.as_slice()).is_err());
	let fitting: std::collections::BTreeSet<u32> = (0..3).collect();
	let bytes = (kinds, fitting, 1u32, 1u32).encode();
	assert_eq!(
		Capabilities::<<Test as Config>::MaxBaseModels>::decode(&mut bytes.as_slice())
			.unwrap()
			.pools()
			.count(),
		3
	);
}

#[test]
fn operator_should_sign_and_worker_be_drawn_when_it_accepted() {
	ExtBuilder::build_and_execute(|| {
		worker(ALICE, 300);

		assert!(signs_for(ALICE, key_of(ALICE)));
		assert!(!signs_for(ALICE, ALICE));
		assert!(!signs_for(BOB, key_of(ALICE)));
		assert_eq!(pool(), vec![(ALICE, 300)]);
		assert_eq!(WorkersPallet::stash_of(key_of(ALICE)), Some(ALICE));
		assert_eq!(WorkersPallet::worker(ALICE), Some(record(ALICE)));
		assert!(WorkersPallet::is_eligible(ALICE));
		assert!(!WorkersPallet::is_eligible(BOB));
		System::assert_last_event(
			Event::OperatorAccepted { stash: ALICE, operator: key_of(ALICE) }.into(),
		);
	});
}

#[test]
fn accept_operator_should_fail_when_not_proposed() {
	ExtBuilder::build_and_execute(|| {
		let accept = |who| WorkersPallet::accept_operator(RuntimeOrigin::signed(who), ALICE);
		assert_noop!(accept(key_of(ALICE)), Error::<Test>::NotRegistered);
		register_only(ALICE, 100);
		assert_noop!(accept(key_of(BOB)), Error::<Test>::OperatorNotProposed);
		assert_ok!(accept(key_of(ALICE)));
		// Twice.
		assert_noop!(accept(key_of(ALICE)), Error::<Test>::OperatorNotProposed);
	});
}

#[test]
fn naming_a_key_should_not_block_it_for_its_owner() {
	ExtBuilder::build_and_execute(|| {
		let key = key_of(ALICE);
		// Bob squats Alice's key before she registers.
		assert_ok!(register(BOB, key, 100, offers(&[BASE.0], 1)));
		worker(ALICE, 100);
		assert_eq!(WorkersPallet::stash_of(key), Some(ALICE));
		// The key cannot serve Bob any more.
		assert_noop!(
			WorkersPallet::accept_operator(RuntimeOrigin::signed(key), BOB),
			Error::<Test>::OperatorInUse
		);
		assert_eq!(pool(), vec![(ALICE, 100)]);
	});
}

#[test]
fn accept_operator_should_fail_when_key_became_a_stash() {
	ExtBuilder::build_and_execute(|| {
		assert_ok!(register(ALICE, BOB, 100, offers(&[1], 1)));
		register_only(BOB, 100);
		assert_noop!(
			WorkersPallet::accept_operator(RuntimeOrigin::signed(BOB), ALICE),
			Error::<Test>::OperatorIsStash
		);
	});
}

#[test]
fn set_operator_should_take_old_rights_at_once() {
	ExtBuilder::build_and_execute(|| {
		worker(ALICE, 100);
		assert_ok!(assign(0));
		assert_ok!(WorkersPallet::set_operator(RuntimeOrigin::signed(ALICE), 77));

		assert!(!signs_for(ALICE, key_of(ALICE)));
		assert!(!signs_for(ALICE, 77));
		assert_eq!(pool(), vec![]);
		System::assert_last_event(Event::OperatorProposed { stash: ALICE, operator: 77 }.into());

		assert_ok!(WorkersPallet::accept_operator(RuntimeOrigin::signed(77), ALICE));
		assert!(signs_for(ALICE, 77));
		assert_eq!(pool(), vec![(ALICE, 100)]);
		// The job goes on under the new key, and the old key is free for others.
		release(ALICE, JobOutcome::Delivered);
		assert_ok!(register(BOB, key_of(ALICE), 100, offers(&[1], 1)));
	});
}

#[test]
fn set_operator_should_fail_when_key_is_taken_or_stash_unknown() {
	ExtBuilder::build_and_execute(|| {
		let set = |stash, key| WorkersPallet::set_operator(RuntimeOrigin::signed(stash), key);
		assert_noop!(set(ALICE, 77), Error::<Test>::NotRegistered);
		worker(ALICE, 100);
		worker(BOB, 100);
		assert_noop!(set(ALICE, key_of(ALICE)), Error::<Test>::OperatorInUse);
		assert_noop!(set(ALICE, key_of(BOB)), Error::<Test>::OperatorInUse);
		assert_noop!(set(ALICE, ALICE), Error::<Test>::OperatorIsStash);
		assert_noop!(set(ALICE, BOB), Error::<Test>::OperatorIsStash);
	});
}

#[test]
fn operator_key_should_have_no_authority_over_the_bond() {
	ExtBuilder::build_and_execute(|| {
		worker(ALICE, 300);
		let key = || RuntimeOrigin::signed(key_of(ALICE));
		assert_noop!(WorkersPallet::unbond(key(), 100), Error::<Test>::NotRegistered);
		assert_noop!(WorkersPallet::leave(key()), Error::<Test>::NotRegistered);
		assert_noop!(WorkersPallet::set_operator(key(), 77), Error::<Test>::NotRegistered);
		assert_noop!(
			WorkersPallet::set_capabilities(key(), offers(&[1], 1)),
			Error::<Test>::NotRegistered
		);
		assert_noop!(WorkersPallet::pause(key()), Error::<Test>::NotRegistered);
	});
}

#[test]
fn set_capabilities_should_move_the_worker_between_pools() {
	ExtBuilder::build_and_execute(|| {
		worker_offering(ALICE, 200, offers(&[1, 2], 2));
		let mut training = offers(&[2, 3], 2);
		training.kinds.try_insert(JobKind::Training).unwrap();
		assert_ok!(WorkersPallet::set_capabilities(RuntimeOrigin::signed(ALICE), training));

		assert_eq!(pool_of(1), vec![]);
		assert_eq!(pool_of(2), vec![(ALICE, 200)]);
		assert_eq!(pool_of(3), vec![(ALICE, 200)]);
		assert_eq!(Pools::<Test>::iter().count(), 4);
		System::assert_last_event(Event::CapabilitiesSet { stash: ALICE }.into());
	});
}

#[test]
fn set_capabilities_should_fail_when_unsound_or_below_active_jobs() {
	ExtBuilder::build_and_execute(|| {
		let set = |capabilities| {
			WorkersPallet::set_capabilities(RuntimeOrigin::signed(ALICE), capabilities)
		};
		assert_noop!(set(offers(&[1], 1)), Error::<Test>::NotRegistered);
		worker(ALICE, 100);
		assert_noop!(set(offers(&[], 1)), Error::<Test>::NoBaseModel);
		assert_noop!(set(offers(&[1], 0)), Error::<Test>::SlotsOutOfRange);
		let mut no_kind = offers(&[1], 1);
		no_kind.kinds.clear();
		assert_noop!(set(no_kind), Error::<Test>::NoJobKind);

		assert_ok!(assign(0));
		assert_ok!(assign(1));
		assert_noop!(set(offers(&[BASE.0], 1)), Error::<Test>::SlotsBelowActiveJobs);
		assert_ok!(set(offers(&[BASE.0], 2)));
		assert_ok!(WorkersPallet::leave(RuntimeOrigin::signed(ALICE)));
		assert_noop!(set(offers(&[BASE.0], 2)), Error::<Test>::IsLeaving);
	});
}

#[test]
fn calls_should_cost_by_base_models_served() {
	ExtBuilder::build_and_execute(|| {
		register_only(ALICE, 100);
		let info =
			WorkersPallet::accept_operator(RuntimeOrigin::signed(key_of(ALICE)), ALICE).unwrap();
		let one = <() as WeightInfo>::accept_operator(1);
		assert_eq!(info.actual_weight, Some(one));
		assert!(one.all_lt(<() as WeightInfo>::accept_operator(3)));

		let info =
			WorkersPallet::set_capabilities(RuntimeOrigin::signed(ALICE), offers(&[1, 2], 1))
				.unwrap();
		assert_eq!(info.actual_weight, Some(<() as WeightInfo>::set_capabilities(3)));
	});
}
