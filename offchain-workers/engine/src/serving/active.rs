//! A request under way: what was asked, what is there of the answer, and who listens.

use std::ops::ControlFlow;

use crate::{
	generate::FinishReason,
	growing_answer::{GrowingAnswer, GrownAnswer},
	sampling::Sampling,
	serving::{
		request::{AdapterKey, Answer, Constraint, Event, Failed, Request, ScoredToken, Tenant},
		sampler::{Scored, Wanted},
		scheduler::{Entry, SequenceId},
		service::Sink,
	},
	tokenizer::Tokenizer,
};

/// A request under way.
pub(super) struct Active {
	sink: Sink,
	/// Whoever listened went away.
	deserted: bool,
	tenant: Tenant,
	deadline_ms: Option<u64>,
	prompt: Vec<u32>,
	max_tokens: usize,
	sampling: Sampling,
	stop_tokens: Vec<u32>,
	pub(super) alternatives: usize,
	score_prompt: bool,
	/// The answer is to be scored under the bare base model.
	base_logprobs: bool,
	constraint: Option<Box<dyn Constraint>>,
	/// Tokens of the prompt that came from the cache, and its scores so far; gone once told.
	reading: Option<Reading>,
	phase: Phase,
}

#[derive(Default)]
struct Reading {
	cached_tokens: usize,
	scores: Vec<ScoredToken>,
}

enum Phase {
	Answering(GrowingAnswer),
	/// The answer is complete and is scored under the base model.
	Scoring {
		answer: GrowingAnswer,
		reason: FinishReason,
		scores: Vec<f32>,
	},
}

/// What comes after a row of logits was read.
pub(super) enum Next {
	/// This token was added; another row is awaited.
	Continue(u32),
	/// More of the known tokens' rows are awaited.
	Known,
	/// The answer is complete.
	Complete(FinishReason),
}

impl Active {
	/// A request that was checked. `max_tokens` fits into the context.
	pub(super) fn new(
		request: Request,
		max_tokens: usize,
		deadline_ms: Option<u64>,
		end_tokens: &[u32],
		sink: Sink,
	) -> Self {
		let mut stop_tokens = request.stop_tokens;
		if !request.ignore_eos {
			stop_tokens.extend(end_tokens);
		}
		Self {
			sink,
			deserted: false,
			tenant: request.tenant,
			deadline_ms,
			prompt: request.prompt,
			max_tokens,
			sampling: request.sampling,
			stop_tokens,
			alternatives: request.top_logprobs,
			score_prompt: request.score_prompt,
			base_logprobs: request.base_logprobs && request.adapter.is_some(),
			constraint: request.constraint,
			reading: Some(Reading::default()),
			phase: Phase::Answering(GrowingAnswer::new(request.stop_strings)),
		}
	}

	/// The sequence that reads the prompt and answers.
	pub(super) fn entry(&self, id: SequenceId, adapter: Option<AdapterKey>) -> Entry {
		Entry {
			id,
			tenant: self.tenant.clone(),
			adapter,
			prompt: self.prompt.clone(),
			max_tokens: self.max_tokens,
			logits_from: if self.score_prompt { 0 } else { self.prompt.len().saturating_sub(1) },
			deadline_ms: self.deadline_ms,
		}
	}

	/// The sequence runs, and so many of its tokens come from the cache.
	pub(super) fn admitted(&mut self, cached_tokens: usize) {
		if let Some(reading) = &mut self.reading {
			reading.cached_tokens = cached_tokens;
		}
	}

	/// What is wanted of the row at `position`, where `known` comes next, if anything is known to.
	pub(super) fn wanted(&mut self, position: usize, known: Option<u32>) -> Wanted {
		match (&self.phase, known) {
			(Phase::Answering(_), Some(next)) if self.score_prompt => Wanted::Score(next),
			(Phase::Answering(_), None) if self.max_tokens > 0 => Wanted::Sample {
				sampling: self.sampling,
				position: position as u64 + 1,
				constraint: self.constraint.take(),
			},
			(Phase::Scoring { answer, .. }, _) => {
				let next = (position + 1).checked_sub(self.prompt.len());
				next.and_then(|next| answer.ids().nth(next)).map_or(Wanted::Nothing, Wanted::Score)
			},
			_ => Wanted::Nothing,
		}
	}

	/// Takes what a row gave; `wanted` as it was asked for.
	pub(super) fn take(
		&mut self,
		wanted: Wanted,
		scored: Option<Scored>,
		tokenizer: &Tokenizer,
	) -> Next {
		let is_sample = matches!(wanted, Wanted::Sample { .. });
		if let Wanted::Sample { constraint, .. } = wanted {
			self.constraint = constraint;
		}
		let Some(Scored { id, logprob, top }) = scored else { return Next::Known };
		let answer = match &mut self.phase {
			Phase::Scoring { scores, .. } => {
				scores.push(logprob);
				return Next::Known;
			},
			Phase::Answering(_) if !is_sample => {
				if let Some(reading) = &mut self.reading {
					reading.scores.push(ScoredToken { id, logprob: Some(logprob), top });
				}
				return Next::Known;
			},
			Phase::Answering(answer) => answer,
		};
		if self.stop_tokens.contains(&id) {
			return Next::Complete(FinishReason::StopToken(id));
		}
		// Rows of a padded embedding beyond the tokenizer's vocabulary stand for no text.
		let bytes = tokenizer.text_bytes(id).unwrap_or_default();
		let stop = answer.push(id, logprob, bytes);
		let text = answer.certain().to_owned();
		let is_full = answer.len() >= self.max_tokens;
		self.tell(Event::Token { id, text, logprob, top });
		match stop {
			Some(reason) => Next::Complete(reason),
			None if is_full => Next::Complete(FinishReason::Length),
			None => Next::Continue(id),
		}
	}

	/// The whole prompt was read.
	pub(super) fn prompt_read(&mut self) {
		let Some(Reading { cached_tokens, mut scores }) = self.reading.take() else { return };
		if self.score_prompt {
			// Nothing stands before the first token.
			let first = self.prompt.first().copied().unwrap_or_default();
			scores.insert(0, ScoredToken { id: first, logprob: None, top: Vec::new() });
		}
		self.tell(Event::Prompt { cached_tokens, scores });
	}

	/// Nothing is generated, only scored.
	pub(super) fn is_scoring_only(&self) -> bool {
		self.max_tokens == 0
	}

	/// The answer is being scored under the base model.
	pub(super) fn is_scoring_base(&self) -> bool {
		matches!(self.phase, Phase::Scoring { .. })
	}

	/// The sequence that scores a complete answer under the base model, if that is wanted.
	pub(super) fn begin_scoring(&mut self, id: SequenceId, reason: &FinishReason) -> Option<Entry> {
		let Phase::Answering(answer) = &mut self.phase else { return None };
		if !self.base_logprobs || answer.len() == 0 || *reason == FinishReason::Cancelled {
			return None;
		}
		let mut tokens = self.prompt.clone();
		tokens.extend(answer.ids());
		// The last token is predicted, but predicts nothing.
		tokens.pop();
		let answer = std::mem::replace(answer, GrowingAnswer::new(Vec::new()));
		self.phase = Phase::Scoring { answer, reason: reason.clone(), scores: Vec::new() };
		Some(Entry {
			id,
			adapter: None,
			prompt: tokens,
			max_tokens: 0,
			logits_from: self.prompt.len() - 1,
			tenant: self.tenant.clone(),
			deadline_ms: self.deadline_ms,
		})
	}

	/// Whoever listened went away.
	pub(super) fn is_deserted(&self) -> bool {
		self.deserted
	}

	/// Tells the answer.
	pub(super) fn finish(self, reason: FinishReason) {
		let read_tokens = self.prompt.len();
		self.end(reason, read_tokens);
	}

	/// Tells what there is of the answer. So many positions have been computed.
	pub(super) fn cancel(self, computed: usize) {
		let length = self.prompt.len();
		let read_tokens = if self.reading.is_some() { computed.min(length) } else { length };
		self.end(FinishReason::Cancelled, read_tokens);
	}

	/// `reason` counts unless the answer was complete before.
	fn end(mut self, reason: FinishReason, read_tokens: usize) {
		let prompt_tokens = self.prompt.len();
		let phase =
			std::mem::replace(&mut self.phase, Phase::Answering(GrowingAnswer::new(Vec::new())));
		let (answer, finish_reason, scores) = match phase {
			Phase::Answering(answer) => (answer, reason, Vec::new()),
			Phase::Scoring { answer, reason, scores } => (answer, reason, scores),
		};
		let GrownAnswer { text, tokens } = answer.finish(&scores);
		let answer = Answer { text, tokens, prompt_tokens, read_tokens, finish_reason };
		self.tell(Event::Finished(answer));
	}

	/// Tells that there is no answer.
	pub(super) fn fail(mut self, failed: Failed) {
		self.tell(Event::Failed(failed));
	}

	fn tell(&mut self, event: Event) {
		if !self.deserted && (self.sink)(event) == ControlFlow::Break(()) {
			self.deserted = true;
		}
	}
}

#[cfg(test)]
mod tests {
	use super::*;
	use std::sync::mpsc::{channel, Receiver};

	fn active() -> (Active, Receiver<Event>) {
		let (sender, events) = channel();
		let sink = Box::new(move |event| {
			sender.send(event).unwrap();
			ControlFlow::Continue(())
		});
		let request = Request::new(Tenant("alice".into()), vec![1; 100], 5);
		(Active::new(request, 5, None, &[], sink), events)
	}

	#[test]
	fn cancelled_request_should_tell_how_much_of_its_prompt_was_read() {
		let (reading, events) = active();
		reading.cancel(48);
		let (mut read, later_events) = active();
		read.prompt_read();
		read.cancel(103);
		let mut answers =
			events.iter().chain(later_events.iter()).filter_map(|event| match event {
				Event::Finished(answer) => Some((answer.read_tokens, answer.finish_reason)),
				_ => None,
			});
		assert_eq!(answers.next(), Some((48, FinishReason::Cancelled)));
		assert_eq!(answers.next(), Some((100, FinishReason::Cancelled)));
	}
}
