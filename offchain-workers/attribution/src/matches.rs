//! The runs of words that an answer has in common with the records.

use crate::{dictionary::END, AttributionError, Occurrence, SpanIndex};
use openledger_primitives::{
	span::MIN_SPAN_WORDS,
	words::{self, Word},
};
use std::ops::Range;

/// The most words of an answer: more than SmolLM2 can write, whose context is 8,192
/// tokens, and few enough that an answer and records made to be slow take seconds (2.4 s were measured
/// when every word of such an answer begins a span of half its length).
pub const MAX_ANSWER_WORDS: usize = 1 << 15;

/// The most places that are listed of one span, as many as OLMoTrace shows.
pub const MAX_OCCURRENCES: usize = 10;

/// A span that occurs more often than this is common wording among the records (OLMoTrace drops such
/// spans). It is pointed out to readers and changes nobody's pay: what everybody says, the base
/// model says too, so that there is little gain on it; and if copies could make a span worthless,
/// copying a rival's records would take away the rival's pay.
pub const COMMON_COUNT: u32 = 10;

/// A run of words that stands in an answer and in at least one record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FoundSpan {
	/// Its words, counted in the answer.
	pub words: Range<u32>,
	/// Its bytes in the answer, from the first word to the last.
	pub bytes: Range<usize>,
	/// How often it occurs in the records, all repeats counted.
	pub count: u32,
	/// Its first occurrence in the order of ownership: block, contribution, record, word.
	pub owner: Occurrence,
	/// The position of that occurrence.
	pub(crate) first: u32,
	/// Where to find the others.
	ranks: Range<usize>,
}

impl FoundSpan {
	/// Whether it is common wording among the records.
	pub fn is_common(&self) -> bool {
		self.count > COMMON_COUNT
	}
}

impl SpanIndex {
	/// The maximal spans of an answer: those of at least [`MIN_SPAN_WORDS`] words that occur in a
	/// record and would occur in none with one more word of the answer at either side. They are in
	/// the order of the answer; they can overlap, and none contains another.
	///
	/// # Errors
	///
	/// [`AttributionError::AnswerTooLong`].
	pub fn matches(&self, answer: &str) -> Result<Vec<FoundSpan>, AttributionError> {
		let answer = self.read_answer(answer)?;
		let spans = self.maximal_spans(&answer).into_iter();
		Ok(spans.filter_map(|words| self.find(&answer, words)).collect())
	}

	/// The occurrences of a span of this index, at most [`MAX_OCCURRENCES`], the owner's first and the
	/// others after it in the order of ownership.
	pub fn occurrences(&self, span: &FoundSpan) -> Vec<Occurrence> {
		let positions = self.suffixes.earliest(span.ranks.clone(), MAX_OCCURRENCES);
		let located = positions.into_iter().filter_map(|position| self.locate(position));
		located.map(|located| located.occurrence).collect()
	}

	pub(crate) fn read_answer(&self, answer: &str) -> Result<Answer, AttributionError> {
		let words = words::words(answer);
		if words.len() > MAX_ANSWER_WORDS {
			return Err(AttributionError::AnswerTooLong { words: words.len() });
		}
		let numbers = words.iter().map(|word| self.dictionary.number_of(&word.text)).collect();
		Ok(Answer { words, numbers })
	}

	/// The maximal spans, each the longest match from its first word. The end of the longest match
	/// never moves back from one word to the next, so a match is maximal when it ends after the one
	/// before.
	pub(crate) fn maximal_spans(&self, answer: &Answer) -> Vec<Range<usize>> {
		let mut spans = Vec::new();
		let mut run_start = 0;
		// No span contains a word that no record has.
		for run in answer.numbers.split(|number| *number == END) {
			let mut reached = 0;
			for (start, rest) in (0..run.len()).map(|start| (start, &run[start..])) {
				let end = start + self.suffixes.longest_match(rest);
				if end > reached && end - start >= MIN_SPAN_WORDS as usize {
					spans.push(run_start + start..run_start + end);
				}
				reached = reached.max(end);
				if reached == run.len() {
					break;
				}
			}
			run_start += run.len() + 1;
		}
		spans
	}

	/// Whose these words of an answer are; `None` when they are in no record.
	pub(crate) fn find(&self, answer: &Answer, words: Range<usize>) -> Option<FoundSpan> {
		let pattern = answer.numbers.get(words.clone())?;
		let ranks = self.suffixes.ranks_of(pattern);
		let first = *self.suffixes.earliest(ranks.clone(), 1).first()?;
		Some(FoundSpan {
			words: u32::try_from(words.start).ok()?..u32::try_from(words.end).ok()?,
			bytes: answer.bytes_of(&words)?,
			count: u32::try_from(ranks.len()).ok()?,
			owner: self.locate(first)?.occurrence,
			first,
			ranks,
		})
	}
}

/// An answer in words and in the index's numbers for them.
pub(crate) struct Answer {
	words: Vec<Word>,
	/// [`END`] for a word that no record has.
	numbers: Vec<u32>,
}

impl Answer {
	/// The bytes from the first of these words to the last; `None` when there are no such words.
	pub(crate) fn bytes_of(&self, words: &Range<usize>) -> Option<Range<usize>> {
		let words = self.words.get(words.clone())?;
		Some(words.first()?.range.start..words.last()?.range.end)
	}
}
