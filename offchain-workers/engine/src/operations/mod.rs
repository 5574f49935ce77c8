//! What the forward pass on burn is made of: operations on our [kernels](crate::kernel), each with its
//! derivative, as extensions of burn. The base model is frozen, so that no derivative is taken with
//! respect to its weights.
//!
//! | file | what it is about |
//! |---|---|
//! | [`frozen_linear`], [`low_rank`] | `x · W`, and what an adapter adds to it |
//! | [`rms_norm`], [`swiglu`], [`rotate`] | what happens between the products |
//! | [`attention`] | causal attention |
//! | [`cross_entropy`] | the loss of rows of logits |
//!
//! Work is shared out over the current rayon pool, into which [`Model::run`](crate::Model::run) puts
//! its caller. The results do not depend on the number of threads.

pub(crate) mod attention;
pub(crate) mod cross_entropy;
pub(crate) mod frozen_linear;
pub(crate) mod low_rank;
pub(crate) mod rms_norm;
pub(crate) mod rotate;
pub(crate) mod swiglu;

use std::{fmt::Debug, marker::PhantomData};

use burn::{
	backend::{
		autodiff::{
			checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
			grads::Gradients,
			ops::{Backward, Ops, OpsKind},
		},
		backend_extension,
		flex::FlexTensor,
		tensor::FloatTensor,
		Autodiff, Backend, Dispatch, Flex,
	},
	tensor::{Tensor, TensorData},
};
use rayon::iter::{IndexedParallelIterator, IntoParallelIterator, ParallelIterator};

/// A function of `N` tensors and its derivative.
pub(crate) trait Operation<const N: usize>: Clone + Debug + Send + 'static {
	/// What the derivative needs to know of the forward pass.
	type Saved: Clone + Debug + Send + 'static;

	fn forward(&self, inputs: [FlexTensor; N]) -> (FlexTensor, Self::Saved);

	/// From the gradient with respect to the output those with respect to the inputs.
	fn backward(&self, saved: Self::Saved, gradient: FlexTensor) -> [FlexTensor; N];
}

/// Applies an operation to one tensor.
pub(crate) fn unary<const D: usize, const E: usize>(
	operation: impl Operation<1>,
	x: Tensor<D>,
) -> Tensor<E> {
	Tensor::from_dispatch(<Dispatch as Extension>::unary(operation, x.into_dispatch()))
}

/// Applies an operation to two tensors.
pub(crate) fn binary<const D: usize>(
	operation: impl Operation<2>,
	[x, y]: [Tensor<D>; 2],
) -> Tensor<D> {
	let (x, y) = (x.into_dispatch(), y.into_dispatch());
	Tensor::from_dispatch(<Dispatch as Extension>::binary(operation, x, y))
}

/// Applies an operation to three tensors.
pub(crate) fn ternary<const D: usize, const E: usize>(
	operation: impl Operation<3>,
	x: Tensor<D>,
	[y, z]: [Tensor<E>; 2],
) -> Tensor<D> {
	let (x, y, z) = (x.into_dispatch(), y.into_dispatch(), z.into_dispatch());
	Tensor::from_dispatch(<Dispatch as Extension>::ternary(operation, x, y, z))
}

#[backend_extension(Flex, Autodiff)]
pub(crate) trait Extension: Backend {
	fn unary<O: Operation<1>>(operation: O, x: FloatTensor<Self>) -> FloatTensor<Self>;

	fn binary<O: Operation<2>>(
		operation: O,
		x: FloatTensor<Self>,
		y: FloatTensor<Self>,
	) -> FloatTensor<Self>;

	fn ternary<O: Operation<3>>(
		operation: O,
		x: FloatTensor<Self>,
		y: FloatTensor<Self>,
		z: FloatTensor<Self>,
	) -> FloatTensor<Self>;
}

impl Extension for Flex {
	fn unary<O: Operation<1>>(operation: O, x: FlexTensor) -> FlexTensor {
		operation.forward([x]).0
	}

	fn binary<O: Operation<2>>(operation: O, x: FlexTensor, y: FlexTensor) -> FlexTensor {
		operation.forward([x, y]).0
	}

	fn ternary<O: Operation<3>>(
		operation: O,
		x: FlexTensor,
		y: FlexTensor,
		z: FlexTensor,
	) -> FlexTensor {
		operation.forward([x, y, z]).0
	}
}

impl<C: CheckpointStrategy> Extension for Autodiff<Flex, C> {
	fn unary<O: Operation<1>>(operation: O, x: FloatTensor<Self>) -> FloatTensor<Self> {
		record::<O, C, 1>(operation, [x])
	}

	fn binary<O: Operation<2>>(
		operation: O,
		x: FloatTensor<Self>,
		y: FloatTensor<Self>,
	) -> FloatTensor<Self> {
		record::<O, C, 2>(operation, [x, y])
	}

	fn ternary<O: Operation<3>>(
		operation: O,
		x: FloatTensor<Self>,
		y: FloatTensor<Self>,
		z: FloatTensor<Self>,
	) -> FloatTensor<Self> {
		record::<O, C, 3>(operation, [x, y, z])
	}
}

/// Computes the output and notes how to get back.
fn record<O: Operation<N>, C: CheckpointStrategy, const N: usize>(
	operation: O,
	inputs: [FloatTensor<Autodiff<Flex, C>>; N],
) -> FloatTensor<Autodiff<Flex, C>> {
	let nodes = inputs.each_ref().map(|input| input.node());
	let (output, saved) = operation.forward(inputs.map(|input| input.into_primitive()));
	match Step::<O>(PhantomData).prepare::<C>(nodes).compute_bound().stateful() {
		OpsKind::Tracked(step) => step.finish((operation, saved), output),
		OpsKind::UnTracked(step) => step.finish(output),
	}
}

#[derive(Debug)]
struct Step<O>(PhantomData<O>);

impl<O: Operation<N>, const N: usize> Backward<Flex, N> for Step<O> {
	type State = (O, O::Saved);

	fn backward(
		self,
		step: Ops<Self::State, N>,
		gradients: &mut Gradients,
		_checkpointer: &mut Checkpointer,
	) {
		let gradient = gradients.consume::<Flex>(&step.node);
		let (operation, saved) = step.state;
		let found = operation.backward(saved, gradient);
		for (parent, gradient) in step.parents.into_iter().zip(found) {
			if let Some(parent) = parent {
				gradients.register::<Flex>(parent.id, gradient);
			}
		}
	}
}

fn tensor<const D: usize>(values: Vec<f32>, shape: [usize; D]) -> FlexTensor {
	FlexTensor::from_data(TensorData::new(values, shape))
}

/// Pieces into which work is cut for each thread.
const PIECES: usize = 8;

/// Does `tasks` tasks, numbered from 0, in any order on the threads of the pool. Each call gets memory
/// with anything in it.
fn each(tasks: usize, task: impl Fn(usize, &mut Vec<f32>) + Send + Sync) {
	// Pieces small enough that a thread which something else delays does not hold up the others.
	let piece = tasks.div_ceil(PIECES * rayon::current_num_threads());
	(0..tasks)
		.into_par_iter()
		.with_max_len(piece.max(1))
		.for_each_init(Vec::new, |memory, index| task(index, memory));
}

/// What the tests of all operations share.
#[cfg(test)]
mod tests {
	use burn::tensor::Device;

	use super::*;

	/// Numbers between −1 and 1.
	pub(crate) fn random<const D: usize>(shape: [usize; D], seed: u64) -> Tensor<D> {
		let values = crate::kernel::numbers(shape.iter().product(), seed);
		Tensor::from_data(TensorData::new(values, shape), &Device::flex())
	}

	pub(crate) fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
		tensor.into_data().iter::<f32>().collect()
	}

	pub(crate) fn assert_close(found: &[f32], expected: &[f32], what: &str) {
		assert_eq!(found.len(), expected.len(), "{what}");
		for (index, (a, b)) in found.iter().zip(expected).enumerate() {
			assert!((a - b).abs() < 2e-5 * b.abs().max(1.0), "{what}, {index}: {a} and {b}");
		}
	}

	/// The output of a function, and the gradients of a sum of its numbers, each times one of its own.
	pub(crate) fn output_and_gradients<const D: usize, const E: usize, const N: usize>(
		function: impl Fn([Tensor<D>; N]) -> Tensor<E>,
		inputs: [Tensor<D>; N],
	) -> [Vec<f32>; 2] {
		let leaves = inputs.map(|input| input.autodiff().require_grad());
		let output = function(leaves.clone());
		let factors = random(output.dims(), 99);
		let mut tape = (output.clone() * factors.autodiff()).sum().backward();
		let gradients = leaves.iter().flat_map(|leaf| values(leaf.grad_remove(&mut tape).unwrap()));
		let gradients = gradients.collect();
		[values(output.inner()), gradients]
	}

	/// The operation has the output and the gradients of `expected`, made of burn's own, and gives the
	/// same output outside of autodiff.
	pub(crate) fn check<const D: usize, const E: usize, const N: usize>(
		what: &str,
		operation: impl Fn([Tensor<D>; N]) -> Tensor<E>,
		expected: impl Fn([Tensor<D>; N]) -> Tensor<E>,
		inputs: [Tensor<D>; N],
	) {
		let plain = values(operation(inputs.clone()));
		let [output, gradients] = output_and_gradients(&operation, inputs.clone());
		let [expected_output, expected_gradients] = output_and_gradients(expected, inputs);
		assert_eq!(plain, output, "{what}");
		assert_close(&output, &expected_output, what);
		assert_close(&gradients, &expected_gradients, what);
	}
}
