//! What a job tells while it goes on: one JSON object a line, numbered from 1.
//!
//! Events are for people who watch. They are not flushed to the disk one by one, and a full disk
//! costs events, never a job.

use crate::durable::DiskError;
use openledger_primitives::jobs::FailureReason;
use openledger_trainer::{HeldoutStage, ProgressEvent};
use serde::Serialize;
use std::{
	fs::{File, OpenOptions},
	io::{BufRead, BufReader, ErrorKind, Read, Write},
	path::Path,
};

/// The most events of one job. A run of more steps than [`MAX_STEP_EVENTS`] tells every so many.
pub const MAX_EVENTS: u64 = 20_000;
/// The most steps of one run that are told.
pub const MAX_STEP_EVENTS: u32 = 10_000;
/// The most events of one answer to a client.
pub const MAX_LISTED: usize = 1_000;
/// The longest event in bytes, of which a reader assumes that a file is damaged if it is longer.
const MAX_LINE_BYTES: u64 = 64 * 1_024;

/// Something that happened in a job. Losses are in nats per token.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "lowercase", tag = "event")]
pub enum Event {
	/// Training begins, or goes on after step `resumed_at`.
	Started {
		/// Steps of the whole run.
		of: u32,
		/// Steps taken before.
		resumed_at: u32,
		/// Examples to learn from.
		examples: usize,
		/// Examples that are only measured.
		heldout_examples: usize,
		/// Numbers in the adapter.
		parameters: usize,
	},
	/// An optimiser step was taken.
	Step {
		/// Which one, from 1.
		step: u32,
		/// Of how many.
		of: u32,
		/// Mean loss of the batch.
		loss: f64,
		/// The batch's tokens that count in the loss.
		tokens: u64,
		/// Learning rate.
		learning_rate: f64,
		/// Norm of the gradient before clipping.
		grad_norm: f64,
		/// Time the step took.
		seconds: f64,
	},
	/// The held-out examples were measured.
	Heldout {
		/// `before` or `after` training.
		stage: &'static str,
		/// Mean loss.
		loss: f64,
		/// Tokens it was measured on.
		tokens: u64,
	},
	/// What was done so far is safe.
	Checkpoint {
		/// Steps taken by then.
		step: u32,
	},
	/// Training is over.
	Finished {
		/// Steps taken.
		step: u32,
		/// Steps of the whole run.
		of: u32,
		/// Tokens trained on, repeats counted.
		tokens: u64,
		/// Loss of the last batch.
		loss: f64,
		/// Time spent on steps.
		seconds: f64,
	},
	/// A piece of the answer.
	Token {
		/// Text that follows what was told before.
		text: String,
	},
	/// The job waits for something.
	Waiting {
		/// For what.
		detail: String,
	},
	/// The job ended without a result.
	Failed {
		/// The reason's name.
		reason: FailureName,
		/// What was wrong.
		detail: String,
		/// What to do.
		hint: &'static str,
	},
}

/// A failure's reason by its name in the primitives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailureName(pub FailureReason);

impl Serialize for FailureName {
	fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
		serializer.collect_str(&format_args!("{:?}", self.0))
	}
}

impl Event {
	/// What the trainer says, for those who watch; `None` for a step that is passed over so that a
	/// long run's events stay bounded.
	pub fn of_training(event: &ProgressEvent) -> Option<Self> {
		Some(match *event {
			ProgressEvent::Started {
				steps,
				resumed_at,
				examples,
				heldout_examples,
				parameters,
				..
			} => Self::Started { of: steps, resumed_at, examples, heldout_examples, parameters },
			ProgressEvent::Step { step, of, loss, tokens, learning_rate, grad_norm, seconds } => {
				let every = of.div_ceil(MAX_STEP_EVENTS).max(1);
				if step % every != 0 && step != of {
					return None;
				}
				Self::Step { step, of, loss, tokens, learning_rate, grad_norm, seconds }
			},
			ProgressEvent::Heldout { stage, loss, tokens } => {
				let stage = match stage {
					HeldoutStage::Before => "before",
					HeldoutStage::After => "after",
				};
				Self::Heldout { stage, loss, tokens }
			},
			ProgressEvent::Checkpoint { step, .. } => Self::Checkpoint { step },
			ProgressEvent::Finished { metrics } => Self::Finished {
				step: metrics.steps,
				of: metrics.steps,
				tokens: metrics.tokens,
				loss: metrics.last_loss,
				seconds: metrics.seconds,
			},
		})
	}
}

#[derive(Serialize)]
struct Numbered<'a> {
	number: u64,
	#[serde(flatten)]
	event: &'a Event,
}

/// A job's events, being written.
#[derive(Debug)]
pub struct EventLog {
	/// None after a line that could not be written whole, so that lines stay lines.
	file: Option<File>,
	number: u64,
}

impl EventLog {
	/// A log that nobody reads.
	pub fn silent() -> Self {
		Self { file: None, number: 0 }
	}

	/// Opens the file, makes it if it is not there, and takes off a line that a crash cut short.
	pub fn open(path: &Path) -> Result<Self, DiskError> {
		let at = |error| DiskError::at(path, error);
		let file =
			OpenOptions::new().create(true).read(true).append(true).open(path).map_err(at)?;
		let (mut number, mut whole) = (0, 0);
		let mut lines = BufReader::new(&file);
		let mut line = Vec::new();
		loop {
			line.clear();
			let length =
				(&mut lines).take(MAX_LINE_BYTES).read_until(b'\n', &mut line).map_err(at)?;
			if line.last() != Some(&b'\n') {
				break;
			}
			number += 1;
			whole += length as u64;
		}
		file.set_len(whole).map_err(at)?;
		Ok(Self { file: Some(file), number })
	}

	/// Tells an event. Past [`MAX_EVENTS`] nothing is told any more.
	pub fn tell(&mut self, event: &Event) {
		let Some(file) = self.file.as_mut().filter(|_| self.number < MAX_EVENTS) else { return };
		let number = self.number + 1;
		let written = serde_json::to_vec(&Numbered { number, event })
			.map_err(std::io::Error::from)
			.and_then(|mut line| {
				line.push(b'\n');
				file.write_all(&line)
			});
		match written {
			Ok(()) => self.number = number,
			Err(error) => {
				tracing::warn!(%error, "progress events cannot be written; the job goes on");
				self.file = None;
			},
		}
	}
}

/// The events with a number above `after`, at most [`MAX_LISTED`], as a JSON list.
pub fn list(path: &Path, after: u64) -> Result<String, DiskError> {
	let at = |error| DiskError::at(path, error);
	let file = match File::open(path) {
		Err(error) if error.kind() == ErrorKind::NotFound => return Ok("[]".into()),
		file => file.map_err(at)?,
	};
	let mut lines = BufReader::new(file);
	let mut json = String::from("[");
	let (mut number, mut listed) = (0, 0);
	let mut line = String::new();
	while listed < MAX_LISTED {
		line.clear();
		match (&mut lines).take(MAX_LINE_BYTES).read_line(&mut line) {
			Ok(_) if line.ends_with('\n') => {},
			// The end, or a line that is being written right now.
			Ok(_) => break,
			Err(error) if error.kind() == ErrorKind::InvalidData => break,
			Err(error) => return Err(at(error)),
		}
		number += 1;
		if number > after {
			if listed > 0 {
				json.push(',');
			}
			json.push_str(line.trim_end());
			listed += 1;
		}
	}
	json.push(']');
	Ok(json)
}

#[cfg(test)]
mod tests {
	use super::*;

	fn token(text: &str) -> Event {
		Event::Token { text: text.into() }
	}

	#[test]
	fn log_should_go_on_after_a_line_that_was_cut_short() {
		let folder = tempfile::tempdir().unwrap();
		let path = folder.path().join("events.jsonl");
		let mut log = EventLog::open(&path).unwrap();
		log.tell(&token("a"));
		log.tell(&token("b"));
		drop(log);
		let mut file = OpenOptions::new().append(true).open(&path).unwrap();
		file.write_all(b"{\"number\":3,\"eve").unwrap();
		assert_eq!(list(&path, 1).unwrap(), r#"[{"number":2,"event":"token","text":"b"}]"#);
		EventLog::open(&path).unwrap().tell(&token("c"));
		assert_eq!(list(&path, 2).unwrap(), r#"[{"number":3,"event":"token","text":"c"}]"#);
		assert_eq!(list(&path, 3).unwrap(), "[]");
	}

	#[test]
	fn steps_of_a_long_run_should_be_thinned_but_never_the_last() {
		let of = 10 * MAX_STEP_EVENTS - 1;
		let told = |step| {
			let event = ProgressEvent::Step {
				step,
				of,
				loss: 1.0,
				tokens: 1,
				learning_rate: 0.1,
				grad_norm: 1.0,
				seconds: 0.0,
			};
			Event::of_training(&event).is_some()
		};
		let count = (1..=of).filter(|step| told(*step)).count();
		assert!(count <= MAX_STEP_EVENTS as usize, "{count}");
		assert!(told(of));
	}
}
