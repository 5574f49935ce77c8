//! Tests by topic.

mod conservation;
mod explanation;
mod ledger;
mod retention;
mod settlement;
mod split;

use crate::mock::*;
use openledger_primitives::{
	claim::{AttributionClaim, ContributionShare},
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

/// A claim for the answer to `request`.
fn claim(request: u64, shares: &[(ContributionId, u32)]) -> AttributionClaim {
	let shares: Vec<_> = shares
		.iter()
		.map(|(contribution, parts)| ContributionShare {
			contribution: *contribution,
			parts: *parts,
		})
		.collect();
	AttributionClaim {
		request: RequestId(request),
		model: MODEL,
		answer_hash: H256::repeat_byte(1),
		evidence_root: H256::repeat_byte(2),
		shares: shares.try_into().unwrap(),
	}
}

/// A claim in which Alice has 60 %, Bob 30 % and Carol 10 %.
fn three_shares(request: u64) -> AttributionClaim {
	claim(request, &[(ALICES, 600_000), (BOBS, 300_000), (CAROLS, 100_000)])
}
