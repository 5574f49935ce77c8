//! Rotary positions.

use std::sync::Arc;

use burn::{backend::flex::FlexTensor, tensor::Tensor};
use rayon::{iter::IndexedParallelIterator, iter::ParallelIterator, slice::ParallelSliceMut};

use super::{unary, Operation};
use crate::{
	kernel::{rowwise, Instructions},
	rotary::Rotary,
};

/// Rows from which on it pays to share out work.
const SHARED_ROWS: usize = 16;

/// Rotates the heads, each `head_dim` wide, of rows `[sequences · length, heads · head_dim]`, where each
/// sequence begins at `position`.
#[derive(Clone, Debug)]
pub(crate) struct Rotate {
	pub(crate) rotary: Arc<Rotary>,
	pub(crate) head_dim: usize,
	pub(crate) position: usize,
	pub(crate) length: usize,
	pub(crate) instructions: Instructions,
}

impl Rotate {
	pub(crate) fn apply(&self, x: Tensor<2>) -> Tensor<2> {
		unary(self.clone(), x)
	}

	fn each_head(
		&self,
		x: FlexTensor,
		turn: impl Fn(Instructions, &mut [f32], &[f32], &[f32]) + Sync + Send,
	) -> FlexTensor {
		let mut x = x.to_contiguous();
		let [_, width] = x.layout().shape().dims();
		let pieces = x.storage_mut::<f32>().par_chunks_mut(SHARED_ROWS * width).enumerate();
		pieces.for_each(|(index, rows)| {
			for (row, heads) in rows.chunks_mut(width).enumerate() {
				let row = index * SHARED_ROWS + row;
				let (cos, sin) = self.rotary.at(self.position + row % self.length);
				for head in heads.chunks_mut(self.head_dim) {
					turn(self.instructions, head, cos, sin);
				}
			}
		});
		x
	}
}

impl Operation<1> for Rotate {
	type Saved = ();

	fn forward(&self, [x]: [FlexTensor; 1]) -> (FlexTensor, ()) {
		(self.each_head(x, rowwise::rotate), ())
	}

	fn backward(&self, (): (), gradient: FlexTensor) -> [FlexTensor; 1] {
		[self.each_head(gradient, rowwise::rotate_backward)]
	}
}

#[cfg(test)]
mod tests {
	use burn::tensor::{Device, TensorData};

	use super::*;
	use crate::operations::tests::{check, random};

	#[test]
	fn rotate_should_be_that_of_burn_with_all_instructions() {
		let (sequences, length, heads, head_dim, position) = (2, 11, 3, 10, 4);
		let rotary = Arc::new(Rotary::new(head_dim, 100.0, position + length));
		let table = |part: fn(&Rotary, usize) -> &[f32]| {
			let rows = (position..position + length).flat_map(|row| part(&rotary, row).to_vec());
			let data = TensorData::new(rows.collect::<Vec<f32>>(), [1, length, 1, head_dim / 2]);
			Tensor::<4>::from_data(data, &Device::flex()).autodiff()
		};
		let (cos, sin) =
			(table(|rotary, row| rotary.at(row).0), table(|rotary, row| rotary.at(row).1));
		for instructions in Instructions::available() {
			let operation =
				Rotate { rotary: rotary.clone(), head_dim, position, length, instructions };
			check(
				&format!("{instructions:?}"),
				|[x]: [Tensor<2>; 1]| operation.apply(x),
				|[x]| {
					let shape = x.dims();
					let x = x.reshape([sequences, length, heads, head_dim]);
					let first = x.clone().narrow(3, 0, head_dim / 2);
					let second = x.narrow(3, head_dim / 2, head_dim / 2);
					let (cos, sin) = (cos.clone(), sin.clone());
					let rotated = vec![
						first.clone() * cos.clone() - second.clone() * sin.clone(),
						second * cos + first * sin,
					];
					Tensor::cat(rotated, 3).reshape(shape)
				},
				[random([sequences * length, heads * head_dim], 1)],
			);
		}
	}
}
