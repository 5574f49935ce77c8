//! An adapter as the serving path multiplies with it: one block of memory, in the order of use.

use std::{
	collections::BTreeMap,
	io::{Read, Seek},
};

use crate::{
	config::LlamaConfig,
	kernel::{
		product::{transpose::transpose, Rows, Window},
		Instructions,
	},
	lora::{Adapter, TargetModule},
	peft::{AdapterFile, PeftError},
	peft_config::LoraConfig,
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
	target: TargetModule,
}

impl PackedAdapter {
	/// Reads a single-file adapter (`peft.rs`) for a model of these dimensions. Gives its free metadata keys
	/// too.
	pub fn from_bytes(
		bytes: &[u8],
		model: &LlamaConfig,
	) -> Result<(Self, BTreeMap<String, String>), PeftError> {
		let (mut file, metadata) = AdapterFile::from_bytes(bytes, model)?;
		let mut packed = Self::lay_out(&file.config, model);
		for layer in 0..model.num_hidden_layers {
			for shared in SharedInput::ALL {
				packed.fill(layer, shared, &mut file)?;
			}
		}
		Ok((packed, metadata))
	}

	/// Packs an adapter in memory, by way of the file that it would be.
	pub fn pack(adapter: &Adapter, model: &LlamaConfig) -> Result<Self, PeftError> {
		let file = adapter.to_bytes(&BTreeMap::new())?;
		Ok(Self::from_bytes(&file, model)?.0)
	}

	/// Room for the matrices that a configuration describes.
	fn lay_out(config: &LoraConfig, model: &LlamaConfig) -> Self {
		let (mut groups, mut values, mut width) = (Vec::new(), 0, 0);
		for layer in 0..model.num_hidden_layers {
			let of_layer = SharedInput::ALL.map(|shared| {
				let group = Group::lay_out(shared, layer, config, model, values);
				values = group.a + group.input * group.width;
				width = width.max(group.width);
				group
			});
			groups.push(of_layer);
		}
		Self { groups, values: vec![0.0; values], width }
	}

	/// Reads the matrices of one group into their places.
	fn fill<R: Read + Seek>(
		&mut self,
		layer: usize,
		shared: SharedInput,
		file: &mut AdapterFile<R>,
	) -> Result<(), PeftError> {
		let Self { groups, values, .. } = self;
		let Some(group) = groups.get(layer).and_then(|groups| groups.get(shared as usize)) else {
			return Ok(());
		};
		let instructions = Instructions::detect();
		let room = |from: usize, length: usize| from..from + length;
		for expand in &group.expands {
			let Expand { from, rank, columns, b, target, .. } = *expand;
			let scale = file.config.scale(layer, target);
			let matrices = file.matrices(layer, target)?;
			let all_b = values.get_mut(room(b, rank * columns)).unwrap_or_default();
			let (b, window) = (Rows::new(&matrices.b, rank), Window::new(all_b, columns));
			transpose(instructions, b, columns, rank, window);
			all_b.iter_mut().for_each(|value| *value *= scale);
			let all_a = values.get_mut(room(group.a, group.input * group.width));
			let stacked = all_a.and_then(|a| a.get_mut(from..)).unwrap_or_default();
			let (a, window) =
				(Rows::new(&matrices.a, group.input), Window::new(stacked, group.width));
			transpose(instructions, a, rank, group.input, window);
		}
		Ok(())
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
	/// A group whose matrices follow each other from `start` on: each layer's `B`, then the stacked `A`.
	fn lay_out(
		shared: SharedInput,
		layer: usize,
		config: &LoraConfig,
		model: &LlamaConfig,
		start: usize,
	) -> Self {
		let mut group = Self { a: start, ..Self::default() };
		let mut column = 0;
		for &target in shared.targets() {
			let (input, columns) = target.widths(model);
			group.input = input;
			if config.target_modules.contains(&target) {
				let rank = config.rank(layer, target);
				let (from, b) = (group.width, group.a);
				group.expands.push(Expand { from, rank, column, columns, b, target });
				group.width += rank;
				group.a += rank * columns;
			}
			column += columns;
		}
		group
	}

	pub(crate) fn input(&self) -> usize {
		self.input
	}

	pub(crate) fn expands(&self) -> &[Expand] {
		&self.expands
	}
}
