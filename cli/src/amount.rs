//! Amounts of OPEN, read and written exactly. No floating point.

use std::{fmt, str::FromStr};

use serde::{Serialize, Serializer};

/// Decimal places of OPEN.
pub const DECIMALS: usize = 12;

/// Planks in one OPEN.
pub const PLANKS_PER_OPEN: u128 = 10u128.pow(DECIMALS as u32);

/// An amount of OPEN. It is read as `1.5` or `1.5 OPEN`, with at most 12 decimals, and written as
/// `1.5 OPEN`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Amount {
	/// The amount in planks.
	pub planks: u128,
}

impl Amount {
	/// So many planks.
	pub const fn from_planks(planks: u128) -> Self {
		Self { planks }
	}

	/// The number alone, such as `1.5`: as many decimals as it needs.
	pub fn number(&self) -> String {
		let (open, rest) = (self.planks / PLANKS_PER_OPEN, self.planks % PLANKS_PER_OPEN);
		if rest == 0 {
			return open.to_string();
		}
		let decimals = format!("{rest:0DECIMALS$}");
		format!("{open}.{}", decimals.trim_end_matches('0'))
	}
}

impl fmt::Display for Amount {
	fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
		write!(out, "{} OPEN", self.number())
	}
}

impl Serialize for Amount {
	fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
		serializer.serialize_str(&self.number())
	}
}

/// Why a text is no amount.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum AmountFault {
	/// There is no number.
	#[error("an amount is a number of OPEN such as 1.5")]
	NotANumber,
	/// It is smaller than a plank can express.
	#[error("OPEN has {DECIMALS} decimals, this has more")]
	TooManyDecimals,
	/// It is larger than any amount can be.
	#[error("there is not so much OPEN")]
	TooLarge,
}

impl FromStr for Amount {
	type Err = AmountFault;

	fn from_str(text: &str) -> Result<Self, AmountFault> {
		let text = text.trim();
		let number = text.strip_suffix("OPEN").unwrap_or(text).trim_end();
		let (open, decimals) = match number.split_once('.') {
			Some((_, "")) => return Err(AmountFault::NotANumber),
			Some((open, decimals)) => (open, decimals),
			None => (number, ""),
		};
		let is_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
		if open.is_empty() || !is_digits(open) || !is_digits(decimals) {
			return Err(AmountFault::NotANumber);
		}
		if decimals.len() > DECIMALS {
			return Err(AmountFault::TooManyDecimals);
		}
		let planks: u128 =
			format!("{decimals:0<DECIMALS$}").parse().map_err(|_| AmountFault::NotANumber)?;
		open.parse::<u128>()
			.ok()
			.and_then(|open| open.checked_mul(PLANKS_PER_OPEN)?.checked_add(planks))
			.map(Self::from_planks)
			.ok_or(AmountFault::TooLarge)
	}
}

/// For serde: planks as a number of OPEN in a string, such as `"1.5"`.
pub mod as_open {
	use super::{Amount, Serialize, Serializer};

	/// Writes planks.
	pub fn serialize<S: Serializer>(planks: &u128, serializer: S) -> Result<S::Ok, S::Error> {
		Amount::from_planks(*planks).serialize(serializer)
	}
}

#[cfg(test)]
mod tests {
	use super::*;
	use proptest::prelude::*;

	fn planks(text: &str) -> Result<u128, AmountFault> {
		text.parse::<Amount>().map(|amount| amount.planks)
	}

	#[test]
	fn amounts_are_read_exactly() {
		assert_eq!(planks("1"), Ok(PLANKS_PER_OPEN));
		assert_eq!(planks("1.5"), Ok(1_500_000_000_000));
		assert_eq!(planks("1.5 OPEN"), Ok(1_500_000_000_000));
		assert_eq!(planks(" 1.5OPEN "), Ok(1_500_000_000_000));
		assert_eq!(planks("0.000000000001"), Ok(1));
		assert_eq!(planks("1000000000"), Ok(10u128.pow(21)));
	}

	#[test]
	fn what_is_no_amount_is_refused_by_name() {
		for text in
			["", "OPEN", "1,5", "-1", "+1", "1e3", ".5", "1.", "1.5.0", "1 000", "0x10", "١"]
		{
			assert_eq!(planks(text), Err(AmountFault::NotANumber), "{text}");
		}
		assert_eq!(planks("0.0000000000001"), Err(AmountFault::TooManyDecimals));
		let largest = Amount::from_planks(u128::MAX).number();
		assert_eq!(planks(&largest), Ok(u128::MAX));
		assert_eq!(planks("340282366920938463463374607.431768211456"), Err(AmountFault::TooLarge));
		assert_eq!(planks(&"9".repeat(60)), Err(AmountFault::TooLarge));
	}

	#[test]
	fn amounts_are_written_with_the_decimals_they_need() {
		let shown = |planks| Amount::from_planks(planks).to_string();
		assert_eq!(shown(0), "0 OPEN");
		assert_eq!(shown(1), "0.000000000001 OPEN");
		assert_eq!(shown(1_500_000_000_000), "1.5 OPEN");
		assert_eq!(shown(10_000_000_000_000), "10 OPEN");
	}

	proptest! {
		#[test]
		fn what_is_written_is_read_again(planks: u128) {
			let amount = Amount::from_planks(planks);
			prop_assert_eq!(amount.to_string().parse::<Amount>(), Ok(amount));
			prop_assert_eq!(amount.number().parse::<Amount>(), Ok(amount));
		}
	}
}
