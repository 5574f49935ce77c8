//! What other pallets see: [`DatanetRegistry`].

use crate::{pallet::*, types::*};
use alloc::vec::Vec;
use frame_support::ensure;
#[cfg(feature = "runtime-benchmarks")]
use openledger_primitives::H256;
use openledger_primitives::{
	licence::LicenceTerms,
	traits::{AcceptedContribution, DatanetRegistry, VersionCommitment},
	ContributionId, DatanetId, DatanetVersion,
};
use sp_runtime::{traits::UniqueSaturatedInto, DispatchError};

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
		accepted(Contributions::<T>::get(id.datanet, id.index)?)
	}

	fn contributions_of(
		version: DatanetVersion,
	) -> Vec<(ContributionId, AcceptedContribution<T::AccountId>)> {
		let Some(commitment) = <Self as DatanetRegistry<T::AccountId>>::version(version) else {
			return Vec::new();
		};
		let datanet = version.datanet;
		let mut contributions: Vec<_> = Contributions::<T>::iter_prefix(datanet)
			.filter_map(|(index, contribution)| {
				Some((ContributionId { datanet, index }, accepted(contribution)?))
			})
			.filter(|(_, accepted)| accepted.leaf_index < commitment.contributions)
			.collect();
		contributions.sort_unstable_by_key(|(id, accepted)| (accepted.contributed_at, *id));
		contributions
	}

	#[cfg(feature = "runtime-benchmarks")]
	fn benchmark_version(owner: &T::AccountId, root: H256, records: u32) -> DatanetVersion {
		crate::benchmarking::published_version::<T>(owner, root, records)
	}
}

/// What other pallets see of a contribution, once it is accepted.
fn accepted<AccountId, BlockNumber: UniqueSaturatedInto<u64>>(
	contribution: Contribution<AccountId, BlockNumber>,
) -> Option<AcceptedContribution<AccountId>> {
	let Contribution { contributor, data, contributed_at, status } = contribution;
	match status {
		ContributionStatus::Accepted { leaf_index } => Some(AcceptedContribution {
			contributor,
			leaf_index,
			root: data.root,
			records: data.records,
			content: data.content,
			contributed_at: contributed_at.unique_saturated_into(),
		}),
		ContributionStatus::Pending { .. } => None,
	}
}
