//! What can be typed on the command line.

use clap::{Parser, Subcommand as ClapSubcommand};
use sc_cli::{
	ChainInfoCmd, ChainSpec, CheckBlockCmd, ExportBlocksCmd, ExportChainSpecCmd, ExportStateCmd,
	ImportBlocksCmd, KeySubcommand, PurgeChainCmd, RevertCmd, RunCmd, SignCmd, SubstrateCli,
	VanityCmd, VerifyCmd,
};
use sc_storage_monitor::StorageMonitorParams;

use crate::{chain_spec, worker_url::WorkerUrl};

/// Without a subcommand the node runs.
#[derive(Debug, Parser)]
pub struct Cli {
	#[command(subcommand)]
	pub subcommand: Option<Subcommand>,

	#[command(flatten)]
	pub run: RunCmd,

	#[command(flatten)]
	pub storage_monitor: StorageMonitorParams,

	/// URL of the openledger-worker on this machine, such as http://127.0.0.1:9955.
	///
	/// In every block, the runtime's offchain worker hands it the jobs of the workers whose operator
	/// keys are in this node's keystore (`key insert --key-type olop --scheme sr25519`), and submits
	/// what it reports. Needs offchain workers: they are on for validators, and for other nodes with
	/// `--offchain-worker always`. Without this option the node gives no jobs to anybody.
	#[arg(long, value_name = "URL")]
	pub worker_url: Option<WorkerUrl>,
}

#[derive(Debug, ClapSubcommand)]
pub enum Subcommand {
	/// Generate, inspect and insert keys: accounts, session keys, the node's network key.
	#[command(subcommand)]
	Key(KeySubcommand),

	/// Sign a message with a given secret key.
	Sign(SignCmd),

	/// Verify a signature for a message from standard input.
	Verify(VerifyCmd),

	/// Generate a key whose address contains a given text.
	Vanity(VanityCmd),

	/// Write the specification of a chain as JSON, plain or (`--raw`) with its genesis storage.
	ExportChainSpec(ExportChainSpecCmd),

	/// Execute a stored block again and compare the result.
	CheckBlock(CheckBlockCmd),

	/// Write stored blocks to a file or to standard output.
	ExportBlocks(ExportBlocksCmd),

	/// Write the state at a block as a chain specification that starts from it.
	ExportState(ExportStateCmd),

	/// Read blocks from a file or from standard input, with full verification.
	ImportBlocks(ImportBlocksCmd),

	/// Take back the newest blocks, but never a finalised one.
	Revert(RevertCmd),

	/// Remove the database of a chain. Keys stay.
	PurgeChain(PurgeChainCmd),

	/// Print the best, the finalised and the genesis block in the database as JSON.
	ChainInfo(ChainInfoCmd),
}

impl SubstrateCli for Cli {
	fn impl_name() -> String {
		"OpenLedger Node".into()
	}

	fn impl_version() -> String {
		env!("SUBSTRATE_CLI_IMPL_VERSION").into()
	}

	fn description() -> String {
		env!("CARGO_PKG_DESCRIPTION").into()
	}

	fn author() -> String {
		env!("CARGO_PKG_AUTHORS").into()
	}

	fn support_url() -> String {
		"the issue tracker of the repository this node was built from".into()
	}

	fn copyright_start_year() -> i32 {
		2026
	}

	fn load_spec(&self, id: &str) -> Result<Box<dyn ChainSpec>, String> {
		chain_spec::load(id)
	}
}
