//! Random numbers that depend on nothing but their place.
//!
//! Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011): a
//! bijection of a counter under a key. Whoever knows (seed, stream, position) draws the same
//! number, in whatever order and on whatever machine.

const ROUNDS: u32 = 10;
const MULTIPLIERS: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
/// Added to the key after each round: the golden ratio and √3 − 1, as fractions of 2³².
const KEY_STEP: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];

/// One block of Philox4x32-10.
fn philox(counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
	let [mut x0, mut x1, mut x2, mut x3] = counter;
	let [mut k0, mut k1] = key;
	let multiply = |a: u32, b: u32| {
		let product = u64::from(a) * u64::from(b);
		((product >> 32) as u32, product as u32)
	};
	for _ in 0..ROUNDS {
		let (high0, low0) = multiply(MULTIPLIERS[0], x0);
		let (high1, low1) = multiply(MULTIPLIERS[1], x2);
		(x0, x1, x2, x3) = (high1 ^ x1 ^ k0, low1, high0 ^ x3 ^ k1, low0);
		k0 = k0.wrapping_add(KEY_STEP[0]);
		k1 = k1.wrapping_add(KEY_STEP[1]);
	}
	[x0, x1, x2, x3]
}

/// 64 random bits: `seed` is the key, `stream` and `position` are the counter.
pub fn bits(seed: u64, stream: u64, position: u64) -> u64 {
	let halves = |x: u64| [x as u32, (x >> 32) as u32];
	let ([p0, p1], [s0, s1]) = (halves(position), halves(stream));
	let [x0, x1, _, _] = philox([p0, p1, s0, s1], halves(seed));
	u64::from(x0) | u64::from(x1) << 32
}

/// A number from [0, 1), a multiple of 2⁻⁵³.
pub fn uniform(seed: u64, stream: u64, position: u64) -> f64 {
	(bits(seed, stream, position) >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn philox_should_match_the_known_answers_of_random123() {
		assert_eq!(philox([0; 4], [0; 2]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
		assert_eq!(
			philox([u32::MAX; 4], [u32::MAX; 2]),
			[0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]
		);
		assert_eq!(
			philox(
				[0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
				[0xa409_3822, 0x299f_31d0]
			),
			[0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
		);
	}

	#[test]
	fn uniform_should_fill_the_unit_interval_evenly() {
		let mean = (0..10_000).map(|i| uniform(7, 3, i)).sum::<f64>() / 10_000.0;
		assert!((mean - 0.5).abs() < 0.01, "{mean}");
		assert_ne!(bits(7, 3, 0), bits(7, 4, 0));
		assert_ne!(bits(7, 3, 0), bits(8, 3, 0));
	}
}
