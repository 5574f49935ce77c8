//! Products of attention: with keys and values that lie in pages.
//!
//! They give to the bit what [`product`] gives page by page; with AVX-512 several pages go at a time,
//! because a few queries and one page would leave most of the CPU waiting for sums.

use super::{product, Instructions, Rows, Window, TILE_COLUMNS};
use crate::kernel::LANES;

/// Pages of keys that are multiplied at a time. Rows of scores have room for a multiple of so many.
pub(crate) const PAGES: usize = 4;
/// Columns of values that are summed at a time.
pub(super) const VALUE_COLUMNS: usize = 64;
/// Rows of one tile at most: with four registers each, 24 sums stay in registers.
const ROWS: usize = 6;

pub(super) struct KeyTile {
	pub(super) x: *const f32,
	pub(super) x_stride: usize,
	pub(super) inner: usize,
	/// Each `[inner, LANES]`.
	pub(super) pages: [*const f32; PAGES],
	pub(super) out: *mut f32,
	pub(super) out_stride: usize,
}

pub(super) struct ValueTile<'a> {
	pub(super) x: *const f32,
	pub(super) x_stride: usize,
	/// Each `[LANES, width]`.
	pub(super) pages: &'a [&'a [f32]],
	pub(super) tokens: usize,
	pub(super) width: usize,
	pub(super) column: usize,
	pub(super) out: *mut f32,
	pub(super) out_stride: usize,
}

/// Scores of queries `[rows, inner]` with pages of keys, each `[inner, LANES]`: `out[row]` has `LANES`
/// scores for each page, and room for a multiple of [`PAGES`]. What lies behind the last page means
/// nothing.
pub(crate) fn scores(
	instructions: Instructions,
	queries: Rows<'_, f32>,
	rows: usize,
	inner: usize,
	pages: &[&[f32]],
	out: Window,
) {
	assert!(queries.has(rows, inner), "rows of queries that are there");
	assert!(pages.iter().all(|page| page.len() >= inner * LANES), "whole pages of keys");
	let room = pages.len().next_multiple_of(PAGES) * LANES;
	assert!(out.has(rows, room), "room for all scores");
	#[cfg(target_arch = "x86_64")]
	if instructions >= Instructions::Avx512 {
		for (group, some) in pages.chunks(PAGES).enumerate() {
			// Places behind the last page are filled with what the first of the group gives.
			let page = |index: usize| some.get(index).or(some.first()).map_or(&[][..], |page| page);
			let pointers: [*const f32; PAGES] = std::array::from_fn(|index| page(index).as_ptr());
			let mut done = 0;
			while done < rows {
				let height = height(rows - done);
				let tile = KeyTile {
					x: queries.from(done).values.as_ptr(),
					x_stride: queries.stride,
					inner,
					pages: pointers,
					out: out.at(done, group * PAGES * LANES).pointer,
					out_stride: out.stride,
				};
				// SAFETY: the assertions above, for `height` of the rows.
				unsafe { super::avx512::run_key_tile(&tile, height) };
				done += height;
			}
		}
		return;
	}
	for (index, page) in pages.iter().enumerate() {
		let keys = Rows::new(page, LANES);
		let out = out.at(0, index * LANES);
		product(instructions, queries, [rows, inner, LANES], keys, out, false);
	}
}

/// `out[row] = Σ weights[row][token] · values[token]` over the first `tokens` tokens of pages of values,
/// each `[LANES, width]`; the last page may be read in part only.
#[allow(clippy::too_many_arguments)]
pub(crate) fn mix(
	instructions: Instructions,
	weights: Rows<'_, f32>,
	rows: usize,
	tokens: usize,
	pages: &[&[f32]],
	width: usize,
	out: Window,
) {
	assert!(weights.has(rows, tokens), "rows of weights that are there");
	assert!(pages.len() * LANES >= tokens, "pages for all tokens");
	assert!(pages.iter().all(|page| page.len() >= LANES * width), "whole pages of values");
	assert!(out.has(rows, width), "room for the sums");
	#[cfg(target_arch = "x86_64")]
	if instructions >= Instructions::Avx512 && width.is_multiple_of(VALUE_COLUMNS) {
		for column in (0..width).step_by(VALUE_COLUMNS) {
			let mut done = 0;
			while done < rows {
				let height = height(rows - done);
				let tile = ValueTile {
					x: weights.from(done).values.as_ptr(),
					x_stride: weights.stride,
					pages,
					tokens,
					width,
					column,
					out: out.at(done, column).pointer,
					out_stride: out.stride,
				};
				// SAFETY: the assertions above, for `height` of the rows.
				unsafe { super::avx512::run_value_tile(&tile, height) };
				done += height;
			}
		}
		return;
	}
	for (index, page) in pages.iter().enumerate() {
		let first = index * LANES;
		let some = LANES.min(tokens.saturating_sub(first));
		for column in (0..width).step_by(TILE_COLUMNS) {
			let (x, values) = (weights.columns_from(first), Rows::new(page, width));
			let (sides, b) =
				([rows, some, TILE_COLUMNS.min(width - column)], values.columns_from(column));
			product(instructions, x, sides, b, out.at(0, column), index > 0);
		}
	}
}

/// Rows of the next tile, all about equal.
fn height(rows: usize) -> usize {
	rows.div_ceil(rows.div_ceil(ROWS).max(1))
}

#[cfg(test)]
mod tests {
	use super::*;
	use crate::kernel::numbers;

	#[test]
	fn scores_should_be_those_of_page_by_page_to_the_bit() {
		for instructions in Instructions::available() {
			for (rows, inner, count) in [(1, 64, 1), (3, 64, 4), (12, 32, 5), (7, 80, 11)] {
				let queries = numbers(rows * inner, 1);
				let keys = numbers(count * inner * LANES, 2);
				let pages: Vec<&[f32]> = keys.chunks(inner * LANES).collect();
				let stride = count.next_multiple_of(PAGES) * LANES;
				let mut found = vec![0.0; rows * stride];
				let window = Window::new(&mut found, stride);
				scores(instructions, Rows::new(&queries, inner), rows, inner, &pages, window);
				let mut expected = vec![0.0; rows * LANES];
				for (index, page) in pages.iter().enumerate() {
					let window = Window::new(&mut expected, LANES);
					let (left, right) = (Rows::new(&queries, inner), Rows::new(page, LANES));
					product(instructions, left, [rows, inner, LANES], right, window, false);
					for row in 0..rows {
						let start = row * stride + index * LANES;
						let expected = &expected[row * LANES..(row + 1) * LANES];
						assert_eq!(&found[start..start + LANES], expected, "{instructions:?}");
					}
				}
			}
		}
	}

	#[test]
	fn mix_should_be_that_of_page_by_page_to_the_bit() {
		for instructions in Instructions::available() {
			for (rows, width, tokens) in [(1, 64, 1usize), (3, 64, 40), (12, 128, 33), (7, 48, 80)]
			{
				let count = tokens.div_ceil(LANES);
				let weights = numbers(rows * count * LANES, 3);
				let values = numbers(count * LANES * width, 4);
				let pages: Vec<&[f32]> = values.chunks(LANES * width).collect();
				let mut found = vec![9.0; rows * width];
				let left = Rows::new(&weights, count * LANES);
				let window = Window::new(&mut found, width);
				mix(instructions, left, rows, tokens, &pages, width, window);
				let mut expected = vec![0.0; rows * width];
				for column in (0..width).step_by(16) {
					let window = Window::new(&mut expected, width).at(0, column);
					let right = Rows::new(&values[column..], width);
					product(instructions, left, [rows, tokens, 16], right, window, false);
				}
				assert_eq!(found, expected, "{instructions:?}");
			}
		}
	}
}
