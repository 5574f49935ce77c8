//! The next release of a running runtime, for testing upgrades: the same code under a higher
//! `spec_version`.
//!
//! Compiling a second runtime takes minutes, so the version is raised in the compiled one. It is there
//! twice: for the node in a custom section, and for the runtime's own checks as a constant in code and
//! data. The second one can only be found when no other constant is equal, so the runtime's
//! `spec_version` must be a large number that nothing else happens to be. Whether all of it was found
//! shows when the runtime runs: only then do its checks agree with what it says about itself.

use codec::{Decode, Encode};
use sp_maybe_compressed_blob::{compress_weakly, decompress, CODE_BLOB_BOMB_LIMIT};

/// The sections of a module that are looked into.
const CUSTOM: u8 = 0;
const CODE: u8 = 10;
const DATA: u8 = 11;

/// Opcodes of `i32.const` and `i64.const`, which are followed by a number in signed LEB128.
const I32_CONST: u8 = 0x41;
const I64_CONST: u8 = 0x42;

/// In how many places the constant may stand. There are about half as many: the version itself, its
/// check in transactions and in upgrades, the record of the last upgrade.
const MAX_PLACES: usize = 12;

/// What comes before `spec_version` in the custom section.
#[derive(Encode, Decode)]
struct VersionHead {
	spec_name: String,
	impl_name: String,
	authoring_version: u32,
}

/// What comes after it, as far as it is of use.
#[derive(Encode, Decode)]
struct VersionTail {
	impl_version: u32,
	apis: Vec<([u8; 8], u32)>,
	transaction_version: u32,
}

/// Raises the `spec_version` of a runtime by one. Takes it plain or compressed, gives it compressed.
///
/// # Panics
///
/// When the version is not where it should be.
pub fn next_release(code: &[u8]) -> Vec<u8> {
	let mut module =
		decompress(code, CODE_BLOB_BOMB_LIMIT).expect("it was taken by a node").into_owned();
	let sections = sections(&module);

	let contents = |section: &Section| module[section.start..section.end].to_vec();
	let version = sections
		.iter()
		.find(|section| section.id == CUSTOM && section.name == "runtime_version")
		.expect("a runtime shows its version in a section");
	let encoded = contents(version);
	let mut rest = &encoded[..];
	let head = VersionHead::decode(&mut rest).expect("the section begins with names");
	let at = version.start + encoded.len() - rest.len();
	let (old, tail) =
		<(u32, VersionTail)>::decode(&mut rest).expect("the section goes on with versions");
	let new = old + 1;
	module[at..at + 4].copy_from_slice(&new.to_le_bytes());

	// In code: alone, or together with a neighbour where the compiler writes two numbers at once. Its
	// neighbours are those of the version itself and, where a transaction is checked, the
	// transaction version that is signed after it.
	let pair = |first: u32, second: u32| i64::from(first) | i64::from(second) << 32;
	let of = |version: u32| {
		[
			constant(I32_CONST, version.into()),
			constant(I64_CONST, pair(version, tail.impl_version)),
			constant(I64_CONST, pair(version, tail.transaction_version)),
			constant(I64_CONST, pair(head.authoring_version, version)),
		]
	};
	let constants: Vec<_> = of(old).into_iter().zip(of(new)).collect();
	let mut replaced = 0;
	for section in &sections {
		match section.id {
			CODE => {
				for (old, new) in &constants {
					replaced += replace(&mut module[section.start..section.end], old, new);
				}
			},
			DATA => {
				let pair = |version: u32| (head.authoring_version, version).encode();
				let contents = &mut module[section.start..section.end];
				replaced += replace(contents, &pair(old), &pair(new));
			},
			_ => {},
		}
	}
	assert!(
		(1..=MAX_PLACES).contains(&replaced),
		"the constant {old} stands at {replaced} places in code and data: is it only spec_version?",
	);

	compress_weakly(&module, CODE_BLOB_BOMB_LIMIT).expect("it was smaller than the limit before")
}

/// A section's contents; of a custom section without its name.
struct Section {
	id: u8,
	name: String,
	start: usize,
	end: usize,
}

fn sections(module: &[u8]) -> Vec<Section> {
	assert_eq!(module.get(..8), Some(&b"\0asm\x01\0\0\0"[..]), "it is a wasm module");
	let mut sections = Vec::new();
	let mut at = 8;
	while at < module.len() {
		let id = module[at];
		let (length, start) = unsigned(module, at + 1);
		let end = start + length;
		at = end;
		let (name, start) = if id == CUSTOM {
			let (length, start) = unsigned(module, start);
			let name = String::from_utf8_lossy(&module[start..start + length]).into_owned();
			(name, start + length)
		} else {
			(String::new(), start)
		};
		sections.push(Section { id, name, start, end });
	}
	sections
}

/// Reads a number in unsigned LEB128 and says where it ends.
fn unsigned(bytes: &[u8], mut at: usize) -> (usize, usize) {
	let (mut number, mut shift) = (0, 0);
	loop {
		let byte = bytes[at];
		at += 1;
		number |= usize::from(byte & 0x7f) << shift;
		shift += 7;
		if byte & 0x80 == 0 {
			return (number, at);
		}
	}
}

/// An instruction that puts a constant on the stack.
fn constant(opcode: u8, mut number: i64) -> Vec<u8> {
	let mut bytes = vec![opcode];
	loop {
		let byte = u8::try_from(number & 0x7f).expect("seven bits");
		number >>= 7;
		let sign = byte & 0x40 != 0;
		if (number == 0 && !sign) || (number == -1 && sign) {
			bytes.push(byte);
			return bytes;
		}
		bytes.push(byte | 0x80);
	}
}

/// Replaces every `old` by `new`, which is as long, and counts.
fn replace(bytes: &mut [u8], old: &[u8], new: &[u8]) -> usize {
	assert_eq!(old.len(), new.len(), "nothing may move");
	let mut count = 0;
	let mut at = 0;
	while at + old.len() <= bytes.len() {
		if bytes[at..].starts_with(old) {
			bytes[at..at + old.len()].copy_from_slice(new);
			at += old.len();
			count += 1;
		} else {
			at += 1;
		}
	}
	count
}

#[cfg(test)]
mod tests {
	use super::*;

	/// A module with the version in its section, in code and in data.
	fn module(spec_version: u32) -> Vec<u8> {
		let mut module = b"\0asm\x01\0\0\0".to_vec();
		let mut section = |id: u8, contents: &[u8]| {
			module.extend([id, u8::try_from(contents.len()).unwrap()]);
			module.extend(contents);
		};
		section(CODE, &constant(I32_CONST, spec_version.into()));
		section(CODE, &constant(I64_CONST, i64::from(spec_version) << 32 | 1));
		section(CODE, &constant(I64_CONST, i64::from(spec_version) | 2 << 32));
		section(DATA, &(1u32, spec_version).encode());
		let apis: Vec<([u8; 8], u32)> = Vec::new();
		let version =
			("openledger", "openledger-node", 1u32, spec_version, 1u32, apis, 2u32).encode();
		section(CUSTOM, &[b"\x0fruntime_version", &version[..]].concat());
		module
	}

	#[test]
	fn next_release_should_differ_only_in_its_version() {
		let next = next_release(&module(2_611_000));
		let next = decompress(&next, CODE_BLOB_BOMB_LIMIT).unwrap().into_owned();
		assert_eq!(next, module(2_611_001));
	}

	#[test]
	fn constant_should_be_signed_leb128() {
		// From the example of the DWARF standard, appendix C.
		for (number, bytes) in [
			(2, vec![2]),
			(-2, vec![0x7e]),
			(127, vec![0xff, 0]),
			(-127, vec![0x81, 0x7f]),
			(128, vec![0x80, 1]),
			(-129, vec![0xff, 0x7e]),
		] {
			assert_eq!(constant(I32_CONST, number)[1..], bytes);
		}
	}
}
