//! An adapter as the serving path multiplies with it: one block of memory, in the order of use.

use crate::{
	config::LlamaConfig,
	error::ForwardError,
	lora::{Adapter, LoraLinear, TargetModule},
};

/// Layers that read the same input, and so share one product with their stacked `A`s (*shrink*).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SharedInput {
	QueryKeyValue,
	AttentionOutput,
	GateUp,
	Down,
}

impl SharedInput {
	pub(crate) const ALL: [Self; 4] =
		[Self::QueryKeyValue, Self::AttentionOutput, Self::GateUp, Self::Down];

	/// The layers, in the order of their columns.
	fn targets(self) -> &'static [TargetModule] {
		match self {
			Self::QueryKeyValue => &[TargetModule::QProj, TargetModule::KProj, TargetModule::VProj],
			Self::AttentionOutput => &[TargetModule::OProj],
			Self::GateUp => &[TargetModule::GateProj, TargetModule::UpProj],
			Self::Down => &[TargetModule::DownProj],
		}
	}
}

/// An adapter, packed: its ranks are what it costs, nothing is padded.
#[derive(Debug)]
pub struct PackedAdapter {
	/// `[layer][shared input]`.
	groups: Vec<[Group; 4]>,
	values: Vec<f32>,
	width: usize,
}

/// What an adapter adds to layers that share their input.
#[derive(Debug, Default)]
pub(crate) struct Group {
	/// Where the stacked `A` begins, `[input, width]`.
	a: usize,
	input: usize,
	/// Ranks of all layers together; zero when none is adapted.
	pub(crate) width: usize,
	expands: Vec<Expand>,
}

/// `y += t · B` for one layer, with the scale worked into `B`.
#[derive(Debug)]
pub(crate) struct Expand {
	/// First column of the shrunk activations.
	pub(crate) from: usize,
	pub(crate) rank: usize,
	/// First column of what the layers together give.
	pub(crate) column: usize,
	pub(crate) columns: usize,
	/// Where `B` begins, `[rank, columns]`.
	b: usize,
}

impl PackedAdapter {
	/// Copies an adapter that fits the model.
	///
	/// # Errors
	/// The adapter's tensors cannot be read from their device, or do not fit.
	pub fn pack(adapter: &Adapter, config: &LlamaConfig) -> Result<Self, ForwardError> {
		let lora = adapter.weights();
		lora.check(config)?;
		let mut packed = Self { groups: Vec::new(), values: Vec::new(), width: 0 };
		for layer in 0..config.num_hidden_layers {
			let mut groups: [Group; 4] = Default::default();
			for (group, shared) in groups.iter_mut().zip(SharedInput::ALL) {
				*group = packed.pack_group(shared, config, |target| lora.get(layer, target))?;
			}
			packed.groups.push(groups);
		}
		packed.values.shrink_to_fit();
		Ok(packed)
	}

	fn pack_group<'a>(
		&mut self,
		shared: SharedInput,
		config: &LlamaConfig,
		linear: impl Fn(TargetModule) -> Option<&'a LoraLinear>,
	) -> Result<Group, ForwardError> {
		let mut group = Group::default();
		let (mut column, mut stacked) = (0, Vec::new());
		for target in shared.targets() {
			let (input, columns) = target.widths(config);
			group.input = input;
			if let Some(linear) = linear(*target) {
				let rank = linear.rank();
				stacked.push((read(&linear.a)?, rank));
				let b = self.values.len();
				self.values.extend(read(&linear.b)?.iter().map(|value| value * linear.scale));
				group.expands.push(Expand { from: group.width, rank, column, columns, b });
				group.width += rank;
			}
			column += columns;
		}
		group.a = self.values.len();
		if group.width > 0 {
			for k in 0..group.input {
				for (a, rank) in &stacked {
					self.values.extend(a.get(k * rank..(k + 1) * rank).unwrap_or_default());
				}
			}
		}
		self.width = self.width.max(group.width);
		Ok(group)
	}

	/// Bytes of memory.
	pub fn bytes(&self) -> usize {
		size_of_val(self.values.as_slice())
	}

	/// The widest group.
	pub(crate) fn width(&self) -> usize {
		self.width
	}

	/// What it adds to the layers of `layer` that read `shared`.
	pub(crate) fn group(&self, layer: usize, shared: SharedInput) -> Option<&Group> {
		self.groups.get(layer)?.get(shared as usize).filter(|group| group.width > 0)
	}

	/// The stacked `A`, `[input, width]`.
	pub(crate) fn a(&self, group: &Group) -> &[f32] {
		self.values.get(group.a..group.a + group.input * group.width).unwrap_or_default()
	}

	/// `B`, `[rank, columns]`.
	pub(crate) fn b(&self, expand: &Expand) -> &[f32] {
		self.values.get(expand.b..expand.b + expand.rank * expand.columns).unwrap_or_default()
	}
}

impl Group {
	pub(crate) fn input(&self) -> usize {
		self.input
	}

	pub(crate) fn expands(&self) -> &[Expand] {
		&self.expands
	}
}

fn read(tensor: &burn::tensor::Tensor<2>) -> Result<Vec<f32>, ForwardError> {
	tensor.clone().try_into_vec_as::<f32>().map_err(|error| ForwardError::Device(error.to_string()))
}
