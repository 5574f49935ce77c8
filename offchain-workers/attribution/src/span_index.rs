//! The index: the words of all records, and whose they are.

use crate::{
	commitment,
	dictionary::{Dictionary, Interner, END},
	suffix_array::SuffixArray,
	IndexError,
};
use openledger_primitives::{
	contribution::{ContributionContent, SaltedRecord},
	merkle, record, words, ContributionId, H256,
};
use std::collections::BTreeSet;

/// The most words and passages that one index holds: 2^28, at 8 bytes each 2 GiB of memory beside
/// the records. Suffixes are sorted in 32 bits.
pub const MAX_POSITIONS: usize = 1 << 28;

/// Bytes of a leaf in a contribution's tree: its node, and together with the other leaves as many above.
const TREE_BYTES_PER_LEAF: usize = 2 * size_of::<H256>();

/// A contribution to be indexed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IndexedContribution {
	/// Its id.
	pub id: ContributionId,
	/// The block it was made in.
	pub contributed_at: u64,
	/// Its records and their salts.
	pub content: ContributionContent,
}

/// A contribution that is in the index.
#[derive(Debug)]
pub(crate) struct Indexed {
	pub(crate) id: ContributionId,
	pub(crate) contributed_at: u64,
	pub(crate) content: ContributionContent,
	pub(crate) tree: merkle::Tree,
}

impl Indexed {
	/// Bytes of memory.
	fn bytes(&self) -> usize {
		let records = &self.content.records;
		let canonical: usize = records.iter().map(|record| record.canonical.capacity()).sum();
		let salted = records.capacity() * size_of::<SaltedRecord>();
		size_of::<Self>() + canonical + salted + records.len() * TREE_BYTES_PER_LEAF
	}
}

/// A record that is in the index.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IndexedRecord {
	/// Its contribution's place in [`SpanIndex::contributions`].
	pub(crate) contribution: u32,
	/// Its number in the contribution.
	pub(crate) number: u32,
	/// Its first position in the text.
	pub(crate) first: u32,
}

/// Where in the records words were found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Occurrence {
	/// The contribution.
	pub contribution: ContributionId,
	/// The record's number in the contribution.
	pub record: u32,
	/// The first of the words, counted in the record.
	pub record_start: u32,
}

/// The words of all records of a model, sorted so that any run of them is found at once. See the
/// [crate]'s page.
#[derive(Debug)]
pub struct SpanIndex {
	pub(crate) dictionary: Dictionary,
	pub(crate) suffixes: SuffixArray,
	/// In the order of ownership, and so are their words in the text: of several occurrences, the
	/// one at the earliest position is the owner's.
	contributions: Vec<Indexed>,
	/// In the order of their first positions.
	records: Vec<IndexedRecord>,
	/// The positions at which passages end.
	ends: Vec<u32>,
	root: H256,
}

impl SpanIndex {
	/// Indexes contributions, given in any order.
	///
	/// # Errors
	///
	/// [`IndexError`] names the contribution and record that cannot be indexed.
	pub fn build(contributions: Vec<IndexedContribution>) -> Result<Self, IndexError> {
		let contributions = in_order_of_ownership(contributions)?;
		let mut interner = Interner::default();
		let (mut text, mut ends, mut records) = (Vec::new(), Vec::new(), Vec::new());
		for (place, contribution) in contributions.iter().enumerate() {
			for (number, salted) in contribution.content.records.iter().enumerate() {
				let record = record::read(&salted.canonical).map_err(|fault| {
					let contribution = contribution.id;
					IndexError::UnreadableRecord { contribution, record: number, fault }
				})?;
				records.push(IndexedRecord {
					contribution: position(place)?,
					number: position(number)?,
					first: position(text.len())?,
				});
				for passage in words::passages(&record) {
					for word in words::words(passage) {
						text.push(interner.number_of(word.text)?);
					}
					ends.push(position(text.len())?);
					text.push(END);
				}
			}
		}
		position(text.len())?;
		text.shrink_to_fit();
		let dictionary = interner.finish(&mut text);
		let suffixes = SuffixArray::new(text)?;
		let root = commitment::root(&contributions, &records, &suffixes);
		Ok(Self { dictionary, suffixes, contributions, records, ends, root })
	}

	/// The root that commits to the records, their order and that of the suffixes
	/// (`docs/spec/span-index.md`).
	pub fn root(&self) -> H256 {
		self.root
	}

	/// How many words the records have.
	pub fn word_count(&self) -> usize {
		self.suffixes.sorted().len()
	}

	/// How many distinct words the records have.
	pub fn distinct_word_count(&self) -> usize {
		self.dictionary.len()
	}

	/// How many records there are.
	pub fn record_count(&self) -> usize {
		self.records.len()
	}

	/// Bytes of memory that the index takes beside the records, their salts and their trees.
	pub fn index_bytes(&self) -> usize {
		let records = self.records.capacity() * size_of::<IndexedRecord>();
		let ends = self.ends.capacity() * size_of::<u32>();
		self.dictionary.bytes() + self.suffixes.bytes() + records + ends
	}

	/// Bytes of memory that the index takes with the records, their salts and their trees.
	pub fn held_bytes(&self) -> usize {
		let contributions = self.contributions.iter().map(Indexed::bytes);
		size_of::<Self>() + self.index_bytes() + contributions.sum::<usize>()
	}

	/// The occurrence at a position, its record, and the proof that the record is its contribution's.
	pub(crate) fn locate(&self, position: u32) -> Option<Located<'_>> {
		let after = self.records.partition_point(|record| record.first <= position);
		let record = self.records.get(after.checked_sub(1)?)?;
		let contribution = self.contributions.get(record.contribution as usize)?;
		let words_before = |position: u32| {
			let ends = self.ends.partition_point(|end| *end < position);
			// The ends before a position are among the positions before it.
			position - ends as u32
		};
		Some(Located {
			occurrence: Occurrence {
				contribution: contribution.id,
				record: record.number,
				record_start: words_before(position) - words_before(record.first),
			},
			record: contribution.content.records.get(record.number as usize)?,
			tree: &contribution.tree,
		})
	}
}

/// What stands at a position.
pub(crate) struct Located<'i> {
	pub(crate) occurrence: Occurrence,
	pub(crate) record: &'i SaltedRecord,
	pub(crate) tree: &'i merkle::Tree,
}

/// Of two contributions that have the same words, the earlier one owns them; of two that were made
/// in the same block, the one with the smaller id.
fn in_order_of_ownership(
	mut contributions: Vec<IndexedContribution>,
) -> Result<Vec<Indexed>, IndexError> {
	contributions.sort_by_key(|contribution| (contribution.contributed_at, contribution.id));
	let mut seen = BTreeSet::new();
	let indexed = contributions.into_iter().map(|contribution| {
		let IndexedContribution { id, contributed_at, content } = contribution;
		if !seen.insert(id) {
			return Err(IndexError::DuplicateContribution(id));
		}
		let tree = content.tree().ok_or(IndexError::EmptyContribution(id))?;
		Ok(Indexed { id, contributed_at, content, tree })
	});
	indexed.collect()
}

fn position(number: usize) -> Result<u32, IndexError> {
	if number > MAX_POSITIONS {
		return Err(IndexError::TooManyWords);
	}
	u32::try_from(number).map_err(|_| IndexError::TooManyWords)
}
