//! A model's weights, packed.
//!
//! Files name and order the same tensors differently; a [`WeightSource`] hands them over under
//! one set of names in transformers' convention: matrices `[out, in]`, heads of q and k in
//! half-split order.

use std::sync::Arc;

use burn::tensor::Tensor;

use crate::{
	config::LlamaConfig, error::LoadError, kernel::matrix::F32Panels,
	operations::frozen_linear::frozen_linear, quantization::Numbers,
};

/// A tensor's role in a Llama model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WeightName {
	TokenEmbedding,
	OutputNorm,
	OutputHead,
	Layer(usize, LayerWeight),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LayerWeight {
	AttentionNorm,
	Query,
	Key,
	Value,
	AttentionOutput,
	FeedForwardNorm,
	Gate,
	Up,
	Down,
}

impl LayerWeight {
	pub(crate) const ALL: [Self; 9] = [
		Self::AttentionNorm,
		Self::Query,
		Self::Key,
		Self::Value,
		Self::AttentionOutput,
		Self::FeedForwardNorm,
		Self::Gate,
		Self::Up,
		Self::Down,
	];
}

impl WeightName {
	/// Every tensor that a model with this configuration has.
	pub(crate) fn all(config: &LlamaConfig) -> impl Iterator<Item = Self> {
		let head = (!config.tie_word_embeddings).then_some(Self::OutputHead);
		let layers = (0..config.num_hidden_layers)
			.flat_map(|layer| LayerWeight::ALL.map(|weight| Self::Layer(layer, weight)));
		[Self::TokenEmbedding, Self::OutputNorm].into_iter().chain(head).chain(layers)
	}

	/// The shape in transformers' convention: `[out, in]`, or `[hidden]` for norms.
	pub(crate) fn shape(self, config: &LlamaConfig) -> Vec<usize> {
		let (hidden, intermediate) = (config.hidden_size, config.intermediate_size);
		match self {
			Self::TokenEmbedding | Self::OutputHead => vec![config.vocab_size, hidden],
			Self::OutputNorm => vec![hidden],
			Self::Layer(_, weight) => match weight {
				LayerWeight::AttentionNorm | LayerWeight::FeedForwardNorm => vec![hidden],
				LayerWeight::Query => vec![config.query_size(), hidden],
				LayerWeight::Key | LayerWeight::Value => vec![config.key_value_size(), hidden],
				LayerWeight::AttentionOutput => vec![hidden, config.query_size()],
				LayerWeight::Gate | LayerWeight::Up => vec![intermediate, hidden],
				LayerWeight::Down => vec![hidden, intermediate],
			},
		}
	}
}

/// Hands over a model's tensors.
pub(crate) trait WeightSource {
	/// The numbers of a tensor whose shape is `shape`; an error when the tensor is missing
	/// or has another shape.
	fn read(&mut self, name: WeightName, shape: &[usize]) -> Result<Numbers, LoadError>;
}

/// `y = xW` with a fixed `W`.
#[derive(Clone, Debug)]
pub struct Projection {
	matrix: Arc<F32Panels>,
}

impl Projection {
	/// Takes a weight as files hold it, `[out, in]` row-major.
	fn new(values: &[f32], out: usize, input: usize) -> Self {
		Self { matrix: Arc::new(F32Panels::pack(values, out, input)) }
	}

	/// `[rows, in]` to `[rows, out]`.
	pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
		frozen_linear(x, self.matrix.clone())
	}
}

/// One transformer layer.
#[derive(Debug)]
pub(crate) struct LayerWeights {
	/// `[hidden]`.
	pub attention_norm: Arc<[f32]>,
	pub query: Projection,
	pub key: Projection,
	pub value: Projection,
	pub attention_output: Projection,
	/// `[hidden]`.
	pub feed_forward_norm: Arc<[f32]>,
	pub gate: Projection,
	pub up: Projection,
	pub down: Projection,
}

/// All weights of a model.
#[derive(Debug)]
pub(crate) struct Weights {
	/// `[vocabulary, hidden]` when the output head is another matrix; else the head's columns.
	token_embedding: Option<Vec<f32>>,
	pub layers: Vec<LayerWeights>,
	/// `[hidden]`.
	pub output_norm: Arc<[f32]>,
	pub output_head: Projection,
}

impl Weights {
	/// Reads all weights. Memory grows with the tensors actually present: `source` checks each
	/// shape against its file before it hands out values.
	pub(crate) fn load(
		config: &LlamaConfig,
		source: &mut dyn WeightSource,
	) -> Result<Self, LoadError> {
		let mut read = |name: WeightName| -> Result<Vec<f32>, LoadError> {
			Ok(source.read(name, &name.shape(config))?.into_values())
		};
		let (hidden, intermediate) = (config.hidden_size, config.intermediate_size);
		let (query, key_value) = (config.query_size(), config.key_value_size());
		let mut layers = Vec::new();
		for index in 0..config.num_hidden_layers {
			let mut read = |weight| read(WeightName::Layer(index, weight));
			let attention_norm = read(LayerWeight::AttentionNorm)?.into();
			let feed_forward_norm = read(LayerWeight::FeedForwardNorm)?.into();
			let mut projection = |weight, out, input| {
				read(weight).map(|values| Projection::new(&values, out, input))
			};
			layers.push(LayerWeights {
				attention_norm,
				query: projection(LayerWeight::Query, query, hidden)?,
				key: projection(LayerWeight::Key, key_value, hidden)?,
				value: projection(LayerWeight::Value, key_value, hidden)?,
				attention_output: projection(LayerWeight::AttentionOutput, hidden, query)?,
				feed_forward_norm,
				gate: projection(LayerWeight::Gate, intermediate, hidden)?,
				up: projection(LayerWeight::Up, intermediate, hidden)?,
				down: projection(LayerWeight::Down, hidden, intermediate)?,
			});
		}
		let embedding = read(WeightName::TokenEmbedding)?;
		let (token_embedding, head) = if config.tie_word_embeddings {
			(None, embedding)
		} else {
			(Some(embedding), read(WeightName::OutputHead)?)
		};
		let output_norm = read(WeightName::OutputNorm)?.into();
		let output_head = Projection::new(&head, config.vocab_size, hidden);
		Ok(Self { token_embedding, layers, output_norm, output_head })
	}

	/// The embeddings of some tokens, `[tokens, hidden]` with `hidden` numbers in a row.
	pub(crate) fn embed(&self, tokens: &[u32], hidden: usize) -> Vec<f32> {
		let mut out = vec![0.0; tokens.len() * hidden];
		for (token, out) in tokens.iter().zip(out.chunks_mut(hidden)) {
			let token = *token as usize;
			match &self.token_embedding {
				Some(table) => {
					let row = table.iter().skip(token * hidden);
					out.iter_mut().zip(row).for_each(|(out, number)| *out = *number);
				},
				None => self.output_head.matrix.copy_column(token, out),
			}
		}
		out
	}
}
