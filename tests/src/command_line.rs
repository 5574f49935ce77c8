//! The command line `openledger`, as a person or a program would use it.

use std::{env, path::PathBuf, process::Stdio};

use serde_json::Value as Json;
use tokio::process::Command;

/// The command line, set to a node and a worker.
#[derive(Clone)]
pub struct CommandLine {
	node: String,
	worker: String,
	blocks: &'static str,
}

/// How a command ended.
#[derive(Debug)]
pub struct Ended {
	/// The exit code; the CLI's page says what it means.
	pub code: i32,
	/// What it printed for machines, one value for each line.
	pub lines: Vec<Json>,
	/// What it printed for people.
	pub errors: String,
}

impl CommandLine {
	/// For a node at `ws://…` and a worker at `http://…`.
	pub fn new(node: impl Into<String>, worker: impl Into<String>) -> Self {
		Self { node: node.into(), worker: worker.into(), blocks: "final" }
	}

	/// The same without waiting until blocks are final, which takes three times as long as the blocks.
	/// For what a test needs and is not about.
	pub fn in_best_blocks(&self) -> Self {
		Self { blocks: "best", ..self.clone() }
	}

	/// Speaks to this node from now on.
	pub fn connect(&mut self, node: impl Into<String>) {
		self.node = node.into();
	}

	/// Runs a command as a development account (`alice`) or with the key in a file (`/…`), and expects
	/// success; gives the last thing it printed.
	pub async fn run(&self, who: &str, arguments: &[&str]) -> Json {
		let ended = self.end(who, arguments).await;
		assert_eq!(ended.code, 0, "openledger {arguments:?} as {who}: {ended:#?}");
		ended.lines.into_iter().next_back().unwrap_or_default()
	}

	/// Runs a command as [`Self::run`] does, however it ends.
	pub async fn end(&self, who: &str, arguments: &[&str]) -> Ended {
		let key = if who.starts_with('/') { "--key-file" } else { "--dev" };
		let binary = binary();
		let output = Command::new(&binary)
			.args(["--node", &self.node, "--worker", &self.worker])
			.args(["--as-of", self.blocks, "--format", "json", key, who])
			.args(arguments)
			.stdin(Stdio::null())
			.kill_on_drop(true)
			.output()
			.await
			.unwrap_or_else(|error| panic!("{} cannot be started: {error}", binary.display()));
		let printed = String::from_utf8_lossy(&output.stdout);
		let lines = printed.lines().filter(|line| !line.is_empty()).map(|line| {
			serde_json::from_str(line).unwrap_or_else(|error| {
				panic!("openledger {arguments:?} printed what is not JSON ({error}): {line}")
			})
		});
		Ended {
			code: output.status.code().unwrap_or(-1),
			lines: lines.collect(),
			errors: String::from_utf8_lossy(&output.stderr).into_owned(),
		}
	}
}

/// The binary that was built together with the tests.
fn binary() -> PathBuf {
	let test = env::current_exe().expect("a test knows its path");
	let path = test.ancestors().nth(2).expect("tests are in deps/").join("openledger");
	assert!(path.is_file(), "there is no {}: run `scripts/test`", path.display());
	path
}
