//! Roles: who has them, and how they are given, sold and taken back.

use crate::{pallet::*, types::*, MAX_PAGE};
use alloc::vec::Vec;
use frame_support::{
	ensure,
	traits::{
		fungible::{Mutate, MutateHold},
		tokens::{Fortitude, Precision, Preservation, Restriction},
		Consideration,
	},
};
use frame_system::pallet_prelude::BlockNumberFor;
use openledger_primitives::{Balance, DatanetId};
use sp_runtime::{DispatchError, DispatchResult};

impl<T: Config> Pallet<T> {
	/// Whether `who` has a role in a datanet that exists.
	pub(crate) fn has_role(who: &T::AccountId, id: DatanetId, role: Role) -> bool {
		Datanets::<T>::get(id).is_some_and(|datanet| {
			Self::has_role_under(who, id, &datanet.owner, &datanet.terms, role)
		})
	}

	/// Whether `who` has a role in the datanet with this owner and these terms. The only place where
	/// that is decided.
	pub(crate) fn has_role_under(
		who: &T::AccountId,
		id: DatanetId,
		owner: &T::AccountId,
		terms: &DatanetTerms<BlockNumberFor<T>>,
		role: Role,
	) -> bool {
		let everybody = match role {
			Role::Curator => false,
			Role::Contributor => terms.access.lets_everybody_contribute(),
			Role::Trainer => terms.access.lets_everybody_train(terms.price),
		};
		everybody || who == owner || Self::live_grant(id, who, role).is_some()
	}

	/// The grant of a role that holds now.
	fn live_grant(
		id: DatanetId,
		who: &T::AccountId,
		role: Role,
	) -> Option<Grant<BlockNumberFor<T>>> {
		let grant = Grants::<T>::get((id, who, role))?.value;
		grant.holds_at(Self::now()).then_some(grant)
	}

	/// Writes a grant with a deposit already made, in place of an earlier one, whose deposit goes back.
	fn put_grant(
		id: DatanetId,
		who: &T::AccountId,
		role: Role,
		grant: SecuredGrantOf<T>,
	) -> DispatchResult {
		if let Some(old) = Grants::<T>::take((id, who, role)) {
			old.ticket.drop(&old.depositor)?;
		}
		Grants::<T>::insert((id, who, role), grant);
		Ok(())
	}

	pub(crate) fn do_grant_access(
		owner: T::AccountId,
		id: DatanetId,
		who: T::AccountId,
		role: Role,
		expires_at: Option<BlockNumberFor<T>>,
	) -> DispatchResult {
		Self::own_datanet(&owner, id)?;
		ensure!(who != owner, Error::<T>::AlreadyGranted);
		ensure!(expires_at.is_none_or(|end| end > Self::now()), Error::<T>::ExpiryInPast);
		if role == Role::Trainer {
			if let Some(request) = AccessRequests::<T>::take(id, &who) {
				return Self::answer_request(owner, id, who, request, expires_at);
			}
		}
		let value = Grant::Given { expires_at };
		let old = Grants::<T>::get((id, &who, role));
		if let Some(old) = &old {
			ensure!(old.value.can_be_revoked(), Error::<T>::AccessWasBought);
		}
		match old.filter(|old| old.depositor == owner || old.depositor == who) {
			Some(old) => Grants::<T>::insert((id, &who, role), Secured { value, ..old }),
			// Also where a former owner made the deposit: who renews a grant stands for it.
			None => {
				let ticket = T::AccessDeposit::new(&owner, Self::access_footprint())?;
				let grant = Secured { value, depositor: owner, ticket };
				Self::put_grant(id, &who, role, grant)?;
			},
		}
		Self::deposit_event(Event::AccessGranted { datanet: id, who, role, expires_at });
		Ok(())
	}

	/// Grants what was asked for. The request's deposit becomes the grant's.
	fn answer_request(
		owner: T::AccountId,
		id: DatanetId,
		who: T::AccountId,
		request: SecuredRequestOf<T>,
		expires_at: Option<BlockNumberFor<T>>,
	) -> DispatchResult {
		let Secured { value: AccessRequest { price, .. }, depositor, ticket } = request;
		if price == 0 {
			let value = Grant::Given { expires_at };
			Self::put_grant(id, &who, Role::Trainer, Secured { value, depositor, ticket })?;
			Self::deposit_event(Event::AccessGranted {
				datanet: id,
				who,
				role: Role::Trainer,
				expires_at,
			});
			return Ok(());
		}
		ensure!(expires_at.is_none(), Error::<T>::AccessWasBought);
		// It was held to be paid: freezes on the account do not stop it.
		T::Currency::transfer_on_hold(
			&HoldReason::AccessPrice.into(),
			&who,
			&owner,
			price,
			Precision::Exact,
			Restriction::Free,
			Fortitude::Force,
		)?;
		let value = Grant::Bought { price };
		Self::put_grant(id, &who, Role::Trainer, Secured { value, depositor, ticket })?;
		Self::deposit_event(Event::AccessBought { datanet: id, who, owner, price });
		Ok(())
	}

	pub(crate) fn do_revoke_access(
		by: T::AccountId,
		id: DatanetId,
		who: T::AccountId,
		role: Role,
	) -> DispatchResult {
		let datanet = Self::existing_datanet(id)?;
		let grant = Grants::<T>::take((id, &who, role)).ok_or(Error::<T>::NotGranted)?;
		if by != who && grant.value.holds_at(Self::now()) {
			ensure!(by == datanet.owner, Error::<T>::NotOwner);
			ensure!(grant.value.can_be_revoked(), Error::<T>::AccessWasBought);
		}
		grant.ticket.drop(&grant.depositor)?;
		Self::deposit_event(Event::AccessRevoked { datanet: id, who, role });
		Ok(())
	}

	/// The price an account has to pay for access to train, if it can still gain by it and would pay it.
	fn price_for(
		who: &T::AccountId,
		id: DatanetId,
		datanet: &DatanetOf<T>,
		max_price: Balance,
	) -> Result<Balance, DispatchError> {
		let unlimited = who == &datanet.owner
			|| Self::live_grant(id, who, Role::Trainer).is_some_and(|grant| grant.is_unlimited());
		ensure!(!unlimited, Error::<T>::AlreadyGranted);
		ensure!(datanet.terms.price <= max_price, Error::<T>::PriceAboveLimit);
		Ok(datanet.terms.price)
	}

	pub(crate) fn do_buy_access(
		who: T::AccountId,
		id: DatanetId,
		max_price: Balance,
	) -> DispatchResult {
		let datanet = Self::existing_datanet(id)?;
		ensure!(
			datanet.terms.access == AccessPolicy::Open && datanet.terms.price > 0,
			Error::<T>::AccessNotForSale
		);
		let price = Self::price_for(&who, id, &datanet, max_price)?;
		let owner = datanet.owner;
		T::Currency::transfer(&who, &owner, price, Preservation::Preserve)?;
		let ticket = T::AccessDeposit::new(&who, Self::access_footprint())?;
		let grant = Secured { value: Grant::Bought { price }, depositor: who.clone(), ticket };
		Self::put_grant(id, &who, Role::Trainer, grant)?;
		Self::deposit_event(Event::AccessBought { datanet: id, who, owner, price });
		Ok(())
	}

	pub(crate) fn do_request_access(
		who: T::AccountId,
		id: DatanetId,
		max_price: Balance,
	) -> DispatchResult {
		let datanet = Self::existing_datanet(id)?;
		ensure!(datanet.terms.access == AccessPolicy::Approval, Error::<T>::AccessNotByRequest);
		ensure!(!AccessRequests::<T>::contains_key(id, &who), Error::<T>::AlreadyRequested);
		let price = Self::price_for(&who, id, &datanet, max_price)?;
		if price > 0 {
			T::Currency::hold(&HoldReason::AccessPrice.into(), &who, price)?;
		}
		let ticket = T::AccessDeposit::new(&who, Self::access_footprint())?;
		let value = AccessRequest { price, requested_at: Self::now() };
		let request = Secured { value, depositor: who.clone(), ticket };
		AccessRequests::<T>::insert(id, &who, request);
		Self::deposit_event(Event::AccessRequested { datanet: id, who, price });
		Ok(())
	}

	/// Takes a request away and gives price and deposit back. Returns the price.
	fn end_request(id: DatanetId, who: &T::AccountId) -> Result<Balance, DispatchError> {
		let Secured { value: AccessRequest { price, .. }, depositor, ticket } =
			AccessRequests::<T>::take(id, who).ok_or(Error::<T>::NotRequested)?;
		if price > 0 {
			T::Currency::release(&HoldReason::AccessPrice.into(), who, price, Precision::Exact)?;
		}
		ticket.drop(&depositor)?;
		Ok(price)
	}

	pub(crate) fn do_refuse_access(
		owner: T::AccountId,
		id: DatanetId,
		who: T::AccountId,
	) -> DispatchResult {
		Self::own_datanet(&owner, id)?;
		let price = Self::end_request(id, &who)?;
		Self::deposit_event(Event::AccessRefused { datanet: id, who, price });
		Ok(())
	}

	pub(crate) fn do_cancel_access_request(who: T::AccountId, id: DatanetId) -> DispatchResult {
		let price = Self::end_request(id, &who)?;
		Self::deposit_event(Event::AccessRequestCancelled { datanet: id, who, price });
		Ok(())
	}

	pub(crate) fn access_requests_page(
		id: DatanetId,
		after: Option<T::AccountId>,
		limit: u32,
	) -> Vec<(T::AccountId, AccessRequest<BlockNumberFor<T>>)> {
		let entries = match after {
			None => AccessRequests::<T>::iter_prefix(id),
			Some(who) => AccessRequests::<T>::iter_prefix_from(
				id,
				AccessRequests::<T>::hashed_key_for(id, who),
			),
		};
		entries
			.take(limit.min(MAX_PAGE) as usize)
			.map(|(who, request)| (who, request.value))
			.collect()
	}
}
