//! Answers through the API: what they say, whom they pay, what is refused, what a crash leaves.

use crate::support::{
	contributions, inference_order, records, text, trained_data, training_order, Process, SPEC,
};
use codec::{Decode, Encode};
use openledger_engine::{serving::Precision, tiny::TinyModel};
use openledger_primitives::{
	content::{content_hash, Content, MAX_CONTENT_BYTES},
	jobs::FailureReason,
	receipt::ExecutionMode,
	record::record_leaf,
	span::{self, MatchedSpan},
	words,
	worker_api::{Report, Work},
	H256,
};
use openledger_worker::base_model::BaseModel;
use reqwest::{Method, StatusCode};
use std::time::Duration;

fn bytes_of(hex_digits: &serde_json::Value) -> Vec<u8> {
	hex::decode(hex_digits.as_str().unwrap().strip_prefix("0x").unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_should_pay_whose_words_it_learnt() {
	let (data, trained) = trained_data();
	let worker = Process::start(data.path(), &[]);
	let client = &worker.client;
	let contents = contributions();
	let mut exact = 0;
	for (number, (question, expected)) in (0u64..).zip(records()) {
		let order = inference_order(number, text(&question), &trained);
		client.accepted(&order).await;
		let answer = client.answered(order.id).await;
		let receipt = &answer.receipt;
		assert_eq!(receipt.prompt_hash, content_hash(question.as_bytes()));
		assert_eq!(receipt.mode, ExecutionMode::Deterministic);
		assert!(receipt.input_tokens > 0 && receipt.output_tokens > 0);
		assert_eq!(answer.claim.check(), Ok(()));
		assert_eq!(answer.claim.answer_hash, answer.answer.hash());
		assert_eq!(receipt.answer_hash, answer.answer.hash());
		let Content::Bytes(bytes) = &answer.answer else { panic!("it is short") };
		if String::from_utf8_lossy(bytes) == expected {
			exact += 1;
			let owner = &answer.claim.spans[0];
			assert_eq!(owner.contribution.index, number as u32 / 4);
		}
		for found in &answer.claim.spans {
			let root = contents[found.contribution.index as usize].tree().unwrap().root();
			assert!(found.proof.verify(root, found.leaf));
		}
	}
	assert!(exact >= 10, "the tiny model learnt {exact} of 12 by heart");
	let metrics = client.get("/metrics").await.text().await.unwrap();
	assert!(metrics.contains(r#"jobs_total{kind="inference",outcome="done"} 12"#), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_with_rounded_weights_should_repeat_and_say_so() {
	let (data, trained) = trained_data();
	let worker = Process::start(data.path(), &["--precision", "bf16"]);
	let client = &worker.client;
	let (question, _) = records().into_iter().next().unwrap();
	let mut answers = Vec::new();
	for number in 0..3 {
		let order = inference_order(number, text(&question), &trained);
		client.accepted(&order).await;
		let answer = client.answered(order.id).await;
		assert_eq!(answer.receipt.mode, ExecutionMode::DeterministicBf16);
		answers.push(answer.answer.hash());
	}
	assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn evidence_should_hash_to_the_claims_root_and_show_the_records() {
	let (data, trained) = trained_data();
	let worker = Process::start(data.path(), &[]);
	let client = &worker.client;
	let (question, _) = records().swap_remove(5);
	let prompt = client.put(question.as_bytes()).await;
	let order = inference_order(1, Content::Hash(prompt), &trained);
	client.accepted(&order).await;
	let answer = client.answered(order.id).await;
	let root = answer.claim.evidence_root;
	assert!(!answer.claim.spans.is_empty());

	let evidence = client.json(&format!("/v1/evidence/{root:#x}")).await;
	let spans: Vec<MatchedSpan> = evidence["spans"]
		.as_array()
		.unwrap()
		.iter()
		.map(|span| MatchedSpan::decode(&mut &*bytes_of(&span["scale"])).unwrap())
		.collect();
	assert_eq!(span::evidence_root(&spans), root);
	let said = evidence["answer"].as_str().unwrap();
	assert_eq!(content_hash(said.as_bytes()), answer.claim.answer_hash);
	for (span, json) in spans.iter().zip(evidence["spans"].as_array().unwrap()) {
		let record = &json["record"];
		let salt = bytes_of(&record["salt"]).try_into().unwrap();
		assert_eq!(record_leaf(&salt, &bytes_of(&record["canonical"])), span.leaf);
		let [start, end] = [0, 1].map(|at| json["answer_bytes"][at].as_u64().unwrap() as usize);
		assert_eq!(words::words(&said[start..end]).len(), span.words as usize);
		assert!(record["text"].as_str().unwrap().contains(&said[start..end]), "{json}");
	}
	let exactly = format!("/v1/evidence/{root:x}?answer={:#x}", answer.claim.answer_hash);
	assert_eq!(client.json(&exactly).await, evidence);
	let other = format!("/v1/evidence/{root:x}?answer={:#x}", H256([1; 32]));
	assert_eq!(client.get(&other).await.status(), StatusCode::NOT_FOUND);

	// A record that is erased from the store is gone from the evidence.
	for content in contributions() {
		let name = format!("{:x}", content_hash(&content.encode()));
		let (folder, file) = name.split_at(2);
		std::fs::remove_file(data.path().join("blobs").join(folder).join(file)).unwrap();
	}
	let evidence = client.json(&format!("/v1/evidence/{root:#x}")).await;
	assert!(evidence["spans"][0]["record"]["text"].is_null());
	assert!(evidence["spans"][0]["record"]["salt"].is_null());
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_workers_should_answer_each_request_once() {
	let (data, trained) = trained_data();
	let orders: Vec<_> = (0u64..)
		.zip(records().iter().cycle().take(36))
		.map(|(number, (question, _))| inference_order(number, text(question), &trained))
		.collect();
	let mut reports: Vec<Option<Vec<u8>>> = vec![None; orders.len()];
	let mut worker = Process::start(data.path(), &[]);
	for order in &orders {
		worker.client.accepted(order).await;
	}
	let is_end = |bytes: &[u8]| matches!(Report::decode(&mut &*bytes), Ok(Report::Answered(_)));
	for round in 0.. {
		let mut ended = 0;
		for (order, known) in orders.iter().zip(&mut reports) {
			let report = worker.client.report_bytes(order.id).await.expect("no job is lost");
			if let Some(known) = known {
				assert_eq!(*known, report, "an answer changed");
			}
			if is_end(&report) {
				*known = Some(report);
				ended += 1;
			}
		}
		if ended == orders.len() {
			break;
		}
		// The first three in the middle of the work, then in peace.
		if round < 3 && ended < orders.len() {
			worker.client.until(orders[12 * round].id, |report| *report != Report::Queued).await;
			worker.kill();
			worker = Process::start(data.path(), &[]);
		}
		tokio::time::sleep(Duration::from_millis(20)).await;
	}
	for order in &orders {
		assert_eq!(worker.client.post(order).await.status(), StatusCode::OK);
	}
	// The same question, the same answer, whoever was killed in between.
	let answer = |report: &Option<Vec<u8>>| match Report::decode(&mut &**report.as_ref().unwrap()) {
		Ok(Report::Answered(answer)) => answer.answer,
		other => panic!("{other:?}"),
	};
	for number in 0..12 {
		assert_eq!(answer(&reports[number]), answer(&reports[number + 12]));
		assert_eq!(answer(&reports[number]), answer(&reports[number + 24]));
	}
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_answer_should_survive_a_worker_that_is_killed_while_it_writes() {
	let wide = tempfile::tempdir().unwrap();
	let model = TinyModel { max_position_embeddings: 8_192, ..TinyModel::default() };
	model.write(wide.path(), 42).unwrap();
	let wide_base = BaseModel::open(wide.path(), Precision::F32).unwrap().0.hashes;
	let data = tempfile::tempdir().unwrap();
	let worker = Process::start_with(wide.path(), data.path(), &[]);
	let contents = contributions();
	// A model that has hardly learnt anything does not know when to stop.
	let mut spec: serde_json::Value = serde_json::from_slice(SPEC).unwrap();
	spec["length"] = serde_json::json!({"max_steps": 1});
	let spec = spec.to_string().into_bytes();
	worker.client.put_data(&spec, &contents).await;
	let mut training = training_order(1, &spec, &contents);
	if let Work::Training(order) = &mut training.work {
		order.base = wide_base;
	}
	worker.client.accepted(&training).await;
	let trained = worker.client.trained(training.id).await;
	let long = |request| {
		let mut order = inference_order(request, text("Tell me everything."), &trained);
		if let Work::Inference(order) = &mut order.work {
			order.base = wide_base;
			order.max_output_tokens = 4_500;
		}
		order
	};
	worker.client.accepted(&long(1)).await;
	let in_the_middle = |report: &Report| match report {
		Report::Running { permille } => *permille > 50,
		_ => false,
	};
	worker.client.until(long(1).id, in_the_middle).await;
	worker.kill();

	let worker = Process::start_with(wide.path(), data.path(), &[]);
	let client = &worker.client;
	let interrupted = client.answered(long(1).id).await;
	client.accepted(&long(2)).await;
	let undisturbed = client.answered(long(2).id).await;
	assert_eq!(interrupted.answer, undisturbed.answer);
	assert_eq!(interrupted.receipt.output_tokens, 4_500);
	// Too long for the chain, it is in the store.
	let Content::Hash(hash) = interrupted.answer else { panic!("it is long") };
	let answer = client.get(&format!("/v1/blobs/{hash:x}")).await.bytes().await.unwrap();
	assert_eq!(content_hash(&answer), hash);
	assert!(answer.len() > MAX_CONTENT_BYTES as usize);
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_should_go_before_training_that_has_begun() {
	let (data, trained) = trained_data();
	let worker = Process::start(data.path(), &[]);
	let client = &worker.client;
	let contents = contributions();
	let mut spec: serde_json::Value = serde_json::from_slice(SPEC).unwrap();
	spec["length"] = serde_json::json!({"max_steps": 1_000_000});
	let spec = spec.to_string().into_bytes();
	client.put_data(&spec, &contents).await;
	let training = training_order(9, &spec, &contents);
	client.accepted(&training).await;
	client.until(training.id, |report| matches!(report, Report::Running { .. })).await;
	for number in 0..3 {
		let order = inference_order(number, text(&records()[number as usize].0), &trained);
		client.accepted(&order).await;
		client.answered(order.id).await;
	}
	assert!(matches!(client.report(training.id).await, Some(Report::Running { .. })));
	assert_eq!(worker.terminate(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_answered_should_say_why() {
	let (data, trained) = trained_data();
	let worker = Process::start(data.path(), &[]);
	let client = &worker.client;
	let changed = |number, change: fn(&mut openledger_primitives::worker_api::InferenceOrder)| {
		let mut order = inference_order(number, text("Who keeps the lamp?"), &trained);
		if let Work::Inference(order) = &mut order.work {
			change(order);
		}
		order
	};
	let long = client.put("word ".repeat(20_000).as_bytes()).await;
	let not_an_adapter = client.put(b"not an adapter").await;
	let mut of_garbage = changed(4, |_| {});
	if let Work::Inference(order) = &mut of_garbage.work {
		order.adapter = not_an_adapter;
	}
	let mut too_long = changed(2, |order| order.max_input_tokens = u32::MAX);
	if let Work::Inference(order) = &mut too_long.work {
		order.prompt = Content::Hash(long);
	}
	let cases = [
		(changed(1, |order| order.max_input_tokens = 3), FailureReason::PromptTooLong),
		(too_long, FailureReason::PromptTooLong),
		(changed(3, |order| order.span_index = H256([1; 32])), FailureReason::DataUnavailable),
		(of_garbage, FailureReason::ModelUnavailable),
	];
	for (order, reason) in cases {
		client.accepted(&order).await;
		assert_eq!(client.ended(order.id).await, Report::Failed(reason));
	}
	let short = changed(5, |order| order.max_output_tokens = 1);
	client.accepted(&short).await;
	assert_eq!(client.answered(short.id).await.receipt.output_tokens, 1);
	let path = format!("/v1/jobs/{:x}", short.id);
	let gone = client.request(Method::DELETE, &path).send().await.unwrap();
	assert_eq!(gone.status(), StatusCode::NO_CONTENT);
}
