//! The life of a bond: register, add, leave, withdraw, and the way back from jail.

use crate::{
	CandidateCount, Config, Error, Event, HoldReason, Pallet, Status, Validator, Validators,
};
use frame_support::{
	ensure,
	traits::{fungible::MutateHold, tokens::Precision, Get, ValidatorRegistration, ValidatorSet},
};
use openledger_primitives::Balance;
use pallet_session::SessionInterface;
use sp_runtime::{ArithmeticError, DispatchError, DispatchResult};
use sp_staking::SessionIndex;

impl<T: Config> Pallet<T> {
	/// The current session.
	pub(crate) fn session_index() -> SessionIndex {
		<T::Session as ValidatorSet<T::AccountId>>::session_index()
	}

	pub(crate) fn do_register(who: &T::AccountId, bond: Balance) -> DispatchResult {
		ensure!(T::Session::is_registered(who), Error::<T>::NoSessionKeys);
		Self::add_candidate(who, bond)?;
		Self::deposit_event(Event::ValidatorRegistered { who: who.clone(), bond });
		Ok(())
	}

	/// Bonds a candidate. Genesis comes here before there are session keys.
	pub(crate) fn add_candidate(who: &T::AccountId, bond: Balance) -> DispatchResult {
		ensure!(bond >= T::MinBond::get(), Error::<T>::BondTooSmall);
		ensure!(!Validators::<T>::contains_key(who), Error::<T>::AlreadyRegistered);
		ensure!(Validators::<T>::count() < T::MaxCandidates::get(), Error::<T>::TooManyCandidates);
		T::Currency::hold(&HoldReason::Bond.into(), who, bond)?;
		Validators::<T>::insert(who, Validator { bond, status: Status::Candidate });
		CandidateCount::<T>::mutate(|count| *count = count.saturating_add(1));
		Ok(())
	}

	pub(crate) fn do_bond_extra(who: &T::AccountId, amount: Balance) -> DispatchResult {
		let bond = Validators::<T>::try_mutate(who, |stored| -> Result<_, DispatchError> {
			let validator = stored.as_mut().ok_or(Error::<T>::NotRegistered)?;
			ensure!(
				!matches!(validator.status, Status::Leaving { .. }),
				Error::<T>::AlreadyLeaving
			);
			T::Currency::hold(&HoldReason::Bond.into(), who, amount)?;
			validator.bond = validator.bond.checked_add(amount).ok_or(ArithmeticError::Overflow)?;
			Ok(validator.bond)
		})?;
		Self::deposit_event(Event::BondIncreased { who: who.clone(), added: amount, bond });
		Ok(())
	}

	pub(crate) fn do_leave(who: &T::AccountId) -> DispatchResult {
		let validator = Validators::<T>::get(who).ok_or(Error::<T>::NotRegistered)?;
		ensure!(
			validator.status != Status::Candidate
				|| CandidateCount::<T>::get() > T::MinValidators::get(),
			Error::<T>::TooFewCandidates
		);
		Self::start_leaving(who)
	}

	/// Starts the unbonding. The planned session is the last one the validator can be in.
	pub(crate) fn start_leaving(who: &T::AccountId) -> DispatchResult {
		let mut validator = Validators::<T>::get(who).ok_or(Error::<T>::NotRegistered)?;
		let planned = Self::session_index().saturating_add(1);
		let unlock_at = Self::unlock_after(planned);
		match validator.status {
			Status::Leaving { .. } => return Err(Error::<T>::AlreadyLeaving.into()),
			Status::Candidate => {
				CandidateCount::<T>::mutate(|count| *count = count.saturating_sub(1))
			},
			Status::Jailed { .. } => {},
		}
		validator.status = Status::Leaving { unlock_at };
		Validators::<T>::insert(who, validator);
		Self::deposit_event(Event::ValidatorLeft { who: who.clone(), unlock_at });
		Ok(())
	}

	/// The session in which the bond of somebody who was last planned for `session` unlocks.
	pub(crate) fn unlock_after(session: SessionIndex) -> SessionIndex {
		session.saturating_add(T::UnbondingDuration::get())
	}

	pub(crate) fn do_withdraw(who: &T::AccountId) -> DispatchResult {
		let validator = Validators::<T>::get(who).ok_or(Error::<T>::NotRegistered)?;
		let Status::Leaving { unlock_at } = validator.status else {
			return Err(Error::<T>::NotLeaving.into());
		};
		ensure!(Self::session_index() >= unlock_at, Error::<T>::StillLocked);

		let amount =
			T::Currency::release(&HoldReason::Bond.into(), who, validator.bond, Precision::Exact)?;
		Validators::<T>::remove(who);
		if T::Session::is_registered(who) {
			T::Session::purge_keys(who)?;
		}
		Self::deposit_event(Event::BondWithdrawn { who: who.clone(), amount });
		Ok(())
	}

	pub(crate) fn do_rejoin(who: &T::AccountId) -> DispatchResult {
		let mut validator = Validators::<T>::get(who).ok_or(Error::<T>::NotRegistered)?;
		let Status::Jailed { until } = validator.status else {
			return Err(Error::<T>::NotJailed.into());
		};
		ensure!(Self::session_index() >= until, Error::<T>::StillJailed);
		ensure!(validator.bond >= T::MinBond::get(), Error::<T>::BondTooSmall);
		ensure!(T::Session::is_registered(who), Error::<T>::NoSessionKeys);

		validator.status = Status::Candidate;
		Validators::<T>::insert(who, validator);
		CandidateCount::<T>::mutate(|count| *count = count.saturating_add(1));
		Self::deposit_event(Event::ValidatorRejoined { who: who.clone() });
		Ok(())
	}

	pub(crate) fn do_pardon(who: &T::AccountId) -> DispatchResult {
		Validators::<T>::try_mutate(who, |stored| -> DispatchResult {
			let validator = stored.as_mut().ok_or(Error::<T>::NotRegistered)?;
			ensure!(matches!(validator.status, Status::Jailed { .. }), Error::<T>::NotJailed);
			validator.status = Status::Jailed { until: Self::session_index() };
			Ok(())
		})?;
		Self::deposit_event(Event::ValidatorPardoned { who: who.clone() });
		Ok(())
	}
}
