//! An adapter as the serving path multiplies with it: one block of memory, in the order of use.

use std::{collections::BTreeMap, io::Read};

use half::bf16;

use crate::{
	config::LlamaConfig,
	kernel::{
		matrix::{round, Precision},
		prefetch,
		product::{product_fetching, transpose::transpose, Rows, Window},
		Instructions,
	},
	lora::{Adapter, TargetModule},
	peft::{AdapterFile, Half, PeftError},
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
	values: Values,
	width: usize,
}

/// The numbers of all matrices, in the base model's precision: with many adapters a step waits for them
/// to be read.
#[derive(Debug)]
enum Values {
	F32(Vec<f32>),
	Bf16(Vec<bf16>),
}

/// A matrix of an adapter, or its columns from one on.
#[derive(Clone, Copy)]
pub(crate) enum Matrix<'a> {
	F32(Rows<'a, f32>),
	Bf16(Rows<'a, bf16>),
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
	/// Reads a single-file adapter (`peft.rs`) of `length` bytes for a model of these dimensions, whose
	/// weights are held in `precision`. Gives its free metadata keys too.
	pub fn from_reader(
		reader: impl Read,
		length: u64,
		model: &LlamaConfig,
		precision: Precision,
	) -> Result<(Self, BTreeMap<String, String>), PeftError> {
		let (file, metadata) = AdapterFile::from_reader(reader, length, model)?;
		let (config, instructions) = (file.config.clone(), Instructions::detect());
		let (groups, count) = lay_out(&config, model);
		let width = groups.iter().flatten().map(|group| group.width).max().unwrap_or(0);
		let mut values = Values::new(precision, count);
		file.read_all(|place, matrix| {
			let groups = groups.get(place.layer).into_iter().flatten();
			let mut all = groups.flat_map(|group| group.expands.iter().map(move |it| (group, it)));
			let Some((group, expand)) = all.find(|(_, it)| it.target == place.target) else {
				return;
			};
			let scale = config.scale(place.layer, place.target);
			let &Expand { from, rank, columns, b, .. } = expand;
			match place.half {
				Half::A => {
					values.write(instructions, matrix, group.input, group.a + from, group.width);
				},
				Half::B => {
					matrix.iter_mut().for_each(|number| *number *= scale);
					values.write(instructions, matrix, rank, b, columns);
				},
			}
		})?;
		Ok((Self { groups, values, width }, metadata))
	}

	/// Packs an adapter in memory, by way of the file that it would be.
	pub fn pack(
		adapter: &Adapter,
		model: &LlamaConfig,
		precision: Precision,
	) -> Result<Self, PeftError> {
		let file = adapter.to_bytes(&BTreeMap::new())?;
		Ok(Self::from_reader(file.as_slice(), file.len() as u64, model, precision)?.0)
	}

	/// Bytes of memory.
	pub fn bytes(&self) -> usize {
		match &self.values {
			Values::F32(values) => size_of_val(values.as_slice()),
			Values::Bf16(values) => size_of_val(values.as_slice()),
		}
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
	pub(crate) fn a(&self, group: &Group) -> Matrix<'_> {
		self.matrix(group.a, group.width)
	}

	/// `B`, `[rank, columns]`.
	pub(crate) fn b(&self, expand: &Expand) -> Matrix<'_> {
		self.matrix(expand.b, expand.columns)
	}

	fn matrix(&self, start: usize, columns: usize) -> Matrix<'_> {
		match &self.values {
			Values::F32(values) => {
				Matrix::F32(Rows::new(values.get(start..).unwrap_or_default(), columns))
			},
			Values::Bf16(values) => {
				Matrix::Bf16(Rows::new(values.get(start..).unwrap_or_default(), columns))
			},
		}
	}
}

impl Values {
	/// So many zeros.
	fn new(precision: Precision, count: usize) -> Self {
		match precision {
			Precision::F32 => Self::F32(vec![0.0; count]),
			Precision::Bf16 => Self::Bf16(vec![bf16::ZERO; count]),
		}
	}

	/// Writes the transpose of a matrix whose rows have `length` numbers to where `start` is, with rows
	/// that are `stride` apart.
	fn write(
		&mut self,
		instructions: Instructions,
		matrix: &[f32],
		length: usize,
		start: usize,
		stride: usize,
	) {
		let (rows, height) = (Rows::new(matrix, length), matrix.len() / length.max(1));
		match self {
			Self::F32(values) => {
				let out = Window::new(values.get_mut(start..).unwrap_or_default(), stride);
				transpose(instructions, rows, height, length, out);
			},
			Self::Bf16(values) => {
				let mut turned = vec![0.0; matrix.len()];
				transpose(instructions, rows, height, length, Window::new(&mut turned, height));
				let out = values.get_mut(start..).unwrap_or_default().chunks_mut(stride.max(1));
				for (numbers, out) in turned.chunks(height.max(1)).zip(out) {
					round(instructions, numbers, out);
				}
			},
		}
	}
}

impl Matrix<'_> {
	/// Its columns from `column` on.
	pub(crate) fn columns_from(self, column: usize) -> Self {
		match self {
			Self::F32(rows) => Self::F32(rows.columns_from(column)),
			Self::Bf16(rows) => Self::Bf16(rows.columns_from(column)),
		}
	}

	/// Where it begins in memory.
	pub(crate) fn address(self) -> *const u8 {
		match self {
			Self::F32(rows) => rows.address(),
			Self::Bf16(rows) => rows.address(),
		}
	}

	/// `out (+)= x · matrix` for any number of rows and a tile of columns; `sides` are rows of `x`, rows
	/// and columns of the matrix. What lies `ahead` in memory is fetched meanwhile.
	pub(crate) fn multiply(
		self,
		instructions: Instructions,
		x: Rows<'_, f32>,
		sides: [usize; 3],
		out: Window,
		accumulate: bool,
		ahead: *const u8,
	) {
		match self {
			Self::F32(b) => product_fetching(instructions, x, sides, b, out, accumulate, ahead),
			Self::Bf16(b) => product_fetching(instructions, x, sides, b, out, accumulate, ahead),
		}
	}

	/// Has some rows of some columns brought into the cache of the CPU.
	pub(crate) fn prefetch(self, rows: usize, columns: usize) {
		for row in 0..rows {
			match self {
				Self::F32(rows) => prefetch(rows.row(row, columns)),
				Self::Bf16(rows) => prefetch(rows.row(row, columns)),
			}
		}
	}
}

/// The places of all matrices that a configuration describes, one after the other, and how many numbers
/// they are.
fn lay_out(config: &LoraConfig, model: &LlamaConfig) -> (Vec<[Group; 4]>, usize) {
	let mut next = 0;
	let layers = 0..model.num_hidden_layers;
	let groups = layers.map(|layer| {
		SharedInput::ALL.map(|shared| {
			let group = Group::lay_out(shared, layer, config, model, next);
			next = group.a + group.input * group.width;
			group
		})
	});
	(groups.collect(), next)
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
