//! Answering a request: prompt, generation, attribution.

use crate::{
	compute::Context,
	events::{Event, EventLog},
	evidence::Evidence,
	failure::{Failure, Stopped},
	job::Ticket,
	models::Answering,
	sources,
};
use openledger_attribution::{attribute, Attribution, SpanIndex, TokenGain};
use openledger_engine::{
	ChatError, ChatMessage, FinishReason, GenerateOptions, GeneratedToken, Generation, Model,
	TokenEvent,
};
use openledger_primitives::{
	content::{content_hash, Content, ContentBytes},
	receipt::{ExecutionMode, InferenceReceipt},
	worker_api::{InferenceAnswer, InferenceOrder, Report},
};
use openledger_store::Store;

/// Answers a request.
pub fn answer(
	context: &Context,
	ticket: &Ticket,
	order: &InferenceOrder,
	log: &mut EventLog,
) -> Result<Report, Stopped> {
	let prompt = read_prompt(&context.store, &order.prompt)?;
	let answering = context.models.answering(order)?;
	let tokens = prompt_tokens(&answering.base, &prompt, order.max_input_tokens)?;
	context.board.started(ticket);
	let generation = generate(context, ticket, order, &answering, &tokens, log)?;
	let answer = finish(context, order, &answering, generation)?;
	context.metrics.input_tokens.inc_by(answer.receipt.input_tokens.into());
	context.metrics.output_tokens.inc_by(answer.receipt.output_tokens.into());
	tracing::info!(
		input_tokens = answer.receipt.input_tokens,
		output_tokens = answer.receipt.output_tokens,
		spans = answer.claim.spans.len(),
		contributions = answer.claim.shares.len(),
		"answered"
	);
	Ok(Report::Answered(answer))
}

fn read_prompt(store: &Store, prompt: &Content) -> Result<String, Stopped> {
	let bytes = match prompt {
		Content::Bytes(bytes) => bytes.to_vec(),
		Content::Hash(hash) => sources::fetch(store, *hash, Failure::PromptMissing)?,
	};
	Ok(String::from_utf8(bytes).map_err(|_| Failure::PromptNotText)?)
}

/// The prompt as the user's only message in the base model's chat template. What the template adds
/// counts as tokens of prompt: the model reads it.
fn prompt_tokens(model: &Model, prompt: &str, paid: u32) -> Result<Vec<u32>, Failure> {
	let template = model.chat().ok_or(Failure::NoChatTemplate)?;
	// At least one token of answer has to fit behind it.
	let readable = model.max_context().saturating_sub(1);
	let allowed = usize::try_from(paid).unwrap_or(usize::MAX).min(readable);
	let text = match template.render(&[ChatMessage::new("user", prompt)], true) {
		// More bytes than a context could ever hold are more tokens too.
		Err(ChatError::TooLong { bytes }) => {
			return Err(Failure::PromptTooLong { tokens: bytes, allowed });
		},
		text => text?,
	};
	let tokens = model.tokenizer().encode(&text, false)?;
	if tokens.len() > allowed {
		return Err(Failure::PromptTooLong { tokens: tokens.len(), allowed });
	}
	Ok(tokens)
}

fn generate(
	context: &Context,
	ticket: &Ticket,
	order: &InferenceOrder,
	answering: &Answering,
	prompt: &[u32],
	log: &mut EventLog,
) -> Result<Generation, Stopped> {
	let max_tokens = usize::try_from(order.max_output_tokens).unwrap_or(usize::MAX);
	if max_tokens == 0 {
		// The chain takes no such request; the answer is empty.
		return Ok(Generation {
			text: String::new(),
			tokens: Vec::new(),
			prompt_tokens: prompt.len(),
			finish_reason: FinishReason::Length,
		});
	}
	let options = GenerateOptions {
		max_tokens,
		base_logprobs: true,
		cancel: ticket.cancelled.clone(),
		..GenerateOptions::default()
	};
	let mut written = 0u64;
	let mut told = 0;
	let mut on_token = |event: TokenEvent<'_>| {
		written += 1;
		told += event.text.len();
		// The last thousandth is for attribution.
		let permille = written * 999 / (max_tokens as u64).max(1);
		context.board.progress(ticket, u16::try_from(permille).unwrap_or(999));
		if !event.text.is_empty() {
			log.tell(&Event::Token { text: event.text.into() });
		}
	};
	let generation = answering
		.base
		.generate(prompt, Some(&answering.adapter.adapter), &options, &mut on_token)
		.map_err(Failure::Generation)?;
	if generation.finish_reason == FinishReason::Cancelled {
		return Err(Stopped::Cancelled);
	}
	if let Some(text) = generation.text.get(told..).filter(|text| !text.is_empty()) {
		log.tell(&Event::Token { text: text.into() });
	}
	Ok(generation)
}

/// Attributes the answer, keeps it and its evidence, and writes receipt and claim.
fn finish(
	context: &Context,
	order: &InferenceOrder,
	answering: &Answering,
	generation: Generation,
) -> Result<InferenceAnswer, Stopped> {
	let Generation { text, tokens, prompt_tokens, .. } = generation;
	let attributed = attributed(&answering.index, &text, &tokens)?;
	let answer_hash = content_hash(text.as_bytes());
	let claim = attributed.claim(order.request, order.model, answer_hash);
	claim.check().map_err(|fault| Failure::Attribution(format!("{fault:?}")))?;

	let evidence = Evidence::new(&text, answer_hash, &attributed, &answering.sources);
	context.evidence.keep(claim.evidence_root, answer_hash, &evidence)?;
	// Special tokens alone are no answer, and the chain takes no tokens without one.
	let output_tokens = if text.is_empty() { 0 } else { count(tokens.len()) };
	let answer = match ContentBytes::try_from(text.into_bytes()) {
		Ok(bytes) => Content::Bytes(bytes),
		Err(bytes) => Content::Hash(context.store.put(&bytes)?),
	};
	let receipt = InferenceReceipt {
		request: order.request,
		model: order.model,
		prompt_hash: order.prompt.hash(),
		answer_hash,
		input_tokens: count(prompt_tokens),
		output_tokens,
		mode: ExecutionMode::Fast,
	};
	Ok(InferenceAnswer { receipt, answer, claim })
}

/// Attributes an answer. Tokens that were not scored under the bare base model gained nothing.
pub fn attributed(
	index: &SpanIndex,
	text: &str,
	tokens: &[GeneratedToken],
) -> Result<Attribution, Failure> {
	let gains: Vec<TokenGain> = tokens.iter().map(gain).collect();
	attribute(index, text, &gains).map_err(|error| Failure::Attribution(error.to_string()))
}

fn gain(token: &GeneratedToken) -> TokenGain {
	let base = token.base_logprob.unwrap_or(token.logprob);
	TokenGain { range: token.text_range.clone(), gain_nats: token.logprob - base }
}

fn count(tokens: usize) -> u32 {
	// A context has at most some hundred thousand.
	u32::try_from(tokens).unwrap_or(u32::MAX)
}
