//! The clock on the wall jumps under a running worker: nothing that it has is lost, nobody waits.

use crate::{
	gateway::{chat, model_name, with},
	support::{
		contributions, inference_order, kept_folder, model, text, trained_data, training_order,
		Process, SPEC,
	},
};
use openledger_primitives::H256;
use reqwest::StatusCode;
use serde_json::json;
use std::{
	env, fs,
	path::{Path, PathBuf},
	process::Command,
	time::Duration,
};

const YEAR: i64 = 365 * 24 * 60 * 60;

/// For the worker to look for what is over: it does every five seconds.
const SWEEP: Duration = Duration::from_secs(7);

/// What moves a program's clock, see `data/wall_clock.rs`.
fn compiled(folder: &Path) -> PathBuf {
	let library = folder.join("wall_clock.so");
	let cargo = PathBuf::from(env::var_os("CARGO").expect("run by cargo"));
	let done = Command::new(cargo.with_file_name("rustc"))
		.args(["--edition", "2021", "--crate-type", "cdylib", "-O", "-C", "panic=abort", "-o"])
		.arg(&library)
		.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/wall_clock.rs"))
		.status();
	assert!(done.unwrap().success());
	library
}

/// A clock file that is always whole.
fn set(file: &Path, offset: i64) {
	let next = file.with_extension("next");
	fs::write(&next, offset.to_string()).unwrap();
	fs::rename(next, file).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn jumps_of_the_clock_should_cost_no_job_no_report_and_no_answer() {
	let folder = kept_folder();
	let (library, offset) = (compiled(folder.path()), folder.path().join("offset"));
	set(&offset, 0);
	let (data, trained) = trained_data();
	let clock = [("LD_PRELOAD", &*library), ("WALL_CLOCK_OFFSET", &*offset)];
	let worker = Process::start_in(clock, model(), data.path(), &["--gateway", "127.0.0.1:0"]);
	let (client, gateway) = (&worker.client, worker.gateway.as_ref().unwrap());
	let question = with(chat("Who keeps the lamp?"), json!({"model": model_name()}));
	let told = gateway.chat(&question).await["choices"].clone();

	let before = inference_order(1, text("Who keeps the north lamp?"), &trained);
	client.accepted(&before).await;
	client.answered(before.id).await;
	let contents = contributions();
	let training = training_order(2, SPEC, &contents);
	client.put_data(SPEC, &contents).await;
	client.accepted(&training).await;

	set(&offset, YEAR);
	tokio::time::sleep(SWEEP).await;
	client.answered(before.id).await;
	client.trained(training.id).await;
	assert_eq!(gateway.chat(&question).await["choices"], told);
	let during = inference_order(3, text("Who keeps the north lamp?"), &trained);
	let refused = client.post(&during).await;
	assert_eq!(refused.status(), StatusCode::GONE, "by this clock it is over");

	set(&offset, -YEAR);
	client.accepted(&during).await;
	client.answered(during.id).await;
	assert_eq!(gateway.chat(&question).await["choices"], told);

	set(&offset, 0);
	tokio::time::sleep(SWEEP).await;
	let after = inference_order(4, text("Who keeps the north lamp?"), &trained);
	client.accepted(&after).await;
	let ids: [H256; 3] = [before.id, during.id, after.id];
	for id in ids {
		client.answered(id).await;
	}
	client.trained(training.id).await;
	assert_eq!(gateway.chat(&question).await["choices"], told);
}
