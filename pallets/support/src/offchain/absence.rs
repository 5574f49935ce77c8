//! A worker that does not answer: said once, asked ever less often, noticed at once when it is back.

use super::{
	back_off,
	client::{Client, Unreachable},
	is_ahead,
};
use codec::{Decode, Encode};
use sp_runtime::offchain::storage::StorageValueRef;

/// What is remembered while the worker is away.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
struct Away {
	/// The block since which it is.
	since: u64,
	/// Attempts in vain.
	failures: u32,
	/// The block of the next attempt.
	retry_at: u64,
}

/// Whether the worker is away.
pub(super) struct Absence<'a> {
	stored: StorageValueRef<'a>,
	target: &'static str,
}

impl<'a> Absence<'a> {
	pub(super) fn new(key: &'a [u8], target: &'static str) -> Self {
		Self { stored: StorageValueRef::persistent(key), target }
	}

	fn read(&self) -> Option<Away> {
		self.stored.get().ok().flatten()
	}

	/// Whether to try the worker in this block: when it is not known to be away, when it is time for
	/// the next attempt, or when it says that it is back.
	pub(super) fn allows(&self, client: &Client, now: u64) -> bool {
		self.read().is_none_or(|away| !is_ahead(away.retry_at, now) || client.is_healthy())
	}

	/// The worker did not answer.
	pub(super) fn begin(&self, client: &Client, why: Unreachable, now: u64) {
		let (since, failures) = match self.read() {
			Some(away) => (away.since, away.failures.saturating_add(1)),
			None => {
				log::warn!(
					target: self.target,
					"the worker at {} does not answer since block {now}: {why}",
					client.url(),
				);
				(now, 1)
			},
		};
		let retry_at = now.saturating_add(back_off(failures));
		self.stored.set(&Away { since, failures, retry_at });
	}

	/// The worker answered.
	pub(super) fn end(&mut self, client: &Client, now: u64) {
		if let Some(away) = self.read() {
			self.stored.clear();
			log::info!(
				target: self.target,
				"the worker at {} is back after {} blocks",
				client.url(),
				now.saturating_sub(away.since),
			);
		}
	}
}
