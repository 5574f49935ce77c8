//! Errors as JSON: what is wrong, and what to do.

use crate::durable::DiskError;
use axum::{
	http::{header, HeaderValue, StatusCode},
	response::{IntoResponse, Response},
	Json,
};
use openledger_store::StoreError;
use serde_json::json;

/// Characters of a client's own text that are repeated to it.
const QUOTED: usize = 80;

/// An answer that is an error.
#[derive(Debug)]
pub struct ApiError {
	status: StatusCode,
	error: String,
	hint: &'static str,
	retry_after: Option<HeaderValue>,
}

impl ApiError {
	pub fn new(status: StatusCode, error: impl Into<String>, hint: &'static str) -> Self {
		Self { status, error: error.into(), hint, retry_after: None }
	}

	pub fn retry_after(mut self, seconds: u16) -> Self {
		self.retry_after = Some(seconds.into());
		self
	}

	pub fn unknown_path() -> Self {
		Self::new(StatusCode::NOT_FOUND, "there is nothing at this path", SPEC_HINT)
	}

	pub fn method_not_allowed() -> Self {
		Self::new(StatusCode::METHOD_NOT_ALLOWED, "this path does not have this method", SPEC_HINT)
	}

	pub fn bad_hash(given: &str) -> Self {
		let quoted: String = given.chars().take(QUOTED).collect();
		Self::new(
			StatusCode::BAD_REQUEST,
			format!("`{quoted}` is not a hash"),
			"write 64 hexadecimal digits in lower case, with or without 0x",
		)
	}

	pub fn unknown_job() -> Self {
		Self::new(
			StatusCode::NOT_FOUND,
			"the job is not known",
			"it was never posted, was cancelled, or expired",
		)
	}

	pub fn unknown_blob() -> Self {
		Self::new(
			StatusCode::NOT_FOUND,
			"the store has no blob of this hash",
			"PUT it here, or ask the worker that has it",
		)
	}

	pub fn too_large(limit: u64) -> Self {
		Self::new(
			StatusCode::PAYLOAD_TOO_LARGE,
			format!("the body has more than {limit} bytes"),
			"send less",
		)
	}

	pub fn too_slow() -> Self {
		Self::new(
			StatusCode::REQUEST_TIMEOUT,
			"the body did not come in time",
			"send it without pauses",
		)
	}

	pub fn no_space() -> Self {
		Self::new(
			StatusCode::INSUFFICIENT_STORAGE,
			"the worker's disk is full",
			"free space in the file system of its data folder and try again",
		)
	}

	pub fn broken() -> Self {
		Self::new(
			StatusCode::INTERNAL_SERVER_ERROR,
			"the worker failed on this request",
			"look into its log and report what it says there",
		)
	}
}

const SPEC_HINT: &str = "docs/spec/worker-api.md lists paths and methods";

impl IntoResponse for ApiError {
	fn into_response(self) -> Response {
		let body = Json(json!({"error": self.error, "hint": self.hint}));
		let mut response = (self.status, body).into_response();
		if let Some(seconds) = self.retry_after {
			response.headers_mut().insert(header::RETRY_AFTER, seconds);
		}
		response
	}
}

impl From<DiskError> for ApiError {
	fn from(error: DiskError) -> Self {
		match error {
			DiskError::NoSpace { .. } => {
				tracing::error!(%error, "no space left on the disk");
				Self::no_space()
			},
			error => {
				tracing::error!(%error, "the data folder cannot be read or written");
				Self::broken()
			},
		}
	}
}

impl From<StoreError> for ApiError {
	fn from(error: StoreError) -> Self {
		match error {
			StoreError::NoSpace { .. } => {
				tracing::error!(%error, "no space left on the disk");
				Self::no_space()
			},
			StoreError::TooLarge { limit } => Self::too_large(limit),
			StoreError::WrongHash { .. } => Self::new(
				StatusCode::UNPROCESSABLE_ENTITY,
				error.to_string(),
				"blobs are named by BLAKE2b-256 under openledger/content",
			),
			StoreError::BrokenInput(_) => Self::new(
				StatusCode::BAD_REQUEST,
				"the body broke off",
				"send it whole, without pauses of more than half a minute",
			),
			StoreError::Damaged { .. } => {
				tracing::error!(%error, "a blob was damaged: check the disk");
				Self::new(
					StatusCode::NOT_FOUND,
					"the blob was damaged on the worker's disk and is not there any more",
					"PUT it again",
				)
			},
			error => {
				tracing::error!(%error, "the store cannot be read or written");
				Self::broken()
			},
		}
	}
}
