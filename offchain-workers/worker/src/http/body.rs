//! Bodies of requests that are refused.

use axum::body::{Body, Bytes};
use http_body_util::BodyExt;
use std::time::Duration;

/// Bytes of a refused body that are read and dropped, so that a client that sends before it listens
/// gets to see why.
const DROPPED_BYTES: usize = 8 << 20;
/// The longest time for that.
const DROP_TIME: Duration = Duration::from_secs(5);

/// Reads and drops what a client still sends.
pub async fn drop_some(body: &mut Body) {
	let dropping = async {
		let mut dropped = 0;
		while let Some(Ok(frame)) = body.frame().await {
			dropped += frame.data_ref().map_or(0, Bytes::len);
			if dropped > DROPPED_BYTES {
				return;
			}
		}
	};
	let _ = tokio::time::timeout(DROP_TIME, dropping).await;
}
