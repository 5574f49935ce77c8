//! A Llama model in a Hugging Face directory.

use std::{
	collections::{BTreeMap, BTreeSet},
	fs::{self, File},
	io::{BufReader, Read},
	path::{Path, PathBuf},
};

use serde::Deserialize;
use serde_json::Value;

use crate::{
	chat::ChatTemplate,
	config::{ConfigError, LlamaConfig},
	error::LoadError,
	quantization::Numbers,
	tensor_file::TensorFile,
	tokenizer::{Tokenizer, MAX_TOKENIZER_FILE},
	weights::{LayerWeight, WeightName, WeightSource},
};

/// Bytes of a configuration file; real ones have a few thousand.
const MAX_CONFIG_FILE: u64 = 4 << 20;
/// Files that a model may be split into.
const MAX_SHARDS: usize = 1_024;

pub(crate) struct HuggingFaceModel {
	directory: PathBuf,
	shards: Vec<Shard>,
	/// Which shard holds a tensor.
	places: BTreeMap<String, usize>,
}

struct Shard {
	path: PathBuf,
	file: TensorFile<BufReader<File>>,
}

/// `tokenizer_config.json`, as far as it matters here.
#[derive(Default, Deserialize)]
struct TokenizerConfig {
	chat_template: Option<TemplateField>,
	bos_token: Option<TokenField>,
	eos_token: Option<TokenField>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum TemplateField {
	One(String),
	Named(Vec<NamedTemplate>),
}

#[derive(Deserialize)]
struct NamedTemplate {
	name: String,
	template: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum TokenField {
	Text(String),
	Added { content: String },
}

impl TokenField {
	fn into_text(self) -> String {
		match self {
			Self::Text(text) | Self::Added { content: text } => text,
		}
	}
}

impl HuggingFaceModel {
	pub(crate) fn open(directory: &Path) -> Result<Self, LoadError> {
		let index = directory.join("model.safetensors.index.json");
		let single = directory.join("model.safetensors");
		let paths = if index.is_file() {
			shard_names(&read_bounded(&index, MAX_CONFIG_FILE)?)?
				.into_iter()
				.map(|name| directory.join(name))
				.collect()
		} else if single.is_file() {
			vec![single]
		} else {
			return Err(LoadError::NoWeights(single));
		};
		let mut shards = Vec::with_capacity(paths.len());
		let mut places = BTreeMap::new();
		for path in paths {
			let file = TensorFile::open(&path)
				.map_err(|source| LoadError::TensorFile { path: path.clone(), source })?;
			places.extend(file.names().into_iter().map(|name| (name, shards.len())));
			shards.push(Shard { path, file });
		}
		Ok(Self { directory: directory.into(), shards, places })
	}

	pub(crate) fn config(&self) -> Result<LlamaConfig, LoadError> {
		let bytes = read_bounded(&self.directory.join("config.json"), MAX_CONFIG_FILE)?;
		let config = parse_config(&bytes)?;
		self.check_tensors(&config)?;
		Ok(config)
	}

	/// Every tensor must be one that the forward pass uses, except copies and constants that
	/// older transformers saved along.
	fn check_tensors(&self, config: &LlamaConfig) -> Result<(), LoadError> {
		let mut unused: BTreeSet<&str> = self.places.keys().map(String::as_str).collect();
		for name in WeightName::all(config) {
			let name = tensor_name(name);
			if !unused.remove(name.as_str()) {
				return Err(LoadError::MissingTensor(name));
			}
		}
		let ignored = |name: &str| {
			name.ends_with(".rotary_emb.inv_freq")
				|| (config.tie_word_embeddings && name == "lm_head.weight")
		};
		match unused.into_iter().find(|name| !ignored(name)) {
			Some(name) => Err(LoadError::UnexpectedTensor(name.into())),
			None => Ok(()),
		}
	}

	pub(crate) fn tokenizer(&self) -> Result<Tokenizer, LoadError> {
		let bytes = read_bounded(&self.directory.join("tokenizer.json"), MAX_TOKENIZER_FILE)?;
		Ok(Tokenizer::from_json(&bytes)?)
	}

	/// The template of `tokenizer_config.json`, else the file `chat_template.jinja`, which newer
	/// transformers write.
	pub(crate) fn chat_template(&self) -> Result<Option<ChatTemplate>, LoadError> {
		let path = self.directory.join("tokenizer_config.json");
		let config: TokenizerConfig = if path.is_file() {
			serde_json::from_slice(&read_bounded(&path, MAX_CONFIG_FILE)?)
				.map_err(ConfigError::Json)?
		} else {
			TokenizerConfig::default()
		};
		let jinja = self.directory.join("chat_template.jinja");
		let source = match config.chat_template {
			Some(TemplateField::One(source)) => Some(source),
			Some(TemplateField::Named(templates)) => {
				templates.into_iter().find(|t| t.name == "default").map(|t| t.template)
			},
			None if jinja.is_file() => {
				let bytes = read_bounded(&jinja, MAX_CONFIG_FILE)?;
				Some(String::from_utf8_lossy(&bytes).into_owned())
			},
			None => None,
		};
		let Some(source) = source else { return Ok(None) };
		let bos = config.bos_token.map(TokenField::into_text);
		let eos = config.eos_token.map(TokenField::into_text);
		Ok(Some(ChatTemplate::new(&source, bos, eos)?))
	}
}

impl WeightSource for HuggingFaceModel {
	fn read(&mut self, name: WeightName, shape: &[usize]) -> Result<Numbers, LoadError> {
		let name = tensor_name(name);
		let shard = self.places.get(&name).and_then(|index| self.shards.get_mut(*index));
		let Some(Shard { path, file }) = shard else {
			return Err(LoadError::MissingTensor(name));
		};
		let found = file.shape(&name).unwrap_or_default();
		if found != shape {
			let (expected, found) = (shape.into(), found.into());
			return Err(LoadError::WrongShape { name, expected, found });
		}
		file.read(&name)
			.map_err(|source| LoadError::TensorFile { path: path.clone(), source })?
			.map(Numbers::Plain)
			.ok_or(LoadError::MissingTensor(name))
	}
}

/// transformers' name of a tensor.
pub(crate) fn tensor_name(name: WeightName) -> String {
	match name {
		WeightName::TokenEmbedding => "model.embed_tokens.weight".into(),
		WeightName::OutputNorm => "model.norm.weight".into(),
		WeightName::OutputHead => "lm_head.weight".into(),
		WeightName::Layer(layer, weight) => {
			let weight = match weight {
				LayerWeight::AttentionNorm => "input_layernorm",
				LayerWeight::Query => "self_attn.q_proj",
				LayerWeight::Key => "self_attn.k_proj",
				LayerWeight::Value => "self_attn.v_proj",
				LayerWeight::AttentionOutput => "self_attn.o_proj",
				LayerWeight::FeedForwardNorm => "post_attention_layernorm",
				LayerWeight::Gate => "mlp.gate_proj",
				LayerWeight::Up => "mlp.up_proj",
				LayerWeight::Down => "mlp.down_proj",
			};
			format!("model.layers.{layer}.{weight}.weight")
		},
	}
}

/// The files that a shard index names, each a plain file name in the model's directory.
fn shard_names(index: &[u8]) -> Result<BTreeSet<String>, LoadError> {
	#[derive(Deserialize)]
	struct ShardIndex {
		weight_map: BTreeMap<String, String>,
	}
	let index: ShardIndex = serde_json::from_slice(index).map_err(LoadError::ShardIndex)?;
	let names: BTreeSet<String> = index.weight_map.into_values().collect();
	if names.len() > MAX_SHARDS {
		return Err(LoadError::TooManyShards { count: names.len(), max: MAX_SHARDS });
	}
	for name in &names {
		let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
			&& !name.starts_with('.')
			&& name.ends_with(".safetensors");
		if !plain {
			return Err(LoadError::UnsafeShardName(name.clone()));
		}
	}
	Ok(names)
}

/// Reads transformers' `config.json`, of version 5 and before.
fn parse_config(bytes: &[u8]) -> Result<LlamaConfig, ConfigError> {
	let json: Value = serde_json::from_slice(bytes)?;
	let missing = |field: &str| ConfigError::Missing(field.into());
	let present = |field: &str| json.get(field).filter(|value| !value.is_null());
	let size = |field: &'static str| -> Result<usize, ConfigError> {
		let value = present(field).and_then(Value::as_u64).ok_or_else(|| missing(field))?;
		usize::try_from(value).map_err(|_| missing(field))
	};
	let size_or = |field: &'static str, default: usize| match present(field) {
		Some(_) => size(field),
		None => Ok(default),
	};

	let architecture = present("model_type").and_then(Value::as_str).unwrap_or("unknown");
	if architecture != "llama" {
		return Err(ConfigError::UnsupportedArchitecture(architecture.into()));
	}
	let activation = present("hidden_act").and_then(Value::as_str).unwrap_or("silu");
	if !matches!(activation, "silu" | "swish") {
		return Err(ConfigError::UnsupportedSetting {
			field: "hidden_act",
			value: activation.into(),
		});
	}
	for field in ["attention_bias", "mlp_bias"] {
		if present(field).is_some_and(|value| *value != Value::Bool(false)) {
			return Err(ConfigError::UnsupportedSetting { field, value: "true".into() });
		}
	}

	// `rope_parameters` since transformers 5, before it `rope_theta` and `rope_scaling`.
	let parameters = present("rope_parameters");
	for scaling in [parameters, present("rope_scaling")].into_iter().flatten() {
		let kind = scaling.get("rope_type").or_else(|| scaling.get("type"));
		let kind = kind.and_then(Value::as_str).unwrap_or("default");
		if kind != "default" {
			return Err(ConfigError::UnsupportedRopeScaling(kind.into()));
		}
		let partial = scaling.get("partial_rotary_factor").and_then(Value::as_f64);
		if partial.is_some_and(|factor| factor != 1.0) {
			return Err(ConfigError::UnsupportedRopeScaling("partial_rotary_factor".into()));
		}
	}
	let rope_theta = parameters
		.and_then(|parameters| parameters.get("rope_theta"))
		.or_else(|| present("rope_theta"))
		.map_or(Some(10_000.0), Value::as_f64)
		.ok_or_else(|| missing("rope_theta"))?;

	let token = |value: &Value| value.as_u64().and_then(|id| u32::try_from(id).ok());
	let eos_token_ids = match present("eos_token_id") {
		None => Vec::new(),
		Some(Value::Array(ids)) => ids.iter().filter_map(token).collect(),
		Some(id) => vec![token(id).ok_or_else(|| missing("eos_token_id"))?],
	};
	let hidden_size = size("hidden_size")?;
	let num_attention_heads = size("num_attention_heads")?;
	let config = LlamaConfig {
		hidden_size,
		intermediate_size: size("intermediate_size")?,
		num_hidden_layers: size("num_hidden_layers")?,
		num_attention_heads,
		num_key_value_heads: size_or("num_key_value_heads", num_attention_heads)?,
		head_dim: size_or("head_dim", hidden_size.checked_div(num_attention_heads).unwrap_or(0))?,
		vocab_size: size("vocab_size")?,
		max_position_embeddings: size_or("max_position_embeddings", 2_048)?,
		rope_theta,
		rms_norm_eps: present("rms_norm_eps")
			.map_or(Some(1e-6), Value::as_f64)
			.ok_or_else(|| missing("rms_norm_eps"))?,
		tie_word_embeddings: present("tie_word_embeddings").and_then(Value::as_bool) == Some(true),
		bos_token_id: present("bos_token_id").and_then(token),
		eos_token_ids,
	};
	config.validate()?;
	Ok(config)
}

/// Reads a whole file of at most `max` bytes.
pub(crate) fn read_bounded(path: &Path, max: u64) -> Result<Vec<u8>, LoadError> {
	let read = |source| LoadError::Read { path: path.into(), source };
	let mut bytes = Vec::new();
	let file = fs::File::open(path).map_err(read)?;
	file.take(max + 1).read_to_end(&mut bytes).map_err(read)?;
	if bytes.len() as u64 > max {
		return Err(LoadError::TooLarge { path: path.into(), size: bytes.len() as u64, max });
	}
	Ok(bytes)
}
