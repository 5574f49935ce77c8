//! The program: its arguments, its exit codes, what it says.

use crate::support::{base, model, InProcess, Process};
use openledger_worker::{Config, Daemon, StartError};
use std::process::{Command, Output};

fn run(arguments: &[&str]) -> Output {
	Command::new(env!("CARGO_BIN_EXE_openledger-worker")).args(arguments).output().unwrap()
}

fn stderr(output: &Output) -> String {
	String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn hash_should_print_what_the_chain_knows_a_base_model_by() {
	let path = model().to_str().unwrap();
	let output = run(&["hash", path, "--format", "json"]);
	assert!(output.status.success(), "{}", stderr(&output));
	let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
	assert_eq!(json["weights"], format!("{:#x}", base().weights));
	assert_eq!(json["tokenizer"], format!("{:#x}", base().tokenizer));
	assert_eq!(json["architecture"], "LlamaForCausalLM");
	let parameters = json["parameters"].as_u64().unwrap();
	// Each is four bytes of the safetensors file, and its header is a few kilobytes.
	let file = std::fs::metadata(model().join("model.safetensors")).unwrap().len();
	assert!((parameters * 4..parameters * 4 + 16_384).contains(&file), "{parameters} {file}");

	let text = String::from_utf8(run(&["hash", path]).stdout).unwrap();
	assert!(text.contains(&format!("{:#x}", base().weights)), "{text}");
}

#[tokio::test]
async fn an_address_that_is_not_loopback_should_be_refused_by_name() {
	let data = tempfile::tempdir().unwrap();
	let path = model().to_str().unwrap();
	for address in ["0.0.0.0:0", "192.168.1.1:9955", "[::]:0", "nonsense"] {
		let folder = data.path().to_str().unwrap();
		let output = run(&["--base", path, "--data", folder, "--listen", address]);
		assert_eq!(output.status.code(), Some(2), "{address}");
		assert!(stderr(&output).contains(address), "{}", stderr(&output));
	}
	let mut config = Config::new(Vec::new(), data.path().into());
	config.listen = ([0, 0, 0, 0], 0).into();
	let error = Daemon::start(config).await.unwrap_err();
	assert!(matches!(error, StartError::NotLoopback(_)), "{error}");
}

#[test]
fn what_cannot_be_served_should_have_its_own_exit_code() {
	let data = tempfile::tempdir().unwrap();
	let folder = data.path().to_str().unwrap();
	let garbage = data.path().join("garbage.gguf");
	std::fs::write(&garbage, b"not a model").unwrap();
	for base in ["/does/not/exist", garbage.to_str().unwrap(), folder] {
		let output = run(&["--base", base, "--data", folder, "--listen", "127.0.0.1:0"]);
		assert_eq!(output.status.code(), Some(3), "{base}: {}", stderr(&output));
		assert_eq!(run(&["hash", base]).status.code(), Some(3));
	}
	assert_eq!(run(&["--data", folder]).status.code(), Some(2));
}

#[test]
fn a_data_folder_should_have_one_worker_and_an_address_too() {
	let data = tempfile::tempdir().unwrap();
	let worker = Process::start(data.path(), &[]);
	let path = model().to_str().unwrap();
	let serve = |folder: &std::path::Path, listen: &str| {
		run(&["--base", path, "--data", folder.to_str().unwrap(), "--listen", listen])
	};
	let second = serve(data.path(), "127.0.0.1:0");
	assert_eq!(second.status.code(), Some(4), "{}", stderr(&second));
	let elsewhere = tempfile::tempdir().unwrap();
	let third = serve(elsewhere.path(), &worker.client.address());
	assert_eq!(third.status.code(), Some(5), "{}", stderr(&third));
	assert_eq!(worker.terminate(), Some(0));
}

#[tokio::test]
async fn health_should_name_the_base_models_and_metrics_should_count() {
	let worker = InProcess::start(|_| {}).await;
	let health = worker.client.json("/health").await;
	assert_eq!(health["status"], "ok");
	assert_eq!(health["base_models"][0]["weights"], format!("{:#x}", base().weights));
	let nothing = serde_json::json!({"queued": 0, "running": 0, "waiting_for_disk": 0});
	assert_eq!(health["jobs"], nothing);
	let metrics = worker.client.get("/metrics").await;
	let metrics = metrics.text().await.unwrap();
	assert!(
		metrics.contains(r#"openledger_worker_http_responses_total{status="200"} 1"#),
		"{metrics}"
	);
	assert!(metrics.contains("openledger_worker_jobs_queued 0"), "{metrics}");
	worker.stop().await;
}
