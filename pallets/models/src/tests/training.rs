//! A job's way through its phases, and the money on it.

use crate::{mock::*, *};
use frame_support::{
	assert_noop, assert_ok,
	traits::{LockableCurrency, WithdrawReasons},
};
use openledger_primitives::{
	jobs::{FailureReason, JobOutcome},
	licence::LicenceTerms,
	training::TrainingResult,
	traits::ModelRegistry,
	BaseModelId, ModelId, H256,
};

#[test]
fn job_should_pay_worker_and_make_model_when_it_goes_well() {
	ExtBuilder::default().build_and_execute(|| {
		let job = new_job();
		begin_block(3);
		assert_ok!(start(OPERATOR, job));
		assert_eq!(phase(job), Phase::Running { worker: WORKER, deliver_by: 3 + 40 });
		System::assert_last_event(
			Event::TrainingStarted { job, worker: WORKER, deliver_by: 43 }.into(),
		);
		begin_block(42);
		assert_ok!(deliver(OPERATOR, job, result()));
		let settle_at = 42 + CHALLENGE;
		assert_eq!(phase(job), Phase::Delivered { worker: WORKER, result: result(), settle_at });
		assert_eq!(held(HoldReason::TrainingBudget, CREATOR), BUDGET);
		assert_eq!(Workers::outcomes(), vec![]);

		// Settled by the agenda at the end of the block, and not before.
		begin_block(settle_at);
		assert!(matches!(phase(job), Phase::Delivered { .. }));
		begin_block(settle_at + 1);
		let model = ModelId(0);
		assert_eq!(
			phase(job),
			Phase::Settled {
				worker: WORKER,
				model,
				at: settle_at,
				forget_at: settle_at + RETENTION
			}
		);
		assert_eq!(Balances::free_balance(WORKER), FUNDS + BUDGET);
		assert_eq!(held(HoldReason::TrainingBudget, CREATOR), 0);
		assert_eq!(held(HoldReason::RecordDeposit, CREATOR), DepositBase::get());
		assert_eq!(Workers::outcomes(), vec![(WORKER, JobOutcome::Delivered)]);
		System::assert_has_event(Event::ModelCreated { model, owner: CREATOR, job }.into());
		System::assert_last_event(
			Event::TrainingSettled { job, worker: WORKER, model, paid: BUDGET }.into(),
		);

		let record = ModelsPallet::model(model).unwrap();
		assert_eq!(record.owner, CREATOR);
		assert_eq!(record.base, BaseModelId(0));
		assert_eq!(record.sources, sources(&[1, 2]));
		assert_eq!(record.result, result());
		assert_eq!(record.status, ModelStatus::Draft);
		assert_eq!(record.job, job);
		assert_eq!(record.created_at, settle_at);
		assert!(ModelsPallet::served(model).is_none());
		let files = ModelsPallet::files(model).unwrap();
		assert_eq!(files.base.weights, H256::repeat_byte(1));
		assert_eq!(files.base.tokenizer, H256::repeat_byte(200));
		assert_eq!(files.adapter, result().adapter_hash);
		assert_eq!(files.span_index, result().span_index_root);
	});
}

#[test]
fn worker_should_be_paid_when_creator_has_frozen_its_funds() {
	ExtBuilder::default().build_and_execute(|| {
		let job = delivered_job();
		Balances::set_lock(*b"votelock", &CREATOR, u128::MAX, WithdrawReasons::all());
		begin_block(1 + CHALLENGE);
		assert_ok!(ModelsPallet::settle_training(RuntimeOrigin::signed(OTHER), job));
		assert_eq!(Balances::free_balance(WORKER), FUNDS + BUDGET);
	});
}

#[test]
fn creator_should_pay_itself_when_it_is_the_worker() {
	ExtBuilder::default().without_workers().build_and_execute(|| {
		Workers::put(CREATOR, OPERATOR, 1);
		let job = delivered_job();
		begin_block(1 + CHALLENGE);
		assert_ok!(ModelsPallet::settle_training(RuntimeOrigin::signed(OTHER), job));
		assert_eq!(Balances::free_balance(CREATOR), FUNDS - DepositBase::get());
	});
}

#[test]
fn budget_should_come_back_when_job_is_cancelled() {
	ExtBuilder::default().build_and_execute(|| {
		// Assigned.
		let job = new_job();
		assert_ok!(ModelsPallet::cancel_training(RuntimeOrigin::signed(CREATOR), job));
		assert_eq!(phase(job), Phase::Cancelled { at: 1, forget_at: 1 + RETENTION });
		System::assert_last_event(Event::TrainingCancelled { job }.into());
		assert_eq!(Workers::outcomes(), vec![(WORKER, JobOutcome::Released)]);
		assert_eq!(Balances::free_balance(CREATOR), FUNDS);

		// Open.
		Workers::set_free_slots(WORKER, 0);
		let job = new_job();
		assert!(matches!(phase(job), Phase::Open { .. }));
		assert_ok!(ModelsPallet::cancel_training(RuntimeOrigin::signed(CREATOR), job));
		assert_eq!(Balances::free_balance(CREATOR), FUNDS);
		assert_eq!(Workers::outcomes().len(), 1);
	});
}

#[test]
fn job_should_be_open_again_when_worker_declines() {
	ExtBuilder::default().build_and_execute(|| {
		let job = new_job();
		begin_block(4);
		assert_ok!(decline(OPERATOR, job));
		let reason = FailureReason::DataUnavailable;
		System::assert_last_event(Event::TrainingDeclined { job, worker: WORKER, reason }.into());
		assert_eq!(phase(job), Phase::Open { expires_at: 4 + OPEN });
		assert_eq!(Workers::outcomes(), vec![(WORKER, JobOutcome::Released)]);
		assert_eq!(held(HoldReason::TrainingBudget, CREATOR), BUDGET);

		assert_ok!(ModelsPallet::assign_training(RuntimeOrigin::signed(OTHER), job));
		assert_eq!(ModelsPallet::job(job).unwrap().assignments, 2);
	});
}

#[test]
fn job_should_end_when_all_assignments_are_declined() {
	ExtBuilder::default().build_and_execute(|| {
		let job = new_job();
		for _ in 1..ASSIGNMENTS {
			assert_ok!(decline(OPERATOR, job));
			assert_ok!(ModelsPallet::assign_training(RuntimeOrigin::signed(OTHER), job));
		}
		assert_ok!(decline(OPERATOR, job));
		assert_eq!(
			phase(job),
			Phase::TimedOut {
				cause: TimeoutCause::AttemptsUsedUp,
				at: 1,
				forget_at: 1 + RETENTION
			}
		);
		assert_eq!(Balances::free_balance(CREATOR), FUNDS);
		assert_eq!(Workers::outcomes().len(), ASSIGNMENTS as usize);
	});
}

#[test]
fn next_worker_should_be_assigned_when_one_does_not_start() {
	ExtBuilder::default().build_and_execute(|| {
		let job = new_job();
		begin_block(1 + START);
		assert_ok!(ModelsPallet::expire_training(RuntimeOrigin::signed(OTHER), job));
		System::assert_has_event(Event::StartMissed { job, worker: WORKER }.into());
		assert_eq!(phase(job), Phase::Assigned { worker: WORKER, start_by: 1 + START + START });
		assert_eq!(Workers::outcomes(), vec![(WORKER, JobOutcome::TimedOut)]);

		// Nobody else is free at the second miss: open, but not for ever.
		begin_block(1 + 2 * START);
		let other = new_job();
		assert_eq!(Workers::taken(WORKER), 2);
		Workers::set_free_slots(WORKER, 0);
		assert!(matches!(phase(other), Phase::Assigned { .. }));
		assert_ok!(ModelsPallet::expire_training(RuntimeOrigin::signed(OTHER), job));
		// The slot that came back is taken again: the third and last assignment.
		assert_eq!(ModelsPallet::job(job).unwrap().assignments, ASSIGNMENTS);
		begin_block(1 + 3 * START);
		assert_ok!(ModelsPallet::expire_training(RuntimeOrigin::signed(OTHER), job));
		assert!(matches!(phase(job), Phase::TimedOut { cause: TimeoutCause::AttemptsUsedUp, .. }));
		assert_eq!(held(HoldReason::TrainingBudget, CREATOR), BUDGET, "of the other job");
	});
}

#[test]
fn job_should_be_open_when_no_worker_can_replace_a_late_one() {
	ExtBuilder::default().build_and_execute(|| {
		let job = new_job();
		Workers::suspend(WORKER);
		begin_block(1 + START);
		assert_ok!(ModelsPallet::expire_training(RuntimeOrigin::signed(OTHER), job));
		assert_eq!(phase(job), Phase::Open { expires_at: 1 + START + OPEN });
		assert_eq!(Workers::outcomes(), vec![(WORKER, JobOutcome::TimedOut)]);
	});
}

#[test]
fn budget_should_come_back_when_worker_does_not_deliver() {
	ExtBuilder::default().build_and_execute(|| {
		let job = running_job();
		begin_block(41);
		assert_noop!(deliver(OPERATOR, job, result()), Error::<Test>::TooLate);
		assert_ok!(ModelsPallet::expire_training(RuntimeOrigin::signed(OTHER), job));
		let cause = TimeoutCause::NotDelivered { worker: WORKER };
		assert_eq!(
			phase(job),
			Phase::TimedOut { cause: cause.clone(), at: 41, forget_at: 41 + RETENTION }
		);
		System::assert_last_event(Event::TrainingTimedOut { job, cause }.into());
		assert_eq!(Workers::outcomes(), vec![(WORKER, JobOutcome::TimedOut)]);
		assert_eq!(Balances::free_balance(CREATOR), FUNDS);
		assert_eq!(Balances::free_balance(WORKER), FUNDS);
	});
}

/// A job whose worker gives it up in block 5; how the slot came back.
fn given_up(reason: FailureReason) -> JobOutcome {
	let job = running_job();
	begin_block(5);
	assert_ok!(fail(OPERATOR, job, reason));
	let forget_at = 5 + RETENTION;
	assert_eq!(phase(job), Phase::Failed { worker: WORKER, reason, at: 5, forget_at });
	System::assert_last_event(Event::TrainingFailed { job, worker: WORKER, reason }.into());
	// Everything came back at once, and the slot is free.
	assert_eq!(Balances::free_balance(CREATOR), FUNDS);
	assert_eq!(held(HoldReason::RecordDeposit, CREATOR), 0);
	assert_eq!(Balances::free_balance(WORKER), FUNDS);
	assert_eq!(Workers::taken(WORKER), 0);
	assert_eq!(ModelsPallet::pending_for(WORKER), vec![]);
	// Nobody earns from it later, and the record goes.
	begin_block(forget_at + 1);
	assert_eq!(ModelsPallet::job(job), None);
	let outcomes = Workers::outcomes();
	let [(WORKER, outcome)] = outcomes.as_slice() else { panic!("one end, not {outcomes:?}") };
	*outcome
}

#[test]
fn job_should_end_at_once_when_its_worker_gives_it_up() {
	for reason in [
		FailureReason::ModelUnavailable,
		FailureReason::PromptUnavailable,
		FailureReason::PromptTooLong,
		FailureReason::EngineFault,
		FailureReason::DataUnavailable,
	] {
		ExtBuilder::default().build_and_execute(|| {
			assert_eq!(given_up(reason), JobOutcome::TimedOut, "a strike for {reason:?}");
		});
	}
}

#[test]
fn nobody_should_be_blamed_when_the_order_turns_out_to_be_impossible() {
	ExtBuilder::default().build_and_execute(|| {
		assert_eq!(given_up(FailureReason::SpecificationUnusable), JobOutcome::Released);
	});
}

#[test]
fn delivery_should_be_refused_when_it_names_no_adapter() {
	ExtBuilder::default().build_and_execute(|| {
		let job = running_job();
		assert_noop!(
			deliver(OPERATOR, job, TrainingResult { adapter_hash: H256::zero(), ..result() }),
			Error::<Test>::EmptyResult
		);
	});
}

#[test]
fn only_the_operator_should_act_for_the_worker() {
	ExtBuilder::default().build_and_execute(|| {
		let job = new_job();
		// Not even the stash: its key is not on the machine that works.
		for stranger in [WORKER, CREATOR, OTHER] {
			assert_noop!(start(stranger, job), Error::<Test>::NotOperator);
			assert_noop!(decline(stranger, job), Error::<Test>::NotOperator);
		}
		// A key that was changed since the assignment signs from then on.
		Workers::set_operator(WORKER, OTHER);
		assert_noop!(start(OPERATOR, job), Error::<Test>::NotOperator);
		assert_ok!(start(OTHER, job));
		assert_noop!(deliver(OPERATOR, job, result()), Error::<Test>::NotOperator);
		assert_ok!(deliver(OTHER, job, result()));
	});
}

#[test]
fn only_the_creator_should_cancel() {
	ExtBuilder::default().build_and_execute(|| {
		let job = new_job();
		for stranger in [WORKER, OPERATOR, OTHER, ADMIN] {
			assert_noop!(
				ModelsPallet::cancel_training(RuntimeOrigin::signed(stranger), job),
				Error::<Test>::NotCreator
			);
		}
	});
}

#[test]
fn model_should_keep_terms_of_order_when_settled() {
	ExtBuilder::default().build_and_execute(|| {
		let base = register_base(1, LicenceTerms::OPEN);
		let licence = LicenceTerms { revenue_share: 300, share_alike: true, ..LicenceTerms::OPEN };
		assert_ok!(request(CREATOR, TrainingOrder { licence, commercial: false, ..order(base) }));
		let job = openledger_primitives::TrainingJobId(0);
		assert_ok!(start(OPERATOR, job));
		assert_ok!(deliver(OPERATOR, job, result()));
		begin_block(1 + CHALLENGE);
		assert_ok!(ModelsPallet::settle_training(RuntimeOrigin::signed(CREATOR), job));
		let model = ModelsPallet::model(ModelId(0)).unwrap();
		assert_eq!(model.licence, licence);
		assert!(!model.commercial);
	});
}
