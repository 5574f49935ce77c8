//! Contributions from the store: fetched by content hash, checked against what the chain says.

use crate::failure::{Failure, Stopped};
use codec::DecodeAll;
use openledger_attribution::IndexedContribution;
use openledger_primitives::{
	contribution::ContributionContent,
	record::{self, Record as Canonical},
	worker_api::SourceContribution,
	H256,
};
use openledger_store::{Store, StoreError};
use openledger_trainer::{dataset::MAX_RECORDS, Record};
use std::collections::HashSet;

/// The most bytes of content of one job's contributions: records are in memory as they came, as
/// examples and in the index.
pub const MAX_SOURCE_BYTES: u64 = 2 << 30;

/// Fetches a blob that has to be there.
pub fn fetch(
	store: &Store,
	hash: H256,
	missing: impl FnOnce(H256) -> Failure,
) -> Result<Vec<u8>, Stopped> {
	fetched(hash, store.get(hash), missing)
}

/// What the store gave for a blob that has to be there. What is damaged is out of the way and counts as
/// missing: it can be put again.
pub fn fetched<T>(
	hash: H256,
	found: Result<Option<T>, StoreError>,
	missing: impl FnOnce(H256) -> Failure,
) -> Result<T, Stopped> {
	match found {
		Ok(Some(found)) => Ok(found),
		Ok(None) => Err(Stopped::Missing(missing(hash))),
		Err(error @ StoreError::Damaged { .. }) => {
			tracing::error!(%error, "a blob was damaged: check the disk");
			Err(Stopped::Missing(missing(hash)))
		},
		Err(error) => Err(error.into()),
	}
}

/// Fetches the contributions and checks each against its root and number of records.
pub fn fetch_all(
	store: &Store,
	sources: &[SourceContribution],
) -> Result<Vec<IndexedContribution>, Stopped> {
	if sources.is_empty() {
		return Err(Failure::NoSources.into());
	}
	check_size(store, sources)?;
	sources.iter().map(|source| fetch_one(store, source)).collect()
}

/// Refuses what would not fit into memory before any of it is read, and names what is missing first.
fn check_size(store: &Store, sources: &[SourceContribution]) -> Result<(), Stopped> {
	let (mut records, mut bytes) = (0u64, 0u64);
	for source in sources {
		records = records.saturating_add(source.records.into());
		let size = store.size_of(source.content)?.ok_or_else(|| missing(source))?;
		bytes = bytes.saturating_add(size);
	}
	let (max_records, max_bytes) = (MAX_RECORDS as u64, MAX_SOURCE_BYTES);
	if records > max_records || bytes > max_bytes {
		return Err(Failure::TooMuchData { records, bytes, max_records, max_bytes }.into());
	}
	Ok(())
}

fn missing(source: &SourceContribution) -> Stopped {
	Stopped::Missing(Failure::SourceMissing { id: source.id, content: source.content })
}

fn fetch_one(store: &Store, source: &SourceContribution) -> Result<IndexedContribution, Stopped> {
	let id = source.id;
	let bytes = fetch(store, source.content, |content| Failure::SourceMissing { id, content })?;
	let content = read(&bytes, source).map_err(|why| Failure::SourceUnusable { id, why })?;
	Ok(IndexedContribution { id, contributed_at: source.contributed_at, content })
}

/// Reads a contribution's blob, or says why it is not the one that the chain knows.
fn read(bytes: &[u8], source: &SourceContribution) -> Result<ContributionContent, String> {
	let content = ContributionContent::decode_all(&mut &*bytes)
		.map_err(|error| format!("its blob is not a contribution: {error}"))?;
	let count = content.records.len();
	if u32::try_from(count).ok() != Some(source.records) {
		return Err(format!("it has {count} records, not {} as on chain", source.records));
	}
	let tree = content.tree().ok_or("it has no records")?;
	if tree.root() != source.root {
		return Err(format!("its root is {:#x}, not {:#x} as on chain", tree.root(), source.root));
	}
	match content.first_fault() {
		Some((number, fault)) => Err(format!("record {number} is not canonical: {fault:?}")),
		None => Ok(content),
	}
}

/// The records to train on, in the order of ownership. A record that several contributions have is
/// learnt once, for it belongs to the first.
pub fn training_records(contributions: &[IndexedContribution]) -> Vec<Record> {
	let mut order: Vec<&IndexedContribution> = contributions.iter().collect();
	order.sort_by_key(|contribution| (contribution.contributed_at, contribution.id));
	let mut seen = HashSet::new();
	order
		.iter()
		.flat_map(|contribution| &contribution.content.records)
		.filter(|record| seen.insert(record.canonical.as_slice()))
		.filter_map(|salted| record::read(&salted.canonical).ok())
		.map(|record| match record {
			Canonical::Text(text) => Record::Text(text.into()),
			Canonical::Fields(fields) => {
				let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
				Record::Fields(fields.into_iter().map(owned).collect())
			},
		})
		.collect()
}
