//! Small random models and adapters, for tests and benchmarks of this and other crates.
//!
//! A model is written as a Hugging Face directory. The same seed gives the same bytes. It knows nothing, but it has all the parts of a real
//! one: grouped-query attention, an output head of its own, a byte-level tokenizer, a chat
//! template. LoRA can teach it a few sentences.

use std::{collections::BTreeMap, fs, io, path::Path};

use burn::tensor::{Device, Tensor, TensorData};
use serde_json::{json, Map, Value};

use crate::{
	config::LlamaConfig,
	huggingface::tensor_name,
	lora::{Adapter, LoraError, LoraLinear, LoraWeights},
	peft_config::LoraConfig,
	random,
	tensor_file::{self, NamedTensor, TensorFileError},
	tokenizer::{added_token_json, byte_level_bpe_json, byte_level_json, char_of_byte},
	weights::WeightName,
};

const END_OF_TEXT: &str = "<|endoftext|>";
const MESSAGE_START: &str = "<|im_start|>";
const MESSAGE_END: &str = "<|im_end|>";
const CHAT_TEMPLATE: &str = "{% for message in messages %}{{ '<|im_start|>' + message['role'] + \
	'\n' + message['content'] + '<|im_end|>' + '\n' }}{% endfor %}{% if add_generation_prompt %}\
	{{ '<|im_start|>assistant\n' }}{% endif %}";

/// Why a tiny model could not be written.
#[derive(Debug, thiserror::Error)]
pub enum TinyModelError {
	#[error("cannot write the tiny model: {0}")]
	Io(#[from] io::Error),
	#[error(transparent)]
	TensorFile(#[from] TensorFileError),
}

/// Dimensions of a tiny model.
#[derive(Clone, Debug)]
pub struct TinyModel {
	pub hidden_size: usize,
	pub intermediate_size: usize,
	pub num_hidden_layers: usize,
	pub num_attention_heads: usize,
	pub num_key_value_heads: usize,
	pub max_position_embeddings: usize,
	pub tie_word_embeddings: bool,
}

impl Default for TinyModel {
	/// About a million parameters.
	fn default() -> Self {
		Self {
			hidden_size: 128,
			intermediate_size: 512,
			num_hidden_layers: 4,
			num_attention_heads: 4,
			num_key_value_heads: 2,
			max_position_embeddings: 2_048,
			tie_word_embeddings: false,
		}
	}
}

/// Writes a tiny model of the default dimensions into `directory`, which is created if needed.
pub fn write_model(directory: impl AsRef<Path>, seed: u64) -> Result<(), TinyModelError> {
	TinyModel::default().write(directory, seed)
}

impl TinyModel {
	/// Writes the model into `directory`, which is created if needed.
	pub fn write(&self, directory: impl AsRef<Path>, seed: u64) -> Result<(), TinyModelError> {
		let directory = directory.as_ref();
		fs::create_dir_all(directory)?;
		let config = self.config();
		let weights = tensor_file::serialize(
			random_weights(&config, seed),
			&BTreeMap::from([("format".into(), "pt".into())]),
		)?;
		fs::write(directory.join("model.safetensors"), weights)?;
		let write = |name: &str, json: Value| fs::write(directory.join(name), json.to_string());
		write("config.json", config_json(&config))?;
		write("tokenizer.json", tokenizer_json())?;
		write(
			"tokenizer_config.json",
			json!({
				"tokenizer_class": "PreTrainedTokenizerFast",
				"bos_token": MESSAGE_START,
				"eos_token": MESSAGE_END,
				"chat_template": CHAT_TEMPLATE,
			}),
		)?;
		Ok(())
	}

	/// The configuration that [`write`](Self::write) writes.
	pub fn config(&self) -> LlamaConfig {
		LlamaConfig {
			hidden_size: self.hidden_size,
			intermediate_size: self.intermediate_size,
			num_hidden_layers: self.num_hidden_layers,
			num_attention_heads: self.num_attention_heads,
			num_key_value_heads: self.num_key_value_heads,
			head_dim: self.hidden_size.checked_div(self.num_attention_heads).unwrap_or(0),
			vocab_size: tokens().len(),
			max_position_embeddings: self.max_position_embeddings,
			rope_theta: 10_000.0,
			rms_norm_eps: 1e-5,
			tie_word_embeddings: self.tie_word_embeddings,
			bos_token_id: Some(1),
			eos_token_ids: vec![2],
		}
	}
}

/// A random adapter for a model of these dimensions: `A` and `B` are normal, so that it changes what
/// the model says. Not trained, but distinct for every seed.
pub fn random_adapter(
	config: LoraConfig,
	model: &LlamaConfig,
	seed: u64,
) -> Result<Adapter, LoraError> {
	let mut weights = LoraWeights::new(model.num_hidden_layers);
	let (mut stream, device) = (0, Device::flex());
	let mut matrix = |rows: usize, columns: usize| {
		stream += 1;
		let deviation = 1.0 / (rows as f64).sqrt();
		let values: Vec<f32> = (0..(rows * columns) as u64)
			.map(|i| (deviation * normal(seed, stream, i)) as f32)
			.collect();
		Tensor::from_data(TensorData::new(values, [rows, columns]), &device)
	};
	for layer in 0..model.num_hidden_layers {
		for target in &config.target_modules {
			let (input, output) = target.widths(model);
			let rank = config.rank(layer, *target);
			let (a, b) = (matrix(input, rank), matrix(rank, output));
			let scale = config.scale(layer, *target);
			weights.insert(layer, *target, LoraLinear { a, b, scale })?;
		}
	}
	Adapter::new(config, weights, model)
}

/// The special tokens, then all bytes.
fn tokens() -> Vec<String> {
	let special = [END_OF_TEXT, MESSAGE_START, MESSAGE_END].map(String::from);
	special.into_iter().chain(char_of_byte().map(String::from)).collect()
}

fn tokenizer_json() -> Value {
	let mut vocab = Map::new();
	let mut added = Vec::new();
	for (id, token) in tokens().into_iter().enumerate() {
		if token.chars().count() > 1 {
			added.push(added_token_json(id, &token, true));
		}
		vocab.insert(token, id.into());
	}
	byte_level_bpe_json(vocab, Vec::new(), vec![byte_level_json()], added)
}

fn config_json(config: &LlamaConfig) -> Value {
	json!({
		"architectures": ["LlamaForCausalLM"],
		"model_type": "llama",
		"hidden_act": "silu",
		"hidden_size": config.hidden_size,
		"intermediate_size": config.intermediate_size,
		"num_hidden_layers": config.num_hidden_layers,
		"num_attention_heads": config.num_attention_heads,
		"num_key_value_heads": config.num_key_value_heads,
		"head_dim": config.head_dim,
		"vocab_size": config.vocab_size,
		"max_position_embeddings": config.max_position_embeddings,
		"rope_theta": config.rope_theta,
		"rms_norm_eps": config.rms_norm_eps,
		"tie_word_embeddings": config.tie_word_embeddings,
		"bos_token_id": config.bos_token_id,
		"eos_token_id": config.eos_token_ids.first(),
		"attention_bias": false,
		"mlp_bias": false,
		"torch_dtype": "float32",
	})
}

/// Norms are one; every other weight is normal with a variance that keeps activations, and at
/// last logits, near one.
fn random_weights(config: &LlamaConfig, seed: u64) -> Vec<NamedTensor> {
	WeightName::all(config)
		.enumerate()
		.map(|(stream, name)| {
			let shape = name.shape(config);
			let count: usize = shape.iter().product();
			let values = match shape.as_slice() {
				[_] => vec![1.0; count],
				[.., input] => {
					let deviation = 1.0 / (*input as f64).sqrt();
					let value = |i| (deviation * normal(seed, stream as u64, i)) as f32;
					(0..count as u64).map(value).collect()
				},
				[] => Vec::new(),
			};
			NamedTensor { name: tensor_name(name), shape, values }
		})
		.collect()
}

/// A standard normal number (Box and Muller).
fn normal(seed: u64, stream: u64, position: u64) -> f64 {
	let radius = (-2.0 * (1.0 - random::uniform(seed, stream, 2 * position)).ln()).sqrt();
	radius * (std::f64::consts::TAU * random::uniform(seed, stream, 2 * position + 1)).cos()
}
