//! Choosing one of many by weight from a seed that nobody can grind.

use crate::{hashing, H256};
use primitive_types::U256;

/// Picks an index with probability proportional to its weight, from a 256-bit seed. The same seed
/// and weights always give the same index. `None` when the weights sum to zero.
///
/// The seed is reduced modulo the sum of the weights; with sums below 2^128 the bias is below
/// 2^-128.
pub fn weighted_index(seed: H256, weights: impl Iterator<Item = u128> + Clone) -> Option<usize> {
	let total = weights.clone().fold(U256::zero(), |sum, w| sum.saturating_add(U256::from(w)));
	let mut point = U256::from_big_endian(seed.as_bytes()).checked_rem(total)?;
	for (index, weight) in weights.enumerate() {
		let weight = U256::from(weight);
		if point < weight {
			return Some(index);
		}
		point = point.checked_sub(weight)?;
	}
	None
}

/// The seed for one choice: epoch randomness, what is chosen for, and which attempt this is.
pub fn seed(randomness: H256, subject: &[u8], attempt: u32) -> H256 {
	hashing::hash("openledger/selection", &[randomness.as_bytes(), &attempt.to_le_bytes(), subject])
}
