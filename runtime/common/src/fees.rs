//! What a transaction costs: its weight, its length, and how busy the chain is.
//!
//! `fee = base + length × [TransactionByteFee] + multiplier × weight fee`. A second of computing is
//! 0.1 OPEN, a byte is 10^-6 OPEN. The multiplier follows the fullness of blocks and never falls
//! below 1, so that an Ethereum gas price can be derived from it (see [`crate::evm`]).

use crate::Balance;
use frame_support::parameter_types;
use pallet_revive::evm::fees::BlockRatioFee;
use pallet_transaction_payment::{Multiplier, TargetedFeeAdjustment};
use sp_runtime::{
	traits::{Bounded, One},
	FixedPointNumber, Perquintill,
};

use crate::units::MICRO_OPEN;

/// The fee for a weight: a tenth of a plank per picosecond of computing, and the same share of the
/// block for proof bytes, whichever is more. The EVM's gas mapping depends on this form.
pub type WeightToFee<Runtime> = BlockRatioFee<1, 10, Runtime, Balance>;

parameter_types! {
	/// The fee for one byte of a transaction.
	pub const TransactionByteFee: Balance = MICRO_OPEN;
	/// Fees rise when more than this share of the normal part of a block is used.
	pub const TargetBlockFullness: Perquintill = Perquintill::from_percent(25);
	/// How fast fees follow: by at most about 0.2 % a block.
	pub AdjustmentVariable: Multiplier = Multiplier::saturating_from_rational(75, 1_000_000);
	/// Fees never fall below what the weights say.
	pub MinimumMultiplier: Multiplier = Multiplier::one();
	/// There is no ceiling: a full chain keeps getting dearer.
	pub MaximumMultiplier: Multiplier = Bounded::max_value();
}

/// How the multiplier follows the load.
pub type FeeMultiplierUpdate<Runtime> = TargetedFeeAdjustment<
	Runtime,
	TargetBlockFullness,
	AdjustmentVariable,
	MinimumMultiplier,
	MaximumMultiplier,
>;
