//! The rewards ledger and the pot that backs it: what is on hold on the pot is what the ledger owes.

use crate::pallet::*;
use alloc::collections::BTreeMap;
use frame_support::{
	ensure,
	traits::{
		fungible::{Inspect, MutateHold},
		tokens::{DepositConsequence, Fortitude, Precision, Preservation, Provenance, Restriction},
	},
};
use openledger_primitives::{Balance, RequestId};
use sp_runtime::{ArithmeticError, DispatchResult};

impl<T: Config> Pallet<T> {
	/// Whether the pot holds the existential deposit of its own.
	pub(crate) fn pot_exists() -> bool {
		T::Currency::balance(&Self::pot_account()) >= T::Currency::minimum_balance()
	}

	/// Takes a fee from its payer and puts it on hold on the pot.
	pub(crate) fn take_fee(payer: &T::AccountId, fee: Balance) -> DispatchResult {
		if fee == 0 {
			return Ok(());
		}
		ensure!(Self::pot_exists(), Error::<T>::PotMissing);
		T::Currency::transfer_and_hold(
			&HoldReason::Rewards.into(),
			payer,
			&Self::pot_account(),
			fee,
			Precision::Exact,
			Preservation::Preserve,
			// A freeze placed after the fee was committed must not rob the worker: see the module page.
			Fortitude::Force,
		)?;
		Ok(())
	}

	/// Writes what accounts earned into the ledger. Amounts of 0 are not written.
	pub(crate) fn credit(
		request: RequestId,
		credits: BTreeMap<T::AccountId, Balance>,
	) -> DispatchResult {
		let mut total = TotalUnpaid::<T>::get();
		for (who, amount) in credits.into_iter().filter(|(_, amount)| *amount > 0) {
			let unpaid = Rewards::<T>::get(&who).unwrap_or_default();
			let unpaid = unpaid.checked_add(amount).ok_or(ArithmeticError::Overflow)?;
			total = total.checked_add(amount).ok_or(ArithmeticError::Overflow)?;
			Rewards::<T>::insert(&who, unpaid);
			Self::deposit_event(Event::RewardCredited { who, amount, request });
		}
		TotalUnpaid::<T>::put(total);
		Ok(())
	}

	/// Pays an account everything that the ledger has for it.
	pub(crate) fn pay_out(who: T::AccountId) -> DispatchResult {
		let amount = Rewards::<T>::take(&who).ok_or(Error::<T>::NothingToClaim)?;
		match T::Currency::can_deposit(&who, amount, Provenance::Extant) {
			DepositConsequence::BelowMinimum => {
				return Err(Error::<T>::BelowExistentialDeposit.into())
			},
			other => other.into_result()?,
		}
		let total =
			TotalUnpaid::<T>::get().checked_sub(amount).ok_or(ArithmeticError::Underflow)?;
		TotalUnpaid::<T>::put(total);
		T::Currency::transfer_on_hold(
			&HoldReason::Rewards.into(),
			&Self::pot_account(),
			&who,
			amount,
			Precision::Exact,
			Restriction::Free,
			// What is owed to others cannot be frozen by a lock that somebody puts on the pot.
			Fortitude::Force,
		)?;
		Self::deposit_event(Event::RewardsClaimed { who, amount });
		Ok(())
	}
}
