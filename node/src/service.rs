//! Builds a node. Read from top to bottom: the parts every command needs, then the running node.

use std::{sync::Arc, time::Duration};

use futures::FutureExt;
use openledger_runtime::{opaque::Block, Hash, RuntimeApi};
use sc_client_api::Backend;
use sc_consensus_babe::{BabeBlockImport, BabeLink, BabeWorkerHandle, SlotProportion};
use sc_consensus_grandpa::{
	FinalityProofProvider, GrandpaBlockImport, GrandpaPruningFilter, LinkHalf, SharedVoterState,
};
use sc_consensus_slots::BackoffAuthoringOnFinalizedHeadLagging;
use sc_network::{config::FullNetworkConfiguration, NetworkBackend};
use sc_offchain::{OffchainWorkerOptions, OffchainWorkers};
use sc_service::{config::Configuration, Error as ServiceError, TaskManager, WarpSyncConfig};
use sc_storage_monitor::{StorageMonitorParams, StorageMonitorService};
use sc_telemetry::{Telemetry, TelemetryWorker};
use sc_transaction_pool_api::OffchainTransactionPoolFactory;
use sp_consensus_babe::inherents::BabeCreateInherentDataProviders;

use crate::{
	equivocation::{NoPool, ReportEquivocations},
	executor::{new_executor, Executor},
	rpc,
	worker_url::{tell_offchain_workers, WorkerUrl},
};

pub type FullClient = sc_service::TFullClient<Block, RuntimeApi, Executor>;
pub type FullBackend = sc_service::TFullBackend<Block>;
pub type FullSelectChain = sc_consensus::LongestChain<FullBackend, Block>;
pub type FullPool = sc_transaction_pool::TransactionPoolHandle<Block, FullClient>;
type FullGrandpaBlockImport = GrandpaBlockImport<FullBackend, Block, FullClient, FullSelectChain>;
type FullBabeBlockImport = BabeBlockImport<
	Block,
	FullClient,
	FullGrandpaBlockImport,
	BabeCreateInherentDataProviders<Block>,
	FullSelectChain,
>;

/// A justification is kept at least every this many blocks, so that a warp-syncing node or a bridge never
/// has to walk further to a proof of finality.
const JUSTIFICATION_PERIOD: u32 = 512;

/// How often GRANDPA votes are gossiped again.
const GRANDPA_GOSSIP_PERIOD: Duration = Duration::from_secs(1);

/// The part of a slot in which transactions are put into a block. The rest is for its import and its way
/// through the network.
const PROPOSAL_PART_OF_SLOT: f32 = 2.0 / 3.0;

/// Bytes. Above what any runtime allows, so that the limit that counts is the runtime's, which governance
/// can change; below the 16 MiB of a block response in the network.
const PROPOSAL_SIZE_LIMIT: usize = 15 * 1024 * 1024;

/// Parts of the two consensus engines that are created with the import queue and used when they start.
pub struct Consensus {
	block_import: ReportEquivocations<FullBabeBlockImport>,
	babe_link: BabeLink<Block>,
	babe_worker: BabeWorkerHandle<Block>,
	grandpa_link: LinkHalf<Block, FullClient, FullSelectChain>,
	telemetry: Option<Telemetry>,
}

pub type PartialComponents = sc_service::PartialComponents<
	FullClient,
	FullBackend,
	FullSelectChain,
	sc_consensus::DefaultImportQueue<Block>,
	FullPool,
	Consensus,
>;

/// Opens the database and builds everything up to block import: enough for the commands that work on
/// stored blocks.
pub fn open(config: &Configuration) -> Result<PartialComponents, ServiceError> {
	let telemetry = config
		.telemetry_endpoints
		.clone()
		.filter(|endpoints| !endpoints.is_empty())
		.map(|endpoints| -> Result<_, sc_telemetry::Error> {
			let worker = TelemetryWorker::new(16)?;
			let telemetry = worker.handle().new_telemetry(endpoints);
			Ok((worker, telemetry))
		})
		.transpose()?;

	// The filter keeps blocks with a GRANDPA justification when bodies are pruned: without them a pruned
	// node could not serve warp sync.
	let (client, backend, keystore_container, task_manager) =
		sc_service::new_full_parts::<Block, RuntimeApi, Executor>(
			config,
			telemetry.as_ref().map(|(_, telemetry)| telemetry.handle()),
			new_executor(config),
			vec![Arc::new(GrandpaPruningFilter)],
		)?;
	let client = Arc::new(client);

	let telemetry = telemetry.map(|(worker, telemetry)| {
		task_manager.spawn_handle().spawn("telemetry", None, worker.run());
		telemetry
	});
	let telemetry_handle = telemetry.as_ref().map(Telemetry::handle);

	let select_chain = sc_consensus::LongestChain::new(backend.clone());

	let transaction_pool = Arc::from(
		sc_transaction_pool::Builder::new(
			task_manager.spawn_essential_handle(),
			client.clone(),
			config.role.is_authority().into(),
		)
		.with_options(config.transaction_pool.clone())
		.with_prometheus(config.prometheus_registry())
		.build(),
	);

	// A block passes BABE first (slot, epoch, equivocations), then GRANDPA (authority set changes,
	// justifications), then the client. The same chain serves blocks of others and our own.
	let (grandpa_block_import, grandpa_link) = sc_consensus_grandpa::block_import(
		client.clone(),
		JUSTIFICATION_PERIOD,
		&client,
		select_chain.clone(),
		telemetry_handle.clone(),
	)?;
	let justification_import = grandpa_block_import.clone();

	let babe_config = sc_consensus_babe::configuration(&*client)?;
	let slot_duration = babe_config.slot_duration();
	let (block_import, babe_link) = sc_consensus_babe::block_import(
		babe_config,
		grandpa_block_import,
		client.clone(),
		Arc::new(move |_, _| async move { Ok(slot_and_time(slot_duration)) })
			as BabeCreateInherentDataProviders<Block>,
		select_chain.clone(),
		OffchainTransactionPoolFactory::new(NoPool),
	)?;
	// An equivocation seen at import is reported by a transaction that the runtime makes.
	let block_import = ReportEquivocations::new(
		block_import,
		client.clone(),
		OffchainTransactionPoolFactory::new(transaction_pool.clone()),
		slot_duration,
	);

	let (import_queue, babe_worker) =
		sc_consensus_babe::import_queue(sc_consensus_babe::ImportQueueParams {
			link: babe_link.clone(),
			block_import: block_import.clone(),
			justification_import: Some(Box::new(justification_import)),
			client: client.clone(),
			slot_duration,
			spawner: &task_manager.spawn_essential_handle(),
			registry: config.prometheus_registry(),
			telemetry: telemetry_handle,
		})?;

	Ok(sc_service::PartialComponents {
		client,
		backend,
		task_manager,
		import_queue,
		keystore_container,
		select_chain,
		transaction_pool,
		other: Consensus { block_import, babe_link, babe_worker, grandpa_link, telemetry },
	})
}

/// Starts a full node on an open database, and a validator if the configuration says so. The node lives as
/// long as the returned task manager.
pub fn start<Network: NetworkBackend<Block, Hash>>(
	config: Configuration,
	parts: PartialComponents,
	storage_monitor: StorageMonitorParams,
	worker: Option<WorkerUrl>,
) -> Result<TaskManager, ServiceError> {
	let sc_service::PartialComponents {
		client,
		backend,
		mut task_manager,
		import_queue,
		keystore_container,
		select_chain,
		transaction_pool,
		other: Consensus { block_import, babe_link, babe_worker, grandpa_link, mut telemetry },
	} = parts;

	// `config` goes into `spawn_tasks` below; these are what is needed after it.
	let role = config.role;
	let force_authoring = config.force_authoring;
	let grandpa_is_on = !config.disable_grandpa;
	let node_name = config.network.node_name.clone();
	let prometheus_registry = config.prometheus_registry().cloned();
	let database_path = config.database.path().map(ToOwned::to_owned);

	// A full disk in the middle of a write is the usual way to a broken database, so the node stops
	// before that.
	if let Some(path) = database_path {
		StorageMonitorService::try_spawn(
			storage_monitor,
			path,
			&task_manager.spawn_essential_handle(),
		)
		.map_err(|error| ServiceError::Application(error.into()))?;
	}

	// Network: blocks and transactions are built in, GRANDPA's votes are a protocol of their own.
	let mut net_config = FullNetworkConfiguration::<Block, Hash, Network>::new(
		&config.network,
		prometheus_registry.clone(),
	);
	let metrics = Network::register_notification_metrics(prometheus_registry.as_ref());
	let genesis_hash = client.chain_info().genesis_hash;
	let grandpa_protocol_name =
		sc_consensus_grandpa::protocol_standard_name(&genesis_hash, &config.chain_spec);
	let (grandpa_protocol_config, grandpa_notifications) =
		sc_consensus_grandpa::grandpa_peers_set_config::<_, Network>(
			grandpa_protocol_name.clone(),
			metrics.clone(),
			net_config.peer_store_handle(),
		);
	net_config.add_notification_protocol(grandpa_protocol_config);

	// `--sync warp`: proofs of finality from one authority set to the next instead of every header.
	let warp_sync = Arc::new(sc_consensus_grandpa::warp_proof::NetworkProvider::new(
		backend.clone(),
		grandpa_link.shared_authority_set().clone(),
		Vec::new(),
	));

	let (network, system_rpc_tx, tx_handler_controller, sync_service, _bitswap) =
		sc_service::build_network(sc_service::BuildNetworkParams {
			config: &config,
			net_config,
			client: client.clone(),
			transaction_pool: transaction_pool.clone(),
			spawn_handle: task_manager.spawn_handle(),
			spawn_essential_handle: task_manager.spawn_essential_handle(),
			import_queue,
			block_announce_validator_builder: None,
			warp_sync_config: Some(WarpSyncConfig::WithProvider(warp_sync)),
			block_relay: None,
			metrics,
			gap_sync_body_policy: None,
		})?;

	// The worker of this start, and not that of an earlier one.
	if let Some(storage) = backend.offchain_storage() {
		tell_offchain_workers(worker.as_ref(), storage);
	}
	if worker.is_some() && !config.offchain_worker.enabled {
		log::warn!(
			"--worker-url does nothing, because offchain workers are off: add --offchain-worker always"
		);
	}

	// Off-chain workers: on for validators, for others with `--offchain-worker always`. HTTP is how the
	// runtime's worker reaches the inference engine on this machine.
	if config.offchain_worker.enabled {
		task_manager.spawn_handle().spawn(
			"offchain-workers-runner",
			"offchain-worker",
			OffchainWorkers::new(OffchainWorkerOptions {
				runtime_api_provider: client.clone(),
				keystore: Some(keystore_container.keystore()),
				offchain_db: backend.offchain_storage(),
				transaction_pool: Some(OffchainTransactionPoolFactory::new(
					transaction_pool.clone(),
				)),
				network_provider: Arc::new(network.clone()),
				is_validator: role.is_authority(),
				enable_http_requests: true,
				custom_extensions: |_| Vec::new(),
			})?
			.run(client.clone(), task_manager.spawn_handle())
			.boxed(),
		);
	}

	// JSON-RPC, Prometheus, telemetry, the informant's log lines.
	let voter_state = SharedVoterState::empty();
	let rpc_sources = rpc::Sources {
		client: client.clone(),
		pool: transaction_pool.clone(),
		select_chain: select_chain.clone(),
		chain_spec: config.chain_spec.cloned_box(),
		keystore: keystore_container.keystore(),
		babe_worker,
		grandpa: rpc::GrandpaSources {
			voter_state: voter_state.clone(),
			authority_set: grandpa_link.shared_authority_set().clone(),
			justification_stream: grandpa_link.justification_stream(),
			finality_proofs: FinalityProofProvider::new_for_service(
				backend.clone(),
				Some(grandpa_link.shared_authority_set().clone()),
			),
		},
	};
	sc_service::spawn_tasks(sc_service::SpawnTasksParams {
		config,
		client: client.clone(),
		backend,
		task_manager: &mut task_manager,
		keystore: keystore_container.keystore(),
		transaction_pool: transaction_pool.clone(),
		rpc_builder: Box::new(move |subscriptions| {
			rpc::module(&rpc_sources, subscriptions).map_err(ServiceError::Application)
		}),
		network: network.clone(),
		system_rpc_tx,
		tx_handler_controller,
		sync_service: sync_service.clone(),
		telemetry: telemetry.as_mut(),
		tracing_execute_block: None,
	})?;
	let telemetry_handle = telemetry.as_ref().map(Telemetry::handle);

	// BABE: propose a block in the slots that are ours.
	if role.is_authority() {
		let mut proposer = sc_basic_authorship::ProposerFactory::new(
			task_manager.spawn_handle(),
			client.clone(),
			transaction_pool.clone(),
			prometheus_registry.as_ref(),
			telemetry_handle.clone(),
		);
		proposer.set_default_block_size_limit(PROPOSAL_SIZE_LIMIT);

		let slot_duration = babe_link.config().slot_duration();
		let babe = sc_consensus_babe::start_babe(sc_consensus_babe::BabeParams {
			keystore: keystore_container.keystore(),
			client,
			select_chain,
			env: proposer,
			block_import,
			sync_oracle: sync_service.clone(),
			justification_sync_link: sync_service.clone(),
			create_inherent_data_providers: move |_, ()| async move { Ok(slot_and_time(slot_duration)) },
			force_authoring,
			// While finality stands still, ever fewer blocks: a long unfinalised chain costs every node
			// memory. A node whose GRANDPA is off cannot judge that.
			backoff_authoring_blocks: grandpa_is_on
				.then(BackoffAuthoringOnFinalizedHeadLagging::default),
			babe_link,
			block_proposal_slot_portion: SlotProportion::new(PROPOSAL_PART_OF_SLOT),
			max_block_proposal_slot_portion: None,
			telemetry: telemetry_handle.clone(),
		})?;
		// Essential: a validator that silently produces nothing is worse than one that stops.
		task_manager.spawn_essential_handle().spawn_blocking(
			"babe-proposer",
			Some("block-authoring"),
			babe,
		);
	}

	// GRANDPA: every node runs the voter, with or without a key. Without one it only follows, which
	// makes finality and vote data available sooner than waiting for justifications.
	if grandpa_is_on {
		let grandpa =
			sc_consensus_grandpa::run_grandpa_voter(sc_consensus_grandpa::GrandpaParams {
				config: sc_consensus_grandpa::Config {
					gossip_duration: GRANDPA_GOSSIP_PERIOD,
					justification_generation_period: JUSTIFICATION_PERIOD,
					observer_enabled: false,
					local_role: role,
					name: Some(node_name),
					keystore: role.is_authority().then(|| keystore_container.keystore()),
					telemetry: telemetry_handle.clone(),
					protocol_name: grandpa_protocol_name,
				},
				link: grandpa_link,
				network,
				sync: sync_service,
				notification_service: grandpa_notifications,
				voting_rule: sc_consensus_grandpa::VotingRulesBuilder::default().build(),
				prometheus_registry,
				shared_voter_state: voter_state,
				telemetry: telemetry_handle,
				// Equivocating votes are reported by a transaction that the runtime makes.
				offchain_tx_pool_factory: OffchainTransactionPoolFactory::new(transaction_pool),
			})?;
		task_manager.spawn_essential_handle().spawn_blocking("grandpa-voter", None, grandpa);
	}

	Ok(task_manager)
}

/// What a block author puts into a block: the slot and the time, both from this machine's clock.
fn slot_and_time(
	slot_duration: sp_consensus_babe::SlotDuration,
) -> (sp_consensus_babe::inherents::InherentDataProvider, sp_timestamp::InherentDataProvider) {
	let time = sp_timestamp::InherentDataProvider::from_system_time();
	let slot = sp_consensus_babe::inherents::InherentDataProvider::from_timestamp_and_slot_duration(
		*time,
		slot_duration,
	);
	(slot, time)
}
