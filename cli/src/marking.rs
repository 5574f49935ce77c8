//! Text from elsewhere on a terminal: made harmless, with places marked in it.

use std::{fmt::Write, ops::Range};

/// Text as it may be written to a terminal: control characters, with which text could move the
/// cursor or change what was written before, become `\u{…}`. New lines and tabs stay.
pub fn printable(text: &str) -> String {
	let mut out = String::with_capacity(text.len());
	for character in text.chars() {
		match character {
			'\n' | '\t' => out.push(character),
			_ if character.is_control() || is_direction_override(character) => {
				out.extend(character.escape_unicode());
			},
			_ => out.push(character),
		}
	}
	out
}

/// Text on one line, at most `width` characters of it.
pub fn one_line(text: &str, width: usize) -> String {
	let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
	if text.chars().count() <= width {
		return printable(&text);
	}
	let start: String = text.chars().take(width.saturating_sub(1)).collect();
	printable(&start) + "…"
}

/// Characters that make what follows look like something else.
fn is_direction_override(character: char) -> bool {
	matches!(character, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

/// How a place is marked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Marks {
	/// Underlined, by ANSI sequences.
	Underline,
	/// Between `«` and `»`.
	Quotes,
}

/// A place in a text, with what it is called.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mark {
	/// Its bytes.
	pub bytes: Range<usize>,
	/// What stands behind it in brackets; nothing if it is empty.
	pub label: String,
}

/// The printable text with the places marked. Places that are not in the text, cut a character or
/// begin before the one before ends are not marked.
pub fn mark(text: &str, places: &[Mark], marks: Marks) -> String {
	let mut out = String::with_capacity(text.len());
	let mut done = 0;
	for place in places {
		let Range { start, end } = place.bytes;
		let (Some(before), Some(marked)) = (text.get(done..start), text.get(start..end)) else {
			continue;
		};
		out.push_str(&printable(before));
		let marked = printable(marked);
		// Writing to a string does not fail.
		let _ = match marks {
			Marks::Underline => write!(out, "\u{1b}[4m{marked}\u{1b}[24m"),
			Marks::Quotes => write!(out, "«{marked}»"),
		};
		if !place.label.is_empty() {
			let _ = match marks {
				Marks::Underline => write!(out, "\u{1b}[2m[{}]\u{1b}[22m", place.label),
				Marks::Quotes => write!(out, "[{}]", place.label),
			};
		}
		done = end;
	}
	out.push_str(&printable(text.get(done..).unwrap_or_default()));
	out
}

#[cfg(test)]
mod tests {
	use super::*;

	fn place(bytes: Range<usize>, label: &str) -> Mark {
		Mark { bytes, label: label.into() }
	}

	#[test]
	fn places_are_marked_between_whole_characters() {
		let text = "Über 日本の首都 sagt man: naïve Ideen.";
		let find = |part: &str| {
			let start = text.find(part).unwrap();
			start..start + part.len()
		};
		let places = [place(find("日本の首都"), "1"), place(find("naïve Ideen"), "2")];
		assert_eq!(
			mark(text, &places, Marks::Quotes),
			"Über «日本の首都»[1] sagt man: «naïve Ideen»[2]."
		);
		assert_eq!(
			mark(text, &places[..1], Marks::Underline),
			"Über \u{1b}[4m日本の首都\u{1b}[24m\u{1b}[2m[1]\u{1b}[22m sagt man: naïve Ideen."
		);
	}

	#[test]
	fn combining_characters_and_emoji_stay_whole() {
		let text = "e\u{301}te\u{301} 👩‍👩‍👧 fin";
		let end = text.find(" fin").unwrap();
		assert_eq!(mark(text, &[place(0..end, "")], Marks::Quotes), "«e\u{301}te\u{301} 👩‍👩‍👧» fin");
	}

	#[test]
	fn impossible_places_are_left_unmarked() {
		let text = "añb";
		for bytes in [2..4, 1..2, 0..9, 9..10] {
			assert_eq!(mark(text, &[place(bytes, "1")], Marks::Quotes), text);
		}
		#[allow(clippy::reversed_empty_ranges)]
		let reversed = 3..1;
		assert_eq!(mark(text, &[place(reversed, "1")], Marks::Quotes), text);
		let overlapping = [place(0..3, "1"), place(1..4, "2")];
		assert_eq!(mark(text, &overlapping, Marks::Quotes), "«añ»[1]b");
	}

	#[test]
	fn an_answer_cannot_write_over_the_terminal() {
		let text = "ok\u{1b}[2J\u{7}\rpaid 9\u{202e}NEPO\nnext\tline";
		let shown = mark(text, &[place(0..2, "1")], Marks::Quotes);
		assert!(shown.chars().all(|c| !c.is_control() || c == '\n' || c == '\t'), "{shown:?}");
		assert!(shown.starts_with("«ok»[1]\\u{1b}[2J"));
		assert!(shown.ends_with("\\u{202e}NEPO\nnext\tline"));
	}

	#[test]
	fn long_text_is_cut_by_characters() {
		assert_eq!(one_line("  two\n words ", 20), "two words");
		assert_eq!(one_line("日本の首都はどこですか", 5), "日本の首…");
	}
}
