//! What goes in comes out, under the hash that the chain knows.

use crate::{files_in, new_store, path_of, reopen};
use openledger_primitives::{content::content_hash, H256};
use openledger_store::{BlobInfo, BlobSource, StoreError, MAX_BLOB_BYTES};
use std::{
	fs,
	io::{self, Read},
	os::unix::fs::{MetadataExt, PermissionsExt},
};

#[test]
fn get_should_return_what_was_put() {
	let (_folder, store) = new_store();
	let large: Vec<u8> = (0..1_000_000u32).flat_map(u32::to_le_bytes).collect();
	for blob in [&b""[..], b"a contribution", &large] {
		let hash = store.put(blob).unwrap();
		assert_eq!(hash, content_hash(blob));
		assert_eq!(store.get(hash).unwrap().as_deref(), Some(blob));
		assert_eq!(store.fetch(hash).unwrap().as_deref(), Some(blob));
		assert_eq!(store.size_of(hash).unwrap(), Some(blob.len() as u64));
		assert!(store.contains(hash).unwrap());
		let mut read = Vec::new();
		store.get_file(hash).unwrap().unwrap().read_to_end(&mut read).unwrap();
		assert_eq!(read, blob);
		assert_eq!(fs::read(store.get_path(hash).unwrap().unwrap()).unwrap(), blob);
	}
}

#[test]
fn get_should_return_nothing_when_the_blob_is_not_here() {
	let (_folder, store) = new_store();
	let unknown = H256::repeat_byte(7);
	assert_eq!(store.get(unknown).unwrap(), None);
	assert!(store.get_file(unknown).unwrap().is_none());
	assert_eq!(store.get_path(unknown).unwrap(), None);
	assert_eq!(store.size_of(unknown).unwrap(), None);
	assert!(!store.contains(unknown).unwrap());
	assert!(!store.remove(unknown).unwrap());
	assert!(store.is_empty().unwrap());
}

#[test]
fn blobs_should_lie_under_their_hash_for_their_owner_alone() {
	let (_folder, store) = new_store();
	let path = path_of(&store, store.put(b"private").unwrap());
	let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
	assert_eq!(mode(&path), 0o600);
	assert_eq!(mode(path.parent().unwrap()), 0o700);
	assert_eq!(mode(store.folder()), 0o700);
	assert_eq!(mode(&store.folder().join("tmp")), 0o700);
	assert_eq!(mode(&store.folder().join("quarantine")), 0o700);
	assert_eq!(mode(&store.folder().join("lock")), 0o600);
	assert!(files_in(&store, "tmp").is_empty());
}

#[test]
fn put_should_not_write_again_when_the_blob_is_there() {
	let (_folder, store) = new_store();
	let hash = store.put(b"once").unwrap();
	let before = fs::metadata(path_of(&store, hash)).unwrap().ino();
	assert_eq!(store.put(b"once").unwrap(), hash);
	assert_eq!(fs::metadata(path_of(&store, hash)).unwrap().ino(), before);
	assert_eq!(store.len().unwrap(), 1);
}

#[test]
fn blobs_should_outlive_the_process() {
	let (folder, store) = new_store();
	let hash = store.put(b"still here").unwrap();
	drop(store);
	let store = reopen(folder.path().join("blobs"));
	assert_eq!(store.get(hash).unwrap().unwrap(), b"still here");
}

#[test]
fn remove_should_remove_one_blob() {
	let (_folder, store) = new_store();
	let (first, second) = (store.put(b"first").unwrap(), store.put(b"second").unwrap());
	let mut open = store.get_file(first).unwrap().unwrap();
	assert!(store.remove(first).unwrap());
	assert!(!store.remove(first).unwrap());
	assert_eq!(store.get(first).unwrap(), None);
	assert!(store.contains(second).unwrap());
	let mut read = Vec::new();
	open.read_to_end(&mut read).unwrap();
	assert_eq!(read, b"first", "whoever has the file open keeps it");
}

#[test]
fn blobs_should_list_what_is_there_in_order() {
	let (_folder, store) = new_store();
	let mut expected: Vec<BlobInfo> = (0..300usize)
		.map(|bytes| BlobInfo { hash: store.put(&vec![1; bytes]).unwrap(), bytes: bytes as u64 })
		.collect();
	expected.sort_by_key(|blob| blob.hash);
	let prefix = path_of(&store, expected[0].hash).parent().unwrap().to_path_buf();
	let capitals = format!("{:x}", expected[0].hash)[2..].to_uppercase();
	for foreign in ["README", "é", &capitals, "00"] {
		fs::write(prefix.join(foreign), b"not ours").unwrap();
	}
	let listed: Vec<BlobInfo> = store.blobs().map(Result::unwrap).collect();
	assert_eq!(listed, expected);
	assert_eq!(store.len().unwrap(), 300);
	assert!(!store.is_empty().unwrap());
	assert_eq!(store.total_bytes().unwrap(), (0..300).sum::<u64>());
}

#[test]
fn writer_should_give_the_same_blob_however_it_is_cut() {
	let (_folder, store) = new_store();
	let blob: Vec<u8> = (0..=255).cycle().take(10_000).collect();
	for piece in [1, 7, 4_096, 20_000] {
		let mut writer = store.writer().unwrap();
		for piece in blob.chunks(piece) {
			writer.write(piece).unwrap();
			assert!(!store.contains(content_hash(&blob)).unwrap(), "seen before its end");
		}
		let hash = writer.finish(Some(content_hash(&blob))).unwrap();
		assert_eq!(store.get(hash).unwrap().unwrap(), blob);
		store.remove(hash).unwrap();
	}
}

#[test]
fn writer_should_leave_nothing_when_dropped() {
	let (_folder, store) = new_store();
	let mut writer = store.writer().unwrap();
	writer.write(b"half of it").unwrap();
	assert_eq!(files_in(&store, "tmp").len(), 1);
	drop(writer);
	assert!(files_in(&store, "tmp").is_empty());
	assert!(store.is_empty().unwrap());
}

#[test]
fn put_stream_should_keep_content_with_the_announced_hash_only() {
	let (_folder, store) = new_store();
	let blob = vec![9; 300_000];
	store.put_stream(content_hash(&blob), &blob[..]).unwrap();
	assert_eq!(store.get(content_hash(&blob)).unwrap().unwrap(), blob);

	let announced = content_hash(b"something else");
	let refused = store.put_stream(announced, &b"this"[..]).unwrap_err();
	assert!(matches!(
		refused,
		StoreError::WrongHash { expected, found }
			if expected == announced && found == content_hash(b"this")
	));
	assert_eq!(store.len().unwrap(), 1);
	assert!(files_in(&store, "tmp").is_empty());
}

#[test]
fn put_stream_should_keep_nothing_when_the_input_breaks_off() {
	struct Broken;
	impl Read for Broken {
		fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
			Err(io::Error::from(io::ErrorKind::ConnectionReset))
		}
	}
	let (_folder, store) = new_store();
	let input = io::Read::chain(&b"half"[..], Broken);
	let refused = store.put_stream(content_hash(b"half"), input).unwrap_err();
	assert!(matches!(
		refused,
		StoreError::BrokenInput(why) if why.kind() == io::ErrorKind::ConnectionReset
	));
	assert!(store.is_empty().unwrap());
	assert!(files_in(&store, "tmp").is_empty());
}

#[test]
fn blobs_should_be_refused_when_larger_than_the_limit() {
	let (folder, store) = new_store();
	let kept = store.put(&[3; 200]).unwrap();
	drop(store);
	let store = reopen(folder.path().join("blobs")).with_max_blob_bytes(100);
	assert_eq!(store.max_blob_bytes(), 100);
	assert!(store.put(&[1; 100]).is_ok());
	let too_large =
		|result: Result<_, StoreError>| matches!(result, Err(StoreError::TooLarge { limit: 100 }));
	assert!(too_large(store.put(&[1; 101]).map(drop)));
	// Without end: it is not read to where it would tell its size.
	assert!(too_large(store.put_stream(H256::zero(), io::repeat(0))));
	let mut writer = store.writer().unwrap();
	writer.write(&[1; 60]).unwrap();
	assert!(too_large(writer.write(&[1; 60])));
	drop(writer);
	assert!(files_in(&store, "tmp").is_empty());
	assert_eq!(store.len().unwrap(), 2);
	assert_eq!(store.get(kept).unwrap().unwrap(), [3; 200], "older blobs stay readable");
	assert_eq!(store.with_max_blob_bytes(u64::MAX).max_blob_bytes(), MAX_BLOB_BYTES);
}

#[test]
fn put_should_work_from_many_threads_at_once() {
	let (_folder, store) = new_store();
	let blobs: Vec<Vec<u8>> = (0..8u8).map(|n| vec![n; 50_000]).collect();
	std::thread::scope(|threads| {
		for turn in 0..8 {
			let (store, blobs) = (&store, &blobs);
			threads.spawn(move || {
				for n in 0..blobs.len() {
					let blob = &blobs[(n + turn) % blobs.len()];
					// Others write the same blobs at the same time, and read what is there.
					let mut writer = store.writer().unwrap();
					writer.write(blob).unwrap();
					let hash = writer.finish(None).unwrap();
					assert_eq!(store.get(hash).unwrap().as_ref(), Some(blob));
				}
			});
		}
	});
	assert_eq!(store.len().unwrap(), 8);
	assert_eq!(store.total_bytes().unwrap(), 8 * 50_000);
	assert!(files_in(&store, "tmp").is_empty());
}
