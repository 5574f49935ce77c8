//! Requests that nobody answered, and requests that nobody needs to remember.

use crate::{pallet::*, types::*, weights::WeightInfo};
use frame_support::{
	ensure,
	storage::with_storage_layer,
	traits::Get,
	weights::{Weight, WeightMeter},
};
use frame_system::pallet_prelude::BlockNumberFor;
use openledger_pallet_support::agenda;
use openledger_primitives::{jobs::JobOutcome, RequestId};
use sp_runtime::{traits::Saturating, DispatchResult};

impl<T: Config> Pallet<T> {
	pub(crate) fn do_expire(id: RequestId) -> DispatchResult {
		let (request, job) = Self::assigned(id)?;
		ensure!(Self::now() > job.answer_by, Error::<T>::NotOverdue);
		Self::release_fee(&request.requester, job.held)?;
		let timed_out = Phase::TimedOut { worker: job.worker.clone(), at: Self::now() };
		Self::end(id, request, &job.worker, JobOutcome::TimedOut, timed_out);
		Self::deposit_event(Event::RequestTimedOut {
			request: id,
			worker: job.worker,
			refunded: job.held,
		});
		Ok(())
	}

	/// Serves what is due, as much as `remaining` pays for.
	pub(crate) fn serve_agenda(now: BlockNumberFor<T>, remaining: Weight) -> Weight {
		let mut meter = WeightMeter::with_limit(remaining);
		if meter.can_consume(T::WeightInfo::serve_block()) {
			agenda::serve_due::<Agenda<T>, AgendaCursor<T>, _, _>(
				now,
				&mut meter,
				T::WeightInfo::serve_block(),
				T::WeightInfo::serve_request(),
				Self::serve,
			);
		}
		meter.consumed()
	}

	/// Gives up a request that is overdue, or forgets one that ended.
	pub(crate) fn serve(id: RequestId) {
		let Some(request) = Requests::<T>::get(id) else { return };
		if !matches!(request.phase, Phase::Assigned(_)) {
			Requests::<T>::remove(id);
			Answers::<T>::remove(id);
			return;
		}
		if let Err(why) = with_storage_layer(|| Self::do_expire(id)) {
			// An account whose free balance fell below the existential deposit, which something beside
			// its balance must keep alive, cannot take a refund that does not lift it up again.
			log::warn!(target: "runtime::inference", "cannot give up request {id:?}: {why:?}");
			let until = Self::now().saturating_add(T::AnswerTimeout::get());
			Self::write_due(id, request, until);
			Self::deposit_event(Event::ExpiryPostponed { request: id, until });
		}
	}
}
