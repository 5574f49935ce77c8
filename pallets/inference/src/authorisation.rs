//! Whether a report is let into a pool or a block: only if its call would succeed.
//!
//! What is cheap to find out is found out first, then the signature is verified, and only then the
//! call is tried out, so that nobody but the operator of an open request can make nodes work.

use crate::pallet::*;
use codec::Encode;
use frame_support::pallet_prelude::*;
use openledger_pallet_support::operator::{self, refusal};
use openledger_primitives::{
	claim::AttributionClaim, content::Content, jobs::FailureReason, receipt::InferenceReceipt,
	RequestId, H256,
};
use sp_runtime::traits::{One, Saturating, UniqueSaturatedInto};

/// Tells this pallet's reports apart from everybody else's transactions in a pool.
const TAG: &str = "OpenLedgerInference";

impl<T: Config> Pallet<T> {
	/// What an operator signs to deliver an answer.
	pub fn result_message(
		request: RequestId,
		receipt: &InferenceReceipt,
		answer: &Content,
		claim: &AttributionClaim,
	) -> H256 {
		operator::message::<T>("inference.submit_result", &(request, receipt, answer, claim))
	}

	/// What an operator signs to say that there is no answer.
	pub fn failure_message(request: RequestId, reason: FailureReason) -> H256 {
		operator::message::<T>("inference.report_failure", &(request, reason))
	}

	pub(crate) fn authorise_result(
		_: TransactionSource,
		request: &RequestId,
		receipt: &InferenceReceipt,
		answer: &Content,
		claim: &AttributionClaim,
		operator: &T::AccountId,
		signature: &T::OperatorSignature,
	) -> TransactionValidityWithRefund {
		let message = || Self::result_message(*request, receipt, answer, claim);
		Self::authorise(*request, operator, message, signature, || {
			Self::rehearse_result(operator, *request, receipt, answer, claim)
		})
	}

	pub(crate) fn authorise_failure(
		_: TransactionSource,
		request: &RequestId,
		reason: &FailureReason,
		operator: &T::AccountId,
		signature: &T::OperatorSignature,
	) -> TransactionValidityWithRefund {
		let message = || Self::failure_message(*request, *reason);
		Self::authorise(*request, operator, message, signature, || {
			Self::rehearse_failure(operator, *request, *reason)
		})
	}

	/// Whether the chain would take an answer now.
	pub(crate) fn rehearse_result(
		operator: &T::AccountId,
		request: RequestId,
		receipt: &InferenceReceipt,
		answer: &Content,
		claim: &AttributionClaim,
	) -> DispatchResult {
		let (receipt, answer, claim) = (receipt.clone(), answer.clone(), claim.clone());
		operator::rehearse(|| Self::do_submit_result(operator, request, receipt, answer, claim))
	}

	/// Whether the chain would take a failure now.
	pub(crate) fn rehearse_failure(
		operator: &T::AccountId,
		request: RequestId,
		reason: FailureReason,
	) -> DispatchResult {
		operator::rehearse(|| Self::do_report_failure(operator, request, reason))
	}

	fn authorise(
		request: RequestId,
		operator: &T::AccountId,
		message: impl FnOnce() -> H256,
		signature: &T::OperatorSignature,
		rehearsal: impl FnOnce() -> DispatchResult,
	) -> TransactionValidityWithRefund {
		let (_, job) = Self::reportable(request, operator).map_err(Self::refuse)?;
		operator::ensure_signed_by(operator, message(), signature)?;
		rehearsal().map_err(Self::refuse)?;
		// This block and those up to the last one for the answer.
		let blocks = job.answer_by.saturating_sub(Self::now()).saturating_add(One::one());
		operator::admit(TAG, request.encode(), blocks.unique_saturated_into())
	}

	fn refuse(error: DispatchError) -> TransactionValidityError {
		operator::refuse::<Self, Error<T>>(error, |error| match error {
			Error::UnknownRequest => refusal::UNKNOWN_JOB,
			Error::RequestEnded => refusal::WRONG_PHASE,
			Error::NotOperator => refusal::NOT_OPERATOR,
			Error::TooLate => refusal::TOO_LATE,
			Error::ReceiptForOtherRequest
			| Error::ReceiptForOtherModel
			| Error::ReceiptForOtherPrompt
			| Error::ReceiptForOtherAnswer => refusal::RECEIPT_MISFIT,
			Error::ClaimForOtherAnswer => refusal::CLAIM_MISFIT,
			Error::TooManyInputTokens | Error::TooManyOutputTokens => refusal::TOO_MANY_TOKENS,
			Error::TokensContradictAnswer => refusal::TOKENS_CONTRADICT_ANSWER,
			_ => refusal::OTHER,
		})
	}
}
