//! The clock on the wall.

use openledger_primitives::UnixSeconds;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The most that the clock on the wall may go ahead of the machine's own between two looks, or behind.
const TOLERANCE: Duration = Duration::from_secs(10);
/// How long a clock that jumped is not trusted.
const DISTRUST: Duration = Duration::from_secs(60 * 60);

/// Unix time in seconds.
pub fn now() -> UnixSeconds {
	now_milliseconds() / 1_000
}

/// Unix time in milliseconds; zero on a machine whose clock stands before 1970.
pub fn now_milliseconds() -> u64 {
	u64::try_from(since_1970().as_millis()).unwrap_or(u64::MAX)
}

/// Whether the clock on the wall can be trusted with forgetting things for their age: it is set by
/// people and by other machines, and now and then to nonsense.
#[derive(Debug)]
pub struct Trust {
	/// The last look at both clocks.
	last: (Duration, Instant),
	jumped: Option<Instant>,
}

impl Trust {
	/// Trusts the clock as it is now.
	pub fn new() -> Self {
		Self { last: (since_1970(), Instant::now()), jumped: None }
	}

	/// Looks at the clock. False for an hour after it jumped, which includes the sleep of a machine.
	pub fn look(&mut self) -> bool {
		self.look_at(since_1970(), Instant::now())
	}

	fn look_at(&mut self, wall: Duration, now: Instant) -> bool {
		let expected = self.last.0 + now.duration_since(self.last.1);
		if wall.abs_diff(expected) > TOLERANCE {
			let by = wall.as_secs_f64() - expected.as_secs_f64();
			tracing::warn!(
				seconds = by,
				"the clock jumped: for an hour nothing is forgotten for its age"
			);
			self.jumped = Some(now);
		}
		self.last = (wall, now);
		self.jumped.is_none_or(|jumped| now.duration_since(jumped) >= DISTRUST)
	}
}

impl Default for Trust {
	fn default() -> Self {
		Self::new()
	}
}

fn since_1970() -> Duration {
	SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn clock_should_be_distrusted_for_an_hour_after_a_jump_in_either_direction() {
		let (wall, start) = (Duration::from_secs(1_800_000_000), Instant::now());
		let minutes = |count: u64| Duration::from_secs(60 * count);
		for jumped in [wall + minutes(60 * 24 * 365), wall - minutes(5), Duration::ZERO] {
			let mut trust = Trust { last: (wall, start), jumped: None };
			assert!(trust.look_at(wall + minutes(1) + Duration::from_secs(3), start + minutes(1)));
			assert!(!trust.look_at(jumped + minutes(2), start + minutes(2)));
			assert!(!trust.look_at(jumped + minutes(61), start + minutes(61)));
			assert!(trust.look_at(jumped + minutes(62), start + minutes(62)));
			// And back.
			assert!(!trust.look_at(wall + minutes(63), start + minutes(63)));
		}
	}
}
