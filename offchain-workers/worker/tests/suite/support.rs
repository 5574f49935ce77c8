//! A tiny model and what it learns, a worker to try, and a client that speaks to it.

use codec::{Decode, Encode};
use openledger_engine::{serving::Precision, tiny};
use openledger_primitives::{
	content::{content_hash, Content},
	contribution::{ContributionContent, SaltedRecord},
	record::canonical_fields,
	training::TrainingResult,
	worker_api::{
		BaseModelHashes, InferenceAnswer, InferenceOrder, JobKey, Order, Report,
		SourceContribution, TrainingOrder, Work,
	},
	ContributionId, DatanetId, ModelId, RequestId, TrainingJobId, H256,
};
use openledger_worker::{base_model::BaseModel, time, Config, Daemon};
use reqwest::{header, Method, Response, StatusCode};
use rustix::process::{prlimit, Pid, Resource, Rlimit};
use std::{
	fs,
	io::{BufRead, BufReader},
	path::{Path, PathBuf},
	process::{Child, Command, Stdio},
	sync::OnceLock,
	time::{Duration, Instant},
};
use tempfile::TempDir;

/// The specification by which the tiny model learns the records by heart.
pub const SPEC: &[u8] = include_bytes!("../data/tiny-spec.json");
/// What it learns.
const RECORDS: &str = include_str!("../data/tiny-records.jsonl");
/// Longer than anything here takes, on a busy machine.
pub const LONG: Duration = Duration::from_secs(240);
pub const GENESIS: H256 = H256([1; 32]);

/// A folder for what all tests share and nobody drops: among what the build leaves.
pub fn kept_folder() -> TempDir {
	tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

/// The tiny model's directory, written once.
pub fn model() -> &'static Path {
	static MODEL: OnceLock<TempDir> = OnceLock::new();
	let folder = MODEL.get_or_init(|| {
		let folder = kept_folder();
		tiny::write_model(folder.path(), 42).unwrap();
		folder
	});
	folder.path()
}

/// By what the chain knows the tiny model.
pub fn base() -> BaseModelHashes {
	static HASHES: OnceLock<BaseModelHashes> = OnceLock::new();
	*HASHES.get_or_init(|| BaseModel::open(model(), Precision::F32).unwrap().0.hashes)
}

/// Questions and answers.
pub fn records() -> Vec<(String, String)> {
	let read = |line: &str| {
		let record: serde_json::Value = serde_json::from_str(line).unwrap();
		let field = |name: &str| record[name].as_str().unwrap().to_owned();
		(field("question"), field("answer"))
	};
	RECORDS.lines().map(read).collect()
}

/// A contribution of some of the records.
pub fn contribution(records: &[(String, String)], salt: u8) -> ContributionContent {
	let salted = records.iter().zip(0u8..).map(|((question, answer), number)| SaltedRecord {
		salt: [salt ^ number; 32],
		canonical: canonical_fields(&[("question", question), ("answer", answer)]).unwrap(),
	});
	ContributionContent { records: salted.collect() }
}

/// What the chain says about a contribution.
pub fn source(index: u32, content: &ContributionContent) -> SourceContribution {
	let commitment = content.commitment();
	SourceContribution {
		id: ContributionId { datanet: DatanetId(3), index },
		contributed_at: 10 + u64::from(index),
		content: content_hash(&content.encode()),
		root: commitment.map_or(H256::zero(), |it| it.root),
		records: commitment.map_or(0, |it| it.records),
	}
}

/// The records in three contributions.
pub fn contributions() -> Vec<ContributionContent> {
	let contribution = |(part, salt): (&[_], u8)| contribution(part, salt);
	records().chunks(4).zip([0x10, 0x20, 0x30]).map(contribution).collect()
}

pub fn in_an_hour() -> u64 {
	time::now() + 3_600
}

/// An order to train on contributions.
pub fn training_order(job: u64, spec: &[u8], contents: &[ContributionContent]) -> Order {
	let sources = (0..).zip(contents).map(|(index, content)| source(index, content)).collect();
	let key = JobKey::Training { job: TrainingJobId(job), attempt: 0 };
	let order =
		TrainingOrder { job: TrainingJobId(job), base: base(), spec: content_hash(spec), sources };
	Order { id: key.id(GENESIS), expires: in_an_hour(), work: Work::Training(order) }
}

/// An order to answer.
pub fn inference_order(request: u64, prompt: Content, trained: &TrainingResult) -> Order {
	let order = InferenceOrder {
		request: RequestId(request),
		model: ModelId(5),
		base: base(),
		adapter: trained.adapter_hash,
		span_index: trained.span_index_root,
		prompt,
		max_input_tokens: 200,
		max_output_tokens: 100,
	};
	let id = JobKey::Inference(RequestId(request)).id(GENESIS);
	Order { id, expires: in_an_hour(), work: Work::Inference(order) }
}

pub fn text(prompt: &str) -> Content {
	Content::Bytes(prompt.as_bytes().to_vec().try_into().unwrap())
}

/// An order to answer with a model that nobody trained.
pub fn inference_order_of_nobody(request: u64, prompt: Content) -> Order {
	let trained = TrainingResult {
		adapter_hash: H256([7; 32]),
		span_index_root: H256([8; 32]),
		influence_root: H256::zero(),
		metrics: Default::default(),
	};
	inference_order(request, prompt, &trained)
}

/// The worker's program as a process of its own, which can be killed.
pub struct Process {
	child: Child,
	pub client: Client,
	/// The gateway, if it was asked for.
	pub gateway: Option<Client>,
}

impl Process {
	pub fn start(data: &Path, more: &[&str]) -> Self {
		Self::start_with(model(), data, more)
	}

	/// With another base model.
	pub fn start_with(model: &Path, data: &Path, more: &[&str]) -> Self {
		Self::start_in([], model, data, more)
	}

	/// With more in its environment.
	pub fn start_in<'a>(
		environment: impl IntoIterator<Item = (&'a str, &'a Path)>,
		model: &Path,
		data: &Path,
		more: &[&str],
	) -> Self {
		let mut child = Command::new(env!("CARGO_BIN_EXE_openledger-worker"))
			.envs(environment)
			.args(["--listen", "127.0.0.1:0", "--threads", "2", "--base"])
			.arg(model)
			.arg("--data")
			.arg(data)
			.args(more)
			.env("RUST_LOG", "info")
			.stdout(Stdio::piped())
			.spawn()
			.unwrap();
		let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
		let mut find = |start: &str| {
			lines.find_map(|line| Some(line.unwrap().strip_prefix(start)?.to_owned()))
		};
		let url = find("listening on ").expect("the worker starts");
		let gateway = more.contains(&"--gateway").then(|| find("gateway on ").unwrap());
		// Reads on, so that the worker never waits for somebody to read.
		std::thread::spawn(move || lines.for_each(drop));
		Self { child, client: Client::new(url), gateway: gateway.map(Client::new) }
	}

	pub fn id(&self) -> u32 {
		self.child.id()
	}

	/// As `kill -9` does.
	pub fn kill(mut self) {
		self.child.kill().unwrap();
		self.child.wait().unwrap();
	}

	/// As `kill` does; gives the exit status's code.
	pub fn terminate(mut self) -> Option<i32> {
		let id = rustix::process::Pid::from_child(&self.child);
		rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
		self.child.wait().unwrap().code()
	}
}

impl Drop for Process {
	fn drop(&mut self) {
		let _ = self.child.kill();
		let _ = self.child.wait();
	}
}

/// Bounds the bytes of each file that a worker may write, which stands for a disk without room.
pub fn allow(worker: &Process, file_bytes: Option<u64>) {
	let id = Pid::from_raw(worker.id().try_into().unwrap());
	let limit = Rlimit { current: file_bytes, maximum: None };
	prlimit(id, Resource::Fsize, limit).unwrap();
}

/// The worker in this process, with little patience.
pub struct InProcess {
	daemon: Daemon,
	pub client: Client,
	/// The gateway, if it was asked for.
	pub gateway: Option<Client>,
	pub data: TempDir,
}

impl InProcess {
	pub async fn start(change: impl FnOnce(&mut Config)) -> Self {
		Self::start_in(tempfile::tempdir().unwrap(), change).await
	}

	/// With this data folder.
	pub async fn start_in(data: TempDir, change: impl FnOnce(&mut Config)) -> Self {
		let mut config = Config::new(vec![model().into()], data.path().into());
		config.listen = ([127, 0, 0, 1], 0).into();
		config.threads = 2;
		config.patience.prompt = Duration::from_millis(300);
		config.patience.blobs = Duration::from_millis(600);
		config.patience.look_every = Duration::from_millis(50);
		change(&mut config);
		let daemon = Daemon::start(config).await.unwrap();
		let client = |address| Client::new(format!("http://{address}"));
		let gateway = daemon.gateway_address().map(client);
		Self { client: client(daemon.address()), gateway, daemon, data }
	}

	pub async fn stop(self) {
		self.daemon.stop().await;
	}
}

/// A client of a worker.
#[derive(Clone)]
pub struct Client {
	url: String,
	/// An API key.
	key: Option<String>,
	http: reqwest::Client,
}

impl Client {
	fn new(url: String) -> Self {
		Self { url, key: None, http: reqwest::Client::new() }
	}

	/// With an API key.
	pub fn with_key(&self, key: &str) -> Self {
		Self { key: Some(key.into()), ..self.clone() }
	}

	/// Host and port.
	pub fn address(&self) -> String {
		self.url.trim_start_matches("http://").into()
	}

	pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
		let request = self.http.request(method, format!("{}{path}", self.url));
		match &self.key {
			Some(key) => request.bearer_auth(key),
			None => request,
		}
	}

	pub async fn get(&self, path: &str) -> Response {
		self.request(Method::GET, path).send().await.unwrap()
	}

	pub async fn json(&self, path: &str) -> serde_json::Value {
		let response = self.get(path).await;
		assert_eq!(response.status(), StatusCode::OK, "{path}");
		response.json().await.unwrap()
	}

	pub async fn put(&self, bytes: &[u8]) -> H256 {
		let hash = content_hash(bytes);
		let response = self.put_as(hash, bytes).await;
		assert!(response.status().is_success(), "{}", response.status());
		hash
	}

	pub async fn put_as(&self, hash: H256, bytes: &[u8]) -> Response {
		let path = format!("/v1/blobs/{hash:x}");
		self.request(Method::PUT, &path).body(bytes.to_vec()).send().await.unwrap()
	}

	/// Puts contributions and a specification.
	pub async fn put_data(&self, spec: &[u8], contents: &[ContributionContent]) {
		self.put(spec).await;
		for content in contents {
			self.put(&content.encode()).await;
		}
	}

	pub async fn post(&self, order: &Order) -> Response {
		self.post_bytes(order.encode()).await
	}

	pub async fn post_bytes(&self, bytes: Vec<u8>) -> Response {
		self.request(Method::POST, "/v1/jobs")
			.header(header::CONTENT_TYPE, "application/x-scale")
			.header(header::ACCEPT, "application/x-scale")
			.body(bytes)
			.send()
			.await
			.unwrap()
	}

	/// Posts a new order.
	pub async fn accepted(&self, order: &Order) {
		assert_eq!(self.post(order).await.status(), StatusCode::ACCEPTED);
	}

	/// The report's bytes; `None` when the job is not known.
	pub async fn report_bytes(&self, id: H256) -> Option<Vec<u8>> {
		let path = format!("/v1/jobs/{id:#x}");
		let response = self
			.request(Method::GET, &path)
			.header(header::ACCEPT, "application/x-scale")
			.send()
			.await
			.unwrap();
		match response.status() {
			StatusCode::OK => Some(response.bytes().await.unwrap().to_vec()),
			StatusCode::NOT_FOUND => None,
			other => panic!("{other}"),
		}
	}

	pub async fn report(&self, id: H256) -> Option<Report> {
		let bytes = self.report_bytes(id).await?;
		Some(Report::decode(&mut &*bytes).unwrap())
	}

	/// Waits for a report.
	pub async fn until(&self, id: H256, is_it: impl Fn(&Report) -> bool) -> Report {
		let since = Instant::now();
		loop {
			let report = self.report(id).await.expect("the job is known");
			if is_it(&report) {
				return report;
			}
			assert!(since.elapsed() < LONG, "still {report:?}");
			tokio::time::sleep(Duration::from_millis(20)).await;
		}
	}

	/// Waits for the job's end.
	pub async fn ended(&self, id: H256) -> Report {
		self.until(id, |report| !matches!(report, Report::Queued | Report::Running { .. })).await
	}

	pub async fn trained(&self, id: H256) -> TrainingResult {
		match self.ended(id).await {
			Report::Trained(result) => result,
			other => panic!("{other:?}; {}", self.json(&format!("/v1/jobs/{id:x}/events")).await),
		}
	}

	pub async fn answered(&self, id: H256) -> InferenceAnswer {
		match self.ended(id).await {
			Report::Answered(answer) => answer,
			other => panic!("{other:?}; {}", self.json(&format!("/v1/jobs/{id:x}/events")).await),
		}
	}
}

/// A store's folder with the adapter that the tiny model learnt, made once.
pub fn trained() -> &'static (PathBuf, TrainingResult) {
	static TRAINED: OnceLock<(TempDir, (PathBuf, TrainingResult))> = OnceLock::new();
	let train = || {
		let data = kept_folder();
		let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
		let worker = Process::start(data.path(), &[]);
		let contents = contributions();
		let order = training_order(1, SPEC, &contents);
		let result = runtime.block_on(async {
			worker.client.put_data(SPEC, &contents).await;
			worker.client.accepted(&order).await;
			worker.client.trained(order.id).await
		});
		assert_eq!(worker.terminate(), Some(0));
		let blobs = data.path().join("blobs");
		(data, (blobs, result))
	};
	// Not on a thread that a runtime already has.
	&TRAINED.get_or_init(|| std::thread::spawn(train).join().unwrap()).1
}

/// A data folder whose store has what the tiny model learnt.
pub fn trained_data() -> (TempDir, TrainingResult) {
	let (blobs, result) = trained();
	let data = tempfile::tempdir().unwrap();
	copy_folder(blobs, &data.path().join("blobs"));
	(data, *result)
}

fn copy_folder(from: &Path, to: &Path) {
	fs::create_dir(to).unwrap();
	for entry in fs::read_dir(from).unwrap() {
		let entry = entry.unwrap();
		let place = to.join(entry.file_name());
		if entry.file_type().unwrap().is_dir() {
			copy_folder(&entry.path(), &place);
		} else {
			fs::copy(entry.path(), place).unwrap();
		}
	}
}
