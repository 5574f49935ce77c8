//! The root of an index, as `docs/spec/span-index.md` defines it.

use crate::{
	span_index::{Indexed, IndexedRecord},
	suffix_array::SuffixArray,
};
use openledger_primitives::{contribution::SaltedRecord, hashing, merkle, H256};

/// Positions in one leaf of the tree over the suffix array: 4 KiB.
const CHUNK: usize = 1_024;

pub(crate) fn root(
	contributions: &[Indexed],
	records: &[IndexedRecord],
	suffixes: &SuffixArray,
) -> H256 {
	// A record that is not there would be a mistake in building; it changes the root.
	let leaf = |record: &IndexedRecord| {
		let contribution = contributions.get(record.contribution as usize)?;
		let salted = contribution.content.records.get(record.number as usize)?;
		Some(record_leaf(contribution, salted, record))
	};
	let record_leaves: Vec<H256> =
		records.iter().map(|record| leaf(record).unwrap_or_default()).collect();
	let chunks: Vec<H256> = suffixes.sorted().chunks(CHUNK).map(chunk_leaf).collect();
	hashing::hash(
		"openledger/span-index",
		&[
			&count(records.len()),
			&count(suffixes.text().len()),
			&count(suffixes.sorted().len()),
			merkle::root(&record_leaves).unwrap_or_default().as_bytes(),
			merkle::root(&chunks).unwrap_or_default().as_bytes(),
		],
	)
}

fn record_leaf(contribution: &Indexed, salted: &SaltedRecord, record: &IndexedRecord) -> H256 {
	hashing::hash(
		"openledger/span-index-record",
		&[
			&contribution.contributed_at.to_le_bytes(),
			&contribution.id.datanet.0.to_le_bytes(),
			&contribution.id.index.to_le_bytes(),
			&record.number.to_le_bytes(),
			salted.leaf().as_bytes(),
			&record.first.to_le_bytes(),
		],
	)
}

fn chunk_leaf(positions: &[u32]) -> H256 {
	let bytes: Vec<u8> = positions.iter().flat_map(|position| position.to_le_bytes()).collect();
	hashing::hash("openledger/span-index-chunk", &[&bytes])
}

/// All counts are at most [`crate::MAX_POSITIONS`].
fn count(number: usize) -> [u8; 4] {
	(number as u32).to_le_bytes()
}
