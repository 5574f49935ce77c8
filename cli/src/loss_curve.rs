//! A loss curve in one line of a terminal.

/// How many columns a curve has at most.
const COLUMNS: usize = 40;

/// Levels of a column, from low to high.
const LEVELS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The losses of a training run so far.
#[derive(Clone, Debug, Default)]
pub struct LossCurve {
	losses: Vec<f64>,
}

impl LossCurve {
	/// The next step's loss. What is not a number is left out.
	pub fn push(&mut self, loss: f64) {
		if loss.is_finite() {
			self.losses.push(loss);
		}
	}

	/// The last loss.
	pub fn last(&self) -> Option<f64> {
		self.losses.last().copied()
	}

	/// The curve: the mean of as many steps for each column, the highest column the highest mean.
	pub fn draw(&self) -> String {
		let columns = self.columns();
		let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
		for mean in &columns {
			low = low.min(*mean);
			high = high.max(*mean);
		}
		let range = high - low;
		let top = LEVELS.len().saturating_sub(1);
		let level = |mean: &f64| {
			let part = if range > 0.0 { (mean - low) / range } else { 0.0 };
			// It is between 0 and 1, so this is the number of a level.
			let number = (part * top as f64).round() as usize;
			LEVELS.get(number.min(top)).copied().unwrap_or(' ')
		};
		columns.iter().map(level).collect()
	}

	fn columns(&self) -> Vec<f64> {
		let per_column = self.losses.len().div_ceil(COLUMNS).max(1);
		let mean = |steps: &[f64]| steps.iter().sum::<f64>() / steps.len().max(1) as f64;
		self.losses.chunks(per_column).map(mean).collect()
	}
}

#[cfg(test)]
mod tests {
	use super::*;

	fn curve(losses: impl IntoIterator<Item = f64>) -> LossCurve {
		let mut curve = LossCurve::default();
		losses.into_iter().for_each(|loss| curve.push(loss));
		curve
	}

	#[test]
	fn a_falling_loss_falls() {
		assert_eq!(curve([7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0, 0.0]).draw(), "█▇▆▅▄▃▂▁");
	}

	#[test]
	fn long_runs_fit_into_the_line() {
		let drawn = curve((0..10_000).map(|step| f64::from(10_000 - step))).draw();
		assert_eq!(drawn.chars().count(), COLUMNS);
		assert!(drawn.starts_with('█') && drawn.ends_with('▁'));
	}

	#[test]
	fn nothing_and_what_is_no_number_can_be_drawn() {
		assert_eq!(curve([]).draw(), "");
		assert_eq!(curve([2.0, 2.0]).draw(), "▁▁");
		assert_eq!(curve([f64::NAN, f64::INFINITY, 1.0]).draw(), "▁");
	}
}
