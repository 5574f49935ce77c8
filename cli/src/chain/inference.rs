//! Requests and settlements as the chain shows them, and how a model is asked.

use std::fmt;

use openledger_primitives::{
	content::{content_hash, MAX_CONTENT_BYTES},
	H256,
};
use serde::Serialize;
use subxt::{
	ext::{scale_decode::DecodeAsType, scale_encode::EncodeAsType},
	utils::AccountId32,
};
use subxt_signer::sr25519::Keypair;

use crate::{
	amount::as_open,
	chain::{datanets::ContributionNumber, Chain},
	error::Result,
};

/// A prompt or an answer.
#[derive(Clone, PartialEq, Eq, Debug, DecodeAsType, EncodeAsType)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
#[encode_as_type(crate_path = "subxt::ext::scale_encode")]
pub enum Content {
	/// It travels outside the chain; this is its hash.
	Hash(H256),
	/// Here it is.
	Bytes(Vec<u8>),
}

impl Content {
	/// A prompt through the chain, or by its hash if that is wanted or it is too long.
	pub fn of_prompt(prompt: &str, private: bool) -> Self {
		if private || prompt.len() > MAX_CONTENT_BYTES as usize {
			Self::Hash(content_hash(prompt.as_bytes()))
		} else {
			Self::Bytes(prompt.as_bytes().to_vec())
		}
	}
}

/// Why a worker could not do a job.
#[derive(Clone, Copy, PartialEq, Eq, Debug, DecodeAsType, Serialize)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "they are explained where they are shown")]
pub enum FailureReason {
	ModelUnavailable,
	PromptUnavailable,
	PromptTooLong,
	EngineFault,
	DataUnavailable,
	SpecificationUnusable,
}

impl fmt::Display for FailureReason {
	fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
		out.write_str(match self {
			Self::ModelUnavailable => "it has not got the base model or the adapter",
			Self::PromptUnavailable => "the prompt did not reach it",
			Self::PromptTooLong => {
				"the prompt has more tokens than --max-input-tokens allows or the model can read"
			},
			Self::EngineFault => "its engine failed",
			Self::DataUnavailable => "it could not get the records",
			Self::SpecificationUnusable => "the specification cannot be followed",
		})
	}
}

/// A request that a worker is to answer.
#[derive(Clone, PartialEq, Eq, Debug, DecodeAsType)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
pub struct Job {
	/// The worker's stash.
	pub worker: AccountId32,
	/// What is held for it.
	pub held: u128,
	/// The last block in which the answer is taken.
	pub answer_by: u32,
}

/// What is known of an answer.
#[derive(Clone, PartialEq, Eq, Debug, DecodeAsType)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
pub struct Delivery {
	/// The worker's stash.
	pub worker: AccountId32,
	/// Hash of the answer.
	pub answer_hash: H256,
	/// Tokens of prompt that were read.
	pub input_tokens: u32,
	/// Tokens of answer that were written.
	pub output_tokens: u32,
	/// What was paid.
	pub fee: u128,
}

/// How far a request has come.
#[derive(Clone, PartialEq, Eq, Debug, DecodeAsType)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
pub enum RequestPhase {
	/// A worker is to answer.
	Assigned(Job),
	/// It was answered and paid.
	Answered(Delivery),
	/// The worker did not answer in time.
	TimedOut {
		/// The worker's stash.
		worker: AccountId32,
	},
	/// The worker said that it cannot answer.
	Failed {
		/// The worker's stash.
		worker: AccountId32,
		/// Why.
		reason: FailureReason,
	},
}

/// One request for an answer.
#[derive(Clone, PartialEq, Eq, Debug, DecodeAsType)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
pub struct Request {
	/// Who pays.
	pub requester: AccountId32,
	/// The model.
	pub model: u32,
	/// How far it has come.
	pub phase: RequestPhase,
}

/// What a model is asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Question {
	/// The model.
	pub model: u32,
	/// The prompt.
	pub prompt: Content,
	/// The most tokens of prompt that are paid.
	pub max_input_tokens: u32,
	/// The most tokens of answer that are paid.
	pub max_output_tokens: u32,
	/// The most that may be held, in planks.
	pub max_fee: u128,
}

/// A model was asked.
#[derive(Clone, PartialEq, Eq, Debug, DecodeAsType)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
pub struct InferenceRequested {
	/// The request.
	pub request: u64,
	/// The stash whose operator is to answer.
	pub worker: AccountId32,
	/// What is held, in planks.
	pub held: u128,
	/// The last block in which the answer is taken.
	pub answer_by: u32,
}

/// A fee in its parts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, DecodeAsType, Serialize)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
pub struct FeeParts {
	/// To those whose data caused the answer.
	#[serde(serialize_with = "as_open::serialize")]
	pub contributors: u128,
	/// To the worker.
	#[serde(serialize_with = "as_open::serialize")]
	pub host: u128,
	/// To the model's owner.
	#[serde(serialize_with = "as_open::serialize")]
	pub model_owner: u128,
	/// To validators and their delegators.
	#[serde(serialize_with = "as_open::serialize")]
	pub validators: u128,
	/// To the treasury.
	#[serde(serialize_with = "as_open::serialize")]
	pub treasury: u128,
}

/// What one contribution earned from an answer.
#[derive(Clone, PartialEq, Eq, Debug, DecodeAsType, Serialize)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
pub struct SettlementLine {
	/// The contribution.
	pub contribution: ContributionNumber,
	/// Who earned.
	pub owner: AccountId32,
	/// Its share of the answer, in parts per million.
	pub parts: u32,
	/// What it earned.
	#[serde(serialize_with = "as_open::serialize")]
	pub amount: u128,
}

/// What one datanet's contributions earned from an answer.
#[derive(Clone, PartialEq, Eq, Debug, DecodeAsType, Serialize)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
pub struct DatanetPart {
	/// The datanet.
	pub datanet: u32,
	/// The sum.
	#[serde(serialize_with = "as_open::serialize")]
	pub amount: u128,
	/// By contribution.
	pub contributions: Vec<SettlementLine>,
}

/// Where a request's fee went.
#[derive(Clone, PartialEq, Eq, Debug, DecodeAsType, Serialize)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
pub struct Explanation {
	/// The request.
	pub request: u64,
	/// The model.
	pub model: u32,
	/// Who paid.
	pub payer: AccountId32,
	/// Who earned the host's part.
	pub host: AccountId32,
	/// Who earned the model's part.
	pub model_owner: AccountId32,
	/// What was paid.
	#[serde(serialize_with = "as_open::serialize")]
	pub fee: u128,
	/// The fee in its parts.
	pub split: FeeParts,
	/// Whether nobody's data was shown to have caused the answer, so that the treasury got that part.
	pub unattributed: bool,
	/// The contributors' part.
	pub datanets: Vec<DatanetPart>,
	/// Root over the evidence.
	pub evidence_root: H256,
	/// Hash of the answer.
	pub answer_hash: H256,
	/// The block of the settlement.
	pub at: u32,
}

impl Chain {
	/// What would be held for so many tokens; nothing if the model cannot be asked.
	pub async fn inference_quote(
		&self,
		model: u32,
		max_input_tokens: u32,
		max_output_tokens: u32,
	) -> Result<Option<u128>> {
		self.view("Inference", "quote", (model, max_input_tokens, max_output_tokens)).await
	}

	/// Asks a model.
	pub async fn request_inference(
		&self,
		key: &Keypair,
		question: &Question,
	) -> Result<InferenceRequested> {
		let data = (
			question.model,
			question.prompt.clone(),
			question.max_input_tokens,
			question.max_output_tokens,
			question.max_fee,
		);
		let receipt = self.submit(key, "Inference", "request_inference", data).await?;
		receipt.event("Inference", "InferenceRequested")
	}

	/// A request.
	pub async fn inference_request(&self, request: u64) -> Result<Option<Request>> {
		self.view("Inference", "request", (request,)).await
	}

	/// The answer to a request.
	pub async fn inference_answer(&self, request: u64) -> Result<Option<Content>> {
		self.view("Inference", "answer", (request,)).await
	}

	/// Where a request's fee went.
	pub async fn explanation(&self, request: u64) -> Result<Option<Explanation>> {
		self.view("Attribution", "explain", (request,)).await
	}
}
