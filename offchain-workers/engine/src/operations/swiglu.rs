//! The activation of a Llama's feed-forward layer.

use burn::{backend::flex::FlexTensor, tensor::Tensor};
use rayon::{
	iter::{IndexedParallelIterator, ParallelIterator},
	slice::{ParallelSlice, ParallelSliceMut},
};

use super::{binary, tensor, Operation};
use crate::kernel::{rowwise, Instructions};

/// Numbers from which on it pays to share out work.
const SHARED: usize = 8_192;

/// `silu(gate) · up`, element by element.
pub(crate) fn swiglu(gate: Tensor<2>, up: Tensor<2>) -> Tensor<2> {
	binary(SwiGlu { instructions: Instructions::detect() }, [gate, up])
}

#[derive(Clone, Debug)]
struct SwiGlu {
	instructions: Instructions,
}

impl Operation<2> for SwiGlu {
	type Saved = [FlexTensor; 2];

	fn forward(&self, inputs: [FlexTensor; 2]) -> (FlexTensor, Self::Saved) {
		let [gate, up] = inputs.map(|input| input.to_contiguous());
		let mut out = gate.storage::<f32>().to_vec();
		let pieces = out.par_chunks_mut(SHARED).zip(up.storage::<f32>().par_chunks(SHARED));
		pieces.for_each(|(gate, up)| rowwise::swiglu(self.instructions, gate, up));
		let shape: [usize; 2] = gate.layout().shape().dims();
		(tensor(out, shape), [gate, up])
	}

	fn backward(&self, [gate, up]: Self::Saved, gradient: FlexTensor) -> [FlexTensor; 2] {
		let mut gradient = gradient.to_contiguous();
		let shape: [usize; 2] = gate.layout().shape().dims();
		let mut out = vec![0.0; gate.storage::<f32>().len()];
		let gates = gate.storage::<f32>().par_chunks(SHARED);
		let inputs = gates.zip(up.storage::<f32>().par_chunks(SHARED));
		let gradients = gradient.storage_mut::<f32>().par_chunks_mut(SHARED);
		let pieces = inputs.zip(gradients.zip(out.par_chunks_mut(SHARED)));
		pieces.for_each(|((gate, up), (gradient, out))| {
			rowwise::swiglu_backward(self.instructions, gate, up, gradient, out);
		});
		[tensor(out, shape), gradient]
	}
}

#[cfg(test)]
mod tests {
	use burn::tensor::activation;

	use super::*;
	use crate::operations::tests::{check, random};

	#[test]
	fn swiglu_should_be_that_of_burn_with_all_instructions() {
		for instructions in Instructions::available() {
			for shape in [[1, 1], [3, 37], [150, 99]] {
				let inputs = [random(shape, 1).mul_scalar(20.0), random(shape, 2)];
				check(
					&format!("{instructions:?} {shape:?}"),
					|inputs: [Tensor<2>; 2]| binary(SwiGlu { instructions }, inputs),
					|[gate, up]| activation::silu(gate) * up,
					inputs,
				);
			}
		}
	}
}
