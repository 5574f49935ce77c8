//! Reviewing contributions: what curators see, accept and reject.

use std::fmt;

use codec::DecodeAll;
use openledger_primitives::{
	contribution::ContributionContent,
	record::{self, Record},
	H256,
};
use serde::Serialize;
use subxt::utils::AccountId32;

use super::{missing, Session};
use crate::{
	arguments::Review,
	chain::{
		datanets::{ContributedData, Contribution, ContributionStatus},
		Chain,
	},
	error::{Error, Result},
	marking::one_line,
	output::{Plain, Report, Style},
	worker::WorkerClient,
};

/// How many characters of a record are shown.
const SAMPLE_WIDTH: usize = 200;

/// What is wrong with a contribution's blob.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BlobFault {
	/// The worker does not have it.
	#[error("the worker does not have its blob")]
	Missing,
	/// It cannot be read.
	#[error("its blob is no contribution")]
	Unreadable,
	/// It is not what the contributor committed to.
	#[error("its blob has other {0} than the contributor committed to")]
	CommitmentDiffers(&'static str),
	/// A record is not in canonical form.
	#[error("record {0} in it is not in canonical form")]
	NotCanonical(usize),
}

/// Checks a contribution's blob against what was committed to on chain.
pub fn check_blob(blob: &[u8], data: &ContributedData) -> Result<ContributionContent, BlobFault> {
	let content =
		ContributionContent::decode_all(&mut &blob[..]).map_err(|_| BlobFault::Unreadable)?;
	let commitment = content.commitment().ok_or(BlobFault::Unreadable)?;
	if !data.agrees_with(&commitment) {
		let what = if data.records != commitment.records {
			"records (not as many)"
		} else if data.root != commitment.root {
			"records"
		} else if data.salts != commitment.salts {
			"salts"
		} else {
			"bytes"
		};
		return Err(BlobFault::CommitmentDiffers(what));
	}
	match content.first_fault() {
		Some((number, _)) => Err(BlobFault::NotCanonical(number)),
		None => Ok(content),
	}
}

/// What waits for an answer in a datanet.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct PendingReport {
	/// The datanet.
	pub datanet: u32,
	/// The contributions that wait, in order.
	pub pending: Vec<Reviewed>,
}

/// A contribution that waits, with what its blob says.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Reviewed {
	/// Its index in the datanet.
	pub index: u32,
	/// Who made it.
	pub contributor: AccountId32,
	/// Number of records.
	pub records: u32,
	/// Bytes of canonical records.
	pub bytes: u64,
	/// Merkle root over its records.
	pub root: H256,
	/// The first block in which it is too late for an answer.
	pub deadline: Option<u32>,
	/// Whether root, salts, number, size and form of the records are what was committed to.
	pub verified: bool,
	/// What is wrong, if something is.
	pub problem: Option<String>,
	/// The first records.
	pub samples: Vec<String>,
}

impl Report for PendingReport {
	fn human(&self, out: &mut dyn fmt::Write, style: Style) -> fmt::Result {
		if self.pending.is_empty() {
			return writeln!(out, "nothing waits for an answer in datanet {}", self.datanet);
		}
		for reviewed in &self.pending {
			let title = format!("contribution {} by {}", reviewed.index, reviewed.contributor);
			writeln!(out, "{}", style.bold(&title))?;
			let until =
				reviewed.deadline.map_or(String::new(), |block| format!(", before block {block}"));
			writeln!(out, "  {} records, {} bytes{until}", reviewed.records, reviewed.bytes)?;
			match &reviewed.problem {
				None => writeln!(out, "  checked: root, salts, number, size and form agree")?,
				Some(problem) => writeln!(out, "  NOT CHECKED: {problem}")?,
			}
			for sample in &reviewed.samples {
				writeln!(out, "    {sample}")?;
			}
		}
		let datanet = self.datanet;
		writeln!(
			out,
			"accept with `openledger datanet review {datanet} --accept N…`, or `--reject N… --reason …`"
		)
	}
}

pub(super) async fn run(session: &Session, arguments: Review) -> Result<()> {
	if !arguments.accept.is_empty() {
		return accept(session, &arguments).await;
	}
	if let (false, Some(reason)) = (arguments.reject.is_empty(), arguments.reason) {
		let (chain, key) = session.signer().await?;
		let step = session.output.step(format!("rejecting {}", list(&arguments.reject)));
		chain.reject_contributions(&key, arguments.datanet, &arguments.reject, reason).await?;
		drop(step);
		let value =
			Decided { datanet: arguments.datanet, accepted: vec![], rejected: arguments.reject };
		let text = format!("rejected {}", list(&value.rejected));
		return session.output.result(&Plain { value, text });
	}
	show(session, &arguments).await
}

#[derive(Serialize)]
struct Decided {
	datanet: u32,
	accepted: Vec<u32>,
	rejected: Vec<u32>,
}

async fn accept(session: &Session, arguments: &Review) -> Result<()> {
	let (chain, key) = session.signer().await?;
	let datanet = arguments.datanet;
	if !arguments.unseen {
		let worker = session.worker()?;
		for index in &arguments.accept {
			let step = session.output.step(format!("checking contribution {index}"));
			let contribution = pending(&chain, datanet, *index).await?;
			let checked = fetch(&worker, &contribution).await?;
			drop(step);
			if let Err(fault) = checked {
				return Err(Error::NotDone {
					what: format!("contribution {index} was not accepted: {fault}"),
					hint: Some(
						"reject it with --reason format, ask the contributor to upload it again, or accept it \
						 all the same with --unseen"
							.into(),
					),
				});
			}
		}
	}
	let step = session.output.step(format!("accepting {}", list(&arguments.accept)));
	chain.accept_contributions(&key, datanet, &arguments.accept).await?;
	drop(step);
	let value = Decided { datanet, accepted: arguments.accept.clone(), rejected: vec![] };
	let text = format!(
		"accepted {}\n  publish them with `openledger datanet publish {datanet}`",
		list(&value.accepted)
	);
	session.output.result(&Plain { value, text })
}

async fn show(session: &Session, arguments: &Review) -> Result<()> {
	let chain = session.chain().await?;
	let datanet = arguments.datanet;
	if chain.datanet(datanet).await?.is_none() {
		return Err(missing(format!("there is no datanet {datanet}")));
	}
	let worker = session.worker()?;
	let indices = chain.pending_contributions(datanet).await?;
	let step = session
		.output
		.steps("checking contributions", u64::try_from(indices.len()).unwrap_or_default());
	let mut shown = Vec::with_capacity(indices.len());
	for index in indices {
		// It may have been answered since the list was made.
		let Some(contribution) = chain.contribution(datanet, index).await? else { continue };
		let (problem, samples) = match fetch(&worker, &contribution).await {
			Ok(Ok(content)) => (None, samples(&content, arguments.samples)),
			Ok(Err(fault)) => (Some(fault.to_string()), Vec::new()),
			Err(error @ Error::WorkerRefused { .. }) => (Some(error.to_string()), Vec::new()),
			Err(error) => return Err(error),
		};
		let deadline = match contribution.status {
			ContributionStatus::Pending { deadline, .. } => Some(deadline),
			ContributionStatus::Accepted { .. } => None,
		};
		shown.push(Reviewed {
			index,
			contributor: contribution.contributor,
			records: contribution.data.records,
			bytes: contribution.data.bytes,
			root: contribution.data.root,
			deadline,
			verified: problem.is_none(),
			problem,
			samples,
		});
		step.advance(1);
	}
	drop(step);
	session.output.result(&PendingReport { datanet, pending: shown })
}

async fn pending(chain: &Chain, datanet: u32, index: u32) -> Result<Contribution> {
	chain
		.contribution(datanet, index)
		.await?
		.ok_or_else(|| missing(format!("datanet {datanet} has no contribution {index}")))
}

/// A contribution's blob from the worker, checked.
async fn fetch(
	worker: &WorkerClient,
	contribution: &Contribution,
) -> Result<Result<ContributionContent, BlobFault>> {
	let blob = worker.blob(contribution.data.content).await?;
	Ok(blob.ok_or(BlobFault::Missing).and_then(|blob| check_blob(&blob, &contribution.data)))
}

/// The first records, each on a line.
fn samples(content: &ContributionContent, how_many: usize) -> Vec<String> {
	let text = |record: &Record| match record {
		Record::Text(text) => one_line(text, SAMPLE_WIDTH),
		Record::Fields(fields) => {
			let fields = fields.iter().map(|(name, value)| format!("{name}: {value}"));
			one_line(&fields.collect::<Vec<_>>().join(" | "), SAMPLE_WIDTH)
		},
	};
	let records = content.records.iter().take(how_many);
	records.filter_map(|salted| record::read(&salted.canonical).ok()).map(|r| text(&r)).collect()
}

fn list(numbers: &[u32]) -> String {
	let numbers: Vec<String> = numbers.iter().map(u32::to_string).collect();
	let noun = if numbers.len() == 1 { "contribution" } else { "contributions" };
	format!("{noun} {}", numbers.join(", "))
}

#[cfg(test)]
mod tests {
	use super::*;
	use codec::Encode;
	use openledger_primitives::contribution::SaltedRecord;

	fn content(texts: &[&str]) -> ContributionContent {
		let record = |(number, text): (u8, &&str)| SaltedRecord {
			salt: [number; 32],
			canonical: text.as_bytes().to_vec(),
		};
		ContributionContent { records: (1..).zip(texts).map(record).collect() }
	}

	fn committed(content: &ContributionContent) -> ContributedData {
		let commitment = content.commitment().unwrap();
		ContributedData {
			root: commitment.root,
			records: commitment.records,
			bytes: commitment.bytes,
			content: H256::zero(),
			salts: commitment.salts,
		}
	}

	#[test]
	fn a_blob_that_is_what_was_committed_to_is_taken() {
		let content = content(&["One.", "Two."]);
		let data = committed(&content);
		assert_eq!(check_blob(&content.encode(), &data), Ok(content));
	}

	#[test]
	fn a_blob_that_is_not_is_refused_by_name() {
		let good = content(&["One.", "Two."]);
		let data = committed(&good);
		assert_eq!(check_blob(&[1, 2, 3], &data), Err(BlobFault::Unreadable));
		assert_eq!(check_blob(&[0], &data), Err(BlobFault::Unreadable));
		// A length that its bytes do not hold up to is not believed.
		assert_eq!(check_blob(&[0xfe, 0xff, 0xff, 0xff], &data), Err(BlobFault::Unreadable));
		let differs = |texts: &[&str]| check_blob(&content(texts).encode(), &data);
		assert_eq!(differs(&["One."]), Err(BlobFault::CommitmentDiffers("records (not as many)")));
		assert_eq!(differs(&["One.", "Too."]), Err(BlobFault::CommitmentDiffers("records")));
		let bytes = ContributedData { bytes: 9, ..data };
		assert_eq!(check_blob(&good.encode(), &bytes), Err(BlobFault::CommitmentDiffers("bytes")));
		let salts = ContributedData { salts: H256::zero(), ..data };
		assert_eq!(check_blob(&good.encode(), &salts), Err(BlobFault::CommitmentDiffers("salts")));
		let odd = content(&["One.", "Two  spaces."]);
		assert_eq!(check_blob(&odd.encode(), &committed(&odd)), Err(BlobFault::NotCanonical(1)));
	}

	#[test]
	fn what_waits_is_json_of_this_shape() {
		let report = PendingReport {
			datanet: 1,
			pending: vec![Reviewed {
				index: 2,
				contributor: AccountId32([0; 32]),
				records: 3,
				bytes: 4,
				root: H256::zero(),
				deadline: Some(5),
				verified: true,
				problem: None,
				samples: vec!["question: Fee? | answer: None.".into()],
			}],
		};
		let zero = format!("0x{}", "00".repeat(32));
		assert_eq!(
			serde_json::to_value(&report).unwrap(),
			serde_json::json!({ "datanet": 1, "pending": [{
				"index": 2,
				"contributor": AccountId32([0; 32]).to_string(),
				"records": 3, "bytes": 4, "root": zero, "deadline": 5,
				"verified": true, "problem": null,
				"samples": ["question: Fee? | answer: None."],
			}] })
		);
	}
}
