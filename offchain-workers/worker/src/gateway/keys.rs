//! API keys: who may ask, and for how much.
//!
//! The file holds each key's hash, never the key: whoever reads the file cannot ask with it. A key is
//! 32 random bytes, so a fast hash serves and there is nothing to guess. `openledger-worker keys`
//! writes the file, whether or not the worker runs; the worker reads it anew when it has changed.

use super::{amounts::Planks, GATEWAY_FOLDER};
use crate::{
	durable::{self, DiskError},
	hexadecimal, time,
};
use openledger_primitives::{hashing, UnixSeconds, H256};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::{
	collections::HashMap,
	fs::{self, File},
	io::{self, Read},
	os::unix::fs::MetadataExt,
	path::{Path, PathBuf},
	sync::Arc,
};

/// Keys of one worker.
pub const MAX_KEYS: usize = 10_000;
/// Bytes of a key's name.
const MAX_NAME: usize = 64;
/// Bytes of the file: a key takes some 300.
const MAX_FILE_BYTES: u64 = 16 << 20;
/// How keys begin, so that people and scanners know one when they see it.
const PREFIX: &str = "sk-openledger-";
/// Random bytes of a key.
const SECRET_BYTES: usize = 32;
/// Hexadecimal digits by which a key is known without being it.
const ID_DIGITS: usize = 16;
const FILE: &str = "keys.json";
const LOCK: &str = "keys.lock";

/// How much a key may spend in all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SpendLimit {
	/// Tokens of prompts and answers together.
	Tokens(u64),
	/// Planks at the models' prices.
	Planks(Planks),
}

/// A key, without the key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
	/// Whose it is: the tenant. No two keys have the same.
	pub name: String,
	/// What the ledger knows it by, also after its name has gone to another key.
	pub id: String,
	/// Hash of the key.
	hash: String,
	/// When it was made.
	pub created: UnixSeconds,
	/// What it may spend; everything when there is none.
	#[serde(default, skip_serializing_if = "Option::is_none")]
	pub limit: Option<SpendLimit>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct KeyFile {
	keys: Vec<Key>,
}

/// Why keys cannot be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
	/// The file cannot be read or written.
	#[error(transparent)]
	Disk(#[from] DiskError),
	/// The name cannot be a key's.
	#[error("a key's name has 1 to {MAX_NAME} letters, digits, `-`, `_`, `.` or `@`")]
	BadName,
	/// There is one of this name.
	#[error("there is a key `{0}` already")]
	NameTaken(String),
	/// There is none of this name.
	#[error("there is no key `{0}`")]
	Unknown(String),
	/// There are as many as there may be.
	#[error("there are {MAX_KEYS} keys, and there cannot be more")]
	TooMany,
	/// The system gives no random bytes.
	#[error("the system gives no random bytes: {0}")]
	NoRandomness(getrandom::Error),
}

fn hash(secret: &str) -> H256 {
	hashing::hash("openledger/gateway-key", &[secret.as_bytes()])
}

/// Makes a key and returns it. It is shown this once.
pub fn add(data: &Path, name: &str, limit: Option<SpendLimit>) -> Result<String, KeyError> {
	let is_allowed = |c: char| c.is_ascii_alphanumeric() || "-_.@".contains(c);
	if name.is_empty() || name.len() > MAX_NAME || !name.chars().all(is_allowed) {
		return Err(KeyError::BadName);
	}
	let mut random = [0; SECRET_BYTES];
	getrandom::fill(&mut random).map_err(KeyError::NoRandomness)?;
	let secret = format!("{PREFIX}{}", hex::encode(random));
	edit(data, |keys| {
		if keys.iter().any(|key| key.name == name) {
			return Err(KeyError::NameTaken(name.into()));
		}
		if keys.len() >= MAX_KEYS {
			return Err(KeyError::TooMany);
		}
		let hash = format!("{:x}", hash(&secret));
		let id = hash.chars().take(ID_DIGITS).collect();
		keys.push(Key { name: name.into(), id, hash, created: time::now(), limit });
		Ok(())
	})?;
	Ok(secret)
}

/// Takes a key back. Requests under way end as usual.
pub fn remove(data: &Path, name: &str) -> Result<(), KeyError> {
	edit(data, |keys| {
		let before = keys.len();
		keys.retain(|key| key.name != name);
		if keys.len() == before {
			return Err(KeyError::Unknown(name.into()));
		}
		Ok(())
	})
}

/// Changes what a key may spend in all; what it has spent stays.
pub fn set_limit(data: &Path, name: &str, limit: Option<SpendLimit>) -> Result<(), KeyError> {
	edit(data, |keys| {
		let key = keys.iter_mut().find(|key| key.name == name);
		key.ok_or_else(|| KeyError::Unknown(name.into()))?.limit = limit;
		Ok(())
	})
}

/// All keys, in the order in which they were made.
pub fn list(data: &Path) -> Result<Vec<Key>, KeyError> {
	Ok(read(&data.join(GATEWAY_FOLDER).join(FILE))?.keys)
}

/// Changes the file; two changes at a time do not lose one.
fn edit(
	data: &Path,
	change: impl FnOnce(&mut Vec<Key>) -> Result<(), KeyError>,
) -> Result<(), KeyError> {
	let folder = data.join(GATEWAY_FOLDER);
	durable::make_folder(&folder)?;
	let path = folder.join(LOCK);
	let lock = File::create(&path).map_err(|e| DiskError::at(&path, e))?;
	lock.lock().map_err(|e| DiskError::at(&path, e))?;
	let path = folder.join(FILE);
	let mut file = read(&path)?;
	change(&mut file.keys)?;
	let json = serde_json::to_vec_pretty(&file)
		.map_err(|error| DiskError::at(&path, io::Error::from(error)))?;
	Ok(durable::write(&path, &json)?)
}

fn read(path: &Path) -> Result<KeyFile, DiskError> {
	let at = |error| DiskError::at(path, error);
	let file = match File::open(path) {
		Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(KeyFile::default()),
		file => file.map_err(at)?,
	};
	let mut json = Vec::new();
	file.take(MAX_FILE_BYTES).read_to_end(&mut json).map_err(at)?;
	serde_json::from_slice(&json)
		.map_err(|error| DiskError::Damaged { path: path.into(), why: error.to_string() })
}

/// Size, time of last change and number of a file: a file that was replaced has another.
type Stamp = Option<(u64, i64, i64, u64)>;

fn stamp(path: &Path) -> Stamp {
	let data = fs::metadata(path).ok()?;
	Some((data.len(), data.mtime(), data.mtime_nsec(), data.ino()))
}

/// The keys by their hashes.
type ByHash = HashMap<H256, Arc<Key>>;

/// The keys as the worker knows them.
#[derive(Debug)]
pub struct Keys {
	path: PathBuf,
	known: Mutex<(Stamp, Arc<ByHash>)>,
}

impl Keys {
	/// Reads the keys of a data folder.
	pub fn open(data: &Path) -> Result<Self, DiskError> {
		let path = data.join(GATEWAY_FOLDER).join(FILE);
		let stamp = stamp(&path);
		let by_hash = Arc::new(by_hash(read(&path)?));
		Ok(Self { path, known: Mutex::new((stamp, by_hash)) })
	}

	/// Whether there are none.
	pub fn is_empty(&self) -> bool {
		self.current().is_empty()
	}

	/// The key that this secret is.
	pub fn find(&self, secret: &str) -> Option<Arc<Key>> {
		self.current().get(&hash(secret)).cloned()
	}

	/// The keys as the file has them now. When it cannot be read, as it had them last.
	fn current(&self) -> Arc<ByHash> {
		let mut known = self.known.lock();
		let now = stamp(&self.path);
		if known.0 != now {
			match read(&self.path) {
				Ok(file) => {
					tracing::info!(keys = file.keys.len(), "the API keys have changed");
					*known = (now, Arc::new(by_hash(file)));
				},
				Err(error) => tracing::error!(%error, "the API keys cannot be read anew"),
			}
		}
		known.1.clone()
	}
}

fn by_hash(file: KeyFile) -> ByHash {
	let parsed = |key: Key| Some((hexadecimal::parse(&key.hash)?, Arc::new(key)));
	file.keys.into_iter().filter_map(parsed).collect()
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn keys_should_be_found_until_they_are_removed_and_never_stand_in_the_file() {
		let data = tempfile::tempdir().unwrap();
		let keys = Keys::open(data.path()).unwrap();
		assert!(keys.is_empty());
		let secret = add(data.path(), "alice", Some(SpendLimit::Tokens(7))).unwrap();
		let other = add(data.path(), "bob", None).unwrap();
		assert_eq!(keys.find(&secret).unwrap().name, "alice");
		assert_eq!(keys.find(&secret).unwrap().limit, Some(SpendLimit::Tokens(7)));
		assert!(keys.find("sk-openledger-").is_none() && keys.find("").is_none());
		let file = fs::read_to_string(data.path().join(GATEWAY_FOLDER).join(FILE)).unwrap();
		assert!(!file.contains(secret.strip_prefix(PREFIX).unwrap()));

		assert!(matches!(add(data.path(), "alice", None), Err(KeyError::NameTaken(_))));
		for bad in ["", "a b", "ä", &"a".repeat(65)] {
			assert!(matches!(add(data.path(), bad, None), Err(KeyError::BadName)));
		}
		let planks = SpendLimit::Planks(Planks(u128::MAX));
		set_limit(data.path(), "alice", Some(planks)).unwrap();
		assert_eq!(keys.find(&secret).unwrap().limit, Some(planks));
		remove(data.path(), "alice").unwrap();
		assert!(keys.find(&secret).is_none() && keys.find(&other).is_some());
		assert!(matches!(remove(data.path(), "alice"), Err(KeyError::Unknown(_))));
	}

	#[test]
	fn a_broken_file_should_leave_the_keys_as_they_were() {
		let data = tempfile::tempdir().unwrap();
		let secret = add(data.path(), "alice", None).unwrap();
		let keys = Keys::open(data.path()).unwrap();
		fs::write(data.path().join(GATEWAY_FOLDER).join(FILE), b"{").unwrap();
		assert!(keys.find(&secret).is_some());
		assert!(matches!(Keys::open(data.path()), Err(DiskError::Damaged { .. })));
		assert!(add(data.path(), "bob", None).is_err());
	}

	#[test]
	fn keys_made_at_the_same_time_should_all_be_there() {
		let data = tempfile::tempdir().unwrap();
		std::thread::scope(|scope| {
			for number in 0..8 {
				let data = data.path();
				scope.spawn(move || add(data, &format!("tenant-{number}"), None).unwrap());
			}
		});
		assert_eq!(list(data.path()).unwrap().len(), 8);
	}
}
