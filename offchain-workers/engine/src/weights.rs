//! A model's weights on the device.
//!
//! Files name and order the same tensors differently; a [`WeightSource`] hands them over under
//! one set of names in transformers' convention: matrices `[out, in]`, heads of q and k in
//! half-split order.

use burn::tensor::{Device, Tensor, TensorData};

use crate::{config::LlamaConfig, error::LoadError};

/// In which order projection weights lie in memory. The results are the same up to rounding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
	/// `[in, out]` contiguous: faster prefill and batched decoding.
	Serving,
	/// `[out, in]` contiguous: the backward pass multiplies by the transpose, which then is the
	/// contiguous one.
	Training,
}

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
	/// Row-major values of a tensor whose shape is `shape`; an error when the tensor is missing
	/// or has another shape.
	fn read(&mut self, name: WeightName, shape: &[usize]) -> Result<Vec<f32>, LoadError>;
}

/// `y = xW` with a fixed `W`.
#[derive(Clone, Debug)]
pub struct Projection {
	/// `[in, out]`; a transposed view when the layout is [`Layout::Training`].
	weight: Tensor<2>,
}

impl Projection {
	/// Takes a weight as files hold it, `[out, in]` row-major.
	fn new(values: Vec<f32>, out: usize, input: usize, layout: Layout, device: &Device) -> Self {
		let weight = match layout {
			Layout::Serving => {
				let values = transpose(&values, out, input);
				Tensor::from_data(TensorData::new(values, [input, out]), device)
			},
			Layout::Training => {
				Tensor::<2>::from_data(TensorData::new(values, [out, input]), device).transpose()
			},
		};
		Self { weight }
	}

	/// `[rows, in]` to `[rows, out]`.
	pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
		x.matmul(self.weight.clone())
	}
}

/// One transformer layer.
#[derive(Debug)]
pub(crate) struct LayerWeights {
	/// `[hidden]`.
	pub attention_norm: Tensor<1>,
	/// q, k and v side by side: `[hidden, query + 2 · key_value]`. One multiplication instead of
	/// three.
	pub query_key_value: Projection,
	pub attention_output: Projection,
	/// `[hidden]`.
	pub feed_forward_norm: Tensor<1>,
	/// Apart from `up`: SiLU on half of a packed product is strided and costs twice as much.
	pub gate: Projection,
	pub up: Projection,
	pub down: Projection,
}

/// All weights of a model.
#[derive(Debug)]
pub(crate) struct Weights {
	/// `[vocabulary, hidden]`.
	pub token_embedding: Tensor<2>,
	pub layers: Vec<LayerWeights>,
	/// `[hidden]`.
	pub output_norm: Tensor<1>,
	/// Shares its memory with the embedding when they are tied, whatever the layout: a second
	/// copy would cost more memory than it saves time.
	pub output_head: Projection,
}

impl Weights {
	/// Reads all weights. Memory grows with the tensors actually present: `source` checks each
	/// shape against its file before it hands out values.
	pub(crate) fn load(
		config: &LlamaConfig,
		source: &mut dyn WeightSource,
		layout: Layout,
		device: &Device,
	) -> Result<Self, LoadError> {
		let mut read = |name: WeightName| source.read(name, &name.shape(config));
		let vector = |values: Vec<f32>| {
			let length = values.len();
			Tensor::<1>::from_data(TensorData::new(values, [length]), device)
		};
		let projection =
			|values: Vec<f32>, out, input| Projection::new(values, out, input, layout, device);

		let (hidden, intermediate) = (config.hidden_size, config.intermediate_size);
		let packed = config.query_size() + 2 * config.key_value_size();
		let mut layers = Vec::new();
		for index in 0..config.num_hidden_layers {
			let mut read = |weight| read(WeightName::Layer(index, weight));
			let mut query_key_value = read(LayerWeight::Query)?;
			query_key_value.extend(read(LayerWeight::Key)?);
			query_key_value.extend(read(LayerWeight::Value)?);
			layers.push(LayerWeights {
				attention_norm: vector(read(LayerWeight::AttentionNorm)?),
				query_key_value: projection(query_key_value, packed, hidden),
				attention_output: projection(
					read(LayerWeight::AttentionOutput)?,
					hidden,
					config.query_size(),
				),
				feed_forward_norm: vector(read(LayerWeight::FeedForwardNorm)?),
				gate: projection(read(LayerWeight::Gate)?, intermediate, hidden),
				up: projection(read(LayerWeight::Up)?, intermediate, hidden),
				down: projection(read(LayerWeight::Down)?, hidden, intermediate),
			});
		}
		let token_embedding = Tensor::<2>::from_data(
			TensorData::new(read(WeightName::TokenEmbedding)?, [config.vocab_size, hidden]),
			device,
		);
		let output_head = if config.tie_word_embeddings {
			Projection { weight: token_embedding.clone().transpose() }
		} else {
			projection(read(WeightName::OutputHead)?, config.vocab_size, hidden)
		};
		let output_norm = vector(read(WeightName::OutputNorm)?);
		Ok(Self { token_embedding, layers, output_norm, output_head })
	}
}

/// Transposes a row-major matrix in tiles, so that both sides stay in the cache.
pub(crate) fn transpose(values: &[f32], rows: usize, columns: usize) -> Vec<f32> {
	let mut out = vec![0.0; values.len()];
	transpose_into(values, rows, columns, &mut out, rows);
	out
}

/// The same, where each row of the result begins `stride` values after the one before.
pub(crate) fn transpose_into(
	values: &[f32],
	rows: usize,
	columns: usize,
	out: &mut [f32],
	stride: usize,
) {
	const TILE: usize = 32;
	for row_tile in (0..rows).step_by(TILE) {
		for column_tile in (0..columns).step_by(TILE) {
			for row in row_tile..rows.min(row_tile + TILE) {
				for column in column_tile..columns.min(column_tile + TILE) {
					out[column * stride + row] = values[row * columns + column];
				}
			}
		}
	}
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn transpose_should_swap_rows_and_columns_across_tiles() {
		let (rows, columns) = (37, 70);
		let values: Vec<f32> = (0..rows * columns).map(|i| i as f32).collect();
		let out = transpose(&values, rows, columns);
		for row in 0..rows {
			for column in 0..columns {
				assert_eq!(out[column * rows + row], values[row * columns + column]);
			}
		}
	}
}
