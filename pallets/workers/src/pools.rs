//! Who can be drawn for which work.
//!
//! A pool holds the eligible workers for one kind of work on one base model, sorted by stash, so
//! that the same members are always the same pool, however they came in. A worker that serves more
//! than one base model or kind is in as many pools.
//!
//! A pool has room for `MaxPoolMembers`. A worker that comes to a full pool takes the place of the
//! smallest bond if its own is larger; whoever has no place waits, and one that waits is let in
//! as soon as a place comes free. Which of several that wait comes first is not decided by bond: any
//! of them can contest the smallest bond at any time with `refresh_pools`.

use crate::{
	types::{Capabilities, PoolKey, PoolMember, WeightChange, Worker},
	Config, Error, Event, Pallet, Pools, Waiting, Workers,
};
use frame_support::pallet_prelude::{BoundedVec, DispatchError};
use frame_system::pallet_prelude::BlockNumberFor;
use openledger_primitives::Balance;

/// The members of a pool, sorted by stash.
pub type Members<T> = BoundedVec<
	PoolMember<<T as frame_system::Config>::AccountId, BlockNumberFor<T>>,
	<T as Config>::MaxPoolMembers,
>;

impl<T: Config> Pallet<T> {
	/// Brings every pool that `stash` serves, or served `before`, in line with `worker`. Nothing else
	/// adds, changes or removes this worker's places.
	pub(crate) fn sync_pools(
		stash: &T::AccountId,
		worker: &Worker<T>,
		before: Option<&Capabilities<T::MaxBaseModels>>,
		change: WeightChange,
	) {
		for pool in before.into_iter().flat_map(Capabilities::pools) {
			if !worker.capabilities.serve(&pool) {
				Self::leave_pool(pool, stash);
			}
		}
		for pool in worker.capabilities.pools() {
			if worker.is_eligible() {
				Self::enter_pool(pool, stash, worker.bond, change);
			} else {
				Self::leave_pool(pool, stash);
			}
		}
	}

	/// Brings the pools of a worker in line with what it is. Returns the number of base models served.
	pub(crate) fn do_refresh_pools(stash: &T::AccountId) -> Result<u32, DispatchError> {
		let worker = Workers::<T>::get(stash).ok_or(Error::<T>::NotRegistered)?;
		Self::sync_pools(stash, &worker, None, WeightChange::Chosen);
		Ok(worker.bases())
	}

	/// The size of a pool, and how many of its members have a free slot.
	pub(crate) fn count_candidates(pool: PoolKey) -> (u32, u32) {
		Pools::<T>::get(pool).into_iter().fold((0u32, 0u32), |(all, free), member| {
			let has_slot = Workers::<T>::get(member.stash)
				.is_some_and(|worker| worker.active_jobs < worker.capabilities.slots);
			(all.saturating_add(1), free.saturating_add(has_slot.into()))
		})
	}

	/// Puts a worker into a pool or changes its weight there.
	fn enter_pool(pool: PoolKey, stash: &T::AccountId, weight: Balance, change: WeightChange) {
		let now = frame_system::Pallet::<T>::block_number();
		let mut members = Pools::<T>::get(pool);
		if let Some(member) = members.iter_mut().find(|member| &member.stash == stash) {
			if member.weight == weight {
				return;
			}
			member.weight = weight;
			if change == WeightChange::Chosen {
				member.since = now;
			}
			Pools::<T>::insert(pool, members);
			return;
		}

		if members.is_full() && !Self::displace_smallest(pool, &mut members, stash, weight) {
			if !Waiting::<T>::contains_key(pool, stash) {
				Waiting::<T>::insert(pool, stash, ());
				Self::deposit_event(Event::WaitingForPool {
					stash: stash.clone(),
					kind: pool.0,
					base: pool.1,
				});
			}
			return;
		}
		Self::insert_member(&mut members, PoolMember { stash: stash.clone(), weight, since: now });
		Waiting::<T>::remove(pool, stash);
		Pools::<T>::insert(pool, members);
	}

	/// Makes room in a full pool if its smallest bond is smaller than `weight`. Of several smallest,
	/// the one that came last goes. Whether there is room now.
	fn displace_smallest(
		pool: PoolKey,
		members: &mut Members<T>,
		by: &T::AccountId,
		weight: Balance,
	) -> bool {
		let smallest = members
			.iter()
			.min_by_key(|member| (member.weight, core::cmp::Reverse(member.since)))
			.filter(|member| member.weight < weight)
			.map(|member| member.stash.clone());
		let Some(smallest) = smallest else { return false };
		members.retain(|member| member.stash != smallest);
		Waiting::<T>::insert(pool, &smallest, ());
		Self::deposit_event(Event::DisplacedFromPool {
			stash: smallest,
			by: by.clone(),
			kind: pool.0,
			base: pool.1,
		});
		true
	}

	/// Takes a worker out of a pool, or out of those waiting for it.
	fn leave_pool(pool: PoolKey, stash: &T::AccountId) {
		let mut members = Pools::<T>::get(pool);
		let was_full = members.is_full();
		let before = members.len();
		members.retain(|member| &member.stash != stash);
		if members.len() == before {
			Waiting::<T>::remove(pool, stash);
			return;
		}
		// Nobody waits for a pool that has room.
		if was_full {
			Self::admit_waiting(pool, &mut members);
		}
		if members.is_empty() {
			Pools::<T>::remove(pool);
		} else {
			Pools::<T>::insert(pool, members);
		}
	}

	/// Gives a free place to one of those who wait.
	fn admit_waiting(pool: PoolKey, members: &mut Members<T>) {
		let Some(stash) = Waiting::<T>::iter_key_prefix(pool).next() else { return };
		Waiting::<T>::remove(pool, &stash);
		let Some(worker) = Workers::<T>::get(&stash) else { return };
		let since = frame_system::Pallet::<T>::block_number();
		Self::insert_member(
			members,
			PoolMember { stash: stash.clone(), weight: worker.bond, since },
		);
		Self::deposit_event(Event::AdmittedToPool { stash, kind: pool.0, base: pool.1 });
	}

	/// Inserts a member at its place. The caller has made sure that there is room.
	fn insert_member(
		members: &mut Members<T>,
		member: PoolMember<T::AccountId, BlockNumberFor<T>>,
	) {
		let place = members
			.binary_search_by(|other| other.stash.cmp(&member.stash))
			.unwrap_or_else(|place| place);
		if members.try_insert(place, member).is_err() {
			frame_support::defensive!("a member was inserted into a full pool");
		}
	}
}
