//! What this pallet's offchain worker orders and passes on; how it does so is in
//! [`openledger_pallet_support::offchain`].

use crate::{escrow::TrainingJobOf, pallet::*, types::Phase};
use alloc::{boxed::Box, vec::Vec};
use codec::Encode;
use frame_support::traits::Get;
use frame_system::pallet_prelude::BlockNumberFor;
use openledger_pallet_support::offchain::{
	expiry, Desk, Duty, Objection, Operator, Statement, MAX_JOBS_PER_OPERATOR,
};
use openledger_primitives::{
	jobs::FailureReason,
	training::TrainingResult,
	traits::{DatanetRegistry, TrainingSources, WorkerPool},
	worker_api::{BaseModelHashes, JobKey, Report, SourceContribution, TrainingOrder, Work},
	TrainingJobId, UnixSeconds, H256,
};
use sp_runtime::traits::{One, Saturating, UniqueSaturatedInto, Zero};

impl<T: Config> Desk for Pallet<T> {
	type AccountId = T::AccountId;
	type Signature = T::OperatorSignature;
	const NAME: &'static str = "training";
	const TARGET: &'static str = "offchain::training";

	fn now() -> u64 {
		Pallet::<T>::now().unique_saturated_into()
	}

	fn genesis() -> H256 {
		frame_system::Pallet::<T>::block_hash(BlockNumberFor::<T>::zero())
	}

	fn duties(operator: &T::AccountId) -> Vec<Duty> {
		let Some(stash) = T::Workers::stash_of(operator) else { return Vec::new() };
		PendingFor::<T>::iter_key_prefix(stash)
			.take(MAX_JOBS_PER_OPERATOR)
			.filter_map(|id| {
				let job = Jobs::<T>::get(id)?;
				let key = JobKey::Training { job: id, attempt: job.assignments };
				// The deadline is the first block that is too late.
				let report_by = job.phase.deadline().saturating_sub(One::one());
				Some(Duty { key, report_by: report_by.unique_saturated_into() })
			})
			.collect()
	}

	fn work(duty: &Duty) -> Result<(Work, UnixSeconds), Objection> {
		let (id, _, job) = Self::job_of(duty)?;
		let base =
			BaseModels::<T>::get(job.order.base).ok_or(Objection::Incomplete("the base model"))?;
		let order = TrainingOrder {
			job: id,
			base: BaseModelHashes { weights: base.weights_hash, tokenizer: base.tokenizer_hash },
			spec: job.order.spec_hash,
			sources: Self::contributions_of(&job.order.sources),
		};
		let left = duty.report_by.saturating_sub(<Self as Desk>::now());
		let blocks = match job.phase {
			Phase::Assigned { .. } => {
				left.saturating_add(job.order.training_blocks.unique_saturated_into())
			},
			_ => left,
		};
		Ok((Work::Training(order), expiry(blocks, T::BlockMillis::get())))
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
			Report::Failed(reason) if is_running => Err(Objection::FailedAfterStart(reason)),
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
		let transaction = move || {
			Self::rehearse_start(&operator.account, job, attempt).map_err(Objection::Refused)?;
			let signature = operator.sign(message).ok_or(Objection::NotSigned)?;
			let operator = operator.account;
			Ok(Self::transaction(Call::start_training { job, attempt, operator, signature }))
		};
		Statement { what: "start", message, transaction: Box::new(transaction) }
	}

	fn refusal(
		job: TrainingJobId,
		attempt: u32,
		operator: Operator<T::AccountId>,
		reason: FailureReason,
	) -> Statement {
		let message = Self::decline_message(job, attempt, reason);
		let transaction = move || {
			Self::rehearse_decline(&operator.account, job, attempt, reason)
				.map_err(Objection::Refused)?;
			let signature = operator.sign(message).ok_or(Objection::NotSigned)?;
			let operator = operator.account;
			let call = Call::decline_training { job, attempt, reason, operator, signature };
			Ok(Self::transaction(call))
		};
		Statement { what: "refusal", message, transaction: Box::new(transaction) }
	}

	fn delivery(
		job: TrainingJobId,
		attempt: u32,
		operator: Operator<T::AccountId>,
		result: TrainingResult,
	) -> Statement {
		let message = Self::delivery_message(job, attempt, &result);
		let transaction = move || {
			Self::rehearse_delivery(&operator.account, job, attempt, result)
				.map_err(Objection::Refused)?;
			let signature = operator.sign(message).ok_or(Objection::NotSigned)?;
			let operator = operator.account;
			let call = Call::deliver_training { job, attempt, result, operator, signature };
			Ok(Self::transaction(call))
		};
		Statement { what: "result", message, transaction: Box::new(transaction) }
	}

	fn transaction(call: Call<T>) -> Vec<u8> {
		T::create_authorized_transaction(call.into()).encode()
	}
}
