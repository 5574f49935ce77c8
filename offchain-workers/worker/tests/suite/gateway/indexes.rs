//! Span indexes while many answer: each is built once, and nobody waits for one who need not.

use super::{admin::load, chat, events, gateway_in, key, with};
use crate::support::{base, contribution, model, source, Client, InProcess, LONG};
use codec::Encode;
use openledger_attribution::{IndexedContribution, SpanIndex};
use openledger_engine::{
	serving::Precision,
	tiny::{random_adapter, TinyModel},
	LoraConfig, TargetModule,
};
use openledger_primitives::{content::content_hash, training::TrainingResult, H256};
use openledger_store::Store;
use openledger_worker::{
	base_model::BaseModel,
	gateway::ledger,
	hexadecimal::show,
	models::{adapter_metadata, Models},
	ServingConfig,
};
use reqwest::Response;
use serde_json::{json, Value};
use std::{
	collections::BTreeMap,
	fmt, fs,
	path::Path,
	sync::{Arc, Condvar, Mutex, OnceLock},
	time::{Duration, Instant},
};
use tempfile::TempDir;
use tokio::time::timeout;
use tracing::{
	field::{Field, Visit},
	Event, Level, Subscriber,
};
use tracing_subscriber::{
	filter::Targets,
	layer::{Context, Layer, SubscriberExt},
};

const CHAT: &str = "/v1/chat/completions";
/// What a stream says after 15 s of silence.
const COMMENT: &str = ": waiting\n\n";

/// A model that nobody trained, which answers nonsense, and what it says it was trained on.
struct Made {
	trained: TrainingResult,
	adapter: Vec<u8>,
	list: Vec<u8>,
	content: Vec<u8>,
}

fn made(number: u8) -> Made {
	let record = (format!("What is number {number}?"), "A number among other numbers.".into());
	let content = contribution(&[record], number);
	let source = source(number.into(), &content);
	let (id, contributed_at) = (source.id, source.contributed_at);
	let list = vec![source].encode();
	let config = LoraConfig::new(4, 8.0, [TargetModule::QProj]);
	let adapter = random_adapter(config, &TinyModel::default().config(), number.into()).unwrap();
	let metadata = adapter_metadata(base(), H256::zero(), content_hash(&list));
	let adapter = adapter.to_bytes(&metadata).unwrap();
	let encoded = content.encode();
	let indexed = IndexedContribution { id, contributed_at, content };
	let trained = TrainingResult {
		adapter_hash: content_hash(&adapter),
		span_index_root: SpanIndex::build(vec![indexed]).unwrap().root(),
		influence_root: H256::zero(),
		metrics: Default::default(),
	};
	Made { trained, adapter, list, content: encoded }
}

impl Made {
	/// Puts everything but the contribution into the worker's store, and gives the model a name.
	async fn load(&self, operator: &Client, name: &str) {
		operator.put(&self.list).await;
		operator.put(&self.adapter).await;
		let body = with(load(name, &self.trained), json!({"model": null}));
		operator.ask("/v1/load_lora_adapter", &body).await;
	}

	/// With its contribution.
	async fn load_all(&self, operator: &Client, name: &str) {
		operator.put(&self.content).await;
		self.load(operator, name).await;
	}
}

/// A chat of 12 tokens with the model of this name.
fn chat_with(model: &str) -> Value {
	with(chat("What is it?"), json!({"model": model, "ignore_eos": true}))
}

/// The attribution of an answer of this model.
async fn attribution(gateway: &Client, model: &str) -> Value {
	let answer = gateway.chat(&chat_with(model)).await;
	answer["choices"][0]["openledger"]["attribution"].clone()
}

/// A stream as far as it was read.
struct Reading {
	stream: Response,
	bytes: Vec<u8>,
}

impl Reading {
	async fn begin(gateway: &Client, model: &str, fields: Value) -> Self {
		let body = with(chat_with(model), json!({"stream": true}));
		let stream = gateway.post_json(CHAT, &with(body, fields)).await;
		Self { stream, bytes: Vec::new() }
	}

	/// What was read. Pieces may end within a character.
	fn text(&self) -> String {
		String::from_utf8_lossy(&self.bytes).into()
	}

	/// Whether there was more.
	async fn read(&mut self) -> bool {
		let piece = timeout(LONG, self.stream.chunk()).await.expect("the stream goes on");
		let piece = piece.unwrap();
		self.bytes.extend(piece.iter().flatten());
		piece.is_some()
	}

	/// Reads until the gateway says that it waits.
	async fn until_silence(&mut self) {
		while !self.text().contains(COMMENT) {
			assert!(self.read().await, "{}", self.text());
		}
	}

	/// All of it, read to the end.
	async fn rest(mut self) -> String {
		while self.read().await {}
		self.text()
	}
}

/// The building of one index, which begins, says so in the log, and goes on when this is dropped.
struct Held(H256);

#[derive(Default)]
struct Building {
	begun: usize,
	may_go_on: bool,
}

static BUILDING: Mutex<BTreeMap<String, Building>> = Mutex::new(BTreeMap::new());
static CHANGED: Condvar = Condvar::new();

impl Held {
	/// Holds up whoever builds the model's index.
	fn up(made: &Made) -> Self {
		static LISTENING: OnceLock<()> = OnceLock::new();
		LISTENING.get_or_init(|| {
			let models = Targets::new().with_target("openledger_worker::models", Level::INFO);
			let subscriber = tracing_subscriber::registry().with(Log.with_filter(models));
			tracing::subscriber::set_global_default(subscriber).unwrap();
		});
		let list = content_hash(&made.list);
		BUILDING.lock().unwrap().insert(show(list), Building::default());
		Self(list)
	}

	/// How often building began.
	fn begun(&self) -> usize {
		BUILDING.lock().unwrap()[&show(self.0)].begun
	}

	/// Waits until somebody builds.
	async fn begins(&self) {
		let since = Instant::now();
		while self.begun() == 0 {
			assert!(since.elapsed() < LONG, "nobody builds the index");
			tokio::time::sleep(Duration::from_millis(5)).await;
		}
	}

	fn go_on(&self) {
		BUILDING.lock().unwrap().get_mut(&show(self.0)).unwrap().may_go_on = true;
		CHANGED.notify_all();
	}
}

impl Drop for Held {
	/// Also when a test fails, or the runtime would wait for the building for ever.
	fn drop(&mut self) {
		self.go_on();
	}
}

/// Hears in the log where the building of an index begins.
struct Log;

impl<S: Subscriber> Layer<S> for Log {
	fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
		struct List(Option<String>);
		impl Visit for List {
			fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
				if field.name() == "list" {
					self.0 = Some(format!("{value:?}"));
				}
			}
		}
		let mut list = List(None);
		event.record(&mut list);
		let Some(list) = list.0 else { return };
		let mut building = BUILDING.lock().unwrap();
		let Some(held) = building.get_mut(&list) else { return };
		held.begun += 1;
		drop(CHANGED.wait_while(building, |building| !building[&list].may_go_on).unwrap());
	}
}

/// Takes a blob away.
fn remove(worker: &InProcess, blob: &[u8]) {
	let name = format!("{:x}", content_hash(blob));
	let (folder, file) = name.split_at(2);
	fs::remove_file(worker.data.path().join("blobs").join(folder).join(file)).unwrap();
}

async fn started() -> (InProcess, Client) {
	gateway_in(tempfile::tempdir().unwrap(), |_| {}).await
}

/// The base model and a store, without the rest of a worker.
fn models(folder: &Path) -> (Models, Arc<Store>) {
	let store = Arc::new(Store::open(folder.join("blobs")).unwrap());
	let bases = [BaseModel::open(model(), Precision::F32).unwrap()];
	(Models::new(bases, store.clone(), 1, &ServingConfig::default()).unwrap(), store)
}

#[test]
fn indexes_should_stay_in_memory_however_many_they_are_while_they_fit() {
	const MODELS: u8 = 24;
	let folder = TempDir::new().unwrap();
	let (models, store) = models(folder.path());
	let all: Vec<Made> = (0..MODELS).map(made).collect();
	let index = |made: &Made| {
		let TrainingResult { adapter_hash, span_index_root, .. } = made.trained;
		models.index_of(base(), adapter_hash, span_index_root)
	};
	for made in &all {
		for blob in [&made.adapter, &made.list, &made.content] {
			store.put(blob).unwrap();
		}
		index(made).unwrap();
	}
	for made in &all {
		assert!(store.remove(content_hash(&made.content)).unwrap());
	}
	for made in &all {
		assert_eq!(index(made).unwrap().0.root(), made.trained.span_index_root);
	}
	models.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_come_at_once_should_build_their_index_once() {
	let (worker, gateway) = started().await;
	let made = made(101);
	made.load_all(&worker.client, "made").await;
	let held = Held::up(&made);
	let asked: Vec<_> = (0..6)
		.map(|_| {
			let gateway = gateway.clone();
			tokio::spawn(async move { attribution(&gateway, "made").await })
		})
		.collect();
	// All would have begun until then.
	let mut stream = Reading::begin(&gateway, "made", json!({})).await;
	stream.until_silence().await;
	held.go_on();
	assert!(events(&stream.rest().await).pop().unwrap()["choices"][0]["finish_reason"].is_string());
	for asked in asked {
		let attribution = asked.await.unwrap();
		assert!(attribution["spans"].is_array(), "{attribution}");
	}
	assert_eq!(held.begun(), 1);
	worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_root_that_is_wrong_should_be_found_out_once() {
	let (worker, gateway) = started().await;
	let mut made = made(102);
	let right = made.trained.span_index_root;
	made.trained.span_index_root = H256([7; 32]);
	made.load_all(&worker.client, "made").await;
	let told = attribution(&gateway, "made").await;
	assert!(told["error"].as_str().unwrap().contains(&format!("{right:#x}")), "{told}");
	// From nothing no index can be built.
	remove(&worker, &made.content);
	remove(&worker, &made.list);
	assert_eq!(attribution(&gateway, "made").await, told);
	worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contribution_that_is_missing_should_be_looked_for_again() {
	let (worker, gateway) = started().await;
	let made = made(103);
	made.load(&worker.client, "made").await;
	let told = attribution(&gateway, "made").await;
	assert!(told["error"].as_str().unwrap().contains("not in the store"), "{told}");
	worker.client.put(&made.content).await;
	let told = attribution(&gateway, "made").await;
	assert!(told["spans"].is_array(), "{told}");
	worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_of_one_stream_should_both_end_with_receipts_and_the_stream_live_meanwhile() {
	let (worker, gateway) = started().await;
	let made = made(104);
	made.load_all(&worker.client, "made").await;
	let held = Held::up(&made);
	let two = json!({"n": 2, "temperature": 1});
	let mut stream = Reading::begin(&gateway, "made", two).await;
	stream.until_silence().await;
	held.go_on();
	let text = stream.rest().await;
	let (before, after) = text.rsplit_once(COMMENT).unwrap();
	// The whole text of both had come while neither could be attributed.
	assert!(before.contains(r#""index":0"#) && before.contains(r#""index":1"#), "{before}");
	assert!(!before.contains(r#""finish_reason":""#), "{before}");
	let mut ends = events(after);
	ends.sort_by_key(|end| end["choices"][0]["index"].as_u64());
	assert_eq!(ends.len(), 2, "{after}");
	for (index, end) in ends.iter().enumerate() {
		let choice = &end["choices"][0];
		assert_eq!((&choice["index"], &choice["finish_reason"]), (&json!(index), &json!("length")));
		assert_eq!(choice["openledger"]["receipt"]["output_tokens"], 12);
		assert!(choice["openledger"]["attribution"]["spans"].is_array(), "{choice}");
	}
	worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attribution_should_count_until_it_ends_also_when_its_client_is_gone() {
	let data = tempfile::tempdir().unwrap();
	let alice = key(&data, "alice", None);
	let (worker, gateway) = gateway_in(data, |_| {}).await;
	let gateway = gateway.with_key(&alice);
	let [first, second, third] = [105, 106, 107].map(made);
	let names = ["first", "second", "third"];
	for (made, name) in [&first, &second, &third].into_iter().zip(names) {
		made.load_all(&worker.client, name).await;
	}
	let held = [Held::up(&first), Held::up(&second)];
	let asked = ["first", "second"].map(|name| {
		let gateway = gateway.clone();
		tokio::spawn(async move { attribution(&gateway, name).await })
	});
	for held in &held {
		held.begins().await;
	}
	asked.iter().for_each(|asked| asked.abort());
	// They are over for the gateway when what they cost is written down.
	let since = Instant::now();
	let written = || {
		let spent = ledger::read(worker.data.path()).unwrap_or_default();
		spent.values().map(|spent| spent.output_tokens).sum::<u64>()
	};
	while written() < 2 * 12 {
		assert!(since.elapsed() < LONG, "the requests are not over");
		tokio::time::sleep(Duration::from_millis(20)).await;
	}
	let mut stream = Reading::begin(&gateway, "third", json!({})).await;
	stream.until_silence().await;
	assert!(!stream.text().contains(r#""finish_reason":""#), "{}", stream.text());
	held.iter().for_each(Held::go_on);
	let last = events(&stream.rest().await).pop().unwrap();
	let attribution = &last["choices"][0]["openledger"]["attribution"];
	assert!(attribution["spans"].is_array(), "{last}");
	worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_cannot_be_attributed_in_time_should_be_given_when_the_worker_stops() {
	let (worker, gateway) = gateway_in(tempfile::tempdir().unwrap(), |config| {
		config.gateway.as_mut().unwrap().drain = Duration::from_millis(50)
	})
	.await;
	let made = made(108);
	made.load_all(&worker.client, "made").await;
	let held = Held::up(&made);
	let stream = Reading::begin(&gateway, "made", json!({})).await;
	held.begins().await;
	let stopping = tokio::spawn(worker.stop());
	let last = events(&stream.rest().await).pop().unwrap();
	let choice = &last["choices"][0];
	assert_eq!(choice["finish_reason"], "length");
	assert_eq!(choice["openledger"]["receipt"]["output_tokens"], 12);
	let error = choice["openledger"]["attribution"]["error"].as_str().unwrap();
	assert!(error.contains("stopping"), "{error}");
	held.go_on();
	stopping.await.unwrap();
}
