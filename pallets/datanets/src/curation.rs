//! Answering contributions, and what becomes of those that nobody answers.

use crate::{pallet::*, types::*, weights::WeightInfo, LOG_TARGET};
use frame_support::{ensure, storage::with_storage_layer, weights::WeightMeter};
use frame_system::pallet_prelude::BlockNumberFor;
use openledger_pallet_support::agenda;
use openledger_primitives::{mmr, ContributionId, DatanetId};
use sp_runtime::{ArithmeticError, DispatchError, DispatchResult};

impl<T: Config> Pallet<T> {
	/// A datanet that exists and that `who` may curate.
	pub(crate) fn curated_datanet(
		who: &T::AccountId,
		id: DatanetId,
	) -> Result<DatanetOf<T>, DispatchError> {
		let datanet = Self::existing_datanet(id)?;
		ensure!(
			Self::has_role_under(who, id, &datanet.owner, &datanet.terms, Role::Curator),
			Error::<T>::NotCurator
		);
		Ok(datanet)
	}

	/// A contribution that curators can still answer.
	fn answerable_contribution(
		datanet: DatanetId,
		index: u32,
	) -> Result<ContributionOf<T>, DispatchError> {
		let contribution = Self::existing_contribution(datanet, index)?;
		let ContributionStatus::Pending { deadline, .. } = contribution.status else {
			return Err(Error::<T>::NotPending.into());
		};
		ensure!(Self::now() < deadline, Error::<T>::ReviewPeriodOver);
		Ok(contribution)
	}

	pub(crate) fn do_accept_contribution(
		who: T::AccountId,
		datanet: DatanetId,
		index: u32,
	) -> DispatchResult {
		Self::curated_datanet(&who, datanet)?;
		let contribution = Self::answerable_contribution(datanet, index)?;
		Self::accept(datanet, index, contribution, Some(who))
	}

	pub(crate) fn do_reject_contribution(
		who: T::AccountId,
		datanet: DatanetId,
		index: u32,
		reason: RejectReason,
	) -> DispatchResult {
		Self::curated_datanet(&who, datanet)?;
		let contribution = Self::answerable_contribution(datanet, index)?;
		Self::stop_waiting(datanet, index, &contribution)?;
		Self::forget(datanet, index, &contribution);
		Self::deposit_event(Event::ContributionRejected {
			datanet,
			index,
			contributor: contribution.contributor,
			curator: who,
			reason,
		});
		Ok(())
	}

	pub(crate) fn do_settle_contribution(datanet: DatanetId, index: u32) -> DispatchResult {
		let contribution = Self::existing_contribution(datanet, index)?;
		let ContributionStatus::Pending { deadline, default_verdict } = contribution.status else {
			return Err(Error::<T>::NotPending.into());
		};
		ensure!(Self::now() >= deadline, Error::<T>::ReviewPeriodNotOver);
		match default_verdict {
			Verdict::Accept => Self::accept(datanet, index, contribution, None),
			Verdict::Reject => {
				Self::stop_waiting(datanet, index, &contribution)?;
				Self::forget(datanet, index, &contribution);
				Self::deposit_event(Event::ContributionLapsed {
					datanet,
					index,
					contributor: contribution.contributor,
				});
				Ok(())
			},
		}
	}

	/// Makes a pending contribution the next leaf of the datanet's range. The only place where the
	/// range grows.
	fn accept(
		datanet: DatanetId,
		index: u32,
		mut contribution: ContributionOf<T>,
		curator: Option<T::AccountId>,
	) -> DispatchResult {
		Self::stop_waiting(datanet, index, &contribution)?;
		let data = &contribution.data;
		let leaf = mmr::contribution_leaf(index, data.root, data.records);
		let leaf_index = Ranges::<T>::try_mutate(datanet, |accepted| {
			let leaf_index = accepted.range.push(leaf).map_err(|_| Error::<T>::RangeFull)?;
			accepted.records = accepted
				.records
				.checked_add(data.records.into())
				.ok_or(ArithmeticError::Overflow)?;
			accepted.bytes =
				accepted.bytes.checked_add(data.bytes).ok_or(ArithmeticError::Overflow)?;
			Ok::<_, DispatchError>(leaf_index)
		})?;
		let contributor = contribution.contributor.clone();
		contribution.status = ContributionStatus::Accepted { leaf_index };
		Contributions::<T>::insert(datanet, index, contribution);
		Self::deposit_event(Event::ContributionAccepted {
			datanet,
			index,
			contributor,
			leaf_index,
			curator,
		});
		Ok(())
	}

	/// Settles what is due, as far as `meter` pays for it.
	pub(crate) fn settle_due(now: BlockNumberFor<T>, meter: &mut WeightMeter) {
		agenda::serve_due::<Agenda<T>, AgendaCursor<T>, BlockNumberFor<T>, ContributionId>(
			now,
			meter,
			T::WeightInfo::look_at_agenda(),
			T::WeightInfo::settle_contribution(),
			|id| {
				let settled =
					with_storage_layer(|| Self::do_settle_contribution(id.datanet, id.index));
				// A contributor whose account cannot take the deposit back. The contribution stays as it
				// is, off the agenda so that it is not tried for ever; `settle_contribution` works as soon
				// as the account does.
				if let Err(error) = settled {
					log::warn!(target: LOG_TARGET, "{id:?} could not be settled: {error:?}");
				}
			},
		);
	}
}
