//! Errors of loading, of the forward pass and of generation. Formats have theirs beside them.

use std::{io, path::PathBuf};

use crate::{
	chat::ChatError, config::ConfigError, gguf::GgufError, lora::LoraError,
	sampling::SamplingError, tensor_file::TensorFileError, tokenizer::TokenizerError,
};

/// Why a model could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
	#[error("cannot read {}: {source}", path.display())]
	Read { path: PathBuf, source: io::Error },
	#[error("{} has {size} bytes, more than the {max} allowed", path.display())]
	TooLarge { path: PathBuf, size: u64, max: u64 },
	#[error(transparent)]
	Config(#[from] ConfigError),
	#[error(transparent)]
	Gguf(#[from] GgufError),
	#[error("{}: {source}", path.display())]
	TensorFile { path: PathBuf, source: TensorFileError },
	#[error(transparent)]
	Tokenizer(#[from] TokenizerError),
	#[error(transparent)]
	Chat(#[from] ChatError),
	#[error("the model has no tensor `{0}`")]
	MissingTensor(String),
	#[error("the model has a tensor `{0}` that this forward pass would not use")]
	UnexpectedTensor(String),
	#[error(
		"tensor `{name}` has the shape {found:?}, but the configuration asks for {expected:?}"
	)]
	WrongShape { name: String, expected: Vec<usize>, found: Vec<usize> },
	#[error("tensor `{0}` holds a value that is not finite")]
	NonFiniteWeight(String),
	#[error("the shard index names `{0}`, which is not a plain file name of a safetensors file")]
	UnsafeShardName(String),
	#[error("the shard index is not valid: {0}")]
	ShardIndex(serde_json::Error),
	#[error("the shard index names {count} files, more than the {max} allowed")]
	TooManyShards { count: usize, max: usize },
	#[error("{0} is neither `model.safetensors` nor a shard index in the model's directory")]
	NoWeights(PathBuf),
	#[error("the tokenizer has {tokens} tokens, but the model's embedding only {vocab_size} rows")]
	VocabularyMismatch { tokens: usize, vocab_size: usize },
	#[error("cannot start the engine's threads: {0}")]
	Threads(#[from] rayon::ThreadPoolBuildError),
}

/// Why a forward pass was refused or failed.
#[derive(Debug, thiserror::Error)]
pub enum ForwardError {
	#[error("the batch has no tokens")]
	Empty,
	#[error("the batch has {rows} rows, more than the {max} allowed")]
	TooManyRows { rows: usize, max: usize },
	#[error("the batch has {tokens} tokens with padding, more than the {max} allowed")]
	TooManyTokens { tokens: usize, max: usize },
	#[error("token {token} lies outside the vocabulary of {vocab_size}")]
	TokenOutsideVocabulary { token: u32, vocab_size: usize },
	#[error("position {position} lies beyond the context of {max_context} tokens")]
	ContextExceeded { position: usize, max_context: usize },
	#[error("the cache holds {capacity} tokens per row, but {needed} are needed")]
	CacheFull { needed: usize, capacity: usize },
	#[error("rows of different length cannot be written into a cache")]
	RaggedRowsWithCache,
	#[error("the cache was made for {expected} rows of another model or batch, not for {found}")]
	WrongCache { expected: usize, found: usize },
	#[error("the cache lost its contents when an earlier forward pass was interrupted")]
	CacheLost,
	#[error("there is no page {0} in the cache")]
	NoSuchPage(u32),
	#[error("slot {0} holds no adapter")]
	EmptySlot(usize),
	#[error("a cache cannot hold keys and values that require gradients")]
	CacheWithGradients,
	#[error(transparent)]
	Lora(#[from] LoraError),
	#[error("reading a tensor from the device failed: {0}")]
	Device(String),
}

/// Why a generation was refused or failed.
#[derive(Debug, thiserror::Error)]
pub enum GenerateError {
	#[error("the prompt has {tokens} tokens, but the context holds only {max_context}")]
	PromptTooLong { tokens: usize, max_context: usize },
	#[error("the prompt is empty")]
	EmptyPrompt,
	#[error("at least one token must be asked for")]
	NothingAskedFor,
	#[error("{count} stop strings were given, at most {max} are allowed")]
	TooManyStops { count: usize, max: usize },
	#[error("stop strings must have between 1 and {max} bytes")]
	StopLength { max: usize },
	#[error(transparent)]
	Sampling(#[from] SamplingError),
	#[error(transparent)]
	Forward(#[from] ForwardError),
}
