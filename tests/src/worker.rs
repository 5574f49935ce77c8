//! One worker process, with a tiny random model to serve.

use std::{
	env, fs,
	net::TcpListener,
	path::{Path, PathBuf},
	process::{Child, Command, Stdio},
	time::Duration,
};

use serde_json::Value as Json;
use tempfile::TempDir;

use crate::until;

/// From process start to an answer over HTTP: the base model is read in between.
const START_LIMIT: Duration = Duration::from_secs(60);

/// Seed of the tiny model's random weights.
const MODEL_SEED: &str = "7";

/// A worker process with its directory. It can be killed and started again on the same port; dropped,
/// it is killed and its directory removed.
pub struct Worker {
	directory: TempDir,
	port: u16,
	process: Option<Child>,
}

impl Worker {
	/// Makes a tiny random model, starts a worker that serves it, and waits until it answers.
	pub async fn start() -> Self {
		let directory = TempDir::with_prefix("openledger-worker-")
			.unwrap_or_else(|error| panic!("no directory for the worker: {error}"));
		let made = Command::new(built("examples/tiny_model"))
			.arg(directory.path().join("model"))
			.arg(MODEL_SEED)
			.output()
			.unwrap_or_else(|error| panic!("tiny_model cannot be started: {error}"));
		assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
		let mut worker = Self { directory, port: free_port(), process: None };
		worker.restart().await;
		worker
	}

	/// Starts the process again, on the directory and the port of the last one.
	pub async fn restart(&mut self) {
		assert!(self.process.is_none(), "the worker is running");
		let log = fs::OpenOptions::new()
			.create(true)
			.append(true)
			.open(self.log_path())
			.unwrap_or_else(|error| panic!("no log file for the worker: {error}"));
		let binary = built("openledger-worker");
		let process = Command::new(&binary)
			.arg("--base")
			.arg(self.model())
			.arg("--data")
			.arg(self.directory.path().join("data"))
			.args(["--listen", &format!("127.0.0.1:{}", self.port), "--threads", "2"])
			.stdin(Stdio::null())
			.stdout(Stdio::null())
			.stderr(log)
			.spawn()
			.unwrap_or_else(|error| panic!("{} cannot be started: {error}", binary.display()));
		self.process = Some(process);
		until("the worker answers", START_LIMIT, async || {
			let ended = self.process.as_mut().and_then(|process| process.try_wait().ok().flatten());
			if let Some(status) = ended {
				panic!("the worker ended with {status}");
			}
			self.get("/health").await
		})
		.await;
	}

	/// Ends the process as a power cut would.
	pub fn kill(&mut self) {
		let mut process = self.process.take().expect("the worker is running");
		process.kill().unwrap_or_else(|error| panic!("the worker cannot be killed: {error}"));
		process.wait().unwrap_or_else(|error| panic!("the worker does not end: {error}"));
	}

	/// Where it listens.
	pub fn url(&self) -> String {
		format!("http://127.0.0.1:{}", self.port)
	}

	/// The report about a job as the node gets it, in SCALE.
	pub async fn report(&self, id: &str) -> Vec<u8> {
		let request = reqwest::Client::new().get(format!("{}/v1/jobs/{id}", self.url()));
		let response = request.header("accept", "application/x-scale").send().await;
		let response = response.and_then(|response| response.error_for_status());
		let response = response.unwrap_or_else(|error| panic!("no report about {id}: {error}"));
		response.bytes().await.expect("a report has an end").to_vec()
	}

	/// The folder of the tiny model.
	fn model(&self) -> PathBuf {
		self.directory.path().join("model")
	}

	/// All jobs that the worker knows.
	pub async fn jobs(&self) -> Vec<Json> {
		let jobs = self.get("/v1/jobs").await.expect("the worker lists its jobs");
		jobs.as_array().expect("a list").clone()
	}

	/// The JSON under a path, if it answers with success.
	pub async fn get(&self, path: &str) -> Option<Json> {
		let response = reqwest::get(self.url() + path).await.ok()?;
		response.error_for_status().ok()?.json().await.ok()
	}

	/// What it logged, over all its starts.
	pub fn log(&self) -> String {
		fs::read(self.log_path())
			.map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
			.unwrap_or_default()
	}

	fn log_path(&self) -> PathBuf {
		self.directory.path().join("worker.log")
	}
}

impl Drop for Worker {
	fn drop(&mut self) {
		if self.process.is_some() {
			self.kill();
		}
		if std::thread::panicking() {
			let log = self.log();
			let lines: Vec<_> = log.lines().collect();
			eprintln!(
				"\nThe end of what the worker logged:\n{}",
				lines[lines.len().saturating_sub(60)..].join("\n")
			);
		}
	}
}

/// A port that nobody listens on.
fn free_port() -> u16 {
	let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
	listener.local_addr().expect("a bound socket has an address").port()
}

/// Something that was built in the workspace `offchain-workers`, in the folder that OPENLEDGER_OFFCHAIN
/// names or beside the tests' own.
fn built(name: &str) -> PathBuf {
	let folder = env::var_os("OPENLEDGER_OFFCHAIN").map(PathBuf::from).or_else(|| {
		let test = env::current_exe().ok()?;
		let target = test.ancestors().nth(3)?;
		Some(target.join("offchain-workers").join("debug"))
	});
	let path = folder.unwrap_or_default().join(name);
	assert!(
		Path::new(&path).is_file(),
		"there is no {}: run `scripts/test`, or build the workspace offchain-workers and name the \
		 folder of its binaries in OPENLEDGER_OFFCHAIN",
		path.display()
	);
	path
}
