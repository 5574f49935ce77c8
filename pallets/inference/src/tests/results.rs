//! Delivering, and saying that there is nothing to deliver.

use super::*;
use crate::{weights::WeightInfo, Answers, Error, Event, OpenRequests, PendingFor, Prompts};
use frame_support::{
	assert_noop,
	dispatch::{GetDispatchInfo, Pays},
	traits::Authorize,
	weights::Weight,
};
use openledger_primitives::{claim::ContributionShare, jobs::JobOutcome, ContributionId, ModelId};
use sp_runtime::DispatchError;

/// `change` makes a fitting submission one that is refused for `why`.
fn refused(change: impl FnOnce(&mut Submission), why: impl Into<DispatchError>) {
	ExtBuilder.build_and_execute(|| {
		let id = ask();
		let mut submission = Submission::fitting(id);
		change(&mut submission);
		assert_noop!(submission.submit_to(id, OPERATOR), why.into());
		assert_ok!(Submission::fitting(id).submit_by(OPERATOR));
	});
}

#[test]
fn result_should_be_paid_and_the_rest_refunded_when_it_fits() {
	ExtBuilder.build_and_execute(|| {
		let id = ask();
		System::set_block_number(3);
		assert_ok!(Submission::fitting(id).submit_by(OPERATOR));

		assert_eq!(Settled::get()[&id], 220);
		assert_eq!(Balances::free_balance(REQUESTER), ENDOWMENT - 220);
		assert_eq!(Balances::free_balance(POT), ENDOWMENT + 220);
		assert_eq!(on_hold(REQUESTER), 0);
		assert_eq!(Released::get(), vec![(WORKER, JobOutcome::Delivered)]);
		let answer_hash = content_hash(b"because.");
		assert_eq!(
			phase(id),
			Phase::Answered(Delivery {
				worker: WORKER,
				answer_hash,
				input_tokens: 10,
				output_tokens: 20,
				mode: ExecutionMode::Deterministic,
				fee: 220,
				at: 3,
			})
		);
		assert_eq!(OpenRequests::<Test>::iter().count(), 0);
		assert_eq!(PendingFor::<Test>::iter().count(), 0);
		assert!(!Prompts::<Test>::contains_key(id), "the prompt is forgotten");
		assert_eq!(Inference::answer(id), Some(bytes("because.")));
		System::assert_last_event(
			Event::RequestAnswered {
				request: id,
				worker: WORKER,
				answer_hash,
				fee: 220,
				refunded: MOST - 220,
			}
			.into(),
		);
	});
}

#[test]
fn result_should_be_taken_when_the_answer_travels_outside_the_chain() {
	ExtBuilder.build_and_execute(|| {
		let id = ask();
		let mut submission = Submission::fitting(id);
		submission.answer = Content::Hash(content_hash(b"because."));
		assert_ok!(submission.submit_by(OPERATOR));
		assert!(!Answers::<Test>::contains_key(id));
		assert_eq!(Inference::answer(id), Some(Content::Hash(content_hash(b"because."))));
	});
}

#[test]
fn result_should_be_recorded_when_the_model_is_free() {
	ExtBuilder.build_and_execute(|| {
		assert_ok!(Inference::request_inference(
			RuntimeOrigin::signed(REQUESTER),
			FREE_MODEL,
			bytes("why?"),
			100,
			50,
			0
		));
		let id = RequestId(0);
		let mut submission = Submission::fitting(id);
		submission.receipt.model = FREE_MODEL;
		submission.claim.model = FREE_MODEL;
		assert_ok!(submission.submit_by(OPERATOR));
		assert_eq!(Settled::get()[&id], 0, "the settlement hears of it all the same");
		assert_eq!(Balances::free_balance(REQUESTER), ENDOWMENT);
	});
}

#[test]
fn result_should_cost_everything_held_when_all_tokens_are_used() {
	ExtBuilder.build_and_execute(|| {
		let id = ask();
		let mut submission = Submission::fitting(id);
		submission.receipt.input_tokens = 100;
		submission.receipt.output_tokens = 50;
		assert_ok!(submission.submit_by(OPERATOR));
		assert_eq!(Settled::get()[&id], MOST);
		assert_eq!(Balances::free_balance(REQUESTER), ENDOWMENT - MOST);
	});
}

#[test]
fn result_should_cost_only_the_prompt_when_the_answer_is_empty() {
	ExtBuilder.build_and_execute(|| {
		let id = ask();
		let mut submission = Submission::fitting(id);
		submission.answer = bytes("");
		submission.receipt.output_tokens = 0;
		submission.receipt.answer_hash = content_hash(&[]);
		submission.claim.answer_hash = content_hash(&[]);
		assert_ok!(submission.submit_by(OPERATOR));
		assert_eq!(Settled::get()[&id], 20);
	});
}

#[test]
fn result_should_be_refused_when_the_receipt_is_about_something_else() {
	let other = H256::repeat_byte(9);
	refused(|it| it.receipt.request = RequestId(1), Error::<Test>::ReceiptForOtherRequest);
	refused(|it| it.receipt.model = ModelId(6), Error::<Test>::ReceiptForOtherModel);
	refused(|it| it.receipt.prompt_hash = other, Error::<Test>::ReceiptForOtherPrompt);
	refused(|it| it.receipt.answer_hash = other, Error::<Test>::ReceiptForOtherAnswer);
	refused(|it| it.answer = bytes("because!"), Error::<Test>::ReceiptForOtherAnswer);
	refused(|it| it.answer = Content::Hash(other), Error::<Test>::ReceiptForOtherAnswer);
}

#[test]
fn result_should_be_refused_when_the_claim_is_about_something_else() {
	let other = H256::repeat_byte(9);
	refused(|it| it.claim.answer_hash = other, Error::<Test>::ClaimForOtherAnswer);
	refused(|it| it.claim.request = RequestId(1), CLAIM_REFUSED);
	refused(|it| it.claim.model = ModelId(6), CLAIM_REFUSED);
}

#[test]
fn result_should_be_refused_when_it_has_more_tokens_than_asked_for() {
	refused(|it| it.receipt.input_tokens = 101, Error::<Test>::TooManyInputTokens);
	refused(|it| it.receipt.output_tokens = 51, Error::<Test>::TooManyOutputTokens);
	refused(|it| it.receipt.output_tokens = u32::MAX, Error::<Test>::TooManyOutputTokens);
}

#[test]
fn result_should_be_refused_when_tokens_contradict_the_answer() {
	refused(|it| it.receipt.output_tokens = 0, Error::<Test>::TokensContradictAnswer);
	let empty = |it: &mut Submission| {
		it.receipt.answer_hash = content_hash(&[]);
		it.claim.answer_hash = content_hash(&[]);
	};
	refused(
		|it| {
			empty(it);
			it.answer = bytes("");
		},
		Error::<Test>::TokensContradictAnswer,
	);
	refused(
		|it| {
			empty(it);
			it.answer = Content::Hash(content_hash(&[]));
		},
		Error::<Test>::TokensContradictAnswer,
	);
}

#[test]
fn result_should_be_refused_when_the_request_is_unknown() {
	ExtBuilder.build_and_execute(|| {
		assert_noop!(
			Submission::fitting(RequestId(0)).submit_by(OPERATOR),
			Error::<Test>::UnknownRequest
		);
	});
}

#[test]
fn result_should_be_refused_when_it_is_submitted_again() {
	ExtBuilder.build_and_execute(|| {
		let id = ask();
		assert_ok!(Submission::fitting(id).submit_by(OPERATOR));
		assert_noop!(Submission::fitting(id).submit_by(OPERATOR), Error::<Test>::RequestEnded);
	});
}

#[test]
fn result_should_be_refused_for_another_request_when_both_ask_the_same() {
	ExtBuilder.build_and_execute(|| {
		let first = ask();
		let second = ask();
		assert_noop!(
			Submission::fitting(first).submit_to(second, OPERATOR),
			Error::<Test>::ReceiptForOtherRequest
		);
	});
}

#[test]
fn result_should_be_refused_when_the_caller_is_not_the_operator() {
	ExtBuilder.build_and_execute(|| {
		let id = ask();
		for who in [WORKER, OTHER_OPERATOR, OTHER_WORKER, REQUESTER] {
			assert_noop!(Submission::fitting(id).submit_by(who), Error::<Test>::NotOperator);
			assert_noop!(fail(id, FailureReason::EngineFault, who), Error::<Test>::NotOperator);
		}
	});
}

#[test]
fn result_should_be_taken_from_the_new_operator_when_the_key_was_changed() {
	ExtBuilder.build_and_execute(|| {
		let id = ask();
		let mut pool = Pool::get();
		pool.insert(WORKER, (OTHER_OPERATOR, BASE));
		Pool::set(&pool);
		assert_noop!(Submission::fitting(id).submit_by(OPERATOR), Error::<Test>::NotOperator);
		assert_ok!(Submission::fitting(id).submit_by(OTHER_OPERATOR));
	});
}

#[test]
fn result_should_be_refused_when_late() {
	ExtBuilder.build_and_execute(|| {
		let last = ask();
		let late = ask();
		System::set_block_number(1 + TIMEOUT);
		assert_ok!(Submission::fitting(last).submit_by(OPERATOR));
		System::set_block_number(2 + TIMEOUT);
		assert_noop!(Submission::fitting(late).submit_by(OPERATOR), Error::<Test>::TooLate);
	});
}

#[test]
fn result_should_be_refused_when_not_authorised() {
	ExtBuilder.build_and_execute(|| {
		let id = ask();
		// Not even a transaction of the operator itself: a report has one way only.
		let origins = [
			RuntimeOrigin::root(),
			RuntimeOrigin::none(),
			RuntimeOrigin::signed(OPERATOR),
			RuntimeOrigin::signed(WORKER),
		];
		for origin in origins {
			let it = Submission::fitting(id);
			assert_noop!(
				Inference::submit_result(
					origin.clone(),
					id,
					it.receipt,
					it.answer,
					it.claim,
					OPERATOR,
					no_signature()
				),
				DispatchError::BadOrigin
			);
			assert_noop!(
				Inference::report_failure(
					origin,
					id,
					FailureReason::EngineFault,
					OPERATOR,
					no_signature()
				),
				DispatchError::BadOrigin
			);
		}
	});
}

#[test]
fn failure_should_refund_everything_without_blame_when_in_time() {
	ExtBuilder.build_and_execute(|| {
		let id = ask();
		System::set_block_number(1 + TIMEOUT);
		let reason = FailureReason::PromptUnavailable;
		assert_ok!(fail(id, reason, OPERATOR));

		assert_eq!(Balances::free_balance(REQUESTER), ENDOWMENT);
		assert_eq!(Released::get(), vec![(WORKER, JobOutcome::Released)]);
		assert_eq!(phase(id), Phase::Failed { worker: WORKER, reason, at: 1 + TIMEOUT });
		assert_eq!(Inference::answer(id), None);
		System::assert_last_event(
			Event::RequestFailed { request: id, worker: WORKER, reason, refunded: MOST }.into(),
		);
		assert_noop!(Submission::fitting(id).submit_by(OPERATOR), Error::<Test>::RequestEnded);
	});
}

#[test]
fn failure_should_be_refused_when_late_or_ended_or_unknown() {
	ExtBuilder.build_and_execute(|| {
		let fail = |id| fail(id, FailureReason::ModelUnavailable, OPERATOR);
		assert_noop!(fail(RequestId(0)), Error::<Test>::UnknownRequest);
		let answered = ask();
		assert_ok!(Submission::fitting(answered).submit_by(OPERATOR));
		assert_noop!(fail(answered), Error::<Test>::RequestEnded);
		let late = ask();
		System::set_block_number(2 + TIMEOUT);
		assert_noop!(fail(late), Error::<Test>::TooLate);
	});
}

#[test]
fn slot_should_be_free_again_when_a_request_ends() {
	ExtBuilder.build_and_execute(|| {
		let first = ask();
		ask();
		let third = ask();
		assert_eq!(Inference::pending_for(OTHER_WORKER), vec![third]);
		assert_ok!(Submission::fitting(first).submit_by(OPERATOR));
		let fourth = ask();
		assert!(Inference::pending_for(WORKER).contains(&fourth));
	});
}

#[test]
fn result_should_weigh_what_its_settlement_weighs_on_top() {
	let Submission { receipt, answer, mut claim } = Submission::fitting(RequestId(0));
	let share = ContributionShare { contribution: ContributionId::default(), parts: 500_000 };
	claim.shares = vec![share; 2].try_into().unwrap();
	let bytes = answer.bytes_on_chain();
	let (operator, signature) = (OPERATOR, no_signature());
	let request = RequestId(0);
	let call = Call::<Test>::submit_result { request, receipt, answer, claim, operator, signature };
	let info = call.get_dispatch_info();
	assert_eq!(info.pays_fee, Pays::No);
	assert_eq!(
		info.call_weight,
		<() as WeightInfo>::submit_result(bytes) + Weight::from_parts(2_000, 0)
	);
	assert_eq!(
		call.weight_of_authorize(),
		<() as WeightInfo>::authorise_result(bytes) + Weight::from_parts(2_000, 0)
	);
}
