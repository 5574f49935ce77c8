//! Dimensions of a Llama-architecture model.

/// Upper bounds on what a model file may declare. They stand above every published Llama model
/// and keep products of dimensions far from overflow.
pub const MAX_HIDDEN_SIZE: usize = 65_536;
pub const MAX_INTERMEDIATE_SIZE: usize = 262_144;
pub const MAX_LAYERS: usize = 1_024;
pub const MAX_HEADS: usize = 1_024;
pub const MAX_HEAD_DIM: usize = 1_024;
pub const MAX_VOCABULARY: usize = 4_194_304;
/// Longest context that a file may declare; what is used is bounded by
/// [`LoadOptions::max_context`](crate::LoadOptions::max_context).
pub const MAX_POSITIONS: usize = 16_777_216;

/// Dimensions and constants of a Llama model, in the names of transformers' `LlamaConfig`.
#[derive(Clone, Debug, PartialEq)]
pub struct LlamaConfig {
	/// Width of the residual stream.
	pub hidden_size: usize,
	/// Width of the feed-forward layer.
	pub intermediate_size: usize,
	pub num_hidden_layers: usize,
	/// Query heads.
	pub num_attention_heads: usize,
	/// Key and value heads; divides the query heads (grouped-query attention).
	pub num_key_value_heads: usize,
	/// Width of a head; even, because RoPE rotates pairs.
	pub head_dim: usize,
	pub vocab_size: usize,
	/// Tokens of context that the model was trained for.
	pub max_position_embeddings: usize,
	/// Base of RoPE's frequencies.
	pub rope_theta: f64,
	pub rms_norm_eps: f64,
	/// The output head is the token embedding.
	pub tie_word_embeddings: bool,
	pub bos_token_id: Option<u32>,
	/// Tokens that end a generation.
	pub eos_token_ids: Vec<u32>,
}

/// Why a model's configuration is refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
	#[error("the configuration has no usable `{0}`")]
	Missing(String),
	#[error("`{field}` is {value}, but must lie between 1 and {max}")]
	OutOfBounds { field: &'static str, value: u64, max: u64 },
	#[error("`{field}` is {value}, but must be a positive finite number")]
	NotPositive { field: &'static str, value: f64 },
	#[error("{heads} query heads cannot share {key_value_heads} key and value heads evenly")]
	HeadsDoNotDivide { heads: usize, key_value_heads: usize },
	#[error("the head dimension {0} is odd, but RoPE rotates pairs")]
	OddHeadDim(usize),
	#[error("token {token} (`{field}`) lies outside the vocabulary of {vocab_size}")]
	TokenOutsideVocabulary { field: &'static str, token: u64, vocab_size: usize },
	#[error("architecture `{0}` is not supported: only Llama is")]
	UnsupportedArchitecture(String),
	#[error("RoPE scaling `{0}` is not supported: only unscaled RoPE is")]
	UnsupportedRopeScaling(String),
	#[error("`{field}` is `{value}`, which this forward pass does not implement")]
	UnsupportedSetting { field: &'static str, value: String },
	#[error("config.json is not valid: {0}")]
	Json(#[from] serde_json::Error),
}

impl LlamaConfig {
	/// Checks every dimension against its bound and the others.
	pub fn validate(&self) -> Result<(), ConfigError> {
		for (field, value, max) in [
			("hidden_size", self.hidden_size, MAX_HIDDEN_SIZE),
			("intermediate_size", self.intermediate_size, MAX_INTERMEDIATE_SIZE),
			("num_hidden_layers", self.num_hidden_layers, MAX_LAYERS),
			("num_attention_heads", self.num_attention_heads, MAX_HEADS),
			("num_key_value_heads", self.num_key_value_heads, MAX_HEADS),
			("head_dim", self.head_dim, MAX_HEAD_DIM),
			("vocab_size", self.vocab_size, MAX_VOCABULARY),
			("max_position_embeddings", self.max_position_embeddings, MAX_POSITIONS),
		] {
			if value == 0 || value > max {
				return Err(ConfigError::OutOfBounds {
					field,
					value: value as u64,
					max: max as u64,
				});
			}
		}
		for (field, value) in [("rope_theta", self.rope_theta), ("rms_norm_eps", self.rms_norm_eps)]
		{
			if !value.is_finite() || value <= 0.0 {
				return Err(ConfigError::NotPositive { field, value });
			}
		}
		if !self.num_attention_heads.is_multiple_of(self.num_key_value_heads) {
			return Err(ConfigError::HeadsDoNotDivide {
				heads: self.num_attention_heads,
				key_value_heads: self.num_key_value_heads,
			});
		}
		if !self.head_dim.is_multiple_of(2) {
			return Err(ConfigError::OddHeadDim(self.head_dim));
		}
		let special = self
			.bos_token_id
			.map(|token| ("bos_token_id", token))
			.into_iter()
			.chain(self.eos_token_ids.iter().map(|token| ("eos_token_id", *token)));
		for (field, token) in special {
			if token as usize >= self.vocab_size {
				return Err(ConfigError::TokenOutsideVocabulary {
					field,
					token: token.into(),
					vocab_size: self.vocab_size,
				});
			}
		}
		Ok(())
	}

	/// Width of all query heads together.
	pub fn query_size(&self) -> usize {
		self.num_attention_heads * self.head_dim
	}

	/// Width of all key heads (or all value heads) together.
	pub fn key_value_size(&self) -> usize {
		self.num_key_value_heads * self.head_dim
	}

	/// Query heads that share one key and value head.
	pub fn query_group(&self) -> usize {
		self.num_attention_heads / self.num_key_value_heads
	}
}

#[cfg(test)]
mod tests {
	use super::*;

	fn config() -> LlamaConfig {
		LlamaConfig {
			hidden_size: 64,
			intermediate_size: 128,
			num_hidden_layers: 2,
			num_attention_heads: 4,
			num_key_value_heads: 2,
			head_dim: 16,
			vocab_size: 300,
			max_position_embeddings: 128,
			rope_theta: 10_000.0,
			rms_norm_eps: 1e-5,
			tie_word_embeddings: true,
			bos_token_id: Some(1),
			eos_token_ids: vec![2],
		}
	}

	#[test]
	fn validate_should_accept_a_consistent_configuration() {
		let config = config();
		config.validate().unwrap();
		assert_eq!((config.query_size(), config.key_value_size()), (64, 32));
		assert_eq!(config.query_group(), 2);
	}

	#[test]
	fn validate_should_name_what_is_wrong() {
		let refuse = |change: fn(&mut LlamaConfig)| {
			let mut config = config();
			change(&mut config);
			config.validate().unwrap_err()
		};
		assert!(matches!(
			refuse(|c| c.hidden_size = 0),
			ConfigError::OutOfBounds { field: "hidden_size", value: 0, .. }
		));
		assert!(matches!(
			refuse(|c| c.num_hidden_layers = usize::MAX),
			ConfigError::OutOfBounds { field: "num_hidden_layers", .. }
		));
		assert!(matches!(
			refuse(|c| c.num_key_value_heads = 3),
			ConfigError::HeadsDoNotDivide { heads: 4, key_value_heads: 3 }
		));
		assert!(matches!(refuse(|c| c.head_dim = 15), ConfigError::OddHeadDim(15)));
		assert!(matches!(
			refuse(|c| c.rope_theta = f64::NAN),
			ConfigError::NotPositive { field: "rope_theta", .. }
		));
		assert!(matches!(
			refuse(|c| c.rms_norm_eps = 0.0),
			ConfigError::NotPositive { field: "rms_norm_eps", .. }
		));
		assert!(matches!(
			refuse(|c| c.eos_token_ids = vec![300]),
			ConfigError::TokenOutsideVocabulary { field: "eos_token_id", token: 300, .. }
		));
	}
}
