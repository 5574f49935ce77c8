//! Giving jobs to workers and taking them back.
//!
//! # Who is drawn
//!
//! A draw picks a member of the pool with probability proportional to its bond, from the epoch's
//! randomness, the pool and the job's subject. One that has no free slot is left out and the next
//! attempt is drawn, up to `MaxDraws`.
//!
//! The epoch's randomness is public while it is in use. Whoever can still change a weight could try
//! amounts until the coming jobs fall on it: any change of the sum of weights redraws everything. So
//! members whose place or weight is newer than the randomness stand back: they are drawn only
//! when none of the others is left. A worker that bonds more pays for it with one epoch of waiting,
//! and what remains to a cheat is to leave or not to leave: one bit per worker and epoch.

use crate::{
	types::{PoolMember, SlashReason},
	Config, Error, Operators, Pallet, Pools, Workers,
};
use alloc::vec::Vec;
use codec::Encode;
use frame_support::{
	pallet_prelude::DispatchError,
	traits::{Get, Randomness},
};
use openledger_primitives::{
	jobs::{JobKind, JobOutcome},
	selection,
	traits::{Assignment, WorkerPool},
	BaseModelId, H256,
};

/// Tells this pallet's randomness apart from everybody else's.
const RANDOMNESS_CONTEXT: &[u8] = b"openledger/workers";

impl<T: Config> WorkerPool<T::AccountId> for Pallet<T> {
	type Error = DispatchError;

	fn assign(
		kind: JobKind,
		base: BaseModelId,
		subject: &[u8],
	) -> Result<Assignment<T::AccountId>, DispatchError> {
		let members = Pools::<T>::get((kind, base));
		if members.is_empty() {
			return Err(Error::<T>::NoWorker.into());
		}
		let (randomness, known_since) = T::Randomness::random(RANDOMNESS_CONTEXT);
		let subject = (kind, base, subject).encode();
		let (mut settled, mut newer): (Vec<_>, Vec<_>) =
			members.into_iter().partition(|member| member.since < known_since);

		for attempt in 0..T::MaxDraws::get() {
			let candidates = if settled.is_empty() { &mut newer } else { &mut settled };
			let seed = selection::seed(randomness, &subject, attempt);
			let Some(stash) = draw(candidates, seed) else { break };
			if let Some(assignment) = Self::take_slot(stash) {
				return Ok(assignment);
			}
		}
		Err(Error::<T>::NoFreeWorker.into())
	}

	fn stash_of(operator: &T::AccountId) -> Option<T::AccountId> {
		Operators::<T>::get(operator)
	}

	fn is_operator(worker: &T::AccountId, who: &T::AccountId) -> bool {
		Operators::<T>::get(who).as_ref() == Some(worker)
	}

	fn release(stash: &T::AccountId, outcome: JobOutcome) {
		let Some(mut worker) = Workers::<T>::get(stash) else {
			frame_support::defensive!("a job was released whose worker is not registered");
			return;
		};
		let Some(active_jobs) = worker.active_jobs.checked_sub(1) else {
			frame_support::defensive!("a job was released twice");
			return;
		};
		worker.active_jobs = active_jobs;
		let slash = match outcome {
			JobOutcome::Delivered => {
				Self::count_delivered(stash, &mut worker);
				None
			},
			JobOutcome::Released => None,
			JobOutcome::TimedOut => {
				Self::add_strike(stash, &mut worker);
				Some((T::TimeoutSlash::get(), SlashReason::TimedOut))
			},
			JobOutcome::Faulty => {
				worker.delivered_in_a_row = 0;
				Some((T::FaultSlash::get(), SlashReason::FaultyResult))
			},
		};
		Workers::<T>::insert(stash, &worker);

		if let Some((fraction, reason)) = slash {
			// Fails only for somebody who is not registered. It brings the pools in line with a new
			// bond; a worker with nothing to slash may still have been paused.
			let slashed = Self::do_slash(stash, fraction, reason).unwrap_or_default();
			if slashed == 0 {
				Self::sync_pools(stash, &worker, None, crate::types::WeightChange::Slashed);
			}
		}
		Self::remove_if_finished(stash, &worker);
	}

	#[cfg(feature = "runtime-benchmarks")]
	fn benchmark_worker(stash: &T::AccountId, operator: &T::AccountId, base: BaseModelId) {
		crate::benchmarking::register_worker::<T>(stash, operator, [base], T::MinBond::get());
	}
}

impl<T: Config> Pallet<T> {
	/// Takes one of a worker's slots, if it has one free.
	fn take_slot(stash: T::AccountId) -> Option<Assignment<T::AccountId>> {
		let mut worker = Workers::<T>::get(&stash)?;
		// The pools hold eligible workers only, but for the time between a change of the minimum
		// bond and `refresh_pools`.
		if !worker.is_eligible() || worker.active_jobs >= worker.capabilities.slots {
			return None;
		}
		let operator = worker.operator.confirmed()?.clone();
		worker.active_jobs = worker.active_jobs.checked_add(1)?;
		Workers::<T>::insert(&stash, &worker);
		Some(Assignment { worker: stash, operator })
	}
}

/// Takes one of the candidates out by weight.
fn draw<AccountId, BlockNumber>(
	candidates: &mut Vec<PoolMember<AccountId, BlockNumber>>,
	seed: H256,
) -> Option<AccountId> {
	let weights = candidates.iter().map(|member| member.weight);
	let index = selection::weighted_index(seed, weights)?;
	// `remove` keeps the order, which is part of what the seed decides on.
	(index < candidates.len()).then(|| candidates.remove(index).stash)
}
