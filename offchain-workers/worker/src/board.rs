//! The board of jobs: which there are, which is next, how each of them stands.
//!
//! Every change goes to the [journal](crate::journal) before anybody sees it. A job's life:
//!
//! ```text
//! posted ─ waiting ⇄ running ─ done ─ forgotten
//!             └────────┴─ cancelled or expired: forgotten
//! ```
//!
//! A job is *done* once, when its report is on disk, and the report never changes. Jobs that were not
//! done when the worker ended wait again after the next start.

use crate::{
	config::MAX_KNOWN_JOBS,
	durable::DiskError,
	job::{Job, JobKind, Jobs, Phase, Ticket},
	journal::Journal,
	metrics::{Metrics, Outcome},
	time,
};
use openledger_primitives::{
	worker_api::{Order, Report},
	UnixSeconds, H256,
};
use parking_lot::{Condvar, Mutex};
use std::{
	path::PathBuf,
	sync::{
		atomic::{AtomicBool, Ordering},
		Arc,
	},
	time::{Duration, Instant},
};

/// How long a job is remembered after it expired.
const REMEMBERED: UnixSeconds = 7 * 24 * 60 * 60;
/// The longest sleep of the computing thread, in case a wake-up or the clock goes astray.
const LONGEST_SLEEP: Duration = Duration::from_secs(1);

/// What became of a post.
#[derive(Debug, PartialEq, Eq)]
pub enum Posted {
	/// The job is new and safe on disk.
	New,
	/// The job was known; nothing changed.
	Known,
	/// It expired before.
	Expired,
	/// Too many jobs wait.
	Full,
}

/// What became of putting a job back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PutBack {
	/// It waits from now on.
	First,
	/// It waits on.
	Again,
	/// It has waited for too long, and was not put back.
	Exhausted,
}

/// Number of jobs by how they stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
	/// Jobs that wait.
	pub queued: usize,
	/// Those of them that wait for room on the disk.
	pub waiting_for_disk: usize,
	/// Jobs that are being done.
	pub running: usize,
}

/// The board of jobs.
#[derive(Debug)]
pub struct Board {
	journal: Journal,
	max_queue: usize,
	metrics: Arc<Metrics>,
	jobs: Mutex<Jobs>,
	/// Told when a job comes or the worker stops.
	changed: Condvar,
	/// Held while the journal's jobs come, end or go, so that two posts of one job are one.
	writing: Mutex<()>,
	stopping: AtomicBool,
}

impl Board {
	/// The board with the jobs that the folder's journal knows.
	pub fn open(
		folder: PathBuf,
		max_queue: usize,
		metrics: Arc<Metrics>,
	) -> Result<Self, DiskError> {
		let mut found = Vec::new();
		let journal = Journal::open(folder, |job| {
			let phase = match job.report {
				Some(_) => Phase::Done,
				None => Phase::Waiting { until: None },
			};
			// Not the whole order: those of training can have megabytes.
			let kind = JobKind::of(&job.order.work);
			found.push((job.posted, job.order.id, job.order.expires, kind, phase));
		})?;
		found.sort_unstable_by_key(|(posted, id, ..)| (*posted, *id));
		let mut jobs = Jobs::default();
		for (posted, id, expires, kind, phase) in found {
			jobs.insert(id, kind, posted, expires, phase);
		}
		let board = Self {
			journal,
			max_queue,
			metrics,
			jobs: Mutex::new(jobs),
			changed: Condvar::new(),
			writing: Mutex::new(()),
			stopping: AtomicBool::new(false),
		};
		board.sweep(time::now());
		Ok(board)
	}

	/// The jobs' files.
	pub fn journal(&self) -> &Journal {
		&self.journal
	}

	/// Takes in an order. Blocks on the disk.
	///
	/// # Errors
	///
	/// The job is not known then.
	pub fn post(&self, order: &Order) -> Result<Posted, DiskError> {
		let _writing = self.writing.lock();
		let now = time::now();
		let oldest_done = {
			let jobs = self.jobs.lock();
			if jobs.known.contains_key(&order.id) {
				return Ok(Posted::Known);
			}
			if order.expires <= now {
				return Ok(Posted::Expired);
			}
			if jobs.waiting() >= self.max_queue {
				return Ok(Posted::Full);
			}
			if jobs.known.len() < MAX_KNOWN_JOBS {
				None
			} else {
				let done = jobs.known.values().filter(|job| job.phase == Phase::Done);
				match done.min_by_key(|job| job.expires) {
					None => return Ok(Posted::Full),
					oldest => oldest.map(|job| job.id),
				}
			}
		};
		if let Some(id) = oldest_done {
			self.jobs.lock().known.remove(&id);
			self.journal.forget(id)?;
		}
		let posted = time::now_milliseconds();
		self.journal.create(order, posted)?;
		let (kind, phase) = (JobKind::of(&order.work), Phase::Waiting { until: None });
		self.jobs.lock().insert(order.id, kind, posted, order.expires, phase);
		self.changed.notify_all();
		Ok(Posted::New)
	}

	/// The job as it stands.
	pub fn job(&self, id: H256) -> Option<Job> {
		self.jobs.lock().known.get(&id).cloned()
	}

	/// The newest jobs first, at most `limit`.
	pub fn newest(&self, limit: usize) -> Vec<Job> {
		let mut jobs: Vec<Job> = self.jobs.lock().known.values().cloned().collect();
		jobs.sort_unstable_by_key(|job| std::cmp::Reverse((job.posted, job.serial)));
		jobs.truncate(limit);
		jobs
	}

	/// What the worker says about the job now; `None` when it does not know it. Blocks on the disk.
	pub fn report(&self, id: H256) -> Result<Option<Report>, DiskError> {
		let phase = self.jobs.lock().known.get(&id).map(|job| job.phase);
		Ok(match phase {
			None => None,
			Some(Phase::Done) => self.journal.report(id)?,
			Some(Phase::Running { started: true, permille }) => Some(Report::Running { permille }),
			Some(_) => Some(Report::Queued),
		})
	}

	/// Number of jobs by how they stand.
	pub fn counts(&self) -> Counts {
		let mut counts = Counts::default();
		for job in self.jobs.lock().known.values() {
			match job.phase {
				Phase::Waiting { .. } => {
					counts.queued += 1;
					counts.waiting_for_disk += usize::from(job.no_space_since.is_some());
				},
				Phase::Running { .. } => counts.running += 1,
				Phase::Done => {},
			}
		}
		counts
	}

	/// Waits for a job that can be worked on, the most urgent first; `None` when the worker stops.
	pub fn next(&self) -> Option<Ticket> {
		let mut jobs = self.jobs.lock();
		loop {
			if self.stopping() {
				return None;
			}
			let now = Instant::now();
			if let Some(ticket) = jobs.take(None, now) {
				return Some(ticket);
			}
			let wake_ups = jobs.known.values().filter_map(|job| match job.phase {
				Phase::Waiting { until } => until,
				_ => None,
			});
			let wake_up = wake_ups.min().map_or(LONGEST_SLEEP, |at| at - now);
			self.changed.wait_for(&mut jobs, wake_up.min(LONGEST_SLEEP));
		}
	}

	/// A job of this kind that can be worked on now, if there is one.
	pub fn next_of(&self, kind: JobKind) -> Option<Ticket> {
		if self.stopping() {
			return None;
		}
		self.jobs.lock().take(Some(kind), Instant::now())
	}

	/// Everything the job needs is there.
	pub fn started(&self, ticket: &Ticket) {
		if let Some(job) = self.jobs.lock().of(ticket) {
			job.phase = Phase::Running { started: true, permille: 0 };
			job.missing_since = None;
		}
		let waited = time::now_milliseconds().saturating_sub(ticket.posted);
		self.metrics.waited(ticket.kind, waited as f64 / 1e3);
	}

	/// So much of the job is done, in thousandths.
	pub fn progress(&self, ticket: &Ticket, permille: u16) {
		if let Some(job) = self.jobs.lock().of(ticket) {
			job.phase = Phase::Running { started: true, permille: permille.min(1_000) };
		}
	}

	/// Puts the job back because something is missing, unless it has been for `patience`.
	pub fn await_missing(
		&self,
		ticket: &Ticket,
		look_every: Duration,
		patience: Duration,
	) -> PutBack {
		self.put_back(ticket, look_every, patience, |job| &mut job.missing_since)
	}

	/// Puts the job back because the disk is full, unless it has been for `patience`.
	pub fn await_space(
		&self,
		ticket: &Ticket,
		look_every: Duration,
		patience: Duration,
	) -> PutBack {
		self.put_back(ticket, look_every, patience, |job| &mut job.no_space_since)
	}

	fn put_back(
		&self,
		ticket: &Ticket,
		look_every: Duration,
		patience: Duration,
		since: impl Fn(&mut Job) -> &mut Option<Instant>,
	) -> PutBack {
		let mut jobs = self.jobs.lock();
		let Some(job) = jobs.of(ticket) else { return PutBack::Again };
		let now = Instant::now();
		let since = since(job);
		let result = match *since {
			None => PutBack::First,
			Some(first) if now.duration_since(first) < patience => PutBack::Again,
			Some(_) => return PutBack::Exhausted,
		};
		since.get_or_insert(now);
		job.phase = Phase::Waiting { until: Some(now + look_every) };
		result
	}

	/// Puts the job back for a while.
	pub fn postpone(&self, ticket: &Ticket, delay: Duration) {
		if let Some(job) = self.jobs.lock().of(ticket) {
			job.phase = Phase::Waiting { until: Some(Instant::now() + delay) };
		}
	}

	/// Puts the job back because the worker stops.
	pub fn release(&self, ticket: &Ticket) {
		if let Some(job) = self.jobs.lock().of(ticket) {
			job.phase = Phase::Waiting { until: None };
		}
	}

	/// Ends a job with this report, unless it was forgotten meanwhile. Blocks on the disk.
	///
	/// # Errors
	///
	/// The job has not ended then.
	pub fn finish(&self, ticket: &Ticket, report: &Report) -> Result<(), DiskError> {
		let _writing = self.writing.lock();
		if self.jobs.lock().of(ticket).is_none() {
			return Ok(());
		}
		self.journal.finish(ticket.id, report, time::now_milliseconds())?;
		if let Some(job) = self.jobs.lock().of(ticket) {
			job.phase = Phase::Done;
		}
		let outcome = match report {
			Report::Failed(reason) => Outcome::Failed(*reason),
			_ => Outcome::Done,
		};
		self.metrics.ended(ticket.kind, outcome);
		if let Err(error) = self.journal.remove_checkpoints(ticket.id) {
			tracing::warn!(%error, "checkpoints of a job that ended stay");
		}
		Ok(())
	}

	/// Forgets a job, and stops the work on it. Whether it was known. Blocks on the disk.
	pub fn forget(&self, id: H256) -> Result<bool, DiskError> {
		self.forget_as(id, Outcome::Cancelled)
	}

	fn forget_as(&self, id: H256, outcome: Outcome) -> Result<bool, DiskError> {
		let _writing = self.writing.lock();
		let Some(job) = self.jobs.lock().known.remove(&id) else { return Ok(false) };
		job.cancelled.cancel();
		if job.phase != Phase::Done {
			self.metrics.ended(job.kind, outcome);
		}
		self.journal.forget(id)?;
		Ok(true)
	}

	/// Forgets jobs that nobody needs any more: at once if they were not done, a week later if they
	/// were. Blocks on the disk.
	pub fn sweep(&self, now: UnixSeconds) {
		let is_over = |job: &&Job| match job.phase {
			Phase::Done => job.expires.saturating_add(REMEMBERED) <= now,
			_ => job.expires <= now,
		};
		let over: Vec<Job> = self.jobs.lock().known.values().filter(is_over).cloned().collect();
		for job in over {
			if job.phase != Phase::Done {
				tracing::warn!(job = %crate::hexadecimal::show(job.id), kind = job.kind.name(),
					"the job expired before it was done: the worker is too slow or has too many jobs");
			}
			if let Err(error) = self.forget_as(job.id, Outcome::Expired) {
				tracing::warn!(%error, "files of a forgotten job stay");
			}
		}
	}

	/// Stops the work on all jobs. They stay in the journal.
	pub fn stop(&self) {
		// Under the lock, so that nobody misses it between looking and waiting.
		let jobs = self.jobs.lock();
		self.stopping.store(true, Ordering::Relaxed);
		for job in jobs.known.values() {
			job.cancelled.cancel();
		}
		self.changed.notify_all();
	}

	/// Whether the worker stops.
	pub fn stopping(&self) -> bool {
		self.stopping.load(Ordering::Relaxed)
	}
}

#[cfg(test)]
mod tests;
