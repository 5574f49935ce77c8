//! Why a job does not end with a result, what the chain is told about it, and what the operator
//! can do.

use crate::{durable::DiskError, hexadecimal::show};
use openledger_engine::{
	serving::{Failed, Refused},
	ChatError, LoadError, PeftError, TokenizerError,
};
use openledger_primitives::{jobs::FailureReason, ContributionId, H256};
use openledger_store::StoreError;
use openledger_trainer::{CheckpointError, DatasetError, SpecError, TrainError};
use std::{io, path::PathBuf};

/// Why a job cannot be done.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
	/// No `--base` has these weights and this tokenizer.
	#[error("no base model with weights {} and tokenizer {} is served here", show(*.weights), show(*.tokenizer))]
	BaseNotServed {
		/// Hash of the weights.
		weights: H256,
		/// Hash of the tokenizer.
		tokenizer: H256,
	},
	/// The files are not those that were hashed at the start.
	#[error("{path} was changed after the start")]
	BaseChanged {
		/// The base model.
		path: PathBuf,
	},
	/// The base model cannot be loaded any more.
	#[error("the base model {path} cannot be loaded: {source}")]
	BaseUnusable {
		/// The base model.
		path: PathBuf,
		/// Why.
		#[source]
		source: LoadError,
	},
	/// The base model has no chat template to put a prompt into.
	#[error("the base model has no chat template")]
	NoChatTemplate,
	/// The adapter is not in the store.
	#[error("the adapter {} is not in the store", show(*.0))]
	AdapterMissing(H256),
	/// The adapter's file is not valid or does not fit the base model.
	#[error("the adapter {} cannot be used: {source}", show(*.hash))]
	AdapterUnusable {
		/// The adapter.
		hash: H256,
		/// Why.
		#[source]
		source: PeftError,
	},
	/// The adapter's file does not say what it was trained on.
	#[error("the adapter {} cannot be used: {why}", show(*.hash))]
	AdapterUnfit {
		/// The adapter.
		hash: H256,
		/// Why.
		why: String,
	},
	/// The list of the adapter's sources is not in the store.
	#[error("the list {} of the adapter's sources is not in the store", show(*.0))]
	SourceListMissing(H256),
	/// The list of the adapter's sources is not one.
	#[error("the list {} of the adapter's sources cannot be used: {why}", show(*.hash))]
	SourceListUnusable {
		/// Its hash.
		hash: H256,
		/// Why.
		why: String,
	},
	/// The span index over the adapter's sources is not the one the chain knows.
	#[error("the span index over the sources is {}, not {} as ordered", show(*.found), show(*.ordered))]
	WrongSpanIndex {
		/// The root of the index over the sources.
		found: H256,
		/// The root in the order.
		ordered: H256,
	},
	/// The prompt is not in the store.
	#[error("the prompt {} is not in the store", show(*.0))]
	PromptMissing(H256),
	/// The prompt is not UTF-8.
	#[error("the prompt is not UTF-8 text")]
	PromptNotText,
	/// The chat template or the tokenizer refuses the prompt.
	#[error("the prompt cannot be put to the model: {0}")]
	PromptRefused(String),
	/// The prompt has too many tokens.
	#[error("the prompt has {tokens} tokens, {allowed} are allowed")]
	PromptTooLong {
		/// Tokens with the chat template around the prompt.
		tokens: usize,
		/// The lesser of what the order pays and what the model can read.
		allowed: usize,
	},
	/// The specification is not in the store.
	#[error("the training specification {} is not in the store", show(*.0))]
	SpecMissing(H256),
	/// The specification is not valid.
	#[error(transparent)]
	SpecUnusable(#[from] SpecError),
	/// There is nothing to train on.
	#[error("the order names no contributions")]
	NoSources,
	/// A contribution is not in the store.
	#[error("the content {} of contribution {}/{} is not in the store", show(*.content), .id.datanet.0, .id.index)]
	SourceMissing {
		/// The contribution.
		id: ContributionId,
		/// Hash of its content.
		content: H256,
	},
	/// A contribution is not what the chain says.
	#[error("contribution {}/{} cannot be used: {why}", .id.datanet.0, .id.index)]
	SourceUnusable {
		/// The contribution.
		id: ContributionId,
		/// Why.
		why: String,
	},
	/// The contributions cannot be indexed.
	#[error("the span index cannot be built: {0}")]
	NotIndexable(String),
	/// More records than one run can hold.
	#[error(
		"the contributions have {records} records in {bytes} bytes together, more than the \
		 {max_records} records or {max_bytes} bytes that one job may have"
	)]
	TooMuchData {
		/// Their records.
		records: u64,
		/// Their bytes.
		bytes: u64,
		/// The most records.
		max_records: u64,
		/// The most bytes.
		max_bytes: u64,
	},
	/// The specification does not fit the records.
	#[error(transparent)]
	DatasetUnusable(#[from] DatasetError),
	/// Training found no usable adapter.
	#[error(transparent)]
	Training(TrainError),
	/// The adapter cannot be written as a file.
	#[error("the adapter cannot be written: {0}")]
	Export(String),
	/// The service took the request and gave no answer.
	#[error("generation failed: {0}")]
	Generation(Failed),
	/// The service did not take the request.
	#[error("generation was refused: {0}")]
	Refused(Refused),
	/// The spans of the answer could not be found.
	#[error("attribution failed: {0}")]
	Attribution(String),
	/// The store cannot be read.
	#[error(transparent)]
	Store(StoreError),
	/// The job's files cannot be read or written.
	#[error(transparent)]
	Disk(DiskError),
	/// The disk was full for too long.
	#[error("the disk stayed full for {seconds} s")]
	DiskFull {
		/// How long.
		seconds: u64,
	},
	/// The engine panicked.
	#[error("the engine failed: {0}")]
	Panicked(String),
}

impl Failure {
	/// What the chain is told.
	pub fn reason(&self) -> FailureReason {
		match self {
			Self::BaseNotServed { .. }
			| Self::BaseChanged { .. }
			| Self::BaseUnusable { .. }
			| Self::NoChatTemplate
			| Self::AdapterMissing(_)
			| Self::AdapterUnusable { .. }
			| Self::AdapterUnfit { .. } => FailureReason::ModelUnavailable,
			Self::PromptMissing(_) | Self::PromptNotText | Self::PromptRefused(_) => {
				FailureReason::PromptUnavailable
			},
			Self::PromptTooLong { .. } => FailureReason::PromptTooLong,
			Self::SpecMissing(_)
			| Self::SpecUnusable(_)
			| Self::DatasetUnusable(_)
			| Self::Training(
				TrainError::Spec(_)
				| TrainError::NoExamples
				| TrainError::ExampleTooLong { .. }
				| TrainError::NonFiniteLoss { .. }
				| TrainError::NonFiniteHeldoutLoss { .. }
				| TrainError::NonFiniteGradient { .. },
			) => FailureReason::SpecificationUnusable,
			Self::NoSources
			| Self::SourceMissing { .. }
			| Self::SourceUnusable { .. }
			| Self::TooMuchData { .. }
			| Self::NotIndexable(_)
			| Self::SourceListMissing(_)
			| Self::SourceListUnusable { .. }
			| Self::WrongSpanIndex { .. } => FailureReason::DataUnavailable,
			Self::Training(_)
			| Self::Export(_)
			| Self::Generation(_)
			| Self::Refused(_)
			| Self::Attribution(_)
			| Self::Store(_)
			| Self::Disk(_)
			| Self::DiskFull { .. }
			| Self::Panicked(_) => FailureReason::EngineFault,
		}
	}

	/// What whoever reads the log can do.
	pub fn hint(&self) -> &'static str {
		match self {
			Self::BaseNotServed { .. } => {
				"start the worker with --base for it, or take it off the worker's capabilities on chain"
			},
			Self::BaseChanged { .. } => "restart the worker: it hashes its base models when it starts",
			Self::BaseUnusable { .. } => "check the file against its source and restart the worker",
			Self::NoChatTemplate => "serve an instruction-tuned base model, which has a chat template",
			Self::AdapterMissing(_) => "PUT /v1/blobs/{hash} with the adapter of the worker that trained it",
			Self::AdapterUnusable { .. } | Self::AdapterUnfit { .. } => {
				"the model's adapter was not made for this base model by a worker: publish another"
			},
			Self::SourceListMissing(_) | Self::SourceMissing { .. } => {
				"PUT /v1/blobs/{hash} with it, before the order or within a minute after it"
			},
			Self::SourceListUnusable { .. }
			| Self::NotIndexable(_)
			| Self::WrongSpanIndex { .. } => {
				"the model's adapter and its span index on chain do not belong together"
			},
			Self::PromptMissing(_) => {
				"applications PUT /v1/blobs/{hash} with the prompt before they make the request"
			},
			Self::PromptNotText | Self::PromptRefused(_) => "prompts are UTF-8 text",
			Self::PromptTooLong { .. } => "ask with a shorter prompt or pay for more input tokens",
			Self::SpecMissing(_) => "PUT /v1/blobs/{hash} with the specification's JSON",
			Self::SpecUnusable(_) | Self::DatasetUnusable(_) | Self::Training(_) => {
				"the creator has to request the training again with another specification"
			},
			Self::NoSources => "the datanet versions of the training job have no contributions",
			Self::SourceUnusable { .. } => {
				"the contributor's blob is not what was committed on chain: dispute the contribution"
			},
			Self::TooMuchData { .. } => "train on fewer contributions",
			Self::Export(_)
			| Self::Generation(_)
			| Self::Refused(_)
			| Self::Attribution(_)
			| Self::Panicked(_) => {
				"please report this with the log around it"
			},
			Self::Store(_) | Self::Disk(_) => "check the data folder, its owner and the disk",
			Self::DiskFull { .. } => "free space in the data folder's file system",
		}
	}
}

impl From<ChatError> for Failure {
	fn from(error: ChatError) -> Self {
		Self::PromptRefused(error.to_string())
	}
}

impl From<TokenizerError> for Failure {
	fn from(error: TokenizerError) -> Self {
		Self::PromptRefused(error.to_string())
	}
}

/// Why work on a job stopped.
#[derive(Debug, thiserror::Error)]
pub enum Stopped {
	/// The job has failed.
	#[error(transparent)]
	Failed(Failure),
	/// Something is not in the store yet; when it does not come, the job fails like this.
	#[error(transparent)]
	Missing(Failure),
	/// The disk is full; the job goes on when there is room.
	#[error("no space left for {0}")]
	NoSpace(PathBuf),
	/// Nobody wants the job any more, or the worker stops.
	#[error("it was cancelled")]
	Cancelled,
}

impl From<Failure> for Stopped {
	fn from(failure: Failure) -> Self {
		Self::Failed(failure)
	}
}

impl From<StoreError> for Stopped {
	fn from(error: StoreError) -> Self {
		match error {
			StoreError::NoSpace { path } => Self::NoSpace(path),
			error => Self::Failed(Failure::Store(error)),
		}
	}
}

impl From<DiskError> for Stopped {
	fn from(error: DiskError) -> Self {
		match error {
			DiskError::NoSpace { path } => Self::NoSpace(path),
			error => Self::Failed(Failure::Disk(error)),
		}
	}
}

impl From<TrainError> for Stopped {
	fn from(error: TrainError) -> Self {
		match error {
			TrainError::Cancelled { .. } => Self::Cancelled,
			TrainError::Checkpoint(CheckpointError::Io { path, source, .. })
				if crate::durable::is_no_space(&source) =>
			{
				Self::NoSpace(path)
			},
			error => Self::Failed(Failure::Training(error)),
		}
	}
}

impl From<io::Error> for Stopped {
	fn from(source: io::Error) -> Self {
		DiskError::at(std::path::Path::new("the data folder"), source).into()
	}
}
