//! An answer with who was paid for it and why: what `ask` ends with, and what `explain` shows later.

use std::{collections::BTreeMap, fmt, ops::Range};

use openledger_primitives::{content::content_hash, ContributionId, H256};
use serde::Serialize;
use subxt::utils::AccountId32;

use super::{missing, Session};
use crate::{
	amount::Amount,
	chain::{
		datanets::{ContributedData, ContributionNumber},
		inference::{Content, Explanation, RequestPhase, SettlementLine},
		Chain,
	},
	error::{Error, Result},
	evidence::{
		self, Committed, Doubt, Evidence, KnownContribution, Passage, Verification, VerifiedSpan,
	},
	marking::{mark, Mark},
	output::{from_micro, percent, Report, Style},
	worker::WorkerClient,
};

/// How many characters of a record are shown around a span.
const CONTEXT: usize = 80;

/// What is known of the evidence behind a payment.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum EvidenceState {
	/// It was fetched, and everything in it agrees with the chain.
	Checked,
	/// It could not be had.
	Unavailable {
		/// Why not.
		reason: String,
	},
	/// Some of it does not agree with the chain.
	Refuted {
		/// What does not.
		doubts: Vec<Doubt>,
	},
}

/// A span of the answer that stands in a training record.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct ShownSpan {
	/// The datanet of the contribution.
	pub datanet: u32,
	/// The contribution's index in it.
	pub contribution: u32,
	/// The record's number in the contribution.
	pub record: u32,
	/// Who earns from the contribution.
	pub owner: Option<AccountId32>,
	/// How many words.
	pub words: u32,
	/// What the adapter gained on it, in millionths of a nat.
	pub gain_micro: u32,
	/// Its first byte in the answer, and the byte after its last.
	pub answer_bytes: [usize; 2],
	/// Where it stands in the record; nothing if the worker has erased the record.
	pub passage: Option<Passage>,
}

/// An answer with who was paid for it and why.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct AnswerReport {
	/// The request.
	pub request: u64,
	/// The model.
	pub model: u32,
	/// The answer; nothing if neither chain nor worker have it any more.
	pub answer: Option<String>,
	/// Who was paid how much, as the chain has it.
	pub payment: Explanation,
	/// The spans that hold.
	pub spans: Vec<ShownSpan>,
	/// What is known of the evidence.
	pub evidence: EvidenceState,
}

impl AnswerReport {
	/// An error if something does not agree with the chain.
	fn ensure_holds(&self) -> Result<()> {
		match &self.evidence {
			EvidenceState::Refuted { doubts } => Err(Error::Unverified(doubts.clone())),
			EvidenceState::Checked | EvidenceState::Unavailable { .. } => Ok(()),
		}
	}
}

impl Report for AnswerReport {
	fn human(&self, out: &mut dyn fmt::Write, style: Style) -> fmt::Result {
		match &self.answer {
			Some(answer) => {
				let place = |(number, span): (usize, &ShownSpan)| Mark {
					bytes: span.answer_bytes[0]..span.answer_bytes[1],
					label: number.to_string(),
				};
				let places: Vec<Mark> = (1..).zip(&self.spans).map(place).collect();
				writeln!(out, "{}\n", mark(answer, &places, style.marks()))?;
			},
			None => writeln!(out, "(the answer is not kept any more)\n")?,
		}
		for (number, span) in (1..).zip(&self.spans) {
			let owner = span.owner.as_ref().map_or("?".into(), ToString::to_string);
			writeln!(
				out,
				"[{number}] {} words of datanet {}, contribution {}, record {}, by {owner}; gain {} nats",
				span.words,
				span.datanet,
				span.contribution,
				span.record,
				from_micro(span.gain_micro.into())
			)?;
			match &span.passage {
				Some(passage) => writeln!(out, "    {}", quote(passage, style))?,
				None => writeln!(
					out,
					"    (the worker has erased the record: its place was checked, its words were not)"
				)?,
			}
		}
		if !self.spans.is_empty() {
			writeln!(out)?;
		}
		self.payments(out, style)?;
		match &self.evidence {
			EvidenceState::Checked if self.payment.unattributed => writeln!(
				out,
				"checked: no words of the answer are shown to come from anybody's data"
			),
			EvidenceState::Checked => writeln!(
				out,
				"checked: the answer, the evidence's root, the shares, and for every span record, salt, \
				 path to the contribution's root and words"
			),
			EvidenceState::Unavailable { reason } => writeln!(
				out,
				"the evidence was not checked: {reason}\n  its root on the chain is {:?}",
				self.payment.evidence_root
			),
			EvidenceState::Refuted { doubts } => {
				writeln!(out, "DOES NOT AGREE WITH THE CHAIN:")?;
				doubts.iter().try_for_each(|doubt| writeln!(out, "  {doubt}"))
			},
		}
	}
}

impl AnswerReport {
	fn payments(&self, out: &mut dyn fmt::Write, style: Style) -> fmt::Result {
		let payment = &self.payment;
		let amount = |planks| Amount::from_planks(planks).number();
		let title = format!("{} paid by {}", Amount::from_planks(payment.fee), payment.payer);
		writeln!(out, "{}", style.bold(&title))?;
		let mut rows: Vec<(String, String)> = Vec::new();
		let contributors = if payment.unattributed {
			"nobody's data is shown to have caused the answer: to the treasury".into()
		} else {
			"contributors, by what their words gained".to_owned()
		};
		rows.push((amount(payment.split.contributors), contributors));
		for (_, line) in lines(payment) {
			rows.push((
				format!("  {}", amount(line.amount)),
				format!(
					"  {} for datanet {}, contribution {} ({})",
					line.owner,
					line.contribution.datanet,
					line.contribution.index,
					percent(line.parts)
				),
			));
		}
		rows.push((
			amount(payment.split.host),
			format!("{}, the worker that answered", payment.host),
		));
		rows.push((
			amount(payment.split.model_owner),
			format!("{}, who owns model {}", payment.model_owner, payment.model),
		));
		rows.push((amount(payment.split.validators), "validators and their delegators".into()));
		rows.push((amount(payment.split.treasury), "the treasury".into()));
		let width = rows.iter().map(|(amount, _)| amount.len()).max().unwrap_or_default();
		rows.iter().try_for_each(|(amount, whom)| writeln!(out, "  {amount:<width$}  {whom}"))
	}
}

/// A span with some of the record around it.
fn quote(passage: &Passage, style: Style) -> String {
	let Range { start, end } = passage.bytes;
	let passage = &passage.text;
	let boundary = |wanted: usize, step: fn(usize) -> usize| {
		let mut at = wanted.min(passage.len());
		while !passage.is_char_boundary(at) {
			at = step(at);
		}
		at
	};
	let from = boundary(start.saturating_sub(CONTEXT), |at| at.saturating_sub(1));
	let to = boundary(end.saturating_add(CONTEXT), |at| at.saturating_add(1));
	let shown = passage.get(from..to).unwrap_or_default();
	let place =
		Mark { bytes: start.saturating_sub(from)..end.saturating_sub(from), label: String::new() };
	let before = if from > 0 { "…" } else { "" };
	let after = if to < passage.len() { "…" } else { "" };
	format!("{before}{}{after}", mark(shown, &[place], style.marks()))
}

pub(super) async fn explain(session: &Session, request: u64) -> Result<()> {
	let chain = session.chain().await?;
	let worker = session.worker()?;
	show(session, &chain, &worker, request).await
}

/// Shows a settled request, and fails if something does not agree with the chain.
pub(super) async fn show(
	session: &Session,
	chain: &Chain,
	worker: &WorkerClient,
	request: u64,
) -> Result<()> {
	let step = session.output.step("fetching and checking the evidence");
	let report = report(chain, worker, request).await?;
	drop(step);
	session.output.result(&report)?;
	report.ensure_holds()
}

/// All that chain and worker know of a settled request, checked.
async fn report(chain: &Chain, worker: &WorkerClient, request: u64) -> Result<AnswerReport> {
	let payment = match chain.explanation(request).await? {
		Some(payment) => payment,
		None => return Err(why_unsettled(chain, request).await?),
	};
	let answer = answer(chain, worker, request, payment.answer_hash).await?;
	let (answer, mut doubts) = match answer {
		Ok(answer) => (answer, Vec::new()),
		Err(doubt) => (None, vec![doubt]),
	};
	let fetched = if payment.evidence_root.is_zero() {
		// There is nothing to fetch; what there is to check is that nobody was paid for nothing.
		let answer = answer.clone().unwrap_or_default();
		Ok(Some(Evidence { evidence_root: H256::zero(), answer, spans: Vec::new() }))
	} else {
		worker.evidence(payment.evidence_root, payment.answer_hash).await
	};
	let unavailable = |reason: String| EvidenceState::Unavailable { reason };
	let (verification, answer, state) = match fetched {
		Ok(Some(_)) if payment.evidence_root.is_zero() && answer.is_none() && doubts.is_empty() => {
			(Verification::default(), None, unavailable("the answer is not kept any more".into()))
		},
		Ok(Some(evidence)) => {
			let committed = committed(chain, &payment, &evidence).await?;
			let verification = evidence::verify(&evidence, &committed);
			for doubt in &verification.doubts {
				if !doubts.contains(doubt) {
					doubts.push(doubt.clone());
				}
			}
			let is_the_answer = content_hash(evidence.answer.as_bytes()) == payment.answer_hash;
			let answer = answer.or(is_the_answer.then_some(evidence.answer));
			(verification, answer, EvidenceState::Checked)
		},
		Ok(None) => {
			let reason = format!("the worker at {} does not have it", worker.url());
			(Verification::default(), answer, unavailable(reason))
		},
		Err(error @ (Error::WorkerUnreachable { .. } | Error::WorkerRefused { .. })) => {
			(Verification::default(), answer, unavailable(error.to_string()))
		},
		Err(error) => return Err(error),
	};
	let state = if doubts.is_empty() { state } else { EvidenceState::Refuted { doubts } };
	let owners = lines(&payment).map(|(id, line)| (id, line.owner)).collect();
	let spans = verification.spans.into_iter().map(|span| shown(span, &owners)).collect();
	Ok(AnswerReport { request, model: payment.model, answer, payment, spans, evidence: state })
}

/// Why a request has no settlement, as an error.
async fn why_unsettled(chain: &Chain, request: u64) -> Result<Error> {
	Ok(match chain.inference_request(request).await?.map(|request| request.phase) {
		None => missing(format!("there is no request {request}, or not any more")),
		Some(RequestPhase::Assigned(job)) => Error::NotDone {
			what: format!("request {request} is not answered yet"),
			hint: Some(format!("{} has until block {}", job.worker, job.answer_by)),
		},
		Some(phase) => unanswered(request, &phase),
	})
}

/// Why a request was not answered, as an error.
pub(super) fn unanswered(request: u64, phase: &RequestPhase) -> Error {
	let what = match phase {
		RequestPhase::TimedOut { worker } => {
			format!("request {request} was not answered in time by {worker}; everything came back")
		},
		RequestPhase::Failed { worker, reason } => {
			format!("{worker} could not answer request {request}: {reason}; everything came back")
		},
		RequestPhase::Assigned(_) | RequestPhase::Answered(_) => {
			format!("request {request} has no settlement that is kept")
		},
	};
	Error::NotDone { what, hint: Some("ask again".into()) }
}

/// The answer, from the chain or from the worker; it has the hash that was paid for.
async fn answer(
	chain: &Chain,
	worker: &WorkerClient,
	request: u64,
	answer_hash: H256,
) -> Result<Result<Option<String>, Doubt>> {
	let bytes = match chain.inference_answer(request).await? {
		Some(Content::Bytes(bytes)) => Some(bytes),
		Some(Content::Hash(hash)) if hash != answer_hash => return Ok(Err(Doubt::AnswerDiffers)),
		// Without the worker the payment can be shown all the same.
		Some(Content::Hash(hash)) => worker.blob(hash).await.unwrap_or_default(),
		None => None,
	};
	let Some(bytes) = bytes else { return Ok(Ok(None)) };
	if content_hash(&bytes) != answer_hash {
		return Ok(Err(Doubt::AnswerDiffers));
	}
	Ok(Ok(Some(String::from_utf8_lossy(&bytes).into_owned())))
}

/// What the chain commits to about an answer.
async fn committed(chain: &Chain, payment: &Explanation, evidence: &Evidence) -> Result<Committed> {
	let mut contributions = BTreeMap::new();
	for id in evidence.contributions() {
		if let Some(contribution) = chain.contribution(id.datanet.0, id.index).await? {
			let ContributedData { root, records, .. } = contribution.data;
			contributions.insert(id, KnownContribution { root, records });
		}
	}
	Ok(Committed {
		answer_hash: payment.answer_hash,
		evidence_root: payment.evidence_root,
		shares: lines(payment).map(|(id, line)| (id, line.parts)).collect(),
		contributions,
	})
}

/// What each contribution was paid, in ascending order.
fn lines(payment: &Explanation) -> impl Iterator<Item = (ContributionId, &SettlementLine)> {
	payment.datanets.iter().flat_map(|part| &part.contributions).map(|line| {
		let ContributionNumber { datanet, index } = line.contribution;
		(evidence::contribution_id(datanet, index), line)
	})
}

fn shown(span: VerifiedSpan, owners: &BTreeMap<ContributionId, AccountId32>) -> ShownSpan {
	ShownSpan {
		datanet: span.contribution.datanet.0,
		contribution: span.contribution.index,
		record: span.record,
		owner: owners.get(&span.contribution).copied(),
		words: span.words,
		gain_micro: span.gain_micro,
		answer_bytes: [span.answer_bytes.start, span.answer_bytes.end],
		passage: span.passage,
	}
}

#[cfg(test)]
mod tests;
