//! What a strike weighs, for the pallets whose calls may end in one.
//!
//! Counted by hand from the storage accesses; the runtime's tests compare it with what the worker pool
//! really does.

use frame_support::weights::{constants::WEIGHT_REF_TIME_PER_MICROS, RuntimeDbWeight, Weight};

/// The pools of a worker: 16 base models with 3 kinds of work each.
const POOLS: u64 = 16 * 3;
// The worker, what it unbonds, accounts and holds, and the pools, in which its bond weighs less now or
// in which another takes its place.
const READS: u64 = 5 + POOLS * 3;
const WRITES: u64 = 6 + POOLS * 3;
// Bringing those pools in line.
const MICROS: u64 = 40 + POOLS * 20;
// 4 KiB for each read, and the members of the pools.
const PROOF: u64 = READS * 4_096 + POOLS * 16 * 1_024;

/// Giving a worker's slot back with a strike or a slash, at most.
pub fn weight(database: RuntimeDbWeight) -> Weight {
	Weight::from_parts(MICROS.saturating_mul(WEIGHT_REF_TIME_PER_MICROS), PROOF)
		.saturating_add(database.reads_writes(READS, WRITES))
}
