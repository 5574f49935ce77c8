//! The chain over JSON-RPC: views, transactions, events, by the node's own metadata.
//!
//! What is read is read as of the last final block, so that nothing that is shown is undone, unless
//! the best [`Blocks`] are asked for.
//! Calls and views stand by topic in [`datanets`], [`models`], [`inference`] and [`workers`].

pub mod accounts;
pub mod datanets;
pub mod governance;
pub mod inference;
pub mod licence;
pub mod models;
mod refusals;
pub mod why_not;
pub mod workers;

use std::{future::Future, time::Duration};

use clap::ValueEnum;
use codec::{Decode, DecodeAll, Encode};
use openledger_primitives::H256;
use subxt::{
	client::{OnlineClientAtBlock, OnlineClientAtBlockImpl},
	config::{SubstrateConfig, SubstrateExtrinsicParamsBuilder},
	dynamic::{self, Value},
	error::{
		BackendError, DispatchError, ExtrinsicError, OnlineClientError, RpcError,
		TransactionEventsError, TransactionProgressError, ViewFunctionError,
	},
	ext::{
		frame_decode::helpers::{EncodableValues, IntoEncodableValues},
		scale_decode::{DecodeAsFields, DecodeAsType},
		scale_encode::EncodeAsFields,
	},
	extrinsics::ExtrinsicEvents,
	rpcs::{client::RpcParams, RpcClient},
	transactions::{TransactionProgress, TransactionStatus},
	utils::AccountId32,
	OnlineClient,
};
use subxt_signer::sr25519::Keypair;

use crate::{
	error::{Error, Result},
	key::account_of,
};

/// How long to wait for an answer of the node.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);

/// From submission until the transaction is in a block that counts: a minute of slots, and as much for a
/// network that has trouble.
const FINALITY_LIMIT: Duration = Duration::from_secs(120);

/// Which blocks count: as of which things are read, and where a transaction has to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum)]
pub enum Blocks {
	/// Final ones: nothing is ever undone
	#[default]
	Final,
	/// The best ones as well: sooner by some seconds, and another fork may undo them
	Best,
}

/// A connection to a node.
#[derive(Clone)]
pub struct Chain {
	url: String,
	blocks: Blocks,
	rpc: RpcClient,
	client: OnlineClient<SubstrateConfig>,
}

/// The chain as of one block.
type Block = OnlineClientAtBlock<SubstrateConfig>;

/// Why the runtime did not call a view function.
#[derive(Decode, Debug)]
enum ViewFault {
	NotImplemented,
	NotFound(#[allow(dead_code, reason = "it is shown")] [u8; 32]),
	Codec,
}

/// A transaction in a block.
pub struct Receipt {
	url: String,
	/// The block.
	pub block: H256,
	/// The transaction.
	pub transaction: H256,
	events: ExtrinsicEvents<SubstrateConfig>,
}

impl Chain {
	/// Connects to the node at this address. Without encryption only on this machine.
	pub async fn connect(url: &str, blocks: Blocks) -> Result<Self> {
		let unreachable = |reason: String| Error::NodeUnreachable { url: url.to_owned(), reason };
		let rpc = RpcClient::from_url(url).await.map_err(|error| match error {
			subxt::rpcs::Error::InsecureUrl(_) => Error::Usage {
				what: format!(
					"{url} is another machine, and the connection would not be encrypted"
				),
				hint: Some("use a wss:// address, or a tunnel to a local port".into()),
			},
			other => unreachable(innermost(&other)),
		})?;
		let client =
			OnlineClient::from_rpc_client(rpc.clone()).await.map_err(|error| match error {
				OnlineClientError::RpcError(error) => unreachable(innermost(&error)),
				other => Error::Incompatible { url: url.to_owned(), reason: other.to_string() },
			})?;
		Ok(Self { url: url.into(), blocks, rpc, client })
	}

	/// Where the node is.
	pub fn url(&self) -> &str {
		&self.url
	}

	/// Hash of the first block, which tells chains apart.
	pub fn genesis(&self) -> H256 {
		self.client.genesis_hash()
	}

	/// Height of the last block that counts.
	pub async fn height(&self) -> Result<u64> {
		Ok(self.block().await?.block_number())
	}

	/// Whether everybody may know this chain's keys: whether it is for development.
	pub async fn is_for_development(&self) -> Result<bool> {
		let kind = self.rpc.request::<serde_json::Value>("system_chainType", RpcParams::new());
		let kind = self.in_time(kind).await?.map_err(|error| self.rpc_fault(&error))?;
		Ok(matches!(kind.as_str(), Some("Development" | "Local")))
	}

	/// What a view function of a pallet says.
	// Encoded here: subxt 0.50 hands the arguments over without their length and takes the answer for
	// the bare value, which `RuntimeViewFunction_execute_view_function` does not understand.
	pub async fn view<Arguments, T>(
		&self,
		pallet: &str,
		function: &str,
		arguments: Arguments,
	) -> Result<T>
	where
		Arguments: IntoEncodableValues,
		T: DecodeAsType,
	{
		let fault = |reason: String| self.unexpected(format!("{pallet}.{function}: {reason}"));
		let block = self.block().await?;
		let metadata = block.metadata();
		let view = metadata
			.pallet_by_name(pallet)
			.and_then(|pallet| pallet.view_function_by_name(function))
			.ok_or_else(|| fault("there is no such view function".into()))?;
		let mut inputs = view.inputs();
		if inputs.len() != arguments.num_encodable_values() {
			return Err(fault(format!("it takes {} arguments", inputs.len())));
		}
		let mut values = arguments.into_encodable_values();
		let mut encoded = Vec::new();
		inputs
			.try_for_each(|input| {
				values.encode_next_value_to(input.id, metadata.types(), &mut encoded)
			})
			.map_err(|error| fault(error.to_string()))?;
		let call = (view.query_id(), encoded).encode();
		let views = block.view_functions();
		let answer = self.in_time(views.call_raw(Some(&call))).await?;
		let answer = answer.map_err(|error| match error {
			ViewFunctionError::CannotCallApi(error) => self.backend_fault(&error),
			other => fault(other.to_string()),
		})?;
		let value = Result::<Vec<u8>, ViewFault>::decode_all(&mut &answer[..])
			.map_err(|error| fault(error.to_string()))?
			.map_err(|error| fault(format!("it was not called: {error:?}")))?;
		T::decode_as_type(&mut &value[..], view.output_ty(), metadata.types())
			.map_err(|error| fault(error.to_string()))
	}

	/// Signs a call, hands it in, and waits until it is in a block that counts.
	pub async fn submit<Data: EncodeAsFields>(
		&self,
		key: &Keypair,
		pallet: &str,
		call: &str,
		data: Data,
	) -> Result<Receipt> {
		let call = dynamic::tx(pallet, call, data);
		let account = account_of(key);
		let nonce = self.next_nonce(&account).await?;
		let parameters = SubstrateExtrinsicParamsBuilder::new().nonce(nonce).build();
		let mut transactions = self.block().await?.transactions();
		let transaction = transactions
			.create_signed(&call, key, parameters)
			.await
			.map_err(|error| self.extrinsic_fault(error))?;
		let hash = transaction.hash();
		let progress =
			transaction.submit_and_watch().await.map_err(|error| self.extrinsic_fault(error))?;
		match tokio::time::timeout(FINALITY_LIMIT, self.follow(progress)).await {
			Ok(receipt) => receipt,
			Err(_) => Err(Error::NotDone {
				what: format!(
					"the transaction {hash:?} was handed in, but was in no {} block within {} seconds",
					match self.blocks {
						Blocks::Final => "final",
						Blocks::Best => "best",
					},
					FINALITY_LIMIT.as_secs()
				),
				hint: Some("it may still take effect: look before you repeat it".into()),
			}),
		}
	}

	/// Makes several calls of a pallet in one transaction: all of them, or none.
	pub async fn submit_all(
		&self,
		key: &Keypair,
		pallet: &str,
		calls: Vec<(&str, Vec<Value>)>,
	) -> Result<Receipt> {
		let calls = calls.into_iter().map(|(name, arguments)| {
			Value::unnamed_variant(pallet, [Value::unnamed_variant(name, arguments)])
		});
		let calls: Vec<Value> = calls.collect();
		self.submit(key, "Utility", "batch_all", vec![Value::unnamed_composite(calls)]).await
	}

	/// A number for the next transaction of an account, those that wait counted.
	async fn next_nonce(&self, account: &AccountId32) -> Result<u64> {
		let mut parameters = RpcParams::new();
		parameters
			.push(account.to_string())
			.map_err(|error| Error::Machine(format!("an address cannot be sent: {error}")))?;
		self.in_time(self.rpc.request("system_accountNextIndex", parameters))
			.await?
			.map_err(|error| self.rpc_fault(&error))
	}

	/// What comes of it, unless it takes too long.
	async fn in_time<T>(&self, answer: impl Future<Output = T>) -> Result<T> {
		tokio::time::timeout(ANSWER_LIMIT, answer).await.map_err(|_| Error::NodeUnreachable {
			url: self.url.clone(),
			reason: format!("it did not answer within {} seconds", ANSWER_LIMIT.as_secs()),
		})
	}

	/// The chain as of the last block that counts.
	async fn block(&self) -> Result<Block> {
		let block = match self.blocks {
			Blocks::Final => self.in_time(self.client.at_current_block()).await?,
			Blocks::Best => {
				let best = self.rpc.request::<H256>("chain_getBlockHash", RpcParams::new());
				let best = self.in_time(best).await?.map_err(|error| self.rpc_fault(&error))?;
				self.in_time(self.client.at_block(best)).await?
			},
		};
		block.map_err(|error| {
			use subxt::error::OnlineClientAtBlockError as Fault;
			match &error {
				Fault::CannotGetCurrentBlock { reason }
				| Fault::CannotGetBlockHash { reason, .. }
				| Fault::CannotGetBlockHeader { reason, .. }
				| Fault::CannotGetSpecVersion { reason, .. } => self.backend_fault(reason),
				_ => self.unexpected(error.to_string()),
			}
		})
	}

	async fn follow(
		&self,
		mut progress: TransactionProgress<
			SubstrateConfig,
			OnlineClientAtBlockImpl<SubstrateConfig>,
		>,
	) -> Result<Receipt> {
		let block = loop {
			match progress.next().await {
				Some(Ok(TransactionStatus::InFinalizedBlock(block))) => break block,
				Some(Ok(TransactionStatus::InBestBlock(block))) if self.blocks == Blocks::Best => {
					break block;
				},
				Some(Ok(
					TransactionStatus::Error { message }
					| TransactionStatus::Invalid { message }
					| TransactionStatus::Dropped { message },
				)) => return Err(refusals::invalid(&message)),
				Some(Ok(_)) => {},
				Some(Err(TransactionProgressError::CannotGetNextProgressUpdate(error))) => {
					return Err(self.backend_fault(&error));
				},
				Some(Err(error)) => return Err(self.unexpected(error.to_string())),
				None => {
					return Err(Error::NotDone {
						what: "nothing more is heard of the transaction".into(),
						hint: Some("it may still take effect: look before you repeat it".into()),
					});
				},
			}
		};
		match block.wait_for_success().await {
			Ok(events) => Ok(Receipt {
				url: self.url.clone(),
				block: block.block_hash(),
				transaction: block.extrinsic_hash(),
				events,
			}),
			Err(TransactionEventsError::ExtrinsicFailed(error)) => Err(dispatch_fault(&error)),
			Err(TransactionEventsError::CannotFetchBlockBody { error, .. }) => {
				Err(self.backend_fault(&error))
			},
			Err(error) => Err(self.unexpected(error.to_string())),
		}
	}

	fn extrinsic_fault(&self, error: ExtrinsicError) -> Error {
		match error {
			ExtrinsicError::ErrorSubmittingTransaction(error) => match &error {
				BackendError::Rpc(RpcError::ClientError(subxt::rpcs::Error::User(refusal))) => {
					let data = refusal.data.as_ref().map(|data| data.get()).unwrap_or_default();
					refusals::invalid(&format!("{} {data}", refusal.message))
				},
				_ => self.backend_fault(&error),
			},
			ExtrinsicError::TransactionStatusStreamError(error) => self.backend_fault(&error),
			ExtrinsicError::TransactionStatusError(error) => refusals::invalid(&error.to_string()),
			other => self.unexpected(other.to_string()),
		}
	}

	fn backend_fault(&self, error: &BackendError) -> Error {
		match error {
			BackendError::Rpc(RpcError::ClientError(error)) => self.rpc_fault(error),
			other => Error::NodeUnreachable { url: self.url.clone(), reason: other.to_string() },
		}
	}

	fn rpc_fault(&self, error: &subxt::rpcs::Error) -> Error {
		use subxt::rpcs::Error as Fault;
		match error {
			Fault::User(_)
			| Fault::Serialization(_)
			| Fault::Deserialization(_)
			| Fault::Decode(_) => self.unexpected(error.to_string()),
			_ => Error::NodeUnreachable { url: self.url.clone(), reason: innermost(error) },
		}
	}

	pub(crate) fn unexpected(&self, reason: String) -> Error {
		Error::Incompatible { url: self.url.clone(), reason }
	}
}

impl Receipt {
	/// The first event of this kind that the transaction caused.
	pub fn find_event<T: DecodeAsFields>(&self, pallet: &str, name: &str) -> Result<Option<T>> {
		let unexpected = |reason: String| Error::Incompatible { url: self.url.clone(), reason };
		for event in self.events.iter() {
			let event = event.map_err(|error| unexpected(error.to_string()))?;
			if (event.pallet_name(), event.event_name()) == (pallet, name) {
				let fields = event.decode_fields_unchecked_as::<T>();
				return fields.map(Some).map_err(|error| unexpected(error.to_string()));
			}
		}
		Ok(None)
	}

	/// The event that shows that the transaction did what was wanted.
	pub fn event<T: DecodeAsFields>(&self, pallet: &str, name: &str) -> Result<T> {
		self.find_event(pallet, name)?.ok_or_else(|| Error::Incompatible {
			url: self.url.clone(),
			reason: format!("the transaction caused no {pallet}.{name}"),
		})
	}
}

/// What the runtime says about a call that failed.
fn dispatch_fault(error: &DispatchError) -> Error {
	match error {
		DispatchError::Module(module) => match module.details() {
			Ok(details) => {
				let docs = details.variant.docs.join(" ");
				refusals::of_pallet(details.pallet.name(), &details.variant.name, docs.trim())
			},
			Err(_) => refusals::of_runtime(&module.details_string()),
		},
		other => refusals::of_runtime(&other.to_string()),
	}
}

/// The cause of all causes, which says what happened.
fn innermost(error: &dyn std::error::Error) -> String {
	let mut innermost = error;
	while let Some(deeper) = innermost.source() {
		innermost = deeper;
	}
	innermost.to_string()
}
