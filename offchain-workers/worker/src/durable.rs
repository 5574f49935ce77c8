//! Files that are there as a whole or not at all, whatever happens to the process or the power.

use std::{
	fs::{self, File},
	io::{self, ErrorKind, Write},
	path::{Path, PathBuf},
};
use tempfile::NamedTempFile;

/// Why something could not be kept on disk.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
	/// The disk, the quota or the greatest size of a file leaves no room.
	#[error("no space left for {path}: free some and try again")]
	NoSpace {
		/// What was being written.
		path: PathBuf,
	},
	/// A file is not what was written into it.
	#[error("{path} is damaged: {why}")]
	Damaged {
		/// The file.
		path: PathBuf,
		/// What is wrong with it.
		why: String,
	},
	/// Any other fault of the file system.
	#[error("{path} could not be read or written: {source}")]
	Io {
		/// Where it happened.
		path: PathBuf,
		/// What the system says.
		#[source]
		source: io::Error,
	},
}

impl DiskError {
	/// Names the fault of an operation on `path`.
	pub fn at(path: &Path, source: io::Error) -> Self {
		let path = path.to_path_buf();
		if is_no_space(&source) {
			Self::NoSpace { path }
		} else {
			Self::Io { path, source }
		}
	}
}

/// Whether the system says that there is no room left to write.
pub fn is_no_space(error: &io::Error) -> bool {
	matches!(
		error.kind(),
		ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge
	)
}

/// Writes a file under another name, flushes it, moves it into its place and flushes the folder.
///
/// # Errors
///
/// The old file, or none, is in its place then.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), DiskError> {
	let folder = path.parent().unwrap_or(Path::new("."));
	let mut file = NamedTempFile::new_in(folder).map_err(|e| DiskError::at(folder, e))?;
	file.write_all(bytes)
		.and_then(|()| file.as_file().sync_all())
		.map_err(|e| DiskError::at(path, e))?;
	file.persist(path).map_err(|failed| DiskError::at(path, failed.error))?;
	flush_folder(folder)
}

/// Makes the names in a folder durable.
pub fn flush_folder(folder: &Path) -> Result<(), DiskError> {
	File::open(folder).and_then(|folder| folder.sync_all()).map_err(|e| DiskError::at(folder, e))
}

/// Makes a folder, and those above it, for its owner alone.
pub fn make_folder(folder: &Path) -> Result<(), DiskError> {
	use std::os::unix::fs::DirBuilderExt;
	fs::DirBuilder::new()
		.recursive(true)
		.mode(0o700)
		.create(folder)
		.map_err(|e| DiskError::at(folder, e))
}

/// Removes a folder with all that is in it, or does nothing if it is not there.
pub fn remove_folder(folder: &Path) -> Result<(), DiskError> {
	match fs::remove_dir_all(folder) {
		Err(error) if error.kind() != ErrorKind::NotFound => Err(DiskError::at(folder, error)),
		_ => Ok(()),
	}
}
