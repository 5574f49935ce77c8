//! What is said about work between the pallets that order it and the pallet that knows who does it.

use crate::{hashing, H256};
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
	/// Nobody's fault: the job was withdrawn, or the worker said in time that it cannot be done, or that
	/// it could not begin it.
	#[codec(index = 1)]
	Released,
	/// The deadline passed without a result, or the worker gave up what it had started: a strike.
	#[codec(index = 2)]
	TimedOut,
	/// The result was judged false: a slash.
	#[codec(index = 3)]
	Faulty,
}

/// Why a worker could not do a job.
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
pub enum FailureReason {
	/// The base model or the model's adapter could not be fetched or loaded.
	#[codec(index = 0)]
	ModelUnavailable,
	/// The prompt travels outside the chain and did not arrive.
	#[codec(index = 1)]
	PromptUnavailable,
	/// The prompt has more tokens than the request allows or the model can read.
	#[codec(index = 2)]
	PromptTooLong,
	/// The engine failed.
	#[codec(index = 3)]
	EngineFault,
	/// Records to train on could not be fetched, or are not what their hashes say.
	#[codec(index = 4)]
	DataUnavailable,
	/// The training specification could not be fetched, or cannot be followed.
	#[codec(index = 5)]
	SpecificationUnusable,
}

/// The kind of key, in a node's keystore, with which an operator signs results.
pub const OPERATOR_KEY_TYPE: [u8; 4] = *b"olop";

/// What an operator signs to report something about a job. It holds for one chain, and `call` names
/// the call so that no signature serves two.
pub fn operator_message(genesis: H256, call: &'static str, report: &impl Encode) -> H256 {
	let parts = (genesis, call, report).encode();
	hashing::hash("openledger/operator-report", &[&parts])
}
