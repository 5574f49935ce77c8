//! Accounts: balances, transfers, rewards.

use serde::Serialize;
use subxt::{
	dynamic::{self, Value},
	ext::{scale_decode::DecodeAsType, scale_encode::EncodeAsType},
	utils::AccountId32,
};
use subxt_signer::sr25519::Keypair;

use crate::{
	amount::as_open,
	chain::{Chain, Receipt},
	error::Result,
};

/// What an account has.
#[derive(Clone, PartialEq, Eq, Debug, Default, DecodeAsType, Serialize)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
pub struct Balance {
	/// Not held. Some of it may be frozen.
	#[serde(serialize_with = "as_open::serialize")]
	pub free: u128,
	/// Held: deposits, fees of open requests, budgets, bonds.
	#[serde(serialize_with = "as_open::serialize")]
	pub reserved: u128,
	/// So much of free and held must stay.
	#[serde(serialize_with = "as_open::serialize")]
	pub frozen: u128,
}

#[derive(DecodeAsType)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
struct AccountInfo {
	data: Balance,
}

/// All OPEN there is, counted twice.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Supply {
	/// What the chain says there is.
	#[serde(serialize_with = "as_open::serialize")]
	pub total: u128,
	/// The sum of what all accounts have.
	#[serde(serialize_with = "as_open::serialize")]
	pub owned: u128,
	/// How many accounts have something.
	pub accounts: u64,
}

/// Why a part of an account's balance is held.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Hold {
	/// `Pallet.Reason`.
	pub reason: String,
	/// How much.
	#[serde(serialize_with = "as_open::serialize")]
	pub amount: u128,
}

#[derive(DecodeAsType)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
struct IdAmount {
	id: Value,
	amount: u128,
}

/// The receiver of a transfer.
#[derive(EncodeAsType)]
#[encode_as_type(crate_path = "subxt::ext::scale_encode")]
enum Address {
	Id(AccountId32),
}

impl Chain {
	/// What an account has.
	pub async fn balance(&self, account: &AccountId32) -> Result<Balance> {
		let address = dynamic::storage::<(AccountId32,), AccountInfo>("System", "Account");
		let info = self.storage(address, (*account,)).await?;
		Ok(info.map(|info| info.data).unwrap_or_default())
	}

	/// Why parts of an account's balance are held.
	pub async fn holds(&self, account: &AccountId32) -> Result<Vec<Hold>> {
		let address = dynamic::storage::<(AccountId32,), Vec<IdAmount>>("Balances", "Holds");
		let holds = self.storage(address, (*account,)).await?.unwrap_or_default();
		Ok(holds
			.into_iter()
			.map(|hold| Hold { reason: variant_path(&hold.id), amount: hold.amount })
			.collect())
	}

	/// All OPEN there is: by the chain's own count, and by adding up every account.
	pub async fn supply(&self) -> Result<Supply> {
		let block = self.block().await?;
		let fault = |reason: String| self.unexpected(reason);
		let storage = block.storage();
		let total = storage
			.fetch(dynamic::storage::<(), u128>("Balances", "TotalIssuance"), ())
			.await
			.map_err(|error| fault(error.to_string()))?
			.decode()
			.map_err(|error| fault(error.to_string()))?;
		let accounts = dynamic::storage::<(AccountId32,), AccountInfo>("System", "Account");
		let mut accounts =
			storage.iter(accounts, ()).await.map_err(|error| fault(error.to_string()))?;
		let mut supply = Supply { total, owned: 0, accounts: 0 };
		while let Some(account) = accounts.next().await {
			let account = account.map_err(|error| fault(error.to_string()))?;
			let account = account.value().decode().map_err(|error| fault(error.to_string()))?;
			let has = account.data.free.saturating_add(account.data.reserved);
			supply.owned = supply.owned.saturating_add(has);
			supply.accounts += u64::from(has > 0);
		}
		Ok(supply)
	}

	/// Sends OPEN, and leaves the sender at least what keeps the account alive.
	pub async fn transfer(&self, key: &Keypair, to: AccountId32, planks: u128) -> Result<Receipt> {
		self.submit(key, "Balances", "transfer_keep_alive", (Address::Id(to), planks)).await
	}

	/// Rewards that an account can claim, in planks.
	pub async fn unpaid_rewards(&self, account: &AccountId32) -> Result<u128> {
		self.view("Attribution", "unpaid", (*account,)).await
	}

	/// Pays all rewards to the key's account.
	pub async fn claim_rewards(&self, key: &Keypair) -> Result<Receipt> {
		self.submit(key, "Attribution", "claim_rewards", ()).await
	}

	async fn storage<Address>(
		&self,
		address: Address,
		keys: Address::KeyParts,
	) -> Result<Option<Address::Value>>
	where
		Address: subxt::storage::Address,
	{
		let block = self.block().await?;
		let storage = block.storage();
		let value = self.in_time(storage.try_fetch(address, keys)).await?;
		let value = value.map_err(|error| match &error {
			subxt::error::StorageError::CannotFetchValue(error) => self.backend_fault(error),
			_ => self.unexpected(error.to_string()),
		})?;
		value
			.map(|value| value.decode().map_err(|error| self.unexpected(error.to_string())))
			.transpose()
	}
}

/// The names of variants within variants, such as `Datanets.ContributionDeposit`.
fn variant_path(value: &Value) -> String {
	use subxt::ext::scale_value::ValueDef;
	let mut names = Vec::new();
	let mut current = Some(value);
	while let Some(value) = current {
		let ValueDef::Variant(variant) = &value.value else { break };
		names.push(variant.name.as_str());
		current = variant.values.values().next();
	}
	names.join(".")
}
