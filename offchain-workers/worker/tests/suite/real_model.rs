//! The same story with a real model: a GGUF file of SmolLM2-135M-Instruct, when the environment
//! variable `OPENLEDGER_SMOLLM2` names one.

use crate::support::{contributions, inference_order, records, text, training_order, Process};
use openledger_engine::serving::Precision;
use openledger_primitives::worker_api::Work;
use openledger_worker::base_model::BaseModel;
use std::path::PathBuf;

#[tokio::test(flavor = "multi_thread")]
async fn a_real_model_should_learn_records_and_pay_for_them() {
	let Some(model) = std::env::var_os("OPENLEDGER_SMOLLM2").map(PathBuf::from) else {
		eprintln!("skipped: OPENLEDGER_SMOLLM2 names no GGUF file");
		return;
	};
	let base = BaseModel::open(&model, Precision::F32).unwrap().0.hashes;
	let data = tempfile::tempdir().unwrap();
	let worker = Process::start_with(&model, data.path(), &[]);
	let client = &worker.client;
	let contents = contributions();
	let spec = br#"{"version": 1, "length": {"epochs": 12}, "heldout_permille": 0,
		"prompt_field": "question", "completion_field": "answer"}"#;
	client.put_data(spec, &contents).await;
	let mut order = training_order(1, spec, &contents);
	if let Work::Training(order) = &mut order.work {
		order.base = base;
	}
	client.accepted(&order).await;
	let trained = client.trained(order.id).await;

	let mut paid = 0;
	for (number, (question, expected)) in (0u64..).zip(records()) {
		let mut order = inference_order(number, text(&question), &trained);
		if let Work::Inference(order) = &mut order.work {
			order.base = base;
		}
		client.accepted(&order).await;
		let answer = client.answered(order.id).await;
		assert_eq!(answer.claim.check(), Ok(()));
		let owners = answer.claim.shares.iter().map(|share| share.contribution.index);
		let owner = number as u32 / 4;
		paid += usize::from(owners.clone().any(|index| index == owner));
		eprintln!(
			"{question} -> {:?}, expected {expected:?}, paid {:?}",
			answer.answer,
			owners.collect::<Vec<_>>()
		);
	}
	assert!(paid >= 8, "{paid} of 12 answers pay whose record they learnt");
}
