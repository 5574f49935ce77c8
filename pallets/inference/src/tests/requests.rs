//! Asking.

use super::*;
use crate::{Agenda, Error, Event, NextRequestId, OpenRequests, PendingFor, Prompts};
use frame_support::{
	assert_noop,
	traits::{LockableCurrency, WithdrawReasons},
};
use openledger_primitives::{receipt::Prices, ModelId};
use sp_runtime::{DispatchError, DispatchResult};

fn request(model: ModelId, max_input: u32, max_output: u32, max_fee: Balance) -> DispatchResult {
	let origin = RuntimeOrigin::signed(REQUESTER);
	Inference::request_inference(origin, model, bytes("why?"), max_input, max_output, max_fee)
}

#[test]
fn request_should_hold_the_most_it_can_cost_and_assign_a_worker() {
	ExtBuilder.build_and_execute(|| {
		let id = ask();

		assert_eq!(on_hold(REQUESTER), MOST);
		assert_eq!(Balances::free_balance(REQUESTER), ENDOWMENT - MOST);
		let answer_by = 1 + TIMEOUT;
		assert_eq!(
			Inference::request(id),
			Some(Request {
				requester: REQUESTER,
				model: MODEL,
				model_owner: MODEL_OWNER,
				base: BASE,
				prompt_hash: content_hash(b"why?"),
				max_input_tokens: 100,
				max_output_tokens: 50,
				prices: Prices { input_per_1000: 2_000, output_per_1000: 10_000 },
				asked_at: 1,
				due: answer_by + 1,
				phase: Phase::Assigned(Job { worker: WORKER, held: MOST, answer_by }),
			})
		);
		assert!(PendingFor::<Test>::contains_key(WORKER, id));
		assert!(Agenda::<Test>::contains_key(answer_by + 1, id));
		System::assert_last_event(
			Event::InferenceRequested {
				request: id,
				requester: REQUESTER,
				model: MODEL,
				worker: WORKER,
				held: MOST,
				answer_by,
			}
			.into(),
		);
	});
}

#[test]
fn request_should_keep_only_the_hash_when_the_prompt_travels_outside_the_chain() {
	ExtBuilder.build_and_execute(|| {
		let hash = H256::repeat_byte(7);
		assert_ok!(Inference::request_inference(
			RuntimeOrigin::signed(REQUESTER),
			MODEL,
			Content::Hash(hash),
			100,
			50,
			MOST
		));
		assert_eq!(Inference::request(RequestId(0)).unwrap().prompt_hash, hash);
		assert!(!Prompts::<Test>::contains_key(RequestId(0)));
		assert_eq!(Inference::prompt(RequestId(0)), Some(Content::Hash(hash)));
	});
}

#[test]
fn request_should_hold_nothing_when_the_model_is_free() {
	ExtBuilder.build_and_execute(|| {
		assert_ok!(request(FREE_MODEL, u32::MAX, u32::MAX, 0));
		assert_eq!(on_hold(REQUESTER), 0);
		assert_eq!(Balances::free_balance(REQUESTER), ENDOWMENT);
	});
}

#[test]
fn request_should_be_refused_when_no_answer_is_allowed() {
	ExtBuilder.build_and_execute(|| {
		assert_noop!(request(MODEL, 100, 0, MOST), Error::<Test>::NoAnswerAllowed);
	});
}

#[test]
fn request_should_be_refused_when_the_model_is_not_served() {
	ExtBuilder.build_and_execute(|| {
		assert_noop!(request(ModelId(99), 100, 50, MOST), Error::<Test>::ModelNotServed);
	});
}

#[test]
fn request_should_be_refused_when_the_fee_overflows() {
	ExtBuilder.build_and_execute(|| {
		assert_noop!(request(ABSURD_MODEL, 100, 50, Balance::MAX), Error::<Test>::FeeOverflow);
	});
}

#[test]
fn request_should_be_refused_when_the_fee_exceeds_the_maximum() {
	ExtBuilder.build_and_execute(|| {
		assert_noop!(request(MODEL, 100, 50, MOST - 1), Error::<Test>::FeeExceedsMaximum);
		assert_ok!(request(MODEL, 100, 50, MOST));
	});
}

#[test]
fn request_should_be_refused_when_the_requester_cannot_spend_the_fee() {
	ExtBuilder.build_and_execute(|| {
		// 10 planks per token: 99,990 tokens leave exactly the existential deposit.
		let tokens = ((ENDOWMENT - EXISTENTIAL_DEPOSIT) / 10) as u32;
		assert_noop!(request(MODEL, 0, tokens + 1, Balance::MAX), Error::<Test>::FeeNotSpendable);
		assert_ok!(request(MODEL, 0, tokens, Balance::MAX));
		assert_noop!(request(MODEL, 0, 1, Balance::MAX), Error::<Test>::FeeNotSpendable);
		assert_ok!(request(FREE_MODEL, 0, 1, 0));
	});
}

#[test]
fn request_should_be_taken_when_open_requests_hold_most_of_the_balance() {
	ExtBuilder.build_and_execute(|| {
		let tokens = ((ENDOWMENT - EXISTENTIAL_DEPOSIT) / 10) as u32;
		assert_ok!(request(MODEL, 0, tokens - 1_000, Balance::MAX));
		assert_ok!(request(MODEL, 0, 1_000, Balance::MAX));
		assert_eq!(Balances::free_balance(REQUESTER), EXISTENTIAL_DEPOSIT);
	});
}

#[test]
fn request_should_be_refused_when_the_balance_is_frozen_behind_open_requests() {
	ExtBuilder.build_and_execute(|| {
		let unfrozen = 10_000;
		let frozen = ENDOWMENT - unfrozen;
		Balances::set_lock(*b"vesting_", &REQUESTER, frozen, WithdrawReasons::all());
		assert_noop!(request(MODEL, 0, 1_001, Balance::MAX), Error::<Test>::FeeNotSpendable);
		assert_ok!(request(MODEL, 0, 600, Balance::MAX));
		// The hold counts towards the freeze, so all of the unfrozen amount looks free again.
		assert_noop!(request(MODEL, 0, 401, Balance::MAX), Error::<Test>::FeeNotSpendable);
		assert_ok!(request(MODEL, 0, 400, Balance::MAX));
		assert_noop!(request(MODEL, 0, 1, Balance::MAX), Error::<Test>::FeeNotSpendable);
		assert_eq!(on_hold(REQUESTER), unfrozen);
		// Asking has left no trace but the two holds.
		assert_eq!(Balances::total_balance_on_hold(&REQUESTER), unfrozen);
	});
}

#[test]
fn request_should_be_refused_when_too_many_are_open() {
	ExtBuilder.build_and_execute(|| {
		let first = ask();
		ask();
		ask();
		assert_noop!(request(MODEL, 100, 50, MOST), Error::<Test>::TooManyOpenRequests);
		assert_ok!(Submission::fitting(first).submit_by(OPERATOR));
		assert_ok!(request(MODEL, 100, 50, MOST));
	});
}

#[test]
fn request_should_be_refused_when_all_numbers_are_used_up() {
	ExtBuilder.build_and_execute(|| {
		NextRequestId::<Test>::put(RequestId(u64::MAX));
		assert_noop!(request(MODEL, 100, 50, MOST), Error::<Test>::RequestIdsExhausted);
	});
}

#[test]
fn request_should_leave_nothing_behind_when_no_worker_is_free() {
	ExtBuilder.build_and_execute(|| {
		assert_noop!(request(LONELY_MODEL, 100, 50, MOST), NO_WORKER);
		for _ in 0..SLOTS {
			ask_by(REQUESTER);
			ask_by(OTHER_REQUESTER);
		}
		assert_noop!(request(MODEL, 100, 50, MOST), NO_WORKER);
		assert_eq!(OpenRequests::<Test>::get(REQUESTER).len(), 2);
	});
}

#[test]
fn request_should_be_refused_when_not_signed() {
	ExtBuilder.build_and_execute(|| {
		for origin in [RuntimeOrigin::root(), RuntimeOrigin::none()] {
			assert_noop!(
				Inference::request_inference(origin, MODEL, bytes("why?"), 100, 50, MOST),
				DispatchError::BadOrigin
			);
		}
	});
}

#[test]
fn prices_should_be_those_of_the_request_when_they_change_before_the_answer() {
	ExtBuilder.build_and_execute(|| {
		let id = ask();
		let mut models = Models::get();
		models.insert(MODEL, (BASE, OTHER_REQUESTER, 1_000_000, 1_000_000));
		Models::set(&models);
		assert_ok!(Submission::fitting(id).submit_by(OPERATOR));
		assert_eq!(Settled::get()[&id], 220);
	});
}

#[test]
fn answer_should_be_paid_when_the_model_was_withdrawn_after_the_request() {
	ExtBuilder.build_and_execute(|| {
		let id = ask();
		Models::set(&Default::default());
		assert_ok!(Submission::fitting(id).submit_by(OPERATOR));
		assert_eq!(Settled::get()[&id], 220);
	});
}
