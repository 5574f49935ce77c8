//! The binary as an operator meets it: a development chain, bad requests, a damaged database, the
//! commands on a stored chain.
//!
//! Each test starts its own processes on free ports and in its own directory, and every wait is bounded.
//! Tests that need a chain are ignored in a binary built with SKIP_WASM_BUILD, which holds no runtime.

use std::{
	fs,
	io::{BufRead, BufReader, Read, Write},
	net::{TcpListener, TcpStream},
	path::{Path, PathBuf},
	process::{Child, Command, Output, Stdio},
	sync::{Arc, Mutex, OnceLock},
	thread,
	time::{Duration, Instant},
};

use serde_json::{json, Value};
use tempfile::TempDir;

/// For commands that do one thing and end, in an unoptimised binary on a busy machine.
const COMMAND_LIMIT: Duration = Duration::from_secs(120);

/// From process start to a block, with the compilation of the runtime in between.
const BLOCK_LIMIT: Duration = Duration::from_secs(180);

#[test]
#[cfg_attr(no_runtime, ignore = "built with SKIP_WASM_BUILD")]
fn node_should_stay_up_when_requests_are_malformed() {
	let node = DevNode::start(&["--chain", raw_dev_chain(), "--tmp"]);
	node.wait_for_block(1);

	assert_eq!(node.error_code("{\"jsonrpc\": \"2.0\", \"id\": 1, \"method\": "), -32700);
	assert_eq!(node.error_code("not JSON at all"), -32700);
	assert_eq!(node.error_code(&request("openledger_noSuchMethod", json!([]))), -32601);
	assert_eq!(
		node.error_code(&request("chain_getBlockHash", json!([{ "no": "number" }]))),
		-32602
	);
	assert_eq!(node.error_code(&request("state_getStorage", json!(["zz"]))), -32602);
	assert_eq!(node.error_code("{\"jsonrpc\": \"2.0\", \"id\": 1}"), -32600);
	// 20 MiB, above the 15 MiB that a request may have.
	assert_eq!(node.post(&" ".repeat(20 * 1024 * 1024)).0, 413);
	// Well-formed requests that the runtime must refuse.
	let bad_transaction = node.call("author_submitExtrinsic", json!(["0xdeadbeef"]));
	assert!(bad_transaction["error"]["code"].is_i64(), "{bad_transaction}");
	let bad_dry_run = node.call("system_dryRun", json!(["0x00"]));
	assert!(bad_dry_run["error"]["code"].is_i64(), "{bad_dry_run}");

	let height = node.best_block();
	node.wait_for_block(height + 2);
	assert_eq!(node.call("system_health", json!([]))["result"]["isSyncing"], false);
}

#[test]
#[cfg_attr(no_runtime, ignore = "built with SKIP_WASM_BUILD")]
fn node_should_finalise_and_answer_wallets_when_started_with_dev() {
	let node = DevNode::start(&["--tmp"]);
	node.wait_for_block(3);

	let deadline = Instant::now() + BLOCK_LIMIT;
	while node.block_number("chain_getFinalizedHead") == 0 {
		assert!(Instant::now() < deadline, "nothing is finalised:\n{}", node.log());
		thread::sleep(Duration::from_millis(500));
	}

	let properties = node.result("system_properties", json!([]));
	assert_eq!(properties["tokenSymbol"], "OPEN");
	assert_eq!(properties["tokenDecimals"], 12);
	assert_eq!(properties["ss58Format"], 42);
	assert_eq!(node.result("system_chain", json!([])), "OpenLedger Development");

	let alice = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY";
	assert!(node.result("system_accountNextIndex", json!([alice])).is_u64());
	let authorship = node.result("babe_epochAuthorship", json!([]));
	assert!(authorship[alice].is_object(), "Alice owns slots: {authorship}");
	assert!(node.result("grandpa_roundState", json!([]))["best"].is_object());
	assert_eq!(node.result("sync_state_genSyncSpec", json!([false]))["id"], "openledger-dev");

	let methods = node.result("rpc_methods", json!([]))["methods"].to_string();
	for method in [
		"payment_queryInfo",
		"grandpa_subscribeJustifications",
		"chainHead_v1_follow",
		"transactionWatch_v1_submitAndWatch",
		"state_subscribeStorage",
		"author_rotateKeysWithOwner",
		"offchain_localStorageGet",
	] {
		assert!(methods.contains(method), "{method} is missing in {methods}");
	}
}

#[test]
#[cfg_attr(no_runtime, ignore = "built with SKIP_WASM_BUILD")]
fn blocks_should_be_the_same_when_exported_imported_and_reverted() {
	let (original, copy) = (Stored::with_blocks(4), Stored::empty());
	let blocks = copy.directory.path().join("blocks.json");
	let blocks = blocks.to_str().expect("temporary paths are text");

	let before = original.chain_info();
	original.command("export-blocks", &["--to", "4", blocks]);
	copy.command("import-blocks", &[blocks]);
	let after = copy.chain_info();
	assert_eq!(after["best_number"], 4);
	assert_eq!(after["genesis_hash"], before["genesis_hash"]);

	// A development chain without justifications in the file: nothing of the copy is final.
	copy.command("revert", &["2"]);
	let reverted = copy.chain_info();
	assert_eq!(reverted["best_number"], 2);
	copy.command("import-blocks", &[blocks]);
	assert_eq!(copy.chain_info(), after);

	copy.command("check-block", &["4"]);
	let state = copy.command("export-state", &["3"]);
	let state: Value = serde_json::from_str(&state).expect("a chain specification");
	assert!(state["genesis"]["raw"]["top"].is_object());
}

#[test]
#[cfg_attr(no_runtime, ignore = "built with SKIP_WASM_BUILD")]
fn purge_should_remove_the_database_and_keep_the_keys() {
	let chain = Stored::with_blocks(1);
	let secret = "//Alice//stash";
	chain.command("key insert", &["--key-type", "gran", "--scheme", "ed25519", "--suri", secret]);
	assert!(chain.path("paritydb").exists());

	chain.command("purge-chain", &["-y"]);
	assert!(!chain.path("paritydb").exists());
	let keys = fs::read_dir(chain.path("keystore")).expect("the keystore stays").count();
	assert_eq!(keys, 1);
	assert_eq!(chain.chain_info()["best_number"], 0);
}

#[test]
#[cfg_attr(no_runtime, ignore = "built with SKIP_WASM_BUILD")]
fn damaged_database_should_be_explained_when_its_metadata_is_garbage() {
	let chain = Stored::with_blocks(1);
	fs::write(chain.path("paritydb/full/metadata"), [0xff; 64]).expect("the file is writable");
	chain.assert_damage_is_explained();
}

#[test]
#[cfg_attr(no_runtime, ignore = "built with SKIP_WASM_BUILD")]
fn damaged_database_should_be_explained_when_its_tables_are_garbage() {
	let chain = Stored::with_blocks(2);
	for file in fs::read_dir(chain.path("paritydb/full")).expect("the database exists").flatten() {
		let name = file.file_name().into_string().expect("names of the database are ASCII");
		if name.starts_with("table_") || name.starts_with("index_") {
			let length = file.metadata().expect("the file exists").len();
			let file =
				fs::OpenOptions::new().write(true).open(file.path()).expect("it is writable");
			// The first page holds the header of a table and the first entries of an index.
			overwrite_with_garbage(file, length);
		}
	}
	chain.lose_write_ahead_log();
	chain.assert_damage_is_explained();
}

#[test]
#[cfg_attr(no_runtime, ignore = "built with SKIP_WASM_BUILD")]
fn damaged_database_should_be_explained_when_it_is_cut_short() {
	// Less than the header of a table; the header and one page, so that later reads are bus errors.
	for length in [16, 4096] {
		let chain = Stored::with_blocks(2);
		let files = fs::read_dir(chain.path("paritydb/full")).expect("the database exists");
		for file in files.flatten() {
			if file.file_name().to_string_lossy().starts_with("table_") {
				let file = fs::OpenOptions::new().write(true).open(file.path());
				file.and_then(|file| file.set_len(length)).expect("the file can be cut");
			}
		}
		chain.lose_write_ahead_log();
		chain.assert_damage_is_explained();
	}
}

#[test]
#[cfg_attr(no_runtime, ignore = "built with SKIP_WASM_BUILD")]
fn second_node_should_be_refused_when_the_database_is_in_use() {
	let directory = TempDir::new().expect("a temporary directory");
	let base_path = directory.path().to_str().expect("temporary paths are text");
	let first = DevNode::start(&["--chain", raw_dev_chain(), "--base-path", base_path]);
	first.wait_for_block(1);

	let ports = [free_port().to_string(), free_port().to_string()];
	let second = run(node().args(["--dev", "--no-prometheus", "--base-path", base_path]).args([
		"--chain",
		raw_dev_chain(),
		"--port",
		&ports[0],
		"--rpc-port",
		&ports[1],
	]));
	let error = text(&second.stderr);
	assert!(!second.status.success());
	assert!(error.contains("Another node is running on the database"), "{error}");
	assert!(!error.contains("purge-chain"), "a healthy database must not be thrown away: {error}");
}

#[test]
#[cfg_attr(no_runtime, ignore = "built with SKIP_WASM_BUILD")]
fn taken_port_should_be_named_when_the_node_starts() {
	let taken = TcpListener::bind(("127.0.0.1", 0)).expect("some port is free");
	let port = taken.local_addr().expect("it is bound").port().to_string();
	for option in ["--port", "--rpc-port", "--prometheus-port"] {
		let mut ports = vec!["--port", "0", "--rpc-port", "0", "--prometheus-port", "0"];
		let at = ports.iter().position(|word| *word == option).expect("it is in the list");
		ports[at + 1] = &port;

		let output = run(node().args(["--dev", "--tmp"]).args(ports));
		let error = text(&output.stderr);
		assert!(!output.status.success());
		assert!(error.contains(&format!("port {port} is already in use")), "{error}");
		assert!(error.contains(option), "{error}");
	}
}

#[test]
fn unknown_chain_should_be_answered_with_the_known_ones() {
	let output = run(node().args(["--chain", "no-such-chain", "--tmp"]));
	let error = text(&output.stderr);
	assert!(!output.status.success());
	for word in ["no-such-chain", "`dev`", "`local`", "specification file"] {
		assert!(error.contains(word), "{word} is missing in: {error}");
	}
}

#[test]
fn worker_should_be_refused_when_it_is_on_another_machine() {
	for (url, reason) in [
		("http://10.0.0.1:9955", "loopback address of the node's machine"),
		("https://127.0.0.1:9955", "begins with http://"),
		("http://127.0.0.1:9955/v1", "without a path"),
	] {
		let output = run(node().args(["--dev", "--worker-url", url]));
		assert!(!output.status.success());
		let said = text(&output.stderr);
		assert!(said.contains(reason) && said.contains("--worker-url"), "{url}: {said}");
	}
}

#[test]
fn damaged_chain_specification_should_be_refused_without_a_panic() {
	let directory = TempDir::new().expect("a temporary directory");
	let specification = directory.path().join("chain.json");
	fs::write(&specification, "{ \"name\": \"cut").expect("the directory is writable");
	let output = run(node().arg("--tmp").arg("--chain").arg(&specification));
	let error = text(&output.stderr);
	assert!(!output.status.success());
	assert!(error.contains("Error parsing spec file"), "{error}");
	assert!(!error.contains("panicked"), "{error}");
}

#[test]
#[cfg_attr(no_runtime, ignore = "built with SKIP_WASM_BUILD")]
fn specification_should_describe_the_same_chain_when_exported_and_read() {
	for (chain, id) in [("dev", "openledger-dev"), ("local", "openledger-local")] {
		let plain = succeed(node().args(["export-chain-spec", "--chain", chain]));
		let plain: Value = serde_json::from_str(&plain).expect("JSON");
		assert_eq!(plain["id"], id);
		assert_eq!(plain["protocolId"], "open");

		let directory = TempDir::new().expect("a temporary directory");
		let raw = directory.path().join("raw.json");
		let raw = raw.to_str().expect("temporary paths are text");
		succeed(node().args(["export-chain-spec", "--chain", chain, "--raw", "--output", raw]));
		let written = fs::read_to_string(raw).expect("the file was written");
		let again = succeed(node().args(["export-chain-spec", "--chain", raw, "--raw"]));
		assert_eq!(again, written);
	}
}

#[test]
fn generated_key_should_be_found_again_when_inspected() {
	let generated = succeed(node().args(["key", "generate", "--output-type", "json"]));
	let generated: Value = serde_json::from_str(&generated).expect("JSON");
	let phrase = generated["secretPhrase"].as_str().expect("a phrase");
	assert_eq!(phrase.split(' ').count(), 12);

	let inspected = succeed(node().args(["key", "inspect", "--output-type", "json", phrase]));
	let inspected: Value = serde_json::from_str(&inspected).expect("JSON");
	assert_eq!(inspected["ss58Address"], generated["ss58Address"]);
	assert_eq!(inspected["publicKey"], generated["publicKey"]);
}

#[test]
fn signature_should_be_verified_only_for_the_signed_message() {
	let message = ["--message", "0x0102"];
	let signature = succeed(node().args(["sign", "--hex", "--suri", "//Alice"]).args(message));
	let alice = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY";
	let verify = ["verify", "--hex", signature.trim(), alice];
	succeed(node().args(verify).args(message));
	assert!(!run(node().args(verify).args(["--message", "0x0103"])).status.success());
}

/// The rest of the file is how these tests start, ask and stop nodes.
fn node() -> Command {
	let mut node = Command::new(env!("CARGO_BIN_EXE_openledger-node"));
	// Compiled once for all of them.
	node.env(
		"OPENLEDGER_RUNTIME_CACHE",
		concat!(env!("CARGO_TARGET_TMPDIR"), "/compiled-runtimes"),
	);
	node
}

/// The development chain with its genesis already built, which saves each process one compilation of the
/// runtime. Its identity is that of `dev`.
fn raw_dev_chain() -> &'static str {
	static PATH: OnceLock<String> = OnceLock::new();
	PATH.get_or_init(|| {
		let path = concat!(env!("CARGO_TARGET_TMPDIR"), "/openledger-dev.raw.json").to_owned();
		succeed(node().args(["export-chain-spec", "--chain", "dev", "--raw", "--output", &path]));
		path
	})
}

fn free_port() -> u16 {
	let listener = TcpListener::bind(("127.0.0.1", 0)).expect("some port is free");
	listener.local_addr().expect("it is bound").port()
}

fn text(bytes: &[u8]) -> String {
	String::from_utf8_lossy(bytes).into_owned()
}

/// Runs a command to its end, or fails the test.
fn run(command: &mut Command) -> Output {
	let mut child = command
		.stdin(Stdio::null())
		.stdout(Stdio::piped())
		.stderr(Stdio::piped())
		.spawn()
		.expect("the binary exists");
	let read = |mut pipe: Box<dyn Read + Send>| {
		thread::spawn(move || {
			let mut bytes = Vec::new();
			pipe.read_to_end(&mut bytes).map(|_| bytes)
		})
	};
	let stdout = read(Box::new(child.stdout.take().expect("it is piped")));
	let stderr = read(Box::new(child.stderr.take().expect("it is piped")));

	let deadline = Instant::now() + COMMAND_LIMIT;
	let status = loop {
		if let Some(status) = child.try_wait().expect("it is our child") {
			break Some(status);
		}
		if Instant::now() > deadline {
			child.kill().expect("it is our child");
			break None;
		}
		thread::sleep(Duration::from_millis(50));
	};
	let stdout = stdout.join().expect("no panic").expect("the pipe is readable");
	let stderr = stderr.join().expect("no panic").expect("the pipe is readable");
	let Some(status) = status else {
		panic!("{command:?} does not end:\n{}", text(&stderr));
	};
	Output { status, stdout, stderr }
}

/// Runs a command that must succeed and returns what it printed.
fn succeed(command: &mut Command) -> String {
	let output = run(command);
	assert!(output.status.success(), "{command:?} failed:\n{}", text(&output.stderr));
	text(&output.stdout)
}

fn request(method: &str, params: Value) -> String {
	json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string()
}

fn overwrite_with_garbage(mut file: fs::File, length: u64) {
	let garbage: Vec<u8> = (0..length.min(1 << 20)).map(|at| (at % 251) as u8 ^ 0x5a).collect();
	file.write_all(&garbage).expect("it is writable");
}

/// A running development node.
struct DevNode {
	process: Child,
	rpc_port: u16,
	log: Arc<Mutex<String>>,
}

impl DevNode {
	fn start(arguments: &[&str]) -> Self {
		let rpc_port = free_port();
		let mut process = node()
			.args(["--dev", "--no-prometheus", "--no-telemetry", "--port", "0", "--rpc-port"])
			.arg(rpc_port.to_string())
			// The space on the disk of a test machine is not what is tested.
			.args(["--db-storage-threshold", "0"])
			.args(arguments)
			.stdout(Stdio::null())
			.stderr(Stdio::piped())
			.spawn()
			.expect("the binary exists");

		let log = Arc::new(Mutex::new(String::new()));
		let lines = BufReader::new(process.stderr.take().expect("it is piped")).lines();
		let shared = log.clone();
		thread::spawn(move || {
			for line in lines.map_while(Result::ok) {
				let mut log = shared.lock().expect("no panic");
				log.push_str(&line);
				log.push('\n');
			}
		});
		Self { process, rpc_port, log }
	}

	fn log(&self) -> String {
		self.log.lock().expect("no panic").clone()
	}

	/// HTTP status and body of the answer to a request body.
	fn post(&self, body: &str) -> (u16, String) {
		self.try_post(body).unwrap_or_else(|error| panic!("no answer: {error}\n{}", self.log()))
	}

	fn try_post(&self, body: &str) -> std::io::Result<(u16, String)> {
		let mut stream = TcpStream::connect(("127.0.0.1", self.rpc_port))?;
		stream.set_read_timeout(Some(Duration::from_secs(30)))?;
		write!(
			stream,
			"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n\
			 Content-Length: {}\r\nConnection: close\r\n\r\n",
			body.len(),
		)?;
		// A server may answer and close before it has read an oversized body.
		let _ = stream.write_all(body.as_bytes());
		let mut answer = Vec::new();
		// The answer counts, also when the connection is reset after it.
		let _ = stream.read_to_end(&mut answer);
		let answer = text(&answer);
		let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
		let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
		status
			.map(|status| (status, body.to_owned()))
			.ok_or_else(|| std::io::Error::other(format!("not HTTP: {answer}")))
	}

	fn call(&self, method: &str, params: Value) -> Value {
		let (_, body) = self.post(&request(method, params));
		serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error} in {body}"))
	}

	fn result(&self, method: &str, params: Value) -> Value {
		let mut answer = self.call(method, params);
		assert!(answer["error"].is_null(), "{method}: {answer}");
		answer["result"].take()
	}

	fn error_code(&self, body: &str) -> i64 {
		let (_, answer) = self.post(body);
		let answer: Value = serde_json::from_str(&answer)
			.unwrap_or_else(|error| panic!("{error} in the answer to {body}: {answer}"));
		answer["error"]["code"].as_i64().unwrap_or_else(|| panic!("no error code in {answer}"))
	}

	/// The height of the block whose hash a method returns.
	fn block_number(&self, method: &str) -> u64 {
		let hash = self.result(method, json!([]));
		let header = self.result("chain_getHeader", json!([hash]));
		let number = header["number"].as_str().expect("a hexadecimal number");
		u64::from_str_radix(number.trim_start_matches("0x"), 16).expect("a hexadecimal number")
	}

	fn best_block(&self) -> u64 {
		self.block_number("chain_getHead")
	}

	fn wait_for_block(&self, height: u64) {
		let deadline = Instant::now() + BLOCK_LIMIT;
		while self.try_post(&request("system_health", json!([]))).is_err()
			|| self.best_block() < height
		{
			assert!(Instant::now() < deadline, "no block {height}:\n{}", self.log());
			thread::sleep(Duration::from_millis(250));
		}
	}

	/// Ends the node as an operator does, so that the database is closed in order.
	fn stop(mut self) {
		let id = self.process.id().to_string();
		let told = Command::new("kill").args(["-TERM", &id]).status().expect("a Unix machine");
		assert!(told.success());
		let deadline = Instant::now() + COMMAND_LIMIT;
		while self.process.try_wait().expect("it is our child").is_none() {
			assert!(Instant::now() < deadline, "the node does not stop:\n{}", self.log());
			thread::sleep(Duration::from_millis(100));
		}
	}
}

impl Drop for DevNode {
	fn drop(&mut self) {
		let _ = self.process.kill();
		let _ = self.process.wait();
	}
}

/// The directory of a development chain on which no node is running.
struct Stored {
	directory: TempDir,
}

impl Stored {
	fn empty() -> Self {
		Self { directory: TempDir::new().expect("a temporary directory") }
	}

	fn with_blocks(height: u64) -> Self {
		let stored = Self::empty();
		let node = DevNode::start(&["--chain", raw_dev_chain(), "--base-path", stored.base_path()]);
		node.wait_for_block(height);
		node.stop();
		stored
	}

	fn base_path(&self) -> &str {
		self.directory.path().to_str().expect("temporary paths are text")
	}

	fn path(&self, inside: &str) -> PathBuf {
		Path::new(self.base_path()).join("chains/openledger-dev").join(inside)
	}

	/// Runs a command on this chain that must succeed and returns what it printed.
	fn command(&self, words: &str, arguments: &[&str]) -> String {
		let shared = ["--chain", raw_dev_chain(), "--base-path", self.base_path()];
		succeed(node().args(words.split(' ')).args(shared).args(arguments))
	}

	fn chain_info(&self) -> Value {
		serde_json::from_str(&self.command("chain-info", &[])).expect("JSON")
	}

	/// Removes the logs that the database would repair a few damaged tables from.
	fn lose_write_ahead_log(&self) {
		for file in fs::read_dir(self.path("paritydb/full")).expect("it exists").flatten() {
			if file.file_name().to_string_lossy().starts_with("log") {
				fs::remove_file(file.path()).expect("it can be removed");
			}
		}
	}

	/// Starting a node and exporting blocks both fail with advice and without a panic or a crash.
	fn assert_damage_is_explained(&self) {
		let chain = ["--chain", raw_dev_chain()];
		let start = ["--dev", "--no-prometheus", "--port", "0", "--rpc-port", "0"];
		let export = ["export-blocks"];
		for words in [&start[..], &export[..]] {
			let output =
				run(node().args(words).args(chain).args(["--base-path", self.base_path()]));
			let error = text(&output.stderr);
			assert_eq!(output.status.code(), Some(1), "{words:?}: {error}");
			assert!(error.contains("cannot be used"), "{words:?}: {error}");
			assert!(error.contains("purge-chain"), "{words:?}: {error}");
			assert!(error.contains("paritydb"), "{words:?}: {error}");
			assert!(!error.contains("panicked"), "{words:?}: {error}");
		}
	}
}
