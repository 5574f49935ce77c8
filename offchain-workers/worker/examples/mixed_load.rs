//! Mixed load on a real gateway through real sockets, for as long as asked for:
//!
//! ```text
//! mixed_load [--minutes N] [--adapters N] [--resident N] [--clients N]
//! ```
//!
//! A tiny model, many adapters in the store, few of them in memory at a time. Clients ask for adapters by
//! Zipf's law (exponent 1); some read a stream to its end, some take an answer whole, some go away in the
//! middle, some ask nonsense. It prints how long they waited and how memory went, and ends with 1 if
//! anything failed that was not provoked.

#![allow(clippy::expect_used)]

use std::{
	collections::BTreeMap,
	fs,
	sync::{
		atomic::{AtomicBool, AtomicU64, Ordering},
		Arc, Mutex,
	},
	time::{Duration, Instant},
};

use anyhow::{bail, ensure, Context as _};
use futures_util::StreamExt as _;
use openledger_engine::{
	random,
	serving::{Precision, ServingModel},
	tiny, LoraConfig, TargetModule,
};
use openledger_primitives::{content::content_hash, H256};
use openledger_worker::{
	base_model::BaseModel, models::adapter_metadata, Config, Daemon, GatewayConfig,
};
use reqwest::StatusCode;
use serde_json::{json, Value};

/// Time between two looks at memory.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// Memory may grow by this factor after the first quarter: allocators keep some.
const GROWTH: f64 = 1.10;

struct Arguments {
	minutes: f64,
	adapters: usize,
	resident: usize,
	clients: usize,
}

/// How often something took so many tenths of a millisecond. Counts, so that what is remembered of a long
/// run does not pass for memory that the gateway lost.
#[derive(Default)]
struct Times(BTreeMap<u64, u64>);

impl Times {
	fn add(&mut self, time: Duration) {
		*self.0.entry(time.as_micros() as u64 / 100).or_default() += 1;
	}

	/// Seconds that this share of them took at most.
	fn at(&self, share: f64) -> f64 {
		let mut left = (self.0.values().sum::<u64>() as f64 * share).ceil() as u64;
		for (tenths, count) in &self.0 {
			left = left.saturating_sub(*count);
			if left == 0 {
				return *tenths as f64 / 10_000.0;
			}
		}
		f64::NAN
	}
}

#[derive(Default)]
struct Seen {
	first_token: Mutex<Times>,
	between_tokens: Mutex<Times>,
	counts: Mutex<BTreeMap<&'static str, u64>>,
	unprovoked: Mutex<Vec<String>>,
	messages: AtomicU64,
	over: AtomicBool,
}

fn main() -> anyhow::Result<()> {
	let arguments = arguments()?;
	tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(run(arguments))
}

fn arguments() -> anyhow::Result<Arguments> {
	let mut arguments = Arguments { minutes: 30.0, adapters: 1_000, resident: 64, clients: 16 };
	let mut given = std::env::args().skip(1);
	while let Some(name) = given.next() {
		let value = given.next().with_context(|| format!("{name} needs a number"))?;
		match &*name {
			"--minutes" => arguments.minutes = value.parse()?,
			"--adapters" => arguments.adapters = value.parse()?,
			"--resident" => arguments.resident = value.parse()?,
			"--clients" => arguments.clients = value.parse()?,
			_ => bail!("{name} is not an option"),
		}
	}
	Ok(arguments)
}

async fn run(arguments: Arguments) -> anyhow::Result<()> {
	let folder = tempfile::tempdir()?;
	let model = folder.path().join("tiny");
	tiny::write_model(&model, 42)?;
	let mut config = Config::new(vec![model.clone()], folder.path().join("data"));
	config.listen.set_port(0);
	config.gateway = Some(GatewayConfig::new(([127, 0, 0, 1], 0).into()));
	config.serving.max_adapters = arguments.resident;
	let daemon = Daemon::start(config).await?;
	let operator = format!("http://{}", daemon.address());
	let gateway = format!("http://{}", daemon.gateway_address().context("there is a gateway")?);
	let client = reqwest::Client::new();
	enter_adapters(&arguments, &client, &operator, &model).await?;

	let seen = Arc::new(Seen::default());
	let until = Instant::now() + Duration::from_secs_f64(60.0 * arguments.minutes);
	let clients: Vec<_> = (0..arguments.clients as u64)
		.map(|number| {
			let (seen, client, gateway) = (seen.clone(), client.clone(), gateway.clone());
			let adapters = arguments.adapters;
			tokio::spawn(async move {
				let asking = Asking { client, gateway, adapters, seen: &seen };
				for turn in 0.. {
					if Instant::now() >= until {
						break;
					}
					if let Err(error) = asking.something(number, turn).await {
						let mut unprovoked = seen.unprovoked.lock().expect("nobody panics");
						unprovoked.push(format!("{error:#}"));
					}
				}
			})
		})
		.collect();
	let memory = tokio::spawn(watch_memory(seen.clone()));
	for client in clients {
		client.await?;
	}
	seen.over.store(true, Ordering::Relaxed);
	let memory = memory.await?;
	let adapters = client.get(format!("{operator}/v1/adapters")).send().await?.json().await?;
	daemon.stop().await;
	report(&arguments, &seen, &memory, &adapters)
}

/// Puts the adapters into the store and the catalogue.
async fn enter_adapters(
	arguments: &Arguments,
	client: &reqwest::Client,
	operator: &str,
	model: &std::path::Path,
) -> anyhow::Result<()> {
	let begun = Instant::now();
	let (base, model) = BaseModel::open(model, Precision::F32)?;
	for number in 0..arguments.adapters {
		let bytes = adapter_file(&model, &base, number)?;
		let hash = format!("{:x}", content_hash(&bytes));
		let put = client.put(format!("{operator}/v1/blobs/{hash}")).body(bytes).send().await?;
		ensure!(put.status().is_success(), "{}", put.text().await?);
		let load = client
			.post(format!("{operator}/v1/load_lora_adapter"))
			.json(&json!({"lora_name": name(number), "adapter": hash}))
			.send()
			.await?;
		ensure!(load.status().is_success(), "{}", load.text().await?);
	}
	println!("{} adapters entered in {:.0} s", arguments.adapters, begun.elapsed().as_secs_f64());
	Ok(())
}

fn name(number: usize) -> String {
	format!("adapter-{number}")
}

fn adapter_file(model: &ServingModel, base: &BaseModel, number: usize) -> anyhow::Result<Vec<u8>> {
	use TargetModule::{QProj, VProj};
	let rank = 4 << (number % 3);
	let lora = LoraConfig::new(rank, 2.0 * rank as f64, [QProj, VProj]);
	let adapter = tiny::random_adapter(lora, model.config(), number as u64)?;
	let metadata = adapter_metadata(base.hashes, H256([1; 32]), H256([2; 32]));
	Ok(adapter.to_bytes(&metadata)?)
}

/// A client and what it can ask for.
struct Asking<'a> {
	client: reqwest::Client,
	gateway: String,
	adapters: usize,
	seen: &'a Seen,
}

impl Asking<'_> {
	/// One request of some kind. An error is one that was not provoked.
	async fn something(&self, client: u64, turn: u64) -> anyhow::Result<()> {
		let draw = |stream| random::uniform(client, stream, turn);
		let words = 1 + (draw(2) * 40.0) as usize;
		let mut body = json!({
			"model": name(zipf(self.adapters, draw(1))),
			"messages": [{"role": "user", "content": "why ".repeat(words)}],
			"max_tokens": 4 + (draw(3) * 60.0) as u64,
			"temperature": 0.8,
			"seed": turn,
			"stream": true,
		});
		match draw(4) {
			..0.70 => {
				self.seen.count("streamed");
				self.stream(&body, u64::MAX).await
			},
			..0.80 => {
				self.seen.count("gone in the middle");
				self.stream(&body, 1 + (draw(5) * 4.0) as u64).await
			},
			..0.90 => {
				self.seen.count("taken whole");
				body["stream"] = false.into();
				self.expect(&body, StatusCode::OK).await
			},
			..0.95 => {
				self.seen.count("nonsense");
				let (field, value) = match draw(6) {
					..0.25 => ("max_tokens", json!(-3)),
					..0.5 => ("temperature", json!("hot")),
					..0.75 => ("messages", json!([])),
					_ => ("n", json!(10_000)),
				};
				body[field] = value;
				self.expect(&body, StatusCode::BAD_REQUEST).await
			},
			_ => {
				self.seen.count("unknown model");
				body["model"] = "nobody".into();
				self.expect(&body, StatusCode::NOT_FOUND).await
			},
		}
	}

	async fn expect(&self, body: &Value, status: StatusCode) -> anyhow::Result<()> {
		let response = self.post(body).await?;
		let found = response.status();
		let text = response.text().await?;
		ensure!(found == status, "{found} instead of {status}: {text}");
		Ok(())
	}

	async fn post(&self, body: &Value) -> anyhow::Result<reqwest::Response> {
		let url = format!("{}/v1/chat/completions", self.gateway);
		Ok(self.client.post(url).json(body).send().await?)
	}

	/// Reads a stream, or so many messages of it.
	async fn stream(&self, body: &Value, messages: u64) -> anyhow::Result<()> {
		let begun = Instant::now();
		let response = self.post(body).await?;
		let status = response.status();
		ensure!(status == StatusCode::OK, "{status}: {}", response.text().await?);
		let mut stream = response.bytes_stream();
		let (mut last, mut text, mut read) = (begun, Vec::new(), 0);
		while let Some(piece) = stream.next().await {
			let piece = piece?;
			let now = Instant::now();
			let came = piece.windows(6).filter(|window| window == b"data: ").count() as u64;
			text.extend_from_slice(&piece);
			if came == 0 {
				continue;
			}
			let times = if read == 0 { &self.seen.first_token } else { &self.seen.between_tokens };
			times.lock().expect("nobody panics").add(now.duration_since(last));
			self.seen.messages.fetch_add(came, Ordering::Relaxed);
			(last, read) = (now, read + came);
			if read >= messages {
				return Ok(());
			}
		}
		ensure!(text.ends_with(b"data: [DONE]\n\n"), "the stream has no end");
		let text = String::from_utf8(text)?;
		ensure!(!text.contains("\"error\""), "an error in the stream: {text}");
		Ok(())
	}
}

impl Seen {
	fn count(&self, what: &'static str) {
		*self.counts.lock().expect("nobody panics").entry(what).or_default() += 1;
	}
}

/// A number below `count` by Zipf's law with exponent 1, inverting the integral of 1/x.
fn zipf(count: usize, draw: f64) -> usize {
	let drawn = ((count as f64 + 1.0).ln() * draw).exp() - 1.0;
	(drawn as usize).min(count - 1)
}

/// Resident memory in MiB, from time to time.
async fn watch_memory(seen: Arc<Seen>) -> Vec<f64> {
	let mut memory = Vec::new();
	while !seen.over.load(Ordering::Relaxed) {
		let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
		let resident = status
			.lines()
			.find_map(|line| line.strip_prefix("VmRSS:"))
			.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
		memory.extend(resident.map(|kib| kib / 1_024.0));
		tokio::time::sleep(LOOK_EVERY).await;
	}
	memory
}

fn report(
	arguments: &Arguments,
	seen: &Seen,
	memory: &[f64],
	adapters: &Value,
) -> anyhow::Result<()> {
	println!("\n| asked | times |\n|---|---:|");
	for (what, count) in seen.counts.lock().expect("nobody panics").iter() {
		println!("| {what} | {count} |");
	}
	println!("\n| seconds | p50 | p90 | p99 | most |\n|---|---:|---:|---:|---:|");
	for (what, times) in
		[("to the first token", &seen.first_token), ("between tokens", &seen.between_tokens)]
	{
		let times = times.lock().expect("nobody panics");
		let at = |share| times.at(share);
		println!("| {what} | {:.4} | {:.4} | {:.4} | {:.4} |", at(0.5), at(0.9), at(0.99), at(1.0));
	}
	let seconds = 60.0 * arguments.minutes;
	println!("\n{:.0} messages a second", seen.messages.load(Ordering::Relaxed) as f64 / seconds);

	let list = adapters.as_array().map(Vec::as_slice).unwrap_or_default();
	let resident = list.iter().filter(|adapter| adapter["tier"] == "memory").count();
	let mut hits: Vec<(u64, &str)> = list
		.iter()
		.filter_map(|adapter| Some((adapter["hits"].as_u64()?, adapter["lora_name"].as_str()?)))
		.collect();
	hits.sort_unstable_by(|a, b| b.cmp(a));
	println!("adapters in memory: {resident} of {}; most asked for:", list.len());
	for (hits, name) in hits.iter().take(5) {
		println!("  {name}: {hits} hits");
	}
	let asked = hits.iter().filter(|(hits, _)| *hits > 0).count();
	println!("  asked for at all: {asked}");

	let quarter = memory.get(memory.len() / 4).copied().unwrap_or(f64::NAN);
	let last = memory.last().copied().unwrap_or(f64::NAN);
	let most = memory.iter().copied().fold(0.0, f64::max);
	println!("memory: {quarter:.0} MiB after a quarter, {last:.0} in the end, {most:.0} at most");
	let unprovoked = seen.unprovoked.lock().expect("nobody panics");
	println!("errors that were not provoked: {}", unprovoked.len());
	for error in unprovoked.iter().take(10) {
		println!("  {error}");
	}
	ensure!(unprovoked.is_empty(), "{} requests failed", unprovoked.len());
	ensure!(resident <= arguments.resident, "more adapters in memory than allowed");
	ensure!(last < GROWTH * quarter, "memory grew from {quarter:.0} to {last:.0} MiB");
	Ok(())
}
