//! What the calls weigh.
//!
//! Counted by hand from the storage accesses until they are measured by the benchmarking tool: reads
//! and writes at the database's price, some microseconds of computation, and 4 KiB of proof for each
//! read. What other pallets do for this one is counted generously.

use core::marker::PhantomData;
use frame_support::{
	traits::Get,
	weights::{constants::RocksDbWeight, RuntimeDbWeight, Weight},
};

/// The weights of the calls, and of serving the agenda.
pub trait WeightInfo {
	/// With `s` sources.
	fn request_training(s: u32) -> Weight;
	/// `register_base_model`.
	fn register_base_model() -> Weight;
	/// `retire_base_model`.
	fn retire_base_model() -> Weight;
	/// `remove_base_model`.
	fn remove_base_model() -> Weight;
	/// `assign_training`.
	fn assign_training() -> Weight;
	/// `start_training`.
	fn start_training() -> Weight;
	/// `decline_training`.
	fn decline_training() -> Weight;
	/// `deliver_training`.
	fn deliver_training() -> Weight;
	/// `cancel_training`.
	fn cancel_training() -> Weight;
	/// `dispute_training`.
	fn dispute_training() -> Weight;
	/// `resolve_dispute`.
	fn resolve_dispute() -> Weight;
	/// `settle_training`.
	fn settle_training() -> Weight;
	/// `expire_training`.
	fn expire_training() -> Weight;
	/// `publish_model`.
	fn publish_model() -> Weight;
	/// `set_prices`.
	fn set_prices() -> Weight;
	/// `pause_model`.
	fn pause_model() -> Weight;
	/// `resume_model`.
	fn resume_model() -> Weight;
	/// `retire_model`.
	fn retire_model() -> Weight;
	/// `offer_model`.
	fn offer_model() -> Weight;
	/// `withdraw_offer`.
	fn withdraw_offer() -> Weight;
	/// `accept_model`.
	fn accept_model() -> Weight;
	/// Serving the agenda at all.
	fn agenda_base() -> Weight;
	/// Serving one block of the agenda, without its entries.
	fn agenda_block() -> Weight;
	/// Serving one entry of the agenda.
	fn agenda_entry() -> Weight;
}

// Choosing a worker: the pool with its members, randomness, the chosen one's record and slots.
const ASSIGN_READS: u64 = 32;
const ASSIGN_WRITES: u64 = 8;
// Giving a slot back: the worker's record, at worst a slash of its bond.
const RELEASE_READS: u64 = 8;
const RELEASE_WRITES: u64 = 8;
// Account, holds and deposit of the creator.
const REFUND_READS: u64 = 4;
const REFUND_WRITES: u64 = 4;
// Two accounts and the creator's holds; the model with its id, list and count of uses; the slot.
const SETTLE_READS: u64 = 6 + RELEASE_READS;
const SETTLE_WRITES: u64 = 8 + RELEASE_WRITES;

const MICROSECOND: u64 = 1_000_000;
const PROOF_PER_READ: u64 = 4 * 1024;

fn weigh(database: RuntimeDbWeight, reads: u64, writes: u64, microseconds: u64) -> Weight {
	Weight::from_parts(
		microseconds.saturating_mul(MICROSECOND),
		reads.saturating_mul(PROOF_PER_READ),
	)
	.saturating_add(database.reads_writes(reads, writes))
}

/// Weights for a runtime, at the price of its database.
pub struct SubstrateWeight<T>(PhantomData<T>);

impl<T: frame_system::Config> WeightInfo for SubstrateWeight<T> {
	// Base, clock, id, uses, account, holds; per source its version, licence and access; the same
	// written, job, list, agenda and deposit; the worker pool.
	fn request_training(s: u32) -> Weight {
		let sources = u64::from(s);
		weigh(
			T::DbWeight::get(),
			sources.saturating_mul(4).saturating_add(6 + ASSIGN_READS),
			9 + ASSIGN_WRITES,
			sources.saturating_mul(20).saturating_add(150),
		)
	}
	// Id, weights index, deposit's account and holds; id, deposit, index, record, account and holds.
	fn register_base_model() -> Weight {
		weigh(T::DbWeight::get(), 4, 6, 60)
	}
	// The record.
	fn retire_base_model() -> Weight {
		weigh(T::DbWeight::get(), 1, 1, 30)
	}
	// Record, uses, deposit, account, holds; all but uses, and the index.
	fn remove_base_model() -> Weight {
		weigh(T::DbWeight::get(), 5, 5, 60)
	}
	// Job; job, agenda twice; the worker pool.
	fn assign_training() -> Weight {
		weigh(T::DbWeight::get(), 1 + ASSIGN_READS, 3 + ASSIGN_WRITES, 50)
	}
	// Job; job, agenda twice; whose key it is.
	fn start_training() -> Weight {
		weigh(T::DbWeight::get(), 3, 3, 40)
	}
	// Job; job, agenda twice; key; at worst also the refund; the worker's slot.
	fn decline_training() -> Weight {
		weigh(
			T::DbWeight::get(),
			3 + REFUND_READS + RELEASE_READS,
			3 + REFUND_WRITES + RELEASE_WRITES,
			100,
		)
	}
	// Job; job, agenda twice; whose key it is.
	fn deliver_training() -> Weight {
		weigh(T::DbWeight::get(), 3, 3, 50)
	}
	// Job; job, agenda twice; refund; the worker's slot.
	fn cancel_training() -> Weight {
		weigh(
			T::DbWeight::get(),
			1 + REFUND_READS + RELEASE_READS,
			3 + REFUND_WRITES + RELEASE_WRITES,
			100,
		)
	}
	// Job, account, holds; job, agenda twice, account, holds.
	fn dispute_training() -> Weight {
		weigh(T::DbWeight::get(), 3, 5, 60)
	}
	// At worst rejected: the bond to the worker, then as settling.
	fn resolve_dispute() -> Weight {
		weigh(T::DbWeight::get(), 4 + SETTLE_READS, 6 + SETTLE_WRITES, 160)
	}
	// Job; job, agenda twice; settling.
	fn settle_training() -> Weight {
		weigh(T::DbWeight::get(), 1 + SETTLE_READS, 3 + SETTLE_WRITES, 120)
	}
	// At worst a worker is replaced or an undecided dispute settled.
	fn expire_training() -> Weight {
		weigh(
			T::DbWeight::get(),
			3 + SETTLE_READS + ASSIGN_READS + REFUND_READS,
			5 + SETTLE_WRITES + ASSIGN_WRITES + REFUND_WRITES,
			180,
		)
	}
	// Model, clock; model.
	fn publish_model() -> Weight {
		weigh(T::DbWeight::get(), 2, 1, 40)
	}
	// Model; model.
	fn set_prices() -> Weight {
		weigh(T::DbWeight::get(), 1, 1, 40)
	}
	// Model; model.
	fn pause_model() -> Weight {
		weigh(T::DbWeight::get(), 1, 1, 30)
	}
	// Model, clock; model.
	fn resume_model() -> Weight {
		weigh(T::DbWeight::get(), 2, 1, 30)
	}
	// Model; model, offer.
	fn retire_model() -> Weight {
		weigh(T::DbWeight::get(), 1, 2, 30)
	}
	// Model; offer.
	fn offer_model() -> Weight {
		weigh(T::DbWeight::get(), 1, 1, 30)
	}
	// Model, offer; offer.
	fn withdraw_offer() -> Weight {
		weigh(T::DbWeight::get(), 2, 1, 30)
	}
	// Model, offer, deposit, two accounts, two holds; the same and two lists.
	fn accept_model() -> Weight {
		weigh(T::DbWeight::get(), 7, 9, 120)
	}
	// The cursor.
	fn agenda_base() -> Weight {
		weigh(T::DbWeight::get(), 1, 1, 5)
	}
	// A look at one block of the agenda.
	fn agenda_block() -> Weight {
		weigh(T::DbWeight::get(), 1, 0, 10)
	}
	// One entry of the agenda, and at worst what `expire_training` does.
	fn agenda_entry() -> Weight {
		weigh(
			T::DbWeight::get(),
			4 + SETTLE_READS + ASSIGN_READS + REFUND_READS,
			6 + SETTLE_WRITES + ASSIGN_WRITES + REFUND_WRITES,
			200,
		)
	}
}

/// For tests: the same at the price of RocksDB.
impl WeightInfo for () {
	fn request_training(s: u32) -> Weight {
		let sources = u64::from(s);
		weigh(
			RocksDbWeight::get(),
			sources.saturating_mul(4).saturating_add(6 + ASSIGN_READS),
			9 + ASSIGN_WRITES,
			sources.saturating_mul(20).saturating_add(150),
		)
	}
	fn register_base_model() -> Weight {
		weigh(RocksDbWeight::get(), 4, 6, 60)
	}
	fn retire_base_model() -> Weight {
		weigh(RocksDbWeight::get(), 1, 1, 30)
	}
	fn remove_base_model() -> Weight {
		weigh(RocksDbWeight::get(), 5, 5, 60)
	}
	fn assign_training() -> Weight {
		weigh(RocksDbWeight::get(), 1 + ASSIGN_READS, 3 + ASSIGN_WRITES, 50)
	}
	fn start_training() -> Weight {
		weigh(RocksDbWeight::get(), 3, 3, 40)
	}
	fn decline_training() -> Weight {
		weigh(
			RocksDbWeight::get(),
			3 + REFUND_READS + RELEASE_READS,
			3 + REFUND_WRITES + RELEASE_WRITES,
			100,
		)
	}
	fn deliver_training() -> Weight {
		weigh(RocksDbWeight::get(), 3, 3, 50)
	}
	fn cancel_training() -> Weight {
		weigh(
			RocksDbWeight::get(),
			1 + REFUND_READS + RELEASE_READS,
			3 + REFUND_WRITES + RELEASE_WRITES,
			100,
		)
	}
	fn dispute_training() -> Weight {
		weigh(RocksDbWeight::get(), 3, 5, 60)
	}
	fn resolve_dispute() -> Weight {
		weigh(RocksDbWeight::get(), 4 + SETTLE_READS, 6 + SETTLE_WRITES, 160)
	}
	fn settle_training() -> Weight {
		weigh(RocksDbWeight::get(), 1 + SETTLE_READS, 3 + SETTLE_WRITES, 120)
	}
	fn expire_training() -> Weight {
		weigh(
			RocksDbWeight::get(),
			3 + SETTLE_READS + ASSIGN_READS + REFUND_READS,
			5 + SETTLE_WRITES + ASSIGN_WRITES + REFUND_WRITES,
			180,
		)
	}
	fn publish_model() -> Weight {
		weigh(RocksDbWeight::get(), 2, 1, 40)
	}
	fn set_prices() -> Weight {
		weigh(RocksDbWeight::get(), 1, 1, 40)
	}
	fn pause_model() -> Weight {
		weigh(RocksDbWeight::get(), 1, 1, 30)
	}
	fn resume_model() -> Weight {
		weigh(RocksDbWeight::get(), 2, 1, 30)
	}
	fn retire_model() -> Weight {
		weigh(RocksDbWeight::get(), 1, 2, 30)
	}
	fn offer_model() -> Weight {
		weigh(RocksDbWeight::get(), 1, 1, 30)
	}
	fn withdraw_offer() -> Weight {
		weigh(RocksDbWeight::get(), 2, 1, 30)
	}
	fn accept_model() -> Weight {
		weigh(RocksDbWeight::get(), 7, 9, 120)
	}
	fn agenda_base() -> Weight {
		weigh(RocksDbWeight::get(), 1, 1, 5)
	}
	fn agenda_block() -> Weight {
		weigh(RocksDbWeight::get(), 1, 0, 10)
	}
	fn agenda_entry() -> Weight {
		weigh(
			RocksDbWeight::get(),
			4 + SETTLE_READS + ASSIGN_READS + REFUND_READS,
			6 + SETTLE_WRITES + ASSIGN_WRITES + REFUND_WRITES,
			200,
		)
	}
}
