//! One run over all jobs of a desk.

use super::{
	absence::Absence,
	client::{Client, Objection, Trouble, Unreachable},
	journal::{Journal, Overtaken},
	keys::Operator,
	LOCK_TIME, MAX_JOBS_PER_OPERATOR, MAX_JOBS_PER_RUN, RUN_TIME,
};
use crate::operator::{genesis_hash, OperatorSignature};
use alloc::{boxed::Box, collections::BTreeSet, format, rc::Rc, vec::Vec};
use codec::Encode;
use core::fmt;
use frame_support::traits::Get;
use frame_system::offchain::CreateAuthorizedTransaction;
use openledger_primitives::{
	traits::WorkerPool,
	worker_api::{JobKey, Order, Report, Work},
	UnixSeconds, H256,
};
use sp_runtime::{
	offchain::{
		storage::StorageValueRef,
		storage_lock::{StorageLock, Time},
	},
	traits::UniqueSaturatedInto,
};

/// The accounts of a desk's chain.
pub type AccountIdOf<D> = <<D as Desk>::Runtime as frame_system::Config>::AccountId;

/// A pallet with jobs for workers.
pub trait Desk {
	/// The chain.
	type Runtime: frame_system::Config<Hash = H256>;

	/// Who has which job.
	type Workers: WorkerPool<AccountIdOf<Self>>;

	/// The signature under a report.
	type Signature: OperatorSignature<AccountIdOf<Self>>;

	/// Milliseconds between two blocks.
	type BlockMillis: Get<u64>;

	/// The desk's name in local storage.
	const NAME: &'static str;

	/// The target of its log.
	const TARGET: &'static str;

	/// The jobs on which a worker, by its stash, is to report. Of the first [`MAX_JOBS_PER_OPERATOR`],
	/// those are served on which it still can.
	fn duties(worker: &AccountIdOf<Self>) -> impl Iterator<Item = Duty>;

	/// What there is to do, and how many blocks after the one to report by it may still take.
	fn work(duty: &Duty) -> Result<(Work, u64), Objection>;

	/// What to tell the chain about a report, if anything.
	fn state(
		duty: &Duty,
		operator: &Operator<AccountIdOf<Self>>,
		report: Report,
	) -> Result<Option<Statement>, Objection>;
}

/// A job in the hands of one of this node's operators.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Duty {
	/// The job.
	pub key: JobKey,
	/// The last block that takes a report on it as it stands now.
	pub report_by: u64,
}

impl fmt::Display for Duty {
	fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
		match self.key {
			JobKey::Inference(request) => write!(to, "request {}", request.0),
			JobKey::Training { job, attempt } => {
				write!(to, "training job {}, attempt {attempt}", job.0)
			},
		}
	}
}

/// Something to tell the chain.
pub struct Statement {
	/// What it is, for the log.
	what: &'static str,
	/// What the operator signs.
	message: H256,
	/// Checks that the chain takes it, signs it, and makes the transaction.
	transaction: Box<dyn FnOnce() -> Result<Vec<u8>, Objection>>,
}

impl Statement {
	/// What an operator tells the chain under its signature of `message`. `call` rehearses what is
	/// to be told and only then signs it.
	pub fn new<T, C>(
		what: &'static str,
		message: H256,
		call: impl FnOnce() -> Result<C, Objection> + 'static,
	) -> Self
	where
		T: CreateAuthorizedTransaction<C>,
	{
		let transaction = move || {
			let call = call()?;
			Ok(T::create_authorized_transaction(call.into()).encode())
		};
		Self { what, message, transaction: Box::new(transaction) }
	}
}

/// The block after which this run takes place.
fn now<D: Desk>() -> u64 {
	frame_system::Pallet::<D::Runtime>::block_number().unique_saturated_into()
}

/// When nobody needs what has to be done in so many blocks, by the node's clock.
fn expiry<D: Desk>(blocks: u64) -> UnixSeconds {
	let now = sp_io::offchain::timestamp().unix_millis();
	now.saturating_add(blocks.saturating_mul(D::BlockMillis::get())).div_euclid(1_000)
}

/// Looks after all jobs of this node's operators. At most one run is under way at any time; another
/// one that begins meanwhile does nothing.
pub fn run<D: Desk>() {
	let key = |part| format!("openledger/offchain/{}/{part}", D::NAME).into_bytes();
	let Some(client) = Client::find(RUN_TIME) else { return say_idle::<D>(&key("idle")) };
	let idle = key("idle");
	if StorageValueRef::persistent(&idle).get::<bool>() != Ok(None) {
		StorageValueRef::persistent(&idle).clear();
	}
	let mut duties = list::<D>();
	let journal_key = key("journal");
	if duties.is_empty() && Journal::open(&journal_key).is_empty() {
		return;
	}

	let lock_key = key("lock");
	let mut lock = StorageLock::<Time>::with_deadline(&lock_key, LOCK_TIME);
	let Ok(_guard) = lock.try_lock() else {
		log::debug!(target: D::TARGET, "the run of an earlier block is still under way");
		return;
	};
	let mut journal = Journal::open(&journal_key);
	journal.retain(&duties.iter().map(|(id, ..)| *id).collect());
	let now = now::<D>();
	duties.retain(|(id, ..)| !journal.rests(*id, now));
	duties.truncate(MAX_JOBS_PER_RUN);

	let done = serve_all::<D>(&client, &mut journal, &key("away"), duties, now);
	if done.and_then(|()| journal.write()).is_err() {
		log::debug!(target: D::TARGET, "another run has overtaken this one");
	}
}

/// Looks after jobs as long as there is time and the worker answers.
fn serve_all<D: Desk>(
	client: &Client,
	journal: &mut Journal<'_>,
	away_key: &[u8],
	duties: Vec<Job<D>>,
	now: u64,
) -> Result<(), Overtaken> {
	let mut absence = Absence::new(away_key, D::TARGET);
	if duties.is_empty() || !absence.allows(client, now) {
		return Ok(());
	}
	for (id, duty, operator) in duties {
		if !client.has_time() {
			log::debug!(target: D::TARGET, "no time is left for {duty} in this block");
			break;
		}
		match serve::<D>(client, journal, id, &duty, &operator) {
			Ok(()) => absence.end(client, now),
			Err(End::Away(why)) => {
				absence.begin(client, why, now);
				break;
			},
			Err(End::Overtaken) => return Err(Overtaken),
		}
	}
	Ok(())
}

/// Says once that there is no worker.
fn say_idle<D: Desk>(key: &[u8]) {
	let said = StorageValueRef::persistent(key);
	if said.get::<bool>().ok().flatten().is_none() {
		log::debug!(
			target: D::TARGET,
			"this node has no worker: it was started without --worker-url",
		);
		said.set(&true);
	}
}

/// A job by its name at the worker, with the operator that reports on it.
type Job<D> = (H256, Duty, Rc<Operator<AccountIdOf<D>>>);

/// The jobs of all operators of this node with their names at the worker, the one that ends first
/// first.
fn list<D: Desk>() -> Vec<Job<D>> {
	let (genesis, now) = (genesis_hash::<D::Runtime>(), now::<D>());
	let mut seen = BTreeSet::new();
	let mut duties = Vec::new();
	for operator in Operator::<AccountIdOf<D>>::all::<D::Signature>() {
		let Some(worker) = D::Workers::stash_of(&operator.account) else { continue };
		let operator = Rc::new(operator);
		for duty in D::duties(&worker).take(MAX_JOBS_PER_OPERATOR) {
			let id = duty.key.id(genesis);
			// What is submitted now stands in the next block at the earliest.
			if duty.report_by > now && seen.insert(id) {
				duties.push((id, duty, operator.clone()));
			}
		}
	}
	duties.sort_by_key(|(_, duty, _)| (duty.report_by, duty.key));
	duties
}

/// Why a run ends before its time.
enum End {
	Away(Unreachable),
	Overtaken,
}

/// Looks after one job. What is wrong with it is said and tried again later.
fn serve<D: Desk>(
	client: &Client,
	journal: &mut Journal<'_>,
	id: H256,
	duty: &Duty,
	operator: &Operator<AccountIdOf<D>>,
) -> Result<(), End> {
	match attend::<D>(client, journal, id, duty, operator) {
		Ok(()) => journal.succeed(id),
		Err(Trouble::Away(why)) => return Err(End::Away(why)),
		Err(Trouble::Overtaken) => return Err(End::Overtaken),
		Err(Trouble::Objection(objection)) => {
			let failures = journal.fail(id, now::<D>());
			// The first, the second, the fourth, … time: enough to notice, too few to fill a disk.
			if failures.is_power_of_two() {
				log::error!(
					target: D::TARGET,
					"{duty} cannot go on: {objection} (attempts in vain: {failures})",
				);
			}
		},
	}
	Ok(())
}

/// Asks the worker about a job, orders it if the worker does not know it, and passes on what there is
/// to report.
fn attend<D: Desk>(
	client: &Client,
	journal: &mut Journal<'_>,
	id: H256,
	duty: &Duty,
	operator: &Operator<AccountIdOf<D>>,
) -> Result<(), Trouble> {
	let Some(statement) = ask::<D>(client, id, duty, operator)? else { return Ok(()) };
	let Statement { what, message, transaction } = statement;
	if journal.is_under_way(id, message, now::<D>()) {
		return Ok(());
	}
	let transaction = transaction()?;
	journal.submit(id, message, now::<D>())?;
	sp_io::offchain::submit_transaction(transaction).map_err(|()| Objection::NotPooled)?;
	log::info!(target: D::TARGET, "{duty}: {what} submitted");
	Ok(())
}

fn ask<D: Desk>(
	client: &Client,
	id: H256,
	duty: &Duty,
	operator: &Operator<AccountIdOf<D>>,
) -> Result<Option<Statement>, Trouble> {
	let report = match client.report(id)? {
		Some(report) => report,
		None => {
			let (work, more_blocks) = D::work(duty)?;
			let blocks = duty.report_by.saturating_sub(now::<D>()).saturating_add(more_blocks);
			let expires = expiry::<D>(blocks);
			let report = client.post(&Order { id, expires, work })?;
			log::info!(target: D::TARGET, "{duty} posted to the worker at {}", client.url());
			report
		},
	};
	Ok(D::state(duty, operator, report)?)
}
