//! Where the worker beside this node listens.
//!
//! The runtime's offchain workers know it from the node's persistent local storage, so that which jobs
//! they give to it, and what they believe of its answers, is the runtime's business and is upgraded
//! with it.

use std::{
	error::Error,
	fmt,
	net::{IpAddr, SocketAddr},
	str::FromStr,
};

use openledger_primitives::worker_api::WORKER_URL_KEY;
use sc_offchain::STORAGE_PREFIX;
use sp_core::offchain::OffchainStorage;

/// The URL of a worker on this machine: `http://` and a loopback address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerUrl(String);

/// Why a URL cannot be a worker's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkerUrlFault {
	/// It does not begin with `http://`.
	OtherScheme,
	/// It is more than an address and a port, or none at all.
	NoAddress,
	/// The address is another machine's.
	OtherMachine,
}

impl fmt::Display for WorkerUrlFault {
	fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
		to.write_str(match self {
			Self::OtherScheme => "a worker's URL begins with http://",
			Self::NoAddress => {
				"a worker's URL is http://, a loopback address and a port, without a path"
			},
			Self::OtherMachine => {
				"a worker listens on a loopback address of the node's machine, such as 127.0.0.1: what \
				 passes between the two is neither encrypted nor authenticated"
			},
		})
	}
}

impl Error for WorkerUrlFault {}

impl FromStr for WorkerUrl {
	type Err = WorkerUrlFault;

	fn from_str(url: &str) -> Result<Self, WorkerUrlFault> {
		let authority = url.strip_prefix("http://").ok_or(WorkerUrlFault::OtherScheme)?;
		let authority = authority.strip_suffix('/').unwrap_or(authority);
		if !is_loopback(authority).ok_or(WorkerUrlFault::NoAddress)? {
			return Err(WorkerUrlFault::OtherMachine);
		}
		Ok(Self(format!("http://{authority}")))
	}
}

/// Whether `host` or `host:port` is this machine; `None` when it is neither.
fn is_loopback(authority: &str) -> Option<bool> {
	if let Ok(address) = authority.parse::<SocketAddr>() {
		return Some(address.ip().is_loopback());
	}
	let bare = authority.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
	if let Ok(address) = bare.unwrap_or(authority).parse::<IpAddr>() {
		// In a URL, an IPv6 address stands in brackets and an IPv4 address does not.
		return (address.is_ipv6() == bare.is_some()).then_some(address.is_loopback());
	}
	let (name, port) = authority.split_once(':').unwrap_or((authority, "80"));
	let is_name = |name: &str| {
		let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
		!name.is_empty() && name.chars().all(is_part)
	};
	(is_name(name) && port.parse::<u16>().is_ok()).then_some(name == "localhost")
}

/// Tells the runtime's offchain workers where the worker is, or that there is none any more.
pub fn tell_offchain_workers(url: Option<&WorkerUrl>, mut storage: impl OffchainStorage) {
	match url {
		Some(WorkerUrl(url)) => storage.set(STORAGE_PREFIX, WORKER_URL_KEY, url.as_bytes()),
		None => storage.remove(STORAGE_PREFIX, WORKER_URL_KEY),
	}
}

#[cfg(test)]
mod tests {
	use super::*;
	use sp_core::offchain::{
		storage::{InMemOffchainStorage, OffchainDb},
		DbExternalities, StorageKind,
	};
	use std::sync::{Arc, Mutex};

	#[test]
	fn url_should_be_taken_when_it_is_on_this_machine() {
		for url in [
			"http://127.0.0.1:9955",
			"http://127.0.0.1",
			"http://127.255.0.3:1",
			"http://[::1]:9955",
			"http://[::1]",
			"http://localhost:9955",
			"http://localhost",
		] {
			assert_eq!(url.parse(), Ok(WorkerUrl(url.into())));
			assert_eq!(
				format!("{url}/").parse(),
				Ok(WorkerUrl(url.into())),
				"the slash is dropped"
			);
		}
	}

	#[test]
	fn url_should_be_refused_with_the_reason() {
		let fault = |url: &str| url.parse::<WorkerUrl>().expect_err("it is refused");
		for url in ["", "127.0.0.1:9955", "https://127.0.0.1:9955", "HTTP://127.0.0.1", "ftp://::1"]
		{
			assert_eq!(fault(url), WorkerUrlFault::OtherScheme, "{url}");
		}
		for url in [
			"http://10.0.0.1:9955",
			"http://0.0.0.0:9955",
			"http://[::]:9955",
			"http://[::ffff:10.0.0.1]:80",
			"http://example.org",
			"http://example.org:9955",
			"http://localhost.example.org",
			"http://127.0.0.1.example.org",
		] {
			assert_eq!(fault(url), WorkerUrlFault::OtherMachine, "{url}");
		}
		for url in [
			"http://",
			"http:///",
			"http://::1",
			"http://[127.0.0.1]",
			"http://127.0.0.1:99999",
			"http://localhost:",
			"http://localhost:port",
			"http://localhost:80:80",
			"http://localhost/v1",
			"http://127.0.0.1:9955/v1",
			"http://me@127.0.0.1",
			"http://127.0.0.1@example.org",
			"http://127.0.0.1?example.org",
			"http://127.0.0.1#",
			"http://local host",
		] {
			assert_eq!(fault(url), WorkerUrlFault::NoAddress, "{url}");
		}
	}

	#[test]
	fn url_should_be_where_the_runtime_reads_it() {
		let url: WorkerUrl = "http://127.0.0.1:9955/".parse().expect("it is one");
		let mut storage = Shared::default();
		storage.set(STORAGE_PREFIX, WORKER_URL_KEY, b"http://127.0.0.1:1");
		let read = || {
			OffchainDb::new(storage.clone())
				.local_storage_get(StorageKind::PERSISTENT, WORKER_URL_KEY)
		};
		assert_eq!(read(), Some(b"http://127.0.0.1:1".to_vec()), "as an earlier start left it");
		tell_offchain_workers(Some(&url), storage.clone());
		assert_eq!(read(), Some(b"http://127.0.0.1:9955".to_vec()));
		tell_offchain_workers(None, storage.clone());
		assert_eq!(read(), None);
	}

	/// The in-memory storage of the SDK is copied when it is cloned; a node's is not.
	#[derive(Clone, Default)]
	struct Shared(Arc<Mutex<InMemOffchainStorage>>);

	impl OffchainStorage for Shared {
		fn set(&mut self, prefix: &[u8], key: &[u8], value: &[u8]) {
			self.0.lock().expect("whole").set(prefix, key, value);
		}

		fn remove(&mut self, prefix: &[u8], key: &[u8]) {
			self.0.lock().expect("whole").remove(prefix, key);
		}

		fn get(&self, prefix: &[u8], key: &[u8]) -> Option<Vec<u8>> {
			self.0.lock().expect("whole").get(prefix, key)
		}

		fn compare_and_set(
			&mut self,
			prefix: &[u8],
			key: &[u8],
			old: Option<&[u8]>,
			new: &[u8],
		) -> bool {
			self.0.lock().expect("whole").compare_and_set(prefix, key, old, new)
		}
	}
}
