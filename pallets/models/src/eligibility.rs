//! Whether somebody may train a model from given sources on a given base: existence, access and
//! licences. The same function answers the call and the user interface that asks before.

use crate::{
	pallet::*,
	types::{Licensor, Refusal},
};
use alloc::vec::Vec;
use frame_support::traits::UnixTime;
use openledger_primitives::{
	licence::{allows, LicenceConflict, LicenceTerms, Purposes, Use},
	traits::{DatanetRegistry, TrainingSources},
	BaseModelId,
};
use sp_runtime::DispatchError;

impl<T: Config> Pallet<T> {
	/// Whether terms are no longer in force.
	pub(crate) fn has_ended(terms: &LicenceTerms) -> bool {
		terms.expires_at.is_some_and(|end| end <= T::Time::now().as_secs())
	}

	/// Checks everything about a training request but money and time.
	///
	/// The use that the licences must allow lasts as long as the terms of the result do: a source
	/// whose licence ends may be trained on only if the result's licence ends no later. Models do
	/// not answer after that.
	pub(crate) fn check_eligibility(
		who: &T::AccountId,
		base: BaseModelId,
		sources: &TrainingSources,
		commercial: bool,
		licence: &LicenceTerms,
	) -> Result<(), Refusal> {
		let base = BaseModels::<T>::get(base).ok_or(Refusal::UnknownBaseModel)?;
		if base.retired {
			return Err(Refusal::BaseModelRetired);
		}
		if !licence.is_valid() {
			return Err(Refusal::InvalidLicence);
		}
		if Self::has_ended(licence) {
			return Err(Refusal::LicenceExpired(Licensor::Result));
		}
		if sources.is_empty() {
			return Err(Refusal::NoSources);
		}
		let ascending = sources
			.iter()
			.zip(sources.iter().skip(1))
			.all(|(left, right)| left.datanet < right.datanet);
		if !ascending {
			return Err(Refusal::SourcesNotSorted);
		}

		let mut terms = Vec::with_capacity(sources.len().saturating_add(1));
		terms.push((Licensor::BaseModel, base.licence));
		for source in sources {
			if T::Datanets::version(*source).is_none() {
				return Err(Refusal::SourceNotPublished(*source));
			}
			T::Datanets::ensure_may_train(who, source.datanet).map_err(|error| {
				Refusal::AccessDenied { datanet: source.datanet, error: error.into() }
			})?;
			let theirs =
				T::Datanets::licence(source.datanet).ok_or(Refusal::SourceNotPublished(*source))?;
			terms.push((Licensor::Datanet(source.datanet), theirs));
		}
		Self::check_licences(&terms, commercial, licence)
	}

	fn check_licences(
		terms: &[(Licensor, LicenceTerms)],
		commercial: bool,
		result: &LicenceTerms,
	) -> Result<(), Refusal> {
		let wanted = Use {
			purposes: Purposes::TRAINING.and(Purposes::SERVING),
			commercial,
			derivative: Some(*result),
			until: result.expires_at,
		};
		// One by one first, to be able to say whose terms are in the way.
		for (licensor, theirs) in terms {
			if Self::has_ended(theirs) {
				return Err(Refusal::LicenceExpired(*licensor));
			}
			allows([theirs], &wanted).map_err(|conflict| Refusal::LicenceConflict {
				licensor: Some(*licensor),
				conflict,
			})?;
		}
		allows(terms.iter().map(|(_, theirs)| theirs), &wanted)
			.map_err(|conflict| Refusal::LicenceConflict { licensor: None, conflict })
	}

	/// A refusal as a call's error.
	pub(crate) fn refuse(refusal: Refusal) -> DispatchError {
		match refusal {
			Refusal::UnknownBaseModel => Error::<T>::UnknownBaseModel,
			Refusal::BaseModelRetired => Error::<T>::BaseModelRetired,
			Refusal::InvalidLicence => Error::<T>::InvalidLicence,
			Refusal::NoSources => Error::<T>::NoSources,
			Refusal::SourcesNotSorted => Error::<T>::SourcesNotSorted,
			Refusal::SourceNotPublished(_) => Error::<T>::SourceNotPublished,
			Refusal::AccessDenied { error, .. } => return error,
			Refusal::LicenceExpired(_) => Error::<T>::LicenceExpired,
			Refusal::LicenceConflict { conflict, .. } => match conflict {
				LicenceConflict::PurposeNotAllowed => Error::<T>::PurposeNotAllowed,
				LicenceConflict::CommercialUseForbidden => Error::<T>::CommercialUseForbidden,
				LicenceConflict::DerivativesForbidden => Error::<T>::DerivativesForbidden,
				LicenceConflict::ShareAlikeNotKept => Error::<T>::ShareAlikeNotKept,
				LicenceConflict::Expires => Error::<T>::LicenceEndsBeforeResult,
				LicenceConflict::RevenueSharesExceedWhole => Error::<T>::RevenueSharesExceedWhole,
			},
		}
		.into()
	}
}
