//! What the adapter gained on the tokens of an answer.

use crate::AttributionError;
use std::ops::Range;

/// Millionths of a nat in a nat.
const MICRO: f64 = 1_000_000.0;

/// What the adapter gained on one token.
#[derive(Clone, PartialEq, Debug)]
pub struct TokenGain {
	/// The token's bytes in the answer. They need not begin or end where characters do; a token that
	/// is nothing on its own has an empty range.
	pub range: Range<usize>,
	/// The token's log-probability with the adapter minus that without, in nats.
	pub gain_nats: f32,
}

/// The gains of an answer's tokens, ready to be summed over any bytes.
pub(crate) struct Gains {
	/// In the order of the answer, none beginning before the one before it ends.
	tokens: Vec<Range<usize>>,
	/// Element `i` is the sum over the tokens before `i`, in millionths of a nat.
	sums: Vec<u64>,
}

impl Gains {
	/// Checks the tokens of an answer of this many bytes and rounds each gain to millionths of a
	/// nat, half away from zero; a loss is a gain of 0. From here on all arithmetic is in integers.
	pub(crate) fn new(tokens: &[TokenGain], answer_bytes: usize) -> Result<Self, AttributionError> {
		let mut sums = vec![0u64];
		let mut free_from = 0;
		let mut sum = 0u64;
		for (place, token) in tokens.iter().enumerate() {
			let Range { start, end } = token.range;
			if start > end || end > answer_bytes {
				return Err(AttributionError::TokenOutsideAnswer { token: place });
			}
			if start < free_from {
				return Err(AttributionError::TokensOverlap { token: place });
			}
			if !token.gain_nats.is_finite() {
				return Err(AttributionError::GainNotFinite { token: place });
			}
			free_from = end;
			let micro = (f64::from(token.gain_nats.max(0.0)) * MICRO).round();
			// The conversion saturates: above 4,294 nats, far beyond any log-probability. The sum of
			// fewer than 2^32 such tokens fits.
			sum = sum.saturating_add(u64::from(micro as u32));
			sums.push(sum);
		}
		Ok(Self { tokens: tokens.iter().map(|token| token.range.clone()).collect(), sums })
	}

	/// The gain on these bytes, in millionths of a nat. A token of which only a part lies in them
	/// counts in proportion to its bytes there, rounded down; so what is outside of spans that do not
	/// overlap is never counted, and nothing twice.
	pub(crate) fn of(&self, bytes: &Range<usize>) -> u64 {
		let first = self.tokens.partition_point(|token| token.start < bytes.start);
		let last = self.tokens.partition_point(|token| token.start < bytes.end);
		// As the tokens do not overlap, only the one before the first can reach into the bytes, and
		// only the last can reach out of them.
		let before = first.checked_sub(1).map_or(0, |token| self.part(token, bytes));
		let inside = match last.checked_sub(1).filter(|token| *token >= first) {
			Some(token) => self.sum(first, token) + self.part(token, bytes),
			None => 0,
		};
		before + inside
	}

	/// What these bytes have of one token's gain.
	fn part(&self, token: usize, bytes: &Range<usize>) -> u64 {
		let Some(range) = self.tokens.get(token) else {
			return 0;
		};
		let gain = self.sum(token, token + 1);
		if range.is_empty() {
			return if bytes.contains(&range.start) { gain } else { 0 };
		}
		let end = range.end.min(bytes.end);
		let inside = end.saturating_sub(range.start.max(bytes.start));
		// Less than 2^32 times the number of bytes, divided by no smaller a number.
		(u128::from(gain) * inside as u128 / range.len() as u128) as u64
	}

	/// The gains of the tokens from `first` to before `last`.
	fn sum(&self, first: usize, last: usize) -> u64 {
		self.sums[last] - self.sums[first]
	}
}
