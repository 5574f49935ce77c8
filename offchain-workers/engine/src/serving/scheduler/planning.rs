//! What is done next for those that run, and for the adapters that others wait for.

use std::collections::BTreeMap;

use crate::serving::{
	pages::PAGE_TOKENS,
	request::{AdapterKey, Tenant},
	scheduler::{sequence::Phase, Scheduler, Seated, Segment, SequenceId, Step},
	slots::Asked,
};

impl Scheduler {
	pub(super) fn expire(&mut self, now: u64, step: &mut Step) {
		while let Some(&(deadline, id)) = self.deadlines.first().filter(|first| first.0 <= now) {
			self.deadlines.remove(&(deadline, id));
			self.finish(id);
			step.expired.push(id);
		}
	}

	/// Seats adapters that were read where they are to be pinned, or where that takes nobody's room;
	/// others are seated when a sequence that wants them is admitted, so that two that wait do not
	/// evict each other's.
	pub(super) fn seat_and_discard(&mut self, step: &mut Step) {
		let staged: Vec<_> = self.adapters.staged().iter().copied().collect();
		let (to_pin, others): (Vec<_>, Vec<_>) =
			staged.into_iter().partition(|key| self.adapters.is_to_be_pinned(*key));
		// First, so that no slot is emptied that was just taken.
		for key in to_pin.into_iter().chain(others) {
			let pinned = self.adapters.seat_and_pin(key, &mut step.emptied);
			match pinned.or_else(|| self.adapters.seat_in_free_room(key)) {
				Some(slot) => step.seated.push(Seated { key, slot }),
				None if self.is_waited_for(key) => {},
				None => {
					self.adapters.forget(key);
					step.discarded.push(key);
				},
			}
		}
	}

	fn is_waited_for(&self, key: AdapterKey) -> bool {
		self.queue.iter().any(|(_, id)| {
			self.sequences.get(&id).is_some_and(|sequence| sequence.root.adapter == Some(key))
		})
	}

	pub(super) fn begin_loads(&mut self, step: &mut Step) {
		for (_, id) in self.queue.iter().take(self.limits.load_ahead) {
			let Some(key) = self.sequences.get(&id).and_then(|sequence| sequence.root.adapter)
			else {
				continue;
			};
			match self.adapters.request(key) {
				Asked::Load => step.loads.push(key),
				Asked::Known(_) => {},
				Asked::NoRoomNow => break,
			}
		}
	}

	/// Gives every running sequence a page for its next position, and preempts others for it.
	pub(super) fn extend_tables(&mut self, step: &mut Step) {
		let mut index = 0;
		while let Some(&id) = self.running.get(index) {
			let Some(sequence) = self.sequences.get_mut(&id) else { break };
			let positions = sequence.known_positions();
			let Some(running) = sequence.running_mut() else { break };
			if positions <= running.pages.len() * PAGE_TOKENS {
				index += 1;
			} else if let Some(page) = self.pages.allocate() {
				running.pages.push(page);
			} else if let Some(other) = self.who_gives_way() {
				let before = self.running.iter().take(index).any(|id| *id == other);
				index -= usize::from(before);
				self.preempt(other);
				step.preempted.push(other);
			} else {
				// Cannot be: one sequence alone always has room.
				break;
			}
		}
	}

	pub(super) fn preempt(&mut self, id: SequenceId) {
		let Some(sequence) = self.sequences.get_mut(&id) else { return };
		// Were others let into the room that it left, they would soon be short of it too.
		let waiting = Phase::Waiting { patience: 0 };
		let Phase::Running(running) = std::mem::replace(&mut sequence.phase, waiting) else {
			return;
		};
		self.queue.put_back(sequence.root.tenant.clone(), id, sequence.turn);
		let adapter = sequence.root.adapter;
		self.stop(id, adapter, &running);
	}

	/// Plans what runs: one token for each that decodes, then prompts with what is left of the
	/// budget, which is returned. The first prompt of each tenant comes before the second of any.
	pub(super) fn continue_running(&mut self, step: &mut Step) -> usize {
		let decodes =
			|id: &SequenceId| self.sequences.get(id).is_some_and(|sequence| sequence.rest() == 1);
		let (decodes, prefills): (Vec<_>, Vec<_>) = self.running.iter().copied().partition(decodes);
		let mut prompts: BTreeMap<&Tenant, usize> = BTreeMap::new();
		let mut ranked = Vec::with_capacity(prefills.len());
		for id in prefills {
			let Some(sequence) = self.sequences.get(&id) else { continue };
			let rank = prompts.entry(&sequence.root.tenant).or_default();
			ranked.push((*rank, id));
			*rank += 1;
		}
		ranked.sort_by_key(|(rank, _)| *rank);
		let prefills = ranked.into_iter().map(|(_, id)| id);
		let mut budget = self.limits.max_step_tokens;
		for id in decodes.into_iter().chain(prefills) {
			self.plan_segment(id, &mut budget, step);
		}
		budget
	}

	/// Plans the next positions of a running sequence, as many as the budget allows.
	pub(super) fn plan_segment(&mut self, id: SequenceId, budget: &mut usize, step: &mut Step) {
		let Some(sequence) = self.sequences.get_mut(&id) else { return };
		let length = sequence.rest().min(self.limits.prefill_chunk).min(*budget);
		let (tokens, logits_from) = (sequence.tokens.len(), sequence.logits_from);
		let Some(running) = sequence.running_mut() else { return };
		running.planned = length;
		*budget -= length;
		if length > 0 {
			let (slot, start) = (running.slot, running.computed);
			let completes = start + length == tokens;
			step.segments.push(Segment { id, slot, start, length, logits_from, completes });
		}
	}
}
