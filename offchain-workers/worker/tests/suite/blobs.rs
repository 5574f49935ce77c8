//! Blobs: put, get, and what is refused.

use crate::support::InProcess;
use openledger_primitives::{content::content_hash, H256};
use reqwest::{header, Method, StatusCode};
use std::io;
use tokio::{
	io::{AsyncReadExt, AsyncWriteExt},
	net::TcpStream,
};
use tokio_util::io::ReaderStream;

#[tokio::test]
async fn a_blob_should_come_back_as_it_was_put() {
	let worker = InProcess::start(|_| {}).await;
	let client = &worker.client;
	let bytes: Vec<u8> = (0..300_000u32).map(|n| (n % 251) as u8).collect();
	let hash = content_hash(&bytes);
	let path = format!("/v1/blobs/0x{hash:x}");
	assert_eq!(client.get(&path).await.status(), StatusCode::NOT_FOUND);
	assert_eq!(client.put_as(hash, &bytes).await.status(), StatusCode::CREATED);
	assert_eq!(client.put_as(hash, &bytes).await.status(), StatusCode::OK);
	let got = client.get(&path).await;
	assert_eq!(got.status(), StatusCode::OK);
	assert_eq!(got.bytes().await.unwrap(), bytes);
	let head = client.request(Method::HEAD, &path).send().await.unwrap();
	assert_eq!(head.status(), StatusCode::OK);
	assert_eq!(head.headers()[header::CONTENT_LENGTH], "300000");
	let missing = format!("/v1/blobs/{:x}", H256([9; 32]));
	let head = client.request(Method::HEAD, &missing).send().await.unwrap();
	assert_eq!(head.status(), StatusCode::NOT_FOUND);
	worker.stop().await;
}

#[tokio::test]
async fn blobs_with_another_hash_or_too_many_bytes_should_be_refused() {
	let worker = InProcess::start(|config| config.max_blob_bytes = 100_000).await;
	let client = &worker.client;
	let wrong = client.put_as(H256([3; 32]), b"something").await;
	assert_eq!(wrong.status(), StatusCode::UNPROCESSABLE_ENTITY);
	let error: serde_json::Value = wrong.json().await.unwrap();
	assert!(error["error"].is_string() && error["hint"].is_string(), "{error}");

	let large = vec![7; 100_001];
	let path = format!("/v1/blobs/{:x}", content_hash(&large));
	assert_eq!(
		client.put_as(content_hash(&large), &large).await.status(),
		StatusCode::PAYLOAD_TOO_LARGE
	);
	// Without its length in the headers.
	let pieces = reqwest::Body::wrap_stream(ReaderStream::new(io::Cursor::new(large)));
	let streamed = client.request(Method::PUT, &path).body(pieces).send().await.unwrap();
	assert_eq!(streamed.status(), StatusCode::PAYLOAD_TOO_LARGE);
	for bad in ["/v1/blobs/xyz", "/v1/blobs/..%2F..%2Fetc%2Fpasswd", "/v1/blobs/0xAB"] {
		assert_eq!(client.get(bad).await.status(), StatusCode::BAD_REQUEST, "{bad}");
	}
	worker.stop().await;
}

#[tokio::test]
async fn requests_for_or_from_elsewhere_should_be_refused() {
	let worker = InProcess::start(|_| {}).await;
	let request = || worker.client.request(Method::GET, "/health");
	let foreign = request().header(header::HOST, "evil.example").send().await.unwrap();
	assert_eq!(foreign.status(), StatusCode::FORBIDDEN);
	let page = request().header(header::ORIGIN, "https://evil.example").send().await.unwrap();
	assert_eq!(page.status(), StatusCode::FORBIDDEN);
	let own = request().header(header::ORIGIN, "http://localhost:3000").send().await.unwrap();
	assert_eq!(own.status(), StatusCode::OK);
	worker.stop().await;
}

#[tokio::test]
async fn a_body_that_breaks_off_should_leave_nothing() {
	let worker = InProcess::start(|_| {}).await;
	let hash = content_hash(b"0123456789");
	let path = format!("/v1/blobs/{hash:x}");
	let mut connection = TcpStream::connect(worker.client.address()).await.unwrap();
	let head = format!("PUT {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 10\r\n\r\n01234");
	connection.write_all(head.as_bytes()).await.unwrap();
	connection.shutdown().await.unwrap();
	let mut answer = String::new();
	connection.read_to_string(&mut answer).await.unwrap();
	assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400"), "{answer}");
	assert_eq!(worker.client.get(&path).await.status(), StatusCode::NOT_FOUND);
	assert_eq!(worker.client.put(b"0123456789").await, hash);
	worker.stop().await;
}
