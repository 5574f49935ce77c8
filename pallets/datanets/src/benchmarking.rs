//! One benchmark per call, each at its longest path.

#![allow(
	clippy::unwrap_used,
	clippy::expect_used,
	clippy::indexing_slicing,
	clippy::arithmetic_side_effects,
	reason = "a benchmark stops at what it did not expect"
)]

use crate::{pallet::*, types::*};
use alloc::{vec, vec::Vec};
use codec::Encode;
use frame_benchmarking::v2::*;
use frame_support::{
	traits::{
		fungible::{Inspect, Mutate},
		Consideration, Get,
	},
	weights::WeightMeter,
	BoundedVec,
};
use frame_system::{pallet_prelude::BlockNumberFor, RawOrigin};
use openledger_primitives::{
	hashing, licence::LicenceTerms, Balance, ContributionId, DatanetId, DatanetVersion, H256,
};
use sp_runtime::traits::{Bounded, One, Saturating, Zero};

/// Money for every deposit and price of a benchmark.
fn fund<T: Config>(who: &T::AccountId) {
	let quote =
		Pallet::<T>::quote(T::MaxRecordsPerContribution::get(), T::MaxBytesPerContribution::get());
	let amount = [quote.datanet, quote.contribution, quote.access, price::<T>()]
		.into_iter()
		.fold(T::Currency::minimum_balance(), Balance::saturating_add);
	T::Currency::mint_into(who, amount.saturating_mul(10)).expect("the issuance has room");
}

fn funded<T: Config>(name: &'static str) -> T::AccountId {
	let who = account(name, 0, 0);
	fund::<T>(&who);
	who
}

fn price<T: Config>() -> Balance {
	T::Currency::minimum_balance().max(1)
}

fn terms<T: Config>(access: AccessPolicy, price: Balance) -> DatanetTerms<BlockNumberFor<T>> {
	DatanetTerms {
		price,
		access,
		default_verdict: Verdict::Accept,
		review_period: T::MinReviewPeriod::get(),
		metadata: H256::repeat_byte(7),
	}
}

fn name() -> DatanetName {
	vec![b'a'; MAX_NAME as usize].try_into().expect("the name is as long as it may be")
}

fn data(seed: &[u8]) -> ContributedData {
	let root = hashing::hash("openledger/benchmark", &[seed]);
	ContributedData { root, records: 1, bytes: 1, content: root, salts: root }
}

fn datanet<T: Config>(owner: &T::AccountId, access: AccessPolicy, price: Balance) -> DatanetId {
	Pallet::<T>::do_create_datanet(
		owner.clone(),
		name(),
		DatanetKind::Text,
		LicenceTerms::OPEN,
		terms::<T>(access, price),
	)
	.expect("a datanet can be created")
}

/// A datanet with `accepted` leaves in its range: all bits set is the most peaks.
fn datanet_of<T: Config>(owner: &T::AccountId, accepted: u32) -> DatanetId {
	let id = datanet::<T>(owner, AccessPolicy::Permissioned, 0);
	Ranges::<T>::mutate(id, |range| {
		for leaf in 0..accepted {
			range.range.push(H256::from_low_u64_be(leaf.into())).expect("there is room");
		}
	});
	id
}

/// A role by a grant that has an end.
fn give<T: Config>(owner: &T::AccountId, id: DatanetId, who: &T::AccountId, role: Role) {
	Pallet::<T>::do_grant_access(
		owner.clone(),
		id,
		who.clone(),
		role,
		Some(BlockNumberFor::<T>::max_value()),
	)
	.expect("the owner can grant");
}

fn contribution<T: Config>(id: DatanetId, who: &T::AccountId, seed: &[u8]) -> u32 {
	Pallet::<T>::do_contribute(who.clone(), id, data(seed)).expect("the account can contribute")
}

/// An owner, a datanet with many peaks, a curator and a pending contribution of a contributor.
fn curated<T: Config>() -> (T::AccountId, DatanetId, T::AccountId, T::AccountId, u32) {
	let owner = funded::<T>("owner");
	let curator = funded::<T>("curator");
	let contributor = funded::<T>("contributor");
	let id = datanet_of::<T>(&owner, 1023);
	give::<T>(&owner, id, &curator, Role::Curator);
	give::<T>(&owner, id, &contributor, Role::Contributor);
	let index = contribution::<T>(id, &contributor, b"first");
	(owner, id, curator, contributor, index)
}

/// A datanet that changed hands, with a grant whose deposit the former owner made.
fn inherited<T: Config>(access: AccessPolicy, trainer: &T::AccountId) -> (T::AccountId, DatanetId) {
	let former = funded::<T>("former");
	let owner = funded::<T>("owner");
	let id = datanet::<T>(&former, access, price::<T>());
	give::<T>(&former, id, trainer, Role::Trainer);
	Pallet::<T>::do_offer_datanet(former, id, owner.clone()).expect("it can be offered");
	Pallet::<T>::do_accept_datanet(owner.clone(), id).expect("it can be accepted");
	(owner, id)
}

fn pass_blocks<T: Config>(blocks: BlockNumberFor<T>) {
	let now = frame_system::Pallet::<T>::block_number();
	frame_system::Pallet::<T>::set_block_number(now.saturating_add(blocks));
}

/// A version of one contribution, published, that anyone may train on under a licence that allows
/// everything. For other pallets' benchmarks.
pub(crate) fn published_version<T: Config>(
	owner: &T::AccountId,
	root: H256,
	records: u32,
) -> DatanetVersion {
	fund::<T>(owner);
	T::DatanetDeposit::ensure_successful(owner, Pallet::<T>::datanet_footprint());
	let id = datanet::<T>(owner, AccessPolicy::Open, 0);
	let data = ContributedData { root, records, ..data(&(owner, id).encode()) };
	T::ContributionDeposit::ensure_successful(
		owner,
		Pallet::<T>::contribution_footprint(data.records, data.bytes),
	);
	let index =
		Pallet::<T>::do_contribute(owner.clone(), id, data).expect("an owner can contribute");
	Pallet::<T>::do_accept_contribution(owner.clone(), id, index).expect("an owner can accept");
	Pallet::<T>::do_publish_version(owner.clone(), id).expect("there is something to publish")
}

#[benchmarks]
mod benchmarks {
	use super::*;

	#[benchmark]
	fn create_datanet() {
		let owner = funded::<T>("owner");
		// A list of one less than it can have; the ids need not be known for its length.
		let room = T::MaxDatanetsPerOwner::get().saturating_sub(1);
		let others: Vec<DatanetId> = (0..room).map(|n| DatanetId(u32::MAX - n)).collect();
		DatanetsOf::<T>::insert(
			&owner,
			BoundedVec::<_, T::MaxDatanetsPerOwner>::truncate_from(others),
		);
		let terms = terms::<T>(AccessPolicy::Approval, price::<T>());

		#[extrinsic_call]
		_(RawOrigin::Signed(owner.clone()), name(), DatanetKind::Text, LicenceTerms::OPEN, terms);

		assert_eq!(DatanetsOf::<T>::get(owner).len(), T::MaxDatanetsPerOwner::get() as usize);
	}

	#[benchmark]
	fn update_datanet() {
		let owner = funded::<T>("owner");
		let id = datanet::<T>(&owner, AccessPolicy::Open, 0);
		let new = terms::<T>(AccessPolicy::Approval, price::<T>());

		#[extrinsic_call]
		_(RawOrigin::Signed(owner), id, new);

		assert_eq!(Datanets::<T>::get(id).map(|datanet| datanet.terms), Some(new));
	}

	#[benchmark]
	fn close_datanet() {
		let owner = funded::<T>("owner");
		let id = datanet::<T>(&owner, AccessPolicy::Open, 0);

		#[extrinsic_call]
		_(RawOrigin::Signed(owner), id);

		assert!(Datanets::<T>::get(id).is_some_and(|datanet| !datanet.takes_contributions));
	}

	#[benchmark]
	fn reopen_datanet() {
		let owner = funded::<T>("owner");
		let id = datanet::<T>(&owner, AccessPolicy::Open, 0);
		Pallet::<T>::do_close_datanet(owner.clone(), id).expect("it was open");

		#[extrinsic_call]
		_(RawOrigin::Signed(owner), id);

		assert!(Datanets::<T>::get(id).is_some_and(|datanet| datanet.takes_contributions));
	}

	#[benchmark]
	fn offer_datanet() {
		let owner = funded::<T>("owner");
		let next = funded::<T>("next");
		let id = datanet::<T>(&owner, AccessPolicy::Open, 0);

		#[extrinsic_call]
		_(RawOrigin::Signed(owner), id, next.clone());

		assert_eq!(DatanetOffers::<T>::get(id), Some(next));
	}

	#[benchmark]
	fn withdraw_datanet_offer() {
		let owner = funded::<T>("owner");
		let id = datanet::<T>(&owner, AccessPolicy::Open, 0);
		Pallet::<T>::do_offer_datanet(owner.clone(), id, funded::<T>("next"))
			.expect("it can be offered");

		#[extrinsic_call]
		_(RawOrigin::Signed(owner), id);

		assert_eq!(DatanetOffers::<T>::get(id), None);
	}

	#[benchmark]
	fn accept_datanet() {
		let owner = funded::<T>("owner");
		let next = funded::<T>("next");
		let id = datanet::<T>(&owner, AccessPolicy::Open, 0);
		Pallet::<T>::do_offer_datanet(owner, id, next.clone()).expect("it can be offered");

		#[extrinsic_call]
		_(RawOrigin::Signed(next.clone()), id);

		assert_eq!(Datanets::<T>::get(id).map(|datanet| datanet.owner), Some(next));
	}

	#[benchmark]
	fn contribute() {
		let owner = funded::<T>("owner");
		let contributor = funded::<T>("contributor");
		let id = datanet::<T>(&owner, AccessPolicy::Permissioned, 0);
		give::<T>(&owner, id, &contributor, Role::Contributor);
		let ContributedData { root, content, salts, .. } = data(b"first");
		let records = T::MaxRecordsPerContribution::get();
		let bytes = T::MaxBytesPerContribution::get();

		#[extrinsic_call]
		_(RawOrigin::Signed(contributor), id, root, records, bytes, content, salts);

		assert_eq!(Counters::<T>::get(id).pending, 1);
	}

	#[benchmark]
	fn withdraw_contribution() {
		let (_, id, _, contributor, index) = curated::<T>();

		#[extrinsic_call]
		_(RawOrigin::Signed(contributor), id, index);

		assert!(!Contributions::<T>::contains_key(id, index));
	}

	#[benchmark]
	fn accept_contribution() {
		let (_, id, curator, _, index) = curated::<T>();

		#[extrinsic_call]
		_(RawOrigin::Signed(curator), id, index);

		assert_eq!(Ranges::<T>::get(id).range.leaves(), 1024);
	}

	#[benchmark]
	fn reject_contribution() {
		let (_, id, curator, _, index) = curated::<T>();

		#[extrinsic_call]
		_(RawOrigin::Signed(curator), id, index, RejectReason::Quality);

		assert!(!Contributions::<T>::contains_key(id, index));
	}

	#[benchmark]
	fn settle_contribution() {
		let (_, id, curator, _, index) = curated::<T>();
		pass_blocks::<T>(T::MinReviewPeriod::get());

		#[extrinsic_call]
		_(RawOrigin::Signed(curator), id, index);

		assert_eq!(Ranges::<T>::get(id).range.leaves(), 1024);
	}

	#[benchmark]
	fn publish_version() {
		let (_, id, curator, contributor, index) = curated::<T>();
		Pallet::<T>::do_accept_contribution(curator.clone(), id, index).expect("it waits");
		Pallet::<T>::do_publish_version(curator.clone(), id).expect("there is something new");
		let index = contribution::<T>(id, &contributor, b"second");
		Pallet::<T>::do_accept_contribution(curator.clone(), id, index).expect("it waits");

		#[extrinsic_call]
		_(RawOrigin::Signed(curator), id);

		assert_eq!(Counters::<T>::get(id).versions, 2);
	}

	#[benchmark]
	fn grant_access() {
		let trainer = funded::<T>("trainer");
		let (owner, id) = inherited::<T>(AccessPolicy::Approval, &trainer);
		Pallet::<T>::do_request_access(trainer.clone(), id, price::<T>()).expect("it can be asked");

		#[extrinsic_call]
		_(RawOrigin::Signed(owner), id, trainer.clone(), Role::Trainer, None);

		assert!(!AccessRequests::<T>::contains_key(id, trainer));
	}

	#[benchmark]
	fn revoke_access() {
		let trainer = funded::<T>("trainer");
		let (owner, id) = inherited::<T>(AccessPolicy::Approval, &trainer);

		#[extrinsic_call]
		_(RawOrigin::Signed(owner), id, trainer.clone(), Role::Trainer);

		assert!(!Grants::<T>::contains_key((id, trainer, Role::Trainer)));
	}

	#[benchmark]
	fn buy_access() {
		let trainer = funded::<T>("trainer");
		let (_, id) = inherited::<T>(AccessPolicy::Open, &trainer);

		#[extrinsic_call]
		_(RawOrigin::Signed(trainer.clone()), id, price::<T>());

		assert_eq!(
			Grants::<T>::get((id, trainer, Role::Trainer)).map(|grant| grant.value),
			Some(Grant::Bought { price: price::<T>() })
		);
	}

	#[benchmark]
	fn request_access() {
		let trainer = funded::<T>("trainer");
		let (_, id) = inherited::<T>(AccessPolicy::Approval, &trainer);

		#[extrinsic_call]
		_(RawOrigin::Signed(trainer.clone()), id, price::<T>());

		assert!(AccessRequests::<T>::contains_key(id, trainer));
	}

	#[benchmark]
	fn refuse_access() {
		let trainer = funded::<T>("trainer");
		let (owner, id) = inherited::<T>(AccessPolicy::Approval, &trainer);
		Pallet::<T>::do_request_access(trainer.clone(), id, price::<T>()).expect("it can be asked");

		#[extrinsic_call]
		_(RawOrigin::Signed(owner), id, trainer.clone());

		assert!(!AccessRequests::<T>::contains_key(id, trainer));
	}

	#[benchmark]
	fn cancel_access_request() {
		let trainer = funded::<T>("trainer");
		let (_, id) = inherited::<T>(AccessPolicy::Approval, &trainer);
		Pallet::<T>::do_request_access(trainer.clone(), id, price::<T>()).expect("it can be asked");

		#[extrinsic_call]
		_(RawOrigin::Signed(trainer.clone()), id);

		assert!(!AccessRequests::<T>::contains_key(id, trainer));
	}

	/// Serving the agenda where nothing is due at one block.
	#[benchmark]
	fn look_at_agenda() {
		let now = frame_system::Pallet::<T>::block_number();
		AgendaCursor::<T>::put(now);
		// Something later, so that looking finds a key.
		let id = ContributionId { datanet: DatanetId(0), index: 0 };
		Agenda::<T>::insert(now.saturating_add(One::one()), id, ());

		#[block]
		{
			Pallet::<T>::settle_due(now, &mut WeightMeter::new());
		}

		assert!(AgendaCursor::<T>::get() > now);
	}

	/// Clearing away the first day with one entry.
	#[benchmark]
	fn clear_day_entry() {
		frame_system::Pallet::<T>::set_block_number(T::BlocksPerDay::get());
		ContributionsOnDay::<T>::insert(0, (DatanetId(0), funded::<T>("contributor")), 1);

		#[block]
		{
			Pallet::<T>::clear_past_days(&mut WeightMeter::new());
		}

		assert!(ContributionsOnDay::<T>::iter_keys().next().is_none());
		assert!(!DayCursor::<T>::get().is_zero());
	}

	impl_benchmark_test_suite!(Pallet, crate::mock::ExtBuilder.build(), crate::mock::Test);
}
