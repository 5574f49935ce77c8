//! Workers as the chain shows them, and how somebody becomes one.

use std::fmt;

use clap::ValueEnum;
use serde::Serialize;
use subxt::{
	ext::{scale_decode::DecodeAsType, scale_encode::EncodeAsType},
	utils::AccountId32,
};
use subxt_signer::sr25519::Keypair;

use crate::{
	amount::as_open,
	chain::{Chain, Receipt},
	error::Result,
};

/// Kinds of work.
#[derive(
	Clone,
	Copy,
	PartialEq,
	Eq,
	PartialOrd,
	Ord,
	Debug,
	DecodeAsType,
	EncodeAsType,
	Serialize,
	ValueEnum,
)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
#[encode_as_type(crate_path = "subxt::ext::scale_encode")]
#[serde(rename_all = "snake_case")]
pub enum JobKind {
	/// Answering requests with a model
	Inference,
	/// Fine-tuning an adapter
	Training,
	/// Re-computing attribution for audits
	Attribution,
}

impl fmt::Display for JobKind {
	fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
		out.write_str(match self {
			Self::Inference => "inference",
			Self::Training => "training",
			Self::Attribution => "attribution",
		})
	}
}

/// What a worker offers.
#[derive(Clone, PartialEq, Eq, Debug, DecodeAsType, EncodeAsType, Serialize)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
#[encode_as_type(crate_path = "subxt::ext::scale_encode")]
pub struct Capabilities {
	/// Kinds of work, sorted.
	pub kinds: Vec<JobKind>,
	/// Base models, sorted.
	pub base_models: Vec<u32>,
	/// Memory in MiB.
	pub memory_mib: u32,
	/// The most jobs at the same time.
	pub slots: u32,
}

impl Capabilities {
	/// Capabilities with what is a set on the chain sorted, each once.
	pub fn new(
		mut kinds: Vec<JobKind>,
		mut base_models: Vec<u32>,
		memory_mib: u32,
		slots: u32,
	) -> Self {
		kinds.sort_unstable();
		kinds.dedup();
		base_models.sort_unstable();
		base_models.dedup();
		Self { kinds, base_models, memory_mib, slots }
	}
}

/// The key that signs for a worker.
#[derive(Clone, PartialEq, Eq, Debug, DecodeAsType, Serialize)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
#[serde(rename_all = "snake_case")]
pub enum OperatorKey {
	/// Named by the stash; it has to accept.
	Proposed(AccountId32),
	/// It accepted.
	Confirmed(AccountId32),
}

/// Whether a worker wants work.
#[derive(Clone, Copy, PartialEq, Eq, Debug, DecodeAsType, Serialize)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
#[serde(rename_all = "snake_case")]
pub enum WorkerStatus {
	/// It wants work.
	Active,
	/// It wants no work for now.
	Paused,
	/// It let too many jobs time out.
	PausedForStrikes {
		/// The block of the last strike.
		since: u32,
	},
	/// It ends.
	Leaving,
}

impl fmt::Display for WorkerStatus {
	fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
		match self {
			Self::Active => write!(out, "active"),
			Self::Paused => write!(out, "paused"),
			Self::PausedForStrikes { since } => {
				write!(out, "paused in block {since}: too many jobs timed out")
			},
			Self::Leaving => write!(out, "leaving: its bond is unbonding"),
		}
	}
}

/// A worker.
#[derive(Clone, PartialEq, Eq, Debug, DecodeAsType, Serialize)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
pub struct Worker {
	/// The key that signs its results.
	pub operator: OperatorKey,
	/// What is at stake.
	#[serde(serialize_with = "as_open::serialize")]
	pub bond: u128,
	/// What it offers.
	pub capabilities: Capabilities,
	/// Whether it wants work.
	pub status: WorkerStatus,
	/// Jobs under way.
	pub active_jobs: u32,
	/// Jobs it let time out and that are not forgiven.
	pub strikes: u32,
}

impl Chain {
	/// A worker by its stash.
	pub async fn worker(&self, stash: &AccountId32) -> Result<Option<Worker>> {
		self.view("Workers", "worker", (*stash,)).await
	}

	/// The stash of the worker that an operator key signs for.
	pub async fn stash_of(&self, operator: &AccountId32) -> Result<Option<AccountId32>> {
		self.view("Workers", "stash_of", (*operator,)).await
	}

	/// Whether a worker is in its pools or waits for them.
	pub async fn is_eligible(&self, stash: &AccountId32) -> Result<bool> {
		self.view("Workers", "is_eligible", (*stash,)).await
	}

	/// Becomes a worker; the operator key has to accept.
	pub async fn register_worker(
		&self,
		stash: &Keypair,
		operator: AccountId32,
		bond: u128,
		capabilities: Capabilities,
	) -> Result<Receipt> {
		self.submit(stash, "Workers", "register", (operator, bond, capabilities)).await
	}

	/// Accepts, as the operator key, to sign for a worker.
	pub async fn accept_operator(&self, operator: &Keypair, stash: AccountId32) -> Result<Receipt> {
		self.submit(operator, "Workers", "accept_operator", (stash,)).await
	}
}
