//! Whether what a claim shows is true.

use super::*;
use crate::{Error, SettlementWeight, Settlements};
use frame_support::{assert_noop, assert_ok, weights::Weight};
use openledger_primitives::{
	claim::ContributionShare, span::MAX_CLAIM_SPANS, traits::Settlement, DatanetId,
};
use sp_runtime::traits::Convert;

/// `claim` is refused for `why`, and nothing moves.
fn refused(claim: AttributionClaim, why: Error<Test>) {
	ExtBuilder::default().build_and_execute(|| {
		assert_noop!(Attribution::settle(answer(0, 1_000), &claim), why);
	});
}

/// `change` makes a true claim false for `why`. Roots and shares follow from the changed spans, so that
/// nothing but the change is wrong.
fn refused_spans(change: impl FnOnce(&mut Vec<MatchedSpan>), why: Error<Test>) {
	ExtBuilder::default().build_and_execute(|| {
		let mut spans = three_shares(0).spans.into_inner();
		change(&mut spans);
		let claim = claim_from(0, spans);
		assert_noop!(Attribution::settle(answer(0, 1_000), &claim), why);
		assert_ok!(Attribution::settle(answer(0, 1_000), &three_shares(0)));
	});
}

fn share(contribution: ContributionId, parts: u32) -> ContributionShare {
	ContributionShare { contribution, parts }
}

#[test]
fn claim_should_be_refused_when_the_leaf_is_forged() {
	refused_spans(|spans| spans[1].leaf = H256::repeat_byte(7), Error::SpanNotInContribution);
}

#[test]
fn claim_should_be_refused_when_the_path_is_another_records() {
	refused_spans(
		|spans| spans[0].proof = records(ALICES).prove(2).unwrap(),
		Error::SpanNotInContribution,
	);
	// The right path under a wrong number.
	refused_spans(|spans| spans[0].proof.leaf_index = 1, Error::SpanNotInContribution);
	refused_spans(|spans| spans[0].proof.leaf_index = RECORDS, Error::SpanNotInContribution);
}

#[test]
fn claim_should_be_refused_when_the_record_is_another_contributions() {
	refused_spans(
		|spans| {
			spans[0].leaf = record_leaf(BOBS, 0);
			spans[0].proof = records(BOBS).prove(0).unwrap();
		},
		Error::SpanNotInContribution,
	);
	// Bob says that Alice's record is his.
	refused_spans(|spans| spans[0].contribution = BOBS, Error::SpanNotInContribution);
}

#[test]
fn claim_should_be_refused_when_the_path_has_siblings_too_many_or_too_few() {
	refused_spans(
		|spans| spans[0].proof.siblings.try_push(H256::zero()).unwrap(),
		Error::SpanNotInContribution,
	);
	refused_spans(
		|spans| {
			spans[0].proof.siblings.pop();
		},
		Error::SpanNotInContribution,
	);
}

#[test]
fn claim_should_be_refused_when_the_tree_has_not_as_many_records_as_the_contribution() {
	ExtBuilder::default().build_and_execute(|| {
		// The chain was told of one record more than the root has.
		let mut accepted = Accepted::get();
		accepted.get_mut(&ALICES).unwrap().3 += 1;
		Accepted::set(&accepted);
		assert_noop!(
			Attribution::settle(answer(0, 1_000), &three_shares(0)),
			Error::<Test>::SpanNotInContribution
		);
	});
	refused_spans(|spans| spans[0].proof.leaf_count += 1, Error::SpanNotInContribution);
}

#[test]
fn claim_should_be_refused_when_a_contribution_is_not_in_the_model() {
	let unknown = ContributionId { datanet: DatanetId(1), index: 99 };
	let no_datanet = ContributionId { datanet: DatanetId(99), index: 0 };
	for outside in [REJECTED, TOO_NEW, ELSEWHERE, unknown, no_datanet] {
		refused(claim(0, &[(outside, 1_000_000)]), Error::ContributionNotInModel);
		let behind = claim(0, &[(ALICES, 500_000), (outside, 500_000)]);
		refused(behind, Error::ContributionNotInModel);
	}
}

#[test]
fn claim_should_be_refused_when_an_outsider_has_a_span_and_no_share() {
	// Its gain rounds to no part of a million, so it earns nothing: it is refused all the same.
	let claim = claim(0, &[(ALICES, u32::MAX), (TOO_NEW, 1)]);
	assert_eq!(claim.shares.len(), 1);
	refused(claim, Error::ContributionNotInModel);
}

#[test]
fn claim_should_be_refused_when_spans_overlap_or_are_out_of_order() {
	refused_spans(|spans| spans[1].answer_start = MIN_SPAN_WORDS - 1, Error::SpansOverlap);
	refused_spans(|spans| spans[0].words += 1, Error::SpansOverlap);
	refused_spans(|spans| spans.swap(0, 1), Error::SpansOverlap);
	// The same words twice, which would pay the same contribution twice.
	refused_spans(|spans| spans.insert(0, spans[0].clone()), Error::SpansOverlap);
}

#[test]
fn claim_should_be_refused_when_a_span_is_short_or_gained_nothing() {
	refused_spans(|spans| spans[2].words = MIN_SPAN_WORDS - 1, Error::SpanTooShort);
	refused_spans(|spans| spans[2].gain_micro = 0, Error::SpanWithoutGain);
}

#[test]
fn claim_should_be_refused_when_shares_do_not_follow_from_spans() {
	let with = |shares: Vec<ContributionShare>| AttributionClaim {
		shares: shares.try_into().unwrap(),
		..three_shares(0)
	};
	let tilted = vec![share(ALICES, 600_001), share(BOBS, 299_999), share(CAROLS, 100_000)];
	refused(with(tilted), Error::SharesContradictSpans);
	refused(with(vec![share(ALICES, 1_000_000)]), Error::SharesContradictSpans);
	// Somebody of the model whom no span names.
	let stranger = vec![share(ALICES, 600_000), share(ALICES_SECOND, 400_000)];
	refused(with(stranger), Error::SharesContradictSpans);
	refused(with(vec![]), Error::SharesContradictSpans);
	let without_spans = AttributionClaim {
		spans: Default::default(),
		evidence_root: H256::zero(),
		..three_shares(0)
	};
	refused(without_spans, Error::SharesContradictSpans);
}

#[test]
fn claim_should_be_refused_when_shares_are_malformed() {
	let refused = |shares: Vec<ContributionShare>, why| {
		let shares = shares.try_into().unwrap();
		refused(AttributionClaim { shares, ..three_shares(0) }, why);
	};
	refused(vec![share(ALICES, 1_000_000), share(BOBS, 0)], Error::EmptyShare);
	refused(vec![share(BOBS, 500_000), share(ALICES, 500_000)], Error::SharesNotSorted);
	refused(vec![share(ALICES, 500_000), share(ALICES, 500_000)], Error::SharesNotSorted);
	refused(vec![share(ALICES, 999_999)], Error::SharesNotWhole);
	refused(vec![share(ALICES, 1_000_001)], Error::SharesNotWhole);
	refused(vec![share(ALICES, u32::MAX), share(BOBS, u32::MAX)], Error::SharesNotWhole);
}

#[test]
fn claim_should_be_refused_when_the_evidence_root_is_another() {
	let other = AttributionClaim { evidence_root: H256::repeat_byte(2), ..three_shares(0) };
	refused(other, Error::WrongEvidenceRoot);
	let nothing = AttributionClaim { evidence_root: H256::repeat_byte(2), ..claim(0, &[]) };
	refused(nothing, Error::WrongEvidenceRoot);
}

#[test]
fn claim_should_pay_a_contribution_once_for_all_its_spans() {
	ExtBuilder::default().build_and_execute(|| {
		let spans = vec![
			span(ALICES, 0, 0, 250_000),
			span(BOBS, 1, 10, 500_000),
			span(ALICES, 2, 20, 250_000),
		];
		assert_ok!(Attribution::settle(answer(0, 1_000), &claim_from(0, spans)));
		let record = Settlements::<Test>::get(RequestId(0)).unwrap();
		let lines: Vec<_> = record.lines.iter().map(|line| (line.owner, line.amount)).collect();
		assert_eq!(lines, vec![(ALICE, 250), (BOB, 250)]);
	});
}

#[test]
fn claim_should_weigh_its_shares_spans_and_siblings() {
	let weight = |claim: &AttributionClaim| SettlementWeight::<Test>::convert(claim);
	let settle = <() as crate::weights::WeightInfo>::settle;
	// Of three records, two have a path of two siblings and the last one of one.
	assert_eq!(weight(&three_shares(0)), settle(3, 3, 2 + 2 + 1));
	assert_eq!(weight(&claim(0, &[])), settle(0, 0, 0));
	let more = |a: Weight, b: Weight| a.all_gt(b) || (a.ref_time() > b.ref_time());
	assert!(more(settle(1, 1, 1), settle(0, 1, 1)));
	assert!(more(settle(1, 2, 1), settle(1, 1, 1)));
	assert!(more(settle(1, 1, 2), settle(1, 1, 1)));
}

#[test]
fn claim_should_hold_as_many_spans_as_it_can_have() {
	ExtBuilder::default().build_and_execute(|| {
		let spans = (0..MAX_CLAIM_SPANS)
			.map(|number| span(ALICES, number % RECORDS, number * MIN_SPAN_WORDS, 1))
			.collect();
		assert_ok!(Attribution::settle(answer(0, 1_000), &claim_from(0, spans)));
		assert_eq!(Attribution::unpaid(ALICE), 500);
	});
}
