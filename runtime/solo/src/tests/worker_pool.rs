//! What the worker pool reads and writes at its worst, against what those who call it allow for it in
//! their weights, which are counted by hand.

use super::*;
use crate::Workers;
use frame_support::{traits::Get, weights::Weight, BoundedVec};
use openledger_pallet_support::strike;
use openledger_primitives::{
	jobs::{JobKind, JobOutcome},
	traits::WorkerPool,
	BaseModelId,
};
use openledger_runtime_common::units::OPEN;
use pallet_workers::{
	types::{Capabilities, PoolMember},
	weights::WeightInfo as _,
	Pools, Waiting,
};
use sp_trie::recorder::Recorder;
use Sr25519Keyring::{Bob, Dave, Eve, Ferdie};

type WorkersWeights = pallet_workers::weights::SubstrateWeight<Runtime>;

/// The most pools that a worker can be in.
const POOLS: usize = 16 * KINDS.len();

const KINDS: [JobKind; 3] = [JobKind::Inference, JobKind::Training, JobKind::Attribution];

fn bases() -> impl Iterator<Item = BaseModelId> {
	let most: u32 = <Runtime as pallet_workers::Config>::MaxBaseModels::get();
	(0..most).map(BaseModelId)
}

/// A worker with one slot in every pool that one can be in, by its stash.
fn register(stash: Sr25519Keyring, operator: Sr25519Keyring, bond: Balance) -> AccountId {
	let mut capabilities = Capabilities {
		kinds: Default::default(),
		base_models: Default::default(),
		memory_mib: 1,
		slots: 1,
	};
	for kind in KINDS {
		capabilities.kinds.try_insert(kind).unwrap();
	}
	for base in bases() {
		capabilities.base_models.try_insert(base).unwrap();
	}
	let operator_account = operator.to_account_id();
	let call = pallet_workers::Call::register { operator: operator_account, bond, capabilities };
	submit_ok(stash, call);
	let stash = stash.to_account_id();
	submit_ok(operator, pallet_workers::Call::accept_operator { stash: stash.clone() });
	stash
}

/// Fills every pool with members that nothing else is known of: what is looked at in vain.
fn crowd() {
	for base in bases() {
		for kind in KINDS {
			Pools::<Runtime>::mutate((kind, base), |members| {
				let room: u32 = <Runtime as pallet_workers::Config>::MaxPoolMembers::get();
				let room = room as usize;
				let mut all = members.to_vec();
				all.extend((0u8..=255).take(room - all.len()).map(|number| PoolMember {
					stash: AccountId::new([number; 32]),
					weight: 1_000 * OPEN,
					since: 0,
				}));
				all.sort_by(|one, other| one.stash.cmp(&other.stash));
				*members = BoundedVec::truncate_from(all);
			});
		}
	}
}

/// What the database is asked for, in the accesses of something that is done after the set-up, with
/// nothing in memory, and `walked` steps from one key to the next, which the recorder does not count.
fn accesses<R>(walked: usize, set_up: impl FnOnce() -> R, act: impl FnOnce(R)) -> Weight {
	let mut chain = Chain::development().externalities;
	let subject = chain.execute_with(|| {
		open_block(Hash::default());
		set_up()
	});
	chain.commit_all().unwrap();
	let recorder = Recorder::<sp_core::Blake2Hasher>::default();
	chain.execute_with_recorder(recorder.clone(), || act(subject));
	let reads = recorder.recorded_keys().values().map(|keys| keys.len()).sum::<usize>() + walked;
	let writes = chain.overlayed_changes().changes().count();
	println!("{reads} reads, {writes} writes");
	assert!(reads > 0, "something is read");
	<Runtime as frame_system::Config>::DbWeight::get().reads_writes(reads as u64, writes as u64)
}

fn assert_pays(whole: Weight, part: Weight) {
	// Proofs are of no use to a chain of its own; time is.
	assert!(whole.ref_time() >= part.ref_time(), "{whole} < {part}");
}

#[test]
fn assignment_should_stay_within_its_weight() {
	let assign = || Workers::assign(JobKind::Inference, BaseModelId(0), b"subject");
	let nobody = accesses(0, crowd, |()| {
		assign().unwrap_err();
	});
	let alone = || {
		register(Dave, Eve, 2_000 * OPEN);
	};
	let somebody = accesses(0, alone, |()| {
		assign().unwrap();
	});
	assert_pays(WorkersWeights::assign(), somebody);
	// At worst, the last draw finds somebody, whose record is written.
	let database = <Runtime as frame_system::Config>::DbWeight::get();
	assert_pays(WorkersWeights::assign(), nobody + database.writes(1));
}

#[test]
fn end_of_a_job_should_stay_within_its_weight() {
	// The last strike: the worker leaves every pool, and those that wait come in.
	let busy = || {
		let worker = register(Dave, Eve, 2_000 * OPEN);
		crowd();
		register(Ferdie, Bob, 1_000 * OPEN);
		assert_eq!(Waiting::<Runtime>::iter().count(), POOLS);
		pallet_workers::Workers::<Runtime>::mutate(&worker, |worker| {
			let worker = worker.as_mut().unwrap();
			let most: u32 = <Runtime as pallet_workers::Config>::MaxStrikes::get();
			(worker.active_jobs, worker.strikes) = (1, most - 1);
		});
		worker
	};
	let outcomes =
		[JobOutcome::Delivered, JobOutcome::Released, JobOutcome::Faulty, JobOutcome::TimedOut];
	let weights =
		outcomes.map(|outcome| accesses(POOLS, busy, |worker| Workers::release(&worker, outcome)));
	for weight in weights {
		assert_pays(WorkersWeights::release(bases().count() as u32), weight);
		assert_pays(strike::weight(<Runtime as frame_system::Config>::DbWeight::get()), weight);
	}
}
