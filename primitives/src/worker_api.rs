//! What the node and its worker say to each other: orders one way, reports the other.
//!
//! The runtime's offchain worker writes an order from what stands on chain, the worker daemon
//! answers with a report, and the runtime believes of it only what it can check. Both travel as
//! SCALE over loopback HTTP (`docs/spec/worker-api.md`).

use crate::{
	claim::AttributionClaim, content::Content, hashing, jobs::FailureReason,
	receipt::InferenceReceipt, training::TrainingResult, ContributionId, ModelId, RequestId,
	TrainingJobId, UnixSeconds, H256,
};
use alloc::vec::Vec;
use codec::{Decode, Encode};

/// Where the runtime's offchain workers find the URL of the worker, in a node's persistent local
/// storage: `http://` and an address, in UTF-8. The node writes it at its start.
pub const WORKER_URL_KEY: &[u8] = b"openledger/worker-url";

/// The most bytes a report can have: a claim at its largest, an answer and their frame.
pub const MAX_REPORT_BYTES: usize = 128 * 1_024;

/// The most bytes an order can have: the sources of a training job, at about 120 bytes for each
/// contribution.
pub const MAX_ORDER_BYTES: usize = 32 * 1_024 * 1_024;

/// What a job is, as the chain numbers it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Encode, Decode)]
pub enum JobKey {
	/// To answer a request.
	#[codec(index = 0)]
	Inference(RequestId),
	/// To train, at this attempt: a job that was given to another worker is another job.
	#[codec(index = 1)]
	Training {
		/// The training job.
		job: TrainingJobId,
		/// The how manieth assignment of it.
		attempt: u32,
	},
}

impl JobKey {
	/// The job's name at the worker, which tells jobs of different chains apart.
	pub fn id(&self, genesis: H256) -> H256 {
		hashing::hash("openledger/job", &[genesis.as_bytes(), &self.encode()])
	}
}

/// The base model that a job is about, by what its files hash to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Encode, Decode)]
pub struct BaseModelHashes {
	/// Hash of the weights.
	pub weights: H256,
	/// Hash of the tokenizer.
	pub tokenizer: H256,
}

/// A contribution to train on. Whoever has a blob with this content hash can check it against the
/// commitments.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Encode, Decode)]
pub struct SourceContribution {
	/// The contribution.
	pub id: ContributionId,
	/// The block it was made in: of two with the same words, the earlier one owns them.
	pub contributed_at: u64,
	/// Hash of its content blob ([`crate::contribution::ContributionContent`]).
	pub content: H256,
	/// Merkle root over its records.
	pub root: H256,
	/// Number of records.
	pub records: u32,
}

/// To answer a request.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct InferenceOrder {
	/// The request.
	pub request: RequestId,
	/// The model that is asked.
	pub model: ModelId,
	/// Its base.
	pub base: BaseModelHashes,
	/// Hash of its adapter.
	pub adapter: H256,
	/// Root of its span index.
	pub span_index: H256,
	/// The prompt.
	pub prompt: Content,
	/// The most tokens of prompt that are paid.
	pub max_input_tokens: u32,
	/// The most tokens of answer that are paid.
	pub max_output_tokens: u32,
}

/// To train an adapter.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct TrainingOrder {
	/// The training job.
	pub job: TrainingJobId,
	/// The base model.
	pub base: BaseModelHashes,
	/// Hash of the training specification.
	pub spec: H256,
	/// The contributions of all source versions, in the order of their owners' claims to duplicates:
	/// by block, then by id.
	pub sources: Vec<SourceContribution>,
}

/// What there is to do.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub enum Work {
	/// To answer a request.
	#[codec(index = 0)]
	Inference(InferenceOrder),
	/// To train an adapter.
	#[codec(index = 1)]
	Training(TrainingOrder),
}

/// A job for the worker.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct Order {
	/// The job's name ([`JobKey::id`]). An order for a job that the worker knows changes nothing.
	pub id: H256,
	/// When nobody needs the result any more, as far as the node can tell.
	pub expires: UnixSeconds,
	/// What there is to do.
	pub work: Work,
}

/// An answer with everything the chain wants to know about it.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct InferenceAnswer {
	/// What was asked and answered, and how many tokens that took.
	pub receipt: InferenceReceipt,
	/// The answer. Longer ones than the chain takes stay in the worker's store.
	pub answer: Content,
	/// What it owes to whom.
	pub claim: AttributionClaim,
}

/// How far the worker is with a job.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub enum Report {
	/// It waits for other jobs to end.
	#[codec(index = 0)]
	Queued,
	/// Everything it needs is there, and it is being done.
	#[codec(index = 1)]
	Running {
		/// How much of it is done, in thousandths.
		permille: u16,
	},
	/// The answer is there.
	#[codec(index = 2)]
	Answered(InferenceAnswer),
	/// The adapter is there.
	#[codec(index = 3)]
	Trained(TrainingResult),
	/// It cannot be done.
	#[codec(index = 4)]
	Failed(FailureReason),
}
