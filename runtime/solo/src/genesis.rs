//! The first block: presets for the development and the local test network.
//!
//! Both hold the whole supply in the buckets of [`openledger_runtime_common::supply`]. What
//! development accounts and validators have comes out of the community bucket, so that the sum stays
//! 1,000,000,000 OPEN.

use crate::{
	consensus::{SessionKeys, BABE_GENESIS_EPOCH_CONFIG},
	AccountId, Attribution, BabeConfig, Balance, BalancesConfig, Revive, RuntimeGenesisConfig,
	SessionConfig, SudoConfig, ValidatorsConfig, VestingConfig,
};
use alloc::{vec, vec::Vec};
use frame_support::build_struct_json_patch;
use hex_literal::hex;
use openledger_runtime_common::{
	supply::{self, Bucket},
	units::{EXISTENTIAL_DEPOSIT, OPEN},
};
use serde_json::Value;
use sp_genesis_builder::{PresetId, DEV_RUNTIME_PRESET, LOCAL_TESTNET_RUNTIME_PRESET};
use sp_keyring::{Ed25519Keyring, Sr25519Keyring};
use sp_runtime::traits::AccountIdConversion;

/// What each development account has to spend.
pub const DEVELOPMENT_ENDOWMENT: Balance = 1_000_000 * OPEN;

/// What each validator of a preset has bonded.
pub const GENESIS_BOND: Balance = 100_000 * OPEN;

/// The public Ethereum development keys (Alith, Baltathar, Charleth, Dorothy, Ethan) that wallets
/// and tools know.
pub const ETHEREUM_DEVELOPMENT_ADDRESSES: [[u8; 20]; 5] = [
	hex!("f24ff3a9cf04c71dbc94d0b566f7a27b94566cac"),
	hex!("3cd0a705a2dc65e5b1e1205896baa2be8a07c6e0"),
	hex!("798d4ba9baf0064ec19eb4f0a1a45785ae9d6dfc"),
	hex!("773539d4ac0e786233d90a233654ccee26a613d9"),
	hex!("ff64d3f6efe2317ee2807d223a0bdc4c0c49dfdb"),
];

/// The account of an Ethereum address: the address, then 12 bytes `0xEE`.
pub fn ethereum_account(address: [u8; 20]) -> AccountId {
	let mut account = [0xEE; 32];
	for (to, from) in account.iter_mut().zip(address) {
		*to = from;
	}
	AccountId::new(account)
}

/// A validator that a preset starts with, under the keys of a development account.
struct GenesisValidator {
	account: AccountId,
	keys: SessionKeys,
}

impl GenesisValidator {
	fn new(account: Sr25519Keyring, grandpa: Ed25519Keyring) -> Self {
		Self {
			account: account.to_account_id(),
			keys: SessionKeys { babe: account.public().into(), grandpa: grandpa.public().into() },
		}
	}
}

/// Everything that a development network gives to somebody, by account.
fn development_accounts() -> Vec<(AccountId, Balance)> {
	Sr25519Keyring::well_known()
		.map(|key| key.to_account_id())
		.chain(ETHEREUM_DEVELOPMENT_ADDRESSES.map(ethereum_account))
		.map(|account| (account, DEVELOPMENT_ENDOWMENT))
		.collect()
}

/// The account of a bucket that no network has named an owner for.
fn bucket_account(bucket: &Bucket) -> AccountId {
	bucket.pallet_id().into_account_truncating()
}

/// The state of a network with `validators`, where everybody in `endowed` has what stands there and
/// the buckets have the rest.
fn state(
	validators: Vec<GenesisValidator>,
	mut balances: Vec<(AccountId, Balance)>,
	sudo: AccountId,
) -> Value {
	for validator in &validators {
		match balances.iter_mut().find(|(account, _)| *account == validator.account) {
			Some((_, balance)) => *balance = balance.saturating_add(GENESIS_BOND),
			None => balances.push((validator.account.clone(), GENESIS_BOND.saturating_add(OPEN))),
		}
	}
	// The reward pot must exist before the first reward, which may be smaller than what opens an account.
	balances.push((Attribution::pot_account(), EXISTENTIAL_DEPOSIT));
	// The EVM would otherwise mint this for its own account, over and above the supply.
	balances.push((Revive::account_id(), EXISTENTIAL_DEPOSIT));

	let given = balances.iter().fold(0, |sum: Balance, (_, balance)| sum.saturating_add(*balance));
	balances.extend(supply::BUCKETS.iter().map(|bucket| {
		let taken = if *bucket == supply::COMMUNITY { given } else { 0 };
		(bucket_account(bucket), bucket.amount().saturating_sub(taken))
	}));

	build_struct_json_patch!(RuntimeGenesisConfig {
		balances: BalancesConfig { balances },
		vesting: VestingConfig {
			vesting: supply::BUCKETS
				.iter()
				.filter(|bucket| bucket.vests)
				.map(|bucket| {
					(bucket_account(bucket), supply::VESTING_CLIFF, supply::VESTING_LINEAR, 0)
				})
				.collect(),
		},
		babe: BabeConfig { epoch_config: BABE_GENESIS_EPOCH_CONFIG },
		validators: ValidatorsConfig {
			validators: validators
				.iter()
				.map(|validator| (validator.account.clone(), GENESIS_BOND))
				.collect(),
		},
		session: SessionConfig {
			keys: validators
				.into_iter()
				.map(|validator| (validator.account.clone(), validator.account, validator.keys))
				.collect(),
		},
		sudo: SudoConfig { key: Some(sudo) },
	})
}

/// One validator, Alice, who also has the sudo key.
fn development() -> Value {
	state(
		vec![GenesisValidator::new(Sr25519Keyring::Alice, Ed25519Keyring::Alice)],
		development_accounts(),
		Sr25519Keyring::Alice.to_account_id(),
	)
}

/// Four validators, so that one can fail and blocks still finalise.
fn local_testnet() -> Value {
	state(
		vec![
			GenesisValidator::new(Sr25519Keyring::Alice, Ed25519Keyring::Alice),
			GenesisValidator::new(Sr25519Keyring::Bob, Ed25519Keyring::Bob),
			GenesisValidator::new(Sr25519Keyring::Charlie, Ed25519Keyring::Charlie),
			GenesisValidator::new(Sr25519Keyring::Dave, Ed25519Keyring::Dave),
		],
		development_accounts(),
		Sr25519Keyring::Alice.to_account_id(),
	)
}

/// The preset of this name as a JSON patch over the default genesis.
pub fn preset(id: &PresetId) -> Option<Vec<u8>> {
	let patch = match id.as_str() {
		DEV_RUNTIME_PRESET => development(),
		LOCAL_TESTNET_RUNTIME_PRESET => local_testnet(),
		_ => return None,
	};
	serde_json::to_vec(&patch).ok()
}

/// The presets there are.
pub fn preset_names() -> Vec<PresetId> {
	vec![PresetId::from(DEV_RUNTIME_PRESET), PresetId::from(LOCAL_TESTNET_RUNTIME_PRESET)]
}
