//! Which training records an answer repeats, and what that earns their contributors.
//!
//! A [`SpanIndex`] holds the words of all training records of a model in a suffix array, as
//! infini-gram does with tokens. [`SpanIndex::matches`] finds in it the maximal runs of words that
//! an answer has in common with any record (OLMoTrace), who contributed each first, and how often
//! each occurs. [`attribute`] takes what the adapter gained on each token of the answer over the base
//! model, chooses spans that do not overlap, and gives the spans, shares and proofs of an
//! [`AttributionClaim`](openledger_primitives::claim::AttributionClaim) whose `check` holds.
//!
//! Everything that is claimed is integers, and follows from the records, the answer and the gains
//! alone: two workers with the same of these claim the same. `docs/spec/span-index.md` says how, so
//! that whoever has the records gets the same root without this code.
//!
//! An index is rebuilt from the contributions, never loaded: its root can only be trusted by whoever
//! has sorted the suffixes, and a million words take less than half a second (`examples/span_index.rs`
//! measures). Words take 8 bytes of memory each, beside 4 for a passage, 12 for a record, the
//! dictionary of distinct words, and the records with their trees.
//!
//! The crate must not know the chain, HTTP, files, tokenizers or tensors.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod attribute;
mod choice;
mod commitment;
mod dictionary;
mod error;
mod gain;
mod matches;
mod span_index;
mod suffix_array;

pub use attribute::{attribute, Attribution, SpanEvidence, MAX_UNPAID_SPANS};
pub use error::{AttributionError, IndexError};
pub use gain::TokenGain;
pub use matches::{FoundSpan, COMMON_COUNT, MAX_ANSWER_WORDS, MAX_OCCURRENCES};
pub use span_index::{IndexedContribution, Occurrence, SpanIndex, MAX_POSITIONS};
