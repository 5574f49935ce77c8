//! What can be indexed, and the root.

use crate::{contribution, fields, id, index_of, salted, text};
use openledger_attribution::{IndexError, IndexedContribution, SpanIndex};
use openledger_primitives::{record::RecordFault, H256};

fn sample() -> Vec<IndexedContribution> {
	vec![
		contribution(0, 5, vec![text("the first record"), text("the second one")]),
		contribution(1, 3, vec![fields(&[("q", "what is it"), ("a", "a record")])]),
		contribution(2, 5, vec![text("the last")]),
	]
}

fn root_of(contributions: Vec<IndexedContribution>) -> H256 {
	SpanIndex::build(contributions).unwrap().root()
}

#[test]
fn build_should_count_what_it_indexes() {
	let index = SpanIndex::build(sample()).unwrap();
	assert_eq!(index.record_count(), 4);
	assert_eq!(index.word_count(), 3 + 3 + 5 + 2);
	assert_eq!(index.distinct_word_count(), 10);
	assert!(index.index_bytes() > 8 * index.word_count());
}

#[test]
fn root_should_not_depend_on_the_order_of_input() {
	let mut contributions = sample();
	let root = root_of(contributions.clone());
	contributions.reverse();
	assert_eq!(root_of(contributions.clone()), root);
	contributions.swap(0, 1);
	assert_eq!(root_of(contributions), root);
}

#[test]
fn root_should_change_with_everything_it_commits_to() {
	let root = root_of(sample());
	let changes: [fn(&mut Vec<IndexedContribution>); 8] = [
		|all| all[0].contributed_at = 2,
		|all| all[0].contributed_at = 6,
		|all| all[2].id.index = 3,
		|all| all[2].id.datanet.0 = 1,
		|all| all[0].content.records[0].salt[31] ^= 1,
		|all| all[0].content.records[0] = text("the first records"),
		|all| all[0].content.records.swap(0, 1),
		|all| drop(all.pop()),
	];
	for (number, change) in changes.iter().enumerate() {
		let mut changed = sample();
		change(&mut changed);
		assert_ne!(root_of(changed), root, "change {number}");
	}
}

#[test]
fn build_should_refuse_a_contribution_without_records() {
	let empty = vec![contribution(4, 0, vec![])];
	assert_eq!(SpanIndex::build(empty).unwrap_err(), IndexError::EmptyContribution(id(0, 4)));
}

#[test]
fn build_should_refuse_a_contribution_that_is_given_twice() {
	let mut twice = sample();
	twice.push(contribution(1, 9, vec![text("another")]));
	assert_eq!(SpanIndex::build(twice).unwrap_err(), IndexError::DuplicateContribution(id(0, 1)));
}

#[test]
fn build_should_refuse_records_that_are_not_canonical() {
	for (bytes, fault) in [
		(&b""[..], RecordFault::Empty),
		(b"two  spaces", RecordFault::NotCanonical),
		(b"not \xff UTF-8", RecordFault::NotCanonical),
		(b"\0\xff\xff\xff\xff", RecordFault::TooManyFields),
	] {
		let bad = vec![contribution(0, 0, vec![text("good"), salted(bytes.to_vec())])];
		assert_eq!(
			SpanIndex::build(bad).unwrap_err(),
			IndexError::UnreadableRecord { contribution: id(0, 0), record: 1, fault }
		);
	}
}

#[test]
fn build_should_index_records_without_words() {
	let index = index_of(&["!", "…", "—"]);
	assert_eq!((index.record_count(), index.word_count()), (3, 0));
	assert!(index.matches("— … !").unwrap().is_empty());
	assert!(index.matches("four words of text").unwrap().is_empty());
	assert_ne!(index.root(), index_of(&["!", "…"]).root());
}

#[test]
fn build_should_index_nothing() {
	let index = SpanIndex::build(vec![]).unwrap();
	assert!(index.matches("nothing can match here at all").unwrap().is_empty());
	assert_eq!((index.record_count(), index.word_count()), (0, 0));
}
