//! Everything that can be wrong with a request: its own status, OpenAI's form, the field by its name.

use super::{chat, gateway, model_name, refusal, with};
use reqwest::{header, Method, StatusCode};
use serde_json::{json, Value};

const CHAT: &str = "/v1/chat/completions";
const COMPLETIONS: &str = "/v1/completions";

#[tokio::test(flavor = "multi_thread")]
async fn bad_fields_should_be_refused_by_name() {
	let (worker, gateway) = gateway().await;
	let stops: Vec<String> = (0..10_000).map(|number| number.to_string()).collect();
	let biases: serde_json::Map<String, Value> =
		(0..2_000).map(|token| (token.to_string(), json!(1))).collect();
	let schema = |schema: Value| json!({"type": "json_schema", "json_schema": {"schema": schema}});
	let large_schema = schema(json!({"enum": vec!["word"; 20_000]}));
	let cases = [
		("model", json!({"model": null}), "model"),
		("model", json!({"model": 7}), "model"),
		("messages", json!({"messages": null}), "messages"),
		("messages", json!({"messages": []}), "messages"),
		("messages", json!({"messages": "Hello"}), "messages"),
		("messages", json!({"messages": ["Hello"]}), "messages[0]"),
		("messages", json!({"messages": [{"content": "a"}]}), "messages[0].role"),
		("messages", json!({"messages": [{"role": "tool", "content": "a"}]}), "messages[0].role"),
		("messages", json!({"messages": [{"role": "user"}]}), "messages[0].content"),
		("messages", json!({"messages": [{"role": "user", "content": 1}]}), "messages[0].content"),
		(
			"messages",
			json!({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}),
			"messages[0].content[0].type",
		),
		(
			"messages",
			json!({"messages": [{"role": "user", "content": "a", "x": 1}]}),
			"messages[0].x",
		),
		("max_tokens", json!({"max_tokens": -1}), "max_tokens"),
		("max_tokens", json!({"max_tokens": 0}), "max_tokens"),
		("max_tokens", json!({"max_tokens": 1.5}), "max_tokens"),
		("max_tokens", json!({"max_tokens": "12"}), "max_tokens"),
		("max_tokens", json!({"max_completion_tokens": -5}), "max_completion_tokens"),
		("temperature", json!({"temperature": -0.1}), "temperature"),
		("temperature", json!({"temperature": 2.1}), "temperature"),
		("temperature", json!({"temperature": "hot"}), "temperature"),
		("top_p", json!({"top_p": 1.1}), "top_p"),
		("n", json!({"n": 0}), "n"),
		("n", json!({"n": 17}), "n"),
		("best_of", json!({"best_of": 2}), "best_of"),
		("seed", json!({"seed": 1.5}), "seed"),
		("seed", json!({"seed": "x"}), "seed"),
		("stop", json!({"stop": stops}), "stop"),
		("stop", json!({"stop": [""]}), "stop"),
		("stop", json!({"stop": [1]}), "stop"),
		("stop", json!({"stop": "x".repeat(2_000)}), "stop"),
		("stop", json!({"stop": {}}), "stop"),
		("stop_token_ids", json!({"stop_token_ids": [-1]}), "stop_token_ids"),
		("stop_token_ids", json!({"stop_token_ids": vec![1; 65]}), "stop_token_ids"),
		("logit_bias", json!({"logit_bias": {"99999999": 1}}), "logit_bias"),
		("logit_bias", json!({"logit_bias": {"5": 101}}), "logit_bias"),
		("logit_bias", json!({"logit_bias": {"word": 1}}), "logit_bias"),
		("logit_bias", json!({"logit_bias": biases}), "logit_bias"),
		("logit_bias", json!({"logit_bias": [1]}), "logit_bias"),
		("penalty", json!({"presence_penalty": 3}), "presence_penalty"),
		("penalty", json!({"frequency_penalty": "x"}), "frequency_penalty"),
		("top_logprobs", json!({"top_logprobs": 3}), "top_logprobs"),
		("top_logprobs", json!({"logprobs": true, "top_logprobs": 21}), "top_logprobs"),
		("logprobs", json!({"logprobs": 3}), "logprobs"),
		("stream", json!({"stream": "yes"}), "stream"),
		("stream", json!({"stream_options": {"include_usage": true}}), "stream_options"),
		("stream", json!({"stream": true, "stream_options": {"x": 1}}), "stream_options.x"),
		("tools", json!({"tools": [{"type": "function"}]}), "tools"),
		("functions", json!({"functions": [{}]}), "functions"),
		("modalities", json!({"modalities": ["text", "audio"]}), "modalities"),
		("format", json!({"response_format": "json"}), "response_format"),
		("format", json!({"response_format": {"type": "xml"}}), "response_format.type"),
		("format", json!({"response_format": {}}), "response_format.type"),
		(
			"format",
			json!({"response_format": {"type": "json_schema"}}),
			"response_format.json_schema",
		),
		(
			"format",
			json!({"response_format": {"type": "json_schema", "json_schema": {}}}),
			"response_format.json_schema.schema",
		),
		(
			"format",
			json!({"response_format": schema(json!({"type": "nonsense"}))}),
			"response_format.json_schema.schema",
		),
		(
			"format",
			json!({"response_format": schema(json!({"$ref": "file:///etc/passwd"}))}),
			"response_format.json_schema.schema",
		),
		("format", json!({"response_format": large_schema}), "response_format.json_schema.schema"),
		("openledger", json!({"openledger": {"attribution": 1}}), "openledger.attribution"),
		("openledger", json!({"openledger": {"x": 1}}), "openledger.x"),
		("unknown", json!({"top_k": 5}), "top_k"),
		("unknown", json!({"x".repeat(300): 5}), ""),
	];
	for (name, fields, param) in cases {
		let (status, error) = gateway.refused(CHAT, &with(chat("Hello"), fields.clone())).await;
		assert_eq!(status, StatusCode::BAD_REQUEST, "{name}: {error}");
		assert_eq!(error["type"], "invalid_request_error", "{name}: {error}");
		if !param.is_empty() {
			assert_eq!(error["param"], param, "{name}: {error}");
		}
		assert!(error["message"].as_str().unwrap().len() < 400, "{error}");
	}
	worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_prompts_should_be_refused_by_name() {
	let (worker, gateway) = gateway().await;
	let base = json!({"model": model_name(), "max_tokens": 4});
	let prompts = [
		json!(null),
		json!(""),
		json!([]),
		json!({}),
		json!(5),
		json!([""]),
		json!([[]]),
		json!([-1]),
		json!([100_000_000]),
		json!([1.5]),
		json!(["a", 5]),
		json!([[1], ["a"]]),
		json!(vec!["a"; 129]),
	];
	for prompt in prompts {
		let body = with(base.clone(), json!({"prompt": prompt}));
		let (status, error) = gateway.refused(COMPLETIONS, &body).await;
		assert_eq!(
			(status, &error["param"]),
			(StatusCode::BAD_REQUEST, &json!("prompt")),
			"{error}"
		);
	}
	for (fields, param) in [
		(json!({"max_tokens": 0}), "max_tokens"),
		(json!({"max_tokens": -1}), "max_tokens"),
		(json!({"logprobs": 21}), "logprobs"),
		(json!({"logprobs": true}), "logprobs"),
		(json!({"echo": 1}), "echo"),
		(json!({"suffix": "x"}), "suffix"),
		(json!({"prompt": vec!["a"; 100], "n": 16}), "n"),
	] {
		let body = with(with(base.clone(), json!({"prompt": "a"})), fields);
		let (status, error) = gateway.refused(COMPLETIONS, &body).await;
		assert_eq!((status, &error["param"]), (StatusCode::BAD_REQUEST, &json!(param)), "{error}");
	}
	worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_should_be_refused_with_its_size() {
	let (worker, gateway) = gateway().await;
	let long = "word ".repeat(2_000);
	let (status, error) = gateway.refused(CHAT, &chat(&long)).await;
	assert_eq!(status, StatusCode::BAD_REQUEST);
	assert_eq!(error["code"], "context_length_exceeded");
	assert!(error["message"].as_str().unwrap().contains("2048"), "{error}");
	let body = json!({"model": model_name(), "prompt": long});
	let (status, error) = gateway.refused(COMPLETIONS, &body).await;
	assert_eq!((status.as_u16(), &error["code"]), (400, &json!("context_length_exceeded")));
	let (status, error) = gateway.refused(CHAT, &chat(&"a".repeat(3 << 20))).await;
	assert_eq!((status.as_u16(), &error["code"]), (400, &json!("context_length_exceeded")));
	let (status, _) = gateway.refused(CHAT, &chat(&"a".repeat(5 << 20))).await;
	assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
	worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_json_and_what_is_no_path_should_be_refused() {
	let (worker, gateway) = gateway().await;
	let bodies: [&[u8]; 7] =
		[b"", b"{", b"[]", b"\"\"", b"{\"model\": \"\xff\xfe\"}", b"null", b"{\"a\":1}{}"];
	for body in bodies {
		for path in [CHAT, COMPLETIONS, "/v1/embeddings"] {
			let request = gateway.request(Method::POST, path).body(body.to_vec());
			let (status, error) = refusal(request.send().await.unwrap()).await;
			assert_eq!(status, StatusCode::BAD_REQUEST, "{path} {error}");
		}
	}
	for (method, path, status) in [
		(Method::GET, "/", StatusCode::NOT_FOUND),
		(Method::GET, "/v1/jobs", StatusCode::NOT_FOUND),
		(Method::GET, "/metrics", StatusCode::NOT_FOUND),
		(Method::POST, "/v1/load_lora_adapter", StatusCode::NOT_FOUND),
		(Method::GET, CHAT, StatusCode::METHOD_NOT_ALLOWED),
		(Method::DELETE, "/v1/models", StatusCode::METHOD_NOT_ALLOWED),
		(Method::GET, "/v1/models/nothing", StatusCode::NOT_FOUND),
		(Method::GET, "/v1/models/%ff", StatusCode::BAD_REQUEST),
		(Method::GET, "/%ff", StatusCode::NOT_FOUND),
		(Method::POST, "/health", StatusCode::METHOD_NOT_ALLOWED),
	] {
		let response = gateway.request(method, path).send().await.unwrap();
		assert_eq!(refusal(response).await.0, status, "{path}");
	}
	for name in ["other", "", "5", "a:b", &format!("{}:other", model_name()), &"ab".repeat(32)] {
		let body = with(chat("Hello"), json!({"model": name}));
		let (status, error) = gateway.refused(CHAT, &body).await;
		assert_eq!(status, StatusCode::NOT_FOUND, "{name}");
		assert_eq!(error["code"], "model_not_found");
	}
	worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_keys_a_page_from_elsewhere_should_not_be_answered() {
	let (worker, gateway) = gateway().await;
	for (name, value) in [(header::HOST, "evil.example"), (header::ORIGIN, "https://evil.example")]
	{
		let request = gateway.request(Method::GET, "/v1/models").header(name, value);
		let (status, _) = refusal(request.send().await.unwrap()).await;
		assert_eq!(status, StatusCode::FORBIDDEN);
	}
	worker.stop().await;
}
