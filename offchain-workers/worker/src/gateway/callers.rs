//! Who asks: keys, tenants, and what each may have under way.

use super::{
	error::OpenAiError,
	keys::{Key, Keys},
	Gateway, BODY_PATIENCE, MAX_BODY_BYTES,
};
use crate::{
	durable::DiskError,
	http::{foreign_header, read_body},
};
use axum::{
	body::{Body, Bytes},
	extract::{Request, State},
	http::header,
	middleware::Next,
	response::{IntoResponse, Response},
};
use openledger_engine::serving::Tenant;
use parking_lot::Mutex;
use std::{collections::HashMap, path::Path, sync::Arc};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Requests of one tenant at a time; further ones are refused.
const REQUESTS: usize = 256;
/// Bodies of one tenant that are taken in at a time; further ones wait. With the bytes of a body this
/// bounds the memory that a tenant takes before its requests are known.
const BODIES: usize = 8;
/// Bodies that are made JSON, and then tokens, at a time: of one tenant, so that it leaves room for
/// others, and of all. Further ones wait.
const READ: (usize, usize) = (2, 4);
/// Schemas that are compiled at a time, of one tenant and of all.
const COMPILED: (usize, usize) = (2, 4);
/// Whose requests they are when there are no keys.
const NOBODY: &str = "local";

/// Who may ask.
#[derive(Debug)]
pub struct Callers {
	keys: Keys,
	/// There were no keys when the worker started, and it listens on loopback: until there are some,
	/// everybody on this machine is answered. A worker that started with keys is never open, also
	/// when all of them are removed.
	open: bool,
	rooms: Mutex<HashMap<Arc<str>, Arc<Room>>>,
	shared: Shared,
}

/// What all tenants may have under way together.
#[derive(Clone, Debug)]
struct Shared {
	reading: Arc<Semaphore>,
	compiling: Arc<Semaphore>,
}

/// What a tenant may have under way.
#[derive(Debug)]
struct Room {
	requests: Arc<Semaphore>,
	bodies: Arc<Semaphore>,
	reading: Arc<Semaphore>,
	compiling: Arc<Semaphore>,
	shared: Shared,
}

/// Somebody who asks.
#[derive(Clone, Debug)]
pub struct Caller {
	/// Whose turn it is at the engine.
	pub tenant: Tenant,
	/// The key, unless none is needed.
	pub key: Option<Arc<Key>>,
	room: Arc<Room>,
	/// Given back when the answer has been sent.
	_permit: Arc<OwnedSemaphorePermit>,
}

impl Callers {
	/// Reads the keys.
	pub fn open(data: &Path) -> Result<Self, DiskError> {
		let keys = Keys::open(data)?;
		let shared = Shared {
			reading: Arc::new(Semaphore::new(READ.1)),
			compiling: Arc::new(Semaphore::new(COMPILED.1)),
		};
		Ok(Self { open: keys.is_empty(), keys, rooms: Mutex::default(), shared })
	}

	/// Whether only those with a key are answered.
	pub fn need_keys(&self) -> bool {
		!(self.open && self.keys.is_empty())
	}

	fn caller(&self, request: &Request) -> Result<Caller, OpenAiError> {
		let key = if self.need_keys() { Some(self.key(request)?) } else { None };
		if key.is_none() {
			if let Some(name) = foreign_header(request) {
				return Err(OpenAiError::foreign(name.as_str()));
			}
		}
		let name: Arc<str> = key.as_ref().map_or(NOBODY, |key| key.name.as_str()).into();
		let room = self.room(&name);
		let permit = room.requests.clone().try_acquire_owned().map_err(|_| {
			OpenAiError::too_many_requests(format!("This key has {REQUESTS} requests under way."))
		})?;
		Ok(Caller { tenant: Tenant(name), key, room, _permit: Arc::new(permit) })
	}

	fn key(&self, request: &Request) -> Result<Arc<Key>, OpenAiError> {
		let header = request.headers().get(header::AUTHORIZATION).ok_or_else(|| {
			OpenAiError::bad_key("No API key is given; send `Authorization: Bearer KEY`.")
		})?;
		let bearer = header.to_str().ok().and_then(|text| {
			let (scheme, secret) = text.split_once(' ')?;
			scheme.eq_ignore_ascii_case("bearer").then_some(secret.trim())
		});
		bearer
			.and_then(|secret| self.keys.find(secret))
			.ok_or_else(|| OpenAiError::bad_key("This API key is not known."))
	}

	/// A tenant's room. There are as many as there were ever keys while the worker runs.
	fn room(&self, name: &Arc<str>) -> Arc<Room> {
		let room = || Room {
			requests: Arc::new(Semaphore::new(REQUESTS)),
			bodies: Arc::new(Semaphore::new(BODIES)),
			reading: Arc::new(Semaphore::new(READ.0)),
			compiling: Arc::new(Semaphore::new(COMPILED.0)),
			shared: self.shared.clone(),
		};
		let mut rooms = self.rooms.lock();
		rooms.entry(name.clone()).or_insert_with(|| Arc::new(room())).clone()
	}
}

impl Caller {
	/// Reads a body and makes of it what `read` makes. That can take long, so it runs where it blocks
	/// nobody.
	pub async fn read<T: Send + 'static>(
		&self,
		body: Body,
		read: impl FnOnce(Bytes) -> Result<T, OpenAiError> + Send + 'static,
	) -> Result<T, OpenAiError> {
		let taken_in = permit(&self.room.bodies).await?;
		let bytes = read_body(body, MAX_BODY_BYTES, BODY_PATIENCE).await?;
		let own = permit(&self.room.reading).await?;
		let reading = permit(&self.room.shared.reading).await?;
		blocking([taken_in, own, reading], move || read(bytes)).await
	}

	/// Compiles a schema, which can take long, where it blocks nobody.
	pub async fn compile<T: Send + 'static>(
		&self,
		compile: impl FnOnce() -> Result<T, OpenAiError> + Send + 'static,
	) -> Result<T, OpenAiError> {
		let own = permit(&self.room.compiling).await?;
		let compiling = permit(&self.room.shared.compiling).await?;
		blocking([own, compiling], compile).await
	}
}

async fn permit(of: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, OpenAiError> {
	of.clone().acquire_owned().await.map_err(|_| OpenAiError::broken())
}

/// Does work that holds its permits until it is done. Whoever waits for it may be dropped before, when
/// a client goes away; the work goes on.
async fn blocking<T: Send + 'static>(
	permits: impl Send + 'static,
	work: impl FnOnce() -> Result<T, OpenAiError> + Send + 'static,
) -> Result<T, OpenAiError> {
	let working = tokio::task::spawn_blocking(move || {
		let _permits = permits;
		work()
	});
	working.await.map_err(|_| OpenAiError::broken())?
}

/// Lets those in who may ask, while the worker takes requests.
pub async fn admit(
	State(gateway): State<Arc<Gateway>>,
	mut request: Request,
	next: Next,
) -> Response {
	let (method, path) = (request.method().clone(), request.uri().path().to_owned());
	let admitted = if gateway.is_draining() {
		Err(OpenAiError::stopping())
	} else {
		gateway.callers.caller(&request)
	};
	let response = match admitted {
		Ok(caller) => {
			request.extensions_mut().insert(caller);
			next.run(request).await
		},
		Err(error) => error.into_response(),
	};
	let status = response.status().as_u16();
	gateway.context.metrics.responded(status);
	tracing::debug!(%method, path, status, "request at the gateway");
	response
}
