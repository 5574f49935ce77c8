//! Base models, training jobs and models as the chain shows them, and what people do with them.

use std::fmt;

use openledger_primitives::H256;
use serde::Serialize;
use subxt::{
	ext::{scale_decode::DecodeAsType, scale_encode::EncodeAsType},
	utils::AccountId32,
};
use subxt_signer::sr25519::Keypair;

use crate::{
	amount::as_open,
	chain::{
		datanets::{text, DatanetVersion},
		inference::FailureReason,
		licence::Licence,
		why_not::Refusal,
		Chain, Receipt,
	},
	error::Result,
};

/// A model whose weights adapters are trained on.
#[derive(Clone, PartialEq, Eq, Debug, DecodeAsType, Serialize)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
pub struct BaseModel {
	/// Who registered it.
	pub registrar: AccountId32,
	/// Hash of the weights.
	pub weights_hash: H256,
	/// Hash of the tokenizer.
	pub tokenizer_hash: H256,
	/// As in the model's `config.json`.
	#[serde(serialize_with = "text")]
	pub architecture: Vec<u8>,
	/// Under which terms the weights may be used.
	pub licence: Licence,
	/// What it is called.
	#[serde(serialize_with = "text")]
	pub name: Vec<u8>,
	/// Number of parameters.
	pub parameters: u64,
	/// Whether it takes no new jobs.
	pub retired: bool,
}

/// What is said about a base model to register it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BaseModelDescription {
	/// Hash of the weights.
	pub weights: H256,
	/// Hash of the tokenizer.
	pub tokenizer: H256,
	/// As in the model's `config.json`.
	pub architecture: String,
	/// What it is called.
	pub name: String,
	/// Number of parameters.
	pub parameters: u64,
	/// Under which terms the weights may be used.
	pub licence: Licence,
}

/// A model's prices in planks per 1,000 tokens.
#[derive(Clone, Copy, PartialEq, Eq, Debug, DecodeAsType, EncodeAsType, Serialize)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
#[encode_as_type(crate_path = "subxt::ext::scale_encode")]
pub struct Prices {
	/// For 1,000 tokens of prompt.
	#[serde(serialize_with = "as_open::serialize")]
	pub input_per_1000: u128,
	/// For 1,000 tokens of answer.
	#[serde(serialize_with = "as_open::serialize")]
	pub output_per_1000: u128,
}

/// What a training run measured. Losses are in millionths of a nat per token.
#[derive(Clone, Copy, PartialEq, Eq, Debug, DecodeAsType, Serialize)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
pub struct Metrics {
	/// Loss of the base model on the held-out split.
	pub heldout_loss_before_micro: u32,
	/// Loss with the adapter on the same split.
	pub heldout_loss_after_micro: u32,
	/// Tokens that went through training.
	pub trained_tokens: u64,
	/// Optimiser steps.
	pub steps: u32,
}

/// What a worker delivered.
#[derive(Clone, Copy, PartialEq, Eq, Debug, DecodeAsType, Serialize)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
pub struct TrainingResult {
	/// Hash of the adapter.
	pub adapter_hash: H256,
	/// Root of the span index.
	pub span_index_root: H256,
	/// What was measured.
	pub metrics: Metrics,
}

/// Why a job ended without a result.
#[derive(Clone, PartialEq, Eq, Debug, DecodeAsType, Serialize)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
#[serde(rename_all = "snake_case")]
pub enum TimeoutCause {
	/// No worker could be assigned in time.
	NoWorker,
	/// As many workers as are allowed were assigned, and none started.
	AttemptsUsedUp,
	/// The worker started and did not deliver in time.
	NotDelivered {
		/// The worker.
		worker: AccountId32,
	},
}

impl fmt::Display for TimeoutCause {
	fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
		match self {
			Self::NoWorker => write!(out, "no worker was free in time"),
			Self::AttemptsUsedUp => write!(out, "none of the workers that were assigned started"),
			Self::NotDelivered { worker } => write!(out, "worker {worker} did not deliver in time"),
		}
	}
}

/// Where a training job stands.
#[derive(Clone, PartialEq, Eq, Debug, DecodeAsType, Serialize)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
#[serde(rename_all = "snake_case", tag = "phase")]
pub enum TrainingPhase {
	/// Nobody is assigned.
	Open {
		/// When the job is given up.
		expires_at: u32,
	},
	/// A worker is assigned and has not started.
	Assigned {
		/// The worker's stash.
		worker: AccountId32,
		/// When the worker is late.
		start_by: u32,
	},
	/// The worker trains.
	Running {
		/// The worker's stash.
		worker: AccountId32,
		/// When the worker is late.
		deliver_by: u32,
	},
	/// The result is there and may be disputed.
	Delivered {
		/// The worker's stash.
		worker: AccountId32,
		/// What was delivered.
		result: TrainingResult,
		/// When the result stands.
		settle_at: u32,
	},
	/// The creator objects.
	Disputed {
		/// The worker's stash.
		worker: AccountId32,
		/// What was delivered.
		result: TrainingResult,
		/// When the result stands for want of a decision.
		decide_by: u32,
	},
	/// The worker was paid and the model exists.
	Settled {
		/// The worker's stash.
		worker: AccountId32,
		/// The model.
		model: u32,
		/// In which block.
		at: u32,
	},
	/// A deadline passed; the budget went back.
	TimedOut {
		/// Which.
		cause: TimeoutCause,
		/// In which block.
		at: u32,
	},
	/// The creator withdrew it; the budget went back.
	Cancelled {
		/// In which block.
		at: u32,
	},
	/// The result was judged false; the budget went back.
	Refuted {
		/// The worker's stash.
		worker: AccountId32,
		/// In which block.
		at: u32,
	},
	/// The worker started and could not finish; the budget went back.
	Failed {
		/// The worker's stash.
		worker: AccountId32,
		/// Why.
		reason: FailureReason,
		/// In which block.
		at: u32,
	},
}

impl TrainingPhase {
	/// What was delivered, if something was and is not judged yet.
	pub fn result(&self) -> Option<&TrainingResult> {
		match self {
			Self::Delivered { result, .. } | Self::Disputed { result, .. } => Some(result),
			_ => None,
		}
	}
}

impl fmt::Display for TrainingPhase {
	fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
		match self {
			Self::Open { expires_at } => {
				write!(out, "open: no worker is free; given up in block {expires_at}")
			},
			Self::Assigned { worker, start_by } => {
				write!(out, "assigned to {worker}, who has to start before block {start_by}")
			},
			Self::Running { worker, deliver_by } => {
				write!(out, "running at {worker}, who has to deliver before block {deliver_by}")
			},
			Self::Delivered { worker, settle_at, .. } => {
				write!(out, "delivered by {worker}; settled from block {settle_at} unless disputed")
			},
			Self::Disputed { decide_by, .. } => {
				write!(out, "disputed; stands in block {decide_by} unless decided before")
			},
			Self::Settled { worker, model, at } => {
				write!(out, "settled in block {at}: model {model}; {worker} was paid")
			},
			Self::TimedOut { cause, at } => {
				write!(out, "given up in block {at}: {cause}; the budget went back")
			},
			Self::Cancelled { at } => write!(out, "cancelled in block {at}; the budget went back"),
			Self::Refuted { worker, at } => {
				write!(
					out,
					"refuted in block {at}: {worker} was found at fault; the budget went back"
				)
			},
			Self::Failed { worker, reason, at } => {
				write!(out, "failed in block {at} at {worker}: {reason}; the budget went back")
			},
		}
	}
}

/// What a creator asked for.
#[derive(Clone, PartialEq, Eq, Debug, DecodeAsType, Serialize)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
pub struct TrainingOrder {
	/// The base model.
	pub base: u32,
	/// The datanet versions.
	pub sources: Vec<DatanetVersion>,
	/// Hash of the specification.
	pub spec_hash: H256,
	/// Whether the model may earn money.
	pub commercial: bool,
	/// What the worker is paid.
	#[serde(serialize_with = "as_open::serialize")]
	pub budget: u128,
	/// Blocks from start to delivery.
	pub training_blocks: u32,
}

/// A training job.
#[derive(Clone, PartialEq, Eq, Debug, DecodeAsType, Serialize)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
pub struct TrainingJob {
	/// Who pays.
	pub creator: AccountId32,
	/// What was asked.
	pub order: TrainingOrder,
	/// The block of the request.
	pub requested_at: u32,
	/// How many workers have been assigned so far.
	pub assignments: u32,
	/// Where it stands.
	#[serde(flatten)]
	pub phase: TrainingPhase,
}

/// A training request, as it is handed in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TrainingRequest {
	/// The base model.
	pub base: u32,
	/// The datanet versions, sorted, each datanet once.
	pub sources: Vec<DatanetVersion>,
	/// Hash of the specification.
	pub spec_hash: H256,
	/// The terms of the model.
	pub licence: Licence,
	/// Whether the model may earn money.
	pub commercial: bool,
	/// What the worker is paid, in planks.
	pub budget: u128,
	/// Blocks from start to delivery.
	pub training_blocks: u32,
}

/// Whether a model answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, DecodeAsType, Serialize)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
#[serde(rename_all = "snake_case")]
pub enum ModelStatus {
	/// Trained, and never published.
	Draft,
	/// It answers.
	Published,
	/// It does not answer for now.
	Paused,
	/// It never answers again.
	Retired,
}

impl fmt::Display for ModelStatus {
	fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
		out.write_str(match self {
			Self::Draft => "draft: trained, not published",
			Self::Published => "published: it answers",
			Self::Paused => "paused: it does not answer for now",
			Self::Retired => "retired: it never answers again",
		})
	}
}

/// A model: one adapter on one base model.
#[derive(Clone, PartialEq, Eq, Debug, DecodeAsType, Serialize)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
pub struct Model {
	/// Who earns the model's part of a fee.
	pub owner: AccountId32,
	/// The base model.
	pub base: u32,
	/// The datanet versions it was trained from.
	pub sources: Vec<DatanetVersion>,
	/// Hash of the training specification.
	pub spec_hash: H256,
	/// Adapter, index and metrics.
	pub result: TrainingResult,
	/// The terms it stands under.
	pub licence: Licence,
	/// Whether it may earn money.
	pub commercial: bool,
	/// What it costs.
	pub prices: Prices,
	/// Whether it answers.
	pub status: ModelStatus,
	/// The job that made it.
	pub job: u64,
	/// The block it was registered in.
	pub created_at: u32,
}

#[derive(DecodeAsType)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
struct BaseModelRegistered {
	base: u32,
}

#[derive(DecodeAsType)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
struct TrainingRequested {
	job: u64,
}

impl Chain {
	/// A base model.
	pub async fn base_model(&self, base: u32) -> Result<Option<BaseModel>> {
		self.view("Models", "base_model", (base,)).await
	}

	/// The base model with these weights.
	pub async fn base_model_by_weights(&self, weights: H256) -> Result<Option<u32>> {
		self.view("Models", "base_model_by_weights", (weights,)).await
	}

	/// Registers a base model, and says its number.
	pub async fn register_base_model(
		&self,
		key: &Keypair,
		base: &BaseModelDescription,
	) -> Result<u32> {
		let data = (
			base.weights,
			base.tokenizer,
			base.architecture.as_bytes().to_vec(),
			base.licence,
			base.name.as_bytes().to_vec(),
			base.parameters,
		);
		let receipt = self.submit(key, "Models", "register_base_model", data).await?;
		let registered: BaseModelRegistered = receipt.event("Models", "BaseModelRegistered")?;
		Ok(registered.base)
	}

	/// Why a training request would be refused, as far as base, sources and licences go.
	pub async fn why_not(
		&self,
		who: &AccountId32,
		request: &TrainingRequest,
	) -> Result<Option<Refusal>> {
		let arguments =
			(*who, request.base, request.sources.clone(), request.commercial, request.licence);
		self.view("Models", "why_not", arguments).await
	}

	/// Orders a training job, and says its number.
	pub async fn request_training(&self, key: &Keypair, request: &TrainingRequest) -> Result<u64> {
		let data = (
			request.base,
			request.sources.clone(),
			request.spec_hash,
			request.licence,
			request.commercial,
			request.budget,
			request.training_blocks,
		);
		let receipt = self.submit(key, "Models", "request_training", data).await?;
		let requested: TrainingRequested = receipt.event("Models", "TrainingRequested")?;
		Ok(requested.job)
	}

	/// A training job.
	pub async fn training_job(&self, job: u64) -> Result<Option<TrainingJob>> {
		self.view("Models", "job", (job,)).await
	}

	/// Assigns a worker to an open job.
	pub async fn assign_training(&self, key: &Keypair, job: u64) -> Result<Receipt> {
		self.submit(key, "Models", "assign_training", (job,)).await
	}

	/// Registers the model of a job whose challenge period is over, and pays its worker.
	pub async fn settle_training(&self, key: &Keypair, job: u64) -> Result<Receipt> {
		self.submit(key, "Models", "settle_training", (job,)).await
	}

	/// A model.
	pub async fn model(&self, model: u32) -> Result<Option<Model>> {
		self.view("Models", "model", (model,)).await
	}

	/// Publishes a model at a price.
	pub async fn publish_model(
		&self,
		key: &Keypair,
		model: u32,
		prices: Prices,
	) -> Result<Receipt> {
		self.submit(key, "Models", "publish_model", (model, prices)).await
	}

	/// Changes the prices of a published model.
	pub async fn set_prices(&self, key: &Keypair, model: u32, prices: Prices) -> Result<Receipt> {
		self.submit(key, "Models", "set_prices", (model, prices)).await
	}
}
