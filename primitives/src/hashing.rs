//! BLAKE2b-256 under a domain.
//!
//! Every hash that OpenLedger makes starts with a domain, so that no bytes can be read as two
//! things: a leaf never as a node, a record never as a contribution. The input of the hash is
//! `[length of the domain: u8] ‖ domain ‖ parts…`; a caller whose parts have variable length puts
//! their lengths among the parts.

use crate::H256;
use blake2b_simd::{Params, State};

/// A hash in the making, for bytes that come piece by piece.
#[derive(Clone, Debug)]
pub struct Hasher(State);

impl Hasher {
	/// Starts a hash under `domain`: ASCII of at most 255 bytes.
	pub fn new(domain: &'static str) -> Self {
		let mut state = Params::new().hash_length(H256::len_bytes()).to_state();
		let domain = domain.as_bytes();
		state.update(&[domain.len() as u8]);
		state.update(domain);
		Self(state)
	}

	/// Takes in the bytes that follow. How they are cut into pieces does not change the hash.
	pub fn update(&mut self, bytes: &[u8]) {
		self.0.update(bytes);
	}

	/// The hash of all bytes taken in, the same that [`hash`] gives for them.
	pub fn finish(self) -> H256 {
		H256::from_slice(self.0.finalize().as_bytes())
	}
}

/// Hashes `parts`, one after the other, under `domain`: ASCII of at most 255 bytes.
pub fn hash(domain: &'static str, parts: &[&[u8]]) -> H256 {
	let mut hasher = Hasher::new(domain);
	for part in parts {
		hasher.update(part);
	}
	hasher.finish()
}
