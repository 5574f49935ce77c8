//! The loss of rows of logits.

use std::sync::Arc;

use burn::{backend::flex::FlexTensor, tensor::Tensor};
use rayon::{
	iter::{IndexedParallelIterator, IntoParallelRefIterator, ParallelIterator},
	slice::{ParallelSlice, ParallelSliceMut},
};

use super::{tensor, unary, Operation};
use crate::kernel::{rowwise, Instructions};

/// `-ln p(targets[i])` of every row of `logits` (`[rows, vocabulary]`) in nats, as a column `[rows, 1]`.
/// `targets` has a number for every row; one that is not below the vocabulary's size gives a loss that is
/// not a number.
///
/// With `p = softmax(logits)`, the gradient with respect to the logits is `p - onehot`. It takes the
/// place of the logits.
pub fn cross_entropy(logits: Tensor<2>, targets: &[u32]) -> Tensor<2> {
	unary(CrossEntropy { targets: targets.into(), instructions: Instructions::detect() }, logits)
}

#[derive(Clone, Debug)]
struct CrossEntropy {
	targets: Arc<[u32]>,
	instructions: Instructions,
}

impl Operation<1> for CrossEntropy {
	/// The logits, and of every row the greatest and the sum of exponentials.
	type Saved = (FlexTensor, Vec<(f32, f32)>);

	fn forward(&self, [logits]: [FlexTensor; 1]) -> (FlexTensor, Self::Saved) {
		let logits = logits.to_contiguous();
		let [rows, width] = logits.layout().shape().dims();
		let numbers = logits.storage::<f32>().par_chunks(width);
		let sums: Vec<(f32, f32)> =
			numbers.map(|row| rowwise::sum_exp(self.instructions, row)).collect();
		let numbers = logits.storage::<f32>().chunks(width).zip(self.targets.iter());
		let losses = numbers.zip(&sums).map(|((row, target), (greatest, sum))| {
			let target = row.get(*target as usize).copied().unwrap_or(f32::NAN);
			sum.ln() + (greatest - target)
		});
		(tensor(losses.collect(), [rows, 1]), (logits, sums))
	}

	fn backward(&self, (mut logits, sums): Self::Saved, gradient: FlexTensor) -> [FlexTensor; 1] {
		let gradient = gradient.to_contiguous();
		let [_, width] = logits.layout().shape().dims();
		let rows = logits.storage_mut::<f32>().par_chunks_mut(width);
		let known = sums.par_iter().zip(self.targets.par_iter());
		let rows = rows.zip(gradient.storage::<f32>().par_iter()).zip(known);
		rows.for_each(|((row, gradient), ((greatest, sum), target))| {
			rowwise::scaled_exp(self.instructions, row, *greatest, gradient / sum);
			if let Some(number) = row.get_mut(*target as usize) {
				*number -= gradient;
			}
		});
		[logits]
	}
}

#[cfg(test)]
mod tests {
	use burn::tensor::{activation, Device, Int, TensorData};

	use super::*;
	use crate::operations::tests::{check, random};

	#[test]
	fn cross_entropy_should_be_that_of_burn_with_all_instructions() {
		for (rows, vocabulary) in [(1, 2), (5, 33), (12, 1_000)] {
			let targets: Vec<u32> =
				(0..rows as u32).map(|row| row * 7 % vocabulary as u32).collect();
			let columns: Vec<i64> = targets.iter().map(|target| i64::from(*target)).collect();
			let columns = TensorData::new(columns, [rows, 1]);
			for instructions in Instructions::available() {
				let operation = CrossEntropy { targets: targets.clone().into(), instructions };
				check(
					&format!("{instructions:?} {rows} × {vocabulary}"),
					|[x]: [Tensor<2>; 1]| unary(operation.clone(), x),
					|[x]| {
						let columns = Tensor::<2, Int>::from_data(columns.clone(), &Device::flex());
						activation::log_softmax(x, 1).gather(1, columns.autodiff()).neg()
					},
					[random([rows, vocabulary], 1).mul_scalar(10.0)],
				);
			}
		}
	}
}
