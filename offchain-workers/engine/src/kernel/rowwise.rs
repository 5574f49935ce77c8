//! What is done to rows: norms, softmax, activations, rotary positions, logits. A derivative takes the
//! gradient of what came out and gives that of what went in.
//!
//! Sums go by position modulo [`LANES`] and then over the lanes in order, with every instruction set.

use super::{instructions::for_each_instruction_set, multiply_add, Instructions, LANES};

for_each_instruction_set! {
	/// `x / √(mean(x²) + ε) · w`.
	pub(crate) fn rms_norm = rms_norm_body(x: &[f32], weight: &[f32], epsilon: f32, out: &mut [f32])
}

for_each_instruction_set! {
	/// The derivative of [`rms_norm`], in place.
	pub(crate) fn rms_norm_backward = rms_norm_backward_body(
		x: &[f32],
		weight: &[f32],
		epsilon: f32,
		gradient: &mut [f32],
	)
}

for_each_instruction_set! {
	/// `gate = silu(gate) · up`.
	pub(crate) fn swiglu = swiglu_body(gate: &mut [f32], up: &[f32])
}

for_each_instruction_set! {
	/// The derivative of [`swiglu`]: `gradient` becomes that of `up`, and `out` that of `gate`.
	pub(crate) fn swiglu_backward = swiglu_backward_body(
		gate: &[f32],
		up: &[f32],
		gradient: &mut [f32],
		out: &mut [f32],
	)
}

for_each_instruction_set! {
	/// Softmax of `scores · scale` in place. What lies beyond `seen` becomes zero.
	pub(crate) fn softmax = softmax_body(scores: &mut [f32], seen: usize, scale: f32)
}

for_each_instruction_set! {
	/// The derivative of [`softmax`], in place, from the shares that it gave.
	pub(crate) fn softmax_backward = softmax_backward_body(
		shares: &[f32],
		scale: f32,
		gradient: &mut [f32],
	)
}

for_each_instruction_set! {
	/// Rotates each pair (i, i + half) of one head (RoPE in half-split order).
	pub(crate) fn rotate = rotate_body(head: &mut [f32], cos: &[f32], sin: &[f32])
}

for_each_instruction_set! {
	/// The derivative of [`rotate`], in place: the rotation the other way.
	pub(crate) fn rotate_backward = rotate_backward_body(head: &mut [f32], cos: &[f32], sin: &[f32])
}

for_each_instruction_set! {
	/// `x += y`.
	pub(crate) fn add = add_body(x: &mut [f32], y: &[f32])
}

for_each_instruction_set! {
	/// The greatest of some logits, and the sum of the exponentials of what they are more than it. Not
	/// a number if one is not.
	pub(crate) fn sum_exp = sum_exp_body(logits: &[f32]) -> (f32, f32)
}

for_each_instruction_set! {
	/// The greatest of some numbers, if any is one; those that are none are passed over.
	pub(crate) fn greatest = greatest_body(row: &[f32]) -> f32
}

for_each_instruction_set! {
	/// `exp((logits − greatest) / temperature)` into `out`, and their sum. Not a number if one is not.
	pub(crate) fn tempered_exp = tempered_exp_body(
		logits: &[f32],
		greatest: f32,
		temperature: f32,
		out: &mut [f32],
	) -> f32
}

for_each_instruction_set! {
	/// `exp(logits − greatest) · factor` in place.
	pub(crate) fn scaled_exp = scaled_exp_body(logits: &mut [f32], greatest: f32, factor: f32)
}

/// The greatest of some logits, and the logarithm of the sum of their exponentials. Not a number if one
/// is not.
pub(crate) fn log_sum_exp(instructions: Instructions, logits: &[f32]) -> (f32, f32) {
	let (greatest, sum) = sum_exp(instructions, logits);
	(greatest, greatest + sum.ln())
}

/// The sum of `f` over a row, lane by lane.
#[inline(always)]
fn sum_by_lane(row: &[f32], mut f: impl FnMut(f32, f32) -> f32) -> f32 {
	let mut lanes = [0.0f32; LANES];
	let mut chunks = row.chunks_exact(LANES);
	for chunk in &mut chunks {
		for (lane, number) in lanes.iter_mut().zip(chunk) {
			*lane = f(*lane, *number);
		}
	}
	for (lane, number) in lanes.iter_mut().zip(chunks.remainder()) {
		*lane = f(*lane, *number);
	}
	lanes.iter().sum()
}

/// The sum of the products of two rows, lane by lane.
#[inline(always)]
fn dot_by_lane<const FUSED: bool>(a: &[f32], b: &[f32]) -> f32 {
	let mut lanes = [0.0f32; LANES];
	let (mut a_chunks, mut b_chunks) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
	for (a, b) in (&mut a_chunks).zip(&mut b_chunks) {
		for (lane, (a, b)) in lanes.iter_mut().zip(a.iter().zip(b)) {
			*lane = multiply_add::<FUSED>(*a, *b, *lane);
		}
	}
	let rest = a_chunks.remainder().iter().zip(b_chunks.remainder());
	for (lane, (a, b)) in lanes.iter_mut().zip(rest) {
		*lane = multiply_add::<FUSED>(*a, *b, *lane);
	}
	lanes.iter().sum()
}

#[inline(always)]
fn greatest_body<const FUSED: bool>(row: &[f32]) -> f32 {
	let mut lanes = [f32::NEG_INFINITY; LANES];
	let mut chunks = row.chunks_exact(LANES);
	let larger = |lane: &mut f32, number: f32| {
		*lane = if number > *lane { number } else { *lane };
	};
	for chunk in &mut chunks {
		for (lane, number) in lanes.iter_mut().zip(chunk) {
			larger(lane, *number);
		}
	}
	for (lane, number) in lanes.iter_mut().zip(chunks.remainder()) {
		larger(lane, *number);
	}
	lanes.iter().fold(f32::NEG_INFINITY, |greatest, lane| greatest.max(*lane))
}

#[inline(always)]
fn rms_norm_body<const FUSED: bool>(x: &[f32], weight: &[f32], epsilon: f32, out: &mut [f32]) {
	let squares = sum_by_lane(x, |sum, number| multiply_add::<FUSED>(number, number, sum));
	let scale = 1.0 / (squares / x.len() as f32 + epsilon).sqrt();
	for ((out, number), weight) in out.iter_mut().zip(x).zip(weight) {
		*out = number * scale * weight;
	}
}

/// With `r = 1 / √(mean(x²) + ε)` and `d` the gradient times the weight, `r · d − x · r³ · mean(d · x)`.
#[inline(always)]
fn rms_norm_backward_body<const FUSED: bool>(
	x: &[f32],
	weight: &[f32],
	epsilon: f32,
	gradient: &mut [f32],
) {
	let count = x.len() as f32;
	let scale = 1.0 / (dot_by_lane::<FUSED>(x, x) / count + epsilon).sqrt();
	for (gradient, weight) in gradient.iter_mut().zip(weight) {
		*gradient *= weight;
	}
	let share = dot_by_lane::<FUSED>(gradient, x) / count * scale * scale * scale;
	for (gradient, x) in gradient.iter_mut().zip(x) {
		*gradient = multiply_add::<FUSED>(*gradient, scale, -(x * share));
	}
}

#[inline(always)]
fn swiglu_body<const FUSED: bool>(gate: &mut [f32], up: &[f32]) {
	for (gate, up) in gate.iter_mut().zip(up) {
		*gate = *gate / (1.0 + exp::<FUSED>(-*gate)) * up;
	}
}

/// `silu(x) = x · σ(x)`, and its derivative is `σ(x) · (1 + x · (1 − σ(x)))`.
#[inline(always)]
fn swiglu_backward_body<const FUSED: bool>(
	gate: &[f32],
	up: &[f32],
	gradient: &mut [f32],
	out: &mut [f32],
) {
	for (((gate, up), gradient), out) in gate.iter().zip(up).zip(gradient).zip(out) {
		let sigmoid = 1.0 / (1.0 + exp::<FUSED>(-*gate));
		let slope = sigmoid * multiply_add::<FUSED>(*gate, 1.0 - sigmoid, 1.0);
		*out = *gradient * up * slope;
		*gradient *= gate * sigmoid;
	}
}

#[inline(always)]
fn softmax_body<const FUSED: bool>(scores: &mut [f32], seen: usize, scale: f32) {
	let seen = seen.min(scores.len());
	let (scores, unseen) = scores.split_at_mut(seen);
	let greatest = greatest_body::<FUSED>(scores);
	for score in scores.iter_mut() {
		*score = exp::<FUSED>((*score - greatest) * scale);
	}
	let share = 1.0 / sum_by_lane(scores, |sum, number| sum + number);
	for score in scores.iter_mut() {
		*score *= share;
	}
	unseen.fill(0.0);
}

#[inline(always)]
fn softmax_backward_body<const FUSED: bool>(shares: &[f32], scale: f32, gradient: &mut [f32]) {
	let mean = dot_by_lane::<FUSED>(shares, gradient);
	for (gradient, share) in gradient.iter_mut().zip(shares) {
		*gradient = share * (*gradient - mean) * scale;
	}
}

#[inline(always)]
fn rotate_body<const FUSED: bool>(head: &mut [f32], cos: &[f32], sin: &[f32]) {
	let (first, second) = head.split_at_mut(head.len() / 2);
	for (((first, second), cos), sin) in first.iter_mut().zip(second).zip(cos).zip(sin) {
		let rotated = multiply_add::<FUSED>(*first, *cos, -(*second * sin));
		*second = multiply_add::<FUSED>(*second, *cos, *first * sin);
		*first = rotated;
	}
}

#[inline(always)]
fn rotate_backward_body<const FUSED: bool>(head: &mut [f32], cos: &[f32], sin: &[f32]) {
	let (first, second) = head.split_at_mut(head.len() / 2);
	for (((first, second), cos), sin) in first.iter_mut().zip(second).zip(cos).zip(sin) {
		let rotated = multiply_add::<FUSED>(*first, *cos, *second * sin);
		*second = multiply_add::<FUSED>(*second, *cos, -(*first * sin));
		*first = rotated;
	}
}

#[inline(always)]
fn add_body<const FUSED: bool>(x: &mut [f32], y: &[f32]) {
	for (x, y) in x.iter_mut().zip(y) {
		*x += y;
	}
}

#[inline(always)]
fn sum_exp_body<const FUSED: bool>(logits: &[f32]) -> (f32, f32) {
	let greatest = greatest_body::<FUSED>(logits);
	(greatest, sum_by_lane(logits, |sum, logit| sum + exp::<FUSED>(logit - greatest)))
}

#[inline(always)]
fn tempered_exp_body<const FUSED: bool>(
	logits: &[f32],
	greatest: f32,
	temperature: f32,
	out: &mut [f32],
) -> f32 {
	for (out, logit) in out.iter_mut().zip(logits) {
		*out = exp::<FUSED>((logit - greatest) / temperature);
	}
	sum_by_lane(out, |sum, number| sum + number)
}

#[inline(always)]
fn scaled_exp_body<const FUSED: bool>(logits: &mut [f32], greatest: f32, factor: f32) {
	for logit in logits {
		*logit = exp::<FUSED>(*logit - greatest) * factor;
	}
}

/// `eˣ` to about one unit in the last place, in operations that vectorise: `eˣ = 2ⁿ · eʳ` with
/// `r = x − n·ln 2` (Cody and Waite) and a polynomial for `eʳ` (Cephes' `expf`). Zero below −87, as
/// large as it can be above 88; not a number stays so.
#[inline(always)]
fn exp<const FUSED: bool>(x: f32) -> f32 {
	const LN2_HIGH: f32 = 0.693_359_4;
	const LN2_LOW: f32 = -2.121_944_4e-4;
	/// Adding it rounds to an integer, which then stands in the lowest bits.
	const ROUND: f32 = 12_582_912.0;
	let clamped = if x > 88.0 { 88.0 } else { x };
	let clamped = if clamped < -87.0 { -87.0 } else { clamped };
	let shifted = multiply_add::<FUSED>(clamped, std::f32::consts::LOG2_E, ROUND);
	let n = shifted - ROUND;
	let r = multiply_add::<FUSED>(n, -LN2_HIGH, clamped);
	let r = multiply_add::<FUSED>(n, -LN2_LOW, r);
	let mut polynomial = 1.987_569_1e-4;
	for coefficient in [1.398_2e-3, 8.333_452e-3, 4.166_579_6e-2, 0.166_666_65, 0.5] {
		polynomial = multiply_add::<FUSED>(polynomial, r, coefficient);
	}
	let power = multiply_add::<FUSED>(polynomial, r * r, r) + 1.0;
	let two_to_n = f32::from_bits(shifted.to_bits().wrapping_add(127) << 23);
	let result = power * two_to_n;
	if x < -87.0 {
		0.0
	} else {
		result
	}
}

#[cfg(test)]
mod tests {
	use super::*;

	fn row(length: usize, scale: f32) -> Vec<f32> {
		(0..length)
			.map(|i| (crate::random::uniform(9, 1, i as u64) as f32 * 2.0 - 1.0) * scale)
			.collect()
	}

	#[test]
	fn exp_should_be_exp() {
		for step in 0..=174_990 {
			let x = -87.0 + step as f32 * 0.001;
			let (found, expected) = (exp::<true>(x), f64::from(x).exp());
			assert!((f64::from(found) / expected - 1.0).abs() < 2.5e-7, "{x}: {found}");
		}
		assert_eq!(exp::<true>(f32::NEG_INFINITY), 0.0);
		assert_eq!(exp::<true>(0.0), 1.0);
		assert!(exp::<true>(f32::INFINITY) > 1e38);
		assert!(exp::<true>(f32::NAN).is_nan());
	}

	#[test]
	fn softmax_should_give_shares_of_what_is_seen() {
		for instructions in Instructions::available() {
			let scores = row(53, 10.0);
			let mut shares = scores.clone();
			softmax(instructions, &mut shares, 40, 0.5);
			let exponentials: Vec<f64> =
				scores[..40].iter().map(|score| (f64::from(*score) * 0.5).exp()).collect();
			let sum: f64 = exponentials.iter().sum();
			for (share, exponential) in shares.iter().zip(&exponentials) {
				assert!((f64::from(*share) - exponential / sum).abs() < 1e-6);
			}
			assert!(shares[40..].iter().all(|share| *share == 0.0));
		}
	}

	#[test]
	fn softmax_should_not_depend_on_what_is_not_seen() {
		for instructions in Instructions::available() {
			let scores = row(100, 5.0);
			let (mut short, mut long) = (scores[..37].to_vec(), scores.clone());
			softmax(instructions, &mut short, 37, 1.0);
			softmax(instructions, &mut long, 37, 1.0);
			assert_eq!(short, long[..37]);
		}
	}

	#[test]
	fn norm_activation_and_logarithm_should_be_right() {
		for instructions in Instructions::available() {
			let (x, weight) = (row(77, 3.0), row(77, 1.0));
			let mut out = vec![0.0; 77];
			rms_norm(instructions, &x, &weight, 1e-5, &mut out);
			let mean = x.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>() / 77.0;
			for ((out, x), weight) in out.iter().zip(&x).zip(&weight) {
				let expected = f64::from(*x) / (mean + 1e-5).sqrt() * f64::from(*weight);
				assert!((f64::from(*out) - expected).abs() < 1e-5);
			}

			let mut gate = row(40, 20.0);
			let (before, up) = (gate.clone(), row(40, 2.0));
			swiglu(instructions, &mut gate, &up);
			for ((found, gate), up) in gate.iter().zip(&before).zip(&up) {
				let gate = f64::from(*gate);
				let expected = gate / (1.0 + (-gate).exp()) * f64::from(*up);
				assert!((f64::from(*found) - expected).abs() < 1e-5 * expected.abs().max(1.0));
			}

			let logits = row(4_099, 30.0);
			let (greatest, sum) = log_sum_exp(instructions, &logits);
			let expected: f64 = logits.iter().map(|logit| f64::from(*logit).exp()).sum();
			assert!((f64::from(sum) - expected.ln()).abs() < 1e-5);
			assert_eq!(greatest, logits.iter().copied().fold(f32::MIN, f32::max));
			assert!(log_sum_exp(instructions, &[0.0, f32::NAN, 1.0]).1.is_nan());
		}
	}
}
