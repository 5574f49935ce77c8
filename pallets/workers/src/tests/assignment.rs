//! Who gets a job.

use crate::{mock::*, *};
use frame_support::assert_ok;
use openledger_primitives::{
	jobs::{JobKind, JobOutcome},
	traits::{Assignment, WorkerPool},
	BaseModelId,
};

/// Assigns and releases `subjects` jobs; how many each of the first stashes got.
fn tally(subjects: u64) -> [u32; 5] {
	let mut jobs = [0; 5];
	for subject in 0..subjects {
		let stash = assign(subject).unwrap().worker;
		release(stash, JobOutcome::Released);
		jobs[stash as usize] += 1;
	}
	jobs
}

#[test]
fn assign_should_take_a_slot_and_name_the_operator() {
	ExtBuilder::build_and_execute(|| {
		worker(ALICE, 100);
		assert_eq!(assign(0), Ok(Assignment { worker: ALICE, operator: key_of(ALICE) }));
		assert_eq!(record(ALICE).active_jobs, 1);
		release(ALICE, JobOutcome::Delivered);
		assert_eq!(record(ALICE).active_jobs, 0);
		assert_eq!(held(ALICE), 100);
	});
}

#[test]
fn assign_should_fail_when_nobody_offers_the_work() {
	ExtBuilder::build_and_execute(|| {
		worker(ALICE, 100);
		let assign =
			|kind, base| <WorkersPallet as WorkerPool<AccountId>>::assign(kind, base, b"job");
		assert_eq!(assign(JobKind::Training, BASE), Err(Error::<Test>::NoWorker.into()));
		assert_eq!(assign(JobKind::Inference, BaseModelId(8)), Err(Error::<Test>::NoWorker.into()));
		assert_ok!(assign(JobKind::Inference, BASE));
	});
}

#[test]
fn assign_should_fail_when_all_slots_are_taken() {
	ExtBuilder::build_and_execute(|| {
		worker(ALICE, 100);
		worker(BOB, 100);
		for subject in 0..4 {
			assert_ok!(assign(subject));
		}
		assert_eq!(assign(4), Err(Error::<Test>::NoFreeWorker.into()));
		release(BOB, JobOutcome::Delivered);
		assert_eq!(assign(5).unwrap().worker, BOB);
	});
}

#[test]
fn assign_should_give_up_after_the_last_draw() {
	ExtBuilder::build_and_execute(|| {
		// Three with nearly all of the weight and no free slot, one with a slot.
		for stash in 1..=3 {
			worker_offering(stash, 9_000, offers(&[BASE.0], 1));
			assert_ok!(assign(stash));
		}
		worker(4, 100);
		MaxDraws::set(3);
		let given_up = (0..40).filter(|subject| assign(*subject).is_err()).count();
		assert!(given_up > 30, "{given_up}");
		let before = record(4).active_jobs;
		MaxDraws::set(4);
		release_all(4, before);
		assert_eq!(assign(99).unwrap().worker, 4);
	});
}

fn release_all(stash: AccountId, jobs: u32) {
	for _ in 0..jobs {
		release(stash, JobOutcome::Released);
	}
}

#[test]
fn assignment_should_be_determined_by_randomness_and_subject() {
	ExtBuilder::build_and_execute(|| {
		for stash in 1..=4 {
			worker(stash, 100);
		}
		let draws = || {
			(0..64)
				.map(|subject| {
					let stash = assign(subject).unwrap().worker;
					release(stash, JobOutcome::Released);
					stash
				})
				.collect::<Vec<_>>()
		};
		let first = draws();
		assert_eq!(first, draws());
		Epoch::set((1, 0));
		assert_ne!(first, draws());
	});
}

#[test]
fn assignment_should_differ_between_pools_for_one_subject() {
	ExtBuilder::build_and_execute(|| {
		let mut both = offers(&[BASE.0], 2);
		both.kinds.try_insert(JobKind::Training).unwrap();
		for stash in 1..=4 {
			worker_offering(stash, 100, both.clone());
		}
		let draws = |kind| {
			(0..32u64)
				.map(|subject| {
					let subject = subject.to_le_bytes();
					let stash =
						<WorkersPallet as WorkerPool<AccountId>>::assign(kind, BASE, &subject)
							.unwrap()
							.worker;
					release(stash, JobOutcome::Released);
					stash
				})
				.collect::<Vec<_>>()
		};
		assert_ne!(draws(JobKind::Inference), draws(JobKind::Training));
	});
}

#[test]
fn assignment_should_be_proportional_to_bond() {
	ExtBuilder::build_and_execute(|| {
		worker(ALICE, 300);
		worker(BOB, 100);
		// 4,000 draws with p = 3/4: the standard deviation is 27.4; five of them are 137.
		let jobs = tally(4_000);
		assert!((2_863..=3_137).contains(&jobs[1]), "{jobs:?}");
		assert_eq!(jobs[1] + jobs[2], 4_000);
	});
}

#[test]
fn assignment_should_pass_over_members_newer_than_the_randomness() {
	ExtBuilder::build_and_execute(|| {
		worker(ALICE, 100);
		go_to(10);
		Epoch::set((1, 10));
		go_to(12);
		worker(BOB, 9_000);
		// Bob could have reckoned with this epoch's randomness.
		assert_eq!(tally(40), [0, 40, 0, 0, 0]);
		// When Alice has no slot left, Bob is better than nobody.
		assert_ok!(assign(100));
		assert_ok!(assign(101));
		assert_eq!(assign(102).unwrap().worker, BOB);
		release(ALICE, JobOutcome::Released);
		release(ALICE, JobOutcome::Released);
		// In the next epoch he counts in full.
		Epoch::set((2, 20));
		assert!(tally(40)[2] > 30);
	});
}

#[test]
fn member_should_count_as_new_in_the_block_the_randomness_became_known() {
	ExtBuilder::build_and_execute(|| {
		worker(ALICE, 100);
		go_to(10);
		worker(BOB, 100);
		Epoch::set((1, 10));
		assert_eq!(tally(20), [0, 20, 0, 0, 0]);
		Epoch::set((1, 11));
		assert!(tally(20)[2] > 0);
	});
}

#[test]
fn changing_the_weight_should_make_a_member_new_but_a_slash_should_not() {
	ExtBuilder::build_and_execute(|| {
		worker(ALICE, 1_000);
		worker(BOB, 1_000);
		Epoch::set((1, 10));
		go_to(11);
		assert_ok!(Pallet::<Test>::do_slash(
			&BOB,
			sp_runtime::Permill::from_percent(10),
			crate::types::SlashReason::FaultyResult
		));
		assert!(tally(40)[2] > 0);
		assert_ok!(WorkersPallet::bond_extra(RuntimeOrigin::signed(BOB), 1));
		assert_eq!(tally(40)[2], 0);
		// Standing back is not losing the place.
		assert_eq!(pool(), vec![(ALICE, 1_000), (BOB, 901)]);
	});
}

#[test]
#[should_panic(expected = "released twice")]
fn releasing_twice_should_be_noticed() {
	new_test_ext().execute_with(|| {
		worker(ALICE, 100);
		assert_ok!(assign(0));
		release(ALICE, JobOutcome::Delivered);
		release(ALICE, JobOutcome::Delivered);
	});
}

#[test]
#[should_panic(expected = "not registered")]
fn releasing_for_nobody_should_be_noticed() {
	new_test_ext().execute_with(|| release(ALICE, JobOutcome::Delivered));
}
