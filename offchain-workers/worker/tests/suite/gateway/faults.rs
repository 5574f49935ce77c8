//! What goes wrong with adapters and disks while people ask: it costs nobody else an answer, and it ends.

use super::{admin::load, chat, gateway_in, key, model_name, refusal, with};
use crate::support::{allow, base, trained_data, Client, Process};
use openledger_engine::{
	tiny::{random_adapter, TinyModel},
	LoraConfig, TargetModule,
};
use openledger_primitives::{content::content_hash, training::TrainingResult, H256};
use openledger_worker::{
	gateway::{keys, ledger},
	models::adapter_metadata,
};
use reqwest::StatusCode;
use serde_json::{json, Value};
use std::{fs, path::Path};

const CHAT: &str = "/v1/chat/completions";

/// A chat with the model of this name.
fn chat_with(model: &str) -> Value {
	with(chat("Who keeps the lamp?"), json!({"model": model}))
}

/// What the model of this name answers.
async fn answer(gateway: &Client, model: &str) -> Value {
	gateway.chat(&chat_with(model)).await["choices"][0]["message"]["content"].clone()
}

/// A random adapter in a file that says it was trained on the base model with these weights.
fn adapter(seed: u64, weights: H256) -> Vec<u8> {
	let config = LoraConfig::new(4, 8.0, [TargetModule::QProj, TargetModule::DownProj]);
	let adapter = random_adapter(config, &TinyModel::default().config(), seed).unwrap();
	let base = openledger_primitives::worker_api::BaseModelHashes { weights, ..base() };
	adapter.to_bytes(&adapter_metadata(base, H256::zero(), H256::zero())).unwrap()
}

/// Loads an adapter of this content under a name; gives the answer's status and message.
async fn load_bytes(operator: &Client, name: &str, bytes: &[u8]) -> (StatusCode, String) {
	operator.put(bytes).await;
	let trained = TrainingResult {
		adapter_hash: content_hash(bytes),
		span_index_root: H256::zero(),
		influence_root: H256::zero(),
		metrics: Default::default(),
	};
	let body = with(load(name, &trained), json!({"model": null, "span_index": null}));
	let response = operator.post_json("/v1/load_lora_adapter", &body).await;
	(response.status(), response.text().await.unwrap())
}

/// The file of a blob.
fn blob(data: &Path, hash: H256) -> std::path::PathBuf {
	let name = format!("{hash:x}");
	let (folder, file) = name.split_at(2);
	data.join("blobs").join(folder).join(file)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_adapter_damaged_on_disk_should_be_missed_until_it_is_put_again() {
	let (data, trained) = trained_data();
	let (worker, gateway) = gateway_in(data, |_| {}).await;
	worker.client.ask("/v1/load_lora_adapter", &load("lamp", &trained)).await;
	let path = blob(worker.data.path(), trained.adapter_hash);
	let whole = fs::read(&path).unwrap();
	let mut damaged = whole.clone();
	*damaged.last_mut().unwrap() ^= 1;
	fs::write(&path, damaged).unwrap();

	let (status, error) = gateway.refused(CHAT, &chat_with("lamp")).await;
	assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
	assert_eq!(error["code"], "adapter_missing");
	answer(&gateway, &model_name()).await;

	worker.client.put(&whole).await;
	let told = answer(&gateway, "lamp").await;
	assert!(!told.as_str().unwrap().is_empty());
	worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn adapters_that_cannot_be_served_should_be_refused_by_name_when_they_are_loaded() {
	let (worker, gateway) = gateway_in(tempfile::tempdir().unwrap(), |_| {}).await;
	let good = adapter(1, base().weights);
	let mut without_number = good.clone();
	let end = without_number.len();
	without_number[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
	let elsewhere = adapter(1, H256([9; 32]));
	for (what, bytes, why) in [
		("nan", &without_number[..], "not finite"),
		("elsewhere", &elsewhere, "another base model"),
		("cut", &good[..end - 100], "declares"),
		("noise", b"no adapter at all", "header"),
	] {
		let (status, message) = load_bytes(&worker.client, what, bytes).await;
		assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{what}: {message}");
		assert!(message.contains(why), "{what}: {message}");
		assert_eq!(gateway.refused(CHAT, &chat_with(what)).await.0, StatusCode::NOT_FOUND);
	}
	assert_eq!(load_bytes(&worker.client, "good", &good).await.0, StatusCode::OK);
	answer(&gateway, "good").await;
	worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn adapters_that_push_each_other_out_should_all_answer_as_they_do_alone() {
	const ADAPTERS: u64 = 4;
	let (worker, gateway) =
		gateway_in(tempfile::tempdir().unwrap(), |config| config.serving.max_adapters = 1).await;
	let names: Vec<_> = (0..ADAPTERS).map(|seed| format!("random-{seed}")).collect();
	let mut alone = Vec::new();
	for (seed, name) in (0..).zip(&names) {
		let loaded = load_bytes(&worker.client, name, &adapter(seed, base().weights)).await;
		assert_eq!(loaded.0, StatusCode::OK, "{}", loaded.1);
		alone.push(answer(&gateway, name).await);
	}
	assert_ne!(alone[0], alone[1], "adapters make a difference");
	let asked: Vec<_> = (0..5)
		.flat_map(|_| names.clone())
		.map(|name| {
			let gateway = gateway.clone();
			tokio::spawn(async move { answer(&gateway, &name).await })
		})
		.collect();
	for (asked, expected) in asked.into_iter().zip(alone.iter().cycle()) {
		assert_eq!(&asked.await.unwrap(), expected);
	}
	let adapters = worker.client.json("/v1/adapters").await;
	let tier = |adapter: &&Value| adapter["tier"] == "memory";
	assert!(adapters.as_array().unwrap().iter().filter(tier).count() <= 1, "{adapters}");
	worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_should_stop_keys_from_spending_and_forget_nothing_that_was_spent() {
	let data = tempfile::tempdir().unwrap();
	let alice = key(&data, "alice", Some(keys::SpendLimit::Tokens(10_000)));
	let worker = Process::start(data.path(), &["--gateway", "127.0.0.1:0"]);
	let gateway = worker.gateway.as_ref().unwrap().with_key(&alice);
	let used = |answer: Value| answer["usage"]["total_tokens"].as_u64().unwrap();
	allow(&worker, Some(0));
	// What was computed is given; what cannot be put on account is not begun.
	let mut tokens = used(gateway.chat(&chat("Hello")).await);
	let (status, error) = refusal(gateway.post_json(CHAT, &chat("Hello")).await).await;
	assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{error}");
	assert!(error["message"].as_str().unwrap().contains("disk"), "{error}");
	allow(&worker, None);
	tokens += used(gateway.chat(&chat("Hello")).await);
	worker.kill();
	let id = &keys::list(data.path()).unwrap()[0].id;
	let spent = ledger::read(data.path()).unwrap()[id];
	assert_eq!(spent.input_tokens + spent.output_tokens, tokens);
}
