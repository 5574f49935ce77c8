//! PEFT's `adapter_config.json` for LoRA.
//!
//! Settings that change what an adapter computes and that are not implemented here are refused by
//! name, known or not: an adapter that is loaded without them would silently answer wrong.

use std::{
	collections::{BTreeMap, BTreeSet},
	fmt,
	marker::PhantomData,
};

use serde::{
	de::{Deserializer, MapAccess, Visitor},
	ser::Serializer,
	Deserialize, Serialize,
};
use serde_json::Value;

use crate::{
	lora::{TargetModule, MAX_RANK},
	peft::PeftError,
};

/// Patterns in `rank_pattern` or `alpha_pattern`: one for each module of a large model.
const MAX_PATTERNS: usize = 8_192;
/// Bytes of a pattern: a module's path takes some dozens.
const MAX_PATTERN: usize = 256;
/// Bytes of `base_model_name_or_path` and of values quoted in errors.
const MAX_NAME: usize = 1_024;

/// Settings that do not change what a trained adapter computes.
const HARMLESS: [&str; 10] = [
	"auto_mapping",
	"ensure_weight_tying",
	"inference_mode",
	"lora_dropout",
	"megatron_core",
	"peft_version",
	"qalora_group_size",
	"revision",
	"runtime_config",
	"task_type",
];

/// What a LoRA adapter changes and how strongly, in PEFT's names.
#[derive(Clone, Debug, PartialEq)]
pub struct LoraConfig {
	/// Rank of modules that no `rank_pattern` matches.
	pub r: usize,
	/// Alpha of modules that no `alpha_pattern` matches.
	pub lora_alpha: f64,
	/// Scale by `alpha / √r` (arXiv 2312.03732) instead of `alpha / r`.
	pub use_rslora: bool,
	/// Modules adapted, in every layer.
	pub target_modules: BTreeSet<TargetModule>,
	/// Ranks of modules whose path ends with a name; the first that matches counts.
	pub rank_pattern: Vec<(String, usize)>,
	/// Alphas of modules whose path ends with a name; the first that matches counts.
	pub alpha_pattern: Vec<(String, f64)>,
	/// A note about the base model. Never opened.
	pub base_model_name_or_path: Option<String>,
}

impl LoraConfig {
	/// A configuration without patterns.
	pub fn new(
		r: usize,
		lora_alpha: f64,
		target_modules: impl IntoIterator<Item = TargetModule>,
	) -> Self {
		Self {
			r,
			lora_alpha,
			use_rslora: false,
			target_modules: target_modules.into_iter().collect(),
			rank_pattern: Vec::new(),
			alpha_pattern: Vec::new(),
			base_model_name_or_path: None,
		}
	}

	/// The rank of a module.
	pub fn rank(&self, layer: usize, target: TargetModule) -> usize {
		first_match(&self.rank_pattern, &target.path(layer)).unwrap_or(self.r)
	}

	/// `alpha / r`, or `alpha / √r` with rsLoRA.
	pub fn scale(&self, layer: usize, target: TargetModule) -> f32 {
		let alpha =
			first_match(&self.alpha_pattern, &target.path(layer)).unwrap_or(self.lora_alpha);
		let rank = self.rank(layer, target) as f64;
		(alpha / if self.use_rslora { rank.sqrt() } else { rank }) as f32
	}

	/// Checks ranks, alphas, patterns and that something is adapted.
	pub fn validate(&self) -> Result<(), PeftError> {
		if self.target_modules.is_empty() {
			return Err(PeftError::NoTargets);
		}
		let patterns = self.rank_pattern.len().max(self.alpha_pattern.len());
		if patterns > MAX_PATTERNS {
			return Err(PeftError::TooManyPatterns { count: patterns, max: MAX_PATTERNS });
		}
		let ranks = self.rank_pattern.iter().map(|(_, rank)| *rank).chain([self.r]);
		for rank in ranks {
			if rank == 0 || rank > MAX_RANK {
				return Err(PeftError::RankOutOfBounds(rank as u64));
			}
		}
		let alphas = self.alpha_pattern.iter().map(|(_, alpha)| *alpha).chain([self.lora_alpha]);
		for alpha in alphas {
			if !(alpha as f32).is_finite() {
				return Err(PeftError::AlphaNotFinite(alpha));
			}
		}
		let names = self.rank_pattern.iter().map(|(name, _)| name);
		for name in names.chain(self.alpha_pattern.iter().map(|(name, _)| name)) {
			let literal = name.strip_prefix('^').unwrap_or(name);
			let plain = literal.bytes().all(|b| b.is_ascii_alphanumeric() || b"._".contains(&b));
			if !plain || literal.is_empty() || name.len() > MAX_PATTERN {
				return Err(PeftError::UnsupportedPattern(shorten(name)));
			}
		}
		Ok(())
	}

	/// Reads `adapter_config.json`.
	pub fn from_json(json: &[u8]) -> Result<Self, PeftError> {
		let raw: RawConfig = serde_json::from_slice(json).map_err(PeftError::Config)?;
		if raw.peft_type != "LORA" {
			return Err(PeftError::NotLora(shorten(&raw.peft_type)));
		}
		for (setting, value) in &raw.rest {
			let harmless = HARMLESS.contains(&setting.as_str())
				|| is_empty(value)
				|| (setting == "bias" && value == "none")
				|| (setting == "init_lora_weights" && is_plain_initialisation(value));
			if !harmless {
				return Err(PeftError::UnsupportedSetting {
					setting: shorten(setting),
					value: shorten(&value.to_string()),
				});
			}
		}
		let rank = |rank: u64| usize::try_from(rank).unwrap_or(usize::MAX);
		let target_modules = raw
			.target_modules
			.iter()
			.map(|name| {
				TargetModule::from_name(name).ok_or_else(|| PeftError::UnknownTarget(shorten(name)))
			})
			.collect::<Result<_, _>>()?;
		let patterns = raw.rank_pattern.unwrap_or_default().0.into_iter();
		let config = Self {
			r: rank(raw.r),
			lora_alpha: raw.lora_alpha,
			use_rslora: raw.use_rslora,
			target_modules,
			rank_pattern: patterns.map(|(name, r)| (name, rank(r))).collect(),
			alpha_pattern: raw.alpha_pattern.unwrap_or_default().0,
			base_model_name_or_path: raw.base_model_name_or_path.map(|name| shorten(&name)),
		};
		config.validate()?;
		Ok(config)
	}

	/// Writes `adapter_config.json`, the same bytes for the same configuration.
	pub fn to_json(&self) -> Result<String, PeftError> {
		#[derive(Serialize)]
		struct Written<'a> {
			peft_type: &'a str,
			task_type: &'a str,
			base_model_name_or_path: Option<&'a str>,
			inference_mode: bool,
			r: usize,
			lora_alpha: Value,
			lora_dropout: f64,
			use_rslora: bool,
			use_dora: bool,
			bias: &'a str,
			fan_in_fan_out: bool,
			init_lora_weights: bool,
			modules_to_save: Option<()>,
			target_modules: Vec<&'a str>,
			rank_pattern: Ordered<usize>,
			alpha_pattern: Ordered<Value>,
		}
		let alphas = self.alpha_pattern.iter().map(|(name, alpha)| (name.clone(), number(*alpha)));
		let written = Written {
			peft_type: "LORA",
			task_type: "CAUSAL_LM",
			base_model_name_or_path: self.base_model_name_or_path.as_deref(),
			inference_mode: true,
			r: self.r,
			lora_alpha: number(self.lora_alpha),
			lora_dropout: 0.0,
			use_rslora: self.use_rslora,
			use_dora: false,
			bias: "none",
			fan_in_fan_out: false,
			init_lora_weights: true,
			modules_to_save: None,
			target_modules: self.target_modules.iter().map(|target| target.name()).collect(),
			rank_pattern: Ordered(self.rank_pattern.clone()),
			alpha_pattern: Ordered(alphas.collect()),
		};
		serde_json::to_string_pretty(&written).map_err(PeftError::Config)
	}
}

/// The settings of `adapter_config.json` that are used; the others are looked through.
#[derive(Deserialize)]
struct RawConfig {
	peft_type: String,
	r: u64,
	lora_alpha: f64,
	#[serde(default)]
	use_rslora: bool,
	/// PEFT also writes a string, a regular expression, which is refused.
	target_modules: Vec<String>,
	rank_pattern: Option<Ordered<u64>>,
	alpha_pattern: Option<Ordered<f64>>,
	base_model_name_or_path: Option<String>,
	#[serde(flatten)]
	rest: BTreeMap<String, Value>,
}

/// A map in the order of its file: PEFT takes the first pattern that matches.
struct Ordered<T>(Vec<(String, T)>);

impl<T> Default for Ordered<T> {
	fn default() -> Self {
		Self(Vec::new())
	}
}

impl<T: Serialize> Serialize for Ordered<T> {
	fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
		serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
	}
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Ordered<T> {
	fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
		struct InOrder<T>(PhantomData<T>);
		impl<'de, T: Deserialize<'de>> Visitor<'de> for InOrder<T> {
			type Value = Ordered<T>;

			fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
				f.write_str("a map of patterns")
			}

			fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
				let mut entries = Vec::new();
				while let Some(entry) = map.next_entry()? {
					entries.push(entry);
				}
				Ok(Ordered(entries))
			}
		}
		deserializer.deserialize_map(InOrder(PhantomData))
	}
}

/// PEFT's `get_pattern_key`: `(.*\.)?(pattern)$` matches the path from its beginning. For the
/// patterns that [`LoraConfig::validate`] lets through this is a suffix at a dot, or with `^` the
/// whole path.
fn first_match<T: Copy>(patterns: &[(String, T)], path: &str) -> Option<T> {
	let matches = |pattern: &str| match pattern.strip_prefix('^') {
		Some(whole) => path == whole,
		None => path
			.strip_suffix(pattern)
			.is_some_and(|before| before.is_empty() || before.ends_with('.')),
	};
	patterns.iter().find(|(pattern, _)| matches(pattern)).map(|(_, value)| *value)
}

/// Initialisations that leave the base model as it is (PiSSA, OLoRA and others change it).
fn is_plain_initialisation(value: &Value) -> bool {
	match value {
		Value::Bool(_) => true,
		Value::String(name) => matches!(name.as_str(), "gaussian" | "eva" | "orthogonal"),
		_ => false,
	}
}

fn is_empty(value: &Value) -> bool {
	match value {
		Value::Null | Value::Bool(false) => true,
		Value::Array(items) => items.is_empty(),
		Value::Object(fields) => fields.is_empty(),
		_ => false,
	}
}

/// A whole number as an integer, which PEFT's own files hold.
fn number(x: f64) -> Value {
	if x.fract() == 0.0 && x.abs() < 1e15 {
		Value::from(x as i64)
	} else {
		Value::from(x)
	}
}

/// The beginning of a text from a file, for a message.
pub(crate) fn shorten(text: &str) -> String {
	text.chars().take(MAX_NAME).collect()
}
