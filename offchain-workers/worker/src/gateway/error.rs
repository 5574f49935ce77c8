//! Errors as OpenAI's clients know them: `{"error": {"message", "type", "param", "code"}}`.

use crate::http::BodyFault;
use axum::{
	http::{header, HeaderValue, StatusCode},
	response::{IntoResponse, Response},
	Json,
};
use openledger_engine::{
	serving::{AdapterUnavailable, Failed, Refused},
	ChatError, GenerateError, TokenizerError,
};
use serde_json::{json, Value};

/// Characters of a client's own text that are repeated to it.
const QUOTED: usize = 80;
/// When to come back to a queue that is full, in seconds: about one answer later.
const QUEUE_RETRY_SECONDS: u16 = 5;
/// When to come back to a worker that stops, in seconds: about one restart later.
const RESTART_RETRY_SECONDS: u16 = 30;

/// An answer that is an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenAiError {
	/// The answer's status.
	pub status: StatusCode,
	kind: &'static str,
	message: String,
	param: Option<String>,
	code: Option<&'static str>,
	retry_after: Option<u16>,
}

/// The beginning of a client's own text, to be repeated to it.
pub fn quoted(text: &str) -> String {
	match text.char_indices().nth(QUOTED) {
		Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
		None => text.into(),
	}
}

impl OpenAiError {
	fn new(status: StatusCode, kind: &'static str, message: impl Into<String>) -> Self {
		let message = message.into();
		Self { status, kind, message, param: None, code: None, retry_after: None }
	}

	/// The request is at fault: 400.
	pub fn invalid(message: impl Into<String>) -> Self {
		Self::new(StatusCode::BAD_REQUEST, "invalid_request_error", message)
	}

	/// A field of the request is at fault: 400.
	pub fn field(param: impl Into<String>, message: impl Into<String>) -> Self {
		Self::invalid(message).at(param)
	}

	/// A field asks for what is not done here: 400.
	pub fn unsupported(param: impl Into<String>, message: impl Into<String>) -> Self {
		Self::field(param, message).with_code("unsupported_parameter")
	}

	/// Names the field.
	pub fn at(mut self, param: impl Into<String>) -> Self {
		self.param = Some(param.into());
		self
	}

	/// Names the error for programs.
	pub fn with_code(mut self, code: &'static str) -> Self {
		self.code = Some(code);
		self
	}

	fn retry_after(mut self, seconds: u16) -> Self {
		self.retry_after = Some(seconds);
		self
	}

	/// 401: no key, or none that is known.
	pub fn bad_key(message: &'static str) -> Self {
		Self::new(StatusCode::UNAUTHORIZED, "invalid_request_error", message)
			.with_code("invalid_api_key")
	}

	/// 404: no such model.
	pub fn unknown_model(name: &str) -> Self {
		let message = format!(
			"The model `{}` does not exist; GET /v1/models lists those that do.",
			quoted(name)
		);
		Self::new(StatusCode::NOT_FOUND, "invalid_request_error", message)
			.at("model")
			.with_code("model_not_found")
	}

	/// 404: no such path.
	pub fn unknown_path() -> Self {
		let message =
			"There is nothing at this path; docs/spec/gateway-api.md lists those that are.";
		Self::new(StatusCode::NOT_FOUND, "invalid_request_error", message).with_code("unknown_url")
	}

	/// 405.
	pub fn method_not_allowed() -> Self {
		let message = "This path does not have this method.";
		Self::new(StatusCode::METHOD_NOT_ALLOWED, "invalid_request_error", message)
			.with_code("method_not_supported")
	}

	/// 403: a browser that works for somebody else.
	pub fn foreign(header: &str) -> Self {
		let message = format!(
			"The request's `{header}` is not this machine, and without API keys only this machine may ask."
		);
		Self::new(StatusCode::FORBIDDEN, "invalid_request_error", message)
	}

	/// 400: prompt and answer do not fit into the context.
	pub fn context_exceeded(param: &str, tokens: usize, max_context: usize) -> Self {
		Self::field(
			param,
			format!("This model's context has {max_context} tokens, but the prompt has {tokens}."),
		)
		.with_code("context_length_exceeded")
	}

	/// 429: the key has spent what it may.
	pub fn quota(message: String) -> Self {
		Self::new(StatusCode::TOO_MANY_REQUESTS, "insufficient_quota", message)
			.with_code("insufficient_quota")
	}

	/// 429: the key has too much under way.
	pub fn too_many_requests(message: impl Into<String>) -> Self {
		Self::new(StatusCode::TOO_MANY_REQUESTS, "requests", message)
			.with_code("rate_limit_exceeded")
			.retry_after(QUEUE_RETRY_SECONDS)
	}

	/// 503: everybody together has too much under way.
	fn overloaded(message: impl Into<String>) -> Self {
		Self::new(StatusCode::SERVICE_UNAVAILABLE, "server_error", message)
			.with_code("overloaded")
			.retry_after(QUEUE_RETRY_SECONDS)
	}

	/// 503: the worker stops.
	pub fn stopping() -> Self {
		let message = "The worker is stopping; ask again soon.";
		Self::new(StatusCode::SERVICE_UNAVAILABLE, "server_error", message)
			.with_code("stopping")
			.retry_after(RESTART_RETRY_SECONDS)
	}

	/// 503: what was spent cannot be written down.
	pub fn no_ledger() -> Self {
		let message = "The worker cannot write to its disk, so it cannot keep account of this key.";
		Self::new(StatusCode::SERVICE_UNAVAILABLE, "server_error", message)
			.retry_after(RESTART_RETRY_SECONDS)
	}

	/// The stream ended because nobody read it.
	pub fn too_slow_reader() -> Self {
		Self::new(
			StatusCode::REQUEST_TIMEOUT,
			"timeout",
			"The answer was not read as fast as it was written, and was broken off.",
		)
	}

	/// 500.
	pub fn broken() -> Self {
		Self::new(
			StatusCode::INTERNAL_SERVER_ERROR,
			"server_error",
			"The worker failed on this request.",
		)
	}

	/// The body, also as the last message of a stream.
	pub fn body(&self) -> Value {
		json!({"error": {
			"message": self.message,
			"type": self.kind,
			"param": self.param,
			"code": self.code,
		}})
	}
}

impl IntoResponse for OpenAiError {
	fn into_response(self) -> Response {
		let mut response = (self.status, Json(self.body())).into_response();
		if let Some(seconds) = self.retry_after {
			response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
		}
		if self.status == StatusCode::UNAUTHORIZED {
			let scheme = HeaderValue::from_static("Bearer");
			response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
		}
		response
	}
}

impl From<BodyFault> for OpenAiError {
	fn from(fault: BodyFault) -> Self {
		match fault {
			BodyFault::TooLarge => Self::new(
				StatusCode::PAYLOAD_TOO_LARGE,
				"invalid_request_error",
				format!("The body has more than {} bytes.", super::MAX_BODY_BYTES),
			),
			BodyFault::TooSlow => {
				Self::new(StatusCode::REQUEST_TIMEOUT, "timeout", "The body did not come in time.")
			},
			BodyFault::BrokeOff => Self::invalid("The body broke off."),
		}
	}
}

impl From<Refused> for OpenAiError {
	fn from(refused: Refused) -> Self {
		match refused {
			Refused::TenantBusy { .. } => Self::too_many_requests(sentence(&refused)),
			Refused::Busy { .. } => Self::overloaded(sentence(&refused)),
			Refused::Stopping => Self::stopping(),
			Refused::CacheTooSmall { .. } => {
				Self::field("max_tokens", sentence(&refused)).with_code("context_length_exceeded")
			},
			Refused::Invalid(GenerateError::PromptTooLong { tokens, max_context }) => {
				Self::context_exceeded("prompt", tokens, max_context)
			},
			other => Self::invalid(sentence(&other)),
		}
	}
}

impl From<Failed> for OpenAiError {
	fn from(failed: Failed) -> Self {
		match failed {
			Failed::Adapter(AdapterUnavailable::Unknown(_)) => Self::new(
				StatusCode::SERVICE_UNAVAILABLE,
				"server_error",
				format!("{} It has to be put into the worker's store.", sentence(&failed)),
			)
			.with_code("adapter_missing")
			.retry_after(RESTART_RETRY_SECONDS),
			Failed::Adapter(AdapterUnavailable::Unusable { .. }) => {
				Self::new(StatusCode::INTERNAL_SERVER_ERROR, "server_error", sentence(&failed))
					.with_code("adapter_unusable")
			},
			// A grammar that can be made can still be too intricate to be followed.
			Failed::Constraint(_) => Self::field("response_format", sentence(&failed)),
			Failed::DeadlinePassed => {
				Self::new(StatusCode::GATEWAY_TIMEOUT, "timeout", sentence(&failed))
			},
			Failed::Stopped => Self::stopping(),
			failed => {
				tracing::error!(error = %failed, "a request failed");
				Self::broken()
			},
		}
	}
}

impl From<ChatError> for OpenAiError {
	fn from(error: ChatError) -> Self {
		let refusal = Self::field("messages", sentence(&error));
		match error {
			ChatError::TooLong { .. } => refusal.with_code("context_length_exceeded"),
			_ => refusal,
		}
	}
}

impl From<TokenizerError> for OpenAiError {
	fn from(error: TokenizerError) -> Self {
		let refusal = Self::field("prompt", sentence(&error));
		match error {
			TokenizerError::TextTooLong { .. } => refusal.with_code("context_length_exceeded"),
			_ => refusal,
		}
	}
}

/// An error of ours as OpenAI writes them: with a capital and a full stop.
fn sentence(error: &dyn std::fmt::Display) -> String {
	let text = error.to_string();
	let mut characters = text.chars();
	match characters.next() {
		Some(first) => format!("{}{}.", first.to_uppercase(), characters.as_str()),
		None => text,
	}
}
