//! Workers: registering, accepting, showing.

use std::fmt;

use serde::Serialize;
use subxt::utils::AccountId32;

use super::{missing, Session};
use crate::{
	amount::Amount,
	arguments::RegisterWorker,
	chain::workers::{Capabilities, OperatorKey, Worker},
	error::Result,
	key::account_of,
	output::{table, Plain, Report, Style},
};

#[derive(Serialize)]
struct Registered {
	stash: AccountId32,
	operator: AccountId32,
	bond: Amount,
}

pub(super) async fn register(session: &Session, arguments: RegisterWorker) -> Result<()> {
	let (chain, key) = session.signer().await?;
	let RegisterWorker { operator, bond, kinds, bases, memory, slots } = arguments;
	let capabilities = Capabilities::new(kinds, bases, memory, slots);
	let stash = account_of(&key);
	let step = session.output.step(format!("registering {stash} as a worker, holding {bond}"));
	chain.register_worker(&key, operator, bond.planks, capabilities).await?;
	drop(step);
	let text = format!(
		"{stash} is a worker with {bond} at stake\n  it gets work once {operator} accepts, signed with the \
		 operator's key:\n  openledger worker accept {stash}"
	);
	session.output.result(&Plain { value: Registered { stash, operator, bond }, text })
}

#[derive(Serialize)]
struct Accepted {
	stash: AccountId32,
	operator: AccountId32,
}

pub(super) async fn accept(session: &Session, stash: AccountId32) -> Result<()> {
	let (chain, key) = session.signer().await?;
	let operator = account_of(&key);
	let step = session.output.step(format!("accepting to sign for {stash}"));
	chain.accept_operator(&key, stash).await?;
	drop(step);
	let text = format!("{operator} signs for worker {stash} from now on");
	session.output.result(&Plain { value: Accepted { stash, operator }, text })
}

/// What there is to know about a worker.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct WorkerReport {
	/// Its stash.
	pub stash: AccountId32,
	/// What it is.
	#[serde(flatten)]
	pub worker: Worker,
	/// Whether it gets work.
	pub eligible: bool,
}

impl Report for WorkerReport {
	fn human(&self, out: &mut dyn fmt::Write, style: Style) -> fmt::Result {
		let worker = &self.worker;
		writeln!(out, "{}", style.bold(&format!("worker {}", self.stash)))?;
		let operator = match &worker.operator {
			OperatorKey::Confirmed(operator) => operator.to_string(),
			OperatorKey::Proposed(operator) => format!("{operator}, who has not accepted yet"),
		};
		let Capabilities { kinds, base_models, memory_mib, slots } = &worker.capabilities;
		let join = |items: Vec<String>| items.join(", ");
		table(
			out,
			&[
				("status", worker.status.to_string()),
				("gets work", if self.eligible { "yes" } else { "no" }.into()),
				("operator", operator),
				("bond", Amount::from_planks(worker.bond).to_string()),
				("kinds", join(kinds.iter().map(ToString::to_string).collect())),
				("base models", join(base_models.iter().map(ToString::to_string).collect())),
				("memory", format!("{memory_mib} MiB")),
				("jobs", format!("{} of {slots} slots", worker.active_jobs)),
				("strikes", worker.strikes.to_string()),
			],
		)
	}
}

pub(super) async fn show(session: &Session, account: Option<AccountId32>) -> Result<()> {
	let account = match account {
		Some(account) => account,
		None => account_of(&session.global.key().read()?),
	};
	let chain = session.chain().await?;
	let stash = chain.stash_of(&account).await?.unwrap_or(account);
	let worker = chain.worker(&stash).await?;
	let worker =
		worker.ok_or_else(|| missing(format!("{stash} is no worker's stash or operator")))?;
	let eligible = chain.is_eligible(&stash).await?;
	session.output.result(&WorkerReport { stash, worker, eligible })
}
