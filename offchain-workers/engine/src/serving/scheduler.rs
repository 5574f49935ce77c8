//! What to compute next: which sequences run, and which of their tokens are in the next step.
//!
//! Every step takes one token of each running sequence (*decode*), and fills what is left of its
//! budget with pieces of prompts (*chunked prefill*), whatever adapters they use. A sequence is
//! admitted when pages for its prompt and its adapter are there. When pages run out, the sequence
//! admitted last of the tenant that has the most is *preempted*: it loses its pages, goes back to
//! its place in the queue, and is computed anew. So it is when another tenant waits that has less.
//!
//! | file | what it is about |
//! |---|---|
//! | [`limits`] | how much is taken on |
//! | [`sequence`] | what is submitted, how far each has come |
//! | [`step`] | what is to be done next |
//! | `planning` | what is done next for those that run, and for adapters |
//! | `admission` | who of those that wait runs |
//! | `sharing` | who makes way for another tenant |
//!
//! *Invariants.* The same calls give the same steps: there is no clock, thread, float or order of
//! a hash map in here. The sequence that runs longest is never preempted, so that it ends; then
//! another one runs longest. Steps never wait for an adapter that is being read. A sequence whose
//! adapter is here sees at most [`max_passed_over`](Limits::max_passed_over) sequences with a
//! later turn admitted before it, besides those of tenants that have less than its own of what runs.
//! Every table is bounded by a limit.

mod admission;
pub mod limits;
mod planning;
pub mod sequence;
mod sharing;
pub mod step;

use std::collections::{BTreeMap, BTreeSet};

pub use limits::{Limits, LimitsError};
pub use sequence::{Entry, Refusal, SequenceId};
pub use step::{Admitted, Seated, Segment, Step};

use crate::serving::{
	pages::{PageId, PagePool, PAGE_TOKENS},
	request::AdapterKey,
	scheduler::sequence::{Phase, Running, Sequence},
	slots::{AdapterLimits, AdapterSlots, Asked, NotStaged, Pinned, Residency, TooMuchPinned},
	tenants::{FairQueue, Turn},
};

/// Why what a step computed cannot be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AdvanceError {
	/// It ended since, or was never there.
	#[error("no sequence {} runs", .0 .0)]
	NotRunning(SequenceId),
	#[error("sequence {} had no part in the step", .0 .0)]
	NotInStep(SequenceId),
	#[error("sequence {} has tokens that come before a sampled one", .0 .0)]
	Incomplete(SequenceId),
	#[error("sequence {} has all its tokens", .0 .0)]
	Full(SequenceId),
}

/// Why an adapter that was read is of no use. It is to be dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdapterRejected {
	pub reason: NotStaged,
	/// Sequences that waited for it. They are gone.
	pub failed: Vec<SequenceId>,
}

/// Decides what runs. Holds tokens and numbers, no weights, keys or values.
#[derive(Debug)]
pub struct Scheduler {
	limits: Limits,
	pages: PagePool,
	adapters: AdapterSlots,
	sequences: BTreeMap<SequenceId, Sequence>,
	queue: FairQueue,
	/// In the order of admission.
	running: Vec<SequenceId>,
	deadlines: BTreeSet<(u64, SequenceId)>,
}

impl Scheduler {
	/// A scheduler over `pages` pages of cache.
	///
	/// # Errors
	/// The limits leave no room to run in.
	pub fn new(limits: Limits, pages: u32, adapters: AdapterLimits) -> Result<Self, LimitsError> {
		limits.validate()?;
		adapters.validate()?;
		// Enough for each sequence to be of another tenant, and for as many that were there.
		let tenants = limits.max_waiting.saturating_add(limits.max_running).saturating_mul(2);
		Ok(Self {
			limits,
			pages: PagePool::new(pages),
			adapters: AdapterSlots::new(adapters),
			sequences: BTreeMap::new(),
			queue: FairQueue::new(tenants),
			running: Vec::new(),
			deadlines: BTreeSet::new(),
		})
	}

	/// Takes a sequence.
	///
	/// # Errors
	/// It can never run, or too much waits already.
	pub fn submit(&mut self, entry: Entry) -> Result<(), Refusal> {
		entry.validate(self.pages.total())?;
		if self.sequences.contains_key(&entry.id) {
			return Err(Refusal::KnownId(entry.id));
		}
		let waiting = self.queue.len_of(&entry.tenant);
		if waiting >= self.limits.max_waiting_per_tenant {
			return Err(Refusal::TenantQueueFull { waiting });
		}
		let waiting = self.queue.len();
		if waiting >= self.limits.max_waiting {
			return Err(Refusal::QueueFull { waiting });
		}
		let turn = self.queue.push(entry.tenant.clone(), entry.id, entry.cost());
		self.insert(entry, turn);
		Ok(())
	}

	/// Ends a running sequence and takes another one in its place in the order, such as one that
	/// scores the answer under the bare base model. Full queues do not matter: it is the same
	/// request, and there are at most as many as run.
	///
	/// # Errors
	/// It can never run, or `id` does not run. Nothing happened then.
	pub fn follow_up(&mut self, id: SequenceId, entry: Entry) -> Result<(), Refusal> {
		entry.validate(self.pages.total())?;
		let turn = match self.sequences.get(&id) {
			Some(Sequence { phase: Phase::Running(_), turn, .. }) => *turn,
			_ => return Err(Refusal::NotRunning(id)),
		};
		if entry.id != id && self.sequences.contains_key(&entry.id) {
			return Err(Refusal::KnownId(entry.id));
		}
		self.finish(id);
		self.queue.put_back(entry.tenant.clone(), entry.id, turn);
		self.insert(entry, turn);
		Ok(())
	}

	/// Ends a sequence, waiting or running, done or cancelled. Its full pages stay in the cache
	/// until their room is needed. Whether it was there.
	///
	/// Not between [`plan`](Self::plan) and the end of the step, if it has a segment in it.
	pub fn finish(&mut self, id: SequenceId) -> bool {
		let Some(sequence) = self.sequences.remove(&id) else { return false };
		if let Some(deadline) = sequence.deadline_ms {
			self.deadlines.remove(&(deadline, id));
		}
		match sequence.phase {
			Phase::Waiting { .. } => self.queue.remove(sequence.turn),
			Phase::Running(running) => self.stop(id, sequence.root.adapter, &running),
		}
		true
	}

	/// An adapter that [`Step::loads`] named was read, and takes so many bytes once resident. The
	/// caller keeps it until a step seats or discards it.
	///
	/// # Errors
	/// It is of no use.
	pub fn adapter_loaded(&mut self, key: AdapterKey, bytes: usize) -> Result<(), AdapterRejected> {
		self.adapters.loaded(key, bytes).map_err(|reason| {
			let failed = match reason {
				NotStaged::TooLarge { .. } => self.end_waiting_for(key),
				NotStaged::NotAskedFor => Vec::new(),
			};
			AdapterRejected { reason, failed }
		})
	}

	/// An adapter that [`Step::loads`] named could not be read. Gives the sequences that waited
	/// for it, which are gone. Who asks again, makes it be read again.
	pub fn adapter_failed(&mut self, key: AdapterKey) -> Vec<SequenceId> {
		match self.adapters.forget(key) {
			true => self.end_waiting_for(key),
			false => Vec::new(),
		}
	}

	/// Asks for an adapter before any sequence does. Upon [`Asked::Load`] the caller begins to
	/// read it, as if a step had named it. It is seated if that takes no other one's room.
	pub fn preload(&mut self, key: AdapterKey) -> Asked {
		self.adapters.request(key)
	}

	/// Keeps an adapter in its slot, even when nobody uses it; one that is not resident, once it was
	/// read. Upon [`Asked::Load`] the caller begins to read it.
	///
	/// # Errors
	/// Too little would be left for others.
	pub fn pin(&mut self, key: AdapterKey) -> Result<Pinned, TooMuchPinned> {
		self.adapters.pin(key)
	}

	/// Ends pinning.
	pub fn unpin(&mut self, key: AdapterKey) {
		self.adapters.unpin(key);
	}

	/// Takes an adapter that nobody uses, and that is not pinned, out of its slot, which is to be
	/// emptied.
	pub fn unload(&mut self, key: AdapterKey) -> Option<usize> {
		self.adapters.evict(key)
	}

	/// What to do next, at `now` milliseconds on a clock that does not go back.
	///
	/// Without segments there is nothing to compute until something is submitted, an adapter was
	/// read or failed, or the [next deadline](Self::next_deadline) passes. With some, the next
	/// call may have some even if all these end: see [`has_work`](Self::has_work).
	pub fn plan(&mut self, now: u64) -> Step {
		let mut step = Step::default();
		self.expire(now, &mut step);
		self.extend_tables(&mut step);
		if step.preempted.is_empty() {
			self.make_way(&mut step);
		}
		let mut budget = self.continue_running(&mut step);
		// Whom pages ran out for comes first.
		if step.preempted.is_empty() {
			self.admit(&mut budget, &mut step);
		}
		// Afterwards, so that what is seated here is not evicted in the same step.
		self.seat_and_discard(&mut step);
		self.begin_loads(&mut step);
		// Stable: within a slot, decodes stay before prefills, and both in the order of admission.
		step.segments.sort_by_key(|segment| segment.slot);
		step
	}

	/// The planned segment of a sequence was computed, and if it completes, `sampled` comes next.
	/// Without, a complete sequence waits for nothing but its [end](Self::finish).
	///
	/// A segment that is not advanced is planned again.
	///
	/// # Errors
	/// There was no such segment, or nothing can be sampled after it. Nothing happened then.
	pub fn advance(&mut self, id: SequenceId, sampled: Option<u32>) -> Result<(), AdvanceError> {
		let sequence = self.sequences.get_mut(&id).ok_or(AdvanceError::NotRunning(id))?;
		let length = sequence.tokens.len();
		let Phase::Running(running) = &mut sequence.phase else {
			return Err(AdvanceError::NotRunning(id));
		};
		if running.planned == 0 {
			return Err(AdvanceError::NotInStep(id));
		}
		let computed = running.computed + running.planned;
		if sampled.is_some() && computed < length {
			return Err(AdvanceError::Incomplete(id));
		}
		if sampled.is_some() && length >= sequence.max_length {
			return Err(AdvanceError::Full(id));
		}
		running.computed = computed;
		running.planned = 0;
		sequence.logits_from = sequence.logits_from.max(computed);
		if computed / PAGE_TOKENS > running.published {
			running.published = self.pages.publish(
				&sequence.root,
				&mut running.pages,
				running.published,
				&sequence.tokens[..computed],
			);
		}
		sequence.tokens.extend(sampled);
		Ok(())
	}

	/// The prompt of a sequence and what was generated.
	pub fn tokens_of(&self, id: SequenceId) -> Option<&[u32]> {
		Some(&self.sequences.get(&id)?.tokens)
	}

	/// Positions of a sequence that have been computed, or were found in the cache; none while it waits.
	pub fn computed_of(&self, id: SequenceId) -> usize {
		let running = self.sequences.get(&id).and_then(|sequence| sequence.running());
		running.map_or(0, |running| running.computed)
	}

	/// The tokens of a segment of the current step.
	pub fn tokens_in(&self, segment: &Segment) -> Option<&[u32]> {
		self.tokens_of(segment.id)?.get(segment.positions())
	}

	/// The block table of a running sequence: pages of its positions, 16 each, in order.
	///
	/// Another step may have another table: pages that are full are replaced when another
	/// sequence has computed the same before.
	pub fn pages_of(&self, id: SequenceId) -> Option<&[PageId]> {
		Some(&self.sequences.get(&id)?.running()?.pages)
	}

	/// Whether a [plan](Self::plan) made now would have segments. If not, it takes a sequence, the
	/// end of a read or a deadline to change that.
	pub fn has_work(&self) -> bool {
		let computes = |id| self.sequences.get(id).is_some_and(|sequence| sequence.rest() > 0);
		let can_run =
			|(_, id)| self.sequences.get(&id).is_some_and(|sequence| self.has_adapter_of(sequence));
		match self.running.is_empty() {
			true => self.queue.iter().any(can_run),
			false => self.running.iter().any(computes),
		}
	}

	/// Sequences in the batch.
	pub fn running(&self) -> usize {
		self.running.len()
	}

	/// Sequences that wait.
	pub fn waiting(&self) -> usize {
		self.queue.len()
	}

	/// The pages of the cache.
	pub fn pages(&self) -> &PagePool {
		&self.pages
	}

	/// The adapters and their slots.
	pub fn adapters(&self) -> &AdapterSlots {
		&self.adapters
	}

	/// When the next deadline passes, in milliseconds.
	pub fn next_deadline(&self) -> Option<u64> {
		self.deadlines.first().map(|(deadline, _)| *deadline)
	}

	fn insert(&mut self, entry: Entry, turn: Turn) {
		let id = entry.id;
		self.deadlines.extend(entry.deadline_ms.map(|deadline| (deadline, id)));
		let patience = self.limits.max_passed_over;
		self.sequences.insert(id, Sequence::new(entry, turn, patience));
	}

	/// Ends whatever waits for an adapter.
	fn end_waiting_for(&mut self, key: AdapterKey) -> Vec<SequenceId> {
		let waits = |id: &SequenceId| {
			self.sequences.get(id).is_some_and(|sequence| sequence.root.adapter == Some(key))
		};
		let failed: Vec<_> = self.queue.iter().map(|(_, id)| id).filter(waits).collect();
		failed.iter().for_each(|id| {
			self.finish(*id);
		});
		failed
	}

	/// Whether a sequence needs no adapter that would have to be read first.
	fn has_adapter_of(&self, sequence: &Sequence) -> bool {
		let residency = sequence.root.adapter.map(|key| self.adapters.residency(key));
		!matches!(residency, Some(Residency::Absent | Residency::Loading))
	}

	/// Gives back what a sequence had while it ran.
	fn stop(&mut self, id: SequenceId, adapter: Option<AdapterKey>, running: &Running) {
		self.running.retain(|other| *other != id);
		self.pages.release(&running.pages);
		if let Some(key) = adapter {
			self.adapters.release(key);
		}
	}
}

#[cfg(test)]
mod tests;
