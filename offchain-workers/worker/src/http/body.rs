//! Bodies of requests: read within limits, or dropped.

use axum::body::{Body, Bytes};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use std::time::Duration;

/// Bytes of a refused body that are read and dropped, so that a client that sends before it listens
/// gets to see why.
const DROPPED_BYTES: usize = 8 << 20;
/// The longest time for that.
const DROP_TIME: Duration = Duration::from_secs(5);

/// Why a body was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyFault {
	/// It has more bytes than are taken.
	TooLarge,
	/// It did not come in time.
	TooSlow,
	/// The client went away.
	BrokeOff,
}

/// Reads a whole body of at most `limit` bytes that comes within `patience`.
pub async fn read(mut body: Body, limit: usize, patience: Duration) -> Result<Bytes, BodyFault> {
	let read = Limited::new(&mut body, limit).collect();
	let error = match tokio::time::timeout(patience, read).await {
		Err(_) => return Err(BodyFault::TooSlow),
		Ok(Ok(body)) => return Ok(body.to_bytes()),
		Ok(Err(error)) => error,
	};
	if error.is::<LengthLimitError>() {
		drop_some(&mut body).await;
		return Err(BodyFault::TooLarge);
	}
	Err(BodyFault::BrokeOff)
}

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
