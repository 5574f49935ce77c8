//! Pausing, resuming and strikes.

use crate::{mock::*, types::*, *};
use frame_support::{assert_noop, assert_ok};
use openledger_primitives::jobs::JobOutcome;

fn pause(who: AccountId) -> frame_support::pallet_prelude::DispatchResultWithPostInfo {
	WorkersPallet::pause(RuntimeOrigin::signed(who))
}

fn resume(who: AccountId) -> frame_support::pallet_prelude::DispatchResultWithPostInfo {
	WorkersPallet::resume(RuntimeOrigin::signed(who))
}

#[test]
fn pause_should_leave_the_pools_and_resume_enter_them() {
	ExtBuilder::build_and_execute(|| {
		worker(ALICE, 100);
		assert_ok!(pause(ALICE));
		assert_eq!(pool(), vec![]);
		System::assert_last_event(Event::Paused { stash: ALICE }.into());
		assert_noop!(pause(ALICE), Error::<Test>::NotActive);
		assert_ok!(resume(ALICE));
		assert_eq!(pool(), vec![(ALICE, 100)]);
		System::assert_last_event(Event::Resumed { stash: ALICE }.into());
		assert_noop!(resume(ALICE), Error::<Test>::NotPaused);
	});
}

#[test]
fn pause_and_resume_should_fail_when_unknown_or_leaving() {
	ExtBuilder::build_and_execute(|| {
		assert_noop!(pause(ALICE), Error::<Test>::NotRegistered);
		assert_noop!(resume(ALICE), Error::<Test>::NotRegistered);
		worker(ALICE, 100);
		assert_ok!(WorkersPallet::leave(RuntimeOrigin::signed(ALICE)));
		assert_noop!(pause(ALICE), Error::<Test>::NotActive);
		assert_noop!(resume(ALICE), Error::<Test>::IsLeaving);
	});
}

#[test]
fn timeout_should_add_a_strike_and_slash_a_little() {
	ExtBuilder::build_and_execute(|| {
		worker(ALICE, 1_000);
		job(ALICE, JobOutcome::TimedOut);
		assert_eq!(record(ALICE).strikes, 1);
		assert_eq!(record(ALICE).active_jobs, 0);
		assert_eq!(held(ALICE), 990);
		assert_eq!(pool(), vec![(ALICE, 990)]);
		System::assert_has_event(Event::StrikeAdded { stash: ALICE, strikes: 1 }.into());
		System::assert_last_event(
			Event::Slashed { stash: ALICE, amount: 10, reason: SlashReason::TimedOut }.into(),
		);
	});
}

#[test]
fn last_strike_should_pause_until_the_cooldown_is_over() {
	ExtBuilder::build_and_execute(|| {
		worker(ALICE, 1_000);
		for block in [5, 10, 15] {
			go_to(block);
			job(ALICE, JobOutcome::TimedOut);
		}
		assert_eq!(record(ALICE).status, Status::PausedForStrikes { since: 15 });
		assert_eq!(pool(), vec![]);
		System::assert_has_event(Event::PausedForStrikes { stash: ALICE }.into());

		assert_noop!(pause(ALICE), Error::<Test>::NotActive);
		go_to(64);
		assert_noop!(resume(ALICE), Error::<Test>::CooldownNotOver);
		go_to(65);
		assert_ok!(resume(ALICE));
		assert_eq!(record(ALICE).strikes, 0);
		assert_eq!(pool().len(), 1);
	});
}

#[test]
fn pausing_should_be_no_way_around_the_cooldown() {
	ExtBuilder::build_and_execute(|| {
		worker(ALICE, 1_000);
		job(ALICE, JobOutcome::TimedOut);
		job(ALICE, JobOutcome::TimedOut);
		assert_ok!(assign(3));
		assert_ok!(pause(ALICE));
		release(ALICE, JobOutcome::TimedOut);
		assert_eq!(record(ALICE).status, Status::PausedForStrikes { since: 1 });
		assert_noop!(resume(ALICE), Error::<Test>::CooldownNotOver);
	});
}

#[test]
fn another_timeout_should_start_the_cooldown_anew() {
	ExtBuilder::build_and_execute(|| {
		worker(ALICE, 1_000);
		assert_ok!(assign(0));
		for _ in 0..3 {
			job(ALICE, JobOutcome::TimedOut);
		}
		go_to(40);
		release(ALICE, JobOutcome::TimedOut);
		assert_eq!(record(ALICE).strikes, 3);
		assert_eq!(record(ALICE).status, Status::PausedForStrikes { since: 40 });
	});
}

#[test]
fn row_of_deliveries_should_forgive_strikes() {
	ExtBuilder::build_and_execute(|| {
		worker(ALICE, 1_000);
		// Deliveries before the first strike are worth nothing later.
		for _ in 0..4 {
			job(ALICE, JobOutcome::Delivered);
		}
		job(ALICE, JobOutcome::TimedOut);
		job(ALICE, JobOutcome::TimedOut);
		for _ in 0..4 {
			job(ALICE, JobOutcome::Delivered);
		}
		assert_eq!(record(ALICE).strikes, 2);
		job(ALICE, JobOutcome::Delivered);
		assert_eq!(record(ALICE).strikes, 0);
		System::assert_last_event(Event::StrikesForgiven { stash: ALICE }.into());
	});
}

#[test]
fn row_of_deliveries_should_begin_again_after_timeout_or_fault() {
	ExtBuilder::build_and_execute(|| {
		for interruption in [JobOutcome::TimedOut, JobOutcome::Faulty] {
			let stash = if interruption == JobOutcome::TimedOut { ALICE } else { BOB };
			worker(stash, 1_000);
			job(stash, JobOutcome::TimedOut);
			for _ in 0..4 {
				job(stash, JobOutcome::Delivered);
			}
			// Somebody else's decision does not count.
			job(stash, JobOutcome::Released);
			assert_eq!(record(stash).delivered_in_a_row, 4);
			job(stash, interruption);
			assert_eq!(record(stash).delivered_in_a_row, 0);
			job(stash, JobOutcome::Delivered);
			assert!(record(stash).strikes > 0);
			assert_ok!(pause(stash));
		}
	});
}

#[test]
fn deliveries_should_not_shorten_the_pause_for_strikes() {
	ExtBuilder::build_and_execute(|| {
		worker_offering(ALICE, 1_000, offers(&[BASE.0], 20));
		for subject in 0..8 {
			assert_ok!(assign(subject));
		}
		for _ in 0..3 {
			release(ALICE, JobOutcome::TimedOut);
		}
		for _ in 0..5 {
			release(ALICE, JobOutcome::Delivered);
		}
		assert_eq!(record(ALICE).strikes, 3);
		assert_noop!(resume(ALICE), Error::<Test>::CooldownNotOver);
	});
}
