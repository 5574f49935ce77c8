//! JSON-RPC namespaces beyond those of the SDK's service.
//!
//! The service itself answers to `system`, `chain`, `state`, `childstate`, `author`, `offchain` and the
//! newer `chainHead`, `chainSpec`, `transaction` and (on an archive node) `archive`. Reads of our
//! pallets are runtime APIs and view functions, reachable through `state_call`, and need no method here.

use std::{error::Error, sync::Arc};

use jsonrpsee::RpcModule;
use openledger_runtime::{opaque::Block, AccountId, BlockNumber, Hash, Nonce};
use pallet_transaction_payment_rpc::{TransactionPayment, TransactionPaymentApiServer};
use sc_consensus_babe::BabeWorkerHandle;
use sc_consensus_babe_rpc::{Babe, BabeApiServer};
use sc_consensus_grandpa::{
	FinalityProofProvider, GrandpaJustificationStream, SharedAuthoritySet, SharedVoterState,
};
use sc_consensus_grandpa_rpc::{Grandpa, GrandpaApiServer};
use sc_rpc::SubscriptionTaskExecutor;
use sc_sync_state_rpc::{SyncState, SyncStateApiServer};
use sp_keystore::KeystorePtr;
use substrate_frame_rpc_system::{System, SystemApiServer};

use crate::service::{FullBackend, FullClient, FullPool, FullSelectChain};

/// What the methods read from. Kept by the service and cloned for each server it starts.
pub struct Sources {
	pub client: Arc<FullClient>,
	pub pool: Arc<FullPool>,
	pub select_chain: FullSelectChain,
	pub chain_spec: Box<dyn sc_chain_spec::ChainSpec>,
	pub keystore: KeystorePtr,
	pub babe_worker: BabeWorkerHandle<Block>,
	pub grandpa: GrandpaSources,
}

pub struct GrandpaSources {
	pub voter_state: SharedVoterState,
	pub authority_set: SharedAuthoritySet<Hash, BlockNumber>,
	pub justification_stream: GrandpaJustificationStream<Block>,
	pub finality_proofs: Arc<FinalityProofProvider<FullBackend, Block>>,
}

/// The module the service merges with its own methods.
pub fn module(
	sources: &Sources,
	subscriptions: SubscriptionTaskExecutor,
) -> Result<RpcModule<()>, Box<dyn Error + Send + Sync>> {
	let Sources { client, pool, select_chain, chain_spec, keystore, babe_worker, grandpa } =
		sources;
	let mut module = RpcModule::new(());

	// system_accountNextIndex, system_dryRun
	module.merge(<System<_, _, Block> as SystemApiServer<Hash, AccountId, Nonce>>::into_rpc(
		System::new(client.clone(), pool.clone()),
	))?;
	// payment_queryInfo, payment_queryFeeDetails
	module.merge(TransactionPayment::<_, Block>::new(client.clone()).into_rpc())?;
	// babe_epochAuthorship
	module.merge(
		Babe::new(client.clone(), babe_worker.clone(), keystore.clone(), select_chain.clone())
			.into_rpc(),
	)?;
	// grandpa_roundState, grandpa_subscribeJustifications, grandpa_proveFinality
	module.merge(
		Grandpa::new(
			subscriptions,
			grandpa.authority_set.clone(),
			grandpa.voter_state.clone(),
			grandpa.justification_stream.clone(),
			grandpa.finality_proofs.clone(),
		)
		.into_rpc(),
	)?;
	// sync_state_genSyncSpec
	module.merge(
		SyncState::new(
			chain_spec.cloned_box(),
			client.clone(),
			grandpa.authority_set.clone(),
			babe_worker.clone(),
		)?
		.into_rpc(),
	)?;

	Ok(module)
}
