//! A development network with a worker that takes jobs.

use std::{fs, os::unix::fs::PermissionsExt};

use futures::future::join_all;
use serde_json::{json, Value as Json};
use subxt::dynamic::{At, Value};
use subxt_signer::{
	sr25519::{dev, Keypair},
	SecretUri,
};
use tempfile::TempDir;

use crate::{
	client::{account, address, call},
	step, CommandLine, Network, Worker,
};

/// The secret of the key that signs for the worker.
const OPERATOR: &str = "//Eve//operator";

/// Twelve short records of a question and its answer, and the specification by which a tiny model
/// learns them in seconds: those of the worker's own tests.
const RECORDS: &str = include_str!("../../offchain-workers/worker/tests/data/tiny-records.jsonl");
const SPECIFICATION: &str = include_str!("../../offchain-workers/worker/tests/data/tiny-spec.json");

/// Who has the data: three people with four records each.
const CONTRIBUTORS: [&str; 3] = ["bob", "charlie", "dave"];

/// A development network with a worker that takes jobs: `alice` validates, governs and owns the
/// datanet, `eve` is the worker's stash, and its operator key has no OPEN at all.
pub struct Market {
	/// The chain.
	pub network: Network,
	/// The worker.
	pub worker: Worker,
	/// The command line, set to both.
	pub cli: CommandLine,
	files: TempDir,
}

impl Market {
	/// Starts everything: a base model, a worker whose operator has given away its last OPEN, and a
	/// published version of a datanet to which every contributor has given four records. Whoever does
	/// not wait for another acts at the same time, for every step waits for a block; the last one until
	/// all of it is final.
	pub async fn open() -> Self {
		let worker = Worker::start().await;
		let url = worker.url();
		Self::open_with(worker, &url).await
	}

	/// The same, where the node looks for the worker at another place than it is.
	pub async fn open_with(worker: Worker, seen_by_node: &str) -> Self {
		let arguments = ["--worker-url", seen_by_node, "--offchain-worker", "always"];
		let network = Network::dev_with(&arguments).await;
		let cli = CommandLine::new(network.node("alice").client().url(), worker.url());
		let files = TempDir::with_prefix("openledger-market-")
			.unwrap_or_else(|error| panic!("no directory for files: {error}"));
		let market = Self { network, worker, cli, files };
		let cli = &market.cli.in_best_blocks();
		let operator_file = market.write("operator.key", OPERATOR);
		let operator = operator_key().public_key().to_account_id().to_string();
		market.insert_operator_key("alice").await;

		step("a base model, a datanet, and an OPEN for the operator");
		let transfer = ["account", "transfer", &operator, "1"];
		tokio::join!(
			cli.run("ferdie", &["base", "register", "--from-worker"]),
			cli.run("alice", &["datanet", "create", "Village"]),
			cli.run("bob", &transfer),
		);

		step("a worker, contributions, and results that stand after two blocks");
		let files: Vec<String> = CONTRIBUTORS
			.iter()
			.zip(RECORDS.lines().collect::<Vec<_>>().chunks(4))
			.map(|(who, records)| market.write(&format!("{who}.jsonl"), &records.join("\n")))
			.collect();
		let contribute = CONTRIBUTORS.iter().zip(&files).map(async |(who, file)| {
			cli.run(who, &["datanet", "contribute", "0", file]).await;
		});
		let register = ["worker", "register", "--operator", &operator, "--bond", "1000"];
		let register = [&register[..], &["--kinds", "inference,training", "--base", "0"]].concat();
		let period = ["sudo", "set-parameter", "Models", "ChallengePeriod", "2"];
		tokio::join!(cli.run("eve", &register), cli.run("alice", &period), join_all(contribute));

		step("the operator accepts, the datanet's owner too");
		let stash = dev::eve().public_key().to_account_id().to_string();
		let accept = ["worker", "accept", &stash];
		let review = ["datanet", "review", "0", "--accept", "0,1,2"];
		tokio::join!(cli.run(&operator_file, &accept), cli.run("alice", &review));

		step("the operator gives everything away, the datanet is published");
		let all = call("Balances", "transfer_all", vec![address(&dev::eve()), Value::bool(false)]);
		let client = market.network.node("alice").client();
		let operator = operator_key();
		let publish = ["datanet", "publish", "0"];
		tokio::join!(client.execute(&all, &operator), market.cli.run("alice", &publish));
		let left = client.storage("System", "Account", vec![account(&operator)]).await;
		let left = left.and_then(|left| left.at("providers").and_then(Value::as_u128));
		assert_eq!(left, Some(0), "the operator has no account any more");
		market
	}

	/// Gives the operator's key to a node's keystore, as an operator would.
	pub async fn insert_operator_key(&self, node: &str) {
		let public = format!("0x{}", hex::encode(operator_key().public_key().0));
		let client = self.network.node(node).client();
		client.get("author_insertKey", json!(["olop", OPERATOR, public])).await;
	}

	/// A file with this content that only we can read; its path.
	pub fn write(&self, name: &str, content: &str) -> String {
		let path = self.files.path().join(name);
		let write = fs::write(&path, content)
			.and_then(|()| fs::set_permissions(&path, fs::Permissions::from_mode(0o600)));
		write.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
		path.display().to_string()
	}

	/// Orders a training job on the datanet and does not wait for it, nor for finality; gives its number.
	pub async fn order_training(&self) -> String {
		let specification = self.write("spec.json", SPECIFICATION);
		let order = ["train", "--base", "0", "--datanet", "0", "--spec", &specification];
		let order = [&order[..], &["--budget", "10", "--commercial", "--detach"]].concat();
		number(&self.cli.in_best_blocks().run("ferdie", &order).await, "job")
	}

	/// Waits until a training job has made its model, and publishes it at 1 OPEN for 1,000 tokens of prompt
	/// and 2 OPEN for 1,000 of answer; gives the model's number. Does not wait for finality.
	pub async fn publish_trained(&self, job: &str) -> String {
		let cli = self.cli.in_best_blocks();
		let finished = cli.run("ferdie", &["job", job, "--wait"]).await;
		assert_eq!(finished["line"], "finished", "{finished}");
		let model = number(&finished, "model");
		let prices = ["--input-price", "1", "--output-price", "2"];
		cli.run("ferdie", &[&["model", "publish", &model][..], &prices].concat()).await;
		model
	}

	/// A published model of the datanet, which is final; gives its number.
	pub async fn published_model(&self) -> String {
		let job = self.order_training().await;
		let model = self.publish_trained(&job).await;
		self.network.finalises(self.network.node("alice").client().best_height().await).await;
		model
	}

	/// All OPEN there is, as text; the command line has added up every account to compare.
	pub async fn supply(&self) -> String {
		let supply = self.cli.run("alice", &["account", "supply"]).await;
		assert_eq!(supply["total"], supply["owned"]);
		supply["total"].as_str().expect("an amount").to_owned()
	}

	/// The first question of the records and its answer.
	pub fn first_record() -> (String, String) {
		let line = RECORDS.lines().next().expect("there are records");
		let record: Json = serde_json::from_str(line).expect("a record is JSON");
		let text = |name: &str| record[name].as_str().expect("a field").to_owned();
		(text("question"), text("answer"))
	}
}

/// The key that signs for the worker.
pub fn operator_key() -> Keypair {
	let uri: SecretUri = OPERATOR.parse().expect("a secret of a development key");
	Keypair::from_uri(&uri).expect("a secret of a development key")
}

/// A number that the command line printed, as it is typed.
fn number(printed: &Json, field: &str) -> String {
	match &printed[field] {
		Json::Number(number) => number.to_string(),
		other => panic!("no number `{field}` but {other} in {printed}"),
	}
}
