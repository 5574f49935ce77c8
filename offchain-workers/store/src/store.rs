//! The store: put, get, remove.

use crate::{folder, known::Known, reader, BlobReader, BlobWriter, StoreError};
use openledger_primitives::{content, H256};
use std::{
	fs::{self, File},
	io::{ErrorKind, Read, Seek},
	os::unix::fs::MetadataExt,
	path::{Path, PathBuf},
	sync::{Mutex, MutexGuard, PoisonError},
};

/// The most bytes of one blob: 16 GiB, the weights of a model of 8 billion parameters in 16 bits.
pub const MAX_BLOB_BYTES: u64 = 16 << 30;

/// Bytes that are read, hashed and passed on at a time.
pub(crate) const PIECE_BYTES: usize = 128 << 10;

/// Blobs in one folder, see the [crate]'s page.
#[derive(Debug)]
pub struct Store {
	root: PathBuf,
	max_blob_bytes: u64,
	/// Held while a blob's name comes, goes or moves, so that a blob that was put again is not
	/// taken for the damaged one that it replaces.
	changing: Mutex<()>,
	pub(crate) known: Known,
	/// Keeps other processes out: they would take our blobs in the making for leftovers.
	_lock: File,
}

impl Store {
	/// Opens the store in `folder`, which is made if it is not there (its parent must be), and removes
	/// what a crash left half-written.
	///
	/// # Errors
	///
	/// [`StoreError::InUse`] when another process has it open, [`StoreError::NoAccess`],
	/// [`StoreError::NotAFolder`] when `folder` is a link or a file.
	pub fn open(folder: impl Into<PathBuf>) -> Result<Self, StoreError> {
		let root = folder.into();
		folder::ensure(&root)?;
		let lock = folder::lock(&root)?;
		let store = Self {
			root,
			max_blob_bytes: MAX_BLOB_BYTES,
			changing: Mutex::new(()),
			known: Known::new(),
			_lock: lock,
		};
		folder::ensure(&store.temporary())?;
		folder::ensure(&store.quarantine())?;
		folder::clear(&store.temporary())?;
		Ok(store)
	}

	/// Takes in no blobs of more than `bytes` from now on. Those that are there stay readable.
	#[must_use]
	pub fn with_max_blob_bytes(mut self, bytes: u64) -> Self {
		self.max_blob_bytes = bytes.min(MAX_BLOB_BYTES);
		self
	}

	/// The most bytes a blob may have here.
	pub fn max_blob_bytes(&self) -> u64 {
		self.max_blob_bytes
	}

	/// The store's folder.
	pub fn folder(&self) -> &Path {
		&self.root
	}

	/// Keeps a blob, and returns its hash once it is safe on the disk. A blob that is there already
	/// is verified instead of written; if it is damaged, these bytes take its place.
	///
	/// # Errors
	///
	/// [`StoreError::TooLarge`], [`StoreError::NoSpace`]; nothing is kept then.
	pub fn put(&self, bytes: &[u8]) -> Result<H256, StoreError> {
		if bytes.len() as u64 > self.max_blob_bytes {
			return Err(StoreError::TooLarge { limit: self.max_blob_bytes });
		}
		let hash = content::content_hash(bytes);
		if self.holds_intact(hash)? {
			self.known.remember(hash, blake3::hash(bytes));
			return Ok(hash);
		}
		let mut writer = self.writer()?;
		writer.write(bytes)?;
		writer.finish(Some(hash))
	}

	/// Keeps what `content` gives until its end if it has the `expected` hash, in little memory.
	///
	/// # Errors
	///
	/// [`StoreError::WrongHash`], [`StoreError::TooLarge`] (at most one byte more than allowed is read),
	/// [`StoreError::BrokenInput`], [`StoreError::NoSpace`]; nothing is kept then.
	pub fn put_stream(&self, expected: H256, mut content: impl Read) -> Result<(), StoreError> {
		let mut writer = self.writer()?;
		// One byte beyond the limit tells that there are more.
		let mut content = content.by_ref().take(self.max_blob_bytes.saturating_add(1));
		let copied = each_piece(&mut content, StoreError::BrokenInput, |piece| writer.write(piece));
		copied.and_then(|()| writer.finish(Some(expected))).map(drop)
	}

	/// Starts a blob whose bytes come piece by piece.
	pub fn writer(&self) -> Result<BlobWriter<'_>, StoreError> {
		BlobWriter::new(self)
	}

	/// The bytes with this hash, verified; `None` when they are not here.
	///
	/// # Errors
	///
	/// [`StoreError::Damaged`] when they were here and have another hash now; they are in the
	/// quarantine then, and the store no longer has the blob. [`StoreError::OutOfMemory`] when they
	/// should be read from [`Store::get_file`].
	pub fn get(&self, hash: H256) -> Result<Option<Vec<u8>>, StoreError> {
		let Some((mut file, path)) = self.open_blob(hash)? else { return Ok(None) };
		let length = file.metadata().map_err(|e| StoreError::at(&path, e))?.len();
		let too_large = || StoreError::OutOfMemory { bytes: length };
		let mut bytes = Vec::new();
		bytes
			.try_reserve_exact(usize::try_from(length).map_err(|_| too_large())?)
			.map_err(|_| too_large())?;
		// No more than there is room for, should the file grow meanwhile.
		(&mut file).take(length).read_to_end(&mut bytes).map_err(|e| StoreError::at(&path, e))?;
		if content::content_hash(&bytes) == hash {
			return Ok(Some(bytes));
		}
		Err(self.damaged(hash, &file))
	}

	/// What `work` makes of the bytes with this hash, while another thread reads and verifies them: for
	/// work that takes about as long as that. It must stand any bytes; what it made of others is not
	/// given. Bytes that this store took in or verified so before, since it was opened, are known again by
	/// a hash that takes less time.
	///
	/// # Errors
	///
	/// [`StoreError::Damaged`], as for [`Store::get`].
	pub fn get_with<T>(
		&self,
		hash: H256,
		work: impl FnOnce(&mut BlobReader<'_>) -> T,
	) -> Result<Option<T>, StoreError> {
		let Some((file, path)) = self.open_blob(hash)? else { return Ok(None) };
		let verified = reader::read_and_verify(&file, hash, self.known.get(hash), work);
		let Some((made, known)) = verified.map_err(|e| StoreError::at(&path, e))? else {
			return Err(self.damaged(hash, &file));
		};
		self.known.remember(hash, known);
		Ok(Some(made))
	}

	/// The blob with this hash as an open file at its beginning, verified; `None` when it is not here.
	/// For blobs that should not be held in memory. The file stays readable when the blob is removed.
	///
	/// # Errors
	///
	/// Those of [`Store::get`].
	pub fn get_file(&self, hash: H256) -> Result<Option<File>, StoreError> {
		let Some((mut file, path)) = self.open_blob(hash)? else {
			return Ok(None);
		};
		if !has_hash(&mut file, &path, hash)? {
			return Err(self.damaged(hash, &file));
		}
		file.rewind().map_err(|e| StoreError::at(&path, e))?;
		Ok(Some(file))
	}

	/// Where the blob with this hash is, verified; `None` when it is not here. For libraries that
	/// want a path. It is for reading only.
	///
	/// # Errors
	///
	/// Those of [`Store::get`].
	pub fn get_path(&self, hash: H256) -> Result<Option<PathBuf>, StoreError> {
		Ok(self.get_file(hash)?.map(|_| self.place_of(hash).1))
	}

	/// Whether a blob of this hash is here. It is not verified.
	pub fn contains(&self, hash: H256) -> Result<bool, StoreError> {
		let (folder, path) = self.place_of(hash);
		Ok(folder::check(&folder)? && folder::is_file(&path)?)
	}

	/// How many bytes the blob of this hash has; `None` when it is not here. It is not verified.
	pub fn size_of(&self, hash: H256) -> Result<Option<u64>, StoreError> {
		let Some((file, path)) = self.open_blob(hash)? else {
			return Ok(None);
		};
		Ok(Some(file.metadata().map_err(|e| StoreError::at(&path, e))?.len()))
	}

	/// Removes a blob. Whether it was here.
	pub fn remove(&self, hash: H256) -> Result<bool, StoreError> {
		let (folder, path) = self.place_of(hash);
		{
			let _changing = self.begin_change();
			if !self.contains(hash)? {
				return Ok(false);
			}
			fs::remove_file(&path).map_err(|e| StoreError::at(&path, e))?;
		}
		folder::flush(&folder)?;
		Ok(true)
	}

	/// Whether a blob of this hash is here and has it. A damaged one does not count, but stays.
	fn holds_intact(&self, hash: H256) -> Result<bool, StoreError> {
		match self.open_blob(hash)? {
			Some((mut file, path)) => has_hash(&mut file, &path, hash),
			None => Ok(false),
		}
	}

	/// The blob's file and where it is. It is not verified.
	fn open_blob(&self, hash: H256) -> Result<Option<(File, PathBuf)>, StoreError> {
		let (folder, path) = self.place_of(hash);
		if !folder::check(&folder)? {
			return Ok(None);
		}
		Ok(folder::open_file(&path)?.map(|file| (file, path)))
	}

	/// Moves a blob that was found damaged out of the way, unless another took its place meanwhile.
	fn damaged(&self, hash: H256, found: &File) -> StoreError {
		let (folder, path) = self.place_of(hash);
		let moved_to = self.quarantine().join(format!("{hash:x}"));
		let same_file = || -> std::io::Result<bool> {
			let (read, there) = (found.metadata()?, fs::symlink_metadata(&path)?);
			Ok((read.dev(), read.ino()) == (there.dev(), there.ino()))
		};
		let _changing = self.begin_change();
		let moved = match same_file() {
			Ok(true) => fs::rename(&path, &moved_to).map_err(|e| StoreError::at(&path, e)),
			Ok(false) => Ok(()),
			Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
			Err(error) => Err(StoreError::at(&path, error)),
		};
		match moved.and_then(|()| folder::flush(&folder)) {
			Ok(()) => StoreError::Damaged { hash, moved_to },
			Err(error) => error,
		}
	}

	pub(crate) fn begin_change(&self) -> MutexGuard<'_, ()> {
		// It guards no data that a panic could have left half-changed.
		self.changing.lock().unwrap_or_else(PoisonError::into_inner)
	}

	/// The folder and the path of a blob.
	pub(crate) fn place_of(&self, hash: H256) -> (PathBuf, PathBuf) {
		let name = format!("{hash:x}");
		let (first, rest) = name.split_at(2);
		let folder = self.root.join(first);
		let path = folder.join(rest);
		(folder, path)
	}

	pub(crate) fn temporary(&self) -> PathBuf {
		self.root.join("tmp")
	}

	fn quarantine(&self) -> PathBuf {
		self.root.join("quarantine")
	}
}

fn has_hash(file: &mut File, path: &Path, hash: H256) -> Result<bool, StoreError> {
	let mut hasher = content::content_hasher();
	let at_path = |error| StoreError::at(path, error);
	each_piece(file, at_path, |piece| {
		hasher.update(piece);
		Ok(())
	})?;
	Ok(hasher.finish() == hash)
}

/// Reads to the end, a piece at a time.
fn each_piece(
	input: &mut impl Read,
	broken: impl Fn(std::io::Error) -> StoreError,
	mut take: impl FnMut(&[u8]) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
	let mut buffer = vec![0; PIECE_BYTES];
	loop {
		match input.read(&mut buffer) {
			Ok(0) => return Ok(()),
			Ok(count) => take(buffer.get(..count).unwrap_or_default())?,
			Err(error) if error.kind() == ErrorKind::Interrupted => {},
			Err(error) => return Err(broken(error)),
		}
	}
}
