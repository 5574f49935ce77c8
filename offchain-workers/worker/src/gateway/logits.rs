//! `logit_bias` and the penalties: what is added to the logits before a token is chosen.

use openledger_engine::serving::{Constraint, ConstraintError};
use std::collections::BTreeMap;

/// What is added to logits.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Adjustments {
	presence: f32,
	frequency: f32,
	biases: BTreeMap<u32, f32>,
}

impl Adjustments {
	/// `presence` is taken off every token that the answer has, `frequency` as often as it has it,
	/// and each token of `biases` gets its own.
	pub fn new(presence: f32, frequency: f32, biases: BTreeMap<u32, f32>) -> Self {
		Self { presence, frequency, biases }
	}

	/// These adjustments, and then what `inner` allows.
	pub fn around(&self, inner: Option<Box<dyn Constraint>>) -> Option<Box<dyn Constraint>> {
		if *self == Self::default() {
			return inner;
		}
		Some(Box::new(Adjusted { adjustments: self.clone(), counts: BTreeMap::new(), inner }))
	}
}

struct Adjusted {
	adjustments: Adjustments,
	/// How often the answer has each token.
	counts: BTreeMap<u32, u16>,
	inner: Option<Box<dyn Constraint>>,
}

impl Constraint for Adjusted {
	fn restrict(&mut self, logits: &mut [f32]) -> Result<(), ConstraintError> {
		let mut add = |token: u32, bias: f32| {
			if let Some(logit) = logits.get_mut(token as usize) {
				*logit += bias;
			}
		};
		let Adjustments { presence, frequency, biases } = &self.adjustments;
		biases.iter().for_each(|(token, bias)| add(*token, *bias));
		for (token, count) in &self.counts {
			add(*token, -presence - frequency * f32::from(*count));
		}
		self.inner.as_mut().map_or(Ok(()), |inner| inner.restrict(logits))
	}

	fn accept(&mut self, token: u32) -> Result<(), ConstraintError> {
		let count = self.counts.entry(token).or_default();
		*count = count.saturating_add(1);
		self.inner.as_mut().map_or(Ok(()), |inner| inner.accept(token))
	}
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn adjustments_should_add_up() {
		let adjustments = Adjustments::new(0.5, 0.25, BTreeMap::from([(1, 2.0), (9, 1.0)]));
		let mut constraint = adjustments.around(None).unwrap();
		for token in [0, 1, 1] {
			constraint.accept(token).unwrap();
		}
		let mut logits = [0.0; 3];
		constraint.restrict(&mut logits).unwrap();
		assert_eq!(logits, [-0.75, 1.0, 0.0]);
		assert!(Adjustments::default().around(None).is_none());
	}
}
