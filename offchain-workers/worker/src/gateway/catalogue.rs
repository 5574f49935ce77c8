//! Which models may be asked for, by which names, at which prices.
//!
//! Base models have the names of their files. Everything else is an entry: an adapter on one of the
//! base models, known by the hash of its content. Entries come from the operator
//! ([`admin`](super::admin)) and from the jobs that the node gives to this worker.

use super::{amounts::PricesInPlanks, GATEWAY_FOLDER};
use crate::{
	durable::{self, DiskError},
	hexadecimal, time,
};
use openledger_primitives::{worker_api::InferenceOrder, ModelId, UnixSeconds, H256};
use parking_lot::{Mutex, RwLock};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{
	collections::BTreeMap,
	fs, io,
	path::{Path, PathBuf},
	sync::Arc,
};

/// Entries of one worker.
pub const MAX_ENTRIES: usize = 10_000;
/// Bytes of a name.
const MAX_NAME: usize = 128;
/// Characters of an account in writing.
const MAX_OWNER: usize = 128;
const FILE: &str = "catalogue.json";
/// What entries that come from jobs are called, before their number on chain.
const ON_CHAIN: &str = "openledger/";

/// A hash as JSON has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash(pub H256);

impl Serialize for Hash {
	fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
		serializer.serialize_str(&hexadecimal::show(self.0))
	}
}

impl<'de> Deserialize<'de> for Hash {
	fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
		let text = String::deserialize(deserializer)?;
		let unreadable = "a hash has 64 hexadecimal digits in lower case, with or without 0x";
		hexadecimal::parse(&text).map(Self).ok_or_else(|| serde::de::Error::custom(unreadable))
	}
}

/// A model that may be asked for by its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
	/// What it is called.
	pub name: String,
	/// Hash of its base model's weights.
	pub base: Hash,
	/// Content hash of its adapter; the bare base model when there is none.
	#[serde(default, skip_serializing_if = "Option::is_none")]
	pub adapter: Option<Hash>,
	/// Its number on chain.
	#[serde(default, skip_serializing_if = "Option::is_none")]
	pub model_id: Option<ModelId>,
	/// Whose it is: an account, as people write it.
	#[serde(default, skip_serializing_if = "Option::is_none")]
	pub owner: Option<String>,
	/// What it costs.
	#[serde(default)]
	pub prices: PricesInPlanks,
	/// Root of the index over what the adapter was trained on.
	#[serde(default, skip_serializing_if = "Option::is_none")]
	pub span_index: Option<Hash>,
	/// It is to stay in memory.
	#[serde(default)]
	pub pinned: bool,
	/// When it was entered.
	#[serde(default)]
	pub created: UnixSeconds,
}

/// Why an entry cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum CatalogueError {
	/// It cannot be kept.
	#[error(transparent)]
	Disk(#[from] DiskError),
	/// The name cannot be a model's.
	#[error(
		"a name has 1 to {MAX_NAME} letters, digits, `-`, `_`, `.` or `/`, and not digits alone"
	)]
	BadName,
	/// The owner is too long.
	#[error("an owner has at most {MAX_OWNER} characters")]
	BadOwner,
	/// The name, or the number on chain, is another entry's.
	#[error("`{0}` is another model's already: unload that first")]
	Taken(String),
	/// There are as many as there may be.
	#[error("there are {MAX_ENTRIES} models, and there cannot be more")]
	Full,
}

/// The entries. See the [module](self).
#[derive(Debug)]
pub struct Catalogue {
	path: PathBuf,
	entries: RwLock<BTreeMap<String, Arc<Entry>>>,
	/// Held while the file is written.
	writing: Mutex<()>,
}

impl Catalogue {
	/// Reads the catalogue of a data folder.
	pub fn open(data: &Path) -> Result<Self, DiskError> {
		let folder = data.join(GATEWAY_FOLDER);
		durable::make_folder(&folder)?;
		let path = folder.join(FILE);
		let entries: Vec<Entry> = match fs::read(&path) {
			Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
			Err(error) => return Err(DiskError::at(&path, error)),
			Ok(json) => serde_json::from_slice(&json).map_err(|error| DiskError::Damaged {
				path: path.clone(),
				why: error.to_string(),
			})?,
		};
		let named = |entry: Entry| (entry.name.clone(), Arc::new(entry));
		let entries = RwLock::new(entries.into_iter().map(named).collect());
		Ok(Self { path, entries, writing: Mutex::new(()) })
	}

	/// All entries, by name.
	pub fn entries(&self) -> Vec<Arc<Entry>> {
		self.entries.read().values().cloned().collect()
	}

	/// The entry of this name, or of this number on chain.
	pub fn find(&self, name: &str) -> Option<Arc<Entry>> {
		let entries = self.entries.read();
		entries.get(name).cloned().or_else(|| {
			let id = ModelId(name.parse().ok().filter(|_| is_number(name))?);
			entries.values().find(|entry| entry.model_id == Some(id)).cloned()
		})
	}

	/// Enters a model. One of the same name and adapter is replaced; otherwise the name must be
	/// free. Blocks on the disk.
	pub fn enter(&self, entry: Entry) -> Result<(), CatalogueError> {
		let is_allowed = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
		let name = &entry.name;
		let is_bad = name.is_empty() || name.len() > MAX_NAME || !name.chars().all(is_allowed);
		if is_bad || is_number(name) {
			return Err(CatalogueError::BadName);
		}
		if entry.owner.as_ref().is_some_and(|owner| owner.chars().count() > MAX_OWNER) {
			return Err(CatalogueError::BadOwner);
		}
		self.change(|entries| {
			if let Some(there) = entries.get(name) {
				if (there.base, there.adapter) != (entry.base, entry.adapter) {
					return Err(CatalogueError::Taken(name.clone()));
				}
			} else if entries.len() >= MAX_ENTRIES {
				return Err(CatalogueError::Full);
			}
			let same_id = |other: &&Arc<Entry>| {
				other.name != *name && other.model_id.is_some() && other.model_id == entry.model_id
			};
			if let Some(other) = entries.values().find(same_id) {
				return Err(CatalogueError::Taken(other.name.clone()));
			}
			entries.insert(name.clone(), Arc::new(entry.clone()));
			Ok(())
		})
	}

	/// Takes an entry out; whether it was there.
	pub fn remove(&self, name: &str) -> Result<bool, CatalogueError> {
		if !self.entries.read().contains_key(name) {
			return Ok(false);
		}
		self.change(|entries| Ok(entries.remove(name).is_some()))
	}

	/// Changes whether an entry is to stay in memory; the entry, or none when it is not there.
	pub fn pin(&self, name: &str, pinned: bool) -> Result<Option<Arc<Entry>>, CatalogueError> {
		self.change(|entries| {
			let Some(entry) = entries.get_mut(name) else { return Ok(None) };
			Arc::make_mut(entry).pinned = pinned;
			Ok(Some(entry.clone()))
		})
	}

	/// Enters the model of a job under its number on chain, if it is not there. Its prices are not
	/// known here, so it costs nothing until the operator enters them.
	pub fn learn(&self, order: &InferenceOrder) -> Result<(), CatalogueError> {
		let is_known = self.entries.read().values().any(|it| it.model_id == Some(order.model));
		if is_known {
			return Ok(());
		}
		self.enter(Entry {
			name: format!("{ON_CHAIN}{}", order.model.0),
			base: Hash(order.base.weights),
			adapter: Some(Hash(order.adapter)),
			model_id: Some(order.model),
			owner: None,
			prices: PricesInPlanks::default(),
			span_index: Some(Hash(order.span_index)),
			pinned: false,
			created: time::now(),
		})
	}

	/// Changes the entries, on disk and then in memory.
	fn change<T>(
		&self,
		change: impl FnOnce(&mut BTreeMap<String, Arc<Entry>>) -> Result<T, CatalogueError>,
	) -> Result<T, CatalogueError> {
		let _writing = self.writing.lock();
		let mut entries = self.entries.read().clone();
		let result = change(&mut entries)?;
		let list: Vec<&Entry> = entries.values().map(Arc::as_ref).collect();
		let json = serde_json::to_vec_pretty(&list)
			.map_err(|error| DiskError::at(&self.path, io::Error::from(error)))?;
		durable::write(&self.path, &json)?;
		*self.entries.write() = entries;
		Ok(result)
	}
}

fn is_number(name: &str) -> bool {
	name.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
	use super::*;

	fn entry(name: &str, adapter: u8, model_id: Option<u32>) -> Entry {
		Entry {
			name: name.into(),
			base: Hash(H256([1; 32])),
			adapter: Some(Hash(H256([adapter; 32]))),
			model_id: model_id.map(ModelId),
			owner: None,
			prices: PricesInPlanks::default(),
			span_index: None,
			pinned: false,
			created: 7,
		}
	}

	#[test]
	fn entries_should_be_found_by_name_and_number_also_after_a_restart() {
		let data = tempfile::tempdir().unwrap();
		let catalogue = Catalogue::open(data.path()).unwrap();
		catalogue.enter(entry("law/contracts", 2, Some(5))).unwrap();
		catalogue.enter(entry("medicine", 3, None)).unwrap();
		catalogue.pin("medicine", true).unwrap().unwrap();
		let again = Catalogue::open(data.path()).unwrap();
		for catalogue in [&catalogue, &again] {
			assert_eq!(catalogue.find("5").unwrap().name, "law/contracts");
			assert!(catalogue.find("medicine").unwrap().pinned);
			for unknown in ["", "6", "Medicine", "05x", "99999999999999999999"] {
				assert!(catalogue.find(unknown).is_none(), "{unknown}");
			}
		}
		assert!(again.remove("medicine").unwrap());
		assert!(!again.remove("medicine").unwrap());
		assert_eq!(Catalogue::open(data.path()).unwrap().entries().len(), 1);
	}

	#[test]
	fn names_and_numbers_should_not_be_taken_twice() {
		let data = tempfile::tempdir().unwrap();
		let catalogue = Catalogue::open(data.path()).unwrap();
		catalogue.enter(entry("law", 2, Some(5))).unwrap();
		catalogue.enter(entry("law", 2, Some(6))).unwrap();
		let taken = |entry| matches!(catalogue.enter(entry), Err(CatalogueError::Taken(_)));
		assert!(taken(entry("law", 3, None)));
		assert!(taken(entry("other", 3, Some(6))));
		for bad in ["", "5", "a b", "base:adapter", "ä", &"a".repeat(129)] {
			assert!(matches!(catalogue.enter(entry(bad, 3, None)), Err(CatalogueError::BadName)));
		}
	}
}
