//! What must hold between any two blocks.

use crate::{
	CandidateCount, Config, HoldReason, MaxValidators, Pallet, SessionBonds, SlashedFractions,
	Status, Validators,
};
use frame_support::{
	ensure,
	traits::{fungible::InspectHold, Get},
};
use pallet_session::SessionInterface;
use sp_runtime::{SaturatedConversion, TryRuntimeError};

impl<T: Config> Pallet<T> {
	/// Checks the pallet's invariants.
	pub fn do_try_state() -> Result<(), TryRuntimeError> {
		Self::bonds_are_held_and_counted()?;
		Self::session_bonds_match_the_sets()?;
		Self::slashes_are_within_the_window()
	}

	fn bonds_are_held_and_counted() -> Result<(), TryRuntimeError> {
		let mut candidates: u32 = 0;
		let mut registered: u32 = 0;
		for (who, validator) in Validators::<T>::iter() {
			ensure!(
				T::Currency::balance_on_hold(&HoldReason::Bond.into(), &who) == validator.bond,
				"a bond differs from what is on hold"
			);
			registered = registered.saturating_add(1);
			if validator.status == Status::Candidate {
				candidates = candidates.saturating_add(1);
			}
		}
		ensure!(registered == Validators::<T>::count(), "the counter of validators is wrong");
		ensure!(registered <= T::MaxCandidates::get(), "too many validators");
		ensure!(candidates == CandidateCount::<T>::get(), "the counter of candidates is wrong");
		ensure!(
			(T::MinValidators::get()..=T::MaxAuthorities::get())
				.contains(&MaxValidators::<T>::get()),
			"the largest set is out of range"
		);
		Ok(())
	}

	fn session_bonds_match_the_sets() -> Result<(), TryRuntimeError> {
		let current = Self::session_index();
		let planned = current.saturating_add(1);
		for (session, who, _) in SessionBonds::<T>::iter() {
			ensure!(session == current || session == planned, "session bonds of another session");
			if let Some(Status::Leaving { unlock_at }) =
				Validators::<T>::get(&who).map(|validator| validator.status)
			{
				ensure!(
					unlock_at > session.saturating_add(T::OffenceWindow::get()),
					"a bond unlocks while an offence can be reported"
				);
			}
		}
		let active = <T::Session as SessionInterface>::validators();
		let bonded: u32 = SessionBonds::<T>::iter_key_prefix(current).count().saturated_into();
		ensure!(
			bonded == active.len().saturated_into::<u32>()
				&& active.iter().all(|who| SessionBonds::<T>::contains_key(current, who)),
			"the active set has no identification"
		);
		Ok(())
	}

	fn slashes_are_within_the_window() -> Result<(), TryRuntimeError> {
		let oldest = Self::session_index().saturating_sub(T::OffenceWindow::get());
		ensure!(
			SlashedFractions::<T>::iter_keys().all(|(session, _)| session >= oldest),
			"a slash is remembered for too long"
		);
		Ok(())
	}
}
