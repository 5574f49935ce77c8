//! One agenda for every deadline of every job.

use crate::{
	escrow::TrainingJobOf,
	pallet::*,
	types::{Phase, TimeoutCause},
	weights::WeightInfo,
};
use frame_support::{
	ensure,
	storage::with_storage_layer,
	traits::Get,
	weights::{Weight, WeightMeter},
};
use frame_system::pallet_prelude::BlockNumberFor;
use openledger_pallet_support::agenda;
use openledger_primitives::{jobs::JobOutcome, traits::WorkerPool, TrainingJobId};
use sp_runtime::{traits::Saturating, DispatchError, DispatchResult};

impl<T: Config> Pallet<T> {
	/// The current block.
	pub(crate) fn now() -> BlockNumberFor<T> {
		frame_system::Pallet::<T>::block_number()
	}

	/// When the record of a job that ends at `at` goes.
	pub(crate) fn forget_at(at: BlockNumberFor<T>) -> BlockNumberFor<T> {
		at.saturating_add(T::RetentionPeriod::get())
	}

	/// A job that exists.
	pub(crate) fn existing_job(id: TrainingJobId) -> Result<TrainingJobOf<T>, DispatchError> {
		Ok(Jobs::<T>::get(id).ok_or(Error::<T>::UnknownJob)?)
	}

	/// The job's deadline has not come.
	pub(crate) fn ensure_in_time(job: &TrainingJobOf<T>) -> DispatchResult {
		ensure!(Self::now() < job.phase.deadline(), Error::<T>::TooLate);
		Ok(())
	}

	/// Takes a job out of the indexes in which its phase stands.
	pub(crate) fn leave_phase(id: TrainingJobId, phase: &Phase<T::AccountId, BlockNumberFor<T>>) {
		Agenda::<T>::remove(phase.deadline(), id);
		if let Some(worker) = phase.reporting_worker() {
			PendingFor::<T>::remove(worker, id);
		}
	}

	/// Moves a job to a phase, its agenda entry to the phase's deadline, and itself to the worker that
	/// is to report on it. The only place where a job is written.
	pub(crate) fn set_phase(
		id: TrainingJobId,
		mut job: TrainingJobOf<T>,
		phase: Phase<T::AccountId, BlockNumberFor<T>>,
	) {
		Self::leave_phase(id, &job.phase);
		Agenda::<T>::insert(phase.deadline(), id, ());
		if let Some(worker) = phase.reporting_worker() {
			PendingFor::<T>::insert(worker, id, ());
		}
		job.phase = phase;
		Jobs::<T>::insert(id, job);
	}

	pub(crate) fn do_expire_training(id: TrainingJobId) -> DispatchResult {
		let job = Self::existing_job(id)?;
		ensure!(!matches!(job.phase, Phase::Delivered { .. }), Error::<T>::WrongPhase);
		Self::fall_due(id, job)
	}

	/// Moves a job on whose deadline has come.
	pub(crate) fn fall_due(id: TrainingJobId, job: TrainingJobOf<T>) -> DispatchResult {
		ensure!(Self::now() >= job.phase.deadline(), Error::<T>::TooEarly);
		match job.phase.clone() {
			Phase::Open { .. } => Self::time_out(id, job, TimeoutCause::NoWorker),
			Phase::Assigned { worker, .. } => Self::replace_worker(id, job, worker),
			Phase::Running { worker, .. } => {
				T::Workers::release(&worker, JobOutcome::TimedOut);
				Self::time_out(id, job, TimeoutCause::NotDelivered { worker })
			},
			Phase::Delivered { worker, result, .. } => Self::settle(id, job, worker, result),
			Phase::Disputed { worker, result, dispute, .. } => {
				Self::settle_undecided(id, job, worker, result, dispute)
			},
			Phase::Settled { .. }
			| Phase::TimedOut { .. }
			| Phase::Cancelled { .. }
			| Phase::Refuted { .. }
			| Phase::Failed { .. } => {
				Self::forget(id, job);
				Ok(())
			},
		}
	}

	/// Serves what is due with the weight a block has left.
	pub(crate) fn serve_agenda(now: BlockNumberFor<T>, limit: Weight) -> Weight {
		let mut meter = WeightMeter::with_limit(limit);
		if meter.try_consume(T::WeightInfo::agenda_base()).is_err() {
			return meter.consumed();
		}
		agenda::serve_due::<Agenda<T>, AgendaCursor<T>, _, _>(
			now,
			&mut meter,
			T::WeightInfo::agenda_block(),
			T::WeightInfo::agenda_entry(),
			Self::serve,
		);
		meter.consumed()
	}

	/// Moves one job on, or, if that fails, leaves it as it was and tries again later: a failure
	/// must not leave a job without an agenda entry.
	fn serve(id: TrainingJobId) {
		let outcome = with_storage_layer::<_, DispatchError, _>(|| {
			let job = Self::existing_job(id)?;
			Self::fall_due(id, job)
		});
		let Err(error) = outcome else { return };
		let Some(job) = Jobs::<T>::get(id) else { return };
		log::error!(target: crate::LOG_TARGET, "training job {id:?} is due and cannot end: {error:?}");
		let until = Self::now().saturating_add(T::StartPeriod::get());
		let phase = job.phase.clone().with_deadline(until);
		Self::set_phase(id, job, phase);
		Self::deposit_event(Event::TrainingPostponed { job: id, until, error });
	}

	/// Removes the record of a job that ended long enough ago.
	fn forget(id: TrainingJobId, job: TrainingJobOf<T>) {
		Self::leave_phase(id, &job.phase);
		Jobs::<T>::remove(id);
		JobsOf::<T>::remove(&job.creator, id);
		Self::leave_base_model(job.order.base);
		Self::deposit_event(Event::TrainingForgotten { job: id });
	}
}
