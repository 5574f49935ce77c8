//! Chat templates: Jinja, with the globals that transformers gives them.
//!
//! A template comes from a model file and is not trusted: it runs without access to anything but
//! its arguments, for a bounded number of steps.

use std::fmt::Write;

use chrono::Utc;
use minijinja::{context, syntax::SyntaxConfig, Environment, Error, ErrorKind, Value};
use serde::{Deserialize, Serialize};

/// Instructions that a template may execute: some thousands serve a long conversation.
const MAX_STEPS: u64 = 1_000_000;
/// Bytes of a template; real ones have up to some tens of thousands.
pub const MAX_TEMPLATE: usize = 1 << 20;
/// Messages of a conversation, and bytes of all their contents: more than any context holds.
pub const MAX_MESSAGES: usize = 4_096;
pub const MAX_MESSAGE_BYTES: usize = 4 << 20;
const NAME: &str = "chat";

/// Why a conversation cannot be turned into a prompt.
#[derive(Debug, thiserror::Error)]
pub enum ChatError {
	#[error("the model has no chat template: send a plain prompt")]
	NoTemplate,
	#[error("the chat template has {0} bytes, more than the {MAX_TEMPLATE} allowed")]
	TemplateTooLong(usize),
	#[error("the chat template is not valid: {0}")]
	Invalid(#[source] Error),
	#[error("the chat template refuses these messages: {0}")]
	Refused(String),
	#[error("the chat template failed: {0}")]
	Failed(#[source] Error),
	#[error("the conversation has {count} messages, more than the {MAX_MESSAGES} allowed")]
	TooManyMessages { count: usize },
	#[error("the conversation has {bytes} bytes, more than the {MAX_MESSAGE_BYTES} allowed")]
	TooLong { bytes: usize },
}

/// One message of a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChatMessage {
	/// `system`, `user` or `assistant`.
	pub role: String,
	pub content: String,
}

impl ChatMessage {
	pub fn new(role: impl Into<String>, content: impl Into<String>) -> Self {
		Self { role: role.into(), content: content.into() }
	}
}

/// A compiled chat template.
#[derive(Debug)]
pub struct ChatTemplate {
	environment: Environment<'static>,
	bos_token: String,
	eos_token: String,
}

impl ChatTemplate {
	/// Compiles a template with transformers' settings: `trim_blocks`, `lstrip_blocks`, loop
	/// controls, Python's string methods.
	pub fn new(
		source: &str,
		bos_token: Option<String>,
		eos_token: Option<String>,
	) -> Result<Self, ChatError> {
		if source.len() > MAX_TEMPLATE {
			return Err(ChatError::TemplateTooLong(source.len()));
		}
		let mut environment = Environment::new();
		let syntax = SyntaxConfig::builder()
			.trim_blocks(true)
			.lstrip_blocks(true)
			.build()
			.map_err(ChatError::Invalid)?;
		environment.set_syntax(syntax);
		environment.set_fuel(Some(MAX_STEPS));
		environment
			.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
		environment.add_function("raise_exception", raise_exception);
		environment.add_function("strftime_now", strftime_now);
		environment.add_template_owned(NAME, source.to_owned()).map_err(ChatError::Invalid)?;
		Ok(Self {
			environment,
			bos_token: bos_token.unwrap_or_default(),
			eos_token: eos_token.unwrap_or_default(),
		})
	}

	/// Writes a conversation as a prompt; `add_generation_prompt` appends the beginning of the
	/// assistant's answer.
	pub fn render(
		&self,
		messages: &[ChatMessage],
		add_generation_prompt: bool,
	) -> Result<String, ChatError> {
		if messages.len() > MAX_MESSAGES {
			return Err(ChatError::TooManyMessages { count: messages.len() });
		}
		let bytes = messages.iter().map(|m| m.role.len() + m.content.len()).sum();
		if bytes > MAX_MESSAGE_BYTES {
			return Err(ChatError::TooLong { bytes });
		}
		let messages: Vec<Value> = messages
			.iter()
			.map(|message| {
				context! { role => message.role.as_str(), content => message.content.as_str() }
			})
			.collect();
		self.environment
			.get_template(NAME)
			.and_then(|template| {
				template.render(context! {
					messages,
					add_generation_prompt,
					bos_token => self.bos_token.as_str(),
					eos_token => self.eos_token.as_str(),
				})
			})
			.map_err(|error| match error.detail().and_then(|d| d.strip_prefix(REFUSAL)) {
				Some(reason) => ChatError::Refused(reason.into()),
				None => ChatError::Failed(error),
			})
	}
}

/// Marks errors that a template raised itself.
const REFUSAL: &str = "raise_exception: ";

fn raise_exception(message: String) -> Result<Value, Error> {
	Err(Error::new(ErrorKind::InvalidOperation, format!("{REFUSAL}{message}")))
}

/// The current time in UTC: a prompt must not depend on where a worker stands.
fn strftime_now(format: String) -> Result<String, Error> {
	let mut text = String::new();
	// `to_string` would panic on an unknown format.
	write!(text, "{}", Utc::now().format(&format)).map_err(|_| {
		Error::new(ErrorKind::InvalidOperation, format!("unknown time format `{format}`"))
	})?;
	Ok(text)
}

#[cfg(test)]
mod tests {
	use super::*;

	fn template(source: &str) -> ChatTemplate {
		ChatTemplate::new(source, Some("<s>".into()), Some("</s>".into())).unwrap()
	}

	#[test]
	fn render_should_give_what_transformers_gives() {
		let chatml = template(
			"{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + \
			 message['content'].strip() + '<|im_end|>' + '\n'}}{% endfor %}\
			 {% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}",
		);
		let messages = [ChatMessage::new("user", " Hi "), ChatMessage::new("assistant", "Ho")];
		assert_eq!(
			chatml.render(&messages, true).unwrap(),
			"<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nHo<|im_end|>\n\
			 <|im_start|>assistant\n"
		);
		let tokens = template("{% if true %}\n  {{ bos_token }}|{{ eos_token }}{% endif %}");
		assert_eq!(tokens.render(&[], false).unwrap(), "  <s>|</s>");
		let year = template("{{ strftime_now('%Y') }}").render(&[], false).unwrap();
		assert!(year.len() == 4 && year.parse::<u32>().is_ok());
	}

	#[test]
	fn failures_should_be_named() {
		assert!(matches!(ChatTemplate::new("{% if %}", None, None), Err(ChatError::Invalid(_))));
		let refusal = template("{{ raise_exception('no system role') }}").render(&[], true);
		assert!(matches!(refusal, Err(ChatError::Refused(reason)) if reason == "no system role"));
		let format = template("{{ strftime_now('%Q!%') }}").render(&[], true);
		assert!(matches!(format, Err(ChatError::Failed(_))));
		let long = [ChatMessage::new("user", "a".repeat(MAX_MESSAGE_BYTES))];
		assert!(matches!(template("").render(&long, true), Err(ChatError::TooLong { .. })));
	}

	#[test]
	fn an_endless_template_should_run_out_of_steps() {
		let endless = template(
			"{% for a in range(9999) %}{% for b in range(9999) %}x{% endfor %}{% endfor %}",
		);
		assert!(matches!(endless.render(&[], true), Err(ChatError::Failed(_))));
	}
}
