//! Stand-ins for what a node gives to offchain workers: a worker that is spoken to by HTTP, a
//! keystore, local storage, a transaction pool.
//!
//! The HTTP stand-in of `sp-core` answers every request with status 200; ours is a worker that knows
//! jobs or does not, and can be away.

// Tests may stop at the first surprise.
#![allow(
	clippy::arithmetic_side_effects,
	clippy::expect_used,
	clippy::indexing_slicing,
	clippy::unwrap_used
)]

use crate::operator::testing::Extrinsic;
use codec::{Decode, Encode};
use openledger_primitives::{
	jobs::OPERATOR_KEY_TYPE,
	worker_api::{Order, Report, WORKER_URL_KEY},
	H256,
};
use sp_core::{
	crypto::KeyTypeId,
	offchain::{
		testing::TestOffchainExt, DbExternalities, Externalities, HttpError, HttpRequestId,
		HttpRequestStatus, OffchainDbExt, OffchainWorkerExt, OpaqueNetworkState, StorageKind,
		Timestamp, TransactionPool, TransactionPoolExt,
	},
	sr25519, OpaquePeerId,
};
use sp_io::TestExternalities;
use sp_keystore::{testing::MemoryKeystore, Keystore, KeystoreExt, KeystorePtr};
use std::{
	collections::BTreeMap,
	sync::{Arc, Mutex, MutexGuard},
};

/// Where the stand-in listens.
pub const URL: &str = "http://127.0.0.1:9955";

/// The worker, as a test makes it.
#[derive(Default)]
pub struct WorkerState {
	/// Nobody listens.
	pub away: bool,
	/// It does not answer until the deadline.
	pub hangs: bool,
	/// `/health` says no.
	pub unwell: bool,
	/// The bytes it reports for each job it knows.
	pub reports: BTreeMap<H256, Vec<u8>>,
	/// The status with which it refuses orders, if it does.
	pub refuses: Option<u16>,
	/// The orders it got.
	pub orders: Vec<Order>,
	/// Method and path of every request that reached it, in order.
	pub requests: Vec<String>,
	open: BTreeMap<u16, Exchange>,
	next_id: u16,
}

/// One request with its answer.
#[derive(Default)]
struct Exchange {
	method: String,
	path: String,
	body: Vec<u8>,
	answer: Vec<u8>,
	read: usize,
}

impl WorkerState {
	/// What a real worker does with a request.
	fn answer(&mut self, method: &str, path: &str, body: &[u8]) -> (u16, Vec<u8>) {
		self.requests.push(format!("{method} {path}"));
		if path == "/health" {
			return (if self.unwell { 503 } else { 200 }, Vec::new());
		}
		if (method, path) == ("POST", "/v1/jobs") {
			if let Some(status) = self.refuses {
				return (status, b"{\"error\": \"no\"}".to_vec());
			}
			let order = Order::decode(&mut &body[..]).expect("the order is well formed");
			let report = self.reports.entry(order.id).or_insert(Report::Queued.encode()).clone();
			self.orders.push(order);
			return (202, report);
		}
		let id = path.strip_prefix("/v1/jobs/0x").expect("the path is one of the API");
		assert_eq!((method, id.len()), ("GET", 64));
		let byte = |at| u8::from_str_radix(&id[at..at + 2], 16).expect("lower case hexadecimal");
		let bytes: Vec<u8> = (0..64).step_by(2).map(byte).collect();
		match self.reports.get(&H256::from_slice(&bytes)) {
			Some(report) => (200, report.clone()),
			None => (404, b"{\"error\": \"unknown job\"}".to_vec()),
		}
	}
}

/// What a node has, as a test sees it.
#[derive(Clone)]
pub struct Node {
	worker: Arc<Mutex<WorkerState>>,
	pool: Arc<Mutex<PoolState>>,
	storage: TestOffchainExt,
	keystore: KeystorePtr,
}

#[derive(Default)]
struct PoolState {
	transactions: Vec<Vec<u8>>,
	full: bool,
}

impl Node {
	/// Gives a chain all that a node with a worker has, and no operator key.
	pub fn around(chain: &mut TestExternalities) -> Self {
		let node = Self {
			worker: Arc::default(),
			pool: Arc::default(),
			storage: TestOffchainExt::default(),
			keystore: Arc::new(MemoryKeystore::new()),
		};
		node.set_clock(1_000_000);
		node.set_url(Some(URL));
		chain.register_extension(OffchainDbExt::new(node.storage.clone()));
		chain.register_extension(OffchainWorkerExt::new(node.clone()));
		chain.register_extension(TransactionPoolExt::new(node.clone()));
		chain.register_extension(KeystoreExt(node.keystore.clone()));
		node
	}

	/// Puts an operator key into the keystore, by its secret.
	pub fn insert_key(&self, secret: &str) -> sr25519::Public {
		self.keystore
			.sr25519_generate_new(KeyTypeId(OPERATOR_KEY_TYPE), Some(secret))
			.expect("the secret is one")
	}

	/// The worker.
	pub fn worker(&self) -> MutexGuard<'_, WorkerState> {
		self.worker.lock().expect("no test panicked with it")
	}

	/// Makes the worker report this about a job.
	pub fn let_report(&self, id: H256, report: &Report) {
		self.worker().reports.insert(id, report.encode());
	}

	/// Takes the transactions out of the pool.
	pub fn take_transactions(&self) -> Vec<Vec<u8>> {
		std::mem::take(&mut self.pool().transactions)
	}

	/// Takes the transactions of a mock out of the pool, and the calls out of them.
	pub fn take_calls<T: frame_system::Config>(&self) -> Vec<T::RuntimeCall> {
		let whole = |bytes: Vec<u8>| Extrinsic::<T>::decode(&mut bytes.as_slice());
		let transactions = self.take_transactions().into_iter().map(whole);
		transactions.map(|extrinsic| extrinsic.expect("it is whole").function).collect()
	}

	/// As [`Self::take_calls`], when there is exactly one.
	pub fn take_call<T: frame_system::Config>(&self) -> T::RuntimeCall {
		let mut calls = self.take_calls::<T>();
		assert_eq!(calls.len(), 1, "one transaction was submitted");
		calls.remove(0)
	}

	/// Makes the pool refuse transactions, or take them.
	pub fn set_pool_full(&self, full: bool) {
		self.pool().full = full;
	}

	fn pool(&self) -> MutexGuard<'_, PoolState> {
		self.pool.lock().expect("no test panicked with it")
	}

	/// Sets the node's clock to so many milliseconds.
	pub fn set_clock(&self, millis: u64) {
		self.storage.0.write().timestamp = Timestamp::from_unix_millis(millis);
	}

	/// Tells the node where its worker is, or that there is none.
	pub fn set_url(&self, url: Option<&str>) {
		let mut storage = self.storage.clone();
		match url {
			Some(url) => {
				storage.local_storage_set(StorageKind::PERSISTENT, WORKER_URL_KEY, url.as_bytes())
			},
			None => storage.local_storage_clear(StorageKind::PERSISTENT, WORKER_URL_KEY),
		}
	}

	/// A value of the local storage.
	pub fn stored(&self, key: &str) -> Option<Vec<u8>> {
		self.storage.clone().local_storage_get(StorageKind::PERSISTENT, key.as_bytes())
	}

	/// Writes a value of the local storage.
	pub fn store(&self, key: &str, value: &[u8]) {
		self.storage.clone().local_storage_set(StorageKind::PERSISTENT, key.as_bytes(), value);
	}
}

impl TransactionPool for Node {
	fn submit_transaction(&mut self, extrinsic: Vec<u8>) -> Result<(), ()> {
		let mut pool = self.pool();
		if pool.full {
			return Err(());
		}
		pool.transactions.push(extrinsic);
		Ok(())
	}
}

impl Externalities for Node {
	fn is_validator(&self) -> bool {
		self.storage.is_validator()
	}

	fn network_state(&self) -> Result<OpaqueNetworkState, ()> {
		self.storage.network_state()
	}

	fn timestamp(&mut self) -> Timestamp {
		self.storage.timestamp()
	}

	fn sleep_until(&mut self, deadline: Timestamp) {
		self.storage.sleep_until(deadline);
	}

	fn random_seed(&mut self) -> [u8; 32] {
		self.storage.random_seed()
	}

	fn http_request_start(
		&mut self,
		method: &str,
		uri: &str,
		_: &[u8],
	) -> Result<HttpRequestId, ()> {
		let mut worker = self.worker();
		let id = worker.next_id;
		worker.next_id += 1;
		let path = uri.strip_prefix(URL).expect("no other host is asked").to_owned();
		worker.open.insert(id, Exchange { method: method.into(), path, ..Default::default() });
		Ok(HttpRequestId(id))
	}

	fn http_request_add_header(
		&mut self,
		_: HttpRequestId,
		name: &str,
		value: &str,
	) -> Result<(), ()> {
		assert!(matches!(name, "Accept" | "Content-Type"));
		assert_eq!(value, "application/x-scale");
		Ok(())
	}

	fn http_request_write_body(
		&mut self,
		id: HttpRequestId,
		chunk: &[u8],
		deadline: Option<Timestamp>,
	) -> Result<(), HttpError> {
		deadline.expect("nothing waits for ever");
		let mut worker = self.worker();
		worker.open.get_mut(&id.0).ok_or(HttpError::Invalid)?.body.extend(chunk);
		Ok(())
	}

	fn http_response_wait(
		&mut self,
		ids: &[HttpRequestId],
		deadline: Option<Timestamp>,
	) -> Vec<HttpRequestStatus> {
		let deadline = deadline.expect("nothing waits for ever");
		let hangs = self.worker().hangs;
		if hangs {
			self.sleep_until(deadline);
			return vec![HttpRequestStatus::DeadlineReached; ids.len()];
		}
		let mut worker = self.worker();
		if worker.away {
			return vec![HttpRequestStatus::IoError; ids.len()];
		}
		ids.iter()
			.map(|id| {
				let Some(mut exchange) = worker.open.remove(&id.0) else {
					return HttpRequestStatus::Invalid;
				};
				let (status, answer) =
					worker.answer(&exchange.method, &exchange.path, &exchange.body);
				exchange.answer = answer;
				worker.open.insert(id.0, exchange);
				HttpRequestStatus::Finished(status)
			})
			.collect()
	}

	fn http_response_headers(&mut self, _: HttpRequestId) -> Vec<(Vec<u8>, Vec<u8>)> {
		Vec::new()
	}

	fn http_response_read_body(
		&mut self,
		id: HttpRequestId,
		buffer: &mut [u8],
		deadline: Option<Timestamp>,
	) -> Result<usize, HttpError> {
		deadline.expect("nothing waits for ever");
		let mut worker = self.worker();
		let exchange = worker.open.get_mut(&id.0).ok_or(HttpError::Invalid)?;
		let rest = &exchange.answer[exchange.read..];
		let length = rest.len().min(buffer.len());
		buffer[..length].copy_from_slice(&rest[..length]);
		exchange.read += length;
		Ok(length)
	}

	fn set_authorized_nodes(&mut self, _: Vec<OpaquePeerId>, _: bool) {
		unreachable!("our offchain workers do not choose peers")
	}
}
