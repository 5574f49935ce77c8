//! Causal attention over pages: each query meets the keys and values of its own sequence, page by page
//! in order.

use crate::{
	kernel::{
		matrix::ActivationsWindow,
		product::{
			paged::{self, PAGES},
			Rows, Window, TILE_ROWS,
		},
		rowwise, Activations,
	},
	serving::{forward::Pass, paged_cache::LayerWindow, pages::PAGE_TOKENS},
};

/// Queries of one head that are worked on together: with the heads that share a key head, they fill
/// the rows of a tile.
const QUERY_ROWS: usize = TILE_ROWS;

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

impl Pass<'_> {
	/// Causal attention of each token to its sequence so far.
	pub(super) fn attend(&self, qkv: Window, cache: &LayerWindow, mixed: &mut Activations) {
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
		let padded = longest.next_multiple_of(PAGES * PAGE_TOKENS);
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
		let padded = seen.next_multiple_of(PAGES * PAGE_TOKENS);
		let table = block.pages.iter().take(seen.div_ceil(PAGE_TOKENS));
		let page = |page: &u32| *page as usize;
		let (queries, rest) = scratch.split_at_mut(rows * head_dim);
		let (sums, rest) = rest.split_at_mut(rows * head_dim);
		let scores = rest.split_at_mut(rows * padded).0;
		// Token by token, the heads of the group that share the key head.
		let offset = block.head * group * head_dim;
		for (token, queries) in queries.chunks_mut(group * head_dim).enumerate() {
			let row = qkv.at(block.row + token, offset);
			queries.copy_from_slice(row.read(0, group * head_dim));
		}
		let keys: Vec<&[f32]> = table.clone().map(|it| cache.keys(page(it), block.head)).collect();
		let window = Window::new(scores, padded);
		paged::scores(
			self.instructions,
			Rows::new(queries, head_dim),
			rows,
			head_dim,
			&keys,
			window,
		);
		let scale = 1.0 / (head_dim as f32).sqrt();
		for (row, scores) in scores.chunks_mut(padded).enumerate() {
			let seen = block.position + row / group + 1;
			rowwise::softmax(self.instructions, scores, seen, scale);
		}
		// What lies behind the last token may be anybody's, so it is not read.
		let values: Vec<&[f32]> = table.map(|it| cache.values(page(it), block.head)).collect();
		paged::mix(
			self.instructions,
			Rows::new(scores, padded),
			rows,
			seen,
			&values,
			head_dim,
			Window::new(sums, head_dim),
		);
		for (token, sums) in sums.chunks(group * head_dim).enumerate() {
			out.write(block.row + token, offset, sums);
		}
	}
}
