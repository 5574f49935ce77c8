//! Canonical records.

use openledger_primitives::merkle::Tree;
use openledger_primitives::record::{
	canonical_fields, canonical_text, read, record_leaf, salt_hash, salts_root, Record,
	RecordFault, MAX_FIELDS, MAX_RECORD_BYTES, UNICODE_VERSION,
};
use proptest::{collection::vec, prelude::*};

/// A new version of the tables gives newly assigned characters a normal form: change this on
/// purpose, together with the specification.
#[test]
fn unicode_tables_should_be_those_of_the_specification() {
	assert_eq!(UNICODE_VERSION, (18, 0, 0));
}

#[test]
fn text_should_be_composed_and_its_white_space_folded() {
	for (text, expected) in [
		("plain", "plain"),
		("  a\t\r\n b\u{a0}\u{2003}c\u{3000}", "a b c"),
		("a\u{2028}b\u{85}c\u{b}d", "a b c d"),
		// e and combining acute, angstrom sign, Hangul jamo
		("Cafe\u{301}", "Caf\u{e9}"),
		("\u{212b}", "\u{c5}"),
		("\u{1112}\u{1161}\u{11ab}", "\u{d55c}"),
		// Combining marks get their canonical order.
		("q\u{307}\u{323}", "q\u{323}\u{307}"),
		// A composition exclusion stays decomposed.
		("\u{958}", "\u{915}\u{93c}"),
		// An en quad is canonically an en space, which is white space.
		("a\u{2000}b", "a b"),
		// Compatibility characters and format characters are kept.
		("\u{fb01}\u{200d}\u{ad}", "\u{fb01}\u{200d}\u{ad}"),
		// A mark after a space does not join it.
		(" \u{301}a", "\u{301}a"),
	] {
		assert_eq!(canonical_text(text).as_deref(), Ok(expected), "{text:?}");
	}
}

#[test]
fn text_should_be_refused_when_empty() {
	for text in ["", " ", "\t\r\n\u{2003}\u{3000}"] {
		assert_eq!(canonical_text(text), Err(RecordFault::Empty));
	}
}

#[test]
fn text_should_be_refused_when_it_has_forbidden_characters() {
	let forbidden = ('\0'..='\u{8}')
		.chain('\u{e}'..='\u{1f}')
		.chain('\u{7f}'..='\u{84}')
		.chain('\u{86}'..='\u{9f}')
		.chain('\u{fdd0}'..='\u{fdef}')
		.chain((0..=16u32).flat_map(|plane| {
			[0xfffe, 0xffff].map(|last| char::from_u32((plane << 16) | last).unwrap())
		}));
	let mut count = 0;
	for character in forbidden {
		let text = format!("\u{e9} {character}b");
		assert_eq!(
			canonical_text(&text),
			Err(RecordFault::ForbiddenCharacter { character, at: 3 })
		);
		count += 1;
	}
	assert_eq!(count, 65 - 6 + 66);
}

#[test]
fn text_should_be_refused_when_too_long() {
	let longest = "x".repeat(MAX_RECORD_BYTES);
	assert_eq!(canonical_text(&format!("  {longest}  ")).as_deref(), Ok(longest.as_str()));
	assert_eq!(canonical_text(&format!("{longest}x")), Err(RecordFault::TooLong));
	assert_eq!(canonical_text(&format!("{longest} \u{e9}")), Err(RecordFault::TooLong));
	assert_eq!(read(format!("{longest}x").as_bytes()), Err(RecordFault::TooLong));
}

#[test]
fn fields_should_be_sorted_and_canonical() {
	let bytes = canonical_fields(&[("question", " Who?\n"), ("answer", "Cafe\u{301}")]).unwrap();
	let mut expected = vec![0, 2, 0, 0, 0];
	for text in ["answer", "Caf\u{e9}", "question", "Who?"] {
		expected.extend((text.len() as u32).to_le_bytes());
		expected.extend(text.as_bytes());
	}
	assert_eq!(bytes, expected);
	assert_eq!(
		read(&bytes),
		Ok(Record::Fields(vec![("answer", "Caf\u{e9}"), ("question", "Who?")]))
	);
}

#[test]
fn fields_should_be_refused_when_not_a_record() {
	assert_eq!(canonical_fields(&[]), Err(RecordFault::Empty));
	assert_eq!(canonical_fields(&[("a", "")]), Err(RecordFault::Empty));
	assert_eq!(canonical_fields(&[(" ", "b")]), Err(RecordFault::Empty));
	assert_eq!(
		canonical_fields(&[("a", "1"), ("\u{e9}", "2"), ("e\u{301} ", "3")]),
		Err(RecordFault::DuplicateField)
	);
	assert_eq!(
		canonical_fields(&[("a", "b\0")]),
		Err(RecordFault::ForbiddenCharacter { character: '\0', at: 1 })
	);
	let names: Vec<String> = (0..=MAX_FIELDS).map(|name| name.to_string()).collect();
	let fields: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "x")).collect();
	assert_eq!(canonical_fields(&fields), Err(RecordFault::TooManyFields));
	assert!(canonical_fields(&fields[1..]).is_ok());
	// Mark, count, two lengths and the name leave so much for the value.
	let longest = "x".repeat(MAX_RECORD_BYTES - 14);
	assert_eq!(canonical_fields(&[("a", &longest)]).map(|b| b.len()), Ok(MAX_RECORD_BYTES));
	let longer = format!("{longest}x");
	assert_eq!(canonical_fields(&[("a", &longer)]), Err(RecordFault::TooLong));
}

#[test]
fn reading_should_refuse_bytes_that_are_not_canonical() {
	fn fields(list: &[&str]) -> Vec<u8> {
		let mut bytes = vec![0];
		bytes.extend((list.len() as u32 / 2).to_le_bytes());
		for text in list {
			bytes.extend((text.len() as u32).to_le_bytes());
			bytes.extend(text.as_bytes());
		}
		bytes
	}
	assert!(read(&fields(&["a", "1", "b", "2"])).is_ok());
	for bytes in [
		b"a  b".to_vec(),
		b" a".to_vec(),
		"e\u{301}".as_bytes().to_vec(),
		vec![0xff],
		vec![0],
		vec![0, 1, 0, 0],
		fields(&["b", "1", "a", "2"]),
		fields(&["a", "1", "a", "2"]),
		fields(&["a", "1 "]),
		fields(&["e\u{301}", "1"]),
		[fields(&["a", "1"]), vec![0]].concat(),
		vec![0, 1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, b'a'],
	] {
		assert_eq!(read(&bytes), Err(RecordFault::NotCanonical), "{bytes:?}");
	}
	assert_eq!(read(&[]), Err(RecordFault::Empty));
	assert_eq!(read(&[0, 0, 0, 0, 0]), Err(RecordFault::Empty));
	assert_eq!(read(&[0, 65, 0, 0, 0]), Err(RecordFault::TooManyFields));
	assert_eq!(read(&fields(&["a", ""])), Err(RecordFault::Empty));
	assert_eq!(read(b"a\x01"), Err(RecordFault::ForbiddenCharacter { character: '\u{1}', at: 1 }));
}

#[test]
fn leaf_should_depend_on_salt_and_record() {
	let leaf = record_leaf(&[1; 32], b"text");
	assert_ne!(leaf, record_leaf(&[2; 32], b"text"));
	assert_ne!(leaf, record_leaf(&[1; 32], b"texts"));
	assert_ne!(salt_hash(&[1; 32]), salt_hash(&[2; 32]));
}

#[test]
fn one_salt_should_be_shown_without_the_others() {
	let salts = [[1; 32], [2; 32], [3; 32]];
	let root = salts_root(&salts).unwrap();
	let tree = Tree::new(&salts.map(|salt| salt_hash(&salt))).unwrap();
	assert!(tree.prove(1).unwrap().verify(root, salt_hash(&salts[1])));
	assert_ne!(salts_root(&[salts[1], salts[0], salts[2]]), Some(root));
	assert_eq!(salts_root(&[]), None);
}

/// Text rich in what normalisation touches.
fn text() -> impl Strategy<Value = String> {
	let character = prop_oneof![
		4 => any::<char>(),
		3 => prop::sample::select(" \t\n\u{a0}\u{2000}\u{2003}\u{85}".chars().collect::<Vec<_>>()),
		3 => prop::char::range('a', 'z'),
		3 => prop::char::range('\u{300}', '\u{36f}'),
		1 => prop::char::range('\u{1100}', '\u{11ff}'),
		1 => prop::char::range('\u{f900}', '\u{fb4f}'),
	];
	vec(character, 0..40).prop_map(|characters| characters.into_iter().collect())
}

proptest! {
	#![proptest_config(ProptestConfig::with_cases(2_000))]

	#[test]
	fn canonical_text_should_be_its_own_canonical_form(text in text()) {
		let Ok(canonical) = canonical_text(&text) else { return Ok(()) };
		prop_assert_eq!(canonical_text(&canonical), Ok(canonical.clone()));
		prop_assert_eq!(read(canonical.as_bytes()), Ok(Record::Text(&canonical)));
		prop_assert!(!canonical.contains("  "));
		prop_assert_eq!(canonical.trim(), &canonical);
		prop_assert!(canonical.chars().all(|c| c == ' ' || !(c.is_whitespace() || c.is_control())));
	}

	#[test]
	fn white_space_around_and_between_words_should_not_matter(
		words in vec("[a-z\u{e9}]{1,6}", 1..8),
		spaces in vec("[ \t\n\u{2003}]{1,3}", 8),
	) {
		let spaced: String =
			words.iter().zip(&spaces).flat_map(|(word, space)| [space.as_str(), word]).collect();
		prop_assert_eq!(canonical_text(&spaced), Ok(words.join(" ")));
	}

	#[test]
	fn order_of_fields_should_not_matter(
		fields in vec((text(), text()), 1..6).prop_shuffle(),
	) {
		let given: Vec<(&str, &str)> = fields.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
		let reversed: Vec<(&str, &str)> = given.iter().rev().copied().collect();
		match (canonical_fields(&given), canonical_fields(&reversed)) {
			(Ok(bytes), other) => {
				prop_assert_eq!(Ok(bytes.clone()), other);
				match read(&bytes) {
					Ok(Record::Fields(read)) => {
						prop_assert_eq!(canonical_fields(&read), Ok(bytes.clone()));
						prop_assert_eq!(read.len(), fields.len());
					},
					other => prop_assert!(false, "{:?}", other),
				}
			},
			(Err(_), other) => prop_assert!(other.is_err()),
		}
	}

	#[test]
	fn reading_should_accept_only_what_would_be_written(bytes in vec(any::<u8>(), 0..60)) {
		match read(&bytes) {
			Ok(Record::Text(text)) => {
				prop_assert_eq!(canonical_text(text).unwrap().into_bytes(), bytes)
			},
			Ok(Record::Fields(fields)) => prop_assert_eq!(canonical_fields(&fields), Ok(bytes)),
			Err(_) => (),
		}
	}
}
