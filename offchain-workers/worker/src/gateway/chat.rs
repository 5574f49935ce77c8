//! `POST /v1/chat/completions`.

use super::{
	asking::{Prompt, Scoring, Told},
	callers::Caller,
	error::OpenAiError,
	fields::Fields,
	form::{finish_reason, logprob, token_bytes, token_text, Envelope, Form, Whole},
	receipt::Beside,
	request::Options,
	serving::Asked,
	stream::{answer, Asking},
	Gateway,
};
use axum::{
	body::Body,
	extract::{Extension, State},
	response::Response,
};
use openledger_engine::{
	serving::{Alternative, ScoredToken},
	ChatMessage,
};
use serde_json::{json, Value};
use std::sync::Arc;

/// Alternatives beside each token.
const MAX_TOP_LOGPROBS: usize = openledger_engine::serving::request::MAX_TOP_LOGPROBS;

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
	let messages = messages(&mut fields)?;
	let max_tokens = fields.count("max_tokens", 1..=usize::MAX)?;
	let max_tokens = fields.count("max_completion_tokens", 1..=usize::MAX)?.or(max_tokens);
	let logprobs = fields.truth("logprobs")?.unwrap_or(false);
	let top = fields.count("top_logprobs", 0..=MAX_TOP_LOGPROBS)?;
	if top.is_some_and(|top| top > 0) && !logprobs {
		return Err(OpenAiError::field(
			"top_logprobs",
			"`top_logprobs` needs `logprobs` to be true.",
		));
	}
	refuse_the_rest(&mut fields)?;
	let vocabulary = asked.served.model().config().vocab_size;
	let options = Options::read(model, max_tokens, vocabulary, &mut fields)?;
	fields.finish()?;

	let template = asked.served.model().chat().ok_or_else(|| {
		OpenAiError::field("model", "This model has no chat template: use /v1/completions.")
	})?;
	let text = template.render(&messages, true)?;
	let tokens = asked.served.model().tokenizer().encode(&text, false)?;
	let max_context = asked.served.model().max_context();
	if tokens.len() >= max_context {
		return Err(OpenAiError::context_exceeded("messages", tokens.len(), max_context));
	}
	let scoring = Scoring { logprobs: logprobs.then(|| top.unwrap_or(0)), prompt: false };
	let form = Chat { asked: asked.clone(), logprobs };
	Ok(Asking {
		envelope: Envelope::new("chatcmpl-", &asked)?,
		form: Box::new(form),
		prompts: vec![Prompt::of_text(text, tokens)],
		asked,
		options,
		scoring,
	})
}

fn refuse_the_rest(fields: &mut Fields) -> Result<(), OpenAiError> {
	for name in ["tools", "functions"] {
		fields.refuse(name, "this model calls no tools")?;
	}
	// Without tools these ask for nothing.
	for name in ["tool_choice", "parallel_tool_calls", "function_call"] {
		fields.take(name);
	}
	for name in ["audio", "prediction", "web_search_options"] {
		fields.refuse(name, "this model reads and writes text alone")?;
	}
	match fields.take("modalities") {
		None => Ok(()),
		Some(modalities) if modalities == json!(["text"]) => Ok(()),
		Some(_) => {
			Err(OpenAiError::unsupported("modalities", "This model reads and writes text alone."))
		},
	}
}

fn messages(fields: &mut Fields) -> Result<Vec<ChatMessage>, OpenAiError> {
	let list = match fields.take("messages") {
		None => return Err(fields.missing("messages")),
		Some(Value::Array(list)) if !list.is_empty() => list,
		Some(_) => {
			let message = "`messages` must be a list of at least one message.";
			return Err(OpenAiError::field("messages", message));
		},
	};
	let one = |(number, value)| message(&format!("messages[{number}]"), value);
	list.into_iter().enumerate().map(one).collect()
}

fn message(path: &str, value: Value) -> Result<ChatMessage, OpenAiError> {
	let mut fields = Fields::within(path, value)?;
	let role = fields.required_text("role")?;
	let role = match role.as_str() {
		// What newer clients call it.
		"developer" => "system",
		"system" | "user" | "assistant" => role.as_str(),
		_ => {
			return Err(OpenAiError::field(
				format!("{path}.role"),
				"A message's role is `system`, `user` or `assistant`.",
			))
		},
	};
	let content = match fields.take("content") {
		None => return Err(fields.missing("content")),
		Some(Value::String(text)) => text,
		Some(Value::Array(parts)) => {
			let part = |(number, value)| part(&format!("{path}.content[{number}]"), value);
			parts.into_iter().enumerate().map(part).collect::<Result<Vec<_>, _>>()?.concat()
		},
		Some(_) => {
			return Err(OpenAiError::field(
				format!("{path}.content"),
				"A message's content is a string or a list of parts.",
			))
		},
	};
	fields.refuse("tool_calls", "this model calls no tools")?;
	fields.refuse("function_call", "this model calls no tools")?;
	// What clients send back of earlier answers, and names, which templates do not know.
	for name in ["name", "refusal", "annotations", "audio"] {
		fields.take(name);
	}
	fields.finish()?;
	Ok(ChatMessage::new(role, content))
}

fn part(path: &str, value: Value) -> Result<String, OpenAiError> {
	let mut fields = Fields::within(path, value)?;
	if fields.required_text("type")? != "text" {
		return Err(OpenAiError::unsupported(
			format!("{path}.type"),
			"This model reads text alone: parts have the type `text`.",
		));
	}
	let text = fields.required_text("text")?;
	fields.finish()?;
	Ok(text)
}

/// How chats are written.
struct Chat {
	asked: Asked,
	logprobs: bool,
}

impl Chat {
	fn told(&self, told: &[Told]) -> Value {
		if !self.logprobs {
			return Value::Null;
		}
		let tokenizer = self.asked.served.model().tokenizer();
		let token = |id: u32, value: f32| {
			json!({
				"token": token_text(tokenizer, id),
				"logprob": logprob(value),
				"bytes": token_bytes(tokenizer, id),
			})
		};
		let content = told.iter().map(|told| {
			let mut content = token(told.id, told.logprob);
			let top = told.top.iter().map(|Alternative { id, logprob }| token(*id, *logprob));
			content["top_logprobs"] = top.collect();
			content
		});
		json!({"content": content.collect::<Vec<_>>(), "refusal": null})
	}
}

impl Form for Chat {
	fn objects(&self) -> [&'static str; 2] {
		["chat.completion", "chat.completion.chunk"]
	}

	fn whole(&self, index: usize, of: Whole<'_>) -> Value {
		let Beside { openledger, annotations } = of.beside;
		json!({
			"index": index,
			"message": {
				"role": "assistant",
				"content": of.answer.text,
				"refusal": null,
				"annotations": annotations,
			},
			"logprobs": self.told(of.told),
			"finish_reason": finish_reason(of.answer),
			"openledger": openledger,
		})
	}

	fn opening(&self, index: usize, _: &[ScoredToken]) -> Option<Value> {
		Some(json!({
			"index": index,
			"delta": {"role": "assistant", "content": ""},
			"logprobs": null,
			"finish_reason": null,
		}))
	}

	fn piece(&self, index: usize, text: &str, _: usize, token: Option<&Told>) -> Value {
		json!({
			"index": index,
			"delta": {"content": text},
			"logprobs": token.map_or(Value::Null, |told| self.told(std::slice::from_ref(told))),
			"finish_reason": null,
		})
	}

	fn closing(&self, index: usize, reason: &'static str, beside: Beside) -> Value {
		let Beside { openledger, annotations } = beside;
		let delta =
			if annotations.is_empty() { json!({}) } else { json!({"annotations": annotations}) };
		json!({
			"index": index,
			"delta": delta,
			"logprobs": null,
			"finish_reason": reason,
			"openledger": openledger,
		})
	}
}
