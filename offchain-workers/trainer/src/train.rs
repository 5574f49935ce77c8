//! The training loop.

use std::{
	collections::BTreeMap,
	time::{Duration, Instant},
};

use burn::tensor::{Int, Tensor, TensorData};
use openledger_engine::{Adapter, CancelFlag, LoraConfig, LoraWeights, Model, PeftError};

use crate::{
	batch::Batch,
	checkpoint::{Checkpoint, CheckpointPolicy, CheckpointStore, Header, RunIdentity},
	clip::clip_by_global_norm,
	dataset::{Dataset, Example},
	error::TrainError,
	loss::{self, ROWS_PER_CHUNK},
	optimiser::Optimiser,
	order::DataOrder,
	parameters::AdapterParameters,
	progress::{HeldoutStage, Observer, ProgressEvent, TrainingMetrics},
	schedule::Schedule,
	spec::{TrainingLength, TrainingSpec},
};

/// The longest name of a base model: room for a hash or a repository's name.
pub const MAX_BASE_MODEL_BYTES: usize = 256;

/// A run: what to train, on what, and how it may be interrupted.
#[derive(Clone, Copy)]
pub struct TrainingRun<'a> {
	/// The frozen base model.
	pub model: &'a Model,
	/// The base model's name or, better, the hash of its file: a checkpoint of another one is
	/// refused. It is noted in the adapter.
	pub base_model: &'a str,
	/// How to train.
	pub spec: &'a TrainingSpec,
	/// What to learn from and to measure on.
	pub dataset: &'a Dataset,
	/// Where and how often to write checkpoints, and where to go on from; none to do neither.
	pub checkpoints: Option<&'a CheckpointPolicy>,
	/// Stops the run after the current step.
	pub cancel: &'a CancelFlag,
}

/// A finished run.
#[derive(Debug)]
pub struct Trained {
	/// The trained adapter. [`Adapter::write_directory`] writes it as a PEFT directory.
	pub adapter: Adapter,
	/// What it came to.
	pub metrics: TrainingMetrics,
	/// What it was made from.
	pub run: RunIdentity,
}

impl Trained {
	/// The adapter as one file, whose metadata says what it was made from. The same run gives the
	/// same bytes.
	pub fn to_bytes(&self) -> Result<Vec<u8>, PeftError> {
		let RunIdentity { spec, base_model, data } = self.run.clone();
		self.adapter.to_bytes(&BTreeMap::from([
			("training_spec".into(), spec),
			("training_data".into(), data),
			("base_model".into(), base_model),
		]))
	}
}

impl TrainingRun<'_> {
	/// Trains the adapter, or finishes what a checkpoint began.
	///
	/// On the same machine the same run gives the same adapter, bit for bit, however often it was
	/// interrupted. `on_event` is called between steps, on one of the engine's threads.
	pub fn train(&self, on_event: &mut Observer) -> Result<Trained, TrainError> {
		self.spec.check()?;
		let bytes = self.base_model.len();
		if bytes > MAX_BASE_MODEL_BYTES {
			return Err(TrainError::BaseModelNameTooLong { bytes });
		}
		self.check_examples()?;
		self.model.run(|| {
			let mut session = Session::start(*self, on_event)?;
			session.measure_before(on_event)?;
			while session.header.step < session.steps {
				session.pause_if_cancelled(on_event)?;
				session.step(on_event)?;
				session.checkpoint_if_due(on_event)?;
			}
			session.finish(on_event)
		})
	}

	/// Nothing that would panic in a tensor operation gets past this.
	fn check_examples(&self) -> Result<(), TrainError> {
		let Dataset { training, heldout, .. } = self.dataset;
		if training.is_empty() {
			return Err(TrainError::NoExamples);
		}
		let (vocab_size, max_context) = (self.model.config().vocab_size, self.model.max_context());
		for tokens in training.iter().chain(heldout).map(Example::tokens) {
			if tokens.len() > max_context {
				return Err(TrainError::ExampleTooLong { tokens: tokens.len(), max_context });
			}
			if let Some(&token) = tokens.iter().find(|&&token| token as usize >= vocab_size) {
				return Err(TrainError::TokenOutsideVocabulary { token, vocab_size });
			}
		}
		Ok(())
	}
}

/// A run in progress.
struct Session<'a> {
	run: TrainingRun<'a>,
	steps: u32,
	config: LoraConfig,
	parameters: AdapterParameters,
	optimiser: Optimiser,
	schedule: Schedule,
	order: DataOrder,
	store: Option<(CheckpointStore, &'a CheckpointPolicy)>,
	/// How far it is; goes into checkpoints.
	header: Header,
	saved: Instant,
}

impl<'a> Session<'a> {
	fn start(run: TrainingRun<'a>, on_event: &mut Observer) -> Result<Self, TrainError> {
		let TrainingRun { model, spec, dataset, .. } = run;
		let examples = dataset.training.len();
		let steps = spec.steps(examples);
		let identity = RunIdentity {
			spec: hex(&spec.hash()?),
			base_model: run.base_model.to_owned(),
			data: hex(&dataset.hash()),
		};
		let mut config =
			LoraConfig::new(spec.rank as usize, spec.alpha, spec.target_modules.iter().copied());
		config.use_rslora = spec.use_rslora;
		config.base_model_name_or_path = Some(run.base_model.to_owned());
		config.validate()?;
		let mut parameters =
			AdapterParameters::new(model.config(), &config, spec.seed, model.device());
		let mut header = Header::start(identity.clone());
		let mut damaged_checkpoints = Vec::new();
		let mut store = None;
		if let Some(policy) = run.checkpoints {
			let opened = CheckpointStore::open(&policy.directory)?;
			let (newest, damaged) = opened.newest(&identity, &parameters.shapes())?;
			damaged_checkpoints = damaged.into_iter().map(|damaged| damaged.path).collect();
			if let Some(checkpoint) = newest {
				header = checkpoint.header;
				parameters.restore(checkpoint.parameters, header.step, model.device());
			}
			store = Some((opened, policy));
		}
		let epochs = match spec.length {
			TrainingLength::Epochs(epochs) => Some(epochs),
			TrainingLength::MaxSteps(_) => None,
		};
		on_event(ProgressEvent::Started {
			steps,
			resumed_at: header.step,
			examples,
			heldout_examples: dataset.heldout.len(),
			parameters: parameters.count(),
			damaged_checkpoints,
		});
		Ok(Self {
			run,
			steps,
			config,
			parameters,
			optimiser: Optimiser::new(spec),
			schedule: Schedule::new(spec.learning_rate, spec.warmup_ratio, steps),
			order: DataOrder::new(spec.seed, examples, spec.batch_size, epochs),
			store,
			header,
			saved: Instant::now(),
		})
	}

	/// Measures the base model, unless the run goes on from a checkpoint that knows the result.
	fn measure_before(&mut self, on_event: &mut Observer) -> Result<(), TrainError> {
		if self.header.heldout_before.is_none() {
			let loss = self.measure(HeldoutStage::Before, None, on_event)?;
			self.header.heldout_before = loss.map(f64::to_bits);
		}
		Ok(())
	}

	/// Mean loss over the held-out completion tokens; none without held-out examples.
	fn measure(
		&self,
		stage: HeldoutStage,
		lora: Option<&LoraWeights>,
		on_event: &mut Observer,
	) -> Result<Option<f64>, TrainError> {
		let (mut sum, mut tokens) = (0.0, 0);
		for examples in self.run.dataset.heldout.chunks(self.run.spec.batch_size as usize) {
			let batch = Batch::new(examples);
			let hidden = self.predicting_rows(&batch, lora)?;
			sum += loss::loss(self.head(), hidden, &batch.targets, ROWS_PER_CHUNK);
			tokens += batch.targets.len() as u64;
		}
		if tokens == 0 {
			return Ok(None);
		}
		let loss = sum / tokens as f64;
		if !loss.is_finite() {
			return Err(TrainError::NonFiniteHeldoutLoss { loss });
		}
		on_event(ProgressEvent::Heldout { stage, loss, tokens });
		Ok(Some(loss))
	}

	/// Hidden states of the rows that predict a completion token, `[targets, hidden]`.
	fn predicting_rows(
		&self,
		batch: &Batch,
		lora: Option<&LoraWeights>,
	) -> Result<Tensor<2>, TrainError> {
		let hidden = self.run.model.hidden(&batch.tokens, None, lora)?;
		let rows: Vec<i64> = batch.rows.iter().map(|&row| i64::from(row)).collect();
		let rows = TensorData::new(rows, [batch.rows.len()]);
		Ok(hidden.select(0, Tensor::<1, Int>::from_data(rows, self.run.model.device())))
	}

	fn head(&self) -> impl Fn(Tensor<2>) -> Tensor<2> + use<'a> {
		let model = self.run.model;
		move |hidden| model.logits(hidden)
	}

	fn step(&mut self, on_event: &mut Observer) -> Result<(), TrainError> {
		let started = Instant::now();
		let step = self.header.step + 1;
		let training = &self.run.dataset.training;
		let chosen = self.order.batch(self.header.step);
		let batch = Batch::new(chosen.into_iter().filter_map(|index| training.get(index)));
		let tokens = batch.targets.len() as u64;

		let (leaves, lora) = self.parameters.leaves()?;
		let hidden = self.predicting_rows(&batch, Some(&lora))?;
		let share = 1.0 / tokens as f64;
		let found = loss::loss_and_gradient(
			self.head(),
			hidden.clone().inner(),
			&batch.targets,
			share,
			ROWS_PER_CHUNK,
		);
		let loss = found.sum * share;
		if !loss.is_finite() {
			return Err(TrainError::NonFiniteLoss { step, loss });
		}
		// The derivative of this sum with respect to the hidden rows is the gradient that the loss
		// found, so that the backward pass goes on from there.
		let mut tape = (hidden * found.gradient.autodiff()).sum().backward();
		let mut gradients = Vec::with_capacity(leaves.len());
		for (leaf, parameter) in leaves.iter().zip(self.parameters.all()) {
			let gradient = leaf.grad_remove(&mut tape);
			let parameter = || parameter.name.clone();
			gradients
				.push(gradient.ok_or_else(|| TrainError::NoGradient { parameter: parameter() })?);
		}
		drop((tape, leaves, lora));

		let grad_norm = clip_by_global_norm(&mut gradients, self.run.spec.gradient_clip_norm)?;
		if !grad_norm.is_finite() {
			return Err(TrainError::NonFiniteGradient { step, norm: grad_norm });
		}
		let learning_rate = self.schedule.rate(self.header.step);
		for (parameter, gradient) in self.parameters.all_mut().zip(gradients) {
			self.optimiser.step(learning_rate, parameter, gradient);
		}

		let time = started.elapsed();
		let header = &mut self.header;
		header.step = step;
		header.tokens += tokens;
		header.microseconds += time.as_micros() as u64;
		header.first_loss.get_or_insert(loss.to_bits());
		header.last_loss = Some(loss.to_bits());
		on_event(ProgressEvent::Step {
			step,
			of: self.steps,
			loss,
			tokens,
			learning_rate,
			grad_norm,
			seconds: time.as_secs_f64(),
		});
		Ok(())
	}

	fn pause_if_cancelled(&mut self, on_event: &mut Observer) -> Result<(), TrainError> {
		if !self.run.cancel.is_cancelled() {
			return Ok(());
		}
		self.checkpoint(on_event)?;
		Err(TrainError::Cancelled { step: self.header.step })
	}

	fn checkpoint_if_due(&mut self, on_event: &mut Observer) -> Result<(), TrainError> {
		let Some((_, policy)) = &self.store else { return Ok(()) };
		let by_steps =
			policy.every_steps.is_some_and(|every| self.header.step.is_multiple_of(every.max(1)));
		let by_time = policy.every.is_some_and(|every| self.saved.elapsed() >= every);
		if by_steps || by_time {
			self.checkpoint(on_event)?;
		}
		Ok(())
	}

	fn checkpoint(&mut self, on_event: &mut Observer) -> Result<(), TrainError> {
		let Some((store, _)) = &self.store else { return Ok(()) };
		let checkpoint =
			Checkpoint { header: self.header.clone(), parameters: self.parameters.save()? };
		let path = store.save(&checkpoint)?;
		self.saved = Instant::now();
		on_event(ProgressEvent::Checkpoint { step: self.header.step, path });
		Ok(())
	}

	fn finish(&mut self, on_event: &mut Observer) -> Result<Trained, TrainError> {
		let weights = self.parameters.frozen()?;
		let heldout_after = self.measure(HeldoutStage::After, Some(&weights), on_event)?;
		let loss = |bits: Option<u64>| bits.map(f64::from_bits);
		let metrics = TrainingMetrics {
			steps: self.header.step,
			tokens: self.header.tokens,
			first_loss: loss(self.header.first_loss).unwrap_or_default(),
			last_loss: loss(self.header.last_loss).unwrap_or_default(),
			heldout_before: loss(self.header.heldout_before),
			heldout_after,
			seconds: Duration::from_micros(self.header.microseconds).as_secs_f64(),
		};
		on_event(ProgressEvent::Finished { metrics });
		let adapter = Adapter::new(self.config.clone(), weights, self.run.model.config())?;
		Ok(Trained { adapter, metrics, run: self.header.run.clone() })
	}
}

fn hex(bytes: &[u8]) -> String {
	bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
