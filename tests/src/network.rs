//! Several nodes of one chain.

use std::{
	env,
	fs::{self, File, TryLockError},
	path::{Path, PathBuf},
	process::Command,
	thread,
	time::{Duration, UNIX_EPOCH},
};

use futures::future::join_all;
use tempfile::NamedTempFile;

use crate::{node::binary, step, until, Node};

/// Validators of the `local` chain.
const VALIDATORS: [&str; 4] = ["alice", "bob", "charlie", "dave"];

/// From the start of a network to its first blocks.
const CONNECT_LIMIT: Duration = Duration::from_secs(60);

/// How long a single block may take to become final. Slots have three seconds; the machine may be busy.
const FINALITY_LIMIT: Duration = Duration::from_secs(30);

/// Networks that run at a time on a machine: mostly they wait for slots.
const PLACES: usize = 4;

/// Between two looks for a free place.
const PAUSE: Duration = Duration::from_millis(300);

/// Nodes of one chain that know each other. All end when it is dropped.
pub struct Network {
	// Before the lock: fields are dropped in order, and the next network waits for the lock.
	nodes: Vec<Node>,
	specification: PathBuf,
	_turn: Turn,
}

impl Network {
	/// A development chain with one validator, called `alice`.
	pub async fn dev() -> Self {
		Self::dev_with(&[]).await
	}

	/// The same, with more said to its node.
	pub async fn dev_with(arguments: &[&str]) -> Self {
		let mut network = Self::empty("dev");
		let common = ["--alice", "--validator", "--force-authoring"];
		network.join("alice", &[&common, arguments].concat()).await;
		network
	}

	/// The local chain with its four validators, called `alice`, `bob`, `charlie` and `dave`.
	pub async fn four_validators() -> Self {
		let mut network = Self::empty("local");
		let keys = VALIDATORS.map(|name| format!("--{name}"));
		let arguments: Vec<_> = keys.iter().map(|keys| ["--validator", keys]).collect();
		let mut starts = VALIDATORS.iter().zip(&arguments);
		for (name, arguments) in starts.by_ref().take(1) {
			network.join(name, arguments).await;
		}
		let rest: Vec<_> = starts.map(|(name, arguments)| (*name, &arguments[..])).collect();
		network.join_together(&rest).await;
		for node in &network.nodes {
			until(format_args!("{} knows the others", node.name()), CONNECT_LIMIT, async || {
				(node.client().peers().await + 1 == VALIDATORS.len()).then_some(())
			})
			.await;
		}
		network
	}

	/// Waits for its turn.
	fn empty(chain: &str) -> Self {
		let turn = Turn::wait();
		Self { nodes: Vec::new(), specification: specification(chain), _turn: turn }
	}

	/// Starts a node that dials all those that run.
	pub async fn join(&mut self, name: &str, arguments: &[&str]) -> &Node {
		self.join_together(&[(name, arguments)]).await;
		self.node(name)
	}

	/// Starts several nodes at the same time.
	async fn join_together(&mut self, newcomers: &[(&str, &[&str])]) {
		let mut common = vec!["--chain".to_owned(), self.specification.display().to_string()];
		for node in self.running() {
			common.extend(["--bootnodes".to_owned(), node.client().address().await]);
		}
		let starts = newcomers.iter().zip(self.nodes.len()..).map(|((name, arguments), number)| {
			step(format_args!("{name} starts"));
			let own = arguments.iter().map(|argument| argument.to_string());
			Node::start(name, number, common.iter().cloned().chain(own).collect())
		});
		self.nodes.extend(join_all(starts).await);
	}

	/// The node of this name.
	pub fn node(&self, name: &str) -> &Node {
		match self.nodes.iter().find(|node| node.name() == name) {
			Some(node) => node,
			None => panic!("there is no {name} in the network"),
		}
	}

	/// The node of this name, to kill it or to start it again.
	pub fn node_mut(&mut self, name: &str) -> &mut Node {
		match self.nodes.iter_mut().find(|node| node.name() == name) {
			Some(node) => node,
			None => panic!("there is no {name} in the network"),
		}
	}

	/// The nodes that run.
	pub fn running(&self) -> impl Iterator<Item = &Node> {
		self.nodes.iter().filter(|node| node.is_running())
	}

	/// Waits until every running node has `height` final.
	pub async fn finalises(&self, height: u64) {
		for node in self.running() {
			let client = node.client();
			let missing = height.saturating_sub(client.finalised_height().await);
			let limit = FINALITY_LIMIT + 6 * Duration::from_secs(missing);
			until(format_args!("block {height} is final for {}", node.name()), limit, async || {
				(client.finalised_height().await >= height).then_some(())
			})
			.await;
		}
	}
}

/// The specification that all nodes of a chain start from, with its genesis state, as operators make
/// it. That takes as long as everything else, so it is made once for each build of the node.
fn specification(chain: &str) -> PathBuf {
	let binary = binary();
	let built = fs::metadata(&binary).and_then(|file| file.modified());
	let built = built.unwrap_or_else(|error| panic!("{}: {error}", binary.display()));
	let age = built.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
	let path = binary.with_file_name(format!("openledger-{chain}-{age}.json"));
	if path.is_file() {
		return path;
	}
	let folder = path.parent().unwrap_or(Path::new("."));
	let file = NamedTempFile::new_in(folder)
		.unwrap_or_else(|error| panic!("no file for a specification: {error}"));
	let export = Command::new(&binary)
		.args(["export-chain-spec", "--raw", "--chain", chain, "--output"])
		.arg(file.path())
		.output()
		.unwrap_or_else(|error| panic!("the node cannot be started: {error}"));
	let said = String::from_utf8_lossy(&export.stderr);
	assert!(export.status.success(), "there is no specification of {chain}: {said}");
	file.persist(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
	path
}

/// The right to run a network on this machine. Files are locked, because tests may run in several processes.
struct Turn {
	_lock: File,
}

impl Turn {
	/// Waits until there is a place.
	fn wait() -> Self {
		loop {
			for place in 1..=PLACES {
				let path = env::temp_dir().join(format!("openledger-tests-{place}.lock"));
				let shown = path.display();
				let file = File::create(&path)
					.unwrap_or_else(|error| panic!("{shown} cannot be made: {error}"));
				match file.try_lock() {
					Ok(()) => return Self { _lock: file },
					Err(TryLockError::WouldBlock) => {},
					Err(TryLockError::Error(error)) => panic!("{shown} cannot be locked: {error}"),
				}
			}
			thread::sleep(PAUSE);
		}
	}
}
