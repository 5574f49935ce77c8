//! Weights of the calls.
//!
//! Counted by hand from the storage accesses of each call, with a generous part for computing, until
//! they are measured by the benchmarking tool. The proof size is taken as 4 KiB per read.

use core::marker::PhantomData;
use frame_support::{
	traits::Get,
	weights::{constants::ParityDbWeight, RuntimeDbWeight, Weight},
};

/// Weights of the calls.
pub trait WeightInfo {
	/// `create_datanet`
	fn create_datanet() -> Weight;
	/// `update_datanet`
	fn update_datanet() -> Weight;
	/// `close_datanet`
	fn close_datanet() -> Weight;
	/// `reopen_datanet`
	fn reopen_datanet() -> Weight;
	/// `offer_datanet`
	fn offer_datanet() -> Weight;
	/// `withdraw_datanet_offer`
	fn withdraw_datanet_offer() -> Weight;
	/// `accept_datanet`
	fn accept_datanet() -> Weight;
	/// `contribute`
	fn contribute() -> Weight;
	/// `withdraw_contribution`
	fn withdraw_contribution() -> Weight;
	/// `accept_contribution`
	fn accept_contribution() -> Weight;
	/// `reject_contribution`
	fn reject_contribution() -> Weight;
	/// `settle_contribution`, and serving one entry of the agenda.
	fn settle_contribution() -> Weight;
	/// `publish_version`
	fn publish_version() -> Weight;
	/// `grant_access`
	fn grant_access() -> Weight;
	/// `revoke_access`
	fn revoke_access() -> Weight;
	/// `buy_access`
	fn buy_access() -> Weight;
	/// `request_access`
	fn request_access() -> Weight;
	/// `refuse_access`
	fn refuse_access() -> Weight;
	/// `cancel_access_request`
	fn cancel_access_request() -> Weight;
	/// Looking at one block of the agenda, or at one past day.
	fn look_at_agenda() -> Weight;
	/// Clearing away one account's count of a past day.
	fn clear_day_entry() -> Weight;
}

/// Computing in a call: 60 µs.
const COMPUTE: u64 = 60_000_000;

/// Proof of one read, in bytes.
const PROOF_PER_READ: u64 = 4096;

fn estimate<DbWeight: Get<RuntimeDbWeight>>(reads: u64, writes: u64) -> Weight {
	Weight::from_parts(COMPUTE, reads.saturating_mul(PROOF_PER_READ))
		.saturating_add(DbWeight::get().reads_writes(reads, writes))
}

/// The counts, over any database. A deposit that is made or given back is an account and its holds.
struct Counted<DbWeight>(PhantomData<DbWeight>);

impl<DbWeight: Get<RuntimeDbWeight>> WeightInfo for Counted<DbWeight> {
	// Reads: number, owner's list, deposit. Writes: these, ticket, datanet.
	fn create_datanet() -> Weight {
		estimate::<DbWeight>(4, 6)
	}
	// The datanet.
	fn update_datanet() -> Weight {
		estimate::<DbWeight>(1, 1)
	}
	fn close_datanet() -> Weight {
		estimate::<DbWeight>(1, 1)
	}
	fn reopen_datanet() -> Weight {
		estimate::<DbWeight>(1, 1)
	}
	// Reads: datanet. Writes: offer.
	fn offer_datanet() -> Weight {
		estimate::<DbWeight>(1, 1)
	}
	// Reads: datanet, offer. Writes: offer.
	fn withdraw_datanet_offer() -> Weight {
		estimate::<DbWeight>(2, 1)
	}
	// Datanet, offer, ticket, two lists, two deposits.
	fn accept_datanet() -> Weight {
		estimate::<DbWeight>(9, 9)
	}
	// Reads: datanet, grant, root, counters, day, two governed limits, deposit. Writes: counters, day,
	// deposit, ticket, agenda, root, contribution.
	fn contribute() -> Weight {
		estimate::<DbWeight>(9, 8)
	}
	// Reads: contribution, ticket, deposit, counters. Writes: these, agenda, root.
	fn withdraw_contribution() -> Weight {
		estimate::<DbWeight>(5, 7)
	}
	// Reads: datanet, grant, contribution, ticket, deposit, counters, range. Writes: the last five and
	// the agenda.
	fn accept_contribution() -> Weight {
		estimate::<DbWeight>(8, 7)
	}
	// Reads: datanet, grant, contribution, ticket, deposit, counters. Writes: the last four, agenda,
	// root.
	fn reject_contribution() -> Weight {
		estimate::<DbWeight>(7, 7)
	}
	// Reads: agenda, contribution, ticket, deposit, counters, range. Writes: these, root.
	fn settle_contribution() -> Weight {
		estimate::<DbWeight>(7, 8)
	}
	// Reads: datanet, grant, range, counters, last version. Writes: counters, version.
	fn publish_version() -> Weight {
		estimate::<DbWeight>(5, 2)
	}
	// Reads: datanet, request, earlier grant and the deposit for it, payer and holds, owner. Writes: all
	// but the datanet.
	fn grant_access() -> Weight {
		estimate::<DbWeight>(8, 7)
	}
	// Reads: datanet, grant, deposit. Writes: the last two.
	fn revoke_access() -> Weight {
		estimate::<DbWeight>(4, 3)
	}
	// Reads: datanet, earlier grant and the deposit for it, payer and holds, owner. Writes: all but the
	// datanet.
	fn buy_access() -> Weight {
		estimate::<DbWeight>(7, 6)
	}
	// Reads: datanet, request, grant, account and holds. Writes: request, account and holds.
	fn request_access() -> Weight {
		estimate::<DbWeight>(5, 3)
	}
	// Reads: datanet, request, account and holds. Writes: the last three.
	fn refuse_access() -> Weight {
		estimate::<DbWeight>(4, 3)
	}
	// Request, account and holds.
	fn cancel_access_request() -> Weight {
		estimate::<DbWeight>(3, 3)
	}
	// Reads: cursor, first key. Writes: cursor.
	fn look_at_agenda() -> Weight {
		estimate::<DbWeight>(2, 1)
	}
	// Reads: next key, value. Writes: the value.
	fn clear_day_entry() -> Weight {
		estimate::<DbWeight>(2, 1)
	}
}

macro_rules! as_counted {
	($DbWeight:ty: $($name:ident)*) => {
		$(
			fn $name() -> Weight {
				Counted::<$DbWeight>::$name()
			}
		)*
	};
}

macro_rules! counted_with {
	($DbWeight:ty) => {
		as_counted! { $DbWeight:
			create_datanet update_datanet close_datanet reopen_datanet offer_datanet
			withdraw_datanet_offer accept_datanet contribute withdraw_contribution
			accept_contribution reject_contribution settle_contribution publish_version grant_access
			revoke_access buy_access request_access refuse_access cancel_access_request
			look_at_agenda clear_day_entry
		}
	};
}

/// Hand-counted weights with the runtime's database costs.
pub struct SubstrateWeight<T>(PhantomData<T>);

impl<T: frame_system::Config> WeightInfo for SubstrateWeight<T> {
	counted_with!(T::DbWeight);
}

/// Hand-counted weights with ParityDB's costs, for tests.
impl WeightInfo for () {
	counted_with!(ParityDbWeight);
}
