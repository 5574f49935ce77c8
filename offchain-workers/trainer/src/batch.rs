//! Examples side by side, as the model takes them.

use crate::dataset::Example;

/// A batch of examples of different lengths. The engine pads them on the right, which no position
/// that counts can see, because attention is causal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch<'a> {
	/// One row per example.
	pub tokens: Vec<&'a [u32]>,
	/// Of the rows of the hidden states (`[batch · longest, hidden]`), those that predict a
	/// completion token.
	pub rows: Vec<u32>,
	/// The token that each of `rows` is to predict.
	pub targets: Vec<u32>,
}

impl<'a> Batch<'a> {
	/// Puts examples side by side.
	pub fn new(examples: impl IntoIterator<Item = &'a Example>) -> Self {
		let examples: Vec<&Example> = examples.into_iter().collect();
		let length = examples.iter().map(|example| example.tokens().len()).max().unwrap_or(0);
		let (mut tokens, mut rows, mut targets) = (Vec::new(), Vec::new(), Vec::new());
		for (index, example) in examples.into_iter().enumerate() {
			let start = example.completion_start();
			let completion = example.tokens().get(start..).unwrap_or_default();
			// The row before a token predicts it.
			let first = index * length + start - 1;
			rows.extend((first..first + completion.len()).map(|row| row as u32));
			targets.extend_from_slice(completion);
			tokens.push(example.tokens());
		}
		Self { tokens, rows, targets }
	}
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn rows_should_be_those_before_the_completion_tokens() {
		let examples =
			[Example::new(vec![5, 6, 7, 8], 2).unwrap(), Example::new(vec![9, 10], 1).unwrap()];
		let batch = Batch::new(&examples);
		assert_eq!(batch.tokens, [&[5, 6, 7, 8][..], &[9, 10]]);
		assert_eq!(batch.rows, [1, 2, 4]);
		assert_eq!(batch.targets, [7, 8, 10]);
	}
}
