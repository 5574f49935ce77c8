//! Choosing by weight.

use openledger_primitives::{
	selection::{seed, weighted_index},
	H256,
};
use proptest::{collection::vec, prelude::*};

fn seeds(count: u32) -> impl Iterator<Item = H256> {
	(0..count).map(|attempt| seed(H256::repeat_byte(7), b"test", attempt))
}

#[test]
fn choice_should_be_in_proportion_to_weight() {
	let weights = [1u128, 0, 2, 3, 4];
	let mut chosen = [0u32; 5];
	for seed in seeds(10_000) {
		chosen[weighted_index(seed, weights.into_iter()).unwrap()] += 1;
	}
	assert_eq!(chosen[1], 0);
	for (count, weight) in chosen.iter().zip(weights) {
		// Standard deviation at most 49; four of them.
		assert!(count.abs_diff(weight as u32 * 1_000) < 200, "{chosen:?}");
	}
}

#[test]
fn choice_should_reach_both_ends() {
	let at =
		|point: u64| weighted_index(H256::from_low_u64_be(point), [0u128, 2, 0, 3, 0].into_iter());
	assert_eq!([0, 1, 2, 4, 5].map(at), [Some(1), Some(1), Some(3), Some(3), Some(1)]);
}

#[test]
fn choice_should_not_exist_when_weights_are_zero() {
	assert_eq!(weighted_index(H256::zero(), [].into_iter()), None);
	assert_eq!(weighted_index(H256::repeat_byte(255), [0u128; 3].into_iter()), None);
}

#[test]
fn seed_should_depend_on_everything() {
	let one = seed(H256::repeat_byte(1), b"job", 0);
	assert_ne!(one, seed(H256::repeat_byte(2), b"job", 0));
	assert_ne!(one, seed(H256::repeat_byte(1), b"jobs", 0));
	assert_ne!(one, seed(H256::repeat_byte(1), b"job", 1));
}

proptest! {
	#[test]
	fn choice_should_have_weight_and_be_repeatable(
		seed in any::<[u8; 32]>(),
		weights in vec(prop_oneof![Just(0u128), any::<u128>(), Just(u128::MAX)], 0..50),
	) {
		let chosen = weighted_index(H256(seed), weights.iter().copied());
		prop_assert_eq!(chosen, weighted_index(H256(seed), weights.iter().copied()));
		match chosen {
			Some(index) => prop_assert!(weights[index] > 0),
			None => prop_assert!(weights.iter().all(|weight| *weight == 0)),
		}
	}
}
