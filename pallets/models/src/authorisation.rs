//! Whether a report is let into a pool or a block: only if its call would succeed.
//!
//! What is cheap to find out is found out first, then the signature is verified, and only then the
//! call is tried out, so that nobody but the operator of a job under way can make nodes work.

use crate::{escrow::TrainingJobOf, pallet::*};
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
		let (job, _) = Self::startable(id, attempt, operator).map_err(Self::keep_out)?;
		let message = Self::start_message(id, attempt);
		operator::ensure_signed_by(operator, message, signature)?;
		Self::rehearse_start(operator, id, attempt).map_err(Self::keep_out)?;
		Self::admit(id, &job, Stage::Start)
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
		let (job, _) = Self::startable(id, attempt, operator).map_err(Self::keep_out)?;
		let message = Self::decline_message(id, attempt, reason);
		operator::ensure_signed_by(operator, message, signature)?;
		Self::rehearse_decline(operator, id, attempt, reason).map_err(Self::keep_out)?;
		Self::admit(id, &job, Stage::Start)
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
		let (job, _) = Self::deliverable(id, attempt, operator).map_err(Self::keep_out)?;
		let message = Self::delivery_message(id, attempt, result);
		operator::ensure_signed_by(operator, message, signature)?;
		Self::rehearse_delivery(operator, id, attempt, *result).map_err(Self::keep_out)?;
		Self::admit(id, &job, Stage::Delivery)
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

	/// Lets a report in, for the blocks before the job's deadline.
	fn admit(
		id: TrainingJobId,
		job: &TrainingJobOf<T>,
		stage: Stage,
	) -> TransactionValidityWithRefund {
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
