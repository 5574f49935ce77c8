//! What is held for what.

use crate::{pallet::*, types::*};
use codec::MaxEncodedLen;
use frame_support::traits::Footprint;
use frame_system::pallet_prelude::BlockNumberFor;
use sp_runtime::traits::Convert;

/// Bytes of a contribution that cost as much as one byte of state.
const BYTES_PER_STATE_BYTE: u64 = 1024;

impl<T: Config> Pallet<T> {
	/// A datanet's footprint: its record, its counters and its range, all at their largest.
	pub(crate) fn datanet_footprint() -> Footprint {
		Footprint::from_parts(
			1,
			DatanetOf::<T>::max_encoded_len()
				.saturating_add(DatanetCounters::max_encoded_len())
				.saturating_add(AcceptedRange::max_encoded_len()),
		)
	}

	/// A contribution's footprint: its record, and for the attention it asks one byte for each record
	/// and each kibibyte begun.
	pub(crate) fn contribution_footprint(records: u32, bytes: u64) -> Footprint {
		let state = Footprint::from_mel::<ContributionOf<T>>();
		let attention = bytes.div_ceil(BYTES_PER_STATE_BYTE).saturating_add(records.into());
		Footprint { count: 1, size: state.size.saturating_add(attention) }
	}

	/// The footprint of a grant or a request, which becomes one.
	pub(crate) fn access_footprint() -> Footprint {
		Footprint::from_mel::<(T::AccountId, Grant<BlockNumberFor<T>>)>()
	}

	pub(crate) fn quote(records: u32, bytes: u64) -> DepositQuote {
		DepositQuote {
			datanet: T::DepositPrice::convert(Self::datanet_footprint()),
			contribution: T::DepositPrice::convert(Self::contribution_footprint(records, bytes)),
			access: T::DepositPrice::convert(Self::access_footprint()),
		}
	}
}
