//! The trained parameters and AdamW over them.

use burn::{
	optim::{AdamW, AdamWConfig, AdamWState, AdaptiveMomentumState, Optimizer},
	tensor::{Device, Tensor, TensorData, TensorReadError},
};

use crate::spec::TrainingSpec;

/// One trained matrix and the optimiser's memory of it.
#[derive(Clone)]
pub struct Parameter {
	/// Its name in checkpoints.
	pub name: String,
	/// Its value, `[rows, columns]`, outside of any autodiff graph.
	pub value: Tensor<2>,
	state: Option<AdamWState<2>>,
}

impl std::fmt::Debug for Parameter {
	fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
		write!(f, "Parameter({}, {:?})", self.name, self.value.dims())
	}
}

/// A [`Parameter`] as plain numbers, row by row.
#[derive(Clone, Debug, PartialEq)]
pub struct ParameterState {
	/// Its name.
	pub name: String,
	/// Rows and columns.
	pub shape: [usize; 2],
	/// The matrix.
	pub value: Vec<f32>,
	/// AdamW's mean of gradients; zeros before the first step.
	pub first_moment: Vec<f32>,
	/// AdamW's mean of squared gradients; zeros before the first step.
	pub second_moment: Vec<f32>,
}

impl Parameter {
	/// A parameter that no step has changed yet.
	pub fn new(name: String, value: Tensor<2>) -> Self {
		Self { name, value, state: None }
	}

	/// The numbers a later [`Parameter::restore`] continues from.
	pub fn save(&self) -> Result<ParameterState, TensorReadError> {
		let shape = self.value.dims();
		let value = self.value.clone().try_into_vec_as()?;
		let (first_moment, second_moment) = match &self.state {
			None => (vec![0.0; value.len()], vec![0.0; value.len()]),
			Some(AdamWState { momentum }) => (
				momentum.moment_1.clone().try_into_vec_as()?,
				momentum.moment_2.clone().try_into_vec_as()?,
			),
		};
		Ok(ParameterState { name: self.name.clone(), shape, value, first_moment, second_moment })
	}

	/// The parameter as [`Parameter::save`] saw it after `steps` steps. The vectors of `state`
	/// have as many numbers as its shape says.
	pub fn restore(state: ParameterState, steps: u32, device: &Device) -> Self {
		let ParameterState { name, shape, value, first_moment, second_moment } = state;
		let tensor = |values| Tensor::from_data(TensorData::new(values, shape), device);
		let momentum = || AdaptiveMomentumState {
			time: steps as usize,
			moment_1: tensor(first_moment),
			moment_2: tensor(second_moment),
			max_moment_2: None,
		};
		let state = (steps > 0).then(|| AdamWState { momentum: momentum() });
		Self { name, value: tensor(value), state }
	}
}

/// AdamW (arXiv:1711.05101) with the settings of a specification.
///
/// In the order of PyTorch's `torch.optim.AdamW`: the weight shrinks by `rate · weight_decay`,
/// then loses `rate · m̂ / (√v̂ + ε)` with the moments corrected for their start at zero.
pub struct Optimiser {
	adamw: AdamW,
}

impl std::fmt::Debug for Optimiser {
	fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
		f.write_str("Optimiser(AdamW)")
	}
}

impl Optimiser {
	/// The optimiser of a specification. burn's defaults are not PyTorch's: everything is set.
	pub fn new(spec: &TrainingSpec) -> Self {
		let adamw = AdamWConfig::new()
			.with_beta_1(spec.adam_beta1 as f32)
			.with_beta_2(spec.adam_beta2 as f32)
			.with_epsilon(spec.adam_epsilon as f32)
			.with_weight_decay(spec.weight_decay as f32)
			.build();
		Self { adamw }
	}

	/// Moves `parameter` against `gradient`, a tensor of its shape outside of autodiff.
	pub fn step(&self, rate: f64, parameter: &mut Parameter, gradient: Tensor<2>) {
		let state = parameter.state.take();
		let value = parameter.value.clone();
		(parameter.value, parameter.state) = self.adamw.step(rate, value, gradient, state);
	}
}

#[cfg(test)]
mod tests {
	use super::*;

	fn spec() -> TrainingSpec {
		TrainingSpec { weight_decay: 0.1, ..TrainingSpec::default() }
	}

	fn parameter() -> Parameter {
		let value = TensorData::from([[0.5f32, -1.0, 2.0]]);
		Parameter::new("p".into(), Tensor::from_data(value, &Device::flex()))
	}

	fn gradient(step: usize) -> Vec<f32> {
		(0..3).map(|i| ((step * 3 + i) as f32 * 0.7).sin() * 10f32.powi(-2 * i as i32)).collect()
	}

	fn walk(optimiser: &Optimiser, parameter: &mut Parameter, steps: std::ops::Range<usize>) {
		for step in steps {
			let gradient = TensorData::new(gradient(step), [1, 3]);
			optimiser.step(0.01, parameter, Tensor::from_data(gradient, &Device::flex()));
		}
	}

	#[test]
	fn step_should_follow_the_formula_of_torch() {
		// The formula of torch.optim.AdamW's documentation, in f64.
		let (mut weights, mut m, mut v) = ([0.5f64, -1.0, 2.0], [0f64; 3], [0f64; 3]);
		for step in 0..20 {
			for (i, g) in gradient(step).into_iter().map(f64::from).enumerate() {
				weights[i] *= 1.0 - 0.01 * 0.1;
				m[i] = 0.9 * m[i] + 0.1 * g;
				v[i] = 0.999 * v[i] + 0.001 * g * g;
				let mean = m[i] / (1.0 - 0.9f64.powi(step as i32 + 1));
				let square = v[i] / (1.0 - 0.999f64.powi(step as i32 + 1));
				weights[i] -= 0.01 * mean / (square.sqrt() + 1e-8);
			}
		}
		let mut found = parameter();
		walk(&Optimiser::new(&spec()), &mut found, 0..20);
		let found: Vec<f32> = found.value.try_into_vec_as().unwrap();
		for (a, b) in found.iter().zip(weights) {
			assert!((f64::from(*a) - b).abs() < 1e-5, "{found:?} and {weights:?}");
		}
	}

	#[test]
	fn restored_parameter_should_go_on_bit_for_bit() {
		let optimiser = Optimiser::new(&spec());
		for pause in [0, 1, 7] {
			let mut through = parameter();
			walk(&optimiser, &mut through, 0..12);
			let mut paused = parameter();
			walk(&optimiser, &mut paused, 0..pause);
			let saved = paused.save().unwrap();
			let mut resumed = Parameter::restore(saved, pause as u32, &Device::flex());
			walk(&optimiser, &mut resumed, pause..12);
			assert_eq!(resumed.save().unwrap(), through.save().unwrap());
		}
	}
}
