//! What chat and completions have in common: how to sample, when to stop, what to tell beside it.

use super::{error::OpenAiError, fields::Fields, json_mode::AnswerFormat, logits::Adjustments};
use openledger_engine::{
	generate::{MAX_STOPS, MAX_STOP_LENGTH},
	Sampling,
};
use serde_json::Value;
use std::collections::BTreeMap;

/// Answers to one prompt.
pub const MAX_CHOICES: usize = 16;
/// Token ids that end an answer.
const MAX_STOP_TOKENS: usize = 64;
/// Tokens that `logit_bias` changes, as many as OpenAI takes.
const MAX_BIASES: usize = 1_024;

/// How to answer.
#[derive(Debug)]
pub struct Options {
	/// The model's name as the client wrote it.
	pub model: String,
	/// Tokens of each answer, if the client says so.
	pub max_tokens: Option<usize>,
	/// Answers to each prompt.
	pub choices: usize,
	/// How tokens are chosen; `request` tells the answers apart.
	pub sampling: Sampling,
	/// Strings that end an answer.
	pub stop: Vec<String>,
	/// Tokens that end an answer.
	pub stop_tokens: Vec<u32>,
	/// The model's own end tokens do not end an answer.
	pub ignore_eos: bool,
	/// Changes of the logits.
	pub adjustments: Adjustments,
	/// What shape the answer has to have.
	pub format: AnswerFormat,
	/// Send the answer as it is written.
	pub stream: bool,
	/// Send the counts of tokens at the end of a stream.
	pub include_usage: bool,
	/// Say whose records the answer repeats.
	pub attribution: bool,
}

impl Options {
	/// Reads them from a body, but for the number of tokens, which has another name in chats.
	/// `vocabulary` is the number of tokens of the model.
	pub fn read(
		model: String,
		max_tokens: Option<usize>,
		vocabulary: usize,
		fields: &mut Fields,
	) -> Result<Self, OpenAiError> {
		let temperature = fields.number("temperature", 0.0..=2.0)?.unwrap_or(1.0);
		// Zero is the likeliest token alone, as it is in OpenAI's API.
		let top_p = fields.number("top_p", 0.0..=1.0)?.unwrap_or(1.0).max(f32::MIN_POSITIVE);
		let seed = seed(fields)?;
		let choices = fields.count("n", 1..=MAX_CHOICES)?.unwrap_or(1);
		if fields.count("best_of", 1..=MAX_CHOICES)?.is_some_and(|best_of| best_of != choices) {
			return Err(OpenAiError::unsupported(
				"best_of",
				"`best_of` cannot be used here unless it equals `n`.",
			));
		}
		let stream = fields.truth("stream")?.unwrap_or(false);
		let include_usage = match fields.object("stream_options")? {
			None => false,
			Some(mut options) => {
				let include_usage = options.truth("include_usage")?.unwrap_or(false);
				options.truth("include_obfuscation")?;
				options.finish()?;
				if !stream {
					return Err(OpenAiError::field(
						"stream_options",
						"`stream_options` needs `stream` to be true.",
					));
				}
				include_usage
			},
		};
		let attribution = match fields.object("openledger")? {
			None => true,
			Some(mut options) => {
				let attribution = options.truth("attribution")?.unwrap_or(true);
				options.finish()?;
				attribution
			},
		};
		let stop_tokens = fields.tokens("stop_token_ids", vocabulary)?.unwrap_or_default();
		if stop_tokens.len() > MAX_STOP_TOKENS {
			return Err(OpenAiError::field(
				"stop_token_ids",
				format!(
					"`stop_token_ids` may have {MAX_STOP_TOKENS} tokens, not {}.",
					stop_tokens.len()
				),
			));
		}
		let format = AnswerFormat::read(fields)?;
		let ignore_eos = fields.truth("ignore_eos")?.unwrap_or(false);
		if ignore_eos && format != AnswerFormat::Text {
			return Err(OpenAiError::field(
				"ignore_eos",
				"JSON has an end: `ignore_eos` must be false.",
			));
		}
		Ok(Self {
			model,
			max_tokens,
			choices,
			sampling: Sampling { temperature, top_p, seed, request: 0 },
			stop: stop(fields)?,
			stop_tokens,
			ignore_eos,
			adjustments: Adjustments::new(
				fields.number("presence_penalty", -2.0..=2.0)?.unwrap_or(0.0),
				fields.number("frequency_penalty", -2.0..=2.0)?.unwrap_or(0.0),
				biases(fields, vocabulary)?,
			),
			format,
			stream,
			include_usage,
			attribution,
		})
	}
}

/// Any 64 bits; those of nobody's choice when the client gives none.
fn seed(fields: &mut Fields) -> Result<u64, OpenAiError> {
	let Some(value) = fields.take("seed") else {
		let mut random = [0; 8];
		getrandom::fill(&mut random).map_err(|_| OpenAiError::broken())?;
		return Ok(u64::from_le_bytes(random));
	};
	let bits = value.as_u64().or_else(|| value.as_i64().map(i64::cast_unsigned));
	bits.ok_or_else(|| OpenAiError::field("seed", "`seed` must be a whole number of 64 bits."))
}

fn stop(fields: &mut Fields) -> Result<Vec<String>, OpenAiError> {
	let wrong = |message: String| OpenAiError::field("stop", message);
	let strings = match fields.take("stop") {
		None => return Ok(Vec::new()),
		Some(Value::String(stop)) => vec![stop],
		Some(Value::Array(list)) => {
			if list.len() > MAX_STOPS {
				let message = format!("`stop` may have {MAX_STOPS} strings, not {}.", list.len());
				return Err(wrong(message));
			}
			let text = |value| match value {
				Value::String(text) => Ok(text),
				_ => Err(wrong("`stop` must be a string or a list of strings.".into())),
			};
			list.into_iter().map(text).collect::<Result<_, _>>()?
		},
		Some(_) => return Err(wrong("`stop` must be a string or a list of strings.".into())),
	};
	if strings.iter().any(|stop| stop.is_empty() || stop.len() > MAX_STOP_LENGTH) {
		return Err(wrong(format!(
			"Each string of `stop` must have 1 to {MAX_STOP_LENGTH} bytes."
		)));
	}
	Ok(strings)
}

fn biases(fields: &mut Fields, vocabulary: usize) -> Result<BTreeMap<u32, f32>, OpenAiError> {
	let wrong = |message: String| OpenAiError::field("logit_bias", message);
	let biases = match fields.take("logit_bias") {
		None => return Ok(BTreeMap::new()),
		Some(Value::Object(biases)) => biases,
		Some(_) => return Err(wrong("`logit_bias` must be an object.".into())),
	};
	if biases.len() > MAX_BIASES {
		let count = biases.len();
		return Err(wrong(format!("`logit_bias` may have {MAX_BIASES} tokens, not {count}.")));
	}
	let bias = |(token, bias): (String, Value)| {
		let token = token.parse::<u32>().ok();
		let token = token.filter(|id| usize::try_from(*id).is_ok_and(|id| id < vocabulary))?;
		let bias = bias.as_f64().filter(|bias| (-100.0..=100.0).contains(bias))?;
		Some((token, bias as f32))
	};
	let read: Option<_> = biases.into_iter().map(bias).collect();
	read.ok_or_else(|| {
		wrong("`logit_bias` must have token ids as names and numbers from -100 to 100.".into())
	})
}
