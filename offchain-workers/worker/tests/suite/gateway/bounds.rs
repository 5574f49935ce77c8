//! What many requests at a time may take: of the worker's threads, and of the engine's queue.

use super::{chat, gateway_in, key, model_name, refusal, with};
use crate::support::{Client, Process};
use reqwest::{header, Response, StatusCode};
use serde_json::{json, Value};
use std::{fs, future::Future, pin::pin, time::Duration};
use tokio::{io::AsyncWriteExt, net::TcpStream, task::JoinSet};

const CHAT: &str = "/v1/chat/completions";
const COMPLETIONS: &str = "/v1/completions";
/// More threads than are used for anything else than reading bodies and compiling schemas.
const OTHER_THREADS: usize = 6;

fn threads(worker: u32) -> usize {
	fs::read_dir(format!("/proc/{worker}/task")).unwrap().count()
}

/// How many threads more than before the worker has at most while this happens.
async fn more_threads(worker: u32, happening: impl Future<Output = ()>) -> usize {
	let before = threads(worker);
	let mut most = before;
	let mut happening = pin!(happening);
	loop {
		tokio::select! {
			() = &mut happening => return most - before,
			() = tokio::time::sleep(Duration::from_millis(5)) => most = most.max(threads(worker)),
		}
	}
}

/// Waits until the worker computes nothing any more.
async fn idle(worker: u32) {
	let ticks = move || -> u64 {
		let stat = fs::read_to_string(format!("/proc/{worker}/stat")).unwrap();
		let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
		fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
	};
	let mut last = ticks();
	loop {
		tokio::time::sleep(Duration::from_millis(500)).await;
		let now = ticks();
		if now - last < 5 {
			return;
		}
		last = now;
	}
}

/// Sends a whole request for completions, and goes away.
async fn ask_and_leave(address: String, body: String) {
	let mut stream = TcpStream::connect(address).await.unwrap();
	let request = format!(
		"POST {COMPLETIONS} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{body}",
		body.len()
	);
	stream.write_all(request.as_bytes()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_of_clients_that_went_away_should_not_be_read_all_at_once() {
	let data = tempfile::tempdir().unwrap();
	let worker = Process::start(data.path(), &["--gateway", "127.0.0.1:0"]);
	let gateway = worker.gateway.clone().unwrap();
	// It takes a while to be made tokens, and fits into no context.
	let prompts = vec!["All work and no play makes Jack a dull boy. ".repeat(700); 16];
	let body = json!({"model": model_name(), "prompt": prompts});
	assert_eq!(gateway.refused(COMPLETIONS, &body).await.0, StatusCode::BAD_REQUEST);
	let body = body.to_string();
	let (id, address) = (worker.id(), gateway.address());
	let more = more_threads(id, async {
		let mut clients = JoinSet::new();
		for _ in 0..48 {
			clients.spawn(ask_and_leave(address.clone(), body.clone()));
		}
		clients.join_all().await;
		idle(id).await;
	})
	.await;
	assert!(more < 4 + OTHER_THREADS, "{more} threads more");
	gateway.chat(&chat("Hello")).await;
	assert_eq!(worker.terminate(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn schemas_should_not_be_compiled_all_at_once() {
	let data = tempfile::tempdir().unwrap();
	let worker = Process::start(data.path(), &["--gateway", "127.0.0.1:0"]);
	let gateway = worker.gateway.clone().unwrap();
	let properties: serde_json::Map<String, Value> = (0..900)
		.map(|number| {
			(format!("property-{number}"), json!({"type": "string", "pattern": "^[a-z]{1,40}$"}))
		})
		.collect();
	let schema = json!({"type": "object", "properties": properties});
	let format = json!({"type": "json_schema", "json_schema": {"schema": schema}});
	let body = with(chat("Hello"), json!({"response_format": format, "max_tokens": 1}));
	let refused = gateway.refused(CHAT, &body).await;
	assert_eq!(refused.0, StatusCode::BAD_REQUEST, "it can be compiled, but not be followed");
	let id = worker.id();
	let more = more_threads(id, async {
		let mut asking = JoinSet::new();
		for _ in 0..48 {
			let (gateway, body) = (gateway.clone(), body.clone());
			asking.spawn(async move { gateway.post_json(CHAT, &body).await.status() });
		}
		asking.join_all().await;
	})
	.await;
	assert!(more < 4 + OTHER_THREADS, "{more} threads more");
	assert_eq!(worker.terminate(), Some(0));
}

/// Asks for as many long answers as one request may.
async fn ask_for_much(client: &Client) -> Response {
	let prompts: Vec<String> = (0..8).map(|number| format!("Prompt {number}")).collect();
	let body = json!({
		"model": model_name(), "prompt": prompts, "n": 16, "max_tokens": 1_900, "ignore_eos": true,
		"stream": true,
	});
	client.post_json(COMPLETIONS, &body).await
}

/// Refused for now: gives the status and the code.
async fn refused_for_now(response: Response) -> (StatusCode, Value) {
	let seconds = response.headers()[header::RETRY_AFTER].to_str().unwrap();
	assert!(seconds.parse::<u32>().unwrap() > 0);
	let (status, error) = refusal(response).await;
	(status, error["code"].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn full_queues_should_say_whose_they_are_and_when_to_come_back() {
	let data = tempfile::tempdir().unwrap();
	let secrets: Vec<String> =
		(0..8).map(|number| key(&data, &format!("tenant-{number}"), None)).collect();
	let (worker, gateway) = gateway_in(data, |_| {}).await;
	let mut clients = secrets.iter().map(|secret| gateway.with_key(secret));
	let mut streams = Vec::new();
	// 64 answers run and 256 of one tenant wait: of its third request, not all can.
	let first = clients.next().unwrap();
	for _ in 0..2 {
		streams.push(ask_for_much(&first).await);
	}
	let refused = refused_for_now(ask_for_much(&first).await).await;
	assert_eq!(refused, (StatusCode::TOO_MANY_REQUESTS, json!("rate_limit_exceeded")));
	// Of all tenants together, 1,024 wait.
	let refused = 'full: {
		for client in clients {
			for _ in 0..2 {
				let response = ask_for_much(&client).await;
				if response.status() != StatusCode::OK {
					break 'full refused_for_now(response).await;
				}
				streams.push(response);
			}
		}
		panic!("the queue takes everything");
	};
	assert_eq!(refused, (StatusCode::SERVICE_UNAVAILABLE, json!("overloaded")));
	assert!(streams.iter().all(|stream| stream.status() == StatusCode::OK));
	drop(streams);
	worker.stop().await;
}
