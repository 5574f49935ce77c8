//! The text of an answer while it grows: stop strings, and what may be told already.

use crate::{
	generate::{FinishReason, GeneratedToken},
	text::TextBuilder,
};

/// An answer while it grows.
#[derive(Debug)]
pub(crate) struct GrowingAnswer {
	stops: Vec<String>,
	text: TextBuilder,
	/// Id and log-probability.
	tokens: Vec<(u32, f32)>,
	/// Bytes of the text handed to the caller.
	sent: usize,
	/// Where a stop string begins.
	cut: Option<usize>,
}

/// An answer that is complete.
#[derive(Debug)]
pub(crate) struct GrownAnswer {
	pub(crate) text: String,
	pub(crate) tokens: Vec<GeneratedToken>,
}

impl GrowingAnswer {
	pub(crate) fn new(stops: Vec<String>) -> Self {
		Self { stops, text: TextBuilder::default(), tokens: Vec::new(), sent: 0, cut: None }
	}

	/// Tokens so far.
	pub(crate) fn len(&self) -> usize {
		self.tokens.len()
	}

	/// Ids of the tokens so far.
	pub(crate) fn ids(&self) -> impl Iterator<Item = u32> + '_ {
		self.tokens.iter().map(|token| token.0)
	}

	/// Adds a token; returns the end that it brought about, if it completed a stop string, the
	/// earliest in the text.
	pub(crate) fn push(&mut self, id: u32, logprob: f32, bytes: &[u8]) -> Option<FinishReason> {
		self.tokens.push((id, logprob));
		self.text.push(bytes);
		// A stop string cannot begin in what was sent: that was held back.
		let unsent = self.text.text().get(self.sent..).unwrap_or_default();
		let found = self
			.stops
			.iter()
			.filter_map(|stop| unsent.find(stop.as_str()).map(|at| (at, stop)))
			.min_by_key(|(at, _)| *at);
		let (at, stop) = found?;
		self.cut = Some(self.sent + at);
		Some(FinishReason::StopString(stop.clone()))
	}

	/// Text that was not handed out yet and cannot become part of a stop string.
	pub(crate) fn certain(&mut self) -> &str {
		let text = self.text.text();
		let end = self.cut.unwrap_or_else(|| text.len() - self.possible_stop(text));
		let start = self.sent;
		self.sent = end.max(start);
		text.get(start..self.sent).unwrap_or_default()
	}

	/// Length of the longest end of the text that is the beginning of a stop string.
	fn possible_stop(&self, text: &str) -> usize {
		let unsent = text.get(self.sent..).unwrap_or_default();
		let longest = |stop: &String| {
			(1..stop.len())
				.rev()
				.find(|length| stop.get(..*length).is_some_and(|start| unsent.ends_with(start)))
		};
		self.stops.iter().filter_map(longest).max().unwrap_or(0)
	}

	/// The answer, with the base model's log-probabilities where there are any.
	pub(crate) fn finish(self, base_logprobs: &[f32]) -> GrownAnswer {
		let mut decoded = self.text.finish();
		let length = self.cut.unwrap_or(decoded.text.len());
		decoded.text.truncate(length);
		let tokens = self
			.tokens
			.into_iter()
			.zip(decoded.ranges)
			.enumerate()
			.map(|(index, ((id, logprob), range))| GeneratedToken {
				id,
				text_range: range.start.min(length)..range.end.min(length),
				logprob,
				base_logprob: base_logprobs.get(index).copied(),
			})
			.collect();
		GrownAnswer { text: decoded.text, tokens }
	}
}
