//! The inference receipt: what was asked, what was answered, and what it cost.

use crate::{Balance, ModelId, RequestId, H256};
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use scale_info::TypeInfo;
use serde::{Deserialize, Serialize};

/// A model's prices in planks per 1,000 tokens.
#[derive(
	Clone,
	Copy,
	PartialEq,
	Eq,
	Debug,
	Default,
	Encode,
	Decode,
	DecodeWithMemTracking,
	MaxEncodedLen,
	TypeInfo,
	Serialize,
	Deserialize,
)]
pub struct Prices {
	/// For 1,000 tokens of prompt.
	pub input_per_1000: Balance,
	/// For 1,000 tokens of answer.
	pub output_per_1000: Balance,
}

impl Prices {
	/// The fee in planks for so many tokens, rounded up once over the sum. `None` on overflow.
	pub fn fee(&self, input_tokens: u32, output_tokens: u32) -> Option<Balance> {
		let input = self.input_per_1000.checked_mul(input_tokens.into())?;
		let output = self.output_per_1000.checked_mul(output_tokens.into())?;
		Some(input.checked_add(output)?.div_ceil(1_000))
	}
}

/// How the engine ran: whether another worker can reproduce the answer bit for bit, and with which
/// arithmetic it has to.
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
pub enum ExecutionMode {
	/// Fastest kernels; the answer may depend on what else was in the batch.
	#[codec(index = 0)]
	Fast,
	/// Exact weights, fixed reduction order: the same input gives the same bytes on the same kind of device.
	#[codec(index = 1)]
	Deterministic,
	/// The same with weights, and what they multiply, rounded to bfloat16; sums in f32.
	#[codec(index = 2)]
	DeterministicBf16,
}

/// What a worker states about one answer.
#[derive(
	Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct InferenceReceipt {
	/// The request that was answered.
	pub request: RequestId,
	/// The model that answered.
	pub model: ModelId,
	/// Hash of the prompt's bytes.
	pub prompt_hash: H256,
	/// Hash of the answer's canonical bytes.
	pub answer_hash: H256,
	/// Tokens of prompt that were read.
	pub input_tokens: u32,
	/// Tokens of answer that were written.
	pub output_tokens: u32,
	/// How the engine ran.
	pub mode: ExecutionMode,
}
