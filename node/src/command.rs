//! What each word on the command line does.

use std::sync::Arc;

use openledger_runtime::{opaque::Block, BlockNumber};
use sc_cli::{CliConfiguration, Error, Result, Runner, SubstrateCli};
use sc_network::{config::NetworkBackendType, Litep2pNetworkBackend, NetworkWorker};
use sc_service::Configuration;

use crate::{
	cli::{Cli, Subcommand},
	diagnosis,
	service::{self, FullBackend, FullClient, PartialComponents},
};

/// Reads the command line and does what it says.
pub fn run() -> Result<()> {
	let cli = Cli::from_args();

	match &cli.subcommand {
		None => run_node(&cli),

		Some(Subcommand::Key(cmd)) => cmd.run(&cli),
		Some(Subcommand::Sign(cmd)) => cmd.run(),
		Some(Subcommand::Verify(cmd)) => cmd.run(),
		Some(Subcommand::Vanity(cmd)) => cmd.run(),
		Some(Subcommand::ExportChainSpec(cmd)) => cmd.run(cli.load_spec(&cmd.chain)?),

		Some(Subcommand::CheckBlock(cmd)) => with_runner(&cli, cmd, |runner| {
			runner.async_run(|config| {
				let parts = open(&config)?;
				Ok((cmd.run(parts.client, parts.import_queue), parts.task_manager))
			})
		}),
		Some(Subcommand::ExportBlocks(cmd)) => with_runner(&cli, cmd, |runner| {
			runner.async_run(|config| {
				let parts = open(&config)?;
				Ok((cmd.run(parts.client, config.database), parts.task_manager))
			})
		}),
		Some(Subcommand::ExportState(cmd)) => with_runner(&cli, cmd, |runner| {
			runner.async_run(|config| {
				let parts = open(&config)?;
				Ok((cmd.run(parts.client, config.chain_spec), parts.task_manager))
			})
		}),
		Some(Subcommand::ImportBlocks(cmd)) => with_runner(&cli, cmd, |runner| {
			runner.async_run(|config| {
				let parts = open(&config)?;
				Ok((cmd.run(parts.client, parts.import_queue), parts.task_manager))
			})
		}),
		Some(Subcommand::Revert(cmd)) => with_runner(&cli, cmd, |runner| {
			runner.async_run(|config| {
				let parts = open(&config)?;
				let revert_consensus = Box::new(revert_consensus);
				Ok((
					cmd.run(parts.client, parts.backend, Some(revert_consensus)),
					parts.task_manager,
				))
			})
		}),
		Some(Subcommand::PurgeChain(cmd)) => {
			with_runner(&cli, cmd, |runner| runner.sync_run(|config| cmd.run(config.database)))
		},
		Some(Subcommand::ChainInfo(cmd)) => {
			with_runner(&cli, cmd, |runner| runner.sync_run(|config| cmd.run::<Block>(&config)))
		},
	}
}

fn run_node(cli: &Cli) -> Result<()> {
	with_runner(cli, &cli.run, |runner| {
		// Before the database is opened, because the network would leave out a port it cannot have
		// without a word.
		diagnosis::require_free_ports(runner.config())?;

		let storage_monitor = cli.storage_monitor.clone();
		let worker = cli.worker_url.clone();
		runner.run_node_until_exit(|config| async move {
			let parts = open(&config)?;
			match config.network.network_backend {
				NetworkBackendType::Litep2p => {
					service::start::<Litep2pNetworkBackend>(config, parts, storage_monitor, worker)
				},
				NetworkBackendType::Libp2p => {
					service::start::<NetworkWorker<_, _>>(config, parts, storage_monitor, worker)
				},
			}
			.map_err(Error::Service)
		})
	})
}

/// Makes the configuration, the logger and the tokio runtime of a command, and runs it so that a failing
/// database is explained.
fn with_runner<Command: CliConfiguration>(
	cli: &Cli,
	command: &Command,
	run: impl FnOnce(Runner<Cli>) -> Result<()>,
) -> Result<()> {
	let runner = cli.create_runner(command)?;
	let database = runner.config().database.clone();
	diagnosis::watch_database(&database)?;
	run(runner).map_err(|error| diagnosis::explain_error(error, &database))
}

fn open(config: &Configuration) -> Result<PartialComponents> {
	service::open(config).map_err(|error| diagnosis::explain_opening_error(error, &config.database))
}

/// Takes back what BABE (epochs, block weights) and GRANDPA (authority set changes) remember about blocks
/// that are about to be reverted.
fn revert_consensus(
	client: Arc<FullClient>,
	backend: Arc<FullBackend>,
	blocks: BlockNumber,
) -> Result<()> {
	sc_consensus_babe::revert(client.clone(), backend, blocks)?;
	sc_consensus_grandpa::revert(client, blocks)?;
	Ok(())
}
