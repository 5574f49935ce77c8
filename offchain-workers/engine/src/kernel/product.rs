//! Tiles of matrix products: `out[m][c] (+)= Σ_k x[m][k] · b[k][c]` for a few rows and columns.
//!
//! The columns lie along a vector register, so every element is one chain of multiply-adds over `k`
//! in order: a row's result does not depend on how many rows there are.

#[cfg(target_arch = "x86_64")]
mod avx512;
pub(crate) mod paged;
pub(crate) mod transpose;

use std::ptr;

use half::bf16;

use super::{multiply_add, Instructions, CACHE_LINE};

/// Columns of one tile at most: two vector registers of AVX-512.
pub(crate) const TILE_COLUMNS: usize = 32;
/// Rows of one tile at most: with two registers each, 24 sums stay in registers.
pub(crate) const TILE_ROWS: usize = 12;

/// A number on the right side of a product, which is computed in f32.
pub(crate) trait Number: Copy + Send + Sync {
	/// Whether it is the upper half of an f32 rather than an f32.
	const IS_BF16: bool;

	/// The same number.
	fn widen(self) -> f32;
}

impl Number for f32 {
	const IS_BF16: bool = false;

	#[inline(always)]
	fn widen(self) -> f32 {
		self
	}
}

impl Number for bf16 {
	const IS_BF16: bool = true;

	#[inline(always)]
	fn widen(self) -> f32 {
		f32::from_bits(u32::from(self.to_bits()) << 16)
	}
}

/// A side of a product: rows of numbers, `stride` apart.
#[derive(Clone, Copy)]
pub(crate) struct Rows<'a, T> {
	values: &'a [T],
	stride: usize,
}

impl<'a, T> Rows<'a, T> {
	pub(crate) fn new(values: &'a [T], stride: usize) -> Self {
		Self { values, stride }
	}

	/// The rows from `first` on.
	pub(crate) fn from(self, first: usize) -> Self {
		let values = self.values.get(first * self.stride..).unwrap_or_default();
		Self { values, stride: self.stride }
	}

	/// Where they begin in memory.
	pub(crate) fn address(&self) -> *const u8 {
		self.values.as_ptr().cast()
	}

	/// The rows' numbers from `column` on.
	pub(crate) fn columns_from(self, column: usize) -> Self {
		let values = self.values.get(column..).unwrap_or_default();
		Self { values, stride: self.stride }
	}

	/// The beginning of a row; nothing when it is not there.
	pub(crate) fn row(self, row: usize, length: usize) -> &'a [T] {
		let start = row * self.stride;
		self.values.get(start..start + length).unwrap_or_default()
	}

	/// `rows` of `length` numbers are there.
	fn has(&self, rows: usize, length: usize) -> bool {
		rows == 0 || length <= self.stride && (rows - 1) * self.stride + length <= self.values.len()
	}
}

/// Where a product goes: a window of a matrix that several threads write, each its own columns.
#[derive(Clone, Copy)]
pub(crate) struct Window {
	pointer: *mut f32,
	length: usize,
	stride: usize,
}

// SAFETY: threads write disjoint columns; `Window::new` says so.
unsafe impl Send for Window {}
// SAFETY: as above.
unsafe impl Sync for Window {}

impl Window {
	/// All of `values`, as rows that are `stride` apart.
	///
	/// While copies of the window are used, nobody else may use `values`, and no two threads may
	/// use the same columns of the same rows. That is left to the caller, within this crate.
	pub(crate) fn new(values: &mut [f32], stride: usize) -> Self {
		Self { pointer: values.as_mut_ptr(), length: values.len(), stride }
	}

	/// The window from this row and column on.
	pub(crate) fn at(self, row: usize, column: usize) -> Self {
		let offset = (row * self.stride + column).min(self.length);
		// SAFETY: at most one past the end.
		let pointer = unsafe { self.pointer.add(offset) };
		Self { pointer, length: self.length - offset, stride: self.stride }
	}

	/// A piece of a row. The caller keeps other threads away from it.
	#[allow(clippy::mut_from_ref)]
	pub(crate) fn row(&self, row: usize, columns: usize) -> &mut [f32] {
		let start = row * self.stride;
		assert!(start + columns <= self.length, "the row lies inside the window");
		// SAFETY: inside the slice that the window was made from, and nobody else uses it.
		unsafe { std::slice::from_raw_parts_mut(self.pointer.add(start), columns) }
	}

	/// A piece of a row, to be read while nobody writes it.
	pub(crate) fn read(&self, row: usize, columns: usize) -> &[f32] {
		let start = row * self.stride;
		assert!(start + columns <= self.length, "the row lies inside the window");
		// SAFETY: inside the slice that the window was made from, and nobody writes it.
		unsafe { std::slice::from_raw_parts(self.pointer.add(start), columns) }
	}

	fn has(&self, rows: usize, columns: usize) -> bool {
		rows == 0 || columns <= self.stride && (rows - 1) * self.stride + columns <= self.length
	}
}

/// `out (+)= x · b` for any number of rows and at most [`TILE_COLUMNS`] columns, `[rows, inner]` times
/// `[inner, columns]`.
pub(crate) fn product<B: Number>(
	instructions: Instructions,
	x: Rows<'_, f32>,
	sides: [usize; 3],
	b: Rows<'_, B>,
	out: Window,
	accumulate: bool,
) {
	product_fetching(instructions, x, sides, b, out, accumulate, ptr::null());
}

/// The same, while memory from `ahead` on is brought into the CPU's cache: a line for each step along
/// the inner dimension, as far as that goes. The CPU does so by itself, but no further than to the end
/// of a page.
pub(crate) fn product_fetching<B: Number>(
	instructions: Instructions,
	x: Rows<'_, f32>,
	[rows, inner, columns]: [usize; 3],
	b: Rows<'_, B>,
	out: Window,
	accumulate: bool,
	ahead: *const u8,
) {
	assert!(columns <= TILE_COLUMNS && x.has(rows, inner), "a tile of rows that are there");
	assert!(b.has(inner, columns) && out.has(rows, columns), "a tile inside its matrices");
	let mut done = 0;
	while done < rows {
		let height = tile_height(rows - done);
		let left = x.from(done).values.as_ptr();
		// Where there is nothing to be fetched, a line that is in the cache anyway.
		let fetching = done == 0 && !ahead.is_null();
		let (ahead, ahead_step) = if fetching { (ahead, CACHE_LINE) } else { (left.cast(), 0) };
		let tile = Tile {
			x: left,
			x_stride: x.stride,
			inner,
			b: b.values.as_ptr(),
			b_stride: b.stride,
			out: out.at(done, 0).pointer,
			out_stride: out.stride,
			columns,
			accumulate,
			ahead,
			ahead_step,
		};
		// SAFETY: the assertions above, for `height` of the rows.
		unsafe { run_tile(instructions, &tile, height) };
		done += height;
	}
}

/// [`product`] for any number of columns.
pub(crate) fn wide_product(
	instructions: Instructions,
	x: Rows<'_, f32>,
	[rows, inner, columns]: [usize; 3],
	b: Rows<'_, f32>,
	out: Window,
	accumulate: bool,
) {
	for column in (0..columns).step_by(TILE_COLUMNS) {
		let (count, out) = (TILE_COLUMNS.min(columns - column), out.at(0, column));
		let b = b.columns_from(column);
		product(instructions, x, [rows, inner, count], b, out, accumulate);
	}
}

/// `out = x · b` in bf16 with sums in f32: `x` holds pairs of bf16, `b` a panel of
/// [`TILE_COLUMNS`] columns in pairs too, `[pairs][column][2]`.
pub(crate) fn product_bf16(
	instructions: Instructions,
	x: Rows<'_, u32>,
	rows: usize,
	pairs: usize,
	panel: &[u32],
	columns: usize,
	out: Window,
) {
	assert!(columns <= TILE_COLUMNS && x.has(rows, pairs), "a tile of rows that are there");
	assert!(panel.len() >= pairs * TILE_COLUMNS, "a whole panel");
	assert!(out.has(rows, columns), "a tile inside its matrix");
	let mut done = 0;
	while done < rows {
		let height = tile_height(rows - done);
		let tile = TileBf16 {
			x: x.from(done).values.as_ptr(),
			x_stride: x.stride,
			pairs,
			panel: panel.as_ptr(),
			out: out.at(done, 0).pointer,
			out_stride: out.stride,
			columns,
		};
		// SAFETY: the assertions above, for `height` of the rows.
		unsafe { run_tile_bf16(instructions, &tile, height) };
		done += height;
	}
}

/// Rows of the next tile: all tiles about equal, rather than a thin one at the end.
fn tile_height(rows: usize) -> usize {
	let tiles = rows.div_ceil(TILE_ROWS);
	rows.div_ceil(tiles.max(1))
}

struct Tile<B> {
	x: *const f32,
	x_stride: usize,
	inner: usize,
	b: *const B,
	b_stride: usize,
	out: *mut f32,
	out_stride: usize,
	columns: usize,
	accumulate: bool,
	/// Memory to be fetched, and how much of it with each step along the inner dimension. Only tiles of
	/// AVX-512 look at it.
	#[cfg_attr(not(target_arch = "x86_64"), expect(dead_code))]
	ahead: *const u8,
	#[cfg_attr(not(target_arch = "x86_64"), expect(dead_code))]
	ahead_step: usize,
}

struct TileBf16 {
	x: *const u32,
	x_stride: usize,
	pairs: usize,
	panel: *const u32,
	out: *mut f32,
	out_stride: usize,
	columns: usize,
}

/// # Safety
///
/// The tile's pointers cover `rows` rows, this CPU has the instructions, `rows` ≤ [`TILE_ROWS`].
unsafe fn run_tile<B: Number>(instructions: Instructions, tile: &Tile<B>, rows: usize) {
	#[cfg(target_arch = "x86_64")]
	if instructions >= Instructions::Avx512 {
		return avx512::run_tile(tile, rows);
	}
	#[cfg(target_arch = "x86_64")]
	if instructions == Instructions::Avx2 {
		return rows_avx2(tile, rows);
	}
	let _ = instructions;
	rows_portable::<B, false>(tile, rows);
}

/// # Safety
///
/// As [`run_tile`].
unsafe fn run_tile_bf16(instructions: Instructions, tile: &TileBf16, rows: usize) {
	#[cfg(target_arch = "x86_64")]
	{
		if instructions >= Instructions::Avx512Bf16 {
			return avx512::run_tile_bf16(tile, rows);
		}
		if instructions >= Instructions::Avx2 {
			return rows_bf16_avx2(tile, rows);
		}
	}
	let _ = instructions;
	rows_bf16_portable::<false>(tile, rows);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn rows_avx2<B: Number>(tile: &Tile<B>, rows: usize) {
	rows_portable::<B, true>(tile, rows);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn rows_bf16_avx2(tile: &TileBf16, rows: usize) {
	rows_bf16_portable::<true>(tile, rows);
}

/// Row by row, for the compiler to vectorise over columns.
#[inline(always)]
unsafe fn rows_portable<B: Number, const FUSED: bool>(tile: &Tile<B>, rows: usize) {
	for row in 0..rows {
		let out = tile.out.add(row * tile.out_stride);
		let mut sums = [0.0f32; TILE_COLUMNS];
		if tile.accumulate {
			for (column, sum) in sums.iter_mut().enumerate().take(tile.columns) {
				*sum = *out.add(column);
			}
		}
		for k in 0..tile.inner {
			let left = *tile.x.add(row * tile.x_stride + k);
			let b = tile.b.add(k * tile.b_stride);
			if tile.columns == TILE_COLUMNS {
				for (column, sum) in sums.iter_mut().enumerate() {
					*sum = multiply_add::<FUSED>(left, (*b.add(column)).widen(), *sum);
				}
			} else {
				for (column, sum) in sums.iter_mut().enumerate().take(tile.columns) {
					*sum = multiply_add::<FUSED>(left, (*b.add(column)).widen(), *sum);
				}
			}
		}
		for (column, sum) in sums.iter().enumerate().take(tile.columns) {
			*out.add(column) = *sum;
		}
	}
}

/// The same in bf16: products are exact in f32, sums are rounded to f32.
#[inline(always)]
unsafe fn rows_bf16_portable<const FUSED: bool>(tile: &TileBf16, rows: usize) {
	for row in 0..rows {
		let mut sums = [0.0f32; TILE_COLUMNS];
		for k in 0..tile.pairs {
			let (left_low, left_high) = halves(*tile.x.add(row * tile.x_stride + k));
			let panel = tile.panel.add(k * TILE_COLUMNS);
			for (column, sum) in sums.iter_mut().enumerate() {
				let (low, high) = halves(*panel.add(column));
				*sum = multiply_add::<FUSED>(left_high, high, *sum);
				*sum = multiply_add::<FUSED>(left_low, low, *sum);
			}
		}
		let out = tile.out.add(row * tile.out_stride);
		for (column, sum) in sums.iter().enumerate().take(tile.columns) {
			*out.add(column) = *sum;
		}
	}
}

/// Two bf16, the first in the low half, as f32.
#[inline(always)]
fn halves(pair: u32) -> (f32, f32) {
	(f32::from_bits(pair << 16), f32::from_bits(pair & 0xFFFF_0000))
}

#[cfg(test)]
mod tests {
	use super::*;
	use crate::kernel::{matrix::pair_of_bf16, numbers};

	fn naive(x: &[f32], b: &[f32], rows: usize, inner: usize, columns: usize) -> Vec<f64> {
		let mut out = vec![0.0; rows * columns];
		for row in 0..rows {
			for column in 0..columns {
				out[row * columns + column] = (0..inner)
					.map(|k| f64::from(x[row * inner + k]) * f64::from(b[k * columns + column]))
					.sum();
			}
		}
		out
	}

	#[test]
	fn product_should_be_the_product_with_all_instructions() {
		for instructions in Instructions::available() {
			for rows in 1..=27 {
				for columns in [1, 8, 16, 17, 31, 32] {
					let inner = 70;
					let (x, b) = (numbers(rows * inner, 1), numbers(inner * columns, 2));
					let mut out = vec![1.0; rows * columns];
					let window = Window::new(&mut out, columns);
					let (left, right) = (Rows::new(&x, inner), Rows::new(&b, columns));
					product(instructions, left, [rows, inner, columns], right, window, true);
					for (found, expected) in out.iter().zip(naive(&x, &b, rows, inner, columns)) {
						let expected = expected + 1.0;
						assert!((f64::from(*found) - expected).abs() < 1e-4, "{instructions:?}");
					}
				}
			}
		}
	}

	#[test]
	fn product_should_widen_bf16_with_all_instructions() {
		for instructions in Instructions::available() {
			for columns in [1, 8, 16, 17, 31, 32] {
				let (rows, inner) = (13, 70);
				let (x, b) = (numbers(rows * inner, 1), numbers(inner * columns, 2));
				let narrow: Vec<bf16> = b.iter().map(|number| bf16::from_f32(*number)).collect();
				let wide: Vec<f32> = narrow.iter().map(|number| number.to_f32()).collect();
				let (mut found, mut expected) = ([1.0; 32 * 13], [1.0; 32 * 13]);
				let left = Rows::new(&x, inner);
				let (right, out) = (Rows::new(&narrow, columns), Window::new(&mut found, 32));
				product(instructions, left, [rows, inner, columns], right, out, true);
				let (right, out) = (Rows::new(&wide, columns), Window::new(&mut expected, 32));
				product(instructions, left, [rows, inner, columns], right, out, true);
				assert_eq!(found, expected, "{instructions:?}, {columns} columns");
			}
		}
	}

	#[test]
	fn product_of_a_row_should_not_depend_on_its_neighbours() {
		for instructions in Instructions::available() {
			let (rows, inner, columns) = (25, 576, 32);
			let (x, b) = (numbers(rows * inner, 3), numbers(inner * columns, 4));
			let right = Rows::new(&b, columns);
			let mut all = vec![0.0; rows * columns];
			let window = Window::new(&mut all, columns);
			product(
				instructions,
				Rows::new(&x, inner),
				[rows, inner, columns],
				right,
				window,
				false,
			);
			for row in 0..rows {
				let mut alone = vec![0.0; columns];
				let (window, left) =
					(Window::new(&mut alone, columns), Rows::new(&x[row * inner..], inner));
				product(instructions, left, [1, inner, columns], right, window, false);
				assert_eq!(alone, all[row * columns..(row + 1) * columns], "{instructions:?}");
			}
		}
	}

	#[test]
	fn product_bf16_should_be_near_the_product_with_all_instructions() {
		for instructions in Instructions::available() {
			for rows in [1, 5, 12, 13, 32] {
				let (inner, columns) = (576, 32);
				let (x, b) = (numbers(rows * inner, 5), numbers(inner * columns, 6));
				let pairs: Vec<u32> =
					x.chunks(2).map(|pair| pair_of_bf16(pair[0], pair[1])).collect();
				let mut panel = vec![0; inner / 2 * columns];
				for pair in 0..inner / 2 {
					for column in 0..columns {
						let at = |k: usize| b[k * columns + column];
						panel[pair * columns + column] =
							pair_of_bf16(at(2 * pair), at(2 * pair + 1));
					}
				}
				let mut out = vec![0.0; rows * columns];
				let window = Window::new(&mut out, columns);
				let left = Rows::new(&pairs, inner / 2);
				product_bf16(instructions, left, rows, inner / 2, &panel, columns, window);
				for (found, expected) in out.iter().zip(naive(&x, &b, rows, inner, columns)) {
					// Each factor is off by at most 2⁻⁹ of itself.
					assert!((f64::from(*found) - expected).abs() < 0.15, "{found} {expected}");
				}
			}
		}
	}
}
