//! Connections: how many, how long, and how they end.

use super::stall::Stalling;
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
	rt::{TokioIo, TokioTimer},
	server::graceful::GracefulShutdown,
	service::TowerToHyperService,
};
use parking_lot::Mutex;
use std::{
	collections::HashMap,
	net::{IpAddr, SocketAddr},
	sync::Arc,
	time::Duration,
};
use tokio::{
	net::{TcpListener, TcpStream},
	sync::{watch, OwnedSemaphorePermit, Semaphore},
	task::JoinHandle,
};

/// Bytes of a request's headers and what is read at a time.
const BUFFER_BYTES: usize = 64 * 1_024;
/// The longest time in which a client takes nothing of what is written for it.
const WRITE_PATIENCE: Duration = Duration::from_secs(60);
/// Pause when the system gives no connection, for want of file descriptors say.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// What a server bears.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
	/// Connections at a time. Others wait in the system's queue.
	pub connections: usize,
	/// Connections of one address at a time; further ones are closed at once. This machine's own
	/// addresses are free of it, for there stands the proxy that speaks for everybody.
	pub connections_per_address: usize,
	/// The longest time for a request's headers to come, and for a connection to be idle.
	pub header_patience: Duration,
	/// The longest time for requests to end when the worker stops.
	pub shutdown_patience: Duration,
}

impl Limits {
	/// For the API on loopback.
	pub const LOCAL: Self = Self {
		connections: 256,
		connections_per_address: 256,
		header_patience: Duration::from_secs(30),
		shutdown_patience: Duration::from_secs(10),
	};
}

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
pub fn serve(listener: TcpListener, router: Router, limits: Limits) -> Server {
	let (stop, stopped) = watch::channel(false);
	Server { stop, task: tokio::spawn(accept(listener, router, limits, stopped)) }
}

async fn accept(
	listener: TcpListener,
	router: Router,
	limits: Limits,
	mut stopped: watch::Receiver<bool>,
) {
	let mut http = http1::Builder::new();
	http.timer(TokioTimer::new())
		.header_read_timeout(limits.header_patience)
		.max_buf_size(BUFFER_BYTES);
	let doors = Doors::new(limits);
	let graceful = GracefulShutdown::new();
	loop {
		let (stream, door) = tokio::select! {
			entered = doors.enter(&listener) => match entered {
				Some(entered) => entered,
				None => continue,
			},
			_ = stopped.changed() => break,
		};
		let service = TowerToHyperService::new(router.clone());
		let io = TokioIo::new(Stalling::new(stream, WRITE_PATIENCE));
		let connection = graceful.watch(http.serve_connection(io, service));
		tokio::spawn(async move {
			let _door = door;
			if let Err(error) = connection.await {
				tracing::debug!(%error, "a connection broke");
			}
		});
	}
	drop(listener);
	if tokio::time::timeout(limits.shutdown_patience, graceful.shutdown()).await.is_err() {
		tracing::warn!("requests were cut off, for they did not end in time");
	}
}

/// Who may come in.
#[derive(Debug)]
struct Doors {
	limits: Limits,
	all: Arc<Semaphore>,
	/// Connections of each address.
	addresses: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

impl Doors {
	fn new(limits: Limits) -> Self {
		let all = Arc::new(Semaphore::new(limits.connections));
		Self { limits, all, addresses: Arc::default() }
	}

	/// The next connection, or none when it could not be had or is one too many of its address.
	async fn enter(&self, listener: &TcpListener) -> Option<(TcpStream, Door)> {
		let permit = self.all.clone().acquire_owned().await.ok()?;
		match listener.accept().await {
			Ok((stream, address)) => {
				let door = self.open(permit, address)?;
				// Answers come in small pieces that somebody waits for.
				let _ = stream.set_nodelay(true);
				Some((stream, door))
			},
			Err(error) => {
				tracing::warn!(%error, "no connection could be accepted");
				tokio::time::sleep(ACCEPT_PAUSE).await;
				None
			},
		}
	}

	fn open(&self, permit: OwnedSemaphorePermit, address: SocketAddr) -> Option<Door> {
		let ip = address.ip();
		let mut addresses = self.addresses.lock();
		let count = addresses.entry(ip).or_default();
		if *count >= self.limits.connections_per_address && !ip.to_canonical().is_loopback() {
			tracing::debug!(%address, "one connection too many of its address");
			return None;
		}
		*count += 1;
		Some(Door { ip, addresses: self.addresses.clone(), _permit: permit })
	}
}

/// A connection's place, given back when it goes.
#[derive(Debug)]
struct Door {
	ip: IpAddr,
	addresses: Arc<Mutex<HashMap<IpAddr, usize>>>,
	_permit: OwnedSemaphorePermit,
}

impl Drop for Door {
	fn drop(&mut self) {
		let mut addresses = self.addresses.lock();
		if let Some(count) = addresses.get_mut(&self.ip) {
			*count = count.saturating_sub(1);
			if *count == 0 {
				addresses.remove(&self.ip);
			}
		}
	}
}
