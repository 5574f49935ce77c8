//! Threads that work on one step together.

use std::sync::{
	atomic::{AtomicUsize, Ordering},
	Mutex, PoisonError,
};

use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::kernel::LANES;

/// Threads that take tasks of one operation after the other, each with scratch memory of its own.
#[derive(Debug)]
pub(crate) struct Team {
	pool: ThreadPool,
	scratch: Vec<Mutex<Vec<f32>>>,
}

impl Team {
	pub(crate) fn new(threads: usize) -> Result<Self, rayon::ThreadPoolBuildError> {
		let pool = ThreadPoolBuilder::new()
			.num_threads(threads)
			.thread_name(|index| format!("serving-{index}"))
			.build()?;
		let scratch = (0..pool.current_num_threads()).map(|_| Mutex::default()).collect();
		Ok(Self { pool, scratch })
	}

	/// Runs a whole step on one of the threads, where handing out tasks is cheap.
	pub(crate) fn run<T: Send>(&self, step: impl FnOnce() -> T + Send) -> T {
		self.pool.install(step)
	}

	/// Does `tasks` tasks, numbered from 0, in any order on any thread, and waits for all. Mostly a
	/// thread goes on with the one after its last, for which memory can be fetched ahead. Each call
	/// gets scratch memory of at least `scratch` numbers with anything in it, which begins where a line
	/// of the CPU's cache does.
	pub(crate) fn each(
		&self,
		tasks: usize,
		scratch: usize,
		task: impl Fn(usize, &mut [f32]) + Sync,
	) {
		let (next, threads) = (AtomicUsize::new(0), self.scratch.len());
		let work = |thread: usize| {
			let Some(memory) = self.scratch.get(thread) else { return };
			let mut memory = memory.lock().unwrap_or_else(PoisonError::into_inner);
			if memory.len() < scratch + LANES {
				memory.resize(scratch + LANES, 0.0);
			}
			let aligned = memory.as_ptr().align_offset(size_of::<[f32; LANES]>());
			let memory = memory.get_mut(aligned..).unwrap_or_default();
			loop {
				// Fewer the fewer are left, so that all threads end at about the same time.
				let share = |next: usize| ((tasks - next) / (2 * threads)).max(1);
				let taken = next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |next| {
					(next < tasks).then(|| next + share(next))
				});
				let Ok(first) = taken else { return };
				(first..first + share(first)).for_each(|index| task(index, memory));
			}
		};
		if tasks <= 1 || threads == 1 {
			work(self.pool.current_thread_index().unwrap_or(0));
		} else {
			self.pool.broadcast(|thread| work(thread.index()));
		}
	}
}
