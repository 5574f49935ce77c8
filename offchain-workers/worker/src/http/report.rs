//! Jobs and reports as JSON. The node takes SCALE; this is for people and the command line.

use crate::{
	events::FailureName,
	hexadecimal::show,
	inference::mode_name,
	job::{Job, Phase},
};
use openledger_primitives::{
	claim::ContributionShare,
	content::Content,
	worker_api::{InferenceAnswer, Report},
};
use serde::Serialize;
use serde_json::{json, Value};

/// A job, without its result.
pub fn job_json(job: &Job) -> Value {
	let state = match job.phase {
		Phase::Running { started: true, .. } => "running",
		Phase::Done => "done",
		_ => "queued",
	};
	json!({
		"id": show(job.id),
		"kind": job.kind.name(),
		"posted": job.posted / 1_000,
		"expires": job.expires,
		"state": state,
	})
}

/// A job with its report.
pub fn report_json(job: &Job, report: &Report) -> Value {
	let mut object = job_json(job);
	let state = match report {
		Report::Queued => json!({"state": "queued"}),
		Report::Running { permille } => json!({"state": "running", "permille": permille}),
		Report::Answered(answer) => answer_json(answer),
		Report::Trained(result) => json!({
			"state": "trained",
			"adapter_hash": show(result.adapter_hash),
			"span_index_root": show(result.span_index_root),
			"influence_root": show(result.influence_root),
			"metrics": {
				"heldout_loss_before_micro": result.metrics.heldout_loss_before_micro,
				"heldout_loss_after_micro": result.metrics.heldout_loss_after_micro,
				"trained_tokens": result.metrics.trained_tokens,
				"steps": result.metrics.steps,
			},
		}),
		Report::Failed(reason) => json!({"state": "failed", "reason": FailureName(*reason)}),
	};
	if let (Some(object), Value::Object(state)) = (object.as_object_mut(), state) {
		object.extend(state);
	}
	object
}

fn answer_json(answer: &InferenceAnswer) -> Value {
	let InferenceAnswer { receipt, answer, claim } = answer;
	let text = match answer {
		Content::Bytes(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
		Content::Hash(_) => None,
	};
	json!({
		"state": "answered",
		"request": receipt.request,
		"model": receipt.model,
		"prompt_hash": show(receipt.prompt_hash),
		"answer_hash": show(receipt.answer_hash),
		"answer": text,
		"input_tokens": receipt.input_tokens,
		"output_tokens": receipt.output_tokens,
		"mode": mode_name(receipt.mode),
		"evidence_root": show(claim.evidence_root),
		"spans": claim.spans.len(),
		"shares": claim.shares.iter().map(Share::from).collect::<Vec<_>>(),
	})
}

#[derive(Serialize)]
struct Share {
	datanet: u32,
	index: u32,
	parts: u32,
}

impl From<&ContributionShare> for Share {
	fn from(share: &ContributionShare) -> Self {
		let ContributionShare { contribution, parts } = *share;
		Self { datanet: contribution.datanet.0, index: contribution.index, parts }
	}
}
