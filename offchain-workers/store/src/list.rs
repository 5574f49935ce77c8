//! What is in a store.

use crate::{folder, Store, StoreError};
use openledger_primitives::H256;
use std::{fs, io};

/// A blob that is there. It was not verified.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BlobInfo {
	/// Its name.
	pub hash: H256,
	/// Its size.
	pub bytes: u64,
}

impl Store {
	/// The blobs, in ascending order of their hashes. Of blobs that come or go meanwhile, each may be
	/// in the list or not. Files that are no blobs of ours are passed over; a link, a folder or a
	/// device with the name of a blob is an error.
	pub fn blobs(&self) -> impl Iterator<Item = Result<BlobInfo, StoreError>> + '_ {
		(0..=u8::MAX).flat_map(|first| match self.blobs_of(first) {
			Ok(blobs) => blobs,
			Err(error) => vec![Err(error)],
		})
	}

	/// How many blobs there are. Looks at every folder.
	pub fn len(&self) -> Result<u64, StoreError> {
		self.blobs().try_fold(0, |count: u64, blob| Ok(count.saturating_add(blob.map(|_| 1)?)))
	}

	/// Whether there are no blobs.
	pub fn is_empty(&self) -> Result<bool, StoreError> {
		self.blobs().next().transpose().map(|blob| blob.is_none())
	}

	/// The bytes of all blobs together. Looks at every blob's size.
	pub fn total_bytes(&self) -> Result<u64, StoreError> {
		self.blobs().try_fold(0, |sum: u64, blob| Ok(sum.saturating_add(blob?.bytes)))
	}

	/// The blobs whose hashes begin with this byte, sorted.
	fn blobs_of(&self, first: u8) -> Result<Vec<Result<BlobInfo, StoreError>>, StoreError> {
		let path = self.folder().join(format!("{first:02x}"));
		if !folder::check(&path)? {
			return Ok(Vec::new());
		}
		let at = |error: io::Error| StoreError::at(&path, error);
		let mut found = Vec::new();
		for entry in fs::read_dir(&path).map_err(at)? {
			let entry = entry.map_err(at)?;
			let Some(hash) = entry.file_name().to_str().and_then(|rest| hash_of(first, rest))
			else {
				continue;
			};
			match entry.metadata() {
				Ok(data) if data.is_file() => found.push((hash, Ok(data.len()))),
				Ok(_) => found.push((hash, Err(StoreError::NotAFile { path: entry.path() }))),
				Err(error) if error.kind() == io::ErrorKind::NotFound => {},
				Err(error) => found.push((hash, Err(StoreError::at(&entry.path(), error)))),
			}
		}
		found.sort_unstable_by_key(|(hash, _)| *hash);
		let info = |(hash, bytes): (H256, Result<u64, StoreError>)| {
			bytes.map(|bytes| BlobInfo { hash, bytes })
		};
		Ok(found.into_iter().map(info).collect())
	}
}

/// The hash of the blob of this name in the folder of this first byte, if it is such a name.
fn hash_of(first: u8, rest: &str) -> Option<H256> {
	let mut hash = H256::zero();
	let (head, tail) = hash.0.split_first_mut()?;
	*head = first;
	if rest.len() != tail.len().checked_mul(2)? {
		return None;
	}
	for (byte, digits) in tail.iter_mut().zip(rest.as_bytes().chunks_exact(2)) {
		let &[high, low] = digits else { return None };
		*byte = digit(high)? << 4 | digit(low)?;
	}
	Some(hash)
}

/// The value of a hexadecimal digit in lower case; upper case would be a second name.
fn digit(character: u8) -> Option<u8> {
	match character {
		b'0'..=b'9' => Some(character - b'0'),
		b'a'..=b'f' => Some(character - b'a' + 10),
		_ => None,
	}
}
