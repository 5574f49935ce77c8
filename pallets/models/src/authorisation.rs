//! Whether a report is let into a pool or a block: only if its call would succeed.
//!
//! What is cheap to find out is found out first, then the signature is verified, and only then the
//! call is tried out, so that nobody but the operator of a job under way can make nodes work.

use crate::pallet::*;
use frame_support::pallet_prelude::*;
use openledger_pallet_support::operator::{self, refusal};
use openledger_primitives::{jobs::FailureReason, training::TrainingResult, TrainingJobId, H256};
use sp_runtime::traits::{Saturating, UniqueSaturatedInto};

/// Tells this pallet's reports apart from everybody else's transactions in a pool.
const TAG: &str = "OpenLedgerTraining";

/// Where a job stands when it is reported on: one report of each attempt is valid at each stage.
#[derive(Clone, Copy, Encode)]
enum Stage {
	Start,
	Delivery,
}

impl<T: Config> Pallet<T> {
	/// What an operator signs to start training.
	pub fn start_message(job: TrainingJobId, attempt: u32) -> H256 {
		operator::message::<T>("models.start_training", &(job, attempt))
	}

	/// What an operator signs to decline training.
	pub fn decline_message(job: TrainingJobId, attempt: u32, reason: FailureReason) -> H256 {
		operator::message::<T>("models.decline_training", &(job, attempt, reason))
	}

	/// What an operator signs to give up training that was started.
	pub fn failure_message(job: TrainingJobId, attempt: u32, reason: FailureReason) -> H256 {
		operator::message::<T>("models.report_failure", &(job, attempt, reason))
	}

	/// What an operator signs to deliver a result.
	pub fn delivery_message(job: TrainingJobId, attempt: u32, result: &TrainingResult) -> H256 {
		operator::message::<T>("models.deliver_training", &(job, attempt, result))
	}

	pub(crate) fn authorise_start(
		_: TransactionSource,
		job: &TrainingJobId,
		attempt: &u32,
		operator: &T::AccountId,
		signature: &T::OperatorSignature,
	) -> TransactionValidityWithRefund {
		let (id, attempt) = (*job, *attempt);
		let message = || Self::start_message(id, attempt);
		Self::authorise(Stage::Start, id, attempt, operator, message, signature, || {
			Self::rehearse_start(operator, id, attempt)
		})
	}

	pub(crate) fn authorise_decline(
		_: TransactionSource,
		job: &TrainingJobId,
		attempt: &u32,
		reason: &FailureReason,
		operator: &T::AccountId,
		signature: &T::OperatorSignature,
	) -> TransactionValidityWithRefund {
		let (id, attempt, reason) = (*job, *attempt, *reason);
		let message = || Self::decline_message(id, attempt, reason);
		Self::authorise(Stage::Start, id, attempt, operator, message, signature, || {
			Self::rehearse_decline(operator, id, attempt, reason)
		})
	}

	pub(crate) fn authorise_delivery(
		_: TransactionSource,
		job: &TrainingJobId,
		attempt: &u32,
		result: &TrainingResult,
		operator: &T::AccountId,
		signature: &T::OperatorSignature,
	) -> TransactionValidityWithRefund {
		let (id, attempt) = (*job, *attempt);
		let message = || Self::delivery_message(id, attempt, result);
		Self::authorise(Stage::Delivery, id, attempt, operator, message, signature, || {
			Self::rehearse_delivery(operator, id, attempt, *result)
		})
	}

	pub(crate) fn authorise_failure(
		_: TransactionSource,
		job: &TrainingJobId,
		attempt: &u32,
		reason: &FailureReason,
		operator: &T::AccountId,
		signature: &T::OperatorSignature,
	) -> TransactionValidityWithRefund {
		let (id, attempt, reason) = (*job, *attempt, *reason);
		let message = || Self::failure_message(id, attempt, reason);
		Self::authorise(Stage::Delivery, id, attempt, operator, message, signature, || {
			Self::rehearse_failure(operator, id, attempt, reason)
		})
	}

	/// Whether the chain would take a start now.
	pub(crate) fn rehearse_start(
		operator: &T::AccountId,
		job: TrainingJobId,
		attempt: u32,
	) -> DispatchResult {
		operator::rehearse(|| Self::do_start_training(operator, job, attempt))
	}

	/// Whether the chain would take a refusal of the job now.
	pub(crate) fn rehearse_decline(
		operator: &T::AccountId,
		job: TrainingJobId,
		attempt: u32,
		reason: FailureReason,
	) -> DispatchResult {
		operator::rehearse(|| Self::do_decline_training(operator, job, attempt, reason))
	}

	/// Whether the chain would take a result now.
	pub(crate) fn rehearse_delivery(
		operator: &T::AccountId,
		job: TrainingJobId,
		attempt: u32,
		result: TrainingResult,
	) -> DispatchResult {
		operator::rehearse(|| Self::do_deliver_training(operator, job, attempt, result))
	}

	/// Whether the chain would take a failure now.
	pub(crate) fn rehearse_failure(
		operator: &T::AccountId,
		job: TrainingJobId,
		attempt: u32,
		reason: FailureReason,
	) -> DispatchResult {
		operator::rehearse(|| Self::do_report_failure(operator, job, attempt, reason))
	}

	/// Lets a report in, for the blocks before the job's deadline.
	fn authorise(
		stage: Stage,
		id: TrainingJobId,
		attempt: u32,
		operator: &T::AccountId,
		message: impl FnOnce() -> H256,
		signature: &T::OperatorSignature,
		rehearsal: impl FnOnce() -> DispatchResult,
	) -> TransactionValidityWithRefund {
		let reportable = match stage {
			Stage::Start => Self::startable(id, attempt, operator),
			Stage::Delivery => Self::deliverable(id, attempt, operator),
		};
		let (job, _) = reportable.map_err(Self::keep_out)?;
		operator::ensure_signed_by(operator, message(), signature)?;
		rehearsal().map_err(Self::keep_out)?;
		let blocks = job.phase.deadline().saturating_sub(Self::now());
		operator::admit(TAG, (id, job.assignments, stage), blocks.unique_saturated_into())
	}

	fn keep_out(error: DispatchError) -> TransactionValidityError {
		operator::refuse::<Self, Error<T>>(error, |error| match error {
			Error::UnknownJob => refusal::UNKNOWN_JOB,
			Error::WrongPhase => refusal::WRONG_PHASE,
			Error::WrongAttempt => refusal::WRONG_ATTEMPT,
			Error::NotOperator => refusal::NOT_OPERATOR,
			Error::TooLate => refusal::TOO_LATE,
			Error::EmptyResult => refusal::EMPTY_RESULT,
			_ => refusal::OTHER,
		})
	}
}
