//! Waiting for something with a name, and not for ever.

use std::{
	sync::OnceLock,
	time::{Duration, Instant},
};

/// Between two questions about the same thing. A slot has three seconds.
const PAUSE: Duration = Duration::from_millis(300);

/// Asks until there is an answer.
///
/// # Panics
///
/// When there is none within `limit`; `what` says what was waited for.
pub async fn until<T>(
	what: impl std::fmt::Display,
	limit: Duration,
	mut ask: impl AsyncFnMut() -> Option<T>,
) -> T {
	let asking = async {
		loop {
			if let Some(answer) = ask().await {
				return answer;
			}
			tokio::time::sleep(PAUSE).await;
		}
	};
	match tokio::time::timeout(limit, asking).await {
		Ok(answer) => answer,
		Err(_) => panic!("waited {limit:?} in vain: {what}"),
	}
}

/// Tells the reader of a test's output how far it came, and when.
pub fn step(what: impl std::fmt::Display) {
	static START: OnceLock<Instant> = OnceLock::new();
	let seconds = START.get_or_init(Instant::now).elapsed().as_secs_f32();
	println!("{seconds:6.1} s  {what}");
}
