//! Gradient clipping by global norm.

use burn::tensor::{Tensor, TensorReadError};

/// Keeps the division finite when the norm is tiny, as in PyTorch.
const NORM_EPSILON: f64 = 1e-6;

/// Scales all `gradients` by the same factor so that their common L2 norm is at most `max_norm`,
/// and returns the norm they had. A norm that is not finite is returned and nothing is scaled.
///
/// The formula is that of `torch.nn.utils.clip_grad_norm_`: `min(1, max_norm / (norm + 1e-6))`.
/// The sum is taken in f64 and in order, so that it does not depend on the number of threads.
pub fn clip_by_global_norm(
	gradients: &mut [Tensor<2>],
	max_norm: f64,
) -> Result<f64, TensorReadError> {
	let mut squares = 0.0;
	for gradient in gradients.iter() {
		let values: Vec<f32> = gradient.try_to_vec_as()?;
		squares += values.into_iter().map(|x| f64::from(x).powi(2)).sum::<f64>();
	}
	let norm = squares.sqrt();
	let factor = max_norm / (norm + NORM_EPSILON);
	if norm.is_finite() && factor < 1.0 {
		for gradient in gradients {
			*gradient = gradient.clone().mul_scalar(factor);
		}
	}
	Ok(norm)
}

#[cfg(test)]
mod tests {
	use burn::tensor::{Device, TensorData};

	use super::*;

	fn gradients() -> Vec<Tensor<2>> {
		let tensor = |values: Vec<f32>, shape: [usize; 2]| {
			Tensor::from_data(TensorData::new(values, shape), &Device::flex())
		};
		vec![tensor(vec![3.0, 0.0], [1, 2]), tensor(vec![0.0, 0.0, 4.0], [3, 1])]
	}

	fn values(gradients: &[Tensor<2>]) -> Vec<f32> {
		gradients.iter().flat_map(|x| x.to_data().iter::<f32>().collect::<Vec<_>>()).collect()
	}

	#[test]
	fn large_gradients_should_be_scaled_together() {
		let mut found = gradients();
		assert_eq!(clip_by_global_norm(&mut found, 1.0).unwrap(), 5.0);
		for (a, b) in values(&found).iter().zip([0.6, 0.0, 0.0, 0.0, 0.8]) {
			assert!((a - b).abs() < 1e-6, "{a} and {b}");
		}
	}

	#[test]
	fn small_and_infinite_gradients_should_stay_as_they_are() {
		let mut found = gradients();
		assert_eq!(clip_by_global_norm(&mut found, 6.0).unwrap(), 5.0);
		assert_eq!(values(&found), values(&gradients()));
		let mut found = gradients();
		found[0] = found[0].clone().mul_scalar(f32::INFINITY);
		assert!(!clip_by_global_norm(&mut found, 1.0).unwrap().is_finite());
	}
}
