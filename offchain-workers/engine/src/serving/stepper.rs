//! The thread that steps: plan, compute, tell, again.

use std::{
	any::Any,
	collections::{BTreeMap, HashMap},
	panic::{catch_unwind, AssertUnwindSafe},
	sync::{Arc, Mutex, MutexGuard, PoisonError},
	time::Duration,
};

use crate::{
	generate::FinishReason,
	kernel::product::Window,
	serving::{
		active::{Active, Next},
		executor::{Executor, Segment, LOGIT_ROWS},
		loader::Loader,
		packed_adapter::PackedAdapter,
		request::{AdapterKey, AdapterUnavailable, Failed},
		sampler::{read_row, Scored, Wanted},
		scheduler::{self, SequenceId},
		service::{Shared, State, Stop},
	},
};

/// Runs the steps of a service.
pub(super) struct Stepper {
	shared: Arc<Shared>,
	executor: Executor,
	loader: Loader,
	active: BTreeMap<SequenceId, Active>,
	/// Adapters that were read and have no slot yet.
	staged: HashMap<AdapterKey, Arc<PackedAdapter>>,
	batch: Batch,
}

/// What is computed in a step. Kept from step to step for its memory.
#[derive(Default)]
struct Batch {
	segments: Vec<scheduler::Segment>,
	/// Tokens and pages of all segments, one after the other.
	tokens: Vec<u32>,
	pages: Vec<u32>,
	/// Of each segment, how many pages.
	tables: Vec<usize>,
	/// Of each segment, the token that is known to come after it.
	next_known: Vec<Option<u32>>,
}

/// A row of logits and what became of it.
struct Row {
	segment: usize,
	alternatives: usize,
	wanted: Wanted,
	outcome: Result<Option<Scored>, Failed>,
}

impl Stepper {
	pub(super) fn new(shared: Arc<Shared>, executor: Executor, loader: Loader) -> Self {
		let (active, staged) = (BTreeMap::new(), HashMap::new());
		Self { shared, executor, loader, active, staged, batch: Batch::default() }
	}

	/// Steps until the service stops. A panic fails whatever is under way, and nothing else.
	pub(super) fn work(mut self) {
		let shared = self.shared.clone();
		loop {
			match catch_unwind(AssertUnwindSafe(|| self.step())) {
				Ok(true) => {},
				Ok(false) => break,
				Err(panic) => self.fail_all(&message_of(panic.as_ref())),
			}
		}
		drop(self);
		shared.wake.notify_all();
	}

	/// Fails all requests that were seen. Their pages are free again, and whatever is in them is not
	/// looked at before it is written anew.
	fn fail_all(&mut self, why: &str) {
		let shared = self.shared.clone();
		let mut state = shared.state();
		for (id, active) in std::mem::take(&mut self.active) {
			state.scheduler.finish(id);
			active.fail(Failed::Panicked(why.to_owned()));
		}
	}

	/// One step, or one wait. Whether there is another one.
	fn step(&mut self) -> bool {
		let shared = self.shared.clone();
		let Some(mut state) = self.wait(&shared) else { return false };
		self.take_news(&mut state);
		let step = state.scheduler.plan(shared.now());
		self.batch.fill(&state.scheduler, &step.segments);
		state.counts.preemptions += step.preempted.len() as u64;
		for admitted in &step.admitted {
			let prompt = state.scheduler.tokens_of(admitted.id).map_or(0, <[u32]>::len);
			state.counts.prompt_tokens += prompt as u64;
			state.counts.cached_tokens += admitted.cached_tokens as u64;
		}
		state.counts.steps += u64::from(!step.segments.is_empty());
		state.counts.tokens += step.tokens() as u64;
		drop(state);

		self.arrange(&step);
		if !self.batch.segments.is_empty() {
			self.compute();
		}
		true
	}

	/// Waits until there is something to do.
	fn wait<'a>(&self, shared: &'a Shared) -> Option<MutexGuard<'a, State>> {
		let mut state = shared.state();
		loop {
			if state.stop == Stop::Now {
				return None;
			}
			if state.has_news() || state.scheduler.has_work() {
				return Some(state);
			}
			let until = state.scheduler.next_deadline();
			let left = until.map(|deadline| deadline.saturating_sub(shared.now()));
			if left == Some(0) {
				return Some(state);
			}
			// Whoever waits for the end of all requests looks.
			shared.wake.notify_all();
			state = match left {
				Some(left) => {
					shared
						.wake
						.wait_timeout(state, Duration::from_millis(left))
						.unwrap_or_else(PoisonError::into_inner)
						.0
				},
				None => shared.wake.wait(state).unwrap_or_else(PoisonError::into_inner),
			};
		}
	}

	/// Takes in what came since the last step.
	fn take_news(&mut self, state: &mut State) {
		self.active.append(&mut state.new);
		for slot in state.emptied.drain(..) {
			self.executor.set_adapter(slot, None);
		}
		for key in state.wanted.drain(..) {
			self.loader.order(key);
		}
		for (key, loaded) in std::mem::take(&mut state.loaded) {
			let (failed, why) = match loaded {
				Ok(adapter) => {
					state.counts.adapter_loads += 1;
					match state.scheduler.adapter_loaded(key, adapter.bytes()) {
						Ok(()) => {
							self.staged.insert(key, adapter);
							continue;
						},
						Err(rejected) => {
							let why = rejected.reason.to_string();
							(rejected.failed, AdapterUnavailable::Unusable { key, why })
						},
					}
				},
				Err(why) => (state.scheduler.adapter_failed(key), why),
			};
			for id in failed {
				self.fail(id, why.clone().into());
			}
		}
		for id in std::mem::take(&mut state.cancelled) {
			self.end(state, id);
		}
		let deserted: Vec<SequenceId> = self
			.active
			.iter()
			.filter(|(_, active)| active.is_deserted())
			.map(|(id, _)| *id)
			.collect();
		for id in deserted {
			self.end(state, id);
		}
	}

	/// Ends a request that nobody waits for.
	fn end(&mut self, state: &mut State, id: SequenceId) {
		let computed = state.scheduler.computed_of(id);
		state.scheduler.finish(id);
		if let Some(active) = self.active.remove(&id) {
			active.cancel(computed);
		}
	}

	fn fail(&mut self, id: SequenceId, failed: Failed) {
		if let Some(active) = self.active.remove(&id) {
			active.fail(failed);
		}
	}

	/// Does what a plan says besides computing.
	fn arrange(&mut self, step: &scheduler::Step) {
		for id in &step.expired {
			self.fail(*id, Failed::DeadlinePassed);
		}
		for slot in &step.emptied {
			self.executor.set_adapter(*slot, None);
		}
		for seated in &step.seated {
			let adapter = self.staged.remove(&seated.key);
			self.executor.set_adapter(seated.slot, adapter);
		}
		for key in &step.discarded {
			self.staged.remove(key);
		}
		for key in &step.loads {
			self.loader.order(*key);
		}
		for admitted in &step.admitted {
			if let Some(active) = self.active.get_mut(&admitted.id) {
				active.admitted(admitted.cached_tokens);
			}
		}
	}

	/// Computes the batch, and tells everybody in it what came of it.
	fn compute(&mut self) {
		let batch = std::mem::take(&mut self.batch);
		let segments = batch.views();
		match self.executor.step(&segments) {
			Ok(_) => {
				let rows = self.read_rows(&batch);
				self.take_rows(&batch, rows);
			},
			// The scheduler plans nothing that cannot be computed: this is a fault of ours, and
			// ends what was planned instead of planning it for ever.
			Err(error) => {
				let why = error.to_string();
				for segment in &batch.segments {
					self.shared.state().scheduler.finish(segment.id);
					let error = crate::ForwardError::Device(why.clone());
					self.fail(segment.id, error.into());
				}
			},
		}
		drop(segments);
		self.batch = batch;
	}

	/// Reads the logits of all rows that somebody waits for.
	fn read_rows(&mut self, batch: &Batch) -> Vec<Row> {
		let mut rows = Vec::new();
		let mut first_token = 0;
		for (index, segment) in batch.segments.iter().enumerate() {
			let tokens = batch.tokens.get(first_token..first_token + segment.length);
			let tokens = tokens.unwrap_or_default();
			first_token += segment.length;
			for position in segment.logits() {
				let is_last = position + 1 == segment.start + segment.length;
				let known = match is_last {
					true if segment.completes => None,
					true => batch.next_known.get(index).copied().flatten(),
					false => tokens.get(position + 1 - segment.start).copied(),
				};
				let (alternatives, wanted) = match self.active.get_mut(&segment.id) {
					Some(active) => (active.alternatives, active.wanted(position, known)),
					None => (0, Wanted::Nothing),
				};
				rows.push(Row { segment: index, alternatives, wanted, outcome: Ok(None) });
			}
		}
		let instructions = self.executor.model().instructions;
		let vocabulary = self.executor.model().config().vocab_size;
		for first in (0..rows.len()).step_by(LOGIT_ROWS) {
			let Some(some) = rows.get_mut(first..) else { break };
			let some = match some.get_mut(..LOGIT_ROWS) {
				Some(_) => some.split_at_mut(LOGIT_ROWS).0,
				None => some,
			};
			let logits = Window::new(self.executor.logits(first), vocabulary);
			let some: Vec<Mutex<&mut Row>> = some.iter_mut().map(Mutex::new).collect();
			self.executor.each(some.len(), |index| {
				let Some(row) = some.get(index) else { return };
				let mut row = row.lock().unwrap_or_else(PoisonError::into_inner);
				let alternatives = row.alternatives;
				let logits = logits.row(index, vocabulary);
				row.outcome = read_row(instructions, logits, &mut row.wanted, alternatives);
			});
		}
		rows
	}

	/// Hands the rows to their requests, and says to the scheduler how each sequence goes on.
	fn take_rows(&mut self, batch: &Batch, rows: Vec<Row>) {
		let shared = self.shared.clone();
		let tokenizer_of = self.executor.model().clone();
		let mut rows = rows.into_iter().peekable();
		let mut outcomes = Vec::with_capacity(batch.segments.len());
		for (index, segment) in batch.segments.iter().enumerate() {
			let Some(active) = self.active.get_mut(&segment.id) else { continue };
			let mut outcome = Ok(Next::Known);
			let mut is_read = segment.completes && !active.is_scoring_base();
			while let Some(row) = rows.next_if(|row| row.segment == index) {
				if outcome.is_err() {
					continue;
				}
				let is_sample = matches!(row.wanted, Wanted::Sample { .. });
				if is_sample {
					active.prompt_read();
					is_read = false;
				}
				outcome = row
					.outcome
					.map(|scored| active.take(row.wanted, scored, tokenizer_of.tokenizer()));
			}
			if is_read && outcome.is_ok() {
				active.prompt_read();
			}
			let is_over = segment.completes
				&& (active.is_scoring_only() || active.is_scoring_base())
				&& matches!(outcome, Ok(Next::Known));
			if is_over {
				outcome = Ok(Next::Complete(FinishReason::Length));
			}
			outcomes.push((segment.id, outcome));
		}
		let mut state = shared.state();
		for (id, outcome) in outcomes {
			match outcome {
				Ok(Next::Known) => self.advance(&mut state, id, None),
				Ok(Next::Continue(token)) => self.advance(&mut state, id, Some(token)),
				Ok(Next::Complete(reason)) => {
					self.advance(&mut state, id, None);
					self.complete(&mut state, id, reason);
				},
				Err(failed) => {
					state.scheduler.finish(id);
					self.fail(id, failed);
				},
			}
		}
	}

	fn advance(&mut self, state: &mut State, id: SequenceId, sampled: Option<u32>) {
		if let Err(error) = state.scheduler.advance(id, sampled) {
			// Cannot be; but a sequence that does not advance would be computed for ever.
			state.scheduler.finish(id);
			self.fail(id, crate::ForwardError::Device(error.to_string()).into());
		}
	}

	fn complete(&mut self, state: &mut State, id: SequenceId, reason: FinishReason) {
		let Some(active) = self.active.get_mut(&id) else { return };
		if let Some(entry) = active.begin_scoring(id, &reason) {
			match state.scheduler.follow_up(id, entry) {
				Ok(()) => return,
				Err(refusal) => {
					state.scheduler.finish(id);
					let error = crate::ForwardError::Device(refusal.to_string());
					return self.fail(id, error.into());
				},
			}
		}
		state.scheduler.finish(id);
		if let Some(active) = self.active.remove(&id) {
			active.finish(reason);
		}
	}
}

fn message_of(panic: &(dyn Any + Send)) -> String {
	let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
	text.or_else(|| panic.downcast_ref::<String>().cloned())
		.unwrap_or_else(|| "a panic without a message".into())
}

impl Drop for Stepper {
	fn drop(&mut self) {
		for (_, active) in std::mem::take(&mut self.active) {
			active.fail(Failed::Stopped);
		}
		for (_, active) in std::mem::take(&mut self.shared.state().new) {
			active.fail(Failed::Stopped);
		}
	}
}

impl State {
	fn has_news(&self) -> bool {
		!self.new.is_empty()
			|| !self.cancelled.is_empty()
			|| !self.loaded.is_empty()
			|| !self.wanted.is_empty()
			|| !self.emptied.is_empty()
	}
}

impl Batch {
	/// Copies what a step computes out of the scheduler.
	fn fill(&mut self, scheduler: &scheduler::Scheduler, segments: &[scheduler::Segment]) {
		self.segments.clear();
		self.tokens.clear();
		self.pages.clear();
		self.tables.clear();
		self.next_known.clear();
		for segment in segments {
			let (Some(tokens), Some(pages)) =
				(scheduler.tokens_of(segment.id), scheduler.pages_of(segment.id))
			else {
				continue;
			};
			let end = segment.start + segment.length;
			self.tokens.extend(tokens.get(segment.positions()).unwrap_or_default());
			self.next_known.push(tokens.get(end).copied());
			self.pages.extend(pages);
			self.tables.push(pages.len());
			self.segments.push(*segment);
		}
	}

	fn views(&self) -> Vec<Segment<'_>> {
		let (mut tokens, mut pages) = (&self.tokens[..], &self.pages[..]);
		let segments = self.segments.iter().zip(&self.tables);
		segments
			.map(|(segment, table)| {
				let (mine, rest) = tokens.split_at(segment.length.min(tokens.len()));
				tokens = rest;
				let (table, rest) = pages.split_at((*table).min(pages.len()));
				pages = rest;
				Segment {
					slot: segment.slot,
					start: segment.start,
					tokens: mine,
					pages: table,
					logits_from: segment.logits_from,
				}
			})
			.collect()
	}
}
