//! Adapters come and go.

use super::*;

#[test]
fn tokens_of_one_adapter_should_be_contiguous() {
	let mut driver = driver(2);
	for (id, adapter) in [(1, 2), (2, 1), (3, 0), (4, 2), (5, 1)] {
		let entry = entry(id, 3, 5);
		driver.submit(if adapter > 0 { on(adapter, entry) } else { entry }).unwrap();
	}
	let slots: Vec<_> = driver.step().segments.iter().map(|it| (it.slot, it.id.0)).collect();
	assert_eq!(slots, [(None, 3), (Some(0), 2), (Some(0), 5), (Some(1), 1), (Some(1), 4)]);
}

#[test]
fn batch_should_not_wait_for_an_adapter() {
	let mut driver = driver(0);
	driver.submit(on(1, entry(1, 5, 3))).unwrap();
	driver.submit(entry(2, 5, 3)).unwrap();
	let step = driver.step();
	assert_eq!(step.loads, [key(1)]);
	assert_eq!(segments(&step), [(2, 0, 5)]);
	assert_eq!(segments(&driver.step()), [(2, 5, 1)]);
	driver.load(key(1), 10);
	let step = driver.step();
	assert_eq!(step.seated, [Seated { key: key(1), slot: 0 }]);
	assert_eq!(segments(&step), [(2, 6, 1), (1, 0, 5)]);
}

#[test]
fn all_who_wait_for_an_adapter_should_fail_with_it_and_be_free_to_try_again() {
	let mut driver = driver(0);
	for id in 1..4 {
		driver.submit(on(1, entry(id, 5, 3))).unwrap();
	}
	assert_eq!(driver.step().loads, [key(1)]);
	assert_eq!(driver.fail(key(1)), ids(1..4));
	driver.submit(on(1, entry(4, 5, 3))).unwrap();
	assert_eq!(driver.step().loads, [key(1)]);
	driver.run();
	assert_eq!(driver.ended[&SequenceId(4)], End::Done);
}

#[test]
fn adapter_should_be_refused_with_those_who_wait_when_it_is_too_large() {
	let mut driver = driver(0);
	driver.submit(on(1, entry(1, 5, 3))).unwrap();
	driver.step();
	let rejected = driver.scheduler.adapter_loaded(key(1), 101).unwrap_err();
	assert_eq!(rejected.reason, NotStaged::TooLarge { bytes: 101, max: 100 });
	assert_eq!(rejected.failed, ids([1]));
	assert!(driver.scheduler.adapter_failed(key(1)).is_empty());
}

#[test]
fn adapter_should_be_dropped_when_nobody_waits_for_it_any_more() {
	let mut driver = Driver::new(LIMITS, 64, ONE_SLOT);
	driver.submit(on(1, entry(1, 5, 30))).unwrap();
	driver.step();
	driver.load(key(1), 10);
	driver.step();
	driver.submit(on(2, entry(2, 5, 3))).unwrap();
	driver.step();
	driver.load(key(2), 10);
	assert!(driver.step().discarded.is_empty());
	driver.cancel(SequenceId(2));
	assert_eq!(driver.step().discarded, [key(2)]);
}

#[test]
fn idle_adapter_should_not_keep_another_one_out() {
	let mut driver = Driver::new(LIMITS, 64, ONE_SLOT);
	for id in 1..5 {
		driver.submit(on(id as u8, entry(id, 5, 3))).unwrap();
	}
	driver.run();
	assert_eq!(driver.admitted, ids(1..5));
}

#[test]
fn sequences_on_active_adapters_should_go_first_but_not_for_ever() {
	let room = AdapterLimits { max_resident: 4, max_loading: 4, ..ONE_SLOT };
	let mut driver = Driver::new(Limits { max_running: 2, ..LIMITS }, 64, room);
	driver.submit(on(1, entry(1, 5, 50))).unwrap();
	driver.step();
	driver.load_all();
	driver.step();
	driver.submit(on(2, entry(2, 5, 2))).unwrap();
	for id in 3..20 {
		driver.submit(on(1, entry(id, 5, 2))).unwrap();
	}
	driver.step();
	driver.load_all();
	driver.run();
	// Number 3 was admitted while the adapter of 2 was not here; that passes nobody over.
	assert_eq!(driver.admitted[..7], ids([1, 3, 4, 5, 6, 2, 7])[..]);
}

#[test]
fn only_adapters_of_the_front_should_be_read_in_advance() {
	let mut driver = driver(0);
	for id in 1..40 {
		driver.submit(on(id as u8, entry(id, 5, 2))).unwrap();
	}
	assert_eq!(driver.step().loads, (1..=16).map(key).collect::<Vec<_>>());
	driver.run();
}
