//! A suffix array over words, and what can be asked of it.
//!
//! Suffixes reach to the end of their passage. They are sorted by their words; of two with the same
//! words, the one at the earlier position comes first.

use crate::{dictionary::END, IndexError};
use libsais::SuffixArrayConstruction;
use std::{cmp::Reverse, collections::BinaryHeap, ops::Range};

/// How many entries of one level of [`SuffixArray::earliest`] have one entry in the next.
const FAN: usize = 64;

/// A text in words, and its suffixes in order.
#[derive(Debug)]
pub(crate) struct SuffixArray {
	/// The numbers of the words, each passage followed by [`END`].
	text: Vec<u32>,
	/// The positions of the words in the text, in the order of the suffixes that begin there. The
	/// place of a suffix in this list is its rank.
	sorted: Vec<u32>,
	/// For each [`FAN`] ranks the one with the earliest position, then for each `FAN` of these, and
	/// so on until there are at most `FAN`.
	earliest: Vec<Vec<u32>>,
}

impl SuffixArray {
	/// Sorts the suffixes of a text, by induced sorting (SA-IS) in linear time.
	pub(crate) fn new(text: Vec<u32>) -> Result<Self, IndexError> {
		let sorted = sort(&text)?;
		let mut earliest: Vec<Vec<u32>> = Vec::new();
		let ranks: Vec<u32> = (0..sorted.len() as u32).collect();
		let mut below = &ranks;
		while below.len() > FAN {
			let first = |ranks: &[u32]| ranks.iter().copied().min_by_key(|r| sorted[*r as usize]);
			let level = below.chunks(FAN).filter_map(first).collect();
			earliest.push(level);
			below = earliest.last().unwrap_or(&ranks);
		}
		Ok(Self { text, sorted, earliest })
	}

	/// The words and the ends of passages.
	pub(crate) fn text(&self) -> &[u32] {
		&self.text
	}

	/// The positions in the order of their suffixes.
	pub(crate) fn sorted(&self) -> &[u32] {
		&self.sorted
	}

	/// Bytes of memory.
	pub(crate) fn bytes(&self) -> usize {
		let numbers = self.text.capacity() + self.sorted.capacity();
		let levels: usize = self.earliest.iter().map(Vec::capacity).sum();
		(numbers + levels) * size_of::<u32>()
	}

	/// How many of the first words of `pattern` stand somewhere in one passage, at most.
	///
	/// A binary search for the pattern's place among the suffixes; of all suffixes, one of the two
	/// neighbours of that place has the most words in common with it. What both ends of the interval
	/// have in common with the pattern, all suffixes in between have too and need not be compared
	/// (Manber and Myers).
	pub(crate) fn longest_match(&self, pattern: &[u32]) -> usize {
		let (mut low, mut high) = (0, self.sorted.len());
		let (mut common_below, mut common_above) = (0, 0);
		while low < high {
			let middle = low + (high - low) / 2;
			let suffix = &self.text[self.sorted[middle] as usize..];
			let known = common_below.min(common_above);
			let pairs = pattern[known..].iter().zip(&suffix[known..]);
			let common = known + pairs.take_while(|(ours, theirs)| ours == theirs).count();
			match pattern.get(common) {
				Some(word) if *word > suffix[common] => {
					low = middle + 1;
					common_below = common;
				},
				_ => {
					high = middle;
					common_above = common;
				},
			}
		}
		common_below.max(common_above)
	}

	/// The ranks of the suffixes that begin with `pattern`.
	pub(crate) fn ranks_of(&self, pattern: &[u32]) -> Range<usize> {
		let beginning = |position: &u32| {
			let suffix = &self.text[*position as usize..];
			&suffix[..pattern.len().min(suffix.len())]
		};
		let start = self.sorted.partition_point(|position| beginning(position) < pattern);
		let matching =
			self.sorted[start..].partition_point(|position| beginning(position) <= pattern);
		start..start + matching
	}

	/// The earliest positions of the suffixes with these ranks, ascending, at most `limit`; found
	/// without looking at the others.
	pub(crate) fn earliest(&self, ranks: Range<usize>, limit: usize) -> Vec<u32> {
		// Ranks of another index can be beyond these.
		let end = ranks.end.min(self.sorted.len());
		let ranks = ranks.start.min(end)..end;
		let mut positions = Vec::new();
		let mut intervals = BinaryHeap::new();
		let add = |intervals: &mut BinaryHeap<_>, ranks: Range<usize>| {
			let first = self.earliest_rank(ranks.clone());
			intervals.extend(
				first.map(|rank| Reverse((self.sorted[rank], rank, ranks.start, ranks.end))),
			);
		};
		add(&mut intervals, ranks);
		while positions.len() < limit {
			let Some(Reverse((position, rank, start, end))) = intervals.pop() else {
				break;
			};
			positions.push(position);
			add(&mut intervals, start..rank);
			add(&mut intervals, rank + 1..end);
		}
		positions
	}

	/// Of these ranks the one whose suffix has the earliest position.
	fn earliest_rank(&self, ranks: Range<usize>) -> Option<usize> {
		let position = |rank: &usize| self.sorted[*rank];
		let Range { mut start, mut end } = ranks;
		let mut best: Option<usize> = None;
		for level in 0..=self.earliest.len() {
			let entry = |index: usize| match level {
				0 => index,
				_ => self.earliest[level - 1][index] as usize,
			};
			let whole = start.div_ceil(FAN)..end / FAN;
			let is_last = level == self.earliest.len() || whole.is_empty();
			let above = if is_last { end..end } else { whole.start * FAN..whole.end * FAN };
			let here = (start..above.start).chain(above.end..end).map(entry);
			best = best.into_iter().chain(here).min_by_key(position);
			if is_last {
				break;
			}
			(start, end) = (whole.start, whole.end);
		}
		best
	}
}

/// The positions of all words in the order of their suffixes.
fn sort(text: &[u32]) -> Result<Vec<u32>, IndexError> {
	if text.is_empty() {
		return Ok(Vec::new());
	}
	// Every end of a passage is a symbol of its own, the earlier the smaller, and smaller than any
	// word: so no comparison goes on in the next passage. The symbols are less than twice
	// MAX_POSITIONS, which fits.
	let ends = text.iter().filter(|number| **number == END).count();
	let mut ends_before = 0;
	let mut symbols: Vec<i32> = Vec::with_capacity(text.len());
	for number in text {
		if *number == END {
			symbols.push(ends_before);
			ends_before += 1;
		} else {
			symbols.push((ends + *number as usize - 1) as i32);
		}
	}
	let sorted = SuffixArrayConstruction::for_text_mut(&mut symbols)
		.in_owned_buffer32()
		.single_threaded()
		.run()
		.map_err(|_| IndexError::OutOfMemory { words: text.len() })?
		.into_vec();
	// The suffixes that begin with the end of a passage come first and say nothing.
	Ok(sorted.into_iter().skip(ends).map(|position| position as u32).collect())
}

#[cfg(test)]
mod tests {
	use super::*;
	use proptest::prelude::*;

	/// Passages over few words, so that suffixes repeat.
	fn texts() -> impl Strategy<Value = Vec<u32>> {
		let passage = prop::collection::vec(1..4u32, 0..30);
		prop::collection::vec(passage, 0..12).prop_map(|passages| {
			passages.into_iter().flat_map(|words| words.into_iter().chain([END])).collect()
		})
	}

	fn suffix(text: &[u32], position: u32) -> &[u32] {
		let rest = &text[position as usize..];
		&rest[..rest.iter().position(|number| *number == END).unwrap()]
	}

	proptest! {
		#[test]
		fn suffixes_should_be_sorted_by_words_then_position(text in texts()) {
			let array = SuffixArray::new(text.clone()).unwrap();
			let words = (0..text.len() as u32).filter(|position| text[*position as usize] != END);
			let mut expected: Vec<u32> = words.collect();
			expected.sort_by_key(|position| (suffix(&text, *position).to_vec(), *position));
			prop_assert_eq!(array.sorted(), expected);
		}

		#[test]
		fn longest_match_and_ranks_should_be_those_of_a_scan(
			text in texts(),
			pattern in prop::collection::vec(1..5u32, 1..12),
		) {
			let array = SuffixArray::new(text.clone()).unwrap();
			let common = |position: &u32| {
				let pairs = suffix(&text, *position).iter().zip(&pattern);
				pairs.take_while(|(theirs, ours)| theirs == ours).count()
			};
			let longest = array.sorted().iter().map(common).max().unwrap_or(0);
			prop_assert_eq!(array.longest_match(&pattern), longest);
			for length in 1..=pattern.len() {
				let ranks = array.ranks_of(&pattern[..length]);
				let found = array.sorted()[ranks.clone()].iter().all(|p| common(p) >= length);
				prop_assert!(found);
				let all = array.sorted().iter().filter(|p| common(p) >= length).count();
				prop_assert_eq!(ranks.len(), all);
			}
		}

		#[test]
		fn earliest_should_be_the_smallest_positions(
			length in 0..20_000usize,
			(start, end) in (0.0..1.0f64, 0.0..1.0f64),
			limit in 0..20usize,
		) {
			// Words that differ, so that the order of the suffixes is not that of the positions.
			let text: Vec<u32> = (0..length as u64)
				.map(|n| 1 + (n * 2_654_435_761 % 1_009) as u32)
				.chain([END])
				.collect();
			let array = SuffixArray::new(text).unwrap();
			let place = |part: f64| (part * length as f64) as usize;
			let ranks = place(start)..place(end).max(place(start));
			let mut expected = array.sorted()[ranks.clone()].to_vec();
			expected.sort_unstable();
			expected.truncate(limit);
			prop_assert_eq!(array.earliest(ranks, limit), expected);
		}
	}
}
