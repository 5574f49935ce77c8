//! Measures the serving path on a real model, one JSON object a line on standard output:
//!
//! ```text
//! serving_benchmark MODEL.gguf [--threads N] [--bf16] [--adapters N]
//! ```
//!
//! The prompts and batch sizes are those of `benchmarks/peer_transformers.py`. Adapters are random
//! ones on q and v, each in memory of its own; figures that are to be compared are measured in turns,
//! step by step, so that a busy minute of the machine falls on both.

use std::{
	collections::{BTreeMap, VecDeque},
	error::Error,
	fs,
	io::Read,
	ops::ControlFlow,
	path::PathBuf,
	sync::{
		mpsc::{channel, Receiver},
		Arc,
	},
	time::{Duration, Instant},
};

use openledger_engine::{
	random,
	serving::{
		executor::{Executor, Segment},
		pages::pages_for,
		AdapterKey, AdapterLimits, AdapterSource, AdapterUnavailable, Event, Limits, PackedAdapter,
		Precision, Request, Service, ServiceOptions, ServingModel, ServingOptions, Tenant,
	},
	tiny::random_adapter,
	Adapter, LlamaConfig, LoraConfig, Sampling, TargetModule,
};
use openledger_primitives::H256;
use openledger_store::Store;
use serde_json::json;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Prompt tokens before the steps that are measured.
const PROMPT: usize = 64;
/// Decode steps measured of each configuration.
const STEPS: usize = 48;
/// Sequences that decode at a time, at most, and pages of each.
const MAX_BATCH: usize = 32;
const PAGES: usize = 8;
/// Batches that take turns: the bare base, one adapter for all rows, one for each.
const KINDS: [fn(usize) -> Option<usize>; 3] = [|_| None, |_| Some(0), Some];
/// What the clients of the residency measurement ask: concurrent requests, requests in all, tokens;
/// and how many tokens the cache has room for.
const CLIENTS: usize = 32;
const REQUESTS: usize = 64;
const ANSWER: usize = 32;
const CACHE_TOKENS: usize = 4_096;
/// How often two populations of adapters take turns.
const ROUNDS: usize = 24;
/// How often greedy answers and drawn ones take turns.
const DRAWN_ROUNDS: usize = 12;
/// As OpenAI's clients ask when they do not say otherwise.
const DRAWN: Sampling = Sampling { temperature: 1.0, top_p: 1.0, seed: 1, request: 0 };

struct Arguments {
	model: PathBuf,
	threads: usize,
	precision: Precision,
	adapters: usize,
}

fn main() -> Outcome<()> {
	let arguments = arguments()?;
	let precision = match arguments.precision {
		Precision::F32 => "f32",
		Precision::Bf16 => "bf16",
	};
	let version = env!("CARGO_PKG_VERSION");
	println!("{}", json!({"system": format!("OpenLoRA {precision}"), "version": version}));

	let begun = Instant::now();
	let options = ServingOptions { precision: arguments.precision, max_context: 2_048 };
	let model = Arc::new(ServingModel::from_gguf(&arguments.model, options)?);
	emit("load", "s", begun.elapsed().as_secs_f64());
	steps(&model, arguments.threads)?;
	residency(&model, &arguments)?;
	load_to_first_token(&model, arguments.threads, "q and v", &QUERY_AND_VALUE)?;
	load_to_first_token(&model, arguments.threads, "all linear", &TargetModule::ALL)
}

fn arguments() -> Outcome<Arguments> {
	let mut arguments =
		Arguments { model: PathBuf::new(), threads: 2, precision: Precision::F32, adapters: 2_000 };
	let mut given = std::env::args().skip(1);
	while let Some(argument) = given.next() {
		let mut number =
			|| -> Outcome<usize> { Ok(given.next().ok_or("a number is missing")?.parse()?) };
		match &*argument {
			"--threads" => arguments.threads = number()?,
			"--adapters" => arguments.adapters = number()?,
			"--bf16" => arguments.precision = Precision::Bf16,
			_ => arguments.model = argument.into(),
		}
	}
	Ok(arguments)
}

fn emit(measure: &str, unit: &str, value: f64) {
	println!("{}", json!({"measure": measure, "unit": unit, "value": value}));
}

fn prompt(length: usize, row: usize) -> Vec<u32> {
	(0..length).map(|index| (1_000 + (index * 37) % 20_000 + row) as u32).collect()
}

fn adapter(config: &LlamaConfig, rank: usize, targets: &[TargetModule]) -> Outcome<Adapter> {
	let lora = LoraConfig::new(rank, 2.0 * rank as f64, targets.iter().copied());
	Ok(random_adapter(lora, config, 1)?)
}

const QUERY_AND_VALUE: [TargetModule; 2] = [TargetModule::QProj, TargetModule::VProj];

/// Sequences that decode together, each with its own table.
struct Batch {
	tables: Vec<Vec<u32>>,
	slots: Vec<Option<usize>>,
	tokens: Vec<u32>,
	length: usize,
}

impl Batch {
	/// Reads the prompts of a batch of one of the [`KINDS`].
	fn begin(executor: &mut Executor, kind: usize, rows: usize) -> Outcome<Self> {
		let slot = KINDS.get(kind).ok_or("no such kind of batch")?;
		let tables: Vec<_> = (0..rows).map(|row| table(kind * MAX_BATCH + row)).collect();
		for (row, pages) in tables.iter().enumerate() {
			let tokens = prompt(PROMPT, row);
			let (slot, logits_from) = (slot(row), PROMPT);
			executor.step(&[Segment { slot, start: 0, tokens: &tokens, pages, logits_from }])?;
		}
		let slots = (0..rows).map(slot).collect();
		Ok(Self { tables, slots, tokens: vec![7; rows], length: PROMPT })
	}

	/// One token of each; how long that took.
	fn step(&mut self, executor: &mut Executor) -> Outcome<f64> {
		let begun = Instant::now();
		let pages = pages_for(self.length + 1);
		let segments: Vec<Segment<'_>> = (self.slots.iter().zip(&self.tokens).zip(&self.tables))
			.map(|((slot, token), table)| Segment {
				slot: *slot,
				start: self.length,
				tokens: std::slice::from_ref(token),
				pages: table.get(..pages).unwrap_or_default(),
				logits_from: 0,
			})
			.collect();
		executor.step(&segments)?;
		let vocabulary = executor.model().config().vocab_size;
		self.tokens = executor.logits(0).chunks(vocabulary).map(greatest).collect();
		self.length += 1;
		Ok(begun.elapsed().as_secs_f64())
	}
}

fn greatest(logits: &[f32]) -> u32 {
	let best = (0..).zip(logits).max_by(|a, b| a.1.total_cmp(b.1));
	best.map_or(0, |(id, _)| id)
}

fn table(row: usize) -> Vec<u32> {
	(0..PAGES).map(|page| (row * PAGES + page) as u32).collect()
}

fn median(mut values: Vec<f64>) -> f64 {
	values.sort_by(f64::total_cmp);
	values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Prefill and decode without a scheduler, as the peers do it.
fn steps(model: &Arc<ServingModel>, threads: usize) -> Outcome<()> {
	let mut executor =
		Executor::new(model.clone(), threads, 512, KINDS.len() * MAX_BATCH * PAGES, 0)?;
	let adapter = adapter(model.config(), 8, &QUERY_AND_VALUE)?;
	for slot in 0..MAX_BATCH {
		let packed = PackedAdapter::pack(&adapter, model.config(), model.precision())?;
		executor.set_adapter(slot, Some(Arc::new(packed)));
	}
	let tokens = prompt(128, 0);
	let table = table(0);
	let mut times = Vec::new();
	for _ in 0..9 {
		let begun = Instant::now();
		executor.step(&[Segment {
			slot: None,
			start: 0,
			tokens: &tokens,
			pages: table.get(..8).unwrap_or_default(),
			logits_from: 127,
		}])?;
		std::hint::black_box(greatest(executor.logits(0)));
		times.push(begun.elapsed().as_secs_f64());
	}
	emit("prefill 128", "tokens/s", 128.0 / median(times));
	for batch in [1, 8, 32] {
		let mut batches = Vec::new();
		for kind in 0..KINDS.len() {
			batches.push((Batch::begin(&mut executor, kind, batch)?, Vec::new()));
		}
		for _ in 0..STEPS {
			for (rows, times) in &mut batches {
				times.push(rows.step(&mut executor)?);
			}
		}
		let mut times = batches.into_iter().map(|(_, times)| median(times));
		let mut next = || times.next().unwrap_or(f64::NAN);
		let [bare, one, distinct] = [next(), next(), next()];
		emit(&format!("decode, batch {batch}"), "tokens/s", batch as f64 / bare);
		emit(&format!("decode, batch {batch}, one adapter"), "tokens/s", batch as f64 / one);
		emit(&format!("one adapter over the bare base, batch {batch}"), "ratio", bare / one);
		emit(&format!("an adapter each over one, batch {batch}"), "ratio", one / distinct);
		let distinct = batch as f64 / distinct;
		emit(&format!("decode, batch {batch}, an adapter each"), "tokens/s", distinct);
	}
	Ok(())
}

/// Bytes of memory that the process has.
fn resident_memory() -> f64 {
	let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
	status
		.lines()
		.find_map(|line| line.strip_prefix("VmRSS:"))
		.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok())
		.map_or(f64::NAN, |kibibytes| 1_024.0 * kibibytes)
}

/// The same adapter under every key, packed anew each time it is read.
struct Copies {
	file: Vec<u8>,
	model: Arc<ServingModel>,
}

impl AdapterSource for Copies {
	fn adapter(&self, key: AdapterKey) -> Result<PackedAdapter, AdapterUnavailable> {
		packed(key, self.file.as_slice(), self.file.len() as u64, &self.model)
	}
}

fn key(number: usize) -> AdapterKey {
	let mut key = [0; 32];
	let bytes = (number as u64).to_be_bytes();
	key.iter_mut().zip(bytes).for_each(|(key, byte)| *key = byte);
	AdapterKey(key)
}

/// Throughput of the whole service when requests are spread evenly over few or many resident
/// adapters.
fn residency(model: &Arc<ServingModel>, arguments: &Arguments) -> Outcome<()> {
	let file = adapter(model.config(), 8, &QUERY_AND_VALUE)?.to_bytes(&Default::default())?;
	let copies = Arc::new(Copies { file, model: model.clone() });
	let limits = Limits { max_running: CLIENTS, max_active_adapters: CLIENTS, ..Limits::default() };
	let options = ServiceOptions {
		threads: arguments.threads,
		cache_tokens: CACHE_TOKENS,
		limits,
		adapters: AdapterLimits {
			max_bytes: 8 << 30,
			max_adapter_bytes: 64 << 20,
			max_resident: arguments.adapters + 1,
			max_loading: 64,
		},
	};
	let service = Service::start(model.clone(), copies, options)?;
	for number in 0..arguments.adapters {
		while !service.preload(key(number)) {
			std::thread::sleep(Duration::from_millis(1));
		}
	}
	while service.counts().adapters < arguments.adapters {
		std::thread::sleep(Duration::from_millis(10));
	}
	let counts = service.counts();
	emit("adapters resident", "count", counts.adapters as f64);
	emit("memory of adapters", "MiB", counts.adapter_bytes as f64 / 1_048_576.0);
	let mut ratios = Vec::new();
	let (mut few, mut many) = (Vec::new(), Vec::new());
	for round in 0..ROUNDS {
		let mut populations = [(5, &mut few), (arguments.adapters, &mut many)];
		// Each goes first as often as the other.
		if round % 2 == 1 {
			populations.reverse();
		}
		for (adapters, rates) in populations {
			rates.push(throughput(&service, adapters, Sampling::GREEDY, round)?);
		}
		ratios.extend(many.last().zip(few.last()).map(|(many, few)| many / few));
	}
	emit("service, 32 clients, 5 adapters", "tokens/s", median(few));
	let all = format!("service, 32 clients, {} adapters", arguments.adapters);
	emit(&all, "tokens/s", median(many));
	emit("throughput kept", "ratio", median(ratios));
	emit("drawn over greedy", "ratio", drawn_over_greedy(&service)?);
	let config = model.config();
	let cache = 2 * config.num_hidden_layers * config.key_value_size() * CACHE_TOKENS * 4;
	let sum = (model.bytes() + cache + counts.adapter_bytes) as f64;
	emit("weights, cache and adapters", "MiB", sum / 1_048_576.0);
	emit("memory of the process", "MiB", resident_memory() / 1_048_576.0);
	service.stop(Duration::ZERO);
	Ok(())
}

/// Throughput when tokens are drawn from the whole vocabulary, over that of greedy answers.
fn drawn_over_greedy(service: &Service) -> Outcome<f64> {
	let mut ratios = Vec::new();
	for pair in 0..DRAWN_ROUNDS {
		// Prompts of their own, so that neither finds in the cache what the other has read.
		let rate = |sampling, turn| throughput(service, 5, sampling, ROUNDS + 2 * pair + turn);
		ratios.push(match pair % 2 {
			0 => rate(DRAWN, 0)? / rate(Sampling::GREEDY, 1)?,
			_ => 1.0 / (rate(Sampling::GREEDY, 0)? / rate(DRAWN, 1)?),
		});
	}
	Ok(median(ratios))
}

/// Tokens generated a second, prompts included in the time.
fn throughput(
	service: &Service,
	adapters: usize,
	sampling: Sampling,
	round: usize,
) -> Outcome<f64> {
	let begun = Instant::now();
	let mut running: VecDeque<Receiver<bool>> = VecDeque::new();
	for number in 0..REQUESTS {
		if running.len() == CLIENTS {
			finish(running.pop_front())?;
		}
		let draw = random::uniform(round as u64, adapters as u64, number as u64);
		let mut request =
			Request::new(Tenant("bench".into()), distinct_prompt(round, number), ANSWER);
		request.adapter = Some(key((draw * adapters as f64) as usize));
		request.ignore_eos = true;
		request.sampling = Sampling { request: number as u64, ..sampling };
		let (sender, receiver) = channel();
		service.submit(
			request,
			Box::new(move |event| {
				match event {
					Event::Finished(_) => drop(sender.send(true)),
					Event::Failed(_) => drop(sender.send(false)),
					_ => {},
				}
				ControlFlow::Continue(())
			}),
		)?;
		running.push_back(receiver);
	}
	while !running.is_empty() {
		finish(running.pop_front())?;
	}
	Ok((REQUESTS * ANSWER) as f64 / begun.elapsed().as_secs_f64())
}

/// A prompt that no other one begins like, so that nothing comes from the cache.
fn distinct_prompt(round: usize, number: usize) -> Vec<u32> {
	let mut tokens = prompt(PROMPT, 0);
	let mark = (round * REQUESTS + number) as u32;
	tokens.splice(..2, [3_000 + mark % 9_000, 5_000 + mark / 9_000]);
	tokens
}

fn finish(receiver: Option<Receiver<bool>>) -> Outcome<()> {
	match receiver.map(|receiver| receiver.recv()) {
		Some(Ok(true)) | None => Ok(()),
		_ => Err("a request failed".into()),
	}
}

/// Adapters in a worker's store, whose bytes are verified while they are packed.
struct Stored(Store, Arc<ServingModel>);

impl AdapterSource for Stored {
	fn adapter(&self, key: AdapterKey) -> Result<PackedAdapter, AdapterUnavailable> {
		match self.0.get_with(H256(key.0), |blob| {
			let length = blob.length();
			packed(key, blob, length, &self.1)
		}) {
			Ok(Some(packed)) => packed,
			Ok(None) => Err(AdapterUnavailable::Unknown(key)),
			Err(error) => Err(AdapterUnavailable::Unusable { key, why: error.to_string() }),
		}
	}
}

fn packed(
	key: AdapterKey,
	file: impl Read,
	length: u64,
	model: &ServingModel,
) -> Result<PackedAdapter, AdapterUnavailable> {
	PackedAdapter::from_reader(file, length, model.config(), model.precision())
		.map(|(packed, _)| packed)
		.map_err(|error| AdapterUnavailable::Unusable { key, why: error.to_string() })
}

/// From the disk to the first token of a short prompt, when an adapter is read for the first time after a
/// start and when the store knows it again, beside the first token of the same prompt with the adapter
/// resident. There is room for few adapters, so that another one goes for each that comes. `what` are the
/// layers that the adapters of rank 16 are on.
fn load_to_first_token(
	model: &Arc<ServingModel>,
	threads: usize,
	what: &str,
	targets: &[TargetModule],
) -> Outcome<()> {
	const ADAPTERS: usize = 24;
	const ROOM: usize = 4;
	let folder = std::env::temp_dir().join(format!("openledger-benchmark-{}", std::process::id()));
	let store = Store::open(&folder)?;
	let adapter = adapter(model.config(), 16, targets)?;
	let mut keys = Vec::new();
	for number in 0..ADAPTERS {
		let name = BTreeMap::from([("number".to_owned(), number.to_string())]);
		let bytes = adapter.to_bytes(&name)?;
		if number == 0 {
			emit(
				&format!("adapter file, rank 16, {what}"),
				"MiB",
				bytes.len() as f64 / 1_048_576.0,
			);
		}
		keys.push(AdapterKey(store.put(&bytes)?.0));
	}
	// Opened anew, it knows nothing yet of what it holds.
	drop(store);
	let stored = Arc::new(Stored(Store::open(&folder)?, model.clone()));
	let mut options = ServiceOptions { threads, cache_tokens: 4_096, ..ServiceOptions::default() };
	options.adapters.max_resident = ROOM;
	let service = Service::start(model.clone(), stored, options)?;
	let (mut first, mut again, mut resident) = (Vec::new(), Vec::new(), Vec::new());
	for cold in [&mut first, &mut again] {
		for (number, key) in keys.iter().enumerate() {
			for times in [&mut *cold, &mut resident] {
				times.push(first_token(&service, *key, number)?);
			}
		}
	}
	service.stop(Duration::ZERO);
	fs::remove_dir_all(folder)?;
	for (measure, times) in [
		("from disk to first token after a start", first),
		("from disk to first token", again),
		("first token with it resident", resident),
	] {
		emit(&format!("{measure}, {what}"), "ms", 1_000.0 * median(times));
	}
	Ok(())
}

/// Seconds to the first token of a short prompt.
fn first_token(service: &Service, adapter: AdapterKey, number: usize) -> Outcome<f64> {
	let mut request = Request::new(Tenant("bench".into()), prompt(4, number), 1);
	request.adapter = Some(adapter);
	let (sender, receiver) = channel();
	let begun = Instant::now();
	service.submit(
		request,
		Box::new(move |event| {
			if !matches!(event, Event::Prompt { .. }) {
				let _ = sender.send(matches!(event, Event::Token { .. }));
			}
			ControlFlow::Continue(())
		}),
	)?;
	finish(Some(receiver))?;
	Ok(begun.elapsed().as_secs_f64())
}
