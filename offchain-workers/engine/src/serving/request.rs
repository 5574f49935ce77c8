//! What is asked of a service, and what comes back.

use std::{fmt, sync::Arc, time::Instant};

use crate::{
	error::{ForwardError, GenerateError},
	generate::{FinishReason, GeneratedToken},
	sampling::{Sampling, SamplingError},
	serving::packed_adapter::PackedAdapter,
};

/// Alternatives that may be asked for beside each token, as in OpenAI's API.
pub const MAX_TOP_LOGPROBS: usize = 20;

/// By what an adapter is known: the hash of its content, whoever computes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AdapterKey(pub [u8; 32]);

impl fmt::Display for AdapterKey {
	fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
		self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
	}
}

/// Whose request it is: tenants take turns, so that nobody's flood starves another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tenant(pub Arc<str>);

/// Where adapters come from when they are not in memory. Called from threads of the service,
/// never from the one that computes.
pub trait AdapterSource: Send + Sync {
	/// Reads and checks an adapter. What it gives must be what the key says.
	fn adapter(&self, key: AdapterKey) -> Result<PackedAdapter, AdapterUnavailable>;
}

/// Why an adapter cannot be served.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AdapterUnavailable {
	#[error("the adapter {0} is not here")]
	Unknown(AdapterKey),
	#[error("the adapter {key} cannot be used: {why}")]
	Unusable { key: AdapterKey, why: String },
}

/// Narrows what may come next, such as the grammar of JSON.
pub trait Constraint: Send {
	/// Sets the logits of tokens that may not come next to −∞, or shifts them. At least one stays
	/// finite. The log-probabilities that are told are those before.
	fn restrict(&mut self, logits: &mut [f32]) -> Result<(), ConstraintError>;

	/// This token came next.
	fn accept(&mut self, token: u32) -> Result<(), ConstraintError>;
}

/// A constraint that cannot be kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the constraint on the answer cannot be kept: {0}")]
pub struct ConstraintError(pub String);

/// One sequence to be continued, scored, or both.
pub struct Request {
	pub tenant: Tenant,
	/// The adapter, or the bare base model.
	pub adapter: Option<AdapterKey>,
	/// Token ids, at least one.
	pub prompt: Vec<u32>,
	/// Tokens to generate at most; the context may end it earlier. Zero when the prompt is only
	/// scored.
	pub max_tokens: usize,
	pub sampling: Sampling,
	/// Tokens that end the answer, besides the model's own.
	pub stop_tokens: Vec<u32>,
	/// The model's own end tokens do not end the answer.
	pub ignore_eos: bool,
	/// Strings that end the answer; it is cut before them.
	pub stop_strings: Vec<String>,
	/// Likeliest tokens reported beside each one, at most [`MAX_TOP_LOGPROBS`].
	pub top_logprobs: usize,
	/// Report `ln p` of each token of the prompt too.
	pub score_prompt: bool,
	/// With an adapter: score the finished answer under the bare base model too.
	pub base_logprobs: bool,
	pub constraint: Option<Box<dyn Constraint>>,
	/// When nobody waits for the answer any more.
	pub deadline: Option<Instant>,
}

impl Request {
	/// Continues `prompt` greedily under the bare base model by at most `max_tokens`.
	pub fn new(tenant: Tenant, prompt: Vec<u32>, max_tokens: usize) -> Self {
		Self {
			tenant,
			adapter: None,
			prompt,
			max_tokens,
			sampling: Sampling::GREEDY,
			stop_tokens: Vec::new(),
			ignore_eos: false,
			stop_strings: Vec::new(),
			top_logprobs: 0,
			score_prompt: false,
			base_logprobs: false,
			constraint: None,
			deadline: None,
		}
	}
}

impl fmt::Debug for Request {
	fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
		f.debug_struct("Request")
			.field("tenant", &self.tenant)
			.field("adapter", &self.adapter)
			.field("prompt", &self.prompt.len())
			.field("max_tokens", &self.max_tokens)
			.finish_non_exhaustive()
	}
}

/// A token that might have been, and its `ln p`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Alternative {
	pub id: u32,
	pub logprob: f32,
}

/// A token of the prompt and how likely the model found it.
#[derive(Clone, Debug, PartialEq)]
pub struct ScoredToken {
	pub id: u32,
	/// `ln p` given all tokens before it; nothing stands before the first.
	pub logprob: Option<f32>,
	/// The likeliest tokens at its place, likeliest first, as many as asked for.
	pub top: Vec<Alternative>,
}

/// What happens to a request, in order: the scored prompt if asked for, tokens, and one end.
#[derive(Debug)]
pub enum Event {
	/// The prompt was read.
	Prompt {
		/// Tokens of it that were not computed, for an earlier request had begun alike.
		cached_tokens: usize,
		/// Empty unless asked for.
		scores: Vec<ScoredToken>,
	},
	Token {
		id: u32,
		/// Text that is now certain: whole characters, and nothing that a stop string may still
		/// swallow. Possibly empty. What is left at the end comes with no event; it is in the
		/// answer's text behind the bytes sent.
		text: String,
		logprob: f32,
		top: Vec<Alternative>,
	},
	Finished(Answer),
	Failed(Failed),
}

/// A finished answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
	pub text: String,
	pub tokens: Vec<GeneratedToken>,
	pub prompt_tokens: usize,
	/// Tokens of the prompt that were read: all, unless the request was cancelled before.
	pub read_tokens: usize,
	/// [`FinishReason::Cancelled`] when whoever asked went away.
	pub finish_reason: FinishReason,
}

/// Why a request that was taken has no answer.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
	#[error(transparent)]
	Adapter(#[from] AdapterUnavailable),
	#[error(transparent)]
	Sampling(#[from] SamplingError),
	#[error(transparent)]
	Constraint(#[from] ConstraintError),
	#[error(transparent)]
	Forward(#[from] ForwardError),
	#[error("the deadline passed before the answer was ready")]
	DeadlinePassed,
	/// A fault of ours. Whatever was computed together failed with it; what comes later does not.
	#[error("the engine failed on this request or another one beside it: {0}")]
	Panicked(String),
	#[error("the service stopped")]
	Stopped,
}

/// Why a request is not taken. Nothing happened then.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
	#[error(transparent)]
	Invalid(#[from] GenerateError),
	/// The tenant has as many requests waiting as it may have.
	#[error("{waiting} requests of this tenant wait already")]
	TenantBusy { waiting: usize },
	/// Everybody together has as many requests waiting as there may be.
	#[error("{waiting} requests wait already")]
	Busy { waiting: usize },
	#[error("the request needs {needed} tokens of cache, but there are only {total}")]
	CacheTooSmall { needed: usize, total: usize },
	#[error("at most {MAX_TOP_LOGPROBS} alternatives can be asked for, not {0}")]
	TooManyAlternatives(usize),
	#[error("the service is stopping")]
	Stopping,
}
