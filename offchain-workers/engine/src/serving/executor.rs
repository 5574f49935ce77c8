//! One step of the model over a ragged batch: tokens of many sequences, each with its own adapter,
//! positions and pages (arXiv 2310.18547, 2311.03285, 2309.06180).
//!
//! Rows are tokens; those of one sequence are adjacent. The base model multiplies all rows at once,
//! every adapter its own rows (*shrink* by the stacked `A`s, *expand* by each `B`), attention walks
//! each sequence's pages. No weights are ever merged. All buffers are allocated before.

use std::sync::Arc;

use crate::{
	error::ForwardError,
	serving::{
		kernel::{
			matrix::ActivationsWindow,
			product::{product, Rows, Window, TILE_COLUMNS, TILE_ROWS},
			rowwise, Activations, Instructions, PackedMatrix,
		},
		model::ServingModel,
		packed_adapter::{PackedAdapter, SharedInput},
		paged_cache::{LayerWindow, PagedCache},
		pages::PAGE_TOKENS,
		team::Team,
	},
};

/// Rows of logits held at a time: a row has as many numbers as the vocabulary.
pub const LOGIT_ROWS: usize = 64;
/// Queries of one head that attention works on together: with the heads that share a key head, they
/// fill the rows of a tile.
const QUERY_ROWS: usize = TILE_ROWS;
/// Rows from which on it pays to share out work that goes row by row.
const SHARED_ROWS: usize = 8;

/// Consecutive tokens of one sequence.
#[derive(Clone, Copy, Debug)]
pub struct Segment<'a> {
	/// The slot of its adapter, or the bare base model.
	pub slot: Option<usize>,
	/// Position of the first token in its sequence.
	pub start: usize,
	pub tokens: &'a [u32],
	/// Pages of the sequence from its beginning on, as far as these tokens.
	pub pages: &'a [u32],
	/// Positions from this one on give logits.
	pub logits_from: usize,
}

/// The model's weights, the cache, and the buffers of a step.
#[derive(Debug)]
pub struct Executor {
	model: Arc<ServingModel>,
	team: Team,
	cache: PagedCache,
	adapters: Vec<Option<Arc<PackedAdapter>>>,
	max_tokens: usize,
	buffers: Buffers,
}

#[derive(Debug)]
struct Buffers {
	/// The residual stream, `[tokens, hidden]`.
	x: Vec<f32>,
	normed: Activations,
	query_key_value: Vec<f32>,
	mixed: Activations,
	activated: Activations,
	/// Shrunk activations, `[tokens, width of the widest adapter]`.
	shrunk: Vec<f32>,
	/// Final hidden states of the rows that give logits.
	output: Activations,
	logits: Vec<f32>,
	/// Rows of `x` that give logits.
	logit_rows: Vec<usize>,
	/// Of each row its position and segment.
	places: Vec<(usize, usize)>,
}

impl Executor {
	/// Allocates everything for steps of at most `max_tokens` tokens over `pages` pages, with
	/// adapters in `slots` slots.
	pub fn new(
		model: Arc<ServingModel>,
		threads: usize,
		max_tokens: usize,
		pages: usize,
		slots: usize,
	) -> Result<Self, rayon::ThreadPoolBuildError> {
		let config = model.config();
		let precision = model.precision();
		let packed = config.query_size() + 2 * config.key_value_size();
		let activations = |width| Activations::new(max_tokens, width, precision);
		let logit_rows = LOGIT_ROWS.min(max_tokens);
		let buffers = Buffers {
			x: vec![0.0; max_tokens * config.hidden_size],
			normed: activations(config.hidden_size),
			query_key_value: vec![0.0; max_tokens * packed],
			mixed: activations(config.query_size()),
			activated: activations(config.intermediate_size),
			shrunk: Vec::new(),
			output: Activations::new(logit_rows, config.hidden_size, precision),
			logits: vec![0.0; logit_rows * config.vocab_size],
			logit_rows: Vec::with_capacity(max_tokens),
			places: Vec::with_capacity(max_tokens),
		};
		let cache = PagedCache::new(config, pages);
		Ok(Self {
			team: Team::new(threads)?,
			cache,
			adapters: vec![None; slots],
			max_tokens,
			buffers,
			model,
		})
	}

	pub fn model(&self) -> &Arc<ServingModel> {
		&self.model
	}

	/// Puts an adapter into a slot, or empties it.
	pub fn set_adapter(&mut self, slot: usize, adapter: Option<Arc<PackedAdapter>>) {
		if slot >= self.adapters.len() {
			self.adapters.resize(slot + 1, None);
		}
		if let Some(place) = self.adapters.get_mut(slot) {
			*place = adapter;
		}
	}

	/// Bytes of the cache.
	pub fn cache_bytes(&self) -> usize {
		self.cache.bytes()
	}

	/// Runs the model over the segments' tokens and writes their keys and values. Gives the number
	/// of rows that have logits, segment after segment; [`logits`](Self::logits) computes them.
	///
	/// # Errors
	/// More tokens than the buffers hold, tokens outside the vocabulary, positions beyond the
	/// context or their pages, an empty slot. Nothing was written then.
	pub fn step(&mut self, segments: &[Segment<'_>]) -> Result<usize, ForwardError> {
		self.check(segments)?;
		let buffers = &mut self.buffers;
		buffers.places.clear();
		buffers.logit_rows.clear();
		let mut width = 0;
		for (index, segment) in segments.iter().enumerate() {
			let adapter = segment.slot.and_then(|slot| self.adapters.get(slot)?.as_ref());
			width = width.max(adapter.map_or(0, |adapter| adapter.width()));
			for position in segment.start..segment.start + segment.tokens.len() {
				if position >= segment.logits_from {
					buffers.logit_rows.push(buffers.places.len());
				}
				buffers.places.push((position, index));
			}
		}
		if buffers.shrunk.len() < width * self.max_tokens {
			buffers.shrunk.resize(width * self.max_tokens, 0.0);
		}
		let pass = Pass {
			model: &self.model,
			team: &self.team,
			adapters: &self.adapters,
			segments,
			instructions: self.model.instructions,
			shrunk_width: width,
		};
		let cache = &mut self.cache;
		self.team.run(|| pass.run(buffers, cache));
		Ok(self.buffers.logit_rows.len())
	}

	/// Logits of the rows `first..` of the last step, at most [`LOGIT_ROWS`] of them, `[rows,
	/// vocabulary]`.
	pub fn logits(&mut self, first: usize) -> &mut [f32] {
		let (model, team, buffers) = (&self.model, &self.team, &mut self.buffers);
		let hidden = model.config().hidden_size;
		let rows = buffers.logit_rows.get(first..).unwrap_or_default();
		let rows = rows.get(..LOGIT_ROWS).unwrap_or(rows);
		let vocabulary = model.config().vocab_size;
		let instructions = model.instructions;
		team.run(|| {
			let output = buffers.output.windows();
			for (index, row) in rows.iter().enumerate() {
				let x = buffers.x.get(row * hidden..(row + 1) * hidden).unwrap_or_default();
				norm(model, x, &model.weights.output_norm, &output, index);
			}
			let (head, out) =
				(&model.weights.output_head, Window::new(&mut buffers.logits, vocabulary));
			let x = &buffers.output;
			for_each_panel(team, head, |panel, column| {
				head.multiply_panel(instructions, x, rows.len(), panel, out.at(0, column));
			});
		});
		let count = rows.len() * vocabulary;
		self.buffers.logits.get_mut(..count).unwrap_or_default()
	}

	/// Does `tasks` tasks on the executor's threads.
	pub fn each(&self, tasks: usize, task: impl Fn(usize) + Sync) {
		self.team.run(|| self.team.each(tasks, 0, |index, _| task(index)));
	}

	fn check(&self, segments: &[Segment<'_>]) -> Result<(), ForwardError> {
		let tokens: usize = segments.iter().map(|segment| segment.tokens.len()).sum();
		if tokens == 0 || segments.iter().any(|segment| segment.tokens.is_empty()) {
			return Err(ForwardError::Empty);
		}
		if tokens > self.max_tokens {
			return Err(ForwardError::TooManyTokens { tokens, max: self.max_tokens });
		}
		let (vocab_size, max_context) = (self.model.config().vocab_size, self.model.max_context());
		for segment in segments {
			let end = segment.start + segment.tokens.len();
			if end > max_context {
				return Err(ForwardError::ContextExceeded { position: end - 1, max_context });
			}
			let capacity = segment.pages.len() * PAGE_TOKENS;
			if end > capacity {
				return Err(ForwardError::CacheFull { needed: end, capacity });
			}
			if let Some(page) =
				segment.pages.iter().find(|page| **page as usize >= self.cache.pages())
			{
				return Err(ForwardError::NoSuchPage(*page));
			}
			if let Some(token) = segment.tokens.iter().find(|token| **token as usize >= vocab_size)
			{
				return Err(ForwardError::TokenOutsideVocabulary { token: *token, vocab_size });
			}
			if let Some(slot) = segment.slot {
				if self.adapters.get(slot).is_none_or(Option::is_none) {
					return Err(ForwardError::EmptySlot(slot));
				}
			}
		}
		Ok(())
	}
}

/// `out[row] = rms_norm(x)`, rounded where weights are bf16.
fn norm(model: &ServingModel, x: &[f32], weight: &[f32], out: &ActivationsWindow, row: usize) {
	let epsilon = model.config().rms_norm_eps as f32;
	rowwise::rms_norm(model.instructions, x, weight, epsilon, out.row(row));
	out.round(row, 0..x.len());
}

/// Calls `work` for each panel of a matrix, with its first column.
fn for_each_panel(team: &Team, matrix: &PackedMatrix, work: impl Fn(usize, usize) + Sync) {
	team.each(matrix.panels(), 0, |panel, _| work(panel, panel * TILE_COLUMNS));
}

/// What stays the same during a step.
struct Pass<'a> {
	model: &'a ServingModel,
	team: &'a Team,
	adapters: &'a [Option<Arc<PackedAdapter>>],
	segments: &'a [Segment<'a>],
	instructions: Instructions,
	/// Row length of the shrunk activations.
	shrunk_width: usize,
}

impl Pass<'_> {
	fn run(&self, buffers: &mut Buffers, cache: &mut PagedCache) {
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
			for_each_panel(self.team, matrix, |panel, column| {
				let at = out.at(0, column);
				matrix.multiply_panel(self.instructions, normed, rows, panel, at);
				let columns = column..column + matrix.columns_of(panel);
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
			self.team.each(layer.gate.panels(), 2 * rows * TILE_COLUMNS, |panel, scratch| {
				let (gate, up) = scratch.split_at_mut(rows * TILE_COLUMNS);
				let column = panel * TILE_COLUMNS;
				let count = layer.gate.columns_of(panel);
				let offset = config.intermediate_size;
				let halves = [(&layer.gate, &mut *gate, 0), (&layer.up, &mut *up, offset)];
				for (matrix, scratch, offset) in halves {
					let at = Window::new(scratch, TILE_COLUMNS);
					matrix.multiply_panel(self.instructions, normed, rows, panel, at);
					let columns = offset + column..offset + column + count;
					self.expand(index, SharedInput::GateUp, shrunk, columns, at);
				}
				let both = gate.chunks_mut(TILE_COLUMNS).zip(up.chunks(TILE_COLUMNS));
				for (row, (gate, up)) in both.enumerate().take(rows) {
					let (gate, up) = (gate.split_at_mut(count).0, up.split_at(count).0);
					rowwise::swiglu(self.instructions, gate, up);
					out.write(row, column, gate);
				}
			});
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
		self.team.each(matrix.panels(), rows * TILE_COLUMNS, |panel, scratch| {
			let (column, count) = (panel * TILE_COLUMNS, matrix.columns_of(panel));
			let at = Window::new(scratch, TILE_COLUMNS);
			matrix.multiply_panel(self.instructions, input, rows, panel, at);
			self.expand(layer, shared, shrunk, column..column + count, at);
			let x = x.at(0, column);
			for (row, product) in scratch.chunks(TILE_COLUMNS).enumerate().take(rows) {
				let product = product.get(..count).unwrap_or_default();
				rowwise::add(self.instructions, x.row(row, count), product);
			}
		});
	}

	/// Segments with the row that each begins at and its adapter.
	fn adapted(&self) -> impl Iterator<Item = (usize, usize, &PackedAdapter)> {
		let mut next = 0;
		self.segments.iter().filter_map(move |segment| {
			let first = next;
			next += segment.tokens.len();
			let adapter = self.adapters.get(segment.slot?)?.as_deref()?;
			Some((first, segment.tokens.len(), adapter))
		})
	}

	/// `shrunk = input · A` for the rows of each adapter.
	fn shrink(&self, layer: usize, shared: SharedInput, input: &Activations, shrunk: &mut [f32]) {
		let width = self.shrunk_width;
		if width == 0 {
			return;
		}
		let out = Window::new(shrunk, width);
		let mut tasks = Vec::new();
		for (first, rows, adapter) in self.adapted() {
			let Some(group) = adapter.group(layer, shared) else { continue };
			for row in (0..rows).step_by(TILE_ROWS) {
				for column in (0..group.width).step_by(TILE_COLUMNS) {
					tasks.push((first + row, TILE_ROWS.min(rows - row), adapter, group, column));
				}
			}
		}
		self.team.each(tasks.len(), 0, |task, _| {
			let Some((first, rows, adapter, group, column)) = tasks.get(task) else { return };
			let a = adapter.a(group).get(*column..).unwrap_or_default();
			product(
				self.instructions,
				input.rows().from(*first),
				*rows,
				group.input(),
				Rows::new(a, group.width),
				TILE_COLUMNS.min(group.width - column),
				out.at(*first, *column),
				false,
			);
		});
	}

	/// `out += shrunk · B` for the rows of each adapter and some columns of what the layers together
	/// give; `out` begins at the first of them.
	fn expand(
		&self,
		layer: usize,
		shared: SharedInput,
		shrunk: &[f32],
		columns: std::ops::Range<usize>,
		out: Window,
	) {
		if self.shrunk_width == 0 {
			return;
		}
		for (first, rows, adapter) in self.adapted() {
			let Some(group) = adapter.group(layer, shared) else { continue };
			for expand in group.expands() {
				let begin = columns.start.max(expand.column);
				let end = columns.end.min(expand.column + expand.columns);
				if begin >= end {
					continue;
				}
				let b = adapter.b(expand).get(begin - expand.column..).unwrap_or_default();
				let from = first * self.shrunk_width + expand.from;
				let shrunk = shrunk.get(from..).unwrap_or_default();
				product(
					self.instructions,
					Rows::new(shrunk, self.shrunk_width),
					rows,
					expand.rank,
					Rows::new(b, expand.columns),
					end - begin,
					out.at(first, begin - columns.start),
					true,
				);
			}
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

	/// Causal attention of each token to its sequence so far.
	fn attend(&self, qkv: Window, cache: &LayerWindow, mixed: &mut Activations) {
		let config = self.model.config();
		let (heads, group) = (config.num_key_value_heads, config.query_group());
		let together = (QUERY_ROWS / group).max(1);
		let out = mixed.windows();
		// First row, first position and number of the tokens of a task, and their segment.
		let mut blocks = Vec::new();
		let mut row = 0;
		let mut longest = 0;
		for segment in self.segments {
			for first in (0..segment.tokens.len()).step_by(together) {
				let count = together.min(segment.tokens.len() - first);
				blocks.push((row + first, segment.start + first, count, segment));
			}
			row += segment.tokens.len();
			longest = longest.max(segment.start + segment.tokens.len());
		}
		let padded = longest.div_ceil(PAGE_TOKENS) * PAGE_TOKENS;
		let scratch = together * group * (padded + 2 * config.head_dim);
		self.team.each(blocks.len() * heads, scratch, |task, scratch| {
			let Some((row, position, count, segment)) = blocks.get(task / heads) else { return };
			let block = QueryBlock {
				row: *row,
				position: *position,
				count: *count,
				pages: segment.pages,
				head: task % heads,
			};
			self.attend_block(&block, qkv, cache, &out, scratch);
		});
	}

	fn attend_block(
		&self,
		block: &QueryBlock<'_>,
		qkv: Window,
		cache: &LayerWindow,
		out: &ActivationsWindow,
		scratch: &mut [f32],
	) {
		let config = self.model.config();
		let (head_dim, group) = (config.head_dim, config.query_group());
		let rows = block.count * group;
		let seen = block.position + block.count;
		let pages = seen.div_ceil(PAGE_TOKENS);
		let padded = pages * PAGE_TOKENS;
		let (queries, rest) = scratch.split_at_mut(rows * head_dim);
		let (sums, rest) = rest.split_at_mut(rows * head_dim);
		let scores = rest.split_at_mut(rows * padded).0;
		// Token by token, the heads of the group that share the key head.
		let offset = block.head * group * head_dim;
		for (token, queries) in queries.chunks_mut(group * head_dim).enumerate() {
			let row = qkv.at(block.row + token, offset);
			queries.copy_from_slice(row.read(0, group * head_dim));
		}
		let window = Window::new(scores, padded);
		let table = block.pages.iter().take(pages).enumerate();
		for (index, page) in table.clone() {
			product(
				self.instructions,
				Rows::new(queries, head_dim),
				rows,
				head_dim,
				Rows::new(cache.keys(*page as usize, block.head), PAGE_TOKENS),
				PAGE_TOKENS,
				window.at(0, index * PAGE_TOKENS),
				false,
			);
		}
		let scale = 1.0 / (head_dim as f32).sqrt();
		for (row, scores) in scores.chunks_mut(padded).enumerate() {
			let seen = block.position + row / group + 1;
			rowwise::softmax(self.instructions, scores, seen, scale);
		}
		sums.fill(0.0);
		for (index, page) in table {
			let first = index * PAGE_TOKENS;
			// What lies behind the last token may be anybody's.
			let tokens = PAGE_TOKENS.min(seen - first);
			let values = cache.values(*page as usize, block.head);
			let weights = scores.get(first..).unwrap_or_default();
			for column in (0..head_dim).step_by(TILE_COLUMNS) {
				product(
					self.instructions,
					Rows::new(weights, padded),
					rows,
					tokens,
					Rows::new(values.get(column..).unwrap_or_default(), head_dim),
					TILE_COLUMNS.min(head_dim - column),
					Window::new(sums, head_dim).at(0, column),
					true,
				);
			}
		}
		for (token, sums) in sums.chunks(group * head_dim).enumerate() {
			out.write(block.row + token, offset, sums);
		}
	}
}

/// Consecutive tokens of a sequence, under the query heads that share one key head.
struct QueryBlock<'a> {
	/// First row in the batch.
	row: usize,
	/// Its position in the sequence.
	position: usize,
	count: usize,
	pages: &'a [u32],
	head: usize,
}
