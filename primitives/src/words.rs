//! The words of a text, over which answers and records are compared.
//!
//! A *word* is a maximal run of characters that are alphabetic or numeric in Unicode's sense
//! (the derived property `Alphabetic`, or a general category `N…`), in lower case. Punctuation,
//! symbols and white space separate words and are not compared, so that a quotation with other
//! commas is still a quotation. No tokenizer is part of this: everybody gets the same words.
//!
//! Records are in canonical form already ([`crate::record`]); an answer is read as it was given.

use crate::record::Record;
use alloc::{string::String, vec::Vec};
use core::ops::Range;

/// One word, and where it stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Word {
	/// The word in lower case.
	pub text: String,
	/// Its bytes in the text it was found in.
	pub range: Range<usize>,
}

/// The words of a text, in order.
pub fn words(text: &str) -> Vec<Word> {
	let mut found = Vec::new();
	let mut start = None;
	for (at, character) in text.char_indices() {
		match (character.is_alphanumeric(), start) {
			(true, None) => start = Some(at),
			(false, Some(from)) => {
				found.extend(word(text, from..at));
				start = None;
			},
			_ => {},
		}
	}
	if let Some(from) = start {
		found.extend(word(text, from..text.len()));
	}
	found
}

fn word(text: &str, range: Range<usize>) -> Option<Word> {
	let text = text.get(range.clone())?.to_lowercase();
	Some(Word { text, range })
}

/// The texts of a record in which words can stand one after the other: the whole of a text, each
/// value of a record of fields. Words of a record are counted through its passages in this order,
/// and no span reaches from one passage into the next.
pub fn passages<'a>(record: &Record<'a>) -> Vec<&'a str> {
	match record {
		Record::Text(text) => [*text].into(),
		Record::Fields(fields) => fields.iter().map(|(_, value)| *value).collect(),
	}
}
