//! Orders that are not taken, and jobs that come and go, without any model at work.

use crate::support::{
	in_an_hour, inference_order_of_nobody, text, training_order, InProcess, SPEC,
};
use codec::Encode;
use openledger_primitives::{
	content::Content,
	jobs::FailureReason,
	worker_api::{Report, Work, MAX_ORDER_BYTES},
	H256,
};
use openledger_worker::time;
use reqwest::{header, Method, StatusCode};
use std::time::Duration;

/// An order that waits for a prompt that never comes.
fn endless(request: u64) -> openledger_primitives::worker_api::Order {
	inference_order_of_nobody(request, Content::Hash(H256([request as u8; 32])))
}

#[tokio::test]
async fn orders_that_cannot_be_read_or_are_too_late_should_be_refused() {
	let worker = InProcess::start(|_| {}).await;
	let client = &worker.client;
	let order = inference_order_of_nobody(1, text("Hello"));
	for garbage in [Vec::new(), vec![255; 100], [order.encode(), vec![0]].concat()] {
		assert_eq!(client.post_bytes(garbage).await.status(), StatusCode::BAD_REQUEST);
	}
	let large = client.post_bytes(vec![0; MAX_ORDER_BYTES + 1]).await;
	assert_eq!(large.status(), StatusCode::PAYLOAD_TOO_LARGE);

	let mut expired = order.clone();
	expired.expires = time::now() - 1;
	assert_eq!(client.post(&expired).await.status(), StatusCode::GONE);
	assert_eq!(client.report(expired.id).await, None);
	assert_eq!(client.json("/v1/jobs").await, serde_json::json!([]));
	worker.stop().await;
}

#[tokio::test]
async fn unknown_jobs_and_paths_should_be_named() {
	let worker = InProcess::start(|_| {}).await;
	let client = &worker.client;
	let unknown = format!("/v1/jobs/{:x}", H256([5; 32]));
	let cases = [
		(Method::GET, unknown.clone(), StatusCode::NOT_FOUND),
		(Method::DELETE, unknown.clone(), StatusCode::NOT_FOUND),
		(Method::GET, format!("{unknown}/events"), StatusCode::NOT_FOUND),
		(Method::GET, format!("{unknown}/events?after=x"), StatusCode::BAD_REQUEST),
		(Method::GET, "/v1/jobs/12".into(), StatusCode::BAD_REQUEST),
		(Method::GET, format!("/v1/evidence/{:x}", H256([5; 32])), StatusCode::NOT_FOUND),
		(Method::GET, "/v2".into(), StatusCode::NOT_FOUND),
		(Method::PATCH, "/v1/jobs".into(), StatusCode::METHOD_NOT_ALLOWED),
	];
	for (method, path, status) in cases {
		let response = client.request(method, &path).send().await.unwrap();
		assert_eq!(response.status(), status, "{path}");
		let error: serde_json::Value = response.json().await.unwrap();
		assert!(error["error"].is_string() && error["hint"].is_string(), "{error}");
	}
	worker.stop().await;
}

#[tokio::test]
async fn a_full_queue_should_say_so_and_take_orders_again() {
	let patient = |config: &mut openledger_worker::Config| {
		config.max_queue = 2;
		config.patience.prompt = Duration::from_secs(60);
	};
	let worker = InProcess::start(patient).await;
	let client = &worker.client;
	client.accepted(&endless(1)).await;
	client.accepted(&endless(2)).await;
	// One of them may be looked at right now, and so not be in the queue for a moment.
	let mut third = client.post(&endless(3)).await;
	for number in 4.. {
		if third.status() == StatusCode::TOO_MANY_REQUESTS {
			break;
		}
		third = client.post(&endless(number)).await;
	}
	assert_eq!(third.headers()[header::RETRY_AFTER], "10");
	assert_eq!(client.post(&endless(1)).await.status(), StatusCode::OK, "known jobs are no more");
	assert_eq!(client.report(endless(1).id).await, Some(Report::Queued));

	let jobs = client.json("/v1/jobs").await;
	for job in jobs.as_array().unwrap() {
		let path = format!("/v1/jobs/{}", job["id"].as_str().unwrap());
		let gone = client.request(Method::DELETE, &path).send().await.unwrap();
		assert_eq!(gone.status(), StatusCode::NO_CONTENT);
	}
	assert_eq!(client.report(endless(1).id).await, None);
	client.accepted(&endless(1)).await;
	worker.stop().await;
}

#[tokio::test]
async fn what_does_not_come_should_end_the_job_with_its_own_reason() {
	let worker = InProcess::start(|_| {}).await;
	let client = &worker.client;
	let of_another_base = {
		let mut order = inference_order_of_nobody(3, text("Hello"));
		if let Work::Inference(order) = &mut order.work {
			order.base.weights = H256([1; 32]);
		}
		order
	};
	let not_text = Content::Bytes(vec![0xff, 0xfe].try_into().unwrap());
	let cases = [
		(endless(1), FailureReason::PromptUnavailable),
		(inference_order_of_nobody(2, text("Hello")), FailureReason::ModelUnavailable),
		(of_another_base, FailureReason::ModelUnavailable),
		(inference_order_of_nobody(4, not_text), FailureReason::PromptUnavailable),
		(training_order(1, b"no such spec", &[]), FailureReason::SpecificationUnusable),
	];
	for (order, _) in &cases {
		client.accepted(order).await;
	}
	for (order, reason) in cases {
		assert_eq!(client.ended(order.id).await, Report::Failed(reason));
		let json = client.json(&format!("/v1/jobs/{:#x}", order.id)).await;
		assert_eq!(json["state"], "failed");
		assert_eq!(json["reason"], format!("{reason:?}"));
		let events = client.json(&format!("/v1/jobs/{:x}/events", order.id)).await;
		let last = events.as_array().unwrap().last().unwrap();
		assert_eq!(last["event"], "failed");
		assert!(last["detail"].is_string() && last["hint"].is_string(), "{last}");
		// Whatever happens later, the job stays as it ended.
		assert_eq!(client.post(&order).await.status(), StatusCode::OK);
	}
	worker.stop().await;
}

#[tokio::test]
async fn a_job_that_expires_should_be_dropped() {
	let patient = |config: &mut openledger_worker::Config| {
		config.patience.prompt = Duration::from_secs(60);
	};
	let worker = InProcess::start(patient).await;
	let mut order = endless(1);
	order.expires = time::now() + 2;
	worker.client.accepted(&order).await;
	let since = std::time::Instant::now();
	while worker.client.report(order.id).await.is_some() {
		assert!(since.elapsed() < Duration::from_secs(30), "it stays");
		tokio::time::sleep(Duration::from_millis(100)).await;
	}
	assert_eq!(worker.client.post(&order).await.status(), StatusCode::GONE);
	let metrics = worker.client.get("/metrics").await.text().await.unwrap();
	assert!(metrics.contains(r#"jobs_total{kind="inference",outcome="expired"} 1"#), "{metrics}");
	worker.stop().await;
}

#[tokio::test]
async fn an_order_without_contributions_should_fail() {
	let worker = InProcess::start(|_| {}).await;
	worker.client.put(SPEC).await;
	let mut order = training_order(1, SPEC, &[]);
	order.expires = in_an_hour();
	worker.client.accepted(&order).await;
	let report = worker.client.ended(order.id).await;
	assert_eq!(report, Report::Failed(FailureReason::DataUnavailable));
	worker.stop().await;
}
