//! A loaded model: the handle that everything else goes through.

use std::{num::NonZero, path::Path, sync::Arc, thread};

use burn::tensor::{Device, Tensor};
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::{
	chat::ChatTemplate,
	config::LlamaConfig,
	error::{ForwardError, LoadError},
	forward::Decoder,
	kv_cache::KvCache,
	lora::LoraWeights,
	opened::OpenedModel,
	rotary::Rotary,
	tokenizer::Tokenizer,
	weights::Weights,
};

/// Rows of one batch.
pub const MAX_BATCH_ROWS: usize = 1_024;
/// Tokens of one batch, padding included: activations grow with it.
pub const MAX_BATCH_TOKENS: usize = 65_536;
/// Context used unless [`LoadOptions`] says otherwise; memory of a cache grows with it.
pub const DEFAULT_MAX_CONTEXT: usize = 8_192;
/// Longest context that [`LoadOptions`] may ask for.
pub const MAX_CONTEXT: usize = 131_072;

/// How to load a model.
#[derive(Clone, Debug)]
pub struct LoadOptions {
	/// Threads of the engine's pool; all cores when zero.
	pub threads: usize,
	/// Longest sequence served, tokens; never more than the model or [`MAX_CONTEXT`] allows.
	pub max_context: usize,
}

impl Default for LoadOptions {
	fn default() -> Self {
		Self { threads: 0, max_context: DEFAULT_MAX_CONTEXT }
	}
}

/// A model with its tokenizer, chat template and threads.
#[derive(Debug)]
pub struct Model {
	config: LlamaConfig,
	weights: Weights,
	rotary: Arc<Rotary>,
	max_context: usize,
	device: Device,
	tokenizer: Tokenizer,
	chat: Option<ChatTemplate>,
	pool: ThreadPool,
}

impl Model {
	/// Loads a GGUF file of the `llama` architecture.
	pub fn from_gguf(path: impl AsRef<Path>, options: LoadOptions) -> Result<Self, LoadError> {
		Self::assemble(OpenedModel::gguf(path.as_ref())?, options)
	}

	/// Loads a Hugging Face directory: `config.json`, `model.safetensors` or its shards with
	/// `model.safetensors.index.json`, `tokenizer.json`, `tokenizer_config.json`.
	pub fn from_huggingface(
		directory: impl AsRef<Path>,
		options: LoadOptions,
	) -> Result<Self, LoadError> {
		Self::assemble(OpenedModel::huggingface(directory.as_ref())?, options)
	}

	fn assemble(opened: OpenedModel, options: LoadOptions) -> Result<Self, LoadError> {
		let max_context = opened.max_context(options.max_context);
		let OpenedModel { config, tokenizer, chat, mut source } = opened;
		let cores = thread::available_parallelism().map_or(1, NonZero::get);
		let threads = if options.threads == 0 { cores } else { options.threads.min(cores) };
		let pool = ThreadPoolBuilder::new()
			.num_threads(threads)
			.thread_name(|index| format!("engine-{index}"))
			.build()?;
		let device = Device::flex();
		let weights = Weights::load(&config, &mut *source)?;
		let rotary = Arc::new(Rotary::new(config.head_dim, config.rope_theta, max_context));
		Ok(Self { config, weights, rotary, max_context, device, tokenizer, chat, pool })
	}

	pub fn config(&self) -> &LlamaConfig {
		&self.config
	}

	/// Where the weights are. For training put LoRA leaves on `device().clone().autodiff()`.
	pub fn device(&self) -> &Device {
		&self.device
	}

	pub fn tokenizer(&self) -> &Tokenizer {
		&self.tokenizer
	}

	/// The chat template, if the model comes with one.
	pub fn chat(&self) -> Option<&ChatTemplate> {
		self.chat.as_ref()
	}

	/// Longest sequence served, tokens.
	pub fn max_context(&self) -> usize {
		self.max_context
	}

	/// Runs `work` on the engine's threads. The methods here do so themselves; a caller with many
	/// steps of its own (a training step) wraps them all, because each parallel operation from
	/// another thread costs a hand-over.
	pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
		self.pool.install(work)
	}

	/// Runs the decoder over a batch of sequences. Returns the hidden states after the final
	/// norm, `[rows · longest, hidden]`, row after row.
	///
	/// Rows shorter than the longest are padded on their right; what stands in the result for
	/// padding means nothing, and no other position sees it. With a `cache`, which must have been
	/// made for as many rows, the tokens continue those it holds, rows must have equal length,
	/// and the result covers the new tokens only. Without one, sequences begin at position 0.
	///
	/// LoRA weights that take part in autodiff give a result that does; they exclude a cache.
	///
	/// # Errors
	/// Empty or oversized batches, tokens outside the vocabulary, positions beyond the context or
	/// the cache, weights or a cache of another model.
	pub fn hidden<R: AsRef<[u32]>>(
		&self,
		tokens: &[R],
		cache: Option<&mut KvCache>,
		lora: Option<&LoraWeights>,
	) -> Result<Tensor<2>, ForwardError> {
		let rows = tokens.len();
		let longest = tokens.iter().map(|row| row.as_ref().len()).max().unwrap_or(0);
		let shortest = tokens.iter().map(|row| row.as_ref().len()).min().unwrap_or(0);
		if shortest == 0 {
			return Err(ForwardError::Empty);
		}
		if rows > MAX_BATCH_ROWS {
			return Err(ForwardError::TooManyRows { rows, max: MAX_BATCH_ROWS });
		}
		let held = cache.as_ref().map_or(0, |cache| cache.len());
		if held + longest > self.max_context {
			return Err(ForwardError::ContextExceeded {
				position: held + longest - 1,
				max_context: self.max_context,
			});
		}
		if rows * longest > MAX_BATCH_TOKENS {
			return Err(ForwardError::TooManyTokens {
				tokens: rows * longest,
				max: MAX_BATCH_TOKENS,
			});
		}
		if let Some(lora) = lora {
			lora.check(&self.config)?;
		}
		if let Some(cache) = &cache {
			if longest != shortest {
				return Err(ForwardError::RaggedRowsWithCache);
			}
			if lora.is_some_and(LoraWeights::is_autodiff) {
				return Err(ForwardError::CacheWithGradients);
			}
			cache.check(self, rows, longest)?;
		}
		const PADDING: u32 = 0;
		let mut ids = Vec::with_capacity(rows * longest);
		for row in tokens {
			let start = ids.len();
			for &token in row.as_ref() {
				if token as usize >= self.config.vocab_size {
					return Err(ForwardError::TokenOutsideVocabulary {
						token,
						vocab_size: self.config.vocab_size,
					});
				}
				ids.push(token);
			}
			ids.resize(start + longest, PADDING);
		}
		let decoder = Decoder {
			config: &self.config,
			weights: &self.weights,
			rotary: &self.rotary,
			device: &self.device,
		};
		self.run(|| decoder.hidden(&ids, rows, cache, lora))
	}

	/// Hidden states `[rows, hidden]` to logits `[rows, vocabulary]`. Callers choose few rows: a
	/// row takes four bytes per vocabulary entry.
	pub fn logits(&self, hidden: Tensor<2>) -> Tensor<2> {
		self.run(|| self.weights.output_head.forward(hidden))
	}
}
