//! Several nodes of one chain.

use std::{env, fs::File, time::Duration};

use crate::{step, until, Node};

/// Validators of the `local` chain.
const VALIDATORS: [&str; 4] = ["alice", "bob", "charlie", "dave"];

/// From the start of a network to its first blocks.
const CONNECT_LIMIT: Duration = Duration::from_secs(60);

/// How long a single block may take to become final. Slots have three seconds; the machine may be busy.
const FINALITY_LIMIT: Duration = Duration::from_secs(30);

/// Nodes of one chain that know each other. All end when it is dropped.
pub struct Network {
	chain: &'static str,
	// Before the lock: fields are dropped in order, and the next network waits for the lock.
	nodes: Vec<Node>,
	_turn: File,
}

impl Network {
	/// A development chain with one validator, called `alice`.
	pub async fn dev() -> Self {
		let mut network = Self::empty("dev");
		network.join("alice", &["--alice", "--validator", "--force-authoring"]).await;
		network
	}

	/// The local chain with its four validators, called `alice`, `bob`, `charlie` and `dave`.
	pub async fn four_validators() -> Self {
		let mut network = Self::empty("local");
		for name in VALIDATORS {
			network.join(name, &["--validator", &format!("--{name}")]).await;
		}
		for node in &network.nodes {
			until(format_args!("{} knows the others", node.name()), CONNECT_LIMIT, async || {
				(node.client().peers().await + 1 == VALIDATORS.len()).then_some(())
			})
			.await;
		}
		network
	}

	fn empty(chain: &'static str) -> Self {
		Self { chain, nodes: Vec::new(), _turn: turn() }
	}

	/// Starts a node that dials all those that run.
	pub async fn join(&mut self, name: &str, arguments: &[&str]) -> &Node {
		let mut addresses = Vec::new();
		for node in self.nodes.iter().filter(|node| node.is_running()) {
			addresses.push(node.client().address().await);
		}
		let mut all = vec!["--chain", self.chain];
		all.extend(arguments);
		for address in &addresses {
			all.extend(["--bootnodes", address]);
		}
		let number = u8::try_from(self.nodes.len()).expect("a network of a few nodes");
		step(format_args!("{name} starts"));
		self.nodes.push(Node::start(name, number, &all).await);
		self.node(name)
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

/// Waits until no other network runs on this machine: its cores are few and slots are short. A file,
/// because tests run in several processes.
fn turn() -> File {
	let path = env::temp_dir().join("openledger-tests.lock");
	let file = File::create(&path)
		.unwrap_or_else(|error| panic!("{} cannot be made: {error}", path.display()));
	file.lock().unwrap_or_else(|error| panic!("{} cannot be locked: {error}", path.display()));
	file
}
