//! The commands, one file for each topic.

mod account;
mod answer;
mod ask;
mod base;
mod contribute;
mod datanet;
mod help;
mod model;
mod review;
mod sudo;
mod training;
mod worker;

use subxt_signer::sr25519::Keypair;

use crate::{
	arguments::{
		AccountCommand, Arguments, BaseCommand, Command, DatanetCommand, Global, ModelCommand,
		SudoCommand, WorkerCommand,
	},
	chain::Chain,
	error::{Error, Result},
	output::Output,
	worker::WorkerClient,
};

pub use account::{BalanceReport, RewardsReport};
pub use answer::{AnswerReport, EvidenceState, ShownSpan};
pub use contribute::ContributionReport;
pub use datanet::DatanetReport;
pub use model::ModelReport;
pub use review::{PendingReport, Reviewed};
pub use training::TrainingLine;
pub use worker::WorkerReport;

/// Does what the arguments say.
pub async fn run(arguments: Arguments, output: Output) -> Result<()> {
	let session = Session { global: arguments.global, output };
	match arguments.command {
		Command::Datanet(command) => match command {
			DatanetCommand::Create(create) => datanet::create(&session, create).await,
			DatanetCommand::Contribute(arguments) => contribute::run(&session, arguments).await,
			DatanetCommand::Review(arguments) => review::run(&session, arguments).await,
			DatanetCommand::Publish { datanet } => datanet::publish(&session, datanet).await,
			DatanetCommand::Show { datanet, contributions } => {
				datanet::show(&session, datanet, contributions).await
			},
		},
		Command::Train(arguments) => training::train(&session, arguments).await,
		Command::Job(arguments) => training::follow(&session, arguments).await,
		Command::Model(command) => match command {
			ModelCommand::Publish { model, input_price, output_price } => {
				model::publish(&session, model, input_price, output_price).await
			},
			ModelCommand::Show { model } => model::show(&session, model).await,
		},
		Command::Base(command) => match command {
			BaseCommand::Register(arguments) => base::register(&session, *arguments).await,
			BaseCommand::Show { base } => base::show(&session, base).await,
		},
		Command::Ask(arguments) => ask::run(&session, arguments).await,
		Command::Explain(arguments) => answer::explain(&session, arguments.request).await,
		Command::Rewards(arguments) => account::rewards(&session, arguments).await,
		Command::Account(command) => match command {
			AccountCommand::Balance { account } => account::balance(&session, account).await,
			AccountCommand::Supply => account::supply(&session).await,
			AccountCommand::Transfer { to, amount } => {
				account::transfer(&session, to, amount).await
			},
		},
		Command::Worker(command) => match command {
			WorkerCommand::Register(arguments) => worker::register(&session, arguments).await,
			WorkerCommand::Accept { stash } => worker::accept(&session, stash).await,
			WorkerCommand::Show { account } => worker::show(&session, account).await,
		},
		Command::Sudo(SudoCommand::SetParameter { pallet, name, value }) => {
			sudo::set_parameter(&session, &pallet, &name, value).await
		},
		Command::Completions { shell } => help::completions(&session, shell),
		Command::Help { topic } => help::help(&session, &topic),
	}
}

/// What holds while a command runs.
struct Session {
	global: Global,
	output: Output,
}

impl Session {
	/// A connection to the node.
	async fn chain(&self) -> Result<Chain> {
		Chain::connect(&self.global.node, self.global.as_of).await
	}

	/// The worker, to which a connection is made when it is needed.
	fn worker(&self) -> Result<WorkerClient> {
		WorkerClient::new(&self.global.worker)
	}

	/// The key, and a connection to sign for. A key that everybody knows signs for development chains
	/// only.
	async fn signer(&self) -> Result<(Chain, Keypair)> {
		let source = self.global.key();
		let key = source.read()?;
		let chain = self.chain().await?;
		if source.is_well_known() && !chain.is_for_development().await? {
			return Err(Error::Usage {
				what: "this is no development chain, and everybody knows the keys of --dev".into(),
				hint: Some("sign with a key of your own: --key-file".into()),
			});
		}
		Ok((chain, key))
	}
}

/// What is not there, as an error.
fn missing(what: impl Into<String>) -> Error {
	Error::NotFound(what.into())
}
