//! Matched spans: runs of words of an answer that also stand in a training record.
//!
//! A span is evidence that anybody can check: the record's leaf leads to its contribution's root on
//! chain, whoever is shown the record and its salt gets the same leaf, and the words at the two
//! places are the same ([`crate::words`]). A span earns what the adapter gained on it over the base
//! model: the sum, over its tokens, of log p with the adapter minus log p without, where positive.

use crate::{
	claim::{ContributionShare, CLAIM_PARTS, MAX_CLAIM_SHARES},
	hashing, merkle, shares, Balance, BoundedVec, ConstU32, ContributionId, H256,
};
use alloc::{collections::BTreeMap, vec::Vec};
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use scale_info::TypeInfo;

/// The most spans one claim can hold: as many as it can name contributions.
pub const MAX_CLAIM_SPANS: u32 = MAX_CLAIM_SHARES;

/// The fewest words that make a span. Shorter runs are everybody's language.
pub const MIN_SPAN_WORDS: u32 = 4;

/// The spans of one answer.
pub type MatchedSpans = BoundedVec<MatchedSpan, ConstU32<MAX_CLAIM_SPANS>>;

/// A run of words that an answer has in common with a training record.
#[derive(
	Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct MatchedSpan {
	/// The contribution that has the record. Of several that have the same words, the one that was
	/// contributed first.
	pub contribution: ContributionId,
	/// The record's leaf ([`crate::record::record_leaf`]).
	pub leaf: H256,
	/// The path from the leaf to the contribution's root; its leaf index is the record's number.
	pub proof: merkle::Proof,
	/// The first word of the span, counted in the answer.
	pub answer_start: u32,
	/// The first word of the span, counted in the record ([`crate::words::passages`]).
	pub record_start: u32,
	/// How many words the span has, at least [`MIN_SPAN_WORDS`].
	pub words: u32,
	/// What the adapter gained on the span, in millionths of a nat, at least 1.
	pub gain_micro: u32,
}

/// What is wrong with the spans of a claim.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SpanFault {
	/// Fewer words than [`MIN_SPAN_WORDS`].
	TooShort,
	/// The adapter gained nothing on it.
	NoGain,
	/// It begins before the span before it ends.
	Overlapping,
}

/// Checks what can be checked without any storage: the spans are long enough, earn something, and
/// stand one after the other in the answer, so that no word is paid twice.
pub fn check(spans: &[MatchedSpan]) -> Result<(), SpanFault> {
	let mut free_from: u64 = 0;
	for span in spans {
		if span.words < MIN_SPAN_WORDS {
			return Err(SpanFault::TooShort);
		}
		if span.gain_micro == 0 {
			return Err(SpanFault::NoGain);
		}
		let start = u64::from(span.answer_start);
		if start < free_from {
			return Err(SpanFault::Overlapping);
		}
		free_from = start.saturating_add(span.words.into());
	}
	Ok(())
}

/// The Merkle root over the spans, by which an answer's evidence is known. Zero when there are none.
pub fn evidence_root(spans: &[MatchedSpan]) -> H256 {
	let hash = |span: &MatchedSpan| hashing::hash("openledger/span", &[&span.encode()]);
	let leaves: Vec<H256> = spans.iter().map(hash).collect();
	merkle::root(&leaves).unwrap_or_default()
}

/// The shares that follow from the spans: parts per million in proportion to each contribution's
/// sum of gains, by largest remainder, sorted by contribution; contributions that round to nothing
/// are left out.
pub fn shares_of(
	spans: &[MatchedSpan],
) -> BoundedVec<ContributionShare, ConstU32<MAX_CLAIM_SHARES>> {
	let mut gains: BTreeMap<ContributionId, u64> = BTreeMap::new();
	for span in spans {
		let sum = gains.entry(span.contribution).or_default();
		*sum = sum.saturating_add(span.gain_micro.into());
	}
	let weights: Vec<u64> = gains.values().copied().collect();
	let parts = shares::divide(Balance::from(CLAIM_PARTS), &weights).unwrap_or_default();
	let shares = gains.keys().zip(parts).filter_map(|(contribution, parts)| {
		let parts = u32::try_from(parts).ok().filter(|parts| *parts > 0)?;
		Some(ContributionShare { contribution: *contribution, parts })
	});
	// There are at most as many contributions as spans, and as many shares fit as spans.
	BoundedVec::truncate_from(shares.take(MAX_CLAIM_SHARES as usize).collect())
}
