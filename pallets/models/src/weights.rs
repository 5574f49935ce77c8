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
use openledger_pallet_support::strike;

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
	/// Finding out whether a start would be taken.
	fn authorise_start() -> Weight;
	/// `decline_training`.
	fn decline_training() -> Weight;
	/// Finding out whether a refusal of the job would be taken.
	fn authorise_decline() -> Weight;
	/// `deliver_training`.
	fn deliver_training() -> Weight;
	/// Finding out whether a result would be taken.
	fn authorise_delivery() -> Weight;
	/// `report_failure`.
	fn report_failure() -> Weight;
	/// Finding out whether a failure would be taken.
	fn authorise_failure() -> Weight;
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
// Moving a job to another phase: the job, its place in the agenda and with the worker, left and taken.
const PHASE_WRITES: u64 = 5;
// Giving a slot back without blame: the worker's record, at worst its last one.
const RELEASE_READS: u64 = 8;
const RELEASE_WRITES: u64 = 8;
// Account, holds and deposit of the creator.
const REFUND_READS: u64 = 4;
const REFUND_WRITES: u64 = 4;
// Two accounts and the creator's holds; the model with its id, list and count of uses; the slot.
const SETTLE_READS: u64 = 6 + RELEASE_READS;
const SETTLE_WRITES: u64 = 8 + RELEASE_WRITES;

// Verifying a signature of any scheme.
const SIGNATURE_MICROS: u64 = 200;

const MICROSECOND: u64 = 1_000_000;
const PROOF_PER_READ: u64 = 4 * 1024;

fn weigh(database: RuntimeDbWeight, reads: u64, writes: u64, microseconds: u64) -> Weight {
	Weight::from_parts(
		microseconds.saturating_mul(MICROSECOND),
		reads.saturating_mul(PROOF_PER_READ),
	)
	.saturating_add(database.reads_writes(reads, writes))
}

macro_rules! hand_counted {
	($db:expr) => {
		// Base, clock, id, uses, account, holds; per source its version, licence and access; the same
		// written, the phase, list and deposit; the worker pool.
		fn request_training(s: u32) -> Weight {
			let sources = u64::from(s);
			weigh(
				$db,
				sources.saturating_mul(4).saturating_add(6 + ASSIGN_READS),
				11 + ASSIGN_WRITES,
				sources.saturating_mul(20).saturating_add(150),
			)
		}
		// Id, weights index, deposit's account and holds; id, deposit, index, record, account and holds.
		fn register_base_model() -> Weight {
			weigh($db, 4, 6, 60)
		}
		// The record.
		fn retire_base_model() -> Weight {
			weigh($db, 1, 1, 30)
		}
		// Record, uses, deposit, account, holds; all but uses, and the index.
		fn remove_base_model() -> Weight {
			weigh($db, 5, 5, 60)
		}
		// Job; the phase; the worker pool.
		fn assign_training() -> Weight {
			weigh($db, 1 + ASSIGN_READS, PHASE_WRITES + ASSIGN_WRITES, 50)
		}
		// Job, whose key it is; the phase.
		fn start_training() -> Weight {
			weigh($db, 3, PHASE_WRITES, 40)
		}
		// The signature, then starting without writing to the database.
		fn authorise_start() -> Weight {
			weigh($db, 3, 0, SIGNATURE_MICROS + 80)
		}
		// Job, key; the phase; at worst also the refund; the worker's slot.
		fn decline_training() -> Weight {
			weigh(
				$db,
				3 + REFUND_READS + RELEASE_READS,
				PHASE_WRITES + REFUND_WRITES + RELEASE_WRITES,
				100,
			)
		}
		// The signature, then declining without writing to the database.
		fn authorise_decline() -> Weight {
			weigh($db, 3 + REFUND_READS + RELEASE_READS, 0, SIGNATURE_MICROS + 150)
		}
		// Job, whose key it is; the phase.
		fn deliver_training() -> Weight {
			weigh($db, 3, PHASE_WRITES, 50)
		}
		// The signature, then delivering without writing to the database.
		fn authorise_delivery() -> Weight {
			weigh($db, 3, 0, SIGNATURE_MICROS + 100)
		}
		// Job, key; the phase; refund; a strike, which gives the slot back.
		fn report_failure() -> Weight {
			weigh($db, 3 + REFUND_READS, PHASE_WRITES + REFUND_WRITES, 100)
				.saturating_add(strike::weight($db))
		}
		// The signature, then the failure without writing to the database.
		fn authorise_failure() -> Weight {
			let database = RuntimeDbWeight { write: 0, ..$db };
			weigh(database, 3 + REFUND_READS, 0, SIGNATURE_MICROS + 150)
				.saturating_add(strike::weight(database))
		}
		// Job; the phase; refund; the worker's slot.
		fn cancel_training() -> Weight {
			weigh(
				$db,
				1 + REFUND_READS + RELEASE_READS,
				PHASE_WRITES + REFUND_WRITES + RELEASE_WRITES,
				100,
			)
		}
		// Job, account, holds; the phase, account, holds.
		fn dispute_training() -> Weight {
			weigh($db, 3, PHASE_WRITES + 2, 60)
		}
		// Upheld, the budget goes back and the worker is slashed; rejected, the bond goes to the worker
		// and the job is settled. Both are counted.
		fn resolve_dispute() -> Weight {
			weigh(
				$db,
				4 + SETTLE_READS + REFUND_READS,
				PHASE_WRITES + 3 + SETTLE_WRITES + REFUND_WRITES,
				160,
			)
			.saturating_add(strike::weight($db))
		}
		// Job; the phase; settling.
		fn settle_training() -> Weight {
			weigh($db, 1 + SETTLE_READS, PHASE_WRITES + SETTLE_WRITES, 120)
		}
		// At worst a worker gets a strike and is replaced, or an undecided dispute is settled.
		fn expire_training() -> Weight {
			weigh(
				$db,
				3 + SETTLE_READS + ASSIGN_READS + REFUND_READS,
				PHASE_WRITES + 2 + SETTLE_WRITES + ASSIGN_WRITES + REFUND_WRITES,
				180,
			)
			.saturating_add(strike::weight($db))
		}
		// Model, clock; model.
		fn publish_model() -> Weight {
			weigh($db, 2, 1, 40)
		}
		// Model; model.
		fn set_prices() -> Weight {
			weigh($db, 1, 1, 40)
		}
		// Model; model.
		fn pause_model() -> Weight {
			weigh($db, 1, 1, 30)
		}
		// Model, clock; model.
		fn resume_model() -> Weight {
			weigh($db, 2, 1, 30)
		}
		// Model; model, offer.
		fn retire_model() -> Weight {
			weigh($db, 1, 2, 30)
		}
		// Model; offer.
		fn offer_model() -> Weight {
			weigh($db, 1, 1, 30)
		}
		// Model, offer; offer.
		fn withdraw_offer() -> Weight {
			weigh($db, 2, 1, 30)
		}
		// Model, offer, deposit, two accounts, two holds; the same and two lists.
		fn accept_model() -> Weight {
			weigh($db, 7, 9, 120)
		}
		// The cursor.
		fn agenda_base() -> Weight {
			weigh($db, 1, 1, 5)
		}
		// A look at one block of the agenda.
		fn agenda_block() -> Weight {
			weigh($db, 1, 0, 10)
		}
		// One entry of the agenda, and at worst what `expire_training` does.
		fn agenda_entry() -> Weight {
			weigh(
				$db,
				4 + SETTLE_READS + ASSIGN_READS + REFUND_READS,
				PHASE_WRITES + 3 + SETTLE_WRITES + ASSIGN_WRITES + REFUND_WRITES,
				200,
			)
			.saturating_add(strike::weight($db))
		}
	};
}

/// Weights for a runtime, at the price of its database.
pub struct SubstrateWeight<T>(PhantomData<T>);

impl<T: frame_system::Config> WeightInfo for SubstrateWeight<T> {
	hand_counted!(T::DbWeight::get());
}

/// For tests: the same at the price of RocksDB.
impl WeightInfo for () {
	hand_counted!(RocksDbWeight::get());
}
