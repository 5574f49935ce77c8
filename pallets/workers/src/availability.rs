//! Whether a worker wants work, and strikes for work it did not do.

use crate::{
	types::{Status, WeightChange, Worker},
	Config, Error, Event, Pallet, Workers,
};
use frame_support::{ensure, pallet_prelude::DispatchError, traits::Get};
use sp_runtime::traits::Saturating;

impl<T: Config> Pallet<T> {
	/// Takes a worker out of the pools. Returns the number of base models served.
	pub(crate) fn do_pause(stash: &T::AccountId) -> Result<u32, DispatchError> {
		let mut worker = Workers::<T>::get(stash).ok_or(Error::<T>::NotRegistered)?;
		ensure!(worker.status == Status::Active, Error::<T>::NotActive);

		worker.status = Status::Paused;
		Workers::<T>::insert(stash, &worker);
		Self::deposit_event(Event::Paused { stash: stash.clone() });
		Self::sync_pools(stash, &worker, None, WeightChange::Chosen);
		Ok(worker.bases())
	}

	/// Puts a worker back to work; after strikes only when the cooldown is over, and then with none
	/// of them left. Returns the number of base models served.
	pub(crate) fn do_resume(stash: &T::AccountId) -> Result<u32, DispatchError> {
		let mut worker = Workers::<T>::get(stash).ok_or(Error::<T>::NotRegistered)?;
		match worker.status {
			Status::Active => return Err(Error::<T>::NotPaused.into()),
			Status::Leaving => return Err(Error::<T>::IsLeaving.into()),
			Status::Paused => {},
			Status::PausedForStrikes { since } => {
				let over_at = since.saturating_add(T::StrikeCooldown::get());
				ensure!(
					frame_system::Pallet::<T>::block_number() >= over_at,
					Error::<T>::CooldownNotOver
				);
				worker.strikes = 0;
				worker.delivered_in_a_row = 0;
			},
		}

		worker.status = Status::Active;
		Workers::<T>::insert(stash, &worker);
		Self::deposit_event(Event::Resumed { stash: stash.clone() });
		Self::sync_pools(stash, &worker, None, WeightChange::Chosen);
		Ok(worker.bases())
	}

	/// Counts a job that timed out. With the last strike that is allowed the worker is paused; one
	/// that had paused itself is so too, so that pausing is no way around the cooldown.
	pub(crate) fn add_strike(stash: &T::AccountId, worker: &mut Worker<T>) {
		worker.delivered_in_a_row = 0;
		worker.strikes = worker.strikes.saturating_add(1).min(T::MaxStrikes::get());
		Self::deposit_event(Event::StrikeAdded { stash: stash.clone(), strikes: worker.strikes });
		if worker.strikes >= T::MaxStrikes::get() && worker.status != Status::Leaving {
			let since = frame_system::Pallet::<T>::block_number();
			worker.status = Status::PausedForStrikes { since };
			Self::deposit_event(Event::PausedForStrikes { stash: stash.clone() });
		}
	}

	/// Counts a job that was delivered; a long enough row of them forgives all strikes. Strikes that
	/// have paused the worker are paid for by the cooldown only.
	pub(crate) fn count_delivered(stash: &T::AccountId, worker: &mut Worker<T>) {
		if worker.strikes == 0 || matches!(worker.status, Status::PausedForStrikes { .. }) {
			return;
		}
		worker.delivered_in_a_row = worker.delivered_in_a_row.saturating_add(1);
		if worker.delivered_in_a_row >= T::ForgivenAfter::get() {
			worker.strikes = 0;
			worker.delivered_in_a_row = 0;
			Self::deposit_event(Event::StrikesForgiven { stash: stash.clone() });
		}
	}
}
