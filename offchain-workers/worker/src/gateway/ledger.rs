//! What each API key has spent.
//!
//! Before a request begins, the most that it can cost is reserved; when it ends, however it ends, what
//! it did cost is spent and the rest is free again. What was spent is on disk before the end of the
//! answer is sent, so a worker that is killed forgets at most what was under way. One that is stopped
//! forgets nothing: [`close`](Ledger::close).
//!
//! Accounts of keys that were removed stay, at some hundred bytes each: keys that come back, from a copy
//! of their file say, have their limits for all time. A new key of an old name has an account of its own.

use super::{
	amounts::Planks,
	error::OpenAiError,
	keys::{Key, SpendLimit},
	GATEWAY_FOLDER,
};
use crate::durable::{self, DiskError};
use openledger_primitives::{receipt::Prices, Balance};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::{
	collections::BTreeMap,
	fs, io,
	path::{Path, PathBuf},
	sync::{
		atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
		Arc,
	},
};
use tokio::runtime::Handle;

const FILE: &str = "spent.json";

/// What a key has spent in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spent {
	/// Tokens of prompts.
	pub input_tokens: u64,
	/// Tokens of answers.
	pub output_tokens: u64,
	/// At the models' prices.
	pub planks: Planks,
}

impl Spent {
	fn tokens(&self) -> u64 {
		self.input_tokens.saturating_add(self.output_tokens)
	}
}

#[derive(Clone, Copy, Debug, Default)]
struct Account {
	spent: Spent,
	reserved_tokens: u64,
	reserved_planks: Balance,
}

/// A request under way.
#[derive(Debug)]
struct Reservation {
	key: Arc<Key>,
	prices: Prices,
	tokens: u64,
	planks: Balance,
	count: Arc<Count>,
}

/// The keys' accounts, and what is under way on them.
#[derive(Debug, Default)]
struct Books {
	accounts: BTreeMap<String, Account>,
	/// By numbers that are never used again.
	under_way: BTreeMap<u64, Reservation>,
	next_number: u64,
}

impl Books {
	/// Settles a request, unless it is settled: what it has cost so far is spent, and the rest of what
	/// was reserved for it is free again. Whether anything was spent.
	fn settle(&mut self, number: u64) -> bool {
		let Some(reservation) = self.under_way.remove(&number) else { return false };
		let Reservation { key, prices, tokens: reserved, planks: reserved_planks, count } =
			reservation;
		let tokens = count.so_far();
		// It was reserved, and so much less could be computed too.
		let planks = prices.fee(tokens.input, tokens.output).unwrap_or(reserved_planks);
		let account = self.accounts.entry(key.id.clone()).or_default();
		account.reserved_tokens = account.reserved_tokens.saturating_sub(reserved);
		account.reserved_planks = account.reserved_planks.saturating_sub(reserved_planks);
		let spent = &mut account.spent;
		spent.input_tokens = spent.input_tokens.saturating_add(tokens.input.into());
		spent.output_tokens = spent.output_tokens.saturating_add(tokens.output.into());
		spent.planks = Planks(spent.planks.0.saturating_add(planks));
		tokens != Tokens::default()
	}
}

/// What all keys have spent.
#[derive(Debug)]
pub struct Ledger {
	path: PathBuf,
	books: Mutex<Books>,
	/// Counts changes of what was spent.
	changes: AtomicU64,
	/// The change up to which everything is on disk.
	written: tokio::sync::Mutex<u64>,
	/// The last attempt to write failed.
	failing: AtomicBool,
}

/// What the keys of a data folder have spent, by their ids.
pub fn read(data: &Path) -> Result<BTreeMap<String, Spent>, DiskError> {
	let path = data.join(GATEWAY_FOLDER).join(FILE);
	match fs::read(&path) {
		Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(BTreeMap::new()),
		Err(error) => Err(DiskError::at(&path, error)),
		Ok(json) => serde_json::from_slice(&json)
			.map_err(|error| DiskError::Damaged { path, why: error.to_string() }),
	}
}

impl Ledger {
	/// Reads what was spent.
	pub fn open(data: &Path) -> Result<Self, DiskError> {
		let account = |(id, spent)| (id, Account { spent, ..Account::default() });
		Ok(Self {
			path: data.join(GATEWAY_FOLDER).join(FILE),
			books: Mutex::new(Books {
				accounts: read(data)?.into_iter().map(account).collect(),
				..Books::default()
			}),
			changes: AtomicU64::new(0),
			written: tokio::sync::Mutex::new(0),
			failing: AtomicBool::new(false),
		})
	}

	/// Reserves the most that a request can cost.
	///
	/// # Errors
	///
	/// The key may not spend as much, or what it spends cannot be written down.
	pub async fn reserve(
		self: &Arc<Self>,
		key: Option<Arc<Key>>,
		prices: Prices,
		most: Tokens,
	) -> Result<Arc<Charge>, OpenAiError> {
		if self.failing.load(Ordering::Relaxed) {
			self.flush().await.map_err(|_| OpenAiError::no_ledger())?;
		}
		let planks = prices.fee(most.input, most.output).ok_or_else(|| {
			OpenAiError::quota("The request costs more than there can be.".into())
		})?;
		let count = Arc::new(Count::default());
		let mut number = None;
		if let Some(key) = key {
			let mut books = self.books.lock();
			let account = books.accounts.entry(key.id.clone()).or_default();
			let tokens = account.spent.tokens().saturating_add(account.reserved_tokens);
			let spent = account.spent.planks.0.saturating_add(account.reserved_planks);
			match key.limit {
				Some(SpendLimit::Tokens(limit)) if most.sum() > limit.saturating_sub(tokens) => {
					let left = limit.saturating_sub(tokens);
					return Err(exhausted(
						&format!("{} tokens", most.sum()),
						&format!("{left} of {limit}"),
					));
				},
				Some(SpendLimit::Planks(Planks(limit))) if planks > limit.saturating_sub(spent) => {
					let left = limit.saturating_sub(spent);
					return Err(exhausted(
						&format!("{planks} planks"),
						&format!("{left} of {limit}"),
					));
				},
				_ => {},
			}
			account.reserved_tokens = account.reserved_tokens.saturating_add(most.sum());
			account.reserved_planks = account.reserved_planks.saturating_add(planks);
			let reservation =
				Reservation { key, prices, tokens: most.sum(), planks, count: count.clone() };
			let next = books.next_number;
			books.next_number = next.saturating_add(1);
			books.under_way.insert(next, reservation);
			number = Some(next);
		}
		Ok(Arc::new(Charge { ledger: self.clone(), runtime: Handle::current(), number, count }))
	}

	/// Settles a request, unless it is settled. Whether there is something to write down.
	fn settle(&self, number: u64) -> bool {
		let mut books = self.books.lock();
		let has_cost = books.settle(number);
		if has_cost {
			self.changes.fetch_add(1, Ordering::AcqRel);
		}
		has_cost
	}

	/// Settles everything under way, whoever still holds it, and writes down what was spent. For the
	/// end, when nothing is computed any more.
	pub async fn close(self: &Arc<Self>) -> Result<(), DiskError> {
		let under_way: Vec<u64> = self.books.lock().under_way.keys().copied().collect();
		for number in under_way {
			self.settle(number);
		}
		self.flush().await
	}

	/// Writes down what was spent until now, unless it is on disk. Calls at the same time share a
	/// write.
	pub async fn flush(self: &Arc<Self>) -> Result<(), DiskError> {
		let wanted = self.changes.load(Ordering::Acquire);
		let mut written = self.written.lock().await;
		if *written >= wanted && !self.failing.load(Ordering::Relaxed) {
			return Ok(());
		}
		let now = self.changes.load(Ordering::Acquire);
		let ledger = self.clone();
		let result = tokio::task::spawn_blocking(move || ledger.write()).await;
		let result = result.unwrap_or_else(|_| {
			Err(DiskError::Io {
				path: self.path.clone(),
				source: io::ErrorKind::Interrupted.into(),
			})
		});
		self.failing.store(result.is_err(), Ordering::Relaxed);
		match &result {
			Ok(()) => *written = now,
			Err(error) => tracing::error!(%error, "what the API keys spent cannot be written down"),
		}
		result
	}

	fn write(&self) -> Result<(), DiskError> {
		let spent: BTreeMap<String, Spent> = {
			let books = self.books.lock();
			let worth_it = books.accounts.iter().filter(|(_, it)| it.spent != Spent::default());
			worth_it.map(|(id, account)| (id.clone(), account.spent)).collect()
		};
		let json = serde_json::to_vec(&spent)
			.map_err(|error| DiskError::at(&self.path, io::Error::from(error)))?;
		durable::write(&self.path, &json)
	}
}

fn exhausted(most: &str, left: &str) -> OpenAiError {
	OpenAiError::quota(format!(
		"This request can cost up to {most}, but of this key's limit only {left} are left. Ask for \
		 fewer `max_tokens`, or have the operator raise the limit."
	))
}

/// Tokens of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tokens {
	/// Of prompts.
	pub input: u32,
	/// Of answers.
	pub output: u32,
}

impl Tokens {
	fn sum(self) -> u64 {
		u64::from(self.input).saturating_add(self.output.into())
	}
}

/// Tokens of a request, counted while it runs.
#[derive(Debug, Default)]
struct Count {
	input: AtomicU32,
	output: AtomicU32,
}

impl Count {
	fn so_far(&self) -> Tokens {
		Tokens {
			input: self.input.load(Ordering::Relaxed),
			output: self.output.load(Ordering::Relaxed),
		}
	}
}

/// What a request costs. Whoever holds it last settles it.
#[derive(Debug)]
pub struct Charge {
	ledger: Arc<Ledger>,
	/// The last holder can be a thread of the engine.
	runtime: Handle,
	/// The number of the request, if somebody's key pays for it.
	number: Option<u64>,
	count: Arc<Count>,
}

impl Charge {
	/// So many tokens of prompt were read.
	pub fn read(&self, tokens: u32) {
		self.count.input.fetch_add(tokens, Ordering::Relaxed);
	}

	/// A token of an answer was written.
	pub fn wrote(&self) {
		self.count.output.fetch_add(1, Ordering::Relaxed);
	}

	/// Settles the request and waits until that is on disk. When it cannot be written the answer is
	/// given all the same: the work is done, and the next request of a key finds out.
	pub async fn settle(&self) {
		if self.settle_in_memory() {
			let _ = self.ledger.flush().await;
		}
	}

	/// Settles the request, unless it is settled. Whether there is something to write down.
	fn settle_in_memory(&self) -> bool {
		self.number.is_some_and(|number| self.ledger.settle(number))
	}
}

impl Drop for Charge {
	/// For requests that broke off.
	fn drop(&mut self) {
		if self.settle_in_memory() {
			let ledger = self.ledger.clone();
			self.runtime.spawn(async move {
				let _ = ledger.flush().await;
			});
		}
	}
}

#[cfg(test)]
mod tests {
	use super::*;
	use crate::gateway::keys;
	use axum::http::StatusCode;
	use proptest::prelude::*;

	fn key(data: &Path, limit: SpendLimit) -> Arc<Key> {
		let secret = keys::add(data, "alice", Some(limit)).unwrap();
		keys::Keys::open(data).unwrap().find(&secret).unwrap()
	}

	fn most(input: u32, output: u32) -> Tokens {
		Tokens { input, output }
	}

	const PRICES: Prices = Prices { input_per_1000: 1_000, output_per_1000: 3_000 };

	#[tokio::test]
	async fn reservations_should_bound_what_is_spent_and_come_back() {
		let data = tempfile::tempdir().unwrap();
		let key = key(data.path(), SpendLimit::Planks(Planks(100)));
		let ledger = Arc::new(Ledger::open(data.path()).unwrap());
		let reserve = |most| ledger.reserve(Some(key.clone()), PRICES, most);
		let first = reserve(most(10, 20)).await.unwrap();
		let refused = reserve(most(1, 10)).await.unwrap_err();
		assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
		assert_eq!(refused.body()["error"]["code"], "insufficient_quota");
		first.read(10);
		first.wrote();
		first.settle().await;
		// 13 planks are spent, 57 are free again.
		let second = reserve(most(57, 10)).await.unwrap();
		assert!(reserve(most(1, 0)).await.is_err());
		drop(second);
		assert!(reserve(most(57, 10)).await.is_ok());
		let spent = read(data.path()).unwrap()[&key.id];
		assert_eq!(spent, Spent { input_tokens: 10, output_tokens: 1, planks: Planks(13) });
	}

	#[tokio::test]
	async fn what_was_spent_should_be_known_after_a_kill_and_what_was_reserved_be_free() {
		let data = tempfile::tempdir().unwrap();
		let key = key(data.path(), SpendLimit::Tokens(100));
		let ledger = Arc::new(Ledger::open(data.path()).unwrap());
		let ended = ledger.reserve(Some(key.clone()), PRICES, most(40, 20)).await.unwrap();
		let _under_way = ledger.reserve(Some(key.clone()), PRICES, most(20, 20)).await.unwrap();
		ended.read(40);
		ended.settle().await;
		let again = Arc::new(Ledger::open(data.path()).unwrap());
		assert!(again.reserve(Some(key.clone()), PRICES, most(60, 0)).await.is_ok());
		assert!(again.reserve(Some(key.clone()), PRICES, most(60, 1)).await.is_err());
	}

	proptest! {
		#[test]
		fn no_order_of_requests_should_spend_more_than_the_limit(
			limit in 0u64..2_000,
			requests in prop::collection::vec((0u32..200, 0u32..200, 0.0f64..=1.0), 0..40),
		) {
			let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
			runtime.block_on(async {
				let data = tempfile::tempdir().unwrap();
				let key = key(data.path(), SpendLimit::Tokens(limit));
				let ledger = Arc::new(Ledger::open(data.path()).unwrap());
				let mut open = Vec::new();
				for (input, output, part) in requests {
					if let Ok(charge) = ledger.reserve(Some(key.clone()), PRICES, most(input, output)).await {
						charge.read(input);
						(0..(f64::from(output) * part) as u32).for_each(|_| charge.wrote());
						open.push(charge);
					}
					if open.len() > 3 {
						open.remove(0);
					}
				}
				drop(open);
				let account = ledger.books.lock().accounts.get(&key.id).copied().unwrap_or_default();
				assert!(account.spent.tokens() <= limit);
				assert_eq!((account.reserved_tokens, account.reserved_planks), (0, 0));
			});
		}
	}
}
