//! What other pallets see: [`DatanetRegistry`].

use crate::{pallet::*, types::*};
use frame_support::ensure;
use openledger_primitives::{
	licence::LicenceTerms,
	traits::{AcceptedContribution, DatanetRegistry, VersionCommitment},
	ContributionId, DatanetId, DatanetVersion,
};
use sp_runtime::DispatchError;

impl<T: Config> DatanetRegistry<T::AccountId> for Pallet<T> {
	type Error = DispatchError;

	fn version(version: DatanetVersion) -> Option<VersionCommitment> {
		Versions::<T>::get(version.datanet, version.version).map(|published| published.commitment)
	}

	fn licence(datanet: DatanetId) -> Option<LicenceTerms> {
		Datanets::<T>::get(datanet).map(|datanet| datanet.licence)
	}

	fn ensure_may_train(who: &T::AccountId, datanet: DatanetId) -> Result<(), DispatchError> {
		let Datanet { owner, terms, .. } = Self::existing_datanet(datanet)?;
		ensure!(
			Self::has_role_under(who, datanet, &owner, &terms, Role::Trainer),
			Error::<T>::MayNotTrain
		);
		Ok(())
	}

	fn accepted_contribution(id: ContributionId) -> Option<AcceptedContribution<T::AccountId>> {
		let Contribution { contributor, data, status, .. } =
			Contributions::<T>::get(id.datanet, id.index)?;
		match status {
			ContributionStatus::Accepted { leaf_index } => Some(AcceptedContribution {
				contributor,
				leaf_index,
				root: data.root,
				records: data.records,
			}),
			ContributionStatus::Pending { .. } => None,
		}
	}

	#[cfg(feature = "runtime-benchmarks")]
	fn benchmark_version(owner: &T::AccountId) -> DatanetVersion {
		crate::benchmarking::published_version::<T>(owner)
	}
}
