//! Models by all their names, and what the operator does with them.

use super::{chat, gateway, gateway_in, model_name, with};
use crate::support::{base, inference_order, text, trained_data, Client, Process};
use openledger_engine::tiny;
use openledger_primitives::training::TrainingResult;
use openledger_worker::{Config, Daemon, GatewayConfig, StartError};
use reqwest::{Method, StatusCode};
use serde_json::{json, Value};
use std::{ffi::OsStr, process::Command};

/// An adapter as the operator loads it.
pub fn load(name: &str, trained: &TrainingResult) -> Value {
	json!({
		"lora_name": name,
		"adapter": format!("{:#x}", trained.adapter_hash),
		"span_index": format!("{:#x}", trained.span_index_root),
		"model": 5,
		"owner": "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY",
		"prices": {"input_per_1000": "1000000", "output_per_1000": "3000000"},
	})
}

async fn status(client: &Client, path: &str, body: Value) -> StatusCode {
	client.post_json(path, &body).await.status()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_should_answer_to_all_its_names() {
	let (data, trained) = trained_data();
	let (worker, gateway) = gateway_in(data, |_| {}).await;
	let (adapter, weights) = (trained.adapter_hash, base().weights);
	worker.client.ask("/v1/load_lora_adapter", &load("lamp/keeper", &trained)).await;
	let base_name = model_name();
	let names = [
		"lamp/keeper".to_owned(),
		"5".into(),
		format!("{base_name}:lamp/keeper"),
		format!("{base_name}:5"),
		format!("{base_name}:{adapter:#x}"),
		format!("{weights:#x}:{adapter:x}"),
	];
	for name in names {
		let answer = gateway.chat(&with(chat("Who keeps the lamp?"), json!({"model": name}))).await;
		assert_eq!(answer["model"], "lamp/keeper", "{name}");
		let receipt = &answer["choices"][0]["openledger"]["receipt"];
		assert_eq!(receipt["adapter"], format!("{adapter:#x}"));
		assert_eq!(receipt["model"], 5);
	}
	for name in [base_name.clone(), format!("{weights:#x}")] {
		let answer = gateway.chat(&with(chat("Who keeps the lamp?"), json!({"model": name}))).await;
		assert_eq!(answer["model"], base_name);
	}
	let models = gateway.json("/v1/models").await;
	assert_eq!(models["object"], "list");
	let [bare, lamp] = [0, 1].map(|at| models["data"][at].clone());
	assert_eq!((&bare["id"], &bare["parent"]), (&json!(base_name), &Value::Null));
	assert_eq!(lamp["parent"], json!(base_name));
	assert_eq!(lamp["owned_by"], load("", &trained)["owner"]);
	assert_eq!(lamp["openledger"]["adapter"], format!("{adapter:#x}"));
	assert_eq!(lamp["openledger"]["prices"]["output_per_1000"], "3000000");
	assert_eq!(gateway.json("/v1/models/lamp/keeper").await, lamp);
	assert_eq!(gateway.json("/v1/models/lamp%2Fkeeper").await, lamp);
	worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn adapters_should_be_loaded_pinned_counted_and_unloaded_by_hash() {
	let (data, trained) = trained_data();
	let (worker, gateway) = gateway_in(data, |_| {}).await;
	let operator = &worker.client;
	assert_eq!(operator.json("/v1/adapters").await, json!([]));
	let loaded = operator.ask("/v1/load_lora_adapter", &load("lamp", &trained)).await;
	assert_eq!((&loaded["hits"], &loaded["pinned"]), (&json!(0), &json!(false)));
	assert!(loaded["bytes"].as_u64().unwrap() > 1_000);
	for _ in 0..2 {
		gateway.chat(&with(chat("Who keeps the lamp?"), json!({"model": "lamp"}))).await;
	}
	let pinned = operator.ask("/v1/pin_lora_adapter", &json!({"lora_name": "lamp"})).await;
	assert_eq!((&pinned["pinned"], &pinned["hits"]), (&json!(true), &json!(2)));
	assert_eq!(pinned["references"], 0);
	operator.ask("/v1/unpin_lora_adapter", &json!({"lora_name": "lamp"})).await;
	let named = json!({"lora_name": "lamp"});
	assert_eq!(status(operator, "/v1/unload_lora_adapter", named.clone()).await, 204);
	assert_eq!(status(operator, "/v1/unload_lora_adapter", named.clone()).await, 404);
	assert_eq!(status(operator, "/v1/pin_lora_adapter", named).await, 404);
	let gone = with(chat("Hello"), json!({"model": "lamp"}));
	assert_eq!(gateway.refused("/v1/chat/completions", &gone).await.0, 404);

	let good = load("lamp", &trained);
	for (change, expected) in [
		(json!({"lora_path": "/etc/passwd"}), 400),
		(json!({"lora_name": "../../etc"}), 200),
		(json!({"lora_name": "a b"}), 400),
		(json!({"lora_name": "7"}), 400),
		(json!({"lora_name": model_name()}), 400),
		(json!({"adapter": "/etc/passwd"}), 400),
		(json!({"adapter": "ab".repeat(32)}), 422),
		(json!({"base": "ab".repeat(32)}), 422),
		(json!({"prices": {"input_per_1000": -1, "output_per_1000": 0}}), 400),
		(json!({"owner": "x".repeat(200)}), 400),
	] {
		// A number on chain is one model's.
		let body = with(with(good.clone(), json!({"model": null})), change.clone());
		assert_eq!(status(operator, "/v1/load_lora_adapter", body).await, expected, "{change}");
	}
	worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn models_of_jobs_should_be_known_by_their_number_also_after_a_restart() {
	let (data, trained) = trained_data();
	let worker = Process::start(data.path(), &["--gateway", "127.0.0.1:0"]);
	let order = inference_order(1, text("Who keeps the lamp?"), &trained);
	worker.client.accepted(&order).await;
	worker.client.answered(order.id).await;
	let body = with(chat("Who keeps the lamp?"), json!({"model": "5"}));
	assert_eq!(worker.gateway.as_ref().unwrap().chat(&body).await["model"], "openledger/5");
	assert_eq!(worker.terminate(), Some(0));
	let (worker, gateway) = gateway_in(data, |_| {}).await;
	assert_eq!(gateway.chat(&body).await["model"], "openledger/5");
	worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_base_model_should_have_a_name_and_prices_too() {
	let (worker, gateway) = gateway().await;
	let prices = json!({"input_per_1000": 5, "output_per_1000": 6});
	for name in [model_name(), "tiny".into()] {
		let body = json!({"lora_name": name, "prices": prices});
		worker.client.ask("/v1/load_lora_adapter", &body).await;
	}
	let models = gateway.json("/v1/models").await;
	let models = models["data"].as_array().unwrap();
	assert_eq!(models.len(), 2, "{models:?}");
	for model in models {
		assert_eq!(model["openledger"]["prices"]["input_per_1000"], "5");
		assert_eq!(model["parent"], Value::Null);
	}
	worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_should_have_vllms_names() {
	let (data, trained) = trained_data();
	let (worker, gateway) = gateway_in(data, |_| {}).await;
	worker.client.ask("/v1/load_lora_adapter", &load("lamp", &trained)).await;
	let answer = gateway.chat(&with(chat("Hello"), json!({"model": "lamp"}))).await;
	let metrics = worker.client.get("/metrics").await.text().await.unwrap();
	let usage = &answer["usage"];
	// Whatever adapter answers, metrics have the base model's name.
	let of_base =
		|name: &str, value: &Value| format!("{name}{{model_name=\"{}\"}} {value}\n", model_name());
	for line in [
		of_base("vllm:num_requests_running", &json!(0)),
		of_base("vllm:num_requests_waiting", &json!(0)),
		of_base("vllm:prompt_tokens_total", &usage["prompt_tokens"]),
		of_base("vllm:generation_tokens_total", &usage["completion_tokens"]),
		of_base("vllm:time_to_first_token_seconds_count", &json!(1)),
		of_base("vllm:e2e_request_latency_seconds_count", &json!(1)),
		of_base("vllm:prefix_cache_hits_total", &json!(0)),
		of_base("vllm:prefix_cache_queries_total", &usage["prompt_tokens"]),
		"vllm:inter_token_latency_seconds_bucket{".into(),
		of_base("vllm:request_decode_time_seconds_count", &json!(1)),
		of_base("vllm:request_time_per_output_token_seconds_count", &json!(1)),
		of_base("vllm:request_prompt_tokens_sum", &usage["prompt_tokens"]),
		of_base("vllm:request_generation_tokens_sum", &usage["completion_tokens"]),
		"vllm:request_success_total{finished_reason=".into(),
		"vllm:lora_requests_info{max_lora=".into(),
		"openledger_worker_jobs_queued 0".into(),
	] {
		assert!(metrics.contains(&line), "{line}\n{metrics}");
	}
	assert!(!metrics.contains("model_name=\"lamp\""), "{metrics}");
	let health = worker.client.json("/health").await;
	assert_eq!(
		health["gateway"],
		json!({"status": "ok", "requests": {"running": 0, "waiting": 0}})
	);
	assert_eq!(gateway.json("/health").await["status"], "ok");
	let none = worker.client.request(Method::POST, "/v1/chat/completions").send().await.unwrap();
	assert_eq!(none.status(), StatusCode::NOT_FOUND);
	worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn base_models_of_one_name_should_be_refused_before_anybody_asks() {
	let folders = tempfile::tempdir().unwrap();
	let bases = ["first", "second"].map(|folder| folders.path().join(folder).join("model"));
	for (seed, base) in (0..).zip(&bases) {
		tiny::write_model(base, seed).unwrap();
	}
	let mut config = Config::new(bases.to_vec(), folders.path().join("without"));
	config.listen = ([127, 0, 0, 1], 0).into();
	// The chain asks for base models by their hashes.
	Daemon::start(config.clone()).await.unwrap().stop().await;
	config.gateway = Some(GatewayConfig::new(([127, 0, 0, 1], 0).into()));
	config.data = folders.path().join("with");
	let error = Daemon::start(config).await.unwrap_err();
	assert!(matches!(error, StartError::SameName { .. }), "{error}");
	for expected in ["first/model", "second/model", "rename"] {
		assert!(error.to_string().contains(expected), "{error}");
	}
	let output = Command::new(env!("CARGO_BIN_EXE_openledger-worker"))
		.args(["--listen", "127.0.0.1:0", "--gateway", "127.0.0.1:0"])
		.args(bases.iter().flat_map(|base| [OsStr::new("--base"), base.as_os_str()]))
		.arg("--data")
		.arg(folders.path().join("command"))
		.output()
		.unwrap();
	assert_eq!(output.status.code(), Some(2));
}
