//! The tiny model of tests/golden, and runs on it.

#![allow(dead_code)] // Each test binary uses its part.

use std::path::PathBuf;

use openledger_engine::{CancelFlag, LoadOptions, Model};
use openledger_trainer::{
	CheckpointPolicy, Dataset, Example, ProgressEvent, TrainError, Trained, TrainingLength,
	TrainingRun, TrainingSpec,
};

pub fn golden(name: &str) -> PathBuf {
	PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

pub fn model() -> Model {
	model_in(golden("model"))
}

pub fn model_in(directory: PathBuf) -> Model {
	let options = LoadOptions { threads: 2, ..LoadOptions::default() };
	Model::from_huggingface(directory, options).unwrap()
}

pub fn spec() -> TrainingSpec {
	TrainingSpec {
		rank: 2,
		alpha: 4.0,
		learning_rate: 1e-2,
		length: TrainingLength::Epochs(3),
		batch_size: 2,
		max_tokens: 64,
		seed: 9,
		..TrainingSpec::default()
	}
}

/// Seven examples of different length that follow one rule, and two held out.
pub fn dataset() -> Dataset {
	let example = |start: u32, length: u32| {
		Example::new((0..length).map(|i| (start + 3 * i) % 60).collect(), 2).unwrap()
	};
	let training = (0..7).map(|i| example(5 * i, 6 + i)).collect();
	Dataset::new(training, vec![example(2, 8), example(33, 12)]).unwrap()
}

pub struct Run<'a> {
	pub model: &'a Model,
	pub spec: TrainingSpec,
	pub dataset: Dataset,
	pub base_model: &'a str,
	pub checkpoints: Option<CheckpointPolicy>,
	pub cancel: CancelFlag,
}

impl<'a> Run<'a> {
	pub fn new(model: &'a Model) -> Self {
		Self {
			model,
			spec: spec(),
			dataset: dataset(),
			base_model: "tiny",
			checkpoints: None,
			cancel: CancelFlag::default(),
		}
	}

	pub fn train(&self) -> Result<(Trained, Vec<ProgressEvent>), TrainError> {
		let mut events = Vec::new();
		let trained = self.observe(&mut |event| events.push(event))?;
		Ok((trained, events))
	}

	pub fn observe(
		&self,
		observer: &mut (dyn FnMut(ProgressEvent) + Send),
	) -> Result<Trained, TrainError> {
		let run = TrainingRun {
			model: self.model,
			base_model: self.base_model,
			spec: &self.spec,
			dataset: &self.dataset,
			checkpoints: self.checkpoints.as_ref(),
			cancel: &self.cancel,
		};
		run.train(observer)
	}
}
