//! Stopping: answers under way end, or are told that they are cut off.

use super::{chat, gateway_in, refusal, with};
use reqwest::{Method, StatusCode};
use serde_json::json;
use std::time::Duration;

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
