//! Starting and stopping a worker.

use crate::{
	base_model::{BaseModel, BaseModelError},
	board::Board,
	compute::Context,
	config::{Config, GatewayConfig},
	durable::{self, DiskError},
	evidence::EvidenceFolder,
	gateway::{catalogue::Catalogue, keys::Keys, Gateway, GatewayError, GatewayServer},
	http::{self, Api, Limits},
	metrics::Metrics,
	models::Models,
	time,
};
use openledger_engine::serving::{self, ServingModel};
use openledger_store::{Store, StoreError};
use std::{
	collections::HashMap,
	io,
	net::SocketAddr,
	path::PathBuf,
	sync::{
		atomic::{AtomicBool, Ordering},
		Arc,
	},
	thread,
	time::Duration,
};
use tokio::{
	net::TcpListener,
	task::{spawn_blocking, JoinHandle},
};

/// Time between two looks for jobs that expired.
const SWEEP_EVERY: Duration = Duration::from_secs(5);
/// Sweeps between two looks at the store's size and at old evidence, which touch every file.
const LOOK_AT_FILES_EVERY: u64 = 60;

/// Why a worker does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
	/// The address is not this machine's own.
	#[error("{0} is not a loopback address: the API has no authentication, so the worker listens on 127.0.0.0/8 or ::1 only. Put a proxy with authentication in front of it to reach it from elsewhere")]
	NotLoopback(SocketAddr),
	/// Without keys everybody who reaches the address could ask.
	#[error("{0} is not a loopback address, and there are no API keys: make one with `openledger-worker keys add`, or let the gateway listen on 127.0.0.0/8 or ::1")]
	GatewayNeedsKeys(SocketAddr),
	/// Nobody could tell at the gateway which of the two is meant.
	#[error("{first} and {second} have the same name, by which the gateway's clients ask for a base model: rename one of the two")]
	SameName {
		/// One base model.
		first: PathBuf,
		/// Another one.
		second: PathBuf,
	},
	/// The gateway does not start.
	#[error(transparent)]
	Gateway(#[from] GatewayError),
	/// The address cannot be listened on.
	#[error("cannot listen on {address}: {source}")]
	Listen {
		/// The address.
		address: SocketAddr,
		/// Why.
		#[source]
		source: io::Error,
	},
	/// A base model cannot be served.
	#[error(transparent)]
	BaseModel(#[from] BaseModelError),
	/// What answers with a base model does not start.
	#[error(transparent)]
	Service(#[from] serving::StartError),
	/// The store cannot be opened.
	#[error(transparent)]
	Store(#[from] StoreError),
	/// The data folder cannot be used.
	#[error(transparent)]
	Disk(#[from] DiskError),
	/// The metrics are wrong.
	#[error("the metrics cannot be set up: {0}")]
	Metrics(#[from] prometheus::Error),
	/// The computing thread does not start.
	#[error("the computing thread cannot be started: {0}")]
	Thread(#[source] io::Error),
	/// Starting was interrupted.
	#[error("starting was interrupted: {0}")]
	Interrupted(#[from] tokio::task::JoinError),
}

/// A worker that runs.
#[derive(Debug)]
pub struct Daemon {
	address: SocketAddr,
	gateway_address: Option<SocketAddr>,
	context: Arc<Context>,
	server: http::Server,
	gateway: Option<GatewayServer>,
	housekeeping: JoinHandle<()>,
	computing: thread::JoinHandle<()>,
}

impl Daemon {
	/// Starts a worker: hashes and loads the base models, reads the journal, and listens.
	pub async fn start(config: Config) -> Result<Self, StartError> {
		if !config.listen.ip().is_loopback() {
			return Err(StartError::NotLoopback(config.listen));
		}
		let (listener, address) = bind(config.listen).await?;
		let gateway_listener = match config.gateway {
			None => None,
			Some(GatewayConfig { listen, drain, .. }) => {
				if !listen.ip().is_loopback() && Keys::open(&config.data)?.is_empty() {
					return Err(StartError::GatewayNeedsKeys(listen));
				}
				let (listener, address) = bind(listen).await?;
				Some((listener, address, drain))
			},
		};
		let (context, gateway) = spawn_blocking(move || open(config)).await??;

		let alive = Arc::new(AtomicBool::new(true));
		let computing = thread::Builder::new()
			.name("compute".into())
			.spawn({
				let (context, alive) = (context.clone(), alive.clone());
				move || {
					let _alive = Alive(alive);
					context.work();
				}
			})
			.map_err(StartError::Thread)?;
		let api = Api::new(context.clone(), alive, gateway.clone());
		let server = http::serve(listener, api.router(), Limits::LOCAL);
		let gateway_address = gateway_listener.as_ref().map(|(_, address, _)| *address);
		let housekeeping = tokio::spawn(keep_house(context.clone(), gateway.clone()));
		let gateway = gateway
			.zip(gateway_listener)
			.map(|(gateway, (listener, _, drain))| gateway.serve(listener, drain));
		Ok(Self { address, gateway_address, context, server, gateway, housekeeping, computing })
	}

	/// Where it listens.
	pub fn address(&self) -> SocketAddr {
		self.address
	}

	/// Where the gateway listens, if there is one.
	pub fn gateway_address(&self) -> Option<SocketAddr> {
		self.gateway_address
	}

	/// The base models that it serves.
	pub fn base_models(&self) -> Vec<&BaseModel> {
		self.context.models.served().into_iter().map(|served| &served.base).collect()
	}

	/// Jobs that wait for their turn.
	pub fn queued(&self) -> usize {
		self.context.board.counts().queued
	}

	/// Stops: takes no more requests, lets answers at the gateway end and training write a
	/// checkpoint, and keeps all jobs.
	pub async fn stop(self) {
		self.context.board.stop();
		self.housekeeping.abort();
		let gateway = match self.gateway {
			Some(gateway) => Some(gateway.stop().await),
			None => None,
		};
		self.server.stop().await;
		let (computing, context) = (self.computing, self.context);
		let ended = spawn_blocking(move || {
			let ended = computing.join();
			context.models.stop();
			ended
		});
		if !matches!(ended.await, Ok(Ok(()))) {
			tracing::warn!("a computing thread ended with a panic");
		}
		if let Some(gateway) = gateway {
			gateway.close().await;
		}
	}
}

/// Says, when it goes, that the computing thread is gone.
struct Alive(Arc<AtomicBool>);

impl Drop for Alive {
	fn drop(&mut self) {
		self.0.store(false, Ordering::Relaxed);
	}
}

async fn bind(address: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
	let listen_error = |source| StartError::Listen { address, source };
	let listener = TcpListener::bind(address).await.map_err(listen_error)?;
	let address = listener.local_addr().map_err(listen_error)?;
	Ok((listener, address))
}

type Opened = (Arc<Context>, Option<Arc<Gateway>>);

fn open(config: Config) -> Result<Opened, StartError> {
	durable::make_folder(&config.data)?;
	// First, for its lock keeps a second worker away from the jobs too.
	let store = Store::open(config.data.join("blobs"))?.with_max_blob_bytes(config.max_blob_bytes);
	let store = Arc::new(store);
	let metrics = Arc::new(Metrics::new()?);
	let board = Board::open(config.data.join("jobs"), config.max_queue, metrics.clone())?;
	let evidence = EvidenceFolder::open(config.data.join("evidence"))?;
	let catalogue = Catalogue::open(&config.data)?;
	let open_base = |path: &PathBuf| BaseModel::open(path, config.serving.precision);
	let bases: Vec<(BaseModel, ServingModel)> =
		config.bases.iter().map(open_base).collect::<Result<_, _>>()?;
	if config.gateway.is_some() {
		check_names(&bases)?;
	}
	let models = Models::new(bases, store.clone(), config.threads, &config.serving)?;
	let context = Arc::new(Context {
		board,
		models,
		catalogue,
		store,
		evidence,
		metrics,
		patience: config.patience,
		checkpoint_every: config.checkpoint_every,
	});
	let open_gateway = |_| Gateway::open(context.clone(), &config.data);
	let gateway = config.gateway.as_ref().map(open_gateway).transpose()?.map(Arc::new);
	Ok((context, gateway))
}

/// Checks that each base model has a name of its own.
fn check_names(bases: &[(BaseModel, ServingModel)]) -> Result<(), StartError> {
	let mut paths = HashMap::new();
	for (base, _) in bases {
		if let Some(first) = paths.insert(&base.name, &base.path) {
			return Err(StartError::SameName { first: first.clone(), second: base.path.clone() });
		}
	}
	Ok(())
}

/// Forgets what is over, unless the clock that tells is in doubt, and measures the store.
async fn keep_house(context: Arc<Context>, gateway: Option<Arc<Gateway>>) {
	let mut clock = time::Trust::new();
	for round in 0u64.. {
		let (context, gateway) = (context.clone(), gateway.clone());
		let trusted = clock.look();
		let swept = spawn_blocking(move || {
			if trusted {
				context.board.sweep(time::now());
			}
			if let Some(gateway) = gateway {
				gateway.keep_pins();
			}
			if round % LOOK_AT_FILES_EVERY == 0 {
				look_at_files(&context, trusted);
			}
		});
		if swept.await.is_err() {
			tracing::error!("housekeeping failed");
		}
		tokio::time::sleep(SWEEP_EVERY).await;
	}
}

fn look_at_files(context: &Context, clock_is_trusted: bool) {
	if clock_is_trusted {
		if let Err(error) = context.evidence.sweep() {
			tracing::warn!(%error, "old evidence stays");
		}
	}
	let (mut blobs, mut bytes) = (0i64, 0i64);
	for blob in context.store.blobs() {
		match blob {
			Ok(blob) => {
				blobs = blobs.saturating_add(1);
				bytes = bytes.saturating_add(i64::try_from(blob.bytes).unwrap_or(i64::MAX));
			},
			Err(error) => tracing::warn!(%error, "the store has something odd"),
		}
	}
	context.metrics.store_blobs.set(blobs);
	context.metrics.store_bytes.set(bytes);
}
