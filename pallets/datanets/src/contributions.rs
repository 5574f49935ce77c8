//! Contributions, as their contributors see them.

use crate::{pallet::*, types::*, MAX_PAGE};
use alloc::vec::Vec;
use frame_support::{
	ensure,
	traits::{Consideration, Get},
};
use openledger_primitives::{ContributionId, DatanetId};
use sp_runtime::{traits::Saturating, DispatchError, DispatchResult};

impl<T: Config> Pallet<T> {
	/// A contribution that is pending or accepted.
	pub(crate) fn existing_contribution(
		datanet: DatanetId,
		index: u32,
	) -> Result<ContributionOf<T>, DispatchError> {
		Ok(Contributions::<T>::get(datanet, index).ok_or(Error::<T>::UnknownContribution)?)
	}

	fn ensure_size(data: &ContributedData) -> DispatchResult {
		ensure!(data.records > 0 && data.bytes > 0, Error::<T>::EmptyContribution);
		ensure!(data.records <= T::MaxRecordsPerContribution::get(), Error::<T>::TooManyRecords);
		ensure!(data.bytes <= T::MaxBytesPerContribution::get(), Error::<T>::TooManyBytes);
		Ok(())
	}

	pub(crate) fn do_contribute(
		who: T::AccountId,
		datanet: DatanetId,
		data: ContributedData,
	) -> Result<u32, DispatchError> {
		let Datanet { owner, terms, takes_contributions, .. } = Self::existing_datanet(datanet)?;
		ensure!(takes_contributions, Error::<T>::ContributionsClosed);
		ensure!(
			Self::has_role_under(&who, datanet, &owner, &terms, Role::Contributor),
			Error::<T>::MayNotContribute
		);
		Self::ensure_size(&data)?;
		ensure!(
			!ContributionByRoot::<T>::contains_key(datanet, data.root),
			Error::<T>::DuplicateRoot
		);

		let mut counters = Counters::<T>::get(datanet);
		Self::count_for_today(datanet, &who, &mut counters)?;
		let index = counters.contributions;
		counters.contributions = index.checked_add(1).ok_or(Error::<T>::NumbersExhausted)?;
		counters.pending = counters.pending.saturating_add(1);
		Counters::<T>::insert(datanet, counters);

		let footprint = Self::contribution_footprint(data.records, data.bytes);
		PendingDeposits::<T>::insert(datanet, index, T::ContributionDeposit::new(&who, footprint)?);
		let now = Self::now();
		let deadline = now.saturating_add(terms.review_period);
		Agenda::<T>::insert(deadline, ContributionId { datanet, index }, ());
		ContributionByRoot::<T>::insert(datanet, data.root, index);
		Contributions::<T>::insert(
			datanet,
			index,
			Contribution {
				contributor: who.clone(),
				data,
				contributed_at: now,
				status: ContributionStatus::Pending {
					deadline,
					default_verdict: terms.default_verdict,
				},
			},
		);
		Self::deposit_event(Event::Contributed {
			datanet,
			index,
			contributor: who,
			data,
			deadline,
		});
		Ok(index)
	}

	pub(crate) fn do_withdraw_contribution(
		who: T::AccountId,
		datanet: DatanetId,
		index: u32,
	) -> DispatchResult {
		let contribution = Self::existing_contribution(datanet, index)?;
		ensure!(contribution.contributor == who, Error::<T>::NotContributor);
		Self::stop_waiting(datanet, index, &contribution)?;
		Self::forget(datanet, index, &contribution);
		Self::deposit_event(Event::ContributionWithdrawn { datanet, index, contributor: who });
		Ok(())
	}

	/// Ends the wait of a pending contribution: gives the deposit back, takes it off the agenda. What
	/// becomes of it is the caller's to write.
	pub(crate) fn stop_waiting(
		datanet: DatanetId,
		index: u32,
		contribution: &ContributionOf<T>,
	) -> DispatchResult {
		let ContributionStatus::Pending { deadline, .. } = contribution.status else {
			return Err(Error::<T>::NotPending.into());
		};
		if let Some(ticket) = PendingDeposits::<T>::take(datanet, index) {
			ticket.drop(&contribution.contributor)?;
		}
		Agenda::<T>::remove(deadline, ContributionId { datanet, index });
		Counters::<T>::mutate(datanet, |counters| {
			counters.pending = counters.pending.saturating_sub(1)
		});
		Ok(())
	}

	/// Removes a contribution that does not become part of the datanet.
	pub(crate) fn forget(datanet: DatanetId, index: u32, contribution: &ContributionOf<T>) {
		ContributionByRoot::<T>::remove(datanet, contribution.data.root);
		Contributions::<T>::remove(datanet, index);
	}

	pub(crate) fn pending_page(datanet: DatanetId, after: Option<u32>, limit: u32) -> Vec<u32> {
		let entries = match after {
			None => PendingDeposits::<T>::iter_key_prefix(datanet),
			Some(index) => PendingDeposits::<T>::iter_key_prefix_from(
				datanet,
				PendingDeposits::<T>::hashed_key_for(datanet, index),
			),
		};
		entries.take(limit.min(MAX_PAGE) as usize).collect()
	}
}
