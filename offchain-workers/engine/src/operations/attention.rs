//! Grouped-query attention in which a token sees itself and what comes before.
//!
//! Queries are worked on in blocks, with those of all heads that share a key head as the rows of one
//! product. The backward pass computes the shares anew: what is saved are queries, keys and values.

use burn::{backend::flex::FlexTensor, tensor::Tensor};

use super::{each, tensor, ternary, Operation};
use crate::kernel::{
	product::{transpose::transpose, wide_product, Rows, Window, TILE_COLUMNS},
	rowwise, Instructions,
};

/// Tokens of a block of queries.
const BLOCK: usize = 32;

/// Queries `[sequences · length, heads · head_dim]` mix the values, `[sequences, key_value_heads, seen,
/// head_dim]` as are the keys, and give what has their own shape. They are those of the last `length`
/// tokens seen. Head `h` of the queries uses head `h · key_value_heads / heads` of keys and values.
pub(crate) fn attention(queries: Tensor<2>, keys: Tensor<4>, values: Tensor<4>) -> Tensor<2> {
	ternary(Attention { instructions: Instructions::detect() }, queries, [keys, values])
}

#[derive(Clone, Debug)]
struct Attention {
	instructions: Instructions,
}

/// Keys or values.
struct Heads<'a> {
	numbers: &'a [f32],
	/// From a sequence, head or token to the next.
	strides: [usize; 3],
}

impl<'a> Heads<'a> {
	/// The tokens of one head.
	fn rows(&self, sequence: usize, head: usize) -> Rows<'a, f32> {
		let [by_sequence, by_head, by_token] = self.strides;
		let start = sequence * by_sequence + head * by_head;
		Rows::new(self.numbers.get(start..).unwrap_or_default(), by_token)
	}
}

/// Keys or values whose tokens lie in a piece each.
fn in_pieces(tensor: FlexTensor) -> FlexTensor {
	let strides = tensor.layout().strides();
	if strides.last() == Some(&1) && strides.iter().all(|stride| *stride > 0) {
		tensor
	} else {
		tensor.to_contiguous()
	}
}

fn heads(tensor: &FlexTensor) -> Heads<'_> {
	let [_, _, _, head_dim]: [usize; 4] = tensor.layout().shape().dims();
	let stride = |index: usize| {
		tensor.layout().strides().get(index).map_or(0, |stride| stride.unsigned_abs())
	};
	Heads {
		numbers: tensor.storage().get(tensor.layout().start_offset()..).unwrap_or_default(),
		// A single token may have any stride.
		strides: [stride(0), stride(1), stride(2).max(head_dim)],
	}
}

/// Lengths of all sides.
#[derive(Clone, Copy)]
struct Sides {
	sequences: usize,
	key_value_heads: usize,
	/// Query heads of a key head.
	group: usize,
	head_dim: usize,
	/// Queries of a sequence.
	length: usize,
	seen: usize,
}

/// Queries of consecutive tokens of a sequence, under the heads that share a key head.
#[derive(Clone, Copy)]
struct Block {
	sequence: usize,
	head: usize,
	/// First token among the queries.
	first: usize,
	tokens: usize,
	/// Tokens that the first one sees, itself included.
	seen_by_first: usize,
}

impl Sides {
	fn of(queries: &FlexTensor, keys: &FlexTensor) -> Self {
		let [rows, width] = queries.layout().shape().dims();
		let [sequences, key_value_heads, seen, head_dim] = keys.layout().shape().dims();
		let group = width / (key_value_heads * head_dim);
		Self { sequences, key_value_heads, group, head_dim, length: rows / sequences, seen }
	}

	/// Numbers in a row of queries.
	fn width(&self) -> usize {
		self.key_value_heads * self.group * self.head_dim
	}

	fn blocks(&self) -> usize {
		self.length.div_ceil(BLOCK)
	}

	fn block(&self, sequence: usize, head: usize, index: usize) -> Block {
		let first = index * BLOCK;
		Block {
			sequence,
			head,
			first,
			tokens: BLOCK.min(self.length - first),
			seen_by_first: self.seen - self.length + first + 1,
		}
	}

	/// What scores are multiplied by.
	fn scale(&self) -> f32 {
		1.0 / (self.head_dim as f32).sqrt()
	}

	/// Rows of the largest block.
	fn block_rows(&self) -> usize {
		BLOCK.min(self.length) * self.group
	}

	/// `seen`, in whole tiles.
	fn padded(&self) -> usize {
		self.seen.next_multiple_of(TILE_COLUMNS)
	}

	/// The pieces of rows of queries that make a block, one for each token.
	fn pieces(&self, block: Block) -> impl Iterator<Item = (usize, usize)> {
		let size = self.group * self.head_dim;
		let first = block.sequence * self.length + block.first;
		(first..first + block.tokens).map(move |row| (row, block.head * size))
	}

	/// Copies a block of queries, `[tokens · group, head_dim]`.
	fn gather(&self, queries: &[f32], block: Block, out: &mut [f32]) {
		let size = self.group * self.head_dim;
		for ((row, column), out) in self.pieces(block).zip(out.chunks_mut(size)) {
			let start = row * self.width() + column;
			out.copy_from_slice(&queries[start..start + size]);
		}
	}

	/// Copies a block to its place.
	fn scatter(&self, numbers: &[f32], block: Block, out: Window) {
		let size = self.group * self.head_dim;
		for ((row, column), numbers) in self.pieces(block).zip(numbers.chunks(size)) {
			out.at(row, column).row(0, size).copy_from_slice(numbers);
		}
	}
}

impl Block {
	fn seen(&self) -> usize {
		self.seen_by_first + self.tokens - 1
	}
}

/// Takes the first `count` numbers of `memory`.
fn take<'a>(memory: &mut &'a mut [f32], count: usize) -> &'a mut [f32] {
	let (taken, rest) = std::mem::take(memory).split_at_mut(count);
	*memory = rest;
	taken
}

impl Attention {
	/// Turns over `[rows, columns]`.
	fn turn(&self, x: Rows<'_, f32>, [rows, columns]: [usize; 2], out: &mut [f32], stride: usize) {
		transpose(self.instructions, x, rows, columns, Window::new(out, stride));
	}

	/// How much each query of a block makes of each token that it sees: `softmax(q · kᵀ / √head_dim)`.
	/// `keys` are turned over, `[head_dim, stride]`, and so are rows of `shares` apart.
	fn shares(
		&self,
		sides: Sides,
		block: Block,
		queries: &[f32],
		keys: &[f32],
		shares: &mut [f32],
		stride: usize,
	) {
		let (rows, seen) = (block.tokens * sides.group, block.seen());
		let (queries, keys) = (Rows::new(queries, sides.head_dim), Rows::new(keys, stride));
		let window = Window::new(shares, stride);
		wide_product(self.instructions, queries, [rows, sides.head_dim, seen], keys, window, false);
		for (row, shares) in shares.chunks_mut(stride).enumerate().take(rows) {
			let seen_by_row = block.seen_by_first + row / sides.group;
			let shares = &mut shares[..seen];
			rowwise::softmax(self.instructions, shares, seen_by_row, sides.scale());
		}
	}
}

impl Operation<3> for Attention {
	type Saved = [FlexTensor; 3];

	fn forward(&self, [queries, keys, values]: [FlexTensor; 3]) -> (FlexTensor, Self::Saved) {
		let queries = queries.to_contiguous();
		let (keys, values) = (in_pieces(keys), in_pieces(values));
		let sides = Sides::of(&queries, &keys);
		let (head_dim, width) = (sides.head_dim, sides.width());
		let mut out = vec![0.0; sides.sequences * sides.length * width];
		let window = Window::new(&mut out, width);
		let (all_keys, all_values) = (heads(&keys), heads(&values));
		let tasks = sides.sequences * sides.key_value_heads * sides.blocks();
		each(tasks, |task, memory| {
			let (pair, index) = (task / sides.blocks(), task % sides.blocks());
			let (sequence, head) = (pair / sides.key_value_heads, pair % sides.key_value_heads);
			let block = sides.block(sequence, head, index);
			let (rows, seen) = (block.tokens * sides.group, block.seen());
			let stride = seen.next_multiple_of(TILE_COLUMNS);
			memory.resize(head_dim * (stride + 2 * rows) + rows * stride, 0.0);
			let mut memory = memory.as_mut_slice();
			let turned = take(&mut memory, head_dim * stride);
			let gathered = take(&mut memory, rows * head_dim);
			let mixed = take(&mut memory, rows * head_dim);
			let shares = take(&mut memory, rows * stride);

			self.turn(all_keys.rows(sequence, head), [seen, head_dim], turned, stride);
			sides.gather(queries.storage(), block, gathered);
			self.shares(sides, block, gathered, turned, shares, stride);
			let (left, right) = (Rows::new(shares, stride), all_values.rows(sequence, head));
			let at = Window::new(mixed, head_dim);
			wide_product(self.instructions, left, [rows, seen, head_dim], right, at, false);
			sides.scatter(mixed, block, window);
		});
		(tensor(out, [sides.sequences * sides.length, width]), [queries, keys, values])
	}

	/// With shares `p` and the gradient `d` of the output: `dv = pᵀd`, `dp = d · vᵀ`, from which softmax
	/// makes `ds`, `dq = ds · k`, `dk = dsᵀq`.
	fn backward(
		&self,
		[queries, keys, values]: Self::Saved,
		gradient: FlexTensor,
	) -> [FlexTensor; 3] {
		let gradient = gradient.to_contiguous();
		let sides = Sides::of(&queries, &keys);
		let (head_dim, width, stride) = (sides.head_dim, sides.width(), sides.padded());
		let shape = [sides.sequences, sides.key_value_heads, sides.seen, head_dim];
		let mut for_queries = vec![0.0; sides.sequences * sides.length * width];
		let [mut for_keys, mut for_values] = [(); 2].map(|()| vec![0.0; shape.iter().product()]);
		let query_window = Window::new(&mut for_queries, width);
		let key_window = Window::new(&mut for_keys, head_dim);
		let value_window = Window::new(&mut for_values, head_dim);
		let (all_keys, all_values) = (heads(&keys), heads(&values));
		each(sides.sequences * sides.key_value_heads, |pair, memory| {
			let (sequence, head) = (pair / sides.key_value_heads, pair % sides.key_value_heads);
			let most = sides.block_rows();
			memory.resize(head_dim * (2 * stride + 3 * most) + 3 * most * stride, 0.0);
			let mut memory = memory.as_mut_slice();
			let [turned_keys, turned_values] =
				[(); 2].map(|()| take(&mut memory, head_dim * stride));
			let [gathered, gathered_gradient, mixed] =
				[(); 3].map(|()| take(&mut memory, most * head_dim));
			let [shares, slopes, turned] = [(); 3].map(|()| take(&mut memory, most * stride));
			let (keys, values) = (all_keys.rows(sequence, head), all_values.rows(sequence, head));
			let (key_window, value_window) =
				(key_window.at(pair * sides.seen, 0), value_window.at(pair * sides.seen, 0));

			self.turn(keys, [sides.seen, head_dim], turned_keys, stride);
			self.turn(values, [sides.seen, head_dim], turned_values, stride);
			for block in (0..sides.blocks()).map(|index| sides.block(sequence, head, index)) {
				let (rows, seen) = (block.tokens * sides.group, block.seen());
				sides.gather(queries.storage(), block, gathered);
				sides.gather(gradient.storage(), block, gathered_gradient);
				self.shares(sides, block, gathered, turned_keys, shares, stride);

				let d = Rows::new(gathered_gradient, head_dim);
				self.turn(Rows::new(shares, stride), [rows, seen], turned, rows);
				let p = Rows::new(turned, rows);
				wide_product(self.instructions, p, [seen, rows, head_dim], d, value_window, true);

				let (v, at) = (Rows::new(turned_values, stride), Window::new(slopes, stride));
				wide_product(self.instructions, d, [rows, head_dim, seen], v, at, false);
				let both = shares.chunks(stride).zip(slopes.chunks_mut(stride)).take(rows);
				for (shares, slopes) in both {
					let (shares, slopes) = (&shares[..seen], &mut slopes[..seen]);
					rowwise::softmax_backward(self.instructions, shares, sides.scale(), slopes);
				}

				let (ds, at) = (Rows::new(slopes, stride), Window::new(mixed, head_dim));
				wide_product(self.instructions, ds, [rows, seen, head_dim], keys, at, false);
				sides.scatter(mixed, block, query_window);

				self.turn(ds, [rows, seen], turned, rows);
				let (ds, q) = (Rows::new(turned, rows), Rows::new(gathered, head_dim));
				wide_product(self.instructions, ds, [seen, rows, head_dim], q, key_window, true);
			}
		});
		let for_queries = tensor(for_queries, [sides.sequences * sides.length, width]);
		[for_queries, tensor(for_keys, shape), tensor(for_values, shape)]
	}
}

#[cfg(test)]
mod tests {
	use burn::tensor::{activation, Bool, Device, TensorData};

	use super::*;
	use crate::operations::tests::{assert_close, output_and_gradients, random, values};

	/// Attention as burn does it, with a mask over all scores.
	fn plain(queries: Tensor<2>, keys: Tensor<4>, values: Tensor<4>) -> Tensor<2> {
		let [sequences, heads, seen, head_dim] = keys.dims();
		let [rows, width] = queries.dims();
		let (length, group) = (rows / sequences, width / (heads * head_dim));
		let by_head = |x: Tensor<4>| {
			let shape = [sequences, heads, 1, seen, head_dim];
			let repeated = x.reshape(shape).repeat_dim(2, group);
			repeated.reshape([sequences, heads * group, seen, head_dim])
		};
		let queries = queries.reshape([sequences, length, heads * group, head_dim]).swap_dims(1, 2);
		let hidden = (0..length)
			.flat_map(|row| (0..seen).map(move |column| column > seen - length + row))
			.collect::<Vec<bool>>();
		let mask = TensorData::new(hidden, [1, 1, length, seen]);
		let mask = Tensor::<4, Bool>::from_data(mask, &Device::flex());
		let scores = queries.matmul(by_head(keys).swap_dims(2, 3));
		let scores = scores.mul_scalar(1.0 / (head_dim as f64).sqrt());
		let mask = mask.expand(scores.dims());
		let shares = activation::softmax(scores.mask_fill(mask, f32::NEG_INFINITY), 3);
		shares.matmul(by_head(values)).swap_dims(1, 2).reshape([rows, width])
	}

	#[test]
	fn attention_should_be_that_of_burn_with_all_instructions() {
		// Sequences, key heads, group, head_dim, length, seen.
		let cases = [
			(1, 1, 1, 2, 1, 1),
			(2, 3, 3, 64, 64, 64),
			(3, 2, 1, 10, 37, 37),
			(1, 2, 4, 48, 5, 70),
			(2, 1, 2, 40, 100, 131),
		];
		for (sequences, heads, group, head_dim, length, seen) in cases {
			let queries = [sequences * length, heads * group * head_dim];
			let shape = [sequences, seen, heads, head_dim];
			let count = |shape: &[usize]| shape.iter().product::<usize>();
			let (first, second) = (count(&queries), count(&shape));
			for instructions in Instructions::available() {
				// One leaf for all three, and keys and values as the forward pass hands them over.
				let split = |[all]: [Tensor<1>; 1]| {
					let part = |start, count| all.clone().narrow(0, start, count);
					let by_head = |x: Tensor<1>| x.reshape(shape).swap_dims(1, 2);
					(
						part(0, first).mul_scalar(2.0).reshape(queries),
						by_head(part(first, second)),
						by_head(part(first + second, second)),
					)
				};
				let inputs = [random([first + 2 * second], 1)];
				let ours = |inputs| {
					let (queries, keys, values) = split(inputs);
					ternary(Attention { instructions }, queries, [keys, values])
				};
				let [found, gradients] = output_and_gradients(ours, inputs.clone());
				assert_eq!(values(ours(inputs.clone())), found, "without autodiff");
				let burns = |inputs| {
					let (queries, keys, values) = split(inputs);
					plain(queries, keys, values)
				};
				let [expected, expected_gradients] = output_and_gradients(burns, inputs);
				let what = format!("{instructions:?} {queries:?} {shape:?}");
				assert_close(&found, &expected, &what);
				assert_close(&gradients, &expected_gradients, &what);
			}
		}
	}

	#[test]
	fn keys_and_values_should_be_read_from_a_longer_cache() {
		let cache = random([2, 3, 50, 8], 1);
		let seen = cache.clone().narrow(2, 0, 33);
		let queries = random([2 * 4, 6 * 8], 2);
		let found = values(attention(queries.clone(), seen.clone(), seen.clone()));
		assert_close(&found, &values(plain(queries, seen.clone(), seen)), "a cache");
	}
}
