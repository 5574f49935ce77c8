//! Published versions.

use crate::{pallet::*, types::*};
use frame_support::ensure;
use openledger_primitives::{traits::VersionCommitment, DatanetId, DatanetVersion};
use sp_runtime::DispatchError;

impl<T: Config> Pallet<T> {
	pub(crate) fn last_version(datanet: DatanetId) -> Option<DatanetVersion> {
		let version = Counters::<T>::get(datanet).versions.checked_sub(1)?;
		Some(DatanetVersion { datanet, version })
	}

	pub(crate) fn do_publish_version(
		who: T::AccountId,
		id: DatanetId,
	) -> Result<DatanetVersion, DispatchError> {
		let datanet = Self::curated_datanet(&who, id)?;
		let accepted = Ranges::<T>::get(id);
		let contributions = accepted.range.leaves();
		let published = Self::last_version(id)
			.and_then(|last| Versions::<T>::get(last.datanet, last.version))
			.map_or(0, |last| last.commitment.contributions);
		ensure!(contributions > published, Error::<T>::NothingToPublish);
		let root = accepted.range.root().ok_or(Error::<T>::NothingToPublish)?;

		let version = Counters::<T>::try_mutate(id, |counters| {
			let version = counters.versions;
			counters.versions = version.checked_add(1).ok_or(Error::<T>::NumbersExhausted)?;
			Ok::<_, DispatchError>(DatanetVersion { datanet: id, version })
		})?;
		let AcceptedRange { records, bytes, .. } = accepted;
		Versions::<T>::insert(
			id,
			version.version,
			PublishedVersion {
				commitment: VersionCommitment { root, contributions, records, bytes },
				licence: datanet.licence,
				published_at: Self::now(),
			},
		);
		Self::deposit_event(Event::VersionPublished {
			version,
			root,
			contributions,
			records,
			bytes,
		});
		Ok(version)
	}
}
