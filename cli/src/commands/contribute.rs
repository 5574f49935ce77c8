//! Contributing records from files.

use std::fs;

use codec::Encode;
use openledger_primitives::{content::content_hash, H256};
use serde::Serialize;

use super::{missing, Session};
use crate::{
	amount::Amount,
	arguments::Contribute,
	error::{Error, Result},
	key::account_of,
	output::Plain,
	records::{self, Import, ImportFault, ImportReport},
};

/// What was contributed, or would be.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct ContributionReport {
	/// The datanet.
	pub datanet: u32,
	/// The contribution's index in it; none if it was not made.
	pub index: Option<u32>,
	/// The first block in which it is too late for an answer.
	pub deadline: Option<u32>,
	/// Merkle root over the records.
	pub root: H256,
	/// Hash of the blob.
	pub content: H256,
	/// Number of records.
	pub records: u32,
	/// Bytes of canonical records.
	pub bytes: u64,
	/// What is held until it is answered.
	pub deposit: Amount,
	/// Records that were left out because they stood there twice.
	pub duplicates: u64,
	/// Lines that were left out because they cannot be records.
	pub bad: u64,
	/// Lines that `--where` excluded.
	pub filtered: u64,
}

pub(super) async fn run(session: &Session, arguments: Contribute) -> Result<()> {
	let Import { content, report } = read(session, &arguments)?;
	tell(session, &report);
	let commitment =
		content.commitment().ok_or_else(|| Error::usage("there are no records in these files"))?;
	let blob = content.encode();
	let content_hash = content_hash(&blob);
	drop(content);

	let datanet = arguments.datanet;
	let chain;
	let mut key = None;
	if arguments.dry_run {
		chain = session.chain().await?;
	} else {
		let (connected, signer) = session.signer().await?;
		(chain, key) = (connected, Some(signer));
	}
	let known = chain
		.datanet(datanet)
		.await?
		.ok_or_else(|| missing(format!("there is no datanet {datanet}")))?;
	if !known.takes_contributions {
		return Err(Error::Refused {
			name: "Datanets.ContributionsClosed".into(),
			meaning: "the datanet takes no contributions".into(),
			hint: Some("ask its owner to reopen it".into()),
		});
	}
	let quote = chain.deposit_quote(commitment.records, commitment.bytes).await?;
	let deposit = Amount::from_planks(quote.contribution);
	let mut result = ContributionReport {
		datanet,
		index: None,
		deadline: None,
		root: commitment.root,
		content: content_hash,
		records: commitment.records,
		bytes: commitment.bytes,
		deposit,
		duplicates: report.duplicates,
		bad: report.bad,
		filtered: report.filtered,
	};
	let size = format!("{} records, {} bytes", commitment.records, commitment.bytes);
	let Some(key) = key else {
		let text = format!(
			"would contribute {size} to datanet {datanet}, holding {deposit} until it is answered\n  root {:?}",
			commitment.root
		);
		return session.output.result(&Plain { value: result, text });
	};

	let worker = session.worker()?;
	let step = session.output.step(format!("handing {} bytes to {}", blob.len(), worker.url()));
	worker.put_blob(blob).await?;
	step.message(format!(
		"contributing {size} to datanet {datanet} as {}, holding {deposit} until it is answered",
		account_of(&key)
	));
	if !session.output.draws() {
		session.output.note(format!("contributing {size}, holding {deposit} until it is answered"));
	}
	let contributed = chain.contribute(&key, datanet, &commitment, content_hash).await?;
	drop(step);
	result.index = Some(contributed.index);
	result.deadline = Some(contributed.deadline);
	let text = format!(
		"contribution {} to datanet {datanet}: {size}\n  root {:?}\n  {deposit} is held until it is \
		 answered, before block {}",
		contributed.index, commitment.root, contributed.deadline
	);
	session.output.result(&Plain { value: result, text })
}

fn read(session: &Session, arguments: &Contribute) -> Result<Import> {
	let sizes = arguments.files.iter().filter_map(|path| fs::metadata(path).ok());
	let total = sizes.map(|about| about.len()).fold(0, u64::saturating_add);
	let step = session.output.bytes("reading records", total);
	let selection = arguments.selection();
	let import = records::import(&arguments.files, &selection, records::random_salt, |more| {
		step.advance(more);
	});
	import.map_err(|fault| {
		let hint = match &fault {
			ImportFault::BadRecords { .. } => {
				Some("mend them, or leave them out with --skip-bad".to_owned())
			},
			_ => None,
		};
		Error::Usage { what: fault.to_string(), hint }
	})
}

/// Says what was left out.
fn tell(session: &Session, report: &ImportReport) {
	if report.filtered > 0 {
		session.output.note(format!("{} lines were left out by --where", report.filtered));
	}
	if report.duplicates > 0 {
		let places: Vec<String> = report.duplicate_places.iter().map(ToString::to_string).collect();
		session.output.note(format!(
			"{} records stood there before and were left out: {}{}",
			report.duplicates,
			places.join(", "),
			if report.duplicates > places.len() as u64 { ", …" } else { "" }
		));
	}
	for bad in &report.bad_records {
		session.output.note(format!("left out {bad}"));
	}
}
