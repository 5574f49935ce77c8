//! Processes that end in the middle of a put, and processes that want the same store.

use crate::{child, files_in, reopen};
use openledger_primitives::content::content_hash;
use openledger_store::{Store, StoreError};
use std::{
	fs,
	io::{BufRead, BufReader},
};

#[test]
fn open_should_clean_up_when_a_process_died_in_the_middle_of_a_put() {
	let folder = tempfile::tempdir().unwrap();
	let root = folder.path().join("blobs");
	let output = child::command("abort_in_the_middle", &root).output().unwrap();
	assert!(!output.status.success(), "{}", child::said(&output));
	assert_eq!(fs::read_dir(root.join("tmp")).unwrap().count(), 1, "{}", child::said(&output));

	let store = reopen(&root);
	assert!(files_in(&store, "tmp").is_empty());
	assert_eq!(store.len().unwrap(), 1);
	assert_eq!(store.get(content_hash(b"whole")).unwrap().unwrap(), b"whole");
}

#[test]
fn blobs_should_be_whole_or_absent_when_the_process_is_killed_at_any_time() {
	let folder = tempfile::tempdir().unwrap();
	let root = folder.path().join("blobs");
	for round in 1..=6usize {
		let mut process = child::command("put_many", &root).spawn().unwrap();
		let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
		let mut said = Vec::new();
		while said.len() < round * 3 {
			let line = lines.next().expect("it goes on until it is killed").unwrap();
			said.extend(line.strip_prefix("put ").map(|number| number.parse::<u32>().unwrap()));
		}
		std::thread::sleep(std::time::Duration::from_micros(700 * round as u64));
		process.kill().unwrap();
		process.wait().unwrap();

		let store = reopen(&root);
		assert!(files_in(&store, "tmp").is_empty());
		for number in said {
			let blob = child::blob(number);
			assert_eq!(
				store.get(content_hash(&blob)).unwrap(),
				Some(blob),
				"it was said to be safe"
			);
		}
		for blob in store.blobs() {
			assert!(store.get(blob.unwrap().hash).unwrap().is_some());
		}
		assert!(files_in(&store, "quarantine").is_empty());
	}
}

#[test]
fn open_should_refuse_when_the_store_is_in_use() {
	let folder = tempfile::tempdir().unwrap();
	let root = folder.path().join("blobs");
	let store = reopen(&root);
	let mut writer = store.writer().unwrap();
	writer.write(b"in the making").unwrap();
	assert!(matches!(Store::open(&root), Err(StoreError::InUse { path }) if path == root));
	// The other one has not cleaned up what is in the making here.
	let hash = writer.finish(None).unwrap();
	assert!(store.contains(hash).unwrap());
	drop(store);
	assert!(reopen(&root).contains(hash).unwrap());
}
