//! What an offence costs.

use crate::{
	CandidateCount, Config, Event, HoldReason, Identification, Pallet, SlashedFractions, Status,
	Validators, WeightInfo, LOG_TARGET,
};
use frame_support::{
	traits::{fungible::BalancedHold, Get, OnUnbalanced},
	weights::Weight,
};
use openledger_primitives::Balance;
use pallet_session::SessionInterface;
use sp_runtime::{Perbill, SaturatedConversion};
use sp_staking::{
	offence::{OffenceDetails, OffenceSeverity, OnOffenceHandler},
	SessionIndex,
};

impl<T: Config> OnOffenceHandler<T::AccountId, (T::AccountId, Identification), Weight>
	for Pallet<T>
{
	/// Reports come again with every further offender of the same moment, and then with higher
	/// fractions for all of them; only what is new is punished.
	fn on_offence(
		offenders: &[OffenceDetails<T::AccountId, (T::AccountId, Identification)>],
		slash_fractions: &[Perbill],
		session: SessionIndex,
	) -> Weight {
		let weight = T::WeightInfo::on_offence(offenders.len().saturated_into());
		// Its roots are pruned and bonds may be gone: such a report cannot come from a proof.
		if session.saturating_add(T::OffenceWindow::get()) < Self::session_index() {
			log::warn!(target: LOG_TARGET, "ignored offences of past session {session}");
			return weight;
		}
		for (details, fraction) in offenders.iter().zip(slash_fractions) {
			let (who, identification) = &details.offender;
			let already = SlashedFractions::<T>::get(session, who).unwrap_or_else(Perbill::zero);
			if *fraction > already {
				SlashedFractions::<T>::insert(session, who, fraction);
				Self::punish(who, session, identification.bond, already, *fraction);
			}
		}
		weight
	}
}

impl<T: Config> Pallet<T> {
	/// Slashes from `already` up to `fraction` of the session bond, jails and disables.
	fn punish(
		who: &T::AccountId,
		session: SessionIndex,
		session_bond: Balance,
		already: Perbill,
		fraction: Perbill,
	) {
		let Some(mut validator) = Validators::<T>::get(who) else { return };

		let due = fraction.mul_floor(session_bond).saturating_sub(already.mul_floor(session_bond));
		let due = due.min(validator.bond);
		let (credit, missing) = T::Currency::slash(&HoldReason::Bond.into(), who, due);
		let amount = due.saturating_sub(missing);
		validator.bond = validator.bond.saturating_sub(amount);
		T::Slash::on_unbalanced(credit);
		Self::deposit_event(Event::ValidatorSlashed {
			who: who.clone(),
			session,
			fraction,
			amount,
		});

		let until = Self::session_index().saturating_add(T::JailDuration::get());
		if validator.status == Status::Candidate {
			CandidateCount::<T>::mutate(|count| *count = count.saturating_sub(1));
		}
		if !matches!(validator.status, Status::Leaving { .. }) {
			validator.status = Status::Jailed { until };
			Self::deposit_event(Event::ValidatorJailed { who: who.clone(), until });
		}
		Validators::<T>::insert(who, validator);

		<T::Session as SessionInterface>::report_offence(who.clone(), OffenceSeverity(fraction));
	}
}
