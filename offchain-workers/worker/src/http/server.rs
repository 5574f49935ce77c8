//! Connections: how many, how long, and how they end.

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
	rt::{TokioIo, TokioTimer},
	server::graceful::GracefulShutdown,
	service::TowerToHyperService,
};
use std::{sync::Arc, time::Duration};
use tokio::{
	net::TcpListener,
	sync::{watch, Semaphore},
	task::JoinHandle,
};

/// Connections at a time. Others wait in the system's queue.
const MAX_CONNECTIONS: usize = 256;
/// The longest time for a request's headers to come, and for a connection to be idle.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes of a request's headers and what is read at a time.
const BUFFER_BYTES: usize = 64 * 1_024;
/// The longest time for requests to end when the worker stops.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(10);
/// Pause when the system gives no connection, for want of file descriptors say.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// A server that runs.
#[derive(Debug)]
pub struct Server {
	stop: watch::Sender<bool>,
	task: JoinHandle<()>,
}

impl Server {
	/// Takes no more requests, and waits for those in flight.
	pub async fn stop(self) {
		let _ = self.stop.send(true);
		let _ = self.task.await;
	}
}

/// Serves the routes on the listener.
pub fn serve(listener: TcpListener, router: Router) -> Server {
	let (stop, stopped) = watch::channel(false);
	Server { stop, task: tokio::spawn(accept(listener, router, stopped)) }
}

async fn accept(listener: TcpListener, router: Router, mut stopped: watch::Receiver<bool>) {
	let mut http = http1::Builder::new();
	http.timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT).max_buf_size(BUFFER_BYTES);
	let connections = Arc::new(Semaphore::new(MAX_CONNECTIONS));
	let graceful = GracefulShutdown::new();
	loop {
		let accepted = async {
			let permit = connections.clone().acquire_owned().await;
			(permit, listener.accept().await)
		};
		let (permit, accepted) = tokio::select! {
			accepted = accepted => accepted,
			_ = stopped.changed() => break,
		};
		let stream = match accepted {
			Ok((stream, _)) => stream,
			Err(error) => {
				tracing::warn!(%error, "no connection could be accepted");
				tokio::time::sleep(ACCEPT_PAUSE).await;
				continue;
			},
		};
		let service = TowerToHyperService::new(router.clone());
		let connection = graceful.watch(http.serve_connection(TokioIo::new(stream), service));
		tokio::spawn(async move {
			let _permit = permit;
			if let Err(error) = connection.await {
				tracing::debug!(%error, "a connection broke");
			}
		});
	}
	drop(listener);
	if tokio::time::timeout(SHUTDOWN_TIMEOUT, graceful.shutdown()).await.is_err() {
		tracing::warn!("requests were cut off, for they did not end in time");
	}
}
