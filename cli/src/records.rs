//! Files of a contributor → canonical records → the blob and the commitments of a contribution.
//!
//! - **JSONL** (`.jsonl`, `.ndjson`, `.json`): one JSON object per line is one record of fields, one JSON
//!   string per line is one record of text. Text, numbers and truth values are fields; a field
//!   without a value is left out.
//! - **Text** (everything else): one record per paragraph, paragraphs being apart by blank lines; or
//!   one record per line.
//!
//! Records that occur twice are taken once. What cannot be a record is named by file and line.

mod selection;

pub use selection::{FieldChoice, FieldFilter, Layout, Selection};

use std::{
	collections::HashSet,
	fmt,
	fs::File,
	io::{self, BufRead, BufReader, Read},
	path::{Path, PathBuf},
};

use openledger_primitives::{
	contribution::{ContributionContent, SaltedRecord},
	hashing,
	record::{self, RecordFault, MAX_RECORD_BYTES},
	H256,
};
use serde::Serialize;
use serde_json::Value as Json;

/// The most records of one contribution: what the chain takes.
pub const MAX_RECORDS: usize = 1_000_000;

/// The most bytes of canonical records in one contribution: what the chain takes.
pub const MAX_BYTES: usize = 1 << 30;

/// The most bytes of a line: the longest record, written in JSON with its every byte escaped.
const MAX_LINE_BYTES: u64 = 8 * MAX_RECORD_BYTES as u64;

/// How many faults are kept to be shown. All are counted.
const MAX_FAULTS_SHOWN: usize = 20;

/// A place in a file.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Place {
	/// The file.
	pub file: PathBuf,
	/// The line, from 1; of a paragraph the first.
	pub line: u64,
}

impl fmt::Display for Place {
	fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
		write!(out, "{}:{}", self.file.display(), self.line)
	}
}

/// Why something is no record.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RecordProblem {
	/// It is too long to be read.
	#[error("the line has more than {MAX_LINE_BYTES} bytes")]
	LineTooLong,
	/// It is not UTF-8.
	#[error("it is not UTF-8 text")]
	NotUtf8,
	/// It is not JSON.
	#[error("it is not JSON: {0}")]
	NotJson(String),
	/// It is JSON, but neither an object nor a string.
	#[error("it is neither an object nor a string")]
	NotARecord,
	/// A field that was asked for is not there or has no value.
	#[error("it has no field {0:?}, or nothing in it")]
	FieldMissing(String),
	/// A field is a list or an object.
	#[error("field {0:?} is not text")]
	FieldNotText(String),
	/// It has no canonical form.
	#[error("{}", explain(*.0))]
	NotCanonical(RecordFault),
}

fn explain(fault: RecordFault) -> String {
	match fault {
		RecordFault::Empty => "there is nothing in it".into(),
		RecordFault::TooLong => format!("it has more than {MAX_RECORD_BYTES} bytes"),
		RecordFault::ForbiddenCharacter { character, at } => format!(
			"it has a control character (U+{:04X} at byte {at}): binary data, or the wrong encoding",
			u32::from(character)
		),
		RecordFault::TooManyFields => format!("it has more than {} fields", record::MAX_FIELDS),
		RecordFault::DuplicateField => "two of its fields have the same name".into(),
		RecordFault::NotCanonical => "it is not in canonical form".into(),
	}
}

/// Something that cannot be a record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BadRecord {
	/// Where it is.
	pub place: Place,
	/// Why not.
	pub problem: RecordProblem,
}

impl fmt::Display for BadRecord {
	fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
		write!(out, "{}: {}", self.place, self.problem)
	}
}

/// What became of what stood in the files.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ImportReport {
	/// Records that other fields than the wanted ones excluded.
	pub filtered: u64,
	/// Records that stood there before, and so were left out.
	pub duplicates: u64,
	/// Where the first of them are.
	pub duplicate_places: Vec<Place>,
	/// What could not be a record.
	pub bad: u64,
	/// The first of them.
	pub bad_records: Vec<BadRecord>,
}

/// A contribution in the making.
#[derive(Clone, Debug, Default)]
pub struct Import {
	/// The records with their salts.
	pub content: ContributionContent,
	/// What became of the rest.
	pub report: ImportReport,
}

/// Why files make no contribution.
#[derive(Debug, thiserror::Error)]
pub enum ImportFault {
	/// A file cannot be read.
	#[error("{file} cannot be read: {error}")]
	Unreadable {
		/// Which.
		file: String,
		/// Why.
		error: io::Error,
	},
	/// Some of it cannot be records.
	#[error("{count} of the records cannot be taken:\n{}", lines(.first, *.count))]
	BadRecords {
		/// How many.
		count: u64,
		/// The first of them.
		first: Vec<BadRecord>,
	},
	/// Filters or fields were given for text.
	#[error("{0} is text: --field and --where need JSONL")]
	FieldsOfText(String),
	/// Nothing is left.
	#[error("there are no records in these files (filtered out: {filtered}, bad: {bad})")]
	Nothing {
		/// Records that the filters excluded.
		filtered: u64,
		/// What could not be a record.
		bad: u64,
	},
	/// More than fits into a contribution.
	#[error(
		"a contribution has at most {MAX_RECORDS} records and {MAX_BYTES} bytes: split the files"
	)]
	TooMuch,
	/// No salts can be drawn.
	#[error("the operating system gives no random numbers: {0}")]
	NoRandomness(String),
}

fn lines(bad: &[BadRecord], count: u64) -> String {
	let mut lines: Vec<String> = bad.iter().map(|bad| format!("  {bad}")).collect();
	let shown = u64::try_from(lines.len()).unwrap_or(u64::MAX);
	if count > shown {
		lines.push(format!("  and {} more", count.saturating_sub(shown)));
	}
	lines.join("\n")
}

/// A salt from the operating system.
pub fn random_salt() -> Result<[u8; 32], ImportFault> {
	let mut salt = [0; 32];
	getrandom::fill(&mut salt).map_err(|error| ImportFault::NoRandomness(error.to_string()))?;
	Ok(salt)
}

/// Reads files into one contribution. `salt` draws the salt of each record ([`random_salt`]);
/// `progress` is told how many more bytes were read.
pub fn import(
	files: &[PathBuf],
	selection: &Selection,
	salt: impl FnMut() -> Result<[u8; 32], ImportFault>,
	mut progress: impl FnMut(u64),
) -> Result<Import, ImportFault> {
	let mut importer =
		Importer { selection, salt, import: Import::default(), seen: HashSet::new(), bytes: 0 };
	for path in files {
		importer.file(path, &mut progress)?;
	}
	let import = importer.import;
	if import.report.bad > 0 && !selection.skip_bad {
		return Err(ImportFault::BadRecords {
			count: import.report.bad,
			first: import.report.bad_records,
		});
	}
	if import.content.records.is_empty() {
		return Err(ImportFault::Nothing {
			filtered: import.report.filtered,
			bad: import.report.bad,
		});
	}
	Ok(import)
}

struct Importer<'a, Salt> {
	selection: &'a Selection,
	salt: Salt,
	import: Import,
	/// Hashes of the records taken, so that each is taken once.
	seen: HashSet<H256>,
	bytes: usize,
}

impl<Salt: FnMut() -> Result<[u8; 32], ImportFault>> Importer<'_, Salt> {
	fn file(&mut self, path: &Path, progress: &mut impl FnMut(u64)) -> Result<(), ImportFault> {
		let layout = self.selection.layout.unwrap_or_else(|| Layout::of(path));
		let wants_fields = !self.selection.fields.is_empty() || !self.selection.filters.is_empty();
		if layout != Layout::Jsonl && wants_fields {
			return Err(ImportFault::FieldsOfText(path.display().to_string()));
		}
		let unreadable =
			|error| ImportFault::Unreadable { file: path.display().to_string(), error };
		let mut reader = BufReader::new(File::open(path).map_err(unreadable)?);
		let mut paragraph = Paragraph::default();
		let mut number = 0;
		while let Some(line) = next_line(&mut reader, number == 0, progress).map_err(unreadable)? {
			number += 1;
			let place = || Place { file: path.into(), line: number };
			match (layout, line) {
				(Layout::Paragraphs, Ok(line)) if line.trim().is_empty() => {
					self.paragraph(path, &mut paragraph)?;
				},
				(Layout::Paragraphs, Ok(line)) => paragraph.push(number, &line),
				(Layout::Paragraphs, Err(problem)) => paragraph.spoil(number, problem),
				(_, Err(problem)) => self.bad(place(), problem),
				(_, Ok(line)) if line.trim().is_empty() => {},
				(Layout::Lines, Ok(line)) => self.text(&line, place())?,
				(Layout::Jsonl, Ok(line)) => self.json(&line, place())?,
			}
		}
		self.paragraph(path, &mut paragraph)
	}

	fn paragraph(&mut self, path: &Path, paragraph: &mut Paragraph) -> Result<(), ImportFault> {
		let Paragraph { line, text, problem } = std::mem::take(paragraph);
		let place = Place { file: path.into(), line };
		match problem {
			Some(problem) => self.bad(place, problem),
			None if text.is_empty() => {},
			None => self.text(&text, place)?,
		}
		Ok(())
	}

	fn text(&mut self, text: &str, place: Place) -> Result<(), ImportFault> {
		match record::canonical_text(text) {
			Ok(canonical) => self.take(canonical.into_bytes(), place),
			Err(fault) => {
				self.bad(place, RecordProblem::NotCanonical(fault));
				Ok(())
			},
		}
	}

	fn json(&mut self, line: &str, place: Place) -> Result<(), ImportFault> {
		match self.read_json(line) {
			Ok(Some(canonical)) => self.take(canonical, place),
			Ok(None) => {
				self.import.report.filtered += 1;
				Ok(())
			},
			Err(problem) => {
				self.bad(place, problem);
				Ok(())
			},
		}
	}

	/// The canonical bytes of a line, or nothing if the filters exclude it.
	fn read_json(&self, line: &str) -> Result<Option<Vec<u8>>, RecordProblem> {
		let value: Json = serde_json::from_str(line)
			.map_err(|error| RecordProblem::NotJson(error.to_string()))?;
		let object = match value {
			Json::Object(object) => object,
			Json::String(text) => {
				if let Some(filter) = self.selection.filters.first() {
					return Err(RecordProblem::FieldMissing(filter.field.clone()));
				}
				if let Some(choice) = self.selection.fields.first() {
					return Err(RecordProblem::FieldMissing(choice.in_file.clone()));
				}
				let text = record::canonical_text(&text).map_err(RecordProblem::NotCanonical)?;
				return Ok(Some(text.into_bytes()));
			},
			_ => return Err(RecordProblem::NotARecord),
		};
		for filter in &self.selection.filters {
			let value = object.get(&filter.field);
			let text = value.map_or(Ok(None), |value| as_text(&filter.field, value))?;
			if text.unwrap_or_default() != filter.value {
				return Ok(None);
			}
		}
		let mut fields: Vec<(&str, String)> = Vec::new();
		if self.selection.fields.is_empty() {
			for (name, value) in &object {
				if let Some(text) = as_text(name, value)? {
					fields.push((name, text));
				}
			}
		}
		for choice in &self.selection.fields {
			let missing = || RecordProblem::FieldMissing(choice.in_file.clone());
			let value = object.get(&choice.in_file).ok_or_else(missing)?;
			let text = as_text(&choice.in_file, value)?.ok_or_else(missing)?;
			fields.push((&choice.name, text));
		}
		let fields: Vec<(&str, &str)> =
			fields.iter().map(|(name, text)| (*name, text.as_str())).collect();
		record::canonical_fields(&fields).map(Some).map_err(RecordProblem::NotCanonical)
	}

	fn take(&mut self, canonical: Vec<u8>, place: Place) -> Result<(), ImportFault> {
		let report = &mut self.import.report;
		if !self.seen.insert(hashing::hash("openledger/cli-duplicate", &[&canonical])) {
			report.duplicates += 1;
			if report.duplicate_places.len() < MAX_FAULTS_SHOWN {
				report.duplicate_places.push(place);
			}
			return Ok(());
		}
		self.bytes = self.bytes.saturating_add(canonical.len());
		if self.bytes > MAX_BYTES || self.import.content.records.len() >= MAX_RECORDS {
			return Err(ImportFault::TooMuch);
		}
		let salt = (self.salt)()?;
		self.import.content.records.push(SaltedRecord { salt, canonical });
		Ok(())
	}

	fn bad(&mut self, place: Place, problem: RecordProblem) {
		let report = &mut self.import.report;
		report.bad += 1;
		if report.bad_records.len() < MAX_FAULTS_SHOWN {
			report.bad_records.push(BadRecord { place, problem });
		}
	}
}

/// What a field says; nothing if it has no value.
fn as_text(name: &str, value: &Json) -> Result<Option<String>, RecordProblem> {
	match value {
		Json::Null => Ok(None),
		Json::String(text) if text.trim().is_empty() => Ok(None),
		Json::String(text) => Ok(Some(text.clone())),
		Json::Bool(_) | Json::Number(_) => Ok(Some(value.to_string())),
		Json::Array(_) | Json::Object(_) => Err(RecordProblem::FieldNotText(name.into())),
	}
}

/// Lines that belong together.
#[derive(Default)]
struct Paragraph {
	line: u64,
	text: String,
	problem: Option<RecordProblem>,
}

impl Paragraph {
	fn begin(&mut self, line: u64) {
		if self.text.is_empty() && self.problem.is_none() {
			self.line = line;
		}
	}

	fn push(&mut self, number: u64, line: &str) {
		self.begin(number);
		if self.text.len() > MAX_RECORD_BYTES.saturating_mul(2) {
			self.problem = Some(RecordProblem::NotCanonical(RecordFault::TooLong));
			return;
		}
		self.text.push_str(line);
		self.text.push('\n');
	}

	fn spoil(&mut self, number: u64, problem: RecordProblem) {
		self.begin(number);
		self.problem.get_or_insert(problem);
	}
}

/// The next line, without the byte order mark if it is the first; what is too long is passed over.
fn next_line(
	reader: &mut impl BufRead,
	is_first: bool,
	progress: &mut impl FnMut(u64),
) -> io::Result<Option<Result<String, RecordProblem>>> {
	let mut line = Vec::new();
	let read = reader.by_ref().take(MAX_LINE_BYTES).read_until(b'\n', &mut line)?;
	progress(u64::try_from(read).unwrap_or_default());
	if read == 0 {
		return Ok(None);
	}
	if !line.ends_with(b"\n") && u64::try_from(read).is_ok_and(|read| read == MAX_LINE_BYTES) {
		skip_line(reader, progress)?;
		return Ok(Some(Err(RecordProblem::LineTooLong)));
	}
	let text = match String::from_utf8(line) {
		Ok(text) => text,
		Err(_) => return Ok(Some(Err(RecordProblem::NotUtf8))),
	};
	let text = match text.strip_prefix('\u{feff}') {
		Some(rest) if is_first => rest.to_owned(),
		_ => text,
	};
	Ok(Some(Ok(text)))
}

fn skip_line(reader: &mut impl BufRead, progress: &mut impl FnMut(u64)) -> io::Result<()> {
	loop {
		let buffer = reader.fill_buf()?;
		let end = buffer.iter().position(|byte| *byte == b'\n');
		let used = end.map_or(buffer.len(), |end| end + 1);
		let is_over = end.is_some() || buffer.is_empty();
		reader.consume(used);
		progress(u64::try_from(used).unwrap_or_default());
		if is_over {
			return Ok(());
		}
	}
}

#[cfg(test)]
mod tests;
