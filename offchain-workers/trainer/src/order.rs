//! Which examples each step sees.
//!
//! All epochs' shuffles, one after the other, make one endless row of examples; step `s` takes the
//! next `batch_size` of it. The row depends on the seed and the number of examples alone, so that
//! another batch size cuts the same row elsewhere and a resumed run goes on where it stopped.

use crate::random::{Purpose, Stream};

/// The row of examples of one run.
#[derive(Clone, Debug)]
pub struct DataOrder {
	seed: u64,
	examples: usize,
	batch_size: usize,
	/// Length of the row, when the run ends with an epoch.
	end: Option<u64>,
	epoch: u64,
	shuffled: Vec<usize>,
}

impl DataOrder {
	/// The row over examples `0..examples`. After `epochs` of them, if given, it ends.
	pub fn new(seed: u64, examples: usize, batch_size: u32, epochs: Option<u32>) -> Self {
		let end = epochs.map(|epochs| u64::from(epochs) * examples as u64);
		let shuffled = shuffled(seed, examples, 0);
		Self { seed, examples, batch_size: batch_size as usize, end, epoch: 0, shuffled }
	}

	/// The examples of step `step`, counted from 0; fewer than the batch size, or none, at the
	/// end of the row.
	pub fn batch(&mut self, step: u32) -> Vec<usize> {
		let first = u64::from(step) * self.batch_size as u64;
		let end = self.end.unwrap_or(u64::MAX).min(first + self.batch_size as u64);
		(first..end).filter_map(|place| self.at(place)).collect()
	}

	fn at(&mut self, place: u64) -> Option<usize> {
		let epoch = place.checked_div(self.examples as u64)?;
		if epoch != self.epoch {
			self.shuffled = shuffled(self.seed, self.examples, epoch);
			self.epoch = epoch;
		}
		self.shuffled.get((place % self.examples as u64) as usize).copied()
	}
}

fn shuffled(seed: u64, examples: usize, epoch: u64) -> Vec<usize> {
	let mut order: Vec<usize> = (0..examples).collect();
	Stream::new(Purpose::DataOrder, seed, epoch).shuffle(&mut order);
	order
}

#[cfg(test)]
mod tests {
	use super::*;

	fn row(batch_size: u32, epochs: u32) -> Vec<usize> {
		let mut order = DataOrder::new(3, 7, batch_size, Some(epochs));
		(0..100).flat_map(|step| order.batch(step)).collect()
	}

	#[test]
	fn every_epoch_should_show_every_example_once_in_another_order() {
		let row = row(2, 3);
		assert_eq!(row.len(), 21);
		for epoch in row.chunks(7) {
			let mut seen = epoch.to_vec();
			seen.sort_unstable();
			assert_eq!(seen, [0, 1, 2, 3, 4, 5, 6]);
		}
		assert_ne!(row[..7], row[7..14]);
	}

	#[test]
	fn order_should_not_depend_on_the_batch_size_or_on_where_a_run_resumes() {
		assert_eq!(row(1, 3), row(4, 3));
		assert_eq!(row(1, 3), row(100, 3));
		let mut through = DataOrder::new(3, 7, 4, None);
		let batches: Vec<_> = (0..20).map(|step| through.batch(step)).collect();
		assert!(batches.iter().all(|batch| batch.len() == 4));
		for step in [19, 2, 11] {
			assert_eq!(DataOrder::new(3, 7, 4, None).batch(step), batches[step as usize]);
		}
	}

	#[test]
	fn no_examples_should_give_empty_batches() {
		assert!(DataOrder::new(3, 0, 4, None).batch(0).is_empty());
	}
}
