//! The service as a whole: what it answers, whatever else it does at the time.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{
	collections::BTreeMap,
	ops::ControlFlow,
	sync::{
		mpsc::{channel, Receiver},
		Arc,
	},
	time::{Duration, Instant},
};

use openledger_engine::{
	random,
	serving::{
		AdapterKey, AdapterLimits, AdapterSource, AdapterUnavailable, Answer, Constraint,
		ConstraintError, Event, Failed, Limits, PackedAdapter, Precision, Refused, Request,
		Residency, ScoredToken, Service, ServiceOptions, ServingModel, ServingOptions, Tenant,
		Ticket,
	},
	tiny::{random_adapter, TinyModel},
	Adapter, FinishReason, GenerateError, GenerateOptions, LoadOptions, LoraConfig, Model,
	Sampling, TargetModule,
};

const PATIENCE: Duration = Duration::from_secs(60);

/// Adapters by the first byte of their keys; those from 200 on are broken in some way.
struct Shelf {
	config: openledger_engine::LlamaConfig,
	delay: Duration,
}

impl AdapterSource for Shelf {
	fn adapter(&self, key: AdapterKey) -> Result<PackedAdapter, AdapterUnavailable> {
		std::thread::sleep(self.delay);
		let adapter = match key.0[0] {
			number @ 0..200 => self.make(number.into(), 16.0),
			200 => self.make(201, 1e38),
			201 => return Err(AdapterUnavailable::Unknown(key)),
			_ => panic!("a reader that panics"),
		};
		Ok(PackedAdapter::pack(&adapter, &self.config, Precision::F32).unwrap())
	}
}

impl Shelf {
	fn make(&self, number: u64, alpha: f64) -> Adapter {
		let rank = [4, 8, 12][number as usize % 3];
		let targets = match number % 2 {
			0 => vec![TargetModule::QProj, TargetModule::VProj],
			_ => TargetModule::ALL.to_vec(),
		};
		let config = LoraConfig::new(rank, alpha, targets);
		random_adapter(config, &self.config, number).unwrap()
	}
}

struct Fixture {
	_folder: tempfile::TempDir,
	reference: Model,
	shelf: Arc<Shelf>,
	service: Service,
}

fn key(number: u8) -> AdapterKey {
	AdapterKey([number; 32])
}

fn tenant(name: &str) -> Tenant {
	Tenant(name.into())
}

fn options() -> ServiceOptions {
	ServiceOptions { threads: 2, cache_tokens: 16_384, ..ServiceOptions::default() }
}

impl Fixture {
	fn new(options: ServiceOptions) -> Self {
		Self::with_delay(options, Duration::ZERO)
	}

	fn with_delay(options: ServiceOptions, delay: Duration) -> Self {
		let folder = tempfile::tempdir().unwrap();
		TinyModel::default().write(folder.path(), 11).unwrap();
		let reference = Model::from_huggingface(folder.path(), LoadOptions::default()).unwrap();
		let model =
			ServingModel::from_huggingface(folder.path(), ServingOptions::default()).unwrap();
		assert_eq!(model.precision(), Precision::F32);
		let shelf = Arc::new(Shelf { config: reference.config().clone(), delay });
		let service = Service::start(Arc::new(model), shelf.clone(), options).unwrap();
		Self { _folder: folder, reference, shelf, service }
	}

	fn prompt(&self, length: usize, seed: u64) -> Vec<u32> {
		let vocabulary = self.reference.config().vocab_size as f64;
		(0..length as u64).map(|i| (random::uniform(seed, 7, i) * vocabulary) as u32).collect()
	}

	fn submit(&self, request: Request) -> Listener {
		let (sender, events) = channel();
		let sink = Box::new(move |event| match sender.send(event) {
			Ok(()) => ControlFlow::Continue(()),
			Err(_) => ControlFlow::Break(()),
		});
		Listener { ticket: self.service.submit(request, sink).unwrap(), events }
	}

	fn refused(&self, request: Request) -> Refused {
		self.service.submit(request, Box::new(|_| ControlFlow::Continue(()))).unwrap_err()
	}

	/// The same by the forward pass on burn, alone.
	fn expected(&self, wanted: &Wanted) -> Answer {
		let adapter = wanted.adapter.map(|number| self.shelf.make(number.into(), 16.0));
		let options = GenerateOptions {
			max_tokens: wanted.max_tokens,
			sampling: wanted.sampling,
			stop_strings: wanted.stop_strings.clone(),
			base_logprobs: true,
			..GenerateOptions::default()
		};
		let answer = self
			.reference
			.generate(&wanted.prompt, adapter.as_ref(), &options, &mut |_| {})
			.unwrap();
		Answer {
			text: answer.text,
			tokens: answer.tokens,
			prompt_tokens: answer.prompt_tokens,
			read_tokens: answer.prompt_tokens,
			finish_reason: answer.finish_reason,
		}
	}
}

struct Listener {
	ticket: Ticket,
	events: Receiver<Event>,
}

#[derive(Debug)]
struct Heard {
	cached_tokens: usize,
	scores: Vec<ScoredToken>,
	text: String,
	tokens: Vec<u32>,
	end: Result<Answer, Failed>,
}

impl Listener {
	fn hear(self) -> Heard {
		let (mut cached_tokens, mut scores) = (0, Vec::new());
		let (mut text, mut tokens) = (String::new(), Vec::new());
		let mut prompts = 0;
		let end = loop {
			match self.events.recv_timeout(PATIENCE).expect("an event") {
				Event::Prompt { cached_tokens: cached, scores: scored } => {
					assert!(tokens.is_empty(), "the prompt comes first");
					prompts += 1;
					(cached_tokens, scores) = (cached, scored);
				},
				Event::Token { id, text: more, .. } => {
					text += &more;
					tokens.push(id);
				},
				Event::Finished(answer) => {
					assert_eq!(prompts, 1, "the prompt is told once");
					break Ok(answer);
				},
				Event::Failed(failed) => break Err(failed),
			}
		};
		let after = self.events.recv_timeout(Duration::from_millis(5));
		assert!(after.is_err(), "nothing comes after the end: {after:?}");
		Heard { cached_tokens, scores, text, tokens, end }
	}
}

#[derive(Clone, Debug)]
struct Wanted {
	adapter: Option<u8>,
	prompt: Vec<u32>,
	max_tokens: usize,
	sampling: Sampling,
	stop_strings: Vec<String>,
}

impl Wanted {
	fn random(fixture: &Fixture, seed: u64) -> Self {
		let draw = |stream, count: u64| (random::uniform(seed, stream, 0) * count as f64) as u64;
		let sampling = match draw(1, 3) {
			0 => Sampling::GREEDY,
			_ => Sampling { temperature: 0.9, top_p: 0.95, seed, request: draw(2, 5) },
		};
		Self {
			adapter: [None, Some(1), Some(2), Some(3), Some(4)][draw(3, 5) as usize],
			prompt: fixture.prompt(1 + draw(4, 90) as usize, seed),
			max_tokens: 1 + draw(5, 40) as usize,
			sampling,
			stop_strings: match draw(6, 4) {
				0 => vec!["a".into(), "the".into()],
				_ => Vec::new(),
			},
		}
	}

	fn request(&self) -> Request {
		Request {
			adapter: self.adapter.map(key),
			sampling: self.sampling,
			stop_strings: self.stop_strings.clone(),
			base_logprobs: true,
			..Request::new(tenant("somebody"), self.prompt.clone(), self.max_tokens)
		}
	}
}

fn assert_same(heard: &Heard, expected: &Answer, what: &Wanted) {
	let found = heard.end.as_ref().unwrap();
	assert_eq!(found.text, expected.text, "{what:?}");
	assert_eq!(found.finish_reason, expected.finish_reason);
	assert_eq!(found.prompt_tokens, expected.prompt_tokens);
	assert_eq!(found.tokens.len(), expected.tokens.len());
	assert!(found.text.starts_with(&heard.text));
	for (found, expected) in found.tokens.iter().zip(&expected.tokens) {
		assert_eq!((found.id, &found.text_range), (expected.id, &expected.text_range));
		assert!((found.logprob - expected.logprob).abs() < 2e-4);
		match (found.base_logprob, expected.base_logprob) {
			(Some(found), Some(expected)) => assert!((found - expected).abs() < 2e-4),
			(None, None) => {},
			other => panic!("{other:?}"),
		}
	}
}

#[test]
fn every_request_should_be_answered_as_if_it_were_alone() {
	let fixture = Fixture::new(options());
	let wanted: Vec<Wanted> = (0..60).map(|seed| Wanted::random(&fixture, seed)).collect();
	let listeners: Vec<Listener> =
		wanted.iter().map(|wanted| fixture.submit(wanted.request())).collect();
	for (wanted, listener) in wanted.iter().zip(listeners) {
		assert_same(&listener.hear(), &fixture.expected(wanted), wanted);
	}
	let counts = fixture.service.counts();
	assert_eq!((counts.running, counts.waiting, counts.pages_held), (0, 0, 0));
	assert!(counts.steps > 0 && counts.adapters == 4, "{counts:?}");
}

/// A small cache, few places, few adapters: everything that can be taken away is taken away.
#[test]
fn answers_should_not_change_when_room_is_short() {
	let adapter_bytes = 700_000;
	let fixture = Fixture::new(ServiceOptions {
		threads: 2,
		cache_tokens: 208,
		limits: Limits {
			max_step_tokens: 24,
			max_running: 6,
			prefill_chunk: 7,
			max_active_adapters: 2,
			spare_pages: 0,
			..Limits::default()
		},
		adapters: AdapterLimits {
			max_bytes: 2 * adapter_bytes,
			max_adapter_bytes: adapter_bytes,
			max_resident: 2,
			max_loading: 2,
		},
	});
	let mut first: BTreeMap<u64, (String, Vec<f32>)> = BTreeMap::new();
	for round in 0..4u64 {
		let mut order: Vec<u64> = (0..40).collect();
		order.sort_by_key(|seed| random::bits(round, 9, *seed));
		let listeners: Vec<(u64, Wanted, Listener)> = order
			.into_iter()
			.map(|seed| {
				let wanted = Wanted::random(&fixture, seed);
				let listener = fixture.submit(wanted.request());
				(seed, wanted, listener)
			})
			.collect();
		for (seed, wanted, listener) in listeners {
			let heard = listener.hear();
			let answer = heard.end.as_ref().unwrap();
			let numbers = answer
				.tokens
				.iter()
				.flat_map(|token| [token.logprob, token.base_logprob.unwrap_or_default()])
				.collect();
			match first.get(&seed) {
				None => {
					assert_same(&heard, &fixture.expected(&wanted), &wanted);
					first.insert(seed, (answer.text.clone(), numbers));
				},
				// To the last bit.
				Some(before) => assert_eq!(before, &(answer.text.clone(), numbers)),
			}
		}
	}
	let counts = fixture.service.counts();
	assert!(counts.preemptions > 0, "{counts:?}");
	assert!(counts.adapter_loads > 4, "{counts:?}");
	assert!(counts.cached_tokens > 0, "{counts:?}");
	assert!(counts.adapters <= 2 && counts.adapter_bytes <= 2 * adapter_bytes);
}

#[test]
fn a_beginning_should_be_reused_under_the_same_adapter_only() {
	let fixture = Fixture::new(options());
	let prompt = fixture.prompt(100, 1);
	let ask = |adapter: Option<u8>| {
		let request =
			Request { adapter: adapter.map(key), ..Request::new(tenant("a"), prompt.clone(), 3) };
		let heard = fixture.submit(request).hear();
		(heard.cached_tokens, heard.tokens)
	};
	let (cached, bare) = ask(None);
	assert_eq!(cached, 0);
	let (cached, adapted) = ask(Some(1));
	assert_eq!(cached, 0);
	assert_eq!(ask(None), (96, bare));
	assert_eq!(ask(Some(1)), (96, adapted));
}

#[test]
fn a_prompt_should_be_scored_as_the_forward_pass_on_burn_scores_it() {
	let fixture = Fixture::new(options());
	let prompt = fixture.prompt(150, 3);
	let expected = fixture.reference.score(&prompt[..1], &prompt[1..], None).unwrap();
	for round in 0..2 {
		for max_tokens in [0, 2] {
			let request = Request {
				score_prompt: true,
				top_logprobs: 3,
				..Request::new(tenant("a"), prompt.clone(), max_tokens)
			};
			let heard = fixture.submit(request).hear();
			let answer = heard.end.unwrap();
			assert_eq!(answer.tokens.len(), max_tokens, "round {round}");
			assert_eq!(answer.finish_reason, FinishReason::Length);
			let ids: Vec<u32> = heard.scores.iter().map(|token| token.id).collect();
			assert_eq!(ids, prompt);
			assert_eq!(heard.scores[0].logprob, None);
			for (scored, expected) in heard.scores[1..].iter().zip(&expected) {
				assert!((scored.logprob.unwrap() - expected).abs() < 2e-4);
				assert_eq!(scored.top.len(), 3);
				assert!(scored.top[0].logprob >= scored.logprob.unwrap());
			}
		}
	}
}

#[test]
fn a_broken_adapter_should_fail_its_own_requests_only() {
	let fixture = Fixture::new(options());
	let ask = |number: Option<u8>| {
		let request = Request {
			adapter: number.map(key),
			ignore_eos: true,
			..Request::new(tenant("a"), fixture.prompt(20, 2), 10)
		};
		fixture.submit(request)
	};
	let [good, wild, unknown, panicking] = [Some(1), Some(200), Some(201), Some(202)].map(ask);
	let bare = ask(None);
	let end = wild.hear().end;
	assert!(matches!(end, Err(Failed::Sampling(_))), "{end:?}");
	let error = unknown.hear().end.unwrap_err();
	assert!(matches!(error, Failed::Adapter(AdapterUnavailable::Unknown(_))), "{error}");
	let error = panicking.hear().end.unwrap_err();
	assert!(matches!(error, Failed::Adapter(AdapterUnavailable::Unusable { .. })), "{error}");
	assert_eq!(good.hear().end.unwrap().tokens.len(), 10);
	assert_eq!(bare.hear().end.unwrap().tokens.len(), 10);
	// Asked for again, it is looked for again.
	assert!(ask(Some(201)).hear().end.is_err());
}

#[test]
fn a_slow_adapter_should_not_hold_up_others() {
	let fixture = Fixture::with_delay(options(), Duration::from_millis(700));
	let slow = Request { adapter: Some(key(1)), ..Request::new(tenant("a"), vec![5; 9], 4) };
	let slow = fixture.submit(slow);
	let begun = Instant::now();
	let quick = fixture.submit(Request::new(tenant("b"), vec![6; 9], 4)).hear();
	assert!(quick.end.is_ok() && begun.elapsed() < Duration::from_millis(600));
	assert!(slow.hear().end.is_ok());
	assert!(begun.elapsed() >= Duration::from_millis(690));
}

#[test]
fn a_cancelled_request_should_end_with_what_there_is() {
	let fixture = Fixture::new(options());
	let request =
		Request { ignore_eos: true, ..Request::new(tenant("a"), fixture.prompt(10, 1), 2_000) };
	let listener = fixture.submit(request);
	loop {
		if matches!(listener.events.recv_timeout(PATIENCE).unwrap(), Event::Token { .. }) {
			break;
		}
	}
	listener.ticket.cancel();
	let answer = loop {
		match listener.events.recv_timeout(PATIENCE).unwrap() {
			Event::Finished(answer) => break answer,
			Event::Failed(failed) => panic!("{failed}"),
			_ => {},
		}
	};
	assert_eq!(answer.finish_reason, FinishReason::Cancelled);
	assert!(!answer.tokens.is_empty() && answer.tokens.len() < 2_000);
	until_idle(&fixture.service);
}

#[test]
fn a_request_that_nobody_listens_to_should_end() {
	let fixture = Fixture::new(options());
	let request =
		Request { ignore_eos: true, ..Request::new(tenant("a"), fixture.prompt(10, 1), 2_000) };
	drop(fixture.submit(request));
	until_idle(&fixture.service);
	assert!(fixture.service.counts().tokens < 2_000);
}

#[test]
fn a_deadline_should_end_a_request() {
	let fixture = Fixture::with_delay(options(), Duration::from_secs(1));
	let request = Request {
		adapter: Some(key(1)),
		deadline: Some(Instant::now() + Duration::from_millis(100)),
		..Request::new(tenant("a"), vec![4; 10], 5)
	};
	let begun = Instant::now();
	let heard = fixture.submit(request).hear();
	assert!(matches!(heard.end, Err(Failed::DeadlinePassed)));
	assert!(begun.elapsed() < Duration::from_millis(900));
}

#[test]
fn what_cannot_be_answered_should_be_refused_by_name() {
	let limits = Limits { max_waiting: 3, max_waiting_per_tenant: 2, ..Limits::default() };
	let small = ServiceOptions { cache_tokens: 320, limits, ..options() };
	let fixture = Fixture::with_delay(small, Duration::from_secs(2));
	let good = || Request::new(tenant("a"), vec![4; 10], 5);
	let invalid = |request| match fixture.refused(request) {
		Refused::Invalid(error) => error,
		other => panic!("{other}"),
	};
	assert!(matches!(invalid(Request { prompt: vec![], ..good() }), GenerateError::EmptyPrompt));
	assert!(matches!(invalid(Request { max_tokens: 0, ..good() }), GenerateError::NothingAskedFor));
	assert!(matches!(
		invalid(Request { prompt: vec![4; 2_048], ..good() }),
		GenerateError::PromptTooLong { tokens: 2_048, max_context: 2_048 }
	));
	assert!(matches!(
		invalid(Request { prompt: vec![u32::MAX], ..good() }),
		GenerateError::Forward(_)
	));
	assert!(matches!(
		invalid(Request { stop_strings: vec!["x".into(); 10_000], ..good() }),
		GenerateError::TooManyStops { .. }
	));
	let bad = Sampling { temperature: f32::NAN, ..Sampling::GREEDY };
	assert!(matches!(invalid(Request { sampling: bad, ..good() }), GenerateError::Sampling(_)));
	assert!(matches!(
		fixture.refused(Request { top_logprobs: 21, ..good() }),
		Refused::TooManyAlternatives(21)
	));
	assert!(matches!(
		fixture.refused(Request { prompt: vec![4; 400], ..good() }),
		Refused::CacheTooSmall { total: 320, .. }
	));

	// Requests that wait for an adapter fill the queue.
	let wait = |name: &str| Request { adapter: Some(key(1)), tenant: tenant(name), ..good() };
	let waiting: Vec<Listener> =
		["a", "a", "b"].iter().map(|name| fixture.submit(wait(name))).collect();
	assert!(matches!(fixture.refused(wait("a")), Refused::TenantBusy { waiting: 2 }));
	assert!(matches!(fixture.refused(wait("c")), Refused::Busy { waiting: 3 }));
	fixture.service.drain();
	assert!(matches!(fixture.refused(good()), Refused::Stopping));
	assert!(waiting.into_iter().all(|listener| listener.hear().end.is_ok()));
}

#[test]
fn long_answers_of_one_tenant_should_not_keep_another_waiting() {
	let fixture = Fixture::new(ServiceOptions { cache_tokens: 1_024, ..options() });
	let request = |name, seed, max_tokens| Request {
		ignore_eos: true,
		..Request::new(tenant(name), fixture.prompt(10, seed), max_tokens)
	};
	// Each could fill the cache alone.
	let flood: Vec<Listener> =
		(0..30).map(|seed| fixture.submit(request("a", seed, 1_000))).collect();
	let begun = Instant::now();
	while fixture.service.counts().preemptions == 0 {
		assert!(begun.elapsed() < PATIENCE);
		std::thread::sleep(Duration::from_millis(1));
	}
	for seed in 100..105 {
		assert!(fixture.submit(request("b", seed, 100)).hear().end.is_ok());
	}
	let has_ended = |listener: &&Listener| {
		listener.events.try_iter().any(|event| matches!(event, Event::Finished(_)))
	};
	let ended = flood.iter().filter(has_ended).count();
	assert!(ended <= 2, "{ended} of the others' answers ended before");
}

#[test]
fn stopping_should_answer_what_it_can_and_fail_the_rest() {
	let fixture = Fixture::new(options());
	let short = fixture.submit(Request::new(tenant("a"), vec![4; 10], 5));
	fixture.service.stop(PATIENCE);
	assert!(short.hear().end.is_ok());

	let fixture = Fixture::new(options());
	let request = Request { ignore_eos: true, ..Request::new(tenant("a"), vec![4; 10], 2_000) };
	let long = fixture.submit(request);
	fixture.service.stop(Duration::ZERO);
	assert!(matches!(long.hear().end, Err(Failed::Stopped)));
}

#[test]
fn an_adapter_should_be_loaded_pinned_and_unloaded_on_demand() {
	let fixture = Fixture::new(options());
	assert!(fixture.service.preload(key(1)));
	let begun = Instant::now();
	let resident = || {
		let adapters = fixture.service.adapters();
		adapters.iter().any(|status| {
			status.key == key(1) && matches!(status.residency, Residency::Resident { .. })
		})
	};
	while !resident() {
		assert!(begun.elapsed() < PATIENCE);
		std::thread::sleep(Duration::from_millis(2));
	}
	assert!(fixture.service.pin(key(1)).unwrap());
	assert!(!fixture.service.unload(key(1)));
	fixture.service.unpin(key(1));
	assert!(fixture.service.unload(key(1)));
	assert!(!resident());
	let request = Request { adapter: Some(key(1)), ..Request::new(tenant("a"), vec![4; 10], 5) };
	assert!(fixture.submit(request).hear().end.is_ok());
}

/// Tokens of even number only.
struct Even(Vec<u32>);

impl Constraint for Even {
	fn restrict(&mut self, logits: &mut [f32]) -> Result<(), ConstraintError> {
		logits.iter_mut().skip(1).step_by(2).for_each(|logit| *logit = f32::NEG_INFINITY);
		Ok(())
	}

	fn accept(&mut self, token: u32) -> Result<(), ConstraintError> {
		self.0.push(token);
		match self.0.len() {
			..6 => Ok(()),
			_ => Err(ConstraintError("six are enough".into())),
		}
	}
}

#[test]
fn a_constraint_should_hold_and_its_failure_should_be_told() {
	let fixture = Fixture::new(options());
	let request = |max_tokens| Request {
		constraint: Some(Box::new(Even(Vec::new()))),
		ignore_eos: true,
		..Request::new(tenant("a"), fixture.prompt(30, 4), max_tokens)
	};
	let heard = fixture.submit(request(5)).hear();
	assert!(heard.tokens.len() == 5 && heard.tokens.iter().all(|token| token % 2 == 0));
	let error = fixture.submit(request(10)).hear().end.unwrap_err();
	assert!(error.to_string().contains("six are enough"), "{error}");
}

/// Panics at the first token.
struct Panicking;

impl Constraint for Panicking {
	fn restrict(&mut self, _logits: &mut [f32]) -> Result<(), ConstraintError> {
		panic!("a constraint that panics");
	}

	fn accept(&mut self, _token: u32) -> Result<(), ConstraintError> {
		Ok(())
	}
}

#[test]
fn a_panic_should_fail_what_is_computed_together_and_nothing_afterwards() {
	let fixture = Fixture::new(options());
	let prompt = fixture.prompt(40, 4);
	let before = fixture.submit(Request::new(tenant("a"), prompt.clone(), 8)).hear().tokens;
	let request = Request {
		constraint: Some(Box::new(Panicking)),
		..Request::new(tenant("a"), fixture.prompt(30, 4), 5)
	};
	let failed = fixture.submit(request).hear().end.unwrap_err();
	assert!(failed.to_string().contains("a constraint that panics"), "{failed}");
	until_idle(&fixture.service);
	let after = fixture.submit(Request::new(tenant("a"), prompt, 8)).hear();
	assert_eq!((after.end.is_ok(), after.tokens), (true, before));
}

fn until_idle(service: &Service) {
	let begun = Instant::now();
	while service.counts().running + service.counts().waiting > 0 {
		assert!(begun.elapsed() < PATIENCE);
		std::thread::sleep(Duration::from_millis(2));
	}
	assert_eq!(service.counts().pages_held, 0);
}
