//! Binary Merkle trees and proofs that a leaf, or several, stand in one.
//!
//! Leaves and inner nodes are hashed under different domains, so that neither can be taken for the
//! other. The last node of an odd row has no sibling and goes up unchanged; it is never paired with
//! itself (that would give two lists of leaves one root: CVE-2012-2459). The number of leaves is
//! hashed into the root, so that a proof also shows how large the tree is.
//!
//! ```text
//! row 0        leaf_node(leaf 0), leaf_node(leaf 1), …
//! row h + 1    node(left, right) for each pair of row h, then its last node if it has no sibling
//! root         H("openledger/merkle-root", number of leaves: u32 LE ‖ only node of the last row)
//! leaf_node    H("openledger/merkle-leaf", leaf)
//! node         H("openledger/merkle-node", left ‖ right)
//! ```
//!
//! A proof has exactly one encoding: a verifier refuses siblings that it does not need.

use crate::{hashing, BoundedVec, ConstU32, H256};
use alloc::vec::Vec;
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use scale_info::TypeInfo;

/// The most siblings a path can have: a tree has fewer than 2^32 leaves.
pub const MAX_DEPTH: u32 = 32;

/// The most leaves that one [`MultiProof`] can show.
pub const MAX_MULTI_LEAVES: u32 = 64;

/// The most siblings a [`MultiProof`] can need: each of 64 leaves one in every row of the largest
/// tree, but for the 6 rows at the top, where 64 leaves leave no gap.
pub const MAX_MULTI_SIBLINGS: u32 = 64 * (MAX_DEPTH - 6);

fn leaf_node(leaf: H256) -> H256 {
	hashing::hash("openledger/merkle-leaf", &[leaf.as_bytes()])
}

fn node(left: H256, right: H256) -> H256 {
	hashing::hash("openledger/merkle-node", &[left.as_bytes(), right.as_bytes()])
}

fn bind_count(leaf_count: u32, top: H256) -> H256 {
	hashing::hash("openledger/merkle-root", &[&leaf_count.to_le_bytes(), top.as_bytes()])
}

/// The node that is paired with node `index` of a row of `width`: none for the last of an odd row.
fn sibling(index: u32, width: u32) -> Option<u32> {
	let other = index ^ 1;
	(other < width).then_some(other)
}

/// Joins a node with its sibling, the one with the even index to the left.
fn join(index: u32, own: H256, other: H256) -> H256 {
	if index & 1 == 0 {
		node(own, other)
	} else {
		node(other, own)
	}
}

/// The row above `row`.
fn row_above(row: &[H256]) -> Vec<H256> {
	row.chunks(2)
		.filter_map(|pair| match pair {
			[left, right] => Some(node(*left, *right)),
			[last] => Some(*last),
			_ => None,
		})
		.collect()
}

/// The root over `leaves`, in their order. `None` when there are none, or 2^32 or more.
pub fn root(leaves: &[H256]) -> Option<H256> {
	let leaf_count = u32::try_from(leaves.len()).ok()?;
	let mut row: Vec<H256> = leaves.iter().copied().map(leaf_node).collect();
	while row.len() > 1 {
		row = row_above(&row);
	}
	row.first().map(|top| bind_count(leaf_count, *top))
}

/// A tree with all its nodes, for whoever proves: about 64 bytes of memory per leaf.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tree {
	leaf_count: u32,
	/// From the leaves' row to the row of one node.
	rows: Vec<Vec<H256>>,
	root: H256,
}

impl Tree {
	/// The tree over `leaves`, in their order. `None` when there are none, or 2^32 or more.
	pub fn new(leaves: &[H256]) -> Option<Self> {
		let leaf_count = u32::try_from(leaves.len()).ok()?;
		let mut row: Vec<H256> = leaves.iter().copied().map(leaf_node).collect();
		let mut rows = Vec::new();
		while row.len() > 1 {
			let above = row_above(&row);
			rows.push(core::mem::replace(&mut row, above));
		}
		let root = bind_count(leaf_count, *row.first()?);
		rows.push(row);
		Some(Self { leaf_count, rows, root })
	}

	/// The root, the same that [`root`] gives.
	pub fn root(&self) -> H256 {
		self.root
	}

	/// The number of leaves.
	pub fn leaf_count(&self) -> u32 {
		self.leaf_count
	}

	/// The path of one leaf. `None` when there is no such leaf.
	pub fn prove(&self, leaf_index: u32) -> Option<Proof> {
		if leaf_index >= self.leaf_count {
			return None;
		}
		let mut siblings = BoundedVec::new();
		let mut index = leaf_index;
		for row in &self.rows {
			if let Some(other) = sibling(index, u32::try_from(row.len()).ok()?) {
				siblings.try_push(*row.get(usize::try_from(other).ok()?)?).ok()?;
			}
			index >>= 1;
		}
		Some(Proof { leaf_index, leaf_count: self.leaf_count, siblings })
	}

	/// The shared paths of several leaves. `None` unless `leaf_indices` are strictly ascending, in
	/// the tree, at least one and at most [`MAX_MULTI_LEAVES`].
	pub fn prove_many(&self, leaf_indices: &[u32]) -> Option<MultiProof> {
		let leaf_indices = BoundedVec::try_from(leaf_indices.to_vec()).ok()?;
		if !are_positions(&leaf_indices, self.leaf_count) {
			return None;
		}
		let mut siblings = BoundedVec::new();
		let mut known = leaf_indices.to_vec();
		for row in &self.rows {
			let width = u32::try_from(row.len()).ok()?;
			let mut above = Vec::with_capacity(known.len());
			let mut indices = known.iter().copied().peekable();
			while let Some(index) = indices.next() {
				if let Some(other) = sibling(index, width) {
					if indices.next_if_eq(&other).is_none() {
						siblings.try_push(*row.get(usize::try_from(other).ok()?)?).ok()?;
					}
				}
				above.push(index >> 1);
			}
			known = above;
		}
		Some(MultiProof { leaf_count: self.leaf_count, leaf_indices, siblings })
	}
}

/// The path of one leaf to the root.
#[derive(
	Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct Proof {
	/// The leaf's place, counted from 0.
	pub leaf_index: u32,
	/// The number of leaves in the tree.
	pub leaf_count: u32,
	/// The siblings of the leaf's node and of its ancestors, from the bottom; rows in which there is
	/// no sibling are left out.
	pub siblings: BoundedVec<H256, ConstU32<MAX_DEPTH>>,
}

impl Proof {
	/// The root that the path leads to from `leaf`, with one hash per row. `None` when there is no
	/// such leaf in a tree of this size, or not exactly the siblings that its path needs.
	pub fn root(&self, leaf: H256) -> Option<H256> {
		if self.leaf_index >= self.leaf_count {
			return None;
		}
		let mut siblings = self.siblings.iter();
		let mut own = leaf_node(leaf);
		let mut index = self.leaf_index;
		let mut width = self.leaf_count;
		while width > 1 {
			if sibling(index, width).is_some() {
				own = join(index, own, *siblings.next()?);
			}
			index >>= 1;
			width = width.div_ceil(2);
		}
		siblings.next().is_none().then(|| bind_count(self.leaf_count, own))
	}

	/// Whether `leaf` stands at [`Self::leaf_index`] of the tree with this root.
	pub fn verify(&self, root: H256, leaf: H256) -> bool {
		self.root(leaf) == Some(root)
	}
}

/// The paths of several leaves to the root; nodes that follow from the leaves themselves are left
/// out.
#[derive(
	Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct MultiProof {
	/// The number of leaves in the tree.
	pub leaf_count: u32,
	/// The leaves' places, strictly ascending, at least one.
	pub leaf_indices: BoundedVec<u32, ConstU32<MAX_MULTI_LEAVES>>,
	/// The missing siblings: row by row from the bottom, in each row by ascending index.
	pub siblings: BoundedVec<H256, ConstU32<MAX_MULTI_SIBLINGS>>,
}

impl MultiProof {
	/// The root that the paths lead to from `leaves` (in the order of [`Self::leaf_indices`]).
	/// `None` when the indices are not strictly ascending places of a tree of this size, as many as
	/// leaves and at least one, or when there are not exactly the siblings that the paths need.
	pub fn root(&self, leaves: &[H256]) -> Option<H256> {
		if leaves.len() != self.leaf_indices.len()
			|| !are_positions(&self.leaf_indices, self.leaf_count)
		{
			return None;
		}
		let mut siblings = self.siblings.iter();
		let mut known: Vec<(u32, H256)> = self
			.leaf_indices
			.iter()
			.zip(leaves)
			.map(|(index, leaf)| (*index, leaf_node(*leaf)))
			.collect();
		let mut width = self.leaf_count;
		while width > 1 {
			let mut above = Vec::with_capacity(known.len());
			let mut nodes = known.iter().copied().peekable();
			while let Some((index, own)) = nodes.next() {
				let parent = match sibling(index, width) {
					None => own,
					Some(place) => {
						let other = match nodes.next_if(|(next, _)| *next == place) {
							Some((_, known)) => known,
							None => *siblings.next()?,
						};
						join(index, own, other)
					},
				};
				above.push((index >> 1, parent));
			}
			known = above;
			width = width.div_ceil(2);
		}
		match (known.as_slice(), siblings.next()) {
			([(_, top)], None) => Some(bind_count(self.leaf_count, *top)),
			_ => None,
		}
	}

	/// Whether `leaves` stand at [`Self::leaf_indices`] of the tree with this root.
	pub fn verify(&self, root: H256, leaves: &[H256]) -> bool {
		self.root(leaves) == Some(root)
	}
}

/// Whether `indices` are at least one, strictly ascending and below `leaf_count`.
fn are_positions(indices: &[u32], leaf_count: u32) -> bool {
	let ascending = indices.iter().zip(indices.iter().skip(1)).all(|(left, right)| left < right);
	ascending && indices.last().is_some_and(|last| *last < leaf_count)
}
