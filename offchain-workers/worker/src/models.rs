//! Base models, adapters and span indexes in memory: loaded when they are needed, forgotten when
//! others are needed more.

use crate::{
	base_model::BaseModel,
	config::ServingConfig,
	failure::{Failure, Stopped},
	hexadecimal::show,
	indexes::{Indexes, LoadedIndex},
	sources,
};
use codec::{DecodeAll, Encode};
use lru::LruCache;
use openledger_attribution::SpanIndex;
use openledger_engine::{
	serving::{
		AdapterKey, AdapterLimits, AdapterSource, AdapterUnavailable, PackedAdapter, Precision,
		Service, ServiceOptions, ServingModel, StartError,
	},
	LlamaConfig, Model,
};
use openledger_primitives::{
	content::content_hash,
	worker_api::{BaseModelHashes, InferenceOrder, SourceContribution, MAX_ORDER_BYTES},
	H256,
};
use openledger_store::{BlobReader, Store};
use parking_lot::Mutex;
use std::{
	collections::{BTreeMap, HashMap},
	fmt,
	hash::Hash,
	num::NonZeroUsize,
	sync::Arc,
	time::Duration,
};

/// Base models in memory for training; those that answer are there all the time.
const TRAINING_BASES: usize = 1;
/// Adapters whose sources are known, at some dozens of bytes each.
const KNOWN_ADAPTERS: usize = 4_096;

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
#[derive(Clone)]
pub struct Answering {
	/// What answers with the base model.
	pub service: Service,
	/// The adapter.
	pub adapter: AdapterKey,
	/// The index over what the adapter was trained on.
	pub index: Arc<SpanIndex>,
	/// What the index was built from, to show evidence.
	pub sources: Arc<Vec<SourceContribution>>,
}

/// A base model that answers.
pub struct ServedBase {
	/// What it is known by.
	pub base: BaseModel,
	/// What answers with it.
	pub service: Service,
}

impl fmt::Debug for ServedBase {
	fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
		f.debug_struct("ServedBase").field("base", &self.base).finish_non_exhaustive()
	}
}

/// Base models, adapters and span indexes. See the [module](self).
#[derive(Debug)]
pub struct Models {
	served: HashMap<H256, ServedBase>,
	store: Arc<Store>,
	threads: usize,
	training: Mutex<LruCache<H256, Arc<Model>>>,
	/// The list of sources of each adapter that was found to fit its base model.
	adapter_sources: Mutex<LruCache<(H256, H256), H256>>,
	indexes: Indexes,
}

impl Models {
	/// Starts a service for each base model.
	///
	/// # Errors
	/// A service does not start.
	pub fn new(
		bases: impl IntoIterator<Item = (BaseModel, ServingModel)>,
		store: Arc<Store>,
		threads: usize,
		config: &ServingConfig,
	) -> Result<Self, StartError> {
		let defaults = ServiceOptions::default();
		let adapters = AdapterLimits {
			max_bytes: config.adapter_bytes,
			max_adapter_bytes: defaults.adapters.max_adapter_bytes.min(config.adapter_bytes),
			max_resident: config.max_adapters,
			..defaults.adapters
		};
		let cache_tokens = config.cache_tokens;
		let options = ServiceOptions { threads, cache_tokens, adapters, ..defaults };
		let mut served = HashMap::new();
		for (base, model) in bases {
			let weights = base.hashes.weights;
			let (config, precision) = (model.config().clone(), model.precision());
			let source = StoredAdapters { store: store.clone(), weights, config, precision };
			let service = Service::start(Arc::new(model), Arc::new(source), options.clone())?;
			served.insert(weights, ServedBase { base, service });
		}
		Ok(Self {
			served,
			store,
			threads,
			training: Mutex::new(cache(TRAINING_BASES)),
			adapter_sources: Mutex::new(cache(KNOWN_ADAPTERS)),
			indexes: Indexes::new(config.index_bytes),
		})
	}

	/// The base models that are served, in the order of their hashes.
	pub fn served(&self) -> Vec<&ServedBase> {
		let mut served: Vec<&ServedBase> = self.served.values().collect();
		served.sort_unstable_by_key(|served| served.base.hashes.weights);
		served
	}

	/// Ends all services; what is under way fails.
	pub fn stop(&self) {
		self.served.values().for_each(|served| served.service.stop(Duration::ZERO));
	}

	/// A base model by its hashes.
	fn base(&self, hashes: BaseModelHashes) -> Result<&ServedBase, Failure> {
		let BaseModelHashes { weights, tokenizer } = hashes;
		self.served
			.get(&weights)
			.filter(|served| served.base.hashes.tokenizer == tokenizer)
			.ok_or(Failure::BaseNotServed { weights, tokenizer })
	}

	/// A base model for training.
	pub fn training_base(&self, hashes: BaseModelHashes) -> Result<Arc<Model>, Failure> {
		let base = &self.base(hashes)?.base;
		if let Some(model) = self.training.lock().get(&hashes.weights) {
			return Ok(model.clone());
		}
		if !base.is_unchanged() {
			return Err(Failure::BaseChanged { path: base.path.clone() });
		}
		let unusable = |source| Failure::BaseUnusable { path: base.path.clone(), source };
		let model = Arc::new(base.load_for_training(self.threads).map_err(unusable)?);
		self.training.lock().put(hashes.weights, model.clone());
		Ok(model)
	}

	/// Service, adapter and index for an order.
	pub fn answering(&self, order: &InferenceOrder) -> Result<Answering, Stopped> {
		let served = self.base(order.base)?;
		let (index, sources) = self.index_of(order.base, order.adapter, order.span_index)?;
		let adapter = AdapterKey(order.adapter.0);
		Ok(Answering { service: served.service.clone(), adapter, index, sources })
	}

	/// The index of this root over what an adapter was trained on, and what it was built from.
	pub fn index_of(
		&self,
		base: BaseModelHashes,
		adapter: H256,
		root: H256,
	) -> Result<LoadedIndex, Stopped> {
		let sources = self.sources_of(base, adapter)?;
		self.index(root, sources)
	}

	/// Reads an adapter of a base model, and says what is wrong with it if anything is.
	pub fn check_adapter(&self, base: BaseModelHashes, adapter: H256) -> Result<(), Stopped> {
		self.sources_of(base, adapter).map(drop)
	}

	/// The blob with the list of an adapter's sources. The adapter is read and checked once.
	fn sources_of(&self, base: BaseModelHashes, adapter: H256) -> Result<H256, Stopped> {
		let served = self.base(base)?;
		let key = (base.weights, adapter);
		if let Some(sources) = self.adapter_sources.lock().get(&key) {
			return Ok(*sources);
		}
		let model = served.service.model();
		let (config, precision) = (model.config(), model.precision());
		let (_, sources) = read_adapter(&self.store, base.weights, adapter, config, precision)?;
		self.adapter_sources.lock().put(key, sources);
		Ok(sources)
	}

	/// The index of this root over the listed contributions.
	fn index(&self, root: H256, list: H256) -> Result<LoadedIndex, Stopped> {
		self.indexes.get(list, root, || self.build_index(list))
	}

	/// Builds the index over the listed contributions, and gives these too.
	fn build_index(&self, list: H256) -> Result<(SpanIndex, Vec<SourceContribution>), Stopped> {
		let unusable = |why: String| Failure::SourceListUnusable { hash: list, why };
		let bytes = sources::fetch(&self.store, list, Failure::SourceListMissing)?;
		if bytes.len() > MAX_ORDER_BYTES {
			return Err(unusable(format!("it has {} bytes", bytes.len())).into());
		}
		let sources = Vec::<SourceContribution>::decode_all(&mut &*bytes)
			.map_err(|error| unusable(error.to_string()))?;
		tracing::info!(list = %show(list), contributions = sources.len(), "building a span index");
		let contributions = sources::fetch_all(&self.store, &sources)?;
		let index = SpanIndex::build(contributions)
			.map_err(|error| Failure::NotIndexable(error.to_string()))?;
		Ok((index, sources))
	}

	/// Keeps an index in memory for those who answer with what was trained on these sources.
	pub fn keep_index(&self, index: SpanIndex, sources: Vec<SourceContribution>) -> LoadedIndex {
		self.indexes.keep(content_hash(&sources.encode()), index, sources)
	}

	/// Puts the list of an adapter's sources into the store.
	pub fn store_source_list(&self, sources: &[SourceContribution]) -> Result<H256, Stopped> {
		Ok(self.store.put(&sources.encode())?)
	}
}

/// Reads an adapter from the store, and checks that it was made for the base model with these
/// weights. Gives the blob with the list of its sources too.
fn read_adapter(
	store: &Store,
	weights: H256,
	hash: H256,
	config: &LlamaConfig,
	precision: Precision,
) -> Result<(PackedAdapter, H256), Stopped> {
	let pack = |blob: &mut BlobReader<'_>| {
		let length = blob.length();
		PackedAdapter::from_reader(blob, length, config, precision)
	};
	let packed = sources::fetched(hash, store.get_with(hash, pack), Failure::AdapterMissing)?;
	let (adapter, metadata) = packed.map_err(|source| Failure::AdapterUnusable { hash, source })?;
	let unfit = |why: &str| Failure::AdapterUnfit { hash, why: why.into() };
	let named = |key| metadata.get(key).and_then(|hash| crate::hexadecimal::parse(hash));
	if named(BASE_WEIGHTS_KEY) != Some(weights) {
		return Err(unfit("it was trained on another base model").into());
	}
	let sources = named(SOURCES_KEY).ok_or_else(|| unfit("it does not name its sources"))?;
	Ok((adapter, sources))
}

/// The adapters of one base model as a service finds them: in the store, by the hash of their content.
#[derive(Debug)]
struct StoredAdapters {
	store: Arc<Store>,
	weights: H256,
	config: LlamaConfig,
	precision: Precision,
}

impl AdapterSource for StoredAdapters {
	fn adapter(&self, key: AdapterKey) -> Result<PackedAdapter, AdapterUnavailable> {
		match read_adapter(&self.store, self.weights, H256(key.0), &self.config, self.precision) {
			Ok((adapter, _)) => Ok(adapter),
			Err(Stopped::Missing(_)) => Err(AdapterUnavailable::Unknown(key)),
			Err(stopped) => Err(AdapterUnavailable::Unusable { key, why: stopped.to_string() }),
		}
	}
}

fn cache<K: Eq + Hash, V>(size: usize) -> LruCache<K, V> {
	LruCache::new(NonZeroUsize::new(size).unwrap_or(NonZeroUsize::MIN))
}
