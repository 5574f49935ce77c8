//! Reading adapters beside the steps.

use std::{
	io,
	sync::{
		mpsc::{channel, Sender},
		Arc, Mutex, PoisonError,
	},
	thread,
};

use crate::serving::{
	packed_adapter::PackedAdapter,
	request::{AdapterKey, AdapterSource, AdapterUnavailable},
};

/// Threads that read adapters. More than one, so that a slow disk does not hold up an adapter that
/// is in the system's memory.
const THREADS: usize = 2;

/// How reading an adapter ended.
pub(super) type Loaded = Result<Arc<PackedAdapter>, AdapterUnavailable>;

/// Threads that read adapters. They end when it is dropped.
pub(super) struct Loader {
	/// Gone when it is dropped, which ends the threads.
	orders: Option<Sender<AdapterKey>>,
	threads: Vec<thread::JoinHandle<()>>,
}

impl Loader {
	/// Starts the threads; `done` hears of each adapter.
	pub(super) fn start(
		source: Arc<dyn AdapterSource>,
		done: impl Fn(AdapterKey, Loaded) + Clone + Send + 'static,
	) -> io::Result<Self> {
		let (orders, taken) = channel();
		let taken = Arc::new(Mutex::new(taken));
		let mut threads = Vec::new();
		for index in 0..THREADS {
			let (source, done, taken) = (source.clone(), done.clone(), taken.clone());
			let builder = thread::Builder::new().name(format!("adapters-{index}"));
			threads.push(builder.spawn(move || loop {
				let next = taken.lock().unwrap_or_else(PoisonError::into_inner).recv();
				let Ok(key) = next else { return };
				done(key, load(&*source, key));
			})?);
		}
		Ok(Self { orders: Some(orders), threads })
	}

	/// Has an adapter read.
	pub(super) fn order(&self, key: AdapterKey) {
		// The threads live as long as this.
		let _ = self.orders.as_ref().map(|orders| orders.send(key));
	}
}

impl Drop for Loader {
	/// Waits for adapters that are being read, so that nobody uses their source afterwards.
	fn drop(&mut self) {
		self.orders = None;
		for thread in self.threads.drain(..) {
			let _ = thread.join();
		}
	}
}

fn load(source: &dyn AdapterSource, key: AdapterKey) -> Loaded {
	// An adapter that makes its reader panic is an unusable adapter.
	let read = || source.adapter(key).map(Arc::new);
	std::panic::catch_unwind(std::panic::AssertUnwindSafe(read)).unwrap_or_else(|_| {
		Err(AdapterUnavailable::Unusable { key, why: "reading it failed".into() })
	})
}
