//! Which spans are found, and whose they are.

use crate::{contribution, fields, id, index_of, text};
use openledger_attribution::{
	AttributionError, FoundSpan, Occurrence, SpanIndex, COMMON_COUNT, MAX_ANSWER_WORDS,
	MAX_OCCURRENCES,
};

fn words_of(spans: &[FoundSpan]) -> Vec<(u32, u32)> {
	spans.iter().map(|span| (span.words.start, span.words.end)).collect()
}

fn at(index: u32, record: u32, record_start: u32) -> Occurrence {
	Occurrence { contribution: id(0, index), record, record_start }
}

#[test]
fn matches_should_find_nothing_when_the_answer_is_too_short() {
	let index = index_of(&["one two three four five"]);
	for answer in ["", " ", "?!", "one", "one two three", "Two, three; four."] {
		assert_eq!(index.matches(answer).unwrap(), []);
	}
	assert_eq!(words_of(&index.matches("one two three four").unwrap()), [(0, 4)]);
}

#[test]
fn matches_should_find_a_whole_record() {
	let record = "You can park in the Old Town on Sundays, from 9 to 12.";
	let index = index_of(&["something else entirely", record]);
	let [span] = &index.matches(record).unwrap()[..] else { panic!("one span") };
	assert_eq!(span.words, 0..13);
	assert_eq!(span.bytes, 0..record.len() - 1);
	assert_eq!((span.count, span.owner), (1, at(1, 0, 0)));
}

#[test]
fn matches_should_ignore_case_and_punctuation() {
	let index = index_of(&["Park — in the \"Old Town\", please!"]);
	let answer = "So: PARK IN the old (town). Please";
	let [span] = &index.matches(answer).unwrap()[..] else { panic!("one span") };
	assert_eq!(&answer[span.bytes.clone()], "PARK IN the old (town). Please");
	assert_eq!(span.words, 1..7);
}

#[test]
fn matches_should_be_maximal_and_may_overlap() {
	let index = index_of(&["a b c d e f", "c d e f g h", "b c d e"]);
	let spans = index.matches("a b c d e f g h x a b c d e").unwrap();
	assert_eq!(words_of(&spans), [(0, 6), (2, 8), (9, 14)]);
}

#[test]
fn matches_should_end_at_words_that_no_record_has() {
	let index = index_of(&["a b c d", "d e f g"]);
	let spans = index.matches("a b c d unheard d e f g").unwrap();
	assert_eq!(words_of(&spans), [(0, 4), (5, 9)]);
}

#[test]
fn matches_should_not_cross_the_borders_of_passages() {
	let records = vec![
		fields(&[("a", "one two three"), ("b", "four five six seven")]),
		text("eight nine ten eleven"),
	];
	let index = SpanIndex::build(vec![contribution(0, 0, records)]).unwrap();
	let spans = index.matches("one two three four five six seven eight nine ten eleven").unwrap();
	assert_eq!(words_of(&spans), [(3, 7), (7, 11)]);
	assert_eq!(spans[0].owner, at(0, 0, 3), "words are counted through the passages");
	assert_eq!(spans[1].owner, at(0, 1, 0));
}

#[test]
fn matches_should_count_words_in_the_record_after_passages_without_words() {
	let record = fields(&[("a", "…"), ("b", "x y"), ("c", "!"), ("d", "z one two three four")]);
	let before = text("- -");
	let index = SpanIndex::build(vec![contribution(0, 0, vec![before, record])]).unwrap();
	let [span] = &index.matches("one two three four").unwrap()[..] else { panic!("one span") };
	assert_eq!(span.owner, at(0, 1, 3));
}

#[test]
fn matches_should_name_the_first_of_several_owners() {
	let words = "the same words for all";
	// The first by block; in the same block by id; in the same contribution by record, then by place.
	let late = contribution(0, 8, vec![text(words)]);
	let early =
		contribution(3, 7, vec![text("other"), text("x the same words for all"), text(words)]);
	let same_block = contribution(5, 7, vec![text(words)]);
	let index = SpanIndex::build(vec![same_block, late, early]).unwrap();
	let [span] = &index.matches(words).unwrap()[..] else { panic!("one span") };
	assert_eq!((span.owner, span.count), (at(3, 1, 1), 4));
	assert_eq!(index.occurrences(span), [at(3, 1, 1), at(3, 2, 0), at(5, 0, 0), at(0, 0, 0)]);
}

#[test]
fn matches_should_find_every_place_in_a_record() {
	let index = index_of(&["a a a a a a a"]);
	let [span] = &index.matches("a a a a a").unwrap()[..] else { panic!("one span") };
	assert_eq!((span.words.clone(), span.count), (0..5, 3));
	assert_eq!(index.occurrences(span), [at(0, 0, 0), at(0, 0, 1), at(0, 0, 2)]);
	// Longer than the record: every window of it.
	let spans = index.matches(&"a ".repeat(9)).unwrap();
	assert_eq!(words_of(&spans), [(0, 7), (1, 8), (2, 9)]);
}

#[test]
fn matches_should_read_letters_of_all_scripts() {
	for (record, answer, words) in [
		("Åke åt ÄPPLEN och öl", "åke Åt äpplen OCH ÖL", 5),
		// The lower case of İ is two characters.
		("Sultan İBRAHİM of İstanbul", "sultan i\u{307}brahi\u{307}m OF i\u{307}stanbul", 0),
		("Sultan İBRAHİM of İstanbul", "SULTAN İbrahim OF İSTANBUL", 0),
		("Sultan İBRAHİM of İstanbul", "SULTAN İBRAHİM OF İSTANBUL", 4),
		// A combining mark that canonical text has composed is another word in an answer.
		("un cafe\u{301} au lait", "un caf\u{e9} au lait", 4),
		("un cafe\u{301} au lait", "un cafe\u{301} au lait", 0),
		("東京 都 庁 舎", "東京、都。庁・舎", 4),
		("ΟΔΟΣ nr 5 ½", "οδος NR 5 ½", 4),
	] {
		let found = index_of(&[record]).matches(answer).unwrap();
		let longest = found.iter().map(|span| span.words.end - span.words.start).max();
		assert_eq!(longest.unwrap_or(0), words, "{answer:?} in {record:?}");
		assert!(found.iter().all(|span| answer.get(span.bytes.clone()).is_some()));
	}
}

#[test]
fn matches_should_be_found_in_a_hundred_thousand_identical_records() {
	let same = "what everybody contributes again and again";
	let one = |index| contribution(index, 1_000 - u64::from(index), vec![text(same); 1_000]);
	let index = SpanIndex::build((0..100).map(one).collect()).unwrap();
	assert_eq!(index.record_count(), 100_000);
	let [span] = &index.matches(same).unwrap()[..] else { panic!("one span") };
	assert_eq!((span.count, span.owner), (100_000, at(99, 0, 0)));
	assert!(span.is_common());
	let expected: Vec<Occurrence> =
		(0..MAX_OCCURRENCES as u32).map(|record| at(99, record, 0)).collect();
	assert_eq!(index.occurrences(span), expected);
}

#[test]
fn spans_should_be_common_above_the_bound() {
	let records = |count| vec![text("one two three four"); count as usize];
	for (count, common) in [(COMMON_COUNT, false), (COMMON_COUNT + 1, true)] {
		let index = SpanIndex::build(vec![contribution(0, 0, records(count))]).unwrap();
		assert_eq!(index.matches("one two three four").unwrap()[0].is_common(), common);
	}
}

#[test]
fn matches_should_refuse_an_answer_that_is_too_long() {
	let index = index_of(&["a b c d"]);
	assert!(index.matches(&"x ".repeat(MAX_ANSWER_WORDS)).is_ok());
	assert_eq!(
		index.matches(&"x ".repeat(MAX_ANSWER_WORDS + 1)).unwrap_err(),
		AttributionError::AnswerTooLong { words: MAX_ANSWER_WORDS + 1 }
	);
}

#[test]
fn occurrences_should_stay_in_the_index_when_the_span_is_of_another() {
	let large = index_of(&["z z z z z z z z", "a b c d"]);
	let span = large.matches("z z z z").unwrap().remove(0);
	let small = index_of(&["a"]);
	assert!(small.occurrences(&span).len() <= 1);
}
