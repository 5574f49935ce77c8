//! The bond: more of it, less of it, all of it back.

use crate::{
	types::{Status, UnbondingChunk, WeightChange, Worker},
	Config, Error, Event, HoldReason, Operators, Pallet, Unbonding, Workers,
};
use frame_support::{
	ensure,
	pallet_prelude::{DispatchError, DispatchResult},
	traits::{fungible::MutateHold, tokens::Precision, Get},
};
use frame_system::pallet_prelude::BlockNumberFor;
use openledger_primitives::Balance;
use sp_runtime::{traits::Saturating, ArithmeticError};

impl<T: Config> Pallet<T> {
	/// Adds to a bond. Returns the number of base models served.
	pub(crate) fn do_bond_extra(
		stash: &T::AccountId,
		amount: Balance,
	) -> Result<u32, DispatchError> {
		let mut worker = Workers::<T>::get(stash).ok_or(Error::<T>::NotRegistered)?;
		ensure!(worker.status != Status::Leaving, Error::<T>::IsLeaving);
		ensure!(amount > 0, Error::<T>::AmountIsZero);

		T::Currency::hold(&HoldReason::Bond.into(), stash, amount)?;
		worker.bond = worker.bond.checked_add(amount).ok_or(ArithmeticError::Overflow)?;
		Workers::<T>::insert(stash, &worker);
		Self::deposit_event(Event::BondAdded { stash: stash.clone(), amount });
		Self::sync_pools(stash, &worker, None, WeightChange::Chosen);
		Ok(worker.bases())
	}

	/// Starts unbonding a part. Returns the number of base models served.
	pub(crate) fn do_unbond(stash: &T::AccountId, amount: Balance) -> Result<u32, DispatchError> {
		let mut worker = Workers::<T>::get(stash).ok_or(Error::<T>::NotRegistered)?;
		ensure!(worker.status != Status::Leaving, Error::<T>::IsLeaving);
		ensure!(amount > 0, Error::<T>::AmountIsZero);
		let rest = worker.bond.checked_sub(amount).ok_or(Error::<T>::BondBelowMinimum)?;
		ensure!(rest >= T::MinBond::get(), Error::<T>::BondBelowMinimum);

		// The last place is kept for `leave`.
		let places = T::MaxUnbondingChunks::get().saturating_sub(1);
		let unlock_at = Self::start_unbonding(stash, amount, places)?;
		worker.bond = rest;
		Workers::<T>::insert(stash, &worker);
		Self::deposit_event(Event::Unbonded { stash: stash.clone(), amount, unlock_at });
		Self::sync_pools(stash, &worker, None, WeightChange::Chosen);
		Ok(worker.bases())
	}

	/// Takes a worker out of the pools for good and starts unbonding all of its bond. Returns the
	/// number of base models served.
	pub(crate) fn do_leave(stash: &T::AccountId) -> Result<u32, DispatchError> {
		let mut worker = Workers::<T>::get(stash).ok_or(Error::<T>::NotRegistered)?;
		ensure!(worker.status != Status::Leaving, Error::<T>::IsLeaving);

		let amount = core::mem::take(&mut worker.bond);
		let unlock_at = if amount > 0 {
			Self::start_unbonding(stash, amount, T::MaxUnbondingChunks::get())?
		} else {
			frame_system::Pallet::<T>::block_number()
		};
		worker.status = Status::Leaving;
		Workers::<T>::insert(stash, &worker);
		Self::deposit_event(Event::LeaveStarted { stash: stash.clone(), amount, unlock_at });
		Self::sync_pools(stash, &worker, None, WeightChange::Chosen);
		Self::remove_if_finished(stash, &worker);
		Ok(worker.bases())
	}

	/// Gives back what has finished unbonding, and forgets a worker that has left.
	pub(crate) fn do_withdraw_unbonded(stash: &T::AccountId) -> DispatchResult {
		let worker = Workers::<T>::get(stash).ok_or(Error::<T>::NotRegistered)?;
		let now = frame_system::Pallet::<T>::block_number();
		let mut chunks = Unbonding::<T>::get(stash);
		let due = chunks
			.iter()
			.filter(|chunk| chunk.unlock_at <= now)
			.try_fold(Balance::default(), |sum, chunk| sum.checked_add(chunk.amount))
			.ok_or(ArithmeticError::Overflow)?;

		if due > 0 {
			T::Currency::release(&HoldReason::Bond.into(), stash, due, Precision::Exact)?;
			chunks.retain(|chunk| chunk.unlock_at > now);
			if chunks.is_empty() {
				Unbonding::<T>::remove(stash);
			} else {
				Unbonding::<T>::insert(stash, chunks);
			}
			Self::deposit_event(Event::Withdrawn { stash: stash.clone(), amount: due });
		}
		let removed = Self::remove_if_finished(stash, &worker);
		ensure!(due > 0 || removed, Error::<T>::NothingToWithdraw);
		Ok(())
	}

	/// Forgets a leaving worker that has nothing at stake and no job under way. Whether it did.
	pub(crate) fn remove_if_finished(stash: &T::AccountId, worker: &Worker<T>) -> bool {
		let finished = worker.status == Status::Leaving
			&& worker.active_jobs == 0
			&& Unbonding::<T>::get(stash).is_empty();
		if finished {
			if let Some(operator) = worker.operator.confirmed() {
				Operators::<T>::remove(operator);
			}
			Workers::<T>::remove(stash);
			Self::deposit_event(Event::Removed { stash: stash.clone() });
		}
		finished
	}

	/// Adds a chunk that unlocks after the delay. Chunks of one block are one chunk. Returns when it
	/// unlocks.
	fn start_unbonding(
		stash: &T::AccountId,
		amount: Balance,
		places: u32,
	) -> Result<BlockNumberFor<T>, DispatchError> {
		let now = frame_system::Pallet::<T>::block_number();
		let unlock_at = now.saturating_add(T::UnbondingDelay::get());
		let mut chunks = Unbonding::<T>::get(stash);
		let mut this_block = chunks.iter_mut().filter(|chunk| chunk.unlock_at == unlock_at);
		if let Some(chunk) = this_block.next() {
			chunk.amount = chunk.amount.checked_add(amount).ok_or(ArithmeticError::Overflow)?;
		} else {
			ensure!(chunks.len() < places as usize, Error::<T>::TooManyUnbondings);
			chunks
				.try_push(UnbondingChunk { amount, unlock_at })
				.map_err(|_| Error::<T>::TooManyUnbondings)?;
		}
		Unbonding::<T>::insert(stash, chunks);
		Ok(unlock_at)
	}
}
