//! Limits of a block: weight and length.

use frame_support::{
	dispatch::DispatchClass,
	parameter_types,
	weights::{constants::WEIGHT_REF_TIME_PER_SECOND, Weight},
};
use frame_system::limits::{BlockLength, BlockWeights};
use sp_runtime::Perbill;

pub use frame_support::weights::constants::{
	BlockExecutionWeight, ExtrinsicBaseWeight, ParityDbWeight,
};

/// Half a slot of computing. The proof size is a parachain's, so that the same contract fits into
/// both kinds of block and so that fees have a second dimension to measure (see [`crate::fees`]).
pub const MAXIMUM_BLOCK_WEIGHT: Weight =
	Weight::from_parts(WEIGHT_REF_TIME_PER_SECOND.saturating_mul(3) / 2, 10 * 1024 * 1024);

/// The share of a block that normal transactions may fill; the rest is for operational ones.
pub const NORMAL_DISPATCH_RATIO: Perbill = Perbill::from_percent(75);

/// The longest block in bytes.
const MAXIMUM_BLOCK_LENGTH: u32 = 5 * 1024 * 1024;

/// The share of a block that hooks at its start are expected to take.
const INITIALIZATION_RATIO: Perbill = Perbill::from_percent(10);

/// A part of a block's weight.
#[allow(
	clippy::arithmetic_side_effects,
	reason = "a part of a weight is not larger than the weight"
)]
pub fn part_of_block(part: Perbill) -> Weight {
	part * MAXIMUM_BLOCK_WEIGHT
}

parameter_types! {
	/// Weight limits of a block and of one transaction in it.
	pub RuntimeBlockWeights: BlockWeights = BlockWeights::builder()
		.base_block(BlockExecutionWeight::get())
		.for_class(DispatchClass::all(), |weights| {
			weights.base_extrinsic = ExtrinsicBaseWeight::get();
		})
		.for_class(DispatchClass::Normal, |weights| {
			weights.max_total = Some(part_of_block(NORMAL_DISPATCH_RATIO));
		})
		.for_class(DispatchClass::Operational, |weights| {
			weights.max_total = Some(MAXIMUM_BLOCK_WEIGHT);
			// Operational transactions find room in a block that normal ones have filled.
			weights.reserved = Some(
				MAXIMUM_BLOCK_WEIGHT.saturating_sub(part_of_block(NORMAL_DISPATCH_RATIO))
			);
		})
		.avg_block_initialization(INITIALIZATION_RATIO)
		.build_or_panic();
	/// Length limits of a block in bytes.
	pub RuntimeBlockLength: BlockLength = BlockLength::builder()
		.max_length(MAXIMUM_BLOCK_LENGTH)
		.modify_max_length_for_class(DispatchClass::Normal, |max| {
			*max = NORMAL_DISPATCH_RATIO.mul_floor(*max);
		})
		.build();
}
