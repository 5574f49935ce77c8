//! Help and completions.

use clap::CommandFactory;
use clap_complete::Shell;

use super::Session;
use crate::{
	arguments::Arguments,
	error::{Error, Result, EXIT_CODES},
};

pub(super) fn completions(session: &Session, shell: Shell) -> Result<()> {
	let mut script = Vec::new();
	clap_complete::generate(shell, &mut Arguments::command(), "openledger", &mut script);
	session.output.write(&String::from_utf8_lossy(&script))
}

pub(super) fn help(session: &Session, topic: &[String]) -> Result<()> {
	if topic.first().is_some_and(|topic| topic == "exit-codes") {
		return session.output.write(&format!("{EXIT_CODES}\n"));
	}
	let mut command = Arguments::command();
	command.build();
	let mut current = &mut command;
	for name in topic {
		current = current
			.find_subcommand_mut(name)
			.ok_or_else(|| Error::usage(format!("there is no command {name}")))?;
	}
	let text = current.render_long_help().to_string();
	session.output.write(&text)
}
