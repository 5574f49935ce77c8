//! Tests by topic.

mod conservation;
mod evidence;
mod explanation;
mod ledger;
mod retention;
mod settlement;
mod split;

use crate::mock::*;
use openledger_primitives::{
	claim::AttributionClaim,
	span::{evidence_root, shares_of, MatchedSpan, MIN_SPAN_WORDS},
	traits::PaidAnswer,
	ContributionId, RequestId, H256,
};

/// An answer by `HOST` for `PAYER`.
fn answer(request: u64, fee: Balance) -> PaidAnswer<AccountId> {
	PaidAnswer {
		request: RequestId(request),
		model: MODEL,
		model_owner: MODEL_OWNER,
		host: HOST,
		payer: PAYER,
		fee,
	}
}

/// A span of a contribution's record, `MIN_SPAN_WORDS` long.
fn span(contribution: ContributionId, record: u32, answer_start: u32, gain: u32) -> MatchedSpan {
	MatchedSpan {
		contribution,
		leaf: record_leaf(contribution, record),
		proof: records(contribution).prove(record).unwrap(),
		answer_start,
		record_start: 0,
		words: MIN_SPAN_WORDS,
		gain_micro: gain,
	}
}

/// The claim that follows from spans.
fn claim_from(request: u64, spans: Vec<MatchedSpan>) -> AttributionClaim {
	AttributionClaim {
		request: RequestId(request),
		model: MODEL,
		answer_hash: H256::repeat_byte(1),
		evidence_root: evidence_root(&spans),
		shares: shares_of(&spans),
		spans: spans.try_into().unwrap(),
	}
}

/// A claim for the answer to `request` with a span of each contribution, gains given in millionths
/// of a nat: when they sum to a million, they are the shares.
fn claim(request: u64, gains: &[(ContributionId, u32)]) -> AttributionClaim {
	let spans = gains.iter().enumerate().map(|(number, (contribution, gain))| {
		let number = number as u32;
		span(*contribution, number % RECORDS, number * MIN_SPAN_WORDS, *gain)
	});
	claim_from(request, spans.collect())
}

/// A claim in which Alice has 60 %, Bob 30 % and Carol 10 %.
fn three_shares(request: u64) -> AttributionClaim {
	claim(request, &[(ALICES, 600_000), (BOBS, 300_000), (CAROLS, 100_000)])
}
