//! Weights packed for [`product`](super::product), and the activations that they multiply.

use std::ops::Range;

use half::bf16;

use super::{
	instructions::for_each_instruction_set,
	product::{product, product_bf16, transpose::transpose, Rows, Window, TILE_COLUMNS},
	quantized::QuantizedPanels,
	Instructions,
};
use crate::quantization::Numbers;

/// How a matrix holds its numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
	/// 32-bit floats, exact to what the model file holds. Matrices of quantised files stay in memory
	/// as they are, and their numbers become floats when they are multiplied.
	#[default]
	F32,
	/// Weights and what they multiply rounded to bfloat16, sums in f32: half the memory of plain f32, and
	/// faster for several rows where the CPU has dot products of bf16 (`docs/benchmarks.md`).
	Bf16,
}

/// A fixed matrix `[input, output]`, in panels of [`TILE_COLUMNS`] columns that a tile reads from
/// begin to end.
#[derive(Debug)]
pub(crate) struct PackedMatrix {
	input: usize,
	output: usize,
	panels: Panels,
}

#[derive(Debug)]
enum Panels {
	F32(F32Panels),
	Quantized(QuantizedPanels),
	/// `[panel][input / 2][column]`, pairs along the input.
	Bf16(Vec<u32>),
}

/// A fixed matrix `[input, output]` of f32, `[panel][input][column]`.
#[derive(Debug)]
pub(crate) struct F32Panels {
	input: usize,
	output: usize,
	values: Vec<f32>,
}

/// Panels whose columns are turned over at a time. They are the inner dimension of a product with the
/// transpose, and as much of its left side stays in the cache.
const PANELS_PER_BLOCK: usize = 16;

impl F32Panels {
	/// Packs a matrix as files hold it, `[output, input]` row-major. Columns that fill up the last
	/// panel are zero.
	pub(crate) fn pack(values: &[f32], output: usize, input: usize) -> Self {
		let instructions = Instructions::detect();
		let size = input * TILE_COLUMNS;
		let mut packed = vec![0.0; output.div_ceil(TILE_COLUMNS) * size];
		let rows = values.chunks(size.max(1));
		for (rows, panel) in rows.zip(packed.chunks_mut(size.max(1))) {
			let window = Window::new(panel, TILE_COLUMNS);
			let count = rows.len() / input;
			transpose(instructions, Rows::new(rows, input), count, input, window);
		}
		Self { input, output, values: packed }
	}

	pub(crate) fn input(&self) -> usize {
		self.input
	}

	pub(crate) fn output(&self) -> usize {
		self.output
	}

	fn panel(&self, panel: usize) -> &[f32] {
		self.values.get(panel * self.input * TILE_COLUMNS..).unwrap_or_default()
	}

	/// `out = x · W` for the columns of one panel; `out` begins at the first of them.
	pub(crate) fn multiply_panel(
		&self,
		instructions: Instructions,
		x: Rows<'_, f32>,
		rows: usize,
		panel: usize,
		out: Window,
	) {
		let columns = columns_of(self.output, panel);
		let b = Rows::new(self.panel(panel), TILE_COLUMNS);
		product(instructions, x, [rows, self.input, columns], b, out, false);
	}

	/// `out = x · Wᵀ` for some columns, of which the first is a multiple of [`TILE_COLUMNS`]; `out`
	/// begins at it. `block` is memory for what is turned over, with anything in it.
	pub(crate) fn multiply_transposed(
		&self,
		instructions: Instructions,
		x: Rows<'_, f32>,
		rows: usize,
		columns: Range<usize>,
		out: Window,
		block: &mut Vec<f32>,
	) {
		let panels = self.output.div_ceil(TILE_COLUMNS);
		block.resize(PANELS_PER_BLOCK * TILE_COLUMNS * TILE_COLUMNS, 0.0);
		for first in (0..panels).step_by(PANELS_PER_BLOCK) {
			let x = x.columns_from(first * TILE_COLUMNS);
			for column in columns.clone().step_by(TILE_COLUMNS) {
				let width = TILE_COLUMNS.min(columns.end - column);
				let window = Window::new(block, TILE_COLUMNS);
				let mut inner = 0;
				for panel in first..panels.min(first + PANELS_PER_BLOCK) {
					let lines = self.panel(panel).get(column * TILE_COLUMNS..).unwrap_or_default();
					let count = columns_of(self.output, panel);
					let (lines, at) = (Rows::new(lines, TILE_COLUMNS), window.at(inner, 0));
					transpose(instructions, lines, width, count, at);
					inner += count;
				}
				let b = Rows::new(block.as_slice(), TILE_COLUMNS);
				let out = out.at(0, column - columns.start);
				product(instructions, x, [rows, inner, width], b, out, first > 0);
			}
		}
	}

	/// Column `column` of the matrix, which is row `column` of what it was packed from.
	pub(crate) fn copy_column(&self, column: usize, out: &mut [f32]) {
		let panel = self.panel(column / TILE_COLUMNS);
		let numbers = panel.iter().skip(column % TILE_COLUMNS).step_by(TILE_COLUMNS);
		out.iter_mut().zip(numbers).for_each(|(out, number)| *out = *number);
	}
}

/// Columns of one panel of a matrix with `output` columns.
pub(super) fn columns_of(output: usize, panel: usize) -> usize {
	TILE_COLUMNS.min(output - panel * TILE_COLUMNS)
}

impl PackedMatrix {
	/// Packs a matrix as files hold it, `[output, input]` row-major. Columns that fill up the last
	/// panel, and an input that makes the last pair, are zero.
	pub(crate) fn pack(
		numbers: Numbers,
		output: usize,
		input: usize,
		precision: Precision,
	) -> Self {
		let values = match (precision, numbers) {
			(Precision::F32, Numbers::Blocks { bits, blocks }) => {
				let panels = QuantizedPanels::pack(&blocks, bits, output, input);
				return Self { input, output, panels: Panels::Quantized(panels) };
			},
			(_, numbers) => numbers.into_values(),
		};
		let panels = output.div_ceil(TILE_COLUMNS);
		let at = |column: usize, k: usize| {
			if column < output && k < input {
				values.get(column * input + k).copied().unwrap_or_default()
			} else {
				0.0
			}
		};
		let columns = |panel: usize| panel * TILE_COLUMNS..(panel + 1) * TILE_COLUMNS;
		let panels = match precision {
			Precision::F32 => Panels::F32(F32Panels::pack(&values, output, input)),
			Precision::Bf16 => {
				let pairs = input.div_ceil(2);
				let mut packed = Vec::with_capacity(panels * pairs * TILE_COLUMNS);
				for panel in 0..panels {
					for pair in 0..pairs {
						packed.extend(columns(panel).map(|column| {
							pair_of_bf16(at(column, 2 * pair), at(column, 2 * pair + 1))
						}));
					}
				}
				Panels::Bf16(packed)
			},
		};
		Self { input, output, panels }
	}

	/// Bytes of memory.
	pub(crate) fn bytes(&self) -> usize {
		match &self.panels {
			Panels::F32(panels) => size_of_val(panels.values.as_slice()),
			Panels::Quantized(panels) => panels.bytes(),
			Panels::Bf16(pairs) => size_of_val(pairs.as_slice()),
		}
	}

	/// Panels of [`TILE_COLUMNS`] columns; the last may have fewer.
	pub(crate) fn panels(&self) -> usize {
		self.output.div_ceil(TILE_COLUMNS)
	}

	/// Columns of one panel.
	pub(crate) fn columns_of(&self, panel: usize) -> usize {
		columns_of(self.output, panel)
	}

	/// `out = x · W` for the columns of one panel; `out` begins at the first of them. `scratch` is
	/// [`SCRATCH`](super::quantized::SCRATCH) numbers, whatever they are.
	pub(crate) fn multiply_panel(
		&self,
		instructions: Instructions,
		x: &Activations,
		rows: usize,
		panel: usize,
		out: Window,
		scratch: &mut [f32],
	) {
		match &self.panels {
			Panels::F32(panels) => panels.multiply_panel(instructions, x.rows(), rows, panel, out),
			Panels::Quantized(panels) => {
				panels.multiply_panel(instructions, x.rows(), rows, panel, out, scratch);
			},
			Panels::Bf16(packed) => {
				let columns = self.columns_of(panel);
				let pairs = self.input.div_ceil(2);
				let panel = packed.get(panel * pairs * TILE_COLUMNS..).unwrap_or_default();
				product_bf16(instructions, x.pairs(), rows, pairs, panel, columns, out);
			},
		}
	}

	/// Column `column` of the matrix, which is row `column` of what it was packed from.
	pub(crate) fn copy_column(&self, column: usize, out: &mut [f32]) {
		match &self.panels {
			Panels::F32(panels) => panels.copy_column(column, out),
			Panels::Quantized(panels) => panels.copy_column(column, out),
			Panels::Bf16(packed) => {
				let (panel, lane) = (column / TILE_COLUMNS, column % TILE_COLUMNS);
				let start = panel * self.input.div_ceil(2) * TILE_COLUMNS + lane;
				let pairs = packed.iter().skip(start).step_by(TILE_COLUMNS);
				for (out, pair) in out.chunks_mut(2).zip(pairs) {
					let halves = [pair << 16, pair & 0xFFFF_0000].map(f32::from_bits);
					out.iter_mut().zip(halves).for_each(|(out, half)| *out = half);
				}
			},
		}
	}
}

/// Rows of activations `[tokens, width]`, as f32 and, where weights are bf16, as pairs of bf16 too.
/// Allocated once for the largest batch.
#[derive(Debug)]
pub(crate) struct Activations {
	instructions: Instructions,
	width: usize,
	values: Vec<f32>,
	pairs: Option<Vec<u32>>,
}

impl Activations {
	pub(crate) fn new(tokens: usize, width: usize, precision: Precision) -> Self {
		let pairs = (precision == Precision::Bf16).then(|| vec![0; tokens * width.div_ceil(2)]);
		let values = vec![0.0; tokens * width];
		Self { instructions: Instructions::detect(), width, values, pairs }
	}

	/// The numbers, to be read.
	pub(crate) fn rows(&self) -> Rows<'_, f32> {
		Rows::new(&self.values, self.width)
	}

	fn pairs(&self) -> Rows<'_, u32> {
		Rows::new(self.pairs.as_deref().unwrap_or_default(), self.width.div_ceil(2))
	}

	/// The numbers and their pairs, for threads that each write rows of their own.
	pub(crate) fn windows(&mut self) -> ActivationsWindow {
		ActivationsWindow {
			instructions: self.instructions,
			width: self.width,
			values: Window::new(&mut self.values, self.width),
			pairs: self.pairs.as_mut().map(|pairs| PairsWindow {
				pointer: pairs.as_mut_ptr(),
				stride: self.width.div_ceil(2),
				length: pairs.len(),
			}),
		}
	}
}

/// Rows of activations that several threads write, each its own rows or columns.
#[derive(Clone, Copy)]
pub(crate) struct ActivationsWindow {
	instructions: Instructions,
	width: usize,
	values: Window,
	pairs: Option<PairsWindow>,
}

#[derive(Clone, Copy)]
struct PairsWindow {
	pointer: *mut u32,
	stride: usize,
	length: usize,
}

// SAFETY: threads write disjoint rows.
unsafe impl Send for PairsWindow {}
// SAFETY: as above.
unsafe impl Sync for PairsWindow {}

impl ActivationsWindow {
	/// Row `row`, which no other thread uses at the time. [`round`](Self::round) has to follow.
	#[allow(clippy::mut_from_ref)]
	pub(crate) fn row(&self, row: usize) -> &mut [f32] {
		self.values.row(row, self.width)
	}

	/// Writes part of a row and rounds it. It begins at an even column, and ends at one or at the
	/// end of the row; no other thread writes these columns.
	pub(crate) fn write(&self, row: usize, column: usize, numbers: &[f32]) {
		self.values.at(row, column).row(0, numbers.len()).copy_from_slice(numbers);
		self.round(row, column..column + numbers.len());
	}

	/// Rounds these columns of a row for weights in bf16.
	pub(crate) fn round(&self, row: usize, columns: Range<usize>) {
		let Some(pairs) = self.pairs else { return };
		let (first, count) = (columns.start / 2, columns.len().div_ceil(2));
		assert!(first + count <= pairs.stride, "columns of the row");
		let start = row * pairs.stride + first;
		assert!(start + count <= pairs.length, "the row is one of the matrix");
		// SAFETY: inside the slice that the window was made from; the columns belong to this thread.
		let out = unsafe { std::slice::from_raw_parts_mut(pairs.pointer.add(start), count) };
		let window = self.values.at(row, columns.start);
		round_to_pairs(self.instructions, window.read(0, columns.len()), out);
	}
}

for_each_instruction_set! {
	/// Rounds numbers to bf16, each two to a pair; a last one alone gets a zero.
	fn round_to_pairs = round_to_pairs_body(numbers: &[f32], pairs: &mut [u32])
}

#[inline(always)]
fn round_to_pairs_body<const FUSED: bool>(numbers: &[f32], pairs: &mut [u32]) {
	let (both, last) = numbers.as_chunks();
	for (pair, &[first, second]) in pairs.iter_mut().zip(both) {
		*pair = pair_of_bf16(first, second);
	}
	if let (Some(pair), [last]) = (pairs.get_mut(both.len()), last) {
		*pair = pair_of_bf16(*last, 0.0);
	}
}

for_each_instruction_set! {
	/// Rounds numbers to bf16, to the beginning of `out`.
	pub(crate) fn round = round_body(numbers: &[f32], out: &mut [bf16])
}

#[inline(always)]
fn round_body<const FUSED: bool>(numbers: &[f32], out: &mut [bf16]) {
	for (out, number) in out.iter_mut().zip(numbers) {
		*out = bf16::from_bits((round_to_bf16(*number) >> 16) as u16);
	}
}

/// Two numbers rounded to bf16 (to nearest, ties to even), the first in the low half.
#[inline(always)]
pub(crate) fn pair_of_bf16(first: f32, second: f32) -> u32 {
	round_to_bf16(first) >> 16 | round_to_bf16(second) & 0xFFFF_0000
}

/// The bits of a number rounded to bf16, in the upper half. Not a number stays so.
#[inline(always)]
fn round_to_bf16(number: f32) -> u32 {
	let bits = number.to_bits();
	let rounded = bits.wrapping_add(0x7FFF + (bits >> 16 & 1));
	if number.is_nan() {
		bits | 0x0040_0000
	} else {
		rounded
	}
}

#[cfg(test)]
mod tests {
	use super::*;
	use proptest::prelude::*;

	#[test]
	fn packed_matrix_should_multiply_as_it_stood_in_the_file() {
		let (output, input, rows) = (75, 37, 3);
		let values: Vec<f32> = (0..output * input).map(|i| (i % 13) as f32 - 6.0).collect();
		let numbers: Vec<f32> = (0..rows * input).map(|i| (i % 7) as f32 - 3.0).collect();
		for precision in [Precision::F32, Precision::Bf16] {
			let matrix =
				PackedMatrix::pack(Numbers::Plain(values.clone()), output, input, precision);
			let mut x = Activations::new(rows, input, precision);
			let windows = x.windows();
			for row in 0..rows {
				windows.row(row).copy_from_slice(&numbers[row * input..(row + 1) * input]);
				windows.round(row, 0..input);
			}
			let mut out = vec![0.0; rows * output];
			let window = Window::new(&mut out, output);
			for panel in 0..matrix.panels() {
				let at = window.at(0, panel * TILE_COLUMNS);
				matrix.multiply_panel(Instructions::detect(), &x, rows, panel, at, &mut []);
			}
			// Small integers are exact in bf16 too.
			for row in 0..rows {
				for column in 0..output {
					let expected: f32 = (0..input)
						.map(|k| numbers[row * input + k] * values[column * input + k])
						.sum();
					assert_eq!(out[row * output + column], expected, "{precision:?}");
				}
			}
			let mut column = vec![0.0; input];
			matrix.copy_column(70, &mut column);
			assert_eq!(column, values[70 * input..71 * input]);
		}
	}

	proptest! {
		#[test]
		fn rounding_should_be_that_of_the_half_crate(
			// As bits, so that quiet and signalling NaNs are among them.
			bits in proptest::collection::vec(proptest::num::u32::ANY, 0..80),
		) {
			let numbers: Vec<f32> = bits.into_iter().map(f32::from_bits).collect();
			let expected: Vec<u16> =
				numbers.iter().map(|number| bf16::from_f32(*number).to_bits()).collect();
			for instructions in Instructions::available() {
				let mut rounded = vec![bf16::ZERO; numbers.len()];
				round(instructions, &numbers, &mut rounded);
				let rounded: Vec<u16> = rounded.into_iter().map(bf16::to_bits).collect();
				prop_assert_eq!(&rounded, &expected, "{:?}", instructions);

				let mut pairs = vec![1; numbers.len().div_ceil(2)];
				round_to_pairs(instructions, &numbers, &mut pairs);
				let halves = pairs.iter().flat_map(|pair| [*pair as u16, (pair >> 16) as u16]);
				let with_last = expected.iter().copied().chain([0]).take(pairs.len() * 2);
				prop_assert!(halves.eq(with_last), "{:?}", instructions);
			}
		}
	}
}
