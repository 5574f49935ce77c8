//! The chains this binary knows by name, and how any other chain is read from a file.

use std::path::Path;

use openledger_runtime::{opaque::Block, WASM_BINARY};
use sc_chain_spec::{ChainSpecExtension, ChainType, GenericChainSpec, Properties};
use serde::{Deserialize, Serialize};

/// Genesis comes from the runtime's own presets, so the type of its configuration is not needed here.
pub type ChainSpec = GenericChainSpec<Extensions>;

/// Prefix of the peer-to-peer protocol names, a fallback for names made from the genesis hash.
const PROTOCOL_ID: &str = "open";

/// What a specification can tell the client beside the genesis.
#[derive(Default, Clone, Serialize, Deserialize, ChainSpecExtension)]
#[serde(rename_all = "camelCase")]
pub struct Extensions {
	/// Blocks that must have these hashes, for choosing a side after a split.
	pub fork_blocks: sc_client_api::ForkBlocks<Block>,
	/// Blocks that are never imported.
	pub bad_blocks: sc_client_api::BadBlocks<Block>,
	/// A recent finalised state from which light clients start. Filled by `sync_state_genSyncSpec`.
	pub light_sync_state: sc_sync_state_rpc::LightSyncStateExtension,
}

/// Reads the chain called `id`: `dev`, `local` or the path of a JSON specification.
///
/// The empty name is what the SDK passes when `--chain` is missing.
pub fn load(id: &str) -> Result<Box<dyn sc_cli::ChainSpec>, String> {
	let spec = match id {
		"dev" => development()?,
		"" | "local" => local_testnet()?,
		path if Path::new(path).is_file() => ChainSpec::from_json_file(path.into())?,
		unknown => {
			return Err(format!(
				"there is no chain `{unknown}`: `--chain` takes `dev` (one validator, Alice), `local` \
				 (several validators on one machine) or the path of a chain specification file",
			))
		},
	};
	Ok(Box::new(spec))
}

/// One validator, Alice, and funded well-known accounts.
fn development() -> Result<ChainSpec, String> {
	Ok(ChainSpec::builder(wasm()?, Extensions::default())
		.with_name("OpenLedger Development")
		.with_id("openledger-dev")
		.with_chain_type(ChainType::Development)
		.with_genesis_config_preset_name("development")
		.with_protocol_id(PROTOCOL_ID)
		.with_properties(properties())
		.build())
}

/// Several well-known validators, for networks on one machine.
fn local_testnet() -> Result<ChainSpec, String> {
	Ok(ChainSpec::builder(wasm()?, Extensions::default())
		.with_name("OpenLedger Local Testnet")
		.with_id("openledger-local")
		.with_chain_type(ChainType::Local)
		.with_genesis_config_preset_name("local_testnet")
		.with_protocol_id(PROTOCOL_ID)
		.with_properties(properties())
		.build())
}

fn wasm() -> Result<&'static [u8], String> {
	WASM_BINARY.ok_or_else(|| {
		"this binary was built with SKIP_WASM_BUILD and holds no runtime: build it without, or name a \
		 chain specification file with `--chain`"
			.into()
	})
}

/// What wallets read to show amounts and addresses.
fn properties() -> Properties {
	let mut properties = Properties::new();
	properties.insert("tokenSymbol".into(), "OPEN".into());
	properties.insert("tokenDecimals".into(), 12.into());
	properties.insert("ss58Format".into(), 42.into());
	// Accounts are 32 bytes long; Ethereum addresses are mapped to them by the runtime.
	properties.insert("isEthereum".into(), false.into());
	properties
}
