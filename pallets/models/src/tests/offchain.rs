//! The way from a training job to the worker beside the node, and of its result back into a block.

use crate::{mock::*, *};
use codec::Encode;
use frame_support::{assert_ok, traits::Hooks};
use openledger_pallet_support::{
	offchain::{testing::Node, MAX_BACK_OFF, RESUBMIT_AFTER},
	operator::testing::{self, secret},
};
use openledger_primitives::{
	claim::AttributionClaim,
	content::Content,
	jobs::{FailureReason, JobOutcome},
	receipt::{ExecutionMode, InferenceReceipt},
	training::TrainingResult,
	worker_api::{
		BaseModelHashes, InferenceAnswer, JobKey, Report, SourceContribution, TrainingOrder, Work,
		MAX_REPORT_BYTES,
	},
	ContributionId, DatanetId, ModelId, RequestId, TrainingJobId, H256,
};

/// A story on a chain whose node has `WORKER`'s key.
fn tell(story: impl FnOnce(Node)) {
	let (mut chain, node) = ExtBuilder::default().build_with_node();
	chain.execute_with(|| {
		node.insert_key(&secret(OPERATOR));
		story(node);
		ModelsPallet::do_try_state().unwrap();
	});
}

/// The job's name at the worker, in this attempt.
fn name(job: TrainingJobId, attempt: u32) -> H256 {
	JobKey::Training { job, attempt }.id(System::block_hash(0))
}

/// The offchain worker after the present block.
fn work() {
	ModelsPallet::offchain_worker(System::block_number());
}

/// The offchain worker after a later block.
fn work_at(block: u64) {
	System::set_block_number(block);
	work();
}

/// The only call in the pool.
fn submitted(node: &Node) -> Call<Test> {
	of_this_pallet(node.take_call::<Test>())
}

fn of_this_pallet(call: RuntimeCall) -> Call<Test> {
	match call {
		RuntimeCall::ModelsPallet(call) => call,
		other => panic!("a call of another pallet: {other:?}"),
	}
}

/// The first call that is submitted from a block on, as soon as the job is tried again.
fn submitted_from(node: &Node, block: u64) -> Call<Test> {
	let mut blocks = block..=block + MAX_BACK_OFF;
	let call = blocks.find_map(|block| {
		work_at(block);
		node.take_calls::<Test>().pop()
	});
	of_this_pallet(call.expect("something is submitted"))
}

fn include(call: Call<Test>) {
	testing::include::<Test>(call)
}

fn running() -> Report {
	Report::Running { permille: 1 }
}

#[test]
fn result_should_find_its_way_from_the_worker_into_a_model() {
	tell(|node| {
		let job = new_job();
		let id = name(job, 1);
		work();
		let order = node.worker().orders.pop().expect("it was ordered");
		assert_eq!(order.id, id);
		// The blocks to start in and those to train in, as far as the node can tell.
		let blocks = START - 1 + 40;
		assert_eq!(order.expires, 1_000 + blocks * BLOCK_MILLIS / 1_000);
		let source = |datanet: u32, index: u32, contributed_at| SourceContribution {
			id: ContributionId { datanet: DatanetId(datanet), index },
			contributed_at,
			content: H256::repeat_byte((datanet * 10 + index) as u8 + 100),
			root: H256::repeat_byte((datanet * 10 + index) as u8),
			records: 1 + index,
		};
		assert_eq!(
			order.work,
			Work::Training(TrainingOrder {
				job,
				base: BaseModelHashes {
					weights: H256::repeat_byte(1),
					tokenizer: H256::repeat_byte(200),
				},
				spec: H256::repeat_byte(7),
				// Of all versions together, the earlier ones first.
				sources: vec![source(1, 1, 1), source(2, 1, 1), source(1, 0, 5), source(2, 0, 5)],
			})
		);
		// It waits for its turn: nothing is said, so that its time does not run.
		work_at(2);
		assert!(node.take_transactions().is_empty());

		// It has all it needs: the chain hears that it starts, once.
		node.let_report(id, &running());
		work_at(3);
		let start = submitted(&node);
		assert!(matches!(start, Call::start_training { attempt: 1, operator: OPERATOR, .. }));
		work_at(4);
		assert!(node.take_transactions().is_empty());
		include(start);
		assert_eq!(phase(job), Phase::Running { worker: WORKER, deliver_by: 4 + 40 });
		work_at(5);
		assert!(node.take_transactions().is_empty(), "it runs, and the chain knows");

		node.let_report(id, &Report::Trained(result()));
		work_at(6);
		let delivery = submitted(&node);
		let Call::deliver_training { result: delivered, .. } = &delivery else {
			panic!("a result is delivered")
		};
		assert_eq!(*delivered, result());
		System::set_block_number(7);
		include(delivery);
		assert!(matches!(phase(job), Phase::Delivered { .. }));

		// Nobody asks about it any more.
		node.worker().requests.clear();
		work();
		assert!(node.worker().requests.is_empty());
		assert_eq!(ModelsPallet::pending_for(WORKER), vec![]);
	});
}

#[test]
fn job_that_is_done_at_once_should_be_started_before_it_is_delivered() {
	tell(|node| {
		let job = new_job();
		node.let_report(name(job, 1), &Report::Trained(result()));
		work();
		let start = submitted(&node);
		assert!(matches!(start, Call::start_training { .. }));
		include(start);
		work_at(2);
		include(submitted(&node));
		assert!(matches!(phase(job), Phase::Delivered { .. }));
	});
}

#[test]
fn job_should_be_declined_with_the_reason_when_it_cannot_be_started() {
	tell(|node| {
		let job = new_job();
		node.let_report(name(job, 1), &Report::Failed(FailureReason::DataUnavailable));
		work();
		let call = submitted(&node);
		assert!(matches!(
			call,
			Call::decline_training { reason: FailureReason::DataUnavailable, .. }
		));
		include(call);
		assert!(matches!(phase(job), Phase::Open { .. }));
		assert_eq!(Workers::outcomes(), vec![(WORKER, JobOutcome::Released)]);

		// Assigned again, it is another job to the worker.
		assert_ok!(ModelsPallet::assign_training(RuntimeOrigin::signed(OTHER), job));
		work_at(2);
		let ids: Vec<H256> = node.worker().orders.iter().map(|order| order.id).collect();
		assert_eq!(ids, vec![name(job, 2)]);
	});
}

#[test]
fn job_that_fails_after_its_start_should_end_with_the_reason() {
	tell(|node| {
		let job = running_job();
		let reason = FailureReason::EngineFault;
		node.let_report(name(job, 1), &Report::Failed(reason));
		work();
		let failure = submitted(&node);
		assert!(matches!(failure, Call::report_failure { attempt: 1, operator: OPERATOR, .. }));
		work_at(2);
		assert!(node.take_transactions().is_empty(), "it is on its way");
		include(failure);
		let forget_at = 2 + RETENTION;
		assert_eq!(phase(job), Phase::Failed { worker: WORKER, reason, at: 2, forget_at });
		assert_eq!(Workers::outcomes(), vec![(WORKER, JobOutcome::TimedOut)]);

		// Nobody asks about it any more.
		node.worker().requests.clear();
		work_at(3);
		assert!(node.worker().requests.is_empty());
	});
}

#[test]
fn job_that_fails_before_the_chain_knows_of_its_start_should_be_declined() {
	tell(|node| {
		let job = new_job();
		node.let_report(name(job, 1), &running());
		work();
		// Before the start gets into a block.
		let start = submitted(&node);
		node.let_report(name(job, 1), &Report::Failed(FailureReason::EngineFault));
		work_at(2);
		let decline = submitted(&node);
		assert!(matches!(decline, Call::decline_training { .. }));
		// The pool holds only the start, and the failure follows it.
		include(start);
		work_at(3);
		include(submitted(&node));
		assert!(matches!(phase(job), Phase::Failed { .. }));
	});
}

#[test]
fn running_job_should_be_ordered_again_when_the_worker_forgot_it() {
	tell(|node| {
		let job = running_job();
		work();
		assert_eq!(node.worker().orders[0].id, name(job, 1));
		let blocks = 40 - 1;
		assert_eq!(node.worker().orders[0].expires, 1_000 + blocks * BLOCK_MILLIS / 1_000);
	});
}

/// What the worker says about a running job is of no use: nothing is submitted, and everything goes
/// well as soon as it says something better.
fn useless(report: Vec<u8>) {
	tell(|node| {
		let job = running_job();
		let id = name(job, 1);
		node.worker().reports.insert(id, report);
		(1..=10).for_each(work_at);
		assert!(node.take_transactions().is_empty());
		node.let_report(id, &Report::Trained(result()));
		include(submitted_from(&node, 11));
	});
}

#[test]
fn report_should_be_of_no_use_when_it_cannot_be_read() {
	useless(vec![]);
	useless(vec![0xff; 40]);
	useless(b"<html>502 Bad Gateway</html>".to_vec());
	useless([Report::Trained(result()).encode(), vec![1]].concat());
}

#[test]
fn report_should_be_of_no_use_when_it_is_too_long() {
	useless(vec![3; MAX_REPORT_BYTES + 1]);
}

#[test]
fn report_should_be_of_no_use_when_it_names_no_adapter() {
	let nothing = TrainingResult { adapter_hash: H256::zero(), ..result() };
	useless(Report::Trained(nothing).encode());
}

#[test]
fn report_should_be_of_no_use_when_it_is_an_answer() {
	let receipt = InferenceReceipt {
		request: RequestId(0),
		model: ModelId(0),
		prompt_hash: H256::zero(),
		answer_hash: H256::zero(),
		input_tokens: 1,
		output_tokens: 1,
		mode: ExecutionMode::Fast,
	};
	let claim = AttributionClaim {
		request: RequestId(0),
		model: ModelId(0),
		answer_hash: H256::zero(),
		evidence_root: H256::zero(),
		spans: Default::default(),
		shares: Default::default(),
	};
	let answer = Content::Hash(H256::zero());
	useless(Report::Answered(InferenceAnswer { receipt, answer, claim }).encode());
}

#[test]
fn start_should_be_submitted_again_when_it_did_not_get_in() {
	tell(|node| {
		let job = new_job();
		node.let_report(name(job, 1), &running());
		work();
		submitted(&node);
		// As long as a block can still take it.
		(2..START).for_each(work_at);
		assert!(node.take_transactions().is_empty());
		assert_eq!(START, RESUBMIT_AFTER, "or there would be another one by now");
		// The next block is the deadline: too late.
		work_at(START);
		assert!(node.take_transactions().is_empty());
	});
	tell(|node| {
		let job = running_job();
		node.let_report(name(job, 1), &Report::Trained(result()));
		work();
		submitted(&node);
		(2..1 + RESUBMIT_AFTER).for_each(work_at);
		assert!(node.take_transactions().is_empty());
		work_at(1 + RESUBMIT_AFTER);
		include(submitted(&node));
	});
}

#[test]
fn jobs_should_be_served_by_their_deadlines_for_all_keys() {
	tell(|node| {
		let running = running_job();
		Workers::put(20, 120, 1);
		node.insert_key(&secret(120));
		System::set_block_number(2);
		let jobs: Vec<TrainingJobId> = (0..2).map(|_| new_job()).collect();
		assert!(!ModelsPallet::pending_for(20).is_empty(), "both keys have jobs");
		work();
		let ordered: Vec<H256> = node.worker().orders.iter().map(|order| order.id).collect();
		assert_eq!(ordered, vec![name(jobs[0], 1), name(jobs[1], 1), name(running, 1)]);
	});
}

#[test]
fn nothing_should_happen_when_the_key_is_nobodys_or_there_is_no_worker() {
	let (mut chain, node) = ExtBuilder::default().build_with_node();
	chain.execute_with(|| {
		new_job();
		node.insert_key(&secret(OTHER));
		work();
		assert!(node.worker().requests.is_empty());
		node.insert_key(&secret(OPERATOR));
		node.set_url(None);
		work();
		assert!(node.worker().requests.is_empty());
	});
}

#[test]
fn worker_should_be_found_again_at_once_when_it_was_away() {
	tell(|node| {
		let job = running_job();
		node.worker().away = true;
		(1..=30).for_each(work_at);
		assert!(node.stored("openledger/offchain/training/away").is_some());
		node.worker().away = false;
		node.let_report(name(job, 1), &Report::Trained(result()));
		work_at(31);
		include(submitted(&node));
		assert_eq!(node.stored("openledger/offchain/training/away"), None);
	});
}
