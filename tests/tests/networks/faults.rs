//! What goes wrong in the main job: each story ends with nothing lost and nothing paid twice.

use std::time::Duration;

use openledger_tests::{step, until, HostileWorker, Manners, Market, Network, Worker};
use serde_json::Value as Json;
use subxt::dynamic::{At, Value};

/// For a job of the tiny model to end, with restarts in between.
const JOB_LIMIT: Duration = Duration::from_secs(120);

/// One network, one story after the other.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_should_be_lost_or_paid_twice_when_processes_die() {
	let mut market = Market::open().await;
	let before = market.supply().await;

	step("the worker is killed in the middle of training");
	let job = market.order_training().await;
	until("training is under way", JOB_LIMIT, async || {
		is_training(&market.worker).await.then_some(())
	})
	.await;
	market.worker.kill();
	market.worker.restart().await;
	let model = market.publish_trained(&job).await;

	step("the worker is killed as soon as it has a question");
	let (question, _) = Market::first_record();
	let ask = ["ask", &model, &question];
	let known = market.worker.jobs().await.len();
	let Market { cli, worker, .. } = &mut market;
	let cli = cli.in_best_blocks();
	let kill = async {
		until("the question arrives", JOB_LIMIT, async || {
			(worker.jobs().await.len() > known).then_some(())
		})
		.await;
		worker.kill();
		worker.restart().await;
	};
	let (report, ()) = tokio::join!(cli.run("alice", &ask), kill);
	let mut asked = vec![checked_request(&report)];

	step("the node is killed when the worker has the answer");
	let known = market.worker.jobs().await.len();
	// Requests are numbered, and nobody else asks.
	let request = asked[0] + 1;
	let is_answered = async {
		until("the worker has the answer", JOB_LIMIT, async || {
			let jobs = market.worker.jobs().await;
			(jobs.len() > known && jobs.iter().all(is_done)).then_some(())
		})
		.await;
	};
	tokio::select! {
		_ = cli.end("alice", &ask) => {},
		() = is_answered => {},
	}
	let node = market.network.node_mut("alice");
	node.kill();
	node.restart().await;
	market.cli.connect(market.network.node("alice").client().url());
	let cli = market.cli.in_best_blocks();
	until("the request is answered", JOB_LIMIT, async || {
		let explained = cli.end("alice", &["explain", &request.to_string()]).await;
		(explained.code == 0).then_some(())
	})
	.await;
	asked.push(request);

	step("two nodes hold the operator's key");
	let url = market.worker.url();
	market.network.join("second", &["--worker-url", &url, "--offchain-worker", "always"]).await;
	market.insert_operator_key("second").await;
	asked.push(checked_request(&cli.run("alice", &ask).await));

	step("the worker is away for a while");
	market.worker.kill();
	let comes_back = async {
		tokio::time::sleep(Duration::from_secs(20)).await;
		market.worker.restart().await;
	};
	let (report, ()) = tokio::join!(cli.run("alice", &ask), comes_back);
	asked.push(checked_request(&report));

	step("each was answered once, and nothing was created or lost");
	assert_answered_once(&market.network, &asked).await;
	assert_eq!(market.supply().await, before);
}

/// The node is lied to about a request, then hears the truth: the request is answered, once.
#[tokio::test(flavor = "multi_thread")]
async fn request_should_be_answered_once_when_the_worker_lied_before() {
	let worker = Worker::start().await;
	let hostile = HostileWorker::before(worker.url().trim_start_matches("http://").to_owned());
	let market = Market::open_with(worker, &hostile.url()).await;
	let before = market.supply().await;
	let model = market.published_model().await;
	let (question, _) = Market::first_record();
	let ask = ["ask", &model, &question];

	step("the truth, for comparison");
	let cli = market.cli.in_best_blocks();
	let mut asked = vec![checked_request(&cli.run("alice", &ask).await)];
	let jobs = market.worker.jobs().await;
	let answered = jobs.iter().find(|job| job["kind"] == "inference").expect("a job was done");
	let of_another = market.worker.report(answered["id"].as_str().expect("an id")).await;
	let mut forged = of_another.clone();
	*forged.last_mut().expect("a report has bytes") ^= 1;

	for (what, manners) in [
		("garbage", Manners::Report(b"\xffnot SCALE at all".to_vec())),
		("more than a report can be", Manners::Report(vec![2; 300_000])),
		("a body without end", Manners::Endless),
		("nothing at all", Manners::Silent),
		("what is not HTTP", Manners::Noise),
		("half an answer", Manners::BreakOff),
		("another request's report", Manners::Report(of_another)),
		("a forged report", Manners::Report(forged)),
	] {
		step(format_args!("the worker says {what}"));
		let lies = hostile.misled();
		hostile.behave(manners);
		let repent = async {
			until("the node was lied to", JOB_LIMIT, async || {
				(hostile.misled() > lies).then_some(())
			})
			.await;
			hostile.behave(Manners::Honest);
		};
		let (report, ()) = tokio::join!(cli.run("alice", &ask), repent);
		asked.push(checked_request(&report));
	}

	step("each was answered once, and nothing was created or lost");
	assert_answered_once(&market.network, &asked).await;
	assert_eq!(market.supply().await, before);
}

/// Whether a training job has made some progress.
async fn is_training(worker: &Worker) -> bool {
	for job in worker.jobs().await {
		let path = format!("/v1/jobs/{}", job["id"].as_str().expect("a job has an id"));
		let report = worker.get(&path).await.unwrap_or_default();
		if report["kind"] == "training" && report["permille"].as_u64() > Some(0) {
			return true;
		}
	}
	false
}

/// A job that has ended.
fn is_done(job: &Json) -> bool {
	job["state"] == "done"
}

/// The number of a request whose answer stands up to its evidence.
fn checked_request(report: &Json) -> u128 {
	assert_eq!(report["evidence"]["state"], "checked", "{report}");
	report["request"].as_u64().expect("a number").into()
}

/// That each of these requests, and no other, was answered and paid once, by the final events of the whole
/// chain.
async fn assert_answered_once(network: &Network, requests: &[u128]) {
	let client = network.node("alice").client();
	network.finalises(client.best_height().await).await;
	let mut answered = Vec::new();
	for height in 1..=client.finalised_height().await {
		let events = client.events(height).await;
		let answers = events.iter().filter(|event| event.is("Inference", "RequestAnswered"));
		answered.extend(answers.map(|event| number(event.field("request"))));
	}
	answered.sort_unstable();
	assert_eq!(answered, requests);
}

/// An id, which is a number in a type of its own.
fn number(id: &Value) -> u128 {
	id.as_u128().or_else(|| id.at(0)?.as_u128()).expect("a number")
}
