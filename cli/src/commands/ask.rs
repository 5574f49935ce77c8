//! Asking a model: the request, the wait, and the answer with who was paid.

use std::time::Duration;

use super::{answer, missing, Session};
use crate::{
	amount::Amount,
	arguments::Ask,
	chain::{
		inference::{Content, InferenceRequested, Question, RequestPhase},
		Chain,
	},
	error::{Error, Result},
};

/// How often the chain is asked.
const POLL_INTERVAL: Duration = Duration::from_millis(500);

/// Tokens that a chat's form adds to a prompt, generously.
const TEMPLATE_TOKENS: u32 = 128;

/// The longest prompt that is handed to a worker.
const MAX_PROMPT_BYTES: usize = 1 << 20;

/// How many blocks after the last one for the answer a request is waited for: the chain gives it up
/// when a block has room.
const PATIENCE_BLOCKS: u64 = 20;

pub(super) async fn run(session: &Session, arguments: Ask) -> Result<()> {
	let bytes = arguments.question.len();
	if bytes == 0 || bytes > MAX_PROMPT_BYTES {
		return Err(Error::usage(format!("a question has 1 to {MAX_PROMPT_BYTES} bytes")));
	}
	let max_input_tokens = match arguments.max_input_tokens {
		Some(tokens) => tokens,
		// No tokenizer makes more tokens than there are bytes.
		None => u32::try_from(bytes).unwrap_or(u32::MAX).saturating_add(TEMPLATE_TOKENS),
	};
	let (chain, key) = session.signer().await?;
	let model = arguments.model;
	let quote = quote(&chain, model, max_input_tokens, arguments.max_tokens).await?;
	let max_fee = arguments.max_fee.unwrap_or(quote);
	if quote > max_fee {
		return Err(Error::Refused {
			name: "Inference.FeeExceedsMaximum".into(),
			meaning: format!("so many tokens can cost {quote}, more than --max-fee {max_fee}"),
			hint: Some(
				"raise --max-fee, or ask for fewer tokens with --max-tokens or --max-input-tokens"
					.into(),
			),
		});
	}
	let prompt = Content::of_prompt(&arguments.question, arguments.private);
	let worker = session.worker()?;
	if matches!(prompt, Content::Hash(_)) {
		worker.put_blob(arguments.question.into_bytes()).await?;
	}
	let step = session.output.step(format!("asking model {model}, holding {quote}"));
	let question = Question {
		model,
		prompt,
		max_input_tokens,
		max_output_tokens: arguments.max_tokens,
		max_fee: max_fee.planks,
	};
	let asked = chain.request_inference(&key, &question).await?;
	step.message(format!("request {}: {} answers", asked.request, asked.worker));
	if !session.output.draws() {
		session.output.note(format!("request {}: {} answers", asked.request, asked.worker));
	}
	wait(&chain, &asked).await?;
	drop(step);
	answer::show(session, &chain, &worker, asked.request).await
}

async fn quote(chain: &Chain, model: u32, input: u32, output: u32) -> Result<Amount> {
	if let Some(planks) = chain.inference_quote(model, input, output).await? {
		return Ok(Amount::from_planks(planks));
	}
	match chain.model(model).await? {
		None => Err(missing(format!("there is no model {model}"))),
		Some(shown) => Err(Error::Refused {
			name: "Inference.ModelNotServed".into(),
			meaning: format!("model {model} is {}", shown.status),
			hint: Some(format!("its owner publishes it with `openledger model publish {model}`")),
		}),
	}
}

/// Waits until the request has ended.
async fn wait(chain: &Chain, asked: &InferenceRequested) -> Result<()> {
	let request = asked.request;
	let last_block = u64::from(asked.answer_by).saturating_add(PATIENCE_BLOCKS);
	loop {
		match chain.inference_request(request).await?.map(|request| request.phase) {
			Some(RequestPhase::Answered(_)) => return Ok(()),
			Some(phase @ (RequestPhase::TimedOut { .. } | RequestPhase::Failed { .. })) => {
				return Err(answer::unanswered(request, &phase));
			},
			// Right after its block became final or the best the node may still look at the one before.
			Some(RequestPhase::Assigned(_)) | None => {},
		}
		if chain.height().await? > last_block {
			return Err(Error::NotDone {
				what: format!("request {request} was not answered in time"),
				hint: Some(format!("see what became of it with `openledger explain {request}`")),
			});
		}
		tokio::time::sleep(POLL_INTERVAL).await;
	}
}

#[cfg(test)]
mod tests {
	use super::*;
	use openledger_primitives::content::{content_hash, MAX_CONTENT_BYTES};

	#[test]
	fn private_and_long_prompts_go_by_their_hash() {
		let hash = |prompt: &str| Content::Hash(content_hash(prompt.as_bytes()));
		assert_eq!(Content::of_prompt("Hm?", false), Content::Bytes(b"Hm?".to_vec()));
		assert_eq!(Content::of_prompt("Hm?", true), hash("Hm?"));
		let long = "x".repeat(MAX_CONTENT_BYTES as usize + 1);
		assert_eq!(Content::of_prompt(&long, false), hash(&long));
	}
}
