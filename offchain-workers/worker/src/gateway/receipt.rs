//! What an answer of ours says beside OpenAI's fields: a receipt, and on whose words it stands.

use super::{asking::Prompt, serving::Asked, Gateway};
use crate::{
	hexadecimal::show,
	indexes::LoadedIndex,
	inference::{self, mode, mode_name},
};
use openledger_attribution::{Attribution, SpanEvidence};
use openledger_engine::serving::Answer;
use openledger_primitives::content::content_hash;
use serde_json::{json, Value};
use std::{sync::Arc, time::Duration};
use tokio::time::timeout;

/// The longest time for which the end of an answer waits for its attribution: an index over a hundred
/// million words is built in less. It goes on being built, for the answers that come later.
const PATIENCE: Duration = Duration::from_secs(120);

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

/// Attributes an answer, unless that takes too long or the worker waits no longer.
async fn attribute(
	gateway: &Arc<Gateway>,
	asked: &Asked,
	answer: &Answer,
) -> Result<(Attribution, String), String> {
	tokio::select! {
		attributed = timeout(PATIENCE, search(gateway, asked, answer)) => {
			attributed.map_err(|_| format!("it took more than {} s", PATIENCE.as_secs()))?
		},
		() = gateway.cut.cancelled() => Err("the worker is stopping".into()),
	}
}

async fn search(
	gateway: &Arc<Gateway>,
	asked: &Asked,
	answer: &Answer,
) -> Result<(Attribution, String), String> {
	let (Some(adapter), Some(root)) = (asked.adapter(), asked.span_index()) else {
		return Err("the model has no span index".into());
	};
	let turn = Turn::wait(gateway).await?;
	let base = asked.served.base.hashes;
	let Answer { text, tokens, .. } = answer.clone();
	let searching = tokio::task::spawn_blocking(move || {
		let index = turn.0.context.models.index_of(base, adapter, root);
		let (index, _): LoadedIndex = index.map_err(|stopped| stopped.to_string())?;
		let attribution = inference::attributed(&index, &text, &tokens);
		attribution.map(|it| (it, text)).map_err(|failure| failure.to_string())
	});
	searching.await.map_err(|_| "attribution failed")?
}

/// One of the attributions that may go on at a time. Whoever searches has it, and not who waits for
/// that: when a client goes away, its search goes on to its end all the same.
struct Turn(Arc<Gateway>);

impl Turn {
	async fn wait(gateway: &Arc<Gateway>) -> Result<Self, String> {
		let permit = gateway.attributions.acquire().await.map_err(|_| "the worker is stopping")?;
		permit.forget();
		Ok(Self(gateway.clone()))
	}
}

impl Drop for Turn {
	fn drop(&mut self) {
		self.0.attributions.add_permits(1);
	}
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
