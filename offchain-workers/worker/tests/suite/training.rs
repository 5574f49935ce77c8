//! Training through the API: what is refused, and what a crash leaves.

use crate::support::{
	contribution, contributions, records, trained, training_order, Client, InProcess, Process, SPEC,
};
use codec::Encode;
use openledger_primitives::{
	contribution::ContributionContent,
	jobs::FailureReason,
	worker_api::{Report, Work},
	H256,
};
use reqwest::{Method, StatusCode};
use std::time::Duration;

/// The specification with other values for some fields.
fn spec_with(fields: &[(&str, serde_json::Value)]) -> Vec<u8> {
	let mut spec: serde_json::Value = serde_json::from_slice(SPEC).unwrap();
	for (name, value) in fields {
		spec[name] = value.clone();
	}
	spec.to_string().into_bytes()
}

/// A run that takes a while, with a checkpoint after every step.
fn long_spec() -> Vec<u8> {
	spec_with(&[("length", serde_json::json!({"max_steps": 60}))])
}

async fn steps(client: &Client, id: H256) -> Vec<u64> {
	let events = client.json(&format!("/v1/jobs/{id:x}/events")).await;
	let steps = events.as_array().unwrap().iter().filter(|event| event["event"] == "step");
	steps.map(|event| event["step"].as_u64().unwrap()).collect()
}

async fn until_step(client: &Client, id: H256, step: u64) {
	client.until(id, |report| *report != Report::Queued).await;
	while steps(client, id).await.last().is_none_or(|last| *last < step) {
		tokio::time::sleep(Duration::from_millis(10)).await;
	}
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_killed_while_it_trains_should_end_with_the_same_adapter() {
	let contents = contributions();
	let spec = long_spec();
	let order = training_order(1, &spec, &contents);
	let undisturbed = {
		let worker = InProcess::start(|_| {}).await;
		worker.client.put_data(&spec, &contents).await;
		worker.client.accepted(&order).await;
		let result = worker.client.trained(order.id).await;
		worker.stop().await;
		result
	};

	let data = tempfile::tempdir().unwrap();
	let often = ["--checkpoint-every", "0"];
	let worker = Process::start(data.path(), &often);
	worker.client.put_data(&spec, &contents).await;
	worker.client.accepted(&order).await;
	until_step(&worker.client, order.id, 10).await;
	worker.kill();

	// Once more, this time asked kindly.
	let worker = Process::start(data.path(), &often);
	until_step(&worker.client, order.id, 20).await;
	assert_eq!(worker.terminate(), Some(0));

	let worker = Process::start(data.path(), &often);
	assert_eq!(worker.client.trained(order.id).await, undisturbed);
	let taken = steps(&worker.client, order.id).await;
	assert!(taken.len() < 70, "training went on from its checkpoints: {taken:?}");
	let bytes = worker.client.report_bytes(order.id).await;
	assert_eq!(worker.client.post(&order).await.status(), StatusCode::OK);
	worker.kill();

	let worker = Process::start(data.path(), &often);
	assert_eq!(worker.client.report_bytes(order.id).await, bytes);
	let adapter = format!("/v1/blobs/{:x}", undisturbed.adapter_hash);
	assert_eq!(worker.client.get(&adapter).await.status(), StatusCode::OK);
	assert!(!data.path().join(format!("jobs/{:x}/checkpoint", order.id)).exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_should_be_told_step_by_step() {
	let worker = InProcess::start(|_| {}).await;
	let contents = contributions();
	let spec = spec_with(&[
		("length", serde_json::json!({"max_steps": 12})),
		("heldout_permille", serde_json::json!(200)),
	]);
	let order = training_order(1, &spec, &contents);
	worker.client.put_data(&spec, &contents).await;
	worker.client.accepted(&order).await;
	let result = worker.client.trained(order.id).await;
	assert_eq!(result.metrics.steps, 12);
	assert!(result.metrics.heldout_loss_before_micro > 0);
	assert!(result.metrics.heldout_loss_after_micro > 0);
	assert_eq!(result.influence_root, H256::zero());

	let path = format!("/v1/jobs/{:x}/events", order.id);
	let events = worker.client.json(&path).await;
	let names: Vec<&str> =
		events.as_array().unwrap().iter().map(|event| event["event"].as_str().unwrap()).collect();
	assert_eq!(names[..2], ["started", "heldout"]);
	assert_eq!(names[names.len() - 2..], ["heldout", "finished"]);
	let step = events.as_array().unwrap().iter().find(|event| event["event"] == "step").unwrap();
	for field in ["number", "step", "of", "loss", "tokens", "learning_rate", "grad_norm", "seconds"]
	{
		assert!(step[field].is_number(), "{field}: {step}");
	}
	let later = worker.client.json(&format!("{path}?after=3")).await;
	assert_eq!(later[0]["number"], 4);
	let metrics = worker.client.get("/metrics").await.text().await.unwrap();
	assert!(metrics.contains("openledger_worker_training_step_seconds_count 12"), "{metrics}");
	assert!(metrics.contains(r#"jobs_total{kind="training",outcome="done"} 1"#), "{metrics}");
	worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_order_should_give_the_same_adapter_on_another_worker() {
	let (_, first) = trained();
	let worker = InProcess::start(|_| {}).await;
	let contents = contributions();
	let order = training_order(77, SPEC, &contents);
	worker.client.put_data(SPEC, &contents).await;
	worker.client.accepted(&order).await;
	assert_eq!(worker.client.trained(order.id).await, *first);
	worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn data_that_is_not_what_the_chain_says_should_be_refused() {
	let worker = InProcess::start(|_| {}).await;
	let client = &worker.client;
	client.put(SPEC).await;
	let content = contribution(&records(), 1);
	client.put(&content.encode()).await;
	client.put(b"this is no contribution").await;
	let empty = ContributionContent::default();
	client.put(&empty.encode()).await;
	let not_canonical = {
		let mut content = contribution(&records(), 2);
		content.records[3].canonical = b" two  spaces ".to_vec();
		content
	};
	client.put(&not_canonical.encode()).await;

	let changed =
		|job: u64, change: fn(&mut openledger_primitives::worker_api::SourceContribution)| {
			let mut order = training_order(job, SPEC, std::slice::from_ref(&content));
			if let Work::Training(order) = &mut order.work {
				change(&mut order.sources[0]);
			}
			order
		};
	let cases = [
		changed(1, |source| source.root = H256([9; 32])),
		changed(2, |source| source.records += 1),
		changed(3, |source| {
			source.content =
				openledger_primitives::content::content_hash(b"this is no contribution");
		}),
		changed(4, |source| source.content = H256([9; 32])),
		training_order(5, SPEC, &[empty]),
		training_order(6, SPEC, &[not_canonical]),
		training_order(7, SPEC, &[]),
	];
	for order in &cases {
		client.accepted(order).await;
	}
	for order in cases {
		let report = client.ended(order.id).await;
		assert_eq!(report, Report::Failed(FailureReason::DataUnavailable), "{order:?}");
	}
	worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn specifications_that_cannot_be_followed_should_be_refused() {
	let worker = InProcess::start(|_| {}).await;
	let client = &worker.client;
	let contents = contributions();
	let specs: [Vec<u8>; 6] = [
		b"not json".to_vec(),
		b"{}".to_vec(),
		spec_with(&[("rank", 0.into())]),
		spec_with(&[("colour", "red".into())]),
		spec_with(&[("prompt_field", "nothing".into())]),
		spec_with(&[("max_tokens", 2.into())]),
	];
	for (job, spec) in (0..).zip(&specs) {
		client.put_data(spec, &contents).await;
		let order = training_order(job, spec, &contents);
		client.accepted(&order).await;
		let report = client.ended(order.id).await;
		assert_eq!(report, Report::Failed(FailureReason::SpecificationUnusable), "{job}");
	}
	worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn data_that_comes_late_should_still_be_trained_on() {
	let patient = |config: &mut openledger_worker::Config| {
		config.patience.blobs = Duration::from_secs(60);
	};
	let worker = InProcess::start(patient).await;
	let client = &worker.client;
	let contents = contributions();
	let spec = spec_with(&[("length", serde_json::json!({"max_steps": 2}))]);
	let order = training_order(1, &spec, &contents);
	client.accepted(&order).await;
	tokio::time::sleep(Duration::from_millis(300)).await;
	assert_eq!(client.report(order.id).await, Some(Report::Queued));
	client.put_data(&spec, &contents).await;
	assert_eq!(client.trained(order.id).await.metrics.steps, 2);
	worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_job_should_stop_and_leave_the_worker_free() {
	let worker = InProcess::start(|_| {}).await;
	let client = &worker.client;
	let contents = contributions();
	let spec = spec_with(&[("length", serde_json::json!({"max_steps": 1_000_000}))]);
	let endless = training_order(1, &spec, &contents);
	client.put_data(&spec, &contents).await;
	client.accepted(&endless).await;
	until_step(client, endless.id, 3).await;
	let path = format!("/v1/jobs/{:x}", endless.id);
	let gone = client.request(Method::DELETE, &path).send().await.unwrap();
	assert_eq!(gone.status(), StatusCode::NO_CONTENT);
	assert_eq!(client.report(endless.id).await, None);

	let short = spec_with(&[("length", serde_json::json!({"max_steps": 2}))]);
	client.put(&short).await;
	let next = training_order(2, &short, &contents);
	client.accepted(&next).await;
	assert_eq!(client.trained(next.id).await.metrics.steps, 2);
	worker.stop().await;
}
