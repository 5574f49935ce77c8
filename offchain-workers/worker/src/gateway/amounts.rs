//! Amounts of OPEN as people and programs write them.

use openledger_primitives::{receipt::Prices, Balance};
use serde::{de::Error as _, Deserialize, Deserializer, Serialize, Serializer};

/// Planks in one OPEN: 10^12.
const OPEN: Balance = 1_000_000_000_000;
/// Decimals of an OPEN.
const DECIMALS: usize = 12;

/// Planks in JSON: a string of digits, for numbers beyond 2^53 do not survive every reader. A number
/// is read too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Planks(pub Balance);

impl Serialize for Planks {
	fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
		serializer.collect_str(&self.0)
	}
}

impl<'de> Deserialize<'de> for Planks {
	fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
		#[derive(Deserialize)]
		#[serde(untagged)]
		enum Written {
			Number(u64),
			Digits(String),
		}
		match Written::deserialize(deserializer) {
			Ok(Written::Number(planks)) => Ok(Self(planks.into())),
			Ok(Written::Digits(digits)) if is_digits(&digits) => {
				digits.parse().map(Self).map_err(D::Error::custom)
			},
			_ => Err(D::Error::custom("planks are a whole number, best as a string of digits")),
		}
	}
}

/// A model's prices in JSON.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PricesInPlanks {
	/// Planks for 1,000 tokens of prompt.
	pub input_per_1000: Planks,
	/// Planks for 1,000 tokens of answer.
	pub output_per_1000: Planks,
}

impl From<PricesInPlanks> for Prices {
	fn from(prices: PricesInPlanks) -> Self {
		Self { input_per_1000: prices.input_per_1000.0, output_per_1000: prices.output_per_1000.0 }
	}
}

fn is_digits(text: &str) -> bool {
	!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Planks from OPEN in decimal, such as `12` or `0.5`.
///
/// # Errors
///
/// Anything else, more than 12 decimals, or more OPEN than 128 bits of planks hold.
pub fn parse_open(text: &str) -> Result<Balance, String> {
	let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
	if !is_digits(whole) || !is_digits(fraction) || fraction.len() > DECIMALS {
		return Err("write OPEN as 12 or 0.5, with at most 12 decimals".into());
	}
	let too_much = || "that is more OPEN than there can be".to_owned();
	let whole: Balance = whole.parse().map_err(|_| too_much())?;
	let fraction: Balance = format!("{fraction:0<DECIMALS$}").parse().map_err(|_| too_much())?;
	whole.checked_mul(OPEN).and_then(|planks| planks.checked_add(fraction)).ok_or_else(too_much)
}

/// OPEN in decimal from planks.
pub fn show_open(planks: Balance) -> String {
	let (whole, fraction) = (planks / OPEN, planks % OPEN);
	let fraction = format!("{fraction:0>DECIMALS$}");
	let fraction = fraction.trim_end_matches('0');
	if fraction.is_empty() {
		format!("{whole} OPEN")
	} else {
		format!("{whole}.{fraction} OPEN")
	}
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn open_should_be_read_and_shown_to_the_plank() {
		for (text, planks, shown) in [
			("12", 12 * OPEN, "12 OPEN"),
			("0.5", OPEN / 2, "0.5 OPEN"),
			("0.000000000001", 1, "0.000000000001 OPEN"),
			("1000000000.25", 1_000_000_000 * OPEN + OPEN / 4, "1000000000.25 OPEN"),
		] {
			assert_eq!(parse_open(text), Ok(planks));
			assert_eq!(show_open(planks), shown);
		}
		for bad in ["", ".", "1.", ".5", "-1", "1e3", "0.0000000000001", &"9".repeat(40)] {
			assert!(parse_open(bad).is_err(), "{bad}");
		}
	}

	#[test]
	fn planks_should_be_whole_numbers_of_any_size() {
		let largest = format!("\"{}\"", u128::MAX);
		let read: Planks = serde_json::from_str(&largest).unwrap();
		assert_eq!(read, Planks(u128::MAX));
		assert_eq!(serde_json::to_string(&read).unwrap(), largest);
		assert_eq!(serde_json::from_str::<Planks>("7").unwrap(), Planks(7));
		for bad in ["-1", "1.5", "\"\"", "\"-1\"", "\"1.5\"", "null", "[1]"] {
			assert!(serde_json::from_str::<Planks>(bad).is_err(), "{bad}");
		}
	}
}
