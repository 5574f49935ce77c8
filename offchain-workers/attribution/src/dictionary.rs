//! Words as numbers, in the order of their bytes.

use crate::IndexError;
use std::collections::HashMap;

/// Stands in a text where a passage ends, and in an answer for a word that no record has. Less than
/// the number of every word.
pub(crate) const END: u32 = 0;

/// The distinct words of all records, sorted by their UTF-8 bytes; the word at place `i` has number
/// `i + 1`.
#[derive(Debug)]
pub(crate) struct Dictionary(Vec<Box<str>>);

impl Dictionary {
	/// The word's number, or [`END`] when no record has it.
	pub(crate) fn number_of(&self, word: &str) -> u32 {
		let place = self.0.binary_search_by(|known| known.as_ref().cmp(word));
		// There are fewer words than positions, whose numbers fit.
		place.ok().and_then(|place| u32::try_from(place + 1).ok()).unwrap_or(END)
	}

	/// How many words there are.
	pub(crate) fn len(&self) -> usize {
		self.0.len()
	}

	/// Bytes of memory.
	pub(crate) fn bytes(&self) -> usize {
		let text: usize = self.0.iter().map(|word| word.len()).sum();
		text + self.0.capacity() * size_of::<Box<str>>()
	}
}

/// Numbers words in the order in which they come, until all are known and can be sorted.
#[derive(Default)]
pub(crate) struct Interner(HashMap<String, u32>);

impl Interner {
	/// The word's preliminary number, counted from 1.
	pub(crate) fn number_of(&mut self, word: String) -> Result<u32, IndexError> {
		let next = u32::try_from(self.0.len() + 1).map_err(|_| IndexError::TooManyWords)?;
		Ok(*self.0.entry(word).or_insert(next))
	}

	/// The dictionary, with every preliminary number in `text` replaced by the final one.
	pub(crate) fn finish(self, text: &mut [u32]) -> Dictionary {
		let mut sorted: Vec<(String, u32)> = self.0.into_iter().collect();
		sorted.sort_unstable();
		let mut finals = vec![END; sorted.len() + 1];
		for ((_, preliminary), number) in sorted.iter().zip(1..) {
			finals[*preliminary as usize] = number;
		}
		for number in text {
			*number = finals[*number as usize];
		}
		Dictionary(sorted.into_iter().map(|(word, _)| word.into_boxed_str()).collect())
	}
}
