//! How long settlements are remembered.

use crate::{pallet::*, types::SettlementRecord, weights::WeightInfo};
use frame_support::{
	traits::Get,
	weights::{Weight, WeightMeter},
};
use frame_system::pallet_prelude::BlockNumberFor;
use openledger_pallet_support::agenda;
use openledger_primitives::RequestId;
use sp_runtime::traits::Saturating;

impl<T: Config> Pallet<T> {
	/// Writes a settlement down, with the day it will be forgotten.
	pub(crate) fn keep_until_pruned(
		request: RequestId,
		record: SettlementRecord<T::AccountId, BlockNumberFor<T>>,
	) {
		Agenda::<T>::insert(record.at.saturating_add(T::RetentionPeriod::get()), request, ());
		Settlements::<T>::insert(request, record);
	}

	/// Forgets the settlements whose time has come, as many as `remaining` pays for.
	pub(crate) fn prune_due(now: BlockNumberFor<T>, remaining: Weight) -> Weight {
		let mut meter = WeightMeter::with_limit(remaining);
		if meter.can_consume(T::WeightInfo::prune_block()) {
			agenda::serve_due::<Agenda<T>, AgendaCursor<T>, _, _>(
				now,
				&mut meter,
				T::WeightInfo::prune_block(),
				T::WeightInfo::prune_settlement(),
				Self::prune,
			);
		}
		meter.consumed()
	}

	/// Forgets one settlement. Its request, and every older one, cannot be settled again.
	pub(crate) fn prune(request: RequestId) {
		Settlements::<T>::remove(request);
		if NewestPruned::<T>::get().is_none_or(|newest| newest < request) {
			NewestPruned::<T>::put(request);
		}
	}
}
