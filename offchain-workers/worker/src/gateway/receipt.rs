//! What an answer of ours says beside OpenAI's fields: a receipt, and on whose words it stands.

use super::{asking::Prompt, serving::Asked, Gateway};
use crate::{
	hexadecimal::show,
	inference::{self, mode, mode_name},
	models::LoadedIndex,
};
use openledger_attribution::{Attribution, SpanEvidence};
use openledger_engine::serving::Answer;
use openledger_primitives::content::content_hash;
use serde_json::{json, Value};
use std::sync::Arc;

/// What goes beside an answer.
#[derive(Clone, Debug, Default)]
pub struct Beside {
	/// The object `openledger`.
	pub openledger: Value,
	/// OpenAI's citations.
	pub annotations: Vec<Value>,
}

/// The receipt of an answer and, if it was asked for and the model has an index, its attribution.
/// An answer whose attribution fails is given all the same, and says so.
pub async fn beside(
	gateway: &Arc<Gateway>,
	asked: &Asked,
	prompt: &Prompt,
	answer: &Answer,
	attribution: bool,
) -> Beside {
	let mut openledger = json!({"receipt": receipt(asked, prompt, answer)});
	let mut annotations = Vec::new();
	if attribution && asked.span_index().is_some() {
		openledger["attribution"] = match attribute(gateway, asked, answer).await {
			Ok((attribution, text)) => {
				annotations = attribution.evidence.iter().map(|it| citation(it, &text)).collect();
				attribution_json(&attribution, &text)
			},
			Err(why) => {
				tracing::warn!(model = asked.name, why, "an answer could not be attributed");
				json!({"error": why})
			},
		};
	}
	Beside { openledger, annotations }
}

fn receipt(asked: &Asked, prompt: &Prompt, answer: &Answer) -> Value {
	json!({
		"model": asked.entry.as_ref().and_then(|entry| entry.model_id),
		"base": show(asked.served.base.hashes.weights),
		"adapter": asked.adapter().map(show),
		"prompt_hash": show(prompt.hash),
		"answer_hash": show(content_hash(answer.text.as_bytes())),
		"input_tokens": answer.prompt_tokens,
		"output_tokens": answer.tokens.len(),
		"mode": mode_name(mode(asked.served.model().precision())),
	})
}

async fn attribute(
	gateway: &Arc<Gateway>,
	asked: &Asked,
	answer: &Answer,
) -> Result<(Attribution, String), String> {
	let (Some(adapter), Some(root)) = (asked.adapter(), asked.span_index()) else {
		return Err("the model has no span index".into());
	};
	let _permit = gateway.attributions.acquire().await.map_err(|_| "the worker is stopping")?;
	let (context, base) = (gateway.context.clone(), asked.served.base.hashes);
	let Answer { text, tokens, .. } = answer.clone();
	let attributing = tokio::task::spawn_blocking(move || {
		let index = context.models.index_of(base, adapter, root);
		let (index, _): LoadedIndex = index.map_err(|stopped| stopped.to_string())?;
		let attribution = inference::attributed(&index, &text, &tokens);
		attribution.map(|it| (it, text)).map_err(|failure| failure.to_string())
	});
	attributing.await.map_err(|_| "attribution failed")?
}

fn attribution_json(attribution: &Attribution, text: &str) -> Value {
	let Attribution { shares, evidence_root, evidence, .. } = attribution;
	let shares = shares.iter().map(|share| {
		json!({
			"datanet": share.contribution.datanet,
			"index": share.contribution.index,
			"parts": share.parts,
		})
	});
	let spans = evidence.iter().map(|shown| {
		let [start, end] = characters(shown, text);
		json!({
			"contribution": shown.span.contribution,
			"record": shown.span.proof.leaf_index,
			"start": start,
			"end": end,
			"words": shown.span.words,
			"gain_micro": shown.span.gain_micro,
			"count": shown.count,
		})
	});
	json!({
		"evidence_root": show(*evidence_root),
		"shares": shares.collect::<Vec<_>>(),
		"spans": spans.collect::<Vec<_>>(),
	})
}

/// Where a span stands in the answer, in characters: the first, and the one behind the last.
fn characters(shown: &SpanEvidence, text: &str) -> [usize; 2] {
	let before = |byte: usize| text.get(..byte).map_or(0, |text| text.chars().count());
	[before(shown.answer_bytes.start), before(shown.answer_bytes.end)]
}

/// A span as OpenAI writes citations.
fn citation(shown: &SpanEvidence, text: &str) -> Value {
	let [start, end] = characters(shown, text);
	let (id, record) = (shown.span.contribution, shown.span.proof.leaf_index);
	let (datanet, index) = (id.datanet.0, id.index);
	json!({
		"type": "url_citation",
		"url_citation": {
			"start_index": start,
			"end_index": end,
			"title": format!("Datanet {datanet}, contribution {index}, record {record}"),
			"url": format!("openledger:datanet/{datanet}/contribution/{index}/record/{record}"),
		},
	})
}
