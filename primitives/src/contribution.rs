//! What a contributor hands to workers: the records and their salts, as one blob.
//!
//! The blob's SCALE encoding is what the chain knows by the contribution's content hash; the chain
//! itself never sees it. Whoever has the blob can make the commitments anew and compare.

use crate::{
	merkle,
	record::{self, RecordFault},
	H256,
};
use alloc::vec::Vec;
use codec::{Decode, Encode};

/// One record with the salt that its leaf was made with.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct SaltedRecord {
	/// Drawn at random for this record alone.
	pub salt: [u8; 32],
	/// The record's canonical bytes.
	pub canonical: Vec<u8>,
}

impl SaltedRecord {
	/// The record's leaf in its contribution's tree.
	pub fn leaf(&self) -> H256 {
		record::record_leaf(&self.salt, &self.canonical)
	}
}

/// A contribution's records, in the order of their leaves.
#[derive(Clone, PartialEq, Eq, Debug, Default, Encode, Decode)]
pub struct ContributionContent {
	/// The records.
	pub records: Vec<SaltedRecord>,
}

/// What a contribution's blob has to agree with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ContributionCommitment {
	/// Merkle root over the records' leaves.
	pub root: H256,
	/// Commitment to the salts ([`record::salts_root`]).
	pub salts: H256,
	/// Number of records.
	pub records: u32,
	/// Bytes of canonical records, salts not counted.
	pub bytes: u64,
}

impl ContributionContent {
	/// The tree over the records. `None` when there are none, or 2^32 or more.
	pub fn tree(&self) -> Option<merkle::Tree> {
		let leaves: Vec<H256> = self.records.iter().map(SaltedRecord::leaf).collect();
		merkle::Tree::new(&leaves)
	}

	/// The commitments that belong to these records. `None` when there are none, or 2^32 or more.
	pub fn commitment(&self) -> Option<ContributionCommitment> {
		let salts: Vec<[u8; 32]> = self.records.iter().map(|record| record.salt).collect();
		let bytes = self.records.iter().map(|record| record.canonical.len() as u64);
		Some(ContributionCommitment {
			root: self.tree()?.root(),
			salts: record::salts_root(&salts)?,
			records: u32::try_from(self.records.len()).ok()?,
			bytes: bytes.fold(0, u64::saturating_add),
		})
	}

	/// The first record that is not in canonical form, by number.
	pub fn first_fault(&self) -> Option<(usize, RecordFault)> {
		self.records
			.iter()
			.enumerate()
			.find_map(|(number, record)| Some((number, record::read(&record.canonical).err()?)))
	}
}
