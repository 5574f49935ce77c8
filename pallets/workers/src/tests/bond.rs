//! More bond, less bond, and all of it back.

use crate::{mock::*, types::*, *};
use frame_support::{assert_noop, assert_ok};
use openledger_primitives::jobs::JobOutcome;
use sp_runtime::{Permill, TokenError};

fn signed(who: AccountId) -> RuntimeOrigin {
	RuntimeOrigin::signed(who)
}

#[test]
fn bond_extra_should_raise_hold_and_weight() {
	ExtBuilder::build_and_execute(|| {
		worker(ALICE, 100);
		assert_ok!(WorkersPallet::bond_extra(signed(ALICE), 50));
		assert_eq!((held(ALICE), record(ALICE).bond), (150, 150));
		assert_eq!(pool(), vec![(ALICE, 150)]);
		System::assert_last_event(Event::BondAdded { stash: ALICE, amount: 50 }.into());
	});
}

#[test]
fn bond_extra_should_fail_when_unknown_zero_unfunded_or_leaving() {
	ExtBuilder::build_and_execute(|| {
		let add = |amount| WorkersPallet::bond_extra(signed(ALICE), amount);
		assert_noop!(add(1), Error::<Test>::NotRegistered);
		worker(ALICE, 100);
		assert_noop!(add(0), Error::<Test>::AmountIsZero);
		assert_noop!(add(FUNDS), TokenError::FundsUnavailable);
		assert_noop!(add(u128::MAX), TokenError::FundsUnavailable);
		assert_ok!(WorkersPallet::leave(signed(ALICE)));
		assert_noop!(add(1), Error::<Test>::IsLeaving);
	});
}

#[test]
fn unbond_should_lower_weight_and_keep_the_hold_until_withdrawn() {
	ExtBuilder::build_and_execute(|| {
		worker(ALICE, 300);
		assert_ok!(WorkersPallet::unbond(signed(ALICE), 200));
		System::assert_last_event(
			Event::Unbonded { stash: ALICE, amount: 200, unlock_at: 101 }.into(),
		);
		assert_eq!(pool(), vec![(ALICE, 100)]);
		assert_eq!(held(ALICE), 300);
		assert_eq!(WorkersPallet::next_unlock(ALICE), Some(101));
		assert_eq!(WorkersPallet::unbonding(ALICE).len(), 1);

		go_to(100);
		assert_noop!(
			WorkersPallet::withdraw_unbonded(signed(ALICE), ALICE),
			Error::<Test>::NothingToWithdraw
		);
		go_to(101);
		// Anyone can do it; the money goes to the stash.
		assert_ok!(WorkersPallet::withdraw_unbonded(signed(BOB), ALICE));
		assert_eq!(held(ALICE), 100);
		assert_eq!(Balances::free_balance(ALICE), FUNDS - 100);
		assert_eq!(Balances::free_balance(BOB), FUNDS);
		assert_eq!(WorkersPallet::next_unlock(ALICE), None);
		System::assert_last_event(Event::Withdrawn { stash: ALICE, amount: 200 }.into());
	});
}

#[test]
fn unbond_should_fail_when_rest_is_below_minimum() {
	ExtBuilder::build_and_execute(|| {
		let unbond = |amount| WorkersPallet::unbond(signed(ALICE), amount);
		assert_noop!(unbond(1), Error::<Test>::NotRegistered);
		worker(ALICE, 300);
		assert_noop!(unbond(0), Error::<Test>::AmountIsZero);
		assert_noop!(unbond(201), Error::<Test>::BondBelowMinimum);
		assert_noop!(unbond(301), Error::<Test>::BondBelowMinimum);
		assert_ok!(unbond(200));
		assert_noop!(unbond(1), Error::<Test>::BondBelowMinimum);
		assert_ok!(WorkersPallet::leave(signed(ALICE)));
		assert_noop!(unbond(1), Error::<Test>::IsLeaving);
	});
}

#[test]
fn unbond_should_keep_the_last_place_for_leaving() {
	ExtBuilder::build_and_execute(|| {
		worker(ALICE, 300);
		for block in 1..=3 {
			go_to(block);
			assert_ok!(WorkersPallet::unbond(signed(ALICE), 10));
		}
		// In the same block it is the same chunk.
		assert_ok!(WorkersPallet::unbond(signed(ALICE), 5));
		assert_eq!(chunks_of(ALICE), vec![(10, 101), (10, 102), (15, 103)]);
		go_to(4);
		assert_noop!(WorkersPallet::unbond(signed(ALICE), 10), Error::<Test>::TooManyUnbondings);
		assert_ok!(WorkersPallet::leave(signed(ALICE)));
		assert_eq!(chunks_of(ALICE).last(), Some(&(265, 104)));
	});
}

#[test]
fn withdraw_unbonded_should_pay_due_chunks_only() {
	ExtBuilder::build_and_execute(|| {
		worker(ALICE, 300);
		assert_ok!(WorkersPallet::unbond(signed(ALICE), 20));
		go_to(11);
		assert_ok!(WorkersPallet::unbond(signed(ALICE), 30));
		go_to(105);
		assert_ok!(WorkersPallet::withdraw_unbonded(signed(ALICE), ALICE));
		assert_eq!(chunks_of(ALICE), vec![(30, 111)]);
		assert_eq!(held(ALICE), 280);
	});
}

#[test]
fn withdraw_unbonded_should_fail_when_unknown() {
	ExtBuilder::build_and_execute(|| {
		assert_noop!(
			WorkersPallet::withdraw_unbonded(signed(ALICE), BOB),
			Error::<Test>::NotRegistered
		);
	});
}

#[test]
fn leave_should_end_in_removal_when_idle() {
	ExtBuilder::build_and_execute(|| {
		worker(ALICE, 300);
		assert_ok!(WorkersPallet::leave(signed(ALICE)));
		System::assert_last_event(
			Event::LeaveStarted { stash: ALICE, amount: 300, unlock_at: 101 }.into(),
		);
		assert_eq!(record(ALICE).status, Status::Leaving);
		assert_eq!(pool(), vec![]);
		assert_eq!(held(ALICE), 300);
		assert_noop!(WorkersPallet::leave(signed(ALICE)), Error::<Test>::IsLeaving);

		go_to(101);
		assert_ok!(WorkersPallet::withdraw_unbonded(signed(ALICE), ALICE));
		System::assert_last_event(Event::Removed { stash: ALICE }.into());
		assert_eq!(WorkersPallet::worker(ALICE), None);
		assert_eq!(WorkersPallet::stash_of(key_of(ALICE)), None);
		assert_eq!(Balances::free_balance(ALICE), FUNDS);
		// And again from the beginning.
		worker(ALICE, 100);
	});
}

#[test]
fn leave_should_fail_when_unknown() {
	ExtBuilder::build_and_execute(|| {
		assert_noop!(WorkersPallet::leave(signed(ALICE)), Error::<Test>::NotRegistered);
	});
}

#[test]
fn leaving_worker_should_stay_until_its_last_job_is_released() {
	ExtBuilder::build_and_execute(|| {
		worker(ALICE, 300);
		assert_ok!(assign(0));
		assert_ok!(assign(1));
		assert_ok!(WorkersPallet::leave(signed(ALICE)));
		assert_eq!(assign(2), Err(Error::<Test>::NoWorker.into()));

		go_to(101);
		assert_ok!(WorkersPallet::withdraw_unbonded(signed(ALICE), ALICE));
		// The money is free, the record stays for the jobs.
		assert_eq!(held(ALICE), 0);
		assert_eq!(record(ALICE).active_jobs, 2);
		assert_noop!(
			WorkersPallet::withdraw_unbonded(signed(ALICE), ALICE),
			Error::<Test>::NothingToWithdraw
		);
		release(ALICE, JobOutcome::Delivered);
		assert!(WorkersPallet::worker(ALICE).is_some());
		release(ALICE, JobOutcome::TimedOut);
		assert_eq!(WorkersPallet::worker(ALICE), None);
		System::assert_last_event(Event::Removed { stash: ALICE }.into());
	});
}

#[test]
fn leaving_worker_should_still_be_slashed_for_its_jobs() {
	ExtBuilder::build_and_execute(|| {
		worker(ALICE, 300);
		assert_ok!(assign(0));
		assert_ok!(WorkersPallet::leave(signed(ALICE)));
		go_to(50);
		release(ALICE, JobOutcome::Faulty);
		assert_eq!(held(ALICE), 240);
		assert_eq!(chunks_of(ALICE), vec![(240, 101)]);
		go_to(101);
		assert_ok!(WorkersPallet::withdraw_unbonded(signed(ALICE), ALICE));
		assert_eq!(Balances::free_balance(ALICE), FUNDS - 60);
	});
}

#[test]
fn leave_should_remove_at_once_when_nothing_is_left() {
	ExtBuilder::build_and_execute(|| {
		worker(ALICE, 300);
		assert_ok!(Pallet::<Test>::do_slash(&ALICE, Permill::one(), SlashReason::FaultyResult));
		assert_ok!(WorkersPallet::leave(signed(ALICE)));
		assert_eq!(WorkersPallet::worker(ALICE), None);
		assert_eq!(WorkersPallet::stash_of(key_of(ALICE)), None);
	});
}

#[test]
fn withdraw_unbonded_should_forget_when_all_unbonding_was_slashed() {
	ExtBuilder::build_and_execute(|| {
		worker(ALICE, 300);
		assert_ok!(WorkersPallet::leave(signed(ALICE)));
		assert_ok!(Pallet::<Test>::do_slash(&ALICE, Permill::one(), SlashReason::FaultyResult));
		assert_ok!(WorkersPallet::withdraw_unbonded(signed(BOB), ALICE));
		assert_eq!(WorkersPallet::worker(ALICE), None);
	});
}
