//! Arithmetic on the CPU, over plain slices. Serving is made of it, and the differentiable
//! [operations](crate::operations) of the forward pass on burn.
//!
//! Serving needs what no tensor library offers: batches whose rows use different adapters, keys and
//! values scattered over pages, and results that do not depend on what else is in the batch. All of
//! it comes down to one operation, a small tile of a matrix product ([`product`]), that reads its
//! right side in place.
//!
//! *Determinism.* An element of a product is one chain of fused multiply-adds, from the first to the
//! last element of the inner dimension, whatever the number of rows, columns or threads. Sums over
//! rows (norms, softmax) go by position modulo [`LANES`]. So a request's numbers depend on its own
//! tokens alone. They do depend on the instruction set.
//!
//! | file | what it is about |
//! |---|---|
//! | [`instructions`] | which instructions this CPU has |
//! | [`product`], [`product::paged`] | tiles of matrix products, f32 and bf16; those of attention |
//! | [`product::transpose`] | blocks of numbers turned over |
//! | [`matrix`] | weights packed for them |
//! | [`quantized`] | weights of 4 or 8 bits |
//! | [`rowwise`] | norms, softmax, activations, logits, and their derivatives |

pub(crate) mod instructions;
pub(crate) mod matrix;
pub(crate) mod product;
pub(crate) mod quantized;
pub(crate) mod rowwise;

pub(crate) use instructions::Instructions;
pub(crate) use matrix::{Activations, PackedMatrix};

/// Numbers in a vector register of AVX-512, and tokens in a page of the cache.
pub(crate) const LANES: usize = 16;

/// Bytes that the CPU's caches keep together.
const CACHE_LINE: usize = 64;

/// `a · b + c`, rounded once where the instruction set fuses the two.
#[inline(always)]
fn multiply_add<const FUSED: bool>(a: f32, b: f32, c: f32) -> f32 {
	if FUSED {
		a.mul_add(b, c)
	} else {
		a * b + c
	}
}

/// Has the CPU bring memory into its cache that is read in a moment. Without effect on any result.
pub(crate) fn prefetch<T>(values: &[T]) {
	for line in values.chunks(CACHE_LINE / size_of::<T>()) {
		prefetch_address(line.as_ptr());
	}
}

/// The same for what a `T` at an address takes, whether there is one or not.
#[inline(always)]
pub(crate) fn prefetch_address<T>(address: *const T) {
	#[cfg(target_arch = "x86_64")]
	for line in 0..size_of::<T>().div_ceil(CACHE_LINE) {
		use std::arch::x86_64::{_mm_prefetch, _MM_HINT_T0};
		let line = address.cast::<i8>().wrapping_add(line * CACHE_LINE);
		// SAFETY: it reads nothing, whatever the address; every x86-64 CPU has it.
		unsafe { _mm_prefetch::<_MM_HINT_T0>(line) }
	}
	#[cfg(not(target_arch = "x86_64"))]
	let _ = address;
}

/// Numbers between −1 and 1, for tests.
#[cfg(test)]
pub(crate) fn numbers(count: usize, seed: u64) -> Vec<f32> {
	(0..count as u64)
		.map(|index| crate::random::uniform(seed, 0, index) as f32 * 2.0 - 1.0)
		.collect()
}
