//! What was done about each job, over restarts and forks.

use super::{back_off, is_ahead, RESUBMIT_AFTER};
use alloc::{
	collections::{BTreeMap, BTreeSet},
	vec::Vec,
};
use codec::{Decode, Encode};
use openledger_primitives::H256;
use sp_core::offchain::StorageKind;

/// What was done about one job.
#[derive(Clone, PartialEq, Eq, Debug, Default, Encode, Decode)]
struct Entry {
	/// The report that was submitted last, by what was signed, and in which block.
	submitted: Option<(H256, u64)>,
	/// Failures in a row.
	failures: u32,
	/// The block of the next attempt after a failure.
	retry_at: u64,
}

/// The jobs of one desk. It holds entries only of jobs that are under way and with which something
/// was done, so it is bounded by what is listed.
pub(super) struct Journal<'a> {
	key: &'a [u8],
	stored: Option<Vec<u8>>,
	entries: BTreeMap<H256, Entry>,
}

/// Another run has written the journal in the meantime: this one took too long and must stop.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Overtaken;

impl<'a> Journal<'a> {
	/// Reads the journal. One that cannot be read (of another version) is begun anew.
	pub(super) fn open(key: &'a [u8]) -> Self {
		let stored = sp_io::offchain::local_storage_get(StorageKind::PERSISTENT, key);
		let entries = stored
			.as_deref()
			.and_then(|mut bytes| Decode::decode(&mut bytes).ok())
			.unwrap_or_default();
		Self { key, stored, entries }
	}

	/// Whether nothing is remembered.
	pub(super) fn is_empty(&self) -> bool {
		self.entries.is_empty()
	}

	/// Forgets all jobs but these.
	pub(super) fn retain(&mut self, jobs: &BTreeSet<H256>) {
		self.entries.retain(|id, _| jobs.contains(id));
	}

	/// Whether a job failed so recently that it is not tried again yet.
	pub(super) fn rests(&self, id: H256, now: u64) -> bool {
		self.entries.get(&id).is_some_and(|entry| is_ahead(entry.retry_at, now))
	}

	/// Whether a report was submitted so recently that it may still get into the chain.
	pub(super) fn is_under_way(&self, id: H256, message: H256, now: u64) -> bool {
		let submitted = self.entries.get(&id).and_then(|entry| entry.submitted);
		submitted.is_some_and(|(known, block)| {
			known == message && now.checked_sub(block).is_some_and(|passed| passed < RESUBMIT_AFTER)
		})
	}

	/// A report is about to be submitted. Written before it is, so that it is not submitted twice when
	/// the node stops in between.
	pub(super) fn submit(&mut self, id: H256, message: H256, now: u64) -> Result<(), Overtaken> {
		self.entries.entry(id).or_default().submitted = Some((message, now));
		self.write()
	}

	/// A job failed. Returns how often in a row it has.
	pub(super) fn fail(&mut self, id: H256, now: u64) -> u32 {
		let entry = self.entries.entry(id).or_default();
		entry.failures = entry.failures.saturating_add(1);
		entry.retry_at = now.saturating_add(back_off(entry.failures));
		entry.failures
	}

	/// A job went well.
	pub(super) fn succeed(&mut self, id: H256) {
		if let Some(entry) = self.entries.get_mut(&id) {
			entry.failures = 0;
			entry.retry_at = 0;
		}
	}

	/// Writes the journal if it has changed.
	pub(super) fn write(&mut self) -> Result<(), Overtaken> {
		let new = self.entries.encode();
		let unchanged = match &self.stored {
			Some(old) => *old == new,
			None => self.entries.is_empty(),
		};
		if unchanged {
			return Ok(());
		}
		let old = self.stored.replace(new.clone());
		let written = sp_io::offchain::local_storage_compare_and_set(
			StorageKind::PERSISTENT,
			self.key,
			old,
			&new,
		);
		written.then_some(()).ok_or(Overtaken)
	}
}

#[cfg(test)]
mod tests {
	use super::*;
	use sp_core::offchain::{testing::TestOffchainExt, OffchainDbExt};

	const KEY: &[u8] = b"journal";
	const MESSAGE: H256 = H256::repeat_byte(1);

	fn with_storage(test: impl FnOnce()) {
		let mut ext = sp_io::TestExternalities::default();
		ext.register_extension(OffchainDbExt::new(TestOffchainExt::default()));
		ext.execute_with(test);
	}

	fn job(number: u8) -> H256 {
		H256::repeat_byte(number)
	}

	#[test]
	fn submission_should_be_known_to_the_next_run_when_this_one_is_killed() {
		with_storage(|| {
			Journal::open(KEY).submit(job(1), MESSAGE, 10).unwrap();
			let next = Journal::open(KEY);
			assert!(next.is_under_way(job(1), MESSAGE, 10));
			assert!(next.is_under_way(job(1), MESSAGE, 9 + RESUBMIT_AFTER));
			assert!(!next.is_under_way(job(1), MESSAGE, 10 + RESUBMIT_AFTER));
			assert!(!next.is_under_way(job(1), job(9), 10), "another report");
			assert!(!next.is_under_way(job(2), MESSAGE, 10), "another job");
			assert!(!next.is_under_way(job(1), MESSAGE, 9), "a chain that was rolled back");
		});
	}

	#[test]
	fn run_should_stop_when_another_one_wrote_in_the_meantime() {
		with_storage(|| {
			let mut slow = Journal::open(KEY);
			Journal::open(KEY).submit(job(1), MESSAGE, 10).unwrap();
			assert_eq!(slow.submit(job(1), MESSAGE, 11), Err(Overtaken));
			assert!(Journal::open(KEY).is_under_way(job(1), MESSAGE, 10));
		});
	}

	#[test]
	fn jobs_should_be_forgotten_when_they_end() {
		with_storage(|| {
			let mut journal = Journal::open(KEY);
			for number in 1..=3 {
				journal.submit(job(number), MESSAGE, 10).unwrap();
			}
			journal.retain(&BTreeSet::from([job(2)]));
			journal.write().unwrap();
			assert_eq!(Journal::open(KEY).entries.len(), 1);
			journal.retain(&BTreeSet::new());
			journal.write().unwrap();
			assert_eq!(
				sp_io::offchain::local_storage_get(StorageKind::PERSISTENT, KEY),
				Some(vec![0])
			);
		});
	}

	#[test]
	fn job_should_rest_ever_longer_until_it_succeeds() {
		with_storage(|| {
			let mut journal = Journal::open(KEY);
			assert_eq!(journal.fail(job(1), 10), 1);
			assert!(!journal.rests(job(1), 11));
			assert_eq!(journal.fail(job(1), 11), 2);
			assert!(journal.rests(job(1), 12));
			assert!(!journal.rests(job(1), 13));
			journal.succeed(job(1));
			assert_eq!(journal.fail(job(1), 13), 1);
		});
	}

	#[test]
	fn nothing_should_be_written_when_nothing_changed() {
		with_storage(|| {
			Journal::open(KEY).write().unwrap();
			assert_eq!(sp_io::offchain::local_storage_get(StorageKind::PERSISTENT, KEY), None);
		});
	}
}
