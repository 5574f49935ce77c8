//! Completions: prompts of every form, and scoring as evaluation harnesses ask for it.

use super::{gateway, model_name, with};
use crate::support::model;
use openledger_engine::{LoadOptions, Model};
use serde_json::{json, Value};

const COMPLETIONS: &str = "/v1/completions";

fn completion(prompt: Value) -> Value {
	json!({"model": model_name(), "prompt": prompt, "temperature": 0, "max_tokens": 8})
}

fn ids(text: &str) -> Vec<u32> {
	text.bytes().map(|byte| 3 + u32::from(byte)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn prompts_of_every_form_should_be_continued() {
	let (worker, gateway) = gateway().await;
	let text = |answer: &Value, index: usize| answer["choices"][index]["text"].clone();
	let one = gateway.complete(&completion(json!("Once upon"))).await;
	assert_eq!(one["object"], "text_completion");
	assert!(one["id"].as_str().unwrap().starts_with("cmpl-"));
	assert_eq!(one["usage"]["prompt_tokens"], 9);
	let tokens = gateway.complete(&completion(json!(ids("Once upon")))).await;
	assert_eq!(text(&one, 0), text(&tokens, 0));
	let two = gateway.complete(&completion(json!(["A time", "Once upon"]))).await;
	assert_eq!(text(&two, 1), text(&one, 0));
	assert_eq!(two["usage"]["prompt_tokens"], 15);
	let lists = json!([ids("A time"), ids("Once upon")]);
	let more = gateway.complete(&with(completion(lists), json!({"n": 2}))).await;
	assert_eq!(more["choices"].as_array().unwrap().len(), 4);
	assert_eq!(text(&more, 0), text(&two, 0));
	assert_eq!(text(&more, 1), text(&two, 0));
	assert_eq!(text(&more, 3), text(&two, 1));
	assert_eq!(more["choices"][3]["index"], 3);
	assert_eq!(more["usage"]["prompt_tokens"], 15);
	worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_of_completions_should_echo_and_end() {
	let (worker, gateway) = gateway().await;
	let body = with(completion(json!("Once €")), json!({"echo": true}));
	let whole = gateway.complete(&body).await;
	let text = whole["choices"][0]["text"].as_str().unwrap();
	assert!(text.starts_with("Once €"));
	let events = gateway.stream(COMPLETIONS, &body).await;
	let streamed: String =
		events.iter().map(|event| event["choices"][0]["text"].as_str().unwrap()).collect();
	assert_eq!(streamed, text);
	let last = events.last().unwrap();
	assert_eq!(last["choices"][0]["finish_reason"], whole["choices"][0]["finish_reason"]);
	worker.stop().await;
}

/// What `lm-eval` sends for a log-likelihood, and what it reads of the answer.
#[tokio::test(flavor = "multi_thread")]
async fn prompts_should_be_scored_as_the_model_scores_them() {
	let (worker, gateway) = gateway().await;
	let model = Model::from_huggingface(model(), LoadOptions::default()).unwrap();
	let (context, continuation) = (ids("The capital of France is"), ids(" Paris."));
	let expected = model.score(&context, &continuation, None).unwrap();
	let whole = [context.clone(), continuation.clone()].concat();
	for (max_tokens, stream) in [(0, false), (1, false), (0, true)] {
		let body = json!({
			"model": model_name(), "prompt": [whole, context], "temperature": 0, "logprobs": 1,
			"echo": true, "max_tokens": max_tokens, "seed": 1234,
		});
		let choice = if stream {
			let events = gateway.stream(COMPLETIONS, &body).await;
			let of_first = |event: &&Value| event["choices"][0]["index"] == 0;
			events.iter().find(of_first).unwrap()["choices"][0].clone()
		} else {
			gateway.complete(&body).await["choices"][0].clone()
		};
		let logprobs = &choice["logprobs"];
		let of_tokens = logprobs["token_logprobs"].as_array().unwrap();
		assert_eq!(of_tokens.len(), whole.len() + max_tokens);
		assert_eq!(of_tokens[0], Value::Null);
		let scored = &of_tokens[context.len()..whole.len()];
		for (found, expected) in scored.iter().zip(&expected) {
			assert!(
				(found.as_f64().unwrap() - f64::from(*expected)).abs() < 2e-3,
				"{found} {expected}"
			);
		}
		for name in ["tokens", "top_logprobs", "text_offset"] {
			assert_eq!(logprobs[name].as_array().unwrap().len(), of_tokens.len(), "{name}");
		}
		assert_eq!(logprobs["tokens"][0], "T");
		assert_eq!(logprobs["text_offset"][4], 4);
		let top = logprobs["top_logprobs"][1].as_object().unwrap();
		let best = top.values().map(|it| it.as_f64().unwrap()).fold(f64::MIN, f64::max);
		assert!(best >= of_tokens[1].as_f64().unwrap());
	}
	worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn offsets_should_count_the_characters_before_each_token() {
	let (worker, gateway) = gateway().await;
	let prompt = "Zwölf € für Ärger";
	// The answer is `A`s, which are token 3 + the place of their byte among all bytes.
	let bias = json!({(3 + u32::from(b'A')).to_string(): 100});
	let asked = json!({"echo": true, "logprobs": 1, "ignore_eos": true, "logit_bias": bias});
	let body = with(completion(json!(prompt)), asked);
	let whole = gateway.complete(&body).await;
	let text = whole["choices"][0]["text"].as_str().unwrap();
	assert_eq!(text, format!("{prompt}AAAAAAAA"));
	// A token is a byte: it begins behind the characters that begin before it.
	let before = |byte: usize| text.char_indices().filter(|(at, _)| *at < byte).count();
	let expected: Vec<usize> = (0..text.len()).map(before).collect();
	assert_eq!(whole["choices"][0]["logprobs"]["text_offset"], json!(expected));
	let events = gateway.stream(COMPLETIONS, &body).await;
	let lists =
		events.iter().filter_map(|it| it["choices"][0]["logprobs"]["text_offset"].as_array());
	let streamed: Vec<Value> = lists.flatten().cloned().collect();
	assert_eq!(json!(streamed), json!(expected));
	worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_should_say_that_it_has_no_embeddings() {
	let (worker, gateway) = gateway().await;
	let body = json!({"model": model_name(), "input": "text"});
	let (status, error) = gateway.refused("/v1/embeddings", &body).await;
	assert_eq!((status.as_u16(), &error["code"]), (400, &json!("model_has_no_embeddings")));
	let unknown = json!({"model": "other", "input": "text"});
	assert_eq!(gateway.refused("/v1/embeddings", &unknown).await.0, 404);
	worker.stop().await;
}
