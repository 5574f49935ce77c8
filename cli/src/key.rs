//! Where the key comes from that signs transactions.
//!
//! Never from an argument: arguments are seen by every process of the machine and stay in the
//! shell's history.

use std::{env, fs, path::PathBuf, str::FromStr};

use clap::ValueEnum;
use subxt::utils::AccountId32;
use subxt_signer::{sr25519::Keypair, SecretUri};

use crate::error::{Error, Result};

/// The environment variable that can hold the key.
pub const KEY_VARIABLE: &str = "OPENLEDGER_KEY";

/// The most bytes of a key file: a phrase of 24 words, a path and a password, generously.
const MAX_KEY_FILE_BYTES: u64 = 4_096;

/// Accounts of development chains, whose keys everybody knows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum DevelopmentKey {
	/// //Alice
	Alice,
	/// //Bob
	Bob,
	/// //Charlie
	Charlie,
	/// //Dave
	Dave,
	/// //Eve
	Eve,
	/// //Ferdie
	Ferdie,
}

impl DevelopmentKey {
	fn uri(self) -> &'static str {
		match self {
			Self::Alice => "//Alice",
			Self::Bob => "//Bob",
			Self::Charlie => "//Charlie",
			Self::Dave => "//Dave",
			Self::Eve => "//Eve",
			Self::Ferdie => "//Ferdie",
		}
	}
}

/// What was said about the key.
#[derive(Clone, Debug, Default)]
pub struct KeySource {
	/// A file that holds it.
	pub file: Option<PathBuf>,
	/// A well-known one.
	pub development: Option<DevelopmentKey>,
}

impl KeySource {
	/// Reads the key: from the file, the development key, or the environment, in this order.
	pub fn read(&self) -> Result<Keypair> {
		if let Some(path) = &self.file {
			return parse(&read_file(path)?, "the key file");
		}
		if let Some(key) = self.development {
			return parse(key.uri(), "the development key");
		}
		match env::var(KEY_VARIABLE) {
			Ok(secret) => parse(&secret, KEY_VARIABLE),
			Err(_) => Err(Error::Usage {
				what: "this needs a key to sign with".into(),
				hint: Some(format!(
					"put a secret phrase or a hexadecimal seed into a file that only you can read and name \
					 it with --key-file, or set {KEY_VARIABLE}; on a development chain: --dev alice"
				)),
			}),
		}
	}

	/// Whether the key is one that everybody knows.
	pub fn is_well_known(&self) -> bool {
		self.file.is_none() && self.development.is_some()
	}
}

/// The account of a key.
pub fn account_of(key: &Keypair) -> AccountId32 {
	key.public_key().to_account_id()
}

fn read_file(path: &PathBuf) -> Result<String> {
	let shown = path.to_string_lossy();
	if looks_like_a_secret(&shown) {
		return Err(Error::Usage {
			what: "--key-file takes the path of a file, not the key itself".into(),
			hint: Some(
				"arguments are seen by other programs and stay in the shell's history: move what that key \
				 holds to a new one"
					.into(),
			),
		});
	}
	let fault = |reason: String| Error::usage(format!("the key file {shown}: {reason}"));
	let about = fs::metadata(path).map_err(|error| fault(error.to_string()))?;
	if about.len() > MAX_KEY_FILE_BYTES {
		return Err(fault(format!("more than {MAX_KEY_FILE_BYTES} bytes cannot be one key")));
	}
	refuse_if_shared(&about, &shown)?;
	fs::read_to_string(path).map_err(|error| fault(error.to_string()))
}

#[cfg(unix)]
fn refuse_if_shared(about: &fs::Metadata, shown: &str) -> Result<()> {
	use std::os::unix::fs::PermissionsExt;
	if about.is_file() && about.permissions().mode() & 0o077 != 0 {
		return Err(Error::Usage {
			what: format!("the key file {shown} can be read by others"),
			hint: Some(format!("chmod 600 {shown}")),
		});
	}
	Ok(())
}

#[cfg(not(unix))]
fn refuse_if_shared(_: &fs::Metadata, _: &str) -> Result<()> {
	Ok(())
}

/// Whether somebody gave a key where a path belongs.
fn looks_like_a_secret(text: &str) -> bool {
	let digits = text.strip_prefix("0x").unwrap_or(text);
	let is_seed = digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
	is_seed || text.split_whitespace().count() >= 12
}

/// Reads a secret phrase, a seed in hexadecimal, or either with a derivation path. What is wrong is
/// said without repeating any of it.
fn parse(secret: &str, whence: &str) -> Result<Keypair> {
	let fault = || {
		Error::Usage {
		what: format!("{whence} holds no key"),
		hint: Some(
			"a key is a phrase of 12 to 24 words or 0x with 64 hexadecimal digits, and may end in a \
			 derivation path such as //contributor"
				.into(),
		),
	}
	};
	let secret = secret.trim();
	let is_bare_seed = secret.len() == 64 && secret.bytes().all(|byte| byte.is_ascii_hexdigit());
	let uri = if is_bare_seed {
		SecretUri::from_str(&format!("0x{secret}"))
	} else {
		SecretUri::from_str(secret)
	};
	if secret.is_empty() {
		return Err(fault());
	}
	Keypair::from_uri(&uri.map_err(|_| fault())?).map_err(|_| fault())
}

#[cfg(test)]
mod tests {
	use super::*;
	use std::io::Write;

	const ALICE: &str = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY";

	fn account(secret: &str) -> String {
		account_of(&parse(secret, "the test").unwrap()).to_string()
	}

	#[test]
	fn phrases_seeds_and_paths_are_keys() {
		assert_eq!(account("//Alice"), ALICE);
		let phrase = "bottom drive obey lake curtain smoke basket hold race lonely fit walk";
		assert_eq!(account(&format!("{phrase}//Alice\n")), ALICE);
		let seed = "e5be9a5092b81bca64be81d212e7f2f9eba183bb7a90954f7b76361f6edb5c0a";
		assert_eq!(account(seed), ALICE);
		assert_eq!(account(&format!("0x{seed}")), ALICE);
	}

	#[test]
	fn what_is_no_key_is_not_repeated() {
		for secret in ["", "hunter2", "one two three", "0x1234", "bottom drive obey lake"] {
			let error = parse(secret, "the test").unwrap_err();
			assert!(secret.is_empty() || !format!("{error}{:?}", error.hint()).contains(secret));
		}
	}

	#[test]
	fn a_key_in_place_of_a_path_is_refused_and_not_repeated() {
		let phrase = "bottom drive obey lake curtain smoke basket hold race lonely fit walk";
		let source = KeySource { file: Some(phrase.into()), development: None };
		let error = source.read().unwrap_err();
		assert!(error.to_string().contains("not the key itself"));
		assert!(!format!("{error} {:?}", error.hint()).contains("bottom"));
	}

	#[cfg(unix)]
	#[test]
	fn a_key_file_that_others_can_read_is_refused() {
		use std::os::unix::fs::PermissionsExt;
		let mut file = tempfile::NamedTempFile::new().unwrap();
		writeln!(file, "//Alice").unwrap();
		let source = KeySource { file: Some(file.path().into()), development: None };
		let mode =
			|mode| fs::set_permissions(file.path(), fs::Permissions::from_mode(mode)).unwrap();
		mode(0o644);
		assert!(source.read().unwrap_err().hint().unwrap().contains("chmod 600"));
		mode(0o600);
		assert_eq!(account_of(&source.read().unwrap()).to_string(), ALICE);
	}
}
