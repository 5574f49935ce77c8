//! Things that fall due: deadlines, timeouts, retention.
//!
//! A pallet keeps an agenda as a double map `block → id → ()` and a cursor, the first block whose
//! entries may not all be served yet. [`serve_due`] is called from `on_idle`: it takes entries out in
//! order of their block and hands them to the pallet, as many as the block's leftover weight pays
//! for. A full block only delays it; nothing is skipped. Whoever cannot wait has a call that settles
//! one thing at once, and that call removes the entry, so serving finds each thing at most once.
//!
//! What the pallet must keep: an entry is put at a block after the present one, also by `serve`. The
//! cursor never goes back, so an entry behind it would wait for ever.
//!
//! [`drain_due`] is the same for maps with a value, and for any clock that counts upwards: days, eras.

use codec::FullCodec;
use frame_support::{
	storage::{IterableStorageDoubleMap, StorageValue},
	weights::{Weight, WeightMeter},
};
use sp_runtime::traits::{CheckedAdd, One, Zero};

/// Serves everything due at or before `now` that `meter` can pay for.
///
/// `per_block` is the weight of looking at one block of the agenda, `per_entry` of serving one entry
/// including `serve` itself; both are consumed from `meter` as they are spent. Returns how many
/// entries were served.
pub fn serve_due<Agenda, Cursor, BlockNumber, Id>(
	now: BlockNumber,
	meter: &mut WeightMeter,
	per_block: Weight,
	per_entry: Weight,
	serve: impl FnMut(Id),
) -> u32
where
	Agenda: IterableStorageDoubleMap<BlockNumber, Id, ()>,
	Cursor: StorageValue<BlockNumber, Query = BlockNumber>,
	BlockNumber: FullCodec + Copy + Ord + One + Zero + CheckedAdd,
	Id: FullCodec + Clone,
{
	drain_due::<Agenda, Cursor, BlockNumber, Id, ()>(now, meter, per_block, per_entry, serve)
}

/// Takes everything filed at or before `until` out of `Map`, as far as `meter` can pay for it, and
/// hands the ids to `serve`. The weights and the result are those of [`serve_due`].
pub fn drain_due<Map, Cursor, Time, Id, Value>(
	until: Time,
	meter: &mut WeightMeter,
	per_time: Weight,
	per_entry: Weight,
	mut serve: impl FnMut(Id),
) -> u32
where
	Map: IterableStorageDoubleMap<Time, Id, Value>,
	Cursor: StorageValue<Time, Query = Time>,
	Time: FullCodec + Copy + Ord + One + Zero + CheckedAdd,
	Id: FullCodec + Clone,
	Value: FullCodec,
{
	// A block that cannot pay for one look is not even charged the cursor.
	if !meter.can_consume(per_time) {
		return 0;
	}
	let start = Cursor::get();
	let mut served: u32 = 0;
	let mut time = start;
	'times: while time <= until && meter.try_consume(per_time).is_ok() {
		// One iterator per time: starting anew after each entry would walk over all that were taken
		// out before it. Taking out the entry that the iterator stands on does not disturb it.
		for id in Map::iter_key_prefix(time) {
			if meter.try_consume(per_entry).is_err() {
				break 'times;
			}
			Map::remove(time, id.clone());
			serve(id);
			served = served.saturating_add(1);
		}
		match time.checked_add(&One::one()) {
			Some(next) => time = next,
			None => break,
		}
	}
	if time != start {
		Cursor::put(time);
	}
	served
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, reason = "a test may stop at what it did not expect")]
mod tests {
	use super::*;
	use frame_support::{pallet_prelude::ValueQuery, storage_alias, Twox64Concat};
	use proptest::prelude::*;
	use sp_io::TestExternalities;
	use std::collections::BTreeSet;

	#[storage_alias(verbatim)]
	type Agenda = StorageDoubleMap<Support, Twox64Concat, u64, Twox64Concat, u32, ()>;
	#[storage_alias(verbatim)]
	type Cursor = StorageValue<Support, u64, ValueQuery>;
	#[storage_alias(verbatim)]
	type Days = StorageDoubleMap<Support, Twox64Concat, u32, Twox64Concat, u32, u64>;
	#[storage_alias(verbatim)]
	type DayCursor = StorageValue<Support, u32, ValueQuery>;

	const BLOCK: Weight = Weight::from_parts(10, 1);
	const ENTRY: Weight = Weight::from_parts(100, 7);

	fn serve(now: u64, meter: &mut WeightMeter) -> Vec<u32> {
		let mut seen = Vec::new();
		let served =
			serve_due::<Agenda, Cursor, u64, u32>(now, meter, BLOCK, ENTRY, |id| seen.push(id));
		assert_eq!(served as usize, seen.len());
		seen
	}

	fn serve_all(now: u64) -> Vec<u32> {
		serve(now, &mut WeightMeter::new())
	}

	fn affords(blocks: u64, entries: u64) -> WeightMeter {
		WeightMeter::with_limit(BLOCK.saturating_mul(blocks) + ENTRY.saturating_mul(entries))
	}

	fn file(entries: &[(u64, u32)]) {
		for (block, id) in entries {
			Agenda::insert(block, id, ());
		}
	}

	fn sorted(mut ids: Vec<u32>) -> Vec<u32> {
		ids.sort_unstable();
		ids
	}

	#[test]
	fn entries_should_be_served_once_when_due() {
		TestExternalities::default().execute_with(|| {
			file(&[(3, 30), (5, 50), (5, 51), (6, 60)]);
			assert_eq!(serve_all(2), Vec::<u32>::new());
			assert_eq!(serve_all(3), vec![30]);
			assert_eq!(sorted(serve_all(5)), vec![50, 51]);
			assert_eq!(serve_all(5), Vec::<u32>::new());
			assert_eq!(Agenda::iter_keys().collect::<Vec<_>>(), vec![(6, 60)]);
			assert_eq!(Cursor::get(), 6);
		});
	}

	#[test]
	fn entries_should_be_served_in_order_of_their_blocks_when_several_are_due() {
		TestExternalities::default().execute_with(|| {
			file(&[(9, 9), (1, 1), (4, 4), (2, 2), (7, 7)]);
			assert_eq!(serve_all(9), vec![1, 2, 4, 7, 9]);
		});
	}

	#[test]
	fn an_entry_should_not_be_served_when_removed_before() {
		TestExternalities::default().execute_with(|| {
			file(&[(1, 1), (1, 2)]);
			Agenda::remove(1, 1);
			assert_eq!(serve_all(1), vec![2]);
		});
	}

	#[test]
	fn nothing_should_be_touched_when_weight_does_not_pay_for_one_block() {
		TestExternalities::default().execute_with(|| {
			file(&[(0, 1)]);
			for limit in [Weight::zero(), Weight::from_parts(9, 100), Weight::from_parts(100, 0)] {
				let mut meter = WeightMeter::with_limit(limit);
				assert_eq!(serve(5, &mut meter), Vec::<u32>::new());
				assert_eq!(meter.consumed(), Weight::zero());
			}
			assert!(!Cursor::exists());
			assert!(Agenda::contains_key(0, 1));
		});
	}

	#[test]
	fn the_cursor_should_stay_when_a_block_is_not_done() {
		TestExternalities::default().execute_with(|| {
			file(&[(1, 1), (1, 2), (1, 3), (2, 4)]);
			// Blocks 0 and 1 are looked at; two entries are paid for.
			let first = serve(2, &mut affords(2, 2));
			assert_eq!(first.len(), 2);
			assert_eq!(Cursor::get(), 1);
			assert_eq!(Agenda::iter_keys().count(), 2);
			// Nothing new is paid for: the same place again.
			assert_eq!(serve(2, &mut affords(1, 0)), Vec::<u32>::new());
			assert_eq!(Cursor::get(), 1);
			let rest = serve(2, &mut affords(2, 2));
			assert_eq!(rest.last(), Some(&4));
			assert_eq!(sorted([first, rest].concat()), vec![1, 2, 3, 4]);
			assert_eq!(Cursor::get(), 3);
		});
	}

	#[test]
	fn the_meter_should_be_charged_exactly_when_serving() {
		TestExternalities::default().execute_with(|| {
			file(&[(0, 1), (0, 2), (2, 3)]);
			let mut meter = WeightMeter::new();
			serve(3, &mut meter);
			assert_eq!(meter.consumed(), BLOCK.saturating_mul(4) + ENTRY.saturating_mul(3));
			// The next call starts after all that.
			let mut meter = WeightMeter::new();
			serve(3, &mut meter);
			assert_eq!(meter.consumed(), Weight::zero());
		});
	}

	#[test]
	fn a_long_gap_should_be_crossed_in_parts_when_weight_is_short() {
		TestExternalities::default().execute_with(|| {
			file(&[(1_000, 1)]);
			let mut calls = 0;
			while serve(1_000, &mut affords(100, 1)).is_empty() {
				calls += 1;
				assert!(calls < 20, "never got there");
			}
			// 1001 blocks at 107 a call: the unspent entry's proof size pays for seven blocks.
			assert_eq!(calls, 9);
		});
	}

	#[test]
	fn what_serve_files_for_later_should_be_served_when_its_block_comes() {
		TestExternalities::default().execute_with(|| {
			file(&[(1, 1)]);
			serve_due::<Agenda, Cursor, u64, u32>(1, &mut WeightMeter::new(), BLOCK, ENTRY, |id| {
				Agenda::insert(2, id + 1, ())
			});
			assert_eq!(serve_all(2), vec![2]);
		});
	}

	#[test]
	fn the_last_block_number_should_not_be_passed_when_reached() {
		TestExternalities::default().execute_with(|| {
			Cursor::put(u64::MAX);
			file(&[(u64::MAX, 1)]);
			assert_eq!(serve_all(u64::MAX), vec![1]);
			assert_eq!(serve_all(u64::MAX), Vec::<u32>::new());
			assert_eq!(Cursor::get(), u64::MAX);
		});
	}

	#[test]
	fn values_should_go_with_their_keys_when_drained() {
		TestExternalities::default().execute_with(|| {
			Days::insert(0, 1, 11);
			Days::insert(1, 2, 22);
			Days::insert(2, 3, 33);
			let mut seen = Vec::new();
			drain_due::<Days, DayCursor, u32, u32, u64>(
				1,
				&mut WeightMeter::new(),
				BLOCK,
				ENTRY,
				|id| seen.push(id),
			);
			assert_eq!(seen, vec![1, 2]);
			assert_eq!(Days::iter().collect::<Vec<_>>(), vec![(2, 3, 33)]);
			assert_eq!(DayCursor::get(), 2);
		});
	}

	/// One call of the state machine below: how far the chain moves, what it files, what it can pay.
	type Step = (u64, Vec<(u64, u32)>, u64, u64);

	fn steps() -> impl Strategy<Value = Vec<Step>> {
		let entries = prop::collection::vec((1u64..6, any::<u32>()), 0..6);
		prop::collection::vec((1u64..4, entries, 0u64..5, 0u64..4), 1..30)
	}

	proptest! {
		/// Whatever the weight, everything is served exactly once, never early, in order of blocks, and
		/// in the end nothing is left.
		#[test]
		fn everything_filed_is_served_exactly_once(steps in steps()) {
			TestExternalities::default().execute_with(|| {
				let mut now = 0u64;
				let mut filed = BTreeSet::new();
				let mut open = BTreeSet::new();
				let mut last_block = 0u64;
				let mut take = |now: u64, meter: &mut WeightMeter, open: &mut BTreeSet<(u64, u32)>| {
					for id in serve(now, meter) {
						let found = *open.iter().find(|(_, filed)| *filed == id).unwrap();
						assert!(found.0 <= now, "served early");
						assert!(found.0 >= last_block, "out of order");
						last_block = found.0;
						open.remove(&found);
					}
				};
				for (passed, entries, blocks, paid) in steps {
					for (ahead, id) in entries {
						if filed.insert(id) {
							Agenda::insert(now + ahead, id, ());
							open.insert((now + ahead, id));
						}
					}
					now += passed;
					let mut meter = affords(blocks, paid);
					take(now, &mut meter, &mut open);
					assert!(meter.consumed().all_lte(meter.limit()));
				}
				take(now + 10, &mut WeightMeter::new(), &mut open);
				assert!(open.is_empty());
				assert_eq!(Agenda::iter_keys().count(), 0);
			});
		}
	}
}
