//! From a row of logits to a token and its log-probability.

use crate::{
	kernel::{rowwise, Instructions},
	sampling::{Sampling, SamplingError},
	serving::request::{Alternative, Constraint, Failed},
};

/// What is wanted of one row of logits.
pub(super) enum Wanted {
	/// How likely this token is, which comes next.
	Score(u32),
	/// A token, for this position of its sequence.
	Sample { sampling: Sampling, position: u64, constraint: Option<Box<dyn Constraint>> },
	/// Nothing: the row is a by-product.
	Nothing,
}

/// A token, `ln p` of it, and the likeliest ones at its place.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Scored {
	pub(super) id: u32,
	pub(super) logprob: f32,
	pub(super) top: Vec<Alternative>,
}

/// Reads a row: `ln p` under the model's own distribution, whatever constrains the choice.
pub(super) fn read_row(
	instructions: Instructions,
	logits: &mut [f32],
	wanted: &mut Wanted,
	alternatives: usize,
) -> Result<Option<Scored>, Failed> {
	let (greatest, log_sum) = rowwise::log_sum_exp(instructions, logits);
	// A logit that is not a number makes the sum none; without a finite one there is no greatest.
	if !log_sum.is_finite() || !greatest.is_finite() {
		return Err(SamplingError::NotANumber.into());
	}
	let logprob = |logits: &[f32], id: u32| -> Result<f32, SamplingError> {
		let logit = logits.get(id as usize).ok_or(SamplingError::NoLogits)?;
		Ok(logit - log_sum)
	};
	let top = likeliest(logits, alternatives)
		.into_iter()
		.map(|(id, logit)| Alternative { id, logprob: logit - log_sum })
		.collect();
	let (id, logprob) = match wanted {
		Wanted::Nothing => return Ok(None),
		Wanted::Score(id) => (*id, logprob(logits, *id)?),
		Wanted::Sample { sampling, position, constraint: Some(constraint) } => {
			let free = logits.to_vec();
			constraint.restrict(logits)?;
			let id = sampling.choose(logits, *position)?;
			constraint.accept(id)?;
			(id, logprob(&free, id)?)
		},
		Wanted::Sample { sampling, position, constraint: None } => {
			let id = if sampling.temperature == 0.0 {
				let first = logits.iter().position(|logit| *logit == greatest);
				first.and_then(|id| u32::try_from(id).ok()).ok_or(SamplingError::NoLogits)?
			} else {
				sampling.choose(logits, *position)?
			};
			(id, logprob(logits, id)?)
		},
	};
	Ok(Some(Scored { id, logprob, top }))
}

/// The `count` greatest logits, greatest first, the lowest id first among equals.
fn likeliest(logits: &[f32], count: usize) -> Vec<(u32, f32)> {
	let mut best: Vec<(u32, f32)> = Vec::with_capacity(count + 1);
	if count == 0 {
		return best;
	}
	let mut least = f32::NEG_INFINITY;
	for (id, logit) in (0u32..).zip(logits) {
		if *logit > least || best.len() < count {
			let place = best.partition_point(|(_, other)| *other >= *logit);
			best.insert(place, (id, *logit));
			best.truncate(count);
			if best.len() == count {
				least = best.last().map_or(least, |(_, least)| *least);
			}
		}
	}
	best
}

#[cfg(test)]
mod tests {
	use super::*;

	fn row() -> Vec<f32> {
		(0..1_000u64).map(|i| crate::random::uniform(4, 2, i) as f32 * 20.0 - 10.0).collect()
	}

	#[test]
	fn likeliest_should_be_sorted_with_the_lowest_id_first() {
		assert_eq!(likeliest(&[1.0, 3.0, 2.0, 3.0, 0.0], 3), [(1, 3.0), (3, 3.0), (2, 2.0)]);
		assert_eq!(likeliest(&[f32::NEG_INFINITY, 1.0], 2).len(), 2);
		assert!(likeliest(&[1.0], 0).is_empty());
		let mut all: Vec<(u32, f32)> = (0..).zip(row()).collect();
		all.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
		assert_eq!(likeliest(&row(), 20), all[..20]);
	}

	#[test]
	fn a_row_should_give_what_sampling_gives() {
		for temperature in [0.0, 0.8] {
			let sampling = Sampling { temperature, top_p: 0.9, seed: 3, request: 1 };
			for position in 0..50 {
				let mut wanted = Wanted::Sample { sampling, position, constraint: None };
				let mut logits = row();
				let scored =
					read_row(Instructions::detect(), &mut logits, &mut wanted, 2).unwrap().unwrap();
				assert_eq!(scored.id, sampling.choose(&row(), position).unwrap());
				let expected = crate::sampling::log_probability(&row(), scored.id).unwrap();
				assert!((scored.logprob - expected).abs() < 1e-5);
				assert!(scored.top[0].logprob >= scored.top[1].logprob);
			}
		}
	}

	#[test]
	fn a_constraint_should_narrow_the_choice_and_not_the_probability() {
		struct Only(u32);
		impl Constraint for Only {
			fn restrict(
				&mut self,
				logits: &mut [f32],
			) -> Result<(), crate::serving::ConstraintError> {
				for (id, logit) in (0..).zip(logits) {
					if id != self.0 {
						*logit = f32::NEG_INFINITY;
					}
				}
				Ok(())
			}
			fn accept(&mut self, token: u32) -> Result<(), crate::serving::ConstraintError> {
				assert_eq!(token, self.0);
				Ok(())
			}
		}
		let mut wanted = Wanted::Sample {
			sampling: Sampling::GREEDY,
			position: 0,
			constraint: Some(Box::new(Only(77))),
		};
		let scored = read_row(Instructions::detect(), &mut row(), &mut wanted, 0).unwrap().unwrap();
		assert_eq!(scored.id, 77);
		let expected = crate::sampling::log_probability(&row(), 77).unwrap();
		assert!((scored.logprob - expected).abs() < 1e-5);
	}

	#[test]
	fn what_is_not_a_number_should_be_refused() {
		for broken in [f32::NAN, f32::INFINITY] {
			let mut logits = row();
			logits[400] = broken;
			let error = read_row(Instructions::detect(), &mut logits, &mut Wanted::Score(1), 0)
				.unwrap_err();
			assert!(matches!(error, Failed::Sampling(SamplingError::NotANumber)));
		}
		let mut nothing = vec![f32::NEG_INFINITY; 40];
		assert!(read_row(Instructions::detect(), &mut nothing, &mut Wanted::Score(1), 0).is_err());
	}
}
