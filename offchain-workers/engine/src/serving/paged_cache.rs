//! Keys and values in pages, allocated once.

use crate::{
	config::LlamaConfig,
	kernel::{product::Window, LANES},
	serving::pages::PAGE_TOKENS,
};

/// Scores of a page lie along one vector.
const _: () = assert!(PAGE_TOKENS == LANES);

/// Keys and values of all layers, in pages of [`PAGE_TOKENS`] tokens.
///
/// A page of one layer and key head holds its keys `[head_dim, PAGE_TOKENS]` and its values
/// `[PAGE_TOKENS, head_dim]`.
#[derive(Debug)]
pub(crate) struct PagedCache {
	layers: Vec<LayerPages>,
	heads: usize,
	head_dim: usize,
	pages: usize,
}

#[derive(Debug)]
struct LayerPages {
	keys: Vec<f32>,
	values: Vec<f32>,
}

impl PagedCache {
	pub(crate) fn new(config: &LlamaConfig, pages: usize) -> Self {
		let (heads, head_dim) = (config.num_key_value_heads, config.head_dim);
		let numbers = pages * heads * head_dim * PAGE_TOKENS;
		let layers = (0..config.num_hidden_layers)
			.map(|_| LayerPages { keys: vec![0.0; numbers], values: vec![0.0; numbers] })
			.collect();
		Self { layers, heads, head_dim, pages }
	}

	pub(crate) fn pages(&self) -> usize {
		self.pages
	}

	/// One layer, for threads that each write tokens or heads of their own.
	pub(crate) fn layer(&mut self, layer: usize) -> Option<LayerWindow> {
		let stride = self.head_dim * PAGE_TOKENS;
		let pages = self.layers.get_mut(layer)?;
		Some(LayerWindow {
			keys: Window::new(&mut pages.keys, stride),
			values: Window::new(&mut pages.values, stride),
			heads: self.heads,
			head_dim: self.head_dim,
		})
	}
}

/// One layer of the cache while a step works on it.
#[derive(Clone, Copy)]
pub(crate) struct LayerWindow {
	keys: Window,
	values: Window,
	heads: usize,
	head_dim: usize,
}

impl LayerWindow {
	/// Writes the key and value of one token and head; `place` is its position within the page.
	pub(crate) fn write(&self, page: usize, place: usize, head: usize, key: &[f32], value: &[f32]) {
		let (row, size) = (page * self.heads + head, self.head_dim * PAGE_TOKENS);
		let keys = self.keys.row(row, size).iter_mut().skip(place).step_by(PAGE_TOKENS);
		keys.zip(key).for_each(|(to, from)| *to = *from);
		let values = self.values.row(row, size).iter_mut().skip(place * self.head_dim);
		values.zip(value).for_each(|(to, from)| *to = *from);
	}

	/// Keys of a page, `[head_dim, PAGE_TOKENS]`.
	pub(crate) fn keys(&self, page: usize, head: usize) -> &[f32] {
		self.keys.read(page * self.heads + head, self.head_dim * PAGE_TOKENS)
	}

	/// Values of a page, `[PAGE_TOKENS, head_dim]`.
	pub(crate) fn values(&self, page: usize, head: usize) -> &[f32] {
		self.values.read(page * self.heads + head, self.head_dim * PAGE_TOKENS)
	}
}
