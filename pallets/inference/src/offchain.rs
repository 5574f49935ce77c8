//! What this pallet's offchain worker orders and passes on; how it does so is in
//! [`openledger_pallet_support::offchain`].

use crate::{pallet::*, requests::RequestOf, types::*};
use openledger_pallet_support::offchain::{Desk, Duty, Objection, Operator, Statement};
use openledger_primitives::{
	content::Content,
	jobs::FailureReason,
	traits::ModelRegistry,
	worker_api::{InferenceAnswer, InferenceOrder, JobKey, Report, Work},
	RequestId,
};
use sp_runtime::traits::UniqueSaturatedInto;

impl<T: Config> Desk for Pallet<T> {
	type Runtime = T;
	type Workers = T::Workers;
	type Signature = T::OperatorSignature;
	type BlockMillis = T::BlockMillis;
	const NAME: &'static str = "inference";
	const TARGET: &'static str = "offchain::inference";

	fn duties(worker: &T::AccountId) -> impl Iterator<Item = Duty> {
		PendingFor::<T>::iter_key_prefix(worker).filter_map(|id| {
			let (_, job) = Self::assigned(id).ok()?;
			let report_by = job.answer_by.unique_saturated_into();
			Some(Duty { key: JobKey::Inference(id), report_by })
		})
	}

	fn work(duty: &Duty) -> Result<(Work, u64), Objection> {
		let (id, request) = Self::request_of(duty)?;
		let files = T::Models::files(request.model)
			.ok_or(Objection::Incomplete("what the model is made of"))?;
		let prompt =
			Prompts::<T>::get(id).map_or(Content::Hash(request.prompt_hash), Content::Bytes);
		let order = InferenceOrder {
			request: id,
			model: request.model,
			base: files.base,
			adapter: files.adapter,
			span_index: files.span_index,
			prompt,
			max_input_tokens: request.max_input_tokens,
			max_output_tokens: request.max_output_tokens,
		};
		Ok((Work::Inference(order), 0))
	}

	fn state(
		duty: &Duty,
		operator: &Operator<T::AccountId>,
		report: Report,
	) -> Result<Option<Statement>, Objection> {
		let (id, _) = Self::request_of(duty)?;
		match report {
			Report::Queued | Report::Running { .. } => Ok(None),
			Report::Answered(answer) => Ok(Some(Self::result(id, operator.clone(), answer))),
			Report::Failed(reason) => Ok(Some(Self::failure(id, operator.clone(), reason))),
			Report::Trained(_) => Err(Objection::WrongKind),
		}
	}
}

impl<T: Config> Pallet<T> {
	fn request_of(duty: &Duty) -> Result<(RequestId, RequestOf<T>), Objection> {
		match duty.key {
			JobKey::Inference(id) => match Requests::<T>::get(id) {
				Some(request) if matches!(request.phase, Phase::Assigned(_)) => Ok((id, request)),
				_ => Err(Objection::Incomplete("the request")),
			},
			JobKey::Training { .. } => Err(Objection::WrongKind),
		}
	}

	fn result(
		request: RequestId,
		operator: Operator<T::AccountId>,
		answer: InferenceAnswer,
	) -> Statement {
		let InferenceAnswer { receipt, answer, claim } = answer;
		let message = Self::result_message(request, &receipt, &answer, &claim);
		Statement::new::<T, Call<T>>("result", message, move || {
			Self::rehearse_result(&operator.account, request, &receipt, &answer, &claim)?;
			let signature = operator.sign(message)?;
			let operator = operator.account;
			Ok(Call::submit_result { request, receipt, answer, claim, operator, signature })
		})
	}

	fn failure(
		request: RequestId,
		operator: Operator<T::AccountId>,
		reason: FailureReason,
	) -> Statement {
		let message = Self::failure_message(request, reason);
		Statement::new::<T, Call<T>>("failure", message, move || {
			Self::rehearse_failure(&operator.account, request, reason)?;
			let signature = operator.sign(message)?;
			let operator = operator.account;
			Ok(Call::report_failure { request, reason, operator, signature })
		})
	}
}
