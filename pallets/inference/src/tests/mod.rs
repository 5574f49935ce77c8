//! Tests by topic.

mod conservation;
mod deadlines;
mod requests;
mod results;
mod views;

use crate::{mock::*, types::*, HoldReason};
use frame_support::{assert_ok, traits::fungible::InspectHold};
use openledger_primitives::{
	claim::AttributionClaim,
	receipt::{content_hash, ExecutionMode, InferenceReceipt},
	RequestId, H256,
};

/// The fee for 100 tokens of prompt and 50 of answer.
const MOST: Balance = 700;

fn bytes(text: &str) -> Content {
	Content::Bytes(text.as_bytes().to_vec().try_into().unwrap())
}

/// `who` asks `MODEL` for at most 50 tokens, with a prompt of at most 100.
fn ask_by(who: AccountId) -> RequestId {
	let id = crate::NextRequestId::<Test>::get();
	assert_ok!(Inference::request_inference(
		RuntimeOrigin::signed(who),
		MODEL,
		bytes("why?"),
		100,
		50,
		MOST
	));
	id
}

fn ask() -> RequestId {
	ask_by(REQUESTER)
}

/// What an operator submits.
#[derive(Clone, Debug)]
struct Submission {
	receipt: InferenceReceipt,
	answer: Content,
	claim: AttributionClaim,
}

impl Submission {
	/// An answer of 20 tokens to [`ask`]'s prompt of 10. It costs 220.
	fn fitting(request: RequestId) -> Self {
		let answer = bytes("because.");
		let receipt = InferenceReceipt {
			request,
			model: MODEL,
			prompt_hash: bytes("why?").hash(),
			answer_hash: answer.hash(),
			input_tokens: 10,
			output_tokens: 20,
			mode: ExecutionMode::Deterministic,
		};
		let claim = AttributionClaim {
			request,
			model: MODEL,
			answer_hash: answer.hash(),
			evidence_root: H256::zero(),
			shares: Default::default(),
		};
		Self { receipt, answer, claim }
	}

	fn submit_by(self, operator: AccountId) -> frame_support::dispatch::DispatchResultWithPostInfo {
		let request = self.claim.request;
		self.submit_to(request, operator)
	}

	fn submit_to(
		self,
		request: RequestId,
		operator: AccountId,
	) -> frame_support::dispatch::DispatchResultWithPostInfo {
		let origin = RuntimeOrigin::signed(operator);
		Inference::submit_result(origin, request, self.receipt, self.answer, self.claim)
	}
}

fn on_hold(who: AccountId) -> Balance {
	Balances::balance_on_hold(&HoldReason::InferenceFee.into(), &who)
}

fn phase(request: RequestId) -> Phase<AccountId, u64> {
	Inference::request(request).unwrap().phase
}
