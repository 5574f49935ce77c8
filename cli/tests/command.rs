//! The binary as people and scripts meet it: exit codes, keys, files, and a worker that misbehaves.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::{
	fs,
	io::{Read, Write},
	net::{TcpListener, TcpStream},
	path::Path,
	process::{Command, Output, Stdio},
	thread,
};

use serde_json::Value as Json;

const PHRASE: &str = "bottom drive obey lake curtain smoke basket hold race lonely fit walk";

/// Nobody listens on port 1.
const NO_NODE: &str = "ws://127.0.0.1:1";
const NO_WORKER: &str = "http://127.0.0.1:1";

fn openledger(arguments: &[&str]) -> Output {
	command(arguments).output().expect("the binary starts")
}

fn command(arguments: &[&str]) -> Command {
	let mut command = Command::new(env!("CARGO_BIN_EXE_openledger"));
	command
		.args(arguments)
		.env_remove("OPENLEDGER_KEY")
		.env("OPENLEDGER_NODE", NO_NODE)
		.env("OPENLEDGER_WORKER", NO_WORKER)
		.stdin(Stdio::null());
	command
}

fn said(output: &Output) -> String {
	String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

fn assert_exit(output: &Output, code: i32) {
	assert_eq!(output.status.code(), Some(code), "{}", said(output));
}

/// A worker that answers every request in the same way, on a port of its own.
fn worker(answer: &'static str, body: &'static [u8]) -> String {
	let listener = TcpListener::bind("127.0.0.1:0").unwrap();
	let url = format!("http://{}", listener.local_addr().unwrap());
	thread::spawn(move || {
		for stream in listener.incoming() {
			answer_once(stream.unwrap(), answer, body);
		}
	});
	url
}

fn answer_once(mut stream: TcpStream, answer: &str, body: &[u8]) {
	let mut head = Vec::new();
	let mut byte = [0];
	while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or_default() == 1 {
		head.extend(byte);
	}
	let length = body.len();
	let frame =
		format!("HTTP/1.1 {answer}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
	// The client may have gone when it has read enough.
	let _ = stream.write_all(frame.as_bytes()).and_then(|()| stream.write_all(body));
}

fn key_file(folder: &Path) -> String {
	let path = folder.join("key");
	fs::write(&path, PHRASE).unwrap();
	#[cfg(unix)]
	{
		use std::os::unix::fs::PermissionsExt;
		fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
	}
	path.display().to_string()
}

#[test]
fn help_and_completions_need_nobody() {
	let help = openledger(&["--help"]);
	assert_exit(&help, 0);
	for name in ["datanet", "train", "ask", "explain", "Exit codes:"] {
		assert!(said(&help).contains(name), "{name}");
	}
	let codes = openledger(&["help", "exit-codes"]);
	assert_exit(&codes, 0);
	assert!(said(&codes).contains("3  the node cannot be reached"));
	let topic = openledger(&["help", "datanet", "contribute"]);
	assert_exit(&topic, 0);
	assert!(said(&topic).contains("--where"));
	assert_exit(&openledger(&["help", "nothing"]), 2);
	for shell in ["bash", "zsh", "fish"] {
		let script = openledger(&["completions", shell]);
		assert_exit(&script, 0);
		assert!(said(&script).contains("contribute"), "{shell}");
	}
}

#[test]
fn wrong_usage_ends_with_2() {
	for arguments in [
		&["datanet"][..],
		&["nothing"],
		&["ask", "one", "question"],
		&["account", "transfer", "nobody", "1", "--dev", "alice"],
		&["account", "transfer", "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY", "1,5"],
		&["rewards", "--dev", "mallory"],
		&["account", "balance", "--worker", "ftp://nowhere", "--dev", "alice", "extra", "extra"],
	] {
		assert_exit(&openledger(arguments), 2);
	}
}

#[test]
fn a_command_that_signs_needs_a_key() {
	let output = openledger(&["rewards", "--claim"]);
	assert_exit(&output, 2);
	assert!(said(&output).contains("--key-file"));
}

#[test]
fn a_key_is_refused_as_an_argument_and_not_repeated() {
	for option in ["--key", "--seed", "--suri"] {
		let given = format!("{option}={PHRASE}");
		let output = openledger(&["rewards", "--claim", &given]);
		assert_exit(&output, 2);
		assert!(!said(&output).contains("drive obey"), "{}", said(&output));
	}
	let output = openledger(&["rewards", "--claim", "--key-file", PHRASE]);
	assert_exit(&output, 2);
	assert!(said(&output).contains("not the key itself"));
	assert!(!said(&output).contains("drive obey"), "{}", said(&output));
}

#[test]
fn help_does_not_show_the_key_of_the_environment() {
	let output = command(&["rewards", "--help"]).env("OPENLEDGER_KEY", PHRASE).output().unwrap();
	assert!(!said(&output).contains("drive obey"));
}

#[test]
fn a_node_that_is_not_there_ends_with_3() {
	let folder = tempfile::tempdir().unwrap();
	let key = key_file(folder.path());
	for arguments in [
		&["datanet", "show", "0"][..],
		&["datanet", "publish", "0", "--dev", "alice"],
		&["model", "show", "0"],
		&["base", "show", "0"],
		&["explain", "0"],
		&["job", "0"],
		&["ask", "0", "Why?", "--dev", "alice"],
		&["rewards", "--dev", "alice"],
		&["account", "balance", "--key-file", &key],
		&["worker", "show", "--dev", "alice"],
	] {
		let output = openledger(arguments);
		assert_exit(&output, 3);
		assert!(said(&output).contains("--node"), "{}", said(&output));
	}
	let by_environment =
		command(&["account", "balance"]).env("OPENLEDGER_KEY", PHRASE).output().unwrap();
	assert_exit(&by_environment, 3);
}

#[test]
fn a_remote_node_without_encryption_is_refused() {
	let output = openledger(&["datanet", "show", "0", "--node", "ws://192.0.2.1:9944"]);
	assert_exit(&output, 2);
	assert!(said(&output).contains("wss://"));
}

#[test]
fn errors_are_json_when_json_is_asked_for() {
	let output = openledger(&["datanet", "show", "0", "--format", "json"]);
	assert_exit(&output, 3);
	assert!(output.stdout.is_empty());
	let error: Json = serde_json::from_slice(&output.stderr).unwrap();
	assert_eq!(error["exit_code"], 3);
	assert!(error["error"].as_str().unwrap().contains("cannot be reached"));
	assert!(error["hint"].as_str().unwrap().contains("OPENLEDGER_NODE"));
}

#[test]
fn bad_files_are_named_before_anybody_is_asked() {
	let folder = tempfile::tempdir().unwrap();
	let path = folder.path().join("records.jsonl");
	fs::write(&path, "{\"a\":\"x\"}\nnot json\n").unwrap();
	let path = path.display().to_string();
	let output = openledger(&["datanet", "contribute", "0", &path, "--dry-run"]);
	assert_exit(&output, 2);
	assert!(said(&output).contains("records.jsonl:2: it is not JSON"), "{}", said(&output));
	assert!(said(&output).contains("--skip-bad"));
	// The node is what is missing next.
	assert_exit(&openledger(&["datanet", "contribute", "0", &path, "--dry-run", "--skip-bad"]), 3);
	let output = openledger(&["datanet", "contribute", "0", "no such file"]);
	assert_exit(&output, 2);

	let spec = folder.path().join("spec.json");
	fs::write(&spec, "[]").unwrap();
	let spec = spec.display().to_string();
	let train = |spec: &str| {
		let arguments = [
			"train",
			"--base",
			"0",
			"--datanet",
			"0",
			"--spec",
			spec,
			"--budget",
			"1",
			"--dev",
			"alice",
		];
		openledger(&arguments)
	};
	assert_exit(&train(&spec), 2);
	assert_exit(&train("no such file"), 2);
}

#[test]
fn a_worker_that_is_not_there_ends_with_4() {
	let output = openledger(&["base", "register", "--from-worker", "--dev", "alice"]);
	assert_exit(&output, 4);
	assert!(said(&output).contains("OPENLEDGER_WORKER"));
	let arguments = ["base", "register", "--from-worker", "--worker", "https://127.0.0.1:1"];
	assert_exit(&openledger(&arguments), 2);
}

#[test]
fn a_worker_that_refuses_is_quoted() {
	let body = br#"{"error": "no model is loaded", "hint": "start it with --base"}"#;
	let url = worker("503 Service Unavailable", body);
	let output = openledger(&["base", "register", "--from-worker", "--worker", &url]);
	assert_exit(&output, 4);
	assert!(said(&output).contains("no model is loaded"));
	assert!(said(&output).contains("start it with --base"));
}

#[test]
fn a_worker_that_answers_nonsense_is_not_believed() {
	for (answer, body) in [
		("200 OK", &b"<html>"[..]),
		("200 OK", b"{}"),
		("200 OK", b"{\"status\": 7}"),
		("200 OK", b"\xff\xfe"),
		("500 Internal Server Error", b""),
		("404 Not Found", b""),
		("nonsense", b""),
	] {
		let url = worker(answer, body);
		let output = openledger(&["base", "register", "--from-worker", "--worker", &url]);
		assert_exit(&output, 4);
	}
}

#[test]
fn a_base_model_comes_from_what_the_worker_serves() {
	let body = br#"{"status": "ok", "version": "1", "jobs": {"queued": 0, "running": 0},
		"base_models": [
			{"weights": "0x0000000000000000000000000000000000000000000000000000000000000001",
			 "tokenizer": "0x0000000000000000000000000000000000000000000000000000000000000002",
			 "architecture": "LlamaForCausalLM", "name": "tiny", "parameters": 1000},
			{"weights": "0x0000000000000000000000000000000000000000000000000000000000000003",
			 "tokenizer": "0x0000000000000000000000000000000000000000000000000000000000000002",
			 "architecture": "LlamaForCausalLM", "name": "small", "parameters": 2000}]}"#;
	let url = worker("200 OK", body);
	let register = |name: &str| {
		let choice = format!("--from-worker={name}");
		openledger(&["base", "register", &choice, "--worker", &url, "--dev", "alice"])
	};
	// With several there is a choice to make; then the node is what is missing.
	let output = register("");
	assert_exit(&output, 2);
	assert!(said(&output).contains("tiny, small"), "{}", said(&output));
	assert_exit(&register("huge"), 5);
	assert_exit(&register("small"), 3);
}
