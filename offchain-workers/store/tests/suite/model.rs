//! Any sequence of calls does to a store what it does to a map in memory.

use crate::{files_in, new_store, path_of, reopen};
use openledger_primitives::{content::content_hash, H256};
use openledger_store::StoreError;
use proptest::prelude::*;
use std::collections::BTreeMap;

#[derive(Clone, Debug)]
enum Call {
	Put(u8),
	PutStream(u8),
	PutWrongly(u8),
	GiveUp(u8),
	Get(u8),
	Remove(u8),
	Damage(u8),
	Reopen,
}

fn calls() -> impl Strategy<Value = Vec<Call>> {
	let which = 0..6u8;
	let call = prop_oneof![
		3 => which.clone().prop_map(Call::Put),
		2 => which.clone().prop_map(Call::PutStream),
		1 => which.clone().prop_map(Call::PutWrongly),
		1 => which.clone().prop_map(Call::GiveUp),
		3 => which.clone().prop_map(Call::Get),
		2 => which.clone().prop_map(Call::Remove),
		2 => which.prop_map(Call::Damage),
		1 => Just(Call::Reopen),
	];
	prop::collection::vec(call, 0..40)
}

fn blob(which: u8) -> Vec<u8> {
	vec![which; usize::from(which) * 50_000]
}

proptest! {
	#![proptest_config(ProptestConfig::with_cases(48))]

	#[test]
	fn store_should_do_what_a_map_does(calls in calls()) {
		let (folder, mut store) = new_store();
		// What is there, and whether it is intact.
		let mut model: BTreeMap<H256, (Vec<u8>, bool)> = BTreeMap::new();
		for call in calls {
			match call {
				Call::Put(which) => {
					let hash = store.put(&blob(which)).unwrap();
					model.insert(hash, (blob(which), true));
				},
				Call::PutStream(which) => {
					let hash = content_hash(&blob(which));
					store.put_stream(hash, &blob(which)[..]).unwrap();
					model.insert(hash, (blob(which), true));
				},
				Call::PutWrongly(which) => {
					let wrong = H256::repeat_byte(which);
					let refused = store.put_stream(wrong, &blob(which)[..]);
					let refused = matches!(refused, Err(StoreError::WrongHash { .. }));
					prop_assert!(refused);
				},
				Call::GiveUp(which) => {
					store.writer().unwrap().write(&blob(which)).unwrap();
				},
				Call::Get(which) => {
					let hash = content_hash(&blob(which));
					match (store.get(hash), model.get(&hash)) {
						(Ok(None), None) => {},
						(Ok(Some(bytes)), Some((expected, true))) => prop_assert_eq!(&bytes, expected),
						(Err(StoreError::Damaged { .. }), Some((_, false))) => {
							model.remove(&hash);
						},
						(found, expected) => prop_assert!(false, "{found:?}, not {expected:?}"),
					}
				},
				Call::Remove(which) => {
					let hash = content_hash(&blob(which));
					prop_assert_eq!(store.remove(hash).unwrap(), model.remove(&hash).is_some());
				},
				Call::Damage(which) => {
					let hash = content_hash(&blob(which));
					if let Some((bytes, intact)) = model.get_mut(&hash) {
						*intact = false;
						bytes.push(0);
						std::fs::write(path_of(&store, hash), bytes).unwrap();
					}
				},
				Call::Reopen => {
					drop(store);
					store = reopen(folder.path().join("blobs"));
				},
			}
			let listed: Vec<(H256, u64)> =
				store.blobs().map(|blob| blob.map(|b| (b.hash, b.bytes)).unwrap()).collect();
			let expected: Vec<(H256, u64)> =
				model.iter().map(|(hash, (bytes, _))| (*hash, bytes.len() as u64)).collect();
			prop_assert_eq!(listed, expected);
			prop_assert!(files_in(&store, "tmp").is_empty());
		}
	}
}
