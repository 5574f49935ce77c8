//! Number formats of GGUF tensors, turned into `f32`.
//!
//! Block formats follow ggml's `ggml-quants.c`: 32 values share a scale `d` (and in `Q4_1` a
//! minimum `m`), both stored as f16. The low nibbles of a 4-bit block are its first 16 values, the
//! high nibbles its last 16. All of them are read as one kind of [`Block`], which can also be multiplied
//! with as it is.

use half::{bf16, f16};

/// Values in one block of a quantised format.
pub const BLOCK: usize = 32;

/// A tensor's number format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NumberFormat {
	F32,
	F16,
	Bf16,
	/// `d · (q − 8)`, 4 bits each.
	Q4_0,
	/// `d · q + m`, 4 bits each.
	Q4_1,
	/// `d · q`, 8 bits each, signed.
	Q8_0,
}

impl NumberFormat {
	/// The format with this `ggml_type` number, when it is supported.
	pub fn from_ggml(id: u32) -> Option<Self> {
		Some(match id {
			0 => Self::F32,
			1 => Self::F16,
			2 => Self::Q4_0,
			3 => Self::Q4_1,
			8 => Self::Q8_0,
			30 => Self::Bf16,
			_ => return None,
		})
	}

	/// Values and bytes of the smallest unit that can be stored.
	pub fn block(self) -> (usize, usize) {
		match self {
			Self::F32 => (1, 4),
			Self::F16 | Self::Bf16 => (1, 2),
			Self::Q4_0 => (BLOCK, 18),
			Self::Q4_1 => (BLOCK, 20),
			Self::Q8_0 => (BLOCK, 34),
		}
	}

	/// What the stored bytes say. Bytes beyond the last whole block are ignored: callers pass exactly
	/// [`byte_length`](Self::byte_length) bytes.
	pub fn decode(self, bytes: &[u8]) -> Numbers {
		let blocks = |bits, blocks| Numbers::Blocks { bits, blocks };
		match self {
			Self::F32 => Numbers::Plain(units(bytes, |four| f32::from_le_bytes(*four))),
			Self::F16 => Numbers::Plain(units(bytes, half)),
			Self::Bf16 => Numbers::Plain(units(bytes, |two| bf16::from_le_bytes(*two).to_f32())),
			Self::Q4_0 => blocks(
				4,
				units::<18, _>(bytes, |[d0, d1, quants @ ..]| {
					let scale = half(&[*d0, *d1]);
					Block { scale, minimum: -8.0 * scale, quants: nibbles(quants) }
				}),
			),
			Self::Q4_1 => blocks(
				4,
				units::<20, _>(bytes, |[d0, d1, m0, m1, quants @ ..]| Block {
					scale: half(&[*d0, *d1]),
					minimum: half(&[*m0, *m1]),
					quants: nibbles(quants),
				}),
			),
			Self::Q8_0 => blocks(
				8,
				units::<34, _>(bytes, |[d0, d1, quants @ ..]| {
					let scale = half(&[*d0, *d1]);
					// From −128..=127 to 0..=255.
					let quants = quants.map(|quant| quant ^ 0x80);
					Block { scale, minimum: -128.0 * scale, quants }
				}),
			),
		}
	}

	/// Bytes that `values` values take, when they fill whole blocks and the count fits.
	pub fn byte_length(self, values: u64) -> Option<u64> {
		let (per_block, size) = self.block();
		let blocks = values.checked_div(per_block as u64)?;
		values.is_multiple_of(per_block as u64).then(|| blocks.checked_mul(size as u64))?
	}
}

/// 32 numbers `scale · quant + minimum`. The scale is of f16's precision and quants have 8 bits at most, so
/// that the product is exact in f32 and the sum is rounded once, however it is computed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Block {
	pub scale: f32,
	pub minimum: f32,
	pub quants: [u8; BLOCK],
}

impl Block {
	/// The numbers themselves.
	pub fn values(&self) -> [f32; BLOCK] {
		self.quants.map(|quant| self.scale * f32::from(quant) + self.minimum)
	}
}

/// A tensor's numbers, row-major.
#[derive(Clone, Debug, PartialEq)]
pub enum Numbers {
	Plain(Vec<f32>),
	/// Blocks along the rows; quants are below 2^`bits`.
	Blocks {
		bits: u32,
		blocks: Vec<Block>,
	},
}

impl Numbers {
	/// Each number for itself.
	pub fn into_values(self) -> Vec<f32> {
		match self {
			Self::Plain(values) => values,
			Self::Blocks { blocks, .. } => blocks.iter().flat_map(Block::values).collect(),
		}
	}

	/// Whether there is no infinity, and nothing that is not a number.
	pub fn are_finite(&self) -> bool {
		match self {
			Self::Plain(values) => values.iter().all(|value| value.is_finite()),
			// f16 is so much narrower that nothing finite gives an infinity in f32.
			Self::Blocks { blocks, .. } => {
				blocks.iter().all(|block| block.scale.is_finite() && block.minimum.is_finite())
			},
		}
	}

	/// The numbers followed by `more`: in blocks if both are in blocks of the same kind.
	#[must_use]
	pub fn followed_by(self, more: Self) -> Self {
		match (self, more) {
			(Self::Blocks { bits, mut blocks }, Self::Blocks { bits: same, blocks: more })
				if bits == same =>
			{
				blocks.extend(more);
				Self::Blocks { bits, blocks }
			},
			(numbers, more) => {
				let mut values = numbers.into_values();
				values.extend(more.into_values());
				Self::Plain(values)
			},
		}
	}
}

fn half(bytes: &[u8; 2]) -> f32 {
	f16::from_le_bytes(*bytes).to_f32()
}

fn nibbles(bytes: &[u8; BLOCK / 2]) -> [u8; BLOCK] {
	let mut quants = [0; BLOCK];
	let (low, high) = quants.split_at_mut(BLOCK / 2);
	for ((low, high), byte) in low.iter_mut().zip(high).zip(bytes) {
		(*low, *high) = (byte & 15, byte >> 4);
	}
	quants
}

fn units<const N: usize, T>(bytes: &[u8], each: impl FnMut(&[u8; N]) -> T) -> Vec<T> {
	bytes.as_chunks::<N>().0.iter().map(each).collect()
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn byte_length_should_ask_for_whole_blocks() {
		assert_eq!(NumberFormat::Q4_1.byte_length(64), Some(40));
		assert_eq!(NumberFormat::Q4_1.byte_length(33), None);
		assert_eq!(NumberFormat::F32.byte_length(u64::MAX), None);
	}

	#[test]
	fn decode_should_follow_the_block_layouts() {
		let values = |format: NumberFormat, bytes: &[u8]| format.decode(bytes).into_values();
		let half = |x: f32| f16::from_f32(x).to_le_bytes();
		let nibbles: Vec<u8> = (0..16).map(|i| i | ((15 - i) << 4)).collect();

		let mut q4_0 = half(0.5).to_vec();
		q4_0.extend(&nibbles);
		let found = values(NumberFormat::Q4_0, &q4_0);
		assert_eq!((found.len(), found[0], found[15], found[16]), (32, -4.0, 3.5, 3.5));

		let mut q4_1 = half(2.0).to_vec();
		q4_1.extend(half(-1.0));
		q4_1.extend(&nibbles);
		let found = values(NumberFormat::Q4_1, &q4_1);
		assert_eq!((found[0], found[15], found[31]), (-1.0, 29.0, -1.0));

		let mut q8_0 = half(0.25).to_vec();
		q8_0.extend((0..32).map(|i| (i as i8 - 16) as u8));
		let found = values(NumberFormat::Q8_0, &q8_0);
		assert_eq!((found[0], found[31]), (-4.0, 3.75));

		assert_eq!(values(NumberFormat::F16, &half(1.5)), [1.5]);
		assert_eq!(values(NumberFormat::Bf16, &[0x80, 0x3f]), [1.0]);
		assert_eq!(values(NumberFormat::F32, &1.25f32.to_le_bytes()), [1.25]);
	}
}
