//! Disputes: who may raise one, what is at stake, how it ends.

use crate::{mock::*, *};
use frame_support::{assert_noop, assert_ok, traits::Currency};
use openledger_primitives::{jobs::JobOutcome, ModelId, H256};
use sp_runtime::{traits::BadOrigin, TokenError};

fn dispute(
	who: AccountId,
	job: openledger_primitives::TrainingJobId,
) -> sp_runtime::DispatchResult {
	ModelsPallet::dispute_training(
		RuntimeOrigin::signed(who),
		job,
		DisputeReason::NotAsSpecified,
		H256::repeat_byte(9),
	)
}

#[test]
fn dispute_should_hold_bond_when_creator_objects_in_time() {
	ExtBuilder::default().build_and_execute(|| {
		let job = delivered_job();
		begin_block(CHALLENGE);
		assert_ok!(dispute(CREATOR, job));
		let decide_by = CHALLENGE + DECISION;
		assert_eq!(
			phase(job),
			Phase::Disputed {
				worker: WORKER,
				result: result(),
				dispute: Dispute {
					reason: DisputeReason::NotAsSpecified,
					evidence: H256::repeat_byte(9),
					bond: BOND,
					since: CHALLENGE,
				},
				decide_by,
			}
		);
		assert_eq!(held(HoldReason::DisputeBond, CREATOR), BOND);
		assert_eq!(held(HoldReason::TrainingBudget, CREATOR), BUDGET);
		System::assert_last_event(
			Event::TrainingDisputed {
				job,
				reason: DisputeReason::NotAsSpecified,
				evidence: H256::repeat_byte(9),
				decide_by,
			}
			.into(),
		);
	});
}

#[test]
fn dispute_should_be_refused_when_late_or_not_the_creators() {
	ExtBuilder::default().build_and_execute(|| {
		let job = delivered_job();
		assert_noop!(dispute(OTHER, job), Error::<Test>::NotCreator);
		assert_noop!(dispute(WORKER, job), Error::<Test>::NotCreator);
		begin_block(1 + CHALLENGE);
		assert_noop!(dispute(CREATOR, job), Error::<Test>::TooLate);
	});
}

#[test]
fn dispute_should_be_refused_when_bond_cannot_be_held() {
	ExtBuilder::default().build_and_execute(|| {
		let job = delivered_job();
		let _ = Balances::slash(&CREATOR, Balances::free_balance(CREATOR) - 10 - BOND + 1);
		assert_noop!(dispute(CREATOR, job), TokenError::FundsUnavailable);
	});
}

#[test]
fn creator_should_get_budget_and_bond_back_when_dispute_is_upheld() {
	ExtBuilder::default().build_and_execute(|| {
		let job = disputed_job();
		begin_block(7);
		assert_ok!(ModelsPallet::resolve_dispute(RuntimeOrigin::signed(JUDGE), job, true));
		assert_eq!(phase(job), Phase::Refuted { worker: WORKER, at: 7, forget_at: 7 + RETENTION });
		assert_eq!(Balances::free_balance(CREATOR), FUNDS);
		assert_eq!(Balances::free_balance(WORKER), FUNDS);
		assert_eq!(Workers::outcomes(), vec![(WORKER, JobOutcome::Faulty)]);
		assert_eq!(NextModelId::<Test>::get(), ModelId(0));
		System::assert_has_event(Event::DisputeEnded { job, verdict: Verdict::Upheld }.into());
		System::assert_last_event(Event::TrainingRefuted { job, worker: WORKER }.into());
	});
}

#[test]
fn worker_should_get_budget_and_bond_when_dispute_is_rejected() {
	ExtBuilder::default().build_and_execute(|| {
		let job = disputed_job();
		assert_ok!(ModelsPallet::resolve_dispute(RuntimeOrigin::root(), job, false));
		assert!(matches!(phase(job), Phase::Settled { model: ModelId(0), .. }));
		assert_eq!(Balances::free_balance(WORKER), FUNDS + BUDGET + BOND);
		assert_eq!(Balances::free_balance(CREATOR), FUNDS - BUDGET - BOND - DepositBase::get());
		assert_eq!(held(HoldReason::DisputeBond, CREATOR), 0);
		assert_eq!(Workers::outcomes(), vec![(WORKER, JobOutcome::Delivered)]);
		System::assert_has_event(Event::DisputeEnded { job, verdict: Verdict::Rejected }.into());
	});
}

#[test]
fn result_should_stand_and_bond_come_back_when_nobody_decides() {
	ExtBuilder::default().build_and_execute(|| {
		let job = disputed_job();
		begin_block(1 + DECISION);
		assert_noop!(
			ModelsPallet::resolve_dispute(RuntimeOrigin::signed(JUDGE), job, true),
			Error::<Test>::TooLate
		);
		begin_block(1 + DECISION + 1);
		assert!(matches!(phase(job), Phase::Settled { .. }));
		assert_eq!(Balances::free_balance(WORKER), FUNDS + BUDGET);
		assert_eq!(Balances::free_balance(CREATOR), FUNDS - BUDGET - DepositBase::get());
		assert_eq!(Workers::outcomes(), vec![(WORKER, JobOutcome::Delivered)]);
		System::assert_has_event(Event::DisputeEnded { job, verdict: Verdict::Undecided }.into());
	});
}

#[test]
fn dispute_should_be_decided_only_by_its_origin() {
	ExtBuilder::default().build_and_execute(|| {
		let job = disputed_job();
		for stranger in [CREATOR, WORKER, OPERATOR, ADMIN] {
			assert_noop!(
				ModelsPallet::resolve_dispute(RuntimeOrigin::signed(stranger), job, true),
				BadOrigin
			);
		}
		assert_noop!(ModelsPallet::resolve_dispute(RuntimeOrigin::none(), job, true), BadOrigin);
	});
}

#[test]
fn bonds_should_be_kept_apart_when_a_creator_has_two_disputes() {
	ExtBuilder::default().build_and_execute(|| {
		let first = disputed_job();
		let second = disputed_job();
		assert_eq!(held(HoldReason::DisputeBond, CREATOR), 2 * BOND);
		assert_ok!(ModelsPallet::resolve_dispute(RuntimeOrigin::root(), first, true));
		assert_eq!(held(HoldReason::DisputeBond, CREATOR), BOND);
		assert_eq!(held(HoldReason::TrainingBudget, CREATOR), BUDGET);
		assert_ok!(ModelsPallet::resolve_dispute(RuntimeOrigin::root(), second, false));
		assert_eq!(held(HoldReason::DisputeBond, CREATOR), 0);
		assert_eq!(
			Workers::outcomes(),
			vec![(WORKER, JobOutcome::Faulty), (WORKER, JobOutcome::Delivered)]
		);
	});
}
