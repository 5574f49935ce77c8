//! Merkle trees: everything that stands in a tree can be shown, and nothing else.

use crate::leaves;
use codec::{Decode, Encode};
use openledger_primitives::{
	hashing::hash,
	merkle::{root, MultiProof, Proof, Tree, MAX_MULTI_LEAVES, MAX_MULTI_SIBLINGS},
	BoundedVec, H256,
};
use proptest::{collection::vec, prelude::*};

const SIZES: u32 = 70;

fn swapped(proof: &Proof, a: usize, b: usize) -> Proof {
	let mut siblings = proof.siblings.to_vec();
	siblings.swap(a, b);
	Proof { siblings: BoundedVec::try_from(siblings).unwrap(), ..proof.clone() }
}

#[test]
fn root_should_not_exist_when_there_are_no_leaves() {
	assert_eq!(root(&[]), None);
	assert_eq!(Tree::new(&[]), None);
}

#[test]
fn root_should_follow_the_definition() {
	let leaf = |index: u64| hash("openledger/merkle-leaf", &[&H256::from_low_u64_be(index).0]);
	let node = |left: H256, right: H256| hash("openledger/merkle-node", &[&left.0, &right.0]);
	let top = node(node(node(leaf(1), leaf(2)), node(leaf(3), leaf(4))), leaf(5));
	let expected = hash("openledger/merkle-root", &[&[5, 0, 0, 0], &top.0]);
	assert_eq!(root(&leaves(5)), Some(expected));
}

#[test]
fn proof_should_verify_for_every_leaf_of_every_size() {
	for size in 1..=SIZES {
		let leaves = leaves(size);
		let tree = Tree::new(&leaves).unwrap();
		assert_eq!(root(&leaves), Some(tree.root()));
		assert_eq!(tree.leaf_count(), size);
		assert_eq!(tree.prove(size), None);
		for index in 0..size {
			let proof = tree.prove(index).unwrap();
			assert!(proof.verify(tree.root(), leaves[index as usize]));
			assert!(proof.siblings.len() <= size.next_power_of_two().ilog2() as usize);
		}
	}
}

#[test]
fn proof_should_fail_for_every_other_leaf_index_and_size() {
	for size in 1..=SIZES {
		let leaves = leaves(size);
		let tree = Tree::new(&leaves).unwrap();
		for index in 0..size {
			let leaf = leaves[index as usize];
			let proof = tree.prove(index).unwrap();
			for other in (0..size).filter(|other| *other != index) {
				assert!(!proof.verify(tree.root(), leaves[other as usize]));
				assert!(!Proof { leaf_index: other, ..proof.clone() }.verify(tree.root(), leaf));
			}
			for leaf_count in (0..=SIZES + 2).filter(|other| *other != size) {
				assert!(!Proof { leaf_count, ..proof.clone() }.verify(tree.root(), leaf));
			}
		}
	}
}

#[test]
fn proof_should_fail_when_siblings_are_changed() {
	for size in 1..=SIZES {
		let leaves = leaves(size);
		let tree = Tree::new(&leaves).unwrap();
		for index in 0..size {
			let leaf = leaves[index as usize];
			let proof = tree.prove(index).unwrap();
			let mut longer = proof.clone();
			longer.siblings.try_push(H256::zero()).unwrap();
			assert_eq!(longer.root(leaf), None);
			if !proof.siblings.is_empty() {
				let mut shorter = proof.clone();
				shorter.siblings.pop();
				assert_eq!(shorter.root(leaf), None);
				let mut headless = proof.clone();
				headless.siblings.remove(0);
				assert_eq!(headless.root(leaf), None);
			}
			for at in 1..proof.siblings.len() {
				assert!(!swapped(&proof, at - 1, at).verify(tree.root(), leaf));
			}
			for at in 0..proof.siblings.len() {
				let mut siblings = proof.siblings.to_vec();
				siblings[at].0[31] ^= 1;
				let siblings = BoundedVec::try_from(siblings).unwrap();
				assert!(!Proof { siblings, ..proof.clone() }.verify(tree.root(), leaf));
			}
		}
	}
}

#[test]
fn inner_node_should_not_pass_as_leaf() {
	let leaf = |value: &H256| hash("openledger/merkle-leaf", &[&value.0]);
	let leaves = leaves(4);
	let tree = Tree::new(&leaves).unwrap();
	let pair =
		|a: usize| hash("openledger/merkle-node", &[&leaf(&leaves[a]).0, &leaf(&leaves[a + 1]).0]);
	let siblings = BoundedVec::try_from(vec![pair(2)]).unwrap();
	for leaf_count in 1..=8 {
		for leaf_index in 0..leaf_count {
			let proof = Proof { leaf_index, leaf_count, siblings: siblings.clone() };
			assert!(!proof.verify(tree.root(), pair(0)));
		}
	}
	// Nor do two inner nodes pass as a tree of their own.
	assert_ne!(root(&[pair(0), pair(2)]), Some(tree.root()));
}

#[test]
fn odd_last_leaf_should_not_count_twice() {
	for size in 1..=SIZES {
		let mut twice = leaves(size);
		twice.push(*twice.last().unwrap());
		assert_ne!(root(&leaves(size)), root(&twice));
	}
}

#[test]
fn roots_of_all_sizes_should_differ() {
	let mut roots: Vec<_> = (1..=SIZES).map(|size| root(&leaves(size)).unwrap()).collect();
	roots.push(root(&[H256::zero()]).unwrap());
	roots.push(root(&[H256::zero(); 2]).unwrap());
	roots.push(root(&[H256::zero(); 3]).unwrap());
	let count = roots.len();
	roots.sort();
	roots.dedup();
	assert_eq!(roots.len(), count);
}

#[test]
fn proof_should_be_bounded_when_tree_is_the_largest() {
	// A path in a tree of 2^32 - 1 leaves; the last leaf goes up alone until the top row.
	let full = BoundedVec::try_from(vec![H256::zero(); 32]).unwrap();
	let first = Proof { leaf_index: 0, leaf_count: u32::MAX, siblings: full.clone() };
	assert!(first.root(H256::zero()).is_some());
	let last = Proof { leaf_index: u32::MAX - 1, leaf_count: u32::MAX, siblings: full.clone() };
	assert_eq!(last.root(H256::zero()), None);
	let outside = Proof { leaf_index: u32::MAX, leaf_count: u32::MAX, siblings: full };
	assert_eq!(outside.root(H256::zero()), None);
}

#[test]
fn multi_proof_should_fit_when_leaves_are_spread_over_the_largest_tree() {
	// As far apart as 64 leaves can be in 2^32 - 1: they need every sibling there is room for.
	let spread: Vec<u32> = (0..MAX_MULTI_LEAVES).map(|at| at << 26).collect();
	let siblings = vec![H256::zero(); MAX_MULTI_SIBLINGS as usize];
	let proof = MultiProof {
		leaf_count: u32::MAX,
		leaf_indices: BoundedVec::try_from(spread).unwrap(),
		siblings: BoundedVec::try_from(siblings).unwrap(),
	};
	let leaves = leaves(MAX_MULTI_LEAVES);
	assert!(proof.root(&leaves).is_some());
	let mut short = proof.clone();
	short.siblings.pop();
	assert_eq!(short.root(&leaves), None);
}

#[test]
fn multi_proof_should_be_refused_when_malformed() {
	let all = leaves(10);
	let tree = Tree::new(&all).unwrap();
	assert_eq!(tree.prove_many(&[]), None);
	assert_eq!(tree.prove_many(&[3, 3]), None);
	assert_eq!(tree.prove_many(&[4, 3]), None);
	assert_eq!(tree.prove_many(&[3, 10]), None);
	let many = Tree::new(&leaves(65)).unwrap();
	assert_eq!(many.prove_many(&(0..65).collect::<Vec<_>>()), None);
	assert!(many.prove_many(&(0..64).collect::<Vec<_>>()).is_some());

	let proof = tree.prove_many(&[2, 3, 9]).unwrap();
	let shown = [all[2], all[3], all[9]];
	assert!(proof.verify(tree.root(), &shown));
	assert_eq!(proof.root(&shown[..2]), None);
	assert_eq!(proof.root(&[all[2], all[3], all[9], all[9]]), None);
	assert!(!proof.verify(tree.root(), &[all[3], all[2], all[9]]));
	for indices in [vec![], vec![3, 2, 9], vec![2, 2, 9], vec![2, 3, 10]] {
		let leaf_indices = BoundedVec::try_from(indices).unwrap();
		let shown = &shown[..leaf_indices.len()];
		assert_eq!(MultiProof { leaf_indices, ..proof.clone() }.root(shown), None);
	}
	let mut longer = proof.clone();
	longer.siblings.try_push(H256::zero()).unwrap();
	assert_eq!(longer.root(&shown), None);
	let mut shorter = proof.clone();
	shorter.siblings.pop();
	assert_eq!(shorter.root(&shown), None);
	for leaf_count in (0..=SIZES).filter(|count| *count != 10) {
		assert!(!MultiProof { leaf_count, ..proof.clone() }.verify(tree.root(), &shown));
	}
}

#[test]
fn multi_proof_of_one_leaf_should_be_its_proof() {
	for size in 1..=SIZES {
		let tree = Tree::new(&leaves(size)).unwrap();
		for index in 0..size {
			let single = tree.prove(index).unwrap();
			let multi = tree.prove_many(&[index]).unwrap();
			assert_eq!(single.siblings.to_vec(), multi.siblings.to_vec());
		}
	}
}

proptest! {
	#[test]
	fn multi_proof_should_agree_with_single_proofs(
		size in 1u32..=200,
		picks in vec(any::<u32>(), 1..=64),
		wrong in any::<usize>(),
	) {
		let all = leaves(size);
		let tree = Tree::new(&all).unwrap();
		let mut indices: Vec<u32> = picks.into_iter().map(|pick| pick % size).collect();
		indices.sort_unstable();
		indices.dedup();
		let proof = tree.prove_many(&indices).unwrap();
		let shown: Vec<H256> = indices.iter().map(|index| all[*index as usize]).collect();
		prop_assert!(proof.verify(tree.root(), &shown));
		let singles: usize =
			indices.iter().map(|index| tree.prove(*index).unwrap().siblings.len()).sum();
		prop_assert!(proof.siblings.len() <= singles);
		for (index, leaf) in indices.iter().zip(&shown) {
			prop_assert!(tree.prove(*index).unwrap().verify(tree.root(), *leaf));
		}
		// One leaf changed: neither way verifies.
		let at = wrong % shown.len();
		let mut forged = shown.clone();
		forged[at] = H256::repeat_byte(0xff);
		prop_assert!(!proof.verify(tree.root(), &forged));
		// One sibling changed.
		if !proof.siblings.is_empty() {
			let mut siblings = proof.siblings.to_vec();
			let at = wrong % siblings.len();
			siblings[at].0[0] ^= 1;
			let forged =
				MultiProof { siblings: BoundedVec::try_from(siblings).unwrap(), ..proof.clone() };
			prop_assert!(!forged.verify(tree.root(), &shown));
		}
		prop_assert_eq!(MultiProof::decode(&mut &proof.encode()[..]), Ok(proof));
	}

	#[test]
	fn hostile_proofs_should_be_refused_without_panic(
		leaf_index: u32,
		leaf_count: u32,
		siblings in vec(any::<[u8; 32]>(), 0..=32),
		indices in vec(any::<u32>(), 0..=64),
		shown in 0u32..=64,
	) {
		let siblings: Vec<H256> = siblings.into_iter().map(H256).collect();
		let genuine = Tree::new(&leaves(70)).unwrap().root();
		let single = Proof {
			leaf_index,
			leaf_count,
			siblings: BoundedVec::try_from(siblings.clone()).unwrap(),
		};
		prop_assert!(!single.verify(genuine, H256::zero()));
		let multi = MultiProof {
			leaf_count,
			leaf_indices: BoundedVec::try_from(indices).unwrap(),
			siblings: BoundedVec::try_from(siblings).unwrap(),
		};
		prop_assert!(!multi.verify(genuine, &leaves(shown)));
	}

	#[test]
	fn decoding_should_not_panic(bytes in vec(any::<u8>(), 0..200)) {
		if let Ok(proof) = Proof::decode(&mut &bytes[..]) {
			proof.root(H256::zero());
		}
		if let Ok(proof) = MultiProof::decode(&mut &bytes[..]) {
			proof.root(&leaves(proof.leaf_indices.len() as u32));
		}
	}
}
