//! Measures the trainer, and the forward pass on burn that it uses, for `scripts/benchmark`, which puts
//! their peers beside them. What answers is measured by the engine's `serving_benchmark`.
//!
//!     benchmark MODEL.gguf --threads N
//!
//! The prompts, batch sizes and LoRA settings are those of `benchmarks/peer_transformers.py`. One JSON
//! object a line: first what was measured, then a figure each.

use std::{env, error::Error, fs, time::Instant};

use burn::tensor::{Int, Tensor, TensorData};
use openledger_engine::{CancelFlag, KvCache, LoadOptions, Model};
use openledger_trainer::{dataset::Example, Dataset, ProgressEvent, TrainingRun, TrainingSpec};
use serde_json::json;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Steps of training that are timed, after one that is not.
const TRAINING_STEPS: usize = 7;

fn main() -> Result<()> {
	let mut arguments = env::args().skip(1);
	let path = arguments.next().ok_or("usage: benchmark MODEL.gguf --threads N")?;
	let threads = match (arguments.next().as_deref(), arguments.next()) {
		(Some("--threads"), Some(threads)) => threads.parse()?,
		_ => return Err("usage: benchmark MODEL.gguf --threads N".into()),
	};
	let version = format!("openledger {}, burn 0.22.1 flex, f32", env!("CARGO_PKG_VERSION"));
	println!("{}", json!({ "system": "training f32", "version": version }));

	let start = Instant::now();
	let options = LoadOptions { threads, ..LoadOptions::default() };
	let model = Model::from_gguf(&path, options.clone())?;
	emit("load", "s", start.elapsed().as_secs_f64());
	prefill(&model)?;
	for batch in [1, 8, 32] {
		decode(&model, batch)?;
	}
	emit("peak memory, generation", "MiB", peak_memory()?);
	drop(model);

	// The peak of training alone, as far as the kernel lets us begin anew.
	fs::write("/proc/self/clear_refs", "5")?;
	let model = Model::from_gguf(&path, options)?;
	train(&model)?;
	emit("peak memory, training", "MiB", peak_memory()?);
	Ok(())
}

fn emit(measure: &str, unit: &str, value: f64) {
	println!("{}", json!({ "measure": measure, "unit": unit, "value": value }));
}

fn prompt(length: u32, row: u32) -> Vec<u32> {
	(0..length).map(|index| 1_000 + (index * 37) % 20_000 + row).collect()
}

fn prefill(model: &Model) -> Result<()> {
	let prompt = [prompt(128, 0)];
	let mut times = Vec::new();
	for round in 0..9 {
		let start = Instant::now();
		let mut cache = KvCache::new(model, 1, 256)?;
		let hidden = model.hidden(&prompt, Some(&mut cache), None)?;
		greedy(model, last_rows(model, hidden, 1, 128))?;
		if round > 1 {
			times.push(start.elapsed().as_secs_f64());
		}
	}
	emit("prefill 128", "tokens/s", 128.0 / median(times));
	Ok(())
}

fn decode(model: &Model, batch: u32) -> Result<()> {
	let prompts: Vec<Vec<u32>> = (0..batch).map(|row| prompt(64, row)).collect();
	let rows = batch as usize;
	let mut cache = KvCache::new(model, rows, 160)?;
	let hidden = model.hidden(&prompts, Some(&mut cache), None)?;
	let mut tokens = greedy(model, last_rows(model, hidden, rows, 64))?;
	let mut times = Vec::new();
	for _ in 0..64 {
		let start = Instant::now();
		let step: Vec<[u32; 1]> = tokens.iter().map(|token| [*token]).collect();
		let hidden = model.hidden(&step, Some(&mut cache), None)?;
		tokens = greedy(model, hidden)?;
		times.push(start.elapsed().as_secs_f64());
	}
	emit(&format!("decode, batch {batch}"), "tokens/s", f64::from(batch) / median(times));
	Ok(())
}

fn train(model: &Model) -> Result<()> {
	let examples: std::result::Result<Vec<Example>, _> = (0..4u32)
		.map(|row| {
			let tokens =
				(0..64u32).map(|index| 1_000 + (index * 37 + row * 101) % 20_000).collect();
			Example::new(tokens, 1)
		})
		.collect();
	let dataset = Dataset::new(examples?, Vec::new())?;
	let spec = json!({
		"version": 1, "rank": 8, "alpha": 16.0, "target_modules": ["q_proj", "v_proj"],
		"learning_rate": 0.001, "weight_decay": 0.0, "length": { "max_steps": TRAINING_STEPS + 1 },
		"batch_size": 4, "max_tokens": 64, "heldout_permille": 0, "gradient_clip_norm": 1.0,
		"prompt_field": "question", "completion_field": "answer", "seed": 1,
	});
	let spec = TrainingSpec::parse(spec.to_string().as_bytes())?;
	let cancel = CancelFlag::default();
	let run = TrainingRun {
		model,
		base_model: "benchmark",
		spec: &spec,
		dataset: &dataset,
		checkpoints: None,
		cancel: &cancel,
	};
	let mut ends = Vec::new();
	run.train(&mut |event| {
		if matches!(event, ProgressEvent::Step { .. }) {
			ends.push(Instant::now());
		}
	})?;
	let times = ends.windows(2).map(|pair| (pair[1] - pair[0]).as_secs_f64()).collect();
	emit("LoRA step, 4 × 64", "tokens/s", 256.0 / median(times));
	Ok(())
}

/// Of `[rows · length, hidden]`, the last position of each row.
fn last_rows(model: &Model, hidden: Tensor<2>, rows: usize, length: usize) -> Tensor<2> {
	let last: Vec<i64> = (0..rows).map(|row| ((row + 1) * length - 1) as i64).collect();
	let last = Tensor::<1, Int>::from_data(TensorData::new(last, [rows]), model.device());
	hidden.select(0, last)
}

/// The most likely next token of each row.
fn greedy(model: &Model, hidden: Tensor<2>) -> Result<Vec<u32>> {
	let tokens = model.logits(hidden).argmax(1).into_data();
	Ok(tokens.iter::<i64>().map(|token| token as u32).collect())
}

fn median(mut times: Vec<f64>) -> f64 {
	times.sort_by(f64::total_cmp);
	times[times.len() / 2]
}

/// In MiB, since the kernel was last told to begin anew.
fn peak_memory() -> Result<f64> {
	let status = fs::read_to_string("/proc/self/status")?;
	let line = status.lines().find(|line| line.starts_with("VmHWM")).ok_or("no VmHWM")?;
	let kibibytes: f64 = line.split_whitespace().nth(1).ok_or("no figure")?.parse()?;
	Ok(kibibytes / 1_024.0)
}
