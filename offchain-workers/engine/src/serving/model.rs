//! A base model as the serving path multiplies with it.

use std::path::Path;

use crate::{
	chat::ChatTemplate,
	config::LlamaConfig,
	error::LoadError,
	kernel::{Instructions, PackedMatrix},
	model::DEFAULT_MAX_CONTEXT,
	opened::OpenedModel,
	quantization::Numbers,
	rotary::Rotary,
	tokenizer::Tokenizer,
	weights::{LayerWeight, WeightName, WeightSource},
};

pub use crate::kernel::matrix::Precision;

/// How to load a model for serving.
#[derive(Clone, Copy, Debug)]
pub struct ServingOptions {
	pub precision: Precision,
	/// Longest sequence served, tokens; never more than the model or
	/// [`MAX_CONTEXT`](crate::model::MAX_CONTEXT) allows.
	pub max_context: usize,
}

impl Default for ServingOptions {
	fn default() -> Self {
		Self { precision: Precision::default(), max_context: DEFAULT_MAX_CONTEXT }
	}
}

/// A model with its tokenizer and chat template, its weights packed.
#[derive(Debug)]
pub struct ServingModel {
	config: LlamaConfig,
	precision: Precision,
	max_context: usize,
	tokenizer: Tokenizer,
	chat: Option<ChatTemplate>,
	pub(crate) instructions: Instructions,
	pub(crate) weights: PackedWeights,
	pub(crate) rotary: Rotary,
}

/// All weights of a model.
#[derive(Debug)]
pub(crate) struct PackedWeights {
	/// `[vocabulary, hidden]` when the output head is another matrix; else the head's columns.
	token_embedding: Option<Vec<f32>>,
	pub(crate) layers: Vec<PackedLayer>,
	pub(crate) output_norm: Vec<f32>,
	pub(crate) output_head: PackedMatrix,
}

/// One transformer layer.
#[derive(Debug)]
pub(crate) struct PackedLayer {
	pub(crate) attention_norm: Vec<f32>,
	/// q, k and v side by side.
	pub(crate) query_key_value: PackedMatrix,
	pub(crate) attention_output: PackedMatrix,
	pub(crate) feed_forward_norm: Vec<f32>,
	pub(crate) gate: PackedMatrix,
	pub(crate) up: PackedMatrix,
	pub(crate) down: PackedMatrix,
}

impl ServingModel {
	/// Loads a GGUF file of the `llama` architecture.
	pub fn from_gguf(path: impl AsRef<Path>, options: ServingOptions) -> Result<Self, LoadError> {
		Self::assemble(OpenedModel::gguf(path.as_ref())?, options)
	}

	/// Loads a Hugging Face directory, as [`Model::from_huggingface`](crate::Model::from_huggingface).
	pub fn from_huggingface(
		directory: impl AsRef<Path>,
		options: ServingOptions,
	) -> Result<Self, LoadError> {
		Self::assemble(OpenedModel::huggingface(directory.as_ref())?, options)
	}

	fn assemble(opened: OpenedModel, options: ServingOptions) -> Result<Self, LoadError> {
		let max_context = opened.max_context(options.max_context);
		let OpenedModel { config, tokenizer, chat, mut source } = opened;
		let weights = PackedWeights::load(&config, &mut *source, options.precision)?;
		let rotary = Rotary::new(config.head_dim, config.rope_theta, max_context);
		Ok(Self {
			config,
			precision: options.precision,
			max_context,
			tokenizer,
			chat,
			instructions: Instructions::detect(),
			weights,
			rotary,
		})
	}

	pub fn config(&self) -> &LlamaConfig {
		&self.config
	}

	pub fn precision(&self) -> Precision {
		self.precision
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

	/// Bytes of all weights in memory.
	pub fn bytes(&self) -> usize {
		self.weights.bytes()
	}
}

impl PackedWeights {
	fn load(
		config: &LlamaConfig,
		source: &mut dyn WeightSource,
		precision: Precision,
	) -> Result<Self, LoadError> {
		let mut read = |name: WeightName| source.read(name, &name.shape(config));
		let pack =
			|numbers: Numbers, output, input| PackedMatrix::pack(numbers, output, input, precision);
		let (hidden, intermediate) = (config.hidden_size, config.intermediate_size);
		let packed = config.query_size() + 2 * config.key_value_size();
		let mut layers = Vec::new();
		for index in 0..config.num_hidden_layers {
			let mut read = |weight| read(WeightName::Layer(index, weight));
			let query_key_value = read(LayerWeight::Query)?
				.followed_by(read(LayerWeight::Key)?)
				.followed_by(read(LayerWeight::Value)?);
			layers.push(PackedLayer {
				attention_norm: read(LayerWeight::AttentionNorm)?.into_values(),
				query_key_value: pack(query_key_value, packed, hidden),
				attention_output: pack(
					read(LayerWeight::AttentionOutput)?,
					hidden,
					config.query_size(),
				),
				feed_forward_norm: read(LayerWeight::FeedForwardNorm)?.into_values(),
				gate: pack(read(LayerWeight::Gate)?, intermediate, hidden),
				up: pack(read(LayerWeight::Up)?, intermediate, hidden),
				down: pack(read(LayerWeight::Down)?, hidden, intermediate),
			});
		}
		let embedding = read(WeightName::TokenEmbedding)?;
		let output_norm = read(WeightName::OutputNorm)?.into_values();
		let (token_embedding, head) = if config.tie_word_embeddings {
			(None, embedding)
		} else {
			(Some(embedding.into_values()), read(WeightName::OutputHead)?)
		};
		let output_head = pack(head, config.vocab_size, hidden);
		Ok(Self { token_embedding, layers, output_norm, output_head })
	}

	/// Copies the embedding of a token.
	pub(crate) fn embed(&self, token: u32, out: &mut [f32]) {
		let token = token as usize;
		match &self.token_embedding {
			Some(table) => {
				let width = out.len();
				let row = table.get(token * width..(token + 1) * width).unwrap_or_default();
				out.iter_mut().zip(row).for_each(|(out, number)| *out = *number);
			},
			None => self.output_head.copy_column(token, out),
		}
	}

	fn bytes(&self) -> usize {
		let layers = self.layers.iter().map(|layer| {
			let vectors =
				size_of_val(&layer.attention_norm[..]) + size_of_val(&layer.feed_forward_norm[..]);
			let matrices = [
				&layer.query_key_value,
				&layer.attention_output,
				&layer.gate,
				&layer.up,
				&layer.down,
			];
			vectors + matrices.map(PackedMatrix::bytes).iter().sum::<usize>()
		});
		layers.sum::<usize>()
			+ self.token_embedding.as_deref().map_or(0, size_of_val)
			+ size_of_val(&self.output_norm[..])
			+ self.output_head.bytes()
	}
}
