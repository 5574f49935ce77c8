//! What is always true of this pallet's storage.

use crate::{
	pallet::*,
	types::{ModelStatus, Phase},
};
use alloc::collections::{BTreeMap, BTreeSet};
use frame_support::{ensure, traits::fungible::InspectHold};
use openledger_primitives::{receipt::Prices, Balance, BaseModelId, TrainingJobId};
use sp_runtime::TryRuntimeError;

impl<T: Config> Pallet<T> {
	/// Checks every invariant of the pallet.
	pub fn do_try_state() -> Result<(), TryRuntimeError> {
		Self::try_escrow()?;
		Self::try_agenda()?;
		Self::try_jobs()?;
		Self::try_models()?;
		Self::try_base_models()
	}

	/// What is held on a creator's account is what its jobs and disputes say, to the plank.
	fn try_escrow() -> Result<(), TryRuntimeError> {
		let mut expected: BTreeMap<T::AccountId, (Balance, Balance)> = BTreeMap::new();
		for job in Jobs::<T>::iter_values() {
			let (budgets, bonds) = expected.entry(job.creator.clone()).or_default();
			if !job.phase.is_final() {
				*budgets = budgets.saturating_add(job.order.budget);
			}
			if let Phase::Disputed { dispute, .. } = &job.phase {
				*bonds = bonds.saturating_add(dispute.bond);
			}
		}
		for (creator, (budgets, bonds)) in expected {
			ensure!(
				T::Currency::balance_on_hold(&HoldReason::TrainingBudget.into(), &creator)
					== budgets,
				"held budgets are not the budgets of the jobs under way"
			);
			ensure!(
				T::Currency::balance_on_hold(&HoldReason::DisputeBond.into(), &creator) == bonds,
				"held bonds are not the bonds of the open disputes"
			);
		}
		Ok(())
	}

	/// Every job has one agenda entry, at its deadline, where it will be found.
	fn try_agenda() -> Result<(), TryRuntimeError> {
		let cursor = AgendaCursor::<T>::get();
		let mut seen: BTreeSet<TrainingJobId> = BTreeSet::new();
		for (block, id, ()) in Agenda::<T>::iter() {
			ensure!(seen.insert(id), "a job is in the agenda twice");
			ensure!(block >= cursor, "an agenda entry lies behind the cursor");
			let job = Jobs::<T>::get(id).ok_or("an agenda entry without a job")?;
			ensure!(job.phase.deadline() == block, "an agenda entry is not at its job's deadline");
		}
		for id in Jobs::<T>::iter_keys() {
			ensure!(seen.contains(&id), "a job without an agenda entry");
		}
		Ok(())
	}

	fn try_jobs() -> Result<(), TryRuntimeError> {
		let next = NextTrainingJobId::<T>::get();
		let mut jobs: usize = 0;
		let mut pending: BTreeSet<(T::AccountId, TrainingJobId)> = BTreeSet::new();
		for (id, job) in Jobs::<T>::iter() {
			jobs = jobs.saturating_add(1);
			pending.extend(job.phase.reporting_worker().map(|worker| (worker.clone(), id)));
			ensure!(id < next, "a job's number was not given yet");
			ensure!(
				BaseModels::<T>::contains_key(job.order.base),
				"a job on a base model that is gone"
			);
			ensure!(JobsOf::<T>::contains_key(&job.creator, id), "a job missing in its list");
			ensure!(
				job.phase.assigned_worker().is_none() || job.assignments > 0,
				"a worker on a job that was never assigned"
			);
			if let Phase::Settled { model, .. } = job.phase {
				let model = Models::<T>::get(model).ok_or("a settled job without its model")?;
				ensure!(model.job == id, "a settled job's model comes from another job");
			}
		}
		ensure!(JobsOf::<T>::iter_keys().count() == jobs, "a list names a job that is gone");
		ensure!(
			PendingFor::<T>::iter_keys().collect::<BTreeSet<_>>() == pending,
			"workers' lists are not the jobs they are to report on"
		);
		Ok(())
	}

	fn try_models() -> Result<(), TryRuntimeError> {
		let next = NextModelId::<T>::get();
		let mut models: usize = 0;
		let mut deposits: BTreeSet<TrainingJobId> =
			Jobs::<T>::iter().filter(|(_, job)| !job.phase.is_final()).map(|(id, _)| id).collect();
		for (id, model) in Models::<T>::iter() {
			models = models.saturating_add(1);
			ensure!(id < next, "a model's number was not given yet");
			ensure!(deposits.insert(model.job), "two models of one job, or of a job under way");
			ensure!(
				BaseModels::<T>::contains_key(model.base),
				"a model on a base model that is gone"
			);
			ensure!(ModelsOf::<T>::contains_key(&model.owner, id), "a model missing in its list");
			ensure!(
				model.commercial || model.prices == Prices::default(),
				"a non-commercial model has a price"
			);
			ensure!(
				model.status != ModelStatus::Draft || model.prices == Prices::default(),
				"a draft has a price"
			);
		}
		ensure!(ModelsOf::<T>::iter_keys().count() == models, "a list names a model twice");
		let held: BTreeSet<TrainingJobId> = ModelDeposits::<T>::iter_keys().collect();
		ensure!(held == deposits, "deposits are not those of jobs under way and of models");
		for (id, to) in ModelOffers::<T>::iter() {
			let model = Models::<T>::get(id).ok_or("an offer without a model")?;
			ensure!(model.status != ModelStatus::Retired, "a retired model is offered");
			ensure!(model.owner != to, "a model is offered to its owner");
		}
		Ok(())
	}

	fn try_base_models() -> Result<(), TryRuntimeError> {
		let next = NextBaseModelId::<T>::get();
		let mut uses: BTreeMap<BaseModelId, u32> = BTreeMap::new();
		let bases = Jobs::<T>::iter_values()
			.map(|job| job.order.base)
			.chain(Models::<T>::iter_values().map(|model| model.base));
		for base in bases {
			let count = uses.entry(base).or_default();
			*count = count.saturating_add(1);
		}
		ensure!(
			BaseModelUses::<T>::iter().collect::<BTreeMap<_, _>>() == uses,
			"uses of base models are miscounted"
		);
		let mut records: usize = 0;
		for (id, base) in BaseModels::<T>::iter() {
			records = records.saturating_add(1);
			ensure!(id < next, "a base model's number was not given yet");
			ensure!(
				BaseModelByWeights::<T>::get(base.weights_hash) == Some(id),
				"a base model cannot be found by its weights"
			);
			ensure!(BaseModelDeposits::<T>::contains_key(id), "a base model without a deposit");
		}
		ensure!(
			BaseModelByWeights::<T>::iter_keys().count() == records
				&& BaseModelDeposits::<T>::iter_keys().count() == records,
			"something is kept for a base model that is gone"
		);
		Ok(())
	}
}
