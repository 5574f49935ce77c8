//! Full pools: displacing, waiting and being let in. The mock's pools have four places.

use crate::{mock::*, types::*, *};
use frame_support::{assert_noop, assert_ok};
use openledger_primitives::jobs::JobKind;
use sp_runtime::Permill;

fn signed(who: AccountId) -> RuntimeOrigin {
	RuntimeOrigin::signed(who)
}

/// Stashes 1 to 4 with bonds 200, 150, 300, 400.
fn full_pool() {
	for (stash, bond) in [(1, 200), (2, 150), (3, 300), (4, 400)] {
		worker(stash, bond);
	}
}

#[test]
fn pool_should_be_sorted_by_stash_however_it_was_filled() {
	ExtBuilder::build_and_execute(|| {
		for stash in [3, 1, 4, 2] {
			worker(stash, 100 + u128::from(stash));
		}
		assert_eq!(pool(), vec![(1, 101), (2, 102), (3, 103), (4, 104)]);
		assert_eq!(
			WorkersPallet::pool(JobKind::Inference, BASE),
			Pools::<Test>::get((JobKind::Inference, BASE))
		);
	});
}

#[test]
fn larger_bond_should_displace_the_smallest_when_pool_is_full() {
	ExtBuilder::build_and_execute(|| {
		full_pool();
		worker(5, 151);
		assert_eq!(pool(), vec![(1, 200), (3, 300), (4, 400), (5, 151)]);
		assert!(waits(2));
		assert!(!waits(5));
		System::assert_last_event(
			Event::DisplacedFromPool { stash: 2, by: 5, kind: JobKind::Inference, base: BASE }
				.into(),
		);
	});
}

#[test]
fn equal_bond_should_wait_when_pool_is_full() {
	ExtBuilder::build_and_execute(|| {
		full_pool();
		worker(5, 150);
		assert_eq!(pool().len(), 4);
		assert!(waits(5));
		System::assert_last_event(
			Event::WaitingForPool { stash: 5, kind: JobKind::Inference, base: BASE }.into(),
		);
		assert!(WorkersPallet::is_eligible(5));
	});
}

#[test]
fn the_last_comer_should_be_displaced_among_equals() {
	ExtBuilder::build_and_execute(|| {
		for (block, stash) in [(1, 4), (2, 3), (3, 1), (4, 2)] {
			go_to(block);
			worker(stash, 100);
		}
		worker(5, 101);
		assert!(waits(2));
	});
}

#[test]
fn waiting_worker_should_be_admitted_when_a_place_comes_free() {
	ExtBuilder::build_and_execute(|| {
		full_pool();
		worker(5, 120);
		assert_ok!(WorkersPallet::pause(signed(3)));
		assert_eq!(pool(), vec![(1, 200), (2, 150), (4, 400), (5, 120)]);
		assert!(!waits(5));
		System::assert_last_event(
			Event::AdmittedToPool { stash: 5, kind: JobKind::Inference, base: BASE }.into(),
		);
		// The one that paused comes back and displaces the smallest.
		assert_ok!(WorkersPallet::resume(signed(3)));
		assert!(waits(5));
	});
}

#[test]
fn slash_below_minimum_should_make_room_for_those_who_wait() {
	ExtBuilder::build_and_execute(|| {
		full_pool();
		worker(5, 120);
		assert_ok!(Pallet::<Test>::do_slash(
			&2,
			Permill::from_percent(50),
			SlashReason::FaultyResult
		));
		assert_eq!(pool(), vec![(1, 200), (3, 300), (4, 400), (5, 120)]);
		assert!(!waits(2));
	});
}

#[test]
fn waiting_worker_should_enter_when_it_bonds_more() {
	ExtBuilder::build_and_execute(|| {
		full_pool();
		worker(5, 120);
		assert_ok!(WorkersPallet::bond_extra(signed(5), 30));
		assert!(waits(5));
		assert_ok!(WorkersPallet::bond_extra(signed(5), 1));
		assert!(!waits(5));
		assert!(waits(2));
	});
}

#[test]
fn refresh_pools_should_let_a_waiting_worker_contest_a_slashed_one() {
	ExtBuilder::build_and_execute(|| {
		full_pool();
		worker(5, 150);
		assert_ok!(Pallet::<Test>::do_slash(
			&3,
			Permill::from_percent(60),
			SlashReason::FaultyResult
		));
		assert!(waits(5));
		assert_ok!(WorkersPallet::refresh_pools(signed(PAUPER), 5));
		assert!(!waits(5));
		assert!(waits(3));
		assert_eq!(pool(), vec![(1, 200), (2, 150), (4, 400), (5, 150)]);
	});
}

#[test]
fn refresh_pools_should_fail_when_unknown_and_change_nothing_otherwise() {
	ExtBuilder::build_and_execute(|| {
		assert_noop!(
			WorkersPallet::refresh_pools(signed(ALICE), ALICE),
			Error::<Test>::NotRegistered
		);
		worker(ALICE, 100);
		go_to(9);
		let before = Pools::<Test>::get((JobKind::Inference, BASE));
		assert_ok!(WorkersPallet::refresh_pools(signed(BOB), ALICE));
		assert_eq!(Pools::<Test>::get((JobKind::Inference, BASE)), before);
	});
}

#[test]
fn refresh_pools_should_follow_a_raised_minimum() {
	ExtBuilder::build_and_execute(|| {
		worker(ALICE, 100);
		worker(BOB, 200);
		MinBond::set(150);
		// Jobs go past Alice at once.
		assert_eq!(assign(0).unwrap().worker, BOB);
		assert_eq!(assign(1).unwrap().worker, BOB);
		assert_eq!(assign(2), Err(Error::<Test>::NoFreeWorker.into()));
		assert_ok!(WorkersPallet::refresh_pools(signed(BOB), ALICE));
		assert_eq!(pool(), vec![(BOB, 200)]);
	});
}

#[test]
fn leaving_should_take_a_waiting_worker_off_the_list() {
	ExtBuilder::build_and_execute(|| {
		full_pool();
		worker(5, 120);
		assert_ok!(WorkersPallet::leave(signed(5)));
		assert!(!waits(5));
		assert_eq!(Waiting::<Test>::iter().count(), 0);
	});
}

#[test]
fn dropping_a_base_should_take_a_waiting_worker_off_the_list() {
	ExtBuilder::build_and_execute(|| {
		full_pool();
		worker(5, 120);
		assert_ok!(WorkersPallet::set_capabilities(signed(5), offers(&[1], 1)));
		assert!(!waits(5));
		assert_eq!(pool_of(1), vec![(5, 120)]);
	});
}

#[test]
fn empty_pool_should_not_be_stored() {
	ExtBuilder::build_and_execute(|| {
		worker(ALICE, 100);
		assert_ok!(WorkersPallet::pause(signed(ALICE)));
		assert_eq!(Pools::<Test>::iter().count(), 0);
	});
}

#[test]
fn candidates_should_count_members_and_free_slots() {
	ExtBuilder::build_and_execute(|| {
		assert_eq!(WorkersPallet::candidates(JobKind::Inference, BASE), (0, 0));
		worker(ALICE, 100);
		worker_offering(BOB, 100, offers(&[BASE.0], 1));
		assert_eq!(WorkersPallet::candidates(JobKind::Inference, BASE), (2, 2));
		for subject in 0..3 {
			assert_ok!(assign(subject));
		}
		assert_eq!(WorkersPallet::candidates(JobKind::Inference, BASE), (2, 0));
		assert_eq!(WorkersPallet::candidates(JobKind::Training, BASE), (0, 0));
	});
}
