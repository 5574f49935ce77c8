//! The `openledger` command. What it does is in the library; here it starts and ends.

use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use openledger::{arguments::Arguments, commands, output::Output};

fn main() -> anyhow::Result<ExitCode> {
	// Ends with exit code 2 when the arguments are not understood.
	let arguments = Arguments::parse();
	let output = Output::new(arguments.global.format);
	let runtime = tokio::runtime::Builder::new_multi_thread()
		.worker_threads(2)
		.enable_all()
		.build()
		.context("no threads can be started")?;
	Ok(match runtime.block_on(commands::run(arguments, output)) {
		Ok(()) => ExitCode::SUCCESS,
		Err(error) => {
			output.error(&error);
			ExitCode::from(error.exit_code() as u8)
		},
	})
}
