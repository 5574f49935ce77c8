//! What is stored about a validator and what a slash is computed from.

use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use openledger_primitives::Balance;
use scale_info::TypeInfo;
use sp_staking::SessionIndex;

/// A registered validator.
#[derive(
	Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct Validator {
	/// What is on hold for it, in planks.
	pub bond: Balance,
	/// Whether it may be chosen for a session.
	pub status: Status,
}

/// Whether a validator may be chosen for a session.
#[derive(
	Clone,
	Copy,
	PartialEq,
	Eq,
	Debug,
	Encode,
	Decode,
	DecodeWithMemTracking,
	MaxEncodedLen,
	TypeInfo,
)]
pub enum Status {
	/// It stands for the next session.
	#[codec(index = 0)]
	Candidate,
	/// It is on its way out for good. The bond stays slashable until it is withdrawn.
	#[codec(index = 1)]
	Leaving {
		/// The first session in which the bond may be withdrawn.
		unlock_at: SessionIndex,
	},
	/// It offended and may not be chosen.
	#[codec(index = 2)]
	Jailed {
		/// The first session in which it may rejoin.
		until: SessionIndex,
	},
}

/// What the historical session proofs say about a validator: its bond when the session was planned,
/// in planks. Slashes are fractions of it, whatever happened to the bond since.
#[derive(
	Clone,
	Copy,
	PartialEq,
	Eq,
	Debug,
	Encode,
	Decode,
	DecodeWithMemTracking,
	MaxEncodedLen,
	TypeInfo,
)]
pub struct Identification {
	/// The bond in planks.
	pub bond: Balance,
}
