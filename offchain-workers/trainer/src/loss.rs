//! Cross-entropy on completion tokens, without ever holding a batch's logits.
//!
//! Logits of 1,024 tokens over 49,152 words are 201 MB, and their gradient as much again. The head
//! is frozen, so all the body needs is the gradient with respect to the hidden rows, and rows do
//! not interact: take [`ROWS_PER_CHUNK`] rows, compute their logits, loss and gradient, drop the
//! logits, go on. The body's backward pass then starts from the collected gradient.

use burn::tensor::Tensor;
use openledger_engine::cross_entropy;

/// Rows of logits held at a time: 25 MB at a vocabulary of 49,152, and enough rows for the head's
/// matrix product to run at full speed.
pub const ROWS_PER_CHUNK: usize = 128;

/// Loss of some rows and its gradient.
#[derive(Debug)]
pub struct LossAndGradient {
	/// Sum of `-ln p(target)` over the rows, in nats.
	pub sum: f64,
	/// Gradient of `weight · sum` with respect to the hidden rows, `[rows, hidden]`; outside of
	/// any autodiff graph.
	pub gradient: Tensor<2>,
}

/// Loss of predicting `targets[i]` from row `i` of `hidden` (`[rows, hidden]`, without autodiff)
/// through `head` (`[rows, hidden]` to logits `[rows, vocabulary]`), and the gradient of `weight`
/// times that loss.
///
/// `rows_per_chunk` bounds the rows for which logits exist at once. `targets` has a number for
/// every row, each below the vocabulary's size.
pub fn loss_and_gradient(
	head: impl Fn(Tensor<2>) -> Tensor<2>,
	hidden: Tensor<2>,
	targets: &[u32],
	weight: f64,
	rows_per_chunk: usize,
) -> LossAndGradient {
	let mut sum = 0.0;
	let mut gradients = Vec::with_capacity(targets.len().div_ceil(rows_per_chunk.max(1)));
	for (rows, targets) in chunks(&hidden, targets, rows_per_chunk) {
		let leaf = rows.autodiff().require_grad();
		let losses = cross_entropy(head(leaf.clone()), targets);
		sum += total(losses.clone().inner());
		let mut tape = losses.sum().mul_scalar(weight).backward();
		if let Some(gradient) = leaf.grad_remove(&mut tape) {
			gradients.push(gradient);
		}
	}
	LossAndGradient { sum, gradient: Tensor::cat(gradients, 0) }
}

/// The sum of [`loss_and_gradient`] alone, for measuring.
pub fn loss(
	head: impl Fn(Tensor<2>) -> Tensor<2>,
	hidden: Tensor<2>,
	targets: &[u32],
	rows_per_chunk: usize,
) -> f64 {
	chunks(&hidden, targets, rows_per_chunk)
		.map(|(rows, targets)| total(cross_entropy(head(rows), targets)))
		.sum()
}

fn chunks<'a>(
	hidden: &'a Tensor<2>,
	targets: &'a [u32],
	rows_per_chunk: usize,
) -> impl Iterator<Item = (Tensor<2>, &'a [u32])> {
	let rows_per_chunk = rows_per_chunk.max(1);
	targets.chunks(rows_per_chunk).enumerate().map(move |(index, targets)| {
		(hidden.clone().narrow(0, index * rows_per_chunk, targets.len()), targets)
	})
}

/// Sum in f64 and in order, so that it does not depend on the number of threads.
fn total(losses: Tensor<2>) -> f64 {
	losses.into_data().iter::<f32>().map(f64::from).sum()
}

#[cfg(test)]
mod tests {
	use burn::tensor::{activation, Device, Int, TensorData};

	use super::*;
	use crate::random::{Purpose, Stream};

	const HIDDEN: usize = 12;
	const VOCABULARY: usize = 33;

	fn random(rows: usize, columns: usize, bound: f32, index: u64) -> Tensor<2> {
		let mut stream = Stream::new(Purpose::LoraInit, 5, index);
		let values: Vec<f32> = (0..rows * columns).map(|_| stream.symmetric(bound)).collect();
		Tensor::from_data(TensorData::new(values, [rows, columns]), &Device::flex())
	}

	fn values(tensor: Tensor<2>) -> Vec<f32> {
		tensor.into_data().iter::<f32>().collect()
	}

	/// `targets` as a column of indices.
	fn target_columns(targets: &[u32]) -> Tensor<2, Int> {
		let indices: Vec<i64> = targets.iter().map(|&target| i64::from(target)).collect();
		Tensor::from_data(TensorData::new(indices, [targets.len(), 1]), &Device::flex())
	}

	/// Mean loss and its gradient the plain way: log-softmax over everything, autodiff.
	fn unchunked(hidden: Tensor<2>, weight: &Tensor<2>, targets: &[u32]) -> (f64, Vec<f32>) {
		let leaf = hidden.autodiff().require_grad();
		let logits = leaf.clone().matmul(weight.clone());
		let columns = target_columns(targets).autodiff();
		let loss = activation::log_softmax(logits, 1).gather(1, columns).mean().neg();
		let mut tape = loss.backward();
		let value: f32 = loss.into_scalar();
		(f64::from(value), values(leaf.grad_remove(&mut tape).unwrap()))
	}

	#[test]
	fn chunked_loss_and_gradient_should_equal_the_unchunked_ones() {
		let rows = 21;
		let hidden = random(rows, HIDDEN, 2.0, 0);
		let weight = random(HIDDEN, VOCABULARY, 1.0, 1);
		let targets: Vec<u32> = (0..rows as u32).map(|row| row * 7 % VOCABULARY as u32).collect();
		let (expected_loss, expected_gradient) = unchunked(hidden.clone(), &weight, &targets);
		for rows_per_chunk in [1, 4, 7, 20, 21, 22, 1_000] {
			let head = |x: Tensor<2>| x.matmul(weight.clone());
			let share = 1.0 / rows as f64;
			let found = loss_and_gradient(head, hidden.clone(), &targets, share, rows_per_chunk);
			assert!((found.sum * share - expected_loss).abs() < 1e-6, "{rows_per_chunk}");
			let gradient = values(found.gradient);
			assert_eq!(gradient.len(), expected_gradient.len());
			for (a, b) in gradient.iter().zip(&expected_gradient) {
				assert!((a - b).abs() < 1e-7, "{rows_per_chunk} rows a chunk: {a} and {b}");
			}
			let measured = loss(head, hidden.clone(), &targets, rows_per_chunk);
			assert!((measured - found.sum).abs() < 1e-9);
		}
	}

	#[test]
	fn no_chunk_should_hold_more_rows_than_allowed() {
		let weight = random(HIDDEN, VOCABULARY, 1.0, 1);
		let largest = std::cell::Cell::new(0);
		let head = |x: Tensor<2>| {
			largest.set(largest.get().max(x.dims()[0]));
			x.matmul(weight.clone())
		};
		loss_and_gradient(head, random(50, HIDDEN, 1.0, 0), &[3; 50], 1.0, 16);
		assert_eq!(largest.get(), 16);
	}

	#[test]
	fn loss_should_stay_finite_when_the_target_is_all_but_impossible() {
		let hidden = Tensor::from_data(TensorData::new(vec![1f32], [1, 1]), &Device::flex());
		let weight = Tensor::from_data(TensorData::new(vec![0f32, 500.0], [1, 2]), &Device::flex());
		let head = |x: Tensor<2>| x.matmul(weight.clone());
		let found = loss_and_gradient(head, hidden, &[0], 1.0, 8);
		assert!((found.sum - 500.0).abs() < 1e-3);
		assert_eq!(values(found.gradient), [500.0]);
	}
}
