//! How a request begins, and the one place where it ends.

use crate::{pallet::*, types::*};
use codec::Encode;
use frame_support::{ensure, traits::Get};
use frame_system::pallet_prelude::BlockNumberFor;
use openledger_primitives::{
	content::Content,
	jobs::{JobKind, JobOutcome},
	traits::{ModelRegistry, WorkerPool},
	Balance, ModelId, RequestId,
};
use sp_runtime::{
	traits::{One, Saturating},
	DispatchError, DispatchResult,
};

/// A request of this runtime.
pub(crate) type RequestOf<T> = Request<<T as frame_system::Config>::AccountId, BlockNumberFor<T>>;

/// A job of this runtime.
pub(crate) type JobOf<T> = Job<<T as frame_system::Config>::AccountId, BlockNumberFor<T>>;

/// A phase of this runtime.
pub(crate) type PhaseOf<T> = Phase<<T as frame_system::Config>::AccountId, BlockNumberFor<T>>;

impl<T: Config> Pallet<T> {
	/// The current block.
	pub(crate) fn now() -> BlockNumberFor<T> {
		frame_system::Pallet::<T>::block_number()
	}

	pub(crate) fn do_request(
		requester: T::AccountId,
		model: ModelId,
		prompt: Content,
		max_input_tokens: u32,
		max_output_tokens: u32,
		max_fee: Balance,
	) -> DispatchResult {
		ensure!(max_output_tokens > 0, Error::<T>::NoAnswerAllowed);
		let served = T::Models::served(model).ok_or(Error::<T>::ModelNotServed)?;
		let held = served
			.prices
			.fee(max_input_tokens, max_output_tokens)
			.ok_or(Error::<T>::FeeOverflow)?;
		ensure!(held <= max_fee, Error::<T>::FeeExceedsMaximum);

		let id = Self::take_id()?;
		OpenRequests::<T>::try_append(&requester, id)
			.map_err(|()| Error::<T>::TooManyOpenRequests)?;
		Self::hold_fee(&requester, held)?;
		let worker = T::Workers::assign(JobKind::Inference, served.base, &assignment_subject(id))
			.map_err(Into::into)?
			.worker;

		let answer_by = Self::now().saturating_add(T::AnswerTimeout::get());
		let due = answer_by.saturating_add(One::one());
		PendingFor::<T>::insert(&worker, id, ());
		Agenda::<T>::insert(due, id, ());
		Requests::<T>::insert(
			id,
			Request {
				requester: requester.clone(),
				model,
				model_owner: served.owner,
				base: served.base,
				prompt_hash: prompt.hash(),
				max_input_tokens,
				max_output_tokens,
				prices: served.prices,
				asked_at: Self::now(),
				due,
				phase: Phase::Assigned(Job { worker: worker.clone(), held, answer_by }),
			},
		);
		if let Content::Bytes(bytes) = prompt {
			Prompts::<T>::insert(id, bytes);
		}
		Self::deposit_event(Event::InferenceRequested {
			request: id,
			requester,
			model,
			worker,
			held,
			answer_by,
		});
		Ok(())
	}

	/// A number that no request had before.
	fn take_id() -> Result<RequestId, DispatchError> {
		let id = NextRequestId::<T>::get();
		NextRequestId::<T>::put(id.next().ok_or(Error::<T>::RequestIdsExhausted)?);
		Ok(id)
	}

	/// A request that a worker is to answer, with the job.
	pub(crate) fn assigned(id: RequestId) -> Result<(RequestOf<T>, JobOf<T>), DispatchError> {
		let request = Requests::<T>::get(id).ok_or(Error::<T>::UnknownRequest)?;
		match request.phase.clone() {
			Phase::Assigned(job) => Ok((request, job)),
			_ => Err(Error::<T>::RequestEnded.into()),
		}
	}

	/// Ends a request whose money has been dealt with: gives the worker's slot back, takes the request
	/// out of every index of open ones, and puts down when it is forgotten. The only place where a
	/// worker is released.
	pub(crate) fn end(
		id: RequestId,
		mut request: RequestOf<T>,
		worker: &T::AccountId,
		outcome: JobOutcome,
		phase: PhaseOf<T>,
	) {
		T::Workers::release(worker, outcome);
		PendingFor::<T>::remove(worker, id);
		Prompts::<T>::remove(id);
		OpenRequests::<T>::mutate_exists(&request.requester, |open| {
			*open = open.take().and_then(|mut ids| {
				ids.retain(|other| *other != id);
				(!ids.is_empty()).then_some(ids)
			});
		});
		request.phase = phase;
		let forget_at = Self::now().saturating_add(T::RetentionPeriod::get());
		Self::write_due(id, request, forget_at);
	}

	/// Writes a request and moves its entry in the agenda.
	pub(crate) fn write_due(id: RequestId, mut request: RequestOf<T>, due: BlockNumberFor<T>) {
		Agenda::<T>::remove(request.due, id);
		Agenda::<T>::insert(due, id, ());
		request.due = due;
		Requests::<T>::insert(id, request);
	}
}

/// What tells this assignment apart from every other one, of this pallet or another.
fn assignment_subject(id: RequestId) -> alloc::vec::Vec<u8> {
	(b"inference", id).encode()
}
