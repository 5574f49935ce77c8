//! LoRA adapters in memory (arXiv 2106.09685): `y = xW + s · (xA)B`.

use burn::tensor::Tensor;

use crate::{config::LlamaConfig, operations::low_rank::low_rank, peft_config::LoraConfig};

/// Largest rank accepted. PEFT users stay at or below 256.
pub const MAX_RANK: usize = 1_024;

/// A linear layer that an adapter can change, in transformers' names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TargetModule {
	QProj,
	KProj,
	VProj,
	OProj,
	GateProj,
	UpProj,
	DownProj,
}

impl TargetModule {
	pub const ALL: [Self; 7] = [
		Self::QProj,
		Self::KProj,
		Self::VProj,
		Self::OProj,
		Self::GateProj,
		Self::UpProj,
		Self::DownProj,
	];

	/// The module's name, as in PEFT's `target_modules`.
	pub fn name(self) -> &'static str {
		match self {
			Self::QProj => "q_proj",
			Self::KProj => "k_proj",
			Self::VProj => "v_proj",
			Self::OProj => "o_proj",
			Self::GateProj => "gate_proj",
			Self::UpProj => "up_proj",
			Self::DownProj => "down_proj",
		}
	}

	/// The module with this name.
	pub fn from_name(name: &str) -> Option<Self> {
		Self::ALL.into_iter().find(|target| target.name() == name)
	}

	/// The module's place in transformers' Llama: `model.layers.3.self_attn.q_proj`.
	pub fn path(self, layer: usize) -> String {
		let block = match self {
			Self::QProj | Self::KProj | Self::VProj | Self::OProj => "self_attn",
			Self::GateProj | Self::UpProj | Self::DownProj => "mlp",
		};
		format!("model.layers.{layer}.{block}.{}", self.name())
	}

	/// Input and output widths of the layer.
	pub fn widths(self, config: &LlamaConfig) -> (usize, usize) {
		let (hidden, intermediate) = (config.hidden_size, config.intermediate_size);
		match self {
			Self::QProj => (hidden, config.query_size()),
			Self::KProj | Self::VProj => (hidden, config.key_value_size()),
			Self::OProj => (config.query_size(), hidden),
			Self::GateProj | Self::UpProj => (hidden, intermediate),
			Self::DownProj => (intermediate, hidden),
		}
	}

	fn index(self) -> usize {
		self as usize
	}
}

/// Why LoRA weights do not fit a model or their configuration.
#[derive(Debug, thiserror::Error)]
pub enum LoraError {
	#[error("the adapter has {found} layers, but the model {expected}")]
	LayerCount { expected: usize, found: usize },
	#[error("there is no layer {layer}: the adapter has {layers}")]
	NoSuchLayer { layer: usize, layers: usize },
	#[error(
		"the adapter's A and B of `{module}` have the shapes {a:?} and {b:?}, but the model \
		 asks for [{input}, r] and [r, {output}]"
	)]
	WrongShape { module: String, a: [usize; 2], b: [usize; 2], input: usize, output: usize },
	#[error("the rank {rank} of `{module}` does not lie between 1 and {MAX_RANK}")]
	RankOutOfBounds { module: String, rank: u64 },
	#[error("the rank of `{module}` is {found}, but the configuration says {expected}")]
	WrongRank { module: String, expected: usize, found: usize },
	#[error("the scale of `{module}` is {found}, but the configuration says {expected}")]
	WrongScale { module: String, expected: f32, found: f32 },
	#[error("`{0}` is a target of the configuration, but has no weights")]
	MissingModule(String),
	#[error("`{0}` has weights, but is no target of the configuration")]
	UnexpectedModule(String),
}

/// One adapted linear layer.
#[derive(Clone, Debug)]
pub struct LoraLinear {
	/// `[in, r]`.
	pub a: Tensor<2>,
	/// `[r, out]`.
	pub b: Tensor<2>,
	/// `s`, with alpha and rank worked in.
	pub scale: f32,
}

impl LoraLinear {
	/// The rank `r`.
	pub fn rank(&self) -> usize {
		self.a.dims()[1]
	}

	/// `s · (xA)B`, `[rows, in]` to `[rows, out]`.
	pub fn delta(&self, x: Tensor<2>) -> Tensor<2> {
		low_rank(x, self.a.clone(), self.b.clone(), self.scale)
	}
}

/// The adapted linear layers of one transformer layer.
#[derive(Clone, Debug, Default)]
pub struct LoraLayer {
	modules: [Option<LoraLinear>; TargetModule::ALL.len()],
}

impl LoraLayer {
	/// The adapter's weights for `target`, if it adapts it.
	pub fn get(&self, target: TargetModule) -> Option<&LoraLinear> {
		self.modules.get(target.index())?.as_ref()
	}
}

/// An adapter's weights.
///
/// The tensors may be autodiff leaves: the forward pass then keeps their graph, and the frozen
/// base counts as a constant.
#[derive(Clone, Debug)]
pub struct LoraWeights {
	layers: Vec<LoraLayer>,
}

impl LoraWeights {
	/// No weights yet, for a model of `layers` layers.
	pub fn new(layers: usize) -> Self {
		Self { layers: vec![LoraLayer::default(); layers] }
	}

	/// Sets the weights of one module.
	pub fn insert(
		&mut self,
		layer: usize,
		target: TargetModule,
		linear: LoraLinear,
	) -> Result<(), LoraError> {
		let layers = self.layers.len();
		let slot = self
			.layers
			.get_mut(layer)
			.and_then(|layer| layer.modules.get_mut(target.index()))
			.ok_or(LoraError::NoSuchLayer { layer, layers })?;
		*slot = Some(linear);
		Ok(())
	}

	/// The weights of one transformer layer.
	pub fn layer(&self, layer: usize) -> Option<&LoraLayer> {
		self.layers.get(layer)
	}

	/// The weights of one module.
	pub fn get(&self, layer: usize, target: TargetModule) -> Option<&LoraLinear> {
		self.layer(layer)?.get(target)
	}

	/// All adapted modules, by layer and then in the order of [`TargetModule::ALL`].
	pub fn iter(&self) -> impl Iterator<Item = (usize, TargetModule, &LoraLinear)> {
		self.layers.iter().enumerate().flat_map(|(index, layer)| {
			TargetModule::ALL
				.into_iter()
				.filter_map(move |target| layer.get(target).map(|linear| (index, target, linear)))
		})
	}

	/// Some tensor takes part in autodiff.
	pub fn is_autodiff(&self) -> bool {
		self.iter().any(|(_, _, linear)| linear.a.is_autodiff() || linear.b.is_autodiff())
	}

	/// The same values without autodiff.
	pub fn without_autodiff(&self) -> Self {
		let mut weights = self.clone();
		for linear in weights.layers.iter_mut().flat_map(|layer| &mut layer.modules).flatten() {
			linear.a = linear.a.clone().without_autodiff();
			linear.b = linear.b.clone().without_autodiff();
		}
		weights
	}

	/// Checks every shape against a model's dimensions.
	pub fn check(&self, config: &LlamaConfig) -> Result<(), LoraError> {
		if self.layers.len() != config.num_hidden_layers {
			return Err(LoraError::LayerCount {
				expected: config.num_hidden_layers,
				found: self.layers.len(),
			});
		}
		for (layer, target, linear) in self.iter() {
			let (input, output) = target.widths(config);
			let (a, b) = (linear.a.dims(), linear.b.dims());
			if a[0] != input || b[1] != output || a[1] != b[0] {
				let module = target.path(layer);
				return Err(LoraError::WrongShape { module, a, b, input, output });
			}
			if a[1] == 0 || a[1] > MAX_RANK {
				let module = target.path(layer);
				return Err(LoraError::RankOutOfBounds { module, rank: a[1] as u64 });
			}
		}
		Ok(())
	}
}

/// A LoRA adapter: weights that fit a model, and the configuration that they were made with.
#[derive(Clone, Debug)]
pub struct Adapter {
	config: LoraConfig,
	weights: LoraWeights,
}

impl Adapter {
	/// Checks that the weights fit the model's dimensions and are exactly what the configuration
	/// describes: every target in every layer, with its rank and scale.
	pub fn new(
		config: LoraConfig,
		weights: LoraWeights,
		model: &LlamaConfig,
	) -> Result<Self, LoraError> {
		weights.check(model)?;
		for layer in 0..model.num_hidden_layers {
			for target in TargetModule::ALL {
				let wanted = config.target_modules.contains(&target);
				let module = || target.path(layer);
				let linear = match (weights.get(layer, target), wanted) {
					(None, false) => continue,
					(None, true) => return Err(LoraError::MissingModule(module())),
					(Some(_), false) => return Err(LoraError::UnexpectedModule(module())),
					(Some(linear), true) => linear,
				};
				let (expected, found) = (config.rank(layer, target), linear.rank());
				if expected != found {
					return Err(LoraError::WrongRank { module: module(), expected, found });
				}
				let (expected, found) = (config.scale(layer, target), linear.scale);
				if expected != found {
					return Err(LoraError::WrongScale { module: module(), expected, found });
				}
			}
		}
		Ok(Self { config, weights })
	}

	pub fn config(&self) -> &LoraConfig {
		&self.config
	}

	pub fn weights(&self) -> &LoraWeights {
		&self.weights
	}
}
