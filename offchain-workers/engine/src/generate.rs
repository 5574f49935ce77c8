//! Generating an answer to a prompt: prefill, then one token after the other.

use std::{
	ops::Range,
	sync::{
		atomic::{AtomicBool, Ordering},
		Arc,
	},
};

use burn::tensor::Tensor;
use rayon::prelude::*;

use crate::{
	error::{ForwardError, GenerateError},
	growing_answer::{GrowingAnswer, GrownAnswer},
	kv_cache::KvCache,
	lora::{Adapter, LoraWeights},
	model::Model,
	sampling::{log_probability, Sampling},
};

/// Prompt tokens of one forward pass: bounds the memory of attention scores, `heads · PREFILL ·
/// context` numbers.
const PREFILL: usize = 512;
/// Rows of logits held at once when a whole answer is scored.
const SCORED_ROWS: usize = 64;
/// Stop strings of a request, and bytes of each, as in OpenAI's API and beyond.
pub const MAX_STOPS: usize = 16;
pub const MAX_STOP_LENGTH: usize = 1_024;

/// Tells a generation to end early; clones share the flag.
#[derive(Clone, Debug, Default)]
pub struct CancelFlag(Arc<AtomicBool>);

impl CancelFlag {
	pub fn cancel(&self) {
		self.0.store(true, Ordering::Relaxed);
	}

	pub fn is_cancelled(&self) -> bool {
		self.0.load(Ordering::Relaxed)
	}
}

/// How to generate.
#[derive(Clone, Debug)]
pub struct GenerateOptions {
	/// Tokens to generate at most; the context may end it earlier.
	pub max_tokens: usize,
	pub sampling: Sampling,
	/// Tokens that end the answer, besides the model's own.
	pub stop_tokens: Vec<u32>,
	/// Strings that end the answer; it is cut before them.
	pub stop_strings: Vec<String>,
	/// With an adapter: also score the answer under the bare base model, which takes one more
	/// prefill over prompt and answer.
	pub base_logprobs: bool,
	pub cancel: CancelFlag,
}

impl Default for GenerateOptions {
	fn default() -> Self {
		Self {
			max_tokens: 256,
			sampling: Sampling::GREEDY,
			stop_tokens: Vec::new(),
			stop_strings: Vec::new(),
			base_logprobs: false,
			cancel: CancelFlag::default(),
		}
	}
}

/// A token as it is generated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TokenEvent<'a> {
	pub id: u32,
	/// `ln p` of the token.
	pub logprob: f32,
	/// Text that is now certain: whole characters, and nothing that a stop string may still
	/// swallow. Possibly empty. What is left at the end of the answer comes with no event; it is
	/// in [`Generation::text`] behind the bytes sent.
	pub text: &'a str,
}

/// One token of an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct GeneratedToken {
	pub id: u32,
	/// The bytes of [`Generation::text`] that the token contributed; they need not begin and end
	/// at characters.
	pub text_range: Range<usize>,
	/// `ln p` given all tokens before it, under the model with the adapter, at temperature 1 over
	/// the whole vocabulary.
	pub logprob: f32,
	/// The same under the bare base model, when asked for.
	pub base_logprob: Option<f32>,
}

/// Why an answer ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FinishReason {
	/// This token would have been next; it is not part of the answer.
	StopToken(u32),
	/// This stop string was reached; the text is cut before it.
	StopString(String),
	/// As many tokens as asked for, or the end of the context.
	Length,
	Cancelled,
}

/// An answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Generation {
	pub text: String,
	pub tokens: Vec<GeneratedToken>,
	pub prompt_tokens: usize,
	pub finish_reason: FinishReason,
}

impl Model {
	/// Answers `prompt` with `adapter` or with the bare base model, and calls `on_token` for each
	/// token as it comes.
	pub fn generate(
		&self,
		prompt: &[u32],
		adapter: Option<&Adapter>,
		options: &GenerateOptions,
		on_token: &mut (dyn FnMut(TokenEvent<'_>) + Send),
	) -> Result<Generation, GenerateError> {
		check(options)?;
		if prompt.is_empty() {
			return Err(GenerateError::EmptyPrompt);
		}
		if prompt.len() >= self.max_context() {
			return Err(GenerateError::PromptTooLong {
				tokens: prompt.len(),
				max_context: self.max_context(),
			});
		}
		self.run(|| {
			let lora = adapter.map(Adapter::weights);
			let (answer, finish_reason) = self.decode(prompt, lora, options, on_token)?;
			let scores = match (adapter, options.base_logprobs) {
				(Some(_), true) if !options.cancel.is_cancelled() => {
					self.score(prompt, &answer.ids().collect::<Vec<_>>(), None)?
				},
				_ => Vec::new(),
			};
			let GrownAnswer { text, tokens } = answer.finish(&scores);
			Ok(Generation { text, tokens, prompt_tokens: prompt.len(), finish_reason })
		})
	}

	/// `ln p` of each token of `answer` after `prompt`, from one pass over both.
	pub fn score(
		&self,
		prompt: &[u32],
		answer: &[u32],
		lora: Option<&LoraWeights>,
	) -> Result<Vec<f32>, GenerateError> {
		if prompt.is_empty() {
			return Err(GenerateError::EmptyPrompt);
		}
		// The last token is predicted, but predicts nothing.
		let mut tokens = [prompt, answer].concat();
		tokens.pop();
		let mut scores = Vec::with_capacity(answer.len());
		if answer.is_empty() {
			return Ok(scores);
		}
		self.run(|| {
			let mut cache = KvCache::new(self, 1, tokens.len())?;
			let first = prompt.len() - 1;
			for chunk in tokens.chunks(PREFILL) {
				let held = cache.len();
				let hidden = self.hidden(&[chunk], Some(&mut cache), lora)?;
				let mut row = first.saturating_sub(held);
				while row < chunk.len() {
					let rows = SCORED_ROWS.min(chunk.len() - row);
					let logits = self.logit_rows(hidden.clone().narrow(0, row, rows))?;
					let targets = answer.get(held + row - first..).unwrap_or_default();
					let chunk: Result<Vec<f32>, _> = logits
						.par_chunks(self.config().vocab_size)
						.zip(targets.par_iter())
						.map(|(logits, target)| log_probability(logits, *target))
						.collect();
					scores.extend(chunk?);
					row += rows;
				}
			}
			Ok(scores)
		})
	}

	fn decode(
		&self,
		prompt: &[u32],
		lora: Option<&LoraWeights>,
		options: &GenerateOptions,
		on_token: &mut (dyn FnMut(TokenEvent<'_>) + Send),
	) -> Result<(GrowingAnswer, FinishReason), GenerateError> {
		let room = self.max_context() - prompt.len();
		let limit = options.max_tokens.min(room);
		let mut answer = GrowingAnswer::new(options.stop_strings.clone());
		// The last token generated is never fed back.
		let mut cache = KvCache::new(self, 1, prompt.len() + limit - 1)?;
		let mut hidden = None;
		for chunk in prompt.chunks(PREFILL) {
			if options.cancel.is_cancelled() {
				return Ok((answer, FinishReason::Cancelled));
			}
			hidden = Some(self.hidden(&[chunk], Some(&mut cache), lora)?);
		}
		let mut hidden = hidden.ok_or(GenerateError::EmptyPrompt)?;
		loop {
			let last = hidden.dims()[0] - 1;
			let logits = self.logit_rows(hidden.narrow(0, last, 1))?;
			let position = (prompt.len() + answer.len()) as u64;
			let id = options.sampling.choose(&logits, position)?;
			if self.config().eos_token_ids.contains(&id) || options.stop_tokens.contains(&id) {
				return Ok((answer, FinishReason::StopToken(id)));
			}
			let logprob = log_probability(&logits, id)?;
			// Rows of a padded embedding beyond the tokenizer's vocabulary stand for no text.
			let bytes = self.tokenizer().text_bytes(id).unwrap_or_default();
			let stop = answer.push(id, logprob, bytes);
			on_token(TokenEvent { id, logprob, text: answer.certain() });
			if let Some(stop) = stop {
				return Ok((answer, stop));
			}
			if answer.len() >= limit {
				return Ok((answer, FinishReason::Length));
			}
			if options.cancel.is_cancelled() {
				return Ok((answer, FinishReason::Cancelled));
			}
			hidden = self.hidden(&[[id]], Some(&mut cache), lora)?;
		}
	}

	fn logit_rows(&self, hidden: Tensor<2>) -> Result<Vec<f32>, ForwardError> {
		self.logits(hidden)
			.try_into_vec_as::<f32>()
			.map_err(|error| ForwardError::Device(error.to_string()))
	}
}

fn check(options: &GenerateOptions) -> Result<(), GenerateError> {
	options.sampling.validate()?;
	if options.max_tokens == 0 {
		return Err(GenerateError::NothingAskedFor);
	}
	check_stops(&options.stop_strings)
}

/// Checks the number and lengths of stop strings.
pub(crate) fn check_stops(stops: &[String]) -> Result<(), GenerateError> {
	if stops.len() > MAX_STOPS {
		return Err(GenerateError::TooManyStops { count: stops.len(), max: MAX_STOPS });
	}
	if stops.iter().any(|stop| stop.is_empty() || stop.len() > MAX_STOP_LENGTH) {
		return Err(GenerateError::StopLength { max: MAX_STOP_LENGTH });
	}
	Ok(())
}
