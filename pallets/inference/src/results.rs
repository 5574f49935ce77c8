//! What an operator says about a job: the answer, or that there is none.

use crate::{pallet::*, requests::*, types::*};
use frame_support::ensure;
use openledger_primitives::{
	claim::AttributionClaim,
	content::{content_hash, Content},
	jobs::{FailureReason, JobOutcome},
	receipt::InferenceReceipt,
	traits::{PaidAnswer, Settlement, WorkerPool},
	RequestId,
};
use sp_runtime::{ArithmeticError, DispatchError, DispatchResult};

impl<T: Config> Pallet<T> {
	pub(crate) fn do_submit_result(
		operator: &T::AccountId,
		id: RequestId,
		receipt: InferenceReceipt,
		answer: Content,
		claim: AttributionClaim,
	) -> DispatchResult {
		let (request, job) = Self::reportable(id, operator)?;
		Self::ensure_receipt_fits(id, &request, &receipt)?;
		Self::ensure_answer_fits(&receipt, &answer, &claim)?;

		let fee = request
			.prices
			.fee(receipt.input_tokens, receipt.output_tokens)
			.ok_or(Error::<T>::FeeOverflow)?;
		// No more tokens than the maxima never cost more than the maxima.
		let refunded = job.held.checked_sub(fee).ok_or(ArithmeticError::Underflow)?;
		Self::release_fee(&request.requester, job.held)?;
		let paid = PaidAnswer {
			request: id,
			model: request.model,
			model_owner: request.model_owner.clone(),
			host: job.worker.clone(),
			payer: request.requester.clone(),
			fee,
		};
		T::Settlement::settle(paid, &claim).map_err(Into::into)?;

		if let Content::Bytes(bytes) = answer {
			Answers::<T>::insert(id, bytes);
		}
		let delivery = Delivery {
			worker: job.worker.clone(),
			answer_hash: receipt.answer_hash,
			input_tokens: receipt.input_tokens,
			output_tokens: receipt.output_tokens,
			mode: receipt.mode,
			fee,
			at: Self::now(),
		};
		Self::end(id, request, &job.worker, JobOutcome::Delivered, Phase::Answered(delivery));
		Self::deposit_event(Event::RequestAnswered {
			request: id,
			worker: job.worker,
			answer_hash: receipt.answer_hash,
			fee,
			refunded,
		});
		Ok(())
	}

	pub(crate) fn do_report_failure(
		operator: &T::AccountId,
		id: RequestId,
		reason: FailureReason,
	) -> DispatchResult {
		let (request, job) = Self::reportable(id, operator)?;
		Self::release_fee(&request.requester, job.held)?;
		let failed = Phase::Failed { worker: job.worker.clone(), reason, at: Self::now() };
		Self::end(id, request, &job.worker, JobOutcome::Released, failed);
		Self::deposit_event(Event::RequestFailed {
			request: id,
			worker: job.worker,
			reason,
			refunded: job.held,
		});
		Ok(())
	}

	/// A request on which the operator may report: it signs for the worker, which still has time.
	pub(crate) fn reportable(
		id: RequestId,
		operator: &T::AccountId,
	) -> Result<(RequestOf<T>, JobOf<T>), DispatchError> {
		let (request, job) = Self::assigned(id)?;
		ensure!(T::Workers::is_operator(&job.worker, operator), Error::<T>::NotOperator);
		ensure!(Self::now() <= job.answer_by, Error::<T>::TooLate);
		Ok((request, job))
	}

	/// The receipt is about this request and within what it allows.
	fn ensure_receipt_fits(
		id: RequestId,
		request: &RequestOf<T>,
		receipt: &InferenceReceipt,
	) -> DispatchResult {
		ensure!(receipt.request == id, Error::<T>::ReceiptForOtherRequest);
		ensure!(receipt.model == request.model, Error::<T>::ReceiptForOtherModel);
		ensure!(receipt.prompt_hash == request.prompt_hash, Error::<T>::ReceiptForOtherPrompt);
		ensure!(receipt.input_tokens <= request.max_input_tokens, Error::<T>::TooManyInputTokens);
		ensure!(
			receipt.output_tokens <= request.max_output_tokens,
			Error::<T>::TooManyOutputTokens
		);
		Ok(())
	}

	/// Receipt and claim are about this answer. Whether the claim is about this request and model, and
	/// whether it is true, the settlement decides.
	fn ensure_answer_fits(
		receipt: &InferenceReceipt,
		answer: &Content,
		claim: &AttributionClaim,
	) -> DispatchResult {
		let answer_hash = answer.hash();
		ensure!(receipt.answer_hash == answer_hash, Error::<T>::ReceiptForOtherAnswer);
		ensure!(claim.answer_hash == answer_hash, Error::<T>::ClaimForOtherAnswer);
		let is_empty = answer_hash == content_hash(&[]);
		ensure!(is_empty == (receipt.output_tokens == 0), Error::<T>::TokensContradictAnswer);
		Ok(())
	}
}
