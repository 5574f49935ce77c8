use proptest::prelude::*;

use super::*;

const LIMITS: AdapterLimits =
	AdapterLimits { max_bytes: 100, max_adapter_bytes: 40, max_resident: 4, max_loading: 2 };

impl AdapterSlots {
	/// Checks every invariant, given how many sequences use each adapter.
	pub(crate) fn check(&self, references: &BTreeMap<AdapterKey, usize>) {
		let resident = |(key, entry): (&AdapterKey, &Entry)| match entry {
			Entry::Resident(Resident { slot, bytes, references, pinned, last_use, .. }) => {
				Some((*key, *slot, *bytes, *references, *pinned, *last_use))
			},
			_ => None,
		};
		let residents: Vec<_> = self.adapters.iter().filter_map(resident).collect();
		let mut slots = self.emptied.clone();
		assert!(residents.iter().all(|(_, slot, ..)| slots.insert(*slot)), "two in one slot");
		assert_eq!(slots, (0..self.used_slots).collect());
		assert!(self.used_slots <= self.limits.max_resident);

		let bytes = |of: &dyn Fn(usize, bool) -> bool| -> usize {
			let bytes = residents.iter().filter(|it| of(it.3, it.4)).map(|it| it.2);
			bytes.sum()
		};
		assert_eq!(self.bytes, bytes(&|_, _| true));
		assert!(self.bytes <= self.limits.max_bytes);
		assert_eq!(self.idle_bytes, bytes(&|references, pinned| references == 0 && !pinned));
		assert_eq!(self.pinned_bytes, bytes(&|_, pinned| pinned));
		assert!(self.pinned_bytes + self.limits.max_adapter_bytes <= self.limits.max_bytes);
		assert_eq!(self.pinned, residents.iter().filter(|it| it.4).count());
		assert!(self.pinned < self.limits.max_resident);

		let idle = residents.iter().filter(|it| it.3 == 0 && !it.4).map(|it| (it.5, it.0));
		assert_eq!(self.idle, idle.collect());
		let used = residents.iter().filter(|it| it.3 > 0).map(|it| (it.0, it.3));
		assert_eq!(&used.collect::<BTreeMap<_, _>>(), references, "evicted while referenced");
		assert_eq!(self.active, references.len());

		let of_state = |wanted: Residency| {
			let keys = self.adapters.keys().copied();
			keys.filter(move |key| self.residency(*key) == wanted).collect::<BTreeSet<_>>()
		};
		assert_eq!(self.staged, of_state(Residency::Staged));
		assert_eq!(self.loading, of_state(Residency::Loading).len());
		assert!(self.loading + self.staged.len() <= self.limits.max_loading);
	}
}

fn key(number: u8) -> AdapterKey {
	AdapterKey([number; 32])
}

/// Slots where each of these adapters is resident and idle.
fn resident(adapters: &[(u8, usize)]) -> AdapterSlots {
	let mut slots = AdapterSlots::new(LIMITS);
	for &(number, bytes) in adapters {
		assert_eq!(slots.request(key(number)), Asked::Load);
		slots.loaded(key(number), bytes).unwrap();
		slots.seat_in_free_room(key(number)).unwrap();
	}
	slots
}

fn stage(slots: &mut AdapterSlots, number: u8, bytes: usize) {
	assert_eq!(slots.request(key(number)), Asked::Load);
	slots.loaded(key(number), bytes).unwrap();
}

#[test]
fn adapter_should_be_read_once_for_all_who_ask() {
	let mut slots = AdapterSlots::new(LIMITS);
	assert_eq!(slots.request(key(1)), Asked::Load);
	assert_eq!(slots.request(key(1)), Asked::Known(Residency::Loading));
	slots.loaded(key(1), 10).unwrap();
	assert_eq!(slots.request(key(1)), Asked::Known(Residency::Staged));
	let mut emptied = Vec::new();
	assert_eq!(slots.acquire(key(1), &mut emptied), Some(0));
	assert_eq!(slots.acquire(key(1), &mut emptied), Some(0));
	assert_eq!(slots.request(key(1)), Asked::Known(Residency::Resident { slot: 0 }));
	assert!(emptied.is_empty());
	slots.check(&BTreeMap::from([(key(1), 2)]));
	let status = slots.statuses().next().unwrap();
	assert_eq!((status.hits, status.references, status.bytes), (2, 2, Some(10)));
}

#[test]
fn reads_under_way_should_be_bounded() {
	let mut slots = AdapterSlots::new(LIMITS);
	assert_eq!(slots.request(key(1)), Asked::Load);
	stage(&mut slots, 2, 10);
	assert_eq!(slots.request(key(3)), Asked::NoRoomNow);
	slots.seat_in_free_room(key(2)).unwrap();
	assert_eq!(slots.request(key(3)), Asked::Load);
}

#[test]
fn failed_read_should_be_tried_again_when_asked_for_again() {
	let mut slots = AdapterSlots::new(LIMITS);
	slots.request(key(1));
	assert!(slots.forget(key(1)));
	assert_eq!(slots.residency(key(1)), Residency::Absent);
	assert_eq!(slots.request(key(1)), Asked::Load);
}

#[test]
fn adapter_should_be_refused_when_it_is_too_large_or_unasked() {
	let mut slots = AdapterSlots::new(LIMITS);
	assert_eq!(slots.loaded(key(1), 10), Err(NotStaged::NotAskedFor));
	slots.request(key(1));
	assert_eq!(slots.loaded(key(1), 41), Err(NotStaged::TooLarge { bytes: 41, max: 40 }));
	assert_eq!(slots.residency(key(1)), Residency::Absent);
	slots.check(&BTreeMap::new());
}

#[test]
fn longest_unused_idle_adapters_should_make_room() {
	let mut slots = resident(&[(1, 40), (2, 30), (3, 20)]);
	let mut emptied = Vec::new();
	slots.acquire(key(1), &mut emptied).unwrap();
	slots.release(key(1));
	slots.acquire(key(3), &mut emptied).unwrap();
	stage(&mut slots, 4, 35);
	// Number 3 is in use, and 1 was used after 2.
	assert_eq!(slots.acquire(key(4), &mut emptied), Some(1));
	assert_eq!(emptied, [1]);
	assert_eq!(slots.residency(key(2)), Residency::Absent);
	slots.check(&BTreeMap::from([(key(3), 1), (key(4), 1)]));
}

#[test]
fn nothing_should_be_evicted_when_that_were_in_vain() {
	let mut slots = resident(&[(1, 40), (2, 40), (3, 10)]);
	let mut emptied = Vec::new();
	slots.acquire(key(1), &mut emptied).unwrap();
	slots.acquire(key(2), &mut emptied).unwrap();
	stage(&mut slots, 4, 30);
	assert!(!slots.has_room(key(4)));
	assert_eq!(slots.acquire(key(4), &mut emptied), None);
	assert!(emptied.is_empty());
	slots.release(key(2));
	assert_eq!(slots.acquire(key(4), &mut emptied), Some(1));
	assert_eq!(emptied, [2, 1], "3 is the longest unused, and does not suffice");
}

#[test]
fn pins_should_leave_room_for_one_adapter() {
	let mut slots = resident(&[(1, 40), (2, 20), (3, 1)]);
	assert_eq!(slots.pin(key(1)), Ok(Pinned::Now));
	assert_eq!(slots.pin(key(1)), Ok(Pinned::Now));
	assert_eq!(slots.pin(key(2)), Ok(Pinned::Now));
	assert_eq!(slots.pin(key(3)), Err(TooMuchPinned));
	slots.acquire(key(1), &mut Vec::new()).unwrap();
	slots.release(key(1));
	assert_eq!(slots.evict(key(1)), None, "use does not end pinning");
	slots.unpin(key(1));
	slots.pin(key(3)).unwrap();
	assert_eq!(slots.evict(key(1)), Some(0));
	slots.check(&BTreeMap::new());
}

#[test]
fn pins_should_leave_a_slot() {
	let mut slots = resident(&[(1, 1), (2, 1), (3, 1), (4, 1)]);
	(1..4).for_each(|number| assert_eq!(slots.pin(key(number)), Ok(Pinned::Now)));
	assert_eq!(slots.pin(key(4)), Err(TooMuchPinned));
	assert_eq!(slots.pin(key(9)), Err(TooMuchPinned));
}

#[test]
fn pinned_adapter_should_take_the_room_of_idle_ones_once_it_was_read() {
	let mut slots = resident(&[(1, 40), (2, 40), (3, 20)]);
	let (mut emptied, once_read) = (Vec::new(), Ok(Pinned::OnceRead(Asked::Load)));
	assert_eq!(slots.pin(key(9)), once_read);
	slots.loaded(key(9), 30).unwrap();
	assert_eq!(slots.seat_in_free_room(key(9)), None);
	assert_eq!(slots.seat_and_pin(key(9), &mut emptied), Some(0));
	assert_eq!(emptied, [0], "1 is the longest unused");
	assert_eq!(slots.evict(key(9)), None, "it is pinned");
	slots.check(&BTreeMap::new());

	stage(&mut slots, 8, 10);
	assert_eq!(slots.seat_and_pin(key(8), &mut emptied), None, "nobody pins it");
}

#[test]
fn adapter_should_not_be_read_again_when_it_turned_out_to_be_too_large_to_be_pinned() {
	let mut slots = resident(&[(1, 40)]);
	assert_eq!(slots.pin(key(1)), Ok(Pinned::Now));
	assert_eq!(slots.pin(key(9)), Ok(Pinned::OnceRead(Asked::Load)));
	slots.loaded(key(9), 30).unwrap();
	assert_eq!(slots.seat_and_pin(key(9), &mut Vec::new()), None);
	slots.forget(key(9));
	assert_eq!(slots.pin(key(9)), Err(TooMuchPinned));
	slots.unpin(key(1));
	assert_eq!(slots.pin(key(9)), Ok(Pinned::OnceRead(Asked::Load)));
}

#[derive(Clone, Debug)]
enum Operation {
	Request,
	Loaded(usize),
	Forget,
	SeatInFreeRoom,
	SeatAndPin,
	Acquire,
	Release,
	Pin,
	Unpin,
	Evict,
}

fn operation() -> impl Strategy<Value = Operation> {
	prop_oneof![
		3 => Just(Operation::Request),
		3 => (0..50usize).prop_map(Operation::Loaded),
		1 => Just(Operation::Forget),
		1 => Just(Operation::SeatInFreeRoom),
		1 => Just(Operation::SeatAndPin),
		4 => Just(Operation::Acquire),
		3 => Just(Operation::Release),
		1 => Just(Operation::Pin),
		1 => Just(Operation::Unpin),
		1 => Just(Operation::Evict),
	]
}

proptest! {
	#[test]
	fn slots_should_keep_their_bounds_whatever_happens(
		operations in prop::collection::vec((operation(), 0..8u8), 1..120),
	) {
		let mut slots = AdapterSlots::new(LIMITS);
		let mut references = BTreeMap::<AdapterKey, usize>::new();
		for (operation, number) in operations {
			let key = key(number);
			match operation {
				Operation::Request => {
					slots.request(key);
				},
				Operation::Loaded(bytes) => {
					let _ = slots.loaded(key, bytes);
				},
				Operation::Forget => {
					slots.forget(key);
				},
				Operation::SeatInFreeRoom => {
					slots.seat_in_free_room(key);
				},
				Operation::SeatAndPin => {
					let mut emptied = Vec::new();
					let seated = slots.seat_and_pin(key, &mut emptied);
					prop_assert!(seated.is_some() || emptied.is_empty());
				},
				Operation::Acquire => {
					let room = slots.has_room(key);
					let mut emptied = Vec::new();
					let acquired = slots.acquire(key, &mut emptied);
					prop_assert_eq!(acquired.is_some(), room);
					prop_assert!(room || emptied.is_empty());
					if room {
						*references.entry(key).or_default() += 1;
					}
				},
				Operation::Release => {
					if let Some(count) = references.get_mut(&key) {
						*count -= 1;
						slots.release(key);
					}
					references.retain(|_, count| *count > 0);
				},
				Operation::Pin => {
					let _ = slots.pin(key);
				},
				Operation::Unpin => slots.unpin(key),
				Operation::Evict => {
					slots.evict(key);
				},
			}
			slots.check(&references);
		}
		// Once nothing runs, anything staged can be seated.
		for (key, count) in references {
			(0..count).for_each(|_| slots.release(key));
		}
		prop_assert!(slots.staged().iter().all(|key| slots.has_room(*key)));
	}
}
