//! `POST /v1/completions`.

use super::{
	asking::{Prompt, Scoring, Told, MAX_PROMPTS},
	callers::Caller,
	error::OpenAiError,
	fields::{self, Fields},
	form::{finish_reason, logprob, token_text, top_by_text, Envelope, Form, Whole},
	receipt::Beside,
	request::Options,
	serving::{Asked, Served},
	stream::{answer, Asking},
	Gateway,
};
use axum::{
	body::Body,
	extract::{Extension, State},
	response::Response,
};
use openledger_engine::{
	serving::{request::MAX_TOP_LOGPROBS, Alternative, ScoredToken},
	Tokenizer,
};
use serde_json::{json, Value};
use std::sync::Arc;

/// Tokens of an answer when the client does not say, as in OpenAI's API.
const DEFAULT_MAX_TOKENS: usize = 16;

pub async fn create(
	State(gateway): State<Arc<Gateway>>,
	Extension(caller): Extension<Caller>,
	body: Body,
) -> Result<Response, OpenAiError> {
	let reader = gateway.clone();
	let asking = caller.read(body, move |bytes| read(&reader, &bytes)).await?;
	answer(gateway, caller, asking).await
}

fn read(gateway: &Gateway, body: &[u8]) -> Result<Asking, OpenAiError> {
	let mut fields = Fields::parse(body)?;
	let model = fields.required_text("model")?;
	let asked = gateway.model(&model)?;
	let prompt = fields.take("prompt").ok_or_else(|| fields.missing("prompt"))?;
	let max_tokens = fields.count("max_tokens", 0..=usize::MAX)?.unwrap_or(DEFAULT_MAX_TOKENS);
	let logprobs = fields.count("logprobs", 0..=MAX_TOP_LOGPROBS)?;
	let echo = fields.truth("echo")?.unwrap_or(false);
	fields.refuse("suffix", "this model does not fill in")?;
	let vocabulary = asked.served.model().config().vocab_size;
	let options = Options::read(model, Some(max_tokens), vocabulary, &mut fields)?;
	fields.finish()?;
	if max_tokens == 0 && !echo {
		return Err(OpenAiError::field(
			"max_tokens",
			"`max_tokens` must be at least 1, unless `echo` is true.",
		));
	}
	let prompts = prompts(&asked.served, prompt)?;
	let max_context = asked.served.model().max_context();
	for prompt in &prompts {
		if prompt.tokens.len() + max_tokens.min(1) > max_context {
			return Err(OpenAiError::context_exceeded("prompt", prompt.tokens.len(), max_context));
		}
	}
	let scoring = Scoring { logprobs, prompt: echo && (logprobs.is_some() || max_tokens == 0) };
	let echoes = if echo {
		prompts.iter().map(|it| echoed(&asked.served, it)).collect()
	} else {
		Vec::new()
	};
	let form = Completion {
		asked: asked.clone(),
		logprobs: logprobs.is_some(),
		choices: options.choices,
		echoes,
	};
	Ok(Asking {
		envelope: Envelope::new("cmpl-", &asked)?,
		form: Box::new(form),
		prompts,
		asked,
		options,
		scoring,
	})
}

/// A text, a list of texts, token ids, or a list of lists of token ids.
fn prompts(served: &Served, prompt: Value) -> Result<Vec<Prompt>, OpenAiError> {
	let wrong = |must: &str| OpenAiError::field("prompt", format!("`prompt` must be {must}."));
	let text = |text: String| {
		let tokens = served.model().tokenizer().encode(&text, true)?;
		if tokens.is_empty() {
			return Err(wrong("at least one token long"));
		}
		Ok(Prompt::of_text(text, tokens))
	};
	let list = match prompt {
		Value::String(prompt) => return Ok(vec![text(prompt)?]),
		Value::Array(list) if !list.is_empty() => list,
		_ => return Err(wrong("a string, token ids, or a list of either")),
	};
	let vocabulary = served.model().config().vocab_size;
	let ids = |list: &[Value]| {
		let tokens = fields::tokens(list, vocabulary).filter(|tokens| !tokens.is_empty());
		let tokens =
			tokens.ok_or_else(|| wrong(&format!("token ids from 0 to {}", vocabulary - 1)))?;
		Ok(Prompt::of_tokens(tokens))
	};
	if list.iter().all(Value::is_number) {
		return Ok(vec![ids(&list)?]);
	}
	if list.len() > MAX_PROMPTS {
		return Err(wrong(&format!("at most {MAX_PROMPTS} prompts, not {}", list.len())));
	}
	let one = |prompt: Value| match prompt {
		Value::String(prompt) => text(prompt),
		Value::Array(list) => ids(&list),
		_ => Err(wrong("a string, token ids, or a list of either")),
	};
	list.into_iter().map(one).collect()
}

/// A prompt that is repeated before its answer.
struct Echo {
	text: String,
	/// Where each of its tokens begins, in characters.
	offsets: Vec<usize>,
	characters: usize,
}

fn echoed(served: &Served, prompt: &Prompt) -> Echo {
	let decoded = served.model().tokenizer().decode(&prompt.tokens).unwrap_or_default();
	let starts = decoded.ranges.iter().map(|range| range.start);
	let offsets = characters_before(&decoded.text, starts).collect();
	let text = prompt.text.clone().unwrap_or(decoded.text);
	Echo { characters: text.chars().count(), text, offsets }
}

/// How many characters begin before each of these bytes, which ascend: the text is read once.
fn characters_before<'a>(
	text: &'a str,
	bytes: impl Iterator<Item = usize> + 'a,
) -> impl Iterator<Item = usize> + 'a {
	let mut beginnings = text.char_indices().map(|(at, _)| at).peekable();
	let mut before = 0;
	bytes.map(move |byte| {
		while beginnings.next_if(|at| *at < byte).is_some() {
			before += 1;
		}
		before
	})
}

/// How completions are written.
struct Completion {
	asked: Asked,
	logprobs: bool,
	/// Answers to each prompt.
	choices: usize,
	/// The prompts, if they are repeated.
	echoes: Vec<Echo>,
}

/// Log-probabilities as completions have them: four lists of the same length.
#[derive(Default)]
struct Lists {
	tokens: Vec<String>,
	logprobs: Vec<Value>,
	top: Vec<Value>,
	offsets: Vec<usize>,
}

impl Lists {
	fn push(
		&mut self,
		tokenizer: &Tokenizer,
		id: u32,
		value: Option<f32>,
		top: &[Alternative],
		offset: usize,
	) {
		self.tokens.push(token_text(tokenizer, id));
		self.logprobs.push(value.map_or(Value::Null, logprob));
		// Nothing stands before the first token, so it has no alternatives either.
		self.top.push(value.map_or(Value::Null, |chosen| top_by_text(tokenizer, top, id, chosen)));
		self.offsets.push(offset);
	}

	fn json(self) -> Value {
		let Self { tokens, logprobs, top, offsets } = self;
		json!({"tokens": tokens, "token_logprobs": logprobs, "top_logprobs": top, "text_offset": offsets})
	}
}

impl Completion {
	fn echo(&self, index: usize) -> Option<&Echo> {
		self.echoes.get(index.checked_div(self.choices)?)
	}

	fn lists_of_prompt(&self, index: usize, scores: &[ScoredToken]) -> Lists {
		let tokenizer = self.asked.served.model().tokenizer();
		let mut lists = Lists::default();
		let offsets = self.echo(index).map(|echo| echo.offsets.as_slice()).unwrap_or_default();
		for (scored, offset) in scores.iter().zip(offsets) {
			lists.push(tokenizer, scored.id, scored.logprob, &scored.top, *offset);
		}
		lists
	}
}

impl Form for Completion {
	fn objects(&self) -> [&'static str; 2] {
		["text_completion", "text_completion"]
	}

	fn whole(&self, index: usize, of: Whole<'_>) -> Value {
		let answer = of.answer;
		let tokenizer = self.asked.served.model().tokenizer();
		let (echo, before) =
			self.echo(index).map_or(("", 0), |echo| (echo.text.as_str(), echo.characters));
		let logprobs = if self.logprobs {
			let mut lists = self.lists_of_prompt(index, of.scores);
			let starts = answer.tokens.iter().map(|token| token.text_range.start);
			for (told, offset) in of.told.iter().zip(characters_before(&answer.text, starts)) {
				lists.push(tokenizer, told.id, Some(told.logprob), &told.top, before + offset);
			}
			lists.json()
		} else {
			Value::Null
		};
		json!({
			"index": index,
			"text": format!("{echo}{}", answer.text),
			"logprobs": logprobs,
			"finish_reason": finish_reason(answer),
			"openledger": of.beside.openledger,
		})
	}

	fn opening(&self, index: usize, scores: &[ScoredToken]) -> Option<Value> {
		let echo = self.echo(index)?;
		let logprobs =
			if self.logprobs { self.lists_of_prompt(index, scores).json() } else { Value::Null };
		Some(json!({
			"index": index,
			"text": echo.text,
			"logprobs": logprobs,
			"finish_reason": null,
		}))
	}

	fn piece(&self, index: usize, text: &str, offset: usize, token: Option<&Told>) -> Value {
		let logprobs = match token.filter(|_| self.logprobs) {
			None => Value::Null,
			Some(told) => {
				let before = self.echo(index).map_or(0, |echo| echo.characters);
				let mut lists = Lists::default();
				let tokenizer = self.asked.served.model().tokenizer();
				lists.push(tokenizer, told.id, Some(told.logprob), &told.top, before + offset);
				lists.json()
			},
		};
		json!({"index": index, "text": text, "logprobs": logprobs, "finish_reason": null})
	}

	fn closing(&self, index: usize, reason: &'static str, beside: Beside) -> Value {
		json!({
			"index": index,
			"text": "",
			"logprobs": null,
			"finish_reason": reason,
			"openledger": beside.openledger,
		})
	}
}
