//! Weights that stay in memory as quantised files hold them: 4 or 8 bits each and a scale for every 32.
//!
//! A product unpacks a few thousand of them into the innermost cache, multiplies all rows with these,
//! and goes on; for a single row they go from registers to the sums at once. What it adds up, and in
//! which order, is what it would be with unpacked weights, to the bit ([`Block`] says why).

use super::{
	instructions::for_each_instruction_set,
	matrix::columns_of,
	multiply_add, prefetch_address,
	product::{product_fetching, Rows, Window, TILE_COLUMNS},
	Instructions,
};
use crate::quantization::{Block, BLOCK};
use std::ptr;

/// Blocks of each column that are unpacked at a time: 16 KiB together.
const BLOCKS_AT_A_TIME: usize = 4;
/// Numbers of scratch memory that a product needs.
pub(crate) const SCRATCH: usize = BLOCKS_AT_A_TIME * BLOCK * TILE_COLUMNS;
/// How far ahead of the sums memory is fetched: a page, at whose end the CPU stops by itself.
const LINES_AHEAD: usize = 4_096 / size_of::<Line>();
/// Bits of one word of a panel.
const WORD: u32 = 32;

/// One word or scale of each column of a panel, where lines of the CPU's cache begin.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct Line([u32; TILE_COLUMNS]);

/// A fixed matrix `[input, output]` of blocks along the input, `[panel][block][line][column]`. The
/// lines of a block: its scales and minimums, as the bits of f32, then its quants, the first in the
/// lowest bits of the first line.
#[derive(Debug)]
pub(crate) struct QuantizedPanels {
	input: usize,
	output: usize,
	bits: u32,
	lines: Vec<Line>,
}

impl QuantizedPanels {
	/// Packs a matrix as files hold it, `[output, input]` row-major in blocks. Columns that fill up the
	/// last panel are zero.
	pub(crate) fn pack(blocks: &[Block], bits: u32, output: usize, input: usize) -> Self {
		let mut matrix = Self { input, output, bits, lines: Vec::new() };
		let (per_row, length) = (matrix.blocks(), matrix.lines_of_block());
		let panels = output.div_ceil(TILE_COLUMNS);
		matrix.lines = vec![Line([0; TILE_COLUMNS]); panels * per_row * length];
		for (row, blocks) in blocks.chunks(per_row.max(1)).enumerate() {
			let (panel, column) = (row / TILE_COLUMNS, row % TILE_COLUMNS);
			let lines = matrix.lines.chunks_mut(length).skip(panel * per_row);
			for (lines, block) in lines.zip(blocks) {
				let column = lines.iter_mut().filter_map(|line| line.0.get_mut(column));
				column.zip(words(block, bits)).for_each(|(place, word)| *place = word);
			}
		}
		matrix
	}

	/// Bytes of memory.
	pub(crate) fn bytes(&self) -> usize {
		size_of_val(self.lines.as_slice())
	}

	/// Blocks of one column.
	fn blocks(&self) -> usize {
		self.input / BLOCK
	}

	/// Lines that a block of each column of a panel takes.
	fn lines_of_block(&self) -> usize {
		2 + BLOCK / (WORD / self.bits) as usize
	}

	/// The lines of a panel, from its block `block` on.
	fn panel(&self, panel: usize, block: usize) -> &[Line] {
		let first = (panel * self.blocks() + block) * self.lines_of_block();
		self.lines.get(first..).unwrap_or_default()
	}

	/// `out = x · W` for the columns of one panel; `out` begins at the first of them. `scratch` is
	/// [`SCRATCH`] numbers, whatever they are.
	pub(crate) fn multiply_panel(
		&self,
		instructions: Instructions,
		x: Rows<'_, f32>,
		rows: usize,
		panel: usize,
		out: Window,
		scratch: &mut [f32],
	) {
		let columns = columns_of(self.output, panel);
		if rows == 1 {
			// The lines of the panels behind it are not reached: the row ends before.
			let (x, lines) = (x.row(0, self.input), self.panel(panel, 0));
			assert_eq!(x.len(), self.input, "a row that is there");
			let sums = multiply_row(instructions, x, lines, self.bits);
			return out.row(0, columns).copy_from_slice(sums.split_at(columns).0);
		}
		for first in (0..self.blocks()).step_by(BLOCKS_AT_A_TIME) {
			let count = BLOCKS_AT_A_TIME.min(self.blocks() - first);
			let lines = self.panel(panel, first);
			let (lines, next) = lines.split_at(count * self.lines_of_block());
			unpack(instructions, lines, self.bits, scratch);
			let (x, b) = (x.columns_from(first * BLOCK), Rows::new(&*scratch, TILE_COLUMNS));
			let (sides, ahead) = ([rows, count * BLOCK, columns], next.as_ptr().cast());
			product_fetching(instructions, x, sides, b, out, first > 0, ahead);
		}
	}

	/// Column `column` of the matrix, which is row `column` of what it was packed from.
	pub(crate) fn copy_column(&self, column: usize, out: &mut [f32]) {
		let (lines, lane) = (self.panel(column / TILE_COLUMNS, 0), column % TILE_COLUMNS);
		for (lines, out) in lines.chunks(self.lines_of_block()).zip(out.chunks_mut(BLOCK)) {
			let mut words = lines.iter().filter_map(|line| line.0.get(lane)).copied();
			let mut float = || f32::from_bits(words.next().unwrap_or_default());
			let (scale, minimum) = (float(), float());
			let quants = words.flat_map(|word| quants_of(word, self.bits));
			for (out, quant) in out.iter_mut().zip(quants) {
				*out = scale * quant as f32 + minimum;
			}
		}
	}
}

/// What the lines of a block hold for one column.
fn words(block: &Block, bits: u32) -> impl Iterator<Item = u32> + '_ {
	let scales = [block.scale.to_bits(), block.minimum.to_bits()];
	let quants = block.quants.chunks((WORD / bits) as usize).map(move |quants| {
		quants.iter().rev().fold(0, |word, quant| word << bits | u32::from(*quant))
	});
	scales.into_iter().chain(quants)
}

fn quants_of(word: u32, bits: u32) -> impl Iterator<Item = u32> {
	(0..WORD).step_by(bits as usize).map(move |shift| word >> shift & ((1 << bits) - 1))
}

for_each_instruction_set! {
	/// Unpacks whole blocks of a panel to `[input][column]`.
	fn unpack = unpack_body(lines: &[Line], bits: u32, out: &mut [f32])
}

#[inline(always)]
fn unpack_body<const FUSED: bool>(lines: &[Line], bits: u32, out: &mut [f32]) {
	match bits {
		4 => unpack_bits::<FUSED, 4>(lines, out),
		_ => unpack_bits::<FUSED, 8>(lines, out),
	}
}

#[inline(always)]
fn unpack_bits<const FUSED: bool, const BITS: u32>(lines: &[Line], out: &mut [f32]) {
	let (out, _) = out.as_chunks_mut::<TILE_COLUMNS>();
	let per_line = (WORD / BITS) as usize;
	for (lines, out) in lines.chunks_exact(2 + BLOCK / per_line).zip(out.chunks_exact_mut(BLOCK)) {
		let [scales, minimums, lines @ ..] = lines else { continue };
		for (line, out) in lines.iter().zip(out.chunks_exact_mut(per_line)) {
			for (out, shift) in out.iter_mut().zip((0..WORD).step_by(BITS as usize)) {
				let columns = line.0.iter().zip(&scales.0).zip(&minimums.0);
				for (out, ((word, scale), minimum)) in out.iter_mut().zip(columns) {
					*out = weight::<FUSED, BITS>(*word, shift, *scale, *minimum);
				}
			}
		}
	}
}

for_each_instruction_set! {
	/// `x · W` for one row and the columns of a panel, whose weights are unpacked in registers.
	fn multiply_row = multiply_row_body(x: &[f32], lines: &[Line], bits: u32) -> [f32; TILE_COLUMNS]
}

#[inline(always)]
fn multiply_row_body<const FUSED: bool>(
	x: &[f32],
	lines: &[Line],
	bits: u32,
) -> [f32; TILE_COLUMNS] {
	match bits {
		4 => multiply_row_bits::<FUSED, 4>(x, lines),
		_ => multiply_row_bits::<FUSED, 8>(x, lines),
	}
}

#[inline(always)]
fn multiply_row_bits<const FUSED: bool, const BITS: u32>(
	x: &[f32],
	lines: &[Line],
) -> [f32; TILE_COLUMNS] {
	let mut sums = [0.0; TILE_COLUMNS];
	let per_line = (WORD / BITS) as usize;
	for (lines, x) in lines.chunks_exact(2 + BLOCK / per_line).zip(x.chunks_exact(BLOCK)) {
		let [scales, minimums, lines @ ..] = lines else { continue };
		for (line, x) in lines.iter().zip(x.chunks_exact(per_line)) {
			prefetch_address(ptr::from_ref(line).wrapping_add(LINES_AHEAD));
			for (x, shift) in x.iter().zip((0..WORD).step_by(BITS as usize)) {
				let columns = line.0.iter().zip(&scales.0).zip(&minimums.0);
				for (sum, ((word, scale), minimum)) in sums.iter_mut().zip(columns) {
					let weight = weight::<FUSED, BITS>(*word, shift, *scale, *minimum);
					*sum = multiply_add::<FUSED>(*x, weight, *sum);
				}
			}
		}
	}
	sums
}

/// The weight that stands at `shift` in a word.
#[inline(always)]
fn weight<const FUSED: bool, const BITS: u32>(
	word: u32,
	shift: u32,
	scale: u32,
	minimum: u32,
) -> f32 {
	// Signed, because not every instruction set turns unsigned numbers into floats.
	let quant = (word >> shift & ((1 << BITS) - 1)) as i32 as f32;
	multiply_add::<FUSED>(f32::from_bits(scale), quant, f32::from_bits(minimum))
}

#[cfg(test)]
mod tests {
	use super::*;
	use crate::{
		kernel::{matrix::F32Panels, numbers},
		quantization::{NumberFormat, Numbers},
	};

	/// A matrix in a format, of pseudo-random bytes.
	fn matrix(format: NumberFormat, output: usize, input: usize) -> Numbers {
		let (values, size) = format.block();
		let bytes = (0..output * input / values * size).map(|index| {
			// The upper byte of a scale is its exponent: keep that small.
			let exponent = index % size == 1 || format == NumberFormat::Q4_1 && index % size == 3;
			let byte = (index as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56;
			byte as u8 & if exponent { 0xB7 } else { 0xFF }
		});
		let numbers = format.decode(&bytes.collect::<Vec<u8>>());
		assert!(numbers.are_finite());
		numbers
	}

	#[test]
	fn product_should_be_that_of_the_unpacked_weights_to_the_bit() {
		for format in [NumberFormat::Q4_0, NumberFormat::Q4_1, NumberFormat::Q8_0] {
			for (output, input, rows) in [(75, 32, 1), (64, 576, 13), (40, 160, 27)] {
				let numbers_of = matrix(format, output, input);
				let Numbers::Blocks { bits, blocks } = &numbers_of else { panic!("blocks") };
				let quantized = QuantizedPanels::pack(blocks, *bits, output, input);
				// Two bits more for each number than it has: scale and minimum of each 32.
				let padded = output.next_multiple_of(TILE_COLUMNS) * input;
				assert_eq!(quantized.bytes() * 8, padded * (*bits as usize + 2));
				let values = numbers_of.clone().into_values();
				let plain = F32Panels::pack(&values, output, input);
				let x = numbers(rows * input, 7);
				for instructions in Instructions::available() {
					let (mut found, mut expected) =
						(vec![0.5; rows * output], vec![0.0; rows * output]);
					let mut scratch = vec![f32::NAN; SCRATCH];
					for panel in 0..output.div_ceil(TILE_COLUMNS) {
						let x = Rows::new(&x, input);
						let at = Window::new(&mut found, output).at(0, panel * TILE_COLUMNS);
						quantized.multiply_panel(instructions, x, rows, panel, at, &mut scratch);
						let at = Window::new(&mut expected, output).at(0, panel * TILE_COLUMNS);
						plain.multiply_panel(instructions, x, rows, panel, at);
					}
					assert_eq!(found, expected, "{format:?} {instructions:?}");
				}
				let mut column = vec![0.0; input];
				quantized.copy_column(output - 2, &mut column);
				assert_eq!(column, values[(output - 2) * input..(output - 1) * input]);
			}
		}
	}
}
