//! What holds for all records, answers and gains.

use crate::{contribution, fields, id, text};
use openledger_attribution::{attribute, IndexedContribution, SpanIndex, TokenGain};
use openledger_primitives::{
	claim::CLAIM_PARTS,
	contribution::SaltedRecord,
	record,
	span::{MatchedSpan, MIN_SPAN_WORDS},
	words::{passages, words},
	ModelId, RequestId, H256,
};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// Text over few words, so that much of it occurs elsewhere.
fn texts(words: std::ops::Range<usize>) -> impl Strategy<Value = String> {
	let word = prop_oneof![
		8 => prop::sample::select(vec!["a", "b", "c"]),
		1 => prop::sample::select(vec!["Åke", "B", "i̇", "İ", "été", "— d"]),
	];
	let gap = prop::sample::select(vec![" ", " ", " ", ", ", " – "]);
	let piece = (word, gap).prop_map(|(word, gap)| format!("{word}{gap}"));
	prop::collection::vec(piece, words).prop_map(|pieces| pieces.concat())
}

fn records() -> impl Strategy<Value = SaltedRecord> {
	prop_oneof![
		4 => texts(1..25).prop_map(|of| text(&of)),
		1 => (texts(1..9), texts(1..25)).prop_map(|(q, a)| fields(&[("q", &q), ("a", &a)])),
		1 => Just(text("…!")),
	]
}

fn corpora() -> impl Strategy<Value = Vec<IndexedContribution>> {
	let one = (0..4u64, prop::collection::vec(records(), 1..5));
	prop::collection::vec(one, 0..6).prop_map(|contributions| {
		let indexed = (0..).zip(contributions);
		indexed.map(|(index, (at, records))| contribution(index, at, records)).collect()
	})
}

/// Tokens of a few bytes each over a whole answer, with gains and losses.
fn gains_on(answer: &str, seeds: &[(usize, f32)]) -> Vec<TokenGain> {
	let mut gains = Vec::new();
	let mut start = 0;
	for (bytes, gain_nats) in seeds.iter().cycle() {
		let end = (start + bytes).min(answer.len());
		gains.push(TokenGain { range: start..end, gain_nats: *gain_nats });
		if end == answer.len() {
			break;
		}
		start = end;
	}
	gains
}

fn seeds() -> impl Strategy<Value = Vec<(usize, f32)>> {
	prop::collection::vec((1..6usize, -1.0..3.0f32), 1..12)
}

/// Block, contribution, record, place of the word.
type Place = (u64, u32, u32, u32);

/// Every run of words of every record, by looking everywhere.
fn places_of(corpus: &[IndexedContribution], run: &[String]) -> Vec<Place> {
	let mut places = Vec::new();
	for contribution in corpus {
		for (number, salted) in (0..).zip(&contribution.content.records) {
			let mut before = 0;
			for passage in passages(&record::read(&salted.canonical).unwrap()) {
				let theirs: Vec<String> =
					words(passage).into_iter().map(|word| word.text).collect();
				for (start, window) in (before..).zip(theirs.windows(run.len())) {
					if window == run {
						let owner = (contribution.contributed_at, contribution.id.index);
						places.push((owner.0, owner.1, number, start));
					}
				}
				before += theirs.len() as u32;
			}
		}
	}
	places.sort_unstable();
	places
}

/// The maximal spans of an answer with their places, by trying every run of words.
fn maximal_spans(corpus: &[IndexedContribution], answer: &[String]) -> Vec<(u32, u32, Vec<Place>)> {
	let mut spans: Vec<(u32, u32, Vec<Place>)> = Vec::new();
	for start in 0..answer.len() {
		for end in (start + MIN_SPAN_WORDS as usize..=answer.len()).rev() {
			let places = places_of(corpus, &answer[start..end]);
			if places.is_empty() {
				continue;
			}
			if spans.last().is_none_or(|(_, reached, _)| *reached < end as u32) {
				spans.push((start as u32, end as u32, places));
			}
			break;
		}
	}
	spans
}

fn sums(spans: &[MatchedSpan]) -> BTreeMap<u32, u64> {
	let mut sums = BTreeMap::new();
	for span in spans {
		*sums.entry(span.contribution.index).or_default() += u64::from(span.gain_micro);
	}
	sums
}

proptest! {
	#![proptest_config(ProptestConfig::with_cases(128))]

	#[test]
	fn matches_should_be_all_maximal_spans(corpus in corpora(), answer in texts(0..20)) {
		let index = SpanIndex::build(corpus.clone()).unwrap();
		let ours: Vec<String> = words(&answer).into_iter().map(|word| word.text).collect();
		let found = index.matches(&answer).unwrap();
		let expected = maximal_spans(&corpus, &ours);
		prop_assert_eq!(found.len(), expected.len());
		for (span, (start, end, places)) in found.iter().zip(expected) {
			prop_assert_eq!(&span.words, &(start..end));
			prop_assert_eq!(span.count as usize, places.len());
			let occurrences: Vec<(u32, u32, u32)> = index
				.occurrences(span)
				.iter()
				.map(|place| (place.contribution.index, place.record, place.record_start))
				.collect();
			let first: Vec<(u32, u32, u32)> =
				places.iter().take(occurrences.len()).map(|p| (p.1, p.2, p.3)).collect();
			prop_assert_eq!(occurrences.len(), places.len().min(10));
			prop_assert_eq!(&occurrences, &first);
			prop_assert_eq!(span.owner, index.occurrences(span)[0]);
			// The bytes of the span have its words and no others.
			let text: Vec<String> =
				words(&answer[span.bytes.clone()]).into_iter().map(|word| word.text).collect();
			prop_assert_eq!(&text[..], &ours[start as usize..end as usize]);
		}
	}

	#[test]
	fn claims_should_hold_and_every_proof_verify(
		corpus in corpora(),
		answer in texts(0..60),
		seeds in seeds(),
	) {
		let index = SpanIndex::build(corpus.clone()).unwrap();
		let gains = gains_on(&answer, &seeds);
		let attribution = attribute(&index, &answer, &gains).unwrap();
		let claim = attribution.claim(RequestId(1), ModelId(2), H256::repeat_byte(3));
		prop_assert_eq!(claim.check(), Ok(()));
		prop_assert_eq!(claim.shares.is_empty(), claim.spans.is_empty());
		let parts: u64 = claim.shares.iter().map(|share| u64::from(share.parts)).sum();
		prop_assert!(parts == 0 || parts == u64::from(CLAIM_PARTS));
		let paid: Vec<MatchedSpan> =
			attribution.evidence.iter().map(|shown| shown.span.clone()).collect();
		prop_assert_eq!(&claim.spans.to_vec(), &paid);

		let ours = words(&answer);
		let mut taken = vec![false; ours.len()];
		for shown in attribution.evidence.iter().chain(&attribution.unpaid) {
			let span = &shown.span;
			let source = corpus.iter().find(|source| source.id == span.contribution).unwrap();
			// The record is the contribution's, and the chain can see so.
			let root = source.content.commitment().unwrap().root;
			prop_assert!(span.proof.verify(root, span.leaf));
			prop_assert_eq!(shown.record.leaf(), span.leaf);
			let number = span.proof.leaf_index as usize;
			prop_assert_eq!(&source.content.records[number], &shown.record);
			// The words at the two places are the same.
			let read = record::read(&shown.record.canonical).unwrap();
			let theirs: Vec<String> = passages(&read)
				.into_iter()
				.flat_map(words)
				.map(|word| word.text)
				.skip(span.record_start as usize)
				.take(span.words as usize)
				.collect();
			let place = span.answer_start as usize..(span.answer_start + span.words) as usize;
			let same: Vec<String> =
				ours[place.clone()].iter().map(|word| word.text.clone()).collect();
			prop_assert_eq!(&same, &theirs);
			// Nobody had them before, and no word counts twice.
			let first = places_of(&corpus, &same)[0];
			prop_assert_eq!((first.1, first.2), (span.contribution.index, span.proof.leaf_index));
			for word in &mut taken[place] {
				prop_assert!(!*word);
				*word = true;
			}
		}
		prop_assert!(attribution.unpaid.iter().all(|shown| shown.span.gain_micro == 0));
		// Nobody earns more than the adapter gained.
		let all: f64 = gains.iter().map(|gain| f64::from(gain.gain_nats.max(0.0)) * 1e6).sum();
		let earned: u64 = sums(&claim.spans).values().sum();
		prop_assert!(earned as f64 <= all + gains.len() as f64);
	}

	#[test]
	fn attribution_should_not_depend_on_the_order_of_input(
		(corpus, shuffled) in corpora().prop_flat_map(|corpus| {
			(Just(corpus.clone()), Just(corpus).prop_shuffle())
		}),
		answer in texts(0..40),
		seeds in seeds(),
	) {
		let index = SpanIndex::build(corpus).unwrap();
		let other = SpanIndex::build(shuffled).unwrap();
		prop_assert_eq!(index.root(), other.root());
		let gains = gains_on(&answer, &seeds);
		prop_assert_eq!(
			attribute(&index, &answer, &gains).unwrap(),
			attribute(&other, &answer, &gains).unwrap()
		);
	}

	#[test]
	fn splitting_a_contribution_should_earn_its_owner_the_same(
		before in records(),
		own in prop::collection::vec(records(), 2..8),
		after in records(),
		cut in 1..7usize,
		answer in texts(0..60),
		seeds in seeds(),
	) {
		let cut = cut.min(own.len() - 1);
		let whole = vec![
			contribution(0, 1, vec![before.clone()]),
			contribution(10, 2, own.clone()),
			contribution(20, 3, vec![after.clone()]),
		];
		let split = vec![
			contribution(0, 1, vec![before]),
			contribution(10, 2, own[..cut].to_vec()),
			contribution(11, 2, own[cut..].to_vec()),
			contribution(20, 3, vec![after]),
		];
		let gains = gains_on(&answer, &seeds);
		let of = |corpus| {
			let index = SpanIndex::build(corpus).unwrap();
			sums(&attribute(&index, &answer, &gains).unwrap().spans)
		};
		let (whole, mut split) = (of(whole), of(split));
		if let Some(second) = split.remove(&11) {
			*split.entry(10).or_default() += second;
		}
		prop_assert_eq!(whole, split);
	}

	#[test]
	fn later_copies_should_change_nobodys_shares(
		corpus in corpora(),
		copies in prop::collection::vec((0..6usize, 1..4usize), 1..5),
		answer in texts(0..40),
		seeds in seeds(),
	) {
		let gains = gains_on(&answer, &seeds);
		let index = SpanIndex::build(corpus.clone()).unwrap();
		let mut copied = corpus.clone();
		for (index, (source, times)) in (100..).zip(copies) {
			if let Some(source) = corpus.get(source) {
				let mut content = source.content.clone();
				content.records = vec![content.records; times].concat();
				copied.push(IndexedContribution { id: id(0, index), contributed_at: 9, content });
			}
		}
		let copied = SpanIndex::build(copied).unwrap();
		let expected = attribute(&index, &answer, &gains).unwrap();
		let found = attribute(&copied, &answer, &gains).unwrap();
		prop_assert_eq!(found.spans, expected.spans);
		prop_assert_eq!(found.shares, expected.shares);
	}
}
