//! Base models: who may register, retire and remove one.

use crate::{
	pallet::*,
	types::{Architecture, BaseModel, Name},
};
use frame_support::{
	ensure,
	traits::{Consideration, EnsureOrigin, Footprint},
};
use frame_system::{ensure_signed, pallet_prelude::OriginFor};
use openledger_primitives::{licence::LicenceTerms, BaseModelId, H256};
use sp_runtime::{DispatchError, DispatchResult};

/// What a registrar says about a base model.
pub(crate) struct BaseModelDescription {
	pub weights_hash: H256,
	pub tokenizer_hash: H256,
	pub architecture: Architecture,
	pub licence: LicenceTerms,
	pub name: Name,
	pub parameters: u64,
}

impl<T: Config> Pallet<T> {
	/// What the record of a base model occupies, for its deposit.
	pub(crate) fn base_model_footprint() -> Footprint {
		Footprint::from_mel::<BaseModel<T::AccountId>>()
	}

	pub(crate) fn do_register_base_model(
		registrar: T::AccountId,
		description: BaseModelDescription,
	) -> Result<BaseModelId, DispatchError> {
		let BaseModelDescription {
			weights_hash,
			tokenizer_hash,
			architecture,
			licence,
			name,
			parameters,
		} = description;
		ensure!(!name.is_empty() && !architecture.is_empty(), Error::<T>::EmptyName);
		ensure!(licence.is_valid(), Error::<T>::InvalidLicence);
		ensure!(!Self::has_ended(&licence), Error::<T>::LicenceExpired);
		ensure!(
			!BaseModelByWeights::<T>::contains_key(weights_hash),
			Error::<T>::BaseModelAlreadyExists
		);
		let base = NextBaseModelId::<T>::try_mutate(|next| {
			let id = *next;
			*next = id.next().ok_or(Error::<T>::IdsUsedUp)?;
			Ok::<_, DispatchError>(id)
		})?;
		let deposit = T::RecordDeposit::new(&registrar, Self::base_model_footprint())?;
		BaseModelDeposits::<T>::insert(base, deposit);
		BaseModelByWeights::<T>::insert(weights_hash, base);
		BaseModels::<T>::insert(
			base,
			BaseModel {
				registrar: registrar.clone(),
				weights_hash,
				tokenizer_hash,
				architecture,
				licence,
				name,
				parameters,
				retired: false,
			},
		);
		Self::deposit_event(Event::BaseModelRegistered { base, registrar, weights_hash });
		Ok(base)
	}

	pub(crate) fn do_retire_base_model(origin: OriginFor<T>, base: BaseModelId) -> DispatchResult {
		BaseModels::<T>::try_mutate(base, |record| {
			let record = record.as_mut().ok_or(Error::<T>::UnknownBaseModel)?;
			Self::ensure_registrar_or_admin(origin, record)?;
			ensure!(!record.retired, Error::<T>::BaseModelRetired);
			record.retired = true;
			Self::deposit_event(Event::BaseModelRetired { base });
			Ok(())
		})
	}

	pub(crate) fn do_remove_base_model(origin: OriginFor<T>, base: BaseModelId) -> DispatchResult {
		let record = BaseModels::<T>::get(base).ok_or(Error::<T>::UnknownBaseModel)?;
		Self::ensure_registrar_or_admin(origin, &record)?;
		ensure!(record.retired, Error::<T>::BaseModelNotRetired);
		ensure!(BaseModelUses::<T>::get(base) == 0, Error::<T>::BaseModelInUse);
		if let Some(deposit) = BaseModelDeposits::<T>::take(base) {
			deposit.drop(&record.registrar)?;
		}
		BaseModelByWeights::<T>::remove(record.weights_hash);
		BaseModels::<T>::remove(base);
		Self::deposit_event(Event::BaseModelRemoved { base });
		Ok(())
	}

	/// One more record (job or model) refers to the base model.
	pub(crate) fn use_base_model(base: BaseModelId) {
		BaseModelUses::<T>::mutate(base, |uses| *uses = uses.saturating_add(1));
	}

	/// One record less refers to the base model.
	pub(crate) fn leave_base_model(base: BaseModelId) {
		BaseModelUses::<T>::mutate_exists(base, |uses| {
			*uses = uses.unwrap_or(0).checked_sub(1).filter(|left| *left > 0);
		});
	}

	fn ensure_registrar_or_admin(
		origin: OriginFor<T>,
		record: &BaseModel<T::AccountId>,
	) -> DispatchResult {
		if let Err(origin) = T::AdminOrigin::try_origin(origin) {
			let who = ensure_signed(origin)?;
			ensure!(who == record.registrar, Error::<T>::NotRegistrar);
		}
		Ok(())
	}
}
