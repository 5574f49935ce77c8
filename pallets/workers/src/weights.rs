//! Weights.
//!
//! Counted by hand from the storage accesses of each call, with a generous part for computing, until
//! they are measured by the benchmarking tool. Proof sizes are estimated: 4 KiB per read, 16 KiB per
//! pool, whose value is up to 13 KiB with 256 members.

use core::marker::PhantomData;
use frame_support::{
	traits::Get,
	weights::{constants::RocksDbWeight, RuntimeDbWeight, Weight},
};

/// Weights of the calls and of the functions other pallets call.
///
/// `b` is the number of base models whose pools are brought in line, each for all kinds of work.
pub trait WeightInfo {
	/// `register`.
	fn register() -> Weight;
	/// `accept_operator`.
	fn accept_operator(b: u32) -> Weight;
	/// `set_operator`.
	fn set_operator(b: u32) -> Weight;
	/// `set_capabilities`; `b` counts the base models served before and those served after.
	fn set_capabilities(b: u32) -> Weight;
	/// `bond_extra`.
	fn bond_extra(b: u32) -> Weight;
	/// `unbond`.
	fn unbond(b: u32) -> Weight;
	/// `leave`.
	fn leave(b: u32) -> Weight;
	/// `withdraw_unbonded`.
	fn withdraw_unbonded() -> Weight;
	/// `pause`.
	fn pause(b: u32) -> Weight;
	/// `resume`.
	fn resume(b: u32) -> Weight;
	/// `slash`.
	fn slash(b: u32) -> Weight;
	/// `refresh_pools`.
	fn refresh_pools(b: u32) -> Weight;
	/// `WorkerPool::assign`, with all draws used and a full pool.
	fn assign() -> Weight;
	/// `WorkerPool::release`, with a slash.
	fn release(b: u32) -> Weight;
}

/// Bytes of proof per read.
const PROOF_PER_READ: u64 = 4 * 1024;
/// Bytes of proof per pool.
const PROOF_PER_POOL: u64 = 16 * 1024;
/// Kinds of work, each of which has its pool per base model.
const KINDS: u64 = crate::types::JOB_KINDS as u64;
/// Reads per pool: the pool, the first of those waiting, and that worker.
const READS_PER_POOL: u64 = 3;
/// Writes per pool: the pool, and two entries of those waiting (one in, one out).
const WRITES_PER_POOL: u64 = 3;
/// Picoseconds for one dispatch without storage.
const COMPUTE: u64 = 40_000_000;
/// Picoseconds for decoding, changing and encoding one full pool.
const COMPUTE_PER_POOL: u64 = 20_000_000;

/// A call with `reads` and `writes` of its own.
fn call(db: RuntimeDbWeight, reads: u64, writes: u64) -> Weight {
	Weight::from_parts(COMPUTE, reads.saturating_mul(PROOF_PER_READ))
		.saturating_add(db.reads_writes(reads, writes))
}

/// Bringing the pools of `b` base models in line.
fn pools(db: RuntimeDbWeight, b: u32) -> Weight {
	let pool = Weight::from_parts(
		COMPUTE_PER_POOL,
		PROOF_PER_POOL.saturating_add(READS_PER_POOL.saturating_mul(PROOF_PER_READ)),
	)
	.saturating_add(db.reads_writes(READS_PER_POOL, WRITES_PER_POOL));
	pool.saturating_mul(KINDS.saturating_mul(b.into()))
}

macro_rules! hand_counted {
	($db:expr) => {
		/// Workers (stash), Workers (operator), Operators (stash), Operators (operator), account and
		/// holds of the stash.
		fn register() -> Weight {
			call($db, 6, 3)
		}
		/// Workers (stash), Workers (operator), Operators.
		fn accept_operator(b: u32) -> Weight {
			call($db, 3, 2).saturating_add(pools($db, b))
		}
		/// Workers (stash), Workers (operator), Operators (both keys).
		fn set_operator(b: u32) -> Weight {
			call($db, 4, 2).saturating_add(pools($db, b))
		}
		/// Workers.
		fn set_capabilities(b: u32) -> Weight {
			call($db, 1, 1).saturating_add(pools($db, b))
		}
		/// Workers, account and holds.
		fn bond_extra(b: u32) -> Weight {
			call($db, 3, 3).saturating_add(pools($db, b))
		}
		/// Workers, Unbonding.
		fn unbond(b: u32) -> Weight {
			call($db, 2, 2).saturating_add(pools($db, b))
		}
		/// Workers, Unbonding, Operators when the record goes at once.
		fn leave(b: u32) -> Weight {
			call($db, 2, 3).saturating_add(pools($db, b))
		}
		/// Workers, Unbonding, Operators, account and holds.
		fn withdraw_unbonded() -> Weight {
			call($db, 4, 5)
		}
		/// Workers.
		fn pause(b: u32) -> Weight {
			call($db, 1, 1).saturating_add(pools($db, b))
		}
		/// Workers.
		fn resume(b: u32) -> Weight {
			call($db, 1, 1).saturating_add(pools($db, b))
		}
		/// Workers, Unbonding, account and holds, the receiver of the slash.
		fn slash(b: u32) -> Weight {
			call($db, 5, 5).saturating_add(pools($db, b))
		}
		/// Workers.
		fn refresh_pools(b: u32) -> Weight {
			call($db, 1, 0).saturating_add(pools($db, b))
		}
		/// One pool, the randomness (two values), a worker per draw (eight draws), one of them
		/// written.
		fn assign() -> Weight {
			call($db, 11, 1).saturating_add(Weight::from_parts(COMPUTE_PER_POOL, PROOF_PER_POOL))
		}
		/// As `slash`, and Operators when a leaving worker's record goes.
		fn release(b: u32) -> Weight {
			call($db, 5, 6).saturating_add(pools($db, b))
		}
	};
}

/// Weights with the runtime's own costs of storage accesses.
pub struct SubstrateWeight<T>(PhantomData<T>);

impl<T: frame_system::Config> WeightInfo for SubstrateWeight<T> {
	hand_counted!(T::DbWeight::get());
}

impl WeightInfo for () {
	hand_counted!(RocksDbWeight::get());
}
