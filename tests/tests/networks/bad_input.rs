//! What anybody can hand in over RPC that a node must refuse, and go on.

use codec::{Compact, Decode, Encode};
use openledger_tests::{
	client::{address, call, nested, sign},
	step, Call, Client, Event, Network, Refusal, OPEN,
};
use subxt::{config::substrate::H256, dynamic::Value};
use subxt_signer::{
	sr25519::{dev, Keypair},
	SecretUri,
};

/// The bytes do not even have the length that they say.
const CUT: i32 = 1040;
/// The runtime cannot read them.
const NOT_VERIFIABLE: i32 = 1002;
/// The runtime says that a transaction is invalid.
const INVALID: i32 = 1010;
/// The runtime does not know what to say about it.
const UNKNOWN_VALIDITY: i32 = 1011;
/// It was refused or included a moment ago.
const BANNED: i32 = 1012;
/// It is in the pool.
const ALREADY_IMPORTED: i32 = 1013;

#[tokio::test]
async fn node_should_stay_up_when_its_input_is_bad() {
	let network = Network::dev().await;
	network.finalises(1).await;
	let node = network.node("alice").client();

	refuse_bytes_that_are_no_transaction(node).await;
	refuse_transactions_that_cannot_be_included(node).await;
	refuse_replays(node).await;
	fail_by_name(node).await;

	step("the node goes on");
	let height = node.best_height().await;
	network.finalises(height + 2).await;
	let log = network.node("alice").log();
	assert!(!log.contains("Essential task"), "a part of the node ended");
	assert!(!log.contains("Thread '"), "a thread of the node panicked");
}

async fn refuse_bytes_that_are_no_transaction(node: &Client) {
	step("bytes that are no transaction");
	let good = node.sign(&remark(b"good"), &dev::alice(), node.nonce(&dev::alice()).await).await;

	for cut in [vec![], Compact(1u32 << 29).encode(), good[..good.len() / 2].to_vec()] {
		let refusal = refusal(node, &cut).await;
		assert_eq!(refusal.code, CUT, "{refusal} for {cut:?}");
	}
	// A length that is right, and then something that the runtime does not know.
	let body: Vec<u8> = Decode::decode(&mut &good[..]).unwrap();
	let mut other_version = body.clone();
	other_version[0] = 0x9f;
	let longer = [&body[..], &[0; 8]].concat();
	for unreadable in [
		vec![],
		vec![0xff; 4],
		body[..body.len() - 1].to_vec(),
		other_version,
		// No call: the largest pallet index has no pallet.
		[&body[..body.len() - 7], &[0xff; 7]].concat(),
		// A list of four hundred million bytes that are not there.
		[&body[..body.len() - 5], &Compact(400_000_000u32).encode()].concat(),
		longer,
	] {
		let refusal = refusal(node, &unreadable.encode()).await;
		assert_eq!(refusal.code, NOT_VERIFIABLE, "{refusal} for {unreadable:?}");
	}

	// Batches in batches, deeper than anybody decodes. What comes before the call need not fit to it: a
	// signature is looked at only when everything is decoded.
	let innermost = nested("System", "remark", vec![Value::from_bytes([])]);
	let batch = call("Utility", "batch", vec![Value::unnamed_composite([innermost])]);
	let transactions = node.chain().await.tx().await.unwrap();
	let call_data = transactions.call_data(&batch).unwrap();
	let signed = node.sign(&batch, &dev::alice(), 0).await;
	let signed: Vec<u8> = Decode::decode(&mut &signed[..]).unwrap();
	// The indices of pallet and call, and the length of the list.
	let batch_of_one = &call_data[..3];
	let before_call = &signed[..signed.len() - call_data.len()];
	let deep = [before_call, &batch_of_one.repeat(1_000), &call_data].concat().encode();
	let refusal = refusal(node, &deep).await;
	assert_eq!(refusal.code, NOT_VERIFIABLE, "{refusal}");
}

async fn refuse_transactions_that_cannot_be_included(node: &Client) {
	step("transactions that can never be included");
	let (alice, chain) = (dev::alice(), node.chain().await);
	let nonce = node.nonce(&alice).await;

	// Longer than the share of a block for such transactions, shorter than what RPC takes.
	let long = node.sign(&remark(&vec![0; 4 * 1024 * 1024]), &alice, nonce).await;
	invalid(node, &long, "exhaust").await;

	let mut forged = node.sign(&remark(b"forged"), &alice, nonce).await;
	let last = forged.len() - 1;
	forged[last] ^= 1;
	invalid(node, &forged, "bad signature").await;

	let elsewhere = node.chain_with_genesis(H256([7; 32])).await;
	let other_chain = sign(&elsewhere, &remark(b"elsewhere"), &alice, nonce).await;
	invalid(node, &other_chain, "bad signature").await;

	let receipt = node.execute(&remark(b"used"), &alice).await;
	receipt.event("System", "ExtrinsicSuccess");
	let old_nonce = node.sign(&remark(b"old nonce"), &alice, nonce).await;
	invalid(node, &old_nonce, "outdated").await;

	let poor = Keypair::from_uri(&"//Nobody".parse::<SecretUri>().unwrap()).unwrap();
	let unpaid = node.sign(&remark(b"unpaid"), &poor, 0).await;
	invalid(node, &unpaid, "pay some fees").await;

	let transactions = chain.tx().await.unwrap();
	let unsigned = transactions.create_unsigned(&remark(b"unsigned")).unwrap().into_encoded();
	let refusal = refusal(node, &unsigned).await;
	assert!([INVALID, UNKNOWN_VALIDITY].contains(&refusal.code), "{refusal}");

	// A nonce from the future waits in the pool and does not happen.
	let early = node.sign(&remark(b"early"), &alice, node.nonce(&alice).await + 5).await;
	node.submit(&early).await.unwrap();
	let before = node.nonce(&alice).await;
	node.execute(&remark(b"meanwhile"), &alice).await.event("System", "ExtrinsicSuccess");
	assert_eq!(node.nonce(&alice).await, before + 1);
}

async fn refuse_replays(node: &Client) {
	step("the same transaction twice");
	let (bob, eve) = (dev::bob(), dev::eve());
	let transfer =
		call("Balances", "transfer_keep_alive", vec![address(&eve), Value::u128(3 * OPEN)]);
	let before = node.free_balance(&eve).await;
	let bytes = node.sign(&transfer, &bob, node.nonce(&bob).await).await;
	node.submit(&bytes).await.unwrap();
	let again = refusal(node, &bytes).await;
	assert_eq!(again.code, ALREADY_IMPORTED, "{again}");

	// Something of the same account after it, so that it is in a final block.
	node.execute(&remark(b"after it"), &bob).await.event("System", "ExtrinsicSuccess");
	let replayed = refusal(node, &bytes).await;
	assert!([INVALID, BANNED].contains(&replayed.code), "{replayed}");
	node.execute(&remark(b"after the replay"), &bob).await.event("System", "ExtrinsicSuccess");
	assert_eq!(node.free_balance(&eve).await, before + 3 * OPEN);
}

/// Transactions that are in order and ask for what is not there, or is not theirs: they pay, and the
/// error has a name.
async fn fail_by_name(node: &Client) {
	step("signed transactions that fail");
	let nowhere = || Value::u128(4_000_000);
	let hash = || Value::from_bytes([1; 32]);
	let contribution = vec![nowhere(), hash(), Value::u128(1), Value::u128(1), hash(), hash()];
	let prompt = Value::unnamed_variant("Hash", [hash()]);
	let limits = [100, 100, OPEN].map(Value::u128);
	let request = [nowhere(), prompt].into_iter().chain(limits).collect();
	let nested_remark = nested("System", "remark", vec![Value::from_bytes([])]);
	let (calls, errors): (Vec<_>, Vec<_>) = [
		(call("Datanets", "contribute", contribution), "Datanets::UnknownDatanet"),
		(call("Datanets", "publish_version", vec![nowhere()]), "Datanets::UnknownDatanet"),
		(call("Models", "retire_model", vec![nowhere()]), "Models::UnknownModel"),
		(call("Models", "cancel_training", vec![nowhere()]), "Models::UnknownJob"),
		(call("Models", "retire_base_model", vec![nowhere()]), "Models::UnknownBaseModel"),
		(call("Workers", "pause", vec![]), "Workers::NotRegistered"),
		(call("Inference", "request_inference", request), "Inference::ModelNotServed"),
		(call("Inference", "expire_request", vec![nowhere()]), "Inference::UnknownRequest"),
		(call("Attribution", "claim_rewards", vec![]), "Attribution::NothingToClaim"),
		(call("Validators", "leave", vec![]), "Validators::NotRegistered"),
		(call("Sudo", "sudo", vec![nested_remark]), "Sudo::RequireSudo"),
		(call("System", "set_code", vec![Value::from_bytes([])]), "BadOrigin"),
	]
	.into_iter()
	.unzip();
	let receipts = node.execute_all(&calls, &dev::ferdie()).await;
	for ((call, error), receipt) in calls.iter().zip(errors).zip(receipts) {
		let name = format!("{}.{}", call.pallet_name(), call.call_name());
		assert_eq!(receipt.error.as_deref(), Some(error), "{name}");
		let paid = |event: &Event| event.is("TransactionPayment", "TransactionFeePaid");
		assert!(receipt.events.iter().any(paid), "{name} costs nothing: {:?}", receipt.events);
	}
}

fn remark(text: &[u8]) -> Call {
	call("System", "remark", vec![Value::from_bytes(text)])
}

async fn refusal(node: &Client, transaction: &[u8]) -> Refusal {
	node.submit(transaction).await.expect_err("the pool must not take it")
}

async fn invalid(node: &Client, transaction: &[u8], reason: &str) {
	let refusal = refusal(node, transaction).await;
	assert_eq!(refusal.code, INVALID, "{refusal}");
	assert!(refusal.data.contains(reason), "{refusal}");
}
