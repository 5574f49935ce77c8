//! The clock on the wall.

use openledger_primitives::UnixSeconds;
use std::time::{SystemTime, UNIX_EPOCH};

/// Unix time in seconds.
pub fn now() -> UnixSeconds {
	now_milliseconds() / 1_000
}

/// Unix time in milliseconds; zero on a machine whose clock stands before 1970.
pub fn now_milliseconds() -> u64 {
	let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
	u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
