//! Exact division.

use openledger_primitives::{
	shares::{divide, FeeSplit},
	Balance,
};
use primitive_types::U256;
use proptest::{collection::vec, prelude::*};

#[test]
fn left_over_planks_should_go_to_the_largest_remainders() {
	assert_eq!(divide(10, &[1, 1, 1]), Some(vec![4, 3, 3]));
	assert_eq!(divide(11, &[1, 1, 1]), Some(vec![4, 4, 3]));
	assert_eq!(divide(10, &[2, 3, 1]), Some(vec![3, 5, 2]));
	assert_eq!(divide(1, &[1, 2]), Some(vec![0, 1]));
	assert_eq!(divide(1, &[0, 1, 0]), Some(vec![0, 1, 0]));
	assert_eq!(divide(0, &[1, 2]), Some(vec![0, 0]));
	assert_eq!(divide(Balance::MAX, &[u64::MAX]), Some(vec![Balance::MAX]));
}

#[test]
fn division_should_fail_when_nobody_has_weight() {
	assert_eq!(divide(10, &[]), None);
	assert_eq!(divide(10, &[0, 0]), None);
	assert_eq!(divide(0, &[0]), None);
}

#[test]
fn division_should_be_exact_when_everything_is_as_large_as_possible() {
	let parts = divide(Balance::MAX, &[u64::MAX; 10_000]).unwrap();
	assert_eq!(parts.iter().sum::<Balance>(), Balance::MAX);
	let (least, most) = (parts.iter().min().unwrap(), parts.iter().max().unwrap());
	assert!(most - least <= 1);
	// Equal remainders: the left-over planks go to the first.
	assert!(parts.windows(2).all(|pair| pair[0] >= pair[1]));
}

#[test]
fn genesis_split_should_be_whole_and_exact() {
	assert!(FeeSplit::GENESIS.is_whole());
	let parts = FeeSplit::GENESIS.divide(1_000_000).unwrap();
	assert_eq!(
		[parts.contributors, parts.host, parts.model_owner, parts.validators, parts.treasury],
		[500_000, 200_000, 100_000, 100_000, 100_000]
	);
	// Quotas of 0.5, 0.2, 0.1, 0.1 and 0.1 planks.
	assert_eq!(FeeSplit::GENESIS.divide(1).unwrap().contributors, 1);
}

#[test]
fn split_should_not_be_whole_when_parts_are_off() {
	let off = |contributors| FeeSplit { contributors, ..FeeSplit::GENESIS };
	assert!(!off(4_999).is_whole());
	assert!(!off(5_001).is_whole());
	// 65_536 more than the whole does not wrap round to it.
	let wrapping = FeeSplit { contributors: u16::MAX, host: 5_001, ..FeeSplit::GENESIS };
	assert!(!wrapping.is_whole());
	let nothing = FeeSplit { contributors: 0, host: 0, model_owner: 0, validators: 0, treasury: 0 };
	assert_eq!(nothing.divide(1), None);
}

fn amount() -> impl Strategy<Value = Balance> {
	prop_oneof![0..10_000u128, any::<u128>(), Just(Balance::MAX)]
}

fn weights() -> impl Strategy<Value = Vec<u64>> {
	vec(prop_oneof![0..5u64, any::<u64>(), Just(u64::MAX)], 1..80)
}

proptest! {
	#[test]
	fn parts_should_sum_to_the_amount_and_keep_to_the_quota(
		amount in amount(),
		weights in weights(),
	) {
		let total = weights.iter().fold(U256::zero(), |sum, weight| sum + *weight);
		let Some(parts) = divide(amount, &weights) else {
			prop_assert!(total.is_zero());
			return Ok(());
		};
		prop_assert_eq!(parts.len(), weights.len());
		let sum = parts.iter().try_fold(0u128, |sum, part| sum.checked_add(*part));
		prop_assert_eq!(sum, Some(amount));
		for (part, weight) in parts.iter().zip(&weights) {
			let product = U256::from(amount) * U256::from(*weight);
			let (quota, remainder) = product.div_mod(total);
			let above = if remainder.is_zero() { quota } else { quota + 1 };
			prop_assert!(quota <= U256::from(*part) && U256::from(*part) <= above);
		}
	}

	#[test]
	fn larger_weights_should_not_get_less(amount in amount(), weights in weights()) {
		let Some(parts) = divide(amount, &weights) else { return Ok(()) };
		let mut lines: Vec<(u64, Balance)> = weights.into_iter().zip(parts).collect();
		lines.sort_unstable();
		for pair in lines.windows(2) {
			prop_assert!(pair[0].1 <= pair[1].1 || pair[0].0 == pair[1].0);
		}
	}

	#[test]
	fn order_of_lines_should_move_no_more_than_one_plank(
		amount in amount(),
		weights in weights(),
	) {
		let reversed: Vec<u64> = weights.iter().rev().copied().collect();
		if let (Some(parts), Some(back)) = (divide(amount, &weights), divide(amount, &reversed)) {
			for (part, other) in parts.iter().zip(back.iter().rev()) {
				prop_assert!(part.abs_diff(*other) <= 1);
			}
		}
	}

	/// Lines are paid, whoever owns them: an owner who appears under two names gets under both
	/// together what they would have got under one.
	#[test]
	fn splitting_an_owner_should_change_no_line(
		amount in amount(),
		lines in vec((any::<u64>(), 0..4u8, any::<bool>()), 1..60),
	) {
		let weights: Vec<u64> = lines.iter().map(|(weight, ..)| *weight).collect();
		let Some(parts) = divide(amount, &weights) else { return Ok(()) };
		let earned = |owner: u8, names: &[bool]| -> Balance {
			lines
				.iter()
				.zip(&parts)
				.filter(|((_, by, name), _)| *by == owner && names.contains(name))
				.map(|(_, part)| *part)
				.sum()
		};
		let mut paid: Balance = 0;
		for owner in 0..4 {
			let together = earned(owner, &[false, true]);
			prop_assert_eq!(earned(owner, &[false]) + earned(owner, &[true]), together);
			paid += together;
		}
		prop_assert_eq!(paid, amount);
	}

	#[test]
	fn fee_parts_should_sum_to_the_fee(fee in amount(), split in any::<[u16; 5]>()) {
		let [contributors, host, model_owner, validators, treasury] = split;
		let split = FeeSplit { contributors, host, model_owner, validators, treasury };
		let Some(parts) = split.divide(fee) else { return Ok(()) };
		let sum = [parts.host, parts.model_owner, parts.validators, parts.treasury]
			.iter()
			.try_fold(parts.contributors, |sum, part| sum.checked_add(*part));
		prop_assert_eq!(sum, Some(fee));
	}
}
