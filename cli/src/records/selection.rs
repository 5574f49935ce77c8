//! What to take from a contributor's files.

use std::{path::Path, str::FromStr};

use clap::ValueEnum;

/// How a file is cut into records.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Layout {
	/// One JSON value per line.
	Jsonl,
	/// Text, one record per line.
	Lines,
	/// Text, one record per paragraph: blank lines are between.
	Paragraphs,
}

impl Layout {
	/// The layout that a file's name says.
	pub fn of(path: &Path) -> Self {
		match path.extension().and_then(|extension| extension.to_str()) {
			Some("jsonl" | "ndjson" | "json") => Self::Jsonl,
			_ => Self::Paragraphs,
		}
	}
}

/// A field to take, and what to call it: `question` or `question=instruction`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FieldChoice {
	/// Its name in the record.
	pub name: String,
	/// Its name in the file.
	pub in_file: String,
}

impl FromStr for FieldChoice {
	type Err = String;

	fn from_str(text: &str) -> Result<Self, String> {
		let (name, in_file) = text.split_once('=').unwrap_or((text, text));
		if name.is_empty() || in_file.is_empty() {
			return Err("a field is a name, or a new name = the name in the file".into());
		}
		Ok(Self { name: name.into(), in_file: in_file.into() })
	}
}

/// Which lines are wanted: `category=physics`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FieldFilter {
	/// The field's name in the file.
	pub field: String,
	/// What it must say.
	pub value: String,
}

impl FromStr for FieldFilter {
	type Err = String;

	fn from_str(text: &str) -> Result<Self, String> {
		match text.split_once('=') {
			Some((field, value)) if !field.is_empty() => {
				Ok(Self { field: field.into(), value: value.into() })
			},
			_ => Err("a filter is field=value".into()),
		}
	}
}

/// What to take from files.
#[derive(Clone, Debug, Default)]
pub struct Selection {
	/// How the files are cut; by their names if it is not said.
	pub layout: Option<Layout>,
	/// The fields to take; all if none is named.
	pub fields: Vec<FieldChoice>,
	/// What a line must say to be taken; all of these.
	pub filters: Vec<FieldFilter>,
	/// Leave out what cannot be a record, instead of refusing the files.
	pub skip_bad: bool,
}
