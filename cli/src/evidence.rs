//! Whether what a worker shows about an answer is what the chain commits to.
//!
//! The chain keeps, for each settled request, the hash of the answer, the root over the evidence and
//! who got which share; and the Merkle root of each contribution. From these everything else that a
//! worker shows can be checked, so its word is never taken for anything.

use std::{
	collections::{BTreeMap, BTreeSet},
	fmt,
	ops::Range,
};

use codec::DecodeAll;
use openledger_primitives::{
	content::content_hash,
	record::{self, Record},
	span::{self, MatchedSpan, MAX_CLAIM_SPANS},
	words, ContributionId, DatanetId, H256,
};
use serde::{Deserialize, Serialize, Serializer};

/// What a worker knows behind an attribution claim, as it says it (`GET /v1/evidence/{root}`).
#[derive(Clone, PartialEq, Eq, Debug, Deserialize, Serialize)]
pub struct Evidence {
	/// The root it is known by.
	pub evidence_root: H256,
	/// The answer.
	pub answer: String,
	/// The spans, in the order of the answer.
	pub spans: Vec<SpanEvidence>,
}

/// What a worker knows behind one span.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize, Serialize)]
pub struct SpanEvidence {
	/// SCALE of the span as it stood in the claim, in hexadecimal.
	pub scale: String,
	/// The record it was found in.
	pub record: RecordEvidence,
}

/// A record with what its leaf was made of.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize, Serialize)]
pub struct RecordEvidence {
	/// Its number in its contribution.
	pub number: u32,
	/// Its salt, in hexadecimal; nothing if the worker has erased the record.
	pub salt: Option<String>,
	/// Its canonical bytes, in hexadecimal; nothing if the worker has erased the record.
	pub canonical: Option<String>,
}

/// A contribution's commitment on the chain.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KnownContribution {
	/// Merkle root over its records.
	pub root: H256,
	/// How many records it has.
	pub records: u32,
}

/// What the chain says about an answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Committed {
	/// Hash of the answer.
	pub answer_hash: H256,
	/// Root over the evidence.
	pub evidence_root: H256,
	/// Each contribution's share, in parts per million, in ascending order of contribution.
	pub shares: Vec<(ContributionId, u32)>,
	/// The commitments of the contributions that the chain still knows.
	pub contributions: BTreeMap<ContributionId, KnownContribution>,
}

/// What does not agree with the chain. Spans are counted from 1.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case", tag = "doubt")]
pub enum Doubt {
	/// The answer is another one.
	AnswerDiffers,
	/// There are more spans than a claim can hold.
	TooManySpans,
	/// A span cannot be read.
	Unreadable {
		/// Which.
		span: usize,
	},
	/// The spans do not hash to the evidence root.
	EvidenceRootDiffers,
	/// The shares that were paid do not follow from the spans.
	SharesDiffer,
	/// The spans are ones that no claim may hold.
	SpansNotAllowed,
	/// The chain does not know the contribution.
	ContributionUnknown {
		/// Which span.
		span: usize,
	},
	/// The record's leaf does not lead to the contribution's root.
	NotInContribution {
		/// Which span.
		span: usize,
	},
	/// The record with its salt is not what was committed to.
	RecordDiffers {
		/// Which span.
		span: usize,
	},
	/// The words are not the same in the answer and in the record.
	WordsDiffer {
		/// Which span.
		span: usize,
	},
}

impl fmt::Display for Doubt {
	fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
		match self {
			Self::AnswerDiffers => write!(out, "the answer is not the one that was paid for"),
			Self::TooManySpans => write!(out, "there are more spans than a claim can hold"),
			Self::Unreadable { span } => write!(out, "span {span} cannot be read"),
			Self::EvidenceRootDiffers => {
				write!(out, "the spans do not hash to the evidence root on the chain")
			},
			Self::SharesDiffer => {
				write!(out, "the shares that were paid do not follow from the spans")
			},
			Self::SpansNotAllowed => {
				write!(out, "the spans overlap, are too short, or earned nothing")
			},
			Self::ContributionUnknown { span } => {
				write!(out, "the chain does not know the contribution of span {span}")
			},
			Self::NotInContribution { span } => {
				write!(out, "the record of span {span} is not in its contribution")
			},
			Self::RecordDiffers { span } => {
				write!(out, "the record of span {span} is not the one that was committed to")
			},
			Self::WordsDiffer { span } => {
				write!(out, "the words of span {span} are not the same in answer and record")
			},
		}
	}
}

/// A span that was checked from the words up to the chain.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VerifiedSpan {
	/// Where it came from.
	pub contribution: ContributionId,
	/// The record's number in the contribution.
	pub record: u32,
	/// How many words.
	pub words: u32,
	/// What the adapter gained on it, in millionths of a nat.
	pub gain_micro: u32,
	/// Its bytes in the answer.
	pub answer_bytes: Range<usize>,
	/// Where it stands in the record; nothing if the worker has erased the record, so that only the
	/// record's place in the contribution was checked.
	pub passage: Option<Passage>,
}

/// A span's place in its record.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Passage {
	/// The text that it stands in: all of the record, or one field's value.
	pub text: String,
	/// Its bytes in the text; in JSON the first, and the one behind the last.
	#[serde(serialize_with = "as_pair")]
	pub bytes: Range<usize>,
}

fn as_pair<S: Serializer>(range: &Range<usize>, serializer: S) -> Result<S::Ok, S::Error> {
	[range.start, range.end].serialize(serializer)
}

/// What came of checking evidence.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Verification {
	/// The spans that hold, in the order of the answer.
	pub spans: Vec<VerifiedSpan>,
	/// What does not agree.
	pub doubts: Vec<Doubt>,
}

impl Verification {
	/// Whether everything agrees.
	pub fn holds(&self) -> bool {
		self.doubts.is_empty()
	}
}

impl Evidence {
	/// The contributions that its spans name, whose commitments are needed to check it.
	pub fn contributions(&self) -> BTreeSet<ContributionId> {
		let spans = self.spans.iter().take(MAX_CLAIM_SPANS as usize);
		spans.filter_map(SpanEvidence::claimed).map(|span| span.contribution).collect()
	}
}

impl SpanEvidence {
	/// The span as it stood in the claim; nothing if it cannot be read.
	fn claimed(&self) -> Option<MatchedSpan> {
		MatchedSpan::decode_all(&mut &bytes(&self.scale)?[..]).ok()
	}
}

/// Checks everything that evidence says about an answer against what the chain commits to.
pub fn verify(evidence: &Evidence, committed: &Committed) -> Verification {
	let mut result = Verification::default();
	if content_hash(evidence.answer.as_bytes()) != committed.answer_hash {
		result.doubts.push(Doubt::AnswerDiffers);
	}
	if evidence.spans.len() > MAX_CLAIM_SPANS as usize {
		result.doubts.push(Doubt::TooManySpans);
		return result;
	}
	let mut spans = Vec::with_capacity(evidence.spans.len());
	for (number, shown) in (1..).zip(&evidence.spans) {
		match shown.claimed() {
			Some(span) => spans.push((number, span, &shown.record)),
			None => result.doubts.push(Doubt::Unreadable { span: number }),
		}
	}
	let claimed: Vec<MatchedSpan> = spans.iter().map(|(_, span, _)| span.clone()).collect();
	if span::evidence_root(&claimed) != committed.evidence_root
		|| evidence.evidence_root != committed.evidence_root
	{
		result.doubts.push(Doubt::EvidenceRootDiffers);
	}
	if span::check(&claimed).is_err() {
		result.doubts.push(Doubt::SpansNotAllowed);
	}
	let shares = span::shares_of(&claimed);
	let shares = shares.iter().map(|share| (share.contribution, share.parts));
	if !shares.eq(committed.shares.iter().copied()) {
		result.doubts.push(Doubt::SharesDiffer);
	}
	if result.doubts.contains(&Doubt::AnswerDiffers) {
		// Where words stand in another answer says nothing about this one.
		return result;
	}
	for (number, span, record) in spans {
		match verify_span(&span, record, &evidence.answer, number, &committed.contributions) {
			Ok(verified) => result.spans.push(verified),
			Err(doubt) => result.doubts.push(doubt),
		}
	}
	result
}

fn verify_span(
	claimed: &MatchedSpan,
	shown: &RecordEvidence,
	answer: &str,
	span: usize,
	contributions: &BTreeMap<ContributionId, KnownContribution>,
) -> Result<VerifiedSpan, Doubt> {
	let known =
		contributions.get(&claimed.contribution).ok_or(Doubt::ContributionUnknown { span })?;
	let is_inside =
		claimed.proof.verify(known.root, claimed.leaf) && claimed.proof.leaf_count == known.records;
	if !is_inside {
		return Err(Doubt::NotInContribution { span });
	}
	let words_differ = || Doubt::WordsDiffer { span };
	let answer_words = words::words(answer);
	let in_answer =
		run(&answer_words, claimed.answer_start, claimed.words).ok_or_else(words_differ)?;
	let mut verified = VerifiedSpan {
		contribution: claimed.contribution,
		record: claimed.proof.leaf_index,
		words: claimed.words,
		gain_micro: claimed.gain_micro,
		answer_bytes: reach(in_answer).ok_or_else(words_differ)?,
		passage: None,
	};
	let (Some(salt), Some(canonical)) = (&shown.salt, &shown.canonical) else {
		return Ok(verified);
	};
	let differs = || Doubt::RecordDiffers { span };
	let salt: [u8; 32] = bytes(salt).and_then(|salt| salt.try_into().ok()).ok_or_else(differs)?;
	let canonical = bytes(canonical).ok_or_else(differs)?;
	let is_committed = record::record_leaf(&salt, &canonical) == claimed.leaf
		&& shown.number == claimed.proof.leaf_index;
	if !is_committed {
		return Err(differs());
	}
	let record = record::read(&canonical).map_err(|_| differs())?;
	let (passage, words) = place_of(&record, claimed).ok_or_else(words_differ)?;
	if !in_answer.iter().map(|word| &word.text).eq(words.iter().map(|word| &word.text)) {
		return Err(words_differ());
	}
	verified.passage = Some(passage);
	Ok(verified)
}

/// Where a span stands in its record, and its words there. Words are counted through all passages, and
/// all of a span is in one of them.
fn place_of(record: &Record, claimed: &MatchedSpan) -> Option<(Passage, Vec<words::Word>)> {
	let mut start = claimed.record_start;
	for passage in words::passages(record) {
		let words = words::words(passage);
		let count = u32::try_from(words.len()).ok()?;
		if start < count {
			let run = run(&words, start, claimed.words)?;
			return Some((Passage { text: passage.to_owned(), bytes: reach(run)? }, run.to_vec()));
		}
		start = start.checked_sub(count)?;
	}
	None
}

/// So many words from a place on.
fn run(words: &[words::Word], start: u32, count: u32) -> Option<&[words::Word]> {
	let start = usize::try_from(start).ok()?;
	words.get(start..start.checked_add(usize::try_from(count).ok()?)?)
}

/// The bytes from the first of these words to the last.
fn reach(words: &[words::Word]) -> Option<Range<usize>> {
	Some(words.first()?.range.start..words.last()?.range.end)
}

fn bytes(hexadecimal: &str) -> Option<Vec<u8>> {
	hex::decode(hexadecimal.strip_prefix("0x").unwrap_or(hexadecimal)).ok()
}

/// A contribution by its numbers.
pub fn contribution_id(datanet: u32, index: u32) -> ContributionId {
	ContributionId { datanet: DatanetId(datanet), index }
}

#[cfg(test)]
mod tests;
