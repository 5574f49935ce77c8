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

/// What the calls and hooks of the pallet weigh.
pub trait WeightInfo {
	/// Paying one account its rewards.
	fn claim_rewards() -> Weight;
	/// Changing the split.
	fn set_fee_split() -> Weight;
	/// Settling an answer whose claim has so many shares and spans, and so many siblings in the paths
	/// of all its spans.
	fn settle(shares: u32, spans: u32, siblings: u32) -> Weight;
	/// Looking at one block of the agenda.
	fn prune_block() -> Weight;
	/// Pruning one settlement.
	fn prune_settlement() -> Weight;
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

impl<Db: Get<RuntimeDbWeight>> WeightInfo for Counted<Db> {
	/// Reads and writes the reward, the total, and the account and holds of the pot and the payee.
	fn claim_rewards() -> Weight {
		Self::of(150, 6, 6)
	}

	/// Reads and writes the split.
	fn set_fee_split() -> Weight {
		Self::of(20, 1, 1)
	}

	/// Reads the record, the newest pruned, the split, the model, 16 versions, the total, and the
	/// accounts and holds of payer and pot; per span its contribution; per share the reward. Writes the
	/// record, the agenda, the total, accounts and holds; per share the reward. Four more rewards for
	/// the roles. A span costs the hashes of its encoding (over a KiB with the longest path), of its
	/// leaf and of its tree's size, and one for each sibling.
	fn settle(shares: u32, spans: u32, siblings: u32) -> Weight {
		let (shares, spans, siblings) = (u64::from(shares), u64::from(spans), u64::from(siblings));
		let compute = [(shares, 15), (spans, 40), (siblings, 3)]
			.iter()
			.fold(250u64, |sum, (count, micros)| sum.saturating_add(count.saturating_mul(*micros)));
		Self::of(
			compute,
			spans.saturating_add(shares).saturating_add(29),
			shares.saturating_add(11),
		)
	}

	/// Reads the cursor and the block's first entry; writes the cursor.
	fn prune_block() -> Weight {
		Self::of(10, 2, 1)
	}

	/// Reads the entry, the newest pruned and the record; writes all three.
	fn prune_settlement() -> Weight {
		Self::of(30, 3, 3)
	}
}

impl WeightInfo for () {
	fn claim_rewards() -> Weight {
		Counted::<RocksDbWeight>::claim_rewards()
	}
	fn set_fee_split() -> Weight {
		Counted::<RocksDbWeight>::set_fee_split()
	}
	fn settle(shares: u32, spans: u32, siblings: u32) -> Weight {
		Counted::<RocksDbWeight>::settle(shares, spans, siblings)
	}
	fn prune_block() -> Weight {
		Counted::<RocksDbWeight>::prune_block()
	}
	fn prune_settlement() -> Weight {
		Counted::<RocksDbWeight>::prune_settlement()
	}
}
