//! Checking a claim: is it about this answer, is it well formed, and are the contributions that it
//! names among those that the model was trained on.

use crate::pallet::*;
use alloc::vec::Vec;
use frame_support::ensure;
use openledger_primitives::{
	claim::{AttributionClaim, ClaimFault},
	traits::{DatanetRegistry, ModelRegistry, PaidAnswer, TrainingSources},
	ContributionId, DatanetId,
};
use sp_runtime::DispatchResult;

impl<T: Config> Pallet<T> {
	/// The request has no settlement yet and is young enough that this is known for certain.
	pub(crate) fn ensure_not_settled(answer: &PaidAnswer<T::AccountId>) -> DispatchResult {
		let request = answer.request;
		ensure!(!Settlements::<T>::contains_key(request), Error::<T>::AlreadySettled);
		let pruned = NewestPruned::<T>::get().is_some_and(|newest| request <= newest);
		ensure!(!pruned, Error::<T>::RequestTooOld);
		Ok(())
	}

	/// The claim is about this answer and its shares are well formed.
	pub(crate) fn ensure_claim_fits(
		answer: &PaidAnswer<T::AccountId>,
		claim: &AttributionClaim,
	) -> DispatchResult {
		ensure!(claim.request == answer.request, Error::<T>::ClaimForOtherRequest);
		ensure!(claim.model == answer.model, Error::<T>::ClaimForOtherModel);
		claim.check_shares().map_err(|fault| match fault {
			ClaimFault::EmptyShare => Error::<T>::EmptyShare,
			ClaimFault::NotSorted => Error::<T>::SharesNotSorted,
			ClaimFault::WrongTotal => Error::<T>::SharesNotWhole,
		})?;
		Ok(())
	}

	/// Who earns from each share of a claim, in the claim's order.
	pub(crate) fn contributors(claim: &AttributionClaim) -> Result<Vec<T::AccountId>, Error<T>> {
		let sources = T::Models::sources(claim.model).ok_or(Error::<T>::UnknownModel)?;
		// The shares are sorted, so those of one datanet stand together: one look-up serves them.
		let mut current: Option<(DatanetId, u32)> = None;
		claim
			.shares
			.iter()
			.map(|share| {
				let datanet = share.contribution.datanet;
				let leaves = match current {
					Some((known, leaves)) if known == datanet => leaves,
					_ => Self::leaves_in_model(&sources, datanet)?,
				};
				current = Some((datanet, leaves));
				Self::contributor_below(share.contribution, leaves)
			})
			.collect()
	}

	/// How many of a datanet's accepted contributions the model was trained on: the leaves of the
	/// version among its sources.
	fn leaves_in_model(sources: &TrainingSources, datanet: DatanetId) -> Result<u32, Error<T>> {
		sources
			.iter()
			.find(|source| source.datanet == datanet)
			.and_then(|source| T::Datanets::version(*source))
			.map(|version| version.contributions)
			.ok_or(Error::<T>::ContributionNotInModel)
	}

	/// Who earns from a contribution that is among the first `leaves` accepted ones.
	fn contributor_below(
		contribution: ContributionId,
		leaves: u32,
	) -> Result<T::AccountId, Error<T>> {
		T::Datanets::accepted_contribution(contribution)
			.filter(|accepted| accepted.leaf_index < leaves)
			.map(|accepted| accepted.contributor)
			.ok_or(Error::<T>::ContributionNotInModel)
	}
}
