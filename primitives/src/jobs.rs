//! What is said about work between the pallets that order it and the pallet that knows who does it.

use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use scale_info::TypeInfo;

/// Kinds of work a worker can offer.
#[derive(
	Clone,
	Copy,
	PartialEq,
	Eq,
	PartialOrd,
	Ord,
	Debug,
	Encode,
	Decode,
	DecodeWithMemTracking,
	MaxEncodedLen,
	TypeInfo,
)]
pub enum JobKind {
	/// Answering requests with a model.
	#[codec(index = 0)]
	Inference,
	/// Fine-tuning an adapter.
	#[codec(index = 1)]
	Training,
	/// Re-computing attribution for audits.
	#[codec(index = 2)]
	Attribution,
}

/// How a job ended, as far as its worker is concerned.
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
pub enum JobOutcome {
	/// The worker did what it was asked.
	#[codec(index = 0)]
	Delivered,
	/// Nobody's fault: the job was withdrawn, or the worker said in time that it could not do it.
	#[codec(index = 1)]
	Released,
	/// The deadline passed without a result: a strike.
	#[codec(index = 2)]
	TimedOut,
	/// The result was judged false: a slash.
	#[codec(index = 3)]
	Faulty,
}
