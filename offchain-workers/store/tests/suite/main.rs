//! Tests of the store against real files, one module per topic.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod blobs;
mod child;
mod crash;
mod damage;
mod links;
mod model;
mod no_room;

use openledger_store::{Store, StoreError};
use tempfile::TempDir;

/// A store in a folder that goes away with the first value.
fn new_store() -> (TempDir, Store) {
	let folder = tempfile::tempdir().unwrap();
	let store = Store::open(folder.path().join("blobs")).unwrap();
	(folder, store)
}

/// The files of a store's folder of this name.
fn files_in(store: &Store, name: &str) -> Vec<std::path::PathBuf> {
	let folder = std::fs::read_dir(store.folder().join(name)).unwrap();
	folder.map(|entry| entry.unwrap().path()).collect()
}

/// Where the layout says that a blob is.
fn path_of(store: &Store, hash: openledger_primitives::H256) -> std::path::PathBuf {
	let name = format!("{hash:x}");
	store.folder().join(&name[..2]).join(&name[2..])
}

/// Opens a store that was closed. A process that another test starts holds copies of our open files,
/// and with them the store's lock, until it has become its program.
fn reopen(root: impl AsRef<std::path::Path>) -> Store {
	for _ in 0..100 {
		match Store::open(root.as_ref()) {
			Err(StoreError::InUse { .. }) => {
				std::thread::sleep(std::time::Duration::from_millis(20))
			},
			opened => return opened.unwrap(),
		}
	}
	panic!("{} stays in use", root.as_ref().display());
}
