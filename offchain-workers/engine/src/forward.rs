//! The forward pass of a Llama decoder (arXiv 2302.13971, as in transformers' `modeling_llama`).
//!
//! Nothing here checks its input: [`Model::hidden`](crate::Model::hidden) has done so.

use burn::tensor::{activation, Bool, Device, Int, Tensor, TensorData};

use crate::{
	config::LlamaConfig,
	error::ForwardError,
	kv_cache::KvCache,
	lora::{LoraLayer, LoraLinear, LoraWeights, TargetModule},
	rotary::{RotaryTable, Rotation},
	weights::{LayerWeights, Projection, Weights},
};

/// Where the tokens of one pass stand.
struct Step {
	rows: usize,
	/// Tokens per row in this pass.
	length: usize,
	rotation: Rotation,
	/// What attention must not see, `[1, 1, group · length, held + length]`; `true` hides. A
	/// single token sees everything.
	mask: Option<Tensor<4, Bool>>,
}

/// Everything that stays the same from pass to pass.
pub(crate) struct Decoder<'a> {
	pub config: &'a LlamaConfig,
	pub weights: &'a Weights,
	pub rotary: &'a RotaryTable,
	pub device: &'a Device,
}

impl Decoder<'_> {
	/// Token ids `[rows · length]` to hidden states `[rows · length, hidden]` after the final
	/// norm.
	pub(crate) fn hidden(
		&self,
		ids: Vec<i64>,
		rows: usize,
		mut cache: Option<&mut KvCache>,
		lora: Option<&LoraWeights>,
	) -> Result<Tensor<2>, ForwardError> {
		let length = ids.len() / rows;
		let held = cache.as_ref().map_or(0, |cache| cache.len());
		let step = Step {
			rows,
			length,
			rotation: self.rotary.at(held, length),
			mask: causal_mask(held, length, self.config.query_group(), self.device),
		};
		let ids = Tensor::<1, Int>::from_data(TensorData::new(ids, [rows * length]), self.device);
		let mut x = self.weights.token_embedding.clone().select(0, ids);
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

	/// `x / √(mean(x²) + ε) · w` over each row.
	fn rms_norm(&self, x: Tensor<2>, weight: &Tensor<1>) -> Tensor<2> {
		let mean_square = x.clone().square().mean_dim(1);
		let scale = mean_square.add_scalar(self.config.rms_norm_eps).sqrt().recip();
		x * scale * weight.clone().unsqueeze()
	}

	/// Grouped-query attention. The queries that share a key head are folded into its query rows,
	/// so that keys and values are never repeated.
	fn attention(
		&self,
		index: usize,
		layer: &LayerWeights,
		x: Tensor<2>,
		step: &Step,
		cache: Option<&mut KvCache>,
		lora: Option<&LoraLayer>,
	) -> Result<Tensor<2>, ForwardError> {
		let config = self.config;
		let (rows, length, head_dim) = (step.rows, step.length, config.head_dim);
		let (heads, key_value_heads) = (config.num_attention_heads, config.num_key_value_heads);
		let [q, k, v] = self.query_key_value(layer, x, lora);
		let by_head =
			|x: Tensor<2>, heads: usize| x.reshape([rows, length, heads, head_dim]).swap_dims(1, 2);
		let q = step.rotation.apply(by_head(q, heads));
		let k = step.rotation.apply(by_head(k, key_value_heads));
		let v = by_head(v, key_value_heads);
		let (k, v) = match cache {
			Some(cache) => cache.write(index, k, v)?,
			None => (k, v),
		};

		let folded = config.query_group() * length;
		let q = q.mul_scalar(1.0 / (head_dim as f64).sqrt()).reshape([
			rows,
			key_value_heads,
			folded,
			head_dim,
		]);
		let mut scores = q.matmul(k.swap_dims(2, 3));
		if let Some(mask) = &step.mask {
			let mask = mask.clone().expand(scores.dims());
			scores = scores.mask_fill(mask, f32::NEG_INFINITY);
		}
		let mixed = activation::softmax(scores, 3)
			.matmul(v)
			.reshape([rows, heads, length, head_dim])
			.swap_dims(1, 2)
			.reshape([rows * length, heads * head_dim]);
		let lora = lora.and_then(|lora| lora.get(TargetModule::OProj));
		Ok(project(&layer.attention_output, mixed, lora))
	}

	/// The only place that knows q, k and v to be packed.
	fn query_key_value(
		&self,
		layer: &LayerWeights,
		x: Tensor<2>,
		lora: Option<&LoraLayer>,
	) -> [Tensor<2>; 3] {
		let (query, key_value) = (self.config.query_size(), self.config.key_value_size());
		let packed = layer.query_key_value.forward(x.clone());
		let part = |start, size, target| {
			let base = packed.clone().narrow(1, start, size);
			add_delta(base, &x, lora.and_then(|lora| lora.get(target)))
		};
		[
			part(0, query, TargetModule::QProj),
			part(query, key_value, TargetModule::KProj),
			part(query + key_value, key_value, TargetModule::VProj),
		]
	}
}

/// SwiGLU: `down(silu(gate(x)) · up(x))`.
fn feed_forward(layer: &LayerWeights, x: Tensor<2>, lora: Option<&LoraLayer>) -> Tensor<2> {
	let lora = |target| lora.and_then(|lora| lora.get(target));
	let gate = project(&layer.gate, x.clone(), lora(TargetModule::GateProj));
	let up = project(&layer.up, x, lora(TargetModule::UpProj));
	project(&layer.down, activation::silu(gate) * up, lora(TargetModule::DownProj))
}

fn project(base: &Projection, x: Tensor<2>, lora: Option<&LoraLinear>) -> Tensor<2> {
	add_delta(base.forward(x.clone()), &x, lora)
}

fn add_delta(y: Tensor<2>, x: &Tensor<2>, lora: Option<&LoraLinear>) -> Tensor<2> {
	match lora {
		Some(lora) => y + lora.delta(x.clone()),
		None => y,
	}
}

/// Hides from each of `length` tokens, which follow `held` ones, those that come after it. The
/// rows repeat for each query of a group.
fn causal_mask(
	held: usize,
	length: usize,
	group: usize,
	device: &Device,
) -> Option<Tensor<4, Bool>> {
	if length == 1 {
		return None;
	}
	let seen = held + length;
	let hidden: Vec<bool> =
		(0..length).flat_map(|row| (0..seen).map(move |column| column > held + row)).collect();
	let mask = Tensor::<2, Bool>::from_data(TensorData::new(hidden, [length, seen]), device);
	Some(mask.repeat(&[group, 1]).unsqueeze::<4>())
}
