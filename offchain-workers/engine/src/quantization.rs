//! Number formats of GGUF tensors, turned into `f32`.
//!
//! Block formats follow ggml's `ggml-quants.c`: 32 values share a scale `d` (and in `Q4_1` a
//! minimum `m`), both stored as f16. The low nibbles of a 4-bit block are its first 16 values, the
//! high nibbles its last 16.

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

	/// Turns stored bytes into values. Bytes beyond the last whole block are ignored: callers
	/// pass exactly [`byte_length`](Self::byte_length) bytes.
	pub fn dequantize(self, bytes: &[u8]) -> Vec<f32> {
		let (values, size) = self.block();
		let mut out = Vec::with_capacity(bytes.len() / size * values);
		match self {
			Self::F32 => out.extend(four(bytes).map(f32::from_le_bytes)),
			Self::F16 => out.extend(two(bytes).map(|b| f16::from_le_bytes(b).to_f32())),
			Self::Bf16 => out.extend(two(bytes).map(|b| bf16::from_le_bytes(b).to_f32())),
			Self::Q4_0 => blocks::<18>(bytes, |[d0, d1, quants @ ..]: &[u8; 18]| {
				let scale = f16::from_le_bytes([*d0, *d1]).to_f32();
				let value = |q: u8| scale * (f32::from(q) - 8.0);
				out.extend(quants.iter().map(|q| value(q & 15)));
				out.extend(quants.iter().map(|q| value(q >> 4)));
			}),
			Self::Q4_1 => blocks::<20>(bytes, |[d0, d1, m0, m1, quants @ ..]: &[u8; 20]| {
				let scale = f16::from_le_bytes([*d0, *d1]).to_f32();
				let minimum = f16::from_le_bytes([*m0, *m1]).to_f32();
				let value = |q: u8| scale * f32::from(q) + minimum;
				out.extend(quants.iter().map(|q| value(q & 15)));
				out.extend(quants.iter().map(|q| value(q >> 4)));
			}),
			Self::Q8_0 => blocks::<34>(bytes, |[d0, d1, quants @ ..]: &[u8; 34]| {
				let scale = f16::from_le_bytes([*d0, *d1]).to_f32();
				out.extend(quants.iter().map(|q| scale * f32::from(*q as i8)));
			}),
		}
		out
	}

	/// Bytes that `values` values take, when they fill whole blocks and the count fits.
	pub fn byte_length(self, values: u64) -> Option<u64> {
		let (per_block, size) = self.block();
		let blocks = values.checked_div(per_block as u64)?;
		values.is_multiple_of(per_block as u64).then(|| blocks.checked_mul(size as u64))?
	}
}

fn two(bytes: &[u8]) -> impl Iterator<Item = [u8; 2]> + '_ {
	bytes.as_chunks::<2>().0.iter().copied()
}

fn four(bytes: &[u8]) -> impl Iterator<Item = [u8; 4]> + '_ {
	bytes.as_chunks::<4>().0.iter().copied()
}

fn blocks<const N: usize>(bytes: &[u8], each: impl FnMut(&[u8; N])) {
	bytes.as_chunks::<N>().0.iter().for_each(each);
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
	fn dequantize_should_follow_the_block_layouts() {
		let half = |x: f32| f16::from_f32(x).to_le_bytes();
		let nibbles: Vec<u8> = (0..16).map(|i| i | ((15 - i) << 4)).collect();

		let mut q4_0 = half(0.5).to_vec();
		q4_0.extend(&nibbles);
		let values = NumberFormat::Q4_0.dequantize(&q4_0);
		assert_eq!((values.len(), values[0], values[15], values[16]), (32, -4.0, 3.5, 3.5));

		let mut q4_1 = half(2.0).to_vec();
		q4_1.extend(half(-1.0));
		q4_1.extend(&nibbles);
		let values = NumberFormat::Q4_1.dequantize(&q4_1);
		assert_eq!((values[0], values[15], values[31]), (-1.0, 29.0, -1.0));

		let mut q8_0 = half(0.25).to_vec();
		q8_0.extend((0..32).map(|i| (i as i8 - 16) as u8));
		let values = NumberFormat::Q8_0.dequantize(&q8_0);
		assert_eq!((values[0], values[31]), (-4.0, 3.75));

		assert_eq!(NumberFormat::F16.dequantize(&half(1.5)), [1.5]);
		assert_eq!(NumberFormat::Bf16.dequantize(&[0x80, 0x3f]), [1.0]);
		assert_eq!(NumberFormat::F32.dequantize(&1.25f32.to_le_bytes()), [1.25]);
	}
}
