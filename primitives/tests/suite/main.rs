//! What the shared types and functions promise: properties, tables and frozen formats.

#![allow(
	clippy::arithmetic_side_effects,
	clippy::expect_used,
	clippy::indexing_slicing,
	clippy::unwrap_used,
	reason = "a test that panics has failed, which is what it is for"
)]

mod claim;
mod contribution;
mod jobs;
mod layout;
mod licence;
mod merkle;
mod mmr;
mod receipt;
mod record;
mod selection;
mod shares;
mod vectors;
mod words;

use openledger_primitives::H256;

/// Distinct leaves.
fn leaves(count: u32) -> Vec<H256> {
	(0..count).map(|index| H256::from_low_u64_be(u64::from(index) + 1)).collect()
}
