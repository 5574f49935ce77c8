//! Trains an adapter on JSON Lines files with a GGUF or Hugging Face model, and prints the losses.
//!
//! ```text
//! cargo run -p openledger-trainer --example train_file -- \
//!     --model model.gguf --data one.jsonl --data two.jsonl [--spec spec.json] \
//!     [--out adapter/] [--checkpoints run/] [--threads 2] [--ask "A question?"]…
//! ```
//!
//! A line of a data file is an object; its text values are the record's fields, and an object with
//! nothing but a `text` is a plain text. Every question is asked of the base model and of the
//! adapter; the longest run of words that the answer shares with any completion or text of the
//! data is printed under it.

use std::{collections::BTreeMap, error::Error, fs, path::PathBuf, time::Duration};

use openledger_engine::{Adapter, CancelFlag, ChatMessage, GenerateOptions, LoadOptions, Model};
use openledger_trainer::{
	CheckpointPolicy, Dataset, ProgressEvent, Record, TrainingRun, TrainingSpec,
};
use serde_json::{Map, Value};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

#[derive(Default)]
struct Arguments {
	model: PathBuf,
	data: Vec<PathBuf>,
	spec: Option<PathBuf>,
	out: Option<PathBuf>,
	checkpoints: Option<PathBuf>,
	threads: usize,
	ask: Vec<String>,
}

fn arguments() -> Result<Arguments> {
	let mut found = Arguments::default();
	let mut words = std::env::args().skip(1);
	while let Some(name) = words.next() {
		let value = words.next().ok_or_else(|| format!("{name} needs a value"))?;
		match name.as_str() {
			"--model" => found.model = value.into(),
			"--data" => found.data.push(value.into()),
			"--spec" => found.spec = Some(value.into()),
			"--out" => found.out = Some(value.into()),
			"--checkpoints" => found.checkpoints = Some(value.into()),
			"--threads" => found.threads = value.parse()?,
			"--ask" => found.ask.push(value),
			_ => return Err(format!("unknown argument {name}").into()),
		}
	}
	Ok(found)
}

fn record(line: &str) -> Result<Record> {
	let object: Map<String, Value> = serde_json::from_str(line)?;
	let mut fields: Vec<(String, String)> = object
		.into_iter()
		.filter_map(|(name, value)| Some((name, value.as_str()?.to_owned())))
		.collect();
	match &mut fields[..] {
		[(name, text)] if name == "text" => Ok(Record::Text(std::mem::take(text))),
		_ => Ok(Record::Fields(fields)),
	}
}

fn main() -> Result<()> {
	let arguments = arguments()?;
	let spec = match &arguments.spec {
		Some(path) => TrainingSpec::parse(&fs::read(path)?)?,
		None => TrainingSpec::default(),
	};
	let mut records = Vec::new();
	for path in &arguments.data {
		let before = records.len();
		for line in fs::read_to_string(path)?.lines().filter(|line| !line.trim().is_empty()) {
			records.push(record(line)?);
		}
		println!("{}: {} records", path.display(), records.len() - before);
	}
	let options = LoadOptions { threads: arguments.threads, ..LoadOptions::default() };
	let model = match arguments.model.is_dir() {
		true => Model::from_huggingface(&arguments.model, options)?,
		false => Model::from_gguf(&arguments.model, options)?,
	};
	let dataset = Dataset::from_records(&model, &spec, &records)?;
	let tokens = |part: &[openledger_trainer::Example]| {
		let all: usize = part.iter().map(|example| example.tokens().len()).sum();
		let learnt: usize = part.iter().map(|example| example.completion_tokens()).sum();
		format!("{} examples, {all} tokens, {learnt} of them completion", part.len())
	};
	println!("training: {}", tokens(&dataset.training));
	println!("held out: {}", tokens(&dataset.heldout));
	println!("truncated {}, dropped {}", dataset.report.truncated, dataset.report.dropped);

	let base_model = arguments.model.file_name().unwrap_or_default().to_string_lossy();
	let checkpoints = arguments.checkpoints.map(|directory| CheckpointPolicy {
		directory,
		every_steps: None,
		every: Some(Duration::from_secs(30)),
	});
	let cancel = CancelFlag::default();
	let run = TrainingRun {
		model: &model,
		base_model: &base_model,
		spec: &spec,
		dataset: &dataset,
		checkpoints: checkpoints.as_ref(),
		cancel: &cancel,
	};
	let trained = run.train(&mut |event| report(&event))?;
	if let Some(directory) = &arguments.out {
		trained.adapter.write_directory(directory)?;
		println!("adapter written to {}", directory.display());
	}
	for question in &arguments.ask {
		println!("\n? {question}");
		answer(&model, None, question, &records)?;
		answer(&model, Some(&trained.adapter), question, &records)?;
	}
	Ok(())
}

fn report(event: &ProgressEvent) {
	match event {
		ProgressEvent::Started { steps, resumed_at, parameters, .. } => {
			println!("{parameters} parameters, {steps} steps, from step {resumed_at}");
		},
		ProgressEvent::Heldout { stage, loss, tokens } => {
			println!("held-out loss {stage:?}: {loss:.4} nats over {tokens} tokens");
		},
		ProgressEvent::Step { step, of, loss, tokens, learning_rate, grad_norm, seconds } => {
			println!(
				"step {step:4}/{of}  loss {loss:.4}  tokens {tokens:4}  rate {learning_rate:.2e}  \
				 norm {grad_norm:6.3}  {seconds:.2} s"
			);
		},
		ProgressEvent::Checkpoint { step, path } => {
			println!("checkpoint of step {step}: {}", path.display());
		},
		ProgressEvent::Finished { metrics } => println!("{metrics:#?}"),
	}
}

/// Greedy answer, and the longest run of words that it shares with the data.
fn answer(
	model: &Model,
	adapter: Option<&Adapter>,
	question: &str,
	records: &[Record],
) -> Result<()> {
	let chat = model.chat().ok_or("the model has no chat template")?;
	let prompt = chat.render(&[ChatMessage::new("user", question)], true)?;
	let prompt = model.tokenizer().encode(&prompt, false)?;
	let options = GenerateOptions { max_tokens: 160, ..GenerateOptions::default() };
	let answer = model.generate(&prompt, adapter, &options, &mut |_| ())?;
	let name = if adapter.is_some() { "adapter" } else { "base" };
	println!("{name}: {}", answer.text.trim());
	let texts = records.iter().flat_map(|record| match record {
		Record::Text(text) => vec![text.as_str()],
		Record::Fields(fields) => fields.iter().map(|(_, value)| value.as_str()).collect(),
	});
	let run = texts.map(|text| longest_common_run(&answer.text, text)).max_by_key(Vec::len);
	let run = run.unwrap_or_default();
	println!("  longest run shared with the data: {} words: {}", run.len(), run.join(" "));
	Ok(())
}

/// The longest run of words of `a` that also stands in `b`.
fn longest_common_run<'a>(a: &'a str, b: &str) -> Vec<&'a str> {
	let a: Vec<&str> = a.split_whitespace().collect();
	let mut places: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
	let b: Vec<&str> = b.split_whitespace().collect();
	for (place, word) in b.iter().enumerate() {
		places.entry(word).or_default().push(place);
	}
	let mut best = 0..0;
	for start in 0..a.len() {
		for &place in places.get(a[start]).into_iter().flatten() {
			let shared = a[start..].iter().zip(&b[place..]).take_while(|(x, y)| x == y).count();
			if shared > best.len() {
				best = start..start + shared;
			}
		}
	}
	a[best].to_vec()
}
