//! The gateway through its real door: OpenAI's API over sockets.

mod admin;
mod attribution;
mod bad_input;
mod bounds;
mod chat;
mod completions;
mod drain;
mod faults;
mod indexes;
mod keys;
mod slow;

use crate::support::{model, Client, InProcess};
use openledger_worker::{gateway::keys::SpendLimit, Config, GatewayConfig};
use reqwest::{Method, Response, StatusCode};
use serde_json::{json, Value};
use tempfile::TempDir;

/// The name of the tiny model.
pub fn model_name() -> String {
	model().file_name().unwrap().to_str().unwrap().into()
}

/// A worker with an open gateway, and the gateway.
pub async fn gateway() -> (InProcess, Client) {
	gateway_in(tempfile::tempdir().unwrap(), |_| {}).await
}

/// With this data folder.
pub async fn gateway_in(data: TempDir, change: impl FnOnce(&mut Config)) -> (InProcess, Client) {
	let worker = InProcess::start_in(data, |config| {
		config.gateway = Some(GatewayConfig::new(([127, 0, 0, 1], 0).into()));
		change(config);
	})
	.await;
	let gateway = worker.gateway.clone().unwrap();
	(worker, gateway)
}

/// Makes an API key.
pub fn key(data: &TempDir, name: &str, limit: Option<SpendLimit>) -> String {
	openledger_worker::gateway::keys::add(data.path(), name, limit).unwrap()
}

/// A chat of one message, answered greedily by a few tokens.
pub fn chat(text: &str) -> Value {
	json!({
		"model": model_name(),
		"messages": [{"role": "user", "content": text}],
		"temperature": 0,
		"max_tokens": 12,
	})
}

/// With these fields.
pub fn with(mut body: Value, fields: Value) -> Value {
	let object = body.as_object_mut().unwrap();
	object.extend(fields.as_object().unwrap().clone());
	body
}

impl Client {
	pub async fn post_json(&self, path: &str, body: &Value) -> Response {
		self.request(Method::POST, path).json(body).send().await.unwrap()
	}

	/// Posts, and expects an answer.
	pub async fn ask(&self, path: &str, body: &Value) -> Value {
		let response = self.post_json(path, body).await;
		let (status, text) = (response.status(), response.text().await.unwrap());
		assert_eq!(status, StatusCode::OK, "{text}");
		serde_json::from_str(&text).unwrap()
	}

	pub async fn chat(&self, body: &Value) -> Value {
		self.ask("/v1/chat/completions", body).await
	}

	pub async fn complete(&self, body: &Value) -> Value {
		self.ask("/v1/completions", body).await
	}

	/// Posts, and expects an error of OpenAI's form.
	pub async fn refused(&self, path: &str, body: &Value) -> (StatusCode, Value) {
		let response = self.post_json(path, body).await;
		refusal(response).await
	}

	/// Posts, and expects a stream, which it reads to its end.
	pub async fn stream(&self, path: &str, body: &Value) -> Vec<Value> {
		let response = self.post_json(path, &with(body.clone(), json!({"stream": true}))).await;
		assert_eq!(response.status(), StatusCode::OK);
		assert_eq!(response.headers()["content-type"], "text/event-stream; charset=utf-8");
		events(&response.text().await.unwrap())
	}
}

/// The error in an answer that has one.
pub async fn refusal(response: Response) -> (StatusCode, Value) {
	let status = response.status();
	let text = response.text().await.unwrap();
	let body: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{status} {text}"));
	let error = body["error"].clone();
	assert!(error["message"].as_str().is_some_and(|message| message.ends_with('.')), "{body}");
	assert!(error["type"].is_string(), "{body}");
	assert!(error.as_object().unwrap().contains_key("param"), "{body}");
	assert!(error.as_object().unwrap().contains_key("code"), "{body}");
	(status, error)
}

/// The messages of a stream, which must end as streams do.
pub fn events(text: &str) -> Vec<Value> {
	let text = text.strip_suffix("data: [DONE]\n\n").expect("a stream ends with [DONE]");
	let messages = text.split_terminator("\n\n").filter(|message| !message.starts_with(':'));
	messages
		.map(|message| {
			let data = message.strip_prefix("data: ").expect("messages are data");
			assert!(!data.contains('\n'), "each message is one line");
			serde_json::from_str(data).unwrap()
		})
		.collect()
}
