//! One benchmark per call, in its worst case: every pool the worker serves is full, and entering
//! displaces somebody, or leaving lets somebody in.

#![allow(
	clippy::unwrap_used,
	clippy::expect_used,
	clippy::arithmetic_side_effects,
	reason = "setting up a benchmark may fail loudly"
)]

use crate::{types::*, *};
use frame_benchmarking::v2::*;
use frame_support::{
	pallet_prelude::*,
	traits::{fungible::Balanced, tokens::Precision, EnsureOrigin},
};
use frame_system::{pallet_prelude::BlockNumberFor, RawOrigin};
use openledger_primitives::{
	jobs::{JobKind, JobOutcome},
	traits::WorkerPool,
	Balance, BaseModelId, H256,
};
use sp_runtime::Permill;

const KINDS: [JobKind; JOB_KINDS as usize] =
	[JobKind::Inference, JobKind::Training, JobKind::Attribution];

/// Money enough for everything a benchmark does.
fn fund<T: Config>(who: &T::AccountId) {
	let amount = T::MinBond::get() * 1_000;
	drop(T::Currency::deposit(who, amount, Precision::Exact).unwrap());
}

/// All kinds of work on `bases`.
fn offers<T: Config>(
	bases: impl IntoIterator<Item = BaseModelId>,
) -> Capabilities<T::MaxBaseModels> {
	let mut capabilities = Capabilities {
		kinds: Default::default(),
		base_models: Default::default(),
		memory_mib: 1024,
		slots: T::MaxSlots::get(),
	};
	for kind in KINDS {
		capabilities.kinds.try_insert(kind).unwrap();
	}
	for base in bases {
		capabilities.base_models.try_insert(base).unwrap();
	}
	capabilities
}

/// Base models `from..from + count`.
fn bases(from: u32, count: u32) -> impl Iterator<Item = BaseModelId> {
	(from..from + count).map(BaseModelId)
}

/// A worker whose key has accepted.
pub(crate) fn register_worker<T: Config>(
	stash: &T::AccountId,
	operator: &T::AccountId,
	bases: impl IntoIterator<Item = BaseModelId>,
	bond: Balance,
) {
	fund::<T>(stash);
	Pallet::<T>::do_register(stash, operator.clone(), bond, offers::<T>(bases)).unwrap();
	Pallet::<T>::do_accept_operator(operator, stash).unwrap();
}

/// Fills up the pools of `bases` with members of the smallest bond.
fn crowd<T: Config>(bases: impl IntoIterator<Item = BaseModelId>) {
	for base in bases {
		for kind in KINDS {
			let mut members = Pools::<T>::get((kind, base));
			let mut stashes = (0u32..).map(|index| account("member", index, base.0));
			while !members.is_full() {
				let stash: T::AccountId = stashes.next().unwrap();
				let place = members.binary_search_by(|other| other.stash.cmp(&stash)).unwrap_err();
				let member = PoolMember {
					stash,
					weight: T::MinBond::get(),
					since: BlockNumberFor::<T>::default(),
				};
				members.try_insert(place, member).unwrap();
			}
			Pools::<T>::insert((kind, base), members);
		}
	}
}

/// A worker with twice the smallest bond in `b` base models' full pools, for each of which another
/// one waits.
fn contested_worker<T: Config>(b: u32) -> (T::AccountId, T::AccountId) {
	let (stash, operator) = (whitelisted_caller(), account("operator", 0, 0));
	register_worker::<T>(&stash, &operator, bases(0, b), T::MinBond::get() * 2);
	crowd::<T>(bases(0, b));
	let waiting = account("waiting", 0, 0);
	register_worker::<T>(&waiting, &account("operator", 1, 0), bases(0, b), T::MinBond::get());
	(stash, operator)
}

#[benchmarks]
mod benchmarks {
	use super::*;

	#[benchmark]
	fn register() {
		let stash: T::AccountId = whitelisted_caller();
		fund::<T>(&stash);
		let operator = account("operator", 0, 0);
		let capabilities = offers::<T>(bases(0, T::MaxBaseModels::get()));

		#[extrinsic_call]
		_(RawOrigin::Signed(stash.clone()), operator, T::MinBond::get(), capabilities);

		assert!(Workers::<T>::contains_key(stash));
	}

	#[benchmark]
	fn accept_operator(b: Linear<1, { T::MaxBaseModels::get() }>) {
		let stash: T::AccountId = account("stash", 0, 0);
		let operator: T::AccountId = whitelisted_caller();
		fund::<T>(&stash);
		Pallet::<T>::do_register(
			&stash,
			operator.clone(),
			T::MinBond::get() * 2,
			offers::<T>(bases(0, b)),
		)
		.unwrap();
		crowd::<T>(bases(0, b));

		#[extrinsic_call]
		_(RawOrigin::Signed(operator.clone()), stash.clone());

		assert_eq!(Operators::<T>::get(operator), Some(stash));
	}

	#[benchmark]
	fn set_operator(b: Linear<1, { T::MaxBaseModels::get() }>) {
		let (stash, old) = contested_worker::<T>(b);

		#[extrinsic_call]
		_(RawOrigin::Signed(stash), account("operator", 2, 0));

		assert!(!Operators::<T>::contains_key(old));
	}

	#[benchmark]
	fn set_capabilities(b: Linear<2, { T::MaxBaseModels::get() * 2 }>) {
		let before = b / 2;
		let after = b - before;
		let (stash, _) = contested_worker::<T>(before);
		let next = || bases(before, after);
		crowd::<T>(next());
		let capabilities = offers::<T>(next());

		#[extrinsic_call]
		_(RawOrigin::Signed(stash.clone()), capabilities.clone());

		assert_eq!(Workers::<T>::get(stash).unwrap().capabilities, capabilities);
	}

	#[benchmark]
	fn bond_extra(b: Linear<1, { T::MaxBaseModels::get() }>) {
		let (stash, _) = contested_worker::<T>(b);
		let waiting: T::AccountId = account("waiting", 0, 0);

		#[extrinsic_call]
		_(RawOrigin::Signed(waiting.clone()), T::MinBond::get());

		assert_eq!(Workers::<T>::get(waiting).unwrap().bond, T::MinBond::get() * 2);
		assert!(Workers::<T>::contains_key(stash));
	}

	#[benchmark]
	fn unbond(b: Linear<1, { T::MaxBaseModels::get() }>) {
		let (stash, _) = contested_worker::<T>(b);

		#[extrinsic_call]
		_(RawOrigin::Signed(stash.clone()), T::MinBond::get());

		assert_eq!(Unbonding::<T>::get(stash).len(), 1);
	}

	#[benchmark]
	fn leave(b: Linear<1, { T::MaxBaseModels::get() }>) {
		let (stash, _) = contested_worker::<T>(b);

		#[extrinsic_call]
		_(RawOrigin::Signed(stash.clone()));

		assert_eq!(Workers::<T>::get(stash).unwrap().status, Status::Leaving);
	}

	#[benchmark]
	fn withdraw_unbonded() {
		let (stash, operator) = contested_worker::<T>(1);
		for _ in 1..T::MaxUnbondingChunks::get() {
			Pallet::<T>::do_unbond(&stash, 1).unwrap();
			let next = frame_system::Pallet::<T>::block_number() + 1u32.into();
			frame_system::Pallet::<T>::set_block_number(next);
		}
		Pallet::<T>::do_leave(&stash).unwrap();
		let unlocked = frame_system::Pallet::<T>::block_number() + T::UnbondingDelay::get();
		frame_system::Pallet::<T>::set_block_number(unlocked);

		#[extrinsic_call]
		_(RawOrigin::Signed(operator), stash.clone());

		assert!(!Workers::<T>::contains_key(stash));
	}

	#[benchmark]
	fn pause(b: Linear<1, { T::MaxBaseModels::get() }>) {
		let (stash, _) = contested_worker::<T>(b);

		#[extrinsic_call]
		_(RawOrigin::Signed(stash.clone()));

		assert_eq!(Workers::<T>::get(stash).unwrap().status, Status::Paused);
	}

	#[benchmark]
	fn resume(b: Linear<1, { T::MaxBaseModels::get() }>) {
		let (stash, _) = contested_worker::<T>(b);
		Pallet::<T>::do_pause(&stash).unwrap();

		#[extrinsic_call]
		_(RawOrigin::Signed(stash.clone()));

		assert_eq!(Workers::<T>::get(stash).unwrap().status, Status::Active);
	}

	#[benchmark]
	fn slash(b: Linear<1, { T::MaxBaseModels::get() }>) -> Result<(), BenchmarkError> {
		let origin =
			T::SlashOrigin::try_successful_origin().map_err(|()| BenchmarkError::Weightless)?;
		let (stash, _) = contested_worker::<T>(b);

		#[extrinsic_call]
		_(origin as T::RuntimeOrigin, stash.clone(), Permill::one(), H256::zero());

		assert_eq!(Workers::<T>::get(stash).unwrap().bond, 0);
		Ok(())
	}

	#[benchmark]
	fn refresh_pools(b: Linear<1, { T::MaxBaseModels::get() }>) {
		let (_, operator) = contested_worker::<T>(b);
		// The one that waits contests bonds that have become smaller than its own.
		for (pool, mut members) in Pools::<T>::iter().collect::<alloc::vec::Vec<_>>() {
			for member in members.iter_mut() {
				member.weight = 1;
			}
			Pools::<T>::insert(pool, members);
		}
		let waiting: T::AccountId = account("waiting", 0, 0);

		#[extrinsic_call]
		_(RawOrigin::Signed(operator), waiting.clone());

		assert!(!Waiting::<T>::contains_key((JobKind::Training, BaseModelId(0)), waiting));
	}

	#[benchmark]
	fn assign() {
		let (stash, _) = contested_worker::<T>(1);
		// As many real workers without a free slot as can be drawn, and nobody else.
		let draws = T::MaxDraws::get().min(T::MaxPoolMembers::get());
		let pool = (JobKind::Inference, BaseModelId(0));
		let mut members = alloc::vec::Vec::new();
		let busy = Workers::<T>::get(&stash).unwrap();
		for index in 0..draws {
			let stash: T::AccountId = account("busy", index, 0);
			let mut worker = busy.clone();
			worker.active_jobs = worker.capabilities.slots;
			Workers::<T>::insert(&stash, worker);
			let since = BlockNumberFor::<T>::default();
			members.push(PoolMember { stash, weight: T::MinBond::get(), since });
		}
		Pools::<T>::insert(pool, Members::<T>::truncate_from(members));
		let result;

		#[block]
		{
			result = <Pallet<T> as WorkerPool<T::AccountId>>::assign(pool.0, pool.1, &[0; 32]);
		}

		assert_eq!(result, Err(Error::<T>::NoFreeWorker.into()));
	}

	#[benchmark]
	fn release(b: Linear<1, { T::MaxBaseModels::get() }>) {
		let (stash, _) = contested_worker::<T>(b);
		Workers::<T>::mutate(&stash, |worker| worker.as_mut().unwrap().active_jobs = 1);

		#[block]
		{
			<Pallet<T> as WorkerPool<T::AccountId>>::release(&stash, JobOutcome::Faulty);
		}

		assert_eq!(Workers::<T>::get(stash).unwrap().active_jobs, 0);
	}

	impl_benchmark_test_suite!(Pallet, crate::mock::new_test_ext(), crate::mock::Test);
}
