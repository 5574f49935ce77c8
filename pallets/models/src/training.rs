//! The life of a training job up to delivery: request, assignment, start, decline, cancellation.

use crate::{
	escrow::TrainingJobOf,
	pallet::*,
	types::{Phase, TimeoutCause, TrainingJob, TrainingOrder},
};
use codec::Encode;
use frame_support::{ensure, storage::with_storage_layer, traits::Get};
use frame_system::pallet_prelude::BlockNumberFor;
use openledger_primitives::{
	jobs::{FailureReason, JobKind, JobOutcome},
	training::TrainingResult,
	traits::{Assignment, WorkerPool},
	TrainingJobId,
};
use sp_runtime::{traits::Saturating, DispatchError, DispatchResult};

impl<T: Config> Pallet<T> {
	pub(crate) fn do_request_training(
		creator: T::AccountId,
		order: TrainingOrder<BlockNumberFor<T>>,
	) -> Result<TrainingJobId, DispatchError> {
		ensure!(order.budget >= T::MinTrainingBudget::get(), Error::<T>::BudgetTooSmall);
		ensure!(
			order.training_blocks >= T::MinTrainingPeriod::get()
				&& order.training_blocks <= T::MaxTrainingPeriod::get(),
			Error::<T>::TrainingPeriodOutOfRange
		);
		Self::check_eligibility(
			&creator,
			order.base,
			&order.sources,
			order.commercial,
			&order.licence,
		)
		.map_err(Self::refuse)?;

		let id = NextTrainingJobId::<T>::try_mutate(|next| {
			let id = *next;
			*next = id.next().ok_or(Error::<T>::IdsUsedUp)?;
			Ok::<_, DispatchError>(id)
		})?;
		Self::open_escrow(id, &creator, order.budget)?;
		Self::use_base_model(order.base);
		JobsOf::<T>::insert(&creator, id, ());
		Self::deposit_event(Event::TrainingRequested {
			job: id,
			creator: creator.clone(),
			base: order.base,
			budget: order.budget,
		});

		let now = Self::now();
		let expires_at = now.saturating_add(T::OpenPeriod::get());
		let job = TrainingJob {
			creator,
			order,
			requested_at: now,
			assignments: 0,
			phase: Phase::Open { expires_at },
		};
		Self::assign_or_leave_open(id, job);
		Ok(id)
	}

	pub(crate) fn do_assign_training(id: TrainingJobId) -> DispatchResult {
		let job = Self::existing_job(id)?;
		ensure!(matches!(job.phase, Phase::Open { .. }), Error::<T>::WrongPhase);
		Self::ensure_in_time(&job)?;
		let assignment = Self::find_worker(id, &job)?;
		Self::assign(id, job, assignment);
		Ok(())
	}

	/// A job that an operator may start or decline, with its worker.
	pub(crate) fn startable(
		id: TrainingJobId,
		attempt: u32,
		operator: &T::AccountId,
	) -> Result<(TrainingJobOf<T>, T::AccountId), DispatchError> {
		let job = Self::existing_job(id)?;
		let Phase::Assigned { worker, .. } = &job.phase else {
			return Err(Error::<T>::WrongPhase.into());
		};
		let worker = worker.clone();
		Self::ensure_may_report(&job, &worker, attempt, operator)?;
		Ok((job, worker))
	}

	/// A job whose result an operator may deliver, or give up, with its worker.
	pub(crate) fn deliverable(
		id: TrainingJobId,
		attempt: u32,
		operator: &T::AccountId,
	) -> Result<(TrainingJobOf<T>, T::AccountId), DispatchError> {
		let job = Self::existing_job(id)?;
		let Phase::Running { worker, .. } = &job.phase else {
			return Err(Error::<T>::WrongPhase.into());
		};
		let worker = worker.clone();
		Self::ensure_may_report(&job, &worker, attempt, operator)?;
		Ok((job, worker))
	}

	/// The operator signs for the worker, means this attempt, and still has time.
	fn ensure_may_report(
		job: &TrainingJobOf<T>,
		worker: &T::AccountId,
		attempt: u32,
		operator: &T::AccountId,
	) -> DispatchResult {
		ensure!(job.assignments == attempt, Error::<T>::WrongAttempt);
		ensure!(T::Workers::is_operator(worker, operator), Error::<T>::NotOperator);
		Self::ensure_in_time(job)
	}

	pub(crate) fn do_start_training(
		operator: &T::AccountId,
		id: TrainingJobId,
		attempt: u32,
	) -> DispatchResult {
		let (job, worker) = Self::startable(id, attempt, operator)?;
		let deliver_by = Self::now().saturating_add(job.order.training_blocks);
		Self::set_phase(id, job, Phase::Running { worker: worker.clone(), deliver_by });
		Self::deposit_event(Event::TrainingStarted { job: id, worker, deliver_by });
		Ok(())
	}

	pub(crate) fn do_decline_training(
		operator: &T::AccountId,
		id: TrainingJobId,
		attempt: u32,
		reason: FailureReason,
	) -> DispatchResult {
		let (job, worker) = Self::startable(id, attempt, operator)?;
		T::Workers::release(&worker, JobOutcome::Released);
		Self::deposit_event(Event::TrainingDeclined { job: id, worker, reason });
		if job.assignments >= T::MaxAssignments::get() {
			return Self::time_out(id, job, TimeoutCause::AttemptsUsedUp);
		}
		// Not assigned again at once: with few workers free it would be the same one, who just said
		// that it cannot.
		let expires_at = Self::now().saturating_add(T::OpenPeriod::get());
		Self::set_phase(id, job, Phase::Open { expires_at });
		Ok(())
	}

	pub(crate) fn do_deliver_training(
		operator: &T::AccountId,
		id: TrainingJobId,
		attempt: u32,
		result: TrainingResult,
	) -> DispatchResult {
		let (job, worker) = Self::deliverable(id, attempt, operator)?;
		ensure!(!result.adapter_hash.is_zero(), Error::<T>::EmptyResult);
		let settle_at = Self::now().saturating_add(T::ChallengePeriod::get());
		Self::set_phase(id, job, Phase::Delivered { worker: worker.clone(), result, settle_at });
		Self::deposit_event(Event::TrainingDelivered { job: id, worker, result, settle_at });
		Ok(())
	}

	pub(crate) fn do_report_failure(
		operator: &T::AccountId,
		id: TrainingJobId,
		attempt: u32,
		reason: FailureReason,
	) -> DispatchResult {
		let (job, worker) = Self::deliverable(id, attempt, operator)?;
		Self::refund_escrow(id, &job)?;
		T::Workers::release(&worker, outcome_of(reason));
		let at = Self::now();
		let forget_at = Self::forget_at(at);
		Self::set_phase(id, job, Phase::Failed { worker: worker.clone(), reason, at, forget_at });
		Self::deposit_event(Event::TrainingFailed { job: id, worker, reason });
		Ok(())
	}

	pub(crate) fn do_cancel_training(who: T::AccountId, id: TrainingJobId) -> DispatchResult {
		let job = Self::existing_job(id)?;
		ensure!(
			matches!(job.phase, Phase::Open { .. } | Phase::Assigned { .. }),
			Error::<T>::WrongPhase
		);
		ensure!(who == job.creator, Error::<T>::NotCreator);
		Self::ensure_in_time(&job)?;
		if let Some(worker) = job.phase.assigned_worker() {
			T::Workers::release(worker, JobOutcome::Released);
		}
		Self::refund_escrow(id, &job)?;
		let at = Self::now();
		Self::set_phase(id, job, Phase::Cancelled { at, forget_at: Self::forget_at(at) });
		Self::deposit_event(Event::TrainingCancelled { job: id });
		Ok(())
	}

	/// The worker did not start in time: a strike, and the next worker.
	pub(crate) fn replace_worker(
		id: TrainingJobId,
		mut job: TrainingJobOf<T>,
		late: T::AccountId,
	) -> DispatchResult {
		T::Workers::release(&late, JobOutcome::TimedOut);
		Self::deposit_event(Event::StartMissed { job: id, worker: late });
		if job.assignments >= T::MaxAssignments::get() {
			return Self::time_out(id, job, TimeoutCause::AttemptsUsedUp);
		}
		Self::leave_phase(id, &job.phase);
		let expires_at = Self::now().saturating_add(T::OpenPeriod::get());
		job.phase = Phase::Open { expires_at };
		Self::assign_or_leave_open(id, job);
		Ok(())
	}

	/// Ends a job without a result: the budget goes back.
	pub(crate) fn time_out(
		id: TrainingJobId,
		job: TrainingJobOf<T>,
		cause: TimeoutCause<T::AccountId>,
	) -> DispatchResult {
		Self::refund_escrow(id, &job)?;
		let at = Self::now();
		let forget_at = Self::forget_at(at);
		Self::set_phase(id, job, Phase::TimedOut { cause: cause.clone(), at, forget_at });
		Self::deposit_event(Event::TrainingTimedOut { job: id, cause });
		Ok(())
	}

	/// Assigns a worker to an open job, or stores it as it is when none is free.
	fn assign_or_leave_open(id: TrainingJobId, job: TrainingJobOf<T>) {
		match Self::find_worker(id, &job) {
			Ok(assignment) => Self::assign(id, job, assignment),
			Err(_) => {
				let phase = job.phase.clone();
				Self::set_phase(id, job, phase);
			},
		}
	}

	/// Takes a slot of a worker for the job's next attempt, or says why there is none.
	fn find_worker(
		id: TrainingJobId,
		job: &TrainingJobOf<T>,
	) -> Result<Assignment<T::AccountId>, DispatchError> {
		let attempt = job.assignments.saturating_add(1);
		let subject = (b"train", id, attempt).encode();
		// In its own layer, because the request goes on when the pool refuses.
		with_storage_layer(|| {
			T::Workers::assign(JobKind::Training, job.order.base, &subject).map_err(Into::into)
		})
	}

	/// Gives an open job to the worker that was found for it.
	fn assign(
		id: TrainingJobId,
		mut job: TrainingJobOf<T>,
		Assignment { worker, operator }: Assignment<T::AccountId>,
	) {
		let attempt = job.assignments.saturating_add(1);
		let start_by = Self::now().saturating_add(T::StartPeriod::get());
		job.assignments = attempt;
		Self::set_phase(id, job, Phase::Assigned { worker: worker.clone(), start_by });
		Self::deposit_event(Event::TrainingAssigned {
			job: id,
			worker,
			operator,
			attempt,
			start_by,
		});
	}
}

/// How a job ends for a worker that started it and gives it up. To start is to say that all that the
/// job needs is there; only what an order asks may turn out to be impossible later.
fn outcome_of(reason: FailureReason) -> JobOutcome {
	match reason {
		FailureReason::SpecificationUnusable => JobOutcome::Released,
		FailureReason::ModelUnavailable
		| FailureReason::PromptUnavailable
		| FailureReason::PromptTooLong
		| FailureReason::EngineFault
		| FailureReason::DataUnavailable => JobOutcome::TimedOut,
	}
}
