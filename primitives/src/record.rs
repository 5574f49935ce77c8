//! The canonical bytes of a record, and the salted leaf that commits to them.
//!
//! A contributor's record is text, or named fields of text (a question and its answer). Two people
//! who hold the same record must get the same bytes, whatever editor or spreadsheet it went through:
//!
//! - **text** is brought to Unicode normalisation form C, every maximal run of white space
//!   (the Unicode property `White_Space`) becomes one U+0020, white space at the ends is dropped,
//!   and what is left is written as UTF-8;
//! - **fields** are written one after the other, sorted by the bytes of their names:
//!   `0x00 ‖ number of fields: u32 LE`, then for each field
//!   `length of the name: u32 LE ‖ name ‖ length of the value: u32 LE ‖ value`, names and values
//!   being canonical text.
//!
//! Canonical text has no control characters, so no text has the bytes of a record of fields.
//!
//! Text with control characters other than white space, or with noncharacters, is refused instead
//! of repaired: such a record is binary data or was read with the wrong encoding. Format characters
//! (soft hyphen, joiners, direction marks) are kept, because they carry meaning in many scripts; two
//! records that differ only in them are different records here and near-duplicates to a curator.
//!
//! The normal form of a character never changes once Unicode has assigned it. Text with characters
//! that [`UNICODE_VERSION`] does not know yet could have another normal form later, so everybody
//! who makes leaves must use the same version of the tables or a later one of the same crate.

use crate::{hashing, merkle, H256};
use alloc::{string::String, vec::Vec};
use unicode_normalization::UnicodeNormalization;

pub use unicode_normalization::UNICODE_VERSION;

/// The most bytes a canonical record can have: 1 MiB.
pub const MAX_RECORD_BYTES: usize = 1 << 20;

/// The most fields a record can have.
pub const MAX_FIELDS: usize = 64;

/// The first byte of a record of fields. Canonical text never starts with it.
const FIELDS_MARK: u8 = 0;

/// Why something has no canonical bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RecordFault {
	/// Nothing is left of the text, a field's name or a field's value; or there are no fields.
	Empty,
	/// The canonical bytes are more than [`MAX_RECORD_BYTES`].
	TooLong,
	/// A control character that is not white space, or a noncharacter.
	ForbiddenCharacter {
		/// The character.
		character: char,
		/// Where it is, in bytes from the start of the text, name or value.
		at: usize,
	},
	/// More than [`MAX_FIELDS`] fields.
	TooManyFields,
	/// Two fields have the same canonical name.
	DuplicateField,
	/// The bytes are not the canonical bytes of any record.
	NotCanonical,
}

/// The canonical form of a text, whose UTF-8 bytes are the record. Canonical text is its own
/// canonical form.
pub fn canonical_text(text: &str) -> Result<String, RecordFault> {
	if let Some((at, character)) = text.char_indices().find(|(_, c)| is_forbidden(*c)) {
		return Err(RecordFault::ForbiddenCharacter { character, at });
	}
	let mut canonical = String::with_capacity(text.len().min(MAX_RECORD_BYTES));
	let mut space_before = false;
	for character in text.nfc() {
		if character.is_whitespace() {
			space_before = !canonical.is_empty();
			continue;
		}
		if space_before {
			canonical.push(' ');
			space_before = false;
		}
		canonical.push(character);
		if canonical.len() > MAX_RECORD_BYTES {
			return Err(RecordFault::TooLong);
		}
	}
	if canonical.is_empty() {
		return Err(RecordFault::Empty);
	}
	Ok(canonical)
}

/// The canonical bytes of a record of named fields, given in any order. A field without a value is
/// left out by the caller, so that there is one form only.
pub fn canonical_fields(fields: &[(&str, &str)]) -> Result<Vec<u8>, RecordFault> {
	if fields.len() > MAX_FIELDS {
		return Err(RecordFault::TooManyFields);
	}
	let mut canonical = fields
		.iter()
		.map(|(name, value)| Ok((canonical_text(name)?, canonical_text(value)?)))
		.collect::<Result<Vec<(String, String)>, RecordFault>>()?;
	canonical.sort_unstable();
	let same_name = canonical.iter().zip(canonical.iter().skip(1)).any(|(a, b)| a.0 == b.0);
	if same_name {
		return Err(RecordFault::DuplicateField);
	}
	if canonical.is_empty() {
		return Err(RecordFault::Empty);
	}
	let mut bytes = Vec::new();
	bytes.push(FIELDS_MARK);
	bytes.extend(length(canonical.len())?);
	for text in canonical.iter().flat_map(|(name, value)| [name, value]) {
		bytes.extend(length(text.len())?);
		bytes.extend(text.as_bytes());
		if bytes.len() > MAX_RECORD_BYTES {
			return Err(RecordFault::TooLong);
		}
	}
	Ok(bytes)
}

/// What canonical bytes say.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Record<'a> {
	/// One text.
	Text(&'a str),
	/// Fields, each a name and a value, sorted by name.
	Fields(Vec<(&'a str, &'a str)>),
}

/// Reads canonical bytes. Anything that [`canonical_text`] and [`canonical_fields`] would not have
/// written is refused, so whoever is shown a record under a leaf knows that it is in its only form.
pub fn read(bytes: &[u8]) -> Result<Record<'_>, RecordFault> {
	if bytes.len() > MAX_RECORD_BYTES {
		return Err(RecordFault::TooLong);
	}
	match bytes.split_first() {
		Some((&FIELDS_MARK, rest)) => read_fields(rest).map(Record::Fields),
		_ => read_text(bytes).map(Record::Text),
	}
}

fn read_text(bytes: &[u8]) -> Result<&str, RecordFault> {
	let text = core::str::from_utf8(bytes).map_err(|_| RecordFault::NotCanonical)?;
	if canonical_text(text)? == text {
		Ok(text)
	} else {
		Err(RecordFault::NotCanonical)
	}
}

fn read_fields(bytes: &[u8]) -> Result<Vec<(&str, &str)>, RecordFault> {
	let mut rest = bytes;
	let count = take_length(&mut rest)?;
	if count == 0 {
		return Err(RecordFault::Empty);
	}
	if count > MAX_FIELDS {
		return Err(RecordFault::TooManyFields);
	}
	let mut fields: Vec<(&str, &str)> = Vec::with_capacity(count);
	for _ in 0..count {
		let name = take_text(&mut rest)?;
		let value = take_text(&mut rest)?;
		if fields.last().is_some_and(|(before, _)| *before >= name) {
			return Err(RecordFault::NotCanonical);
		}
		fields.push((name, value));
	}
	if rest.is_empty() {
		Ok(fields)
	} else {
		Err(RecordFault::NotCanonical)
	}
}

fn take_text<'a>(bytes: &mut &'a [u8]) -> Result<&'a str, RecordFault> {
	let length = take_length(bytes)?;
	read_text(take(bytes, length)?)
}

fn take_length(bytes: &mut &[u8]) -> Result<usize, RecordFault> {
	let length = take(bytes, 4)?.try_into().map_err(|_| RecordFault::NotCanonical)?;
	usize::try_from(u32::from_le_bytes(length)).map_err(|_| RecordFault::TooLong)
}

fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Result<&'a [u8], RecordFault> {
	let (taken, rest) = bytes.split_at_checked(length).ok_or(RecordFault::NotCanonical)?;
	*bytes = rest;
	Ok(taken)
}

fn length(bytes: usize) -> Result<[u8; 4], RecordFault> {
	u32::try_from(bytes).map(u32::to_le_bytes).map_err(|_| RecordFault::TooLong)
}

/// Control characters (U+0000 to U+001F, U+007F to U+009F) that are not white space, and the 66
/// noncharacters (U+FDD0 to U+FDEF, and the last two of each plane).
fn is_forbidden(character: char) -> bool {
	let code = u32::from(character);
	let is_noncharacter = matches!(code, 0xFDD0..=0xFDEF) || code & 0xFFFE == 0xFFFE;
	(character.is_control() && !character.is_whitespace()) || is_noncharacter
}

/// The leaf of a record in its contribution's Merkle tree. Without the salt, which is drawn at
/// random for each record and never published, nobody can find a record by guessing its text; when
/// the record and its salt are erased, the leaf says nothing any more.
pub fn record_leaf(salt: &[u8; 32], canonical: &[u8]) -> H256 {
	let length = u64::try_from(canonical.len()).unwrap_or(u64::MAX).to_le_bytes();
	hashing::hash("openledger/record-leaf", &[salt, &length, canonical])
}

/// The commitment to a record's salt, by which whoever gets the salt later knows that it is the
/// right one.
pub fn salt_hash(salt: &[u8; 32]) -> H256 {
	hashing::hash("openledger/record-salt", &[salt])
}

/// The commitment to the salts of a contribution's records, in the order of the records: the Merkle
/// root over their [`salt_hash`]es, so that one salt can be shown without the others. `None` when
/// there are none, or 2^32 or more.
pub fn salts_root(salts: &[[u8; 32]]) -> Option<H256> {
	let hashes: Vec<H256> = salts.iter().map(salt_hash).collect();
	merkle::root(&hashes)
}
