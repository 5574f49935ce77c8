//! Who makes way for whom.
//!
//! Turns are fair among sequences that begin. But sequences may run for minutes, and hold pages and
//! places as long, so between tenants it counts too what each has of the batch. A sequence that finds
//! no room takes that of others, if their tenant has as much as its own even then; those that were
//! admitted last make way, keep their turns, and are computed anew later. And a sequence may pass those
//! with an earlier turn whose tenants have as much as its own will have, however often they were passed.
//!
//! *Invariants.* Nobody makes way twice without a page of new tokens in between, and the sequence that
//! runs longest never does. Nobody is passed like this whose tenant has nothing in the batch.

use std::collections::{BTreeMap, BTreeSet};

use crate::serving::{
	request::{AdapterKey, Tenant},
	scheduler::{
		sequence::{Phase, Sequence},
		Scheduler, SequenceId, Step,
	},
	tenants::Turn,
};

/// What a tenant has of the batch.
#[derive(Clone, Copy, Debug, Default)]
struct Share {
	pages: usize,
	sequences: usize,
}

type Shares<'a> = BTreeMap<&'a Tenant, Share>;

/// A sequence to be admitted, and those that make way for it.
type Way = (Turn, SequenceId, Vec<SequenceId>);

impl Scheduler {
	/// Admits one sequence that its turn alone would not, if there is one.
	pub(super) fn make_way(&mut self, step: &mut Step) {
		let Some((turn, id, others)) = self.next_way() else { return };
		for other in others {
			self.preempt(other);
			step.preempted.push(other);
		}
		self.try_to_admit(turn, id, false, step);
	}

	/// Who gives a page to others when there is none: of the tenant that has the most, the sequence
	/// that was admitted last. The one that runs longest never does.
	pub(super) fn who_gives_way(&self) -> Option<SequenceId> {
		let shares = self.shares();
		let pages = |id: &SequenceId| {
			let tenant = &self.sequences.get(id)?.root.tenant;
			shares.get(tenant).map(|share| share.pages)
		};
		// The last one of several that are the greatest.
		self.running.iter().skip(1).max_by_key(|id| pages(id)).copied()
	}

	/// The first in the order of turns, looking at the first sequence of each tenant.
	fn next_way(&self) -> Option<Way> {
		if self.running.is_empty() || self.queue.is_empty() {
			return None;
		}
		let (shares, tenants) = (self.shares(), self.queue.tenants());
		let mut seen = BTreeSet::new();
		// What a tenant may have at most, to pass those before it.
		let mut most_pages = usize::MAX;
		let mut is_held_up = false;
		for (turn, id) in self.queue.iter() {
			if seen.len() == tenants {
				break;
			}
			let here = self.sequences.get(&id).filter(|sequence| self.has_adapter_of(sequence));
			let Some(sequence) = here else { continue };
			let tenant = &sequence.root.tenant;
			if seen.insert(tenant) {
				let own = shares.get(tenant).copied().unwrap_or_default();
				if own.pages + sequence.pages_to_begin() <= most_pages {
					let others = self.others_for(sequence, own, &shares);
					if let Some(others) = others.filter(|others| is_held_up || !others.is_empty()) {
						return Some((turn, id, others));
					}
				}
				most_pages = most_pages.min(own.pages);
			}
			is_held_up |= matches!(sequence.phase, Phase::Waiting { patience: 0 });
		}
		None
	}

	/// Who makes way for a sequence, nobody if there is room. None if that would not do.
	fn others_for(
		&self,
		sequence: &Sequence,
		own: Share,
		shares: &Shares<'_>,
	) -> Option<Vec<SequenceId>> {
		let pages = sequence.pages_to_begin();
		let wanted = pages + self.limits.spare_pages;
		let mut missing_pages = wanted.saturating_sub(self.pages.available());
		let mut misses_place = self.running.len() >= self.limits.max_running;
		let mut misses_adapter = sequence.root.adapter.is_some_and(|key| !self.may_use(key));
		let (mut shares, mut others) = (shares.clone(), Vec::new());
		for id in self.running.iter().skip(1).rev() {
			let Some(other) = self.sequences.get(id).filter(|other| other.has_advanced()) else {
				continue;
			};
			let (Some(running), Some(theirs)) =
				(other.running(), shares.get_mut(&other.root.tenant))
			else {
				continue;
			};
			let left = Share {
				pages: theirs.pages.saturating_sub(running.pages.len()),
				sequences: theirs.sequences.saturating_sub(1),
			};
			let is_alone = other.root.adapter.is_some_and(|key| self.adapters.references(key) == 1);
			let gives_pages = missing_pages > 0 && left.pages >= own.pages + pages;
			let gives_place = misses_place && left.sequences > own.sequences;
			let gives_adapter = misses_adapter && is_alone && left.sequences > own.sequences;
			if gives_pages || gives_place || gives_adapter {
				missing_pages = missing_pages.saturating_sub(self.pages.held_alone(&running.pages));
				misses_place = false;
				misses_adapter &= !is_alone;
				*theirs = left;
				others.push(*id);
			}
		}
		(missing_pages == 0 && !misses_place && !misses_adapter).then_some(others)
	}

	/// Whether one more sequence with this adapter, which is here, could run.
	fn may_use(&self, key: AdapterKey) -> bool {
		let places = self.adapters.active() < self.limits.max_active_adapters;
		self.adapters.is_active(key) || places && self.adapters.has_room(key)
	}

	fn shares(&self) -> Shares<'_> {
		let mut shares = Shares::new();
		for sequence in self.running.iter().filter_map(|id| self.sequences.get(id)) {
			let share = shares.entry(&sequence.root.tenant).or_default();
			share.pages += sequence.running().map_or(0, |running| running.pages.len());
			share.sequences += 1;
		}
		shares
	}
}
