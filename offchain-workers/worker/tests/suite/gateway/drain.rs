//! Stopping: answers under way end, or are told that they are cut off.

use super::{chat, gateway_in, key, keys::spent, refusal, with};
use crate::support::{Client, Process};
use openledger_worker::gateway::keys::SpendLimit;
use reqwest::{Method, StatusCode};
use serde_json::{json, Value};
use std::time::Duration;
use tokio::{
	io::AsyncWriteExt,
	net::{TcpSocket, TcpStream},
};

const CHAT: &str = "/v1/chat/completions";

#[tokio::test(flavor = "multi_thread")]
async fn answers_under_way_should_end_before_the_worker_does() {
	let data = tempfile::tempdir().unwrap();
	let (worker, gateway) = gateway_in(data, |config| {
		config.gateway.as_mut().unwrap().drain = Duration::from_secs(120)
	})
	.await;
	// A connection that stays open, to ask on while the worker drains.
	gateway.get("/health").await;
	let long = json!({"max_tokens": 400, "ignore_eos": true, "stream": true});
	let mut streaming = gateway.post_json(CHAT, &with(chat("Hello"), long)).await;
	let mut text = streaming.chunk().await.unwrap().unwrap().to_vec();
	let operator = worker.client.clone();
	let stopping = tokio::spawn(worker.stop());
	loop {
		let health = operator.get("/health").await;
		if health.status() == StatusCode::SERVICE_UNAVAILABLE {
			let health: serde_json::Value = health.json().await.unwrap();
			assert_eq!(health["gateway"]["status"], "draining");
			break;
		}
	}
	while let Some(chunk) = streaming.chunk().await.unwrap() {
		text.extend(chunk);
	}
	let events = super::events(std::str::from_utf8(&text).unwrap());
	assert_eq!(events.last().unwrap()["choices"][0]["finish_reason"], "length");
	stopping.await.unwrap();
	let closed = gateway.request(Method::POST, CHAT).json(&chat("Hello")).send().await;
	match closed {
		Err(_) => {},
		Ok(response) => assert_eq!(refusal(response).await.0, StatusCode::SERVICE_UNAVAILABLE),
	}
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_take_too_long_should_be_told_that_they_are_cut_off() {
	let data = tempfile::tempdir().unwrap();
	let (worker, gateway) = gateway_in(data, |config| {
		config.gateway.as_mut().unwrap().drain = Duration::from_millis(50)
	})
	.await;
	let long = json!({"max_tokens": 1_900, "n": 4, "ignore_eos": true});
	let streaming = gateway
		.post_json(CHAT, &with(chat("Hello"), with(long.clone(), json!({"stream": true}))))
		.await;
	let whole = tokio::spawn({
		let (gateway, body) = (gateway.clone(), with(chat("Hello"), long));
		async move { gateway.post_json(CHAT, &body).await }
	});
	tokio::time::sleep(Duration::from_millis(300)).await;
	let stopping = tokio::spawn(worker.stop());
	let events = super::events(&streaming.text().await.unwrap());
	let last = events.last().unwrap();
	assert_eq!(last["error"]["code"], "stopping", "{last}");
	let response = whole.await.unwrap();
	assert!(response.headers().contains_key("retry-after"));
	assert_eq!(refusal(response).await.0, StatusCode::SERVICE_UNAVAILABLE);
	stopping.await.unwrap();
}

/// Asks with a key, and reads nothing of the answer.
async fn ask_without_reading(gateway: &Client, secret: &str, body: &Value) -> TcpStream {
	let socket = TcpSocket::new_v4().unwrap();
	// So that little of the answer is on its way.
	socket.set_recv_buffer_size(4_096).unwrap();
	let mut stream = socket.connect(gateway.address().parse().unwrap()).await.unwrap();
	let body = body.to_string();
	let request = format!(
		"POST {CHAT} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {secret}\r\n\
		 Content-Length: {}\r\n\r\n{body}",
		body.len()
	);
	stream.write_all(request.as_bytes()).await.unwrap();
	stream
}

/// Tokens that the worker has written so far.
async fn written(operator: &Client) -> u64 {
	let metrics = operator.get("/metrics").await.text().await.unwrap();
	let line = metrics.lines().find(|line| line.starts_with("vllm:generation_tokens_total"));
	line.map_or(0, |line| line.rsplit_once(' ').unwrap().1.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_cut_off_should_be_on_account_when_the_worker_has_ended() {
	let data = tempfile::tempdir().unwrap();
	let limit = Some(SpendLimit::Tokens(100_000));
	let [reader, other] = ["reader", "other"].map(|name| key(&data, name, limit));
	let worker = Process::start(data.path(), &["--gateway", "127.0.0.1:0", "--gateway-drain", "0"]);
	let gateway = worker.gateway.clone().unwrap();
	let long = json!({
		"n": 16, "max_tokens": 1_900, "ignore_eos": true, "stream": true, "logprobs": true,
		"top_logprobs": 20, "temperature": 1,
	});
	let long = with(chat("Hello"), long);
	let _unread = ask_without_reading(&gateway, &other, &long).await;
	let mut streaming = gateway.with_key(&reader).post_json(CHAT, &long).await;
	let reading = tokio::spawn(async move { while let Ok(Some(_)) = streaming.chunk().await {} });
	// More than the connection holds, and less than it takes to be cut off.
	while written(&worker.client).await < 4_000 {
		tokio::time::sleep(Duration::from_millis(20)).await;
	}
	let written = written(&worker.client).await;
	assert_eq!(worker.terminate(), Some(0));
	reading.await.unwrap();
	let [reader, other] = ["reader", "other"].map(|name| spent(data.path(), name));
	assert!(reader.output_tokens > 0 && other.output_tokens > 0, "{reader:?} {other:?}");
	let sum = reader.output_tokens + other.output_tokens;
	assert!(sum >= written, "{sum} of {written} tokens: {reader:?} {other:?}");
	assert_eq!(reader.input_tokens, "user\nHello\nassistant\n".len() as u64 + 3);
	assert_eq!(reader.input_tokens, other.input_tokens);
}
