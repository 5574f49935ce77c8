//! The supply of OPEN: 1,000,000,000, all of it there from the first block. There is no mint.

use crate::{
	units::{MONTHS, OPEN},
	Balance, BlockNumber,
};
use frame_support::PalletId;

/// All the OPEN there is, in planks.
pub const TOTAL_SUPPLY: Balance = 1_000_000_000 * OPEN;

/// Vesting of investors and team: nothing for 12 months, then 36 months block by block.
pub const VESTING_CLIFF: BlockNumber = 12 * MONTHS;
/// How long the linear part lasts after the cliff.
pub const VESTING_LINEAR: BlockNumber = 36 * MONTHS;

/// A part of the supply with a purpose.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bucket {
	/// What it is for.
	pub name: &'static str,
	/// Its part of the supply in basis points.
	pub basis_points: u16,
	/// Whether it vests ([`VESTING_CLIFF`], [`VESTING_LINEAR`]).
	pub vests: bool,
	/// Names the account that holds it on networks that name no other ([`Bucket::pallet_id`]).
	pub account: [u8; 8],
}

impl Bucket {
	/// The bucket in planks.
	pub const fn amount(&self) -> Balance {
		(TOTAL_SUPPLY / 10_000).saturating_mul(self.basis_points as Balance)
	}

	/// The id whose account holds the bucket: it has no key, Root moves it.
	pub const fn pallet_id(&self) -> PalletId {
		PalletId(self.account)
	}
}

/// Community and ecosystem, which is also where the treasury and rewards come from.
pub const COMMUNITY: Bucket =
	Bucket { name: "community", basis_points: 6_171, vests: false, account: *b"ol/trsry" };
/// Investors.
pub const INVESTORS: Bucket =
	Bucket { name: "investors", basis_points: 1_829, vests: true, account: *b"ol/invst" };
/// Team.
pub const TEAM: Bucket =
	Bucket { name: "team", basis_points: 1_500, vests: true, account: *b"ol/team_" };
/// Liquidity.
pub const LIQUIDITY: Bucket =
	Bucket { name: "liquidity", basis_points: 500, vests: false, account: *b"ol/liqdt" };

/// Every bucket.
pub const BUCKETS: [Bucket; 4] = [COMMUNITY, INVESTORS, TEAM, LIQUIDITY];

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn buckets_should_sum_to_a_thousand_million_open() {
		assert_eq!(BUCKETS.iter().map(Bucket::amount).sum::<Balance>(), 10u128.pow(9 + 12));
	}

	#[test]
	fn bucket_accounts_should_differ() {
		for (i, a) in BUCKETS.iter().enumerate() {
			for b in BUCKETS.iter().skip(i + 1) {
				assert_ne!(a.account, b.account);
			}
		}
	}
}
