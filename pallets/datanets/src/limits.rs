//! The daily limits of contributions.

use crate::{pallet::*, types::*, weights::WeightInfo};
use frame_support::{ensure, traits::Get, weights::WeightMeter};
use openledger_pallet_support::agenda;
use openledger_primitives::DatanetId;
use sp_runtime::{
	traits::{CheckedDiv, SaturatedConversion},
	DispatchResult,
};

impl<T: Config> Pallet<T> {
	/// The current day, counted from the chain's first block.
	pub(crate) fn today() -> u32 {
		// A day has blocks: `integrity_test`.
		Self::now().checked_div(&T::BlocksPerDay::get()).unwrap_or_default().saturated_into()
	}

	/// Contributions that the datanet has taken today.
	fn taken_today(counters: &DatanetCounters, today: u32) -> u32 {
		if counters.day == today {
			counters.today
		} else {
			0
		}
	}

	/// Counts a contribution for today's limits, the account's and the datanet's.
	pub(crate) fn count_for_today(
		datanet: DatanetId,
		who: &T::AccountId,
		counters: &mut DatanetCounters,
	) -> DispatchResult {
		let today = Self::today();
		let taken = Self::taken_today(counters, today);
		ensure!(
			taken < T::MaxContributionsPerDatanetPerDay::get(),
			Error::<T>::DatanetLimitReached
		);
		counters.day = today;
		counters.today = taken.saturating_add(1);
		ContributionsOnDay::<T>::try_mutate(today, (datanet, who), |made| {
			ensure!(
				*made < T::MaxContributionsPerAccountPerDay::get(),
				Error::<T>::AccountLimitReached
			);
			*made = made.saturating_add(1);
			Ok(())
		})
	}

	/// What both limits leave an account for today.
	pub(crate) fn left_today(datanet: DatanetId, who: &T::AccountId) -> u32 {
		let today = Self::today();
		let made = ContributionsOnDay::<T>::get(today, (datanet, who));
		let taken = Self::taken_today(&Counters::<T>::get(datanet), today);
		let own = T::MaxContributionsPerAccountPerDay::get().saturating_sub(made);
		let datanets = T::MaxContributionsPerDatanetPerDay::get().saturating_sub(taken);
		own.min(datanets)
	}

	/// Clears away what was counted on days that are over, as far as `meter` pays for it.
	pub(crate) fn clear_past_days(meter: &mut WeightMeter) {
		let Some(yesterday) = Self::today().checked_sub(1) else { return };
		agenda::drain_due::<ContributionsOnDay<T>, DayCursor<T>, u32, (DatanetId, T::AccountId), u32>(
			yesterday,
			meter,
			T::WeightInfo::look_at_agenda(),
			T::WeightInfo::clear_day_entry(),
			|_| (),
		);
	}
}
