//! A blob in the making.

use crate::{folder, Store, StoreError};
use openledger_primitives::{content, hashing::Hasher, H256};
use std::io::Write;
use tempfile::NamedTempFile;

/// Takes in a blob piece by piece. Nobody sees it before [`BlobWriter::finish`]; dropped before, it
/// was never there.
#[derive(Debug)]
pub struct BlobWriter<'s> {
	store: &'s Store,
	file: NamedTempFile,
	hasher: Hasher,
	/// By what the blob is known again.
	other_hasher: blake3::Hasher,
	bytes: u64,
}

impl<'s> BlobWriter<'s> {
	pub(crate) fn new(store: &'s Store) -> Result<Self, StoreError> {
		let folder = store.temporary();
		let file = NamedTempFile::new_in(&folder).map_err(|e| StoreError::at(&folder, e))?;
		let (hasher, other_hasher) = (content::content_hasher(), blake3::Hasher::new());
		Ok(Self { store, file, hasher, other_hasher, bytes: 0 })
	}

	/// Takes in the bytes that follow.
	///
	/// # Errors
	///
	/// [`StoreError::TooLarge`] when they are more than a blob may have, [`StoreError::NoSpace`] when
	/// the disk is full. The writer is of no use after an error.
	pub fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
		let limit = self.store.max_blob_bytes();
		self.bytes = self.bytes.saturating_add(bytes.len() as u64);
		if self.bytes > limit {
			return Err(StoreError::TooLarge { limit });
		}
		self.hasher.update(bytes);
		self.other_hasher.update(bytes);
		self.file.write_all(bytes).map_err(|e| StoreError::at(self.file.path(), e))
	}

	/// Keeps the blob under its hash, and returns the hash once the blob is safe on the disk.
	///
	/// # Errors
	///
	/// [`StoreError::WrongHash`] when it is not the one that was `expected`; the blob is not kept
	/// then, nor after any other error.
	pub fn finish(self, expected: Option<H256>) -> Result<H256, StoreError> {
		let found = self.hasher.finish();
		if let Some(expected) = expected.filter(|expected| *expected != found) {
			return Err(StoreError::WrongHash { expected, found });
		}
		self.store.known.remember(found, self.other_hasher.finalize());
		let (folder, path) = self.store.place_of(found);
		self.file.as_file().sync_all().map_err(|e| StoreError::at(self.file.path(), e))?;
		{
			let _changing = self.store.begin_change();
			folder::ensure(&folder)?;
			// A folder or a link in the blob's place stays where it is: it is not ours to replace.
			folder::is_file(&path)?;
			self.file.persist(&path).map_err(|failed| StoreError::at(&path, failed.error))?;
		}
		folder::flush(&folder)?;
		Ok(found)
	}
}
