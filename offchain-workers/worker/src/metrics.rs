//! What Prometheus is told at `GET /metrics`.

use crate::job::JobKind;
use openledger_primitives::jobs::FailureReason;
use prometheus::{
	Encoder, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts,
	Registry, TextEncoder,
};

/// From an answer of one token to a night of training, in seconds.
const JOB_SECONDS: [f64; 14] =
	[0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 180.0, 600.0, 1_800.0, 7_200.0, 36_000.0];
/// From a step of a tiny model to one of a large model on few cores, in seconds.
const STEP_SECONDS: [f64; 10] = [0.01, 0.03, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 15.0, 60.0];

/// All counters, gauges and histograms.
#[derive(Debug)]
pub struct Metrics {
	registry: Registry,
	jobs: IntCounterVec,
	failures: IntCounterVec,
	/// Jobs that wait.
	pub queued: IntGauge,
	/// Jobs that are being done.
	pub running: IntGauge,
	/// Tokens of prompts that were read.
	pub input_tokens: IntCounter,
	/// Tokens of answers that were written.
	pub output_tokens: IntCounter,
	/// Tokens that went through training.
	pub training_tokens: IntCounter,
	/// Time of each optimiser step; the count is the number of steps.
	pub step_seconds: Histogram,
	job_seconds: HistogramVec,
	wait_seconds: HistogramVec,
	/// Bytes of all blobs.
	pub store_bytes: IntGauge,
	/// Number of blobs.
	pub store_blobs: IntGauge,
	responses: IntCounterVec,
}

/// How a job ended, for the counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
	/// With a result.
	Done,
	/// Without one.
	Failed(FailureReason),
	/// Nobody wanted it any more.
	Cancelled,
	/// It was too late for it.
	Expired,
}

impl Metrics {
	/// Everything at zero.
	pub fn new() -> Result<Self, prometheus::Error> {
		let registry = Registry::new_custom(Some("openledger_worker".into()), None)?;
		let counters = |name, help, labels: &[&str]| {
			let counters = IntCounterVec::new(Opts::new(name, help), labels)?;
			registry.register(Box::new(counters.clone())).map(|()| counters)
		};
		let gauge = |name, help| {
			let gauge = IntGauge::new(name, help)?;
			registry.register(Box::new(gauge.clone())).map(|()| gauge)
		};
		let histograms = |name, help, labels: &[&str], buckets: &[f64]| {
			let options = HistogramOpts::new(name, help).buckets(buckets.to_vec());
			let histograms = HistogramVec::new(options, labels)?;
			registry.register(Box::new(histograms.clone())).map(|()| histograms)
		};
		let tokens = counters("tokens_total", "Tokens read, written and trained on", &["use"])?;
		let steps =
			histograms("training_step_seconds", "Time of optimiser steps", &[], &STEP_SECONDS)?;
		Ok(Self {
			jobs: counters("jobs_total", "Jobs that ended", &["kind", "outcome"])?,
			failures: counters("job_failures_total", "Jobs that failed", &["kind", "reason"])?,
			queued: gauge("jobs_queued", "Jobs that wait")?,
			running: gauge("jobs_running", "Jobs that are being done")?,
			input_tokens: tokens.with_label_values(&["input"]),
			output_tokens: tokens.with_label_values(&["output"]),
			training_tokens: tokens.with_label_values(&["training"]),
			step_seconds: steps.with_label_values(&[] as &[&str]),
			job_seconds: histograms(
				"job_seconds",
				"Time from the beginning of a job's computation to its end",
				&["kind"],
				&JOB_SECONDS,
			)?,
			wait_seconds: histograms(
				"job_wait_seconds",
				"Time from a job's order to the beginning of its computation",
				&["kind"],
				&JOB_SECONDS,
			)?,
			store_bytes: gauge("store_bytes", "Bytes of all blobs in the store")?,
			store_blobs: gauge("store_blobs", "Number of blobs in the store")?,
			responses: counters("http_responses_total", "HTTP answers", &["status"])?,
			registry,
		})
	}

	/// A job ended.
	pub fn ended(&self, kind: JobKind, outcome: Outcome) {
		let name = match outcome {
			Outcome::Done => "done",
			Outcome::Failed(reason) => {
				self.failures.with_label_values(&[kind.name(), &format!("{reason:?}")]).inc();
				"failed"
			},
			Outcome::Cancelled => "cancelled",
			Outcome::Expired => "expired",
		};
		self.jobs.with_label_values(&[kind.name(), name]).inc();
	}

	/// A job's computation took so long.
	pub fn computed(&self, kind: JobKind, seconds: f64) {
		self.job_seconds.with_label_values(&[kind.name()]).observe(seconds);
	}

	/// A job waited so long.
	pub fn waited(&self, kind: JobKind, seconds: f64) {
		self.wait_seconds.with_label_values(&[kind.name()]).observe(seconds);
	}

	/// A request was answered with this status.
	pub fn responded(&self, status: u16) {
		self.responses.with_label_values(&[&status.to_string()]).inc();
	}

	/// Prometheus's text format.
	pub fn render(&self) -> Result<String, prometheus::Error> {
		let mut text = Vec::new();
		TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
		String::from_utf8(text).map_err(|error| prometheus::Error::Msg(error.to_string()))
	}
}
