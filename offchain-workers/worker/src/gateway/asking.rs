//! Putting prompts to the engine, and what comes back.
//!
//! The engine's thread must never wait for a client, so what happens goes through a channel. That of a
//! stream holds [`WAITING_EVENTS`]: a client that leaves more unread is cut off. That is some megabytes
//! at most, and as many tokens of patience with a slow network, besides what the system holds for the
//! connection. An answer that is sent as a whole is in memory as a whole, so its channel holds all of
//! it. Dropping a [`Running`] cancels what it asked for.

use super::{
	callers::Caller,
	error::OpenAiError,
	json_mode::AnswerFormat,
	ledger::{Charge, Tokens},
	request::Options,
	serving::Asked,
	Gateway, ANSWER_PATIENCE, STREAM_PATIENCE,
};
use openledger_engine::{
	serving::{Alternative, Answer, Constraint, Event, Request, ScoredToken, Sink, Ticket},
	FinishReason, Sampling,
};
use openledger_primitives::{content::content_hash, H256};
use std::{
	ops::ControlFlow,
	sync::{
		atomic::{AtomicBool, Ordering},
		Arc,
	},
	time::Instant,
};
use tokio::sync::{
	mpsc::{self, error::TrySendError},
	Semaphore,
};
use tokio_util::sync::CancellationToken;

/// Prompts of one request.
pub const MAX_PROMPTS: usize = 128;
/// Answers of one request, over all its prompts.
pub const MAX_ANSWERS: usize = 128;
/// Events of one request that wait to be sent.
const WAITING_EVENTS: usize = 4_096;
/// Events of an answer besides its tokens: the prompt was read, and the end.
const OTHER_EVENTS: usize = 2;

/// What the model reads.
#[derive(Clone, Debug)]
pub struct Prompt {
	/// The tokens.
	pub tokens: Vec<u32>,
	/// Content hash of the text, or of the token ids in four little-endian bytes each when the
	/// client sent ids.
	pub hash: H256,
	/// The text, when the client sent one.
	pub text: Option<String>,
}

impl Prompt {
	/// From a text and its tokens.
	pub fn of_text(text: String, tokens: Vec<u32>) -> Self {
		Self { tokens, hash: content_hash(text.as_bytes()), text: Some(text) }
	}

	/// From token ids.
	pub fn of_tokens(tokens: Vec<u32>) -> Self {
		let bytes: Vec<u8> = tokens.iter().flat_map(|id| id.to_le_bytes()).collect();
		Self { tokens, hash: content_hash(&bytes), text: None }
	}
}

/// What is told beside the text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scoring {
	/// Log-probabilities of the answer's tokens, and so many alternatives to each.
	pub logprobs: Option<usize>,
	/// Log-probabilities of the prompt's tokens too.
	pub prompt: bool,
}

/// A token of an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
	/// The token.
	pub id: u32,
	/// `ln p`.
	pub logprob: f32,
	/// What it might have been.
	pub top: Vec<Alternative>,
}

/// A request under way: one or more answers to one or more prompts.
#[derive(Debug)]
pub struct Running {
	events: mpsc::Receiver<(usize, Event)>,
	tickets: Vec<Ticket>,
	unread: Arc<AtomicBool>,
	/// What it costs.
	pub charge: Arc<Charge>,
	/// Answers that have not ended.
	pub open: usize,
	/// The worker waits no longer.
	cut: CancellationToken,
	_caller: Caller,
}

impl Drop for Running {
	fn drop(&mut self) {
		self.tickets.iter().for_each(Ticket::cancel);
	}
}

/// An answer with everything that was told on its way.
#[derive(Debug)]
pub struct Outcome {
	/// The prompt's tokens, if they were asked for.
	pub scores: Vec<ScoredToken>,
	/// Tokens of the prompt that were not computed anew.
	pub cached_tokens: usize,
	/// The answer's tokens.
	pub told: Vec<Told>,
	/// The answer.
	pub answer: Answer,
}

/// Puts the prompts to the engine, each as often as answers are wanted. The answer at `index` is to
/// the prompt at `index / options.choices`.
///
/// # Errors
///
/// Nothing was asked then: the key may not spend as much, there is no room, or the schema is none.
pub async fn start(
	gateway: &Gateway,
	caller: Caller,
	asked: &Asked,
	options: &Options,
	prompts: &[Prompt],
	scoring: Scoring,
) -> Result<Running, OpenAiError> {
	let answers = prompts.len().saturating_mul(options.choices);
	if answers > MAX_ANSWERS {
		return Err(OpenAiError::field(
			"n",
			format!("{answers} answers are asked for, more than the {MAX_ANSWERS} of one request."),
		));
	}
	let constraint = constraint(&caller, asked, options).await?;
	let max_tokens = |prompt: &Prompt| {
		let room = asked.served.model().max_context().saturating_sub(prompt.tokens.len());
		options.max_tokens.unwrap_or(usize::MAX).min(room)
	};
	let sum = |of: &dyn Fn(&Prompt) -> usize| {
		prompts.iter().map(of).fold(0u32, |sum, tokens| sum.saturating_add(count(tokens)))
	};
	let most = Tokens {
		input: sum(&|prompt| prompt.tokens.len()),
		output: sum(&|prompt| max_tokens(prompt).saturating_mul(options.choices)),
	};
	let charge = gateway.ledger.reserve(caller.key.clone(), asked.prices(), most).await?;
	let all_events = (most.output as usize).saturating_add(answers.saturating_mul(OTHER_EVENTS));
	let capacity = if options.stream { WAITING_EVENTS } else { all_events };
	let (sender, events) = mpsc::channel(capacity.min(Semaphore::MAX_PERMITS));
	let mut running = Running {
		events,
		tickets: Vec::with_capacity(answers),
		unread: Arc::default(),
		charge: charge.clone(),
		open: answers,
		cut: gateway.cut.clone(),
		_caller: caller.clone(),
	};
	let patience = if options.stream { STREAM_PATIENCE } else { ANSWER_PATIENCE };
	let deadline = Instant::now() + patience;
	for (number, prompt) in prompts.iter().enumerate() {
		let is_charged = Arc::new(AtomicBool::new(false));
		for choice in 0..options.choices {
			let constraint = constraint.clone().map(|json| Box::new(json) as Box<dyn Constraint>);
			let request = Request {
				adapter: asked.adapter_key(),
				max_tokens: max_tokens(prompt),
				sampling: Sampling { request: choice as u64, ..options.sampling },
				stop_tokens: options.stop_tokens.clone(),
				ignore_eos: options.ignore_eos,
				stop_strings: options.stop.clone(),
				top_logprobs: scoring.logprobs.unwrap_or(0),
				score_prompt: scoring.prompt,
				base_logprobs: options.attribution && asked.span_index().is_some(),
				constraint: options.adjustments.around(constraint),
				deadline: Some(deadline),
				..Request::new(caller.tenant.clone(), prompt.tokens.clone(), 0)
			};
			let adapter = asked.adapter().map(|_| asked.name.as_str());
			let mut watch = gateway.metrics.watch(&asked.served.base.name, adapter);
			let index = number * options.choices + choice;
			let (sender, unread) = (sender.clone(), running.unread.clone());
			let (charge, is_charged) = (charge.clone(), is_charged.clone());
			let prompt_tokens = prompt.tokens.len();
			let sink: Sink = Box::new(move |event| {
				watch.see(&event, prompt_tokens);
				match &event {
					// A prompt with several answers is read, and paid, once.
					Event::Prompt { .. } if !is_charged.swap(true, Ordering::Relaxed) => {
						charge.read(count(prompt_tokens));
					},
					Event::Token { .. } => charge.wrote(),
					// As far as it was read, should the client have left meanwhile.
					Event::Finished(answer)
						if answer.read_tokens > 0 && !is_charged.swap(true, Ordering::Relaxed) =>
					{
						charge.read(count(answer.read_tokens));
					},
					_ => {},
				}
				match sender.try_send((index, event)) {
					Ok(()) => ControlFlow::Continue(()),
					Err(TrySendError::Closed(_)) => ControlFlow::Break(()),
					Err(TrySendError::Full(_)) => {
						unread.store(true, Ordering::Relaxed);
						ControlFlow::Break(())
					},
				}
			});
			running.tickets.push(asked.served.service.submit(request, sink)?);
		}
	}
	Ok(running)
}

/// What keeps the answers to a schema.
async fn constraint(
	caller: &Caller,
	asked: &Asked,
	options: &Options,
) -> Result<Option<super::json_mode::Json>, OpenAiError> {
	let AnswerFormat::Json(schema) = &options.format else { return Ok(None) };
	let (served, schema) = (asked.served.clone(), schema.clone());
	caller.compile(move || served.grammars.constraint(served.model(), &schema)).await.map(Some)
}

impl Running {
	/// What happens next, and to which answer; `None` when all answers have ended.
	pub async fn next(&mut self) -> Result<Option<(usize, Event)>, OpenAiError> {
		if self.open == 0 {
			return Ok(None);
		}
		let next = tokio::select! {
			next = self.events.recv() => next,
			() = self.cut.cancelled() => return Err(OpenAiError::stopping()),
		};
		let (index, event) = match next {
			Some(next) => next,
			None if self.unread.load(Ordering::Relaxed) => {
				return Err(OpenAiError::too_slow_reader());
			},
			None => {
				tracing::error!("the engine dropped a request without an end");
				return Err(OpenAiError::broken());
			},
		};
		match event {
			Event::Failed(failed) => Err(failed.into()),
			// Nobody but a worker that stops cancels what is being waited for.
			Event::Finished(Answer { finish_reason: FinishReason::Cancelled, .. }) => {
				Err(OpenAiError::stopping())
			},
			event => {
				if matches!(event, Event::Finished(_)) {
					self.open -= 1;
				}
				Ok(Some((index, event)))
			},
		}
	}

	/// Waits for all answers, in their order.
	pub async fn finish(&mut self) -> Result<Vec<Outcome>, OpenAiError> {
		#[derive(Default)]
		struct Partial {
			scores: Vec<ScoredToken>,
			cached_tokens: usize,
			told: Vec<Told>,
			answer: Option<Answer>,
		}
		let mut partial: Vec<Partial> = Vec::new();
		partial.resize_with(self.open, Partial::default);
		while let Some((index, event)) = self.next().await? {
			let Some(partial) = partial.get_mut(index) else { continue };
			match event {
				Event::Prompt { cached_tokens, scores } => {
					(partial.cached_tokens, partial.scores) = (cached_tokens, scores);
				},
				Event::Token { id, logprob, top, .. } => {
					partial.told.push(Told { id, logprob, top })
				},
				Event::Finished(answer) => partial.answer = Some(answer),
				Event::Failed(_) => {},
			}
		}
		let whole = |partial: Partial| {
			let Partial { scores, cached_tokens, told, answer } = partial;
			Some(Outcome { scores, cached_tokens, told, answer: answer? })
		};
		partial.into_iter().map(whole).collect::<Option<_>>().ok_or_else(OpenAiError::broken)
	}
}

/// A number of tokens: far below 2^32, for contexts have some hundred thousand.
pub fn count(tokens: usize) -> u32 {
	u32::try_from(tokens).unwrap_or(u32::MAX)
}
