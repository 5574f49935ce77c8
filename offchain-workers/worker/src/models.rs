//! Base models, adapters and span indexes in memory: loaded when they are needed, forgotten when
//! others are needed more.

use crate::{
	base_model::BaseModel,
	failure::{Failure, Stopped},
	sources,
};
use codec::{DecodeAll, Encode};
use lru::LruCache;
use openledger_attribution::SpanIndex;
use openledger_engine::{
	serving::{AdapterKey, AdapterSource, AdapterUnavailable},
	weights::Layout,
	Adapter, Model,
};
use openledger_primitives::{
	worker_api::{BaseModelHashes, InferenceOrder, SourceContribution, MAX_ORDER_BYTES},
	H256,
};
use openledger_store::Store;
use parking_lot::Mutex;
use std::{
	collections::{BTreeMap, HashMap},
	hash::Hash,
	num::NonZeroUsize,
	sync::Arc,
};

/// Base models in memory, each layout counted: one that answers and one that trains.
const LOADED_BASES: usize = 2;
/// Adapters in memory, at some megabytes each.
const LOADED_ADAPTERS: usize = 16;
/// Span indexes in memory, which hold the records of their contributions.
const LOADED_INDEXES: usize = 8;

/// Metadata key, in an adapter's file, of the hash of its base model's weights.
const BASE_WEIGHTS_KEY: &str = "openledger.base_weights";
/// Metadata key of the hash of its base model's tokenizer.
const BASE_TOKENIZER_KEY: &str = "openledger.base_tokenizer";
/// Metadata key of the content hash of the list of its sources: SCALE of
/// [`Vec<SourceContribution>`], in the order of the training order.
const SOURCES_KEY: &str = "openledger.sources";
/// Metadata key of the hash of its training specification.
const SPEC_KEY: &str = "openledger.spec";

/// What an adapter's file says beside its weights.
pub fn adapter_metadata(
	base: BaseModelHashes,
	spec: H256,
	sources: H256,
) -> BTreeMap<String, String> {
	let show = |hash: H256| format!("{hash:x}");
	BTreeMap::from([
		(BASE_WEIGHTS_KEY.into(), show(base.weights)),
		(BASE_TOKENIZER_KEY.into(), show(base.tokenizer)),
		(SPEC_KEY.into(), show(spec)),
		(SOURCES_KEY.into(), show(sources)),
	])
}

/// Everything that answers with one model.
#[derive(Clone, Debug)]
pub struct Answering {
	/// The base model.
	pub base: Arc<Model>,
	/// The adapter.
	pub adapter: Arc<LoadedAdapter>,
	/// The index over what the adapter was trained on.
	pub index: Arc<SpanIndex>,
	/// What the index was built from, to show evidence.
	pub sources: Arc<Vec<SourceContribution>>,
}

/// An adapter in memory.
#[derive(Debug)]
pub struct LoadedAdapter {
	/// Its weights.
	pub adapter: Adapter,
	/// The blob with the list of its sources.
	sources: H256,
}

/// A span index in memory, and what it was built from.
pub type LoadedIndex = (Arc<SpanIndex>, Arc<Vec<SourceContribution>>);

/// Base models, adapters and span indexes. See the [module](self).
#[derive(Debug)]
pub struct Models {
	served: HashMap<H256, BaseModel>,
	store: Arc<Store>,
	threads: usize,
	bases: Mutex<LruCache<(H256, bool), Arc<Model>>>,
	adapters: Mutex<LruCache<(H256, H256), Arc<LoadedAdapter>>>,
	indexes: Mutex<LruCache<H256, LoadedIndex>>,
}

impl Models {
	/// The models that are served, the last one loaded.
	pub fn new(
		served: impl IntoIterator<Item = (BaseModel, Model)>,
		store: Arc<Store>,
		threads: usize,
	) -> Self {
		let mut bases = cache(LOADED_BASES);
		let mut by_weights = HashMap::new();
		for (base, model) in served {
			bases.put((base.hashes.weights, false), Arc::new(model));
			by_weights.insert(base.hashes.weights, base);
		}
		Self {
			served: by_weights,
			store,
			threads,
			bases: Mutex::new(bases),
			adapters: Mutex::new(cache(LOADED_ADAPTERS)),
			indexes: Mutex::new(cache(LOADED_INDEXES)),
		}
	}

	/// The base models that are served, in the order of their hashes.
	pub fn served(&self) -> Vec<&BaseModel> {
		let mut served: Vec<&BaseModel> = self.served.values().collect();
		served.sort_unstable_by_key(|base| base.hashes.weights);
		served
	}

	/// A base model, for serving or for training.
	pub fn base(&self, hashes: BaseModelHashes, for_training: bool) -> Result<Arc<Model>, Failure> {
		let BaseModelHashes { weights, tokenizer } = hashes;
		let base = self
			.served
			.get(&weights)
			.filter(|base| base.hashes.tokenizer == tokenizer)
			.ok_or(Failure::BaseNotServed { weights, tokenizer })?;
		if let Some(model) = self.bases.lock().get(&(weights, for_training)) {
			return Ok(model.clone());
		}
		if !base.is_unchanged() {
			return Err(Failure::BaseChanged { path: base.path.clone() });
		}
		let layout = if for_training { Layout::Training } else { Layout::Serving };
		let unusable = |source| Failure::BaseUnusable { path: base.path.clone(), source };
		let model = Arc::new(base.load(layout, self.threads).map_err(unusable)?);
		self.bases.lock().put((weights, for_training), model.clone());
		Ok(model)
	}

	/// Base, adapter and index for an order.
	pub fn answering(&self, order: &InferenceOrder) -> Result<Answering, Stopped> {
		let base = self.base(order.base, false)?;
		let adapter = self.adapter(order.base.weights, order.adapter, &base)?;
		let (index, sources) = self.index(order.span_index, adapter.sources)?;
		Ok(Answering { base, adapter, index, sources })
	}

	/// The index of this root over what an adapter was trained on, and what it was built from.
	pub fn index_of(
		&self,
		base: BaseModelHashes,
		adapter: H256,
		root: H256,
	) -> Result<LoadedIndex, Stopped> {
		if let Some(loaded) = self.indexes.lock().get(&root) {
			return Ok(loaded.clone());
		}
		let model = self.base(base, false)?;
		let adapter = self.adapter(base.weights, adapter, &model)?;
		self.index(root, adapter.sources)
	}

	/// Reads an adapter of a base model, and says what is wrong with it if anything is.
	pub fn check_adapter(&self, base: BaseModelHashes, adapter: H256) -> Result<(), Stopped> {
		let model = self.base(base, false)?;
		read_adapter(&self.store, base.weights, adapter, &model).map(drop)
	}

	/// Where a service over `base`, with these weights, finds its adapters.
	pub fn stored_adapters(&self, weights: H256, base: Arc<Model>) -> StoredAdapters {
		StoredAdapters { store: self.store.clone(), weights, base }
	}

	fn adapter(
		&self,
		weights: H256,
		hash: H256,
		base: &Model,
	) -> Result<Arc<LoadedAdapter>, Stopped> {
		let key = (weights, hash);
		if let Some(adapter) = self.adapters.lock().get(&key) {
			return Ok(adapter.clone());
		}
		let adapter = Arc::new(read_adapter(&self.store, weights, hash, base)?);
		self.adapters.lock().put(key, adapter.clone());
		Ok(adapter)
	}

	/// The index of this root, built from the listed contributions if it is not in memory.
	fn index(&self, root: H256, list: H256) -> Result<LoadedIndex, Stopped> {
		if let Some(loaded) = self.indexes.lock().get(&root) {
			return Ok(loaded.clone());
		}
		let unusable = |why: String| Failure::SourceListUnusable { hash: list, why };
		let bytes = sources::fetch(&self.store, list, Failure::SourceListMissing)?;
		if bytes.len() > MAX_ORDER_BYTES {
			return Err(unusable(format!("it has {} bytes", bytes.len())).into());
		}
		let sources = Vec::<SourceContribution>::decode_all(&mut &*bytes)
			.map_err(|error| unusable(error.to_string()))?;
		let contributions = sources::fetch_all(&self.store, &sources)?;
		let index = SpanIndex::build(contributions)
			.map_err(|error| Failure::NotIndexable(error.to_string()))?;
		if index.root() != root {
			let found = index.root();
			return Err(Failure::WrongSpanIndex { found, ordered: root }.into());
		}
		Ok(self.keep_index(index, sources))
	}

	/// Keeps an index in memory under its root.
	pub fn keep_index(&self, index: SpanIndex, sources: Vec<SourceContribution>) -> LoadedIndex {
		let root = index.root();
		let loaded = (Arc::new(index), Arc::new(sources));
		self.indexes.lock().put(root, loaded.clone());
		loaded
	}

	/// Puts the list of an adapter's sources into the store.
	pub fn store_source_list(&self, sources: &[SourceContribution]) -> Result<H256, Stopped> {
		Ok(self.store.put(&sources.encode())?)
	}
}

/// Reads an adapter from the store, and checks that it was made for the base model with these
/// weights.
fn read_adapter(
	store: &Store,
	weights: H256,
	hash: H256,
	base: &Model,
) -> Result<LoadedAdapter, Stopped> {
	let bytes = sources::fetch(store, hash, Failure::AdapterMissing)?;
	let (adapter, metadata) = Adapter::from_bytes(&bytes, base.config())
		.map_err(|source| Failure::AdapterUnusable { hash, source })?;
	let unfit = |why: &str| Failure::AdapterUnfit { hash, why: why.into() };
	let named = |key| metadata.get(key).and_then(|hash| crate::hexadecimal::parse(hash));
	if named(BASE_WEIGHTS_KEY) != Some(weights) {
		return Err(unfit("it was trained on another base model").into());
	}
	let sources = named(SOURCES_KEY).ok_or_else(|| unfit("it does not name its sources"))?;
	Ok(LoadedAdapter { adapter, sources })
}

/// The adapters of one base model as a service finds them: in the store, by the hash of their content.
#[derive(Debug)]
pub struct StoredAdapters {
	store: Arc<Store>,
	weights: H256,
	base: Arc<Model>,
}

impl AdapterSource for StoredAdapters {
	fn adapter(&self, key: AdapterKey) -> Result<Adapter, AdapterUnavailable> {
		match read_adapter(&self.store, self.weights, H256(key.0), &self.base) {
			Ok(loaded) => Ok(loaded.adapter),
			Err(Stopped::Missing(_)) => Err(AdapterUnavailable::Unknown(key)),
			Err(stopped) => Err(AdapterUnavailable::Unusable { key, why: stopped.to_string() }),
		}
	}
}

fn cache<K: Eq + Hash, V>(size: usize) -> LruCache<K, V> {
	LruCache::new(NonZeroUsize::new(size).unwrap_or(NonZeroUsize::MIN))
}
