//! The thread that works on jobs: one at a time, answers before training.
//!
//! It trains itself, and hands requests to the service that answers for the gateway too. Between two
//! steps of training, and between measurements, it sees to waiting requests, so that training does not
//! compete with them. Whatever happens to a job stays with the job: a panic of the engine ends what was
//! computed at the time, not the worker.

use crate::{
	board::{Board, PutBack},
	config::Patience,
	durable::DiskError,
	events::{Event, EventLog, FailureName},
	evidence::EvidenceFolder,
	failure::{Failure, Stopped},
	gateway::catalogue::Catalogue,
	hexadecimal::show,
	inference,
	job::Ticket,
	metrics::Metrics,
	models::Models,
	training,
};
use openledger_primitives::{
	jobs::FailureReason,
	worker_api::{Report, Work},
};
use openledger_store::Store;
use std::{
	any::Any,
	panic::{catch_unwind, AssertUnwindSafe},
	sync::Arc,
	time::{Duration, Instant},
};

/// How much longer than for a blob is the time between two looks at a full disk.
const DISK_LOOKS: u32 = 5;

/// Everything that work on jobs needs.
#[derive(Debug)]
pub struct Context {
	/// The jobs.
	pub board: Board,
	/// Base models, adapters and indexes.
	pub models: Models,
	/// The names of models at the gateway.
	pub catalogue: Catalogue,
	/// The blobs.
	pub store: Arc<Store>,
	/// Evidence behind claims.
	pub evidence: EvidenceFolder,
	/// Counters.
	pub metrics: Arc<Metrics>,
	/// How long jobs wait for what they lack.
	pub patience: Patience,
	/// Time between two checkpoints of training.
	pub checkpoint_every: Duration,
}

impl Context {
	/// Works on jobs until the worker stops.
	pub fn work(&self) {
		while let Some(ticket) = self.board.next() {
			self.work_on(&ticket);
		}
	}

	/// Works on one job until it ends or has to wait.
	pub fn work_on(&self, ticket: &Ticket) {
		let span = tracing::info_span!("job", id = %show(ticket.id), kind = ticket.kind.name());
		let _entered = span.enter();
		let begun = Instant::now();
		// Without room on the disk for events, the job goes on without.
		let mut log = self.board.journal().event_log(ticket.id).unwrap_or_else(|error| {
			tracing::warn!(%error, "progress events cannot be written");
			EventLog::silent()
		});
		let attempt = guarded(|| self.attempt(ticket, &mut log));
		let ended =
			attempt.and_then(|report| self.board.finish(ticket, &report).map_err(Stopped::from));
		match ended {
			Ok(()) => self.metrics.computed(ticket.kind, begun.elapsed().as_secs_f64()),
			Err(stopped) => self.stopped(ticket, stopped, &mut log),
		}
	}

	fn attempt(&self, ticket: &Ticket, log: &mut EventLog) -> Result<Report, Stopped> {
		let order = self.board.journal().order(ticket.id)?;
		match &order.work {
			Work::Inference(order) => inference::answer(self, ticket, order, log),
			Work::Training(order) => training::train(self, ticket, order, log),
		}
	}

	fn stopped(&self, ticket: &Ticket, stopped: Stopped, log: &mut EventLog) {
		// What goes wrong with a job whose files are gone already is no news.
		let is_unwanted = ticket.cancelled.is_cancelled();
		match if is_unwanted { Stopped::Cancelled } else { stopped } {
			Stopped::Cancelled => {
				tracing::info!("the job was interrupted");
				self.board.release(ticket);
			},
			Stopped::Missing(failure) => {
				let patience = match failure.reason() {
					FailureReason::PromptUnavailable => self.patience.prompt,
					_ => self.patience.blobs,
				};
				let look_every = self.patience.look_every;
				match self.board.await_missing(ticket, look_every, patience) {
					PutBack::First => {
						tracing::info!(seconds = patience.as_secs(), "waits: {failure}");
						log.tell(&Event::Waiting { detail: failure.to_string() });
					},
					PutBack::Again => {},
					PutBack::Exhausted => self.fail(ticket, &failure, log),
				}
			},
			Stopped::NoSpace(path) => {
				let (look_every, patience) =
					(self.patience.look_every * DISK_LOOKS, self.patience.disk);
				match self.board.await_space(ticket, look_every, patience) {
					PutBack::First => tracing::error!(path = %path.display(),
						"no space left on the disk: the job stopped and goes on from its last \
						 checkpoint when there is room; free some"),
					PutBack::Again => {},
					PutBack::Exhausted => {
						let seconds = patience.as_secs();
						self.fail(ticket, &Failure::DiskFull { seconds }, log);
					},
				}
			},
			Stopped::Failed(failure) => self.fail(ticket, &failure, log),
		}
	}

	/// Ends a job without a result.
	fn fail(&self, ticket: &Ticket, failure: &Failure, log: &mut EventLog) {
		let (reason, hint) = (failure.reason(), failure.hint());
		tracing::error!(?reason, hint, "the job failed: {failure}");
		log.tell(&Event::Failed { reason: FailureName(reason), detail: failure.to_string(), hint });
		if let Err(error) = self.board.finish(ticket, &Report::Failed(reason)) {
			// Nobody is told what is not on disk, so it is all tried again.
			self.report_unwritten(ticket, &error);
		}
	}

	fn report_unwritten(&self, ticket: &Ticket, error: &DiskError) {
		tracing::error!(%error, "the report cannot be written: the job is tried again");
		self.board.postpone(ticket, self.patience.look_every * DISK_LOOKS);
	}
}

/// Does the work; a panic in it is a failure of the job. The work must leave nothing behind that
/// others use and that a panic could have half-changed.
fn guarded(work: impl FnOnce() -> Result<Report, Stopped>) -> Result<Report, Stopped> {
	catch_unwind(AssertUnwindSafe(work))
		.unwrap_or_else(|panic| Err(Failure::Panicked(message_of(panic.as_ref())).into()))
}

fn message_of(panic: &(dyn Any + Send)) -> String {
	let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
	text.or_else(|| panic.downcast_ref::<String>().cloned())
		.unwrap_or_else(|| "a panic without a message".into())
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn a_panic_should_be_the_jobs_failure_and_nobody_elses() {
		let stopped = guarded(|| panic!("row {} is not there", 7)).unwrap_err();
		let Stopped::Failed(failure) = stopped else { panic!("{stopped:?}") };
		assert_eq!(failure.reason(), FailureReason::EngineFault);
		assert!(failure.to_string().contains("row 7 is not there"), "{failure}");
		assert!(matches!(guarded(|| Ok(Report::Queued)), Ok(Report::Queued)));
	}
}
