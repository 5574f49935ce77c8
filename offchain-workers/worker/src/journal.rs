//! The jobs on disk: what was ordered, what was reported, what happened in between.
//!
//! ```text
//! jobs/<id>/order         the order, written before its POST is answered
//! jobs/<id>/report        how the job ended, written before anybody is told
//! jobs/<id>/events.jsonl  progress, one JSON object a line
//! jobs/<id>/checkpoint/   what training goes on from
//! ```
//!
//! `order` and `report` are the content hash of what follows (32 bytes), then SCALE of
//! ([`FORMAT`], milliseconds of Unix time, [`Order`] or [`Report`]). A job's folder appears by one
//! rename, so that a job is known with its order or not at all. Names that begin with a dot are
//! jobs in the making or on their way out; what a crash left of them goes away at the next start.

use crate::{
	durable::{self, DiskError},
	events, hexadecimal,
};
use codec::{DecodeAll, Encode};
use openledger_primitives::{
	content::content_hash,
	worker_api::{Order, Report, MAX_ORDER_BYTES, MAX_REPORT_BYTES},
	H256,
};
use std::{
	fs::{self, File},
	io::{ErrorKind, Read},
	path::{Path, PathBuf},
};

/// Version of the files' format.
const FORMAT: u8 = 1;
/// Bytes that a file has besides order or report.
const FRAME_BYTES: usize = 32 + 1 + 8;

/// The folder of jobs.
#[derive(Debug)]
pub struct Journal {
	folder: PathBuf,
}

/// A job that was found on disk.
#[derive(Debug)]
pub struct FoundJob {
	/// Its order.
	pub order: Order,
	/// When it was posted, Unix time in milliseconds.
	pub posted: u64,
	/// How it ended, if it has.
	pub report: Option<Report>,
}

impl Journal {
	/// Opens the journal in `folder`, which is made if it is not there, and reads the jobs one by
	/// one to `found`. Jobs whose order is damaged are set aside under `.damaged-<id>`; of a damaged
	/// report nothing is left to trust, so the job counts as not ended.
	pub fn open(folder: PathBuf, mut found: impl FnMut(FoundJob)) -> Result<Self, DiskError> {
		durable::make_folder(&folder)?;
		let journal = Self { folder };
		let at = |error| DiskError::at(&journal.folder, error);
		for entry in fs::read_dir(&journal.folder).map_err(at)? {
			let entry = entry.map_err(at)?;
			let name = entry.file_name();
			let name = name.to_string_lossy();
			if name.starts_with(".new-") || name.starts_with(".old-") {
				durable::remove_folder(&entry.path())?;
			} else if let Some(id) = hexadecimal::parse(&name) {
				journal.read(id)?.into_iter().for_each(&mut found);
			}
		}
		Ok(journal)
	}

	fn read(&self, id: H256) -> Result<Option<FoundJob>, DiskError> {
		let (posted, order) = match self.read_order(id) {
			Ok(found) => found,
			// What work that was told too late wrote for a job that is forgotten.
			Err(DiskError::Io { source, .. }) if source.kind() == ErrorKind::NotFound => {
				durable::remove_folder(&self.job(id))?;
				return Ok(None);
			},
			Err(DiskError::Damaged { why, .. }) => {
				self.set_aside(id, &why)?;
				return Ok(None);
			},
			Err(error) => return Err(error),
		};
		let report = match self.report(id) {
			Err(DiskError::Damaged { path, why }) => {
				tracing::error!(job = %hexadecimal::show(id), path = %path.display(), why,
					"the job's report is damaged: the job is done again; check the disk");
				let _ = fs::remove_file(path);
				None
			},
			report => report?,
		};
		Ok(Some(FoundJob { order, posted, report }))
	}

	fn set_aside(&self, id: H256, why: &str) -> Result<(), DiskError> {
		let (from, to) = (self.job(id), self.folder.join(format!(".damaged-{id:x}")));
		tracing::error!(job = %hexadecimal::show(id), moved_to = %to.display(), why,
			"the job's order is damaged: the job is lost until the node posts it again; check the disk");
		durable::remove_folder(&to)?;
		fs::rename(&from, &to).map_err(|e| DiskError::at(&from, e))
	}

	/// Keeps a new job.
	pub fn create(&self, order: &Order, posted: u64) -> Result<(), DiskError> {
		let making = self.folder.join(format!(".new-{:x}", order.id));
		durable::remove_folder(&making)?;
		let made = durable::make_folder(&making)
			.and_then(|()| durable::write(&making.join("order"), &frame(posted, order)))
			.and_then(|()| {
				let place = self.job(order.id);
				fs::rename(&making, &place).map_err(|e| DiskError::at(&place, e))
			})
			.and_then(|()| durable::flush_folder(&self.folder));
		if made.is_err() {
			let _ = durable::remove_folder(&making);
		}
		made
	}

	/// The job's order.
	pub fn order(&self, id: H256) -> Result<Order, DiskError> {
		self.read_order(id).map(|(_, order)| order)
	}

	fn read_order(&self, id: H256) -> Result<(u64, Order), DiskError> {
		let path = self.job(id).join("order");
		let (posted, order): (u64, Order) = unframe(&path, MAX_ORDER_BYTES)?;
		if order.id != id {
			return Err(DiskError::Damaged { path, why: "it is another job's".into() });
		}
		Ok((posted, order))
	}

	/// Ends a job: once this returns, the job has this report for ever.
	pub fn finish(&self, id: H256, report: &Report, now: u64) -> Result<(), DiskError> {
		durable::write(&self.job(id).join("report"), &frame(now, report))
	}

	/// How the job ended; `None` if it has not.
	pub fn report(&self, id: H256) -> Result<Option<Report>, DiskError> {
		match unframe::<Report>(&self.job(id).join("report"), MAX_REPORT_BYTES) {
			Ok((_, report)) => Ok(Some(report)),
			Err(DiskError::Io { source, .. }) if source.kind() == ErrorKind::NotFound => Ok(None),
			Err(error) => Err(error),
		}
	}

	/// Forgets a job. It is gone at once; its files may take a moment.
	pub fn forget(&self, id: H256) -> Result<(), DiskError> {
		let (place, leaving) = (self.job(id), self.folder.join(format!(".old-{id:x}")));
		durable::remove_folder(&leaving)?;
		match fs::rename(&place, &leaving) {
			Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
			renamed => renamed.map_err(|e| DiskError::at(&place, e))?,
		}
		durable::flush_folder(&self.folder)?;
		durable::remove_folder(&leaving)
	}

	/// Where the job's training keeps its checkpoints.
	pub fn checkpoints(&self, id: H256) -> PathBuf {
		self.job(id).join("checkpoint")
	}

	/// Removes what only a job that goes on needs.
	pub fn remove_checkpoints(&self, id: H256) -> Result<(), DiskError> {
		durable::remove_folder(&self.checkpoints(id))
	}

	/// The job's events, to go on writing.
	pub fn event_log(&self, id: H256) -> Result<events::EventLog, DiskError> {
		events::EventLog::open(&self.job(id).join("events.jsonl"))
	}

	/// The job's events with a number above `after`, as a JSON list.
	pub fn events(&self, id: H256, after: u64) -> Result<String, DiskError> {
		events::list(&self.job(id).join("events.jsonl"), after)
	}

	fn job(&self, id: H256) -> PathBuf {
		self.folder.join(format!("{id:x}"))
	}
}

fn frame(time: u64, content: &impl Encode) -> Vec<u8> {
	let payload = (FORMAT, time, content).encode();
	[content_hash(&payload).as_bytes(), &payload].concat()
}

fn unframe<T: codec::Decode>(path: &Path, limit: usize) -> Result<(u64, T), DiskError> {
	let damaged = |why: &str| DiskError::Damaged { path: path.into(), why: why.into() };
	let limit = limit + FRAME_BYTES;
	let mut bytes = Vec::new();
	File::open(path)
		.and_then(|file| file.take(limit as u64 + 1).read_to_end(&mut bytes))
		.map_err(|e| DiskError::at(path, e))?;
	if bytes.len() > limit {
		return Err(damaged("it is too long"));
	}
	let (hash, payload) = bytes.split_at_checked(32).ok_or_else(|| damaged("it was cut short"))?;
	if content_hash(payload).as_bytes() != hash {
		return Err(damaged("its hash does not match"));
	}
	match <(u8, u64, T)>::decode_all(&mut &*payload) {
		Ok((FORMAT, time, content)) => Ok((time, content)),
		Ok((other, ..)) => Err(damaged(&format!("its format is {other}, not {FORMAT}"))),
		Err(error) => Err(damaged(&error.to_string())),
	}
}

#[cfg(test)]
mod tests {
	use super::*;
	use openledger_primitives::{
		jobs::FailureReason,
		worker_api::{BaseModelHashes, TrainingOrder, Work},
		TrainingJobId,
	};

	const REPORT: Report = Report::Failed(FailureReason::EngineFault);

	fn order(number: u8) -> Order {
		let base = BaseModelHashes { weights: H256::zero(), tokenizer: H256::zero() };
		let job = TrainingJobId(number.into());
		let order = TrainingOrder { job, base, spec: H256::zero(), sources: Vec::new() };
		Order { id: H256([number; 32]), expires: 10, work: Work::Training(order) }
	}

	/// The jobs in the folder: number, and whether it has ended.
	fn reopen(folder: &Path) -> (Journal, Vec<(u8, bool)>) {
		let mut found = Vec::new();
		let read = |job: FoundJob| found.push((job.order.id.0[0], job.report.is_some()));
		let journal = Journal::open(folder.into(), read).unwrap();
		found.sort_unstable();
		(journal, found)
	}

	fn damage(path: &Path) {
		let mut bytes = fs::read(path).unwrap();
		let last = bytes.len() - 1;
		bytes[last] ^= 1;
		fs::write(path, bytes).unwrap();
	}

	#[test]
	fn jobs_should_be_found_again_with_their_reports() {
		let folder = tempfile::tempdir().unwrap();
		let (journal, found) = reopen(folder.path());
		assert_eq!(found, []);
		for number in 1..=3 {
			journal.create(&order(number), 5).unwrap();
		}
		journal.finish(order(2).id, &REPORT, 6).unwrap();
		journal.forget(order(3).id).unwrap();
		let (journal, found) = reopen(folder.path());
		assert_eq!(found, [(1, false), (2, true)]);
		assert_eq!(journal.order(order(1).id).unwrap(), order(1));
		assert_eq!(journal.report(order(2).id).unwrap(), Some(REPORT));
		assert_eq!(journal.report(order(1).id).unwrap(), None);
		journal.forget(order(9).id).unwrap();
	}

	#[test]
	fn damaged_files_should_never_be_believed() {
		let folder = tempfile::tempdir().unwrap();
		let (journal, _) = reopen(folder.path());
		for number in 1..=2 {
			journal.create(&order(number), 5).unwrap();
			journal.finish(order(number).id, &REPORT, 6).unwrap();
		}
		damage(&journal.job(order(1).id).join("order"));
		damage(&journal.job(order(2).id).join("report"));
		let error = journal.report(order(2).id).unwrap_err();
		assert!(matches!(error, DiskError::Damaged { .. }), "{error}");
		let (_, found) = reopen(folder.path());
		assert_eq!(found, [(2, false)]);
		assert!(folder.path().join(format!(".damaged-{:x}", order(1).id)).exists());
	}

	#[test]
	fn what_a_crash_left_half_done_should_go_away() {
		let folder = tempfile::tempdir().unwrap();
		for name in [".new-12", ".old-34", &format!("{:x}", H256([7; 32]))] {
			durable::make_folder(&folder.path().join(name)).unwrap();
		}
		fs::write(folder.path().join("notes.txt"), "somebody's").unwrap();
		let (_, found) = reopen(folder.path());
		assert_eq!(found, []);
		let left: Vec<_> = fs::read_dir(folder.path()).unwrap().collect();
		assert_eq!(left.len(), 1, "{left:?}");
	}
}
