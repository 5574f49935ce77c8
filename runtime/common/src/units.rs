//! Units of money and of time.

use crate::{Balance, BlockNumber};

/// One OPEN in planks: 12 decimals.
pub const OPEN: Balance = 1_000_000_000_000;
/// A thousandth of an OPEN.
pub const MILLI_OPEN: Balance = OPEN / 1_000;
/// A millionth of an OPEN.
pub const MICRO_OPEN: Balance = OPEN / 1_000_000;

/// The least an account can hold, 0.0005 OPEN: small enough that a plain Ethereum send with 21,000
/// gas can open an account (see [`crate::evm`]).
pub const EXISTENTIAL_DEPOSIT: Balance = 500 * MICRO_OPEN;

/// What is held for state that somebody puts on the chain, returned when it goes.
pub const fn deposit(items: u32, bytes: u32) -> Balance {
	(items as Balance)
		.saturating_mul(20 * MILLI_OPEN)
		.saturating_add((bytes as Balance).saturating_mul(100 * MICRO_OPEN))
}

/// A slot's length in milliseconds. BABE aims at one block a slot.
pub const SLOT_MILLIS: u64 = 3_000;
/// Blocks in a minute.
pub const MINUTES: BlockNumber = 60_000 / SLOT_MILLIS as BlockNumber;
/// Blocks in an hour.
pub const HOURS: BlockNumber = 60 * MINUTES;
/// Blocks in a day.
pub const DAYS: BlockNumber = 24 * HOURS;
/// Blocks in the month that vesting counts with, a twelfth of 365 days.
pub const MONTHS: BlockNumber = 365 * DAYS / 12;
