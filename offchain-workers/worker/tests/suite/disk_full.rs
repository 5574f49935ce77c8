//! A disk without room: nothing is taken in by halves, nothing is lost, and work goes on when there
//! is room again. The limit on the size of files that a process may write stands for the disk.

use crate::support::{allow, contributions, training_order, Process};
use openledger_primitives::{
	content::content_hash,
	worker_api::{Order, Report, Work},
	H256,
};
use reqwest::StatusCode;
use std::time::Duration;

const LITTLE: u64 = 24 * 1_024;

/// An order of more bytes than there is room for.
fn large_order() -> Order {
	let mut order = training_order(2, b"spec", &contributions());
	if let Work::Training(training) = &mut order.work {
		training.sources = training.sources.iter().copied().cycle().take(1_000).collect();
	}
	order
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_should_stop_training_and_lose_nothing() {
	let data = tempfile::tempdir().unwrap();
	let worker = Process::start(data.path(), &["--checkpoint-every", "0"]);
	let client = &worker.client;
	let contents = contributions();
	let spec: &[u8] = br#"{"version": 1, "rank": 4, "length": {"max_steps": 6}, "batch_size": 2,
		"heldout_permille": 0, "prompt_field": "question", "completion_field": "answer"}"#;
	client.put_data(spec, &contents).await;
	allow(&worker, Some(LITTLE));

	let large = vec![5; 100_000];
	let refused = client.put_as(content_hash(&large), &large).await;
	assert_eq!(refused.status(), StatusCode::INSUFFICIENT_STORAGE);
	assert_eq!(client.post(&large_order()).await.status(), StatusCode::INSUFFICIENT_STORAGE);
	assert_eq!(client.report(large_order().id).await, None, "it was not taken in by halves");

	// This one fits, but its checkpoints do not.
	let order = training_order(1, spec, &contents);
	client.accepted(&order).await;
	let path = format!("/v1/jobs/{:x}/events", order.id);
	for _ in 0.. {
		let events = client.json(&path).await;
		if events.as_array().unwrap().iter().any(|event| event["event"] == "step") {
			break;
		}
		tokio::time::sleep(Duration::from_millis(50)).await;
	}
	tokio::time::sleep(Duration::from_millis(500)).await;
	assert_eq!(client.report(order.id).await, Some(Report::Queued), "it waits for room");
	let health = client.json("/health").await;
	assert_eq!((&health["status"], &health["jobs"]["waiting_for_disk"]), (&"ok".into(), &1.into()));

	allow(&worker, None);
	let result = client.trained(order.id).await;
	assert_eq!(result.metrics.steps, 6);
	assert_ne!(result.adapter_hash, H256::zero());
	assert_eq!(client.put_as(content_hash(&large), &large).await.status(), StatusCode::CREATED);
	client.accepted(&large_order()).await;
}
