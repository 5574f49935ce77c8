//! The fee on hold on the requester's account.

use crate::pallet::*;
use frame_support::{
	ensure,
	storage::{with_transaction, TransactionOutcome},
	traits::{
		fungible::{Inspect, InspectHold, MutateHold},
		tokens::{Fortitude, Precision, Preservation},
	},
};
use openledger_primitives::Balance;
use sp_runtime::{ArithmeticError, DispatchError, DispatchResult};

impl<T: Config> Pallet<T> {
	/// Puts a fee on hold that the requester could spend now.
	pub(crate) fn hold_fee(who: &T::AccountId, fee: Balance) -> DispatchResult {
		if fee == 0 {
			return Ok(());
		}
		let reason = HoldReason::InferenceFee.into();
		let committed = T::Currency::balance_on_hold(&reason, who);
		let wanted = committed.checked_add(fee).ok_or(ArithmeticError::Overflow)?;
		let spendable = Self::spendable_on_fees(who, committed)?;
		ensure!(wanted <= spendable, Error::<T>::FeeNotSpendable);
		T::Currency::hold(&reason, who, fee)
	}

	/// Gives back a fee that was on hold.
	pub(crate) fn release_fee(who: &T::AccountId, fee: Balance) -> DispatchResult {
		if fee > 0 {
			T::Currency::release(&HoldReason::InferenceFee.into(), who, fee, Precision::Exact)?;
		}
		Ok(())
	}

	/// What an account could spend on fees in all, of which `committed` is on hold already.
	///
	/// A balance on hold counts towards what is frozen, so every hold makes as much of the free
	/// balance spendable again. Looking at the free balance alone, a frozen account could commit all
	/// of it, one request after the other. So the question is asked as if no fee were on hold, in a
	/// transaction that is rolled back.
	fn spendable_on_fees(who: &T::AccountId, committed: Balance) -> Result<Balance, DispatchError> {
		let spendable =
			|| T::Currency::reducible_balance(who, Preservation::Preserve, Fortitude::Polite);
		if committed == 0 {
			return Ok(spendable());
		}
		with_transaction(|| {
			let released = Self::release_fee(who, committed);
			TransactionOutcome::Rollback(released.map(|()| spendable()))
		})
	}
}
