//! Chats: what answers say, whole and in pieces.

use super::{chat, gateway, model_name, with};
use openledger_primitives::content::content_hash;
use serde_json::{json, Value};

const CHAT: &str = "/v1/chat/completions";

#[tokio::test(flavor = "multi_thread")]
async fn a_chat_should_be_answered_in_openais_form() {
	let (worker, gateway) = gateway().await;
	let answer = gateway.chat(&chat("Hello")).await;
	assert!(answer["id"].as_str().unwrap().starts_with("chatcmpl-"));
	assert_eq!(answer["object"], "chat.completion");
	assert_eq!(answer["model"], model_name());
	assert!(answer["created"].as_u64().unwrap() > 1_600_000_000);
	let choice = &answer["choices"][0];
	assert_eq!(choice["index"], 0);
	assert_eq!(choice["message"]["role"], "assistant");
	assert_eq!(choice["logprobs"], Value::Null);
	assert!(["stop", "length"].contains(&choice["finish_reason"].as_str().unwrap()));
	let usage = &answer["usage"];
	let [prompt, completion, total] = ["prompt_tokens", "completion_tokens", "total_tokens"]
		.map(|name| usage[name].as_u64().unwrap());
	// A token for each byte and one for each special token of the template.
	assert_eq!(prompt, "user\nHello\nassistant\n".len() as u64 + 3);
	assert!(completion <= 12 && total == prompt + completion);

	let receipt = &choice["openledger"]["receipt"];
	let text = choice["message"]["content"].as_str().unwrap();
	assert_eq!(receipt["answer_hash"], format!("{:#x}", content_hash(text.as_bytes())));
	let rendered = "<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n";
	assert_eq!(receipt["prompt_hash"], format!("{:#x}", content_hash(rendered.as_bytes())));
	assert_eq!(receipt["input_tokens"], prompt);
	assert_eq!(receipt["output_tokens"], completion);
	assert_eq!(receipt["adapter"], Value::Null);
	worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_should_say_what_a_whole_answer_says() {
	let (worker, gateway) = gateway().await;
	for body in [
		chat("Tell me everything."),
		with(chat("Tell me everything."), json!({"max_tokens": 60, "stop": ["e", "zz"]})),
		with(chat("Tell me everything."), json!({"n": 3, "temperature": 1, "seed": 5})),
	] {
		let whole = gateway.chat(&body).await;
		let usage = json!({"stream_options": {"include_usage": true}});
		let mut events = gateway.stream(CHAT, &with(body, usage)).await;
		let last = events.pop().unwrap();
		assert_eq!(last["choices"], json!([]));
		assert_eq!(last["usage"]["completion_tokens"], whole["usage"]["completion_tokens"]);
		assert_eq!(last["usage"]["prompt_tokens"], whole["usage"]["prompt_tokens"]);
		for event in &events {
			assert_eq!(event["object"], "chat.completion.chunk");
			assert_eq!(event["id"], last["id"]);
			assert_eq!(event["usage"], Value::Null);
		}
		for choice in whole["choices"].as_array().unwrap() {
			let index = &choice["index"];
			let pieces: Vec<&Value> = events
				.iter()
				.map(|event| &event["choices"][0])
				.filter(|piece| piece["index"] == *index)
				.collect();
			assert_eq!(pieces[0]["delta"], json!({"role": "assistant", "content": ""}));
			let text: String =
				pieces.iter().filter_map(|piece| piece["delta"]["content"].as_str()).collect();
			assert_eq!(text, choice["message"]["content"]);
			let (end, others) = pieces.split_last().unwrap();
			assert_eq!(end["finish_reason"], choice["finish_reason"]);
			assert_eq!(end["openledger"], choice["openledger"]);
			assert!(others.iter().all(|piece| piece["finish_reason"].is_null()));
		}
	}
	worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn seeds_should_make_answers_repeat_and_choices_differ() {
	let (worker, gateway) = gateway().await;
	let drawn = json!({"temperature": 1, "n": 4, "seed": -7});
	let contents = |answer: Value| -> Vec<Value> {
		let choices = answer["choices"].as_array().unwrap();
		choices.iter().map(|choice| choice["message"]["content"].clone()).collect()
	};
	let first = contents(gateway.chat(&with(chat("Hello"), drawn.clone())).await);
	let second = contents(gateway.chat(&with(chat("Hello"), drawn)).await);
	assert_eq!(first, second);
	assert_eq!(first.len(), 4);
	assert!(first.iter().any(|content| *content != first[0]));
	let unseeded = json!({"temperature": 1, "n": 4});
	let third = contents(gateway.chat(&with(chat("Hello"), unseeded.clone())).await);
	let fourth = contents(gateway.chat(&with(chat("Hello"), unseeded)).await);
	assert_ne!(third, fourth);
	worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn logprobs_should_come_with_every_token_and_its_alternatives() {
	let (worker, gateway) = gateway().await;
	let body = with(chat("Hello"), json!({"logprobs": true, "top_logprobs": 3}));
	let whole = gateway.chat(&body).await;
	let content = whole["choices"][0]["logprobs"]["content"].as_array().unwrap().clone();
	assert_eq!(content.len() as u64, whole["usage"]["completion_tokens"].as_u64().unwrap());
	let mut bytes = Vec::new();
	for token in &content {
		assert!(token["logprob"].as_f64().unwrap() <= 0.0);
		let top = token["top_logprobs"].as_array().unwrap();
		assert_eq!(top.len(), 3);
		// The greedy choice is the likeliest.
		assert_eq!(top[0]["token"], token["token"]);
		assert!(top[0]["logprob"].as_f64() >= top[1]["logprob"].as_f64());
		bytes.extend(token["bytes"].as_array().unwrap().iter().map(|b| b.as_u64().unwrap() as u8));
	}
	let text = whole["choices"][0]["message"]["content"].as_str().unwrap();
	assert_eq!(String::from_utf8_lossy(&bytes), text);

	let events = gateway.stream(CHAT, &body).await;
	let streamed: Vec<Value> = events
		.iter()
		.filter_map(|event| event["choices"][0]["logprobs"]["content"].as_array())
		.flatten()
		.cloned()
		.collect();
	assert_eq!(streamed, content);
	worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn biases_and_penalties_should_change_what_is_said() {
	let (worker, gateway) = gateway().await;
	let text = |answer: Value| answer["choices"][0]["message"]["content"].clone();
	let plain = gateway.chat(&with(chat("Hello"), json!({"logprobs": true}))).await;
	// `A` is token 3 + the place of its byte among all bytes.
	let bias = json!({"logit_bias": {(3 + u32::from(b'A')).to_string(): 100}, "ignore_eos": true});
	assert_eq!(text(gateway.chat(&with(chat("Hello"), bias)).await), "A".repeat(12));
	let penalised = json!({"frequency_penalty": 2, "presence_penalty": 2, "max_tokens": 100});
	let varied = text(gateway.chat(&with(chat("Hello"), penalised)).await);
	let long = text(gateway.chat(&with(chat("Hello"), json!({"max_tokens": 100}))).await);
	assert_ne!(varied, long, "{plain}");
	worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn json_should_be_json_also_from_a_model_that_knows_nothing() {
	let (worker, gateway) = gateway().await;
	let schema = json!({
		"type": "object",
		"properties": {
			"name": {"type": "string", "maxLength": 12},
			"colour": {"enum": ["red", "green"]},
			"legs": {"type": "integer", "minimum": 0, "maximum": 8},
		},
		"required": ["name", "colour", "legs"],
		"additionalProperties": false,
	});
	for seed in 0..4 {
		let body = with(
			chat("An animal, please."),
			json!({
				"response_format": {
					"type": "json_schema",
					"json_schema": {"name": "animal", "schema": schema, "strict": true},
				},
				"temperature": 1,
				"seed": seed,
				"max_tokens": 600,
			}),
		);
		let answer = gateway.chat(&body).await;
		let choice = &answer["choices"][0];
		assert_eq!(choice["finish_reason"], "stop", "{choice}");
		let animal: Value =
			serde_json::from_str(choice["message"]["content"].as_str().unwrap()).unwrap();
		assert!(animal["name"].as_str().unwrap().chars().count() <= 12, "{animal}");
		assert!(["red", "green"].contains(&animal["colour"].as_str().unwrap()));
		assert!(animal["legs"].as_u64().unwrap() <= 8);
		assert_eq!(animal.as_object().unwrap().len(), 3);
	}
	worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn conversations_should_be_read_in_all_their_forms() {
	let (worker, gateway) = gateway().await;
	let asked = |messages: Value| with(chat(""), json!({"messages": messages}));
	let plain = json!([
		{"role": "system", "content": "Be kind."},
		{"role": "user", "content": "Hello there"},
	]);
	let parts = json!([
		{"role": "developer", "content": [{"type": "text", "text": "Be kind."}]},
		{"role": "user", "name": "me", "content": [
			{"type": "text", "text": "Hello "}, {"type": "text", "text": "there"},
		]},
	]);
	let hash =
		|answer: &Value| answer["choices"][0]["openledger"]["receipt"]["prompt_hash"].clone();
	let first = gateway.chat(&asked(plain)).await;
	let second = gateway.chat(&asked(parts)).await;
	assert_eq!(hash(&first), hash(&second));
	// An answer goes back as it came.
	let mut message = first["choices"][0]["message"].clone();
	message["tool_calls"] = Value::Null;
	let again =
		json!([{"role": "user", "content": "Hello"}, message, {"role": "user", "content": "?"}]);
	gateway.chat(&asked(again)).await;
	worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fields_that_ask_for_nothing_should_be_taken() {
	let (worker, gateway) = gateway().await;
	let nothing = json!({
		"user": "somebody", "store": false, "metadata": {"a": "b"}, "tools": [], "tool_choice": "none",
		"functions": null, "modalities": ["text"], "logit_bias": {}, "stop": null, "n": 1,
		"presence_penalty": 0, "response_format": {"type": "text"}, "top_p": 0.9, "seed": null,
		"max_completion_tokens": 3, "stream": false, "parallel_tool_calls": true,
	});
	let answer = gateway.chat(&with(chat("Hello"), nothing)).await;
	assert!(answer["usage"]["completion_tokens"].as_u64().unwrap() <= 3);
	worker.stop().await;
}
