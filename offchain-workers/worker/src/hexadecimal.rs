//! Hashes as people and programs write them.

use openledger_primitives::H256;

/// A hash from 64 hexadecimal digits in lower case, with or without `0x`.
pub fn parse(text: &str) -> Option<H256> {
	let digits = text.strip_prefix("0x").unwrap_or(text);
	let is_lower = digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
	if digits.len() != 64 || !is_lower {
		return None;
	}
	let mut hash = H256::zero();
	hex::decode_to_slice(digits, &mut hash.0).ok()?;
	Some(hash)
}

/// A hash with `0x`, as it stands in JSON.
pub fn show(hash: H256) -> String {
	format!("{hash:#x}")
}

/// Bytes with `0x`, as they stand in JSON.
pub fn show_bytes(bytes: &[u8]) -> String {
	format!("0x{}", hex::encode(bytes))
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn parse_should_take_what_show_gives_and_nothing_sloppy() {
		let hash = H256([0xab; 32]);
		assert_eq!(parse(&show(hash)), Some(hash));
		assert_eq!(parse(&"ab".repeat(32)), Some(hash));
		for bad in ["", "0x", "ab", &"AB".repeat(32), &"ab".repeat(33), &"zz".repeat(32)] {
			assert_eq!(parse(bad), None, "{bad}");
		}
	}
}
