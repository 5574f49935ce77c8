//! Four validators of the local chain and what happens to them: a crash, a newcomer, an upgrade, a fraud.

use std::time::Duration;

use openledger_tests::{
	client::{account, address, bytes, call, nested, storage_key},
	release::next_release,
	step, until, Client, Event, Network, OPEN,
};
use serde_json::json;
use subxt::dynamic::{At, Value};
use subxt_signer::sr25519::dev;

/// What each validator has bonded at genesis, in planks.
const GENESIS_BOND: u128 = 100_000 * OPEN;

/// For a new node to have the state of a chain of some dozens of blocks.
const WARP_LIMIT: Duration = Duration::from_secs(60);

/// For a node to see the runtime of a block that it will import in a moment.
const UPGRADE_LIMIT: Duration = Duration::from_secs(30);

/// From two nodes with the same keys to a final block with the punishment. A validator of four has a
/// slot every twelve seconds on average; its report goes into the next block of somebody else.
const SLASH_LIMIT: Duration = Duration::from_secs(180);

#[tokio::test]
async fn network_should_go_on_through_a_crash_a_newcomer_and_an_upgrade() {
	let mut network = Network::four_validators().await;

	step("four validators finalise blocks");
	network.finalises(3).await;

	step("one is killed, three go on");
	let survived = network.node("charlie").client().finalised_height().await;
	network.node_mut("charlie").kill();
	let height = network.node("alice").client().best_height().await;
	network.finalises(height + 2).await;

	step("it comes back with its database and catches up");
	network.node_mut("charlie").restart().await;
	let kept = opening_height(&network.node("charlie").log());
	assert!(kept + 1 >= survived, "{kept} blocks are left of {survived}");
	let height = network.node("alice").client().best_height().await;
	network.finalises(height).await;

	join_by_warp_sync(&mut network).await;
	upgrade_by_sudo(&network).await;
}

/// A newcomer takes over the state at a proven final block and executes none of those before.
async fn join_by_warp_sync(network: &mut Network) {
	step("a newcomer warp-syncs");
	network.join("newcomer", &["--sync", "warp"]).await;
	let newcomer = network.node("newcomer");
	until("warp sync is over", WARP_LIMIT, async || {
		newcomer.log().contains("State sync is complete").then_some(())
	})
	.await;
	assert!(newcomer.log().contains("Warp sync is complete"));

	let (alice, newcomer) = (network.node("alice").client(), newcomer.client());
	let height = alice.finalised_height().await;
	network.finalises(height).await;
	let block = alice.block_hash(height).await;
	let supply = storage_key("Balances", "TotalIssuance");
	assert_eq!(newcomer.block_hash(height).await, block);
	let issued = newcomer.get("state_getStorage", json!([supply, block])).await;
	assert_eq!(issued, alice.get("state_getStorage", json!([supply, block])).await);
	assert!(issued.is_string(), "the state is there: {issued}");
	assert_eq!(newcomer.free_balance(&dev::bob()).await, alice.free_balance(&dev::bob()).await,);

	// Who executed the first block has its state: nothing is pruned so early.
	let first = alice.block_hash(1).await;
	assert!(alice.ask("state_getStorage", json!([supply, first])).await.is_ok());
	newcomer
		.ask("state_getStorage", json!([supply, first]))
		.await
		.expect_err("it did not execute the first block");
}

/// The same code under a higher version is enacted, also for transactions.
async fn upgrade_by_sudo(network: &Network) {
	step("a runtime upgrade is enacted through sudo");
	let alice = network.node("alice").client();
	let old = spec_version(alice).await;
	let code = alice.get("state_getStorage", json!(["0x3a636f6465"])).await;
	let code = code.as_str().expect("a chain has code").trim_start_matches("0x").to_owned();
	let release = next_release(&hex::decode(code).expect("hexadecimal"));

	// Signed for the version of now, with the nonce after the upgrade's.
	let transfer =
		call("Balances", "transfer_keep_alive", vec![address(&dev::bob()), Value::u128(OPEN)]);
	let nonce = alice.nonce(&dev::alice()).await;
	let outdated = alice.sign(&transfer, &dev::alice(), nonce + 1).await;

	let upgrade = nested("System", "set_code", vec![Value::from_bytes(release)]);
	let weight = Value::named_composite([
		("ref_time", Value::u128(1_000_000_000)),
		("proof_size", Value::u128(0)),
	]);
	let sudo = call("Sudo", "sudo_unchecked_weight", vec![upgrade, weight]);
	let receipt = alice.execute(&sudo, &dev::alice()).await;
	let outcome = receipt.event("Sudo", "Sudid").field("sudo_result");
	assert!(outcome.to_string().starts_with("Ok"), "{outcome}");
	receipt.event("System", "CodeUpdated");

	for node in network.running() {
		until(format_args!("{} has the new runtime", node.name()), UPGRADE_LIMIT, async || {
			(spec_version(node.client()).await == old + 1).then_some(())
		})
		.await;
	}

	step("the new runtime takes transactions that are signed for it");
	// A pool judges by the blocks that it has looked at, which may end before the upgrade.
	let height = alice.best_height().await;
	network.finalises(height + 1).await;
	let refusal = alice.submit(&outdated).await.expect_err("it is signed for the old version");
	assert_eq!((refusal.code, &*refusal.data), (1010, "\"Transaction has a bad signature\""));
	let bob = network.node("bob").client();
	let receipt = bob.execute(&transfer, &dev::alice()).await;
	let transferred = receipt.event("Balances", "Transfer");
	assert_eq!(transferred.field("amount").as_u128(), Some(OPEN));
	let last = bob.storage("System", "LastRuntimeUpgrade", vec![]).await.expect("an upgrade");
	assert_eq!(last.at("spec_version").and_then(Value::as_u128), Some(u128::from(old) + 1));

	let height = alice.best_height().await;
	network.finalises(height + 2).await;
}

#[tokio::test]
async fn validator_should_be_slashed_when_its_keys_are_used_twice() {
	let mut network = Network::four_validators().await;
	network.finalises(1).await;

	step("a second node has the keys of Dave");
	network.join("double", &["--validator", "--dave"]).await;
	let alice = network.node("alice").client();
	let dave = dev::dave();
	let mut height = 0;
	let mut happened: Vec<Event> = Vec::new();
	let mut failed: Vec<String> = Vec::new();
	let slashed = until("an equivocation is punished", SLASH_LIMIT, async || {
		while height < alice.finalised_height().await {
			height += 1;
			happened.extend(alice.events(height).await);
			failed.extend(alice.failures(height).await);
		}
		happened.iter().find(|event| event.is("Validators", "ValidatorSlashed")).cloned()
	})
	.await;

	step(format_args!("it was punished up to block {height}"));
	// GRANDPA's reports can hide that BABE's come to nothing.
	assert!(!failed.contains(&"Babe::InvalidEquivocationProof".into()), "{failed:?}");
	assert!(happened.iter().any(|event| event.is("Offences", "Offence")), "{happened:?}");
	assert_eq!(bytes(slashed.field("who")), dave.public_key().0);
	let number = |name| {
		let value = slashed.field(name);
		let value = value.as_u128().or_else(|| value.at(0).and_then(Value::as_u128));
		value.unwrap_or_else(|| panic!("{name} is not a number in {slashed:?}"))
	};
	// One offender of four: the square of 3/4, as parts of a thousand million.
	assert_eq!(number("fraction"), 562_500_000);
	assert_eq!(number("amount"), GENESIS_BOND / 1_000_000_000 * 562_500_000);

	// Later offences of the session cost nothing more, so this is what stays.
	let validator = alice.storage("Validators", "Validators", vec![account(&dave)]).await;
	let validator = validator.expect("Dave stays registered");
	let bond = validator.at("bond").and_then(Value::as_u128);
	assert_eq!(bond, Some(GENESIS_BOND - number("amount")), "{validator}");
	let status = validator.at("status").expect("a validator has a status").to_string();
	assert!(status.starts_with("Jailed"), "{status}");
	assert!(happened.iter().any(|event| event.is("Validators", "ValidatorJailed")));

	step("the others go on");
	for name in ["dave", "double"] {
		network.node_mut(name).kill();
	}
	let height = network.node("alice").client().best_height().await;
	network.finalises(height + 2).await;
}

async fn spec_version(client: &Client) -> u32 {
	let version = client.get("state_getRuntimeVersion", json!([])).await;
	let version = version["specVersion"].as_u64().expect("a number");
	version.try_into().expect("32 bits")
}

/// Height of the database when the node was last started: `… Highest known block at #12`.
fn opening_height(log: &str) -> u64 {
	let (_, rest) = log.rsplit_once("Highest known block at #").expect("a node says what it has");
	let number: String = rest.chars().take_while(char::is_ascii_digit).collect();
	number.parse().expect("digits")
}
