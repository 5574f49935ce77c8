//! Blobs on disk, named by the hash of their content.
//!
//! Contributions, training specifications, prompts, answers, base models' files and adapters are
//! known on chain by their [`content_hash`](openledger_primitives::content::content_hash) alone. This
//! crate keeps the bytes behind such hashes in one folder:
//!
//! ```text
//! lock                 held by the process that has the store open
//! ab/cdef…             a blob: its hash in hexadecimal, the first byte as the folder
//! tmp/                 blobs in the making; what a crash left here goes away at the next start
//! quarantine/abcdef…   blobs that were found damaged
//! ```
//!
//! What it promises:
//!
//! - A blob that is returned has the hash that was asked for. Every read hashes the bytes; a damaged
//!   blob is an error and leaves for the quarantine, so that the next put or fetch brings it back.
//!   Where blobs are read again and again ([`Store::get_with`]), a second hash that is faster stands for
//!   the first from the time on when both were computed of the same bytes.
//! - A blob is there as a whole or not at all, whatever happens to the process, the disk or the power
//!   in between: it is written and flushed under another name, renamed, and the folder flushed.
//! - Nothing outside the folder is touched: links in place of blobs or folders are refused. Folders
//!   are for their owner alone (0700), and so are files (0600).
//!
//! All calls block on the disk; an asynchronous caller puts them on a thread that may block. A
//! [`Store`] can be shared by any number of threads.
//!
//! Today a store is the only [`BlobSource`]. Fetching blobs from other workers comes as another
//! source behind the same trait, whose results are checked by putting them into a store.
//!
//! The crate must not know what is in a blob, nor the chain, HTTP or an asynchronous runtime.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod error;
mod folder;
mod known;
mod list;
mod reader;
mod source;
mod store;
mod writer;

pub use error::StoreError;
pub use list::BlobInfo;
pub use reader::BlobReader;
pub use source::BlobSource;
pub use store::{Store, MAX_BLOB_BYTES};
pub use writer::BlobWriter;
