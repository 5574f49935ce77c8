//! Reports a validator that makes two different blocks in one slot.
//!
//! `sc-consensus-babe` 0.60 notices them too, but since it checks at block import it hands the runtime
//! headers whose seals have been taken off, and without the signatures nothing is proven: the report is
//! refused as `Babe::InvalidEquivocationProof`. So the reports of BABE's import go nowhere ([`NoPool`]),
//! and [`ReportEquivocations`] around it makes them from the headers as they came. To be removed when
//! upstream passes sealed headers.

use std::{
	collections::BTreeMap,
	sync::{Arc, Mutex, PoisonError},
};

use openledger_runtime::{opaque::Block, Hash, Header};
use sc_client_api::HeaderBackend;
use sc_consensus::{BlockCheckParams, BlockImport, BlockImportParams, ImportResult};
use sc_transaction_pool_api::{
	error::Error as PoolError, LocalTransactionFor, LocalTransactionPool,
	OffchainTransactionPoolFactory,
};
use sp_api::{ApiExt, ProvideRuntimeApi};
use sp_consensus::Error as ConsensusError;
use sp_consensus_babe::{AuthorityId, BabeApi, EquivocationProof, Slot, SlotDuration};
use sp_timestamp::Timestamp;

use crate::service::FullClient;

/// How many of the latest headers are remembered. Four validators for over ten minutes; an equivocation
/// comes within seconds of the block it contradicts.
const REMEMBERED_HEADERS: usize = 1_024;

/// How many slots back a block is still looked at. A node that catches up imports blocks that are too
/// old to be punished.
const LOOKED_AT_SLOTS: u64 = 1_024;

/// A slot and the authority's index in it: what one header can be made for.
type Turn = (Slot, u32);

/// Imports blocks with BABE and reports who made two for one turn.
#[derive(Clone)]
pub struct ReportEquivocations<Inner> {
	inner: Inner,
	client: Arc<FullClient>,
	pool: OffchainTransactionPoolFactory<Block>,
	slot_duration: SlotDuration,
	seen: Arc<Mutex<BTreeMap<Turn, (AuthorityId, Header)>>>,
}

impl<Inner> ReportEquivocations<Inner> {
	/// Reports go into `pool`, as transactions that the runtime makes.
	pub fn new(
		inner: Inner,
		client: Arc<FullClient>,
		pool: OffchainTransactionPoolFactory<Block>,
		slot_duration: SlotDuration,
	) -> Self {
		Self { inner, client, pool, slot_duration, seen: Default::default() }
	}

	/// Remembers an imported block's header, or reports its author if there is another for its turn.
	fn check(&self, hash: Hash, header: Header) -> Result<(), String> {
		let turn = sc_consensus_babe::find_pre_digest::<Block>(&header).map_err(said)?;
		let (slot, index) = (turn.slot(), turn.authority_index());
		let current = Slot::from_timestamp(Timestamp::current(), self.slot_duration);
		if *slot + LOOKED_AT_SLOTS < *current {
			return Ok(());
		}
		// In the block's own state the epoch is the one that its slot belongs to.
		let epoch = self.client.runtime_api().current_epoch(hash).map_err(said)?;
		let Some((author, _)) = epoch.authorities.into_iter().nth(index as usize) else {
			return Ok(());
		};

		let first_header = {
			let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
			let (first_author, first_header) =
				seen.entry((slot, index)).or_insert_with(|| (author.clone(), header.clone()));
			if *first_author != author || first_header.hash() == header.hash() {
				while seen.len() > REMEMBERED_HEADERS {
					seen.pop_first();
				}
				return Ok(());
			}
			first_header.clone()
		};
		log::warn!(target: "babe", "{author:?} made two blocks in slot {slot}; reporting it");
		self.report(
			hash,
			EquivocationProof { offender: author, slot, first_header, second_header: header },
		)
	}

	fn report(&self, at: Hash, proof: EquivocationProof<Header>) -> Result<(), String> {
		let owner = self
			.client
			.runtime_api()
			.generate_key_ownership_proof(at, proof.slot, proof.offender.clone())
			.map_err(said)?
			.ok_or("the offender's key is not in the session's keys")?;
		let best = self.client.info().best_hash;
		let mut api = self.client.runtime_api();
		api.register_extension(self.pool.offchain_transaction_pool(best));
		api.submit_report_equivocation_unsigned_extrinsic(best, proof, owner)
			.map_err(said)?
			.ok_or_else(|| "the pool does not take it; it may have been reported already".into())
	}
}

#[async_trait::async_trait]
impl<Inner> BlockImport<Block> for ReportEquivocations<Inner>
where
	Inner: BlockImport<Block, Error = ConsensusError> + Send + Sync,
{
	type Error = ConsensusError;

	async fn check_block(
		&self,
		block: BlockCheckParams<Block>,
	) -> Result<ImportResult, Self::Error> {
		self.inner.check_block(block).await
	}

	async fn import_block(
		&self,
		block: BlockImportParams<Block>,
	) -> Result<ImportResult, Self::Error> {
		// A header alone, as warp synchronisation brings it, has no state to ask for its epoch.
		let has_body = block.body.is_some();
		let (hash, header) = (block.post_hash(), block.post_header());
		let result = self.inner.import_block(block).await?;
		if has_body && matches!(result, ImportResult::Imported(_)) {
			if let Err(reason) = self.check(hash, header) {
				log::warn!(target: "babe", "could not report an equivocation: {reason}");
			}
		}
		Ok(result)
	}
}

fn said(error: impl ToString) -> String {
	error.to_string()
}

/// Takes no transaction.
pub struct NoPool;

impl LocalTransactionPool for NoPool {
	type Block = Block;
	type Hash = Hash;
	type Error = PoolError;

	fn submit_local(&self, _: Hash, _: LocalTransactionFor<Self>) -> Result<Hash, PoolError> {
		Err(PoolError::ImmediatelyDropped)
	}
}
