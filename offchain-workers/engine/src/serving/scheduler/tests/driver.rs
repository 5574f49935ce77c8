//! An executor that computes nothing, and believes nothing: it keeps for each position of each
//! page what would be in it, and checks at every step that what a sequence reads is what it is.

use std::collections::{BTreeMap, BTreeSet};

use super::{key, LIMITS};
use crate::serving::{
	pages::PAGE_TOKENS,
	request::{AdapterKey, Tenant},
	scheduler::{
		sequence::Phase, AdvanceError, Entry, Limits, Refusal, Scheduler, SequenceId, Step,
	},
	slots::{AdapterLimits, Residency},
	tenants::Turn,
};

/// What stands for the keys and values of a position: they depend on the adapter and on all
/// tokens up to there.
type Content = u64;

fn mix(content: Content, token: u64) -> Content {
	(content ^ token).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29)
}

fn contents(adapter: Option<AdapterKey>, tokens: &[u32]) -> Vec<Content> {
	let start = mix(7, adapter.map_or(0, |key| u64::from(key.0[0])));
	let next = |content: &mut Content, token: &u32| {
		*content = mix(*content, u64::from(*token));
		Some(*content)
	};
	tokens.iter().scan(start, next).collect()
}

/// A sequence as the driver knows it.
pub struct Known {
	pub entry: Entry,
	pub tokens: Vec<u32>,
	/// Positions computed since it last began to run, or found in the cache then.
	fed: usize,
	/// First row of logits that it was not given yet.
	next_row: usize,
	passed_over: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
	Done,
	Cancelled,
	Expired,
	AdapterFailed,
}

pub struct Driver {
	pub scheduler: Scheduler,
	limits: Limits,
	pub now: u64,
	pages: Vec<[Option<Content>; PAGE_TOKENS]>,
	slots: BTreeMap<usize, AdapterKey>,
	pub loading: BTreeSet<AdapterKey>,
	pub staged: BTreeSet<AdapterKey>,
	pub known: BTreeMap<SequenceId, Known>,
	pub ended: BTreeMap<SequenceId, End>,
	/// In the order of admission, with those admitted again.
	pub admitted: Vec<SequenceId>,
	pub preempted: Vec<SequenceId>,
	pub cached_tokens: BTreeMap<SequenceId, usize>,
}

impl Driver {
	pub fn new(limits: Limits, pages: u32, adapters: AdapterLimits) -> Self {
		Self {
			scheduler: Scheduler::new(limits, pages, adapters).unwrap(),
			limits,
			now: 0,
			pages: vec![[None; PAGE_TOKENS]; pages as usize],
			slots: BTreeMap::new(),
			loading: BTreeSet::new(),
			staged: BTreeSet::new(),
			known: BTreeMap::new(),
			ended: BTreeMap::new(),
			admitted: Vec::new(),
			preempted: Vec::new(),
			cached_tokens: BTreeMap::new(),
		}
	}

	pub fn submit(&mut self, entry: Entry) -> Result<SequenceId, Refusal> {
		let id = entry.id;
		self.scheduler.submit(entry.clone())?;
		self.know(entry);
		self.check();
		Ok(id)
	}

	fn know(&mut self, entry: Entry) {
		let (tokens, next_row) = (entry.prompt.clone(), entry.logits_from);
		let id = entry.id;
		let known = Known { entry, tokens, fed: 0, next_row, passed_over: 0 };
		assert!(self.known.insert(id, known).is_none());
	}

	fn end(&mut self, id: SequenceId, end: End) {
		assert!(self.known.remove(&id).is_some(), "{id:?} ended twice");
		self.ended.insert(id, end);
	}

	pub fn cancel(&mut self, id: SequenceId) {
		assert!(self.scheduler.finish(id));
		assert!(!self.scheduler.finish(id));
		self.end(id, End::Cancelled);
		self.check();
	}

	pub fn follow_up(&mut self, id: SequenceId, entry: Entry) -> Result<(), Refusal> {
		self.scheduler.follow_up(id, entry.clone())?;
		self.end(id, End::Done);
		self.know(entry);
		self.check();
		Ok(())
	}

	pub fn load(&mut self, key: AdapterKey, bytes: usize) {
		assert!(self.loading.remove(&key));
		match self.scheduler.adapter_loaded(key, bytes) {
			Ok(()) => assert!(self.staged.insert(key)),
			Err(rejected) => {
				rejected.failed.into_iter().for_each(|id| self.end(id, End::AdapterFailed))
			},
		}
		self.check();
	}

	pub fn fail(&mut self, key: AdapterKey) -> Vec<SequenceId> {
		assert!(self.loading.remove(&key));
		let failed = self.scheduler.adapter_failed(key);
		failed.iter().for_each(|id| self.end(*id, End::AdapterFailed));
		assert!(self
			.known
			.values()
			.all(|known| { known.entry.adapter != Some(key) || self.is_running(known.entry.id) }));
		self.check();
		failed
	}

	pub fn load_all(&mut self) {
		while let Some(key) = self.loading.first().copied() {
			self.load(key, 10);
		}
	}

	pub fn unload(&mut self, key: AdapterKey) {
		if let Some(slot) = self.scheduler.unload(key) {
			assert_eq!(self.slots.remove(&slot), Some(key));
		}
		self.check();
	}

	pub fn is_running(&self, id: SequenceId) -> bool {
		self.scheduler.running.contains(&id)
	}

	/// Plans a step and checks it against all that is known.
	pub fn plan(&mut self) -> Step {
		let oldest = self.scheduler.running.first().copied();
		let before: BTreeMap<_, _> =
			self.scheduler.queue.iter().map(|(turn, id)| (id, turn)).collect();
		let here_before: BTreeSet<_> =
			before.keys().copied().filter(|id| self.is_here(*id)).collect();
		let patience_before = self.patience();
		let had_something: BTreeSet<_> =
			self.scheduler.running.iter().map(|id| self.known[id].entry.tenant.clone()).collect();

		let has_work = self.scheduler.has_work();
		let step = self.scheduler.plan(self.now);
		assert!(step.segments.is_empty() != has_work || !step.expired.is_empty());
		assert!(!step.segments.is_empty() || !self.scheduler.has_work());

		for &id in &step.expired {
			assert!(self.known[&id].entry.deadline_ms.unwrap() <= self.now);
			self.end(id, End::Expired);
		}
		for slot in &step.emptied {
			assert!(self.slots.remove(slot).is_some());
		}
		for seated in &step.seated {
			assert!(self.staged.remove(&seated.key));
			assert_eq!(self.slots.insert(seated.slot, seated.key), None, "slot in use");
		}
		for key in &step.discarded {
			assert!(self.staged.remove(key));
		}
		for key in &step.loads {
			assert!(self.loading.insert(*key) && !self.staged.contains(key));
		}
		for id in &step.preempted {
			assert_ne!(oldest, Some(*id), "the oldest sequence was preempted");
			assert!(step.admitted.len() <= 1, "more than the one that they made way for");
			self.preempted.push(*id);
		}
		for admitted in &step.admitted {
			let known = self.known.get_mut(&admitted.id).unwrap();
			assert_eq!(admitted.cached_tokens % PAGE_TOKENS, 0);
			assert!(admitted.cached_tokens <= known.next_row);
			known.fed = admitted.cached_tokens;
			known.passed_over = 0;
			self.admitted.push(admitted.id);
			self.cached_tokens.entry(admitted.id).or_insert(admitted.cached_tokens);
		}
		self.check_passing(&step, &before, &here_before, &patience_before, &had_something);
		self.check_segments(&step);
		self.check();
		step
	}

	/// Plans a step, computes it, and ends what is complete.
	pub fn step(&mut self) -> Step {
		let step = self.plan();
		for segment in &step.segments {
			let known = self.known.get_mut(&segment.id).unwrap();
			let contents = contents(known.entry.adapter, &known.tokens);
			let table = self.scheduler.pages_of(segment.id).unwrap();
			let end = segment.positions().end;
			for (position, content) in contents[..end].iter().enumerate() {
				let page = &mut self.pages[table[position / PAGE_TOKENS] as usize];
				let stored = &mut page[position % PAGE_TOKENS];
				if position >= segment.start {
					*stored = Some(*content);
				}
				assert_eq!(*stored, Some(*content), "wrong content");
			}
			known.fed = end;
			let rows = segment.logits();
			if !rows.is_empty() {
				assert_eq!(rows.start, known.next_row);
				known.next_row = rows.end;
			}
			assert_eq!(segment.completes, known.fed == known.tokens.len());
			let all = known.entry.prompt.len() + known.entry.max_tokens;
			let samples = segment.completes && known.tokens.len() < all;
			if !segment.completes {
				let early = self.scheduler.advance(segment.id, Some(0));
				assert_eq!(early, Err(AdvanceError::Incomplete(segment.id)));
			}
			// Sequences that begin alike go on alike, so that what they generate is shared too.
			let sampled = samples.then(|| (contents[known.fed - 1] >> 40) as u32 % 3);
			self.scheduler.advance(segment.id, sampled).unwrap();
			known.tokens.extend(sampled);
			assert_eq!(self.scheduler.tokens_of(segment.id), Some(&known.tokens[..]));
			if segment.completes && known.tokens.len() == all {
				// The row of the last generated token is of no use.
				let unread = known.entry.max_tokens.min(1);
				assert_eq!(known.next_row, all - unread);
				assert!(self.scheduler.finish(segment.id));
				self.end(segment.id, End::Done);
			}
			self.check();
		}
		step
	}

	/// Steps until nothing is left, while every adapter can be read.
	pub fn run(&mut self) {
		for _ in 0..20_000 {
			if self.known.is_empty() {
				return;
			}
			self.step();
			self.load_all();
		}
		panic!("{} sequences do not end", self.known.len());
	}

	fn is_here(&self, id: SequenceId) -> bool {
		let here = |key| {
			let residency = self.scheduler.adapters.residency(key);
			matches!(residency, Residency::Staged | Residency::Resident { .. })
		};
		self.known.get(&id).is_none_or(|known| known.entry.adapter.is_none_or(here))
	}

	fn patience(&self) -> BTreeMap<SequenceId, usize> {
		let count = |(id, sequence): (&SequenceId, &super::Sequence)| match sequence.phase {
			Phase::Waiting { patience } => Some((*id, patience)),
			Phase::Running(_) => None,
		};
		self.scheduler.sequences.iter().filter_map(count).collect()
	}

	/// Counts anew who was passed over by whom.
	fn check_passing(
		&mut self,
		step: &Step,
		before: &BTreeMap<SequenceId, Turn>,
		here_before: &BTreeSet<SequenceId>,
		patience_before: &BTreeMap<SequenceId, usize>,
		had_something: &BTreeSet<Tenant>,
	) {
		for (id, patience) in self.patience() {
			let Some(turn) = before.get(&id) else {
				assert_eq!(patience, 0, "preempted, and to be passed by nobody");
				continue;
			};
			let later = step.admitted.iter().filter(|it| before[&it.id] > *turn).count();
			let counted = patience_before[&id] - patience;
			match (here_before.contains(&id), self.is_here(id)) {
				(true, true) if counted < later => {
					// One of a tenant that has less went before it.
					let tenant = &self.known[&id].entry.tenant;
					let other = &self.known[&step.admitted[0].id].entry.tenant;
					assert_eq!(counted + 1, later);
					assert!(had_something.contains(tenant) && other != tenant);
				},
				(true, true) => assert_eq!(counted, later),
				// Its adapter was evicted in between.
				(true, false) => assert!(counted <= later),
				(false, _) => assert_eq!(counted, 0),
			}
			let passed_over = &mut self.known.get_mut(&id).unwrap().passed_over;
			*passed_over += counted;
			assert!(*passed_over <= self.limits.max_passed_over);
		}
	}

	fn check_segments(&self, step: &Step) {
		assert!(step.tokens() <= self.limits.max_step_tokens);
		assert!(step.segments.is_sorted_by_key(|segment| segment.slot));
		let slots: BTreeSet<_> = step.segments.iter().filter_map(|segment| segment.slot).collect();
		assert!(slots.len() <= self.limits.max_active_adapters);
		let mut planned = BTreeSet::new();
		for segment in &step.segments {
			let known = &self.known[&segment.id];
			assert!(planned.insert(segment.id), "twice in a step");
			assert!(segment.length > 0);
			assert_eq!(segment.slot.map(|slot| self.slots[&slot]), known.entry.adapter);
			assert_eq!(segment.start, known.fed, "a position was left out or computed twice");
			let tokens = self.scheduler.tokens_in(segment).unwrap();
			assert_eq!(tokens, &known.tokens[segment.positions()]);
			assert!(
				known.entry.max_tokens == 0
					|| segment.length == 1
					|| segment.length <= self.limits.prefill_chunk
			);
			let table = self.scheduler.pages_of(segment.id).unwrap();
			assert!(segment.positions().end <= table.len() * PAGE_TOKENS);
			let written = segment.start / PAGE_TOKENS..=(segment.positions().end - 1) / PAGE_TOKENS;
			for other in self.scheduler.running.iter().filter(|other| **other != segment.id) {
				let theirs = self.scheduler.pages_of(*other).unwrap();
				assert!(table[written.clone()].iter().all(|page| !theirs.contains(page)));
			}
		}
		let rest = |id: &SequenceId| {
			let sequence = &self.scheduler.sequences[id];
			sequence.known_positions() - self.known[id].fed
		};
		for id in self.scheduler.running.iter().filter(|id| rest(id) == 1) {
			assert!(planned.contains(id), "{id:?} could decode");
		}
		match self.scheduler.running.iter().find(|id| rest(id) > 0) {
			Some(oldest) => assert!(planned.contains(oldest), "the oldest makes no progress"),
			None => {
				// Nothing to compute: everybody waits for an adapter that is being read.
				let waiting: Vec<_> = self.scheduler.queue.iter().map(|(_, id)| id).collect();
				assert!(waiting.iter().all(|id| !self.is_here(*id)));
				assert!(waiting.is_empty() || !self.loading.is_empty());
			},
		}
	}

	/// Checks what holds at any time.
	pub fn check(&self) {
		let Scheduler { sequences, queue, running, pages, adapters, deadlines, .. } =
			&self.scheduler;
		assert!(sequences.keys().eq(self.known.keys()));
		assert!(running.len() <= self.limits.max_running);
		assert!(queue.len() <= self.limits.max_waiting + self.limits.max_running);
		assert_eq!(running.len() + queue.len(), sequences.len());
		for (turn, id) in queue.iter() {
			let sequence = &sequences[&id];
			assert!(sequence.running().is_none());
			assert_eq!(sequence.turn, turn);
		}
		let timed = self.known.values().filter_map(|it| Some((it.entry.deadline_ms?, it.entry.id)));
		assert_eq!(deadlines, &timed.collect());
		pages.check(running.iter().map(|id| &sequences[id].running().unwrap().pages[..]));
		let mut references = BTreeMap::new();
		for id in running {
			if let Some(key) = sequences[id].root.adapter {
				*references.entry(key).or_default() += 1;
			}
		}
		adapters.check(&references);
		assert_eq!(adapters.staged(), &self.staged);
		for (slot, key) in &self.slots {
			assert_eq!(adapters.residency(*key), Residency::Resident { slot: *slot });
		}
	}
}

/// A driver with room for everything, and one whose adapters `1..=adapters` are resident.
pub fn driver(adapters: u8) -> Driver {
	let room = AdapterLimits {
		max_bytes: 10_000,
		max_adapter_bytes: 100,
		max_resident: 100,
		max_loading: 100,
	};
	let mut driver = Driver::new(LIMITS, 64, room);
	for number in 1..=adapters {
		driver.scheduler.preload(key(number));
		driver.loading.insert(key(number));
	}
	driver.load_all();
	driver.plan();
	driver
}
