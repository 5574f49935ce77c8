//! The norm before each half of a layer.

use std::sync::Arc;

use burn::{backend::flex::FlexTensor, tensor::Tensor};
use rayon::{
	iter::{IndexedParallelIterator, ParallelIterator},
	slice::{ParallelSlice, ParallelSliceMut},
};

use super::{tensor, unary, Operation};
use crate::kernel::{rowwise, Instructions};

/// Rows from which on it pays to share out work.
const SHARED_ROWS: usize = 16;

/// `x / √(mean(x²) + ε) · weight` over each row, `[rows, width]`.
pub(crate) fn rms_norm(x: Tensor<2>, weight: &Arc<[f32]>, epsilon: f64) -> Tensor<2> {
	let (weight, instructions) = (weight.clone(), Instructions::detect());
	unary(RmsNorm { weight, epsilon: epsilon as f32, instructions }, x)
}

#[derive(Clone, Debug)]
struct RmsNorm {
	weight: Arc<[f32]>,
	epsilon: f32,
	instructions: Instructions,
}

impl Operation<1> for RmsNorm {
	type Saved = FlexTensor;

	fn forward(&self, [x]: [FlexTensor; 1]) -> (FlexTensor, FlexTensor) {
		let x = x.to_contiguous();
		let [rows, width] = x.layout().shape().dims();
		let mut out = vec![0.0; rows * width];
		let size = SHARED_ROWS * width;
		let pieces = x.storage::<f32>().par_chunks(size).zip(out.par_chunks_mut(size));
		pieces.for_each(|(x, out)| {
			for (x, out) in x.chunks(width).zip(out.chunks_mut(width)) {
				rowwise::rms_norm(self.instructions, x, &self.weight, self.epsilon, out);
			}
		});
		(tensor(out, [rows, width]), x)
	}

	fn backward(&self, x: FlexTensor, gradient: FlexTensor) -> [FlexTensor; 1] {
		let mut gradient = gradient.to_contiguous();
		let width = self.weight.len();
		let size = SHARED_ROWS * width;
		let gradients = gradient.storage_mut::<f32>().par_chunks_mut(size);
		gradients.zip(x.storage::<f32>().par_chunks(size)).for_each(|(gradient, x)| {
			for (gradient, x) in gradient.chunks_mut(width).zip(x.chunks(width)) {
				let (instructions, epsilon) = (self.instructions, self.epsilon);
				rowwise::rms_norm_backward(instructions, x, &self.weight, epsilon, gradient);
			}
		});
		[gradient]
	}
}

#[cfg(test)]
mod tests {
	use super::*;
	use crate::operations::tests::{check, random, values};

	#[test]
	fn rms_norm_should_be_that_of_burn_with_all_instructions() {
		for (rows, width) in [(1, 1), (3, 37), (40, 64)] {
			let weight = random([1, width], 1);
			for instructions in Instructions::available() {
				let operation =
					RmsNorm { weight: values(weight.clone()).into(), epsilon: 1e-2, instructions };
				check(
					&format!("{instructions:?} {rows} × {width}"),
					|[x]: [Tensor<2>; 1]| unary(operation.clone(), x),
					|[x]| {
						let scale = x.clone().square().mean_dim(1).add_scalar(1e-2).sqrt().recip();
						x * scale * weight.clone().autodiff()
					},
					[random([rows, width], 2)],
				);
			}
		}
	}
}
