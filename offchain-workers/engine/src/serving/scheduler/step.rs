//! What a scheduler wants done next.

use std::ops::Range;

use crate::serving::{request::AdapterKey, scheduler::SequenceId};

/// What to do next, in the order of the fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Step {
	/// Sequences whose deadline passed. They are gone.
	pub expired: Vec<SequenceId>,
	/// Slots to be emptied.
	pub emptied: Vec<usize>,
	/// Adapters that were read, to be put into their slots. Some were just emptied.
	pub seated: Vec<Seated>,
	/// Adapters that were read, and that nobody wants any more: to be dropped.
	pub discarded: Vec<AdapterKey>,
	/// Adapters to begin to read now, beside the steps. Each ends in a call of
	/// [`adapter_loaded`](super::Scheduler::adapter_loaded) or
	/// [`adapter_failed`](super::Scheduler::adapter_failed).
	pub loads: Vec<AdapterKey>,
	/// Sequences that lost their pages and wait again. They are computed anew later; who listens
	/// to them notices nothing but the delay.
	pub preempted: Vec<SequenceId>,
	/// Sequences that run from now on.
	pub admitted: Vec<Admitted>,
	/// What to compute: by slot, the bare base model first; within a slot, decodes first. At most
	/// one per sequence.
	pub segments: Vec<Segment>,
}

impl Step {
	/// Tokens to compute.
	pub fn tokens(&self) -> usize {
		self.segments.iter().map(|segment| segment.length).sum()
	}
}

/// An adapter and its slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seated {
	pub key: AdapterKey,
	pub slot: usize,
}

/// A sequence that runs from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admitted {
	pub id: SequenceId,
	/// Tokens at its beginning that need not be computed, since an earlier sequence began alike.
	pub cached_tokens: usize,
}

/// Successive tokens of one sequence, to be computed in this step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
	pub id: SequenceId,
	/// Slot of the adapter, or the bare base model.
	pub slot: Option<usize>,
	/// Position of the first token.
	pub start: usize,
	/// Tokens, at least one.
	pub length: usize,
	/// First position whose row of logits is needed.
	pub logits_from: usize,
	/// The last token is the last one known: the next is to be sampled, unless the sequence is
	/// done.
	pub completes: bool,
}

impl Segment {
	/// Positions of the tokens.
	pub fn positions(&self) -> Range<usize> {
		self.start..self.start + self.length
	}

	/// Positions whose rows of logits are needed; possibly none.
	pub fn logits(&self) -> Range<usize> {
		let end = self.start + self.length;
		self.logits_from.clamp(self.start, end)..end
	}
}
