//! The worker's HTTP interface (`docs/spec/worker-api.md`): blobs, progress, evidence.
//!
//! Nothing that comes from there is believed that can be checked: blobs are compared with their hash
//! here, evidence in [`crate::evidence`].

use std::time::Duration;

use openledger_primitives::{content::content_hash, H256};
use reqwest::{Method, Response, StatusCode};
use serde::{de::DeserializeOwned, Deserialize, Serialize};

use crate::{
	error::{Error, Result},
	evidence::Evidence,
};

/// The most bytes of a blob that is fetched: the largest contribution with its salts and frame.
pub const MAX_BLOB_BYTES: usize = (1 << 30) + (1 << 26);

/// The most bytes of JSON that is read: 64 spans, each with a record of 1 MiB in hexadecimal and as
/// text.
const MAX_JSON_BYTES: usize = 64 * 5 * (1 << 20);

/// How long to wait for a connection.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// How long to wait for more of an answer.
const READ_LIMIT: Duration = Duration::from_secs(60);

/// A connection to a worker.
#[derive(Clone, Debug)]
pub struct WorkerClient {
	url: String,
	http: reqwest::Client,
}

/// What a worker serves.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize, Serialize)]
pub struct Health {
	/// `ok` when it takes jobs.
	pub status: String,
	/// Its base models.
	#[serde(default)]
	pub base_models: Vec<ServedBase>,
}

/// A base model as a worker holds it.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize, Serialize)]
pub struct ServedBase {
	/// Hash of the weights.
	pub weights: H256,
	/// Hash of the tokenizer.
	pub tokenizer: H256,
	/// As in the model's `config.json`, such as `LlamaForCausalLM`.
	pub architecture: String,
	/// What it is called.
	pub name: String,
	/// How many parameters it has.
	pub parameters: u64,
}

/// Something that happened in a job. Which fields there are depends on the event.
#[derive(Clone, PartialEq, Debug, Deserialize, Serialize)]
pub struct ProgressEvent {
	/// `waiting`, `started`, `heldout`, `step`, `checkpoint`, `finished`, `failed`; `token`.
	pub event: String,
	/// Its number, ascending.
	pub number: u64,
	/// The step of training.
	#[serde(default, skip_serializing_if = "Option::is_none")]
	pub step: Option<u64>,
	/// How many steps there will be.
	#[serde(default, skip_serializing_if = "Option::is_none")]
	pub of: Option<u64>,
	/// Loss in nats per token.
	#[serde(default, skip_serializing_if = "Option::is_none")]
	pub loss: Option<f64>,
	/// Tokens so far.
	#[serde(default, skip_serializing_if = "Option::is_none")]
	pub tokens: Option<u64>,
	/// The optimiser's learning rate.
	#[serde(default, skip_serializing_if = "Option::is_none")]
	pub learning_rate: Option<f64>,
	/// Norm of the gradient.
	#[serde(default, skip_serializing_if = "Option::is_none")]
	pub grad_norm: Option<f64>,
	/// Seconds since the start.
	#[serde(default, skip_serializing_if = "Option::is_none")]
	pub seconds: Option<f64>,
	/// When the held-out loss was measured: `before` or `after`.
	#[serde(default, skip_serializing_if = "Option::is_none")]
	pub stage: Option<String>,
	/// What is missing, or what failed.
	#[serde(default, skip_serializing_if = "Option::is_none")]
	pub detail: Option<String>,
	/// What to do about it.
	#[serde(default, skip_serializing_if = "Option::is_none")]
	pub hint: Option<String>,
	/// A piece of an answer.
	#[serde(default, skip_serializing_if = "Option::is_none")]
	pub text: Option<String>,
}

/// What a worker says when it refuses.
#[derive(Deserialize)]
struct Refusal {
	error: String,
	hint: Option<String>,
}

impl WorkerClient {
	/// A client for the worker at this address, such as `http://127.0.0.1:9955`. Connects when it is
	/// needed.
	pub fn new(url: &str) -> Result<Self> {
		if !url.starts_with("http://") {
			return Err(Error::usage(format!("{url} is no worker's address: http://HOST:PORT")));
		}
		let http = reqwest::Client::builder()
			.connect_timeout(CONNECT_LIMIT)
			.read_timeout(READ_LIMIT)
			.build()
			.map_err(|error| Error::Machine(format!("no HTTP client: {error}")))?;
		Ok(Self { url: url.trim_end_matches('/').into(), http })
	}

	/// Where the worker is.
	pub fn url(&self) -> &str {
		&self.url
	}

	/// What the worker serves.
	pub async fn health(&self) -> Result<Health> {
		self.json("/health").await?.ok_or_else(|| self.refused("it has no /health".into(), None))
	}

	/// Hands in a blob, and says what it is known by.
	pub async fn put_blob(&self, bytes: Vec<u8>) -> Result<H256> {
		let hash = content_hash(&bytes);
		let response = self.send(Method::PUT, &format!("/v1/blobs/{}", name(hash)), bytes).await?;
		self.accepted(response).await.map(|_| hash)
	}

	/// A blob, compared with its hash; nothing if the worker does not have it.
	pub async fn blob(&self, hash: H256) -> Result<Option<Vec<u8>>> {
		let response = self.get(&format!("/v1/blobs/{}", name(hash))).await?;
		if response.status() == StatusCode::NOT_FOUND {
			return Ok(None);
		}
		let response = self.accepted(response).await?;
		let bytes = self.body(response, MAX_BLOB_BYTES).await?;
		if content_hash(&bytes) != hash {
			return Err(self.refused("it sent other bytes than were asked for".into(), None));
		}
		Ok(Some(bytes))
	}

	/// What the worker says is behind the attribution claim about an answer. Not checked.
	pub async fn evidence(&self, root: H256, answer: H256) -> Result<Option<Evidence>> {
		self.json(&format!("/v1/evidence/{}?answer={}", name(root), name(answer))).await
	}

	/// Progress of a job after the event of this number; nothing if the worker does not know the job.
	pub async fn events(&self, job: H256, after: u64) -> Result<Option<Vec<ProgressEvent>>> {
		self.json(&format!("/v1/jobs/{}/events?after={after}", name(job))).await
	}

	async fn json<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>> {
		let response = self.get(path).await?;
		if response.status() == StatusCode::NOT_FOUND {
			return Ok(None);
		}
		let response = self.accepted(response).await?;
		let body = self.body(response, MAX_JSON_BYTES).await?;
		serde_json::from_slice(&body)
			.map(Some)
			.map_err(|error| self.refused(format!("{path} is not understood: {error}"), None))
	}

	async fn get(&self, path: &str) -> Result<Response> {
		self.send(Method::GET, path, Vec::new()).await
	}

	async fn send(&self, method: Method, path: &str, body: Vec<u8>) -> Result<Response> {
		let request = self.http.request(method, format!("{}{path}", self.url)).body(body);
		request.send().await.map_err(|error| self.unreachable(&error))
	}

	async fn accepted(&self, response: Response) -> Result<Response> {
		let status = response.status();
		if status.is_success() {
			return Ok(response);
		}
		let body = self.body(response, MAX_JSON_BYTES).await.unwrap_or_default();
		let (reason, hint) = match serde_json::from_slice::<Refusal>(&body) {
			Ok(refusal) => (refusal.error, refusal.hint),
			Err(_) => (status.to_string(), None),
		};
		Err(self.refused(reason, hint))
	}

	/// The body, as far as it is not longer than it may be.
	async fn body(&self, mut response: Response, limit: usize) -> Result<Vec<u8>> {
		let mut body = Vec::new();
		while let Some(piece) = response.chunk().await.map_err(|error| self.unreachable(&error))? {
			if body.len().saturating_add(piece.len()) > limit {
				return Err(self.refused(format!("it sends more than {limit} bytes"), None));
			}
			body.extend_from_slice(&piece);
		}
		Ok(body)
	}

	fn refused(&self, reason: String, hint: Option<String>) -> Error {
		Error::WorkerRefused { url: self.url.clone(), reason, hint }
	}

	fn unreachable(&self, error: &reqwest::Error) -> Error {
		let mut reason = error.to_string();
		let mut cause = std::error::Error::source(error);
		while let Some(deeper) = cause {
			reason = deeper.to_string();
			cause = deeper.source();
		}
		Error::WorkerUnreachable { url: self.url.clone(), reason }
	}
}

/// A hash as it stands in a path.
fn name(hash: H256) -> String {
	hex::encode(hash)
}
