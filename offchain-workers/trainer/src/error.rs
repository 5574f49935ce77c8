//! Why a run fails.

use burn::tensor::TensorReadError;
use openledger_engine::{ForwardError, LoraError, PeftError};

use crate::{checkpoint::CheckpointError, spec::SpecError, train::MAX_BASE_MODEL_BYTES};

/// Why a run ended without an adapter. Checkpoints already written stay and can be resumed.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
	/// The specification is not valid.
	#[error(transparent)]
	Spec(#[from] SpecError),
	/// Longer than [`MAX_BASE_MODEL_BYTES`].
	#[error(
		"the base model's name has {bytes} bytes, more than the {MAX_BASE_MODEL_BYTES} allowed"
	)]
	BaseModelNameTooLong {
		/// Its length.
		bytes: usize,
	},
	/// The dataset has no training examples.
	#[error("there is nothing to train on")]
	NoExamples,
	/// An example is longer than the model's context.
	#[error("an example has {tokens} tokens, but the model's context only {max_context}")]
	ExampleTooLong {
		/// Its length.
		tokens: usize,
		/// The context.
		max_context: usize,
	},
	/// A token the model does not have.
	#[error("an example has token {token}, but the vocabulary ends before {vocab_size}")]
	TokenOutsideVocabulary {
		/// The token.
		token: u32,
		/// The vocabulary's size.
		vocab_size: usize,
	},
	/// The loss of a batch is infinite or not a number.
	#[error(
		"the loss of step {step} is {loss}: lower `learning_rate` or `gradient_clip_norm`, or look \
		 at the data"
	)]
	NonFiniteLoss {
		/// The step, from 1.
		step: u32,
		/// The loss.
		loss: f64,
	},
	/// The loss over the held-out examples is infinite or not a number.
	#[error("the held-out loss is {loss}: the base model or the adapter overflows")]
	NonFiniteHeldoutLoss {
		/// The loss.
		loss: f64,
	},
	/// The gradient of a batch is infinite or not a number.
	#[error("the gradient of step {step} has the norm {norm}: lower `learning_rate`")]
	NonFiniteGradient {
		/// The step, from 1.
		step: u32,
		/// The norm.
		norm: f64,
	},
	/// The cancel flag was set.
	#[error("cancelled after step {step}")]
	Cancelled {
		/// Steps taken.
		step: u32,
	},
	/// A parameter took no part in the loss.
	#[error("no gradient reached {parameter}: the forward pass does not use it")]
	NoGradient {
		/// The parameter.
		parameter: String,
	},
	/// A checkpoint could not be written or must not be used.
	#[error(transparent)]
	Checkpoint(#[from] CheckpointError),
	/// The engine refuses the adapter's configuration.
	#[error(transparent)]
	Adapter(#[from] PeftError),
	/// The engine refuses the adapter's weights.
	#[error(transparent)]
	Lora(#[from] LoraError),
	/// The forward pass failed.
	#[error(transparent)]
	Forward(#[from] ForwardError),
	/// Numbers could not be read back from the device.
	#[error("reading a tensor from the device failed: {0}")]
	Device(#[from] TensorReadError),
}
