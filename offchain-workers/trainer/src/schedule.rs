//! The learning rate of each step: linear warm-up, then half a cosine down to zero.

use std::f64::consts::PI;

/// Learning rates of a run of a known number of steps.
///
/// With `w` warm-up steps out of `n`, step `s` (from 0) has the rate
/// `peak · (s+1)/w` while `s < w`, and `peak · ½(1 + cos(π·(s+1-w)/(n+1-w)))` after that.
///
/// This is `get_cosine_schedule_with_warmup(w, n + 1)` of transformers without its step 0, whose
/// rate is zero and which would be a step for nothing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Schedule {
	peak: f64,
	warmup: u32,
	steps: u32,
}

impl Schedule {
	/// The schedule of `steps` steps that peaks at `peak` after `warmup_ratio` of them (rounded
	/// up, as transformers does).
	pub fn new(peak: f64, warmup_ratio: f64, steps: u32) -> Self {
		let warmup = (f64::from(steps) * warmup_ratio).ceil() as u32;
		Self { peak, warmup: warmup.min(steps), steps }
	}

	/// The learning rate of step `step`, counted from 0. Zero from the end of the run on.
	pub fn rate(&self, step: u32) -> f64 {
		if step >= self.steps {
			return 0.0;
		}
		let place = f64::from(step) + 1.0;
		let warmup = f64::from(self.warmup);
		if step < self.warmup {
			return self.peak * place / warmup;
		}
		let progress = (place - warmup) / (f64::from(self.steps) + 1.0 - warmup);
		self.peak * 0.5 * (1.0 + (PI * progress).cos())
	}
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn rate_should_rise_to_the_peak_and_fall_to_almost_zero() {
		let schedule = Schedule::new(1e-3, 0.2, 10);
		let rates: Vec<f64> = (0..10).map(|step| schedule.rate(step)).collect();
		assert_eq!(rates[0], 0.5e-3);
		assert_eq!(rates[1], 1e-3);
		assert!(rates[1..].windows(2).all(|pair| pair[0] > pair[1]), "{rates:?}");
		assert!(rates[9] > 0.0 && rates[9] < 0.05e-3, "{rates:?}");
		assert_eq!(schedule.rate(10), 0.0);
	}

	#[test]
	fn rate_should_need_no_warmup_and_survive_nothing_but_warmup() {
		let falling = Schedule::new(1.0, 0.0, 3);
		assert!(falling.rate(0) < 1.0 && falling.rate(0) > falling.rate(1));
		let rising = Schedule::new(1.0, 1.0, 4);
		assert_eq!([rising.rate(0), rising.rate(3), rising.rate(4)], [0.25, 1.0, 0.0]);
		assert_eq!(Schedule::new(1.0, 0.5, 0).rate(0), 0.0);
	}
}
