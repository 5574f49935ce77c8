//! How answers are written: what chats and completions have in common, and where they differ.

use super::{asking::Told, error::OpenAiError, receipt::Beside, request::Options, serving::Asked};
use crate::time;
use openledger_engine::{
	serving::{Alternative, Answer, ScoredToken},
	FinishReason, Tokenizer,
};
use openledger_primitives::UnixSeconds;
use serde_json::{json, Map, Value};

/// What stands for a probability of zero, as in OpenAI's API: JSON has no infinity.
const NEVER: f32 = -9_999.0;
/// Random bytes of an answer's id.
const ID_BYTES: usize = 16;

/// How one kind of answer is written.
pub trait Form: Send + Sync {
	/// The `object` of a whole answer, and that of a piece of a stream.
	fn objects(&self) -> [&'static str; 2];

	/// A whole choice.
	fn whole(&self, index: usize, of: Whole<'_>) -> Value;

	/// The beginning of a choice in a stream, once the prompt was read.
	fn opening(&self, index: usize, scores: &[ScoredToken]) -> Option<Value>;

	/// Text that follows, and the token that brought it; there is none for what was held back.
	fn piece(&self, index: usize, text: &str, offset: usize, token: Option<&Told>) -> Value;

	/// The end of a choice in a stream.
	fn closing(&self, index: usize, reason: &'static str, beside: Beside) -> Value;
}

/// A whole answer.
#[derive(Debug)]
pub struct Whole<'a> {
	/// The prompt's tokens, if they were asked for.
	pub scores: &'a [ScoredToken],
	/// The answer's tokens.
	pub told: &'a [Told],
	/// The answer.
	pub answer: &'a Answer,
	/// What goes beside it.
	pub beside: Beside,
}

/// What every message about one request says.
#[derive(Clone, Debug)]
pub struct Envelope {
	id: String,
	created: UnixSeconds,
	model: String,
	fingerprint: String,
}

impl Envelope {
	/// For a new answer of this model.
	pub fn new(prefix: &str, asked: &Asked) -> Result<Self, OpenAiError> {
		let mut random = [0; ID_BYTES];
		getrandom::fill(&mut random).map_err(|_| OpenAiError::broken())?;
		Ok(Self {
			id: format!("{prefix}{}", hex::encode(random)),
			created: time::now(),
			model: asked.name.clone(),
			fingerprint: asked.fingerprint(),
		})
	}

	/// A message with these choices.
	pub fn around(&self, object: &str, choices: Vec<Value>) -> Map<String, Value> {
		let mut message = Map::new();
		message.insert("id".into(), json!(self.id));
		message.insert("object".into(), json!(object));
		message.insert("created".into(), json!(self.created));
		message.insert("model".into(), json!(self.model));
		message.insert("system_fingerprint".into(), json!(self.fingerprint));
		message.insert("choices".into(), Value::Array(choices));
		message
	}
}

/// Tokens of a request, as OpenAI counts them: a prompt with several answers once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
	/// Of prompts.
	pub prompt: usize,
	/// Of these, computed before for another request.
	pub cached: usize,
	/// Of answers.
	pub completion: usize,
}

impl Usage {
	/// As JSON.
	pub fn json(&self) -> Value {
		json!({
			"prompt_tokens": self.prompt,
			"completion_tokens": self.completion,
			"total_tokens": self.prompt + self.completion,
			"prompt_tokens_details": {"cached_tokens": self.cached},
		})
	}

	/// Adds the answer at `index`. The first answer to a prompt brings the prompt.
	pub fn add(&mut self, index: usize, options: &Options, cached: usize, answer: &Answer) {
		self.completion += answer.tokens.len();
		if index.is_multiple_of(options.choices) {
			self.prompt += answer.prompt_tokens;
			self.cached += cached;
		}
	}
}

/// Why an answer ended, in OpenAI's words.
pub fn finish_reason(answer: &Answer) -> &'static str {
	match answer.finish_reason {
		FinishReason::StopToken(_) | FinishReason::StopString(_) => "stop",
		FinishReason::Length | FinishReason::Cancelled => "length",
	}
}

/// A log-probability as JSON.
pub fn logprob(value: f32) -> Value {
	json!(value.max(NEVER))
}

/// A token's bytes; those of its name for a control token, which stands for no text.
pub fn token_bytes(tokenizer: &Tokenizer, id: u32) -> Vec<u8> {
	match tokenizer.text_bytes(id).unwrap_or_default() {
		[] => tokenizer.token(id).unwrap_or_default().into_bytes(),
		bytes => bytes.to_vec(),
	}
}

/// A token as text. One that is only part of a character is written as OpenAI does, so that different
/// tokens never look the same: `bytes:\xe2\x82`.
pub fn token_text(tokenizer: &Tokenizer, id: u32) -> String {
	String::from_utf8(token_bytes(tokenizer, id)).unwrap_or_else(|error| {
		let bytes = error.as_bytes().iter().map(|byte| format!("\\x{byte:02x}"));
		format!("bytes:{}", bytes.collect::<String>())
	})
}

/// The likeliest tokens by their text, the chosen one among them.
pub fn top_by_text(tokenizer: &Tokenizer, top: &[Alternative], id: u32, chosen: f32) -> Value {
	let mut by_text: Map<String, Value> =
		top.iter().map(|other| (token_text(tokenizer, other.id), logprob(other.logprob))).collect();
	by_text.entry(token_text(tokenizer, id)).or_insert_with(|| logprob(chosen));
	Value::Object(by_text)
}
