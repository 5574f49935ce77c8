//! Answering a request: prompt, generation, attribution.

use crate::{
	compute::Context,
	events::EventLog,
	evidence::Evidence,
	failure::{Failure, Stopped},
	generation::generate,
	job::Ticket,
	models::Answering,
	sources,
};
use openledger_attribution::{attribute, Attribution, SpanIndex, TokenGain};
use openledger_engine::{
	serving::{Answer, Precision, ServingModel},
	ChatError, ChatMessage, GeneratedToken,
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
	let tokens = prompt_tokens(answering.service.model(), &prompt, order.max_input_tokens)?;
	context.board.started(ticket);
	let generated = generate(context, ticket, order, &answering, &tokens, log)?;
	let answer = finish(context, order, &answering, generated)?;
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
fn prompt_tokens(model: &ServingModel, prompt: &str, paid: u32) -> Result<Vec<u32>, Failure> {
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

/// Attributes the answer, keeps it and its evidence, and writes receipt and claim.
fn finish(
	context: &Context,
	order: &InferenceOrder,
	answering: &Answering,
	generated: Answer,
) -> Result<InferenceAnswer, Stopped> {
	let Answer { text, tokens, prompt_tokens, .. } = generated;
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
		mode: mode(answering.service.model().precision()),
	};
	Ok(InferenceAnswer { receipt, answer, claim })
}

/// What the receipt says about how the answer was computed. On CPUs it never depends on what else is in the
/// batch, so that another machine of the same kind gets the same bytes.
pub fn mode(precision: Precision) -> ExecutionMode {
	match precision {
		Precision::F32 => ExecutionMode::Deterministic,
		Precision::Bf16 => ExecutionMode::DeterministicBf16,
	}
}

/// Its name in JSON.
pub fn mode_name(mode: ExecutionMode) -> &'static str {
	match mode {
		ExecutionMode::Fast => "fast",
		ExecutionMode::Deterministic => "deterministic",
		ExecutionMode::DeterministicBf16 => "deterministic-bf16",
	}
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
