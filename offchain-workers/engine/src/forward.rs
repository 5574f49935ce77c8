//! The forward pass of a Llama decoder (arXiv 2302.13971, as in transformers' `modeling_llama`).
//!
//! Nothing here checks its input: [`Model::hidden`](crate::Model::hidden) has done so.

use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};

use crate::{
	config::LlamaConfig,
	error::ForwardError,
	kernel::Instructions,
	kv_cache::KvCache,
	lora::{LoraLayer, LoraLinear, LoraWeights, TargetModule},
	operations::{attention::attention, rms_norm::rms_norm, rotate::Rotate, swiglu::swiglu},
	rotary::Rotary,
	weights::{LayerWeights, Projection, Weights},
};

/// Where the tokens of one pass stand.
struct Step {
	rows: usize,
	/// Tokens per row in this pass.
	length: usize,
	rotate: Rotate,
}

/// Everything that stays the same from pass to pass.
pub(crate) struct Decoder<'a> {
	pub config: &'a LlamaConfig,
	pub weights: &'a Weights,
	pub rotary: &'a Arc<Rotary>,
	pub device: &'a Device,
}

impl Decoder<'_> {
	/// Tokens `[rows · length]` to hidden states `[rows · length, hidden]` after the final norm.
	pub(crate) fn hidden(
		&self,
		tokens: &[u32],
		rows: usize,
		mut cache: Option<&mut KvCache>,
		lora: Option<&LoraWeights>,
	) -> Result<Tensor<2>, ForwardError> {
		let length = tokens.len() / rows;
		let rotate = Rotate {
			rotary: self.rotary.clone(),
			head_dim: self.config.head_dim,
			position: cache.as_ref().map_or(0, |cache| cache.len()),
			length,
			instructions: Instructions::detect(),
		};
		let step = Step { rows, length, rotate };
		let hidden = self.config.hidden_size;
		let embedded = self.weights.embed(tokens, hidden);
		let embedded = TensorData::new(embedded, [tokens.len(), hidden]);
		let mut x = Tensor::from_data(embedded, self.device);
		for (index, layer) in self.weights.layers.iter().enumerate() {
			let lora = lora.and_then(|lora| lora.layer(index));
			let normed = self.rms_norm(x.clone(), &layer.attention_norm);
			x = x + self.attention(index, layer, normed, &step, cache.as_deref_mut(), lora)?;
			let normed = self.rms_norm(x.clone(), &layer.feed_forward_norm);
			x = x + feed_forward(layer, normed, lora);
		}
		if let Some(cache) = cache {
			cache.advance(length);
		}
		Ok(self.rms_norm(x, &self.weights.output_norm))
	}

	fn rms_norm(&self, x: Tensor<2>, weight: &Arc<[f32]>) -> Tensor<2> {
		rms_norm(x, weight, self.config.rms_norm_eps)
	}

	fn attention(
		&self,
		index: usize,
		layer: &LayerWeights,
		x: Tensor<2>,
		step: &Step,
		cache: Option<&mut KvCache>,
		lora: Option<&LoraLayer>,
	) -> Result<Tensor<2>, ForwardError> {
		let lora = |target| lora.and_then(|lora| lora.get(target));
		let query = project(&layer.query, x.clone(), lora(TargetModule::QProj));
		let key = project(&layer.key, x.clone(), lora(TargetModule::KProj));
		let value = project(&layer.value, x, lora(TargetModule::VProj));
		let (heads, head_dim) = (self.config.num_key_value_heads, self.config.head_dim);
		let by_head =
			|x: Tensor<2>| x.reshape([step.rows, step.length, heads, head_dim]).swap_dims(1, 2);
		let (keys, values) = (by_head(step.rotate.apply(key)), by_head(value));
		let (keys, values) = match cache {
			Some(cache) => cache.write(index, keys, values)?,
			None => (keys, values),
		};
		let mixed = attention(step.rotate.apply(query), keys, values);
		Ok(project(&layer.attention_output, mixed, lora(TargetModule::OProj)))
	}
}

/// SwiGLU: `down(silu(gate(x)) · up(x))`.
fn feed_forward(layer: &LayerWeights, x: Tensor<2>, lora: Option<&LoraLayer>) -> Tensor<2> {
	let lora = |target| lora.and_then(|lora| lora.get(target));
	let gate = project(&layer.gate, x.clone(), lora(TargetModule::GateProj));
	let up = project(&layer.up, x, lora(TargetModule::UpProj));
	project(&layer.down, swiglu(gate, up), lora(TargetModule::DownProj))
}

fn project(base: &Projection, x: Tensor<2>, lora: Option<&LoraLinear>) -> Tensor<2> {
	let y = base.forward(x.clone());
	match lora {
		Some(lora) => y + lora.delta(x),
		None => y,
	}
}
