//! What the pallet stores.

use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use openledger_primitives::{
	jobs::FailureReason,
	receipt::{ExecutionMode, Prices},
	Balance, BaseModelId, ModelId, H256,
};
use scale_info::TypeInfo;

/// A request that a worker is to answer.
#[derive(
	Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct Job<AccountId, BlockNumber> {
	/// The stash whose operator is to answer.
	pub worker: AccountId,
	/// What is on hold for it on the requester's account, in planks.
	pub held: Balance,
	/// The last block in which the answer is taken.
	pub answer_by: BlockNumber,
}

/// What is known of an answer that was delivered and paid.
#[derive(
	Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct Delivery<AccountId, BlockNumber> {
	/// The stash whose operator answered.
	pub worker: AccountId,
	/// The [`content_hash`](openledger_primitives::content::content_hash) of the answer.
	pub answer_hash: H256,
	/// Tokens of prompt that were read.
	pub input_tokens: u32,
	/// Tokens of answer that were written.
	pub output_tokens: u32,
	/// How the engine ran.
	pub mode: ExecutionMode,
	/// What was paid, in planks.
	pub fee: Balance,
	/// The block of delivery.
	pub at: BlockNumber,
}

/// How far a request has come.
#[derive(
	Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub enum Phase<AccountId, BlockNumber> {
	/// A worker is to answer. The only phase in which money is held.
	#[codec(index = 0)]
	Assigned(Job<AccountId, BlockNumber>),
	/// The answer was delivered and paid; the rest was refunded.
	#[codec(index = 1)]
	Answered(Delivery<AccountId, BlockNumber>),
	/// The worker did not answer in time. Everything was refunded.
	#[codec(index = 2)]
	TimedOut {
		/// The stash that did not answer.
		worker: AccountId,
		/// The block in which the request was given up.
		at: BlockNumber,
	},
	/// The worker said in time that it cannot answer. Everything was refunded.
	#[codec(index = 3)]
	Failed {
		/// The stash that said so.
		worker: AccountId,
		/// Why.
		reason: FailureReason,
		/// The block in which it said so.
		at: BlockNumber,
	},
}

/// One request for an answer.
#[derive(
	Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct Request<AccountId, BlockNumber> {
	/// Who asks and pays.
	pub requester: AccountId,
	/// The model that is asked.
	pub model: ModelId,
	/// Who owned the model at the time of the request, and earns its part.
	pub model_owner: AccountId,
	/// The base model that the worker must hold.
	pub base: BaseModelId,
	/// The [`content_hash`](openledger_primitives::content::content_hash) of the prompt.
	pub prompt_hash: H256,
	/// The most tokens of prompt that are paid.
	pub max_input_tokens: u32,
	/// The most tokens of answer that are paid.
	pub max_output_tokens: u32,
	/// The prices at the time of the request. Later changes do not matter to it.
	pub prices: Prices,
	/// The block of the request.
	pub asked_at: BlockNumber,
	/// The block under which the request stands in the agenda: when it is given up, or, once it has
	/// ended, when it is forgotten.
	pub due: BlockNumber,
	/// How far it has come.
	pub phase: Phase<AccountId, BlockNumber>,
}
