//! Sequences: what is submitted, and how far each has come.

use crate::serving::{
	pages::{pages_for, PageId, Root, PAGE_TOKENS},
	request::{AdapterKey, Tenant},
	tenants::Turn,
};

/// Name of a sequence, chosen by whoever submits it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SequenceId(pub u64);

/// A sequence to be computed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
	pub id: SequenceId,
	pub tenant: Tenant,
	/// The adapter, or the bare base model.
	pub adapter: Option<AdapterKey>,
	/// Token ids, at least one.
	pub prompt: Vec<u32>,
	/// Tokens to generate at most. Zero when the prompt is only scored.
	pub max_tokens: usize,
	/// First position whose row of logits is needed; those of all later positions are too. The
	/// last one of the prompt to generate, an earlier one to score the prompt. Positions before
	/// it may come from the cache.
	pub logits_from: usize,
	/// When nobody waits for it any more, on the clock of [`plan`](super::Scheduler::plan).
	pub deadline_ms: Option<u64>,
}

/// Why a sequence is not taken. Nothing happened then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
	#[error("the prompt has no tokens")]
	EmptyPrompt,
	#[error("logits are needed from position {from}, but the prompt has {prompt} tokens")]
	LogitsBehindPrompt { from: usize, prompt: usize },
	#[error("the sequence needs {needed} pages of cache, but there are only {total}")]
	TooFewPages { needed: usize, total: usize },
	#[error("{waiting} sequences of this tenant wait already")]
	TenantQueueFull { waiting: usize },
	#[error("{waiting} sequences wait already")]
	QueueFull { waiting: usize },
	#[error("there is a sequence {} already", .0 .0)]
	KnownId(SequenceId),
	#[error("no sequence {} runs, that could be followed", .0 .0)]
	NotRunning(SequenceId),
}

impl Entry {
	/// Tokens that it may cost: read and generated.
	pub(super) fn cost(&self) -> u64 {
		self.prompt.len().saturating_add(self.max_tokens) as u64
	}

	/// Checks what does not depend on other sequences.
	pub(super) fn validate(&self, total_pages: usize) -> Result<(), Refusal> {
		if self.prompt.is_empty() {
			return Err(Refusal::EmptyPrompt);
		}
		if self.logits_from >= self.prompt.len() {
			let prompt = self.prompt.len();
			return Err(Refusal::LogitsBehindPrompt { from: self.logits_from, prompt });
		}
		let needed = pages_for(positions(self.prompt.len(), self.max_tokens));
		if needed > total_pages {
			return Err(Refusal::TooFewPages { needed, total: total_pages });
		}
		Ok(())
	}
}

/// Positions that are computed at most: the last generated token is not read any more.
fn positions(prompt: usize, max_tokens: usize) -> usize {
	prompt.saturating_add(max_tokens.saturating_sub(1))
}

/// A sequence and how far it has come.
#[derive(Debug)]
pub(super) struct Sequence {
	pub(super) root: Root,
	/// The prompt and what was generated.
	pub(super) tokens: Vec<u32>,
	/// Tokens that there may be in the end.
	pub(super) max_length: usize,
	/// Positions that may be computed in the end.
	pub(super) max_positions: usize,
	/// First position whose row of logits was not computed yet, of those that are needed. Does
	/// not go back when the sequence is preempted: no row is delivered twice.
	pub(super) logits_from: usize,
	pub(super) deadline_ms: Option<u64>,
	pub(super) turn: Turn,
	pub(super) phase: Phase,
}

#[derive(Debug)]
pub(super) enum Phase {
	Waiting {
		/// Sequences with a later turn that may still be admitted before it.
		patience: usize,
	},
	Running(Running),
}

#[derive(Debug)]
pub(super) struct Running {
	/// Where its adapter is.
	pub(super) slot: Option<usize>,
	/// The block table.
	pub(super) pages: Vec<PageId>,
	/// Pages of the table that others can find.
	pub(super) published: usize,
	/// Positions whose keys and values are in the pages.
	pub(super) computed: usize,
	/// Positions that the current step adds.
	pub(super) planned: usize,
	/// Tokens that there were when it was admitted.
	pub(super) admitted_with: usize,
}

impl Sequence {
	pub(super) fn new(entry: Entry, turn: Turn, patience: usize) -> Self {
		let max_positions = positions(entry.prompt.len(), entry.max_tokens);
		Self {
			root: Root { tenant: entry.tenant, adapter: entry.adapter },
			max_length: entry.prompt.len().saturating_add(entry.max_tokens),
			max_positions,
			tokens: entry.prompt,
			logits_from: entry.logits_from,
			deadline_ms: entry.deadline_ms,
			turn,
			phase: Phase::Waiting { patience },
		}
	}

	/// Positions that can be computed, given the tokens that there are.
	pub(super) fn known_positions(&self) -> usize {
		self.tokens.len().min(self.max_positions)
	}

	/// Positions that can be computed now; none while it waits.
	pub(super) fn rest(&self) -> usize {
		self.running().map_or(0, |running| self.known_positions() - running.computed)
	}

	/// Pages for the tokens that there are, and the next one.
	pub(super) fn pages_to_begin(&self) -> usize {
		pages_for(self.max_positions.min(self.tokens.len() + 1))
	}

	/// Whether it has got anything out of being admitted: a page of new tokens.
	pub(super) fn has_advanced(&self) -> bool {
		let enough = |running: &Running| self.tokens.len() >= running.admitted_with + PAGE_TOKENS;
		self.running().is_some_and(enough)
	}

	pub(super) fn running(&self) -> Option<&Running> {
		match &self.phase {
			Phase::Running(running) => Some(running),
			Phase::Waiting { .. } => None,
		}
	}

	pub(super) fn running_mut(&mut self) -> Option<&mut Running> {
		match &mut self.phase {
			Phase::Running(running) => Some(running),
			Phase::Waiting { .. } => None,
		}
	}
}
