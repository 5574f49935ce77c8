use super::*;
use codec::{Decode, Encode};
use std::io::Write;

fn file(suffix: &str, content: &[u8]) -> tempfile::NamedTempFile {
	let mut file = tempfile::NamedTempFile::with_suffix(suffix).unwrap();
	file.write_all(content).unwrap();
	file
}

/// The salts of the golden vectors: bytes that count up.
fn counting_salts(first: u8) -> impl FnMut() -> Result<[u8; 32], ImportFault> {
	let mut next = first;
	move || {
		next += 1;
		Ok([next - 1; 32])
	}
}

fn read(suffix: &str, content: &str, selection: &Selection) -> Result<Import, ImportFault> {
	let file = file(suffix, content.as_bytes());
	import(&[file.path().into()], selection, counting_salts(0), |_| {})
}

fn texts(import: &Import) -> Vec<String> {
	let text = |record: &SaltedRecord| match record::read(&record.canonical).unwrap() {
		record::Record::Text(text) => text.to_owned(),
		record::Record::Fields(fields) => {
			let fields = fields.iter().map(|(name, value)| format!("{name}: {value}"));
			fields.collect::<Vec<_>>().join(" | ")
		},
	};
	import.content.records.iter().map(text).collect()
}

fn hash(hex: &str) -> H256 {
	hex.parse().unwrap()
}

#[test]
fn files_lead_to_the_commitments_of_the_golden_vectors() {
	let vectors = include_str!("../../../primitives/tests/vectors/record-proof.json");
	let vectors: Json = serde_json::from_str(vectors).unwrap();
	let contributions = vectors["contributions"].as_array().unwrap();
	assert!(!contributions.is_empty());
	for contribution in contributions {
		let records = contribution["records"].as_array().unwrap();
		let mut lines = String::new();
		for record in records {
			let field = |at: usize| record["fields"][at][1].as_str().unwrap();
			let line = serde_json::json!({ "answer": field(1), "question": field(0) });
			lines.push_str(&format!("{line}\n"));
		}
		let first_salt =
			u8::from_str_radix(&records[0]["salt"].as_str().unwrap()[..2], 16).unwrap();
		let file = file(".jsonl", lines.as_bytes());
		let selection = Selection::default();
		let import =
			import(&[file.path().into()], &selection, counting_salts(first_salt), |_| {}).unwrap();
		let commitment = import.content.commitment().unwrap();
		assert_eq!(commitment.root, hash(contribution["root"].as_str().unwrap()));
		assert_eq!(commitment.salts, hash(contribution["salts_root"].as_str().unwrap()));
		assert_eq!(commitment.records as usize, records.len());
		for (record, salted) in records.iter().zip(&import.content.records) {
			assert_eq!(salted.leaf(), hash(record["leaf"].as_str().unwrap()));
		}
		let blob = import.content.encode();
		assert_eq!(ContributionContent::decode(&mut &blob[..]).unwrap(), import.content);
	}
}

#[test]
fn jsonl_is_filtered_selected_and_renamed() {
	let lines = concat!(
		r#"{"instruction":"What is 1?","response":"A number.","context":"","category":"closed_qa"}"#,
		"\n\n",
		r#"{"instruction":"Write.","response":"Words.","category":"creative"}"#,
		"\n",
		r#"{"instruction":"How many?","response":7,"category":"closed_qa"}"#,
	);
	let mut selection = Selection {
		filters: vec!["category=closed_qa".parse().unwrap()],
		fields: vec!["question=instruction".parse().unwrap(), "answer=response".parse().unwrap()],
		..Selection::default()
	};
	let import = read(".jsonl", lines, &selection).unwrap();
	assert_eq!(
		texts(&import),
		["answer: A number. | question: What is 1?", "answer: 7 | question: How many?"]
	);
	assert_eq!(import.report.filtered, 1);
	selection.filters = vec!["category=nothing".parse().unwrap()];
	let fault = read(".jsonl", lines, &selection).unwrap_err();
	assert!(matches!(fault, ImportFault::Nothing { filtered: 3, bad: 0 }), "{fault}");
}

#[test]
fn bad_records_are_named_by_line_or_skipped() {
	let lines = "{\"a\":\"x\"}\nnot json\n{\"a\":[1]}\n7\n{\"a\":\"\\u0000\"}\n{}\n\"just text\"\n";
	let mut selection = Selection::default();
	let fault = read(".jsonl", lines, &selection).unwrap_err().to_string();
	for said in [
		"5 of the records",
		":2: it is not JSON",
		":3: field \"a\" is not text",
		":4: it is neither",
		":5: it has a control character (U+0000 at byte 0)",
		":6: there is nothing in it",
	] {
		assert!(fault.contains(said), "{said} is not in {fault}");
	}
	selection.skip_bad = true;
	let import = read(".jsonl", lines, &selection).unwrap();
	assert_eq!(texts(&import), ["a: x", "just text"]);
	assert_eq!(import.report.bad, 5);
}

#[test]
fn a_field_that_is_asked_for_must_be_there() {
	let selection = Selection { fields: vec!["question".parse().unwrap()], ..Selection::default() };
	for line in [r#"{"answer":"x"}"#, r#"{"question":" "}"#, r#"{"question":null}"#, r#""text""#] {
		let fault = read(".jsonl", line, &selection).unwrap_err().to_string();
		assert!(fault.contains("no field \"question\""), "{line}: {fault}");
	}
}

#[test]
fn text_is_cut_into_paragraphs_or_lines() {
	let text = "\u{feff}One  paragraph\r\nover two lines.\r\n\r\n \nAnother.\nStill it.\n";
	let import = read(".txt", text, &Selection::default()).unwrap();
	assert_eq!(texts(&import), ["One paragraph over two lines.", "Another. Still it."]);
	let selection = Selection { layout: Some(Layout::Lines), ..Selection::default() };
	let import = read(".txt", text, &selection).unwrap();
	assert_eq!(texts(&import), ["One paragraph", "over two lines.", "Another.", "Still it."]);
	let selection = Selection { fields: vec!["a".parse().unwrap()], ..Selection::default() };
	assert!(matches!(read(".txt", text, &selection), Err(ImportFault::FieldsOfText(_))));
}

#[test]
fn the_same_record_in_other_white_space_is_a_duplicate() {
	let import = read(".txt", "Same  words.\n\nOther.\n\nSame\nwords.\n", &Selection::default());
	let import = import.unwrap();
	assert_eq!(texts(&import), ["Same words.", "Other."]);
	assert_eq!(import.report.duplicates, 1);
	assert_eq!(import.report.duplicate_places[0].line, 5);
}

#[test]
fn bytes_that_are_no_text_and_lines_without_end_are_named() {
	let bytes = file(".txt", b"good\n\n\xff\xfe\n");
	let selection = Selection::default();
	let fault = import(&[bytes.path().into()], &selection, random_salt, |_| {}).unwrap_err();
	assert!(fault.to_string().contains(":3: it is not UTF-8"), "{fault}");

	let mut long = vec![b'a'; MAX_LINE_BYTES as usize + 10];
	long.extend(b"\n\"short\"\n");
	let long = file(".jsonl", &long);
	let selection = Selection { skip_bad: true, ..Selection::default() };
	let mut read = 0;
	let import =
		import(&[long.path().into()], &selection, random_salt, |more| read += more).unwrap();
	assert_eq!(texts(&import), ["short"]);
	assert_eq!(import.report.bad_records[0].problem, RecordProblem::LineTooLong);
	assert_eq!(read, long.path().metadata().unwrap().len());
}

#[test]
fn salts_are_not_repeated() {
	assert_ne!(random_salt().unwrap(), random_salt().unwrap());
}
