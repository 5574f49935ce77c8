//! A contribution's blob and the commitments that it must agree with.

use codec::{Decode, Encode};
use openledger_primitives::{
	contribution::{ContributionContent, SaltedRecord},
	merkle,
	record::{canonical_text, record_leaf, salts_root, RecordFault},
};

fn content(texts: &[&str]) -> ContributionContent {
	let record = |(text, salt): (&&str, u8)| SaltedRecord {
		salt: [salt; 32],
		canonical: canonical_text(text).unwrap().into_bytes(),
	};
	ContributionContent { records: texts.iter().zip(1..).map(record).collect() }
}

#[test]
fn commitment_should_be_that_of_the_leaves_and_salts() {
	let content = content(&["one", "two words", "three"]);
	let leaves: Vec<_> =
		content.records.iter().map(|record| record_leaf(&record.salt, &record.canonical)).collect();
	let commitment = content.commitment().unwrap();
	assert_eq!(Some(commitment.root), merkle::root(&leaves));
	assert_eq!(Some(commitment.salts), salts_root(&[[1; 32], [2; 32], [3; 32]]));
	assert_eq!((commitment.records, commitment.bytes), (3, 3 + 9 + 5));
	let tree = content.tree().unwrap();
	for (leaf, index) in leaves.iter().zip(0..) {
		assert!(tree.prove(index).unwrap().verify(commitment.root, *leaf));
	}
	assert_eq!(ContributionContent::decode(&mut &content.encode()[..]), Ok(content));
}

#[test]
fn commitment_should_change_with_any_salt_record_or_order() {
	let original = content(&["one", "two"]);
	let mut salted = original.clone();
	salted.records[1].salt[31] ^= 1;
	let mut reworded = original.clone();
	reworded.records[0].canonical = b"One".to_vec();
	let mut swapped = original.clone();
	swapped.records.swap(0, 1);
	for other in [salted, reworded, swapped] {
		assert_ne!(other.commitment().unwrap().root, original.commitment().unwrap().root);
	}
	assert_eq!(ContributionContent::default().commitment(), None);
}

#[test]
fn first_fault_should_name_the_record_that_is_not_canonical() {
	let mut content = content(&["one", "two", "three"]);
	assert_eq!(content.first_fault(), None);
	content.records[1].canonical = b"two ".to_vec();
	content.records[2].canonical = vec![];
	assert_eq!(content.first_fault(), Some((1, RecordFault::NotCanonical)));
}
