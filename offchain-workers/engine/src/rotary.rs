//! Rotary position embedding (RoPE, arXiv 2104.09864) in the half-split order of transformers:
//! component `i` of a head is rotated together with component `i + head_dim / 2`.

/// Cosines and sines of every position and pair, `[positions, head_dim / 2]` each. The angle of pair `i`
/// at position `p` is `p · θ^(−2i / head_dim)`.
#[derive(Debug)]
pub(crate) struct Rotary {
	cos: Vec<f32>,
	sin: Vec<f32>,
	pairs: usize,
}

impl Rotary {
	/// With `theta` being `θ`.
	pub(crate) fn new(head_dim: usize, theta: f64, positions: usize) -> Self {
		let pairs = head_dim / 2;
		let frequencies: Vec<f64> =
			(0..pairs).map(|i| theta.powf(-2.0 * i as f64 / head_dim as f64)).collect();
		let table = |f: fn(f64) -> f64| {
			(0..positions)
				.flat_map(|p| frequencies.iter().map(move |w| f(p as f64 * w) as f32))
				.collect()
		};
		Self { cos: table(f64::cos), sin: table(f64::sin), pairs }
	}

	/// Cosines and sines of one position.
	pub(crate) fn at(&self, position: usize) -> (&[f32], &[f32]) {
		let range = position * self.pairs..(position + 1) * self.pairs;
		(self.cos.get(range.clone()).unwrap_or_default(), self.sin.get(range).unwrap_or_default())
	}
}
