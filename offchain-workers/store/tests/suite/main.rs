//! Tests of the store against real files, one module per topic.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod blobs;
mod child;
mod crash;
mod damage;
mod links;
mod model;
mod no_room;

use openledger_store::Store;
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
