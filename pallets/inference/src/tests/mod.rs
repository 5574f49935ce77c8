//! Tests by topic.

mod authorisation;
mod conservation;
mod deadlines;
mod offchain;
mod requests;
mod results;
mod views;

use crate::{mock::*, types::*, Call, HoldReason};
use frame_support::{assert_ok, traits::fungible::InspectHold};
use frame_system::RawOrigin;
use openledger_pallet_support::operator::testing::{no_signature, NumberedSignature};
use openledger_primitives::{
	claim::AttributionClaim,
	content::{content_hash, Content, ContentBytes, MAX_CONTENT_BYTES},
	jobs::FailureReason,
	receipt::{ExecutionMode, InferenceReceipt},
	RequestId, H256,
};
use sp_runtime::DispatchResult;

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
			spans: Default::default(),
			shares: Default::default(),
		};
		Self { receipt, answer, claim }
	}

	/// What the authorised transaction of an operator does.
	fn submit_by(self, operator: AccountId) -> DispatchResult {
		let request = self.claim.request;
		self.submit_to(request, operator)
	}

	fn submit_to(self, request: RequestId, operator: AccountId) -> DispatchResult {
		Inference::submit_result(
			RawOrigin::Authorized.into(),
			request,
			self.receipt,
			self.answer,
			self.claim,
			operator,
			no_signature(),
		)
	}

	/// The call as the operator signs it.
	fn signed_by(self, operator: AccountId) -> Call<Test> {
		let Self { receipt, answer, claim } = self;
		let request = claim.request;
		let message = Inference::result_message(request, &receipt, &answer, &claim);
		let signature = NumberedSignature::by(operator, message);
		Call::submit_result { request, receipt, answer, claim, operator, signature }
	}
}

/// What the authorised transaction of an operator that has no answer does.
fn fail(request: RequestId, reason: FailureReason, operator: AccountId) -> DispatchResult {
	let origin = RawOrigin::Authorized.into();
	Inference::report_failure(origin, request, reason, operator, no_signature())
}

/// The failure as the operator signs it.
fn failure_signed_by(operator: AccountId, request: RequestId) -> Call<Test> {
	let reason = FailureReason::EngineFault;
	let message = Inference::failure_message(request, reason);
	let signature = NumberedSignature::by(operator, message);
	Call::report_failure { request, reason, operator, signature }
}

fn on_hold(who: AccountId) -> Balance {
	Balances::balance_on_hold(&HoldReason::InferenceFee.into(), &who)
}

fn phase(request: RequestId) -> Phase<AccountId, u64> {
	Inference::request(request).unwrap().phase
}
