//! What people and programs see: results on standard output, progress on standard error.

use std::{
	env,
	fmt::{self, Write as _},
	io::{self, IsTerminal, Write},
	time::Duration,
};

use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use crate::{
	error::{Error, Result},
	marking::Marks,
};

/// How results are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum)]
pub enum Format {
	/// For people.
	#[default]
	Human,
	/// One JSON document, or one on each line while something goes on.
	Json,
}

/// A result of a command: JSON for programs by its fields, text for people.
pub trait Report: Serialize {
	/// Writes it for people.
	fn human(&self, out: &mut dyn fmt::Write, style: Style) -> fmt::Result;
}

/// What a terminal can show.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Style {
	/// Whether ANSI sequences may be used.
	pub colour: bool,
}

impl Style {
	/// How places in text are marked.
	pub fn marks(self) -> Marks {
		if self.colour {
			Marks::Underline
		} else {
			Marks::Quotes
		}
	}

	/// A heading.
	pub fn bold(self, text: &str) -> String {
		if self.colour {
			format!("\u{1b}[1m{text}\u{1b}[22m")
		} else {
			text.into()
		}
	}
}

/// Where results and progress go.
#[derive(Clone, Copy, Debug)]
pub struct Output {
	format: Format,
	style: Style,
	bars: bool,
}

impl Output {
	/// Output as the terminal and `NO_COLOR` allow.
	pub fn new(format: Format) -> Self {
		let plain = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
		Self {
			format,
			style: Style { colour: !plain && io::stdout().is_terminal() },
			bars: !plain && format == Format::Human && io::stderr().is_terminal(),
		}
	}

	/// How results are written.
	pub fn format(&self) -> Format {
		self.format
	}

	/// Writes a result.
	pub fn result<T: Report>(&self, report: &T) -> Result<()> {
		let text = match self.format {
			Format::Human => {
				let mut text = String::new();
				report.human(&mut text, self.style)?;
				text
			},
			Format::Json => {
				let json = serde_json::to_string(report)
					.map_err(|error| Error::Machine(format!("a result is no JSON: {error}")))?;
				json + "\n"
			},
		};
		self.write(&text)
	}

	/// Writes text as it is.
	pub fn write(&self, text: &str) -> Result<()> {
		let mut out = io::stdout().lock();
		match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
			// Who closed the pipe has read enough.
			Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
			done => done.map_err(|error| Error::Machine(format!("standard output: {error}"))),
		}
	}

	/// Tells people what is going on.
	pub fn note(&self, text: impl AsRef<str>) {
		if self.format == Format::Human {
			eprintln!("{}", text.as_ref());
		}
	}

	/// Begins something that takes a while and has no measure.
	pub fn step(&self, text: impl Into<String>) -> Step {
		let text = text.into();
		if !self.bars {
			self.note(&text);
			return Step(ProgressBar::hidden());
		}
		let bar = ProgressBar::new_spinner();
		bar.set_message(text);
		bar.enable_steady_tick(Duration::from_millis(120));
		Step(bar)
	}

	/// Begins something of a known number of bytes.
	pub fn bytes(&self, text: impl Into<String>, total: u64) -> Step {
		self.measured(text, total, "{msg} [{bar:30}] {bytes}/{total_bytes}")
	}

	/// Begins something of a known number of steps.
	pub fn steps(&self, text: impl Into<String>, total: u64) -> Step {
		self.measured(text, total, "{msg} [{bar:20}] {pos}/{len}")
	}

	fn measured(&self, text: impl Into<String>, total: u64, template: &str) -> Step {
		let text = text.into();
		if !self.bars {
			self.note(&text);
			return Step(ProgressBar::hidden());
		}
		let bar = ProgressBar::new(total);
		if let Ok(style) = ProgressStyle::with_template(template) {
			bar.set_style(style.progress_chars("=> "));
		}
		bar.set_message(text);
		Step(bar)
	}

	/// Whether progress is drawn, so that plain lines need not repeat it.
	pub fn draws(&self) -> bool {
		self.bars
	}

	/// Writes what went wrong, to standard error.
	pub fn error(&self, error: &Error) {
		let code = error.exit_code() as u8;
		match self.format {
			Format::Human => {
				eprintln!("error: {error}");
				if let Some(hint) = error.hint() {
					eprintln!("  {hint}");
				}
			},
			Format::Json => {
				let said =
					ErrorReport { error: error.to_string(), hint: error.hint(), exit_code: code };
				match serde_json::to_string(&said) {
					Ok(json) => eprintln!("{json}"),
					Err(_) => eprintln!("{error}"),
				}
			},
		}
	}
}

/// What goes to standard error as JSON when a command fails.
#[derive(Serialize)]
pub struct ErrorReport {
	/// What is wrong.
	pub error: String,
	/// What to do.
	pub hint: Option<String>,
	/// The exit code.
	pub exit_code: u8,
}

/// Something that goes on; it is wiped when it is dropped.
pub struct Step(ProgressBar);

impl Step {
	/// So much more is done.
	pub fn advance(&self, more: u64) {
		self.0.inc(more);
	}

	/// So much is done, of so much.
	pub fn position(&self, done: u64, of: u64) {
		self.0.set_length(of);
		self.0.set_position(done);
	}

	/// What is going on now.
	pub fn message(&self, text: impl Into<String>) {
		self.0.set_message(text.into());
	}
}

impl Drop for Step {
	fn drop(&mut self) {
		self.0.finish_and_clear();
	}
}

/// A table of names and values, the values below each other.
pub fn table(out: &mut dyn fmt::Write, rows: &[(&str, String)]) -> fmt::Result {
	let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default();
	for (name, value) in rows {
		writeln!(out, "  {name:width$}  {value}")?;
	}
	Ok(())
}

/// A result that is a few names and values.
#[derive(Serialize)]
#[serde(transparent)]
pub struct Plain<T> {
	/// What programs read.
	pub value: T,
	/// What people read.
	#[serde(skip)]
	pub text: String,
}

impl<T: Serialize> Report for Plain<T> {
	fn human(&self, out: &mut dyn fmt::Write, _: Style) -> fmt::Result {
		writeln!(out, "{}", self.text)
	}
}

/// A number with six decimals from millionths.
pub fn from_micro(micro: u64) -> String {
	let mut text = String::new();
	// Writing to a string does not fail.
	let _ = write!(text, "{}.{:06}", micro / 1_000_000, micro % 1_000_000);
	text
}

/// A percentage with two decimals from parts per million.
pub fn percent(parts_per_million: u32) -> String {
	let hundredths = (u64::from(parts_per_million) + 50) / 100;
	format!("{}.{:02} %", hundredths / 100, hundredths % 100)
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn millionths_and_percentages_are_exact() {
		assert_eq!(from_micro(0), "0.000000");
		assert_eq!(from_micro(2_345_678), "2.345678");
		assert_eq!(percent(1_000_000), "100.00 %");
		assert_eq!(percent(666_667), "66.67 %");
		assert_eq!(percent(1), "0.00 %");
	}

	#[test]
	fn tables_stand_below_each_other() {
		let mut text = String::new();
		table(&mut text, &[("a", "1".into()), ("long", "2".into())]).unwrap();
		assert_eq!(text, "  a     1\n  long  2\n");
	}

	#[test]
	fn errors_are_json_for_programs() {
		let report = ErrorReport { error: "no".into(), hint: None, exit_code: 3 };
		assert_eq!(
			serde_json::to_value(&report).unwrap(),
			serde_json::json!({ "error": "no", "hint": null, "exit_code": 3 })
		);
	}
}
