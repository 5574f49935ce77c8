//! Attribution claims.

use codec::{Decode, Encode};
use openledger_primitives::{
	claim::{AttributionClaim, ClaimFault, ContributionShare, CLAIM_PARTS, MAX_CLAIM_SHARES},
	merkle,
	span::{evidence_root, shares_of, MatchedSpan, SpanFault, MAX_CLAIM_SPANS, MIN_SPAN_WORDS},
	Balance, BoundedVec, ContributionId, DatanetId, ModelId, RequestId, H256,
};
use proptest::{collection::vec, prelude::*};

/// A claim of these (datanet, index, parts).
fn claim(shares: &[(u32, u32, u32)]) -> AttributionClaim {
	let shares = shares
		.iter()
		.map(|(datanet, index, parts)| ContributionShare {
			contribution: ContributionId { datanet: DatanetId(*datanet), index: *index },
			parts: *parts,
		})
		.collect::<Vec<_>>();
	AttributionClaim {
		request: RequestId(1),
		model: ModelId(2),
		answer_hash: H256::repeat_byte(3),
		evidence_root: H256::repeat_byte(4),
		spans: BoundedVec::new(),
		shares: BoundedVec::try_from(shares).unwrap(),
	}
}

/// A span of contribution (1, `index`).
fn span(index: u32, answer_start: u32, words: u32, gain_micro: u32) -> MatchedSpan {
	MatchedSpan {
		contribution: ContributionId { datanet: DatanetId(1), index },
		leaf: H256::repeat_byte(9),
		proof: merkle::Proof { leaf_index: 0, leaf_count: 1, siblings: BoundedVec::new() },
		answer_start,
		record_start: 0,
		words,
		gain_micro,
	}
}

/// The claim that follows from these spans.
fn claim_of(spans: Vec<MatchedSpan>) -> AttributionClaim {
	AttributionClaim {
		evidence_root: evidence_root(&spans),
		shares: shares_of(&spans),
		spans: BoundedVec::try_from(spans).unwrap(),
		..claim(&[])
	}
}

#[test]
fn claim_should_be_accepted_when_its_shares_follow_from_its_spans() {
	let empty = AttributionClaim { evidence_root: H256::zero(), ..claim(&[]) };
	assert_eq!(empty.check(), Ok(()));
	// Gains 1, 2 and 1: a quarter, and three quarters.
	let claim = claim_of(vec![span(2, 0, 4, 1), span(1, 5, 4, 2), span(2, 9, 4, 1)]);
	let parts: Vec<_> = claim.shares.iter().map(|s| (s.contribution.index, s.parts)).collect();
	assert_eq!(parts, [(1, 500_000), (2, 500_000)]);
	assert_eq!(claim.check(), Ok(()));
	let full = (0..MAX_CLAIM_SPANS).map(|index| span(index, index * 4, 4, 7)).collect();
	assert_eq!(claim_of(full).check(), Ok(()));
}

#[test]
fn shares_should_be_refused_with_their_fault() {
	for (shares, fault) in [
		(vec![(1, 0, CLAIM_PARTS), (1, 1, 0)], ClaimFault::EmptyShare),
		(vec![(1, 1, 500_000), (1, 0, 500_000)], ClaimFault::NotSorted),
		(vec![(1, 1, 500_000), (1, 1, 500_000)], ClaimFault::NotSorted),
		(vec![(2, 0, 500_000), (1, 1, 500_000)], ClaimFault::NotSorted),
		(vec![(1, 0, CLAIM_PARTS - 1)], ClaimFault::WrongTotal),
		(vec![(1, 0, CLAIM_PARTS + 1)], ClaimFault::WrongTotal),
		(vec![(1, 0, CLAIM_PARTS), (1, 1, 1)], ClaimFault::WrongTotal),
		// 2^32 more than the whole does not wrap round to it.
		(vec![(1, 0, u32::MAX), (1, 1, 1), (1, 2, CLAIM_PARTS)], ClaimFault::WrongTotal),
	] {
		assert_eq!(claim(&shares).check(), Err(fault), "{shares:?}");
	}
}

#[test]
fn claim_should_be_refused_when_shares_evidence_and_spans_disagree() {
	let honest = claim_of(vec![span(1, 0, 4, 1), span(2, 4, 4, 3)]);
	assert_eq!(honest.check(), Ok(()));

	let mut greedy = honest.clone();
	greedy.shares = claim(&[(1, 1, 250_001), (1, 2, 749_999)]).shares;
	assert_eq!(greedy.check(), Err(ClaimFault::SharesContradictSpans));
	let silent = AttributionClaim { shares: BoundedVec::new(), ..honest.clone() };
	assert_eq!(silent.check(), Err(ClaimFault::SharesContradictSpans));

	let other_root = AttributionClaim { evidence_root: H256::zero(), ..honest.clone() };
	assert_eq!(other_root.check(), Err(ClaimFault::WrongEvidenceRoot));
	let mut other_span = honest.clone();
	other_span.spans[1].record_start += 1;
	assert_eq!(other_span.check(), Err(ClaimFault::WrongEvidenceRoot));

	for (spans, fault) in [
		(vec![span(1, 0, MIN_SPAN_WORDS - 1, 1)], SpanFault::TooShort),
		(vec![span(1, 0, 4, 0)], SpanFault::NoGain),
		(vec![span(1, 0, 4, 1), span(1, 3, 4, 1)], SpanFault::Overlapping),
		(vec![span(1, 4, 4, 1), span(1, 0, 4, 1)], SpanFault::Overlapping),
		(vec![span(1, 0, u32::MAX, 1), span(1, u32::MAX - 1, 4, 1)], SpanFault::Overlapping),
	] {
		assert_eq!(claim_of(spans).check(), Err(ClaimFault::Span(fault)));
	}
}

#[test]
fn claim_should_not_decode_when_it_names_too_many() {
	let with = |spans: usize, shares: usize| {
		let head = (RequestId(1), ModelId(2), H256::zero(), H256::zero());
		(head, vec![span(1, 0, 4, 1); spans], vec![(1u32, 2u32, 3u32); shares]).encode()
	};
	assert!(AttributionClaim::decode(&mut &with(64, 64)[..]).is_ok());
	let most = MAX_CLAIM_SHARES as usize;
	assert!(AttributionClaim::decode(&mut &with(0, most + 1)[..]).is_err());
	assert!(AttributionClaim::decode(&mut &with(most + 1, 0)[..]).is_err());
}

#[test]
fn claim_should_divide_nothing_when_it_names_nobody() {
	assert_eq!(claim(&[]).divide(100), None);
	assert_eq!(claim(&[(1, 0, 250_000), (1, 1, 750_000)]).divide(101), Some(vec![25, 76]));
}

proptest! {
	#[test]
	fn divided_amount_should_sum_to_the_whole(
		amount: Balance,
		parts in vec(1..=CLAIM_PARTS, 1..=64),
	) {
		let shares: Vec<_> = parts.iter().zip(0..).map(|(parts, index)| (1, index, *parts)).collect();
		let divided = claim(&shares).divide(amount).unwrap();
		prop_assert_eq!(divided.len(), parts.len());
		let sum = divided.iter().try_fold(0u128, |sum, part| sum.checked_add(*part));
		prop_assert_eq!(sum, Some(amount));
	}

	#[test]
	fn claim_should_be_whole_whatever_the_gains(
		spans in vec((0u32..8, 1..=u32::MAX, MIN_SPAN_WORDS..100), 0..=64),
	) {
		let mut start = 0;
		let spans: Vec<_> = spans
			.into_iter()
			.map(|(index, gain, words)| {
				start += words;
				span(index, start - words, words, gain)
			})
			.collect();
		let claim = claim_of(spans);
		prop_assert_eq!(claim.check(), Ok(()));
		prop_assert_eq!(claim.shares.is_empty(), claim.spans.is_empty());
	}

	#[test]
	fn larger_gain_should_never_get_the_smaller_share(
		gains in vec(1..=u32::MAX, 2..=64),
	) {
		let spans: Vec<_> =
			gains.iter().zip(0..).map(|(gain, index)| span(index, index * 4, 4, *gain)).collect();
		let shares = shares_of(&spans);
		let parts = |index: u32| {
			shares.iter().find(|s| s.contribution.index == index).map_or(0, |s| s.parts)
		};
		for (a, x) in gains.iter().zip(0..) {
			for (b, y) in gains.iter().zip(0..) {
				prop_assert!(a < b || parts(x) >= parts(y));
			}
		}
	}

	#[test]
	fn splitting_a_span_should_change_no_share(
		first in 1..1_000_000u32, second in 1..1_000_000u32, other in 1..1_000_000u32,
	) {
		let whole = shares_of(&[span(1, 0, 8, first + second), span(2, 8, 4, other)]);
		let split =
			shares_of(&[span(1, 0, 4, first), span(1, 4, 4, second), span(2, 8, 4, other)]);
		prop_assert_eq!(whole, split);
	}
}
