//! Text from tokens, with the bytes that each token contributed.
//!
//! A byte-level token stands for bytes, not for characters: one character may be spread over
//! several tokens. The ranges reported here tile the text: each token owns exactly the bytes that
//! it produced, even inside a character. Bytes that form no character become U+FFFD, as in
//! [`String::from_utf8_lossy`]; the replacement belongs to the first token whose bytes it replaces.

use std::{ops::Range, str};

/// Decoded tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DecodedText {
	pub text: String,
	/// For each token the bytes of `text` that it contributed: adjacent, in order, empty for
	/// special tokens. Ends need not be character boundaries.
	pub ranges: Vec<Range<usize>>,
}

/// Builds text from the bytes of one token after the other.
#[derive(Debug, Default)]
pub struct TextBuilder {
	text: String,
	/// Bytes not yet in the text: the beginning of a character.
	pending: Vec<u8>,
	/// Bytes that went into the text.
	flushed: usize,
	/// Where each token ends, as a byte of the text; for the last `open` tokens as a byte of the
	/// input instead, until their bytes are flushed.
	ends: Vec<usize>,
	open: usize,
}

impl TextBuilder {
	/// Adds a token's bytes. Returns the text that became complete through it, possibly none.
	pub fn push(&mut self, bytes: &[u8]) -> &str {
		let before = self.text.len();
		self.pending.extend_from_slice(bytes);
		self.ends.push(self.flushed + self.pending.len());
		self.open += 1;
		self.flush(false);
		self.text.get(before..).unwrap_or_default()
	}

	/// The text so far, without a character that is not complete yet.
	pub fn text(&self) -> &str {
		&self.text
	}

	/// The finished text; a character that stayed incomplete becomes U+FFFD.
	pub fn finish(mut self) -> DecodedText {
		self.flush(true);
		let mut start = 0;
		let ranges = self
			.ends
			.iter()
			.map(|end| {
				let range = start..*end;
				start = *end;
				range
			})
			.collect();
		DecodedText { text: self.text, ranges }
	}

	fn flush(&mut self, finished: bool) {
		let mut pending = std::mem::take(&mut self.pending);
		let mut rest = pending.as_slice();
		loop {
			match str::from_utf8(rest) {
				Ok(valid) => {
					self.append(valid, valid.len(), true);
					rest = &[];
					break;
				},
				Err(error) => {
					let (valid, invalid) = rest.split_at(error.valid_up_to());
					if let Ok(valid) = str::from_utf8(valid) {
						self.append(valid, valid.len(), true);
					}
					rest = invalid;
					match error.error_len() {
						Some(length) => {
							self.append("\u{FFFD}", length, false);
							rest = invalid.get(length..).unwrap_or_default();
						},
						None if finished => {
							self.append("\u{FFFD}", invalid.len(), false);
							rest = &[];
							break;
						},
						None => break,
					}
				},
			}
		}
		let done = pending.len() - rest.len();
		pending.drain(..done);
		self.pending = pending;
	}

	/// Moves the next `length` bytes of the input into the text, where they read `text`, and
	/// resolves the ends of tokens among them. In an exact copy offsets carry over; in a
	/// replacement everything after its beginning is its end.
	fn append(&mut self, text: &str, length: usize, exact: bool) {
		let start = self.text.len();
		self.text.push_str(text);
		let first_open = self.ends.len() - self.open;
		for end in self.ends.iter_mut().skip(first_open) {
			if *end > self.flushed + length {
				break;
			}
			*end = match *end - self.flushed {
				0 => start,
				offset if exact => start + offset,
				_ => self.text.len(),
			};
			self.open -= 1;
		}
		self.flushed += length;
	}
}

#[cfg(test)]
mod tests {
	use super::*;
	use proptest::prelude::*;

	fn decode(tokens: &[&[u8]]) -> DecodedText {
		let mut builder = TextBuilder::default();
		for token in tokens {
			builder.push(token);
		}
		builder.finish()
	}

	#[test]
	fn ranges_should_split_a_character_that_two_tokens_spell() {
		let decoded = decode(&[b"a", b"\xE2\x82", b"\xAC", b"", b"b"]);
		assert_eq!(decoded.text, "a€b");
		assert_eq!(decoded.ranges, [0..1, 1..3, 3..4, 4..4, 4..5]);
	}

	#[test]
	fn invalid_bytes_should_become_one_replacement_owned_by_their_token() {
		let decoded = decode(&[b"\xE2\x82", b"x"]);
		assert_eq!(decoded.text, "\u{FFFD}x");
		assert_eq!(decoded.ranges, [0..3, 3..4]);
		let decoded = decode(&[b"y\xF0", b"\x9F"]);
		assert_eq!(decoded.text, "y\u{FFFD}");
		assert_eq!(decoded.ranges, [0..4, 4..4]);
	}

	#[test]
	fn push_should_return_complete_characters_only() {
		let mut builder = TextBuilder::default();
		assert_eq!(builder.push(b"\xC3"), "");
		assert_eq!(builder.push(b"\xA9t"), "ét");
		assert_eq!(builder.text(), "ét");
	}

	proptest! {
		#[test]
		fn text_should_equal_lossy_decoding_and_ranges_should_tile_it(
			tokens in prop::collection::vec(
				prop_oneof![
					prop::collection::vec(any::<u8>(), 0..4),
					"\\PC{0,2}".prop_map(String::into_bytes),
					Just(vec![0xE2]), Just(vec![0x82]), Just(vec![0xAC]), Just("\u{FFFD}".into()),
				],
				0..24,
			)
		) {
			let slices: Vec<&[u8]> = tokens.iter().map(Vec::as_slice).collect();
			let decoded = decode(&slices);
			let bytes = tokens.concat();
			prop_assert_eq!(&decoded.text, &*String::from_utf8_lossy(&bytes));
			prop_assert_eq!(decoded.ranges.len(), tokens.len());
			let mut end = 0;
			for range in &decoded.ranges {
				prop_assert_eq!(range.start, end);
				prop_assert!(range.end >= range.start);
				end = range.end;
			}
			prop_assert_eq!(end, decoded.text.len());
		}
	}
}
