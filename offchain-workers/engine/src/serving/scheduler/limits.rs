//! How much a scheduler takes on.

use crate::serving::slots::AdapterLimits;

/// Bounds of a [`Scheduler`](super::Scheduler).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
	/// Tokens computed in one step, decoded and prefilled together. More make prefill efficient;
	/// fewer keep the time short that a prompt adds to everybody's next token.
	pub max_step_tokens: usize,
	/// Sequences in the batch. At most `max_step_tokens`, so that each can always decode.
	pub max_running: usize,
	/// Sequences that wait, over all tenants. Bounds memory and how long the last one waits.
	/// Preempted sequences, at most `max_running`, come on top.
	pub max_waiting: usize,
	/// Sequences of one tenant that wait: how much of `max_waiting` one tenant can fill.
	pub max_waiting_per_tenant: usize,
	/// Different adapters in the batch. Each costs every step a read of its weights.
	pub max_active_adapters: usize,
	/// Admissions of sequences with a later turn that one sequence has to bear while its adapter
	/// is here: for an adapter that is already active, or because it needs more room than there
	/// is. Then nobody behind it is admitted before it, save for tenants that have less than its own of
	/// what runs, whose admissions do not count either. Zero keeps to the turns strictly; after a
	/// preemption it is zero.
	pub max_passed_over: usize,
	/// Tokens that one prompt gets of a step, so that several can advance together.
	pub prefill_chunk: usize,
	/// Waiting sequences, from the front, whose adapters are read in advance.
	pub load_ahead: usize,
	/// Pages that admission leaves available while others run, so that these can grow for a while
	/// before one has to be preempted.
	pub spare_pages: usize,
}

impl Default for Limits {
	fn default() -> Self {
		Self {
			max_step_tokens: 512,
			max_running: 64,
			max_waiting: 1_024,
			max_waiting_per_tenant: 256,
			max_active_adapters: 64,
			max_passed_over: 16,
			prefill_chunk: 256,
			load_ahead: 64,
			spare_pages: 16,
		}
	}
}

/// Limits under which nothing could run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LimitsError {
	#[error("{0} must be at least 1")]
	Zero(&'static str),
	#[error("{smaller} is {is}, but must be at most {larger}, {most}")]
	TooLarge { smaller: &'static str, is: usize, larger: &'static str, most: usize },
}

impl Limits {
	/// Checks that whatever is submitted can run.
	pub fn validate(&self) -> Result<(), LimitsError> {
		for (name, value) in [
			("max_step_tokens", self.max_step_tokens),
			("max_running", self.max_running),
			("max_waiting", self.max_waiting),
			("max_waiting_per_tenant", self.max_waiting_per_tenant),
			("max_active_adapters", self.max_active_adapters),
			("prefill_chunk", self.prefill_chunk),
			("load_ahead", self.load_ahead),
		] {
			at_least_one(name, value)?;
		}
		at_most(("max_running", self.max_running), ("max_step_tokens", self.max_step_tokens))
	}
}

impl AdapterLimits {
	/// Checks that whatever adapter is read can be seated.
	pub fn validate(&self) -> Result<(), LimitsError> {
		at_least_one("max_resident", self.max_resident)?;
		at_least_one("max_loading", self.max_loading)?;
		at_most(("max_adapter_bytes", self.max_adapter_bytes), ("max_bytes", self.max_bytes))
	}
}

fn at_least_one(name: &'static str, value: usize) -> Result<(), LimitsError> {
	match value {
		0 => Err(LimitsError::Zero(name)),
		_ => Ok(()),
	}
}

fn at_most(
	(smaller, is): (&'static str, usize),
	(larger, most): (&'static str, usize),
) -> Result<(), LimitsError> {
	match is <= most {
		true => Ok(()),
		false => Err(LimitsError::TooLarge { smaller, is, larger, most }),
	}
}
