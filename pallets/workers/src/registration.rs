//! Becoming a worker: the stash's record, its operator key and what it offers.

use crate::{
	types::{Capabilities, OperatorKey, Status, WeightChange, Worker},
	Config, Error, Event, HoldReason, Operators, Pallet, Workers,
};
use frame_support::{
	ensure,
	pallet_prelude::{DispatchError, DispatchResult},
	traits::{fungible::MutateHold, Get},
};
use openledger_primitives::Balance;

impl<T: Config> Pallet<T> {
	/// Records a worker with a bond and a proposed operator key. It enters no pool before the key
	/// accepts.
	pub(crate) fn do_register(
		stash: &T::AccountId,
		operator: T::AccountId,
		bond: Balance,
		capabilities: Capabilities<T::MaxBaseModels>,
	) -> DispatchResult {
		ensure!(!Workers::<T>::contains_key(stash), Error::<T>::AlreadyRegistered);
		ensure!(!Operators::<T>::contains_key(stash), Error::<T>::StashIsOperator);
		ensure!(&operator != stash, Error::<T>::OperatorIsStash);
		Self::ensure_may_operate(&operator)?;
		Self::ensure_sound(&capabilities)?;
		ensure!(bond >= T::MinBond::get(), Error::<T>::BondBelowMinimum);

		T::Currency::hold(&HoldReason::Bond.into(), stash, bond)?;
		let worker = Worker {
			operator: OperatorKey::Proposed(operator.clone()),
			bond,
			capabilities,
			status: Status::Active,
			active_jobs: 0,
			strikes: 0,
			delivered_in_a_row: 0,
		};
		Workers::<T>::insert(stash, worker);
		Self::deposit_event(Event::Registered { stash: stash.clone(), operator, bond });
		Ok(())
	}

	/// Gives a proposed key the right to sign. Returns the number of base models served.
	pub(crate) fn do_accept_operator(
		operator: &T::AccountId,
		stash: &T::AccountId,
	) -> Result<u32, DispatchError> {
		let mut worker = Workers::<T>::get(stash).ok_or(Error::<T>::NotRegistered)?;
		ensure!(
			worker.operator == OperatorKey::Proposed(operator.clone()),
			Error::<T>::OperatorNotProposed
		);
		// What was true when the stash named the key need not be true any more.
		Self::ensure_may_operate(operator)?;

		worker.operator = OperatorKey::Confirmed(operator.clone());
		Operators::<T>::insert(operator, stash);
		Workers::<T>::insert(stash, &worker);
		Self::deposit_event(Event::OperatorAccepted {
			stash: stash.clone(),
			operator: operator.clone(),
		});
		Self::sync_pools(stash, &worker, None, WeightChange::Chosen);
		Ok(worker.bases())
	}

	/// Takes the right to sign from the present key and proposes another. Returns the number of base
	/// models served.
	pub(crate) fn do_set_operator(
		stash: &T::AccountId,
		operator: T::AccountId,
	) -> Result<u32, DispatchError> {
		let mut worker = Workers::<T>::get(stash).ok_or(Error::<T>::NotRegistered)?;
		Self::ensure_may_operate(&operator)?;

		if let OperatorKey::Confirmed(old) = &worker.operator {
			Operators::<T>::remove(old);
		}
		worker.operator = OperatorKey::Proposed(operator.clone());
		Workers::<T>::insert(stash, &worker);
		Self::deposit_event(Event::OperatorProposed { stash: stash.clone(), operator });
		Self::sync_pools(stash, &worker, None, WeightChange::Chosen);
		Ok(worker.bases())
	}

	/// Replaces what a worker offers. Returns the number of base models served before and after,
	/// added up.
	pub(crate) fn do_set_capabilities(
		stash: &T::AccountId,
		capabilities: Capabilities<T::MaxBaseModels>,
	) -> Result<u32, DispatchError> {
		let mut worker = Workers::<T>::get(stash).ok_or(Error::<T>::NotRegistered)?;
		ensure!(worker.status != Status::Leaving, Error::<T>::IsLeaving);
		Self::ensure_sound(&capabilities)?;
		ensure!(capabilities.slots >= worker.active_jobs, Error::<T>::SlotsBelowActiveJobs);

		let bases_before = worker.bases();
		let before = core::mem::replace(&mut worker.capabilities, capabilities);
		Workers::<T>::insert(stash, &worker);
		Self::deposit_event(Event::CapabilitiesSet { stash: stash.clone() });
		Self::sync_pools(stash, &worker, Some(&before), WeightChange::Chosen);
		Ok(bases_before.saturating_add(worker.bases()))
	}

	/// An operator key is nobody's stash and signs for nobody yet.
	fn ensure_may_operate(operator: &T::AccountId) -> DispatchResult {
		ensure!(!Workers::<T>::contains_key(operator), Error::<T>::OperatorIsStash);
		ensure!(!Operators::<T>::contains_key(operator), Error::<T>::OperatorInUse);
		Ok(())
	}

	/// Capabilities offer something.
	fn ensure_sound(capabilities: &Capabilities<T::MaxBaseModels>) -> DispatchResult {
		ensure!(!capabilities.kinds.is_empty(), Error::<T>::NoJobKind);
		ensure!(!capabilities.base_models.is_empty(), Error::<T>::NoBaseModel);
		ensure!(
			(1..=T::MaxSlots::get()).contains(&capabilities.slots),
			Error::<T>::SlotsOutOfRange
		);
		Ok(())
	}
}
