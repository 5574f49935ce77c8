//! Gains, choice, evidence and claims.

use crate::{contribution, even_gains, id, index_of, text};
use openledger_attribution::{
	attribute, Attribution, AttributionError, SpanIndex, TokenGain, MAX_UNPAID_SPANS,
};
use openledger_primitives::{
	content::content_hash,
	span::{self, MAX_CLAIM_SPANS},
	ModelId, RequestId, H256,
};
use std::ops::Range;

fn gain(range: Range<usize>, gain_nats: f32) -> TokenGain {
	TokenGain { range, gain_nats }
}

/// Contribution, words of the answer, gain.
fn paid(attribution: &Attribution) -> Vec<(u32, Range<u32>, u32)> {
	let one = |span: &span::MatchedSpan| {
		let words = span.answer_start..span.answer_start + span.words;
		(span.contribution.index, words, span.gain_micro)
	};
	attribution.spans.iter().map(one).collect()
}

fn parts(attribution: &Attribution) -> Vec<(u32, u32)> {
	attribution.shares.iter().map(|share| (share.contribution.index, share.parts)).collect()
}

#[test]
fn claim_should_name_whoever_contributed_the_words() {
	let index = index_of(&["unrelated words", "You can park in the Old Town.", "The bus is free."]);
	let answer = "You can park in the old town; the bus is free.";
	let attribution = attribute(&index, answer, &even_gains(answer, 1.0)).unwrap();
	// Of "town; " 4 bytes of 6 are in the span, of "free." 4 of 5.
	assert_eq!(paid(&attribution), [(1, 0..7, 6_666_666), (2, 7..11, 3_800_000)]);
	assert_eq!(parts(&attribution), [(1, 636_943), (2, 363_057)]);

	let claim = attribution.claim(RequestId(7), ModelId(3), content_hash(answer.as_bytes()));
	assert_eq!(claim.check(), Ok(()));
	assert_eq!((claim.request, claim.model), (RequestId(7), ModelId(3)));
	assert_eq!(claim.answer_hash, content_hash(answer.as_bytes()));
	assert_eq!(claim.spans, attribution.spans);

	let evidence = &attribution.evidence[0];
	assert_eq!(&answer[evidence.answer_bytes.clone()], "You can park in the old town");
	assert_eq!(evidence.record, text("You can park in the Old Town."));
	assert_eq!(evidence.record.leaf(), evidence.span.leaf);
	assert_eq!(evidence.count, 1);
}

#[test]
fn claim_should_be_empty_when_nothing_matches() {
	let index = index_of(&["a b c d"]);
	for answer in ["", "nothing of the kind at all", "a b c"] {
		let attribution = attribute(&index, answer, &even_gains(answer, 1.0)).unwrap();
		assert!(attribution.spans.is_empty() && attribution.unpaid.is_empty());
		assert_eq!(attribution.evidence_root, H256::zero());
		let claim = attribution.claim(RequestId(0), ModelId(0), H256::zero());
		assert_eq!(claim.check(), Ok(()));
		assert!(claim.shares.is_empty());
	}
}

#[test]
fn spans_should_be_shown_and_not_paid_when_the_adapter_gained_nothing() {
	let index = index_of(&["a b c d", "e f g h"]);
	let answer = "a b c d e f g h";
	let mut gains = even_gains(answer, -2.0);
	for (loss, _) in gains.iter_mut().zip(0..4) {
		loss.gain_nats = 0.000_000_4;
	}
	let attribution = attribute(&index, answer, &gains).unwrap();
	assert!(attribution.spans.is_empty() && attribution.evidence.is_empty());
	assert_eq!(attribution.unpaid.len(), 2);
	assert!(attribution.unpaid.iter().all(|shown| shown.span.gain_micro == 0));
	assert_eq!(attribution.unpaid[1].answer_bytes, 8..15);
	assert_eq!(attribution.claim(RequestId(0), ModelId(0), H256::zero()).check(), Ok(()));
}

#[test]
fn losses_should_not_take_from_gains() {
	let index = index_of(&["a b c d"]);
	let gains = [gain(0..2, 0.5), gain(2..4, -9.0), gain(4..7, 0.25)];
	let attribution = attribute(&index, "a b c d", &gains).unwrap();
	assert_eq!(paid(&attribution), [(0, 0..4, 750_000)]);
}

#[test]
fn tokens_should_count_in_proportion_when_they_straddle_a_border() {
	let index = index_of(&["bb cc dd ee"]);
	let answer = "aa bb cc dd ee ff";
	// The span is bytes 3..14.
	for (range, expected) in [
		(0..17, 11 * 1_000_000 / 17),
		(0..3, 0),
		(2..5, 2 * 1_000_000 / 3),
		(3..14, 1_000_000),
		(4..6, 1_000_000),
		(13..16, 333_333),
		(14..17, 0),
		(2..2, 0),
		(3..3, 1_000_000),
		(13..13, 1_000_000),
		(14..14, 0),
	] {
		let attribution = attribute(&index, answer, &[gain(range.clone(), 1.0)]).unwrap();
		let sum: u32 = attribution.spans.iter().map(|span| span.gain_micro).sum();
		assert_eq!(sum, expected, "{range:?}");
	}
}

#[test]
fn tokens_may_end_inside_of_characters() {
	let index = index_of(&["å ä ö é"]);
	let answer = "å ä ö é";
	let gains: Vec<TokenGain> = (0..answer.len()).map(|at| gain(at..at + 1, 0.125)).collect();
	let attribution = attribute(&index, answer, &gains).unwrap();
	assert_eq!(paid(&attribution), [(0, 0..4, 11 * 125_000)]);
}

#[test]
fn attribute_should_refuse_gains_that_cannot_be() {
	let index = index_of(&["a b c d"]);
	let refused = |gains: &[TokenGain]| attribute(&index, "a b c d", gains).unwrap_err();
	let outside = AttributionError::TokenOutsideAnswer { token: 1 };
	assert_eq!(refused(&[gain(0..1, 1.0), gain(1..8, 1.0)]), outside);
	#[allow(clippy::reversed_empty_ranges)]
	let backwards = 3..2;
	assert_eq!(refused(&[gain(0..1, 1.0), gain(backwards, 1.0)]), outside);
	assert_eq!(refused(&[gain(0..1, 1.0), gain(usize::MAX..usize::MAX, 1.0)]), outside);
	let overlap = AttributionError::TokensOverlap { token: 1 };
	assert_eq!(refused(&[gain(0..3, 1.0), gain(2..4, 1.0)]), overlap);
	assert_eq!(refused(&[gain(2..4, 1.0), gain(0..2, 1.0)]), overlap);
	for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
		let error = refused(&[gain(0..1, 1.0), gain(1..2, bad)]);
		assert_eq!(error, AttributionError::GainNotFinite { token: 1 });
	}
}

#[test]
fn gains_should_saturate() {
	let index = index_of(&["a b c d"]);
	let gains = [gain(0..3, f32::MAX), gain(3..7, f32::MAX)];
	let attribution = attribute(&index, "a b c d", &gains).unwrap();
	assert_eq!(paid(&attribution), [(0, 0..4, u32::MAX)]);
	assert_eq!(attribution.claim(RequestId(0), ModelId(0), H256::zero()).check(), Ok(()));
}

#[test]
fn the_larger_gain_should_be_taken_first_and_cut_the_other() {
	let index = index_of(&["a b c d e f g h", "e f g h i j k l"]);
	let answer = "a b c d e f g h i j k l";
	let mut gains = even_gains(answer, 0.5);
	gains[11].gain_nats = 0.75;
	let attribution = attribute(&index, answer, &gains).unwrap();
	// Of "d " one byte of two is in the first span.
	assert_eq!(paid(&attribution), [(0, 0..4, 1_750_000), (1, 4..12, 4_250_000)]);

	gains[0].gain_nats = 1.25;
	let attribution = attribute(&index, answer, &gains).unwrap();
	let words: Vec<Range<u32>> = paid(&attribution).into_iter().map(|span| span.1).collect();
	assert_eq!(words, [0..8, 8..12]);
	assert_eq!(attribution.spans[1].record_start, 4, "the piece's place in the record");
}

#[test]
fn pieces_should_be_dropped_when_they_are_too_short() {
	let index = index_of(&["a b c d e f g", "d e f g h i j k"]);
	let answer = "a b c d e f g h i j k";
	let attribution = attribute(&index, answer, &even_gains(answer, 1.0)).unwrap();
	assert_eq!(parts(&attribution), [(1, 1_000_000)]);
	assert!(attribution.unpaid.is_empty());
}

#[test]
fn pieces_should_go_to_whoever_has_their_words_first() {
	let index = index_of(&["x a b c d y", "a b c d e f", "e f g h i j k"]);
	let answer = "a b c d e f g h i j k";
	let attribution = attribute(&index, answer, &even_gains(answer, 1.0)).unwrap();
	// "a b c d e f" is contribution 1's; what is left of it stood in contribution 0 before.
	assert_eq!(index.matches(answer).unwrap()[0].owner.contribution, id(0, 1));
	let owners: Vec<(u32, Range<u32>)> =
		paid(&attribution).into_iter().map(|(owner, words, _)| (owner, words)).collect();
	assert_eq!(owners, [(0, 0..4), (2, 4..11)]);
	assert_eq!(attribution.evidence[0].count, 2);
}

#[test]
fn equal_gains_should_go_to_the_longer_then_to_the_earlier_span() {
	let index = index_of(&["a b c d e", "c d e f g h", "m n o p q r", "o p q r s t"]);
	let answer = "a b c d e f g h - m n o p q r s t";
	// All of the gain lies on words that both spans have.
	let gains = [gain(4..5, 1.0), gain(22..23, 1.0)];
	let attribution = attribute(&index, answer, &gains).unwrap();
	assert_eq!(paid(&attribution), [(1, 2..8, 1_000_000), (2, 8..14, 1_000_000)]);
}

#[test]
fn the_largest_gains_should_be_paid_when_there_are_too_many_spans() {
	let spans = MAX_CLAIM_SPANS as usize + MAX_UNPAID_SPANS + 10;
	let texts: Vec<String> = (0..spans).map(|n| format!("a{n} b{n} c{n} d{n}")).collect();
	let index = index_of(&texts.iter().map(String::as_str).collect::<Vec<_>>());
	let answer = texts.join(" ");
	let mut gains = even_gains(&answer, 0.0);
	for (n, gain) in gains.iter_mut().enumerate().filter(|(n, _)| n % 4 == 0) {
		gain.gain_nats = n as f32 / 4.0;
	}
	let attribution = attribute(&index, &answer, &gains).unwrap();
	let owners: Vec<u32> = paid(&attribution).into_iter().map(|span| span.0).collect();
	let first_paid = (spans - MAX_CLAIM_SPANS as usize) as u32;
	assert_eq!(owners, (first_paid..spans as u32).collect::<Vec<_>>());
	assert_eq!(attribution.claim(RequestId(0), ModelId(0), H256::zero()).check(), Ok(()));
	let unpaid: Vec<u32> =
		attribution.unpaid.iter().map(|shown| shown.span.contribution.index).collect();
	assert_eq!(unpaid, (10..first_paid).collect::<Vec<_>>());
	assert!(attribution.unpaid.iter().all(|shown| shown.span.gain_micro > 0));
}

#[test]
fn duplicates_should_change_nothing_for_whoever_was_first() {
	let original = contribution(4, 10, vec![text("You can park in the old town.")]);
	let answer = "Well, you can park in the old town.";
	let gains = even_gains(answer, 0.5);
	let alone = SpanIndex::build(vec![original.clone()]).unwrap();
	let expected = attribute(&alone, answer, &gains).unwrap();
	// Copies with a smaller id, in many records, but later.
	let copy = vec![text("You can park in the old town."); 500];
	let copied = SpanIndex::build(vec![contribution(0, 11, copy), original]).unwrap();
	let found = attribute(&copied, answer, &gains).unwrap();
	assert_eq!(found.spans, expected.spans);
	assert_eq!(found.shares, expected.shares);
	assert_eq!(found.evidence[0].count, 501);
}
