//! The Merkle mountain range over a datanet's accepted contributions, and the proof that a record
//! stands in a version of it.
//!
//! A range of `n` leaves is a row of perfect binary trees, the mountains: one of `2^h` leaves for
//! each bit `h` of `n`, the tallest first. Appending a leaf never changes a finished mountain, so
//! the chain keeps only the peaks, and every earlier state of the range can still be proven against:
//! the version of `n` contributions has the leaves below `n`.
//!
//! ```text
//! leaf_node    H("openledger/range-leaf", leaf)
//! node         H("openledger/range-node", left ‖ right)
//! root         H("openledger/range-root", number of leaves: u32 LE ‖ peaks, the tallest first)
//! ```

use crate::{hashing, merkle, BoundedVec, ConstU32, H256};
use alloc::vec::Vec;
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use scale_info::TypeInfo;

/// The most peaks a range can have: one for each bit of its size.
pub const MAX_PEAKS: u32 = 32;

/// The most siblings in a mountain: the tallest has 2^31 leaves.
pub const MAX_HEIGHT: u32 = 31;

/// The leaf that an accepted contribution has in its datanet's range. `index` is the
/// contribution's index in the datanet ([`crate::ContributionId::index`]), `root` the Merkle root
/// over its records, `records` how many they are.
pub fn contribution_leaf(index: u32, root: H256, records: u32) -> H256 {
	hashing::hash(
		"openledger/contribution-leaf",
		&[&index.to_le_bytes(), root.as_bytes(), &records.to_le_bytes()],
	)
}

fn leaf_node(leaf: H256) -> H256 {
	hashing::hash("openledger/range-leaf", &[leaf.as_bytes()])
}

fn node(left: H256, right: H256) -> H256 {
	hashing::hash("openledger/range-node", &[left.as_bytes(), right.as_bytes()])
}

/// The root of a range of `leaves` with these peaks.
fn bind_count(leaves: u32, peaks: &[H256]) -> H256 {
	let count = leaves.to_le_bytes();
	let mut parts: Vec<&[u8]> = Vec::with_capacity(peaks.len().saturating_add(1));
	parts.push(&count);
	parts.extend(peaks.iter().map(H256::as_bytes));
	hashing::hash("openledger/range-root", &parts)
}

/// One mountain of a range.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Mountain {
	/// It has `2^height` leaves.
	height: u32,
	/// Its first leaf in the range.
	first: u32,
}

impl Mountain {
	/// The peak's place among the range's nodes of its height, counted from 0.
	fn place(&self) -> u32 {
		self.first.checked_shr(self.height).unwrap_or(0)
	}

	/// Whether the leaf is one of this mountain's. True also for leaves behind the range's last
	/// mountain, which the caller has excluded.
	fn has(&self, leaf: u32) -> bool {
		leaf.checked_shr(self.height) == self.first.checked_shr(self.height)
	}
}

/// The mountains of a range of `leaves`, the tallest first.
fn mountains(leaves: u32) -> impl Iterator<Item = Mountain> {
	(0..u32::BITS).rev().filter_map(move |height| {
		let size = 1u32.checked_shl(height)?;
		// Every leaf in a taller mountain comes before: the bits of `leaves` above this one.
		let taller = leaves & !size & !size.wrapping_sub(1);
		(leaves & size != 0).then_some(Mountain { height, first: taller })
	})
}

/// The range has 2^32 - 1 leaves and takes no more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RangeFull;

/// What the chain keeps of a range: its size and its peaks. At most 1,029 bytes.
#[derive(
	Clone, PartialEq, Eq, Debug, Default, Encode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct MountainRange {
	leaves: u32,
	/// One for each mountain, the tallest first.
	peaks: BoundedVec<H256, ConstU32<MAX_PEAKS>>,
}

impl Decode for MountainRange {
	fn decode<I: codec::Input>(input: &mut I) -> Result<Self, codec::Error> {
		let leaves = u32::decode(input)?;
		let peaks = BoundedVec::<H256, ConstU32<MAX_PEAKS>>::decode(input)?;
		if u32::try_from(peaks.len()) != Ok(leaves.count_ones()) {
			return Err("A mountain range has one peak for each bit of its size".into());
		}
		Ok(Self { leaves, peaks })
	}
}

impl MountainRange {
	/// How many leaves were pushed.
	pub fn leaves(&self) -> u32 {
		self.leaves
	}

	/// The peaks, the tallest first.
	pub fn peaks(&self) -> &[H256] {
		&self.peaks
	}

	/// Appends a leaf and says its index.
	pub fn push(&mut self, leaf: H256) -> Result<u32, RangeFull> {
		let index = self.leaves;
		let leaves = index.checked_add(1).ok_or(RangeFull)?;
		let mut peaks = self.peaks.clone();
		let mut own = leaf_node(leaf);
		// Every mountain that now has a neighbour of its own height joins it.
		for _ in 0..index.trailing_ones() {
			own = node(peaks.pop().ok_or(RangeFull)?, own);
		}
		peaks.try_push(own).map_err(|_| RangeFull)?;
		self.leaves = leaves;
		self.peaks = peaks;
		Ok(index)
	}

	/// The root, which also says how many leaves there are. `None` when there are none.
	pub fn root(&self) -> Option<H256> {
		(self.leaves > 0).then(|| bind_count(self.leaves, &self.peaks))
	}
}

/// A range with all its nodes, for whoever proves: about 64 bytes of memory per leaf.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RangeBuilder {
	leaves: u32,
	/// By height: the peaks of all perfect trees of that height, from the first leaf on.
	rows: Vec<Vec<H256>>,
}

impl RangeBuilder {
	/// The range over these leaves.
	pub fn from_leaves(leaves: impl IntoIterator<Item = H256>) -> Result<Self, RangeFull> {
		let mut range = Self::default();
		for leaf in leaves {
			range.push(leaf)?;
		}
		Ok(range)
	}

	/// How many leaves were pushed.
	pub fn leaves(&self) -> u32 {
		self.leaves
	}

	/// Appends a leaf and says its index.
	pub fn push(&mut self, leaf: H256) -> Result<u32, RangeFull> {
		let index = self.leaves;
		self.leaves = index.checked_add(1).ok_or(RangeFull)?;
		let mut own = leaf_node(leaf);
		let joins = usize::try_from(index.trailing_ones()).map_err(|_| RangeFull)?;
		for height in 0..=joins {
			if self.rows.len() <= height {
				self.rows.push(Vec::new());
			}
			let row = self.rows.get_mut(height).ok_or(RangeFull)?;
			let left = row.last().copied();
			row.push(own);
			if let (Some(left), true) = (left, height < joins) {
				own = node(left, own);
			}
		}
		Ok(index)
	}

	fn node_at(&self, height: u32, place: u32) -> Option<H256> {
		let row = self.rows.get(usize::try_from(height).ok()?)?;
		row.get(usize::try_from(place).ok()?).copied()
	}

	/// The root that the range had when it had this many leaves. `None` when it never had, or for 0.
	pub fn root_at(&self, leaves: u32) -> Option<H256> {
		if leaves == 0 || leaves > self.leaves {
			return None;
		}
		let peaks = mountains(leaves)
			.map(|mountain| self.node_at(mountain.height, mountain.place()))
			.collect::<Option<Vec<H256>>>()?;
		Some(bind_count(leaves, &peaks))
	}

	/// The path of a leaf to the root that the range had when it had `leaf_count` leaves. `None` when
	/// there was no such leaf, or the range never was so large.
	pub fn prove(&self, leaf_index: u32, leaf_count: u32) -> Option<RangeProof> {
		if leaf_index >= leaf_count || leaf_count > self.leaves {
			return None;
		}
		let mut siblings = BoundedVec::new();
		let mut peaks = BoundedVec::new();
		let mut found = false;
		for mountain in mountains(leaf_count) {
			if !found && mountain.has(leaf_index) {
				found = true;
				for height in 0..mountain.height {
					let place = leaf_index.checked_shr(height)? ^ 1;
					siblings.try_push(self.node_at(height, place)?).ok()?;
				}
			} else {
				peaks.try_push(self.node_at(mountain.height, mountain.place())?).ok()?;
			}
		}
		Some(RangeProof { leaf_index, leaf_count, siblings, peaks })
	}
}

/// The path of one leaf to the root of a range of a certain size.
#[derive(
	Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct RangeProof {
	/// The leaf's place, counted from 0.
	pub leaf_index: u32,
	/// How many leaves the range has (for a version: its contributions).
	pub leaf_count: u32,
	/// The siblings on the way up the leaf's mountain, from the bottom.
	pub siblings: BoundedVec<H256, ConstU32<MAX_HEIGHT>>,
	/// The peaks of all the other mountains, the tallest first.
	pub peaks: BoundedVec<H256, ConstU32<MAX_HEIGHT>>,
}

impl RangeProof {
	/// The root that the path leads to from `leaf`. `None` when there is no such leaf in a range of
	/// this size, or not exactly the siblings and peaks that its path needs.
	pub fn root(&self, leaf: H256) -> Option<H256> {
		if self.leaf_index >= self.leaf_count {
			return None;
		}
		let mut siblings = self.siblings.iter();
		let mut others = self.peaks.iter();
		let mut peaks = Vec::with_capacity(self.peaks.len().saturating_add(1));
		let mut found = false;
		for mountain in mountains(self.leaf_count) {
			if !found && mountain.has(self.leaf_index) {
				found = true;
				let mut own = leaf_node(leaf);
				for height in 0..mountain.height {
					let other = *siblings.next()?;
					let is_left = self.leaf_index.checked_shr(height)? & 1 == 0;
					own = if is_left { node(own, other) } else { node(other, own) };
				}
				peaks.push(own);
			} else {
				peaks.push(*others.next()?);
			}
		}
		let is_exact = found && siblings.next().is_none() && others.next().is_none();
		is_exact.then(|| bind_count(self.leaf_count, &peaks))
	}

	/// Whether `leaf` stands at [`Self::leaf_index`] of the range with this root.
	pub fn verify(&self, root: H256, leaf: H256) -> bool {
		self.root(leaf) == Some(root)
	}
}

/// That a record stands in a version of a datanet: its path in its contribution, and the
/// contribution's path in the version.
#[derive(
	Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct RecordProof {
	/// The index of the record's contribution in the datanet ([`crate::ContributionId::index`]).
	pub contribution: u32,
	/// From the record's leaf to the contribution's root.
	pub record: merkle::Proof,
	/// From the contribution's leaf to the version's root.
	pub range: RangeProof,
}

/// Why a record was not shown to stand in a version.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RecordProofFault {
	/// The path in the contribution has not the form that its index and size require.
	MalformedRecordPath,
	/// The path in the version has not the form that its index and size require.
	MalformedRangePath,
	/// The paths lead to another root: something in the proof, or the record, is not what stands in
	/// the version.
	OtherRoot,
}

impl RecordProof {
	/// Checks that the record with this leaf ([`crate::record::record_leaf`]) stands in the version
	/// with this root. Then it is true of the version that its contribution
	/// [`Self::contribution`] has `record.leaf_count` records, this one at `record.leaf_index`.
	pub fn verify(&self, version_root: H256, record_leaf: H256) -> Result<(), RecordProofFault> {
		let contribution_root =
			self.record.root(record_leaf).ok_or(RecordProofFault::MalformedRecordPath)?;
		let leaf = contribution_leaf(self.contribution, contribution_root, self.record.leaf_count);
		let root = self.range.root(leaf).ok_or(RecordProofFault::MalformedRangePath)?;
		if root == version_root {
			Ok(())
		} else {
			Err(RecordProofFault::OtherRoot)
		}
	}
}
