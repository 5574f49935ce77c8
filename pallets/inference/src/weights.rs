//! Weights of the calls.
//!
//! Counted by hand from the storage accesses, with a generous part for computation, until they are
//! measured by the benchmarking tool. Proof size is estimated as 4 KiB per read.

use core::marker::PhantomData;
use frame_support::{
	traits::Get,
	weights::{
		constants::{RocksDbWeight, WEIGHT_REF_TIME_PER_MICROS},
		RuntimeDbWeight, Weight,
	},
};
use openledger_pallet_support::strike;

/// What the calls and hooks of the pallet weigh.
pub trait WeightInfo {
	/// Asking with so many bytes of prompt on chain, including the choice of a worker.
	fn request_inference(bytes: u32) -> Weight;
	/// Delivering so many bytes of answer on chain, without the settlement.
	fn submit_result(bytes: u32) -> Weight;
	/// Finding out whether so many bytes of answer would be taken, without the settlement.
	fn authorise_result(bytes: u32) -> Weight;
	/// Saying that there is no answer.
	fn report_failure() -> Weight;
	/// Finding out whether a failure would be taken.
	fn authorise_failure() -> Weight;
	/// Giving up a request.
	fn expire_request() -> Weight;
	/// Looking at one block of the agenda.
	fn serve_block() -> Weight;
	/// Serving one entry of the agenda: giving up a request or forgetting one.
	fn serve_request() -> Weight;
}

/// Weights over the database weights of a runtime.
pub type SubstrateWeight<T> = Counted<<T as frame_system::Config>::DbWeight>;

/// Hand-counted weights over any database weights.
pub struct Counted<Db>(PhantomData<Db>);

const PROOF_PER_READ: u64 = 4_096;

impl<Db: Get<RuntimeDbWeight>> Counted<Db> {
	fn of(compute_micros: u64, reads: u64, writes: u64) -> Weight {
		let compute = compute_micros.saturating_mul(WEIGHT_REF_TIME_PER_MICROS);
		Weight::from_parts(compute, reads.saturating_mul(PROOF_PER_READ))
			.saturating_add(Db::get().reads_writes(reads, writes))
	}
}

/// Reads to choose a worker: the pool is bounded, and so is what an assignment looks at.
const READS_TO_ASSIGN: u64 = 40;

/// Bytes hashed and copied per microsecond, at the least.
const BYTES_PER_MICRO: u64 = 64;

/// Microseconds to verify a signature of any scheme.
const SIGNATURE_MICROS: u64 = 200;

impl<Db: Get<RuntimeDbWeight>> WeightInfo for Counted<Db> {
	/// Reads the model, the counter, the requester's account (twice: the question what it can spend
	/// is rolled back), holds, locks and index, and the pool; writes the counter, the account, the
	/// holds, the request, its prompt, three indexes and the worker.
	fn request_inference(bytes: u32) -> Weight {
		let hashing = u64::from(bytes).div_ceil(BYTES_PER_MICRO);
		Self::of(hashing.saturating_add(300), READS_TO_ASSIGN.saturating_add(8), 11)
	}

	/// Reads the request, the operator, the worker, the requester's account, holds and index; writes
	/// the request, the answer, the prompt, the account, the holds, three indexes, two agenda entries
	/// and the worker.
	fn submit_result(bytes: u32) -> Weight {
		let hashing = u64::from(bytes).div_ceil(BYTES_PER_MICRO);
		Self::of(hashing.saturating_add(200), 8, 12)
	}

	/// The message's hash and the signature, then delivering without writing to the database.
	fn authorise_result(bytes: u32) -> Weight {
		let hashing = u64::from(bytes).div_ceil(BYTES_PER_MICRO).saturating_mul(2);
		Self::of(hashing.saturating_add(SIGNATURE_MICROS).saturating_add(300), 8, 0)
	}

	/// As for delivering, without an answer.
	fn report_failure() -> Weight {
		Self::of(150, 8, 11)
	}

	/// The signature, then the failure without writing to the database.
	fn authorise_failure() -> Weight {
		Self::of(SIGNATURE_MICROS.saturating_add(200), 8, 0)
	}

	/// As for a failure, with a strike that may cost the worker its place.
	fn expire_request() -> Weight {
		Self::of(200, 8, 11).saturating_add(strike::weight(Db::get()))
	}

	/// Reads the cursor and the block's first entry; writes the cursor.
	fn serve_block() -> Weight {
		Self::of(10, 2, 1)
	}

	/// Giving up costs more than forgetting; on top, the entry that is taken out, and a failed
	/// attempt that is postponed.
	fn serve_request() -> Weight {
		Self::expire_request().saturating_add(Self::of(30, 2, 4))
	}
}

impl WeightInfo for () {
	fn request_inference(bytes: u32) -> Weight {
		Counted::<RocksDbWeight>::request_inference(bytes)
	}
	fn submit_result(bytes: u32) -> Weight {
		Counted::<RocksDbWeight>::submit_result(bytes)
	}
	fn authorise_result(bytes: u32) -> Weight {
		Counted::<RocksDbWeight>::authorise_result(bytes)
	}
	fn report_failure() -> Weight {
		Counted::<RocksDbWeight>::report_failure()
	}
	fn authorise_failure() -> Weight {
		Counted::<RocksDbWeight>::authorise_failure()
	}
	fn expire_request() -> Weight {
		Counted::<RocksDbWeight>::expire_request()
	}
	fn serve_block() -> Weight {
		Counted::<RocksDbWeight>::serve_block()
	}
	fn serve_request() -> Weight {
		Counted::<RocksDbWeight>::serve_request()
	}
}
