//! Blobs whose bytes have changed on the disk.

use crate::{files_in, new_store, path_of};
use openledger_primitives::H256;
use openledger_store::{BlobReader, Store, StoreError};
use std::{fs, io::Read, path::Path};

const BLOB: &[u8] = b"the words that somebody is paid for";

/// Every way in which the bytes of a blob can differ from what they were.
fn damages() -> [fn(&Path); 4] {
	[
		|path| {
			let mut bytes = fs::read(path).unwrap();
			bytes[3] ^= 1;
			fs::write(path, bytes).unwrap();
		},
		|path| fs::write(path, &BLOB[..10]).unwrap(),
		|path| fs::write(path, b"").unwrap(),
		|path| fs::write(path, [BLOB, b"!"].concat()).unwrap(),
	]
}

fn assert_quarantined(store: &Store, hash: H256, error: StoreError) {
	let StoreError::Damaged { hash: named, moved_to } = error else { panic!("{error}") };
	assert_eq!(named, hash);
	assert_eq!(files_in(store, "quarantine"), [moved_to]);
	assert!(!store.contains(hash).unwrap());
	assert_eq!(store.get(hash).unwrap(), None, "it can be fetched again");
}

#[test]
fn get_should_refuse_a_blob_when_it_is_damaged() {
	for damage in damages() {
		let (_folder, store) = new_store();
		let hash = store.put(BLOB).unwrap();
		damage(&path_of(&store, hash));
		assert_quarantined(&store, hash, store.get(hash).unwrap_err());

		store.put(BLOB).unwrap();
		assert_eq!(store.get(hash).unwrap().unwrap(), BLOB);
	}
}

fn read_all(blob: &mut BlobReader<'_>) -> Vec<u8> {
	let mut bytes = Vec::new();
	blob.read_to_end(&mut bytes).unwrap();
	bytes
}

#[test]
fn get_with_should_not_give_what_was_made_of_damaged_bytes() {
	// Whether all of the blob was looked at or nothing.
	let works = [read_all, |_: &mut BlobReader<'_>| Vec::new()];
	for (damage, work) in damages().into_iter().flat_map(|damage| works.map(|work| (damage, work)))
	{
		// Whether the store took the blob in itself, and how often it verified it before.
		for (anew, reads) in [(false, 0), (false, 1), (true, 0), (true, 1), (true, 2)] {
			let (_folder, mut store) = new_store();
			let hash = store.put(BLOB).unwrap();
			if anew {
				let folder = store.folder().to_owned();
				drop(store);
				store = Store::open(folder).unwrap();
			}
			for _ in 0..reads {
				assert!(store.get_with(hash, work).unwrap().is_some());
			}
			damage(&path_of(&store, hash));
			assert_quarantined(&store, hash, store.get_with(hash, work).unwrap_err());
			assert_eq!(store.get_with(hash, work).unwrap(), None);

			store.put(BLOB).unwrap();
			assert_eq!(store.get_with(hash, read_all).unwrap().unwrap(), BLOB);
		}
	}
}

#[test]
fn get_with_should_give_all_bytes_in_their_order() {
	let (_folder, store) = new_store();
	// Longer than what may wait to be hashed.
	let blob: Vec<u8> = (0..3_000_001_u32).map(|index| (index / 251) as u8).collect();
	let hash = store.put(&blob).unwrap();
	for size in [1_000, 131_071, 131_072, 300_000, 4_000_000] {
		let read = |reader: &mut BlobReader<'_>| {
			assert_eq!(reader.length(), blob.len() as u64);
			let (mut bytes, mut some) = (Vec::new(), vec![0; size]);
			loop {
				match reader.read(&mut some).unwrap() {
					0 => return bytes,
					count => bytes.extend_from_slice(&some[..count]),
				}
			}
		};
		assert!(store.get_with(hash, read).unwrap().unwrap() == blob, "{size} bytes at a time");
	}
}

#[test]
fn get_file_and_get_path_should_refuse_a_blob_when_it_is_damaged() {
	for damage in damages() {
		let (_folder, store) = new_store();
		let hash = store.put(BLOB).unwrap();
		damage(&path_of(&store, hash));
		assert_quarantined(&store, hash, store.get_file(hash).unwrap_err());

		// Damaged a second time: the quarantine keeps one of each blob.
		store.put(BLOB).unwrap();
		damage(&path_of(&store, hash));
		assert_quarantined(&store, hash, store.get_path(hash).unwrap_err());
	}
}

#[test]
fn put_should_replace_a_damaged_blob() {
	for damage in damages() {
		let (_folder, store) = new_store();
		let hash = store.put(BLOB).unwrap();
		damage(&path_of(&store, hash));
		assert_eq!(store.put(BLOB).unwrap(), hash);
		assert_eq!(store.get(hash).unwrap().unwrap(), BLOB);
		assert!(files_in(&store, "quarantine").is_empty());
	}
}

#[test]
fn put_should_not_be_undone_by_a_reader_of_the_damaged_blob() {
	let (_folder, store) = new_store();
	let hash = store.put(BLOB).unwrap();
	let (store, path) = (&store, path_of(&store, hash));
	for _ in 0..50 {
		fs::write(&path, b"damaged").unwrap();
		std::thread::scope(|threads| {
			for _ in 0..3 {
				threads.spawn(|| match store.get(hash) {
					Ok(blob) => assert!(blob.is_none_or(|blob| blob == BLOB)),
					Err(error) => assert!(matches!(error, StoreError::Damaged { .. }), "{error}"),
				});
			}
			threads.spawn(|| store.put(BLOB).unwrap());
		});
		assert_eq!(store.get(hash).unwrap().unwrap(), BLOB);
	}
}
