//! The main job, from somebody's data to a paid, attributed answer: a real node, a real worker with a
//! tiny model, and the command line that people use.

use openledger_tests::{step, Market, OPEN};
use serde_json::Value as Json;
use subxt_signer::sr25519::dev;

/// The shares of a fee in percent: contributors, host, model owner, validators, treasury.
const SPLIT: [(&str, u128); 5] =
	[("contributors", 50), ("host", 20), ("model_owner", 10), ("validators", 10), ("treasury", 10)];

#[tokio::test(flavor = "multi_thread")]
async fn data_should_become_a_paid_and_attributed_answer() {
	let market = Market::open().await;
	let before = market.supply().await;

	step("three contributors, a creator, a worker: a model");
	let model = market.published_model().await;
	let shown = market.cli.run("ferdie", &["model", "show", &model]).await;
	let metrics = &shown["result"]["metrics"];
	assert!(metrics["trained_tokens"].as_u64() > Some(0), "{shown}");

	step("an answer");
	let (question, answer) = Market::first_record();
	let report = market.cli.run("alice", &["ask", &model, &question]).await;
	println!("{report:#}");
	let told = report["answer"].as_str().expect("the model answers");
	assert!(answer.contains(told.trim()) || told.contains(&answer), "{told}");
	assert_eq!(report["evidence"]["state"], "checked", "{report}");

	step("it owes its words to the one who contributed them");
	let spans = report["spans"].as_array().expect("a list of spans");
	assert!(!spans.is_empty(), "{report}");
	let bob = dev::bob().public_key().to_account_id().to_string();
	let first = &spans[0];
	assert_eq!(first["owner"], bob);
	let bytes = |range: &Json| {
		let at = |index: usize| range[index].as_u64().expect("a position") as usize;
		at(0)..at(1)
	};
	let passage = first["passage"]["text"].as_str().expect("the record's text");
	let quoted = &told[bytes(&first["answer_bytes"])];
	assert_eq!(quoted, &passage[bytes(&first["passage"]["bytes"])]);

	step("and the fee went where the policy says, to the plank");
	let payment = &report["payment"];
	let fee = planks(&payment["fee"]);
	assert!(fee > 0 && fee < OPEN, "{payment}");
	let parts = SPLIT.map(|(name, percent)| (planks(&payment["split"][name]), percent));
	assert_eq!(parts.iter().map(|(part, _)| part).sum::<u128>(), fee);
	for (part, percent) in parts {
		assert!(part.abs_diff(fee * percent / 100) <= 1, "{percent} % of {fee}: {part}");
	}
	let lines = payment["datanets"].as_array().expect("datanets").iter();
	let paid: u128 = lines
		.flat_map(|datanet| datanet["contributions"].as_array().expect("lines"))
		.map(|line| planks(&line["amount"]))
		.sum();
	assert_eq!(paid, planks(&payment["split"]["contributors"]));

	step("the contributor claims it, the requester paid it, nothing was created or lost");
	let client = market.network.node("alice").client();
	let poor = client.free_balance(&dev::bob()).await;
	let unpaid = planks(&market.cli.run("bob", &["rewards"]).await["unpaid"]);
	assert!(unpaid > 0);
	market.cli.run("bob", &["rewards", "--claim"]).await;
	let rich = client.free_balance(&dev::bob()).await;
	assert!(rich > poor && rich - poor <= unpaid, "{poor} + {unpaid} - fee = {rich}");
	assert_eq!(planks(&market.cli.run("bob", &["rewards"]).await["unpaid"]), 0);
	assert_eq!(market.supply().await, before);

	step("the same answer explained later is the same");
	let request = report["request"].to_string();
	let explained = market.cli.run("charlie", &["explain", &request]).await;
	assert_eq!(explained, report);
}

/// An amount as the command line prints it for machines: OPEN with decimals.
fn planks(amount: &Json) -> u128 {
	let text = amount.as_str().unwrap_or_else(|| panic!("no amount: {amount}"));
	let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
	let number = format!("{whole}{decimals:0<12}");
	number.parse().unwrap_or_else(|_| panic!("no amount: {text}"))
}
