//! A linear layer whose weights stay as they are.

use std::sync::Arc;

use burn::{backend::flex::FlexTensor, tensor::Tensor};

use super::{each, tensor, unary, Operation};
use crate::kernel::{
	matrix::F32Panels,
	product::{Rows, Window, TILE_COLUMNS},
	Instructions,
};

/// Columns of one task of the backward pass, for which the gradient is read once.
const COLUMNS: usize = 3 * TILE_COLUMNS;

/// `x · W`, `[rows, in]` to `[rows, out]`.
pub(crate) fn frozen_linear(x: Tensor<2>, matrix: Arc<F32Panels>) -> Tensor<2> {
	unary(FrozenLinear { matrix, instructions: Instructions::detect() }, x)
}

#[derive(Clone, Debug)]
struct FrozenLinear {
	matrix: Arc<F32Panels>,
	instructions: Instructions,
}

impl Operation<1> for FrozenLinear {
	type Saved = ();

	fn forward(&self, [x]: [FlexTensor; 1]) -> (FlexTensor, ()) {
		let (x, width) = (x.to_contiguous(), self.matrix.output());
		let [rows, input] = x.layout().shape().dims();
		let mut out = vec![0.0; rows * width];
		let (x, window) = (Rows::new(x.storage(), input), Window::new(&mut out, width));
		each(width.div_ceil(TILE_COLUMNS), |panel, _| {
			let out = window.at(0, panel * TILE_COLUMNS);
			self.matrix.multiply_panel(self.instructions, x, rows, panel, out);
		});
		(tensor(out, [rows, width]), ())
	}

	/// `dx = dy · Wᵀ`.
	fn backward(&self, (): (), gradient: FlexTensor) -> [FlexTensor; 1] {
		let (gradient, width) = (gradient.to_contiguous(), self.matrix.input());
		let [rows, output] = gradient.layout().shape().dims();
		let mut out = vec![0.0; rows * width];
		let (y, window) = (Rows::new(gradient.storage(), output), Window::new(&mut out, width));
		each(width.div_ceil(COLUMNS), |task, block| {
			let columns = task * COLUMNS..width.min((task + 1) * COLUMNS);
			let out = window.at(0, columns.start);
			self.matrix.multiply_transposed(self.instructions, y, rows, columns, out, block);
		});
		[tensor(out, [rows, width])]
	}
}

#[cfg(test)]
mod tests {
	use super::*;
	use crate::operations::tests::{check, random, values};

	#[test]
	fn frozen_linear_should_be_matmul_with_all_instructions() {
		for (rows, input, output) in [(1, 1, 1), (3, 37, 75), (29, 64, 32), (13, 40, 1_100)] {
			let weight = random([output, input], 1);
			let matrix = Arc::new(F32Panels::pack(&values(weight.clone()), output, input));
			for instructions in Instructions::available() {
				let operation = FrozenLinear { matrix: matrix.clone(), instructions };
				check(
					&format!("{instructions:?} {rows} × {input} × {output}"),
					|[x]: [Tensor<2>; 1]| unary(operation.clone(), x),
					|[x]| x.matmul(weight.clone().transpose().autodiff()),
					[random([rows, input], 2)],
				);
			}
		}
	}

	#[test]
	fn views_should_be_read_as_they_are_seen() {
		let weight = random([5, 12], 3);
		let matrix = Arc::new(F32Panels::pack(&values(weight.clone()), 5, 12));
		let x = random([12, 9], 4).transpose().narrow(0, 2, 4);
		let found = values(frozen_linear(x.clone(), matrix));
		for (a, b) in found.iter().zip(values(x.matmul(weight.transpose()))) {
			assert!((a - b).abs() < 1e-5);
		}
	}
}
