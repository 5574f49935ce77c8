//! Writes a tiny random Llama for tests of whole networks.
//!
//!     tiny_model DIRECTORY SEED

use std::{env, path::PathBuf, process::ExitCode};

fn main() -> ExitCode {
	let mut arguments = env::args().skip(1);
	let directory = arguments.next().map(PathBuf::from);
	let seed = arguments.next().and_then(|seed| seed.parse().ok());
	let (Some(directory), Some(seed)) = (directory, seed) else {
		eprintln!("usage: tiny_model DIRECTORY SEED");
		return ExitCode::from(2);
	};
	match openledger_engine::tiny::write_model(&directory, seed) {
		Ok(()) => ExitCode::SUCCESS,
		Err(error) => {
			eprintln!("tiny_model: {error}");
			ExitCode::FAILURE
		},
	}
}
