//! What accounts have, what they earned, and sending OPEN.

use std::fmt;

use openledger_primitives::H256;
use serde::Serialize;
use subxt::{ext::scale_decode::DecodeAsType, utils::AccountId32};

use super::Session;
use crate::{
	amount::{as_open, Amount},
	arguments::Rewards,
	chain::accounts::{Balance, Hold, Supply},
	error::{Error, Result},
	key::account_of,
	output::{table, Plain, Report, Style},
};

/// What an account has.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct BalanceReport {
	/// The account.
	pub account: AccountId32,
	/// Its balance.
	#[serde(flatten)]
	pub balance: Balance,
	/// Why parts of it are held.
	pub holds: Vec<Hold>,
}

impl Report for BalanceReport {
	fn human(&self, out: &mut dyn fmt::Write, style: Style) -> fmt::Result {
		writeln!(out, "{}", style.bold(&self.account.to_string()))?;
		let amount = |planks| Amount::from_planks(planks).to_string();
		let mut rows =
			vec![("free", amount(self.balance.free)), ("held", amount(self.balance.reserved))];
		if self.balance.frozen > 0 {
			rows.push(("frozen", amount(self.balance.frozen)));
		}
		table(out, &rows)?;
		for hold in &self.holds {
			writeln!(out, "    {} for {}", amount(hold.amount), hold.reason)?;
		}
		Ok(())
	}
}

pub(super) async fn balance(session: &Session, account: Option<AccountId32>) -> Result<()> {
	let account = match account {
		Some(account) => account,
		None => account_of(&session.global.key().read()?),
	};
	let chain = session.chain().await?;
	let (balance, holds) = (chain.balance(&account).await?, chain.holds(&account).await?);
	session.output.result(&BalanceReport { account, balance, holds })
}

impl Report for Supply {
	fn human(&self, out: &mut dyn fmt::Write, _: Style) -> fmt::Result {
		let Self { total, owned, accounts } = self;
		let amount = |planks: u128| Amount::from_planks(planks).to_string();
		table(
			out,
			&[("the chain's count", amount(*total)), ("sum over all accounts", amount(*owned))],
		)?;
		if total == owned {
			writeln!(out, "  nothing was created or lost, over {accounts} accounts")
		} else {
			writeln!(out, "  they differ, over {accounts} accounts")
		}
	}
}

pub(super) async fn supply(session: &Session) -> Result<()> {
	let supply = session.chain().await?.supply().await?;
	session.output.result(&supply)?;
	if supply.total == supply.owned {
		return Ok(());
	}
	Err(Error::NotDone {
		what: "the chain's count of OPEN is not what its accounts have".into(),
		hint: Some("report this: it must never happen".into()),
	})
}

#[derive(Serialize)]
struct TransferReport {
	from: AccountId32,
	to: AccountId32,
	amount: Amount,
	block: H256,
	transaction: H256,
}

pub(super) async fn transfer(session: &Session, to: AccountId32, amount: Amount) -> Result<()> {
	let (chain, key) = session.signer().await?;
	let step = session.output.step(format!("sending {amount} to {to}"));
	let receipt = chain.transfer(&key, to, amount.planks).await?;
	drop(step);
	let text = format!("sent {amount} to {to} in block {:?}", receipt.block);
	let value = TransferReport {
		from: account_of(&key),
		to,
		amount,
		block: receipt.block,
		transaction: receipt.transaction,
	};
	session.output.result(&Plain { value, text })
}

/// What an account earned.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct RewardsReport {
	/// The account.
	pub account: AccountId32,
	/// What can be claimed.
	#[serde(serialize_with = "as_open::serialize")]
	pub unpaid: u128,
	/// What was paid out now.
	#[serde(serialize_with = "as_open::serialize")]
	pub claimed: u128,
}

impl Report for RewardsReport {
	fn human(&self, out: &mut dyn fmt::Write, style: Style) -> fmt::Result {
		writeln!(out, "{}", style.bold(&self.account.to_string()))?;
		let mut rows = vec![("unpaid rewards", Amount::from_planks(self.unpaid).to_string())];
		if self.claimed > 0 {
			rows.push(("paid out now", Amount::from_planks(self.claimed).to_string()));
		}
		table(out, &rows)?;
		if self.unpaid > 0 {
			writeln!(out, "  claim them with `openledger rewards --claim`")?;
		}
		Ok(())
	}
}

#[derive(DecodeAsType)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
struct RewardsClaimed {
	amount: u128,
}

pub(super) async fn rewards(session: &Session, arguments: Rewards) -> Result<()> {
	if arguments.claim {
		let (chain, key) = session.signer().await?;
		let step = session.output.step("claiming rewards");
		let receipt = chain.claim_rewards(&key).await?;
		drop(step);
		let claimed: RewardsClaimed = receipt.event("Attribution", "RewardsClaimed")?;
		let account = account_of(&key);
		let unpaid = chain.unpaid_rewards(&account).await?;
		return session.output.result(&RewardsReport { account, unpaid, claimed: claimed.amount });
	}
	let account = match arguments.account {
		Some(account) => account,
		None => account_of(&session.global.key().read()?),
	};
	let unpaid = session.chain().await?.unpaid_rewards(&account).await?;
	session.output.result(&RewardsReport { account, unpaid, claimed: 0 })
}
