//! Choosing the next token from a row of logits.

use crate::{
	kernel::{rowwise, Instructions},
	random,
};

/// Largest temperature accepted; above a few the choice is as good as uniform.
pub const MAX_TEMPERATURE: f32 = 100.0;

/// Why a token cannot be chosen.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum SamplingError {
	#[error("the temperature is {0}, but must lie between 0 and {MAX_TEMPERATURE}")]
	BadTemperature(f32),
	#[error("top_p is {0}, but must lie above 0 and at most at 1")]
	BadTopP(f32),
	#[error("the model gave a logit that is not a number")]
	NotANumber,
	#[error("the model gave no logits")]
	NoLogits,
}

/// How to choose tokens.
///
/// A draw depends on (`seed`, `request`, position of the token in its sequence) alone: not on
/// what else is served, nor on the order of calls.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
	/// Divides the logits; 0 takes the likeliest token, the one with the lowest id among equals.
	pub temperature: f32,
	/// Draws from the smallest set of likeliest tokens that holds this much probability (nucleus
	/// sampling, arXiv 1904.09751).
	pub top_p: f32,
	pub seed: u64,
	/// Tells apart requests with the same seed.
	pub request: u64,
}

impl Sampling {
	/// Always the likeliest token.
	pub const GREEDY: Self = Self { temperature: 0.0, top_p: 1.0, seed: 0, request: 0 };

	/// Checks the ranges.
	pub fn validate(&self) -> Result<(), SamplingError> {
		if !(0.0..=MAX_TEMPERATURE).contains(&self.temperature) {
			return Err(SamplingError::BadTemperature(self.temperature));
		}
		if !(self.top_p > 0.0 && self.top_p <= 1.0) {
			return Err(SamplingError::BadTopP(self.top_p));
		}
		Ok(())
	}

	/// Chooses the token at `position` of its sequence.
	pub fn choose(&self, logits: &[f32], position: u64) -> Result<u32, SamplingError> {
		self.validate()?;
		let (best, highest) = likeliest(logits)?;
		if self.temperature == 0.0 {
			return Ok(best);
		}
		let weights = Weights { logits, highest, temperature: self.temperature };
		let draw = random::uniform(self.seed, self.request, position);
		let chosen = match self.top_p < 1.0 {
			true => weights.draw_from_nucleus(f64::from(self.top_p), draw),
			false => weights.draw(draw),
		};
		Ok(chosen.unwrap_or(best))
	}
}

/// Weights that are computed at a time: they stay in the innermost cache.
const BLOCK: usize = 256;

/// Unnormalised probabilities of a row, at most 1. They are computed whenever they are needed, which
/// takes less time than memory for a whole row.
struct Weights<'a> {
	logits: &'a [f32],
	highest: f32,
	temperature: f32,
}

impl Weights<'_> {
	/// Gives the weights in blocks: the id of the first token, the weights, and their sum. Ends when
	/// `take` finds something.
	fn find(&self, mut take: impl FnMut(u32, &[f32], f64) -> Option<u32>) -> Option<u32> {
		let instructions = Instructions::detect();
		let mut block = [0.0; BLOCK];
		let mut blocks = (0u32..).step_by(BLOCK).zip(self.logits.chunks(BLOCK));
		blocks.find_map(|(first, logits)| {
			let (weights, _) = block.split_at_mut(logits.len());
			let (highest, temperature) = (self.highest, self.temperature);
			let sum = rowwise::tempered_exp(instructions, logits, highest, temperature, weights);
			take(first, weights, f64::from(sum))
		})
	}

	fn total(&self) -> f64 {
		let mut total = 0.0;
		self.find(|_, _, sum| {
			total += sum;
			None
		});
		total
	}

	/// The token at the share `draw` of the whole. None when rounding left nothing there.
	fn draw(&self, draw: f64) -> Option<u32> {
		let mut left = draw * self.total();
		self.find(|first, weights, sum| {
			if left >= sum {
				left -= sum;
				return None;
			}
			choose_at(&mut left, (first..).zip(weights.iter().map(|weight| f64::from(*weight))))
		})
	}

	/// The token at the share `draw` of the smallest set of likeliest tokens that holds `top_p` of the
	/// whole. None when rounding left nothing there.
	fn draw_from_nucleus(&self, top_p: f64, draw: f64) -> Option<u32> {
		let total = self.total();
		// Tokens below this lie outside the nucleus: together they hold less than 1 − top_p.
		let floor = (1.0 - top_p) * total / self.logits.len() as f64;
		let mut candidates: Vec<(u32, f64)> = Vec::new();
		self.find(|first, weights, _| {
			let block = (first..).zip(weights.iter().map(|weight| f64::from(*weight)));
			candidates.extend(block.filter(|(_, weight)| *weight >= floor));
			None
		});
		candidates.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
		let mut mass = 0.0;
		let nucleus = candidates.iter().take_while(|(_, weight)| {
			let more = mass < top_p * total;
			if more {
				mass += weight;
			}
			more
		});
		candidates.truncate(nucleus.count());
		choose_at(&mut (draw * mass), candidates)
	}
}

/// The first candidate at which nothing is `left`. Those that cannot be are not chosen.
fn choose_at(left: &mut f64, candidates: impl IntoIterator<Item = (u32, f64)>) -> Option<u32> {
	candidates.into_iter().find_map(|(id, weight)| {
		*left -= weight;
		(weight > 0.0 && *left < 0.0).then_some(id)
	})
}

/// The likeliest token and its logit; the lowest id among equals.
fn likeliest(logits: &[f32]) -> Result<(u32, f32), SamplingError> {
	// Looked at to the end, because that vectorises.
	if logits.iter().fold(false, |any, logit| any | logit.is_nan()) {
		return Err(SamplingError::NotANumber);
	}
	let highest = rowwise::greatest(Instructions::detect(), logits);
	let best = logits.iter().position(|logit| *logit == highest);
	let best = best.and_then(|best| u32::try_from(best).ok()).ok_or(SamplingError::NoLogits)?;
	match highest.is_finite() {
		true => Ok((best, highest)),
		false => Err(SamplingError::NotANumber),
	}
}

/// `ln p(token)` under the model's own distribution: temperature 1, whole vocabulary.
pub fn log_probability(logits: &[f32], token: u32) -> Result<f32, SamplingError> {
	let (_, highest) = likeliest(logits)?;
	let logit = logits.get(token as usize).ok_or(SamplingError::NoLogits)?;
	let sum: f64 = logits.iter().map(|other| f64::from((other - highest).exp())).sum();
	Ok((f64::from(logit - highest) - sum.ln()) as f32)
}

#[cfg(test)]
mod tests {
	use super::*;
	use proptest::prelude::*;

	fn sampling(temperature: f32, top_p: f32) -> Sampling {
		Sampling { temperature, top_p, seed: 11, request: 5 }
	}

	#[test]
	fn greedy_should_take_the_lowest_id_among_equals() {
		assert_eq!(Sampling::GREEDY.choose(&[1.0, 3.0, 3.0, 2.0], 0), Ok(1));
		assert_eq!(Sampling::GREEDY.choose(&[f32::NEG_INFINITY, -5.0], 0), Ok(1));
	}

	#[test]
	fn choose_should_follow_the_probabilities() {
		let logits = [0.5f32.ln(), 0.3f32.ln(), 0.2f32.ln()];
		let mut counts = [0; 3];
		for position in 0..20_000 {
			counts[sampling(1.0, 1.0).choose(&logits, position).unwrap() as usize] += 1;
		}
		for (count, expected) in counts.into_iter().zip([10_000, 6_000, 4_000]) {
			assert!(i32::abs(count - expected) < 300, "{counts:?}");
		}
	}

	#[test]
	fn choose_should_follow_the_probabilities_of_a_whole_vocabulary() {
		let logits: Vec<f32> =
			(0..1_000).map(|id| if id < 500 { 0.0 } else { 3f32.ln() }).collect();
		for top_p in [1.0, 0.999] {
			let mut counts = vec![0; logits.len()];
			for position in 0..20_000 {
				counts[sampling(1.0, top_p).choose(&logits, position).unwrap() as usize] += 1;
			}
			let (rare, frequent) = counts.split_at(500);
			let rare: i32 = rare.iter().sum();
			assert!(i32::abs(rare - 5_000) < 300, "{rare}");
			assert!(frequent.iter().all(|count| (5..60).contains(count)), "{frequent:?}");
		}
	}

	#[test]
	fn top_p_should_keep_the_smallest_sufficient_set() {
		let logits = [0.2f32.ln(), 0.5f32.ln(), 0.3f32.ln()];
		let seen = |top_p: f32| {
			let mut seen: Vec<u32> = (0..500)
				.map(|position| sampling(1.0, top_p).choose(&logits, position).unwrap())
				.collect();
			seen.sort_unstable();
			seen.dedup();
			seen
		};
		assert_eq!(seen(f32::MIN_POSITIVE), [1]);
		assert_eq!(seen(0.49), [1]);
		assert_eq!(seen(0.7), [1, 2]);
		assert_eq!(seen(0.95), [0, 1, 2]);
		assert_eq!(seen(1.0), [0, 1, 2]);
	}

	#[test]
	fn draws_should_depend_on_their_place_and_not_on_the_order() {
		let logits: Vec<f32> = (0..100).map(|i| (i % 7) as f32).collect();
		let at = |position| sampling(1.0, 0.9).choose(&logits, position).unwrap();
		let forwards: Vec<u32> = (0..50).map(at).collect();
		let mut backwards: Vec<u32> = (0..50).rev().map(at).collect();
		backwards.reverse();
		assert_eq!(forwards, backwards);
		let other = Sampling { request: 6, ..sampling(1.0, 0.9) };
		assert_ne!(
			forwards,
			(0..50).map(|p| other.choose(&logits, p).unwrap()).collect::<Vec<_>>()
		);
	}

	#[test]
	fn bad_parameters_and_logits_should_be_refused() {
		for temperature in [-1.0, f32::NAN, f32::INFINITY, 101.0] {
			let error = sampling(temperature, 1.0).choose(&[0.0], 0).unwrap_err();
			assert!(matches!(error, SamplingError::BadTemperature(_)));
		}
		for top_p in [0.0, -0.5, 1.5, f32::NAN] {
			let error = sampling(1.0, top_p).choose(&[0.0], 0).unwrap_err();
			assert!(matches!(error, SamplingError::BadTopP(_)));
		}
		assert_eq!(Sampling::GREEDY.choose(&[], 0), Err(SamplingError::NoLogits));
		for logit in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
			assert_eq!(Sampling::GREEDY.choose(&[logit], 0), Err(SamplingError::NotANumber));
		}
	}

	#[test]
	fn log_probability_should_be_a_log_softmax() {
		let logits = [1.0, 2.0, 3.0];
		let sum: f32 = logits.iter().map(|x: &f32| x.exp()).sum();
		let value = log_probability(&logits, 1).unwrap();
		assert!((value - (2.0 - sum.ln())).abs() < 1e-6);
		assert!(log_probability(&logits, 3).is_err());
	}

	proptest! {
		#[test]
		fn choose_should_return_a_possible_token(
			logits in prop::collection::vec(-50f32..50.0, 1..40),
			temperature in prop_oneof![Just(0.0), Just(1e-40), 0.01f32..5.0],
			top_p in prop_oneof![Just(1.0), 1e-6f32..1.0],
			seed: u64,
			position: u64,
		) {
			let sampling = Sampling { temperature, top_p, seed, request: 0 };
			let token = sampling.choose(&logits, position).unwrap();
			prop_assert!((token as usize) < logits.len());
			prop_assert_eq!(sampling.choose(&logits, position).unwrap(), token);
		}
	}
}
