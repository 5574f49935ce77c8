//! One step of the model over a ragged batch: tokens of many sequences, each with its own adapter,
//! positions and pages (arXiv 2310.18547, 2311.03285, 2309.06180).
//!
//! All buffers are allocated before. What is asked of the model is checked here; `forward` and
//! `attention` compute.

use std::sync::Arc;

use crate::{
	error::ForwardError,
	kernel::{product::Window, Activations},
	serving::{
		forward::{for_each_panel, norm, Pass, Run},
		model::ServingModel,
		packed_adapter::PackedAdapter,
		paged_cache::PagedCache,
		pages::PAGE_TOKENS,
		team::Team,
	},
};

/// Rows of logits held at a time: a row has as many numbers as the vocabulary.
pub const LOGIT_ROWS: usize = 64;

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
pub(super) struct Buffers {
	/// The residual stream, `[tokens, hidden]`.
	pub(super) x: Vec<f32>,
	pub(super) normed: Activations,
	pub(super) query_key_value: Vec<f32>,
	pub(super) mixed: Activations,
	pub(super) activated: Activations,
	/// Shrunk activations, `[tokens, width of the widest adapter]`.
	pub(super) shrunk: Vec<f32>,
	/// Final hidden states of the rows that give logits.
	pub(super) output: Activations,
	pub(super) logits: Vec<f32>,
	/// Rows of `x` that give logits.
	pub(super) logit_rows: Vec<usize>,
	/// Of each row its position and segment.
	pub(super) places: Vec<(usize, usize)>,
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
		for (index, segment) in segments.iter().enumerate() {
			for position in segment.start..segment.start + segment.tokens.len() {
				if position >= segment.logits_from {
					buffers.logit_rows.push(buffers.places.len());
				}
				buffers.places.push((position, index));
			}
		}
		let runs = Run::all(segments, &self.adapters);
		let width = runs.iter().map(Run::width).max().unwrap_or(0);
		if buffers.shrunk.len() < width * self.max_tokens {
			buffers.shrunk.resize(width * self.max_tokens, 0.0);
		}
		let pass = Pass {
			model: &self.model,
			team: &self.team,
			segments,
			runs: &runs,
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
			for_each_panel(team, head, |panel, column, scratch| {
				let at = out.at(0, column);
				head.multiply_panel(instructions, x, rows.len(), panel, at, scratch);
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
