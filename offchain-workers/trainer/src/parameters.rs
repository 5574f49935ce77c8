//! The adapter's matrices as parameters of training.

use burn::tensor::{Device, Tensor, TensorData, TensorReadError};
use openledger_engine::{
	LlamaConfig, LoraConfig, LoraError, LoraLinear, LoraWeights, TargetModule,
};

use crate::{
	optimiser::{Parameter, ParameterState},
	random::{Purpose, Stream},
};

/// The two matrices of one adapted linear layer.
struct Module {
	layer: usize,
	target: TargetModule,
	scale: f32,
	/// `[in, r]`.
	a: Parameter,
	/// `[r, out]`.
	b: Parameter,
}

/// All matrices of an adapter: by layer, then in the order of [`TargetModule::ALL`], A before B.
pub struct AdapterParameters {
	layers: usize,
	modules: Vec<Module>,
}

impl AdapterParameters {
	/// A new adapter, which changes nothing yet: as in PEFT, `A` is uniform in `±1/√in` (Kaiming
	/// with `a = √5`) and `B` is zero.
	///
	/// The `i`-th adapted module draws its `A`, `[in, r]` row by row, from the stream
	/// (lora-init, seed, `i`).
	pub fn new(model: &LlamaConfig, config: &LoraConfig, seed: u64, device: &Device) -> Self {
		let layers = model.num_hidden_layers;
		let mut modules = Vec::new();
		for layer in 0..layers {
			for target in TargetModule::ALL {
				if !config.target_modules.contains(&target) {
					continue;
				}
				let (input, output) = target.widths(model);
				let rank = config.rank(layer, target);
				let mut stream = Stream::new(Purpose::LoraInit, seed, modules.len() as u64);
				let bound = 1.0 / (input as f32).sqrt();
				let values: Vec<f32> = (0..input * rank).map(|_| stream.symmetric(bound)).collect();
				let a = Tensor::from_data(TensorData::new(values, [input, rank]), device);
				let b = Tensor::zeros([rank, output], device);
				let path = target.path(layer);
				modules.push(Module {
					layer,
					target,
					scale: config.scale(layer, target),
					a: Parameter::new(format!("{path}.a"), a),
					b: Parameter::new(format!("{path}.b"), b),
				});
			}
		}
		Self { layers, modules }
	}

	/// All matrices in order.
	pub fn all(&self) -> impl Iterator<Item = &Parameter> {
		self.modules.iter().flat_map(|module| [&module.a, &module.b])
	}

	/// All matrices in order, to change them.
	pub fn all_mut(&mut self) -> impl Iterator<Item = &mut Parameter> {
		self.modules.iter_mut().flat_map(|module| [&mut module.a, &mut module.b])
	}

	/// Names and shapes in order.
	pub fn shapes(&self) -> Vec<(String, [usize; 2])> {
		self.all().map(|parameter| (parameter.name.clone(), parameter.value.dims())).collect()
	}

	/// Numbers in the adapter.
	pub fn count(&self) -> usize {
		self.all().map(|parameter| parameter.value.dims().iter().product::<usize>()).sum()
	}

	/// The matrices and the optimiser's memory of them, in order.
	pub fn save(&self) -> Result<Vec<ParameterState>, TensorReadError> {
		self.all().map(Parameter::save).collect()
	}

	/// Takes over what [`AdapterParameters::save`] gave after `steps` steps of the same adapter.
	pub fn restore(&mut self, states: Vec<ParameterState>, steps: u32, device: &Device) {
		for (parameter, state) in self.all_mut().zip(states) {
			*parameter = Parameter::restore(state, steps, device);
		}
	}

	/// The adapter with every matrix a leaf of a new autodiff graph, and those leaves in order.
	pub fn leaves(&self) -> Result<(Vec<Tensor<2>>, LoraWeights), LoraError> {
		let mut leaves = Vec::with_capacity(self.modules.len() * 2);
		let weights = self.weights(|value| {
			let leaf = value.autodiff().require_grad();
			leaves.push(leaf.clone());
			leaf
		})?;
		Ok((leaves, weights))
	}

	/// The adapter as it is, outside of any autodiff graph.
	pub fn frozen(&self) -> Result<LoraWeights, LoraError> {
		self.weights(|value| value)
	}

	fn weights(
		&self,
		mut tensor: impl FnMut(Tensor<2>) -> Tensor<2>,
	) -> Result<LoraWeights, LoraError> {
		let mut weights = LoraWeights::new(self.layers);
		for module in &self.modules {
			let linear = LoraLinear {
				a: tensor(module.a.value.clone()),
				b: tensor(module.b.value.clone()),
				scale: module.scale,
			};
			weights.insert(module.layer, module.target, linear)?;
		}
		Ok(weights)
	}
}
