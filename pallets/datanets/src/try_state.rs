//! What is true of the storage after every block.

use crate::{pallet::*, types::*};
use alloc::collections::{BTreeMap, BTreeSet};
use frame_support::{ensure, traits::fungible::InspectHold};
use openledger_primitives::{Balance, ContributionId, DatanetId};
use sp_runtime::TryRuntimeError;

impl<T: Config> Pallet<T> {
	/// Checks every invariant of the pallet.
	pub fn do_try_state() -> Result<(), TryRuntimeError> {
		Self::check_datanets()?;
		Self::check_contributions()?;
		Self::check_agenda()?;
		Self::check_versions()?;
		Self::check_access()
	}

	/// Every datanet has a deposit and is in its owner's list; nothing belongs to a datanet that is
	/// not.
	fn check_datanets() -> Result<(), TryRuntimeError> {
		let mut owned: BTreeMap<T::AccountId, BTreeSet<DatanetId>> = BTreeMap::new();
		for (id, datanet) in Datanets::<T>::iter() {
			ensure!(id < NextDatanetId::<T>::get(), "a datanet has a number not given yet");
			ensure!(DatanetDeposits::<T>::contains_key(id), "a datanet has no deposit");
			ensure!(datanet.licence.is_valid(), "a datanet has an impossible licence");
			ensure!(
				DatanetOffers::<T>::get(id) != Some(datanet.owner.clone()),
				"offered to its owner"
			);
			owned.entry(datanet.owner).or_default().insert(id);
		}
		for (owner, list) in DatanetsOf::<T>::iter() {
			let listed: BTreeSet<DatanetId> = list.iter().copied().collect();
			ensure!(listed.len() == list.len(), "an owner's list names a datanet twice");
			ensure!(owned.remove(&owner) == Some(listed), "an owner's list is wrong");
		}
		ensure!(owned.is_empty(), "an owner has no list");
		let known = Datanets::<T>::contains_key;
		ensure!(DatanetDeposits::<T>::iter_keys().all(known), "a deposit for no datanet");
		ensure!(DatanetOffers::<T>::iter_keys().all(known), "an offer of no datanet");
		ensure!(Counters::<T>::iter_keys().all(known), "counters of no datanet");
		ensure!(Ranges::<T>::iter_keys().all(known), "a range of no datanet");
		Ok(())
	}

	/// Pending contributions have a deposit, accepted ones a leaf; roots, counters and ranges say the
	/// same as the contributions.
	fn check_contributions() -> Result<(), TryRuntimeError> {
		#[derive(Default)]
		struct Found {
			pending: u32,
			leaves: BTreeSet<u32>,
			records: u64,
			bytes: u64,
		}
		let mut found: BTreeMap<DatanetId, Found> = BTreeMap::new();
		let mut contributions: usize = 0;
		for (id, index, contribution) in Contributions::<T>::iter() {
			contributions = contributions.saturating_add(1);
			ensure!(index < Counters::<T>::get(id).contributions, "an index not given yet");
			ensure!(
				ContributionByRoot::<T>::get(id, contribution.data.root) == Some(index),
				"a contribution is not found by its root"
			);
			let sums = found.entry(id).or_default();
			match contribution.status {
				ContributionStatus::Pending { .. } => {
					sums.pending = sums.pending.saturating_add(1);
					ensure!(
						PendingDeposits::<T>::contains_key(id, index),
						"a pending contribution has no deposit"
					);
				},
				ContributionStatus::Accepted { leaf_index } => {
					ensure!(sums.leaves.insert(leaf_index), "two contributions have one leaf");
					sums.records = sums.records.saturating_add(contribution.data.records.into());
					sums.bytes = sums.bytes.saturating_add(contribution.data.bytes);
				},
			}
		}
		ensure!(
			ContributionByRoot::<T>::iter_keys().count() == contributions,
			"a root of no contribution"
		);
		for id in Datanets::<T>::iter_keys() {
			let sums = found.remove(&id).unwrap_or_default();
			let accepted = Ranges::<T>::get(id);
			ensure!(Counters::<T>::get(id).pending == sums.pending, "pending are counted wrong");
			ensure!(
				PendingDeposits::<T>::iter_key_prefix(id).count() == sums.pending as usize,
				"a deposit for no pending contribution"
			);
			// As many different leaves as the range has, all below its end.
			ensure!(
				accepted.range.leaves() as usize == sums.leaves.len()
					&& sums.leaves.iter().all(|leaf| *leaf < accepted.range.leaves()),
				"the range has other leaves than the contributions"
			);
			ensure!(accepted.records == sums.records, "records are counted wrong");
			ensure!(accepted.bytes == sums.bytes, "bytes are counted wrong");
		}
		ensure!(found.is_empty(), "contributions of no datanet");
		Ok(())
	}

	/// The agenda has every pending contribution at its deadline, and nothing else. One that could not
	/// be settled when it was served is not there any more: its deadline lies behind the cursor.
	fn check_agenda() -> Result<(), TryRuntimeError> {
		let cursor = AgendaCursor::<T>::get();
		let deadline_of =
			|id: ContributionId| match Contributions::<T>::get(id.datanet, id.index)?.status {
				ContributionStatus::Pending { deadline, .. } => Some(deadline),
				ContributionStatus::Accepted { .. } => None,
			};
		for (block, id) in Agenda::<T>::iter_keys() {
			ensure!(block >= cursor, "an agenda entry is behind the cursor");
			ensure!(deadline_of(id) == Some(block), "an agenda entry for nothing");
		}
		for (datanet, index) in PendingDeposits::<T>::iter_keys() {
			let id = ContributionId { datanet, index };
			let deadline = deadline_of(id).ok_or("a deposit for no pending contribution")?;
			ensure!(
				deadline <= cursor || Agenda::<T>::contains_key(deadline, id),
				"a pending contribution is not on the agenda"
			);
		}
		ensure!(
			ContributionsOnDay::<T>::iter_keys().all(|(day, _)| day >= DayCursor::<T>::get()),
			"a past day is behind the cursor"
		);
		Ok(())
	}

	/// Versions grow, and have no more than the range; what they commit to never shrinks.
	fn check_versions() -> Result<(), TryRuntimeError> {
		let mut versions: usize = 0;
		for (id, datanet) in Datanets::<T>::iter() {
			let accepted = Ranges::<T>::get(id);
			let (mut contributions, mut records, mut bytes) = (0, 0, 0);
			for number in 0..Counters::<T>::get(id).versions {
				versions = versions.saturating_add(1);
				let version = Versions::<T>::get(id, number).ok_or("a version is missing")?;
				let commitment = version.commitment;
				ensure!(commitment.contributions > contributions, "a version adds nothing");
				ensure!(commitment.records > records, "a version adds no records");
				ensure!(commitment.bytes > bytes, "a version adds no bytes");
				ensure!(version.licence == datanet.licence, "a version has another licence");
				contributions = commitment.contributions;
				records = commitment.records;
				bytes = commitment.bytes;
			}
			ensure!(contributions <= accepted.range.leaves(), "a version has more than there is");
			ensure!(records <= accepted.records, "a version has more records than there are");
			ensure!(bytes <= accepted.bytes, "a version has more bytes than there are");
			if contributions > 0 && contributions == accepted.range.leaves() {
				let last = Self::last_version(id)
					.and_then(|last| Versions::<T>::get(last.datanet, last.version))
					.map(|last| last.commitment.root);
				ensure!(last == accepted.range.root(), "the last version has another root");
			}
		}
		ensure!(Versions::<T>::iter_keys().count() == versions, "a version not counted");
		Ok(())
	}

	/// What is held for access is what open requests say, account by account.
	fn check_access() -> Result<(), TryRuntimeError> {
		let mut held: BTreeMap<T::AccountId, Balance> = BTreeMap::new();
		for (id, who, request) in AccessRequests::<T>::iter() {
			ensure!(Datanets::<T>::contains_key(id), "a request to no datanet");
			ensure!(request.depositor == who, "a request's deposit is another's");
			let sum = held.entry(who).or_default();
			*sum = sum.saturating_add(request.value.price);
		}
		for (who, sum) in held {
			ensure!(
				T::Currency::balance_on_hold(&HoldReason::AccessPrice.into(), &who) == sum,
				"another price is held than was asked for"
			);
		}
		for ((id, _, role), grant) in Grants::<T>::iter() {
			ensure!(Datanets::<T>::contains_key(id), "a grant in no datanet");
			ensure!(
				role == Role::Trainer || grant.value.can_be_revoked(),
				"a role that is not sold was bought"
			);
		}
		Ok(())
	}
}
