//! The one place where bonds are taken.

use crate::{
	types::{SlashReason, UnbondingChunk, WeightChange, Worker},
	Config, Error, Event, HoldReason, Pallet, Unbonding, Workers,
};
use frame_support::{
	pallet_prelude::DispatchError,
	traits::{fungible::BalancedHold, Imbalance, OnUnbalanced},
};
use frame_system::pallet_prelude::BlockNumberFor;
use openledger_primitives::Balance;
use sp_runtime::{ArithmeticError, Permill};

impl<T: Config> Pallet<T> {
	/// Takes `fraction` of all that a worker has at stake (bond and what is unbonding, rounded up),
	/// from the bond first and then from the chunks, newest first. Every slash of this pallet goes
	/// through here, whoever decided it.
	///
	/// Returns what was taken, in planks.
	pub fn do_slash(
		stash: &T::AccountId,
		fraction: Permill,
		reason: SlashReason,
	) -> Result<Balance, DispatchError> {
		let mut worker = Workers::<T>::get(stash).ok_or(Error::<T>::NotRegistered)?;
		let mut chunks = Unbonding::<T>::get(stash);
		let at_stake = Self::at_stake(&worker, &chunks).ok_or(ArithmeticError::Overflow)?;
		let wanted = fraction.mul_ceil(at_stake);
		if wanted == 0 {
			return Ok(0);
		}

		let (credit, _) = T::Currency::slash(&HoldReason::Bond.into(), stash, wanted);
		let amount = credit.peek();
		let rest = take(&mut worker.bond, amount);
		chunks.iter_mut().rev().fold(rest, |rest, chunk| take(&mut chunk.amount, rest));
		chunks.retain(|chunk| chunk.amount > 0);
		if chunks.is_empty() {
			Unbonding::<T>::remove(stash);
		} else {
			Unbonding::<T>::insert(stash, chunks);
		}
		Workers::<T>::insert(stash, &worker);
		T::Slash::on_unbalanced(credit);
		Self::deposit_event(Event::Slashed { stash: stash.clone(), amount, reason });
		Self::sync_pools(stash, &worker, None, WeightChange::Slashed);
		Ok(amount)
	}

	/// All that a worker can lose, in planks. `None` if it does not fit, which no supply allows.
	pub(crate) fn at_stake(
		worker: &Worker<T>,
		chunks: &[UnbondingChunk<BlockNumberFor<T>>],
	) -> Option<Balance> {
		chunks.iter().try_fold(worker.bond, |sum, chunk| sum.checked_add(chunk.amount))
	}
}

/// Takes up to `wanted` from `amount`; what could not be taken.
fn take(amount: &mut Balance, wanted: Balance) -> Balance {
	// Exact: the part is at most either of them.
	let part = wanted.min(*amount);
	*amount = amount.saturating_sub(part);
	wanted.saturating_sub(part)
}
