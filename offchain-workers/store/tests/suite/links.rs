//! Links, folders and pipes where the store's own files and folders should be.

use crate::{new_store, path_of};
use openledger_store::{Store, StoreError};
use std::{fs, os::unix::fs::symlink, os::unix::net::UnixListener};

#[test]
fn open_should_refuse_a_link_to_a_folder() {
	let outside = tempfile::tempdir().unwrap();
	fs::create_dir(outside.path().join("real")).unwrap();
	let link = outside.path().join("link");
	symlink(outside.path().join("real"), &link).unwrap();
	assert!(matches!(Store::open(&link), Err(StoreError::NotAFolder { path }) if path == link));
}

#[test]
fn open_should_refuse_a_file() {
	let outside = tempfile::tempdir().unwrap();
	let file = outside.path().join("file");
	fs::write(&file, b"somebody's").unwrap();
	assert!(matches!(Store::open(&file), Err(StoreError::NotAFolder { .. })));
	let below = file.join("blobs");
	assert!(matches!(Store::open(below), Err(StoreError::NotAFolder { .. })));
	assert_eq!(fs::read(&file).unwrap(), b"somebody's");
}

#[test]
fn open_should_refuse_links_to_its_own_folders_and_its_lock() {
	for name in ["tmp", "quarantine", "lock"] {
		let (folder, store) = new_store();
		let root = store.folder().to_path_buf();
		drop(store);
		let precious = folder.path().join("precious");
		fs::create_dir(&precious).unwrap();
		fs::write(precious.join("file"), b"somebody's").unwrap();
		let inside = root.join(name);
		if name == "lock" {
			fs::remove_file(&inside).unwrap();
			symlink(precious.join("file"), &inside).unwrap();
		} else {
			fs::remove_dir(&inside).unwrap();
			symlink(&precious, &inside).unwrap();
		}
		let refused = Store::open(&root).unwrap_err();
		match refused {
			StoreError::NotAFolder { path } | StoreError::NotAFile { path } => {
				assert_eq!(path, inside)
			},
			other => panic!("{other}"),
		}
		assert_eq!(fs::read(precious.join("file")).unwrap(), b"somebody's");
	}
}

#[test]
fn blobs_should_not_be_reached_through_links() {
	let (folder, store) = new_store();
	let hash = store.put(b"blob").unwrap();
	let path = path_of(&store, hash);
	let elsewhere = folder.path().join("elsewhere");
	fs::rename(&path, &elsewhere).unwrap();
	symlink(&elsewhere, &path).unwrap();
	assert!(matches!(store.get(hash), Err(StoreError::NotAFile { .. })));
	assert!(matches!(store.get_file(hash), Err(StoreError::NotAFile { .. })));
	assert!(matches!(store.contains(hash), Err(StoreError::NotAFile { .. })));
	assert!(matches!(store.put(b"blob"), Err(StoreError::NotAFile { .. })));
	assert!(matches!(store.remove(hash), Err(StoreError::NotAFile { .. })));
	assert!(matches!(store.len(), Err(StoreError::NotAFile { .. })));
	assert!(elsewhere.exists());
}

#[test]
fn folders_of_blobs_should_not_be_links() {
	let (folder, store) = new_store();
	let hash = store.put(b"blob").unwrap();
	let prefix = path_of(&store, hash).parent().unwrap().to_path_buf();
	let elsewhere = folder.path().join("elsewhere");
	fs::rename(&prefix, &elsewhere).unwrap();
	symlink(&elsewhere, &prefix).unwrap();
	assert!(matches!(store.get(hash), Err(StoreError::NotAFolder { .. })));
	assert!(matches!(store.contains(hash), Err(StoreError::NotAFolder { .. })));
	assert!(matches!(store.put(b"blob"), Err(StoreError::NotAFolder { .. })));
	assert!(matches!(store.remove(hash), Err(StoreError::NotAFolder { .. })));
	assert!(matches!(store.total_bytes(), Err(StoreError::NotAFolder { .. })));
	let mut writer = store.writer().unwrap();
	writer.write(b"blob").unwrap();
	assert!(matches!(writer.finish(None), Err(StoreError::NotAFolder { .. })));
}

#[test]
fn other_things_in_a_blobs_place_should_be_refused() {
	let (_folder, store) = new_store();
	let (first, second) = (store.put(b"first").unwrap(), store.put(b"second").unwrap());
	let (folder, socket) = (path_of(&store, first), path_of(&store, second));
	fs::remove_file(&folder).unwrap();
	fs::create_dir(&folder).unwrap();
	fs::remove_file(&socket).unwrap();
	let prefix = socket.parent().unwrap();
	// The name of a socket must be short, so it is made under another and moved.
	let _listener = UnixListener::bind(prefix.join("s")).unwrap();
	fs::rename(prefix.join("s"), &socket).unwrap();
	for (hash, blob) in [(first, &b"first"[..]), (second, b"second")] {
		assert!(matches!(store.get(hash), Err(StoreError::NotAFile { .. })));
		assert!(matches!(store.put(blob), Err(StoreError::NotAFile { .. })));
	}
}
