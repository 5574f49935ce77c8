//! Rotary position embedding (RoPE, arXiv 2104.09864) in the half-split order of transformers:
//! component `i` of a head is rotated together with component `i + head_dim / 2`.

use burn::tensor::{Device, Tensor, TensorData};

use crate::config::LlamaConfig;

/// Cosines and sines for every position and pair, `[positions, head_dim / 2]`.
#[derive(Debug)]
pub(crate) struct RotaryTable {
	cos: Tensor<2>,
	sin: Tensor<2>,
}

impl RotaryTable {
	pub(crate) fn new(config: &LlamaConfig, positions: usize, device: &Device) -> Self {
		let (cos, sin) = cosines_and_sines(config, positions);
		let table = |values| {
			Tensor::from_data(TensorData::new(values, [positions, config.head_dim / 2]), device)
		};
		Self { cos: table(cos), sin: table(sin) }
	}

	/// The rows for `length` positions from `position` on.
	pub(crate) fn at(&self, position: usize, length: usize) -> Rotation {
		let rows = |table: &Tensor<2>| table.clone().narrow(0, position, length).unsqueeze::<4>();
		Rotation { cos: rows(&self.cos), sin: rows(&self.sin) }
	}
}

/// Cosines and sines of every position and pair, `[positions, head_dim / 2]` each. The angle of pair `i`
/// at position `p` is `p · θ^(−2i / head_dim)`.
pub(crate) fn cosines_and_sines(config: &LlamaConfig, positions: usize) -> (Vec<f32>, Vec<f32>) {
	let frequencies: Vec<f64> = (0..config.head_dim / 2)
		.map(|i| config.rope_theta.powf(-2.0 * i as f64 / config.head_dim as f64))
		.collect();
	let table = |f: fn(f64) -> f64| {
		(0..positions)
			.flat_map(|p| frequencies.iter().map(move |w| f(p as f64 * w) as f32))
			.collect()
	};
	(table(f64::cos), table(f64::sin))
}

/// Rotations of consecutive positions, `[1, 1, length, head_dim / 2]`.
pub(crate) struct Rotation {
	cos: Tensor<4>,
	sin: Tensor<4>,
}

impl Rotation {
	/// Rotates `[batch, heads, length, head_dim]`.
	pub(crate) fn apply(&self, x: Tensor<4>) -> Tensor<4> {
		let half = x.dims()[3] / 2;
		let first = x.clone().narrow(3, 0, half);
		let second = x.narrow(3, half, half);
		let (cos, sin) = (&self.cos, &self.sin);
		Tensor::cat(
			vec![
				first.clone() * cos.clone() - second.clone() * sin.clone(),
				second * cos.clone() + first * sin.clone(),
			],
			3,
		)
	}
}
