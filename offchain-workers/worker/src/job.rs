//! One job, and all of them in memory.

use openledger_engine::CancelFlag;
use openledger_primitives::{worker_api::Work, UnixSeconds, H256};
use std::{collections::HashMap, time::Instant};

/// Kinds of jobs. Those of the first kind go first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum JobKind {
	/// To answer a request.
	Inference,
	/// To train an adapter.
	Training,
}

impl JobKind {
	/// The kind of this work.
	pub fn of(work: &Work) -> Self {
		match work {
			Work::Inference(_) => Self::Inference,
			Work::Training(_) => Self::Training,
		}
	}

	/// Its name in JSON, logs and metrics.
	pub fn name(self) -> &'static str {
		match self {
			Self::Inference => "inference",
			Self::Training => "training",
		}
	}
}

/// How a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
	/// For its turn or for something it lacks.
	Waiting {
		/// Not to be looked at before.
		until: Option<Instant>,
	},
	/// Being prepared or done.
	Running {
		/// Everything it needs is there.
		started: bool,
		/// How much of it is done, in thousandths.
		permille: u16,
	},
	/// Its report is in the journal.
	Done,
}

/// A job as the board knows it.
#[derive(Clone, Debug)]
pub struct Job {
	/// Its name.
	pub id: H256,
	/// Its kind.
	pub kind: JobKind,
	/// When it was posted, Unix time in milliseconds.
	pub posted: u64,
	/// When nobody needs it any more.
	pub expires: UnixSeconds,
	/// How it stands.
	pub phase: Phase,
	/// Since when something it needs is missing.
	pub(crate) missing_since: Option<Instant>,
	/// Since when the disk has been too full for it.
	pub(crate) no_space_since: Option<Instant>,
	/// Tells jobs apart that were posted in the same millisecond, or again after being forgotten.
	pub(crate) serial: u64,
	pub(crate) cancelled: CancelFlag,
}

/// The right to work on a job.
#[derive(Clone, Debug)]
pub struct Ticket {
	/// The job.
	pub id: H256,
	/// Its kind.
	pub kind: JobKind,
	/// When nobody needs it any more.
	pub expires: UnixSeconds,
	/// When it was posted, Unix time in milliseconds.
	pub posted: u64,
	/// True once the work is to stop.
	pub cancelled: CancelFlag,
	pub(crate) serial: u64,
}

/// The jobs that are known.
#[derive(Debug, Default)]
pub(crate) struct Jobs {
	pub(crate) known: HashMap<H256, Job>,
	serials: u64,
}

impl Jobs {
	/// Adds a job.
	pub(crate) fn insert(
		&mut self,
		id: H256,
		kind: JobKind,
		posted: u64,
		expires: UnixSeconds,
		phase: Phase,
	) {
		self.serials += 1;
		let job = Job {
			id,
			kind,
			posted,
			expires,
			phase,
			missing_since: None,
			no_space_since: None,
			serial: self.serials,
			cancelled: CancelFlag::default(),
		};
		self.known.insert(id, job);
	}

	/// The ticket's job, unless it was forgotten meanwhile.
	pub(crate) fn of(&mut self, ticket: &Ticket) -> Option<&mut Job> {
		self.known.get_mut(&ticket.id).filter(|job| job.serial == ticket.serial)
	}

	/// Number of jobs that wait.
	pub(crate) fn waiting(&self) -> usize {
		self.known.values().filter(|job| matches!(job.phase, Phase::Waiting { .. })).count()
	}

	/// Takes the most urgent job, of this kind if one is given, that can be worked on: by kind, then
	/// the oldest.
	pub(crate) fn take(&mut self, kind: Option<JobKind>, now: Instant) -> Option<Ticket> {
		let can_start = |job: &&mut Job| {
			kind.is_none_or(|kind| kind == job.kind)
				&& matches!(job.phase, Phase::Waiting { until } if until.is_none_or(|at| at <= now))
		};
		let job = self
			.known
			.values_mut()
			.filter(can_start)
			.min_by_key(|job| (job.kind, job.posted, job.serial))?;
		job.phase = Phase::Running { started: false, permille: 0 };
		Some(Ticket {
			id: job.id,
			kind: job.kind,
			expires: job.expires,
			posted: job.posted,
			cancelled: job.cancelled.clone(),
			serial: job.serial,
		})
	}
}
