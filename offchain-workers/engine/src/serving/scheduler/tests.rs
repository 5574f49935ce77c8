mod adapters;
mod driver;
mod properties;
mod sharing;

use driver::{driver, Driver, End};

use super::*;
use crate::serving::request::Tenant;

const LIMITS: Limits = Limits {
	max_step_tokens: 64,
	max_running: 8,
	max_waiting: 2_000,
	max_waiting_per_tenant: 1_000,
	max_active_adapters: 4,
	max_passed_over: 3,
	prefill_chunk: 32,
	load_ahead: 16,
	spare_pages: 0,
};

/// For stories without any.
const NO_ADAPTERS: AdapterLimits =
	AdapterLimits { max_bytes: 1, max_adapter_bytes: 1, max_resident: 1, max_loading: 1 };

/// One slot, and memory to read two more.
const ONE_SLOT: AdapterLimits =
	AdapterLimits { max_bytes: 20, max_adapter_bytes: 10, max_resident: 1, max_loading: 2 };

fn key(number: u8) -> AdapterKey {
	AdapterKey([number; 32])
}

fn tenant(number: u8) -> Tenant {
	Tenant(format!("tenant {number}").into())
}

/// A sequence of tenant 0 on the bare base model, with a prompt of its own.
fn entry(id: u64, prompt: usize, max_tokens: usize) -> Entry {
	Entry {
		id: SequenceId(id),
		tenant: tenant(0),
		adapter: None,
		prompt: vec![id as u32; prompt],
		max_tokens,
		logits_from: prompt.saturating_sub(1),
		deadline_ms: None,
	}
}

fn on(adapter: u8, entry: Entry) -> Entry {
	Entry { adapter: Some(key(adapter)), ..entry }
}

fn of(number: u8, entry: Entry) -> Entry {
	Entry { tenant: tenant(number), ..entry }
}

/// `(sequence, first position, tokens)`
fn segments(step: &Step) -> Vec<(u64, usize, usize)> {
	step.segments.iter().map(|it| (it.id.0, it.start, it.length)).collect()
}

fn ids(ids: impl IntoIterator<Item = u64>) -> Vec<SequenceId> {
	ids.into_iter().map(SequenceId).collect()
}

#[test]
fn prefill_should_share_a_step_with_decodes() {
	let mut driver = driver(0);
	driver.submit(entry(1, 5, 10)).unwrap();
	assert_eq!(segments(&driver.step()), [(1, 0, 5)]);
	driver.submit(entry(2, 80, 1)).unwrap();
	assert_eq!(segments(&driver.step()), [(1, 5, 1), (2, 0, 32)]);
	assert_eq!(segments(&driver.step()), [(1, 6, 1), (2, 32, 32)]);
	let step = driver.step();
	assert_eq!(segments(&step), [(1, 7, 1), (2, 64, 16)]);
	assert!(step.segments.iter().all(|segment| segment.completes && segment.logits().len() == 1));
	assert_eq!(driver.ended[&SequenceId(2)], End::Done);
}

#[test]
fn beginning_should_not_be_computed_twice_when_it_is_in_the_cache() {
	let mut driver = driver(1);
	let prompt = |tail: u32| (0..40).chain([tail; 10]).collect::<Vec<u32>>();
	driver.submit(Entry { prompt: prompt(7), ..entry(1, 50, 3) }).unwrap();
	driver.run();
	driver.submit(Entry { prompt: prompt(8), ..entry(2, 50, 3) }).unwrap();
	driver.submit(on(1, Entry { prompt: prompt(7), ..entry(3, 50, 3) })).unwrap();
	driver.run();
	let cached: Vec<_> = driver.cached_tokens.values().copied().collect();
	assert_eq!(cached, [0, 32, 0], "what an adapter has computed is of no use to another");
}

#[test]
fn beginning_should_be_shared_with_a_sequence_that_still_runs() {
	let mut driver = driver(0);
	driver.submit(Entry { prompt: vec![9; 32], ..entry(1, 32, 20) }).unwrap();
	driver.step();
	driver.submit(Entry { prompt: vec![9; 40], ..entry(2, 40, 20) }).unwrap();
	driver.step();
	assert_eq!(driver.cached_tokens[&SequenceId(2)], 32);
	let tables = [1, 2].map(|id| driver.scheduler.pages_of(SequenceId(id)).unwrap().to_vec());
	assert_eq!(tables[0][..2], tables[1][..2]);
	driver.run();
}

#[test]
fn scored_prompt_should_not_come_from_the_cache() {
	let mut driver = driver(0);
	driver.submit(entry(1, 50, 1)).unwrap();
	driver.run();
	let again = Entry { id: SequenceId(2), logits_from: 20, max_tokens: 0, ..entry(1, 50, 0) };
	driver.submit(again).unwrap();
	let step = driver.step();
	assert_eq!(segments(&step), [(2, 16, 32)]);
	assert_eq!(step.segments[0].logits(), 20..48);
	assert_eq!(driver.step().segments[0].logits(), 48..50);
	assert_eq!(driver.ended[&SequenceId(2)], End::Done);
}

#[test]
fn flood_should_not_starve_another_tenant() {
	let mut driver = driver(0);
	for id in 0..1_000 {
		driver.submit(entry(id, 20, 4)).unwrap();
	}
	(0..20).for_each(|_| drop(driver.step()));
	let before = driver.admitted.len();
	driver.submit(of(1, entry(1_000, 20, 4))).unwrap();
	driver.run();
	let place = driver.admitted.iter().position(|id| id.0 == 1_000).unwrap();
	assert!(place - before <= 1, "after {}", place - before);
}

#[test]
fn flood_should_not_starve_another_tenant_when_its_adapter_is_not_active() {
	let mut driver = driver(2);
	for id in 0..500 {
		driver.submit(on(1, entry(id, 20, 4))).unwrap();
	}
	driver.step();
	let before = driver.admitted.len();
	driver.submit(of(1, on(2, entry(1_000, 20, 4)))).unwrap();
	driver.run();
	let place = driver.admitted.iter().position(|id| id.0 == 1_000).unwrap();
	assert!(place - before <= LIMITS.max_passed_over + 1, "after {}", place - before);
}

#[test]
fn tenants_should_share_by_tokens() {
	let mut driver = driver(0);
	// One tenant's sequences cost four times as much.
	for id in 0..100 {
		driver.submit(of(1, entry(id, 30, 10))).unwrap();
		driver.submit(of(2, entry(1_000 + id, 8, 2))).unwrap();
	}
	while driver.admitted.len() < 100 {
		driver.step();
	}
	let dear = driver.admitted.iter().filter(|id| id.0 < 1_000).count();
	assert!((18..=22).contains(&dear), "{dear} of {}", driver.admitted.len());
}

#[test]
fn admission_should_leave_pages_for_those_that_run() {
	let mut driver = Driver::new(Limits { spare_pages: 2, ..LIMITS }, 4, NO_ADAPTERS);
	// Two pages: the second one for the token that comes next.
	driver.submit(entry(1, 16, 2)).unwrap();
	driver.submit(entry(2, 5, 2)).unwrap();
	driver.step();
	assert_eq!(driver.admitted, ids([1]));
	assert_eq!(driver.scheduler.pages().held(), 2);
	driver.run();
	// Alone, a sequence may have them all.
	driver.submit(entry(3, 60, 5)).unwrap();
	driver.run();
}

#[test]
fn small_sequences_should_pass_a_large_one_a_bounded_number_of_times() {
	let mut driver = Driver::new(LIMITS, 8, NO_ADAPTERS);
	driver.submit(entry(1, 60, 20)).unwrap();
	driver.step();
	driver.submit(entry(2, 100, 2)).unwrap();
	for id in 3..20 {
		driver.submit(entry(id, 5, 2)).unwrap();
	}
	driver.run();
	assert_eq!(driver.admitted[..6], ids([1, 3, 4, 5, 2, 6])[..]);
}

#[test]
fn youngest_should_be_preempted_when_pages_run_out_and_lose_nothing() {
	let mut driver = Driver::new(LIMITS, 6, NO_ADAPTERS);
	for id in 1..4 {
		driver.submit(entry(id, 20, 60)).unwrap();
	}
	driver.submit(of(1, entry(4, 20, 2))).unwrap();
	driver.run();
	assert_eq!(driver.preempted.first(), Some(&SequenceId(3)));
	assert!(!driver.preempted.contains(&SequenceId(1)));
	assert!(driver.ended.values().all(|end| *end == End::Done));
	assert_eq!(driver.ended.len(), 4);
}

#[test]
fn preempted_sequence_should_go_before_what_its_tenant_has_waiting() {
	let mut driver = Driver::new(Limits { max_running: 2, ..LIMITS }, 5, NO_ADAPTERS);
	for id in 1..4 {
		driver.submit(entry(id, 30, 40)).unwrap();
	}
	driver.run();
	assert_eq!(driver.preempted.first(), Some(&SequenceId(2)));
	assert_eq!(driver.admitted[..4], ids([1, 2, 2, 3])[..]);
}

#[test]
fn sequences_should_expire_waiting_or_running() {
	let mut driver = Driver::new(Limits { max_running: 1, ..LIMITS }, 64, NO_ADAPTERS);
	for (id, deadline) in [(1, 30), (2, 20), (3, 40)] {
		driver.submit(Entry { deadline_ms: Some(deadline), ..entry(id, 5, 100) }).unwrap();
	}
	assert_eq!(driver.scheduler.next_deadline(), Some(20));
	driver.step();
	// The clock jumps.
	driver.now = 35;
	assert_eq!(driver.step().expired, ids([2, 1]));
	assert!(driver.is_running(SequenceId(3)));
	assert_eq!(driver.scheduler.next_deadline(), Some(40));
	driver.now = 40;
	assert_eq!(driver.step(), Step { expired: ids([3]), ..Step::default() });
}

#[test]
fn follow_up_should_take_the_place_of_what_it_follows() {
	let mut driver =
		Driver::new(Limits { max_running: 1, max_waiting: 2, ..LIMITS }, 64, NO_ADAPTERS);
	driver.submit(entry(1, 5, 9)).unwrap();
	driver.step();
	driver.submit(entry(2, 5, 1)).unwrap();
	driver.submit(entry(3, 5, 1)).unwrap();
	assert_eq!(driver.submit(entry(4, 5, 1)), Err(Refusal::QueueFull { waiting: 2 }));
	assert_eq!(
		driver.follow_up(SequenceId(2), entry(4, 5, 0)),
		Err(Refusal::NotRunning(SequenceId(2)))
	);
	driver.follow_up(SequenceId(1), entry(4, 5, 0)).unwrap();
	driver.run();
	assert_eq!(driver.admitted, ids([1, 4, 2, 3]));
}

#[test]
fn what_cannot_run_or_wait_should_be_refused() {
	let limits = Limits { max_waiting: 3, max_waiting_per_tenant: 2, ..LIMITS };
	let mut driver = Driver::new(limits, 4, NO_ADAPTERS);
	assert_eq!(driver.submit(entry(1, 0, 1)), Err(Refusal::EmptyPrompt));
	assert_eq!(
		driver.submit(Entry { logits_from: 3, ..entry(1, 3, 1) }),
		Err(Refusal::LogitsBehindPrompt { from: 3, prompt: 3 })
	);
	assert_eq!(driver.submit(entry(1, 60, 6)), Err(Refusal::TooFewPages { needed: 5, total: 4 }));
	assert!(matches!(driver.submit(entry(1, 60, usize::MAX)), Err(Refusal::TooFewPages { .. })));
	driver.submit(entry(1, 60, 5)).unwrap();
	assert_eq!(driver.submit(entry(1, 5, 1)), Err(Refusal::KnownId(SequenceId(1))));
	driver.submit(entry(2, 5, 1)).unwrap();
	assert_eq!(driver.submit(entry(3, 5, 1)), Err(Refusal::TenantQueueFull { waiting: 2 }));
	driver.submit(of(1, entry(3, 5, 1))).unwrap();
	assert_eq!(driver.submit(of(2, entry(4, 5, 1))), Err(Refusal::QueueFull { waiting: 3 }));
	driver.run();
}

#[test]
fn what_was_not_planned_should_not_be_advanced() {
	let mut driver = driver(0);
	let id = driver.submit(entry(1, 40, 1)).unwrap();
	let scheduler = &mut driver.scheduler;
	assert_eq!(scheduler.advance(id, None), Err(AdvanceError::NotRunning(id)));
	scheduler.plan(0);
	assert_eq!(scheduler.advance(id, Some(1)), Err(AdvanceError::Incomplete(id)));
	scheduler.advance(id, None).unwrap();
	assert_eq!(scheduler.advance(id, None), Err(AdvanceError::NotInStep(id)));
	scheduler.plan(0);
	scheduler.advance(id, Some(1)).unwrap();
	assert!(scheduler.plan(0).segments.is_empty(), "it has all its tokens");
	assert!(scheduler.finish(id));
	assert_eq!(scheduler.advance(id, None), Err(AdvanceError::NotRunning(id)));
}

#[test]
fn limits_should_be_refused_when_nothing_could_run() {
	let refused = |limits, adapters| Scheduler::new(limits, 1, adapters).err();
	assert_eq!(refused(Limits::default(), NO_ADAPTERS), None);
	assert_eq!(
		refused(Limits { max_step_tokens: 7, ..LIMITS }, NO_ADAPTERS),
		Some(LimitsError::TooLarge {
			smaller: "max_running",
			is: 8,
			larger: "max_step_tokens",
			most: 7
		})
	);
	assert_eq!(
		refused(Limits { prefill_chunk: 0, ..LIMITS }, NO_ADAPTERS),
		Some(LimitsError::Zero("prefill_chunk"))
	);
	assert_eq!(
		refused(LIMITS, AdapterLimits { max_adapter_bytes: 2, ..NO_ADAPTERS }),
		Some(LimitsError::TooLarge {
			smaller: "max_adapter_bytes",
			is: 2,
			larger: "max_bytes",
			most: 1
		})
	);
}
