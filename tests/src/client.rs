//! What a user's program does with a node: JSON-RPC, and subxt by the node's own metadata.

use std::{fmt, time::Duration};

use futures::future::join_all;
use jsonrpsee::ws_client::WsClientBuilder;
use serde_json::{json, Value as Json};
use subxt::{
	client::OnlineClientAtBlock,
	config::{substrate::H256, SubstrateConfig, SubstrateExtrinsicParamsBuilder},
	dynamic::{self, At, Value},
	error::{DispatchError, OnlineClientAtBlockError, TransactionEventsError},
	events::Events,
	ext::{
		frame_decode::storage::encode_storage_key_prefix,
		scale_value::{Composite, Primitive, ValueDef},
	},
	rpcs::{client::RpcParams, Error as RpcError, RpcClient},
	transactions::{DynamicPayload, TransactionStatus},
	OnlineClient,
};
use subxt_signer::sr25519::Keypair;
use tokio::sync::OnceCell;

use crate::until;

/// The longest answer that is taken, in bytes. A runtime in hexadecimal fits into it.
const MAX_RESPONSE: u32 = 64 * 1024 * 1024;

/// From submission until a transaction's block is final.
const FINALITY_LIMIT: Duration = Duration::from_secs(90);

/// For a block that is there to be read.
const READ_LIMIT: Duration = Duration::from_secs(30);

/// A call by names and arguments in order.
pub type Call = DynamicPayload<Vec<Value>>;

/// Makes a call.
pub fn call(pallet: &str, name: &str, arguments: Vec<Value>) -> Call {
	dynamic::tx(pallet, name, arguments)
}

/// A call as an argument of another one.
pub fn nested(pallet: &str, name: &str, arguments: Vec<Value>) -> Value {
	Value::unnamed_variant(pallet, [Value::unnamed_variant(name, arguments)])
}

/// An account as an argument.
pub fn account(key: &Keypair) -> Value {
	Value::from_bytes(key.public_key().0)
}

/// An account as the receiver of a transfer.
pub fn address(key: &Keypair) -> Value {
	Value::unnamed_variant("Id", [account(key)])
}

/// The bytes of a value that is nothing but bytes, however it is wrapped: an account, a hash, a name.
pub fn bytes(value: &Value) -> Vec<u8> {
	fn collect(value: &Value, into: &mut Vec<u8>) {
		match &value.value {
			ValueDef::Composite(fields) => fields.values().for_each(|field| collect(field, into)),
			ValueDef::Primitive(Primitive::U128(byte)) => {
				into.push(u8::try_from(*byte).expect("a byte"));
			},
			_ => panic!("there are not only bytes in {value}"),
		}
	}
	let mut into = Vec::new();
	collect(value, &mut into);
	into
}

/// The key of a single value in storage, or what the keys of a map begin with, in hexadecimal.
pub fn storage_key(pallet: &str, entry: &str) -> String {
	format!("0x{}", hex::encode(encode_storage_key_prefix(pallet, entry)))
}

/// A connection to a node.
pub struct Client {
	url: String,
	rpc: RpcClient,
	chain: OnceCell<OnlineClient<SubstrateConfig>>,
}

impl Client {
	/// Connects, if somebody listens there.
	pub(crate) async fn connect(url: &str) -> Result<Self, RpcError> {
		let client = WsClientBuilder::default()
			.max_response_size(MAX_RESPONSE)
			.build(url)
			.await
			.map_err(|error| RpcError::Client(error.into()))?;
		let rpc = RpcClient::new(client);
		let client = Self { url: url.into(), rpc, chain: OnceCell::new() };
		client.rpc.request::<Json>("system_health", RpcParams::new()).await?;
		Ok(client)
	}

	/// Where the node listens.
	pub fn url(&self) -> &str {
		&self.url
	}

	/// Asks over JSON-RPC.
	pub async fn ask(&self, method: &str, parameters: Json) -> Result<Json, Refusal> {
		let mut list = RpcParams::new();
		for parameter in parameters.as_array().into_iter().flatten() {
			list.push(parameter).expect("it is JSON already");
		}
		self.rpc.request(method, list).await.map_err(|error| match error {
			RpcError::User(error) => Refusal {
				code: error.code,
				message: error.message,
				data: error.data.map(|data| data.get().to_owned()).unwrap_or_default(),
			},
			other => panic!("{method} was not answered: {other}"),
		})
	}

	/// Asks over JSON-RPC what cannot be refused.
	pub async fn get(&self, method: &str, parameters: Json) -> Json {
		match self.ask(method, parameters).await {
			Ok(answer) => answer,
			Err(refusal) => panic!("{method} was refused: {refusal}"),
		}
	}

	/// How many nodes it is connected to.
	pub async fn peers(&self) -> usize {
		let health = self.get("system_health", json!([])).await;
		health["peers"].as_u64().expect("a number").try_into().expect("a few")
	}

	/// Its address for other nodes.
	pub async fn address(&self) -> String {
		let addresses = self.get("system_localListenAddresses", json!([])).await;
		let loopback = addresses.as_array().expect("a list").iter().filter_map(Json::as_str);
		loopback
			.filter(|address| address.starts_with("/ip4/127.0.0.1/tcp/"))
			.map(str::to_owned)
			.next()
			.unwrap_or_else(|| panic!("no loopback address in {addresses}"))
	}

	/// Height of the best block.
	pub async fn best_height(&self) -> u64 {
		height(&self.get("chain_getHeader", json!([])).await)
	}

	/// Hash of the last final block.
	pub async fn finalised_hash(&self) -> String {
		let hash = self.get("chain_getFinalizedHead", json!([])).await;
		hash.as_str().expect("a hash").to_owned()
	}

	/// Height of the last final block.
	pub async fn finalised_height(&self) -> u64 {
		let hash = self.finalised_hash().await;
		height(&self.get("chain_getHeader", json!([hash])).await)
	}

	/// Hash of the block at a height of the best chain.
	pub async fn block_hash(&self, height: u64) -> Option<String> {
		let hash = self.get("chain_getBlockHash", json!([height])).await;
		hash.as_str().map(str::to_owned)
	}

	/// How many transactions the account has made, with those that wait.
	pub async fn nonce(&self, key: &Keypair) -> u64 {
		let account = key.public_key().to_account_id().to_string();
		let nonce = self.get("system_accountNextIndex", json!([account])).await;
		nonce.as_u64().expect("a number")
	}

	/// The chain by its metadata.
	pub async fn chain(&self) -> &OnlineClient<SubstrateConfig> {
		self.chain
			.get_or_init(|| async {
				OnlineClient::from_rpc_client(self.rpc.clone())
					.await
					.unwrap_or_else(|error| panic!("no metadata from {}: {error}", self.url))
			})
			.await
	}

	/// The chain as somebody sees it who takes it for another one.
	pub async fn chain_with_genesis(&self, genesis: H256) -> OnlineClient<SubstrateConfig> {
		let config = SubstrateConfig::builder().set_genesis_hash(genesis).build();
		OnlineClient::from_rpc_client_with_config(config, self.rpc.clone())
			.await
			.unwrap_or_else(|error| panic!("no metadata from {}: {error}", self.url))
	}

	/// The bytes of a signed transaction.
	pub async fn sign(&self, call: &Call, key: &Keypair, nonce: u64) -> Vec<u8> {
		sign(self.chain().await, call, key, nonce).await
	}

	/// Hands in a transaction as bytes and does not wait for it.
	pub async fn submit(&self, transaction: &[u8]) -> Result<String, Refusal> {
		let hash = self
			.ask("author_submitExtrinsic", json!([format!("0x{}", hex::encode(transaction))]))
			.await?;
		Ok(hash.as_str().expect("a hash").to_owned())
	}

	/// Hands in a transaction as bytes and waits until its block is final.
	pub async fn include(&self, transaction: Vec<u8>) -> Receipt {
		match tokio::time::timeout(FINALITY_LIMIT, self.include_unbounded(transaction)).await {
			Ok(receipt) => receipt,
			Err(_) => panic!("a transaction was not final within {FINALITY_LIMIT:?}"),
		}
	}

	async fn include_unbounded(&self, transaction: Vec<u8>) -> Receipt {
		let transactions =
			self.chain().await.tx().await.unwrap_or_else(|error| panic!("no block: {error}"));
		let mut progress = transactions
			.from_bytes(transaction)
			.submit_and_watch()
			.await
			.unwrap_or_else(|error| panic!("a transaction was refused: {error}"));
		let block = loop {
			match progress.next().await {
				Some(Ok(TransactionStatus::InFinalizedBlock(block))) => break block,
				Some(Ok(
					TransactionStatus::Error { message }
					| TransactionStatus::Invalid { message }
					| TransactionStatus::Dropped { message },
				)) => panic!("a transaction ended outside of a block: {message}"),
				Some(Ok(_)) => {},
				Some(Err(error)) => panic!("a transaction cannot be watched: {error}"),
				None => panic!("nothing more is heard of a transaction"),
			}
		};
		let error = match block.wait_for_success().await {
			Ok(_) => None,
			Err(TransactionEventsError::ExtrinsicFailed(error)) => Some(error_name(&error)),
			Err(error) => panic!("a transaction's events cannot be read: {error}"),
		};
		let events = block
			.fetch_events()
			.await
			.unwrap_or_else(|error| panic!("a transaction's events cannot be read: {error}"));
		let events = events.iter().map(|event| Event::read(event.expect("it was read before")));
		Receipt { block: block.block_hash(), error, events: events.collect() }
	}

	/// Signs a call, hands it in and waits until its block is final.
	pub async fn execute(&self, call: &Call, key: &Keypair) -> Receipt {
		let nonce = self.nonce(key).await;
		self.include(self.sign(call, key, nonce).await).await
	}

	/// Executes several calls of one account one after the other, without waiting in between.
	pub async fn execute_all(&self, calls: &[Call], key: &Keypair) -> Vec<Receipt> {
		let first = self.nonce(key).await;
		let mut waiting = Vec::new();
		for (call, nonce) in calls.iter().zip(first..) {
			waiting.push(self.include(self.sign(call, key, nonce).await));
		}
		join_all(waiting).await
	}

	/// A value in storage as of the last final block.
	pub async fn storage(&self, pallet: &str, entry: &str, keys: Vec<Value>) -> Option<Value> {
		let block = self.chain().await.at_current_block().await.expect("there is a final block");
		let address = dynamic::storage::<Vec<Value>, Value>(pallet, entry);
		let value = block
			.storage()
			.try_fetch(address, keys)
			.await
			.unwrap_or_else(|error| panic!("{pallet}.{entry} cannot be read: {error}"))?;
		match value.decode() {
			Ok(value) => Some(value),
			Err(error) => panic!("{pallet}.{entry} cannot be decoded: {error}"),
		}
	}

	/// Everything that happened in a final block.
	pub async fn events(&self, height: u64) -> Vec<Event> {
		let events = self.raw_events(height).await;
		events.iter().map(|event| Event::read(event.expect("it was read before"))).collect()
	}

	/// Why transactions in a final block failed, as `Pallet::Error` where a pallet says so.
	pub async fn failures(&self, height: u64) -> Vec<String> {
		let metadata = self.block(height).await.metadata();
		let events = self.raw_events(height).await;
		let events = events.iter().map(|event| event.expect("it was read before"));
		events
			.filter(|event| {
				(event.pallet_name(), event.event_name()) == ("System", "ExtrinsicFailed")
			})
			.map(|event| match DispatchError::decode_from(event.field_bytes(), metadata.clone()) {
				Ok(error) => error_name(&error),
				Err(error) => panic!("an error in block {height} cannot be decoded: {error}"),
			})
			.collect()
	}

	async fn raw_events(&self, height: u64) -> Events<SubstrateConfig> {
		let events = self.block(height).await.events().fetch().await;
		let events = events.unwrap_or_else(|error| panic!("no events of block {height}: {error}"));
		if let Some(error) = events.iter().find_map(Result::err) {
			panic!("an event of block {height} cannot be decoded: {error}");
		}
		events
	}

	/// A block of the best chain.
	async fn block(&self, height: u64) -> OnlineClientAtBlock<SubstrateConfig> {
		let hash = self.block_hash(height).await;
		let hash = hash.unwrap_or_else(|| panic!("there is no block {height}"));
		let hash: H256 = hash.parse().expect("the hash of a block");
		// A node ends a subscription to its chain now and then. Until subxt has the next one, it takes
		// every block for unknown.
		until(format_args!("block {height} can be read"), READ_LIMIT, async || {
			match self.chain().await.at_block(hash).await {
				Ok(block) => Some(block),
				Err(OnlineClientAtBlockError::BlockHeaderNotFound { .. }) => None,
				Err(error) => panic!("block {height} cannot be read: {error}"),
			}
		})
		.await
	}

	/// Planks that an account can use, as of the last final block.
	pub async fn free_balance(&self, key: &Keypair) -> u128 {
		let account = self.storage("System", "Account", vec![account(key)]).await;
		let account = account.expect("an account that has nothing is shown as empty");
		account.at("data").at("free").and_then(Value::as_u128).expect("a balance")
	}
}

/// The bytes of a signed transaction for a chain.
pub async fn sign(
	chain: &OnlineClient<SubstrateConfig>,
	call: &Call,
	key: &Keypair,
	nonce: u64,
) -> Vec<u8> {
	let mut transactions = chain.tx().await.unwrap_or_else(|error| panic!("no block: {error}"));
	let parameters = SubstrateExtrinsicParamsBuilder::new().nonce(nonce).build();
	transactions
		.create_signed(call, key, parameters)
		.await
		.unwrap_or_else(|error| {
			panic!("{}.{} cannot be encoded: {error}", call.pallet_name(), call.call_name())
		})
		.into_encoded()
}

fn error_name(error: &DispatchError) -> String {
	match error {
		DispatchError::Module(error) => error.details_string(),
		other => format!("{other:?}"),
	}
}

fn height(header: &Json) -> u64 {
	let number = header["number"].as_str().expect("a number in hexadecimal");
	u64::from_str_radix(number.trim_start_matches("0x"), 16).expect("a number in hexadecimal")
}

/// An error that the node answered with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal {
	/// JSON-RPC error code.
	pub code: i32,
	/// What it says.
	pub message: String,
	/// More about it, as JSON.
	pub data: String,
}

impl fmt::Display for Refusal {
	fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
		write!(out, "{}: {} {}", self.code, self.message, self.data)
	}
}

/// Something that happened in a block.
#[derive(Clone, PartialEq, Debug)]
pub struct Event {
	/// Where.
	pub pallet: String,
	/// What.
	pub name: String,
	/// The rest.
	pub fields: Composite<()>,
}

impl Event {
	fn read(event: subxt::events::Event<'_, SubstrateConfig>) -> Self {
		let (pallet, name) = (event.pallet_name().to_owned(), event.event_name().to_owned());
		match event.decode_fields_unchecked_as() {
			Ok(fields) => Self { pallet, name, fields },
			Err(error) => panic!("{pallet}.{name} cannot be decoded: {error}"),
		}
	}

	/// Whether it is this event of this pallet.
	pub fn is(&self, pallet: &str, name: &str) -> bool {
		self.pallet == pallet && self.name == name
	}

	/// A field by its name.
	pub fn field(&self, name: &str) -> &Value {
		match self.fields.at(name) {
			Some(value) => value,
			None => panic!("there is no {name} in {self:?}"),
		}
	}
}

/// A transaction in a final block.
#[derive(Clone, PartialEq, Debug)]
pub struct Receipt {
	/// The block.
	pub block: H256,
	/// Why it failed, as `Pallet::Error` where a pallet says so; `None`: it did not.
	pub error: Option<String>,
	/// What happened through it.
	pub events: Vec<Event>,
}

impl Receipt {
	/// The event that shows that the transaction did what was wanted.
	///
	/// # Panics
	///
	/// When the transaction failed or did not do it.
	pub fn event(&self, pallet: &str, name: &str) -> &Event {
		assert_eq!(self.error, None, "it failed with {:?}", self.events);
		match self.events.iter().find(|event| event.is(pallet, name)) {
			Some(event) => event,
			None => panic!("there is no {pallet}.{name} in {:?}", self.events),
		}
	}
}
