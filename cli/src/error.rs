//! What can go wrong, with what to do about it and the exit code that tells a script.

use openledger_primitives::H256;

use crate::evidence::Doubt;

/// What an exit code means.
pub const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  the chain refused; the message names the pallet's error and says what to do
  2  wrong usage: an argument, a key or a file cannot be used
  3  the node cannot be reached
  4  the worker cannot be reached, or refused
  5  not found, failed, or not done in time
  6  what was shown does not agree with the chain
  7  the node answers what this command does not understand: other versions";

/// How a command can end, as its exit code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum ExitCode {
	/// It did what it was asked.
	Done = 0,
	/// The chain refused.
	Refused = 1,
	/// It was used wrongly.
	Usage = 2,
	/// The node cannot be reached.
	NodeUnreachable = 3,
	/// The worker cannot be reached, or refused.
	Worker = 4,
	/// Something is not there, failed, or was not done in time.
	NotDone = 5,
	/// Something does not agree with what the chain commits to.
	Unverified = 6,
	/// The node answers something else than expected.
	Incompatible = 7,
}

/// Why a command did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
	/// Arguments, keys or files that cannot be used.
	#[error("{what}")]
	Usage {
		/// What is wrong.
		what: String,
		/// What to do.
		hint: Option<String>,
	},
	/// The runtime refused a transaction, or would.
	#[error("the chain refused: {name}: {meaning}")]
	Refused {
		/// `Pallet.Error` where a pallet refused.
		name: String,
		/// What it means.
		meaning: String,
		/// What to do.
		hint: Option<String>,
	},
	/// Nobody answers where the node should be.
	#[error("the node at {url} cannot be reached: {reason}")]
	NodeUnreachable {
		/// Where it should be.
		url: String,
		/// What happened.
		reason: String,
	},
	/// The node's answer is not understood.
	#[error("the node at {url} answers something unexpected: {reason}")]
	Incompatible {
		/// The node.
		url: String,
		/// What is not understood.
		reason: String,
	},
	/// Nobody answers where the worker should be.
	#[error("the worker at {url} cannot be reached: {reason}")]
	WorkerUnreachable {
		/// Where it should be.
		url: String,
		/// What happened.
		reason: String,
	},
	/// The worker said no, or something that cannot be read.
	#[error("the worker at {url} refused: {reason}")]
	WorkerRefused {
		/// The worker.
		url: String,
		/// What it says.
		reason: String,
		/// What it advises.
		hint: Option<String>,
	},
	/// The worker does not have a blob.
	#[error("the worker at {url} does not have {what} ({hash:?})")]
	BlobMissing {
		/// The worker.
		url: String,
		/// What the blob is.
		what: String,
		/// Its hash.
		hash: H256,
	},
	/// There is no such thing.
	#[error("{0}")]
	NotFound(String),
	/// It failed, or was not done in time.
	#[error("{what}")]
	NotDone {
		/// What was not done, and why.
		what: String,
		/// What to do.
		hint: Option<String>,
	},
	/// What was shown does not agree with what the chain commits to.
	#[error("what the worker shows does not agree with the chain: {}", list(.0))]
	Unverified(Vec<Doubt>),
	/// Something about this machine: standard output is closed, no randomness.
	#[error("{0}")]
	Machine(String),
}

fn list(doubts: &[Doubt]) -> String {
	doubts.iter().map(Doubt::to_string).collect::<Vec<_>>().join("; ")
}

impl Error {
	/// Wrong usage without more advice than the message.
	pub fn usage(what: impl Into<String>) -> Self {
		Self::Usage { what: what.into(), hint: None }
	}

	/// The exit code of this error.
	pub fn exit_code(&self) -> ExitCode {
		match self {
			Self::Usage { .. } => ExitCode::Usage,
			Self::Refused { .. } => ExitCode::Refused,
			Self::NodeUnreachable { .. } => ExitCode::NodeUnreachable,
			Self::Incompatible { .. } => ExitCode::Incompatible,
			Self::WorkerUnreachable { .. } | Self::WorkerRefused { .. } => ExitCode::Worker,
			Self::BlobMissing { .. } | Self::NotFound(_) | Self::NotDone { .. } => {
				ExitCode::NotDone
			},
			Self::Unverified(_) => ExitCode::Unverified,
			Self::Machine(_) => ExitCode::NotDone,
		}
	}

	/// What to do about it.
	pub fn hint(&self) -> Option<String> {
		match self {
			Self::Usage { hint, .. }
			| Self::Refused { hint, .. }
			| Self::WorkerRefused { hint, .. }
			| Self::NotDone { hint, .. } => hint.clone(),
			Self::NodeUnreachable { .. } => Some(
				"start openledger-node, or say where it is with --node or OPENLEDGER_NODE".into(),
			),
			Self::Incompatible { .. } => Some(
				"use the openledger command of the chain's release; --node must name an OpenLedger node"
					.into(),
			),
			Self::WorkerUnreachable { .. } => Some(
				"start openledger-worker, or say where it is with --worker or OPENLEDGER_WORKER".into(),
			),
			Self::BlobMissing { .. } => {
				Some("name a worker that has it with --worker, or ask its owner to upload it".into())
			},
			Self::Unverified(_) => Some(
				"do not rely on what this worker says; ask another one with --worker".into(),
			),
			Self::NotFound(_) | Self::Machine(_) => None,
		}
	}
}

impl From<std::fmt::Error> for Error {
	fn from(_: std::fmt::Error) -> Self {
		Self::Machine("the result cannot be written as text".into())
	}
}

/// A result of a command.
pub type Result<T, E = Error> = std::result::Result<T, E>;

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn every_exit_code_is_documented() {
		let codes = [
			ExitCode::Done,
			ExitCode::Refused,
			ExitCode::Usage,
			ExitCode::NodeUnreachable,
			ExitCode::Worker,
			ExitCode::NotDone,
			ExitCode::Unverified,
			ExitCode::Incompatible,
		];
		for (number, code) in codes.into_iter().enumerate() {
			assert_eq!(usize::from(code as u8), number);
			assert!(EXIT_CODES.contains(&format!("\n  {number}  ")), "{code:?}");
		}
	}

	#[test]
	fn what_keeps_somebody_from_going_on_says_what_to_do() {
		let url = || "ws://127.0.0.1:1".to_owned();
		let reason = || "refused".to_owned();
		let error = Error::NodeUnreachable { url: url(), reason: reason() };
		assert_eq!(error.exit_code(), ExitCode::NodeUnreachable);
		assert!(error.hint().is_some_and(|hint| hint.contains("--node")));
		let error = Error::WorkerUnreachable { url: url(), reason: reason() };
		assert_eq!(error.exit_code(), ExitCode::Worker);
		assert!(error.hint().is_some_and(|hint| hint.contains("--worker")));
	}
}
