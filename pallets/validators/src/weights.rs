//! Weights of the calls.
//!
//! Counted by hand from the storage accesses of each call, with a generous part for computing, until
//! they are measured by the benchmarking tool. The proof size is taken as 4 KiB per read. Planning and
//! starting a session have no weight here: `pallet-session` accounts a whole block for them.

use core::marker::PhantomData;
use frame_support::{
	traits::Get,
	weights::{constants::RocksDbWeight, RuntimeDbWeight, Weight},
};

/// Weights of the calls.
pub trait WeightInfo {
	/// `register`
	fn register() -> Weight;
	/// `bond_extra`
	fn bond_extra() -> Weight;
	/// `leave`
	fn leave() -> Weight;
	/// `withdraw`
	fn withdraw() -> Weight;
	/// `rejoin`
	fn rejoin() -> Weight;
	/// `force_remove`
	fn force_remove() -> Weight;
	/// `pardon`
	fn pardon() -> Weight;
	/// `set_max_validators`
	fn set_max_validators() -> Weight;
	/// Punishing `n` offenders.
	fn on_offence(n: u32) -> Weight;
}

/// Computing in a call: 60 µs.
const COMPUTE: u64 = 60_000_000;

fn estimate<DbWeight: Get<RuntimeDbWeight>>(reads: u64, writes: u64) -> Weight {
	Weight::from_parts(COMPUTE, reads.saturating_mul(4096))
		.saturating_add(DbWeight::get().reads_writes(reads, writes))
}

/// Hand-counted weights with the runtime's database costs.
pub type SubstrateWeight<T> = HandCounted<<T as frame_system::Config>::DbWeight>;

/// Hand-counted weights.
pub struct HandCounted<DbWeight>(PhantomData<DbWeight>);

impl<DbWeight: Get<RuntimeDbWeight>> WeightInfo for HandCounted<DbWeight> {
	// Reads: keys, validator, counter, account, holds, candidate count.
	// Writes: account, holds, validator, counter, candidate count.
	fn register() -> Weight {
		estimate::<DbWeight>(6, 5)
	}
	// Validator, account, holds.
	fn bond_extra() -> Weight {
		estimate::<DbWeight>(3, 3)
	}
	// Reads: validator, candidate count, session. Writes: validator, candidate count.
	fn leave() -> Weight {
		estimate::<DbWeight>(3, 2)
	}
	// Ours: validator, counter, session, account, holds. Keys: keys, the owners of at most six of them,
	// deposit in account and holds, how the keys were set.
	fn withdraw() -> Weight {
		estimate::<DbWeight>(13, 13)
	}
	// Reads: validator, counter, session, keys, candidate count. Writes: validator, candidate count.
	fn rejoin() -> Weight {
		estimate::<DbWeight>(5, 2)
	}
	fn force_remove() -> Weight {
		estimate::<DbWeight>(3, 2)
	}
	fn pardon() -> Weight {
		estimate::<DbWeight>(2, 1)
	}
	fn set_max_validators() -> Weight {
		estimate::<DbWeight>(0, 1)
	}
	// Once the session; each: fraction, validator, counter, account, holds, candidate count, where slashes
	// go, active set, disabled validators.
	fn on_offence(n: u32) -> Weight {
		estimate::<DbWeight>(9, 9).saturating_mul(n.into()).saturating_add(DbWeight::get().reads(1))
	}
}

/// The same with RocksDB's costs, for tests.
impl WeightInfo for () {
	fn register() -> Weight {
		HandCounted::<RocksDbWeight>::register()
	}
	fn bond_extra() -> Weight {
		HandCounted::<RocksDbWeight>::bond_extra()
	}
	fn leave() -> Weight {
		HandCounted::<RocksDbWeight>::leave()
	}
	fn withdraw() -> Weight {
		HandCounted::<RocksDbWeight>::withdraw()
	}
	fn rejoin() -> Weight {
		HandCounted::<RocksDbWeight>::rejoin()
	}
	fn force_remove() -> Weight {
		HandCounted::<RocksDbWeight>::force_remove()
	}
	fn pardon() -> Weight {
		HandCounted::<RocksDbWeight>::pardon()
	}
	fn set_max_validators() -> Weight {
		HandCounted::<RocksDbWeight>::set_max_validators()
	}
	fn on_offence(n: u32) -> Weight {
		HandCounted::<RocksDbWeight>::on_offence(n)
	}
}
