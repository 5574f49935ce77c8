//! Choosing the set of a session, and what starts with a session.

use crate::{
	Config, Event, Identification, MaxValidators, Pallet, SessionBonds, SlashedFractions, Status,
	Validators, LOG_TARGET,
};
use alloc::vec::Vec;
use core::{cmp::Reverse, marker::PhantomData};
use frame_support::traits::{Get, ValidatorRegistration};
use openledger_primitives::Balance;
use pallet_session::SessionInterface;
use sp_runtime::{traits::Convert, SaturatedConversion};
use sp_staking::{offence::OffenceSeverity, SessionIndex};

/// The outcome of a choice.
pub(crate) struct ChosenSet<AccountId> {
	/// The set with bonds in planks.
	pub members: Vec<(AccountId, Balance)>,
	/// How many could be chosen, when they were too few and the current set stays instead.
	pub retained_over: Option<u32>,
}

impl<T: Config> Pallet<T> {
	/// Who would validate in a session planned now.
	pub(crate) fn choose_set() -> ChosenSet<T::AccountId> {
		let mut eligible = Validators::<T>::iter()
			.filter(|(who, validator)| {
				validator.status == Status::Candidate && T::Session::is_registered(who)
			})
			.map(|(who, validator)| (who, validator.bond))
			.collect::<Vec<_>>();

		if eligible.len() < T::MinValidators::get() as usize {
			let current = Self::current_set();
			if current.len() > eligible.len() {
				let retained_over = Some(eligible.len().saturated_into());
				return ChosenSet { members: current, retained_over };
			}
		}
		eligible
			.sort_by(|(a, a_bond), (b, b_bond)| (Reverse(a_bond), a).cmp(&(Reverse(b_bond), b)));
		eligible.truncate(MaxValidators::<T>::get() as usize);
		ChosenSet { members: eligible, retained_over: None }
	}

	/// The active set with the bonds of now. Without session keys nobody can go on: the session
	/// pallet would drop them, and the historical root would count one validator too many.
	fn current_set() -> Vec<(T::AccountId, Balance)> {
		<T::Session as SessionInterface>::validators()
			.into_iter()
			.filter(T::Session::is_registered)
			.map(|who| {
				let bond = Validators::<T>::get(&who).map_or(0, |validator| validator.bond);
				(who, bond)
			})
			.collect()
	}

	/// Chooses and records the set of session `index`.
	fn plan_session(index: SessionIndex) -> Option<Vec<(T::AccountId, Identification)>> {
		let ChosenSet { members, retained_over } = Self::choose_set();
		if members.is_empty() {
			log::error!(target: LOG_TARGET, "nobody can be chosen for session {index}");
			return None;
		}
		if let Some(eligible) = retained_over {
			log::warn!(
				target: LOG_TARGET,
				"only {eligible} candidates for session {index}: the current set stays"
			);
			Self::delay_unlocking(&members, index);
			Self::deposit_event(Event::SetRetained { session: index, eligible });
		}
		Some(
			members
				.into_iter()
				.map(|(who, bond)| {
					SessionBonds::<T>::insert(index, &who, bond);
					(who, Identification { bond })
				})
				.collect(),
		)
	}

	/// Leavers who have to stay for session `planned` answer for it as long as everybody else.
	fn delay_unlocking(members: &[(T::AccountId, Balance)], planned: SessionIndex) {
		for (who, _) in members {
			Validators::<T>::mutate(who, |stored| {
				if let Some(validator) = stored {
					if let Status::Leaving { unlock_at } = &mut validator.status {
						*unlock_at = Self::unlock_after(planned);
					}
				}
			});
		}
	}

	/// Forgets what can no longer matter once session `index` starts.
	fn forget_before(index: SessionIndex) {
		if let Some(previous) = index.checked_sub(1) {
			let _ = SessionBonds::<T>::clear_prefix(previous, u32::MAX, None);
		}
		if let Some(oldest) = index.checked_sub(T::OffenceWindow::get()) {
			<T::Session as SessionInterface>::prune_up_to(oldest);
			if let Some(expired) = oldest.checked_sub(1) {
				let _ = SlashedFractions::<T>::clear_prefix(expired, u32::MAX, None);
			}
		}
	}

	/// Disables offenders in a set that was planned before their offence was known. The session
	/// pallet lifts disablement whenever a new set starts.
	fn disable_known_offenders(index: SessionIndex) {
		for who in <T::Session as SessionInterface>::validators() {
			let Some(validator) = Validators::<T>::get(&who) else { continue };
			let offended = match validator.status {
				Status::Candidate => false,
				Status::Jailed { .. } => true,
				Status::Leaving { .. } => {
					SlashedFractions::<T>::contains_key(index.saturating_sub(1), &who)
				},
			};
			if offended {
				<T::Session as SessionInterface>::report_offence(
					who,
					OffenceSeverity::max_severity(),
				);
			}
		}
	}
}

impl<T: Config> pallet_session::SessionManager<T::AccountId> for Pallet<T> {
	fn new_session(index: SessionIndex) -> Option<Vec<T::AccountId>> {
		Self::plan_session(index).map(|set| set.into_iter().map(|(who, _)| who).collect())
	}

	fn start_session(index: SessionIndex) {
		Self::forget_before(index);
		Self::disable_known_offenders(index);
	}

	fn end_session(_: SessionIndex) {}
}

impl<T: Config> pallet_session::historical::SessionManager<T::AccountId, Identification>
	for Pallet<T>
{
	fn new_session(index: SessionIndex) -> Option<Vec<(T::AccountId, Identification)>> {
		Self::plan_session(index)
	}

	fn start_session(index: SessionIndex) {
		<Self as pallet_session::SessionManager<_>>::start_session(index)
	}

	fn end_session(index: SessionIndex) {
		<Self as pallet_session::SessionManager<_>>::end_session(index)
	}
}

/// The identification of an active validator in the current session, for `pallet-session`'s
/// historical pallet.
pub struct FullIdentificationOf<T>(PhantomData<T>);

impl<T: Config> Convert<T::AccountId, Option<Identification>> for FullIdentificationOf<T> {
	fn convert(who: T::AccountId) -> Option<Identification> {
		SessionBonds::<T>::get(Pallet::<T>::session_index(), who)
			.map(|bond| Identification { bond })
	}
}
