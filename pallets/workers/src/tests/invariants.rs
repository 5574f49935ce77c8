//! Whatever happens in whatever order: no money is made or lost, and the state stays true.

use crate::{mock::*, types::*, *};
use openledger_primitives::{
	jobs::{JobKind, JobOutcome},
	traits::WorkerPool,
	BaseModelId, H256,
};
use proptest::prelude::*;
use sp_runtime::Permill;
use std::collections::BTreeMap;

/// One thing that somebody does.
#[derive(Clone, Debug)]
enum Step {
	Register(u64, u64, u128, u8, u32),
	Accept(u64, u64),
	SetOperator(u64, u64),
	SetCapabilities(u64, u8, u32),
	BondExtra(u64, u128),
	Unbond(u64, u128),
	Leave(u64),
	Withdraw(u64),
	Pause(u64),
	Resume(u64),
	Slash(u64, u32),
	Refresh(u64),
	Assign(bool, u32, u64),
	Release(usize, JobOutcome),
	Wait(u64),
	Renew,
}

/// Seven stashes for pools of four.
fn stash() -> impl Strategy<Value = u64> {
	1..=7u64
}

/// Keys, some of which are stashes.
fn key() -> impl Strategy<Value = u64> {
	6..=14u64
}

fn step() -> impl Strategy<Value = Step> {
	let outcome = prop_oneof![
		3 => Just(JobOutcome::Delivered),
		1 => Just(JobOutcome::Released),
		2 => Just(JobOutcome::TimedOut),
		1 => Just(JobOutcome::Faulty),
	];
	prop_oneof![
		2 => (stash(), key(), 50..2_000u128, 1..16u8, 0..8u32)
			.prop_map(|(s, k, b, c, n)| Step::Register(s, k, b, c, n)),
		1 => (key(), stash()).prop_map(|(k, s)| Step::Accept(k, s)),
		// The key that was named, so that most registrations come to life.
		4 => stash().prop_map(|s| Step::Accept(0, s)),
		1 => (stash(), key()).prop_map(|(s, k)| Step::SetOperator(s, k)),
		2 => (stash(), 1..16u8, 0..8u32).prop_map(|(s, c, n)| Step::SetCapabilities(s, c, n)),
		3 => (stash(), prop_oneof![6 => 0..800u128, 1 => 0..12_000u128]).prop_map(|(s, a)| Step::BondExtra(s, a)),
		3 => (stash(), 0..300u128).prop_map(|(s, a)| Step::Unbond(s, a)),
		1 => stash().prop_map(Step::Leave),
		4 => stash().prop_map(Step::Withdraw),
		1 => stash().prop_map(Step::Pause),
		4 => stash().prop_map(Step::Resume),
		1 => (stash(), prop_oneof![0..40u32, 0..=100u32]).prop_map(|(s, p)| Step::Slash(s, p)),
		1 => stash().prop_map(Step::Refresh),
		10 => (any::<bool>(), 0..3u32, any::<u64>()).prop_map(|(t, b, j)| Step::Assign(t, b, j)),
		8 => (any::<usize>(), outcome).prop_map(|(i, o)| Step::Release(i, o)),
		3 => (1..80u64).prop_map(Step::Wait),
		1 => Just(Step::Renew),
	]
}

/// Capabilities from bits: the lowest for training beside inference, the others for base models.
fn capabilities(bits: u8, slots: u32) -> Capabilities<<Test as Config>::MaxBaseModels> {
	let bases: Vec<u32> = (0..3).filter(|base| bits & (2 << base) != 0).collect();
	let mut capabilities = offers(&bases, slots);
	if bits & 1 != 0 {
		capabilities.kinds.try_insert(JobKind::Training).unwrap();
	}
	capabilities
}

/// Does a step as an extrinsic would: all of it or nothing.
fn take(step: Step, jobs: &mut Vec<AccountId>) {
	use frame_support::{assert_storage_noop, storage::with_storage_layer};
	let signed = RuntimeOrigin::signed;
	let done = with_storage_layer(|| {
		match step {
			Step::Register(stash, key, bond, bits, slots) => {
				WorkersPallet::register(signed(stash), key, bond, capabilities(bits, slots))?
			},
			Step::Accept(0, stash) => {
				let named = Workers::<Test>::get(stash).map(|worker| worker.operator);
				if let Some(OperatorKey::Proposed(key)) = named {
					WorkersPallet::accept_operator(signed(key), stash).map_err(|e| e.error)?;
				}
			},
			Step::Accept(key, stash) => {
				WorkersPallet::accept_operator(signed(key), stash).map_err(|e| e.error)?;
			},
			Step::SetOperator(stash, key) => {
				WorkersPallet::set_operator(signed(stash), key).map_err(|e| e.error)?;
			},
			Step::SetCapabilities(stash, bits, slots) => {
				WorkersPallet::set_capabilities(signed(stash), capabilities(bits, slots))
					.map_err(|e| e.error)?;
			},
			Step::BondExtra(stash, amount) => {
				WorkersPallet::bond_extra(signed(stash), amount).map_err(|e| e.error)?;
			},
			Step::Unbond(stash, amount) => {
				WorkersPallet::unbond(signed(stash), amount).map_err(|e| e.error)?;
			},
			Step::Leave(stash) => {
				WorkersPallet::leave(signed(stash)).map_err(|e| e.error)?;
			},
			Step::Withdraw(stash) => WorkersPallet::withdraw_unbonded(signed(10), stash)?,
			Step::Pause(stash) => {
				WorkersPallet::pause(signed(stash)).map_err(|e| e.error)?;
			},
			Step::Resume(stash) => {
				WorkersPallet::resume(signed(stash)).map_err(|e| e.error)?;
			},
			Step::Slash(stash, percent) => WorkersPallet::slash(
				RuntimeOrigin::root(),
				stash,
				Permill::from_percent(percent),
				H256::zero(),
			)?,
			Step::Refresh(stash) => {
				WorkersPallet::refresh_pools(signed(10), stash).map_err(|e| e.error)?;
			},
			Step::Assign(training, base, subject) => {
				let kind = if training { JobKind::Training } else { JobKind::Inference };
				let assignment = <WorkersPallet as WorkerPool<AccountId>>::assign(
					kind,
					BaseModelId(base),
					&subject.to_le_bytes(),
				)?;
				assert_eq!(Operators::<Test>::get(assignment.operator), Some(assignment.worker));
				jobs.push(assignment.worker);
			},
			Step::Release(index, outcome) => {
				if !jobs.is_empty() {
					let stash = jobs.swap_remove(index % jobs.len());
					release(stash, outcome);
				}
			},
			Step::Wait(blocks) => go_to(System::block_number() + blocks),
			Step::Renew => Epoch::mutate(|(seed, known_since)| {
				*seed += 1;
				*known_since = System::block_number();
			}),
		}
		Ok::<(), sp_runtime::DispatchError>(())
	});
	// Checking the state does not change it.
	if done.is_ok() {
		assert_storage_noop!(Pallet::<Test>::do_try_state().unwrap());
	}
}

proptest! {
	#![proptest_config(ProptestConfig::with_cases(100))]

	#[test]
	fn state_should_stay_true_whatever_happens(steps in prop::collection::vec(step(), 1..250)) {
		new_test_ext().execute_with(|| {
			// More of them than the pools have room for.
			for stash in 1..=6 {
				worker_offering(stash, 200 * u128::from(stash), capabilities(0b1111, 5));
			}
			let mut jobs = Vec::new();
			for step in steps {
				take(step, &mut jobs);
				assert_supply_is_accounted_for();
				let mut active = BTreeMap::<AccountId, u32>::new();
				for stash in &jobs {
					*active.entry(*stash).or_default() += 1;
				}
				for (stash, worker) in Workers::<Test>::iter() {
					assert_eq!(worker.active_jobs, active.remove(&stash).unwrap_or(0));
				}
				// Nobody is forgotten who has work.
				assert!(active.is_empty());
			}
			// Whoever is no worker has nothing on hold, and nobody's money is stuck: all can leave.
			for outcome in jobs.drain(..) {
				release(outcome, JobOutcome::Delivered);
			}
			for stash in Workers::<Test>::iter_keys().collect::<Vec<_>>() {
				if record(stash).status != Status::Leaving {
					WorkersPallet::leave(RuntimeOrigin::signed(stash)).unwrap();
				}
			}
			go_to(System::block_number() + UnbondingDelay::get());
			for stash in Workers::<Test>::iter_keys().collect::<Vec<_>>() {
				WorkersPallet::withdraw_unbonded(RuntimeOrigin::signed(10), stash).unwrap();
			}
			assert_eq!(Workers::<Test>::iter().count(), 0);
			assert_eq!(Operators::<Test>::iter().count(), 0);
			assert_eq!(Pools::<Test>::iter().count(), 0);
			assert_eq!(Waiting::<Test>::iter().count(), 0);
			for stash in 1..=10 {
				assert_eq!(held(stash), 0);
			}
			assert_supply_is_accounted_for();
		});
	}
}
