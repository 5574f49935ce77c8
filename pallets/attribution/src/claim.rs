//! Checking a claim: is it about this answer, does it agree with itself, and does every span that it
//! shows stand in a record that the model was trained on.

use crate::pallet::*;
use alloc::collections::{btree_map::Entry, BTreeMap};
use frame_support::ensure;
use openledger_primitives::{
	claim::{AttributionClaim, ClaimFault},
	span::{MatchedSpan, SpanFault},
	traits::{AcceptedContribution, DatanetRegistry, ModelRegistry, PaidAnswer, TrainingSources},
	ContributionId, DatanetId,
};
use sp_runtime::DispatchResult;

/// The contributions that a claim shows, each in the model and with every span of it verified.
pub(crate) type Evidence<T> =
	BTreeMap<ContributionId, AcceptedContribution<<T as frame_system::Config>::AccountId>>;

impl<T: Config> Pallet<T> {
	/// The request has no settlement yet and is young enough that this is known for certain.
	pub(crate) fn ensure_not_settled(answer: &PaidAnswer<T::AccountId>) -> DispatchResult {
		let request = answer.request;
		ensure!(!Settlements::<T>::contains_key(request), Error::<T>::AlreadySettled);
		let pruned = NewestPruned::<T>::get().is_some_and(|newest| request <= newest);
		ensure!(!pruned, Error::<T>::RequestTooOld);
		Ok(())
	}

	/// The claim is about this answer, and spans, evidence root and shares follow from each other.
	pub(crate) fn ensure_claim_fits(
		answer: &PaidAnswer<T::AccountId>,
		claim: &AttributionClaim,
	) -> DispatchResult {
		ensure!(claim.request == answer.request, Error::<T>::ClaimForOtherRequest);
		ensure!(claim.model == answer.model, Error::<T>::ClaimForOtherModel);
		claim.check().map_err(|fault| match fault {
			ClaimFault::EmptyShare => Error::<T>::EmptyShare,
			ClaimFault::NotSorted => Error::<T>::SharesNotSorted,
			ClaimFault::WrongTotal => Error::<T>::SharesNotWhole,
			ClaimFault::Span(SpanFault::TooShort) => Error::<T>::SpanTooShort,
			ClaimFault::Span(SpanFault::NoGain) => Error::<T>::SpanWithoutGain,
			ClaimFault::Span(SpanFault::Overlapping) => Error::<T>::SpansOverlap,
			ClaimFault::WrongEvidenceRoot => Error::<T>::WrongEvidenceRoot,
			ClaimFault::SharesContradictSpans => Error::<T>::SharesContradictSpans,
		})?;
		Ok(())
	}

	/// Verifies every span of a claim against what its contribution committed to. Shares follow from
	/// spans, so every contribution that earns is among the result.
	pub(crate) fn verify_spans(claim: &AttributionClaim) -> Result<Evidence<T>, Error<T>> {
		let sources = T::Models::sources(claim.model).ok_or(Error::<T>::UnknownModel)?;
		let mut leaves: BTreeMap<DatanetId, u32> = BTreeMap::new();
		let mut evidence = Evidence::<T>::new();
		for span in &claim.spans {
			let id = span.contribution;
			let contribution = match evidence.entry(id) {
				Entry::Occupied(known) => known.into_mut(),
				Entry::Vacant(new) => {
					let leaves = match leaves.entry(id.datanet) {
						Entry::Occupied(known) => *known.get(),
						Entry::Vacant(new) => {
							*new.insert(Self::leaves_in_model(&sources, id.datanet)?)
						},
					};
					new.insert(Self::contribution_below(id, leaves)?)
				},
			};
			ensure!(stands_in(span, contribution), Error::<T>::SpanNotInContribution);
		}
		Ok(evidence)
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

	/// A contribution that is among the first `leaves` accepted ones.
	fn contribution_below(
		id: ContributionId,
		leaves: u32,
	) -> Result<AcceptedContribution<T::AccountId>, Error<T>> {
		T::Datanets::accepted_contribution(id)
			.filter(|accepted| accepted.leaf_index < leaves)
			.ok_or(Error::<T>::ContributionNotInModel)
	}
}

/// Whether a span's record is one of the contribution's: its path leads from the leaf to the
/// contribution's root, in a tree of as many records as the contribution has.
fn stands_in<AccountId>(
	span: &MatchedSpan,
	contribution: &AcceptedContribution<AccountId>,
) -> bool {
	span.proof.leaf_count == contribution.records && span.proof.verify(contribution.root, span.leaf)
}
