//! The attribution claim: which contributions an answer owes its content to.

use crate::{
	shares,
	span::{self, MatchedSpans, SpanFault},
	Balance, BoundedVec, ConstU32, ContributionId, ModelId, RequestId, H256,
};
use alloc::vec::Vec;
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use scale_info::TypeInfo;

/// The most contributions one claim can name.
pub const MAX_CLAIM_SHARES: u32 = 64;

/// The parts of a claim that names any contribution sum to exactly this: parts per million.
pub const CLAIM_PARTS: u32 = 1_000_000;

/// One contribution's share of an answer.
#[derive(
	Clone,
	Copy,
	PartialEq,
	Eq,
	Debug,
	Encode,
	Decode,
	DecodeWithMemTracking,
	MaxEncodedLen,
	TypeInfo,
)]
pub struct ContributionShare {
	/// The contribution.
	pub contribution: ContributionId,
	/// Its part of [`CLAIM_PARTS`], never 0.
	pub parts: u32,
}

/// A worker's statement of what an answer owes to which contributions.
#[derive(
	Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct AttributionClaim {
	/// The request that was answered.
	pub request: RequestId,
	/// The model that answered.
	pub model: ModelId,
	/// Hash of the answer's canonical bytes.
	pub answer_hash: H256,
	/// Merkle root over the spans ([`span::evidence_root`]), by which the evidence is known once the
	/// chain has forgotten it.
	pub evidence_root: H256,
	/// What the shares follow from, in the order of the answer.
	pub spans: MatchedSpans,
	/// Shares, sorted by contribution, each contribution once, or none when no contribution can be
	/// shown to have caused the answer.
	pub shares: BoundedVec<ContributionShare, ConstU32<MAX_CLAIM_SHARES>>,
}

/// What is wrong with a claim's shares.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ClaimFault {
	/// A share of zero parts.
	EmptyShare,
	/// The shares are not in strictly ascending order of contribution.
	NotSorted,
	/// The parts do not sum to [`CLAIM_PARTS`].
	WrongTotal,
	/// A span is not one that could be paid.
	Span(SpanFault),
	/// The root is not that of the spans.
	WrongEvidenceRoot,
	/// The shares are not those that follow from the spans.
	SharesContradictSpans,
}

impl AttributionClaim {
	/// Checks order, emptiness and sum of the shares.
	fn check_shares(&self) -> Result<(), ClaimFault> {
		if self.shares.is_empty() {
			return Ok(());
		}
		if self.shares.iter().any(|share| share.parts == 0) {
			return Err(ClaimFault::EmptyShare);
		}
		let ascending = self
			.shares
			.iter()
			.zip(self.shares.iter().skip(1))
			.all(|(left, right)| left.contribution < right.contribution);
		if !ascending {
			return Err(ClaimFault::NotSorted);
		}
		let total: u64 =
			self.shares.iter().fold(0, |sum, share| u64::saturating_add(sum, share.parts.into()));
		if total != u64::from(CLAIM_PARTS) {
			return Err(ClaimFault::WrongTotal);
		}
		Ok(())
	}

	/// Checks what can be checked without any storage: the shares, the spans, and that one follows
	/// from the other.
	pub fn check(&self) -> Result<(), ClaimFault> {
		self.check_shares()?;
		span::check(&self.spans).map_err(ClaimFault::Span)?;
		if self.evidence_root != span::evidence_root(&self.spans) {
			return Err(ClaimFault::WrongEvidenceRoot);
		}
		if self.shares != span::shares_of(&self.spans) {
			return Err(ClaimFault::SharesContradictSpans);
		}
		Ok(())
	}

	/// Divides `amount` planks over the shares, in the claim's order; the parts sum to `amount`.
	/// `None` when the claim names nobody.
	pub fn divide(&self, amount: Balance) -> Option<Vec<Balance>> {
		let weights: Vec<u64> = self.shares.iter().map(|share| u64::from(share.parts)).collect();
		shares::divide(amount, &weights)
	}
}
