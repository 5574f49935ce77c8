//! Keys and values of the tokens seen so far.

use burn::tensor::Tensor;

use crate::{
	error::ForwardError,
	model::{Model, MAX_BATCH_ROWS},
};

/// A cache for a fixed number of rows and tokens, allocated once and written in place.
///
/// It belongs to one adapter as much as to one model: keys and values depend on both.
#[derive(Debug)]
pub struct KvCache {
	layers: Vec<Option<LayerCache>>,
	rows: usize,
	length: usize,
	capacity: usize,
}

/// Keys and values of one layer, each `[rows, key_value_heads, capacity, head_dim]`.
#[derive(Debug)]
struct LayerCache {
	keys: Tensor<4>,
	values: Tensor<4>,
}

impl KvCache {
	/// A cache for `rows` sequences of at most `capacity` tokens.
	///
	/// # Errors
	/// `rows` is zero or above [`MAX_BATCH_ROWS`], `capacity` zero or above the model's context.
	pub fn new(model: &Model, rows: usize, capacity: usize) -> Result<Self, ForwardError> {
		if rows == 0 || capacity == 0 {
			return Err(ForwardError::Empty);
		}
		if rows > MAX_BATCH_ROWS {
			return Err(ForwardError::TooManyRows { rows, max: MAX_BATCH_ROWS });
		}
		if capacity > model.max_context() {
			return Err(ForwardError::ContextExceeded {
				position: capacity - 1,
				max_context: model.max_context(),
			});
		}
		let config = model.config();
		let shape = [rows, config.num_key_value_heads, capacity, config.head_dim];
		let zeros = || Tensor::zeros(shape, model.device());
		let layers = (0..config.num_hidden_layers)
			.map(|_| Some(LayerCache { keys: zeros(), values: zeros() }))
			.collect();
		Ok(Self { layers, rows, length: 0, capacity })
	}

	/// Tokens held per row.
	pub fn len(&self) -> usize {
		self.length
	}

	/// No token is held yet.
	pub fn is_empty(&self) -> bool {
		self.length == 0
	}

	/// Tokens that a row can hold.
	pub fn capacity(&self) -> usize {
		self.capacity
	}

	/// Forgets all tokens and keeps the memory.
	pub fn clear(&mut self) {
		self.length = 0;
	}

	/// Checks that `added` tokens for `rows` rows of this model can be written.
	pub(crate) fn check(
		&self,
		model: &Model,
		rows: usize,
		added: usize,
	) -> Result<(), ForwardError> {
		let config = model.config();
		let wrong = ForwardError::WrongCache { expected: self.rows, found: rows };
		if rows != self.rows || self.layers.len() != config.num_hidden_layers {
			return Err(wrong);
		}
		let shape = [rows, config.num_key_value_heads, self.capacity, config.head_dim];
		for layer in &self.layers {
			let layer = layer.as_ref().ok_or(ForwardError::CacheLost)?;
			if layer.keys.dims() != shape {
				return Err(wrong);
			}
		}
		let needed = self.length + added;
		if needed > self.capacity {
			return Err(ForwardError::CacheFull { needed, capacity: self.capacity });
		}
		Ok(())
	}

	/// Writes new keys and values `[rows, heads, added, head_dim]` of one layer after the tokens
	/// held, and returns views of all of them, `[rows, heads, held + added, head_dim]`. The
	/// length grows only with [`advance`](Self::advance), once all layers are written.
	pub(crate) fn write(
		&mut self,
		layer: usize,
		keys: Tensor<4>,
		values: Tensor<4>,
	) -> Result<(Tensor<4>, Tensor<4>), ForwardError> {
		// Taken out and put back: a tensor that nobody else holds is written in place.
		let slot = self.layers.get_mut(layer).ok_or(ForwardError::CacheLost)?;
		let held = slot.take().ok_or(ForwardError::CacheLost)?;
		let [rows, heads, added, head_dim] = keys.dims();
		let end = self.length + added;
		let place = [0..rows, 0..heads, self.length..end, 0..head_dim];
		let keys = held.keys.slice_assign(place.clone(), keys);
		let values = held.values.slice_assign(place, values);
		*slot = Some(LayerCache { keys: keys.clone(), values: values.clone() });
		Ok((keys.narrow(2, 0, end), values.narrow(2, 0, end)))
	}

	/// Counts tokens that all layers have written.
	pub(crate) fn advance(&mut self, added: usize) {
		self.length += added;
	}
}
