//! One path from a paid answer to everybody's credit.

use crate::{pallet::*, types::*, weights::WeightInfo};
use alloc::{collections::BTreeMap, vec::Vec};
use core::marker::PhantomData;
use frame_support::{storage::with_storage_layer, traits::Get, weights::Weight};
use frame_system::pallet_prelude::BlockNumberFor;
use openledger_primitives::{
	claim::AttributionClaim,
	traits::{PaidAnswer, Settlement},
	Balance, BoundedVec,
};
use sp_runtime::{traits::Convert, ArithmeticError, DispatchError, DispatchResult};

/// The weight of a settlement by its claim, for the pallet that orders it.
pub struct SettlementWeight<T>(PhantomData<T>);

impl<T: Config> Convert<&AttributionClaim, Weight> for SettlementWeight<T> {
	fn convert(claim: &AttributionClaim) -> Weight {
		let count = |items: usize| u32::try_from(items).unwrap_or(u32::MAX);
		let siblings = claim
			.spans
			.iter()
			.fold(0, |sum: usize, span| sum.saturating_add(span.proof.siblings.len()));
		T::WeightInfo::settle(count(claim.shares.len()), count(claim.spans.len()), count(siblings))
	}
}

impl<T: Config> Settlement<T::AccountId> for Pallet<T> {
	type Error = DispatchError;

	fn settle(answer: PaidAnswer<T::AccountId>, claim: &AttributionClaim) -> DispatchResult {
		with_storage_layer(|| Self::do_settle(answer, claim))
	}
}

impl<T: Config> Pallet<T> {
	fn do_settle(answer: PaidAnswer<T::AccountId>, claim: &AttributionClaim) -> DispatchResult {
		Self::ensure_not_settled(&answer)?;
		Self::ensure_claim_fits(&answer, claim)?;
		let request = answer.request;
		let record = Self::divide(answer, claim)?;
		let credits = Self::credits(&record)?;
		Self::take_fee(&record.payer, record.fee)?;
		Self::deposit_event(Event::AnswerSettled {
			request,
			model: record.model,
			payer: record.payer.clone(),
			fee: record.fee,
			split: record.split,
			contributions: record.lines.len() as u32,
		});
		Self::credit(request, credits)?;
		Self::keep_until_pruned(request, record);
		Ok(())
	}

	/// Divides a fee by the policy in force and the contributors' part by the claim.
	fn divide(
		answer: PaidAnswer<T::AccountId>,
		claim: &AttributionClaim,
	) -> Result<SettlementRecord<T::AccountId, BlockNumberFor<T>>, DispatchError> {
		let evidence = Self::verify_spans(claim)?;
		let split = Split::<T>::get().divide(answer.fee).ok_or(Error::<T>::SplitNotWhole)?;
		let unattributed = claim.shares.is_empty();
		let amounts = if unattributed {
			Vec::new()
		} else {
			claim.divide(split.contributors).ok_or(Error::<T>::SharesNotWhole)?
		};
		let lines: Vec<_> = claim
			.shares
			.iter()
			.zip(amounts)
			.map(|(share, amount)| {
				// The claim was checked, so its shares follow from its spans.
				let contribution =
					evidence.get(&share.contribution).ok_or(Error::<T>::SharesContradictSpans)?;
				Ok(SettlementLine {
					contribution: share.contribution,
					owner: contribution.contributor.clone(),
					parts: share.parts,
					amount,
				})
			})
			.collect::<Result<_, Error<T>>>()?;
		Ok(SettlementRecord {
			model: answer.model,
			payer: answer.payer,
			host: answer.host,
			model_owner: answer.model_owner,
			fee: answer.fee,
			split,
			unattributed,
			// There are as many lines as shares, and both have the same bound.
			lines: BoundedVec::try_from(lines).map_err(|_| DispatchError::Corruption)?,
			evidence_root: claim.evidence_root,
			answer_hash: claim.answer_hash,
			at: frame_system::Pallet::<T>::block_number(),
		})
	}

	/// What each account earned, over all the parts it has in one answer.
	fn credits(
		record: &SettlementRecord<T::AccountId, BlockNumberFor<T>>,
	) -> Result<BTreeMap<T::AccountId, Balance>, DispatchError> {
		let split = &record.split;
		let ownerless = if record.unattributed { split.contributors } else { 0 };
		let roles = [
			(record.host.clone(), split.host),
			(record.model_owner.clone(), split.model_owner),
			(T::ValidatorsAccount::get(), split.validators),
			(T::TreasuryAccount::get(), split.treasury),
			(T::TreasuryAccount::get(), ownerless),
		];
		let lines = record.lines.iter().map(|line| (line.owner.clone(), line.amount));
		let mut credits = BTreeMap::new();
		for (who, amount) in lines.chain(roles) {
			let credit: &mut Balance = credits.entry(who).or_default();
			*credit = credit.checked_add(amount).ok_or(ArithmeticError::Overflow)?;
		}
		Ok(credits)
	}
}
