//! The way from a request to the worker beside the node, and of its answer back into a block.

use super::*;
use codec::Encode;
use frame_support::traits::Hooks;
use openledger_pallet_support::{
	offchain::{testing::Node, MAX_BACK_OFF, RESUBMIT_AFTER},
	operator::testing::{self, secret},
};
use openledger_primitives::{
	claim::ContributionShare,
	jobs::JobOutcome,
	training::{Metrics, TrainingResult},
	worker_api::{InferenceAnswer, InferenceOrder, JobKey, Report, Work, MAX_REPORT_BYTES},
	ContributionId,
};

/// A story on a chain whose node has `WORKER`'s key.
fn tell(story: impl FnOnce(Node)) {
	let (mut chain, node) = ExtBuilder.build_with_node();
	chain.execute_with(|| {
		node.insert_key(&secret(OPERATOR));
		story(node);
		check_state();
	});
}

/// The request's name at the worker.
fn job(id: RequestId) -> H256 {
	JobKey::Inference(id).id(System::block_hash(0))
}

/// The offchain worker after the present block.
fn work() {
	Inference::offchain_worker(System::block_number());
}

/// The offchain worker after a later block.
fn work_at(block: u64) {
	System::set_block_number(block);
	work();
}

/// What the worker reports when it has answered.
fn answered(id: RequestId) -> Report {
	let Submission { receipt, answer, claim } = Submission::fitting(id);
	Report::Answered(InferenceAnswer { receipt, answer, claim })
}

/// The only call in the pool.
fn submitted(node: &Node) -> Call<Test> {
	match node.take_call::<Test>() {
		RuntimeCall::Inference(call) => call,
		other => panic!("a call of another pallet: {other:?}"),
	}
}

fn include(call: Call<Test>) {
	testing::include::<Test>(call)
}

fn paths(node: &Node) -> Vec<String> {
	std::mem::take(&mut node.worker().requests)
}

#[test]
fn answer_should_find_its_way_from_the_worker_into_a_block() {
	tell(|node| {
		let id = ask();
		let name = job(id);
		work();
		// Not known yet: ordered.
		assert_eq!(paths(&node), vec![format!("GET /v1/jobs/{name:#x}"), "POST /v1/jobs".into()]);
		let order = node.worker().orders.pop().expect("it was ordered");
		assert_eq!(order.id, name);
		assert_eq!(order.expires, 1_000 + TIMEOUT * BLOCK_MILLIS / 1_000);
		let files = model_files();
		assert_eq!(
			order.work,
			Work::Inference(InferenceOrder {
				request: id,
				model: MODEL,
				base: files.base,
				adapter: files.adapter,
				span_index: files.span_index,
				prompt: bytes("why?"),
				max_input_tokens: 100,
				max_output_tokens: 50,
			})
		);
		assert!(node.take_transactions().is_empty());

		// Under way: waited for, without a word to the chain.
		node.let_report(name, &Report::Running { permille: 500 });
		work_at(2);
		assert_eq!(paths(&node), vec![format!("GET /v1/jobs/{name:#x}")]);
		assert!(node.take_transactions().is_empty());

		node.let_report(name, &answered(id));
		work_at(3);
		let call = submitted(&node);
		assert_eq!(call, {
			// The signature is another one each time; all else is as signed by hand.
			let mut expected = Submission::fitting(id).signed_by(OPERATOR);
			let Call::submit_result { signature, .. } = &mut expected else { unreachable!() };
			let Call::submit_result { signature: theirs, .. } = &call else {
				panic!("a result is submitted")
			};
			*signature = theirs.clone();
			expected
		});
		System::set_block_number(4);
		include(call);
		assert!(matches!(phase(id), Phase::Answered(_)));
		assert_eq!(Released::get(), vec![(WORKER, JobOutcome::Delivered)]);

		// The job is over: nobody asks about it, and nothing is remembered.
		paths(&node);
		work();
		assert!(paths(&node).is_empty());
		assert_eq!(node.stored("openledger/offchain/inference/journal"), Some(vec![0]));
	});
}

#[test]
fn order_should_name_the_prompt_by_hash_when_it_travels_outside_the_chain() {
	tell(|node| {
		let prompt = Content::Hash(content_hash(b"why?"));
		let signed = RuntimeOrigin::signed(REQUESTER);
		assert_ok!(Inference::request_inference(signed, MODEL, prompt.clone(), 100, 50, MOST));
		work();
		let Work::Inference(order) = node.worker().orders.remove(0).work else {
			panic!("an answer is ordered")
		};
		assert_eq!(order.prompt, prompt);
	});
}

#[test]
fn failure_should_be_reported_with_its_reason() {
	tell(|node| {
		let id = ask();
		node.let_report(job(id), &Report::Failed(FailureReason::PromptTooLong));
		work();
		let call = submitted(&node);
		assert!(matches!(
			call,
			Call::report_failure { reason: FailureReason::PromptTooLong, operator: OPERATOR, .. }
		));
		include(call);
		assert!(matches!(phase(id), Phase::Failed { .. }));
	});
}

#[test]
fn node_should_be_still_when_it_has_no_worker() {
	tell(|node| {
		ask();
		node.set_url(None);
		(1..4).for_each(work_at);
		assert!(node.worker().requests.is_empty());
		assert_eq!(node.stored("openledger/offchain/inference/lock"), None);
		for url in ["https://127.0.0.1:9955", "ftp://127.0.0.1", "nonsense"] {
			node.set_url(Some(url));
			work();
		}
		assert!(node.worker().requests.is_empty());
	});
}

#[test]
fn node_should_write_nothing_when_there_is_nothing_to_do() {
	tell(|node| {
		(1..4).for_each(work_at);
		for part in ["journal", "away", "idle", "lock"] {
			assert_eq!(node.stored(&format!("openledger/offchain/inference/{part}")), None);
		}
		assert!(node.worker().requests.is_empty());
	});
}

#[test]
fn node_should_say_once_that_it_has_no_worker() {
	tell(|node| {
		node.set_url(None);
		work();
		let said = node.stored("openledger/offchain/inference/idle");
		assert!(said.is_some());
		work_at(2);
		assert_eq!(node.stored("openledger/offchain/inference/idle"), said);
		// The next time it is taken away, it is said again.
		node.set_url(Some(openledger_pallet_support::offchain::testing::URL));
		work_at(3);
		assert_eq!(node.stored("openledger/offchain/inference/idle"), None);
	});
}

#[test]
fn jobs_beyond_what_a_run_serves_should_wait_for_the_next() {
	tell(|node| {
		// As many as the mock's worker has slots for are too few: the bound is the machinery's, so the
		// jobs are put there by hand.
		let id = ask();
		let request = crate::Requests::<Test>::get(id).unwrap();
		let more = openledger_pallet_support::offchain::MAX_JOBS_PER_RUN as u64 + 5;
		for number in 1..more {
			crate::Requests::<Test>::insert(RequestId(number), request.clone());
			crate::PendingFor::<Test>::insert(WORKER, RequestId(number), ());
		}
		work();
		assert_eq!(
			node.worker().orders.len(),
			openledger_pallet_support::offchain::MAX_JOBS_PER_RUN
		);
		for number in 1..more {
			crate::Requests::<Test>::remove(RequestId(number));
			crate::PendingFor::<Test>::remove(WORKER, RequestId(number));
		}
	});
}

#[test]
fn node_should_be_still_when_the_jobs_are_somebody_elses() {
	let (mut chain, node) = ExtBuilder.build_with_node();
	chain.execute_with(|| {
		ask();
		work();
		assert!(node.worker().requests.is_empty(), "there is no key at all");
		node.insert_key(&secret(OTHER_OPERATOR));
		node.insert_key("//somebody else");
		work();
		assert!(node.worker().requests.is_empty(), "the job is another operator's");
		node.insert_key(&secret(OPERATOR));
		work();
		assert_eq!(node.worker().orders.len(), 1);
	});
}

#[test]
fn node_should_serve_all_its_operator_keys() {
	tell(|node| {
		node.insert_key(&secret(OTHER_OPERATOR));
		let (first, _, third) = (ask(), ask(), ask());
		assert_eq!(Inference::pending_for(OTHER_WORKER), vec![third]);
		work();
		assert_eq!(node.worker().orders.len(), 3);
		node.let_report(job(first), &answered(first));
		node.let_report(job(third), &answered(third));
		work_at(2);
		let operators: Vec<AccountId> = node
			.take_calls::<Test>()
			.into_iter()
			.map(|call| match call {
				RuntimeCall::Inference(Call::submit_result { operator, .. }) => operator,
				other => panic!("not a result: {other:?}"),
			})
			.collect();
		assert_eq!(operators, vec![OPERATOR, OTHER_OPERATOR]);
	});
}

#[test]
fn request_that_ends_first_should_be_served_first() {
	tell(|node| {
		let first = ask();
		System::set_block_number(3);
		let second = ask();
		work();
		let ordered: Vec<H256> = node.worker().orders.iter().map(|order| order.id).collect();
		assert_eq!(ordered, vec![job(first), job(second)]);
	});
}

#[test]
fn request_should_be_left_alone_when_no_block_can_take_its_answer() {
	tell(|node| {
		let id = ask();
		node.let_report(job(id), &answered(id));
		// The next block is too late.
		work_at(1 + TIMEOUT);
		assert!(node.worker().requests.is_empty());
		assert!(node.take_transactions().is_empty());
		work_at(TIMEOUT);
		include(submitted(&node));
	});
}

#[test]
fn report_should_not_be_submitted_again_while_it_may_get_in() {
	tell(|node| {
		let id = ask();
		node.let_report(job(id), &answered(id));
		work();
		let first = submitted(&node);
		let last_try = 1 + RESUBMIT_AFTER.min(TIMEOUT) - 1;
		(2..=last_try).for_each(work_at);
		assert!(node.take_transactions().is_empty());
		// Another report is another matter: the worker was restarted and has none any more.
		node.let_report(job(id), &Report::Failed(FailureReason::EngineFault));
		work();
		assert!(matches!(submitted(&node), Call::report_failure { .. }));
		include(first);
	});
}

#[test]
fn report_should_be_submitted_again_when_it_did_not_get_in() {
	let (mut chain, node) = ExtBuilder.build_with_node();
	chain.execute_with(|| {
		node.insert_key(&secret(OPERATOR));
		let id = ask();
		// Longer than the time for this answer: the chain was rolled back and has the request again.
		let begin = System::block_number();
		node.let_report(job(id), &answered(id));
		work();
		submitted(&node);
		crate::Requests::<Test>::mutate(id, |request| {
			if let Some(Phase::Assigned(job)) = request.as_mut().map(|request| &mut request.phase) {
				job.answer_by += 100;
			}
		});
		work_at(begin + RESUBMIT_AFTER - 1);
		assert!(node.take_transactions().is_empty());
		work_at(begin + RESUBMIT_AFTER);
		submitted(&node);
		// On a fork that is shorter than what is remembered, nothing is known of its fate.
		work_at(begin + 1);
		submitted(&node);
	});
}

#[test]
fn report_should_be_tried_again_when_the_pool_does_not_take_it() {
	let (mut chain, node) = ExtBuilder.build_with_node();
	chain.execute_with(|| {
		node.insert_key(&secret(OPERATOR));
		let id = ask();
		node.let_report(job(id), &answered(id));
		node.set_pool_full(true);
		work();
		node.set_pool_full(false);
		crate::Requests::<Test>::mutate(id, |request| {
			if let Some(Phase::Assigned(job)) = request.as_mut().map(|request| &mut request.phase) {
				job.answer_by += 100;
			}
		});
		(2..=RESUBMIT_AFTER + 1).for_each(work_at);
		submitted(&node);
	});
}

/// What the worker says about `id` is of no use: nothing is submitted, and everything goes well as
/// soon as it says something better.
fn useless(report: impl FnOnce(RequestId) -> Vec<u8>) {
	tell(|node| {
		let id = ask();
		node.worker().reports.insert(job(id), report(id));
		(1..=3).for_each(work_at);
		assert!(node.take_transactions().is_empty());
		assert!(paths(&node).len() < 3, "it is asked ever less often");
		node.let_report(job(id), &answered(id));
		work_at(4);
		work_at(5);
		include(submitted(&node));
	});
}

/// As [`useless`], for an answer that would not be taken.
fn unfit(change: impl FnOnce(&mut Submission)) {
	useless(|id| {
		let mut submission = Submission::fitting(id);
		change(&mut submission);
		let Submission { receipt, answer, claim } = submission;
		Report::Answered(InferenceAnswer { receipt, answer, claim }).encode()
	});
}

#[test]
fn report_should_be_of_no_use_when_it_cannot_be_read() {
	useless(|_| vec![]);
	useless(|_| vec![99]);
	useless(|_| b"{\"error\": \"what?\"}".to_vec());
	useless(|id| [answered(id).encode(), vec![0]].concat());
	useless(|id| {
		let whole = answered(id).encode();
		whole[..whole.len() - 1].to_vec()
	});
	// A length that promises four gigabytes.
	useless(|_| vec![2, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
}

#[test]
fn report_should_be_of_no_use_when_it_is_too_long() {
	useless(|_| vec![0; MAX_REPORT_BYTES + 1]);
	useless(|_| vec![2; 8 * MAX_REPORT_BYTES]);
}

#[test]
fn report_should_be_of_no_use_when_it_is_about_a_training_job() {
	let result = TrainingResult {
		adapter_hash: H256::repeat_byte(1),
		span_index_root: H256::zero(),
		influence_root: H256::zero(),
		metrics: Metrics::default(),
	};
	useless(|_| Report::Trained(result).encode());
}

#[test]
fn answer_should_be_of_no_use_when_the_chain_would_refuse_it() {
	unfit(|it| it.receipt.request = RequestId(7));
	unfit(|it| it.claim.request = RequestId(7));
	unfit(|it| it.claim.model = FREE_MODEL);
	unfit(|it| it.receipt.prompt_hash = H256::zero());
	unfit(|it| it.answer = bytes("something else"));
	unfit(|it| it.receipt.output_tokens = 51);
}

#[test]
fn answer_should_be_of_no_use_when_its_shares_do_not_sum() {
	unfit(|it| {
		let share = ContributionShare { contribution: ContributionId::default(), parts: 999_999 };
		it.claim.shares = vec![share].try_into().unwrap();
	});
}

#[test]
fn order_should_be_tried_again_when_the_worker_refuses_it() {
	for status in [400, 410, 429, 507] {
		tell(|node| {
			let id = ask();
			node.worker().refuses = Some(status);
			(1..=3).for_each(work_at);
			assert!(node.worker().orders.is_empty());
			node.worker().refuses = None;
			work_at(4);
			work_at(5);
			assert_eq!(node.worker().orders[0].id, job(id));
		});
	}
}

/// A worker that is away since block 1 is asked ever less often, and at once when it is back.
fn away(make: fn(&Node, bool)) {
	let (mut chain, node) = ExtBuilder.build_with_node();
	chain.execute_with(|| {
		node.insert_key(&secret(OPERATOR));
		let id = ask();
		crate::Requests::<Test>::mutate(id, |request| {
			if let Some(Phase::Assigned(job)) = request.as_mut().map(|request| &mut request.phase) {
				job.answer_by += 1_000;
			}
		});
		make(&node, true);
		(1..=40).for_each(|block| {
			node.set_clock(1_000_000 + block * BLOCK_MILLIS);
			work_at(block);
		});
		assert!(node.stored("openledger/offchain/inference/away").is_some());
		assert!(node.worker().requests.is_empty());

		// Back, and noticed in the very next block, whatever the back-off says.
		make(&node, false);
		node.set_clock(10_000_000);
		work_at(41);
		assert_eq!(node.stored("openledger/offchain/inference/away"), None);
		assert_eq!(node.worker().orders.len(), 1);
		assert_eq!(node.worker().requests[0], "GET /health");
	});
}

#[test]
fn worker_should_be_found_again_at_once_when_it_was_away() {
	away(|node, is| node.worker().away = is);
}

#[test]
fn worker_should_be_found_again_at_once_when_it_did_not_answer() {
	away(|node, is| node.worker().hangs = is);
}

#[test]
fn worker_that_is_unwell_should_be_asked_after_the_back_off() {
	tell(|node| {
		let id = ask();
		node.worker().away = true;
		work();
		// It takes no jobs, and has one that is done.
		node.worker().away = false;
		node.worker().unwell = true;
		node.let_report(job(id), &answered(id));
		for block in 2..=2 + MAX_BACK_OFF.min(TIMEOUT - 2) {
			work_at(block);
		}
		include(submitted(&node));
	});
}

#[test]
fn run_should_do_nothing_when_another_one_is_under_way() {
	tell(|node| {
		ask();
		// Until a point in time a second from now.
		let until: u64 = 1_001_000;
		node.store("openledger/offchain/inference/lock", &until.encode());
		work();
		assert!(node.worker().requests.is_empty());
		// One that was killed does not lock others out for ever.
		node.set_clock(until + 1);
		work();
		assert_eq!(node.worker().orders.len(), 1);
		assert_eq!(node.stored("openledger/offchain/inference/lock"), None, "and it is given back");
	});
}

#[test]
fn run_should_go_on_when_what_it_remembers_cannot_be_read() {
	tell(|node| {
		let id = ask();
		for part in ["journal", "away", "idle", "lock"] {
			node.store(&format!("openledger/offchain/inference/{part}"), &[0xff; 3]);
		}
		node.let_report(job(id), &answered(id));
		work();
		include(submitted(&node));
	});
}
