//! What the pallets ask of each other. A pallet names the trait it needs in its `Config`; the
//! runtime says which pallet answers. No pallet depends on another of ours.

use crate::{
	claim::AttributionClaim,
	jobs::{JobKind, JobOutcome},
	licence::LicenceTerms,
	receipt::Prices,
	worker_api::BaseModelHashes,
	Balance, BaseModelId, BoundedVec, ConstU32, ContributionId, DatanetId, DatanetVersion, ModelId,
	RequestId, H256,
};
use alloc::vec::Vec;
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use scale_info::TypeInfo;

/// The most datanet versions one model can be trained on.
pub const MAX_TRAINING_SOURCES: u32 = 16;

/// The datanet versions a model was trained on, sorted, each datanet once.
pub type TrainingSources = BoundedVec<DatanetVersion, ConstU32<MAX_TRAINING_SOURCES>>;

/// What a published datanet version commits to.
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
pub struct VersionCommitment {
	/// Root of the Merkle mountain range over the accepted contributions' roots.
	pub root: H256,
	/// Accepted contributions in this version: the range's leaves.
	pub contributions: u32,
	/// Records over all of them.
	pub records: u64,
	/// Bytes of canonical records over all of them.
	pub bytes: u64,
}

/// An accepted contribution, as other pallets see it.
#[derive(
	Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct AcceptedContribution<AccountId> {
	/// Who earns from it.
	pub contributor: AccountId,
	/// Its leaf in the datanet's Merkle mountain range: a version of `n` contributions has the
	/// leaves below `n`.
	pub leaf_index: u32,
	/// Merkle root over its records.
	pub root: H256,
	/// Number of records.
	pub records: u32,
	/// Hash of its content blob.
	pub content: H256,
	/// The block it was made in.
	pub contributed_at: u64,
}

/// The datanets, for those who train on them and those who pay for them.
pub trait DatanetRegistry<AccountId> {
	/// Why training was refused.
	type Error;

	/// What a version commits to, if it was published.
	fn version(version: DatanetVersion) -> Option<VersionCommitment>;

	/// A datanet's licence.
	fn licence(datanet: DatanetId) -> Option<LicenceTerms>;

	/// Whether this account may train on the datanet now (access, not licence).
	fn ensure_may_train(who: &AccountId, datanet: DatanetId) -> Result<(), Self::Error>;

	/// An accepted contribution.
	fn accepted_contribution(id: ContributionId) -> Option<AcceptedContribution<AccountId>>;

	/// Every contribution of a version, by the block it was made in, then by id: the order in which
	/// duplicates belong to somebody. Empty when the version was not published.
	///
	/// For offchain workers only: it reads all of the datanet's contributions, however many.
	fn contributions_of(
		version: DatanetVersion,
	) -> Vec<(ContributionId, AcceptedContribution<AccountId>)>;

	/// For benchmarks: a version of one contribution by `owner` with this root over so many records,
	/// published, that anyone may train on under a licence that allows everything.
	#[cfg(feature = "runtime-benchmarks")]
	fn benchmark_version(owner: &AccountId, root: H256, records: u32) -> DatanetVersion;
}

/// Who does a job.
#[derive(
	Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct Assignment<AccountId> {
	/// The stash whose bond stands behind the work.
	pub worker: AccountId,
	/// The operator key that signs for it at the time of assignment.
	pub operator: AccountId,
}

/// The workers, for those who have jobs to give.
pub trait WorkerPool<AccountId> {
	/// Why nobody could be assigned.
	type Error;

	/// Picks a worker by bond and epoch randomness and takes one of its slots. `subject` tells jobs
	/// of one block apart and must be unique per job and attempt.
	fn assign(
		kind: JobKind,
		base: BaseModelId,
		subject: &[u8],
	) -> Result<Assignment<AccountId>, Self::Error>;

	/// The stash of the worker that `operator` may sign for now.
	fn stash_of(operator: &AccountId) -> Option<AccountId>;

	/// Whether `who` may sign for `worker` now.
	fn is_operator(worker: &AccountId, who: &AccountId) -> bool;

	/// Gives the slot back and records how the job ended. To be called exactly once per assignment.
	fn release(worker: &AccountId, outcome: JobOutcome);

	/// For benchmarks: a registered worker that serves `base`, with `operator` as its key.
	#[cfg(feature = "runtime-benchmarks")]
	fn benchmark_worker(stash: &AccountId, operator: &AccountId, base: BaseModelId);
}

/// A model that answers requests.
#[derive(
	Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct ServedModel<AccountId> {
	/// The base model a worker must hold.
	pub base: BaseModelId,
	/// Who earns the model's part of a fee.
	pub owner: AccountId,
	/// What it costs now.
	pub prices: Prices,
}

/// What a worker needs to answer with a model, by hash.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ModelFiles {
	/// The base model.
	pub base: BaseModelHashes,
	/// The adapter.
	pub adapter: H256,
	/// Root of the span index over the sources.
	pub span_index: H256,
}

/// The models, for those who ask them and those who pay their sources.
pub trait ModelRegistry<AccountId> {
	/// A model, if it exists and is published for requests.
	fn served(model: ModelId) -> Option<ServedModel<AccountId>>;

	/// What a worker needs to answer with a model, if it exists, published or not.
	fn files(model: ModelId) -> Option<ModelFiles>;

	/// The datanet versions a model was trained on, if it exists.
	fn sources(model: ModelId) -> Option<TrainingSources>;

	/// For benchmarks: a published model of `owner` trained on `sources`.
	#[cfg(feature = "runtime-benchmarks")]
	fn benchmark_model(owner: &AccountId, sources: TrainingSources) -> ServedModelId;
}

/// A model made for a benchmark, with the base its workers must hold.
#[cfg(feature = "runtime-benchmarks")]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ServedModelId {
	/// The model.
	pub model: ModelId,
	/// Its base.
	pub base: BaseModelId,
}

/// One answer that has to be paid for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PaidAnswer<AccountId> {
	/// The request, each settled once.
	pub request: RequestId,
	/// The model that answered.
	pub model: ModelId,
	/// Who earns the model's part.
	pub model_owner: AccountId,
	/// The stash that earns the host's part.
	pub host: AccountId,
	/// Who pays.
	pub payer: AccountId,
	/// What is paid, in planks. It must be free (not held) on the payer's account.
	pub fee: Balance,
}

/// Splits what an answer earned among everybody who caused it.
pub trait Settlement<AccountId> {
	/// Why the claim or the payment was refused. Nothing has moved then.
	type Error;

	/// Checks the claim, takes the fee from the payer and credits everybody, in this block.
	fn settle(answer: PaidAnswer<AccountId>, claim: &AttributionClaim) -> Result<(), Self::Error>;
}
