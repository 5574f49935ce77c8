//! `/v1/blobs`: the store.

use super::{body::drop_some, error::ApiError, hash_in, Api};
use axum::{
	body::{Body, Bytes},
	extract::{Path, State},
	http::{header, HeaderMap, StatusCode},
	response::{IntoResponse, Response},
};
use http_body_util::BodyExt;
use std::{
	io::{self, Read},
	time::Duration,
};
use tokio::sync::mpsc;
use tokio_util::io::ReaderStream;

/// The longest pause in a blob's body.
const PAUSE: Duration = Duration::from_secs(30);
/// Pieces of a body that wait to be written.
const PIECES: usize = 8;
/// Bytes that are read from disk at a time.
const READ_BYTES: usize = 64 * 1_024;
pub async fn put(
	State(api): State<Api>,
	Path(hash): Path<String>,
	headers: HeaderMap,
	mut body: Body,
) -> Result<StatusCode, ApiError> {
	let hash = hash_in(&hash)?;
	let limit = api.context.store.max_blob_bytes();
	let announced = headers
		.get(header::CONTENT_LENGTH)
		.and_then(|length| length.to_str().ok())
		.and_then(|length| length.parse::<u64>().ok());
	if announced.is_some_and(|bytes| bytes > limit) {
		drop_some(&mut body).await;
		return Err(ApiError::too_large(limit));
	}
	let (sender, receiver) = mpsc::channel(PIECES);
	let writing = tokio::task::spawn_blocking({
		let context = api.context.clone();
		move || {
			let was_there = context.store.contains(hash)?;
			context.store.put_stream(hash, Pieces { receiver, piece: Bytes::new() })?;
			Ok::<_, ApiError>(was_there)
		}
	});
	pass_on(&mut body, sender).await;
	match writing.await.map_err(|_| ApiError::broken())? {
		Ok(true) => Ok(StatusCode::OK),
		Ok(false) => Ok(StatusCode::CREATED),
		Err(error) => {
			drop_some(&mut body).await;
			Err(error)
		},
	}
}

/// Passes a body's pieces to the writer, until either ends.
async fn pass_on(body: &mut Body, sender: mpsc::Sender<io::Result<Bytes>>) {
	loop {
		let piece = match tokio::time::timeout(PAUSE, body.frame()).await {
			Err(_) => Err(io::ErrorKind::TimedOut.into()),
			Ok(None) => return,
			Ok(Some(Err(error))) => Err(io::Error::other(error)),
			Ok(Some(Ok(frame))) => Ok(frame.into_data().unwrap_or_default()),
		};
		let is_last = piece.is_err();
		if sender.send(piece).await.is_err() || is_last {
			return;
		}
	}
}

/// A body as the store reads it, on a thread that may block.
struct Pieces {
	receiver: mpsc::Receiver<io::Result<Bytes>>,
	piece: Bytes,
}

impl Read for Pieces {
	fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
		while self.piece.is_empty() {
			match self.receiver.blocking_recv() {
				None => return Ok(0),
				Some(piece) => self.piece = piece?,
			}
		}
		let count = buffer.len().min(self.piece.len());
		let taken = self.piece.split_to(count);
		if let Some(place) = buffer.get_mut(..count) {
			place.copy_from_slice(&taken);
		}
		Ok(count)
	}
}

pub async fn get(State(api): State<Api>, Path(hash): Path<String>) -> Result<Response, ApiError> {
	let hash = hash_in(&hash)?;
	let file = api.blocking(move |context| context.store.get_file(hash)).await??;
	let file = tokio::fs::File::from_std(file.ok_or_else(ApiError::unknown_blob)?);
	let length = file.metadata().await.map_err(|_| ApiError::broken())?.len();
	let body = Body::from_stream(ReaderStream::with_capacity(file, READ_BYTES));
	Ok((blob_headers(length), body).into_response())
}

pub async fn head(State(api): State<Api>, Path(hash): Path<String>) -> Result<Response, ApiError> {
	let hash = hash_in(&hash)?;
	let length = api.blocking(move |context| context.store.size_of(hash)).await??;
	Ok(blob_headers(length.ok_or_else(ApiError::unknown_blob)?).into_response())
}

fn blob_headers(length: u64) -> [(header::HeaderName, String); 2] {
	[
		(header::CONTENT_TYPE, "application/octet-stream".into()),
		(header::CONTENT_LENGTH, length.to_string()),
	]
}
