//! The HTTP API: `docs/spec/worker-api.md`.
//!
//! Handlers read and answer; what blocks on the disk or the board runs on threads that may block. The
//! API has no authentication: it listens on loopback only, and refuses requests that a browser makes
//! for a page from elsewhere. The [gateway](crate::gateway) has a listener of its own; what its operator
//! may do is here.

mod blobs;
mod body;
mod error;
mod evidence;
mod guard;
mod jobs;
mod report;
mod server;
mod stall;
mod watch;

pub use body::{read as read_body, BodyFault};
pub use error::ApiError;
pub use guard::foreign_header;
pub use server::{serve, Limits, Server};
pub use watch::base_json;

use crate::{
	compute::Context,
	gateway::{admin, Gateway},
};
use axum::{
	middleware,
	routing::{get, post},
	Router,
};
use openledger_primitives::H256;
use std::sync::{
	atomic::{AtomicBool, Ordering},
	Arc,
};
use tokio::sync::Semaphore;

/// Orders that are read at a time: each can have [`MAX_ORDER_BYTES`].
///
/// [`MAX_ORDER_BYTES`]: openledger_primitives::worker_api::MAX_ORDER_BYTES
const ORDERS_READ: usize = 4;
/// Requests that read whole contributions into memory at a time.
const EVIDENCE_READ: usize = 2;

/// What the handlers share.
#[derive(Clone, Debug)]
pub struct Api {
	context: Arc<Context>,
	computing: Arc<AtomicBool>,
	orders: Arc<Semaphore>,
	evidence: Arc<Semaphore>,
	gateway: Option<Arc<Gateway>>,
}

impl Api {
	/// The API over a worker whose computing thread lives as long as `computing` is true, and over
	/// its gateway if it has one.
	pub fn new(
		context: Arc<Context>,
		computing: Arc<AtomicBool>,
		gateway: Option<Arc<Gateway>>,
	) -> Self {
		Self {
			context,
			computing,
			gateway,
			orders: Arc::new(Semaphore::new(ORDERS_READ)),
			evidence: Arc::new(Semaphore::new(EVIDENCE_READ)),
		}
	}

	/// All routes.
	pub fn router(self) -> Router {
		let admin = self.gateway.clone().map(admin::router).unwrap_or_default();
		Router::new()
			.route("/v1/jobs", post(jobs::post).get(jobs::list))
			.route("/v1/jobs/{id}", get(jobs::show).delete(jobs::forget))
			.route("/v1/jobs/{id}/events", get(jobs::events))
			.route("/v1/blobs/{hash}", get(blobs::get).put(blobs::put).head(blobs::head))
			.route("/v1/evidence/{root}", get(evidence::show))
			.route("/health", get(watch::health))
			.route("/metrics", get(watch::metrics))
			.with_state(self.clone())
			.merge(admin)
			.fallback(async || ApiError::unknown_path())
			.method_not_allowed_fallback(async || ApiError::method_not_allowed())
			.layer(middleware::from_fn_with_state(self, guard::guard))
	}

	/// Why no jobs are taken, if none are.
	fn trouble(&self) -> Option<&'static str> {
		if self.context.board.stopping() {
			Some("the worker is stopping")
		} else if !self.computing.load(Ordering::Relaxed) {
			Some("the computing thread has ended; restart the worker and report this")
		} else {
			None
		}
	}

	/// Runs what blocks on the disk.
	async fn blocking<T: Send + 'static>(
		&self,
		work: impl FnOnce(&Context) -> T + Send + 'static,
	) -> Result<T, ApiError> {
		let context = self.context.clone();
		tokio::task::spawn_blocking(move || work(&context)).await.map_err(|_| ApiError::broken())
	}
}

/// A hash in a path.
fn hash_in(path: &str) -> Result<H256, ApiError> {
	crate::hexadecimal::parse(path).ok_or_else(|| ApiError::bad_hash(path))
}
