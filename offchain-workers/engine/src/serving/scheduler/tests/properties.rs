//! Whatever happens, in whatever order.

use proptest::prelude::*;

use super::{driver::Driver, key, tenant};
use crate::serving::{
	scheduler::{Entry, Limits, SequenceId},
	slots::{AdapterLimits, Asked, Pinned},
};

#[derive(Clone, Debug)]
enum Operation {
	Submit(Submission),
	Cancel(usize),
	FollowUp(usize, Submission),
	Load {
		which: usize,
		bytes: usize,
	},
	Fail(usize),
	Step {
		milliseconds: u64,
	},
	/// A step that fails: nothing is advanced.
	PlanOnly,
	Preload(u8),
	Pin(u8),
	Unpin(u8),
	Unload(u8),
}

#[derive(Clone, Debug)]
struct Submission {
	tenant: u8,
	adapter: u8,
	family: u32,
	length: usize,
	max_tokens: usize,
	scored: Option<usize>,
	deadline_ms: Option<u64>,
}

impl Submission {
	fn entry(&self, id: u64, now: u64) -> Entry {
		Entry {
			id: SequenceId(id),
			tenant: tenant(self.tenant),
			adapter: (self.adapter > 0).then(|| key(self.adapter)),
			// All begin alike, and part at the second page.
			prompt: (0..self.length).map(|at| (at as u32 / 16 % 3) * self.family).collect(),
			max_tokens: self.max_tokens,
			logits_from: self
				.scored
				.map_or(self.length.saturating_sub(1), |at| at % self.length.max(1)),
			deadline_ms: self.deadline_ms.map(|after| now + after),
		}
	}
}

fn submission() -> impl Strategy<Value = Submission> {
	let scored = prop::option::weighted(0.2, any::<usize>());
	let deadline_ms = prop::option::weighted(0.2, 0..200u64);
	(0..4u8, 0..6u8, 0..3u32, 0..90usize, 0..40usize, scored, deadline_ms).prop_map(
		|(tenant, adapter, family, length, max_tokens, scored, deadline_ms)| Submission {
			tenant,
			adapter,
			family,
			length,
			max_tokens,
			scored,
			deadline_ms,
		},
	)
}

fn operation() -> impl Strategy<Value = Operation> {
	prop_oneof![
		8 => submission().prop_map(Operation::Submit),
		1 => any::<usize>().prop_map(Operation::Cancel),
		1 => (any::<usize>(), submission()).prop_map(|(which, it)| Operation::FollowUp(which, it)),
		4 => (any::<usize>(), 0..55usize)
			.prop_map(|(which, bytes)| Operation::Load { which, bytes }),
		1 => any::<usize>().prop_map(Operation::Fail),
		12 => (0..20u64).prop_map(|milliseconds| Operation::Step { milliseconds }),
		1 => Just(Operation::PlanOnly),
		1 => (1..6u8).prop_map(Operation::Preload),
		1 => (1..6u8).prop_map(Operation::Pin),
		1 => (1..6u8).prop_map(Operation::Unpin),
		1 => (1..6u8).prop_map(Operation::Unload),
	]
}

prop_compose! {
	fn limits()(
		max_step_tokens in 1..40usize,
		running in 1..8usize,
		max_waiting in 1..40usize,
		max_waiting_per_tenant in 1..20usize,
		max_active_adapters in 1..4usize,
		max_passed_over in 0..4usize,
		prefill_chunk in 1..40usize,
		load_ahead in 1..6usize,
		spare_pages in 0..4usize,
	) -> Limits {
		Limits {
			max_step_tokens,
			max_running: running.min(max_step_tokens),
			max_waiting,
			max_waiting_per_tenant,
			max_active_adapters,
			max_passed_over,
			prefill_chunk,
			load_ahead,
			spare_pages,
		}
	}
}

fn apply(driver: &mut Driver, operation: Operation, next: &mut u64) {
	let of = |driver: &Driver, which: usize| {
		let count = driver.known.len().max(1);
		driver.known.keys().nth(which % count).copied()
	};
	let loading = |driver: &Driver, which: usize| {
		let count = driver.loading.len().max(1);
		driver.loading.iter().nth(which % count).copied()
	};
	*next += 1;
	match operation {
		Operation::Submit(submission) => {
			let _ = driver.submit(submission.entry(*next, driver.now));
		},
		Operation::Cancel(which) => {
			if let Some(id) = of(driver, which) {
				driver.cancel(id);
			}
		},
		Operation::FollowUp(which, submission) => {
			if let Some(id) = of(driver, which) {
				let next = if which % 2 == 0 { id.0 } else { *next };
				let _ = driver.follow_up(id, submission.entry(next, driver.now));
			}
		},
		Operation::Load { which, bytes } => {
			if let Some(key) = loading(driver, which) {
				driver.load(key, bytes);
			}
		},
		Operation::Fail(which) => {
			if let Some(key) = loading(driver, which) {
				driver.fail(key);
			}
		},
		Operation::Step { milliseconds } => {
			driver.now += milliseconds;
			driver.step();
		},
		Operation::PlanOnly => {
			driver.plan();
		},
		Operation::Preload(number) => {
			if driver.scheduler.preload(key(number)) == Asked::Load {
				driver.loading.insert(key(number));
			}
		},
		Operation::Pin(number) => {
			if driver.scheduler.pin(key(number)) == Ok(Pinned::OnceRead(Asked::Load)) {
				driver.loading.insert(key(number));
			}
		},
		Operation::Unpin(number) => driver.scheduler.unpin(key(number)),
		Operation::Unload(number) => driver.unload(key(number)),
	}
	driver.check();
}

proptest! {
	/// The driver checks everything else at every step.
	#[test]
	fn every_sequence_should_end_whatever_happens(
		limits in limits(),
		pages in 1..30u32,
		max_resident in 1..5usize,
		max_loading in 1..4usize,
		operations in prop::collection::vec(operation(), 1..150),
	) {
		let adapters = AdapterLimits {
			max_bytes: 100,
			max_adapter_bytes: 50,
			max_resident,
			max_loading,
		};
		let mut driver = Driver::new(limits, pages, adapters);
		let mut next = 0;
		for operation in operations {
			apply(&mut driver, operation, &mut next);
		}
		driver.run();
		prop_assert_eq!(driver.scheduler.running(), 0);
		prop_assert_eq!(driver.scheduler.waiting(), 0);
		prop_assert_eq!(driver.scheduler.pages().held(), 0);
		prop_assert_eq!(driver.scheduler.next_deadline(), None);
	}

	#[test]
	fn same_calls_should_give_the_same_steps(
		limits in limits(),
		operations in prop::collection::vec(operation(), 1..80),
	) {
		let adapters = AdapterLimits {
			max_bytes: 100,
			max_adapter_bytes: 50,
			max_resident: 3,
			max_loading: 2,
		};
		let mut drivers = [0, 1].map(|_| (Driver::new(limits, 20, adapters), 0));
		for operation in operations {
			for (driver, next) in &mut drivers {
				apply(driver, operation.clone(), next);
			}
			let [(first, _), (second, _)] = &mut drivers;
			prop_assert_eq!(first.plan(), second.plan());
		}
	}
}
