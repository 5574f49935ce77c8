//! Requests that nobody answers, and requests that are forgotten.

use super::*;
use crate::{weights::WeightInfo, Agenda, Answers, Error, Event, NextRequestId, Requests};
use frame_support::{assert_noop, traits::Hooks, weights::Weight};
use openledger_primitives::jobs::JobOutcome;
use sp_runtime::DispatchError;

const OVERDUE: u64 = 2 + TIMEOUT;

fn expire(id: RequestId) -> sp_runtime::DispatchResult {
	Inference::expire_request(RuntimeOrigin::signed(OTHER_REQUESTER), id)
}

#[test]
fn expire_should_refund_everything_and_strike_the_worker_when_anyone_calls() {
	ExtBuilder.build_and_execute(|| {
		let id = ask();
		run_full_blocks_to(OVERDUE);
		assert_ok!(expire(id));

		assert_eq!(Balances::free_balance(REQUESTER), ENDOWMENT);
		assert_eq!(Released::get(), vec![(WORKER, JobOutcome::TimedOut)]);
		assert_eq!(phase(id), Phase::TimedOut { worker: WORKER, at: OVERDUE });
		System::assert_last_event(
			Event::RequestTimedOut { request: id, worker: WORKER, refunded: MOST }.into(),
		);
	});
}

#[test]
fn expire_should_be_refused_when_the_worker_has_time() {
	ExtBuilder.build_and_execute(|| {
		let id = ask();
		assert_noop!(expire(id), Error::<Test>::NotOverdue);
		run_full_blocks_to(OVERDUE - 1);
		assert_noop!(expire(id), Error::<Test>::NotOverdue);
	});
}

#[test]
fn expire_should_be_refused_when_ended_or_unknown_or_not_signed() {
	ExtBuilder.build_and_execute(|| {
		assert_noop!(expire(RequestId(0)), Error::<Test>::UnknownRequest);
		let id = ask();
		run_full_blocks_to(OVERDUE);
		assert_noop!(
			Inference::expire_request(RuntimeOrigin::root(), id),
			DispatchError::BadOrigin
		);
		assert_ok!(expire(id));
		assert_noop!(expire(id), Error::<Test>::RequestEnded);
	});
}

#[test]
fn agenda_should_give_up_requests_in_the_first_late_block() {
	ExtBuilder.build_and_execute(|| {
		let id = ask();
		run_to(OVERDUE - 1);
		assert!(matches!(phase(id), Phase::Assigned(_)));
		run_to(OVERDUE);
		assert_eq!(phase(id), Phase::TimedOut { worker: WORKER, at: OVERDUE });
		assert_eq!(Balances::free_balance(REQUESTER), ENDOWMENT);
		assert_eq!(Released::get(), vec![(WORKER, JobOutcome::TimedOut)]);
	});
}

#[test]
fn agenda_should_wait_when_blocks_are_full() {
	ExtBuilder.build_and_execute(|| {
		(0..3).for_each(|_| {
			ask();
		});
		run_full_blocks_to(OVERDUE);
		assert_eq!(Released::get().len(), 0);

		let enough_for_two = <() as WeightInfo>::serve_block() * OVERDUE
			+ <() as WeightInfo>::serve_request() * 2
			+ <() as WeightInfo>::serve_block();
		let used = Inference::on_idle(OVERDUE, enough_for_two);
		assert!(used.all_lte(enough_for_two));
		assert_eq!(Released::get().len(), 2);
		Inference::on_idle(OVERDUE, Weight::MAX);
		assert_eq!(Released::get().len(), 3);
	});
}

#[test]
fn request_should_be_forgotten_when_its_retention_period_ends() {
	ExtBuilder.build_and_execute(|| {
		let answered = ask();
		let timed_out = ask();
		assert_ok!(Submission::fitting(answered).submit_by(OPERATOR));

		run_to(RETENTION);
		assert!(Inference::answer(answered).is_some());
		run_to(RETENTION + 1);
		assert_eq!(Inference::request(answered), None);
		assert!(!Answers::<Test>::contains_key(answered));
		assert!(Inference::request(timed_out).is_some());
		run_to(OVERDUE + RETENTION);
		assert_eq!(Requests::<Test>::iter().count(), 0);
		assert_eq!(Agenda::<Test>::iter().count(), 0);
		assert_eq!(NextRequestId::<Test>::get(), RequestId(2), "numbers are not used again");
	});
}

#[test]
fn expiry_should_be_postponed_when_the_account_cannot_take_the_refund() {
	ExtBuilder.build_and_execute(|| {
		// 50 planks, below the existential deposit.
		assert_ok!(Inference::request_inference(
			RuntimeOrigin::signed(REQUESTER),
			MODEL,
			bytes("why?"),
			0,
			5,
			50
		));
		let id = RequestId(0);
		// Something beside its balance keeps the account alive, and its free balance is spent.
		System::inc_providers(&REQUESTER);
		assert_ok!(Balances::transfer_allow_death(
			RuntimeOrigin::signed(REQUESTER),
			OTHER_REQUESTER,
			ENDOWMENT - 50
		));
		assert_eq!(Balances::free_balance(REQUESTER), 0);

		run_to(OVERDUE);
		assert!(matches!(phase(id), Phase::Assigned(_)));
		assert_eq!(on_hold(REQUESTER), 50);
		assert_eq!(Released::get().len(), 0);
		let until = OVERDUE + TIMEOUT;
		System::assert_last_event(Event::ExpiryPostponed { request: id, until }.into());
		check_state();

		// As soon as the account can take it, anyone can give the request up, or the agenda does.
		assert_ok!(Balances::transfer_keep_alive(
			RuntimeOrigin::signed(OTHER_REQUESTER),
			REQUESTER,
			EXISTENTIAL_DEPOSIT
		));
		run_to(until);
		assert_eq!(phase(id), Phase::TimedOut { worker: WORKER, at: until });
		assert_eq!(Balances::free_balance(REQUESTER), EXISTENTIAL_DEPOSIT + 50);
		assert_eq!(Released::get(), vec![(WORKER, JobOutcome::TimedOut)]);
	});
}
