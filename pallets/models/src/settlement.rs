//! How a delivered result ends: settled, disputed, judged.

use crate::{
	escrow::TrainingJobOf,
	pallet::*,
	types::{Dispute, DisputeReason, Phase, Verdict},
};
use frame_support::{ensure, traits::Get};
use openledger_primitives::{
	jobs::JobOutcome, training::TrainingResult, traits::WorkerPool, TrainingJobId, H256,
};
use sp_runtime::{traits::Saturating, DispatchResult};

impl<T: Config> Pallet<T> {
	pub(crate) fn do_dispute_training(
		who: T::AccountId,
		id: TrainingJobId,
		reason: DisputeReason,
		evidence: H256,
	) -> DispatchResult {
		let job = Self::existing_job(id)?;
		let Phase::Delivered { worker, result, .. } = &job.phase else {
			return Err(Error::<T>::WrongPhase.into());
		};
		ensure!(who == job.creator, Error::<T>::NotCreator);
		Self::ensure_in_time(&job)?;
		let bond = T::DisputeBond::get();
		Self::hold_bond(&who, bond)?;
		let since = Self::now();
		let decide_by = since.saturating_add(T::DecisionPeriod::get());
		let phase = Phase::Disputed {
			worker: worker.clone(),
			result: *result,
			dispute: Dispute { reason, evidence, bond, since },
			decide_by,
		};
		Self::set_phase(id, job, phase);
		Self::deposit_event(Event::TrainingDisputed { job: id, reason, evidence, decide_by });
		Ok(())
	}

	pub(crate) fn do_resolve_dispute(id: TrainingJobId, upheld: bool) -> DispatchResult {
		let job = Self::existing_job(id)?;
		let Phase::Disputed { worker, result, dispute, .. } = job.phase.clone() else {
			return Err(Error::<T>::WrongPhase.into());
		};
		Self::ensure_in_time(&job)?;
		if upheld {
			Self::deposit_event(Event::DisputeEnded { job: id, verdict: Verdict::Upheld });
			Self::return_bond(&job.creator, dispute.bond)?;
			Self::refute(id, job, worker)
		} else {
			Self::deposit_event(Event::DisputeEnded { job: id, verdict: Verdict::Rejected });
			Self::forfeit_bond(&job.creator, &worker, dispute.bond)?;
			Self::settle(id, job, worker, result)
		}
	}

	pub(crate) fn do_settle_training(id: TrainingJobId) -> DispatchResult {
		let job = Self::existing_job(id)?;
		ensure!(matches!(job.phase, Phase::Delivered { .. }), Error::<T>::WrongPhase);
		Self::fall_due(id, job)
	}

	/// Nobody decided: the result stands, and nobody is punished.
	pub(crate) fn settle_undecided(
		id: TrainingJobId,
		job: TrainingJobOf<T>,
		worker: T::AccountId,
		result: TrainingResult,
		dispute: Dispute<frame_system::pallet_prelude::BlockNumberFor<T>>,
	) -> DispatchResult {
		Self::deposit_event(Event::DisputeEnded { job: id, verdict: Verdict::Undecided });
		Self::return_bond(&job.creator, dispute.bond)?;
		Self::settle(id, job, worker, result)
	}

	/// Pays the worker and registers the model.
	pub(crate) fn settle(
		id: TrainingJobId,
		job: TrainingJobOf<T>,
		worker: T::AccountId,
		result: TrainingResult,
	) -> DispatchResult {
		Self::pay_worker(&job, &worker)?;
		let model = Self::create_model(id, &job, result)?;
		T::Workers::release(&worker, JobOutcome::Delivered);
		let paid = job.order.budget;
		let at = Self::now();
		let forget_at = Self::forget_at(at);
		Self::set_phase(id, job, Phase::Settled { worker: worker.clone(), model, at, forget_at });
		Self::deposit_event(Event::TrainingSettled { job: id, worker, model, paid });
		Ok(())
	}

	/// The result was judged false: the budget goes back and the worker answers for it.
	fn refute(id: TrainingJobId, job: TrainingJobOf<T>, worker: T::AccountId) -> DispatchResult {
		Self::refund_escrow(id, &job)?;
		T::Workers::release(&worker, JobOutcome::Faulty);
		let at = Self::now();
		Self::set_phase(
			id,
			job,
			Phase::Refuted { worker: worker.clone(), at, forget_at: Self::forget_at(at) },
		);
		Self::deposit_event(Event::TrainingRefuted { job: id, worker });
		Ok(())
	}
}
