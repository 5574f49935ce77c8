//! What a training run is: every number that decides the adapter, and nothing else.
//!
//! A specification is JSON (`version` 1) and comes from strangers: [`TrainingSpec::parse`] bounds
//! every field and names the one that is wrong. Its [hash](TrainingSpec::hash) identifies a run,
//! together with the base model and the data.

use openledger_engine::TargetModule;
use serde::{Deserialize, Serialize};

use crate::random::Blake2b256;

/// The only version there is.
pub const VERSION: u32 = 1;
/// The longest specification that is read, in bytes: about ten times the longest sensible one.
pub const MAX_SPEC_BYTES: usize = 16 * 1024;
/// The largest LoRA rank: at that rank the adapters of a small model outgrow the model.
pub const MAX_RANK: u32 = 256;
/// The largest `alpha`: the scale `alpha / rank` stays finite in every product.
pub const MAX_ALPHA: f64 = 1024.0;
/// More epochs than this learn nothing new; the bound keeps step counts in 32 bits.
pub const MAX_EPOCHS: u32 = 1_000;
/// The largest number of optimiser steps of a run.
pub const MAX_STEPS: u32 = 10_000_000;
/// The largest number of examples in a batch.
pub const MAX_BATCH_SIZE: u32 = 1_024;
/// The largest number of tokens of one example. Attention keeps `heads · max_tokens²` numbers per
/// example and layer for the backward pass.
pub const MAX_TOKENS: u32 = 1_024;
/// The largest `batch_size · max_tokens`. Activations of all these tokens are kept for the
/// backward pass: about 2 MB a token, and at the longest examples as much again for attention, for
/// a model as small as 135 million parameters.
pub const MAX_BATCH_TOKENS: u32 = 4_096;
/// The longest name of a record's field, in bytes.
pub const MAX_FIELD_NAME_BYTES: usize = 64;

/// How long a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TrainingLength {
	/// Every training example is seen this often.
	Epochs(u32),
	/// This many optimiser steps, however many examples there are.
	MaxSteps(u32),
}

/// Everything about a run that its owner chooses. The JSON has the same names; whatever it leaves
/// out has the value of [`TrainingSpec::default`], except `version`, which must be there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainingSpec {
	/// Version of this format: [`VERSION`].
	pub version: u32,
	/// LoRA rank `r`, `1..=`[`MAX_RANK`].
	pub rank: u32,
	/// LoRA `alpha`: the adapter's product is scaled by `alpha / r`, or `alpha / √r` with rsLoRA.
	pub alpha: f64,
	/// Rank-stabilised scaling (arXiv:2312.03732).
	pub use_rslora: bool,
	/// The projections that get an adapter, each at most once, by PEFT's names (`q_proj`, …).
	#[serde(with = "target_names")]
	pub target_modules: Vec<TargetModule>,
	/// Peak learning rate, in `(0, 1]`.
	pub learning_rate: f64,
	/// AdamW's decoupled weight decay, in `[0, 1]`.
	pub weight_decay: f64,
	/// AdamW's decay of the mean of gradients, in `[0, 1)`.
	pub adam_beta1: f64,
	/// AdamW's decay of the mean of squared gradients, in `[0, 1)`.
	pub adam_beta2: f64,
	/// AdamW's term against division by zero, in `[1e-12, 1e-2]`.
	pub adam_epsilon: f64,
	/// Share of the steps during which the learning rate rises, in `[0, 1]`.
	pub warmup_ratio: f64,
	/// Epochs or steps.
	pub length: TrainingLength,
	/// Examples per optimiser step, `1..=`[`MAX_BATCH_SIZE`].
	pub batch_size: u32,
	/// Longest example in tokens, `2..=`[`MAX_TOKENS`]; longer ones lose their end.
	pub max_tokens: u32,
	/// Gradients whose global norm is larger are scaled down to it, in `(0, 1e6]`.
	pub gradient_clip_norm: f64,
	/// Decides the initial adapter, the split and the order of the examples.
	pub seed: u64,
	/// Share of the records kept out of training to measure it, in thousandths, `0..=500`.
	pub heldout_permille: u16,
	/// Name of the record field that the user says.
	pub prompt_field: String,
	/// Name of the record field that the assistant is to answer.
	pub completion_field: String,
	/// Several examples in one row. Not implemented: must be false.
	pub packing: bool,
}

impl Default for TrainingSpec {
	/// Learns a few dozen short records nearly by heart within minutes on two cores.
	fn default() -> Self {
		Self {
			version: VERSION,
			rank: 16,
			alpha: 32.0,
			use_rslora: false,
			target_modules: TargetModule::ALL.to_vec(),
			learning_rate: 2e-3,
			weight_decay: 0.0,
			adam_beta1: 0.9,
			adam_beta2: 0.999,
			adam_epsilon: 1e-8,
			warmup_ratio: 0.1,
			length: TrainingLength::Epochs(5),
			batch_size: 4,
			max_tokens: 256,
			gradient_clip_norm: 1.0,
			seed: 0,
			heldout_permille: 100,
			prompt_field: "prompt".into(),
			completion_field: "completion".into(),
			packing: false,
		}
	}
}

/// Why a specification is refused.
#[derive(Debug, thiserror::Error)]
pub enum SpecError {
	/// Longer than [`MAX_SPEC_BYTES`].
	#[error(
		"the training specification has {bytes} bytes, more than the {MAX_SPEC_BYTES} allowed"
	)]
	TooLong {
		/// Its length.
		bytes: usize,
	},
	/// Not JSON, an unknown or repeated field, or a field of the wrong type.
	#[error("the training specification is not valid: {0}")]
	Json(#[from] serde_json::Error),
	/// No `version`.
	#[error("the training specification has no `version`; the current one is {VERSION}")]
	MissingVersion,
	/// A `version` from the future.
	#[error("the training specification has version {found}; this software knows {VERSION}")]
	UnsupportedVersion {
		/// The version it has.
		found: u32,
	},
	/// A field outside its bounds.
	#[error("`{field}` is {value}, which is not in {allowed}")]
	OutOfRange {
		/// The field.
		field: &'static str,
		/// What it holds.
		value: String,
		/// What it may hold.
		allowed: String,
	},
	/// `batch_size` and `max_tokens` are fine alone but not together.
	#[error(
		"`batch_size` times `max_tokens` is {tokens}, more than the {MAX_BATCH_TOKENS} tokens that \
		 one step may hold: lower one of them"
	)]
	BatchTooLarge {
		/// Their product.
		tokens: u64,
	},
	/// `target_modules` is empty.
	#[error("`target_modules` is empty: nothing would be trained")]
	NoTargetModules,
	/// `target_modules` names a module twice.
	#[error("`target_modules` names `{module}` twice")]
	RepeatedTargetModule {
		/// The module.
		module: &'static str,
	},
	/// `prompt_field` and `completion_field` are the same.
	#[error("`prompt_field` and `completion_field` are both `{name}`")]
	SameField {
		/// The name.
		name: String,
	},
	/// `packing` is true.
	#[error("`packing` is not implemented: set it to false")]
	PackingNotImplemented,
}

impl TrainingSpec {
	/// Reads a specification and checks it.
	pub fn parse(bytes: &[u8]) -> Result<Self, SpecError> {
		#[derive(Deserialize)]
		struct Versioned {
			version: Option<u32>,
		}

		if bytes.len() > MAX_SPEC_BYTES {
			return Err(SpecError::TooLong { bytes: bytes.len() });
		}
		// The version first: a later one may have fields unknown here, which is not their fault.
		let Versioned { version } = serde_json::from_slice(bytes)?;
		match version {
			None => return Err(SpecError::MissingVersion),
			Some(VERSION) => (),
			Some(found) => return Err(SpecError::UnsupportedVersion { found }),
		}
		let spec: Self = serde_json::from_slice(bytes)?;
		spec.check()?;
		Ok(spec)
	}

	/// Checks every field against its bounds.
	pub fn check(&self) -> Result<(), SpecError> {
		if self.version != VERSION {
			return Err(SpecError::UnsupportedVersion { found: self.version });
		}
		integer("rank", self.rank, 1, MAX_RANK)?;
		real("alpha", self.alpha, f64::MIN_POSITIVE, MAX_ALPHA)?;
		real("learning_rate", self.learning_rate, f64::MIN_POSITIVE, 1.0)?;
		real("weight_decay", self.weight_decay, 0.0, 1.0)?;
		real("adam_beta1", self.adam_beta1, 0.0, MAX_BETA)?;
		real("adam_beta2", self.adam_beta2, 0.0, MAX_BETA)?;
		real("adam_epsilon", self.adam_epsilon, 1e-12, 1e-2)?;
		real("warmup_ratio", self.warmup_ratio, 0.0, 1.0)?;
		match self.length {
			TrainingLength::Epochs(epochs) => integer("length.epochs", epochs, 1, MAX_EPOCHS)?,
			TrainingLength::MaxSteps(steps) => integer("length.max_steps", steps, 1, MAX_STEPS)?,
		}
		integer("batch_size", self.batch_size, 1, MAX_BATCH_SIZE)?;
		integer("max_tokens", self.max_tokens, 2, MAX_TOKENS)?;
		let tokens = u64::from(self.batch_size) * u64::from(self.max_tokens);
		if tokens > u64::from(MAX_BATCH_TOKENS) {
			return Err(SpecError::BatchTooLarge { tokens });
		}
		real("gradient_clip_norm", self.gradient_clip_norm, f64::MIN_POSITIVE, 1e6)?;
		integer("heldout_permille", u32::from(self.heldout_permille), 0, 500)?;
		if self.target_modules.is_empty() {
			return Err(SpecError::NoTargetModules);
		}
		for (place, &module) in self.target_modules.iter().enumerate() {
			if self.target_modules.iter().take(place).any(|&earlier| earlier == module) {
				return Err(SpecError::RepeatedTargetModule { module: module.name() });
			}
		}
		field_name("prompt_field", &self.prompt_field)?;
		field_name("completion_field", &self.completion_field)?;
		if self.prompt_field == self.completion_field {
			return Err(SpecError::SameField { name: self.prompt_field.clone() });
		}
		if self.packing {
			return Err(SpecError::PackingNotImplemented);
		}
		Ok(())
	}

	/// Blake2b-256 of the specification's JSON with every field written out in order, so that
	/// leaving a field out and writing its default are the same run.
	pub fn hash(&self) -> Result<[u8; 32], SpecError> {
		Ok(Blake2b256::hash(serde_json::to_vec(self)?))
	}

	/// The number of optimiser steps over `examples` training examples; at least one, and at most
	/// [`MAX_STEPS`]. The last batch of the last epoch may be smaller than the others.
	pub fn steps(&self, examples: usize) -> u32 {
		match self.length {
			TrainingLength::MaxSteps(steps) => steps,
			TrainingLength::Epochs(epochs) => {
				let seen = (examples as u64).saturating_mul(u64::from(epochs));
				let steps = seen.div_ceil(u64::from(self.batch_size.max(1)));
				u32::try_from(steps).unwrap_or(MAX_STEPS).clamp(1, MAX_STEPS)
			},
		}
	}
}

/// The largest f64 below one that is also below one as f32, which the optimiser computes in.
const MAX_BETA: f64 = 0.999_999;

/// Target modules by their names.
mod target_names {
	use openledger_engine::TargetModule;
	use serde::{de::Error, Deserialize, Deserializer, Serializer};

	pub fn serialize<S: Serializer>(
		modules: &[TargetModule],
		serializer: S,
	) -> Result<S::Ok, S::Error> {
		serializer.collect_seq(modules.iter().map(|module| module.name()))
	}

	pub fn deserialize<'de, D: Deserializer<'de>>(
		deserializer: D,
	) -> Result<Vec<TargetModule>, D::Error> {
		let parse = |name: String| {
			TargetModule::from_name(&name).ok_or_else(|| {
				let known = TargetModule::ALL.map(TargetModule::name).join(", ");
				D::Error::custom(format!("unknown target module `{name}`: known are {known}"))
			})
		};
		Vec::<String>::deserialize(deserializer)?.into_iter().map(parse).collect()
	}
}

fn integer(field: &'static str, value: u32, least: u32, most: u32) -> Result<(), SpecError> {
	if (least..=most).contains(&value) {
		return Ok(());
	}
	let allowed = format!("{least}..={most}");
	Err(SpecError::OutOfRange { field, value: value.to_string(), allowed })
}

fn real(field: &'static str, value: f64, least: f64, most: f64) -> Result<(), SpecError> {
	// Written so that NaN is outside.
	if value >= least && value <= most {
		return Ok(());
	}
	let allowed = match least {
		f64::MIN_POSITIVE => format!("(0, {most}]"),
		_ => format!("[{least}, {most}]"),
	};
	Err(SpecError::OutOfRange { field, value: value.to_string(), allowed })
}

fn field_name(field: &'static str, name: &str) -> Result<(), SpecError> {
	if !name.is_empty() && name.len() <= MAX_FIELD_NAME_BYTES {
		return Ok(());
	}
	let allowed = format!("1 to {MAX_FIELD_NAME_BYTES} bytes");
	Err(SpecError::OutOfRange { field, value: format!("{} bytes long", name.len()), allowed })
}

#[cfg(test)]
mod tests;
