//! Where blobs come from.

use crate::{Store, StoreError};
use openledger_primitives::H256;

/// Something that may have blobs: this machine's store, and later other workers over the network.
pub trait BlobSource: Send + Sync {
	/// Why a blob could not be fetched.
	type Error: std::error::Error + Send + Sync + 'static;

	/// The bytes with this content hash; `None` when the source does not have them. Implementations
	/// return no bytes with another hash.
	fn fetch(&self, hash: H256) -> Result<Option<Vec<u8>>, Self::Error>;
}

impl BlobSource for Store {
	type Error = StoreError;

	fn fetch(&self, hash: H256) -> Result<Option<Vec<u8>>, StoreError> {
		self.get(hash)
	}
}
