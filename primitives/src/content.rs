//! Bytes that are known by their hash: prompts, answers, and every blob in a worker's store.

use crate::{hashing, BoundedVec, ConstU32, H256};
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use scale_info::TypeInfo;

/// The most bytes of a prompt or an answer that go through the chain. Longer ones go from
/// application to worker directly, with their hash on chain.
pub const MAX_CONTENT_BYTES: u32 = 4_096;

/// Bytes of a prompt or an answer.
pub type ContentBytes = BoundedVec<u8, ConstU32<MAX_CONTENT_BYTES>>;

/// The hash by which bytes are known, whatever they are: BLAKE2b-256 under `openledger/content`.
/// Prompts, answers, contributions, training specifications, base models' files and adapters all
/// have this hash on chain, and this is the name of their blob in a worker's store.
pub fn content_hash(bytes: &[u8]) -> H256 {
	let mut hasher = content_hasher();
	hasher.update(bytes);
	hasher.finish()
}

/// A [`content_hash`] in the making, for content that is too large to be held in memory.
pub fn content_hasher() -> hashing::Hasher {
	hashing::Hasher::new("openledger/content")
}

/// A prompt or an answer.
#[derive(
	Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub enum Content {
	/// It travels outside the chain; this is its [`content_hash`].
	#[codec(index = 0)]
	Hash(H256),
	/// Here it is, readable by everybody for ever.
	#[codec(index = 1)]
	Bytes(ContentBytes),
}

impl Content {
	/// The content's hash, however it travels.
	pub fn hash(&self) -> H256 {
		match self {
			Self::Hash(hash) => *hash,
			Self::Bytes(bytes) => content_hash(bytes),
		}
	}

	/// How many bytes of content go through the chain.
	pub fn bytes_on_chain(&self) -> u32 {
		match self {
			Self::Hash(_) => 0,
			Self::Bytes(bytes) => u32::try_from(bytes.len()).unwrap_or(MAX_CONTENT_BYTES),
		}
	}
}
