//! Attribution claims.

use codec::{Decode, Encode};
use openledger_primitives::{
	claim::{AttributionClaim, ClaimFault, ContributionShare, CLAIM_PARTS, MAX_CLAIM_SHARES},
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
		shares: BoundedVec::try_from(shares).unwrap(),
	}
}

#[test]
fn shares_should_be_accepted_when_sorted_and_whole() {
	assert_eq!(claim(&[]).check_shares(), Ok(()));
	assert_eq!(claim(&[(1, 0, CLAIM_PARTS)]).check_shares(), Ok(()));
	// Sorted by datanet first.
	assert_eq!(claim(&[(1, 9, 400_000), (2, 0, 599_999), (2, 1, 1)]).check_shares(), Ok(()));
	let full: Vec<_> = (0..MAX_CLAIM_SHARES).map(|index| (1, index, 15_625)).collect();
	assert_eq!(claim(&full).check_shares(), Ok(()));
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
		assert_eq!(claim(&shares).check_shares(), Err(fault), "{shares:?}");
	}
}

#[test]
fn claim_should_not_decode_when_it_names_too_many() {
	let mut bytes = claim(&[]).encode();
	bytes.pop();
	bytes.extend(vec![(1u32, 2u32, 3u32); MAX_CLAIM_SHARES as usize + 1].encode());
	assert!(AttributionClaim::decode(&mut &bytes[..]).is_err());
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
}
