//! The whole way of a request and of a training job through a node, with the real pallets: from the
//! block to the worker, and from the worker's report, signed by the keystore, back into a block.

use super::{journeys::*, *};
use crate::{Attribution, Inference, Models, Workers};
use codec::Decode;
use frame_support::traits::OffchainWorker;
use openledger_pallet_support::offchain::testing::Node;
use openledger_primitives::{
	content::content_hash,
	jobs::FailureReason,
	training::TrainingResult,
	worker_api::{JobKey, Report, Work, MAX_ORDER_BYTES},
	ContributionId, DatanetId,
};
use openledger_runtime_common::units::OPEN;
use Sr25519Keyring::{AliceStash, Bob, Dave, Eve, Ferdie};

/// Everything that the offchain workers of all pallets do after the open block.
fn work() {
	crate::AllPalletsWithSystem::offchain_worker(System::block_number());
}

/// Takes what was submitted out of the pool, asks whether nodes would pass it on, and puts it into the
/// open block.
fn include_what_was_submitted(node: &Node) -> usize {
	let transactions = node.take_transactions();
	for bytes in &transactions {
		let extrinsic = UncheckedExtrinsic::decode(&mut bytes.as_slice()).expect("it is whole");
		let valid =
			validate(TransactionSource::External, extrinsic.clone()).expect("every node takes it");
		assert!(valid.propagate);
		assert_eq!(valid.provides.len(), 1);
		assert!(valid.requires.is_empty());
		Executive::apply_extrinsic(extrinsic).expect("it is valid").expect("it succeeds");
	}
	transactions.len()
}

/// A story on a development chain whose node has Eve's operator key and a worker.
fn tell(story: impl FnOnce(Node)) {
	let mut chain = Chain::development();
	let node = Node::around(&mut chain.externalities);
	node.insert_key("//Eve");
	chain.tell(|| story(node));
}

fn genesis() -> Hash {
	System::block_hash(0)
}

#[test]
fn request_should_be_answered_through_the_node() {
	tell(|node| {
		contribute();
		offer_work();
		train();
		let request = ask(AliceStash);
		let id = JobKey::Inference(request).id(genesis());
		work();
		let order = node.worker().orders.pop().expect("the request is ordered");
		assert_eq!(order.id, id);
		let Work::Inference(order) = order.work else { panic!("an answer is ordered") };
		assert_eq!(order.adapter, training_result().adapter_hash);
		assert_eq!(order.span_index, training_result().span_index_root);
		assert_eq!(order.base.weights, Models::base_model(BASE).unwrap().weights_hash);

		let eve = Balances::total_balance(&Eve.to_account_id());
		node.let_report(id, &Report::Answered(answered(request, &[(0, 600_000), (1, 400_000)])));
		run_blocks(1);
		work();
		run_blocks(1);
		assert_eq!(include_what_was_submitted(&node), 1);
		let why = Attribution::explain(request).expect("it is settled");
		assert_eq!(why.datanets[0].contributions[0].owner, Bob.to_account_id());
		assert_eq!(Inference::open_requests(AliceStash.to_account_id()), vec![]);
		assert_eq!(Balances::total_balance(&Eve.to_account_id()), eve, "for nothing");
	});
}

#[test]
fn answer_should_not_leave_the_node_when_its_evidence_is_false() {
	tell(|node| {
		contribute();
		offer_work();
		train();
		let request = ask(AliceStash);
		let id = JobKey::Inference(request).id(genesis());
		let mut answer = answered(request, &[(0, 600_000), (1, 400_000)]);
		answer.claim.spans[1].leaf = Hash::repeat_byte(1);
		node.let_report(id, &Report::Answered(answer));
		work();
		assert!(node.take_transactions().is_empty());
		// A contribution that is there, and not in the model.
		node.let_report(id, &Report::Answered(answered(request, &[(2, 1_000_000)])));
		run_blocks(2);
		work();
		assert!(node.take_transactions().is_empty());
	});
}

#[test]
fn model_should_be_trained_through_the_node() {
	tell(|node| {
		contribute();
		offer_work();
		let job = order_training();
		let id = JobKey::Training { job, attempt: 1 }.id(genesis());
		work();
		let order = node.worker().orders.pop().expect("the job is ordered");
		assert_eq!(order.id, id);
		assert!(order.encoded_size() < MAX_ORDER_BYTES);
		let Work::Training(order) = order.work else { panic!("training is ordered") };
		assert_eq!(order.sources.len(), 2);
		for (index, source) in (0..).zip(&order.sources) {
			// What the chain says of a contribution is what its blob says of itself.
			let content = contribution(index);
			let commitment = content.commitment().unwrap();
			assert_eq!(source.id, ContributionId { datanet: DatanetId(0), index });
			assert_eq!(source.content, content_hash(&content.encode()));
			assert_eq!((source.root, source.records), (commitment.root, commitment.records));
		}

		node.let_report(id, &Report::Running { permille: 10 });
		run_blocks(1);
		work();
		run_blocks(1);
		assert_eq!(include_what_was_submitted(&node), 1);
		let phase = || Models::job(job).unwrap().phase;
		assert!(matches!(phase(), pallet_models::Phase::Running { .. }));

		node.let_report(id, &Report::Trained(training_result()));
		run_blocks(1);
		work();
		run_blocks(1);
		assert_eq!(include_what_was_submitted(&node), 1);
		assert!(matches!(
			phase(),
			pallet_models::Phase::Delivered { result: TrainingResult { .. }, .. }
		));
	});
}

#[test]
fn training_that_fails_should_end_through_the_node() {
	tell(|node| {
		contribute();
		offer_work();
		let before = free(Ferdie);
		let job = order_training();
		let id = JobKey::Training { job, attempt: 1 }.id(genesis());
		node.let_report(id, &Report::Running { permille: 10 });
		work();
		run_blocks(1);
		assert_eq!(include_what_was_submitted(&node), 1);

		let reason = FailureReason::EngineFault;
		node.let_report(id, &Report::Failed(reason));
		run_blocks(1);
		work();
		run_blocks(1);
		let stash = Dave.to_account_id();
		let bond = Workers::worker(stash.clone()).unwrap().bond;
		assert_eq!(include_what_was_submitted(&node), 1);
		let phase = Models::job(job).unwrap().phase;
		let pallet_models::Phase::Failed { worker, reason: told, .. } = phase else {
			panic!("it has failed: {phase:?}")
		};
		assert_eq!((worker, told), (stash.clone(), reason));
		// All of the budget is back, and the worker has the strike of one that was silent.
		assert!(before - free(Ferdie) < OPEN, "but for the fee");
		let worker = Workers::worker(stash).unwrap();
		let slash = <Runtime as pallet_workers::Config>::TimeoutSlash::get();
		assert_eq!((worker.strikes, worker.active_jobs), (1, 0));
		assert_eq!(worker.bond, bond - slash.mul_ceil(bond));
	});
}
