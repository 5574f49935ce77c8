//! Records as examples, with the tiny model's tokenizer and chat template.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::model;
use openledger_trainer::{
	dataset::{heldout, MAX_RECORD_BYTES},
	Dataset, DatasetError, Record, TrainingSpec,
};
use proptest::prelude::*;

fn question(question: &str, answer: &str) -> Record {
	Record::Fields(vec![
		("source".into(), "a law".into()),
		("answer".into(), answer.into()),
		("question".into(), question.into()),
	])
}

fn spec() -> TrainingSpec {
	TrainingSpec {
		prompt_field: "question".into(),
		completion_field: "answer".into(),
		heldout_permille: 0,
		..TrainingSpec::default()
	}
}

fn many() -> Vec<Record> {
	(0..40).map(|i| question(&format!("What is {i}?"), &format!("It is {}.", i + 1))).collect()
}

#[test]
fn fields_should_become_a_conversation_of_which_the_answer_counts() {
	let model = model();
	let records = [question("Who?", "Me.")];
	let dataset = Dataset::from_records(&model, &spec(), &records).unwrap();
	let [example] = &dataset.training[..] else { panic!() };
	let expected = "<|im_start|>user\nWho?<|im_end|>\n<|im_start|>assistant\nMe.<|im_end|>";
	assert_eq!(example.tokens(), model.tokenizer().encode(expected, false).unwrap());
	let completion = &example.tokens()[example.completion_start()..];
	assert_eq!(completion, model.tokenizer().encode("Me.<|im_end|>", false).unwrap());
	assert_eq!(example.completion_tokens(), 4);
}

#[test]
fn text_should_count_from_its_second_token_to_an_end() {
	let model = model();
	let records = [Record::Text("Some text.".into())];
	let dataset = Dataset::from_records(&model, &spec(), &records).unwrap();
	let [example] = &dataset.training[..] else { panic!() };
	assert_eq!(example.completion_start(), 1);
	assert_eq!(example.tokens(), model.tokenizer().encode("Some text.<|im_end|>", false).unwrap());
}

#[test]
fn long_records_should_be_cut_and_counted() {
	let model = model();
	let mut spec = spec();
	let records = [
		question("Who?", "Me."),
		question("Who?", &"me ".repeat(20)),
		question(&"who ".repeat(30), "Me."),
	];
	spec.max_tokens = 60;
	let dataset = Dataset::from_records(&model, &spec, &records).unwrap();
	assert_eq!((dataset.training.len(), dataset.heldout.len()), (2, 0));
	assert_eq!(dataset.training[1].tokens().len(), 60);
	assert_eq!((dataset.report.truncated, dataset.report.dropped), (2, 1));

	spec.max_tokens = 10;
	let error = Dataset::from_records(&model, &spec, &records).unwrap_err();
	assert!(
		matches!(error, DatasetError::AllTruncated { part: "training", records: 3, .. }),
		"{error}"
	);
}

#[test]
fn records_that_cannot_be_used_should_be_named() {
	let model = model();
	let refuse = |records: &[Record]| Dataset::from_records(&model, &spec(), records).unwrap_err();
	let fine = question("Who?", "Me.");
	assert!(matches!(refuse(&[]), DatasetError::Empty));
	let other = Record::Fields(vec![("question".into(), "Who?".into())]);
	match refuse(&[fine.clone(), other]) {
		DatasetError::MissingField { record: 1, field } => assert_eq!(field, "answer"),
		error => panic!("{error}"),
	}
	assert!(matches!(
		refuse(&[fine.clone(), question("Who?", " \n")]),
		DatasetError::Blank { record: 1, .. }
	));
	assert!(matches!(refuse(&[Record::Text(String::new())]), DatasetError::Blank { .. }));
	let long = Record::Text("x".repeat(MAX_RECORD_BYTES + 1));
	assert!(matches!(refuse(&[fine, long]), DatasetError::RecordTooLong { record: 1, .. }));
}

#[test]
fn split_should_be_decided_by_seed_and_content_alone() {
	let records = many();
	let held = heldout(&records, 1, 200).unwrap();
	assert_eq!(held.len(), 8);
	assert_ne!(held, heldout(&records, 2, 200).unwrap());
	let contents = |records: &[Record], indices: &[usize]| {
		let mut held: Vec<_> = indices.iter().map(|&i| records[i].identity()).collect();
		held.sort_unstable();
		held
	};
	let mut reversed = records.clone();
	reversed.reverse();
	let again = heldout(&reversed, 1, 200).unwrap();
	assert_eq!(contents(&records, &held), contents(&reversed, &again));
}

#[test]
fn copies_of_a_record_should_be_on_the_same_side() {
	let mut records = many();
	records.extend(many());
	let held = heldout(&records, 1, 200).unwrap();
	assert_eq!(held.len(), 16);
	for index in &held {
		assert!(held.contains(&((index + 40) % 80)));
	}
	let copies = vec![question("Who?", "Me."); 5];
	assert!(matches!(heldout(&copies, 1, 100), Err(DatasetError::TooFewToHoldOut)));
	assert!(heldout(&copies, 1, 0).unwrap().is_empty());
}

#[test]
fn dataset_should_hold_out_what_the_split_says() {
	let model = model();
	let spec = TrainingSpec { heldout_permille: 100, ..spec() };
	let dataset = Dataset::from_records(&model, &spec, &many()).unwrap();
	assert_eq!((dataset.training.len(), dataset.heldout.len()), (36, 4));
	assert_eq!(dataset.report.heldout_records, heldout(&many(), spec.seed, 100).unwrap());
	let others = TrainingSpec { seed: 5, ..spec };
	let other = Dataset::from_records(&model, &others, &many()).unwrap();
	assert_ne!(dataset.hash(), other.hash());
}

proptest! {
	#[test]
	fn any_share_of_any_records_should_leave_some_on_either_side(
		count in 2usize..60, permille in 1u16..=500, seed in any::<u64>(),
	) {
		let records: Vec<Record> =
			(0..count).map(|i| Record::Text(format!("record {i}"))).collect();
		let held = heldout(&records, seed, permille).unwrap();
		prop_assert!(!held.is_empty() && held.len() < count);
		prop_assert!((held.len() as f64 - count as f64 * f64::from(permille) / 1e3).abs() <= 1.0);
		prop_assert!(held.windows(2).all(|pair| pair[0] < pair[1]));
	}
}
