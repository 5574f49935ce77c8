//! A blob that is used while it is verified.

use crate::store::PIECE_BYTES;
use openledger_primitives::{content, H256};
use std::{
	fs::File,
	io::{self, Read},
	mem,
	panic::resume_unwind,
	sync::mpsc::{channel, sync_channel, Receiver, Sender},
	thread,
};

/// Pieces that may wait to be used.
const WAITING: usize = 8;

/// The bytes of a blob, each once, in their order, as another thread reads and hashes them.
#[derive(Debug)]
pub struct BlobReader<'h> {
	length: u64,
	piece: Vec<u8>,
	/// Bytes of the piece that were given.
	given: usize,
	pieces: Receiver<Vec<u8>>,
	/// Pieces of which all was given, to be filled again.
	empty: Sender<Vec<u8>>,
	/// By what the blob is to be known again, when it is not yet. Borrowed, so that two readers cannot
	/// change places.
	hasher: Option<&'h mut blake3::Hasher>,
}

impl BlobReader<'_> {
	/// Bytes that the blob had when it was opened.
	pub fn length(&self) -> u64 {
		self.length
	}
}

impl Read for BlobReader<'_> {
	fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
		if self.given == self.piece.len() {
			// After the last none comes, nor after an error, of which the other thread tells.
			let Ok(piece) = self.pieces.recv() else { return Ok(0) };
			if let Some(hasher) = &mut self.hasher {
				hasher.update(&piece);
			}
			let _ = self.empty.send(mem::replace(&mut self.piece, piece));
			self.given = 0;
		}
		let count = self.piece.get(self.given..).unwrap_or_default().read(buffer)?;
		self.given += count;
		Ok(count)
	}
}

/// What `work` makes of a file that is at its beginning, and by what the file's bytes are known again.
/// `None` unless all of them, also what `work` leaves unread, have the hash that they should have: the
/// one by which they are `known`, or else their name.
pub(crate) fn read_and_verify<T>(
	file: &File,
	name: H256,
	known: Option<blake3::Hash>,
	work: impl FnOnce(&mut BlobReader<'_>) -> T,
) -> io::Result<Option<(T, blake3::Hash)>> {
	let length = file.metadata()?.len();
	let (filled, pieces) = sync_channel(WAITING);
	let (empty, used) = channel::<Vec<u8>>();
	let each_piece = move |hash: &mut dyn FnMut(&[u8])| -> io::Result<()> {
		loop {
			let mut piece = used.try_recv().unwrap_or_default();
			piece.clear();
			piece.reserve(PIECE_BYTES);
			if file.take(PIECE_BYTES as u64).read_to_end(&mut piece)? == 0 {
				return Ok(());
			}
			hash(&piece);
			if filled.send(piece).is_err() {
				// The other end is gone only when `work` has panicked.
				return Ok(());
			}
		}
	};
	let verify = move || -> io::Result<bool> {
		Ok(match known {
			Some(known) => {
				let mut hasher = blake3::Hasher::new();
				each_piece(&mut |piece| {
					hasher.update(piece);
				})?;
				hasher.finalize() == known
			},
			None => {
				let mut hasher = content::content_hasher();
				each_piece(&mut |piece| hasher.update(piece))?;
				hasher.finish() == name
			},
		})
	};
	thread::scope(|scope| {
		let verifying =
			thread::Builder::new().name("hashing".into()).spawn_scoped(scope, verify)?;
		let mut other = blake3::Hasher::new();
		let hasher = known.is_none().then_some(&mut other);
		let mut reader = BlobReader { length, piece: Vec::new(), given: 0, pieces, empty, hasher };
		let made = work(&mut reader);
		io::copy(&mut reader, &mut io::sink())?;
		let intact = verifying.join().unwrap_or_else(|panic| resume_unwind(panic))?;
		let hash = known.unwrap_or_else(|| other.finalize());
		Ok(intact.then_some((made, hash)))
	})
}
