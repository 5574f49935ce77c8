//! One node process.

use std::{
	env, fs,
	path::PathBuf,
	process::{Child, Command, Stdio},
	time::Duration,
};

use tempfile::TempDir;

use crate::{until, Client};

/// From process start to an answer over RPC, with the compilation of the runtime in between, in an
/// unoptimised binary on a busy machine.
const START_LIMIT: Duration = Duration::from_secs(120);

/// How much of a node's log a failing test prints, in lines.
const LOG_TAIL: usize = 80;

/// A node process with its directory. It can be killed and started again; dropped, it is killed and
/// its directory removed.
pub struct Node {
	name: String,
	arguments: Vec<String>,
	directory: TempDir,
	running: Option<(Child, Client)>,
}

impl Node {
	/// Starts a node and waits until it answers. `number` makes its network key: different nodes of a
	/// network have different ones.
	pub(crate) async fn start(name: &str, number: usize, mut arguments: Vec<String>) -> Self {
		let directory = TempDir::with_prefix(format!("openledger-{name}-"))
			.unwrap_or_else(|error| panic!("no directory for {name}: {error}"));
		arguments.extend(["--node-key".into(), format!("{:064x}", number + 1)]);

		let mut node = Self { name: name.into(), arguments, directory, running: None };
		node.restart().await;
		node
	}

	/// Starts the process again, on the database that the last one left.
	pub async fn restart(&mut self) {
		assert!(self.running.is_none(), "{} is running", self.name);
		let log = fs::OpenOptions::new()
			.create(true)
			.append(true)
			.open(self.log_path())
			.unwrap_or_else(|error| panic!("no log file for {}: {error}", self.name));
		let before = self.log().len();

		let binary = binary();
		let process = Command::new(&binary)
			// To compile a runtime takes each node ten seconds; all of them start from few runtimes.
			.env("OPENLEDGER_RUNTIME_CACHE", binary.with_file_name("compiled-runtimes"))
			.arg("--base-path")
			.arg(self.directory.path())
			// Ports that the system chooses: none can be taken.
			.args(["--listen-addr", "/ip4/127.0.0.1/tcp/0", "--rpc-port", "0"])
			.args(["--no-prometheus", "--no-telemetry", "--no-mdns"])
			// A runtime as debug builds have it, not compressed, in hexadecimal: in MiB.
			.args(["--rpc-max-response-size", "64"])
			// The space on the disk of a test machine is not what is tested.
			.args(["--db-storage-threshold", "0"])
			.args(&self.arguments)
			.stdin(Stdio::null())
			.stdout(Stdio::null())
			.stderr(log)
			.spawn()
			.unwrap_or_else(|error| panic!("{} cannot be started: {error}", binary.display()));
		let mut process = Process(Some(process));

		let name = self.name.clone();
		let url = until(format_args!("{name} listens"), START_LIMIT, async || {
			if let Some(status) = process.ended() {
				panic!("{name} ended with {status}:\n{}", self.log_tail());
			}
			rpc_url(self.log().get(before..).unwrap_or_default())
		})
		.await;
		let client = until(format_args!("{name} answers"), START_LIMIT, async || {
			Client::connect(&url).await.ok()
		})
		.await;
		self.running = process.0.take().map(|process| (process, client));
	}

	/// Ends the process as a power cut would: SIGKILL, no goodbye.
	pub fn kill(&mut self) {
		let Some((mut process, _)) = self.running.take() else {
			panic!("{} is not running", self.name);
		};
		process.kill().unwrap_or_else(|error| panic!("{} cannot be killed: {error}", self.name));
		process.wait().unwrap_or_else(|error| panic!("{} does not end: {error}", self.name));
	}

	/// What the node is called in its network.
	pub fn name(&self) -> &str {
		&self.name
	}

	/// Whether the process was started and not killed.
	pub fn is_running(&self) -> bool {
		self.running.is_some()
	}

	/// How to talk to it.
	///
	/// # Panics
	///
	/// When the node was killed.
	pub fn client(&self) -> &Client {
		match &self.running {
			Some((_, client)) => client,
			None => panic!("{} is not running", self.name),
		}
	}

	/// Everything that it logged, over all its starts.
	pub fn log(&self) -> String {
		fs::read(self.log_path())
			.map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
			.unwrap_or_default()
	}

	fn log_path(&self) -> PathBuf {
		self.directory.path().join("node.log")
	}

	fn log_tail(&self) -> String {
		let log = self.log();
		let lines: Vec<_> = log.lines().collect();
		lines[lines.len().saturating_sub(LOG_TAIL)..].join("\n")
	}
}

impl Drop for Node {
	fn drop(&mut self) {
		if self.running.is_some() {
			self.kill();
		}
		if std::thread::panicking() {
			eprintln!("\nThe end of what {} logged:\n{}", self.name, self.log_tail());
		}
	}
}

/// A process that does not outlive a failed start.
struct Process(Option<Child>);

impl Process {
	fn ended(&mut self) -> Option<std::process::ExitStatus> {
		self.0.as_mut().and_then(|process| process.try_wait().ok().flatten())
	}
}

impl Drop for Process {
	fn drop(&mut self) {
		if let Some(mut process) = self.0.take() {
			let _ = process.kill();
			let _ = process.wait();
		}
	}
}

/// The node's binary: what OPENLEDGER_NODE names, or the one that was built together with the tests.
pub(crate) fn binary() -> PathBuf {
	if let Some(path) = env::var_os("OPENLEDGER_NODE") {
		return path.into();
	}
	// Tests are in `deps/` of the directory that binaries are put into.
	let beside_tests = env::current_exe().ok().and_then(|test| {
		let profile = test.parent()?.parent()?;
		Some(profile.join("openledger-node"))
	});
	match beside_tests {
		Some(path) if path.is_file() => path,
		_ => panic!(
			"there is no openledger-node beside the tests: run `scripts/test`, or build it with \
			 `cargo build -p openledger-node`, or name one in OPENLEDGER_NODE",
		),
	}
}

/// Where a node says it listens: `… Running JSON-RPC server: addr=127.0.0.1:9944, …`.
fn rpc_url(log: &str) -> Option<String> {
	let (_, rest) = log.split_once("Running JSON-RPC server: addr=")?;
	let (address, _) = rest.split_once(',')?;
	Some(format!("ws://{address}"))
}
