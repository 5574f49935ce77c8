//! Who of those that wait runs.
//!
//! Sequences are looked at in the order of their turns, twice: first those whose adapter is
//! active, or that need none, then all. Whoever is looked at and not admitted is *passed over* by
//! each one that is admitted after it in the order. A sequence whose adapter is not here is not
//! looked at, for it could not run. One that may not be passed over any more ends the look.

use crate::serving::{
	pages::pages_for,
	scheduler::{
		sequence::{Phase, Running},
		Admitted, Scheduler, Seated, SequenceId, Step,
	},
	slots::Residency,
	tenants::Turn,
};

/// Sequences that one look may find too large for the pages there are. Each costs a search of
/// the cache for the beginning of its prompt.
const MAX_TOO_LARGE: usize = 16;

/// What became of a sequence that was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
	Admitted,
	/// Its adapter is not here.
	Away,
	/// Others are preferred, or there are no places for one more adapter.
	Passed,
	/// There are too few pages.
	TooLarge,
}

impl Scheduler {
	/// Admits sequences until nothing is left of the step's budget: whoever gets no tokens of this
	/// step had better keep its place in the order.
	pub(super) fn admit(&mut self, budget: &mut usize, step: &mut Step) {
		self.look(true, budget, step);
		self.look(false, budget, step);
	}

	/// Looks at those who wait once, in the order of their turns.
	fn look(&mut self, only_active: bool, budget: &mut usize, step: &mut Step) {
		let mut passed: Vec<(SequenceId, usize)> = Vec::new();
		// Admissions that all who were passed so far still bear.
		let mut patience = usize::MAX;
		let (mut admitted, mut too_large, mut place) = (0, 0, None);
		while self.running.len() < self.limits.max_running
			&& *budget > 0
			&& patience > 0
			&& too_large < MAX_TOO_LARGE
		{
			let Some((turn, id)) = self.queue.after(place) else { break };
			place = Some(turn);
			match self.try_to_admit(turn, id, only_active, step) {
				Outcome::Admitted => {
					admitted += 1;
					patience -= 1;
					self.plan_segment(id, budget, step);
					continue;
				},
				Outcome::Away => continue,
				Outcome::Passed => {},
				Outcome::TooLarge => too_large += 1,
			}
			if let Some(theirs) = self.patience_of(id) {
				patience = patience.min(*theirs);
				passed.push((id, admitted));
			}
		}
		for (id, before) in passed {
			if let Some(patience) = self.patience_of(id) {
				*patience -= admitted - before;
			}
		}
	}

	pub(super) fn try_to_admit(
		&mut self,
		turn: Turn,
		id: SequenceId,
		only_active: bool,
		step: &mut Step,
	) -> Outcome {
		let is_here = |sequence| self.has_adapter_of(sequence);
		if !self.sequences.get(&id).is_some_and(is_here) {
			return Outcome::Away;
		}
		let Some(sequence) = self.sequences.get_mut(&id) else { return Outcome::Away };
		if let Some(key) = sequence.root.adapter {
			let places = self.adapters.active() < self.limits.max_active_adapters;
			let may_begin = !only_active && places && self.adapters.has_room(key);
			if !self.adapters.is_active(key) && !may_begin {
				return Outcome::Passed;
			}
		}
		let spare = if self.running.is_empty() { 0 } else { self.limits.spare_pages };
		// Rows of logits that are needed are not in the cache.
		let shareable = &sequence.tokens[..sequence.logits_from];
		let pages = sequence.pages_to_begin();
		let Some((pages, cached_tokens)) =
			self.pages.claim(&sequence.root, shareable, pages, spare)
		else {
			return Outcome::TooLarge;
		};
		let slot = match sequence.root.adapter {
			None => None,
			Some(key) => {
				let staged = self.adapters.residency(key) == Residency::Staged;
				let Some(slot) = self.adapters.acquire(key, &mut step.emptied) else {
					self.pages.release(&pages);
					return Outcome::Passed;
				};
				step.seated.extend(staged.then_some(Seated { key, slot }));
				Some(slot)
			},
		};
		let published = pages_for(cached_tokens);
		sequence.phase = Phase::Running(Running {
			slot,
			pages,
			published,
			computed: cached_tokens,
			planned: 0,
			admitted_with: sequence.tokens.len(),
		});
		self.queue.admit(turn);
		self.running.push(id);
		step.admitted.push(Admitted { id, cached_tokens });
		Outcome::Admitted
	}

	/// How often a waiting sequence may still be passed over.
	fn patience_of(&mut self, id: SequenceId) -> Option<&mut usize> {
		match &mut self.sequences.get_mut(&id)?.phase {
			Phase::Waiting { patience } => Some(patience),
			Phase::Running(_) => None,
		}
	}
}
