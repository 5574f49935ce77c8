//! A blob that is used while it is verified.

use crate::store::PIECE_BYTES;
use openledger_primitives::{content, H256};
use std::{
	fs::File,
	io::{self, ErrorKind, Read},
	mem,
	panic::resume_unwind,
	sync::mpsc::{channel, sync_channel, Receiver, SyncSender},
	thread,
};

/// Pieces that may wait to be hashed.
const WAITING: usize = 8;

/// The bytes of a blob, each once, in their order. Another thread hashes what is read.
#[derive(Debug)]
pub struct BlobReader<'f> {
	file: &'f File,
	length: u64,
	/// What was read and is not being hashed yet.
	piece: Vec<u8>,
	to_hash: SyncSender<Vec<u8>>,
	/// Pieces that were hashed, to be used again.
	hashed: Receiver<Vec<u8>>,
	/// Why reading failed. Whoever reads hears of it too, but makes what it likes of that.
	failed: Option<io::Error>,
}

impl BlobReader<'_> {
	/// Bytes that the blob had when it was opened.
	pub fn length(&self) -> u64 {
		self.length
	}

	fn hash_piece(&mut self) {
		let mut next = self.hashed.try_recv().unwrap_or_default();
		next.clear();
		// The other thread takes pieces for as long as this end is there.
		let _ = self.to_hash.send(mem::replace(&mut self.piece, next));
	}
}

impl Read for BlobReader<'_> {
	fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
		let some = buffer.len().min(PIECE_BYTES);
		let read = buffer.get_mut(..some).map_or(Ok(0), |some| self.file.read(some));
		match read {
			Ok(count) => {
				self.piece.extend_from_slice(buffer.get(..count).unwrap_or_default());
				if self.piece.len() >= PIECE_BYTES {
					self.hash_piece();
				}
				Ok(count)
			},
			Err(error) if error.kind() == ErrorKind::Interrupted => Err(error),
			Err(error) => {
				let kind = error.kind();
				self.failed = Some(error);
				Err(kind.into())
			},
		}
	}
}

/// What `work` makes of a file that is at its beginning, and the hash of all of it, also of what
/// `work` leaves unread.
pub(crate) fn read_and_hash<T>(
	file: &File,
	work: impl FnOnce(&mut BlobReader<'_>) -> T,
) -> io::Result<(T, H256)> {
	let length = file.metadata()?.len();
	let (to_hash, pieces) = sync_channel::<Vec<u8>>(WAITING);
	let (done, hashed) = channel();
	thread::scope(|scope| {
		let hashing =
			thread::Builder::new().name("hashing".into()).spawn_scoped(scope, move || {
				let mut hasher = content::content_hasher();
				for piece in pieces {
					hasher.update(&piece);
					// At the end nobody uses them again.
					let _ = done.send(piece);
				}
				hasher.finish()
			})?;
		let mut reader =
			BlobReader { file, length, piece: Vec::new(), to_hash, hashed, failed: None };
		let made = work(&mut reader);
		let rest = io::copy(&mut reader, &mut io::sink());
		if let Some(error) = reader.failed {
			return Err(error);
		}
		rest?;
		reader.hash_piece();
		drop(reader.to_hash);
		Ok((made, hashing.join().unwrap_or_else(|panic| resume_unwind(panic))))
	})
}
