//! Tenants share what there is while each of them asks.

use super::*;

/// Steps until a sequence is admitted; how many that took.
fn steps_until_admitted(driver: &mut Driver, id: SequenceId) -> usize {
	(0..1_000).find(|_| driver.step().admitted.iter().any(|it| it.id == id)).unwrap()
}

/// A tenant's answers, of which each could fill the cache.
fn flood(driver: &mut Driver, sequences: u64) {
	for id in 0..sequences {
		driver.submit(entry(id, 20, 900)).unwrap();
	}
	(0..40).for_each(|_| drop(driver.step()));
}

#[test]
fn one_answer_should_not_wait_for_anothers_long_ones_when_they_hold_all_pages() {
	let mut driver = driver(0);
	flood(&mut driver, 8);
	while driver.preempted.is_empty() {
		driver.step();
	}
	driver.submit(of(1, entry(1_000, 20, 30))).unwrap();
	let steps = steps_until_admitted(&mut driver, SequenceId(1_000));
	assert!(steps <= 2 * PAGE_TOKENS, "{steps}");
	let preempted = driver.preempted.len();
	while !driver.ended.contains_key(&SequenceId(1_000)) {
		driver.step();
	}
	assert!(!driver.preempted[preempted..].contains(&SequenceId(1_000)), "it has the least");
	driver.run();
	assert!(driver.ended.values().all(|end| *end == End::Done));
}

#[test]
fn one_answer_should_not_wait_for_anothers_long_ones_when_they_hold_all_places() {
	let mut driver = Driver::new(LIMITS, 1_000, NO_ADAPTERS);
	flood(&mut driver, 20);
	assert_eq!(driver.scheduler.running(), LIMITS.max_running);
	driver.submit(of(1, entry(1_000, 20, 30))).unwrap();
	assert_eq!(steps_until_admitted(&mut driver, SequenceId(1_000)), 0);
	assert_eq!(driver.preempted, ids([7]), "who was admitted last makes way");
	driver.run();
	assert!(driver.ended.values().all(|end| *end == End::Done));
}

#[test]
fn one_answer_should_not_wait_for_anothers_long_ones_when_they_hold_all_adapters() {
	let room = AdapterLimits { max_resident: 2, max_loading: 2, ..ONE_SLOT };
	let mut driver = Driver::new(LIMITS, 1_000, room);
	for id in 1..3 {
		driver.submit(on(id as u8, entry(id, 20, 900))).unwrap();
	}
	(0..40).for_each(|_| {
		driver.step();
		driver.load_all();
	});
	driver.submit(of(1, on(9, entry(1_000, 20, 30)))).unwrap();
	driver.step();
	driver.load_all();
	assert_eq!(steps_until_admitted(&mut driver, SequenceId(1_000)), 0);
	assert_eq!(driver.preempted, ids([2]));
	driver.run();
	assert!(driver.ended.values().all(|end| *end == End::Done));
}

#[test]
fn nobody_should_make_way_for_who_would_have_more() {
	let mut driver = Driver::new(LIMITS, 64, NO_ADAPTERS);
	for (number, id) in [(0, 0), (1, 1)] {
		driver.submit(of(number, entry(id, 400, 100))).unwrap();
	}
	(0..40).for_each(|_| drop(driver.step()));
	driver.submit(of(1, entry(2, 400, 100))).unwrap();
	driver.submit(of(2, entry(3, 600, 100))).unwrap();
	while driver.preempted.is_empty() && driver.ended.is_empty() {
		driver.step();
	}
	assert!(driver.preempted.is_empty(), "{:?}", driver.preempted);
	driver.run();
}

#[test]
fn long_prompt_should_not_keep_anothers_short_one_out_of_a_step() {
	let mut driver = Driver::new(LIMITS, 1_000, NO_ADAPTERS);
	for id in 0..4 {
		driver.submit(entry(id, 2_000, 1)).unwrap();
	}
	driver.step();
	driver.submit(of(1, entry(1_000, 20, 1))).unwrap();
	// All of a step's tokens are taken when it comes; those of the next are shared.
	driver.step();
	while !driver.ended.contains_key(&SequenceId(1_000)) {
		assert!(driver.ended.is_empty(), "a prompt of 2,000 tokens was read before");
		driver.step();
	}
}
