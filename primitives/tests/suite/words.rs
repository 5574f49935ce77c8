//! The words that answers and records are compared by.

use openledger_primitives::{
	record,
	words::{passages, words},
};
use proptest::prelude::*;

fn texts(text: &str) -> Vec<String> {
	words(text).into_iter().map(|word| word.text).collect()
}

#[test]
fn words_should_be_runs_of_letters_and_digits_in_lower_case() {
	for (text, expected) in [
		("", &[][..]),
		(" ... — !? ", &[]),
		(
			"The Building Act (2010:900), ch. 9.",
			&["the", "building", "act", "2010", "900", "ch", "9"],
		),
		("Ändring av BYGGNAD", &["ändring", "av", "byggnad"]),
		("don't", &["don", "t"]),
		("東京 is Tōkyō", &["東京", "is", "tōkyō"]),
		("²½ Ⅷ", &["²½", "ⅷ"]),
	] {
		assert_eq!(texts(text), expected, "{text}");
	}
}

#[test]
fn lower_case_should_not_move_a_word() {
	// U+0130 becomes two characters in lower case, one byte longer.
	let found = words("a İSTANBUL b");
	assert_eq!(found[1].text, "i\u{307}stanbul");
	assert_eq!(&"a İSTANBUL b"[found[1].range.clone()], "İSTANBUL");
	assert_eq!(&"a İSTANBUL b"[found[2].range.clone()], "b");
}

#[test]
fn passages_should_be_the_text_or_the_values() {
	let fields = record::canonical_fields(&[("q", "Who?"), ("a", "The office.")]).unwrap();
	assert_eq!(passages(&record::read(&fields).unwrap()), ["The office.", "Who?"]);
	assert_eq!(passages(&record::read(b"Plain text").unwrap()), ["Plain text"]);
}

proptest! {
	#[test]
	fn words_should_cover_every_letter_and_nothing_else(text in "\\PC{0,60}") {
		let found = words(&text);
		let mut end = 0;
		for word in &found {
			prop_assert!(word.range.start >= end && !word.range.is_empty());
			prop_assert!(!text[end..word.range.start].chars().any(char::is_alphanumeric));
			prop_assert!(text[word.range.clone()].chars().all(char::is_alphanumeric));
			prop_assert_eq!(&word.text, &text[word.range.clone()].to_lowercase());
			end = word.range.end;
		}
		prop_assert!(!text[end..].chars().any(char::is_alphanumeric));
	}

	#[test]
	fn punctuation_should_change_no_word(text in "[a-z ,.]{0,40}") {
		prop_assert_eq!(texts(&text.replace([',', '.'], " ")), texts(&text));
	}
}
