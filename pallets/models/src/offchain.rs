//! What this pallet's offchain worker orders and passes on; how it does so is in
//! [`openledger_pallet_support::offchain`].

use crate::{escrow::TrainingJobOf, pallet::*, types::Phase};
use alloc::vec::Vec;
use openledger_pallet_support::offchain::{Desk, Duty, Objection, Operator, Statement};
use openledger_primitives::{
	jobs::FailureReason,
	training::TrainingResult,
	traits::{DatanetRegistry, TrainingSources},
	worker_api::{BaseModelHashes, JobKey, Report, SourceContribution, TrainingOrder, Work},
	TrainingJobId,
};
use sp_runtime::traits::{One, Saturating, UniqueSaturatedInto};

impl<T: Config> Desk for Pallet<T> {
	type Runtime = T;
	type Workers = T::Workers;
	type Signature = T::OperatorSignature;
	type BlockMillis = T::BlockMillis;
	const NAME: &'static str = "training";
	const TARGET: &'static str = "offchain::training";

	fn duties(worker: &T::AccountId) -> impl Iterator<Item = Duty> {
		PendingFor::<T>::iter_key_prefix(worker).filter_map(|id| {
			let job = Jobs::<T>::get(id)?;
			let key = JobKey::Training { job: id, attempt: job.assignments };
			// The deadline is the first block that is too late.
			let report_by = job.phase.deadline().saturating_sub(One::one());
			Some(Duty { key, report_by: report_by.unique_saturated_into() })
		})
	}

	fn work(duty: &Duty) -> Result<(Work, u64), Objection> {
		let (id, _, job) = Self::job_of(duty)?;
		let base =
			BaseModels::<T>::get(job.order.base).ok_or(Objection::Incomplete("the base model"))?;
		let order = TrainingOrder {
			job: id,
			base: BaseModelHashes { weights: base.weights_hash, tokenizer: base.tokenizer_hash },
			spec: job.order.spec_hash,
			sources: Self::contributions_of(&job.order.sources),
		};
		let blocks = match job.phase {
			Phase::Assigned { .. } => job.order.training_blocks.unique_saturated_into(),
			_ => 0,
		};
		Ok((Work::Training(order), blocks))
	}

	fn state(
		duty: &Duty,
		operator: &Operator<T::AccountId>,
		report: Report,
	) -> Result<Option<Statement>, Objection> {
		let (id, attempt, job) = Self::job_of(duty)?;
		let operator = operator.clone();
		let is_running = matches!(job.phase, Phase::Running { .. });
		match report {
			Report::Answered(_) => Err(Objection::WrongKind),
			Report::Queued => Ok(None),
			Report::Running { .. } if is_running => Ok(None),
			Report::Trained(result) if is_running => {
				Ok(Some(Self::delivery(id, attempt, operator, result)))
			},
			Report::Failed(reason) if is_running => {
				Ok(Some(Self::failure(id, attempt, operator, reason)))
			},
			Report::Running { .. } | Report::Trained(_) => {
				Ok(Some(Self::start(id, attempt, operator)))
			},
			Report::Failed(reason) => Ok(Some(Self::refusal(id, attempt, operator, reason))),
		}
	}
}

impl<T: Config> Pallet<T> {
	fn job_of(duty: &Duty) -> Result<(TrainingJobId, u32, TrainingJobOf<T>), Objection> {
		match duty.key {
			JobKey::Training { job, attempt } => {
				let record = Jobs::<T>::get(job).ok_or(Objection::Incomplete("the job"))?;
				Ok((job, attempt, record))
			},
			JobKey::Inference(_) => Err(Objection::WrongKind),
		}
	}

	/// The contributions of all source versions, in the order of their claims to duplicates.
	fn contributions_of(sources: &TrainingSources) -> Vec<SourceContribution> {
		let mut contributions: Vec<SourceContribution> = sources
			.iter()
			.flat_map(|version| T::Datanets::contributions_of(*version))
			.map(|(id, accepted)| SourceContribution {
				id,
				contributed_at: accepted.contributed_at,
				content: accepted.content,
				root: accepted.root,
				records: accepted.records,
			})
			.collect();
		contributions.sort_unstable_by_key(|source| (source.contributed_at, source.id));
		contributions
	}

	fn start(job: TrainingJobId, attempt: u32, operator: Operator<T::AccountId>) -> Statement {
		let message = Self::start_message(job, attempt);
		Statement::new::<T, Call<T>>("start", message, move || {
			Self::rehearse_start(&operator.account, job, attempt)?;
			let signature = operator.sign(message)?;
			let operator = operator.account;
			Ok(Call::start_training { job, attempt, operator, signature })
		})
	}

	fn refusal(
		job: TrainingJobId,
		attempt: u32,
		operator: Operator<T::AccountId>,
		reason: FailureReason,
	) -> Statement {
		let message = Self::decline_message(job, attempt, reason);
		Statement::new::<T, Call<T>>("refusal", message, move || {
			Self::rehearse_decline(&operator.account, job, attempt, reason)?;
			let signature = operator.sign(message)?;
			let operator = operator.account;
			Ok(Call::decline_training { job, attempt, reason, operator, signature })
		})
	}

	fn failure(
		job: TrainingJobId,
		attempt: u32,
		operator: Operator<T::AccountId>,
		reason: FailureReason,
	) -> Statement {
		let message = Self::failure_message(job, attempt, reason);
		Statement::new::<T, Call<T>>("failure", message, move || {
			Self::rehearse_failure(&operator.account, job, attempt, reason)?;
			let signature = operator.sign(message)?;
			let operator = operator.account;
			Ok(Call::report_failure { job, attempt, reason, operator, signature })
		})
	}

	fn delivery(
		job: TrainingJobId,
		attempt: u32,
		operator: Operator<T::AccountId>,
		result: TrainingResult,
	) -> Statement {
		let message = Self::delivery_message(job, attempt, &result);
		Statement::new::<T, Call<T>>("result", message, move || {
			Self::rehearse_delivery(&operator.account, job, attempt, result)?;
			let signature = operator.sign(message)?;
			let operator = operator.account;
			Ok(Call::deliver_training { job, attempt, result, operator, signature })
		})
	}
}
