//! How a worker is set up.

pub use openledger_engine::serving::service::{
	DEFAULT_ADAPTER_BYTES, DEFAULT_CACHE_TOKENS, DEFAULT_MAX_ADAPTERS,
};
use openledger_engine::serving::Precision;
use std::{net::SocketAddr, path::PathBuf, time::Duration};

/// Where the worker listens unless told otherwise.
pub const DEFAULT_LISTEN: &str = "127.0.0.1:9955";
/// Jobs that may wait. The chain gives a worker few at a time, so that a longer queue means jobs
/// that expire before their turn.
pub const DEFAULT_MAX_QUEUE: usize = 256;
/// The largest blob that is taken in, in bytes: contributions and adapters are read into memory.
pub const DEFAULT_MAX_BLOB_BYTES: u64 = 1 << 30;
/// Jobs that are known at a time, ended ones included: some megabytes of memory, and a week of
/// a job every ten seconds.
pub const MAX_KNOWN_JOBS: usize = 65_536;

/// Time between two checkpoints of training: what a crash costs at most. Writing one takes
/// milliseconds.
pub const DEFAULT_CHECKPOINT_EVERY: Duration = Duration::from_secs(15);

/// Bytes that span indexes in memory take together, with the records in them: 1 GiB, thousands of models'
/// with some hundred records each.
pub const DEFAULT_INDEX_BYTES: usize = 1 << 30;

/// How long answers at the gateway may go on when the worker stops: most end in that time, and whoever
/// sends SIGTERM waits as long before SIGKILL.
pub const DEFAULT_DRAIN: Duration = Duration::from_secs(30);

/// How a worker is set up.
#[derive(Clone, Debug)]
pub struct Config {
	/// GGUF files or Hugging Face directories.
	pub bases: Vec<PathBuf>,
	/// Folder for blobs, jobs and evidence.
	pub data: PathBuf,
	/// A loopback address; port 0 takes a free one.
	pub listen: SocketAddr,
	/// Threads of the engine; all cores when zero.
	pub threads: usize,
	/// Jobs that may wait.
	pub max_queue: usize,
	/// The largest blob that is taken in, in bytes.
	pub max_blob_bytes: u64,
	/// How long jobs wait for what they lack.
	pub patience: Patience,
	/// Time between two checkpoints of training.
	pub checkpoint_every: Duration,
	/// How answers are computed.
	pub serving: ServingConfig,
	/// The gateway, if there is one.
	pub gateway: Option<GatewayConfig>,
}

/// How the gateway is set up.
#[derive(Clone, Copy, Debug)]
pub struct GatewayConfig {
	/// Where it listens; port 0 takes a free one. Only with API keys it may be elsewhere than on
	/// loopback.
	pub listen: SocketAddr,
	/// How long answers may go on when the worker stops.
	pub drain: Duration,
}

/// How answers are computed, for jobs and at the gateway alike; for each base model.
#[derive(Clone, Copy, Debug)]
pub struct ServingConfig {
	/// How the weights are held.
	pub precision: Precision,
	/// Tokens whose keys and values are in memory, over all requests.
	pub cache_tokens: usize,
	/// Adapters that are in memory at a time.
	pub max_adapters: usize,
	/// Bytes that they take together.
	pub adapter_bytes: usize,
	/// Bytes that span indexes in memory take together, of all base models. One that is larger is kept
	/// alone.
	pub index_bytes: usize,
}

impl Default for ServingConfig {
	fn default() -> Self {
		Self {
			precision: Precision::default(),
			cache_tokens: DEFAULT_CACHE_TOKENS,
			max_adapters: DEFAULT_MAX_ADAPTERS,
			adapter_bytes: DEFAULT_ADAPTER_BYTES,
			index_bytes: DEFAULT_INDEX_BYTES,
		}
	}
}

impl GatewayConfig {
	/// With the defaults for the rest.
	pub fn new(listen: SocketAddr) -> Self {
		Self { listen, drain: DEFAULT_DRAIN }
	}
}

/// How long jobs wait for what they lack.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
	/// For a prompt that travels outside the chain. Short, for an answer is due within minutes.
	pub prompt: Duration,
	/// For contributions, specifications and adapters.
	pub blobs: Duration,
	/// For a full disk to have room again.
	pub disk: Duration,
	/// Time between two looks.
	pub look_every: Duration,
}

impl Default for Patience {
	fn default() -> Self {
		Self {
			prompt: Duration::from_secs(20),
			blobs: Duration::from_secs(60),
			disk: Duration::from_secs(600),
			look_every: Duration::from_secs(1),
		}
	}
}

impl Config {
	/// A worker with these base models and this data folder, and the defaults for the rest.
	pub fn new(bases: Vec<PathBuf>, data: PathBuf) -> Self {
		Self {
			bases,
			data,
			listen: SocketAddr::from(([127, 0, 0, 1], 9955)),
			threads: 0,
			max_queue: DEFAULT_MAX_QUEUE,
			max_blob_bytes: DEFAULT_MAX_BLOB_BYTES,
			patience: Patience::default(),
			checkpoint_every: DEFAULT_CHECKPOINT_EVERY,
			serving: ServingConfig::default(),
			gateway: None,
		}
	}
}
