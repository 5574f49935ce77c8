//! What must be true after every block.

use crate::{
	types::{OperatorKey, PoolKey, Status, Worker},
	Config, HoldReason, Operators, Pallet, Pools, Unbonding, Waiting, Workers,
};
use frame_support::{
	ensure,
	traits::{fungible::InspectHold, Get},
};
use sp_runtime::TryRuntimeError;

impl<T: Config> Pallet<T> {
	/// Checks every invariant of this pallet.
	pub fn do_try_state() -> Result<(), TryRuntimeError> {
		for (stash, worker) in Workers::<T>::iter() {
			Self::check_stake(&stash, &worker)?;
			Self::check_record(&stash, &worker)?;
			for pool in worker.capabilities.pools() {
				Self::check_place(&stash, &worker, pool)?;
			}
		}
		Self::check_operators()?;
		for stash in Unbonding::<T>::iter_keys() {
			ensure!(Workers::<T>::contains_key(stash), "somebody unbonds who is no worker");
		}
		Self::check_pools()
	}

	/// What is on hold is the bond and what is unbonding.
	fn check_stake(stash: &T::AccountId, worker: &Worker<T>) -> Result<(), TryRuntimeError> {
		let chunks = Unbonding::<T>::get(stash);
		ensure!(
			Self::at_stake(worker, &chunks)
				== Some(T::Currency::balance_on_hold(&HoldReason::Bond.into(), stash)),
			"the balance on hold is not the bond and the unbonding chunks"
		);
		ensure!(chunks.iter().all(|chunk| chunk.amount > 0), "an unbonding chunk is empty");
		Ok(())
	}

	/// A worker's own figures are within their bounds.
	fn check_record(stash: &T::AccountId, worker: &Worker<T>) -> Result<(), TryRuntimeError> {
		ensure!(!worker.capabilities.kinds.is_empty(), "a worker takes no kind of work");
		ensure!(!worker.capabilities.base_models.is_empty(), "a worker serves no base model");
		ensure!(
			worker.active_jobs <= worker.capabilities.slots,
			"a worker has more jobs than slots"
		);
		ensure!(worker.strikes <= T::MaxStrikes::get(), "a worker has more strikes than there are");
		ensure!(
			worker.delivered_in_a_row < T::ForgivenAfter::get(),
			"a row of deliveries was not rewarded"
		);
		match worker.status {
			Status::Leaving => ensure!(worker.bond == 0, "a leaving worker has a bond"),
			Status::Active => ensure!(
				worker.strikes < T::MaxStrikes::get(),
				"an active worker has all its strikes"
			),
			Status::Paused | Status::PausedForStrikes { .. } => {},
		}
		ensure!(!Operators::<T>::contains_key(stash), "a stash is an operator key");
		if let OperatorKey::Confirmed(operator) = &worker.operator {
			ensure!(
				Operators::<T>::get(operator).as_ref() == Some(stash),
				"an operator key does not lead to its stash"
			);
		}
		Ok(())
	}

	/// An eligible worker is in each of its pools or waits for it, any other is in none.
	fn check_place(
		stash: &T::AccountId,
		worker: &Worker<T>,
		pool: PoolKey,
	) -> Result<(), TryRuntimeError> {
		let place = Pools::<T>::get(pool).into_iter().find(|member| &member.stash == stash);
		let waits = Waiting::<T>::contains_key(pool, stash);
		match place {
			Some(member) => {
				ensure!(worker.is_eligible(), "a pool has a member that is not eligible");
				ensure!(!waits, "a member of a pool waits for it");
				ensure!(member.weight == worker.bond, "a member's weight is not its bond");
			},
			None => ensure!(
				waits == worker.is_eligible(),
				"a worker waits that is not eligible, or an eligible one has no place"
			),
		}
		Ok(())
	}

	/// Operator keys and the workers that confirmed keys belong to are one to one.
	fn check_operators() -> Result<(), TryRuntimeError> {
		for (operator, stash) in Operators::<T>::iter() {
			let worker = Workers::<T>::get(stash).ok_or("an operator key signs for nobody")?;
			ensure!(
				worker.operator == OperatorKey::Confirmed(operator),
				"a worker does not know its operator key"
			);
		}
		Ok(())
	}

	/// Pools are sorted, and nobody is in one, or waits for one, that he does not serve.
	fn check_pools() -> Result<(), TryRuntimeError> {
		for (pool, members) in Pools::<T>::iter() {
			ensure!(!members.is_empty(), "an empty pool is stored");
			ensure!(
				members.iter().zip(members.iter().skip(1)).all(|(a, b)| a.stash < b.stash),
				"a pool is not sorted"
			);
			for member in members {
				let worker = Workers::<T>::get(member.stash).ok_or("a member is no worker")?;
				ensure!(worker.capabilities.serve(&pool), "a member does not serve its pool");
			}
		}
		for (pool, stash, ()) in Waiting::<T>::iter() {
			let worker = Workers::<T>::get(stash).ok_or("somebody waits who is no worker")?;
			ensure!(
				worker.capabilities.serve(&pool),
				"somebody waits for a pool it does not serve"
			);
			ensure!(Pools::<T>::get(pool).is_full(), "somebody waits for a pool that has room");
		}
		Ok(())
	}
}
