//! The gateway: OpenAI's API over the serving engine (`docs/spec/gateway-api.md`).
//!
//! | file | what it is about |
//! |---|---|
//! | [`callers`], [`keys`], [`ledger`], [`amounts`] | who asks, for how much, and what it has cost |
//! | [`catalogue`], [`serving`], [`admin`] | which models there are, what answers with them, how the operator changes them |
//! | [`fields`], [`request`], [`logits`], [`json_mode`] | what is asked |
//! | [`asking`], [`form`], [`stream`], [`receipt`] | from requests to answers: at the engine, as JSON, piece by piece, and on whose words |
//! | [`chat`], [`completions`], [`models`] | the paths |
//! | [`error`], [`metrics`] | what goes wrong, what is counted |
//!
//! It listens on an address of its own, because it may be reached from elsewhere once there are API
//! keys. What the operator may do is on the loopback listener alone ([`admin`]): a request that comes
//! through a proxy can never get there, and there is no second kind of key to lose.
//!
//! *Invariants.* Nothing that a client sends is passed over in silence: a field either does what it says
//! or is refused by its name. Nothing that a client does or leaves undone blocks the engine's threads or
//! takes memory without a bound. An adapter is named by its hash, never by a path.

pub mod admin;
pub mod amounts;
pub mod asking;
pub mod callers;
pub mod catalogue;
pub mod chat;
pub mod completions;
pub mod error;
pub mod fields;
pub mod form;
pub mod json_mode;
pub mod keys;
pub mod ledger;
pub mod logits;
pub mod metrics;
pub mod models;
pub mod receipt;
pub mod request;
pub mod serving;
pub mod stream;

use crate::{
	compute::Context,
	durable::DiskError,
	http::{self, Limits, Server},
	time,
};
use axum::{
	middleware,
	routing::{get, post},
	Json, Router,
};
use callers::Callers;
use error::OpenAiError;
use ledger::Ledger;
use metrics::GatewayMetrics;
use openledger_primitives::UnixSeconds;
use serde_json::json;
use serving::Served;
use std::{
	path::Path,
	sync::{
		atomic::{AtomicBool, Ordering},
		Arc,
	},
	time::Duration,
};
use tokio::{net::TcpListener, sync::Semaphore, time::timeout};
use tokio_util::sync::CancellationToken;

/// Where keys, what they spent and the catalogue are, in the data folder.
const GATEWAY_FOLDER: &str = "gateway";
/// Bytes of a body: a hundred of the longest contexts as text. As JSON in memory it takes up to forty
/// times as much.
const MAX_BODY_BYTES: usize = 4 << 20;
/// The longest time for a body to come.
const BODY_PATIENCE: Duration = Duration::from_secs(30);
/// The longest time for an answer that is sent as a whole, as OpenAI's clients wait.
const ANSWER_PATIENCE: Duration = Duration::from_secs(600);
/// The longest time for an answer that is streamed.
const STREAM_PATIENCE: Duration = Duration::from_secs(3_600);
/// Answers that are attributed at a time: each searches a whole index.
const ATTRIBUTIONS: usize = 2;

/// The longest time to tell clients that their answers were cut off.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// Why a gateway does not start.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
	/// Its files cannot be used.
	#[error(transparent)]
	Disk(#[from] DiskError),
	/// The metrics are wrong.
	#[error("the metrics cannot be set up: {0}")]
	Metrics(#[from] prometheus::Error),
}

/// A gateway. See the [module](self).
#[derive(Debug)]
pub struct Gateway {
	context: Arc<Context>,
	served: Vec<Arc<Served>>,
	callers: Callers,
	ledger: Arc<Ledger>,
	metrics: Arc<GatewayMetrics>,
	attributions: Semaphore,
	draining: AtomicBool,
	/// Ends what is under way.
	cut: CancellationToken,
	started: UnixSeconds,
}

impl Gateway {
	/// Reads keys and what they spent.
	pub fn open(context: Arc<Context>, data: &Path) -> Result<Self, GatewayError> {
		let metrics = Arc::new(GatewayMetrics::new()?);
		Ok(Self {
			callers: Callers::open(data)?,
			ledger: Arc::new(Ledger::open(data)?),
			served: serving::served(&context),
			context,
			metrics,
			attributions: Semaphore::new(ATTRIBUTIONS),
			draining: AtomicBool::new(false),
			cut: CancellationToken::new(),
			started: time::now(),
		})
	}

	/// Whether only those with a key are answered.
	pub fn needs_keys(&self) -> bool {
		self.callers.need_keys()
	}

	/// All routes.
	pub fn router(self: Arc<Self>) -> Router {
		Router::new()
			.route("/v1/chat/completions", post(chat::create))
			.route("/v1/completions", post(completions::create))
			.route("/v1/embeddings", post(models::no_embeddings))
			.route("/v1/models", get(models::list))
			.route("/v1/models/{*name}", get(models::show_one))
			.fallback(async || OpenAiError::unknown_path())
			.method_not_allowed_fallback(async || OpenAiError::method_not_allowed())
			.layer(middleware::from_fn_with_state(self.clone(), callers::admit))
			// What a load balancer asks needs no key.
			.merge(
				Router::new()
					.route("/health", get(models::health))
					.method_not_allowed_fallback(async || OpenAiError::method_not_allowed()),
			)
			.with_state(self)
	}

	/// Serves the routes on the listener. Answers may go on for `drain` once it stops.
	pub fn serve(self: Arc<Self>, listener: TcpListener, drain: Duration) -> GatewayServer {
		let limits = Limits {
			connections: 1_024,
			connections_per_address: 128,
			header_patience: Duration::from_secs(15),
			shutdown_patience: drain.saturating_add(LAST_WORDS),
		};
		let server = http::serve(listener, self.clone().router(), limits);
		GatewayServer { gateway: self, server, drain }
	}

	/// Whether no more requests are taken.
	pub fn is_draining(&self) -> bool {
		self.draining.load(Ordering::Relaxed)
	}

	/// Has pinned adapters read that are not in memory, and keeps those there that are.
	pub fn keep_pins(&self) {
		let entries = self.context.catalogue.entries();
		let pinned = entries.into_iter().filter(|entry| entry.pinned);
		for model in pinned.filter_map(|entry| self.asked(entry)) {
			let (service, Some(key)) = (&model.served.service, model.adapter_key()) else {
				continue;
			};
			if let Err(error) = service.pin(key) {
				tracing::warn!(model = model.name, %error, "an adapter cannot be pinned");
			}
		}
	}

	/// Prometheus's text of all that happens here.
	pub fn render_metrics(&self) -> Result<String, prometheus::Error> {
		self.served.iter().for_each(|served| {
			self.metrics.stands(&served.base.name, &served.service.counts());
		});
		self.metrics.render()
	}

	/// Writes down what all answers have cost, also those that were cut off. For the end, when the
	/// engine has stopped.
	pub async fn close(&self) {
		// What goes wrong is in the log.
		let _ = self.ledger.close().await;
	}

	/// How it stands, in the worker's health.
	pub fn health(&self) -> Json<serde_json::Value> {
		let counts = self.served.iter().map(|served| served.service.counts());
		let (running, waiting) =
			counts.fold((0, 0), |sum, counts| (sum.0 + counts.running, sum.1 + counts.waiting));
		let status = if self.is_draining() { "draining" } else { "ok" };
		Json(json!({"status": status, "requests": {"running": running, "waiting": waiting}}))
	}
}

/// A gateway that listens.
#[derive(Debug)]
pub struct GatewayServer {
	gateway: Arc<Gateway>,
	server: Server,
	drain: Duration,
}

impl GatewayServer {
	/// Takes no more requests, waits a while for the answers under way, and cuts off those that have
	/// not ended then. What they cost is known for certain once nothing is computed any more: then
	/// [`close`](Gateway::close) writes it down.
	pub async fn stop(self) -> Arc<Gateway> {
		let Self { gateway, server, drain } = self;
		gateway.draining.store(true, Ordering::Relaxed);
		let mut stopping = Box::pin(server.stop());
		if timeout(drain, &mut stopping).await.is_err() {
			tracing::warn!("answers were cut off, for they did not end in time");
			gateway.cut.cancel();
			stopping.await;
		}
		gateway
	}
}
