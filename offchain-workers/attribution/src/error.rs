//! What can be wrong with contributions, answers and gains.

use crate::{MAX_ANSWER_WORDS, MAX_POSITIONS};
use openledger_primitives::{record::RecordFault, ContributionId};

/// Why contributions cannot be indexed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum IndexError {
	/// A contribution without records; the chain has none such.
	#[error("contribution {0:?} has no records")]
	EmptyContribution(ContributionId),
	/// Two of the contributions have the same id. Give each once.
	#[error("contribution {0:?} was given twice")]
	DuplicateContribution(ContributionId),
	/// A record is not in canonical form, so its bytes are not what its contributor committed to.
	#[error("record {record} of contribution {contribution:?} is not canonical: {fault:?}")]
	UnreadableRecord {
		/// The contribution.
		contribution: ContributionId,
		/// The record's number in it.
		record: usize,
		/// What is wrong with it.
		fault: RecordFault,
	},
	/// More words than one index holds.
	#[error("the contributions have more than {MAX_POSITIONS} words and passages")]
	TooManyWords,
	/// There is not enough memory to sort the suffixes.
	#[error("not enough memory to sort {words} words")]
	OutOfMemory {
		/// The number of words and passages.
		words: usize,
	},
}

/// Why an answer cannot be attributed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum AttributionError {
	/// More words than an answer can have.
	#[error("the answer has {words} words, more than {MAX_ANSWER_WORDS}")]
	AnswerTooLong {
		/// How many it has.
		words: usize,
	},
	/// A token whose range is backwards or ends beyond the answer.
	#[error("token {token} does not lie in the answer")]
	TokenOutsideAnswer {
		/// The token's place in the list of gains.
		token: usize,
	},
	/// A token that begins before the one before it ends; its bytes would be paid twice.
	#[error("token {token} begins before the one before it ends")]
	TokensOverlap {
		/// The second one's place in the list of gains.
		token: usize,
	},
	/// A gain that is no number or infinite.
	#[error("the gain of token {token} is not finite")]
	GainNotFinite {
		/// The token's place in the list of gains.
		token: usize,
	},
}
