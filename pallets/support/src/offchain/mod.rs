//! The way from a job on chain to a worker beside the node, and of the worker's report back.
//!
//! A pallet that has jobs for workers is a [`Desk`]: it lists the jobs of an operator key, writes
//! orders, and says what to tell the chain about a report. [`run`] does the rest, once per block, in
//! the pallet's `offchain_worker` hook:
//!
//! 1. Is there a worker? Its URL is in the node's persistent local storage under
//!    [`WORKER_URL_KEY`], where `openledger-node --worker-url` writes it. Without it, nothing happens.
//! 2. Which jobs are ours? Those of the workers for which the sr25519 keys of the type
//!    [`OPERATOR_KEY_TYPE`] in the node's keystore sign.
//! 3. For each, the one that ends first first: `GET /v1/jobs/{id}`. The worker does not know it: post
//!    the order. It has something to report: check it as the chain would, sign it, submit it.
//!
//! The worker is believed nothing. What it says is bounded in length and time, decoded, and carried
//! out in a transaction that is rolled back; only what the chain takes is submitted.
//!
//! ## What is remembered
//!
//! In persistent local storage under `openledger/offchain/{name}/…`, so that it outlives restarts and
//! forks: `lock`, until when a run may still be under way; `journal`, for each job what was submitted
//! when and how often it failed; `away`, since when the worker does not answer; `idle`, that it was
//! said that there is no worker. All of it can be deleted at any time: a report that is submitted
//! twice is refused once.
//!
//! [`WORKER_URL_KEY`]: openledger_primitives::worker_api::WORKER_URL_KEY
//! [`OPERATOR_KEY_TYPE`]: openledger_primitives::jobs::OPERATOR_KEY_TYPE

mod absence;
mod client;
mod journal;
mod keys;
mod run;
#[cfg(feature = "testing")]
pub mod testing;

pub use client::Objection;
pub use keys::Operator;
pub use run::{run, AccountIdOf, Desk, Duty, Statement};

use sp_runtime::offchain::Duration;

/// The most operator keys of one node that are served.
pub const MAX_OPERATOR_KEYS: usize = 16;

/// The most jobs one operator key is asked for: those whose deadline is nearest are served anyway.
pub const MAX_JOBS_PER_OPERATOR: usize = 256;

/// The most jobs served in one run. At a few milliseconds each, they fit between two blocks. One
/// worker has fewer slots.
pub const MAX_JOBS_PER_RUN: usize = 128;

/// Blocks until a report that did not get into the chain is submitted again: forks and full blocks
/// take less.
pub const RESUBMIT_AFTER: u64 = 5;

/// The most blocks between two attempts at a job that fails, or at a worker that is away.
pub const MAX_BACK_OFF: u64 = 8;

/// How long one request to the worker may take. It is on the same machine and answers from memory.
const REQUEST_TIME: Duration = Duration::from_millis(2_000);

/// How long posting an order may take: it can be many megabytes, and the worker writes it to disk.
const POST_TIME: Duration = Duration::from_millis(10_000);

/// How long the question takes whether the worker is back.
const PROBE_TIME: Duration = Duration::from_millis(300);

/// How long a whole run may take.
const RUN_TIME: Duration = Duration::from_millis(20_000);

/// How long a run's lock holds if the run never ends it, because the node was killed: longer than any
/// run.
const LOCK_TIME: Duration = Duration::from_millis(30_000);

/// The blocks to wait after so many failures in a row: 1, 2, 4, 8, 8, …
fn back_off(failures: u32) -> u64 {
	1u64.checked_shl(failures.saturating_sub(1)).map_or(MAX_BACK_OFF, |wait| wait.min(MAX_BACK_OFF))
}

/// Whether `block` is still ahead. One that is further ahead than anybody waits was written on a
/// chain that has been rolled back since.
fn is_ahead(block: u64, now: u64) -> bool {
	block > now && block <= now.saturating_add(MAX_BACK_OFF)
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn waits_should_double_up_to_the_bound() {
		let waits: Vec<u64> = [1, 2, 3, 4, 5, 64, 65, u32::MAX].map(back_off).into();
		assert_eq!(waits, vec![1, 2, 4, 8, 8, 8, 8, 8]);
	}

	#[test]
	fn a_block_should_be_ahead_only_as_far_as_anybody_waits() {
		assert!(!is_ahead(10, 10));
		assert!(is_ahead(11, 10));
		assert!(is_ahead(10 + MAX_BACK_OFF, 10));
		assert!(!is_ahead(11 + MAX_BACK_OFF, 10), "it was written on a chain that is gone");
		assert!(!is_ahead(u64::MAX, 0));
	}

	#[test]
	fn a_lock_should_outlive_every_run() {
		assert!(LOCK_TIME > RUN_TIME);
		for request in [REQUEST_TIME, POST_TIME, PROBE_TIME] {
			assert!(request < RUN_TIME);
		}
	}
}
