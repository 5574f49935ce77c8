//! The agenda: everything that falls due is served, in its time, with the weight there is.

use crate::{mock::*, *};
use frame_support::{
	assert_noop, assert_ok,
	traits::{
		fungible::MutateHold,
		tokens::{Precision, Restriction},
		Hooks,
	},
	weights::Weight,
};
use openledger_primitives::{jobs::JobOutcome, TrainingJobId};

fn expire(job: TrainingJobId) -> sp_runtime::DispatchResult {
	ModelsPallet::expire_training(RuntimeOrigin::signed(OTHER), job)
}

#[test]
fn open_job_should_time_out_when_nobody_takes_it() {
	ExtBuilder::default().without_workers().build_and_execute(|| {
		let job = new_job();
		begin_block(OPEN);
		assert_noop!(expire(job), Error::<Test>::TooEarly);
		begin_block(1 + OPEN);
		assert_noop!(
			ModelsPallet::assign_training(RuntimeOrigin::signed(OTHER), job),
			Error::<Test>::TooLate
		);
		begin_block(2 + OPEN);
		assert_eq!(
			phase(job),
			Phase::TimedOut {
				cause: TimeoutCause::NoWorker,
				at: 1 + OPEN,
				forget_at: 1 + OPEN + RETENTION
			}
		);
		assert_eq!(Balances::free_balance(CREATOR), FUNDS);
	});
}

#[test]
fn job_should_run_out_of_workers_when_nobody_ever_starts() {
	ExtBuilder::default().build_and_execute(|| {
		let job = new_job();
		begin_block(2 + START * u64::from(ASSIGNMENTS));
		assert!(matches!(phase(job), Phase::TimedOut { cause: TimeoutCause::AttemptsUsedUp, .. }));
		assert_eq!(Workers::outcomes(), vec![(WORKER, JobOutcome::TimedOut); ASSIGNMENTS as usize]);
		assert_eq!(Workers::taken(WORKER), 0);
	});
}

#[test]
fn record_should_go_when_retention_ends() {
	ExtBuilder::default().build_and_execute(|| {
		let model = new_model();
		let job = ModelsPallet::model(model).unwrap().job;
		let forget_at = phase(job).deadline();
		begin_block(forget_at);
		assert!(ModelsPallet::job(job).is_some());
		begin_block(forget_at + 1);
		assert_eq!(ModelsPallet::job(job), None);
		assert!(ModelsPallet::jobs_of(CREATOR, None, 10).is_empty());
		System::assert_last_event(Event::TrainingForgotten { job }.into());
		assert_noop!(expire(job), Error::<Test>::UnknownJob);
		assert_eq!(Agenda::<Test>::iter().count(), 0);
		// The model and its lineage stay.
		assert_eq!(ModelsPallet::lineage(model).unwrap().job, job);
	});
}

#[test]
fn record_should_go_at_once_when_somebody_asks_after_retention() {
	ExtBuilder::default().build_and_execute(|| {
		let job = new_job();
		assert_ok!(ModelsPallet::cancel_training(RuntimeOrigin::signed(CREATOR), job));
		begin_block_without_idle(RETENTION);
		assert_noop!(expire(job), Error::<Test>::TooEarly);
		begin_block_without_idle(1 + RETENTION);
		assert_ok!(expire(job));
		assert_eq!(ModelsPallet::job(job), None);
	});
}

#[test]
fn everything_due_should_be_served_later_when_blocks_were_full() {
	ExtBuilder::default().build_and_execute(|| {
		let open = {
			Workers::set_free_slots(WORKER, 0);
			new_job()
		};
		Workers::set_free_slots(WORKER, 2);
		let running = running_job();
		let disputed = disputed_job();
		begin_block_without_idle(60);
		// Late parties are late, served or not.
		assert_noop!(deliver(OPERATOR, running, result()), Error::<Test>::TooLate);
		assert_noop!(
			ModelsPallet::cancel_training(RuntimeOrigin::signed(CREATOR), open),
			Error::<Test>::TooLate
		);
		begin_block(61);
		assert!(matches!(phase(open), Phase::TimedOut { at: 60, .. }));
		assert!(matches!(phase(running), Phase::TimedOut { at: 60, .. }));
		assert!(matches!(phase(disputed), Phase::Settled { at: 60, .. }));
	});
}

#[test]
fn agenda_should_serve_only_what_the_weight_pays_for() {
	ExtBuilder::default().build_and_execute(|| {
		Workers::set_free_slots(WORKER, 0);
		let jobs: Vec<_> = (0..3).map(|_| new_job()).collect();
		begin_block(1 + OPEN);
		let now = System::block_number();
		let ended =
			|| jobs.iter().filter(|job| matches!(phase(**job), Phase::TimedOut { .. })).count();

		assert_eq!(ModelsPallet::on_idle(now, Weight::zero()), Weight::zero());
		let base = <() as WeightInfo>::agenda_base();
		let block = <() as WeightInfo>::agenda_block();
		let entry = <() as WeightInfo>::agenda_entry();
		assert_eq!(ModelsPallet::on_idle(now, base + block), base + block);
		assert_eq!(ended(), 0);
		let enough_for_one = base + block + entry;
		assert_eq!(ModelsPallet::on_idle(now, enough_for_one), enough_for_one);
		assert_eq!(ended(), 1);
		assert_eq!(AgendaCursor::<Test>::get(), now);
		let consumed = ModelsPallet::on_idle(now, Weight::MAX);
		assert_eq!(consumed, base + block + entry + entry);
		assert_eq!(ended(), 3);
		assert_eq!(AgendaCursor::<Test>::get(), now + 1);
	});
}

#[test]
fn job_should_be_postponed_and_whole_when_it_cannot_end() {
	ExtBuilder::default().build_and_execute(|| {
		let job = delivered_job();
		// A hole in the escrow, as only another pallet's fault could make it.
		let reason: RuntimeHoldReason = HoldReason::TrainingBudget.into();
		assert_ok!(Balances::transfer_on_hold(
			&reason,
			&CREATOR,
			&OTHER,
			BUDGET,
			Precision::Exact,
			Restriction::Free,
			frame_support::traits::tokens::Fortitude::Force,
		));
		begin_block(1 + CHALLENGE + 1);
		let until = 1 + CHALLENGE + START;
		assert_eq!(
			phase(job),
			Phase::Delivered { worker: WORKER, result: result(), settle_at: until }
		);
		assert!(System::events().iter().any(|record| matches!(
			record.event,
			RuntimeEvent::ModelsPallet(Event::TrainingPostponed { until: at, .. }) if at == until
		)));
		assert_eq!(Workers::outcomes(), vec![]);
		assert_eq!(NextModelId::<Test>::get().0, 0);

		// Mended, it ends at the next try.
		assert_ok!(Balances::hold(&reason, &CREATOR, BUDGET));
		begin_block(until + 1);
		assert!(matches!(phase(job), Phase::Settled { .. }));
		assert_eq!(Workers::outcomes(), vec![(WORKER, JobOutcome::Delivered)]);
	});
}

#[test]
fn settling_should_be_refused_when_window_is_open() {
	ExtBuilder::default().build_and_execute(|| {
		let job = delivered_job();
		begin_block(CHALLENGE);
		let settle = || ModelsPallet::settle_training(RuntimeOrigin::signed(WORKER), job);
		assert_noop!(settle(), Error::<Test>::TooEarly);
		begin_block(1 + CHALLENGE);
		assert_ok!(settle());
		// A second time there is nothing to settle, now or by the agenda.
		assert_noop!(settle(), Error::<Test>::WrongPhase);
		begin_block(2 + CHALLENGE);
		assert_eq!(Balances::free_balance(WORKER), FUNDS + BUDGET);
		assert_eq!(Workers::outcomes().len(), 1);
	});
}

#[test]
fn constants_should_pass_the_integrity_test() {
	ExtBuilder::default().build_and_execute(|| {
		<ModelsPallet as Hooks<u64>>::integrity_test();
	});
}
