//! Who may ask, and for how much.

use super::{admin::load, chat, gateway_in, key, model_name, refusal, with};
use crate::support::{base, model, trained_data, Process};
use openledger_worker::{
	gateway::{
		amounts::Planks,
		keys::{self, SpendLimit},
		ledger,
	},
	Config, Daemon, GatewayConfig, StartError,
};
use reqwest::{header, Method, StatusCode};
use serde_json::json;
use std::{path::Path, process::Command, time::Duration};

const CHAT: &str = "/v1/chat/completions";

/// What a key has spent, as it stands on disk.
pub fn spent(data: &Path, name: &str) -> ledger::Spent {
	let keys = keys::list(data).unwrap();
	let id = &keys.iter().find(|key| key.name == name).unwrap().id;
	ledger::read(data).unwrap().get(id).copied().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn only_known_keys_should_be_answered_and_changes_be_seen_at_once() {
	let data = tempfile::tempdir().unwrap();
	let alice = key(&data, "alice", None);
	let (worker, gateway) = gateway_in(data, |_| {}).await;
	for request in [
		gateway.request(Method::GET, "/v1/models"),
		gateway.request(Method::GET, "/v1/nothing"),
		gateway.request(Method::POST, CHAT).json(&chat("Hello")),
		gateway.request(Method::GET, "/v1/models").bearer_auth("sk-openledger-00"),
		gateway.request(Method::GET, "/v1/models").bearer_auth(""),
		gateway.request(Method::GET, "/v1/models").basic_auth("alice", Some(&alice)),
		gateway
			.request(Method::GET, "/v1/models")
			.header(header::AUTHORIZATION, b"\xff".as_slice()),
	] {
		let response = request.send().await.unwrap();
		assert_eq!(response.headers()[header::WWW_AUTHENTICATE], "Bearer");
		let (status, error) = refusal(response).await;
		assert_eq!((status, &error["code"]), (StatusCode::UNAUTHORIZED, &json!("invalid_api_key")));
	}
	assert_eq!(gateway.get("/health").await.status(), StatusCode::OK);
	gateway.with_key(&alice).chat(&chat("Hello")).await;
	// Keys come and go while the worker runs.
	let bob = key(&worker.data, "bob", None);
	gateway.with_key(&bob).chat(&chat("Hello")).await;
	for name in ["alice", "bob"] {
		keys::remove(worker.data.path(), name).unwrap();
	}
	for secret in [&alice, &bob] {
		let gone = gateway.with_key(secret).get("/v1/models").await;
		assert_eq!(gone.status(), StatusCode::UNAUTHORIZED);
	}
	// Without any key left, nobody is answered.
	assert_eq!(gateway.get("/v1/models").await.status(), StatusCode::UNAUTHORIZED);
	worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_in_tokens_should_hold_to_the_token() {
	let data = tempfile::tempdir().unwrap();
	let prompt_tokens = "user\nHello\nassistant\n".len() as u64 + 3;
	// Enough for three answers of 12 tokens.
	let secret = key(&data, "alice", Some(SpendLimit::Tokens(3 * (prompt_tokens + 12))));
	let (worker, gateway) = gateway_in(data, |_| {}).await;
	let client = gateway.with_key(&secret);
	let body = with(chat("Hello"), json!({"ignore_eos": true}));
	for number in 1..=3 {
		let answer = if number == 2 {
			let usage = json!({"stream_options": {"include_usage": true}});
			client.stream(CHAT, &with(body.clone(), usage)).await.pop().unwrap()
		} else {
			client.chat(&body).await
		};
		assert_eq!(answer["usage"]["total_tokens"], prompt_tokens + 12);
		// It was written down before the answer had ended.
		let spent = spent(worker.data.path(), "alice");
		assert_eq!(spent.input_tokens, number * prompt_tokens);
		assert_eq!(spent.output_tokens, number * 12);
	}
	let (status, error) = client.refused(CHAT, &body).await;
	assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
	assert_eq!(
		(&error["type"], &error["code"]),
		(&json!("insufficient_quota"), &json!("insufficient_quota"))
	);
	// What asks for nothing is still answered.
	assert_eq!(client.get("/v1/models").await.status(), StatusCode::OK);
	keys::set_limit(
		worker.data.path(),
		"alice",
		Some(SpendLimit::Tokens(4 * (prompt_tokens + 12))),
	)
	.unwrap();
	client.chat(&body).await;
	worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_in_open_should_count_the_models_prices() {
	let (data, trained) = trained_data();
	let prompt_tokens = "user\nHello\nassistant\n".len() as u128 + 3;
	let most = (prompt_tokens * 1_000_000 + 12 * 3_000_000u128).div_ceil(1_000);
	let secret = key(&data, "alice", Some(SpendLimit::Planks(Planks(most))));
	let (worker, gateway) = gateway_in(data, |_| {}).await;
	worker.client.ask("/v1/load_lora_adapter", &load("lamp", &trained)).await;
	let client = gateway.with_key(&secret);
	// A base model without prices costs nothing.
	client.chat(&chat("Hello")).await;
	assert_eq!(spent(worker.data.path(), "alice").planks, Planks(0));
	let body = with(chat("Hello"), json!({"model": "lamp", "ignore_eos": true}));
	let (status, _) = client.refused(CHAT, &with(body.clone(), json!({"max_tokens": 13}))).await;
	assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
	let two = json!({"max_tokens": 2});
	client.chat(&with(body.clone(), two)).await;
	let cost = (prompt_tokens * 1_000_000 + 2 * 3_000_000).div_ceil(1_000);
	assert_eq!(spent(worker.data.path(), "alice").planks, Planks(cost));
	assert_eq!(client.refused(CHAT, &body).await.0, StatusCode::TOO_MANY_REQUESTS);
	// A base model with prices costs as much by whatever name it is asked for.
	let prices = json!({"input_per_1000": "1000000000", "output_per_1000": "1000000000"});
	let named = json!({"lora_name": model_name(), "prices": prices});
	worker.client.ask("/v1/load_lora_adapter", &named).await;
	for name in [model_name(), format!("{:#x}", base().weights)] {
		let body = with(chat("Hello"), json!({"model": name}));
		let (status, error) = client.refused(CHAT, &body).await;
		assert_eq!(
			(status, &error["code"]),
			(StatusCode::TOO_MANY_REQUESTS, &json!("insufficient_quota"))
		);
	}
	worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_killed_in_mid_stream_should_know_what_was_spent_and_answer_again() {
	let data = tempfile::tempdir().unwrap();
	let secret = key(&data, "alice", Some(SpendLimit::Tokens(10_000)));
	let worker = Process::start(data.path(), &["--gateway", "127.0.0.1:0"]);
	let client = worker.gateway.clone().unwrap().with_key(&secret);
	let answer = client.chat(&chat("Hello")).await;
	let endless = json!({"stream": true, "max_tokens": 1_500, "ignore_eos": true});
	let mut streaming = client.post_json(CHAT, &with(chat("Hello"), endless)).await;
	for _ in 0..5 {
		streaming.chunk().await.unwrap().unwrap();
	}
	worker.kill();
	let rest = async {
		while streaming.chunk().await?.is_some() {}
		Ok::<_, reqwest::Error>(())
	};
	assert!(rest.await.is_err(), "a stream that broke off does not look as if it had ended");

	let worker = Process::start(data.path(), &["--gateway", "127.0.0.1:0"]);
	let client = worker.gateway.clone().unwrap().with_key(&secret);
	let total = spent(data.path(), "alice");
	assert_eq!(total.input_tokens + total.output_tokens, answer["usage"]["total_tokens"]);
	let again = client.chat(&chat("Hello")).await;
	assert_eq!(again["choices"][0]["message"], answer["choices"][0]["message"]);
	assert_eq!(worker.terminate(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clients_disconnect_should_end_its_answer_and_cost_what_was_written() {
	let data = tempfile::tempdir().unwrap();
	let secret = key(&data, "alice", Some(SpendLimit::Tokens(1_000_000)));
	let (worker, gateway) = gateway_in(data, |_| {}).await;
	let client = gateway.with_key(&secret);
	let endless = with(chat("Hello"), json!({"max_tokens": 1_900, "ignore_eos": true}));
	let mut streaming =
		client.post_json(CHAT, &with(endless.clone(), json!({"stream": true}))).await;
	for _ in 0..5 {
		streaming.chunk().await.unwrap().unwrap();
	}
	drop(streaming);
	let asking = client.request(Method::POST, CHAT).json(&endless);
	assert!(asking.timeout(Duration::from_millis(300)).send().await.is_err());
	for _ in 0..600 {
		let health = worker.client.json("/health").await;
		let idle = json!({"running": 0, "waiting": 0});
		let total = spent(worker.data.path(), "alice");
		if health["gateway"]["requests"] == idle && total.output_tokens > 0 {
			assert!(total.output_tokens < 2 * 1_900, "{total:?}");
			// Nothing is reserved any more, once both are settled.
			let limit = total.input_tokens + total.output_tokens + 200;
			keys::set_limit(worker.data.path(), "alice", Some(SpendLimit::Tokens(limit))).unwrap();
			if client.post_json(CHAT, &chat("Hello")).await.status() == StatusCode::OK {
				worker.stop().await;
				return;
			}
		}
		tokio::time::sleep(Duration::from_millis(50)).await;
	}
	panic!("the answers did not end, or something is still reserved");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_tenants_flood_should_not_starve_another() {
	let data = tempfile::tempdir().unwrap();
	let [flooder, other] = ["flooder", "other"].map(|name| key(&data, name, None));
	let (worker, gateway) = gateway_in(data, |_| {}).await;
	let flooder = gateway.with_key(&flooder);
	let other = gateway.with_key(&other);
	// So long that none has ended when the last one comes.
	let long = with(chat("Flood"), json!({"max_tokens": 1_000, "ignore_eos": true}));
	let mut floods = tokio::task::JoinSet::new();
	for _ in 0..300 {
		let (flooder, long) = (flooder.clone(), long.clone());
		floods.spawn(async move { flooder.post_json(CHAT, &long).await.status() });
	}
	let refused = loop {
		let status = floods.join_next().await.unwrap().unwrap();
		if status == StatusCode::TOO_MANY_REQUESTS {
			break status;
		}
	};
	assert_eq!(refused, 429);
	let begun = std::time::Instant::now();
	other.chat(&chat("Me too")).await;
	let waited = begun.elapsed();
	let done = std::iter::from_fn(|| floods.try_join_next()).count();
	assert!(floods.len() > 100, "the other waited {waited:?} behind {done} of the flood");
	floods.abort_all();
	worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn elsewhere_than_on_loopback_the_gateway_should_need_keys() {
	let data = tempfile::tempdir().unwrap();
	let config = || {
		let mut config = Config::new(vec![model().into()], data.path().into());
		config.listen = ([127, 0, 0, 1], 0).into();
		config.gateway = Some(GatewayConfig::new(([0, 0, 0, 0], 0).into()));
		config
	};
	let error = Daemon::start(config()).await.unwrap_err();
	assert!(matches!(error, StartError::GatewayNeedsKeys(_)), "{error}");
	key(&data, "alice", None);
	Daemon::start(config()).await.unwrap().stop().await;
}

#[test]
fn keys_should_be_managed_from_the_command_line() {
	let data = tempfile::tempdir().unwrap();
	let run = |arguments: &[&str]| {
		let output = Command::new(env!("CARGO_BIN_EXE_openledger-worker"))
			.arg("keys")
			.args(arguments)
			.arg("--data")
			.arg(data.path())
			.output()
			.unwrap();
		(output.status.success(), String::from_utf8(output.stdout).unwrap())
	};
	let (ok, secret) = run(&["add", "alice", "--open", "2.5"]);
	assert!(ok && secret.starts_with("sk-openledger-"));
	assert!(run(&["add", "bob", "--tokens", "1000"]).0);
	assert!(!run(&["add", "bob"]).0);
	assert!(!run(&["add", "carol", "--tokens", "1", "--open", "1"]).0);
	let (_, list) = run(&["list"]);
	for line in ["alice", "limit  2.5 OPEN", "limit  1000 tokens", "spent  0 tokens of prompts"] {
		assert!(list.contains(line), "{list}");
	}
	assert!(!list.contains(secret.trim()));
	assert!(run(&["limit", "alice"]).0);
	assert!(run(&["list"]).1.contains("no limit"));
	assert!(run(&["remove", "alice"]).0);
	assert!(!run(&["remove", "alice"]).0);
}
