//! Folders and files of a store: for their owner alone, never through a link, flushed to the disk.

use crate::StoreError;
use std::{
	fs::{self, DirBuilder, File, OpenOptions},
	io::{self, ErrorKind},
	os::unix::fs::{DirBuilderExt, OpenOptionsExt},
	path::Path,
};

/// Makes the folder if it is not there. Its parent must be.
pub(crate) fn ensure(path: &Path) -> Result<(), StoreError> {
	match DirBuilder::new().mode(0o700).create(path) {
		Ok(()) => flush(path.parent().unwrap_or(path)),
		Err(error) if error.kind() == ErrorKind::AlreadyExists => check(path).map(drop),
		Err(error) => Err(StoreError::at(path, error)),
	}
}

/// Whether the folder is there. Anything else in its place is an error.
pub(crate) fn check(path: &Path) -> Result<bool, StoreError> {
	match fs::symlink_metadata(path) {
		Ok(found) if found.is_dir() => Ok(true),
		Ok(_) => Err(StoreError::NotAFolder { path: path.to_path_buf() }),
		Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
		Err(error) => Err(StoreError::at(path, error)),
	}
}

/// Brings new names, and names that are gone, to the disk.
pub(crate) fn flush(path: &Path) -> Result<(), StoreError> {
	// "a" has the empty path as its parent.
	let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
	File::open(path).and_then(|folder| folder.sync_all()).map_err(|e| StoreError::at(path, e))
}

/// Opens a regular file for reading. `None` when nothing has that name.
pub(crate) fn open_file(path: &Path) -> Result<Option<File>, StoreError> {
	if !is_file(path)? {
		return Ok(None);
	}
	match open_options().read(true).open(path) {
		Ok(file) => Ok(Some(file)),
		Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
		Err(error) => Err(StoreError::at(path, error)),
	}
}

/// Whether a regular file has that name. Anything else in its place is an error.
pub(crate) fn is_file(path: &Path) -> Result<bool, StoreError> {
	match fs::symlink_metadata(path) {
		Ok(found) if found.is_file() => Ok(true),
		Ok(_) => Err(StoreError::NotAFile { path: path.to_path_buf() }),
		Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
		Err(error) => Err(StoreError::at(path, error)),
	}
}

/// Takes the lock that keeps other processes out for as long as the file is open.
pub(crate) fn lock(store: &Path) -> Result<File, StoreError> {
	let path = store.join("lock");
	is_file(&path)?;
	let file = open_options()
		.write(true)
		.create(true)
		.truncate(false)
		.open(&path)
		.map_err(|e| StoreError::at(&path, e))?;
	match file.try_lock() {
		Ok(()) => Ok(file),
		Err(fs::TryLockError::WouldBlock) => Err(StoreError::InUse { path: store.to_path_buf() }),
		Err(fs::TryLockError::Error(error)) => Err(StoreError::at(&path, error)),
	}
}

/// Removes everything in a folder of ours that holds nothing but files of ours.
pub(crate) fn clear(path: &Path) -> Result<(), StoreError> {
	let at = |error: io::Error| StoreError::at(path, error);
	for entry in fs::read_dir(path).map_err(at)? {
		let leftover = entry.map_err(at)?.path();
		fs::remove_file(&leftover).map_err(|e| StoreError::at(&leftover, e))?;
	}
	Ok(())
}

/// A link that appears between the look and the opening is refused all the same, and a pipe does not
/// make us wait.
fn open_options() -> OpenOptions {
	let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
	let mut options = OpenOptions::new();
	options.mode(0o600).custom_flags(flags.bits() as i32);
	options
}
