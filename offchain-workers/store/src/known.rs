//! What this process has verified already.

use lru::LruCache;
use openledger_primitives::H256;
use std::{
	num::NonZeroUsize,
	sync::{Mutex, MutexGuard, PoisonError},
};

/// Blobs that are remembered at most, in about 2 MiB.
const BLOBS: NonZeroUsize = NonZeroUsize::MIN.saturating_add((1 << 14) - 1);

/// Blobs whose bytes had the hash that names them, each with another hash of these bytes: BLAKE3, as
/// hard to forge and computed in a quarter of the time. For blobs that are read again and again, as
/// adapters are that do not all fit into memory. The longest unread are forgotten; nothing depends on
/// that but time.
#[derive(Debug)]
pub(crate) struct Known(Mutex<LruCache<H256, blake3::Hash>>);

impl Known {
	pub(crate) fn new() -> Self {
		Self(Mutex::new(LruCache::new(BLOBS)))
	}

	/// The other hash of the bytes that `blob` names.
	pub(crate) fn get(&self, blob: H256) -> Option<blake3::Hash> {
		self.lock().get(&blob).copied()
	}

	/// Bytes with this hash were found to be those that `blob` names.
	pub(crate) fn remember(&self, blob: H256, hash: blake3::Hash) {
		self.lock().put(blob, hash);
	}

	fn lock(&self) -> MutexGuard<'_, LruCache<H256, blake3::Hash>> {
		// What a panic elsewhere leaves is whole.
		self.0.lock().unwrap_or_else(PoisonError::into_inner)
	}
}
