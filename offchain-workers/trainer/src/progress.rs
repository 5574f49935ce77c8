//! What a run tells while it goes on.

use std::path::PathBuf;

use serde::Serialize;

/// Is told what happens, between steps, on one of the engine's threads.
pub type Observer<'a> = dyn FnMut(ProgressEvent) + Send + 'a;

/// When the held-out examples were measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HeldoutStage {
	/// With the base model alone.
	Before,
	/// With the finished adapter.
	After,
}

/// Something that happened in a run. Losses are in nats per completion token.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "event")]
pub enum ProgressEvent {
	/// The run begins or goes on.
	Started {
		/// Steps of the whole run.
		steps: u32,
		/// Steps already taken, according to the checkpoint that it goes on from.
		resumed_at: u32,
		/// Examples to learn from.
		examples: usize,
		/// Examples that are only measured.
		heldout_examples: usize,
		/// Numbers in the adapter.
		parameters: usize,
		/// Checkpoints that were passed over because they were damaged.
		damaged_checkpoints: Vec<PathBuf>,
	},
	/// The held-out examples were measured.
	Heldout {
		/// When.
		stage: HeldoutStage,
		/// Mean loss over their completion tokens.
		loss: f64,
		/// Their completion tokens.
		tokens: u64,
	},
	/// A step was taken.
	Step {
		/// Which one, from 1.
		step: u32,
		/// Of how many.
		of: u32,
		/// Mean loss over the batch's completion tokens, before the step.
		loss: f64,
		/// The batch's completion tokens.
		tokens: u64,
		/// Learning rate of the step.
		learning_rate: f64,
		/// Global norm of the gradient before clipping.
		grad_norm: f64,
		/// Time the step took.
		seconds: f64,
	},
	/// A checkpoint was written.
	Checkpoint {
		/// Steps taken by then.
		step: u32,
		/// The file.
		path: PathBuf,
	},
	/// The run is over.
	Finished {
		/// What it came to.
		metrics: TrainingMetrics,
	},
}

/// What a run came to. Losses are in nats per completion token.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct TrainingMetrics {
	/// Optimiser steps taken.
	pub steps: u32,
	/// Completion tokens trained on, counted every time.
	pub tokens: u64,
	/// Loss of the first batch, before the first step.
	pub first_loss: f64,
	/// Loss of the last batch, before the last step.
	pub last_loss: f64,
	/// Held-out loss of the base model; none without held-out examples.
	pub heldout_before: Option<f64>,
	/// Held-out loss with the adapter; none without held-out examples.
	pub heldout_after: Option<f64>,
	/// Time spent on steps, those before an interruption included.
	pub seconds: f64,
}

/// A loss as a whole number of millionths of a nat, rounded to the nearest: the form in which it
/// may leave for places that know no floating point. The largest number if it is not finite.
pub fn micronats(loss: f64) -> u64 {
	if loss.is_finite() {
		// Saturates: a negative loss, which rounding could make of zero, is zero.
		(loss * 1e6).round() as u64
	} else {
		u64::MAX
	}
}
