//! What is taken, from where, and what follows.

use crate::{mock::*, types::*, *};
use frame_support::{assert_noop, assert_ok};
use openledger_primitives::{jobs::JobOutcome, H256};
use sp_runtime::{DispatchError, Permill};

fn slash(stash: AccountId, percent: u32) -> frame_support::pallet_prelude::DispatchResult {
	WorkersPallet::slash(
		RuntimeOrigin::root(),
		stash,
		Permill::from_percent(percent),
		H256::repeat_byte(7),
	)
}

#[test]
fn slash_should_take_the_fraction_and_hand_it_on() {
	ExtBuilder::build_and_execute(|| {
		worker(ALICE, 1_000);
		assert_ok!(slash(ALICE, 25));
		assert_eq!((held(ALICE), record(ALICE).bond), (750, 750));
		assert_eq!(pool(), vec![(ALICE, 750)]);
		assert_eq!(SlashedTotal::get(), 250);
		System::assert_last_event(
			Event::Slashed {
				stash: ALICE,
				amount: 250,
				reason: SlashReason::Governance { grounds: H256::repeat_byte(7) },
			}
			.into(),
		);
	});
}

#[test]
fn slash_should_fail_when_origin_worker_or_amount_is_wrong() {
	ExtBuilder::build_and_execute(|| {
		assert_noop!(slash(ALICE, 10), Error::<Test>::NotRegistered);
		worker(ALICE, 1_000);
		assert_noop!(
			WorkersPallet::slash(RuntimeOrigin::signed(ALICE), ALICE, Permill::one(), H256::zero()),
			DispatchError::BadOrigin
		);
		assert_noop!(slash(ALICE, 0), Error::<Test>::NothingToSlash);
		assert_ok!(slash(ALICE, 100));
		assert_noop!(slash(ALICE, 100), Error::<Test>::NothingToSlash);
	});
}

#[test]
fn slash_should_take_bond_first_then_newest_chunks() {
	ExtBuilder::build_and_execute(|| {
		worker(ALICE, 1_000);
		assert_ok!(WorkersPallet::unbond(RuntimeOrigin::signed(ALICE), 300));
		go_to(2);
		assert_ok!(WorkersPallet::unbond(RuntimeOrigin::signed(ALICE), 400));
		// At stake: 300 bonded, 300 and 400 unbonding. 20 % is 200: from the bond.
		assert_ok!(slash(ALICE, 20));
		assert_eq!(record(ALICE).bond, 100);
		assert_eq!(chunks_of(ALICE), vec![(300, 101), (400, 102)]);
		// 50 % of 800: the bond, then 300 of the newest chunk.
		assert_ok!(slash(ALICE, 50));
		assert_eq!(record(ALICE).bond, 0);
		assert_eq!(chunks_of(ALICE), vec![(300, 101), (100, 102)]);
		// 50 % of 400: the newest chunk is gone, and the next one gives.
		assert_ok!(slash(ALICE, 50));
		assert_eq!(chunks_of(ALICE), vec![(200, 101)]);
		assert_eq!(held(ALICE), 200);
	});
}

#[test]
fn slash_should_put_the_worker_out_of_the_pools_until_it_bonds_more() {
	ExtBuilder::build_and_execute(|| {
		worker(ALICE, 150);
		assert_ok!(slash(ALICE, 20));
		assert_eq!(pool(), vec![(ALICE, 120)]);
		assert_ok!(slash(ALICE, 20));
		assert_eq!(record(ALICE).bond, 96);
		assert_eq!(pool(), vec![]);
		assert!(!WorkersPallet::is_eligible(ALICE));
		assert_noop!(
			WorkersPallet::unbond(RuntimeOrigin::signed(ALICE), 1),
			Error::<Test>::BondBelowMinimum
		);
		assert_ok!(WorkersPallet::bond_extra(RuntimeOrigin::signed(ALICE), 3));
		assert_eq!(pool(), vec![]);
		assert_ok!(WorkersPallet::bond_extra(RuntimeOrigin::signed(ALICE), 1));
		assert_eq!(pool(), vec![(ALICE, 100)]);
	});
}

#[test]
fn slash_should_round_up() {
	ExtBuilder::build_and_execute(|| {
		worker(ALICE, 101);
		// 1 % of 101 is 1.01.
		job(ALICE, JobOutcome::TimedOut);
		assert_eq!(held(ALICE), 99);
	});
}

#[test]
fn faulty_result_should_cost_the_governed_fraction() {
	ExtBuilder::build_and_execute(|| {
		worker(ALICE, 1_000);
		job(ALICE, JobOutcome::Faulty);
		assert_eq!(held(ALICE), 800);
		assert_eq!(record(ALICE).strikes, 0);
		System::assert_last_event(
			Event::Slashed { stash: ALICE, amount: 200, reason: SlashReason::FaultyResult }.into(),
		);
	});
}

#[test]
fn last_strike_should_leave_the_pools_when_nothing_is_left_to_slash() {
	ExtBuilder::build_and_execute(|| {
		worker_offering(ALICE, 1_000, offers(&[BASE.0], 20));
		for subject in 0..3 {
			assert_ok!(assign(subject));
		}
		assert_ok!(slash(ALICE, 100));
		for _ in 0..3 {
			release(ALICE, JobOutcome::TimedOut);
		}
		assert_eq!(record(ALICE).status, Status::PausedForStrikes { since: 1 });
		assert_eq!(SlashedTotal::get(), 1_000);
	});
}
