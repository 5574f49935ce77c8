//! Rows made columns, block by block, so that both sides stay in the cache.

use super::{Rows, Window};
use crate::kernel::{Instructions, LANES};

/// `out[column][row] = x[row][column]` for `rows` rows of `columns` numbers.
pub(crate) fn transpose(
	instructions: Instructions,
	x: Rows<'_, f32>,
	rows: usize,
	columns: usize,
	out: Window,
) {
	assert!(x.has(rows, columns), "rows that are there");
	assert!(out.has(columns, rows), "room for all columns");
	for row in (0..rows).step_by(LANES) {
		let height = LANES.min(rows - row);
		for column in (0..columns).step_by(LANES) {
			let width = LANES.min(columns - column);
			let (from, to) = (row * x.stride + column, column * out.stride + row);
			// SAFETY: the assertions above, for rows and columns below `rows` and `columns`.
			unsafe {
				let (from, to) = (x.values.as_ptr().add(from), out.pointer.add(to));
				#[cfg(target_arch = "x86_64")]
				if instructions >= Instructions::Avx512 && height == LANES && width == LANES {
					avx512::block(from, x.stride, to, out.stride);
					continue;
				}
				for row in 0..height {
					for column in 0..width {
						*to.add(column * out.stride + row) = *from.add(row * x.stride + column);
					}
				}
			}
		}
	}
	let _ = instructions;
}

#[cfg(target_arch = "x86_64")]
mod avx512 {
	use std::{
		arch::x86_64::{
			__m512, _mm512_castpd_ps, _mm512_castps_pd, _mm512_loadu_ps, _mm512_shuffle_f32x4,
			_mm512_storeu_ps, _mm512_unpackhi_pd, _mm512_unpackhi_ps, _mm512_unpacklo_pd,
			_mm512_unpacklo_ps,
		},
		array::from_fn,
	};

	use crate::kernel::LANES;

	/// [`LANES`] rows of as many numbers: pairs of rows, then of pairs, are interleaved within the
	/// quarters of a register, and then the quarters are sorted.
	///
	/// # Safety
	///
	/// Both sides cover the block, and this CPU has AVX-512 F.
	#[target_feature(enable = "avx512f")]
	pub(super) unsafe fn block(from: *const f32, stride: usize, to: *mut f32, to_stride: usize) {
		let rows: [__m512; LANES] = from_fn(|row| _mm512_loadu_ps(from.add(row * stride)));
		let pairs: [__m512; LANES] = from_fn(|index| {
			let (first, second) = (rows[index & !1], rows[index | 1]);
			match index & 1 {
				0 => _mm512_unpacklo_ps(first, second),
				_ => _mm512_unpackhi_ps(first, second),
			}
		});
		// Quarter `q` of number `4 · group + c` is column `4 · q + c` of the group's four rows.
		let fours: [__m512; LANES] = from_fn(|index| {
			let (group, column) = (index & !3, index & 3);
			let first = _mm512_castps_pd(pairs[group + column / 2]);
			let second = _mm512_castps_pd(pairs[group + column / 2 + 2]);
			_mm512_castpd_ps(match column & 1 {
				0 => _mm512_unpacklo_pd(first, second),
				_ => _mm512_unpackhi_pd(first, second),
			})
		});
		const EVEN: i32 = 0b10_00_10_00;
		const ODD: i32 = 0b11_01_11_01;
		for column in 0..4 {
			let [a, b, c, d] = from_fn(|group| fours[4 * group + column]);
			let (low, high) =
				(_mm512_shuffle_f32x4::<EVEN>(a, b), _mm512_shuffle_f32x4::<EVEN>(c, d));
			_mm512_storeu_ps(to.add(column * to_stride), _mm512_shuffle_f32x4::<EVEN>(low, high));
			_mm512_storeu_ps(
				to.add((column + 8) * to_stride),
				_mm512_shuffle_f32x4::<ODD>(low, high),
			);
			let (low, high) =
				(_mm512_shuffle_f32x4::<ODD>(a, b), _mm512_shuffle_f32x4::<ODD>(c, d));
			_mm512_storeu_ps(
				to.add((column + 4) * to_stride),
				_mm512_shuffle_f32x4::<EVEN>(low, high),
			);
			_mm512_storeu_ps(
				to.add((column + 12) * to_stride),
				_mm512_shuffle_f32x4::<ODD>(low, high),
			);
		}
	}
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn transpose_should_swap_rows_and_columns_with_all_instructions() {
		for instructions in Instructions::available() {
			for (rows, columns) in [(1, 1), (16, 16), (32, 48), (33, 17), (5, 70)] {
				let stride = columns + 3;
				let x: Vec<f32> = (0..rows * stride).map(|i| i as f32).collect();
				let mut out = vec![-1.0; columns * (rows + 2)];
				let window = Window::new(&mut out, rows + 2);
				transpose(instructions, Rows::new(&x, stride), rows, columns, window);
				for column in 0..columns {
					for row in 0..rows {
						let found = out[column * (rows + 2) + row];
						assert_eq!(found, x[row * stride + column], "{instructions:?}");
					}
					assert_eq!(out[column * (rows + 2) + rows], -1.0);
				}
			}
		}
	}
}
