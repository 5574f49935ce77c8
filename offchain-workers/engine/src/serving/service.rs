//! The door: taking requests in, and asking how it goes.

use std::{
	collections::{BTreeMap, BTreeSet},
	io,
	ops::ControlFlow,
	sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
	thread,
	time::{Duration, Instant},
};

use crate::{
	error::GenerateError,
	generate::check_stops,
	serving::{
		active::Active,
		executor::Executor,
		loader::{Loaded, Loader},
		model::ServingModel,
		pages::PAGE_TOKENS,
		request::{AdapterKey, AdapterSource, Refused, Request, MAX_TOP_LOGPROBS},
		scheduler::{Limits, LimitsError, Refusal, Scheduler, SequenceId},
		slots::{AdapterLimits, AdapterStatus, Asked, Pinned, Residency, TooMuchPinned},
		stepper::Stepper,
	},
};

/// Tokens whose keys and values are in memory: four of the longest contexts, or hundreds of short chats.
pub const DEFAULT_CACHE_TOKENS: usize = 32_768;
/// Adapters in memory: thousands of small ones.
pub const DEFAULT_MAX_ADAPTERS: usize = 4_096;
/// Bytes of memory for adapters.
pub const DEFAULT_ADAPTER_BYTES: usize = 2 << 30;

/// How a service is set up.
#[derive(Clone, Debug)]
pub struct ServiceOptions {
	/// Threads that compute; all cores when zero.
	pub threads: usize,
	/// Tokens whose keys and values fit into the cache, over all sequences.
	pub cache_tokens: usize,
	/// What runs together and what waits.
	pub limits: Limits,
	/// How many adapters are in memory.
	pub adapters: AdapterLimits,
}

impl Default for ServiceOptions {
	fn default() -> Self {
		Self {
			threads: 0,
			cache_tokens: DEFAULT_CACHE_TOKENS,
			limits: Limits::default(),
			adapters: AdapterLimits {
				max_bytes: DEFAULT_ADAPTER_BYTES,
				max_adapter_bytes: 256 << 20,
				max_resident: DEFAULT_MAX_ADAPTERS,
				max_loading: 16,
			},
		}
	}
}

/// Why a service does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
	#[error(transparent)]
	Limits(#[from] LimitsError),
	#[error("cannot start the service's threads: {0}")]
	Thread(#[from] io::Error),
	#[error("cannot start the executor's threads: {0}")]
	Threads(#[from] rayon::ThreadPoolBuildError),
}

/// How a service stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
	/// Sequences in the batch.
	pub running: usize,
	/// Sequences that wait for a place.
	pub waiting: usize,
	/// Pages of the cache: in use by running sequences, kept for reuse, in all.
	pub pages_held: usize,
	pub pages_cached: usize,
	pub pages_total: usize,
	/// Adapters in memory, and their bytes.
	pub adapters: usize,
	pub adapter_bytes: usize,
	/// Since the start: steps, tokens computed in them, sequences preempted.
	pub steps: u64,
	pub tokens: u64,
	pub preemptions: u64,
	/// Since the start: tokens of prompts of admitted sequences, and how many came from the cache.
	pub prompt_tokens: u64,
	pub cached_tokens: u64,
	/// Since the start: adapters read.
	pub adapter_loads: u64,
}

/// A request under way. Dropping it does nothing; [`cancel`](Ticket::cancel) ends the request.
#[derive(Clone)]
pub struct Ticket {
	shared: Arc<Shared>,
	id: SequenceId,
}

impl Ticket {
	/// Ends the request; its last event is a [`Finished`](crate::serving::Event::Finished) with
	/// what there is.
	pub fn cancel(&self) {
		let mut state = self.shared.state();
		state.cancelled.insert(self.id);
		self.shared.wake.notify_all();
	}
}

impl std::fmt::Debug for Ticket {
	fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
		f.debug_tuple("Ticket").field(&self.id).finish()
	}
}

/// Where events go. Breaking off cancels the request. Called on the service's thread: it must not
/// block.
pub type Sink = Box<dyn FnMut(crate::serving::Event) -> ControlFlow<()> + Send>;

/// A service over one base model. Clones are the same service; the last one that is dropped
/// leaves it running until [`stop`](Service::stop).
#[derive(Clone)]
pub struct Service {
	model: Arc<ServingModel>,
	shared: Arc<Shared>,
	thread: Arc<Mutex<Option<thread::JoinHandle<()>>>>,
}

/// What the door and the thread that steps share.
pub(super) struct Shared {
	state: Mutex<State>,
	pub(super) wake: Condvar,
	begun: Instant,
}

pub(super) struct State {
	pub(super) scheduler: Scheduler,
	/// Requests that the thread has not seen yet.
	pub(super) new: BTreeMap<SequenceId, Active>,
	pub(super) cancelled: BTreeSet<SequenceId>,
	/// Adapters that were read and that the thread has not seen yet.
	pub(super) loaded: Vec<(AdapterKey, Loaded)>,
	/// Adapters to be read without a request for them.
	pub(super) wanted: Vec<AdapterKey>,
	/// Slots to be emptied.
	pub(super) emptied: Vec<usize>,
	pub(super) stop: Stop,
	pub(super) counts: Counts,
	next_id: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stop {
	/// Requests are taken.
	No,
	/// No more are taken; those that are there are answered.
	Drain,
	/// All end.
	Now,
}

impl Shared {
	pub(super) fn state(&self) -> MutexGuard<'_, State> {
		self.state.lock().unwrap_or_else(PoisonError::into_inner)
	}

	/// Milliseconds since the service began.
	pub(super) fn now(&self) -> u64 {
		u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
	}
}

impl Service {
	/// Allocates the cache and starts the threads.
	///
	/// # Errors
	/// Limits under which nothing could run; threads that the system does not give.
	pub fn start(
		model: Arc<ServingModel>,
		source: Arc<dyn AdapterSource>,
		options: ServiceOptions,
	) -> Result<Self, StartError> {
		let pages = u32::try_from(options.cache_tokens / PAGE_TOKENS).unwrap_or(u32::MAX);
		let scheduler = Scheduler::new(options.limits, pages, options.adapters)?;
		let step_tokens = options.limits.max_step_tokens;
		let executor =
			Executor::new(model.clone(), options.threads, step_tokens, pages as usize, 0)?;
		let shared = Arc::new(Shared {
			state: Mutex::new(State {
				scheduler,
				new: BTreeMap::new(),
				cancelled: BTreeSet::new(),
				loaded: Vec::new(),
				wanted: Vec::new(),
				emptied: Vec::new(),
				stop: Stop::No,
				counts: Counts::default(),
				next_id: 0,
			}),
			wake: Condvar::new(),
			begun: Instant::now(),
		});
		let loader = Loader::start(source, {
			let shared = shared.clone();
			move |key, loaded| {
				shared.state().loaded.push((key, loaded));
				shared.wake.notify_all();
			}
		})?;
		let stepper = Stepper::new(shared.clone(), executor, loader);
		let thread = thread::Builder::new().name("serving".into()).spawn(move || stepper.work())?;
		Ok(Self { model, shared, thread: Arc::new(Mutex::new(Some(thread))) })
	}

	/// The model that answers.
	pub fn model(&self) -> &Arc<ServingModel> {
		&self.model
	}

	/// Takes a request; what happens to it goes to `sink`, and ends with one
	/// [`Finished`](crate::serving::Event::Finished) or [`Failed`](crate::serving::Event::Failed).
	pub fn submit(&self, request: Request, sink: Sink) -> Result<Ticket, Refused> {
		let max_tokens = self.check(&request)?;
		let adapter = request.adapter;
		let deadline_ms = request.deadline.map(|deadline| {
			let left = deadline.saturating_duration_since(self.shared.begun);
			u64::try_from(left.as_millis()).unwrap_or(u64::MAX)
		});
		let end_tokens = &self.model.config().eos_token_ids;
		let active = Active::new(request, max_tokens, deadline_ms, end_tokens, sink);
		let mut state = self.shared.state();
		if state.stop > Stop::No {
			return Err(Refused::Stopping);
		}
		let id = SequenceId(state.next_id);
		state.scheduler.submit(active.entry(id, adapter)).map_err(|refusal| match refusal {
			Refusal::TenantQueueFull { waiting } => Refused::TenantBusy { waiting },
			Refusal::QueueFull { waiting } => Refused::Busy { waiting },
			Refusal::TooFewPages { needed, total } => {
				Refused::CacheTooSmall { needed: needed * PAGE_TOKENS, total: total * PAGE_TOKENS }
			},
			// What remains was checked, or cannot be with an id of our own.
			_ => Refused::Invalid(GenerateError::EmptyPrompt),
		})?;
		state.next_id += 1;
		state.new.insert(id, active);
		self.shared.wake.notify_all();
		Ok(Ticket { shared: self.shared.clone(), id })
	}

	/// Checks what does not depend on others. Gives the tokens that can be generated at most.
	fn check(&self, request: &Request) -> Result<usize, Refused> {
		request.sampling.validate().map_err(GenerateError::from)?;
		check_stops(&request.stop_strings)?;
		if request.top_logprobs > MAX_TOP_LOGPROBS {
			return Err(Refused::TooManyAlternatives(request.top_logprobs));
		}
		if request.prompt.is_empty() {
			return Err(GenerateError::EmptyPrompt.into());
		}
		if request.max_tokens == 0 && !request.score_prompt {
			return Err(GenerateError::NothingAskedFor.into());
		}
		let (tokens, max_context) = (request.prompt.len(), self.model.max_context());
		let room = max_context.saturating_sub(tokens);
		if tokens > max_context || room == 0 && request.max_tokens > 0 {
			return Err(GenerateError::PromptTooLong { tokens, max_context }.into());
		}
		let vocab_size = self.model.config().vocab_size;
		if let Some(token) = request.prompt.iter().find(|token| **token as usize >= vocab_size) {
			let error = crate::ForwardError::TokenOutsideVocabulary { token: *token, vocab_size };
			return Err(GenerateError::from(error).into());
		}
		Ok(request.max_tokens.min(room))
	}

	/// How it stands.
	pub fn counts(&self) -> Counts {
		let state = self.shared.state();
		let (scheduler, pages) = (&state.scheduler, state.scheduler.pages());
		let adapters = scheduler.adapters();
		Counts {
			running: scheduler.running(),
			waiting: scheduler.waiting(),
			pages_held: pages.held(),
			pages_cached: pages.cached(),
			pages_total: pages.total(),
			adapters: adapters
				.statuses()
				.filter(|status| matches!(status.residency, Residency::Resident { .. }))
				.count(),
			adapter_bytes: adapters.bytes(),
			..state.counts
		}
	}

	/// The adapters in memory or on their way there.
	pub fn adapters(&self) -> Vec<AdapterStatus> {
		self.shared.state().scheduler.adapters().statuses().collect()
	}

	/// Has an adapter read before anybody asks for it. Whether it is here, or on its way.
	pub fn preload(&self, key: AdapterKey) -> bool {
		let mut state = self.shared.state();
		let asked = state.scheduler.preload(key);
		self.read_if_asked(&mut state, key, asked);
		asked != Asked::NoRoomNow
	}

	/// Keeps an adapter in memory, used or not. One that is not there is read, in the room of idle ones
	/// if there is no other. Whether it is there.
	pub fn pin(&self, key: AdapterKey) -> Result<bool, TooMuchPinned> {
		let mut state = self.shared.state();
		match state.scheduler.pin(key)? {
			Pinned::Now => Ok(true),
			Pinned::OnceRead(asked) => {
				self.read_if_asked(&mut state, key, asked);
				Ok(false)
			},
		}
	}

	fn read_if_asked(&self, state: &mut State, key: AdapterKey, asked: Asked) {
		if asked == Asked::Load {
			state.wanted.push(key);
			self.shared.wake.notify_all();
		}
	}

	/// Ends pinning.
	pub fn unpin(&self, key: AdapterKey) {
		self.shared.state().scheduler.unpin(key);
	}

	/// Takes an adapter out of memory that nobody uses and that is not pinned. Whether it did.
	pub fn unload(&self, key: AdapterKey) -> bool {
		let mut state = self.shared.state();
		let slot = state.scheduler.unload(key);
		state.emptied.extend(slot);
		self.shared.wake.notify_all();
		slot.is_some()
	}

	/// Takes no more requests, and answers those it has. Returns at once.
	pub fn drain(&self) {
		let mut state = self.shared.state();
		state.stop = state.stop.max(Stop::Drain);
		self.shared.wake.notify_all();
	}

	/// Takes no more requests, and waits until those it has are answered or `patience` is over;
	/// what is left then fails.
	pub fn stop(&self, patience: Duration) {
		self.drain();
		let until = Instant::now() + patience;
		let mut state = self.shared.state();
		while !state.is_empty() {
			let left = until.saturating_duration_since(Instant::now());
			if left.is_zero() {
				break;
			}
			let woken = self.shared.wake.wait_timeout(state, left);
			state = woken.unwrap_or_else(PoisonError::into_inner).0;
		}
		state.stop = Stop::Now;
		drop(state);
		self.shared.wake.notify_all();
		let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
		if let Some(thread) = thread {
			let _ = thread.join();
		}
	}
}

impl State {
	fn is_empty(&self) -> bool {
		self.new.is_empty() && self.scheduler.running() == 0 && self.scheduler.waiting() == 0
	}
}
