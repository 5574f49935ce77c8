//! Span indexes in memory: each is built once while all who want it wait, and those used last stay.

use crate::failure::{Failure, Stopped};
use lru::LruCache;
use openledger_attribution::SpanIndex;
use openledger_primitives::{worker_api::SourceContribution, H256};
use parking_lot::Mutex;
use std::{collections::HashMap, num::NonZeroUsize, sync::Arc};

/// Lists whose indexes' roots are remembered, at about a hundred bytes each: more than a catalogue has
/// models.
const KNOWN_ROOTS: NonZeroUsize = NonZeroUsize::MIN.saturating_add((1 << 14) - 1);

/// A span index in memory, and what it was built from.
pub type LoadedIndex = (Arc<SpanIndex>, Arc<Vec<SourceContribution>>);

/// Span indexes by the content hash of the list of their sources, from which all of an index follows,
/// its root too. See the [module](self).
#[derive(Debug)]
pub struct Indexes {
	max_bytes: usize,
	state: Mutex<State>,
}

#[derive(Debug)]
struct State {
	kept: LruCache<H256, Kept>,
	/// Bytes of those that are kept.
	bytes: usize,
	/// The roots of indexes that were built, also of those that are not kept any more.
	roots: LruCache<H256, H256>,
	/// Where those wait who want an index that is being built.
	queues: HashMap<H256, Arc<Mutex<()>>>,
}

#[derive(Debug)]
struct Kept {
	loaded: LoadedIndex,
	bytes: usize,
}

impl Indexes {
	/// Keeps indexes of `max_bytes` together, or one that is larger alone.
	pub fn new(max_bytes: usize) -> Self {
		let state = State {
			kept: LruCache::unbounded(),
			bytes: 0,
			roots: LruCache::new(KNOWN_ROOTS),
			queues: HashMap::new(),
		};
		Self { max_bytes, state: Mutex::new(state) }
	}

	/// The index over the sources in a list, which `build` makes if it is not in memory. Of those who
	/// want the same index at a time one builds it; should that fail, or panic, the next one tries.
	/// Blocks meanwhile.
	///
	/// # Errors
	///
	/// [`Failure::WrongSpanIndex`] when the index has another root, which is remembered; what `build`
	/// fails with, which is not.
	pub fn get(
		&self,
		list: H256,
		root: H256,
		build: impl FnOnce() -> Result<(SpanIndex, Vec<SourceContribution>), Stopped>,
	) -> Result<LoadedIndex, Stopped> {
		if let Some(found) = self.find(list, root)? {
			return Ok(found);
		}
		let queue = self.join_queue(list);
		let _turn = queue.turn.lock();
		// Whoever was first may have built it.
		if let Some(found) = self.find(list, root)? {
			return Ok(found);
		}
		let (index, sources) = build()?;
		let built = self.keep(list, index, sources);
		check_root(built.0.root(), root)?;
		Ok(built)
	}

	/// Keeps an index under the list of its sources.
	pub fn keep(
		&self,
		list: H256,
		index: SpanIndex,
		sources: Vec<SourceContribution>,
	) -> LoadedIndex {
		let bytes = index.held_bytes() + sources.capacity() * size_of::<SourceContribution>();
		let loaded = (Arc::new(index), Arc::new(sources));
		let kept = Kept { loaded: loaded.clone(), bytes };
		let forgotten = self.state.lock().keep(list, kept, self.max_bytes);
		// Without the lock: the memory of millions of records takes a while to free.
		drop(forgotten);
		loaded
	}

	/// The index, if it is in memory.
	fn find(&self, list: H256, root: H256) -> Result<Option<LoadedIndex>, Failure> {
		let mut state = self.state.lock();
		let kept = state.kept.get(&list).map(|kept| kept.loaded.clone());
		let known = kept.as_ref().map(|(index, _)| index.root());
		if let Some(found) = known.or_else(|| state.roots.get(&list).copied()) {
			check_root(found, root)?;
		}
		Ok(kept)
	}

	fn join_queue(&self, list: H256) -> Queue<'_> {
		let turn = self.state.lock().queues.entry(list).or_default().clone();
		Queue { indexes: self, list, turn }
	}
}

fn check_root(found: H256, ordered: H256) -> Result<(), Failure> {
	if found == ordered {
		Ok(())
	} else {
		Err(Failure::WrongSpanIndex { found, ordered })
	}
}

impl State {
	/// Gives what had to make room: those that were not used for longest, but never the new one.
	fn keep(&mut self, list: H256, kept: Kept, max_bytes: usize) -> Vec<Kept> {
		self.roots.put(list, kept.loaded.0.root());
		self.bytes += kept.bytes;
		let mut forgotten: Vec<Kept> = self.kept.put(list, kept).into_iter().collect();
		self.bytes -= forgotten.iter().map(|kept| kept.bytes).sum::<usize>();
		while self.bytes > max_bytes && self.kept.len() > 1 {
			let Some((_, kept)) = self.kept.pop_lru() else { break };
			self.bytes -= kept.bytes;
			forgotten.push(kept);
		}
		forgotten
	}
}

/// A place among those who want the same index. The last one to leave takes the queue away.
struct Queue<'i> {
	indexes: &'i Indexes,
	list: H256,
	/// Whoever holds it builds.
	turn: Arc<Mutex<()>>,
}

impl Drop for Queue<'_> {
	fn drop(&mut self) {
		let mut state = self.indexes.state.lock();
		// Ours, and the queue's. Nobody takes another one without the lock.
		if Arc::strong_count(&self.turn) <= 2 {
			state.queues.remove(&self.list);
		}
	}
}

#[cfg(test)]
mod tests {
	use super::*;
	use openledger_attribution::IndexedContribution;
	use openledger_primitives::{
		contribution::{ContributionContent, SaltedRecord},
		record, ContributionId, DatanetId,
	};
	use std::{
		panic::{catch_unwind, AssertUnwindSafe},
		sync::atomic::{AtomicUsize, Ordering},
		thread,
		time::{Duration, Instant},
	};

	/// Longer than threads take to come, on a busy machine.
	const LONG: Duration = Duration::from_secs(60);

	type Built = (SpanIndex, Vec<SourceContribution>);

	/// An index over one record.
	fn built(text: &str) -> Built {
		let canonical = record::canonical_text(text).unwrap().into_bytes();
		let contribution = IndexedContribution {
			id: ContributionId { datanet: DatanetId(0), index: 0 },
			contributed_at: 0,
			content: ContributionContent {
				records: vec![SaltedRecord { salt: [0; 32], canonical }],
			},
		};
		(SpanIndex::build(vec![contribution]).unwrap(), Vec::new())
	}

	fn list(number: u8) -> H256 {
		H256([number; 32])
	}

	fn bytes(text: &str) -> usize {
		built(text).0.held_bytes()
	}

	fn missing() -> Stopped {
		Stopped::Missing(Failure::SourceListMissing(list(1)))
	}

	/// Whether an index is in memory.
	fn has(indexes: &Indexes, number: u8, text: &str) -> bool {
		indexes.get(list(number), built(text).0.root(), || Err(missing())).is_ok()
	}

	fn keep(indexes: &Indexes, number: u8, text: &str) {
		let (index, sources) = built(text);
		indexes.keep(list(number), index, sources);
	}

	/// Waits until so many want an index.
	fn await_queue(indexes: &Indexes, number: u8, length: usize) {
		let joined = || indexes.state.lock().queues.get(&list(number)).map_or(0, Arc::strong_count);
		let since = Instant::now();
		while joined() < length + 1 {
			assert!(since.elapsed() < LONG, "not so many wait");
			thread::yield_now();
		}
	}

	#[test]
	fn an_index_that_many_want_should_be_built_once_while_the_others_wait() {
		const WANTED: usize = 8;
		let (indexes, builds) = (Indexes::new(1 << 20), AtomicUsize::new(0));
		let root = built("a b c").0.root();
		let build = || {
			builds.fetch_add(1, Ordering::Relaxed);
			await_queue(&indexes, 1, WANTED);
			Ok(built("a b c"))
		};
		let got: Vec<LoadedIndex> = thread::scope(|scope| {
			let want = || indexes.get(list(1), root, build).unwrap();
			let wanting: Vec<_> = (0..WANTED).map(|_| scope.spawn(want)).collect();
			wanting.into_iter().map(|wanting| wanting.join().unwrap()).collect()
		});
		assert_eq!(builds.into_inner(), 1);
		assert!(got.iter().all(|(index, _)| Arc::ptr_eq(index, &got[0].0)));
		assert!(indexes.state.lock().queues.is_empty());
	}

	#[test]
	fn the_next_one_should_build_when_the_first_one_fails_or_panics() {
		let (indexes, builds) = (Indexes::new(1 << 20), AtomicUsize::new(0));
		let root = built("a b c").0.root();
		let build = || match builds.fetch_add(1, Ordering::Relaxed) {
			0 => {
				await_queue(&indexes, 1, 3);
				panic!("on purpose")
			},
			1 => Err(missing()),
			_ => Ok(built("a b c")),
		};
		let mut ended: Vec<&str> = thread::scope(|scope| {
			let want = || {
				let wanted = AssertUnwindSafe(|| indexes.get(list(1), root, build));
				match catch_unwind(wanted) {
					Ok(Ok(_)) => "built",
					Ok(Err(_)) => "missing",
					Err(_) => "panicked",
				}
			};
			let wanting: Vec<_> = (0..3).map(|_| scope.spawn(want)).collect();
			wanting.into_iter().map(|wanting| wanting.join().unwrap()).collect()
		});
		ended.sort_unstable();
		assert_eq!(ended, ["built", "missing", "panicked"]);
		assert!(indexes.state.lock().queues.is_empty());
	}

	#[test]
	fn the_longest_unused_should_make_room_by_bytes() {
		let [one, two, three] = ["a b c", "d e f", "g h i"];
		let indexes = Indexes::new(bytes(one) + bytes(two));
		keep(&indexes, 1, one);
		keep(&indexes, 2, two);
		assert!(has(&indexes, 1, one));
		keep(&indexes, 3, three);
		assert_eq!([has(&indexes, 1, one), has(&indexes, 2, two)], [true, false]);
		assert!(has(&indexes, 3, three));
		// One that was kept already counts once.
		keep(&indexes, 3, three);
		assert!(has(&indexes, 1, one));
		assert_eq!(indexes.state.lock().bytes, bytes(one) + bytes(three));
	}

	#[test]
	fn an_index_larger_than_all_room_should_be_kept_alone() {
		let large = "many words that take more room ".repeat(100);
		let indexes = Indexes::new(bytes("a b c"));
		keep(&indexes, 1, "a b c");
		keep(&indexes, 2, &large);
		assert!(has(&indexes, 2, &large));
		assert!(!has(&indexes, 1, "a b c"));
		keep(&indexes, 1, "a b c");
		assert!(has(&indexes, 1, "a b c"));
		assert!(!has(&indexes, 2, &large));
	}

	#[test]
	fn another_root_should_be_remembered_also_when_the_index_is_not() {
		let indexes = Indexes::new(0);
		let (found, ordered) = (built("a b c").0.root(), list(9));
		let wrong = |stopped: Stopped| match stopped {
			Stopped::Failed(Failure::WrongSpanIndex { found, ordered }) => (found, ordered),
			other => panic!("{other}"),
		};
		let built = indexes.get(list(1), ordered, || Ok(built("a b c"))).unwrap_err();
		assert_eq!(wrong(built), (found, ordered));
		keep(&indexes, 2, "d e f");
		let again = indexes.get(list(1), ordered, || panic!("it is known")).unwrap_err();
		assert_eq!(wrong(again), (found, ordered));
		// The right one would have to be built again.
		assert!(matches!(indexes.get(list(1), found, || Err(missing())), Err(Stopped::Missing(_))));
	}
}
