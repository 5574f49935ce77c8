//! Whose turn it is: a fair order among the waiting sequences of all tenants.
//!
//! Start-time fair queueing (Goyal, Vin and Cheng, SIGCOMM 1996). Virtual time counts tokens. A
//! sequence starts, in virtual time, when the one before it of the same tenant ends, or now if
//! there is none; it ends after as many tokens as it may cost. Sequences go in the order of their
//! starts. So whoever queues a thousand sequences queues them behind one another, and not before
//! a tenant that comes later with one.
//!
//! The order of two waiting sequences never changes. So it is well defined who passes whom.

use std::{collections::BTreeMap, ops::Bound};

use crate::serving::{request::Tenant, scheduler::SequenceId};

/// A place in the order. Smaller goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Turn {
	/// Virtual time, in tokens.
	start: u64,
	/// Tells apart those that start together: first come, first served.
	number: u64,
}

#[derive(Debug)]
struct Waiting {
	id: SequenceId,
	tenant: Tenant,
	/// Tokens.
	cost: u64,
}

#[derive(Debug, Default)]
struct Account {
	waiting: usize,
	/// When the last one waiting ends.
	end: u64,
	/// When the last one admitted ends.
	admitted_end: u64,
}

/// Sequences that wait, in the order in which they should go.
#[derive(Debug)]
pub struct FairQueue {
	waiting: BTreeMap<Turn, Waiting>,
	/// Tenants that have something waiting, or had their share and more while others waited.
	accounts: BTreeMap<Tenant, Account>,
	max_accounts: usize,
	/// Virtual time: how far the tenant that is furthest behind has come.
	now: u64,
	next_number: u64,
}

impl FairQueue {
	/// An empty queue, that remembers how much `max_accounts` tenants had.
	pub fn new(max_accounts: usize) -> Self {
		Self {
			waiting: BTreeMap::new(),
			accounts: BTreeMap::new(),
			max_accounts,
			now: 0,
			next_number: 0,
		}
	}

	/// Sequences that wait.
	pub fn len(&self) -> usize {
		self.waiting.len()
	}

	/// Nothing waits.
	pub fn is_empty(&self) -> bool {
		self.waiting.is_empty()
	}

	/// Tenants that have something waiting.
	pub fn tenants(&self) -> usize {
		self.accounts.values().filter(|account| account.waiting > 0).count()
	}

	/// Sequences of one tenant that wait.
	pub fn len_of(&self, tenant: &Tenant) -> usize {
		self.accounts.get(tenant).map_or(0, |account| account.waiting)
	}

	/// Adds a sequence behind all that its tenant has waiting. It may cost `cost` tokens.
	pub fn push(&mut self, tenant: Tenant, id: SequenceId, cost: u64) -> Turn {
		self.forget_accounts();
		let account = self.accounts.entry(tenant.clone()).or_default();
		let turn = Turn { start: account.end.max(self.now), number: self.next_number };
		account.end = turn.start.saturating_add(cost);
		account.waiting += 1;
		self.next_number += 1;
		self.waiting.insert(turn, Waiting { id, tenant, cost });
		turn
	}

	/// Puts a sequence that was admitted back to its place. It costs nothing more.
	pub fn put_back(&mut self, tenant: Tenant, id: SequenceId, turn: Turn) {
		self.accounts.entry(tenant.clone()).or_default().waiting += 1;
		self.waiting.insert(turn, Waiting { id, tenant, cost: 0 });
	}

	/// Takes out a sequence that is admitted.
	pub fn admit(&mut self, turn: Turn) {
		let first = self.waiting.first_key_value().map_or(0, |(first, _)| first.start);
		self.now = self.now.max(first);
		self.take(turn, true);
	}

	/// Takes out a sequence that waits no more, and was not admitted.
	pub fn remove(&mut self, turn: Turn) {
		self.take(turn, false);
	}

	/// Who waits, first those who should go first.
	pub fn iter(&self) -> impl Iterator<Item = (Turn, SequenceId)> + '_ {
		self.waiting.iter().map(|(turn, waiting)| (*turn, waiting.id))
	}

	/// Who comes after a place in the order; at first, nobody's.
	pub fn after(&self, turn: Option<Turn>) -> Option<(Turn, SequenceId)> {
		let from = turn.map_or(Bound::Unbounded, Bound::Excluded);
		let (turn, waiting) = self.waiting.range((from, Bound::Unbounded)).next()?;
		Some((*turn, waiting.id))
	}

	fn take(&mut self, turn: Turn, admitted: bool) {
		let Some(Waiting { tenant, cost, .. }) = self.waiting.remove(&turn) else { return };
		if self.waiting.is_empty() {
			// Nobody was kept waiting by what the others had. All start level, and behind those
			// that may yet be put back.
			let ends = self.accounts.values().map(|account| account.end).max();
			self.now = self.now.max(ends.unwrap_or(0));
			self.accounts.clear();
			return;
		}
		let Some(account) = self.accounts.get_mut(&tenant) else { return };
		account.waiting -= 1;
		if admitted {
			account.admitted_end = account.admitted_end.max(turn.start.saturating_add(cost));
		}
		if account.waiting == 0 {
			// What left without being admitted is not charged.
			account.end = account.admitted_end;
			if account.end <= self.now {
				self.accounts.remove(&tenant);
			}
		}
	}

	/// Keeps room for one more account. Those go that make no difference any more. If these are
	/// not enough, time jumps to where the next one makes none: it favours nobody who waits.
	fn forget_accounts(&mut self) {
		if self.accounts.len() < self.max_accounts {
			return;
		}
		let idle = self.accounts.values().filter(|account| account.waiting == 0);
		self.now = self.now.max(idle.map(|account| account.end).min().unwrap_or(0));
		let now = self.now;
		self.accounts.retain(|_, account| account.waiting > 0 || account.end > now);
	}
}

#[cfg(test)]
mod tests {
	use proptest::prelude::*;

	use super::*;

	fn tenant(number: u64) -> Tenant {
		Tenant(format!("{number}").into())
	}

	fn order(queue: &FairQueue) -> Vec<u64> {
		queue.iter().map(|(_, id)| id.0).collect()
	}

	fn admit_first(queue: &mut FairQueue) -> Option<u64> {
		let (turn, id) = queue.after(None)?;
		queue.admit(turn);
		Some(id.0)
	}

	#[test]
	fn tenants_should_take_turns() {
		let mut queue = FairQueue::new(10);
		for id in 0..6 {
			queue.push(tenant(id / 3), SequenceId(id), 10);
		}
		assert_eq!(order(&queue), [0, 3, 1, 4, 2, 5]);
		assert_eq!(queue.len_of(&tenant(1)), 3);
	}

	#[test]
	fn late_tenant_should_not_wait_for_a_flood_nor_be_paid_for_the_past() {
		let mut queue = FairQueue::new(10);
		for id in 0..100 {
			queue.push(tenant(0), SequenceId(id), 10);
		}
		for id in 0..50 {
			assert_eq!(admit_first(&mut queue), Some(id));
		}
		for id in 100..110 {
			queue.push(tenant(1), SequenceId(id), 10);
		}
		assert_eq!(order(&queue)[..5], [100, 50, 101, 51, 102]);
	}

	#[test]
	fn what_left_without_being_admitted_should_cost_nothing() {
		let mut queue = FairQueue::new(10);
		let turns: Vec<_> = (0..10).map(|id| queue.push(tenant(0), SequenceId(id), 10)).collect();
		for id in 10..20 {
			queue.push(tenant(1), SequenceId(id), 10);
		}
		turns.into_iter().for_each(|turn| queue.remove(turn));
		queue.push(tenant(0), SequenceId(20), 10);
		assert_eq!(order(&queue)[..3], [10, 20, 11]);
	}

	#[test]
	fn what_was_put_back_should_go_before_what_came_later() {
		let mut queue = FairQueue::new(10);
		let turns: Vec<_> = (0..3).map(|id| queue.push(tenant(0), SequenceId(id), 10)).collect();
		// Admitted out of order, so that its turn is later than any that was the first one.
		turns.iter().rev().for_each(|turn| queue.admit(*turn));
		queue.push(tenant(1), SequenceId(3), 10);
		queue.push(tenant(0), SequenceId(4), 10);
		queue.put_back(tenant(0), SequenceId(2), turns[2]);
		assert_eq!(order(&queue), [2, 3, 4]);
	}

	#[test]
	fn tenants_that_are_remembered_should_be_bounded() {
		let mut queue = FairQueue::new(10);
		// Something always waits, so that nothing is forgotten for want of competition.
		queue.push(tenant(0), SequenceId(0), u64::from(u32::MAX));
		queue.push(tenant(0), SequenceId(1), 1);
		for id in 2..1_000 {
			let turn = queue.push(tenant(id), SequenceId(id), id % 7);
			queue.admit(turn);
			assert!(queue.accounts.len() <= 10);
		}
		assert_eq!(order(&queue), [0, 1]);
	}

	proptest! {
		/// Theorem 1 of the paper, for equal weights.
		#[test]
		fn tenants_should_have_had_the_same_while_both_wait(
			costs in prop::collection::vec((0..2u64, 1..100u64), 2..80),
		) {
			let mut queue = FairQueue::new(10);
			for (id, &(number, cost)) in (0..).zip(&costs) {
				queue.push(tenant(number), SequenceId(id), cost);
			}
			let mut had = [0u64; 2];
			let dearest = [0, 1].map(|number| {
				let theirs = costs.iter().filter(|(owner, _)| *owner == number);
				theirs.map(|(_, cost)| *cost).max().unwrap_or(0)
			});
			while [0, 1].iter().all(|number| queue.len_of(&tenant(*number)) > 0) {
				let (number, cost) = costs[admit_first(&mut queue).unwrap() as usize];
				had[number as usize] += cost;
				prop_assert!(had[0].abs_diff(had[1]) <= dearest[0] + dearest[1]);
			}
		}
	}
}
