//! Connections whose other end stops reading are cut off: a client that asks for an answer and never
//! takes it must not hold a connection, and what is written for it, for ever.

use std::{
	future::Future,
	io,
	pin::Pin,
	task::{Context, Poll},
	time::Duration,
};
use tokio::{
	io::{AsyncRead, AsyncWrite, ReadBuf},
	time::{sleep, Sleep},
};

/// A connection on which a write fails once nothing could be written for some time.
#[derive(Debug)]
pub struct Stalling<S> {
	connection: S,
	patience: Duration,
	/// Runs while a write waits.
	waiting: Option<Pin<Box<Sleep>>>,
}

impl<S: Unpin> Stalling<S> {
	/// Waits at most `patience` for each write.
	pub fn new(connection: S, patience: Duration) -> Self {
		Self { connection, patience, waiting: None }
	}

	fn limited<T>(
		&mut self,
		cx: &mut Context<'_>,
		write: impl FnOnce(Pin<&mut S>, &mut Context<'_>) -> Poll<io::Result<T>>,
	) -> Poll<io::Result<T>> {
		if let Poll::Ready(result) = write(Pin::new(&mut self.connection), cx) {
			self.waiting = None;
			return Poll::Ready(result);
		}
		let patience = self.patience;
		let waiting = self.waiting.get_or_insert_with(|| Box::pin(sleep(patience)));
		waiting.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
	}
}

impl<S: AsyncRead + Unpin> AsyncRead for Stalling<S> {
	fn poll_read(
		mut self: Pin<&mut Self>,
		cx: &mut Context<'_>,
		buffer: &mut ReadBuf<'_>,
	) -> Poll<io::Result<()>> {
		Pin::new(&mut self.connection).poll_read(cx, buffer)
	}
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Stalling<S> {
	fn poll_write(
		mut self: Pin<&mut Self>,
		cx: &mut Context<'_>,
		bytes: &[u8],
	) -> Poll<io::Result<usize>> {
		self.limited(cx, |connection, cx| connection.poll_write(cx, bytes))
	}

	fn poll_write_vectored(
		mut self: Pin<&mut Self>,
		cx: &mut Context<'_>,
		pieces: &[io::IoSlice<'_>],
	) -> Poll<io::Result<usize>> {
		self.limited(cx, |connection, cx| connection.poll_write_vectored(cx, pieces))
	}

	fn is_write_vectored(&self) -> bool {
		self.connection.is_write_vectored()
	}

	fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
		self.limited(cx, |connection, cx| connection.poll_flush(cx))
	}

	fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
		self.limited(cx, |connection, cx| connection.poll_shutdown(cx))
	}
}

#[cfg(test)]
mod tests {
	use super::*;
	use tokio::io::{AsyncReadExt, AsyncWriteExt};

	#[tokio::test]
	async fn a_write_should_fail_only_when_nobody_reads_for_long() {
		let patience = Duration::from_millis(400);
		let (ours, mut theirs) = tokio::io::duplex(4);
		let mut ours = Stalling::new(ours, patience);
		let writing = tokio::spawn(async move {
			ours.write_all(b"slowly, but it is read").await.unwrap();
			ours.write_all(b"nobody reads this").await.unwrap_err().kind()
		});
		let mut read = vec![0; b"slowly, but it is read".len()];
		for piece in read.chunks_mut(2) {
			tokio::time::sleep(patience / 8).await;
			theirs.read_exact(piece).await.unwrap();
		}
		assert_eq!(read, b"slowly, but it is read");
		assert_eq!(writing.await.unwrap(), io::ErrorKind::TimedOut);
	}
}
