//! Which adapters are in memory, and where.
//!
//! An adapter that is asked for is *loading*: somebody reads and checks it. Then it is *staged*:
//! read, and waiting for room. Then it is *resident*: in a numbered slot, where a step finds it.
//! *Referenced*: running sequences use it. *Idle*: neither referenced nor pinned, so that its room
//! can be had.
//!
//! *Invariants.* Resident adapters together are within the budget. A referenced or pinned one
//! keeps its slot. Room for one adapter of the largest size always stays unpinned, so that once
//! nothing runs, anything staged can be seated. A failed load leaves nothing behind: whoever asks
//! again, tries again. No weights are held here, only numbers.

use std::collections::{BTreeMap, BTreeSet};

use crate::serving::request::AdapterKey;

/// How much room there is for adapters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AdapterLimits {
	/// Bytes that resident adapters may take together: memory beside the model and the cache.
	pub max_bytes: usize,
	/// Bytes of one adapter. Larger ones fail. Pinned ones leave as much free.
	pub max_adapter_bytes: usize,
	/// Slots, at least one. Adapters resident at a time.
	pub max_resident: usize,
	/// Adapters that are loading or staged at a time, at least one: reads under way, and memory of
	/// adapters that have no slot yet.
	pub max_loading: usize,
}

/// Where an adapter stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Residency {
	/// Not here, and nobody reads it.
	Absent,
	Loading,
	/// Read; waits for room.
	Staged,
	Resident {
		slot: usize,
	},
}

/// What becomes of an adapter that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
	/// It is to be read now. The caller sees to it, and tells how that ended.
	Load,
	/// As many are being read as may be. To be asked for again.
	NoRoomNow,
	/// It is here, or will be.
	Known(Residency),
}

/// Why a read adapter is of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotStaged {
	#[error("the adapter was not asked for")]
	NotAskedFor,
	#[error("the adapter takes {bytes} bytes, but at most {max} are allowed")]
	TooLarge { bytes: usize, max: usize },
}

/// What becomes of an adapter that is to be pinned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pinned {
	/// It is resident, and pinned.
	Now,
	/// It will be once it was read, in the room of idle ones if there is no other. Upon
	/// [`Asked::Load`] the caller sees to that; upon [`Asked::NoRoomNow`] it pins again.
	OnceRead(Asked),
}

/// Why an adapter cannot be pinned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("room for one more adapter must stay unpinned")]
pub struct TooMuchPinned;

/// An adapter as an operator sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AdapterStatus {
	pub key: AdapterKey,
	pub residency: Residency,
	/// Unknown while it is loading.
	pub bytes: Option<usize>,
	/// Running sequences that use it.
	pub references: usize,
	pub pinned: bool,
	/// Sequences that have used it since it was seated.
	pub hits: u64,
}

#[derive(Debug)]
enum Entry {
	Loading,
	Staged { bytes: usize },
	Resident(Resident),
}

#[derive(Debug)]
struct Resident {
	slot: usize,
	bytes: usize,
	references: usize,
	pinned: bool,
	hits: u64,
	/// When it was last referenced, on the clock of the slots.
	last_use: u64,
}

impl Resident {
	fn is_idle(&self) -> bool {
		self.references == 0 && !self.pinned
	}
}

/// Slots and who is in them.
#[derive(Debug)]
pub struct AdapterSlots {
	limits: AdapterLimits,
	adapters: BTreeMap<AdapterKey, Entry>,
	/// Slots below `used_slots` that are empty.
	emptied: BTreeSet<usize>,
	/// Slots that were ever used; they are used from the lowest up.
	used_slots: usize,
	/// The longest unused first.
	idle: BTreeSet<(u64, AdapterKey)>,
	bytes: usize,
	idle_bytes: usize,
	pinned: usize,
	pinned_bytes: usize,
	/// Adapters that are to be pinned once they were read. Those that were too large to be pinned
	/// then, with their bytes.
	to_pin: BTreeMap<AdapterKey, Option<usize>>,
	/// Adapters that are referenced.
	active: usize,
	loading: usize,
	staged: BTreeSet<AdapterKey>,
	clock: u64,
}

impl AdapterSlots {
	/// Empty slots.
	pub fn new(limits: AdapterLimits) -> Self {
		Self {
			limits,
			adapters: BTreeMap::new(),
			emptied: BTreeSet::new(),
			used_slots: 0,
			idle: BTreeSet::new(),
			bytes: 0,
			idle_bytes: 0,
			pinned: 0,
			pinned_bytes: 0,
			to_pin: BTreeMap::new(),
			active: 0,
			loading: 0,
			staged: BTreeSet::new(),
			clock: 0,
		}
	}

	/// Where an adapter stands.
	pub fn residency(&self, key: AdapterKey) -> Residency {
		match self.adapters.get(&key) {
			None => Residency::Absent,
			Some(Entry::Loading) => Residency::Loading,
			Some(Entry::Staged { .. }) => Residency::Staged,
			Some(Entry::Resident(resident)) => Residency::Resident { slot: resident.slot },
		}
	}

	/// Whether running sequences use it.
	pub fn is_active(&self, key: AdapterKey) -> bool {
		self.references(key) > 0
	}

	/// Running sequences that use it.
	pub fn references(&self, key: AdapterKey) -> usize {
		match self.adapters.get(&key) {
			Some(Entry::Resident(resident)) => resident.references,
			_ => 0,
		}
	}

	/// Adapters that running sequences use.
	pub fn active(&self) -> usize {
		self.active
	}

	/// Bytes of all resident adapters.
	pub fn bytes(&self) -> usize {
		self.bytes
	}

	/// Adapters that were read and have no slot yet.
	pub fn staged(&self) -> &BTreeSet<AdapterKey> {
		&self.staged
	}

	/// Every adapter that is here or on its way, in the order of their keys.
	pub fn statuses(&self) -> impl Iterator<Item = AdapterStatus> + '_ {
		self.adapters.iter().map(|(&key, entry)| {
			let (bytes, references, pinned, hits) = match entry {
				Entry::Loading => (None, 0, false, 0),
				Entry::Staged { bytes } => (Some(*bytes), 0, false, 0),
				Entry::Resident(resident) => {
					(Some(resident.bytes), resident.references, resident.pinned, resident.hits)
				},
			};
			let residency = self.residency(key);
			AdapterStatus { key, residency, bytes, references, pinned, hits }
		})
	}

	/// Asks for an adapter.
	pub fn request(&mut self, key: AdapterKey) -> Asked {
		match self.residency(key) {
			Residency::Absent if self.loading + self.staged.len() < self.limits.max_loading => {
				self.loading += 1;
				self.adapters.insert(key, Entry::Loading);
				Asked::Load
			},
			Residency::Absent => Asked::NoRoomNow,
			known => Asked::Known(known),
		}
	}

	/// The adapter was read and takes so many bytes.
	///
	/// # Errors
	/// It is of no use, and forgotten.
	pub fn loaded(&mut self, key: AdapterKey, bytes: usize) -> Result<(), NotStaged> {
		let Some(entry @ Entry::Loading) = self.adapters.get_mut(&key) else {
			return Err(NotStaged::NotAskedFor);
		};
		let max = self.limits.max_adapter_bytes;
		if bytes > max {
			self.forget(key);
			return Err(NotStaged::TooLarge { bytes, max });
		}
		*entry = Entry::Staged { bytes };
		self.loading -= 1;
		self.staged.insert(key);
		Ok(())
	}

	/// The adapter could not be read, or nobody wants it any more. Forgets it, unless it is
	/// resident; tells whether it was loading or staged.
	pub fn forget(&mut self, key: AdapterKey) -> bool {
		match self.adapters.get(&key) {
			Some(Entry::Loading) => self.loading -= 1,
			Some(Entry::Staged { .. }) => {
				self.staged.remove(&key);
			},
			Some(Entry::Resident(_)) | None => return false,
		}
		self.adapters.remove(&key).is_some()
	}

	/// Whether a staged or resident adapter can be referenced now.
	pub fn has_room(&self, key: AdapterKey) -> bool {
		match self.adapters.get(&key) {
			Some(Entry::Staged { bytes }) => self.fits(*bytes, self.idle.len(), self.idle_bytes),
			Some(Entry::Resident(_)) => true,
			Some(Entry::Loading) | None => false,
		}
	}

	/// Seats a staged adapter if that empties no slot.
	pub fn seat_in_free_room(&mut self, key: AdapterKey) -> Option<usize> {
		let Some(Entry::Staged { bytes }) = self.adapters.get(&key) else { return None };
		let bytes = *bytes;
		self.fits(bytes, 0, 0).then(|| self.seat(key, bytes))
	}

	/// One more running sequence uses the adapter, in the slot that is returned. A staged one is
	/// seated; the slots of idle adapters that had to make room are added to `emptied`, the
	/// longest unused first.
	///
	/// None, and nothing happens, without room: see [`has_room`](Self::has_room).
	pub fn acquire(&mut self, key: AdapterKey, emptied: &mut Vec<usize>) -> Option<usize> {
		if !self.has_room(key) {
			return None;
		}
		if let Some(Entry::Staged { bytes }) = self.adapters.get(&key) {
			self.seat_in_room_of_idle(key, *bytes, emptied)?;
		}
		let slot = self.change(key, |resident| {
			resident.references += 1;
			resident.hits += 1;
		})?;
		Some(slot)
	}

	/// A sequence that used the adapter runs no more.
	pub fn release(&mut self, key: AdapterKey) {
		self.change(key, |resident| resident.references = resident.references.saturating_sub(1));
	}

	/// Keeps an adapter in its slot until it is unpinned; one that is not resident, once it is.
	///
	/// # Errors
	/// Too little would be left for others.
	pub fn pin(&mut self, key: AdapterKey) -> Result<Pinned, TooMuchPinned> {
		if let Some(Entry::Resident(resident)) = self.adapters.get(&key) {
			if !resident.pinned && !self.may_pin(resident.bytes) {
				return Err(TooMuchPinned);
			}
			self.to_pin.remove(&key);
			self.change(key, |resident| resident.pinned = true);
			return Ok(Pinned::Now);
		}
		let known_bytes = self.to_pin.get(&key).copied().flatten();
		let others = self.to_pin.keys().filter(|other| **other != key).count();
		if !self.may_pin(known_bytes.unwrap_or(0)) || others >= self.limits.max_resident {
			return Err(TooMuchPinned);
		}
		self.to_pin.insert(key, None);
		Ok(Pinned::OnceRead(self.request(key)))
	}

	/// Ends pinning.
	pub fn unpin(&mut self, key: AdapterKey) {
		self.to_pin.remove(&key);
		self.change(key, |resident| resident.pinned = false);
	}

	/// Whether it is to be pinned once it was read.
	pub fn is_to_be_pinned(&self, key: AdapterKey) -> bool {
		self.to_pin.get(&key) == Some(&None)
	}

	/// Seats and pins a staged adapter that is to be pinned. The slots of idle adapters that had to
	/// make room are added to `emptied`. None, and nothing happens, if it is not to be pinned, if there
	/// is too little room now, or if it turned out to be too large to be pinned.
	pub fn seat_and_pin(&mut self, key: AdapterKey, emptied: &mut Vec<usize>) -> Option<usize> {
		let Some(Entry::Staged { bytes }) = self.adapters.get(&key) else { return None };
		let bytes = *bytes;
		if !self.is_to_be_pinned(key) || !self.has_room(key) {
			return None;
		}
		if !self.may_pin(bytes) {
			self.to_pin.insert(key, Some(bytes));
			return None;
		}
		self.seat_in_room_of_idle(key, bytes, emptied)?;
		self.to_pin.remove(&key);
		self.change(key, |resident| resident.pinned = true)
	}

	/// Empties the slot of an idle adapter. None when it is not idle.
	pub fn evict(&mut self, key: AdapterKey) -> Option<usize> {
		let idle = matches!(self.adapters.get(&key), Some(Entry::Resident(it)) if it.is_idle());
		if !idle {
			return None;
		}
		let Some(Entry::Resident(resident)) = self.adapters.remove(&key) else { return None };
		self.idle.remove(&(resident.last_use, key));
		self.idle_bytes -= resident.bytes;
		self.bytes -= resident.bytes;
		self.emptied.insert(resident.slot);
		Some(resident.slot)
	}

	/// Whether an adapter fits, were `slots` and `bytes` given back first.
	fn fits(&self, adapter: usize, slots: usize, bytes: usize) -> bool {
		let resident = self.used_slots - self.emptied.len() - slots;
		resident < self.limits.max_resident && self.bytes - bytes + adapter <= self.limits.max_bytes
	}

	/// Whether so many bytes more may be pinned.
	fn may_pin(&self, bytes: usize) -> bool {
		let unpinned = self.limits.max_bytes.saturating_sub(self.pinned_bytes + bytes);
		self.pinned + 1 < self.limits.max_resident && unpinned >= self.limits.max_adapter_bytes
	}

	/// Gives a staged adapter a slot, after as many idle ones were evicted as have to be.
	fn seat_in_room_of_idle(
		&mut self,
		key: AdapterKey,
		bytes: usize,
		emptied: &mut Vec<usize>,
	) -> Option<usize> {
		while !self.fits(bytes, 0, 0) {
			let (_, longest_unused) = *self.idle.first()?;
			emptied.extend(self.evict(longest_unused));
		}
		Some(self.seat(key, bytes))
	}

	/// Gives a staged adapter a slot, the lowest one that is free.
	fn seat(&mut self, key: AdapterKey, bytes: usize) -> usize {
		let slot = self.emptied.pop_first().unwrap_or(self.used_slots);
		self.used_slots = self.used_slots.max(slot + 1);
		self.clock += 1;
		let last_use = self.clock;
		let resident = Resident { slot, bytes, references: 0, pinned: false, hits: 0, last_use };
		self.adapters.insert(key, Entry::Resident(resident));
		self.staged.remove(&key);
		self.bytes += bytes;
		self.idle_bytes += bytes;
		self.idle.insert((last_use, key));
		slot
	}

	/// Changes who uses a resident adapter, and keeps the sums in step.
	fn change(&mut self, key: AdapterKey, change: impl FnOnce(&mut Resident)) -> Option<usize> {
		let Some(Entry::Resident(resident)) = self.adapters.get_mut(&key) else { return None };
		if resident.is_idle() {
			self.idle.remove(&(resident.last_use, key));
			self.idle_bytes -= resident.bytes;
		}
		self.active -= usize::from(resident.references > 0);
		self.pinned -= usize::from(resident.pinned);
		self.pinned_bytes -= if resident.pinned { resident.bytes } else { 0 };
		change(resident);
		self.clock += 1;
		resident.last_use = self.clock;
		if resident.is_idle() {
			self.idle.insert((resident.last_use, key));
			self.idle_bytes += resident.bytes;
		}
		self.active += usize::from(resident.references > 0);
		self.pinned += usize::from(resident.pinned);
		self.pinned_bytes += if resident.pinned { resident.bytes } else { 0 };
		Some(resident.slot)
	}
}

#[cfg(test)]
mod tests;
