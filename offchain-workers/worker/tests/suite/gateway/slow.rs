//! Clients that send slowly, or never end.

use super::{chat, gateway, with};
use serde_json::{json, Value};
use std::time::{Duration, Instant};
use tokio::{
	io::{AsyncReadExt, AsyncWriteExt},
	net::TcpStream,
};

#[tokio::test(flavor = "multi_thread")]
async fn slow_clients_should_be_closed_and_hold_up_nobody() {
	let (worker, gateway) = gateway().await;
	let address = gateway.address();
	let mut slow = Vec::new();
	for number in 0..60 {
		let mut stream = TcpStream::connect(&address).await.unwrap();
		let beginning = if number % 2 == 0 {
			"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nX-Slow: ".to_owned()
		} else {
			"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n{"
				.into()
		};
		stream.write_all(beginning.as_bytes()).await.unwrap();
		slow.push(stream);
	}
	tokio::time::sleep(Duration::from_millis(500)).await;
	// What is not read does not stand in the way, but bodies of one tenant that are being read do.
	let begun = Instant::now();
	assert_eq!(gateway.get("/v1/models").await.status(), 200);
	assert!(begun.elapsed() < Duration::from_secs(5));
	for (number, mut stream) in slow.into_iter().enumerate() {
		if number % 2 == 0 || number < 8 {
			let mut answer = String::new();
			let read = stream.read_to_string(&mut answer);
			let read = tokio::time::timeout(Duration::from_secs(60), read).await;
			read.expect("a slow client is closed").unwrap();
			if number % 2 == 1 {
				assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
				let body = answer.split_once("\r\n\r\n").unwrap().1;
				let body: Value = serde_json::from_str(body).unwrap();
				assert_eq!(body["error"]["type"], "timeout");
			}
		}
	}
	gateway.chat(&chat("Hello")).await;
	worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_never_reads_should_be_cut_off() {
	let (worker, gateway) = gateway().await;
	let mut stream = TcpStream::connect(&gateway.address()).await.unwrap();
	// Some 80 MB of answer, more than any buffer of the system's.
	let body = with(
		chat("Hello"),
		json!({
			"n": 16, "max_tokens": 1_900, "ignore_eos": true, "stream": true, "temperature": 1,
			"logprobs": true, "top_logprobs": 20,
		}),
	);
	let body = body.to_string();
	let request = format!(
		"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{body}",
		body.len()
	);
	stream.write_all(request.as_bytes()).await.unwrap();
	let cut_off = async {
		loop {
			let metrics = worker.client.get("/metrics").await.text().await.unwrap();
			let aborted = metrics.lines().find(|line| line.contains("finished_reason=\"abort\""));
			if aborted.is_some_and(|line| line.ends_with(" 16")) {
				return metrics;
			}
			tokio::time::sleep(Duration::from_millis(100)).await;
		}
	};
	let metrics =
		tokio::time::timeout(Duration::from_secs(200), cut_off).await.expect("it is cut off");
	let written = metrics.lines().find(|line| line.starts_with("vllm:generation_tokens_total"));
	let written: f64 = written.unwrap().rsplit_once(' ').unwrap().1.parse().unwrap();
	assert!(written < 16.0 * 1_900.0, "{written}");
	// What fitted into the buffers ends with the reason.
	let mut told = Vec::new();
	stream.read_to_end(&mut told).await.unwrap();
	let told = String::from_utf8_lossy(&told);
	assert!(told.contains("was not read as fast as it was written"));
	worker.stop().await;
}
