//! From an answer and the gains on its tokens to a claim and its evidence.

use crate::{
	choice::{choose, Candidate},
	gain::Gains,
	matches::Answer,
	AttributionError, SpanIndex, TokenGain,
};
use openledger_primitives::{
	claim::{AttributionClaim, ContributionShare, MAX_CLAIM_SHARES},
	contribution::SaltedRecord,
	span::{self, MatchedSpan, MatchedSpans, MAX_CLAIM_SPANS},
	BoundedVec, ConstU32, ModelId, RequestId, H256,
};
use std::ops::Range;

/// The most spans that are kept for readers beside those that are paid.
pub const MAX_UNPAID_SPANS: usize = MAX_CLAIM_SPANS as usize;

/// A span with everything that shows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SpanEvidence {
	/// The span as it stands in the claim. One that is not paid has a gain of 0, or was beyond
	/// [`MAX_CLAIM_SPANS`].
	pub span: MatchedSpan,
	/// Its bytes in the answer, from the first word to the last.
	pub answer_bytes: Range<usize>,
	/// How often its words occur in the records, all repeats counted.
	pub count: u32,
	/// The record and its salt. The record's number is the leaf index of the span's proof.
	pub record: SaltedRecord,
}

/// What an answer owes to whom, and why.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Attribution {
	/// The spans that are paid, in the order of the answer.
	pub spans: MatchedSpans,
	/// Each contribution's part, in millionths.
	pub shares: BoundedVec<ContributionShare, ConstU32<MAX_CLAIM_SHARES>>,
	/// The root over the spans, by which the evidence is known.
	pub evidence_root: H256,
	/// The evidence of the spans that are paid, in the same order.
	pub evidence: Vec<SpanEvidence>,
	/// Spans that are not paid, in the order of the answer, for readers.
	pub unpaid: Vec<SpanEvidence>,
}

impl Attribution {
	/// The claim for the chain. Its `check` holds.
	pub fn claim(&self, request: RequestId, model: ModelId, answer_hash: H256) -> AttributionClaim {
		AttributionClaim {
			request,
			model,
			answer_hash,
			evidence_root: self.evidence_root,
			spans: self.spans.clone(),
			shares: self.shares.clone(),
		}
	}
}

/// Attributes an answer: finds its maximal spans, chooses those that count, and sums what the adapter
/// gained on each.
///
/// Of the maximal spans, the one with the largest gain is taken first (of equal ones the longest,
/// then the first), its words are cut off the others, and so on. Each span goes to whoever has its
/// words first, looked up anew after it was cut. The first [`MAX_CLAIM_SPANS`] with any gain are paid.
///
/// # Errors
///
/// [`AttributionError`] when the answer is too long, a token does not lie in it or overlaps another,
/// or a gain is not finite.
pub fn attribute(
	index: &SpanIndex,
	answer: &str,
	token_gains: &[TokenGain],
) -> Result<Attribution, AttributionError> {
	let gains = Gains::new(token_gains, answer.len())?;
	let answer = index.read_answer(answer)?;
	let gain_of = |words: &Range<usize>| answer.bytes_of(words).map_or(0, |bytes| gains.of(&bytes));
	let limit = MAX_CLAIM_SPANS as usize + MAX_UNPAID_SPANS;
	let mut paid = choose(index.maximal_spans(&answer), limit, gain_of);
	let with_gain = paid.iter().take_while(|chosen| chosen.gain > 0).count();
	let mut unpaid = paid.split_off(with_gain.min(MAX_CLAIM_SPANS as usize));
	unpaid.truncate(MAX_UNPAID_SPANS);

	let evidence = show(index, &answer, paid);
	// As many as were taken at most.
	let spans = evidence.iter().map(|shown| shown.span.clone()).collect();
	let spans = MatchedSpans::truncate_from(spans);
	Ok(Attribution {
		shares: span::shares_of(&spans),
		evidence_root: span::evidence_root(&spans),
		spans,
		evidence,
		unpaid: show(index, &answer, unpaid),
	})
}

/// The evidence of the chosen spans, in the order of the answer.
fn show(index: &SpanIndex, answer: &Answer, mut chosen: Vec<Candidate>) -> Vec<SpanEvidence> {
	chosen.sort_unstable_by_key(|chosen| chosen.words.start);
	// Every chosen span is part of one that was found, so none is left out.
	chosen.into_iter().filter_map(|chosen| show_one(index, answer, chosen)).collect()
}

fn show_one(index: &SpanIndex, answer: &Answer, chosen: Candidate) -> Option<SpanEvidence> {
	let found = index.find(answer, chosen.words)?;
	let located = index.locate(found.first)?;
	Some(SpanEvidence {
		span: MatchedSpan {
			contribution: found.owner.contribution,
			leaf: located.record.leaf(),
			proof: located.tree.prove(found.owner.record)?,
			answer_start: found.words.start,
			record_start: found.owner.record_start,
			words: found.words.end.checked_sub(found.words.start)?,
			gain_micro: u32::try_from(chosen.gain).unwrap_or(u32::MAX),
		},
		answer_bytes: found.bytes,
		count: found.count,
		record: located.record.clone(),
	})
}
