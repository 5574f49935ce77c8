//! The forward pass of one step, layer by layer.
//!
//! Rows are tokens; those of one sequence are adjacent. The base model multiplies all rows at once,
//! every adapter its own rows (*shrink* by the stacked `A`s, *expand* by each `B`), attention walks
//! each sequence's pages. No weights are ever merged. Nothing here checks its input: the executor has
//! done so.

use std::{ops::Range, ptr, sync::Arc};

use crate::{
	kernel::{
		matrix::ActivationsWindow,
		product::{Rows, Window, TILE_COLUMNS, TILE_ROWS},
		quantized::SCRATCH,
		rowwise, Activations, Instructions, PackedMatrix,
	},
	serving::{
		executor::{Buffers, Segment},
		model::ServingModel,
		packed_adapter::{Group, Matrix, PackedAdapter, SharedInput},
		paged_cache::{LayerWindow, PagedCache},
		pages::PAGE_TOKENS,
		team::Team,
	},
};

/// Rows from which on it pays to share out work that goes row by row.
const SHARED_ROWS: usize = 8;

/// `out[row] = rms_norm(x)`, rounded where weights are bf16.
pub(super) fn norm(
	model: &ServingModel,
	x: &[f32],
	weight: &[f32],
	out: &ActivationsWindow,
	row: usize,
) {
	let epsilon = model.config().rms_norm_eps as f32;
	rowwise::rms_norm(model.instructions, x, weight, epsilon, out.row(row));
	out.round(row, 0..x.len());
}

/// Calls `work` for each panel of a matrix, with its first column and the scratch memory that
/// multiplying it needs.
pub(super) fn for_each_panel(
	team: &Team,
	matrix: &PackedMatrix,
	work: impl Fn(usize, usize, &mut [f32]) + Sync,
) {
	team.each(matrix.panels(), SCRATCH, |panel, scratch| {
		work(panel, panel * TILE_COLUMNS, scratch);
	});
}

/// What an adapter adds to some columns of its rows: shrunk activations times a piece of one `B`.
struct Addition<'a> {
	/// The first of its rows.
	first: usize,
	rows: usize,
	/// First column of the shrunk activations.
	from: usize,
	rank: usize,
	b: Matrix<'a>,
	/// The first of the columns, counted from the first that was asked for.
	column: usize,
	columns: usize,
}

/// Adjacent rows that use the same adapter.
pub(super) struct Run<'a> {
	first: usize,
	rows: usize,
	adapter: &'a PackedAdapter,
}

impl<'a> Run<'a> {
	/// The runs of a batch, in the order of their rows; the bare base has none.
	pub(super) fn all(
		segments: &[Segment<'_>],
		adapters: &'a [Option<Arc<PackedAdapter>>],
	) -> Vec<Self> {
		let (mut runs, mut first) = (Vec::<Self>::new(), 0);
		for same in segments.chunk_by(|a, b| a.slot == b.slot) {
			let rows = same.iter().map(|segment| segment.tokens.len()).sum();
			let slot = same.first().and_then(|segment| segment.slot);
			let adapter = slot.and_then(|slot| adapters.get(slot)?.as_deref());
			runs.extend(adapter.map(|adapter| Self { first, rows, adapter }));
			first += rows;
		}
		runs
	}

	/// Row length of its shrunk activations.
	pub(super) fn width(&self) -> usize {
		self.adapter.width()
	}
}

/// What stays the same during a step.
pub(super) struct Pass<'a> {
	pub(super) model: &'a ServingModel,
	pub(super) team: &'a Team,
	pub(super) segments: &'a [Segment<'a>],
	pub(super) runs: &'a [Run<'a>],
	pub(super) instructions: Instructions,
	/// Row length of the shrunk activations.
	pub(super) shrunk_width: usize,
}

impl Pass<'_> {
	pub(super) fn run(&self, buffers: &mut Buffers, cache: &mut PagedCache) {
		let Buffers { x, normed, query_key_value, mixed, activated, shrunk, places, .. } = buffers;
		let (config, rows) = (self.model.config(), places.len());
		let hidden = config.hidden_size;
		let packed = config.query_size() + 2 * config.key_value_size();
		let residual = Window::new(x, hidden);
		let tokens = self.segments.iter().flat_map(|segment| segment.tokens);
		for (row, token) in tokens.enumerate() {
			self.model.weights.embed(*token, residual.row(row, hidden));
		}
		for (index, layer) in self.model.weights.layers.iter().enumerate() {
			let Some(cache) = cache.layer(index) else { return };

			self.norm_rows(residual, &layer.attention_norm, normed, rows);
			self.shrink(index, SharedInput::QueryKeyValue, normed, shrunk);
			let (matrix, out) = (&layer.query_key_value, Window::new(query_key_value, packed));
			for_each_panel(self.team, matrix, |panel, column, scratch| {
				let at = out.at(0, column);
				let columns = column..column + matrix.columns_of(panel);
				self.prefetch_expand(index, SharedInput::QueryKeyValue, columns.clone());
				matrix.multiply_panel(self.instructions, normed, rows, panel, at, scratch);
				self.expand(index, SharedInput::QueryKeyValue, shrunk, columns, at);
			});
			self.write_cache(out, places, &cache);
			self.attend(out, &cache, mixed);

			self.shrink(index, SharedInput::AttentionOutput, mixed, shrunk);
			self.add_product(
				index,
				SharedInput::AttentionOutput,
				&layer.attention_output,
				(mixed, shrunk),
				residual,
				rows,
			);

			self.norm_rows(residual, &layer.feed_forward_norm, normed, rows);
			self.shrink(index, SharedInput::GateUp, normed, shrunk);
			let out = activated.windows();
			self.team.each(
				layer.gate.panels(),
				SCRATCH + 2 * rows * TILE_COLUMNS,
				|panel, scratch| {
					let (unpacked, scratch) = scratch.split_at_mut(SCRATCH);
					let (gate, up) = scratch.split_at_mut(rows * TILE_COLUMNS);
					let column = panel * TILE_COLUMNS;
					let count = layer.gate.columns_of(panel);
					let offset = config.intermediate_size;
					let halves = [(&layer.gate, &mut *gate, 0), (&layer.up, &mut *up, offset)];
					for (matrix, scratch, offset) in halves {
						let at = Window::new(scratch, TILE_COLUMNS);
						let columns = offset + column..offset + column + count;
						self.prefetch_expand(index, SharedInput::GateUp, columns.clone());
						matrix.multiply_panel(self.instructions, normed, rows, panel, at, unpacked);
						self.expand(index, SharedInput::GateUp, shrunk, columns, at);
					}
					let both = gate.chunks_mut(TILE_COLUMNS).zip(up.chunks(TILE_COLUMNS));
					for (row, (gate, up)) in both.enumerate().take(rows) {
						let (gate, up) = (gate.split_at_mut(count).0, up.split_at(count).0);
						rowwise::swiglu(self.instructions, gate, up);
						out.write(row, column, gate);
					}
				},
			);
			self.shrink(index, SharedInput::Down, activated, shrunk);
			self.add_product(
				index,
				SharedInput::Down,
				&layer.down,
				(activated, shrunk),
				residual,
				rows,
			);
		}
	}

	fn norm_rows(&self, x: Window, weight: &[f32], out: &mut Activations, rows: usize) {
		let hidden = self.model.config().hidden_size;
		let out = out.windows();
		let one = |row: usize| norm(self.model, x.read(row, hidden), weight, &out, row);
		if rows < SHARED_ROWS {
			(0..rows).for_each(one);
		} else {
			let tasks = rows.div_ceil(SHARED_ROWS);
			self.team.each(tasks, 0, |task, _| {
				(task * SHARED_ROWS..rows.min((task + 1) * SHARED_ROWS)).for_each(one);
			});
		}
	}

	/// `x += product`, panel by panel.
	fn add_product(
		&self,
		layer: usize,
		shared: SharedInput,
		matrix: &PackedMatrix,
		(input, shrunk): (&Activations, &[f32]),
		x: Window,
		rows: usize,
	) {
		self.team.each(matrix.panels(), SCRATCH + rows * TILE_COLUMNS, |panel, scratch| {
			let (unpacked, scratch) = scratch.split_at_mut(SCRATCH);
			let (column, count) = (panel * TILE_COLUMNS, matrix.columns_of(panel));
			let at = Window::new(scratch, TILE_COLUMNS);
			self.prefetch_expand(layer, shared, column..column + count);
			matrix.multiply_panel(self.instructions, input, rows, panel, at, unpacked);
			self.expand(layer, shared, shrunk, column..column + count, at);
			let x = x.at(0, column);
			for (row, product) in scratch.chunks(TILE_COLUMNS).enumerate().take(rows) {
				let product = product.get(..count).unwrap_or_default();
				rowwise::add(self.instructions, x.row(row, count), product);
			}
		});
	}

	/// `shrunk = input · A` for the rows of each adapter.
	fn shrink(&self, layer: usize, shared: SharedInput, input: &Activations, shrunk: &mut [f32]) {
		let out = Window::new(shrunk, self.shrunk_width);
		let mut tasks = Vec::new();
		for &Run { first, rows, adapter } in self.runs {
			let Some(group) = adapter.group(layer, shared) else { continue };
			for row in (0..rows).step_by(TILE_ROWS) {
				for column in (0..group.width).step_by(TILE_COLUMNS) {
					tasks.push((first + row, TILE_ROWS.min(rows - row), adapter, group, column));
				}
			}
		}
		self.team.each(tasks.len(), 0, |task, _| {
			let Some((first, rows, adapter, group, column)) = tasks.get(task) else { return };
			let columns = TILE_COLUMNS.min(group.width - column);
			// Of many adapters none is in the CPU's cache: fetch what this thread takes next.
			let ahead = tasks.get(task + 1);
			let ahead = ahead.map_or(ptr::null(), |(_, _, adapter, group, column)| {
				adapter.a(group).columns_from(*column).address()
			});
			adapter.a(group).columns_from(*column).multiply(
				self.instructions,
				input.rows().from(*first),
				[*rows, group.input(), columns],
				out.at(*first, *column),
				false,
				ahead,
			);
		});
	}

	/// What each adapter adds to these columns of what the layers together give.
	fn additions(
		&self,
		layer: usize,
		shared: SharedInput,
		columns: Range<usize>,
	) -> impl Iterator<Item = Addition<'_>> {
		self.runs.iter().flat_map(move |&Run { first, rows, adapter }| {
			let expands = adapter.group(layer, shared).map(Group::expands).unwrap_or_default();
			let columns = columns.clone();
			expands.iter().filter_map(move |expand| {
				let begin = columns.start.max(expand.column);
				let end = columns.end.min(expand.column + expand.columns);
				(begin < end).then(|| Addition {
					first,
					rows,
					from: expand.from,
					rank: expand.rank,
					b: adapter.b(expand).columns_from(begin - expand.column),
					column: begin - columns.start,
					columns: end - begin,
				})
			})
		})
	}

	/// Has the `B`s that [`expand`](Self::expand) reads for these columns brought into the cache of the
	/// CPU, while the base model's panel is multiplied: of many adapters no cache holds them.
	fn prefetch_expand(&self, layer: usize, shared: SharedInput, columns: Range<usize>) {
		for addition in self.additions(layer, shared, columns) {
			addition.b.prefetch(addition.rank, addition.columns);
		}
	}

	/// `out += shrunk · B` for the rows of each adapter and some columns of what the layers together
	/// give; `out` begins at the first of them.
	fn expand(
		&self,
		layer: usize,
		shared: SharedInput,
		shrunk: &[f32],
		columns: Range<usize>,
		out: Window,
	) {
		for addition in self.additions(layer, shared, columns) {
			let Addition { first, rows, from, rank, b, column, columns } = addition;
			let from = first * self.shrunk_width + from;
			let shrunk = Rows::new(shrunk.get(from..).unwrap_or_default(), self.shrunk_width);
			let out = out.at(first, column);
			b.multiply(self.instructions, shrunk, [rows, rank, columns], out, true, ptr::null());
		}
	}

	/// Rotates queries and keys in place, and writes keys and values into the pages.
	fn write_cache(&self, qkv: Window, places: &[(usize, usize)], cache: &LayerWindow) {
		let config = self.model.config();
		let (query, key_value) = (config.query_size(), config.key_value_size());
		let head_dim = config.head_dim;
		let one = |row: usize| {
			let Some((position, segment)) = places.get(row) else { return };
			let Some(segment) = self.segments.get(*segment) else { return };
			let Some(page) = segment.pages.get(position / PAGE_TOKENS) else { return };
			let (cos, sin) = self.model.rotary.at(*position);
			let (rotated, values) =
				qkv.row(row, query + 2 * key_value).split_at_mut(query + key_value);
			for head in rotated.chunks_mut(head_dim) {
				rowwise::rotate(self.instructions, head, cos, sin);
			}
			let keys = rotated.get(query..).unwrap_or_default();
			let heads = keys.chunks(head_dim).zip(values.chunks(head_dim));
			for (head, (key, value)) in heads.enumerate() {
				cache.write(*page as usize, position % PAGE_TOKENS, head, key, value);
			}
		};
		if places.len() < SHARED_ROWS {
			(0..places.len()).for_each(one);
		} else {
			let tasks = places.len().div_ceil(SHARED_ROWS);
			self.team.each(tasks, 0, |task, _| {
				(task * SHARED_ROWS..places.len().min((task + 1) * SHARED_ROWS)).for_each(one);
			});
		}
	}
}
