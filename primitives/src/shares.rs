//! Exact division of amounts: the parts are integers and sum to the whole, always.
//!
//! The method is the largest remainder (Hamilton): everybody first gets the integer part of their
//! quota, and the planks that are left go one each to the largest remainders, the earlier of two
//! equal ones first.

use alloc::vec::Vec;
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use primitive_types::U256;
use scale_info::TypeInfo;
use serde::{Deserialize, Serialize};

use crate::{licence::BASIS_POINTS, Balance};

/// Divides `amount` in proportion to `weights`, in their order. The parts sum to `amount`; a larger
/// weight never gets less than a smaller one. `None` when the weights sum to zero.
pub fn divide(amount: Balance, weights: &[u64]) -> Option<Vec<Balance>> {
	let total: u128 = weights.iter().fold(0u128, |sum, w| sum.saturating_add(u128::from(*w)));
	if total == 0 {
		return None;
	}
	let total = U256::from(total);
	let mut parts = Vec::with_capacity(weights.len());
	let mut remainders: Vec<(U256, usize)> = Vec::with_capacity(weights.len());
	let mut given: Balance = 0;
	for (index, weight) in weights.iter().enumerate() {
		// amount < 2^128 and weight < 2^64, so the product fits; weight ≤ total, so the quotient is at
		// most amount.
		let product = U256::from(amount).checked_mul(U256::from(*weight))?;
		let part = product.checked_div(total)?.low_u128();
		remainders.push((product.checked_rem(total)?, index));
		given = given.checked_add(part)?;
		parts.push(part);
	}
	// Fewer planks are left than there are weights with a remainder.
	let left = usize::try_from(amount.checked_sub(given)?).ok()?;
	remainders.sort_unstable_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
	for (_, index) in remainders.iter().take(left) {
		let part = parts.get_mut(*index)?;
		*part = part.checked_add(1)?;
	}
	Some(parts)
}

/// How a fee is split, in basis points of the whole. Valid only when the parts sum to
/// [`BASIS_POINTS`], 100 %.
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
	Serialize,
	Deserialize,
)]
pub struct FeeSplit {
	/// To those whose data caused the answer.
	pub contributors: u16,
	/// To the worker that computed it.
	pub host: u16,
	/// To the model's owner.
	pub model_owner: u16,
	/// To validators and their delegators.
	pub validators: u16,
	/// To the treasury.
	pub treasury: u16,
}

impl FeeSplit {
	/// The split that the network starts with: 50, 20, 10, 10 and 10 %.
	pub const GENESIS: Self = Self {
		contributors: 5_000,
		host: 2_000,
		model_owner: 1_000,
		validators: 1_000,
		treasury: 1_000,
	};

	/// Whether the parts sum to exactly 100 %.
	pub fn is_whole(&self) -> bool {
		let sum = [self.contributors, self.host, self.model_owner, self.validators, self.treasury]
			.iter()
			.fold(0u32, |sum, part| sum.saturating_add(u32::from(*part)));
		sum == u32::from(BASIS_POINTS)
	}

	/// Splits `fee` planks in these proportions; the parts sum to `fee`. `None` when the split is all
	/// zero.
	pub fn divide(&self, fee: Balance) -> Option<FeeParts> {
		let weights =
			[self.contributors, self.host, self.model_owner, self.validators, self.treasury];
		match divide(fee, &weights.map(u64::from))?.as_slice() {
			[contributors, host, model_owner, validators, treasury] => Some(FeeParts {
				contributors: *contributors,
				host: *host,
				model_owner: *model_owner,
				validators: *validators,
				treasury: *treasury,
			}),
			_ => None,
		}
	}
}

/// A fee in its parts, in planks.
#[derive(
	Clone,
	Copy,
	PartialEq,
	Eq,
	Debug,
	Default,
	Encode,
	Decode,
	DecodeWithMemTracking,
	MaxEncodedLen,
	TypeInfo,
	Serialize,
	Deserialize,
)]
pub struct FeeParts {
	/// To those whose data caused the answer.
	pub contributors: Balance,
	/// To the worker that computed it.
	pub host: Balance,
	/// To the model's owner.
	pub model_owner: Balance,
	/// To validators and their delegators.
	pub validators: Balance,
	/// To the treasury.
	pub treasury: Balance,
}
