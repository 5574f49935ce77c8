//! Training a model: the order, and following it to the model.

use std::{fmt, path::Path, time::Duration};

use openledger_primitives::{
	content::content_hash, licence::Purposes, worker_api::JobKey, TrainingJobId, H256,
};
use serde::Serialize;
use subxt_signer::sr25519::Keypair;

use super::{datanet::read_bounded, missing, model::losses, Session};
use crate::{
	amount::Amount,
	arguments::{FollowJob, LicenceArguments, Source, Train},
	chain::{
		datanets::DatanetVersion,
		licence::Licence,
		models::{Metrics, TrainingJob, TrainingPhase, TrainingRequest},
		Chain,
	},
	error::{Error, Result},
	key::account_of,
	loss_curve::LossCurve,
	marking::one_line,
	output::{Format, Plain, Report, Step, Style},
	worker::{ProgressEvent, WorkerClient},
};

/// The longest training specification that is read: a page of settings, generously.
const MAX_SPEC_BYTES: u64 = 64 << 10;

/// The most versions that a model can be trained on, as the chain has it.
const MAX_SOURCES: usize = openledger_primitives::traits::MAX_TRAINING_SOURCES as usize;

/// How often the chain and the worker are asked.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Blocks after the end of the challenge period in which the chain may settle a job by itself, before
/// it is settled by a transaction.
const PATIENCE_BLOCKS: u64 = 3;

/// A line of JSON about a training job.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(rename_all = "snake_case", tag = "line")]
pub enum TrainingLine {
	/// The job was ordered.
	Requested {
		/// Its number.
		job: u64,
		/// What is held for it.
		budget: Amount,
	},
	/// The job is in another phase than before.
	Phase {
		/// Its number.
		job: u64,
		/// Where it stands.
		#[serde(flatten)]
		phase: TrainingPhase,
	},
	/// The worker's progress.
	Progress {
		/// What happened.
		#[serde(flatten)]
		event: ProgressEvent,
	},
	/// The model exists.
	Finished {
		/// The job.
		job: u64,
		/// The model.
		model: u32,
		/// What was measured.
		metrics: Metrics,
	},
}

impl Report for TrainingLine {
	fn human(&self, out: &mut dyn fmt::Write, _: Style) -> fmt::Result {
		match self {
			Self::Requested { job, budget } => {
				writeln!(out, "training job {job}, {budget} is held")
			},
			Self::Phase { job, phase } => writeln!(out, "job {job} is {phase}"),
			Self::Progress { event } => writeln!(out, "  {}", progress_line(event)),
			Self::Finished { model, metrics, .. } => writeln!(
				out,
				"model {model}: held-out loss {}\n  publish it with `openledger model publish {model} \
				 --input-price OPEN --output-price OPEN`",
				losses(metrics)
			),
		}
	}
}

/// The worker's progress in words.
fn progress_line(event: &ProgressEvent) -> String {
	let detail = [&event.detail, &event.hint].into_iter().flatten().map(|text| one_line(text, 300));
	let detail = detail.collect::<Vec<_>>().join("; ");
	let name = one_line(&event.event, 32);
	match (event.event.as_str(), event.step.zip(event.of), event.loss) {
		("heldout", _, Some(loss)) => {
			let stage = one_line(event.stage.as_deref().unwrap_or_default(), 32);
			format!("held-out loss {stage}: {loss:.4}")
		},
		(_, Some((step, of)), Some(loss)) => format!("{name} {step}/{of}: loss {loss:.4}"),
		_ if detail.is_empty() => name,
		_ => format!("{name}: {detail}"),
	}
}

pub(super) async fn train(session: &Session, arguments: Train) -> Result<()> {
	let spec = read_spec(&arguments.spec)?;
	if arguments.datanet.len() > MAX_SOURCES {
		return Err(Error::usage(format!("a model is trained on at most {MAX_SOURCES} datanets")));
	}
	let (chain, key) = session.signer().await?;
	let request = request(&chain, &arguments, content_hash(&spec)).await?;
	if let Some(refusal) = chain.why_not(&account_of(&key), &request).await? {
		let (name, meaning, hint) = refusal.explain();
		return Err(Error::Refused { name: name.into(), meaning, hint });
	}
	let worker = session.worker()?;
	worker.put_blob(spec).await?;
	let budget = arguments.budget;
	let step = session.output.step(format!("ordering, holding {budget}"));
	let job = chain.request_training(&key, &request).await?;
	drop(step);
	if arguments.detach {
		let value = TrainingLine::Requested { job, budget };
		let text = format!("training job {job}\n  follow it with `openledger job {job}`");
		return session.output.result(&Plain { value, text });
	}
	session.output.result(&TrainingLine::Requested { job, budget })?;
	let key = arguments.wait.then_some(key);
	Follower::new(session, chain, worker, job, arguments.wait, key).run().await
}

pub(super) async fn follow(session: &Session, arguments: FollowJob) -> Result<()> {
	// Settling needs a key; whoever has none can still wait until somebody else settles.
	let key = session.global.key().read().ok().filter(|_| arguments.wait);
	let chain = session.chain().await?;
	let worker = session.worker()?;
	Follower::new(session, chain, worker, arguments.job, arguments.wait, key).run().await
}

fn read_spec(path: &Path) -> Result<Vec<u8>> {
	let spec = read_bounded(path, MAX_SPEC_BYTES)?;
	match serde_json::from_slice::<serde_json::Value>(&spec) {
		Ok(serde_json::Value::Object(_)) => Ok(spec),
		Ok(_) => Err(Error::usage(format!("{} is no JSON object", path.display()))),
		Err(error) => Err(Error::usage(format!("{} is no JSON: {error}", path.display()))),
	}
}

async fn request(chain: &Chain, arguments: &Train, spec_hash: H256) -> Result<TrainingRequest> {
	let mut sources = Vec::with_capacity(arguments.datanet.len());
	let mut licences = Vec::with_capacity(arguments.datanet.len() + 1);
	for source in &arguments.datanet {
		sources.push(resolve(chain, source).await?);
		licences.extend(chain.datanet(source.datanet).await?.map(|datanet| datanet.licence));
	}
	sources.sort_unstable();
	let base = chain.base_model(arguments.base).await?;
	licences.extend(base.map(|base| base.licence));
	let licence = if arguments.licence.is_unsaid() {
		strictest(&licences)
	} else {
		arguments.licence.terms()
	};
	Ok(TrainingRequest {
		base: arguments.base,
		sources,
		spec_hash,
		licence,
		commercial: arguments.commercial,
		budget: arguments.budget.planks,
		training_blocks: arguments.blocks,
	})
}

async fn resolve(chain: &Chain, source: &Source) -> Result<DatanetVersion> {
	if let Some(version) = source.version {
		return Ok(source.at(version));
	}
	let latest = chain.latest_version(source.datanet).await?;
	latest.ok_or_else(|| Error::Refused {
		name: "Models.SourceNotPublished".into(),
		meaning: format!("datanet {} has no published version", source.datanet),
		hint: Some(format!("publish one: `openledger datanet publish {}`", source.datanet)),
	})
}

impl LicenceArguments {
	/// Whether nothing was said about the licence.
	fn is_unsaid(&self) -> bool {
		!self.non_commercial
			&& !self.no_derivatives
			&& !self.share_alike
			&& self.revenue_share == 0
			&& self.licence_expires.is_none()
			&& self.purposes.is_empty()
	}
}

/// The most open terms that something made from all of these can have.
fn strictest(licences: &[Licence]) -> Licence {
	Licence {
		commercial: licences.iter().all(|licence| licence.commercial),
		derivatives: true,
		share_alike: licences.iter().any(|licence| licence.share_alike),
		revenue_share: 0,
		expires_at: licences.iter().filter_map(|licence| licence.expires_at).min(),
		purposes: Purposes::ALL.0,
	}
}

/// Follows a job on the chain and at the worker.
struct Follower<'a> {
	session: &'a Session,
	chain: Chain,
	worker: WorkerClient,
	job: u64,
	/// Whether to go on through the challenge period.
	wait: bool,
	/// To settle the job with, when it is due.
	key: Option<Keypair>,
	curve: LossCurve,
	/// The assignment whose events were read, and the number of the last one.
	read: (u32, u64),
	worker_is_away: bool,
	metrics: Option<Metrics>,
}

impl<'a> Follower<'a> {
	fn new(
		session: &'a Session,
		chain: Chain,
		worker: WorkerClient,
		job: u64,
		wait: bool,
		key: Option<Keypair>,
	) -> Self {
		Self {
			session,
			chain,
			worker,
			job,
			wait,
			key,
			curve: LossCurve::default(),
			read: (0, 0),
			worker_is_away: false,
			metrics: None,
		}
	}

	async fn run(mut self) -> Result<()> {
		let mut last: Option<TrainingPhase> = None;
		let mut step: Option<Step> = None;
		loop {
			let Some(job) = self.chain.training_job(self.job).await? else {
				return Err(missing(format!(
					"there is no training job {}, or not any more",
					self.job
				)));
			};
			if last.as_ref() != Some(&job.phase) {
				// The bar goes before a line is written.
				step = None;
				self.say(&TrainingLine::Phase { job: self.job, phase: job.phase.clone() })?;
				last = Some(job.phase.clone());
			}
			if let Some(result) = job.phase.result() {
				self.metrics = Some(result.metrics);
			}
			self.progress(&job, &mut step).await?;
			match &job.phase {
				TrainingPhase::Settled { model, .. } => return self.finish(*model, step).await,
				TrainingPhase::TimedOut { .. }
				| TrainingPhase::Cancelled { .. }
				| TrainingPhase::Refuted { .. }
				| TrainingPhase::Failed { .. } => {
					return Err(Error::NotDone {
						what: format!("there is no model: job {} is {}", self.job, job.phase),
						hint: Some("the budget came back: order again".into()),
					});
				},
				TrainingPhase::Delivered { result, settle_at, .. } => {
					if !self.wait {
						return self.stop_at_delivery(&result.metrics, *settle_at);
					}
					self.settle_if_due(*settle_at).await?;
				},
				TrainingPhase::Open { .. }
				| TrainingPhase::Assigned { .. }
				| TrainingPhase::Running { .. }
				| TrainingPhase::Disputed { .. } => {},
			}
			tokio::time::sleep(POLL_INTERVAL).await;
		}
	}

	/// Reads and shows what the worker says about its progress. The worker may be another one than
	/// the one that trains, so that it cannot say anything is no reason to stop.
	async fn progress(&mut self, job: &TrainingJob, step: &mut Option<Step>) -> Result<()> {
		let is_under_way =
			matches!(job.phase, TrainingPhase::Assigned { .. } | TrainingPhase::Running { .. });
		let has_ended =
			job.phase.result().is_some() || matches!(job.phase, TrainingPhase::Settled { .. });
		if !is_under_way && !has_ended {
			return Ok(());
		}
		if self.read.0 != job.assignments {
			self.read = (job.assignments, 0);
			self.curve = LossCurve::default();
		}
		let key = JobKey::Training { job: TrainingJobId(self.job), attempt: job.assignments };
		let events = match self.worker.events(key.id(self.chain.genesis()), self.read.1).await {
			Ok(events) => events.unwrap_or_default(),
			Err(error) => {
				if !self.worker_is_away {
					self.session.output.note(format!("no progress is shown: {error}"));
					self.worker_is_away = true;
				}
				return Ok(());
			},
		};
		self.worker_is_away = false;
		for event in events {
			self.read.1 = self.read.1.max(event.number);
			self.show(event, step)?;
		}
		Ok(())
	}

	fn show(&mut self, event: ProgressEvent, step: &mut Option<Step>) -> Result<()> {
		let output = &self.session.output;
		let is_step = event.event == "step";
		if let (true, Some(loss)) = (is_step, event.loss) {
			self.curve.push(loss);
		}
		let is_human = output.format() == Format::Human;
		if is_human && event.event == "checkpoint" {
			return Ok(());
		}
		match event.step.zip(event.of) {
			Some((done, of)) if is_step && output.draws() => {
				let bar = step.get_or_insert_with(|| output.steps("training", of));
				let loss = self.curve.last().unwrap_or_default();
				bar.position(done, of);
				bar.message(format!("training  loss {loss:.4}  {}", self.curve.draw()));
				Ok(())
			},
			// Plain lines: every tenth part of the way is enough for people.
			Some((done, of))
				if is_step && is_human && done != of && done % (of / 10).max(1) != 0 =>
			{
				Ok(())
			},
			_ => {
				// The bar goes before a line is written.
				*step = None;
				self.say(&TrainingLine::Progress { event })
			},
		}
	}

	/// Settles the job when its challenge period is over and the chain has not done it by itself.
	async fn settle_if_due(&self, settle_at: u32) -> Result<()> {
		let Some(key) = &self.key else { return Ok(()) };
		if self.chain.height().await? < u64::from(settle_at).saturating_add(PATIENCE_BLOCKS) {
			return Ok(());
		}
		match self.chain.settle_training(key, self.job).await {
			Ok(_) => Ok(()),
			// Somebody was faster, which the next look at the job shows.
			Err(Error::Refused { name, .. })
				if name == "Models.WrongPhase" || name == "Models.TooEarly" =>
			{
				Ok(())
			},
			Err(error) => Err(error),
		}
	}

	fn stop_at_delivery(&self, metrics: &Metrics, settle_at: u32) -> Result<()> {
		self.session.output.note(format!(
			"held-out loss {}\n  the model exists from block {settle_at} on; wait for it with `openledger \
			 job {} --wait`",
			losses(metrics),
			self.job
		));
		Ok(())
	}

	async fn finish(&self, model: u32, step: Option<Step>) -> Result<()> {
		drop(step);
		let metrics = match self.metrics {
			Some(metrics) => metrics,
			None => {
				let made = self.chain.model(model).await?;
				made.ok_or_else(|| missing(format!("there is no model {model}")))?.result.metrics
			},
		};
		self.say(&TrainingLine::Finished { job: self.job, model, metrics })
	}

	fn say(&self, line: &TrainingLine) -> Result<()> {
		self.session.output.result(line)
	}
}

#[cfg(test)]
mod tests;
