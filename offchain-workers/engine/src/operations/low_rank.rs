//! What a LoRA adapter adds to a linear layer.

use burn::{backend::flex::FlexTensor, tensor::Tensor};

use super::{each, tensor, ternary, Operation};
use crate::kernel::{
	product::{transpose::transpose, wide_product, Rows, Window, TILE_COLUMNS, TILE_ROWS},
	Instructions,
};

/// Rows of one task.
const ROWS: usize = 4 * TILE_ROWS;

/// `scale · (x · a) · b`, `[rows, in]`, `[in, r]` and `[r, out]` to `[rows, out]`. The scale is applied at
/// the narrow place.
pub(crate) fn low_rank(x: Tensor<2>, a: Tensor<2>, b: Tensor<2>, scale: f32) -> Tensor<2> {
	ternary(LowRank { scale, instructions: Instructions::detect() }, x, [a, b])
}

#[derive(Clone, Debug)]
struct LowRank {
	scale: f32,
	instructions: Instructions,
}

/// What the backward pass reads, all of it contiguous.
#[derive(Clone, Debug)]
struct Saved {
	x: FlexTensor,
	a: FlexTensor,
	b: FlexTensor,
	/// `scale · x · a`, `[rows, r]`.
	narrow: Vec<f32>,
}

impl LowRank {
	/// `scale · x · a`, and that times `b`, for numbers `[rows, in]`, `[in, r]` and `[r, out]`. Rows are
	/// shared out.
	fn through(
		&self,
		x: &[f32],
		a: &[f32],
		b: &[f32],
		[rows, input, rank, output]: [usize; 4],
	) -> [Vec<f32>; 2] {
		let (mut narrow, mut out) = (vec![0.0; rows * rank], vec![0.0; rows * output]);
		let (narrow_window, window) =
			(Window::new(&mut narrow, rank), Window::new(&mut out, output));
		let (x, a, b) = (Rows::new(x, input), Rows::new(a, rank), Rows::new(b, output));
		each(rows.div_ceil(ROWS), |task, _| {
			let (first, rows) = (task * ROWS, ROWS.min(rows - task * ROWS));
			let (narrow, out) = (narrow_window.at(first, 0), window.at(first, 0));
			let sides = [rows, input, rank];
			wide_product(self.instructions, x.from(first), sides, a, narrow, false);
			let numbers = narrow.row(0, rows * rank);
			numbers.iter_mut().for_each(|number| *number *= self.scale);
			let left = Rows::new(numbers, rank);
			wide_product(self.instructions, left, [rows, rank, output], b, out, false);
		});
		[narrow, out]
	}

	fn turn(&self, x: &[f32], [rows, columns]: [usize; 2]) -> Vec<f32> {
		let mut out = vec![0.0; rows * columns];
		let window = Window::new(&mut out, rows);
		transpose(self.instructions, Rows::new(x, columns), rows, columns, window);
		out
	}

	/// `xᵀ · y` for numbers `[rows, r]` and `[rows, width]`, whose columns are shared out.
	fn across(&self, x: &[f32], y: &[f32], [rows, rank, width]: [usize; 3]) -> Vec<f32> {
		let turned = self.turn(x, [rows, rank]);
		let mut out = vec![0.0; rank * width];
		let (window, x, y) =
			(Window::new(&mut out, width), Rows::new(&turned, rows), Rows::new(y, width));
		each(width.div_ceil(TILE_COLUMNS), |tile, _| {
			let column = tile * TILE_COLUMNS;
			let sides = [rank, rows, TILE_COLUMNS.min(width - column)];
			let (y, out) = (y.columns_from(column), window.at(0, column));
			wide_product(self.instructions, x, sides, y, out, false);
		});
		out
	}
}

impl Operation<3> for LowRank {
	type Saved = Saved;

	fn forward(&self, inputs: [FlexTensor; 3]) -> (FlexTensor, Saved) {
		let [x, a, b] = inputs.map(|input| input.to_contiguous());
		let [rows, input] = x.layout().shape().dims();
		let [rank, output] = b.layout().shape().dims();
		let sides = [rows, input, rank, output];
		let [narrow, out] = self.through(x.storage(), a.storage(), b.storage(), sides);
		(tensor(out, [rows, output]), Saved { x, a, b, narrow })
	}

	/// With the gradient `d` of the output, `db = (scale · x · a)ᵀ · d`, and with `n = scale · d · bᵀ`,
	/// `dx = n · aᵀ` and `da = xᵀ · n`.
	fn backward(&self, saved: Saved, gradient: FlexTensor) -> [FlexTensor; 3] {
		let Saved { x, a, b, narrow } = saved;
		let gradient = gradient.to_contiguous();
		let [rows, input] = x.layout().shape().dims();
		let [rank, output] = b.layout().shape().dims();
		let turned_a = self.turn(a.storage(), [input, rank]);
		let turned_b = self.turn(b.storage(), [rank, output]);
		let d = gradient.storage::<f32>();
		let [n, for_x] = self.through(d, &turned_b, &turned_a, [rows, output, rank, input]);
		let for_b = self.across(&narrow, d, [rows, rank, output]);
		let for_a = self.across(&n, x.storage(), [rows, rank, input]);
		let for_a = self.turn(&for_a, [rank, input]);
		[tensor(for_x, [rows, input]), tensor(for_a, [input, rank]), tensor(for_b, [rank, output])]
	}
}

#[cfg(test)]
mod tests {
	use super::*;
	use crate::operations::tests::{assert_close, output_and_gradients, random, values};

	#[test]
	fn low_rank_should_be_that_of_burn_with_all_instructions() {
		for (rows, input, rank, output) in [(1, 1, 1, 1), (3, 37, 8, 75), (101, 64, 40, 33)] {
			for instructions in Instructions::available() {
				let operation = LowRank { scale: 0.5, instructions };
				// One leaf for all three.
				let split = |[all]: [Tensor<1>; 1]| {
					let part = |start, [rows, columns]: [usize; 2]| {
						all.clone().narrow(0, start, rows * columns).reshape([rows, columns])
					};
					let (x, a) = (rows * input, input * rank);
					(part(0, [rows, input]), part(x, [input, rank]), part(x + a, [rank, output]))
				};
				let inputs = [random([rows * input + input * rank + rank * output], 1)];
				let ours = |inputs| {
					let (x, a, b) = split(inputs);
					ternary(operation.clone(), x, [a, b])
				};
				let burns = |inputs| {
					let (x, a, b) = split(inputs);
					x.matmul(a).mul_scalar(0.5).matmul(b)
				};
				let what = format!("{instructions:?} {rows} × {input} × {rank} × {output}");
				let [found, gradients] = output_and_gradients(ours, inputs.clone());
				assert_eq!(values(ours(inputs.clone())), found, "{what}, without autodiff");
				let [expected, expected_gradients] = output_and_gradients(burns, inputs);
				assert_close(&found, &expected, &what);
				assert_close(&gradients, &expected_gradients, &what);
			}
		}
	}
}
