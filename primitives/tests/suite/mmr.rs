//! Mountain ranges and the proof that a record stands in a version of a datanet.

use crate::leaves;
use codec::{Decode, Encode};
use openledger_primitives::{
	hashing::hash,
	merkle::Tree,
	mmr::{
		contribution_leaf, MountainRange, RangeBuilder, RangeFull, RangeProof, RecordProof,
		RecordProofFault,
	},
	record::record_leaf,
	BoundedVec, H256,
};
use proptest::{collection::vec, prelude::*};

const SIZES: u32 = 70;

/// The peak over a power of two of leaves, from the definition.
fn peak(leaves: &[H256]) -> H256 {
	match leaves {
		[leaf] => hash("openledger/range-leaf", &[&leaf.0]),
		_ => {
			let (left, right) = leaves.split_at(leaves.len() / 2);
			hash("openledger/range-node", &[&peak(left).0, &peak(right).0])
		},
	}
}

/// The root of a range, from the definition.
fn range_root(leaves: &[H256]) -> H256 {
	let mut bytes = (leaves.len() as u32).to_le_bytes().to_vec();
	let mut rest = leaves;
	while !rest.is_empty() {
		let (mountain, after) = rest.split_at(1 << rest.len().ilog2());
		bytes.extend(peak(mountain).0);
		rest = after;
	}
	hash("openledger/range-root", &[&bytes])
}

#[test]
fn pushes_should_give_the_root_of_all_leaves() {
	let all = leaves(300);
	let mut range = MountainRange::default();
	let mut builder = RangeBuilder::default();
	assert_eq!(range.root(), None);
	assert_eq!(builder.root_at(0), None);
	for (index, leaf) in all.iter().enumerate() {
		assert_eq!(range.push(*leaf), Ok(index as u32));
		assert_eq!(builder.push(*leaf), Ok(index as u32));
		assert_eq!(range.leaves(), index as u32 + 1);
		assert_eq!(builder.leaves(), range.leaves());
		assert_eq!(range.peaks().len() as u32, range.leaves().count_ones());
		assert_eq!(range.root(), Some(range_root(&all[..=index])));
		assert_eq!(range.root(), builder.root_at(range.leaves()));
		assert_eq!(MountainRange::decode(&mut &range.encode()[..]), Ok(range.clone()));
	}
	assert_eq!(builder.root_at(301), None);
	assert_eq!(RangeBuilder::from_leaves(all), Ok(builder));
}

#[test]
fn proofs_should_verify_in_every_version() {
	let all = leaves(SIZES);
	let builder = RangeBuilder::from_leaves(all.clone()).unwrap();
	for size in 1..=SIZES {
		let root = range_root(&all[..size as usize]);
		for index in 0..size {
			let proof = builder.prove(index, size).unwrap();
			assert!(proof.verify(root, all[index as usize]));
		}
		assert_eq!(builder.prove(size, size), None);
	}
	assert_eq!(builder.prove(0, SIZES + 1), None);
	assert_eq!(builder.prove(0, 0), None);
}

#[test]
fn proofs_should_fail_for_every_other_leaf_index_and_size() {
	let all = leaves(SIZES);
	let builder = RangeBuilder::from_leaves(all.clone()).unwrap();
	for size in 1..=SIZES {
		let root = builder.root_at(size).unwrap();
		for index in 0..size {
			let leaf = all[index as usize];
			let proof = builder.prove(index, size).unwrap();
			for other in (0..size).filter(|other| *other != index) {
				assert!(!proof.verify(root, all[other as usize]));
				assert!(!RangeProof { leaf_index: other, ..proof.clone() }.verify(root, leaf));
			}
			for leaf_count in (0..=SIZES + 2).filter(|other| *other != size) {
				assert!(!RangeProof { leaf_count, ..proof.clone() }.verify(root, leaf));
			}
		}
	}
}

#[test]
fn proofs_should_fail_when_siblings_or_peaks_are_changed() {
	let all = leaves(SIZES);
	let builder = RangeBuilder::from_leaves(all.clone()).unwrap();
	for size in 1..=SIZES {
		let root = builder.root_at(size).unwrap();
		for index in 0..size {
			let leaf = all[index as usize];
			let proof = builder.prove(index, size).unwrap();
			let with = |siblings: &[H256], peaks: &[H256]| RangeProof {
				siblings: BoundedVec::try_from(siblings.to_vec()).unwrap(),
				peaks: BoundedVec::try_from(peaks.to_vec()).unwrap(),
				..proof.clone()
			};
			let (siblings, peaks) = (proof.siblings.to_vec(), proof.peaks.to_vec());
			let longer = |list: &[H256]| [list, &[H256::zero()]].concat();
			assert_eq!(with(&longer(&siblings), &peaks).root(leaf), None);
			assert_eq!(with(&siblings, &longer(&peaks)).root(leaf), None);
			if let Some((last, shorter)) = siblings.split_last() {
				assert_eq!(with(shorter, &peaks).root(leaf), None);
				// A sibling cannot move over to the peaks.
				assert_eq!(with(shorter, &[peaks.clone(), vec![*last]].concat()).root(leaf), None);
			}
			if let Some((_, shorter)) = peaks.split_last() {
				assert_eq!(with(&siblings, shorter).root(leaf), None);
			}
			for at in 1..siblings.len() {
				let mut swapped = siblings.clone();
				swapped.swap(at - 1, at);
				assert!(!with(&swapped, &peaks).verify(root, leaf));
			}
			for at in 1..peaks.len() {
				let mut swapped = peaks.clone();
				swapped.swap(at - 1, at);
				assert!(!with(&siblings, &swapped).verify(root, leaf));
			}
		}
	}
}

#[test]
fn inner_node_should_not_pass_as_leaf() {
	let all = leaves(4);
	let builder = RangeBuilder::from_leaves(all.clone()).unwrap();
	let root = builder.root_at(4).unwrap();
	let (left, right) = (peak(&all[..2]), peak(&all[2..]));
	for leaf_count in 1..=8u32 {
		for leaf_index in 0..leaf_count {
			let proof = RangeProof {
				leaf_index,
				leaf_count,
				siblings: BoundedVec::try_from(vec![right]).unwrap(),
				peaks: BoundedVec::new(),
			};
			assert!(!proof.verify(root, left));
		}
	}
}

#[test]
fn range_should_refuse_leaves_when_full() {
	let full = (u32::MAX, vec![H256::repeat_byte(1); 32]).encode();
	let mut range = MountainRange::decode(&mut &full[..]).unwrap();
	let before = range.clone();
	assert_eq!(range.push(H256::zero()), Err(RangeFull));
	assert_eq!(range, before);

	let almost = (u32::MAX - 1, vec![H256::repeat_byte(1); 31]).encode();
	let mut range = MountainRange::decode(&mut &almost[..]).unwrap();
	assert_eq!(range.push(H256::zero()), Ok(u32::MAX - 1));
	assert_eq!(range.peaks().len(), 32);
	assert!(range.root().is_some());

	// The tallest mountain rises out of 31 smaller ones.
	let rising = ((1u32 << 31) - 1, vec![H256::repeat_byte(1); 31]).encode();
	let mut range = MountainRange::decode(&mut &rising[..]).unwrap();
	assert_eq!(range.push(H256::zero()), Ok((1 << 31) - 1));
	assert_eq!(range.peaks().len(), 1);
}

#[test]
fn range_should_not_decode_when_peaks_do_not_fit_its_size() {
	for (count, peaks) in [(0u32, 1usize), (1, 0), (2, 2), (3, 1), (u32::MAX, 31)] {
		let bytes = (count, vec![H256::zero(); peaks]).encode();
		assert!(MountainRange::decode(&mut &bytes[..]).is_err());
	}
	let bytes = (u32::MAX, vec![H256::zero(); 33]).encode();
	assert!(MountainRange::decode(&mut &bytes[..]).is_err());
}

/// A datanet of contributions with these numbers of records; every third index was rejected.
struct Datanet {
	/// Record leaves of each accepted contribution.
	records: Vec<Vec<H256>>,
	indices: Vec<u32>,
	range: RangeBuilder,
}

impl Datanet {
	fn new(sizes: &[u32]) -> Self {
		let mut indices = Vec::new();
		let mut records = Vec::new();
		let mut range = RangeBuilder::default();
		for (place, size) in sizes.iter().enumerate() {
			let index = place as u32 + place as u32 / 2;
			let leaves: Vec<H256> = (0..*size)
				.map(|at| record_leaf(&[place as u8; 32], format!("record {at}").as_bytes()))
				.collect();
			let root = Tree::new(&leaves).unwrap().root();
			range.push(contribution_leaf(index, root, *size)).unwrap();
			indices.push(index);
			records.push(leaves);
		}
		Self { records, indices, range }
	}

	fn prove(&self, place: usize, record: u32, version: u32) -> RecordProof {
		RecordProof {
			contribution: self.indices[place],
			record: Tree::new(&self.records[place]).unwrap().prove(record).unwrap(),
			range: self.range.prove(place as u32, version).unwrap(),
		}
	}
}

#[test]
fn record_proof_should_say_what_is_wrong() {
	let datanet = Datanet::new(&[3, 1, 8, 2, 5]);
	let root = datanet.range.root_at(5).unwrap();
	let leaf = datanet.records[2][6];
	let proof = datanet.prove(2, 6, 5);
	assert_eq!(proof.verify(root, leaf), Ok(()));

	let other_root = Err(RecordProofFault::OtherRoot);
	assert_eq!(proof.verify(H256::zero(), leaf), other_root);
	assert_eq!(proof.verify(root, datanet.records[2][5]), other_root);
	// Another version's root, and the same records in another contribution.
	assert_eq!(proof.verify(datanet.range.root_at(4).unwrap(), leaf), other_root);
	assert_eq!(RecordProof { contribution: 2, ..proof.clone() }.verify(root, leaf), other_root);

	let mut longer = proof.clone();
	longer.record.siblings.try_push(H256::zero()).unwrap();
	assert_eq!(longer.verify(root, leaf), Err(RecordProofFault::MalformedRecordPath));
	let mut outside = proof.clone();
	outside.record.leaf_index = 8;
	assert_eq!(outside.verify(root, leaf), Err(RecordProofFault::MalformedRecordPath));
	let mut longer = proof.clone();
	longer.range.peaks.try_push(H256::zero()).unwrap();
	assert_eq!(longer.verify(root, leaf), Err(RecordProofFault::MalformedRangePath));
	let mut outside = proof.clone();
	outside.range.leaf_index = 5;
	assert_eq!(outside.verify(root, leaf), Err(RecordProofFault::MalformedRangePath));

	// A contribution's root or leaf does not pass as a record.
	let tree = Tree::new(&datanet.records[2]).unwrap();
	for forged in [tree.root(), contribution_leaf(3, tree.root(), 8)] {
		assert!(proof.verify(root, forged).is_err());
	}
}

#[test]
fn contribution_leaf_should_bind_index_root_and_records() {
	let leaf = contribution_leaf(1, H256::repeat_byte(1), 2);
	assert_ne!(leaf, contribution_leaf(2, H256::repeat_byte(1), 1));
	assert_ne!(leaf, contribution_leaf(1, H256::repeat_byte(2), 2));
	assert_ne!(leaf, contribution_leaf(1, H256::repeat_byte(1), 3));
}

proptest! {
	#![proptest_config(ProptestConfig::with_cases(48))]

	#[test]
	fn every_record_should_be_provable_in_its_own_and_all_later_versions(
		sizes in vec(1u32..=9, 1..=12),
	) {
		let datanet = Datanet::new(&sizes);
		for (place, size) in sizes.iter().enumerate() {
			for record in 0..*size {
				let leaf = datanet.records[place][record as usize];
				for version in place as u32 + 1..=sizes.len() as u32 {
					let proof = datanet.prove(place, record, version);
					let root = datanet.range.root_at(version).unwrap();
					prop_assert_eq!(proof.verify(root, leaf), Ok(()));
					prop_assert_eq!(RecordProof::decode(&mut &proof.encode()[..]), Ok(proof));
				}
				prop_assert!(datanet.range.prove(place as u32, place as u32).is_none());
			}
		}
	}

	#[test]
	fn hostile_proofs_should_be_refused_without_panic(
		leaf_index: u32,
		leaf_count: u32,
		siblings in vec(any::<[u8; 32]>(), 0..=31),
		peaks in vec(any::<[u8; 32]>(), 0..=31),
		bytes in vec(any::<u8>(), 0..300),
	) {
		let list = |hashes: Vec<[u8; 32]>| {
			BoundedVec::try_from(hashes.into_iter().map(H256).collect::<Vec<_>>()).unwrap()
		};
		let proof =
			RangeProof { leaf_index, leaf_count, siblings: list(siblings), peaks: list(peaks) };
		prop_assert!(!proof.verify(range_root(&leaves(70)), H256::zero()));
		if let Ok(proof) = RecordProof::decode(&mut &bytes[..]) {
			prop_assert!(proof.verify(H256::zero(), H256::zero()).is_err());
		}
		if let Ok(mut range) = MountainRange::decode(&mut &bytes[..]) {
			let leaves = range.leaves();
			prop_assert_eq!(range.push(H256::zero()).is_ok(), leaves != u32::MAX);
		}
	}
}
