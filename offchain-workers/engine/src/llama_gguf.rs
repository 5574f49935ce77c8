//! A Llama model in a GGUF file.

use std::{fs::File, io::BufReader, path::Path};

use crate::{
	chat::ChatTemplate,
	config::{ConfigError, LlamaConfig},
	error::LoadError,
	gguf::{Array, Gguf, GgufError, Value},
	quantization::Numbers,
	tokenizer::{GgufVocabulary, Tokenizer},
	weights::{LayerWeight, WeightName, WeightSource},
};

/// Base of RoPE's frequencies when a file does not say, as in llama.cpp.
const DEFAULT_ROPE_THETA: f64 = 10_000.0;
/// ggml's token types that get their own treatment; the others are plain pieces of text.
const CONTROL: i64 = 3;
const USER_DEFINED: i64 = 4;

pub(crate) struct GgufModel {
	file: Gguf<BufReader<File>>,
	/// Query and key heads, known once the configuration is read.
	heads: (usize, usize),
}

impl GgufModel {
	pub(crate) fn open(path: &Path) -> Result<Self, LoadError> {
		Ok(Self { file: Gguf::open(path)?, heads: (1, 1) })
	}

	pub(crate) fn config(&mut self) -> Result<LlamaConfig, LoadError> {
		let file = &self.file;
		let architecture = file.text("general.architecture")?;
		if architecture != "llama" {
			return Err(ConfigError::UnsupportedArchitecture(architecture.into()).into());
		}
		if let Some(scaling) = file.get("llama.rope.scaling.type") {
			if *scaling != Value::Text("none".into()) {
				return Err(ConfigError::UnsupportedRopeScaling(format!("{scaling:?}")).into());
			}
		}
		if file.tensors().contains_key("rope_freqs.weight") {
			return Err(ConfigError::UnsupportedRopeScaling("rope_freqs".into()).into());
		}
		if file.unsigned("llama.expert_count").is_ok_and(|experts| experts > 0) {
			return Err(ConfigError::UnsupportedArchitecture("mixture of experts".into()).into());
		}
		let size = |key: &str| -> Result<usize, GgufError> {
			let value = file.unsigned(key)?;
			usize::try_from(value).map_err(|_| GgufError::MissingKey(key.into()))
		};
		let token = |key: &str| -> Option<u32> { file.unsigned(key).ok()?.try_into().ok() };

		let hidden_size = size("llama.embedding_length")?;
		let num_attention_heads = size("llama.attention.head_count")?;
		let head_dim = match file.get("llama.attention.key_length") {
			Some(_) => size("llama.attention.key_length")?,
			None => hidden_size.checked_div(num_attention_heads).unwrap_or(0),
		};
		for key in ["llama.rope.dimension_count", "llama.attention.value_length"] {
			if file.get(key).is_some() && size(key)? != head_dim {
				return Err(ConfigError::UnsupportedSetting {
					field: "head_dim",
					value: format!("{key} other than the head's width"),
				}
				.into());
			}
		}
		let config = LlamaConfig {
			hidden_size,
			intermediate_size: size("llama.feed_forward_length")?,
			num_hidden_layers: size("llama.block_count")?,
			num_attention_heads,
			num_key_value_heads: match file.get("llama.attention.head_count_kv") {
				Some(_) => size("llama.attention.head_count_kv")?,
				None => num_attention_heads,
			},
			head_dim,
			vocab_size: file.texts("tokenizer.ggml.tokens")?.len(),
			max_position_embeddings: size("llama.context_length")?,
			rope_theta: match file.get("llama.rope.freq_base") {
				Some(_) => file.float("llama.rope.freq_base")?,
				None => DEFAULT_ROPE_THETA,
			},
			rms_norm_eps: file.float("llama.attention.layer_norm_rms_epsilon")?,
			tie_word_embeddings: !file.tensors().contains_key("output.weight"),
			bos_token_id: token("tokenizer.ggml.bos_token_id"),
			eos_token_ids: ["tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id"]
				.into_iter()
				.filter_map(token)
				.collect(),
		};
		config.validate()?;
		self.heads = (config.num_attention_heads, config.num_key_value_heads);
		self.check_tensors(&config)?;
		Ok(config)
	}

	/// Every tensor in the file must be one that the forward pass uses: a bias that is silently
	/// left out gives wrong answers.
	fn check_tensors(&self, config: &LlamaConfig) -> Result<(), LoadError> {
		let mut unused: std::collections::BTreeSet<&str> =
			self.file.tensors().keys().map(String::as_str).collect();
		for name in WeightName::all(config) {
			let name = tensor_name(name);
			if !unused.remove(name.as_str()) {
				return Err(LoadError::MissingTensor(name));
			}
		}
		match unused.first() {
			Some(name) => Err(LoadError::UnexpectedTensor((*name).into())),
			None => Ok(()),
		}
	}

	pub(crate) fn tokenizer(&self) -> Result<Tokenizer, LoadError> {
		let file = &self.file;
		let types: Vec<i64> = match file.get("tokenizer.ggml.token_type") {
			Some(Value::Array(Array::Signed(types))) => types.clone(),
			Some(Value::Array(Array::Unsigned(types))) => {
				types.iter().map(|kind| i64::try_from(*kind).unwrap_or_default()).collect()
			},
			_ => Vec::new(),
		};
		let ids_of = |kind: i64| {
			types.iter().enumerate().filter(move |(_, t)| **t == kind).map(|(id, _)| id).collect()
		};
		Ok(Tokenizer::from_gguf(GgufVocabulary {
			model: file.text("tokenizer.ggml.model")?,
			pre_tokenizer: file.text("tokenizer.ggml.pre").unwrap_or("default"),
			tokens: file.texts("tokenizer.ggml.tokens")?,
			merges: file.texts("tokenizer.ggml.merges")?,
			special: ids_of(CONTROL),
			added: ids_of(USER_DEFINED),
		})?)
	}

	pub(crate) fn chat_template(
		&self,
		tokenizer: &Tokenizer,
	) -> Result<Option<ChatTemplate>, LoadError> {
		let Ok(source) = self.file.text("tokenizer.chat_template") else { return Ok(None) };
		let token = |key: &str| {
			let id = self.file.unsigned(key).ok()?.try_into().ok()?;
			tokenizer.token(id)
		};
		let bos = token("tokenizer.ggml.bos_token_id");
		let eos = token("tokenizer.ggml.eos_token_id");
		Ok(Some(ChatTemplate::new(source, bos, eos)?))
	}
}

impl WeightSource for GgufModel {
	fn read(&mut self, name: WeightName, shape: &[usize]) -> Result<Numbers, LoadError> {
		let gguf_name = tensor_name(name);
		let Some(info) = self.file.tensors().get(&gguf_name) else {
			return Err(LoadError::MissingTensor(gguf_name));
		};
		if info.shape != shape {
			return Err(LoadError::WrongShape {
				name: gguf_name,
				expected: shape.into(),
				found: info.shape.clone(),
			});
		}
		let numbers = self
			.file
			.read_tensor(&gguf_name)?
			.ok_or_else(|| LoadError::MissingTensor(gguf_name.clone()))?;
		if !numbers.are_finite() {
			return Err(LoadError::NonFiniteWeight(gguf_name));
		}
		let (query_heads, key_heads) = self.heads;
		Ok(match name {
			WeightName::Layer(_, LayerWeight::Query) => unpermute(numbers, query_heads, shape),
			WeightName::Layer(_, LayerWeight::Key) => unpermute(numbers, key_heads, shape),
			_ => numbers,
		})
	}
}

/// llama.cpp's name of a tensor.
fn tensor_name(name: WeightName) -> String {
	match name {
		WeightName::TokenEmbedding => "token_embd.weight".into(),
		WeightName::OutputNorm => "output_norm.weight".into(),
		WeightName::OutputHead => "output.weight".into(),
		WeightName::Layer(layer, weight) => {
			let weight = match weight {
				LayerWeight::AttentionNorm => "attn_norm",
				LayerWeight::Query => "attn_q",
				LayerWeight::Key => "attn_k",
				LayerWeight::Value => "attn_v",
				LayerWeight::AttentionOutput => "attn_output",
				LayerWeight::FeedForwardNorm => "ffn_norm",
				LayerWeight::Gate => "ffn_gate",
				LayerWeight::Up => "ffn_up",
				LayerWeight::Down => "ffn_down",
			};
			format!("blk.{layer}.{weight}.weight")
		},
	}
}

/// Undoes the row order of llama.cpp's converter, which interleaves the two halves of each head
/// (its `permute`), so that RoPE and adapters find transformers' half-split order: row `2i + j`
/// of a head goes to row `j · head_dim / 2 + i`.
fn unpermute(numbers: Numbers, heads: usize, shape: &[usize]) -> Numbers {
	let rows = shape.first().copied().unwrap_or(1);
	match numbers {
		Numbers::Plain(values) => Numbers::Plain(unpermute_rows(&values, heads, rows)),
		Numbers::Blocks { bits, blocks } => {
			Numbers::Blocks { bits, blocks: unpermute_rows(&blocks, heads, rows) }
		},
	}
}

fn unpermute_rows<T: Copy>(elements: &[T], heads: usize, rows: usize) -> Vec<T> {
	let (width, head_dim) = (elements.len() / rows, rows / heads);
	let half = head_dim / 2;
	let mut out = Vec::with_capacity(elements.len());
	for head in elements.chunks_exact(head_dim * width) {
		for row in (0..head_dim).map(|row| 2 * (row % half) + row / half) {
			out.extend(head.iter().skip(row * width).take(width));
		}
	}
	out
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn unpermute_should_undo_the_converters_interleaving() {
		// Two heads of four rows, one column: the converter's reshape [h, 2, d/2] and swap.
		let original: Vec<f32> = (0..8).map(|i| i as f32).collect();
		let permuted = vec![0.0, 2.0, 1.0, 3.0, 4.0, 6.0, 5.0, 7.0];
		let numbers = unpermute(Numbers::Plain(permuted), 2, &[8, 1]);
		assert_eq!(numbers, Numbers::Plain(original));
	}
}
