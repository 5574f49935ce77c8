//! Prices.

use openledger_primitives::{receipt::Prices, Balance};
use proptest::prelude::*;

#[test]
fn fee_should_be_rounded_up_once() {
	let fee = |input_per_1000, output_per_1000, input, output| {
		Prices { input_per_1000, output_per_1000 }.fee(input, output)
	};
	assert_eq!(fee(0, 0, u32::MAX, u32::MAX), Some(0));
	assert_eq!(fee(5, 7, 0, 0), Some(0));
	assert_eq!(fee(1, 0, 1, 0), Some(1));
	assert_eq!(fee(1, 1, 500, 500), Some(1));
	assert_eq!(fee(1, 1, 500, 501), Some(2));
	assert_eq!(fee(1_000, 3_000, 7, 2), Some(13));
	assert_eq!(fee(1_001, 0, 1_000, 0), Some(1_001));
	assert_eq!(fee(Balance::MAX, 0, 1, 0), Some(Balance::MAX / 1_000 + 1));
}

#[test]
fn fee_should_not_exist_when_it_overflows() {
	let prices = Prices { input_per_1000: Balance::MAX, output_per_1000: Balance::MAX };
	assert_eq!(prices.fee(2, 0), None);
	assert_eq!(prices.fee(0, 2), None);
	assert_eq!(prices.fee(1, 1), None);
}

proptest! {
	#[test]
	fn fee_should_be_the_least_that_covers_the_prices(
		input_per_1000 in 0..1u128 << 90,
		output_per_1000 in 0..1u128 << 90,
		input: u32,
		output: u32,
	) {
		let fee = Prices { input_per_1000, output_per_1000 }.fee(input, output).unwrap();
		let exact = input_per_1000 * u128::from(input) + output_per_1000 * u128::from(output);
		prop_assert!(fee * 1_000 >= exact && fee.saturating_sub(1) * 1_000 <= exact);
		prop_assert!(exact == 0 || (fee - 1) * 1_000 < exact);
	}
}
