//! Tiles in AVX-512. A function for each number of rows, written out so that all sums stay in
//! registers: as a loop over rows the compiler keeps them in memory from nine rows on.

use std::{
	arch::asm,
	arch::x86_64::{
		__m512, __m512bh, __m512i, _mm256_maskz_loadu_epi16, _mm512_castsi512_ps,
		_mm512_cvtepu16_epi32, _mm512_dpbf16_ps, _mm512_fmadd_ps, _mm512_loadu_ps,
		_mm512_loadu_si512, _mm512_mask_storeu_ps, _mm512_maskz_loadu_ps, _mm512_set1_epi32,
		_mm512_set1_ps, _mm512_setzero_ps, _mm512_slli_epi32, _mm512_storeu_ps, _mm_prefetch,
		_MM_HINT_T1,
	},
	mem::transmute,
};

use super::{
	paged::{KeyTile, ValueTile, PAGES, VALUE_COLUMNS},
	Number, Tile, TileBf16, TILE_COLUMNS,
};
use crate::kernel::LANES;

/// The lanes of vector `vector` that lie within `columns`.
fn lane_mask(columns: usize, vector: usize) -> u16 {
	match columns.saturating_sub(vector * LANES) {
		0 => 0,
		lanes if lanes >= LANES => u16::MAX,
		lanes => (1 << lanes) - 1,
	}
}

#[target_feature(enable = "avx512f,avx512bf16")]
#[inline]
fn as_bf16(pairs: __m512i) -> __m512bh {
	// SAFETY: the same 512 bits.
	unsafe { transmute(pairs) }
}

/// The lanes of a mask, in f32.
///
/// # Safety
///
/// They are there, and this CPU has AVX-512 F, BW and VL.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
#[inline]
unsafe fn load<B: Number>(mask: u16, from: *const B) -> __m512 {
	if B::IS_BF16 {
		let halves = _mm256_maskz_loadu_epi16(mask, from.cast());
		_mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(halves)))
	} else {
		_mm512_maskz_loadu_ps(mask, from.cast())
	}
}

/// Keeps the compiler from reading all rows ahead of all sums, for which it would have to move sums
/// out of registers. The CPU reads ahead by itself.
#[target_feature(enable = "avx512f")]
#[inline]
fn keep_order<const VECTORS: usize>(sums: &mut [__m512; VECTORS]) {
	for sum in sums {
		// SAFETY: does nothing to the sum. Not `nomem`, so that no read moves across.
		unsafe { asm!("/* {0} */", inout(zmm_reg) * sum, options(nostack, preserves_flags)) }
	}
}

macro_rules! tiles {
	($($tile:ident $tile_bf16:ident $rows:literal: $($row:literal)+;)+) => {
		$(
			#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
			unsafe fn $tile<B: Number, const VECTORS: usize>(tile: &Tile<B>) {
				let masks: [u16; VECTORS] =
					std::array::from_fn(|vector| lane_mask(tile.columns, vector));
				let mut sums = [[_mm512_setzero_ps(); VECTORS]; $rows];
				if tile.accumulate {
					$(for (vector, sum) in sums[$row].iter_mut().enumerate() {
						let from = tile.out.add($row * tile.out_stride + vector * LANES);
						*sum = _mm512_maskz_loadu_ps(masks[vector], from);
					})+
				}
				let (mut x, mut b, mut ahead) = (tile.x, tile.b, tile.ahead);
				for _ in 0..tile.inner {
					_mm_prefetch::<_MM_HINT_T1>(ahead.cast());
					ahead = ahead.wrapping_add(tile.ahead_step);
					let right: [_; VECTORS] = std::array::from_fn(|vector| {
						load(masks[vector], b.wrapping_add(vector * LANES))
					});
					let row = x;
					$(
						let left = _mm512_set1_ps(*row);
						for (sum, right) in sums[$row].iter_mut().zip(right) {
							*sum = _mm512_fmadd_ps(left, right, *sum);
						}
						keep_order(&mut sums[$row]);
						let row = row.wrapping_add(tile.x_stride);
					)+
					let _ = row;
					x = x.wrapping_add(1);
					b = b.wrapping_add(tile.b_stride);
				}
				$(for (vector, sum) in sums[$row].iter().enumerate() {
					let to = tile.out.add($row * tile.out_stride + vector * LANES);
					_mm512_mask_storeu_ps(to, masks[vector], *sum);
				})+
			}

			#[target_feature(enable = "avx512f,avx512bf16")]
			unsafe fn $tile_bf16(tile: &TileBf16) {
				const { assert!(TILE_COLUMNS == 2 * LANES) };
				let mut sums = [[_mm512_setzero_ps(); 2]; $rows];
				let (mut x, mut panel) = (tile.x.cast::<i32>(), tile.panel);
				for _ in 0..tile.pairs {
					let first = as_bf16(_mm512_loadu_si512(panel.cast()));
					let second = as_bf16(_mm512_loadu_si512(panel.wrapping_add(LANES).cast()));
					let row = x;
					$(
						let left = as_bf16(_mm512_set1_epi32(*row));
						sums[$row][0] = _mm512_dpbf16_ps(sums[$row][0], left, first);
						sums[$row][1] = _mm512_dpbf16_ps(sums[$row][1], left, second);
						keep_order(&mut sums[$row]);
						let row = row.wrapping_add(tile.x_stride);
					)+
					let _ = row;
					x = x.wrapping_add(1);
					panel = panel.wrapping_add(TILE_COLUMNS);
				}
				$(for (vector, sum) in sums[$row].iter().enumerate() {
					let to = tile.out.add($row * tile.out_stride + vector * LANES);
					_mm512_mask_storeu_ps(to, lane_mask(tile.columns, vector), *sum);
				})+
			}
		)+

		/// # Safety
		///
		/// The tile's pointers cover `rows` rows, and this CPU has what
		/// [`Instructions::Avx512`](crate::kernel::Instructions::Avx512) stands for.
		#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
		pub(super) unsafe fn run_tile<B: Number>(tile: &Tile<B>, rows: usize) {
			match (rows, tile.columns > LANES) {
				$(
					($rows, true) => $tile::<B, 2>(tile),
					($rows, false) => $tile::<B, 1>(tile),
				)+
				_ => {},
			}
		}

		/// # Safety
		///
		/// As [`run_tile`], and this CPU has AVX-512 BF16.
		#[target_feature(enable = "avx512f,avx512bf16")]
		pub(super) unsafe fn run_tile_bf16(tile: &TileBf16, rows: usize) {
			match rows {
				$($rows => $tile_bf16(tile),)+
				_ => {},
			}
		}
	};
}

macro_rules! page_tiles {
	($($keys:ident $values:ident $rows:literal: $($row:literal)+;)+) => {
		$(
			#[target_feature(enable = "avx512f")]
			unsafe fn $keys(tile: &KeyTile) {
				let mut sums = [[_mm512_setzero_ps(); PAGES]; $rows];
				let (mut x, mut offset) = (tile.x, 0);
				for _ in 0..tile.inner {
					let right = tile.pages.map(|page| _mm512_loadu_ps(page.wrapping_add(offset)));
					let row = x;
					$(
						let left = _mm512_set1_ps(*row);
						for (sum, right) in sums[$row].iter_mut().zip(right) {
							*sum = _mm512_fmadd_ps(left, right, *sum);
						}
						keep_order(&mut sums[$row]);
						let row = row.wrapping_add(tile.x_stride);
					)+
					let _ = row;
					x = x.wrapping_add(1);
					offset += LANES;
				}
				$(for (page, sum) in sums[$row].iter().enumerate() {
					let to = tile.out.add($row * tile.out_stride + page * LANES);
					_mm512_storeu_ps(to, *sum);
				})+
			}

			#[target_feature(enable = "avx512f")]
			unsafe fn $values(tile: &ValueTile<'_>) {
				let mut sums = [[_mm512_setzero_ps(); VALUE_COLUMNS / LANES]; $rows];
				let (mut x, mut left_over) = (tile.x, tile.tokens);
				for page in tile.pages {
					let mut values = page.as_ptr().wrapping_add(tile.column);
					for _ in 0..left_over.min(LANES) {
						let right: [_; VALUE_COLUMNS / LANES] = std::array::from_fn(|vector| {
							_mm512_loadu_ps(values.wrapping_add(vector * LANES))
						});
						let row = x;
						$(
							let left = _mm512_set1_ps(*row);
							for (sum, right) in sums[$row].iter_mut().zip(right) {
								*sum = _mm512_fmadd_ps(left, right, *sum);
							}
							keep_order(&mut sums[$row]);
							let row = row.wrapping_add(tile.x_stride);
						)+
						let _ = row;
						x = x.wrapping_add(1);
						values = values.wrapping_add(tile.width);
					}
					left_over = left_over.saturating_sub(LANES);
				}
				$(for (vector, sum) in sums[$row].iter().enumerate() {
					let to = tile.out.add($row * tile.out_stride + vector * LANES);
					_mm512_storeu_ps(to, *sum);
				})+
			}
		)+

		/// # Safety
		///
		/// The tile's pointers cover `rows` rows and its pages, and this CPU has AVX-512 F.
		#[target_feature(enable = "avx512f")]
		pub(super) unsafe fn run_key_tile(tile: &KeyTile, rows: usize) {
			match rows {
				$($rows => $keys(tile),)+
				_ => {},
			}
		}

		/// # Safety
		///
		/// As [`run_key_tile`].
		#[target_feature(enable = "avx512f")]
		pub(super) unsafe fn run_value_tile(tile: &ValueTile<'_>, rows: usize) {
			match rows {
				$($rows => $values(tile),)+
				_ => {},
			}
		}
	};
}

page_tiles! {
	keys_1 values_1 1: 0;
	keys_2 values_2 2: 0 1;
	keys_3 values_3 3: 0 1 2;
	keys_4 values_4 4: 0 1 2 3;
	keys_5 values_5 5: 0 1 2 3 4;
	keys_6 values_6 6: 0 1 2 3 4 5;
}

tiles! {
	tile_1 tile_bf16_1 1: 0;
	tile_2 tile_bf16_2 2: 0 1;
	tile_3 tile_bf16_3 3: 0 1 2;
	tile_4 tile_bf16_4 4: 0 1 2 3;
	tile_5 tile_bf16_5 5: 0 1 2 3 4;
	tile_6 tile_bf16_6 6: 0 1 2 3 4 5;
	tile_7 tile_bf16_7 7: 0 1 2 3 4 5 6;
	tile_8 tile_bf16_8 8: 0 1 2 3 4 5 6 7;
	tile_9 tile_bf16_9 9: 0 1 2 3 4 5 6 7 8;
	tile_10 tile_bf16_10 10: 0 1 2 3 4 5 6 7 8 9;
	tile_11 tile_bf16_11 11: 0 1 2 3 4 5 6 7 8 9 10;
	tile_12 tile_bf16_12 12: 0 1 2 3 4 5 6 7 8 9 10 11;
}
