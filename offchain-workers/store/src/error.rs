//! What can go wrong with a store.

use openledger_primitives::H256;
use std::{
	io::{self, ErrorKind},
	path::{Path, PathBuf},
};

/// Why a store could not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
	/// The disk, the quota or the greatest size of a file leaves no room. Nothing of the blob stays.
	#[error("no space left for {path}: free some and try again")]
	NoSpace {
		/// What was being written.
		path: PathBuf,
	},
	/// The process may not read or write there, or the file system is mounted read-only.
	#[error("no access to {path}: check its owner, its permissions and how it is mounted")]
	NoAccess {
		/// What was to be read or written.
		path: PathBuf,
	},
	/// Another process has the store open.
	#[error("the store {path} is in use by another process")]
	InUse {
		/// The store's folder.
		path: PathBuf,
	},
	/// Something stands where a folder of the store should be: a file, or a link.
	#[error("{path} is not a folder (links are refused): move it away")]
	NotAFolder {
		/// Where.
		path: PathBuf,
	},
	/// Something stands where a blob should be: a folder, a link, a device.
	#[error("{path} is not a regular file (links are refused): move it away")]
	NotAFile {
		/// Where.
		path: PathBuf,
	},
	/// A blob's bytes do not have its hash any more. They are out of the way; put the blob again.
	#[error("blob {hash:x} was damaged and is now at {moved_to}: put it again")]
	Damaged {
		/// The blob that was asked for.
		hash: H256,
		/// Where its bytes are now.
		moved_to: PathBuf,
	},
	/// The bytes have another hash than the one they were announced with. They were not kept.
	#[error("the content hashes to {found:x}, not to {expected:x} as announced")]
	WrongHash {
		/// The hash they were to have.
		expected: H256,
		/// The hash they have.
		found: H256,
	},
	/// More bytes than a blob may have here. Nothing of them was kept.
	#[error("a blob has at most {limit} bytes here")]
	TooLarge {
		/// The greatest size, in bytes.
		limit: u64,
	},
	/// The blob does not fit into memory; read it from its file instead.
	#[error("{bytes} bytes do not fit into memory")]
	OutOfMemory {
		/// The blob's size.
		bytes: u64,
	},
	/// The stream that a blob was to be made from broke off. Nothing of it was kept.
	#[error("the content could not be read to its end")]
	BrokenInput(#[source] io::Error),
	/// Any other fault of the file system.
	#[error("{path} could not be read or written")]
	Io {
		/// Where it happened.
		path: PathBuf,
		/// What the system says.
		#[source]
		source: io::Error,
	},
}

impl StoreError {
	/// Names the fault of an operation on `path`.
	pub(crate) fn at(path: &Path, source: io::Error) -> Self {
		let path = path.to_path_buf();
		match source.kind() {
			ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
				Self::NoSpace { path }
			},
			ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => Self::NoAccess { path },
			ErrorKind::NotADirectory => Self::NotAFolder { path },
			_ => Self::Io { path, source },
		}
	}
}
