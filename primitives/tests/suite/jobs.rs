//! What tells jobs apart, and what operators sign.

use openledger_primitives::{
	jobs::operator_message, worker_api::JobKey, RequestId, TrainingJobId, H256,
};
use std::collections::BTreeSet;

#[test]
fn job_should_have_another_name_on_another_chain_and_at_another_attempt() {
	let names: BTreeSet<H256> = [1, 2]
		.map(H256::repeat_byte)
		.into_iter()
		.flat_map(|genesis| {
			[
				JobKey::Inference(RequestId(0)),
				JobKey::Inference(RequestId(1)),
				JobKey::Training { job: TrainingJobId(0), attempt: 0 },
				JobKey::Training { job: TrainingJobId(0), attempt: 1 },
				JobKey::Training { job: TrainingJobId(1), attempt: 0 },
			]
			.map(|key| key.id(genesis))
		})
		.collect();
	assert_eq!(names.len(), 10);
}

#[test]
fn operator_message_should_differ_by_chain_call_and_report() {
	let here = H256::repeat_byte(1);
	let message = operator_message(here, "models.start_training", &7u64);
	assert_eq!(message, operator_message(here, "models.start_training", &7u64));
	for other in [
		operator_message(H256::repeat_byte(2), "models.start_training", &7u64),
		operator_message(here, "models.decline_training", &7u64),
		operator_message(here, "models.start_training", &8u64),
		operator_message(here, "models.start_trainin", &(b'g', 7u64)),
	] {
		assert_ne!(message, other);
	}
}
