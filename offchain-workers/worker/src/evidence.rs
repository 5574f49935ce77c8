//! What stands behind the claims that this worker made, for whoever asks why somebody was paid.
//!
//! ```text
//! evidence/<evidence root>/<answer hash>.json
//! ```
//!
//! Records are not copied: they are read from the contribution's blob each time, so that a record
//! that is erased from the store is gone from the evidence too.

use crate::{
	durable::{self, DiskError},
	failure::Failure,
	hexadecimal::{self, show, show_bytes},
	sources, time,
};
use codec::{DecodeAll, Encode};
use openledger_attribution::{Attribution, SpanEvidence};
use openledger_primitives::{
	contribution::ContributionContent,
	record::{self, Record},
	worker_api::SourceContribution,
	ContributionId, UnixSeconds, H256,
};
use openledger_store::Store;
use serde::{Deserialize, Serialize};
use std::{
	collections::{BTreeSet, HashMap},
	fs, io,
	ops::Range,
	path::{Path, PathBuf},
	time::UNIX_EPOCH,
};

/// How long evidence is kept, in seconds: 90 days. The chain keeps its root.
const KEPT: UnixSeconds = 90 * 24 * 60 * 60;
/// The most bytes of an evidence file: an answer of [`MAX_ANSWER_WORDS`] and as many spans as are
/// kept stay far below.
///
/// [`MAX_ANSWER_WORDS`]: openledger_attribution::MAX_ANSWER_WORDS
const MAX_BYTES: u64 = 16 << 20;

/// The evidence of one answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
	/// The root that the chain keeps.
	pub evidence_root: String,
	/// Hash of the answer's bytes.
	pub answer_hash: String,
	/// The answer.
	pub answer: String,
	/// The spans of the claim, in its order.
	pub spans: Vec<Span>,
	/// Spans without a gain, or beyond what a claim holds: matches, but not paid.
	pub unpaid: Vec<Span>,
}

/// A run of words that the answer has in common with a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
	/// SCALE of the [`MatchedSpan`](openledger_primitives::span::MatchedSpan) as it stood in the
	/// claim.
	pub scale: String,
	/// Whose record it is.
	pub contribution: ContributionId,
	/// Content hash of the contribution's blob.
	pub content: String,
	/// First word in the answer.
	pub answer_start: u32,
	/// First word in the record.
	pub record_start: u32,
	/// Number of words.
	pub words: u32,
	/// Bytes in the answer: the first, and the one behind the last.
	pub answer_bytes: [usize; 2],
	/// What the adapter gained, in millionths of a nat.
	pub gain_micro: u32,
	/// How often the words occur in all records.
	pub count: u32,
	/// The record.
	pub record: RecordOf,
}

/// A record as evidence shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordOf {
	/// Its number in the contribution.
	pub number: u32,
	/// Its salt; absent when the store does not have the contribution any more.
	#[serde(skip_serializing_if = "Option::is_none")]
	pub salt: Option<String>,
	/// Its canonical bytes.
	#[serde(skip_serializing_if = "Option::is_none")]
	pub canonical: Option<String>,
	/// It as people read it: a text as it is, fields as lines of `name: value`.
	#[serde(skip_serializing_if = "Option::is_none")]
	pub text: Option<String>,
}

impl Evidence {
	/// The evidence of an attribution.
	pub fn new(
		answer: &str,
		answer_hash: H256,
		attribution: &Attribution,
		sources: &[SourceContribution],
	) -> Self {
		let contents: HashMap<ContributionId, H256> =
			sources.iter().map(|source| (source.id, source.content)).collect();
		let spans = |shown: &[SpanEvidence]| {
			shown.iter().map(|shown| Span::new(shown, &contents)).collect()
		};
		Self {
			evidence_root: show(attribution.evidence_root),
			answer_hash: show(answer_hash),
			answer: answer.into(),
			spans: spans(&attribution.evidence),
			unpaid: spans(&attribution.unpaid),
		}
	}

	/// Puts the records in, from the store, one contribution at a time. Those that are gone stay
	/// out.
	fn with_records(mut self, store: &Store) -> Self {
		let spans = || self.spans.iter().chain(&self.unpaid);
		let contents: BTreeSet<String> = spans().map(|span| span.content.clone()).collect();
		for hash in contents {
			let Some(content) = contribution(store, &hash) else { continue };
			for span in self.spans.iter_mut().chain(&mut self.unpaid) {
				if span.content == hash {
					span.record.fill(&content);
				}
			}
		}
		self
	}
}

impl RecordOf {
	fn fill(&mut self, content: &ContributionContent) {
		let number = usize::try_from(self.number).unwrap_or(usize::MAX);
		if let Some(salted) = content.records.get(number) {
			self.salt = Some(show_bytes(&salted.salt));
			self.canonical = Some(show_bytes(&salted.canonical));
			self.text = readable(&salted.canonical);
		}
	}
}

impl Span {
	fn new(shown: &SpanEvidence, contents: &HashMap<ContributionId, H256>) -> Self {
		let SpanEvidence { span, answer_bytes, count, .. } = shown;
		let Range { start, end } = *answer_bytes;
		Self {
			scale: show_bytes(&span.encode()),
			contribution: span.contribution,
			content: show(contents.get(&span.contribution).copied().unwrap_or_default()),
			answer_start: span.answer_start,
			record_start: span.record_start,
			words: span.words,
			answer_bytes: [start, end],
			gain_micro: span.gain_micro,
			count: *count,
			record: RecordOf {
				number: span.proof.leaf_index,
				salt: None,
				canonical: None,
				text: None,
			},
		}
	}
}

fn contribution(store: &Store, hash: &str) -> Option<ContributionContent> {
	let hash = hexadecimal::parse(hash)?;
	let bytes = sources::fetch(store, hash, Failure::SourceListMissing).ok()?;
	ContributionContent::decode_all(&mut &*bytes).ok()
}

fn readable(canonical: &[u8]) -> Option<String> {
	Some(match record::read(canonical).ok()? {
		Record::Text(text) => text.into(),
		Record::Fields(fields) => {
			let lines: Vec<String> =
				fields.iter().map(|(name, value)| format!("{name}: {value}")).collect();
			lines.join("\n")
		},
	})
}

/// The evidence on disk.
#[derive(Debug)]
pub struct EvidenceFolder {
	folder: PathBuf,
}

impl EvidenceFolder {
	/// Opens the folder, which is made if it is not there.
	pub fn open(folder: PathBuf) -> Result<Self, DiskError> {
		durable::make_folder(&folder)?;
		Ok(Self { folder })
	}

	/// Keeps evidence. Of two answers with the same root both stay.
	pub fn keep(&self, root: H256, answer: H256, evidence: &Evidence) -> Result<(), DiskError> {
		let folder = self.of(root);
		durable::make_folder(&folder)?;
		let path = file_of(&folder, answer);
		let json = serde_json::to_vec(evidence)
			.map_err(|error| DiskError::at(&path, io::Error::from(error)))?;
		durable::write(&path, &json)
	}

	/// The evidence under this root, for this answer or for the one that was given last, with those
	/// records that are in the store.
	pub fn find(
		&self,
		root: H256,
		answer: Option<H256>,
		store: &Store,
	) -> Result<Option<Evidence>, DiskError> {
		let folder = self.of(root);
		let path = match answer {
			Some(answer) => Some(file_of(&folder, answer)),
			None => newest(&folder)?,
		};
		let Some(path) = path else { return Ok(None) };
		let length = match fs::metadata(&path) {
			Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
			data => data.map_err(|e| DiskError::at(&path, e))?.len(),
		};
		if length > MAX_BYTES {
			let why = format!("it has {length} bytes");
			return Err(DiskError::Damaged { path, why });
		}
		let json = fs::read(&path).map_err(|e| DiskError::at(&path, e))?;
		let evidence: Evidence = serde_json::from_slice(&json)
			.map_err(|error| DiskError::Damaged { path, why: error.to_string() })?;
		Ok(Some(evidence.with_records(store)))
	}

	/// Removes evidence that is older than 90 days.
	pub fn sweep(&self) -> Result<(), DiskError> {
		let oldest = time::now().saturating_sub(KEPT);
		for folder in entries(&self.folder)? {
			for file in entries(&folder)? {
				let changed = fs::metadata(&file).and_then(|data| data.modified());
				let since = changed.map(|at| at.duration_since(UNIX_EPOCH).unwrap_or_default());
				if since.is_ok_and(|since| since.as_secs() < oldest) {
					fs::remove_file(&file).map_err(|e| DiskError::at(&file, e))?;
				}
			}
			// Only an empty one goes.
			let _ = fs::remove_dir(&folder);
		}
		Ok(())
	}

	fn of(&self, root: H256) -> PathBuf {
		self.folder.join(format!("{root:x}"))
	}
}

fn file_of(folder: &Path, answer: H256) -> PathBuf {
	folder.join(format!("{answer:x}.json"))
}

fn newest(folder: &Path) -> Result<Option<PathBuf>, DiskError> {
	let changed = |path: &PathBuf| fs::metadata(path).and_then(|data| data.modified()).ok();
	let is_evidence = |path: &PathBuf| path.extension().is_some_and(|end| end == "json");
	Ok(entries(folder)?.into_iter().filter(is_evidence).max_by_key(changed))
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, DiskError> {
	let at = |error| DiskError::at(folder, error);
	match fs::read_dir(folder) {
		Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
		found => {
			found.map_err(at)?.map(|entry| entry.map(|entry| entry.path()).map_err(at)).collect()
		},
	}
}
