//! What this pallet's offchain worker orders and passes on; how it does so is in
//! [`openledger_pallet_support::offchain`].

use crate::{pallet::*, requests::RequestOf, types::*};
use alloc::{boxed::Box, vec::Vec};
use codec::Encode;
use frame_support::traits::Get;
use frame_system::pallet_prelude::BlockNumberFor;
use openledger_pallet_support::offchain::{
	expiry, Desk, Duty, Objection, Operator, Statement, MAX_JOBS_PER_OPERATOR,
};
use openledger_primitives::{
	content::Content,
	jobs::FailureReason,
	traits::{ModelRegistry, WorkerPool},
	worker_api::{InferenceAnswer, InferenceOrder, JobKey, Report, Work},
	RequestId, UnixSeconds, H256,
};
use sp_runtime::traits::{UniqueSaturatedInto, Zero};

impl<T: Config> Desk for Pallet<T> {
	type AccountId = T::AccountId;
	type Signature = T::OperatorSignature;
	const NAME: &'static str = "inference";
	const TARGET: &'static str = "offchain::inference";

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
				let (_, job) = Self::assigned(id).ok()?;
				let report_by = job.answer_by.unique_saturated_into();
				Some(Duty { key: JobKey::Inference(id), report_by })
			})
			.collect()
	}

	fn work(duty: &Duty) -> Result<(Work, UnixSeconds), Objection> {
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
		let blocks = duty.report_by.saturating_sub(<Self as Desk>::now());
		Ok((Work::Inference(order), expiry(blocks, T::BlockMillis::get())))
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
		let transaction = move || {
			Self::rehearse_result(&operator.account, request, &receipt, &answer, &claim)
				.map_err(Objection::Refused)?;
			let signature = operator.sign(message).ok_or(Objection::NotSigned)?;
			let operator = operator.account;
			let call = Call::submit_result { request, receipt, answer, claim, operator, signature };
			Ok(Self::transaction(call))
		};
		Statement { what: "result", message, transaction: Box::new(transaction) }
	}

	fn failure(
		request: RequestId,
		operator: Operator<T::AccountId>,
		reason: FailureReason,
	) -> Statement {
		let message = Self::failure_message(request, reason);
		let transaction = move || {
			Self::rehearse_failure(&operator.account, request, reason)
				.map_err(Objection::Refused)?;
			let signature = operator.sign(message).ok_or(Objection::NotSigned)?;
			let operator = operator.account;
			Ok(Self::transaction(Call::report_failure { request, reason, operator, signature }))
		};
		Statement { what: "failure", message, transaction: Box::new(transaction) }
	}

	fn transaction(call: Call<T>) -> Vec<u8> {
		T::create_authorized_transaction(call.into()).encode()
	}
}
