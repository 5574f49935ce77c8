//! The one source of randomness in training: named streams of words that a seed decides.
//!
//! A stream is SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators",
//! 2014). Its starting state is the first eight bytes (little endian) of
//! `Blake2b-256("openledger/trainer/1/" ++ purpose ++ 0x00 ++ seed as u64 LE ++ index as u64 LE)`.
//! Streams of different purpose, seed or index have nothing to do with each other, so that what
//! one consumer draws never shifts what another one sees. That is what makes the data order
//! independent of the batch size and a resumed run equal to an uninterrupted one.
//! `tests/golden/make.py` has the same in Python.

use blake2b_simd::{Params, State};

/// Bytes of a hash.
const HASH_BYTES: usize = 32;

/// Blake2b with 32 bytes of output, in the making.
pub(crate) struct Blake2b256(State);

impl Blake2b256 {
	pub(crate) fn new() -> Self {
		Self(Params::new().hash_length(HASH_BYTES).to_state())
	}

	pub(crate) fn update(&mut self, bytes: impl AsRef<[u8]>) {
		self.0.update(bytes.as_ref());
	}

	pub(crate) fn finish(&self) -> [u8; HASH_BYTES] {
		let mut hash = [0; HASH_BYTES];
		hash.copy_from_slice(self.0.finalize().as_bytes());
		hash
	}

	/// The hash of `bytes`.
	pub(crate) fn hash(bytes: impl AsRef<[u8]>) -> [u8; HASH_BYTES] {
		let mut hash = Self::new();
		hash.update(bytes);
		hash.finish()
	}
}

/// 2^64 divided by the golden ratio: SplitMix64's step.
const GOLDEN_GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

/// What a stream is drawn for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
	/// The order of the examples; `index` is the epoch.
	DataOrder,
	/// The initial values of a LoRA `A` matrix; `index` is its place in the adapter.
	LoraInit,
}

impl Purpose {
	const fn name(self) -> &'static str {
		match self {
			Self::DataOrder => "data-order",
			Self::LoraInit => "lora-init",
		}
	}
}

/// A stream of random words, see the module.
#[derive(Clone, Debug)]
pub struct Stream {
	state: u64,
}

impl Stream {
	/// The stream of this purpose, seed and index, at its beginning.
	pub fn new(purpose: Purpose, seed: u64, index: u64) -> Self {
		let mut hash = Blake2b256::new();
		hash.update(b"openledger/trainer/1/");
		hash.update(purpose.name());
		hash.update([0]);
		hash.update(seed.to_le_bytes());
		hash.update(index.to_le_bytes());
		let [a, b, c, d, e, f, g, h, ..] = hash.finish();
		Self { state: u64::from_le_bytes([a, b, c, d, e, f, g, h]) }
	}

	/// The next 64 bits.
	pub fn next_word(&mut self) -> u64 {
		self.state = self.state.wrapping_add(GOLDEN_GAMMA);
		let mut z = self.state;
		z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
		z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
		z ^ (z >> 31)
	}

	/// A number in `0..bound`, each as likely as any other. Zero when `bound` is zero.
	///
	/// Lemire's multiplication method with rejection (arXiv:1805.10941).
	pub fn below(&mut self, bound: u64) -> u64 {
		if bound == 0 {
			return 0;
		}
		let rejected_below = bound.wrapping_neg() % bound;
		loop {
			let product = u128::from(self.next_word()) * u128::from(bound);
			if product as u64 >= rejected_below {
				return (product >> 64) as u64;
			}
		}
	}

	/// A number in `[-bound, bound)`, from the upper 24 bits of a word (exact in f32).
	pub fn symmetric(&mut self, bound: f32) -> f32 {
		let unit = (self.next_word() >> 40) as f32 / (1u32 << 24) as f32;
		(2.0 * unit - 1.0) * bound
	}

	/// Puts `items` into an order of which each is equally likely (Fisher–Yates, from the end).
	pub fn shuffle<T>(&mut self, items: &mut [T]) {
		for last in (1..items.len()).rev() {
			let chosen = self.below(last as u64 + 1) as usize;
			items.swap(last, chosen);
		}
	}
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn stream_should_be_the_documented_one() {
		// Values printed by the Python of tests/golden/make.py.
		let mut order = Stream::new(Purpose::DataOrder, 7, 0);
		assert_eq!(
			[order.next_word(), order.next_word(), order.next_word()],
			[STREAM_7_0[0], STREAM_7_0[1], STREAM_7_0[2]]
		);
		let mut items: Vec<u32> = (0..10).collect();
		Stream::new(Purpose::DataOrder, 7, 1).shuffle(&mut items);
		assert_eq!(items, SHUFFLED_7_1);
	}

	const STREAM_7_0: [u64; 3] =
		[0x036e_7a42_0a3a_12d0, 0xaf4f_8148_93c7_eaac, 0xc515_828d_3c4f_8fac];
	const SHUFFLED_7_1: [u32; 10] = [4, 0, 9, 6, 7, 3, 8, 1, 5, 2];

	#[test]
	fn below_should_stay_below_and_reach_every_value() {
		let mut stream = Stream::new(Purpose::DataOrder, 1, 2);
		let mut seen = [0u32; 7];
		for _ in 0..7_000 {
			seen[stream.below(7) as usize] += 1;
		}
		assert!(seen.iter().all(|&count| (850..1150).contains(&count)), "{seen:?}");
		assert_eq!(stream.below(0), 0);
		assert_eq!(stream.below(1), 0);
	}

	#[test]
	fn symmetric_should_fill_its_interval() {
		let mut stream = Stream::new(Purpose::LoraInit, 1, 2);
		let drawn: Vec<f32> = (0..10_000).map(|_| stream.symmetric(0.5)).collect();
		assert!(drawn.iter().all(|x| (-0.5..0.5).contains(x)));
		let mean = drawn.iter().sum::<f32>() / drawn.len() as f32;
		assert!(mean.abs() < 0.01, "{mean}");
	}
}
