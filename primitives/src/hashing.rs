//! BLAKE2b-256 under a domain.
//!
//! Every hash that OpenLedger makes starts with a domain, so that no bytes can be read as two
//! things: a leaf never as a node, a record never as a contribution. The input of the hash is
//! `[length of the domain: u8] ‖ domain ‖ parts…`; a caller whose parts have variable length puts
//! their lengths among the parts.

use crate::H256;
use blake2::{digest::consts::U32, Blake2b, Digest};

/// Hashes `parts`, one after the other, under `domain`: ASCII of at most 255 bytes.
pub fn hash(domain: &'static str, parts: &[&[u8]]) -> H256 {
	let mut state = Blake2b::<U32>::new();
	let domain = domain.as_bytes();
	state.update((domain.len() as u8).to_le_bytes());
	state.update(domain);
	for part in parts {
		state.update(part);
	}
	H256(state.finalize().into())
}
