//! Whose words an answer repeats, in fields that standard clients pass over.

use super::{admin::load, chat, gateway_in, with};
use crate::support::{records, trained_data};
use serde_json::{json, Value};

#[tokio::test(flavor = "multi_thread")]
async fn answers_should_cite_the_records_that_they_repeat() {
	let (data, trained) = trained_data();
	let (worker, gateway) = gateway_in(data, |_| {}).await;
	worker.client.ask("/v1/load_lora_adapter", &load("lamp", &trained)).await;
	let mut exact = 0;
	for (number, (question, expected)) in records().into_iter().enumerate() {
		let body = with(chat(&question), json!({"model": "lamp", "max_tokens": 100}));
		let answer = gateway.chat(&body).await;
		let choice = &answer["choices"][0];
		let text = choice["message"]["content"].as_str().unwrap();
		let attribution = &choice["openledger"]["attribution"];
		assert!(attribution["error"].is_null(), "{attribution}");
		let annotations = choice["message"]["annotations"].as_array().unwrap();
		let spans = attribution["spans"].as_array().unwrap();
		assert_eq!(annotations.len(), spans.len());
		for (span, annotation) in spans.iter().zip(annotations) {
			assert_eq!(annotation["type"], "url_citation");
			assert_eq!(annotation["url_citation"]["start_index"], span["start"]);
			let [start, end] = ["start", "end"].map(|at| span[at].as_u64().unwrap() as usize);
			let cited: String = text.chars().skip(start).take(end - start).collect();
			assert_eq!(cited.split_whitespace().count(), span["words"].as_u64().unwrap() as usize);
		}
		if text == expected {
			exact += 1;
			let owner = &spans[0]["contribution"];
			assert_eq!(owner["index"], number / 4);
			let parts = attribution["shares"].as_array().unwrap().iter();
			let sum: u64 = parts.map(|share| share["parts"].as_u64().unwrap()).sum();
			assert_eq!(sum, 1_000_000);
		}
	}
	assert!(exact >= 10, "the tiny model learnt {exact} of 12 by heart");

	let (question, _) = records().swap_remove(0);
	let body = with(chat(&question), json!({"model": "lamp", "max_tokens": 100}));
	let events = gateway.stream("/v1/chat/completions", &body).await;
	let last = &events.last().unwrap()["choices"][0];
	assert!(last["openledger"]["attribution"]["spans"][0].is_object());
	assert_eq!(last["delta"]["annotations"][0]["type"], "url_citation");

	let without = with(body, json!({"openledger": {"attribution": false}}));
	let answer = gateway.chat(&without).await;
	assert_eq!(answer["choices"][0]["openledger"]["attribution"], Value::Null);
	assert_eq!(answer["choices"][0]["message"]["annotations"], json!([]));
	assert!(answer["choices"][0]["openledger"]["receipt"].is_object());
	worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_cannot_be_attributed_should_be_given_and_say_so() {
	let (data, trained) = trained_data();
	let (worker, gateway) = gateway_in(data, |_| {}).await;
	let wrong = json!({"span_index": "ab".repeat(32)});
	worker.client.ask("/v1/load_lora_adapter", &with(load("lamp", &trained), wrong)).await;
	let answer = gateway.chat(&with(chat("Who keeps the lamp?"), json!({"model": "lamp"}))).await;
	let attribution = &answer["choices"][0]["openledger"]["attribution"];
	assert!(attribution["error"].as_str().unwrap().contains("span index"), "{attribution}");
	worker.stop().await;
}
