//! Datanets: creating, publishing, showing.

use std::fmt;

use openledger_primitives::H256;
use serde::Serialize;

use super::{missing, Session};
use crate::{
	amount::Amount,
	arguments::CreateDatanet,
	chain::{
		datanets::{
			Contribution, ContributionStatus, Datanet, DatanetCounters, DatanetTerms,
			DatanetVersion, DefaultVerdict, PublishedVersion,
		},
		licence::Licence,
	},
	error::{Error, Result},
	marking::{one_line, printable},
	output::{table, Plain, Report, Style},
};

/// The longest metadata document that is read.
const MAX_METADATA_BYTES: u64 = 16 << 20;

#[derive(Serialize)]
struct Created {
	datanet: u32,
}

pub(super) async fn create(session: &Session, arguments: CreateDatanet) -> Result<()> {
	let (chain, key) = session.signer().await?;
	let metadata = match &arguments.metadata {
		Some(path) => session.worker()?.put_blob(read_bounded(path, MAX_METADATA_BYTES)?).await?,
		None => H256::zero(),
	};
	let terms = DatanetTerms {
		price: arguments.price.planks,
		access: arguments.access,
		default_verdict: arguments.unanswered,
		review_period: arguments.review_blocks,
		metadata,
	};
	let deposit = Amount::from_planks(chain.deposit_quote(1, 1).await?.datanet);
	let step = session.output.step(format!(
		"creating datanet {:?}, holding {deposit} for as long as it exists",
		arguments.name
	));
	let licence = arguments.licence.terms();
	let datanet =
		chain.create_datanet(&key, &arguments.name, arguments.kind, licence, terms).await?;
	drop(step);
	let text = format!(
		"datanet {datanet} was created\n  contribute with `openledger datanet contribute {datanet} FILE…`"
	);
	session.output.result(&Plain { value: Created { datanet }, text })
}

/// A file's bytes, if they are not more than they may be.
pub(super) fn read_bounded(path: &std::path::Path, limit: u64) -> Result<Vec<u8>> {
	use std::io::Read;
	let fault =
		|reason: String| Error::usage(format!("{} cannot be used: {reason}", path.display()));
	let file = std::fs::File::open(path).map_err(|error| fault(error.to_string()))?;
	let mut bytes = Vec::new();
	file.take(limit.saturating_add(1))
		.read_to_end(&mut bytes)
		.map_err(|error| fault(error.to_string()))?;
	if u64::try_from(bytes.len()).map_or(true, |length| length > limit) {
		return Err(fault(format!("it has more than {limit} bytes")));
	}
	Ok(bytes)
}

pub(super) async fn publish(session: &Session, datanet: u32) -> Result<()> {
	let (chain, key) = session.signer().await?;
	let step = session.output.step(format!("publishing datanet {datanet}"));
	let published = chain.publish_version(&key, datanet).await?;
	drop(step);
	let text = format!(
		"datanet {datanet} has version {}: {} records in {} contributions, {} bytes\n  root {:?}\n  train \
		 on it with `openledger train --datanet {datanet}@{} …`",
		published.version.version,
		published.records,
		published.contributions,
		published.bytes,
		published.root,
		published.version.version,
	);
	session.output.result(&Plain { value: published, text })
}

/// What there is to know about a datanet.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct DatanetReport {
	/// Its number.
	pub number: u32,
	/// What it is.
	#[serde(flatten)]
	pub datanet: Datanet,
	/// Its counters.
	pub counters: DatanetCounters,
	/// Its latest version.
	pub latest_version: Option<VersionReport>,
	/// Its last contributions that are pending or accepted, the newest first.
	pub contributions: Vec<NumberedContribution>,
}

/// A version with its number.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct VersionReport {
	/// Its number.
	pub version: u32,
	/// What it commits to.
	#[serde(flatten)]
	pub published: PublishedVersion,
}

/// A contribution with its index.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct NumberedContribution {
	/// Its index in the datanet.
	pub index: u32,
	/// What it is.
	#[serde(flatten)]
	pub contribution: Contribution,
}

impl Report for DatanetReport {
	fn human(&self, out: &mut dyn fmt::Write, style: Style) -> fmt::Result {
		let datanet = &self.datanet;
		let name = one_line(&String::from_utf8_lossy(&datanet.name), 64);
		writeln!(out, "{}", style.bold(&format!("datanet {}: {name}", self.number)))?;
		let terms = &datanet.terms;
		let verdict = match terms.default_verdict {
			DefaultVerdict::Accept => "accepted",
			DefaultVerdict::Reject => "rejected",
		};
		let open = if datanet.takes_contributions { "open" } else { "closed" };
		let mut rows = vec![
			("owner", datanet.owner.to_string()),
			("kind", format!("{:?}", datanet.kind)),
			("licence", licence_line(&datanet.licence)),
			(
				"access",
				format!("{:?}, training costs {}", terms.access, Amount::from_planks(terms.price)),
			),
			("review", format!("{} blocks, then {verdict}", terms.review_period)),
			(
				"contributions",
				format!(
					"{} made, {} waiting; {open} for more",
					self.counters.contributions, self.counters.pending
				),
			),
		];
		if let Some(latest) = &self.latest_version {
			let what = &latest.published.commitment;
			rows.push((
				"version",
				format!(
					"{}: {} records in {} contributions, root {:?}",
					latest.version, what.records, what.contributions, what.root
				),
			));
		}
		table(out, &rows)?;
		for NumberedContribution { index, contribution } in &self.contributions {
			let status = match contribution.status {
				ContributionStatus::Pending { deadline, .. } => {
					format!("waits until block {deadline}")
				},
				ContributionStatus::Accepted { leaf_index } => {
					format!("accepted as leaf {leaf_index}")
				},
			};
			writeln!(
				out,
				"  {index:>6}  {} records by {}: {status}",
				contribution.data.records, contribution.contributor
			)?;
		}
		Ok(())
	}
}

/// A licence in words.
pub(super) fn licence_line(licence: &Licence) -> String {
	let mut parts = vec![
		if licence.commercial { "commercial use" } else { "no commercial use" }.to_owned(),
		if licence.derivatives { "derivatives" } else { "no derivatives" }.to_owned(),
		licence.purposes().join("+"),
	];
	if licence.share_alike {
		parts.push("share alike".into());
	}
	if licence.revenue_share > 0 {
		let share = licence.revenue_share;
		parts.push(format!("{}.{:02} % of revenue", share / 100, share % 100));
	}
	if let Some(end) = licence.expires_at {
		parts.push(format!("until {end} (Unix time)"));
	}
	printable(&parts.join(", "))
}

pub(super) async fn show(session: &Session, number: u32, how_many: u32) -> Result<()> {
	let chain = session.chain().await?;
	let datanet = chain
		.datanet(number)
		.await?
		.ok_or_else(|| missing(format!("there is no datanet {number}")))?;
	let counters = chain.datanet_counters(number).await?;
	let latest_version = match chain.latest_version(number).await? {
		Some(DatanetVersion { version, datanet }) => chain
			.datanet_version(DatanetVersion { version, datanet })
			.await?
			.map(|published| VersionReport { version, published }),
		None => None,
	};
	let mut contributions = Vec::new();
	let wanted = usize::try_from(how_many).unwrap_or(usize::MAX);
	for index in (0..counters.contributions).rev() {
		if contributions.len() >= wanted {
			break;
		}
		// Those that were rejected or withdrawn are not kept.
		if let Some(contribution) = chain.contribution(number, index).await? {
			contributions.push(NumberedContribution { index, contribution });
		}
	}
	let report = DatanetReport { number, datanet, counters, latest_version, contributions };
	session.output.result(&report)
}
