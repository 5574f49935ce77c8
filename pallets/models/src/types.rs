//! The SCALE types that this pallet stores and shows.

use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use openledger_primitives::{
	jobs::FailureReason,
	licence::{LicenceConflict, LicenceTerms},
	receipt::Prices,
	training::TrainingResult,
	traits::TrainingSources,
	Balance, BaseModelId, BoundedVec, ConstU32, DatanetId, DatanetVersion, ModelId, TrainingJobId,
	H256,
};
use scale_info::TypeInfo;
use sp_runtime::DispatchError;

/// The most bytes of a base model's name.
pub const MAX_NAME_BYTES: u32 = 64;
/// The most bytes of the name of an architecture.
pub const MAX_ARCHITECTURE_BYTES: u32 = 32;

/// A base model's name for people, UTF-8.
pub type Name = BoundedVec<u8, ConstU32<MAX_NAME_BYTES>>;
/// The name of an architecture as in the model's `config.json`, such as `LlamaForCausalLM`.
pub type Architecture = BoundedVec<u8, ConstU32<MAX_ARCHITECTURE_BYTES>>;

/// A model whose weights adapters are trained on.
#[derive(
	Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct BaseModel<AccountId> {
	/// Who registered it and holds its deposit.
	pub registrar: AccountId,
	/// Hash of the weights' canonical bytes; no two base models have the same.
	pub weights_hash: H256,
	/// Hash of the tokenizer's canonical bytes.
	pub tokenizer_hash: H256,
	/// The architecture the weights are for.
	pub architecture: Architecture,
	/// Under which terms the weights may be used.
	pub licence: LicenceTerms,
	/// Its name for people.
	pub name: Name,
	/// Number of parameters.
	pub parameters: u64,
	/// Whether new jobs on it are refused. What was made on it before keeps working.
	pub retired: bool,
}

/// What a creator asks for: everything about a training job that never changes.
#[derive(
	Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct TrainingOrder<BlockNumber> {
	/// The base model to train on.
	pub base: BaseModelId,
	/// The datanet versions to train from.
	pub sources: TrainingSources,
	/// Hash of the training specification (rank, learning rate, held-out split, seed, …), which the
	/// worker fetches by this hash. The chain does not read it.
	pub spec_hash: H256,
	/// The terms under which the resulting model will stand.
	pub licence: LicenceTerms,
	/// Whether the resulting model may earn money.
	pub commercial: bool,
	/// What the worker is paid, in planks.
	pub budget: Balance,
	/// How many blocks the worker has from start to delivery.
	pub training_blocks: BlockNumber,
}

/// What a creator says is wrong with a delivered result.
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
pub enum DisputeReason {
	/// No adapter with the delivered hash can be fetched.
	#[codec(index = 0)]
	AdapterUnavailable,
	/// The adapter was not trained as the specification says, or not from the sources.
	#[codec(index = 1)]
	NotAsSpecified,
	/// Measuring again gives other metrics.
	#[codec(index = 2)]
	MetricsFalse,
	/// The span index or the influence vectors do not belong to the sources.
	#[codec(index = 3)]
	IndexFalse,
}

/// A creator's objection, with what stands behind it.
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
pub struct Dispute<BlockNumber> {
	/// What is said to be wrong.
	pub reason: DisputeReason,
	/// Hash of the statement that those who decide shall read.
	pub evidence: H256,
	/// What the creator holds behind the objection, in planks.
	pub bond: Balance,
	/// The block of the objection.
	pub since: BlockNumber,
}

/// How a dispute ended.
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
pub enum Verdict {
	/// The creator was right.
	#[codec(index = 0)]
	Upheld,
	/// The worker was right.
	#[codec(index = 1)]
	Rejected,
	/// Nobody decided in time.
	#[codec(index = 2)]
	Undecided,
}

/// Why a job ended without a result.
#[derive(
	Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub enum TimeoutCause<AccountId> {
	/// No worker could be assigned in time.
	#[codec(index = 0)]
	NoWorker,
	/// As many workers as are allowed were assigned, and none of them started.
	#[codec(index = 1)]
	AttemptsUsedUp,
	/// The worker started and did not deliver in time.
	#[codec(index = 2)]
	NotDelivered {
		/// The worker that failed.
		worker: AccountId,
	},
}

/// Where a training job stands, with exactly the data that makes sense there.
///
/// A deadline (`…_by`, `…_at` except the plain `at`) is the first block in which it is too late to
/// act, and the first in which anybody may have the job moved on. The job has one entry in the
/// agenda, at [`Phase::deadline`]. The crate's page has the table of what may happen in each phase.
#[derive(
	Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub enum Phase<AccountId, BlockNumber> {
	/// Nobody is assigned.
	#[codec(index = 0)]
	Open {
		/// When the job is given up.
		expires_at: BlockNumber,
	},
	/// A worker is assigned and has not started.
	#[codec(index = 1)]
	Assigned {
		/// The stash of the worker.
		worker: AccountId,
		/// When the worker is late.
		start_by: BlockNumber,
	},
	/// The worker trains.
	#[codec(index = 2)]
	Running {
		/// The stash of the worker.
		worker: AccountId,
		/// When the worker is late.
		deliver_by: BlockNumber,
	},
	/// The result is there and may be disputed.
	#[codec(index = 3)]
	Delivered {
		/// The stash of the worker.
		worker: AccountId,
		/// What was delivered.
		result: TrainingResult,
		/// When the result stands.
		settle_at: BlockNumber,
	},
	/// The creator objects, and somebody has to decide.
	#[codec(index = 4)]
	Disputed {
		/// The stash of the worker.
		worker: AccountId,
		/// What was delivered.
		result: TrainingResult,
		/// The objection.
		dispute: Dispute<BlockNumber>,
		/// When the result stands for want of a decision.
		decide_by: BlockNumber,
	},
	/// The worker was paid and the model exists.
	#[codec(index = 5)]
	Settled {
		/// The stash that was paid.
		worker: AccountId,
		/// The model that came of it.
		model: ModelId,
		/// The block it was settled in.
		at: BlockNumber,
		/// When this record goes.
		forget_at: BlockNumber,
	},
	/// A deadline passed; the budget went back.
	#[codec(index = 6)]
	TimedOut {
		/// Which one.
		cause: TimeoutCause<AccountId>,
		/// The block it ended in.
		at: BlockNumber,
		/// When this record goes.
		forget_at: BlockNumber,
	},
	/// The creator withdrew it; the budget went back.
	#[codec(index = 7)]
	Cancelled {
		/// The block it ended in.
		at: BlockNumber,
		/// When this record goes.
		forget_at: BlockNumber,
	},
	/// The result was judged false; the budget went back.
	#[codec(index = 8)]
	Refuted {
		/// The worker that was found at fault.
		worker: AccountId,
		/// The block it ended in.
		at: BlockNumber,
		/// When this record goes.
		forget_at: BlockNumber,
	},
	/// The worker started and could not finish; the budget went back.
	#[codec(index = 9)]
	Failed {
		/// The worker that gave it up.
		worker: AccountId,
		/// Why, as the worker says.
		reason: FailureReason,
		/// The block it ended in.
		at: BlockNumber,
		/// When this record goes.
		forget_at: BlockNumber,
	},
}

impl<AccountId, BlockNumber: Copy> Phase<AccountId, BlockNumber> {
	/// The block at which the job is moved on if nobody did before.
	pub fn deadline(&self) -> BlockNumber {
		match self {
			Self::Open { expires_at: block }
			| Self::Assigned { start_by: block, .. }
			| Self::Running { deliver_by: block, .. }
			| Self::Delivered { settle_at: block, .. }
			| Self::Disputed { decide_by: block, .. }
			| Self::Settled { forget_at: block, .. }
			| Self::TimedOut { forget_at: block, .. }
			| Self::Cancelled { forget_at: block, .. }
			| Self::Refuted { forget_at: block, .. }
			| Self::Failed { forget_at: block, .. } => *block,
		}
	}

	/// The same phase with another deadline.
	pub fn with_deadline(mut self, at: BlockNumber) -> Self {
		match &mut self {
			Self::Open { expires_at: block }
			| Self::Assigned { start_by: block, .. }
			| Self::Running { deliver_by: block, .. }
			| Self::Delivered { settle_at: block, .. }
			| Self::Disputed { decide_by: block, .. }
			| Self::Settled { forget_at: block, .. }
			| Self::TimedOut { forget_at: block, .. }
			| Self::Cancelled { forget_at: block, .. }
			| Self::Refuted { forget_at: block, .. }
			| Self::Failed { forget_at: block, .. } => *block = at,
		}
		self
	}

	/// Whether the job has ended: nothing is held for it and nobody works on it.
	pub fn is_final(&self) -> bool {
		match self {
			Self::Open { .. }
			| Self::Assigned { .. }
			| Self::Running { .. }
			| Self::Delivered { .. }
			| Self::Disputed { .. } => false,
			Self::Settled { .. }
			| Self::TimedOut { .. }
			| Self::Cancelled { .. }
			| Self::Refuted { .. }
			| Self::Failed { .. } => true,
		}
	}

	/// The worker that is to report on the job now: that it has started, or cannot start, or delivers.
	pub fn reporting_worker(&self) -> Option<&AccountId> {
		match self {
			Self::Assigned { worker, .. } | Self::Running { worker, .. } => Some(worker),
			Self::Open { .. }
			| Self::Delivered { .. }
			| Self::Disputed { .. }
			| Self::Settled { .. }
			| Self::TimedOut { .. }
			| Self::Cancelled { .. }
			| Self::Refuted { .. }
			| Self::Failed { .. } => None,
		}
	}

	/// The worker whose slot the job takes now.
	pub fn assigned_worker(&self) -> Option<&AccountId> {
		match self {
			Self::Assigned { worker, .. }
			| Self::Running { worker, .. }
			| Self::Delivered { worker, .. }
			| Self::Disputed { worker, .. } => Some(worker),
			Self::Open { .. }
			| Self::Settled { .. }
			| Self::TimedOut { .. }
			| Self::Cancelled { .. }
			| Self::Refuted { .. }
			| Self::Failed { .. } => None,
		}
	}
}

/// A training job from request to the end of its record.
#[derive(
	Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct TrainingJob<AccountId, BlockNumber> {
	/// Who asked for it and pays.
	pub creator: AccountId,
	/// What was asked.
	pub order: TrainingOrder<BlockNumber>,
	/// The block of the request.
	pub requested_at: BlockNumber,
	/// How many workers have been assigned so far.
	pub assignments: u32,
	/// Where it stands.
	pub phase: Phase<AccountId, BlockNumber>,
}

/// Whether a model answers requests.
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
pub enum ModelStatus {
	/// Trained, and never published.
	#[codec(index = 0)]
	Draft,
	/// It answers.
	#[codec(index = 1)]
	Published,
	/// It does not answer for now.
	#[codec(index = 2)]
	Paused,
	/// It never answers again. The record stays, because payments refer to its lineage.
	#[codec(index = 3)]
	Retired,
}

/// A model: one adapter on one base model, with all that it was made from.
#[derive(
	Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct Model<AccountId, BlockNumber> {
	/// Who earns the model's part of a fee.
	pub owner: AccountId,
	/// The base model.
	pub base: BaseModelId,
	/// The datanet versions it was trained from.
	pub sources: TrainingSources,
	/// Hash of the training specification.
	pub spec_hash: H256,
	/// Adapter, index roots and metrics.
	pub result: TrainingResult,
	/// The terms it stands under. When they end, it no longer answers.
	pub licence: LicenceTerms,
	/// Whether it may earn money: what its sources were asked for. Its prices are zero otherwise.
	pub commercial: bool,
	/// What it costs; zero until it is published.
	pub prices: Prices,
	/// Whether it answers.
	pub status: ModelStatus,
	/// The job that made it. The job's record goes in time, the number stays unique.
	pub job: TrainingJobId,
	/// The block it was registered in.
	pub created_at: BlockNumber,
}

/// What a model was made from, for an auditor.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, TypeInfo)]
pub struct Lineage {
	/// The base model.
	pub base: BaseModelId,
	/// Hash of the base model's weights.
	pub weights_hash: H256,
	/// Hash of its tokenizer.
	pub tokenizer_hash: H256,
	/// The datanet versions.
	pub sources: TrainingSources,
	/// Hash of the training specification.
	pub spec_hash: H256,
	/// What training delivered.
	pub result: TrainingResult,
	/// The job that made it.
	pub job: TrainingJobId,
}

/// Whose terms are meant.
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
pub enum Licensor {
	/// The base model's.
	#[codec(index = 0)]
	BaseModel,
	/// A datanet's.
	#[codec(index = 1)]
	Datanet(DatanetId),
	/// Those of the model that would be made.
	#[codec(index = 2)]
	Result,
}

/// Why a training request would be refused, with what it is about.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, TypeInfo)]
pub enum Refusal {
	/// There is no such base model.
	#[codec(index = 0)]
	UnknownBaseModel,
	/// The base model takes no new jobs.
	#[codec(index = 1)]
	BaseModelRetired,
	/// The terms of the result are not possible terms.
	#[codec(index = 2)]
	InvalidLicence,
	/// No source is named.
	#[codec(index = 3)]
	NoSources,
	/// The sources are not in ascending order with each datanet once.
	#[codec(index = 4)]
	SourcesNotSorted,
	/// There is no such published version.
	#[codec(index = 5)]
	SourceNotPublished(DatanetVersion),
	/// The datanet does not let this account train on it.
	#[codec(index = 6)]
	AccessDenied {
		/// The datanet.
		datanet: DatanetId,
		/// What it says.
		error: DispatchError,
	},
	/// Terms have ended already.
	#[codec(index = 7)]
	LicenceExpired(Licensor),
	/// Terms do not allow the use.
	#[codec(index = 8)]
	LicenceConflict {
		/// Whose terms; `None` when it is all of them together.
		licensor: Option<Licensor>,
		/// Why not.
		conflict: LicenceConflict,
	},
}
