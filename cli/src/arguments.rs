//! What can be said on the command line. Keys cannot: see [`crate::key`].

use std::path::PathBuf;

use clap::{ArgGroup, Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use openledger_primitives::{
	licence::{LicenceTerms, Purposes},
	H256,
};
use subxt::utils::AccountId32;

use crate::{
	amount::Amount,
	chain::{
		datanets::{AccessPolicy, DatanetKind, DatanetVersion, DefaultVerdict, RejectReason},
		licence::Licence,
		workers::JobKind,
		Blocks,
	},
	error::EXIT_CODES,
	key::{DevelopmentKey, KeySource},
	output::Format,
	records::{FieldChoice, FieldFilter, Layout, Selection},
};

/// OpenLedger's command line: contribute data, train models on it, ask them, and see who was paid why.
#[derive(Parser, Debug)]
#[command(name = "openledger", version, after_help = EXIT_CODES, disable_help_subcommand = true)]
pub struct Arguments {
	/// What holds for every command.
	#[command(flatten)]
	pub global: Global,
	/// What to do.
	#[command(subcommand)]
	pub command: Command,
}

/// What holds for every command.
#[derive(Args, Clone, Debug)]
pub struct Global {
	/// The node to speak to
	#[arg(long, global = true, value_name = "URL", env = "OPENLEDGER_NODE")]
	#[arg(default_value = "ws://127.0.0.1:9944", help_heading = "Connection")]
	pub node: String,
	/// The worker to speak to
	#[arg(long = "worker", id = "worker_url", global = true, value_name = "URL")]
	#[arg(env = "OPENLEDGER_WORKER", default_value = "http://127.0.0.1:9955")]
	#[arg(help_heading = "Connection")]
	pub worker: String,
	/// Which blocks count: final ones, or also the best ones, which come seconds earlier and can still
	/// be undone
	#[arg(long, global = true, value_enum, value_name = "WHICH", env = "OPENLEDGER_AS_OF")]
	#[arg(default_value_t, help_heading = "Connection")]
	pub as_of: Blocks,
	/// How to write results: for people, or as JSON for programs
	#[arg(long, global = true, value_enum, default_value_t, help_heading = "Connection")]
	pub format: Format,
	/// A file with the key to sign with: a secret phrase, or a seed in hexadecimal. Without it, the
	/// environment variable OPENLEDGER_KEY. A key is never an argument: arguments are seen by others
	#[arg(long, global = true, value_name = "PATH", help_heading = "Key")]
	pub key_file: Option<PathBuf>,
	/// A well-known key, for development chains
	#[arg(long, global = true, value_name = "NAME", value_enum, ignore_case = true)]
	#[arg(conflicts_with = "key_file", help_heading = "Key")]
	pub dev: Option<DevelopmentKey>,
}

impl Global {
	/// Where the key comes from.
	pub fn key(&self) -> KeySource {
		KeySource { file: self.key_file.clone(), development: self.dev }
	}
}

/// What to do.
#[derive(Subcommand, Debug)]
pub enum Command {
	/// Datanets: pools of data under one licence
	#[command(subcommand)]
	Datanet(DatanetCommand),
	/// Train a model on datanets
	Train(Train),
	/// Follow a training job
	Job(FollowJob),
	/// Models that were trained
	#[command(subcommand)]
	Model(ModelCommand),
	/// Base models that adapters are trained on
	#[command(subcommand)]
	Base(BaseCommand),
	/// Ask a model, and see who is paid for the answer
	Ask(Ask),
	/// See who was paid for an answer, and check why
	Explain(Explain),
	/// See what you earned, and claim it
	Rewards(Rewards),
	/// Accounts: what they have, and sending OPEN
	#[command(subcommand)]
	Account(AccountCommand),
	/// Workers: those who train and answer
	#[command(subcommand)]
	Worker(WorkerCommand),
	/// On development chains: what the sudo key may do
	#[command(subcommand)]
	Sudo(SudoCommand),
	/// Write a script that completes commands in your shell
	Completions {
		/// The shell
		shell: Shell,
	},
	/// Help, also about exit codes: `openledger help exit-codes`
	Help {
		/// A command, or `exit-codes`
		topic: Vec<String>,
	},
}

/// What to do with datanets.
#[derive(Subcommand, Debug)]
pub enum DatanetCommand {
	/// Create a datanet
	Create(CreateDatanet),
	/// Contribute records from files
	Contribute(Contribute),
	/// See what waits for an answer; accept or reject it
	Review(Review),
	/// Publish what was accepted as a version that can be trained on
	Publish {
		/// The datanet
		#[arg(value_name = "DATANET")]
		datanet: u32,
	},
	/// Show a datanet: terms, counters, contributions
	Show {
		/// The datanet
		#[arg(value_name = "DATANET")]
		datanet: u32,
		/// How many of the last contributions to show
		#[arg(long, value_name = "N", default_value_t = 10)]
		contributions: u32,
	},
}

/// To create a datanet.
#[derive(Args, Debug)]
pub struct CreateDatanet {
	/// What it is called: at most 64 bytes
	pub name: String,
	/// What data it collects
	#[arg(long, value_enum, default_value_t)]
	pub kind: DatanetKind,
	/// Who may contribute and train
	#[arg(long, value_enum, default_value_t)]
	pub access: AccessPolicy,
	/// What access for training costs
	#[arg(long, value_name = "OPEN", default_value = "0")]
	pub price: Amount,
	/// What becomes of contributions that nobody answers in time
	#[arg(long, value_enum, default_value_t)]
	pub unanswered: DefaultVerdict,
	/// Blocks of 3 seconds that curators have to answer a contribution
	#[arg(long, value_name = "BLOCKS", default_value_t = 28_800)]
	pub review_blocks: u32,
	/// A metadata document (Croissant), which is handed to the worker
	#[arg(long, value_name = "FILE")]
	pub metadata: Option<PathBuf>,
	/// The licence of all its data, for ever.
	#[command(flatten)]
	pub licence: LicenceArguments,
}

/// The terms of a licence. Without any, everything is allowed.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Licence (without any of these, everything is allowed)")]
pub struct LicenceArguments {
	/// It may not be used to earn money
	#[arg(long)]
	pub non_commercial: bool,
	/// Nothing new may be made from it
	#[arg(long)]
	pub no_derivatives: bool,
	/// What is made from it must be as open
	#[arg(long)]
	pub share_alike: bool,
	/// What it asks of the revenue, in hundredths of a percent
	#[arg(long, value_name = "BASIS_POINTS", default_value_t = 0)]
	#[arg(value_parser = clap::value_parser!(u16).range(0..=10_000))]
	pub revenue_share: u16,
	/// When it ends, in Unix seconds
	#[arg(long, value_name = "SECONDS")]
	pub licence_expires: Option<u64>,
	/// What it may be used for
	#[arg(long, value_name = "PURPOSE", value_enum, value_delimiter = ',')]
	pub purposes: Vec<Purpose>,
}

/// What something may be used for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Purpose {
	/// Training a model or an adapter
	Training,
	/// Measuring models
	Evaluation,
	/// Putting it before a model at the time of the answer
	Retrieval,
	/// Answering requests with what was trained
	Serving,
}

impl LicenceArguments {
	/// The terms that were named.
	pub fn terms(&self) -> Licence {
		let bits = |purpose: &Purpose| match purpose {
			Purpose::Training => Purposes::TRAINING,
			Purpose::Evaluation => Purposes::EVALUATION,
			Purpose::Retrieval => Purposes::RETRIEVAL,
			Purpose::Serving => Purposes::SERVING,
		};
		let purposes = match self.purposes.as_slice() {
			[] => Purposes::ALL,
			named => named.iter().map(bits).fold(Purposes::default(), Purposes::and),
		};
		LicenceTerms {
			commercial: !self.non_commercial,
			derivatives: !self.no_derivatives,
			share_alike: self.share_alike,
			revenue_share: self.revenue_share,
			expires_at: self.licence_expires,
			purposes,
		}
		.into()
	}
}

/// To contribute.
#[derive(Args, Debug)]
pub struct Contribute {
	/// The datanet
	pub datanet: u32,
	/// JSONL (.jsonl, .ndjson, .json: an object or a string per line), else text, a record per
	/// paragraph
	#[arg(required = true, value_name = "FILE")]
	pub files: Vec<PathBuf>,
	/// How to cut files into records, whatever they are called
	#[arg(long, value_name = "LAYOUT", value_enum)]
	pub layout: Option<Layout>,
	/// A field to take; `question=instruction` takes `instruction` and calls it `question`.
	/// Without any, all fields
	#[arg(long, value_name = "FIELD[=NAME_IN_FILE]")]
	pub field: Vec<FieldChoice>,
	/// Take only lines in which this field has this value
	#[arg(long = "where", value_name = "FIELD=VALUE")]
	pub filter: Vec<FieldFilter>,
	/// Leave out what cannot be a record, instead of refusing the files
	#[arg(long)]
	pub skip_bad: bool,
	/// Show what would be contributed and held, and stop
	#[arg(long)]
	pub dry_run: bool,
}

impl Contribute {
	/// What to take from the files.
	pub fn selection(&self) -> Selection {
		Selection {
			layout: self.layout,
			fields: self.field.clone(),
			filters: self.filter.clone(),
			skip_bad: self.skip_bad,
		}
	}
}

/// To review contributions.
#[derive(Args, Debug)]
pub struct Review {
	/// The datanet
	pub datanet: u32,
	/// Accept these contributions, after checking their blobs
	#[arg(long, value_name = "N", num_args = 1.., value_delimiter = ',')]
	#[arg(conflicts_with = "reject")]
	pub accept: Vec<u32>,
	/// Reject these contributions
	#[arg(long, value_name = "N", num_args = 1.., value_delimiter = ',', requires = "reason")]
	pub reject: Vec<u32>,
	/// Why they are rejected
	#[arg(long, value_enum, requires = "reject")]
	pub reason: Option<RejectReason>,
	/// Accept without fetching and checking the blobs
	#[arg(long, requires = "accept")]
	pub unseen: bool,
	/// How many records of each contribution to show
	#[arg(long, value_name = "N", default_value_t = 3)]
	pub samples: usize,
}

/// A datanet, at a version or the latest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Source {
	/// The datanet.
	pub datanet: u32,
	/// The version; the latest without.
	pub version: Option<u32>,
}

impl Source {
	/// The version that is meant, once the latest is known.
	pub fn at(&self, version: u32) -> DatanetVersion {
		DatanetVersion { datanet: self.datanet, version: self.version.unwrap_or(version) }
	}
}

/// To train a model.
#[derive(Args, Debug)]
pub struct Train {
	/// The base model
	#[arg(long, value_name = "ID")]
	pub base: u32,
	/// A datanet to train on, at its latest version or a given one
	#[arg(long, value_name = "ID[@VERSION]", required = true, value_parser = parse_source)]
	pub datanet: Vec<Source>,
	/// The training specification, JSON, which is handed to the worker
	#[arg(long, value_name = "FILE")]
	pub spec: PathBuf,
	/// What the worker is paid
	#[arg(long, value_name = "OPEN")]
	pub budget: Amount,
	/// The model shall earn money
	#[arg(long)]
	pub commercial: bool,
	/// Blocks of 3 seconds that the worker has from start to delivery
	#[arg(long, value_name = "BLOCKS", default_value_t = 1_200)]
	pub blocks: u32,
	/// Hand in the order and do not follow it
	#[arg(long, conflicts_with = "wait")]
	pub detach: bool,
	/// Wait until the model exists, also through the challenge period
	#[arg(long)]
	pub wait: bool,
	/// Terms of the model; what its data and its base ask for unless something is named here.
	#[command(flatten)]
	pub licence: LicenceArguments,
}

/// To follow a training job.
#[derive(Args, Debug)]
pub struct FollowJob {
	/// The job
	pub job: u64,
	/// Wait until the model exists, also through the challenge period, and settle the job when it is
	/// due (which needs a key)
	#[arg(long)]
	pub wait: bool,
}

/// What to do with models.
#[derive(Subcommand, Debug)]
pub enum ModelCommand {
	/// Publish a model at a price, or change its price
	Publish {
		/// The model
		model: u32,
		/// For 1,000 tokens of prompt
		#[arg(long, value_name = "OPEN")]
		input_price: Amount,
		/// For 1,000 tokens of answer
		#[arg(long, value_name = "OPEN")]
		output_price: Amount,
	},
	/// Show a model: what it was made from, what was measured, what it costs
	Show {
		/// The model
		model: u32,
	},
}

/// What to do with base models.
#[derive(Subcommand, Debug)]
pub enum BaseCommand {
	/// Register a base model
	Register(Box<RegisterBase>),
	/// Show a base model
	Show {
		/// The base model
		base: u32,
	},
}

/// To register a base model.
#[derive(Args, Debug)]
#[command(group = ArgGroup::new("whence").required(true).args(["from_worker", "weights"]))]
pub struct RegisterBase {
	/// Take everything from what the worker serves; by name if it serves several
	#[arg(long, value_name = "NAME", num_args = 0..=1, default_missing_value = "")]
	#[arg(conflicts_with_all = ["weights", "tokenizer", "architecture", "parameters"])]
	pub from_worker: Option<String>,
	/// Hash of the weights, from `openledger-worker hash`
	#[arg(long, value_name = "HASH", value_parser = parse_hash)]
	#[arg(requires_all = ["tokenizer", "architecture", "parameters", "name"])]
	pub weights: Option<H256>,
	/// Hash of the tokenizer, from `openledger-worker hash`
	#[arg(long, value_name = "HASH", value_parser = parse_hash)]
	pub tokenizer: Option<H256>,
	/// As in the model's config.json, such as LlamaForCausalLM
	#[arg(long, value_name = "NAME")]
	pub architecture: Option<String>,
	/// How many parameters it has
	#[arg(long, value_name = "N")]
	pub parameters: Option<u64>,
	/// What it is called
	#[arg(long, value_name = "NAME")]
	pub name: Option<String>,
	/// Under which terms the weights may be used.
	#[command(flatten)]
	pub licence: LicenceArguments,
}

/// To ask a model.
#[derive(Args, Debug)]
pub struct Ask {
	/// The model
	pub model: u32,
	/// The question
	pub question: String,
	/// The most tokens of answer
	#[arg(long, value_name = "N", default_value_t = 64)]
	pub max_tokens: u32,
	/// The most tokens of prompt; as many as it has bytes, and some for the chat's form, without
	#[arg(long, value_name = "N")]
	pub max_input_tokens: Option<u32>,
	/// The most that may be paid; what is not used comes back
	#[arg(long, value_name = "OPEN")]
	pub max_fee: Option<Amount>,
	/// Give the question to the worker and only its hash to the chain. The answer is public all the
	/// same
	#[arg(long)]
	pub private: bool,
}

/// To explain an answer.
#[derive(Args, Debug)]
pub struct Explain {
	/// The request
	pub request: u64,
}

/// To see rewards.
#[derive(Args, Debug)]
pub struct Rewards {
	/// Pay them out
	#[arg(long)]
	pub claim: bool,
	/// Whose; the key's without
	#[arg(long, value_name = "ADDRESS", value_parser = parse_account, conflicts_with = "claim")]
	pub account: Option<AccountId32>,
}

/// What to do with accounts.
#[derive(Subcommand, Debug)]
pub enum AccountCommand {
	/// Show what an account has
	Balance {
		/// Whose; the key's without
		#[arg(value_name = "ADDRESS", value_parser = parse_account)]
		account: Option<AccountId32>,
	},
	/// Count all OPEN there is: by the chain's own count, and by adding up every account
	Supply,
	/// Send OPEN
	Transfer {
		/// To whom
		#[arg(value_name = "ADDRESS", value_parser = parse_account)]
		to: AccountId32,
		/// How much
		#[arg(value_name = "OPEN")]
		amount: Amount,
	},
}

/// What the sudo key may do.
#[derive(Subcommand, Debug)]
pub enum SudoCommand {
	/// Set a governed parameter, such as `Models ChallengePeriod 20`
	SetParameter {
		/// The pallet that it belongs to
		pallet: String,
		/// What it is called
		name: String,
		/// Its value, a whole number: blocks, planks, a count
		value: u128,
	},
}

/// What to do with workers.
#[derive(Subcommand, Debug)]
pub enum WorkerCommand {
	/// Become a worker: signed by the stash, which holds the bond
	Register(RegisterWorker),
	/// Accept to sign for a worker: signed by the operator key
	Accept {
		/// The worker's stash
		#[arg(value_name = "STASH", value_parser = parse_account)]
		stash: AccountId32,
	},
	/// Show a worker
	Show {
		/// Its stash or its operator; the key's account without
		#[arg(value_name = "ADDRESS", value_parser = parse_account)]
		account: Option<AccountId32>,
	},
}

/// To become a worker.
#[derive(Args, Debug)]
pub struct RegisterWorker {
	/// The key that will sign results on the worker's machine; it has no power over the bond
	#[arg(long, value_name = "ADDRESS", value_parser = parse_account)]
	pub operator: AccountId32,
	/// What is at stake
	#[arg(long, value_name = "OPEN")]
	pub bond: Amount,
	/// Kinds of work
	#[arg(long, value_name = "KIND", value_enum, value_delimiter = ',', required = true)]
	pub kinds: Vec<JobKind>,
	/// Base models it serves
	#[arg(long = "base", value_name = "ID", value_delimiter = ',', required = true)]
	pub bases: Vec<u32>,
	/// Memory in MiB, for people who choose workers by hand
	#[arg(long, value_name = "MIB", default_value_t = 0)]
	pub memory: u32,
	/// The most jobs at the same time
	#[arg(long, value_name = "N", default_value_t = 1)]
	pub slots: u32,
}

fn parse_source(text: &str) -> Result<Source, String> {
	let fault = || "a source is DATANET or DATANET@VERSION, both numbers".to_owned();
	let (datanet, version) = match text.split_once('@') {
		Some((datanet, version)) => (datanet, Some(version.parse().map_err(|_| fault())?)),
		None => (text, None),
	};
	Ok(Source { datanet: datanet.parse().map_err(|_| fault())?, version })
}

fn parse_hash(text: &str) -> Result<H256, String> {
	let fault = || "a hash has 64 hexadecimal digits".to_owned();
	let bytes = hex::decode(text.strip_prefix("0x").unwrap_or(text)).map_err(|_| fault())?;
	let bytes: [u8; 32] = bytes.try_into().map_err(|_| fault())?;
	Ok(H256(bytes))
}

/// An account: SS58, 0x and 64 hexadecimal digits, or an Ethereum address.
fn parse_account(text: &str) -> Result<AccountId32, String> {
	let fault = || "an address is SS58, or 0x with 64 hexadecimal digits (Ethereum: 40)".to_owned();
	let Some(digits) = text.strip_prefix("0x") else {
		return text.parse().map_err(|error| format!("{}: {error}", fault()));
	};
	let mut bytes = hex::decode(digits).map_err(|_| fault())?;
	if bytes.len() == 20 {
		// The account of an Ethereum address, as pallet-revive maps it.
		bytes.extend([0xEE; 12]);
	}
	let bytes: [u8; 32] = bytes.try_into().map_err(|_| fault())?;
	Ok(AccountId32(bytes))
}

#[cfg(test)]
mod tests;
