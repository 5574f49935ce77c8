//! Datanets: creating them, their terms, and who owns them.

use crate::{pallet::*, types::*};
use frame_support::{
	ensure,
	traits::{fungible::Inspect, Consideration, Get},
};
use frame_system::pallet_prelude::BlockNumberFor;
use openledger_primitives::{licence::LicenceTerms, DatanetId};
use sp_runtime::{DispatchError, DispatchResult};

impl<T: Config> Pallet<T> {
	/// The current block.
	pub(crate) fn now() -> BlockNumberFor<T> {
		frame_system::Pallet::<T>::block_number()
	}

	/// A datanet that exists.
	pub(crate) fn existing_datanet(id: DatanetId) -> Result<DatanetOf<T>, DispatchError> {
		Ok(Datanets::<T>::get(id).ok_or(Error::<T>::UnknownDatanet)?)
	}

	/// A datanet that exists and belongs to `who`.
	pub(crate) fn own_datanet(
		who: &T::AccountId,
		id: DatanetId,
	) -> Result<DatanetOf<T>, DispatchError> {
		let datanet = Self::existing_datanet(id)?;
		ensure!(&datanet.owner == who, Error::<T>::NotOwner);
		Ok(datanet)
	}

	fn ensure_allowed(terms: &DatanetTerms<BlockNumberFor<T>>) -> DispatchResult {
		let period = terms.review_period;
		ensure!(
			period >= T::MinReviewPeriod::get() && period <= T::MaxReviewPeriod::get(),
			Error::<T>::ReviewPeriodOutOfBounds
		);
		ensure!(
			terms.price == 0 || terms.price >= T::Currency::minimum_balance(),
			Error::<T>::PriceBelowMinimum
		);
		Ok(())
	}

	pub(crate) fn do_create_datanet(
		owner: T::AccountId,
		name: DatanetName,
		kind: DatanetKind,
		licence: LicenceTerms,
		terms: DatanetTerms<BlockNumberFor<T>>,
	) -> Result<DatanetId, DispatchError> {
		ensure!(!name.is_empty() && core::str::from_utf8(&name).is_ok(), Error::<T>::InvalidName);
		ensure!(licence.is_valid(), Error::<T>::InvalidLicence);
		Self::ensure_allowed(&terms)?;

		let id = NextDatanetId::<T>::get();
		NextDatanetId::<T>::put(id.next().ok_or(Error::<T>::NumbersExhausted)?);
		DatanetsOf::<T>::try_append(&owner, id).map_err(|()| Error::<T>::TooManyDatanets)?;
		DatanetDeposits::<T>::insert(
			id,
			T::DatanetDeposit::new(&owner, Self::datanet_footprint())?,
		);
		Datanets::<T>::insert(
			id,
			Datanet {
				owner: owner.clone(),
				name,
				kind,
				licence,
				terms,
				takes_contributions: true,
				created_at: Self::now(),
			},
		);
		Self::deposit_event(Event::DatanetCreated { datanet: id, owner, kind, licence });
		Ok(id)
	}

	pub(crate) fn do_update_datanet(
		who: T::AccountId,
		id: DatanetId,
		new_terms: DatanetTerms<BlockNumberFor<T>>,
	) -> DispatchResult {
		let mut datanet = Self::own_datanet(&who, id)?;
		Self::ensure_allowed(&new_terms)?;
		let old_terms = core::mem::replace(&mut datanet.terms, new_terms);
		Datanets::<T>::insert(id, datanet);
		Self::deposit_event(Event::DatanetUpdated { datanet: id, old_terms, new_terms });
		Ok(())
	}

	pub(crate) fn do_close_datanet(who: T::AccountId, id: DatanetId) -> DispatchResult {
		let mut datanet = Self::own_datanet(&who, id)?;
		ensure!(datanet.takes_contributions, Error::<T>::ContributionsClosed);
		datanet.takes_contributions = false;
		Datanets::<T>::insert(id, datanet);
		Self::deposit_event(Event::DatanetClosed { datanet: id });
		Ok(())
	}

	pub(crate) fn do_reopen_datanet(who: T::AccountId, id: DatanetId) -> DispatchResult {
		let mut datanet = Self::own_datanet(&who, id)?;
		ensure!(!datanet.takes_contributions, Error::<T>::ContributionsOpen);
		datanet.takes_contributions = true;
		Datanets::<T>::insert(id, datanet);
		Self::deposit_event(Event::DatanetReopened { datanet: id });
		Ok(())
	}

	pub(crate) fn do_offer_datanet(
		who: T::AccountId,
		id: DatanetId,
		to: T::AccountId,
	) -> DispatchResult {
		let datanet = Self::own_datanet(&who, id)?;
		ensure!(datanet.owner != to, Error::<T>::AlreadyOwner);
		DatanetOffers::<T>::insert(id, &to);
		Self::deposit_event(Event::DatanetOffered { datanet: id, to });
		Ok(())
	}

	pub(crate) fn do_withdraw_datanet_offer(who: T::AccountId, id: DatanetId) -> DispatchResult {
		Self::own_datanet(&who, id)?;
		DatanetOffers::<T>::take(id).ok_or(Error::<T>::NotOffered)?;
		Self::deposit_event(Event::DatanetOfferWithdrawn { datanet: id });
		Ok(())
	}

	pub(crate) fn do_accept_datanet(to: T::AccountId, id: DatanetId) -> DispatchResult {
		let mut datanet = Self::existing_datanet(id)?;
		ensure!(DatanetOffers::<T>::get(id).as_ref() == Some(&to), Error::<T>::NotOffered);
		DatanetOffers::<T>::remove(id);

		DatanetsOf::<T>::try_append(&to, id).map_err(|()| Error::<T>::TooManyDatanets)?;
		let from = core::mem::replace(&mut datanet.owner, to.clone());
		DatanetsOf::<T>::mutate_exists(&from, |owned| {
			if let Some(ids) = owned {
				ids.retain(|other| *other != id);
				if ids.is_empty() {
					*owned = None;
				}
			}
		});

		// The new deposit first: the state is never without one.
		let ticket = T::DatanetDeposit::new(&to, Self::datanet_footprint())?;
		if let Some(old) = DatanetDeposits::<T>::take(id) {
			old.drop(&from)?;
		}
		DatanetDeposits::<T>::insert(id, ticket);
		Datanets::<T>::insert(id, datanet);
		Self::deposit_event(Event::DatanetTransferred { datanet: id, from, to });
		Ok(())
	}
}
