//! What Prometheus is told about serving, under the names that vLLM gave it: dashboards made for vLLM
//! show this gateway too. As in vLLM, `model_name` is that of the base model also when an adapter
//! answers: there are few of them, and up to ten thousand adapters.
//!
//! Not there is what would need to know when a request was admitted, which the engine does not tell:
//! `vllm:request_queue_time_seconds`, `vllm:request_prefill_time_seconds` and
//! `vllm:request_inference_time_seconds`.

use crate::time;
use openledger_engine::{
	serving::{Answer, Counts, Event, Limits},
	FinishReason,
};
use parking_lot::Mutex;
use prometheus::{
	Encoder, GaugeVec, HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry, TextEncoder,
};
use std::{collections::BTreeMap, sync::Arc, time::Instant};

/// vLLM's buckets, in seconds.
const FIRST_TOKEN_SECONDS: [f64; 17] = [
	0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
	40.0,
];
const TOKEN_SECONDS: [f64; 13] =
	[0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5];
const REQUEST_SECONDS: [f64; 15] =
	[0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 60.0, 600.0];
/// vLLM's buckets, in tokens, up to the longest contexts.
const REQUEST_TOKENS: [f64; 16] = [
	1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0, 2_000.0, 5_000.0, 10_000.0,
	20_000.0, 50_000.0, 100_000.0,
];

/// How requests end that nobody waits for any more.
const ABORTED: &str = "abort";
/// The label that every metric has.
const MODEL: &str = "model_name";

/// All counters, gauges and histograms of the gateway.
#[derive(Debug)]
pub struct GatewayMetrics {
	registry: Registry,
	running: GaugeVec,
	waiting: GaugeVec,
	first_token: HistogramVec,
	between_tokens: HistogramVec,
	request: HistogramVec,
	decoding: HistogramVec,
	per_token: HistogramVec,
	request_prompt: HistogramVec,
	request_generation: HistogramVec,
	prompt_tokens: IntCounterVec,
	generation_tokens: IntCounterVec,
	succeeded: IntCounterVec,
	prefix_hits: IntCounterVec,
	prefix_queries: IntCounterVec,
	cache_usage: GaugeVec,
	preemptions: IntCounterVec,
	adapters: GaugeVec,
	/// Requests of each adapter that wait, and that run.
	lora: Mutex<BTreeMap<String, Lora>>,
}

/// How an adapter is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lora {
	/// Requests since the start.
	pub hits: u64,
	/// Requests that wait.
	pub waiting: usize,
	/// Requests that run.
	pub running: usize,
}

impl GatewayMetrics {
	/// Everything at zero.
	pub fn new() -> Result<Self, prometheus::Error> {
		let registry = Registry::new();
		let counters = |name, help, labels: &[&str]| {
			let counters = IntCounterVec::new(Opts::new(name, help), labels)?;
			registry.register(Box::new(counters.clone())).map(|()| counters)
		};
		let gauges = |name, help, labels: &[&str]| {
			let gauges = GaugeVec::new(Opts::new(name, help), labels)?;
			registry.register(Box::new(gauges.clone())).map(|()| gauges)
		};
		let histograms = |name, help, buckets: &[f64]| {
			let options = HistogramOpts::new(name, help).buckets(buckets.to_vec());
			let histograms = HistogramVec::new(options, &[MODEL])?;
			registry.register(Box::new(histograms.clone())).map(|()| histograms)
		};
		Ok(Self {
			running: gauges("vllm:num_requests_running", "Requests in the batch", &[MODEL])?,
			waiting: gauges("vllm:num_requests_waiting", "Requests that wait", &[MODEL])?,
			first_token: histograms(
				"vllm:time_to_first_token_seconds",
				"Time from a request to its first token",
				&FIRST_TOKEN_SECONDS,
			)?,
			between_tokens: histograms(
				"vllm:inter_token_latency_seconds",
				"Time from one token to the next",
				&TOKEN_SECONDS,
			)?,
			request: histograms(
				"vllm:e2e_request_latency_seconds",
				"Time from a request to the end of its answer",
				&REQUEST_SECONDS,
			)?,
			decoding: histograms(
				"vllm:request_decode_time_seconds",
				"Time from the first token of an answer to its last",
				&REQUEST_SECONDS,
			)?,
			per_token: histograms(
				"vllm:request_time_per_output_token_seconds",
				"Mean time from one token of an answer to the next",
				&TOKEN_SECONDS,
			)?,
			request_prompt: histograms(
				"vllm:request_prompt_tokens",
				"Tokens of the prompt of a request",
				&REQUEST_TOKENS,
			)?,
			request_generation: histograms(
				"vllm:request_generation_tokens",
				"Tokens of the answer to a request",
				&REQUEST_TOKENS,
			)?,
			prompt_tokens: counters("vllm:prompt_tokens_total", "Tokens of prompts", &[MODEL])?,
			generation_tokens: counters(
				"vllm:generation_tokens_total",
				"Tokens of answers",
				&[MODEL],
			)?,
			succeeded: counters(
				"vllm:request_success_total",
				"Requests that were answered",
				&[MODEL, "finished_reason"],
			)?,
			prefix_hits: counters(
				"vllm:prefix_cache_hits_total",
				"Tokens of prompts that an earlier request had computed",
				&[MODEL],
			)?,
			prefix_queries: counters(
				"vllm:prefix_cache_queries_total",
				"Tokens of prompts that were looked up",
				&[MODEL],
			)?,
			cache_usage: gauges(
				"vllm:kv_cache_usage_perc",
				"Part of the cache of keys and values that requests hold, from 0 to 1",
				&[MODEL],
			)?,
			preemptions: counters(
				"vllm:num_preemptions_total",
				"Requests that gave their place to others for a while",
				&[MODEL],
			)?,
			adapters: gauges(
				"vllm:lora_requests_info",
				"Adapters with requests; the value is the Unix time",
				&["running_lora_adapters", "waiting_lora_adapters", "max_lora"],
			)?,
			lora: Mutex::default(),
			registry,
		})
	}

	/// How a base model's service stands now.
	pub fn stands(&self, base: &str, counts: &Counts) {
		self.running.with_label_values(&[base]).set(counts.running as f64);
		self.waiting.with_label_values(&[base]).set(counts.waiting as f64);
		let usage = counts.pages_held as f64 / counts.pages_total.max(1) as f64;
		self.cache_usage.with_label_values(&[base]).set(usage);
		let preemptions = self.preemptions.with_label_values(&[base]);
		preemptions.inc_by(counts.preemptions.saturating_sub(preemptions.get()));
	}

	/// How an adapter is used, by its model's name.
	pub fn lora(&self, name: &str) -> Lora {
		self.lora.lock().get(name).copied().unwrap_or_default()
	}

	/// Begins to watch a request for a base model, or for an adapter on it, by its model's name.
	pub fn watch(self: &Arc<Self>, base: &str, adapter: Option<&str>) -> Watch {
		if let Some(name) = adapter {
			let mut lora = self.lora.lock();
			let adapter = lora.entry(name.into()).or_default();
			adapter.hits = adapter.hits.saturating_add(1);
			adapter.waiting = adapter.waiting.saturating_add(1);
		}
		Watch {
			metrics: self.clone(),
			base: base.into(),
			begun: Instant::now(),
			tokens: None,
			adapter: adapter.map(|name| (name.into(), Stage::Waiting)),
			ended: false,
		}
	}

	fn moves(&self, adapter: &str, from: Stage, to: Option<Stage>) {
		let mut lora = self.lora.lock();
		let adapter = lora.entry(adapter.into()).or_default();
		match from {
			Stage::Waiting => adapter.waiting = adapter.waiting.saturating_sub(1),
			Stage::Running => adapter.running = adapter.running.saturating_sub(1),
		}
		if to == Some(Stage::Running) {
			adapter.running = adapter.running.saturating_add(1);
		}
	}

	/// Prometheus's text format.
	pub fn render(&self) -> Result<String, prometheus::Error> {
		let names = |is_one: fn(&Lora) -> bool| {
			let lora = self.lora.lock();
			let names: Vec<&str> =
				lora.iter().filter(|(_, it)| is_one(it)).map(|(name, _)| name.as_str()).collect();
			names.join(",")
		};
		let running = names(|it| it.running > 0);
		let waiting = names(|it| it.waiting > 0);
		self.adapters.reset();
		let most = Limits::default().max_active_adapters.to_string();
		self.adapters
			.with_label_values(&[running.as_str(), &waiting, &most])
			.set(time::now() as f64);
		let mut text = Vec::new();
		TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
		String::from_utf8(text).map_err(|error| prometheus::Error::Msg(error.to_string()))
	}
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
	Waiting,
	Running,
}

/// Watches one request.
#[derive(Debug)]
pub struct Watch {
	metrics: Arc<GatewayMetrics>,
	base: Arc<str>,
	begun: Instant,
	/// When the first token came, and the last one so far.
	tokens: Option<(Instant, Instant)>,
	/// The adapter of a request that has one, and where the request is.
	adapter: Option<(Arc<str>, Stage)>,
	ended: bool,
}

impl Watch {
	/// This happened now. `prompt_tokens` is the length of its prompt.
	pub fn see(&mut self, event: &Event, prompt_tokens: usize) {
		let (metrics, model) = (&self.metrics, [&*self.base]);
		match event {
			Event::Prompt { cached_tokens, .. } => {
				metrics.prompt_tokens.with_label_values(&model).inc_by(prompt_tokens as u64);
				metrics.prefix_queries.with_label_values(&model).inc_by(prompt_tokens as u64);
				metrics.prefix_hits.with_label_values(&model).inc_by(*cached_tokens as u64);
				self.go(Some(Stage::Running));
			},
			Event::Token { .. } => {
				let now = Instant::now();
				let (histogram, first, since) = match self.tokens {
					None => (&metrics.first_token, now, self.begun),
					Some((first, last)) => (&metrics.between_tokens, first, last),
				};
				self.tokens = Some((first, now));
				histogram.with_label_values(&model).observe((now - since).as_secs_f64());
				metrics.generation_tokens.with_label_values(&model).inc();
			},
			Event::Finished(answer) => {
				let reason = match answer.finish_reason {
					FinishReason::StopToken(_) | FinishReason::StopString(_) => "stop",
					FinishReason::Length => "length",
					FinishReason::Cancelled => ABORTED,
				};
				if reason != ABORTED {
					self.answered(answer);
				}
				self.end(reason);
			},
			Event::Failed(_) => self.end("error"),
		}
	}

	/// The whole answer is there.
	fn answered(&self, answer: &Answer) {
		let (metrics, model) = (&self.metrics, [&*self.base]);
		let observe = |of: &HistogramVec, value: f64| of.with_label_values(&model).observe(value);
		let count = answer.tokens.len();
		observe(&metrics.request, self.begun.elapsed().as_secs_f64());
		observe(&metrics.request_prompt, answer.prompt_tokens as f64);
		observe(&metrics.request_generation, count as f64);
		if let Some((first, last)) = self.tokens {
			let seconds = (last - first).as_secs_f64();
			observe(&metrics.decoding, seconds);
			if count > 1 {
				observe(&metrics.per_token, seconds / (count - 1) as f64);
			}
		}
	}

	fn end(&mut self, reason: &str) {
		if !self.ended {
			self.ended = true;
			self.metrics.succeeded.with_label_values(&[&*self.base, reason]).inc();
			self.go(None);
		}
	}

	fn go(&mut self, to: Option<Stage>) {
		if let Some((adapter, from)) = self.adapter.take() {
			self.metrics.moves(&adapter, from, to);
			self.adapter = to.map(|to| (adapter, to));
		}
	}
}

impl Drop for Watch {
	/// For requests whose end nobody was told.
	fn drop(&mut self) {
		self.end(ABORTED);
	}
}
