//! Which spans of an answer count, so that no word is paid twice.

use openledger_primitives::span::MIN_SPAN_WORDS;
use std::{cmp::Reverse, ops::Range};

/// Words of an answer and what was gained on them, in millionths of a nat.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Candidate {
	pub(crate) words: Range<usize>,
	pub(crate) gain: u64,
}

/// Takes the span with the largest gain, of equal ones the longest, of equally long ones the first;
/// cuts its words off all others, of which what is left remains if it is still long enough; and so
/// on, at most `limit` times. What is taken later never gained more.
pub(crate) fn choose(
	spans: Vec<Range<usize>>,
	limit: usize,
	gain_of: impl Fn(&Range<usize>) -> u64,
) -> Vec<Candidate> {
	let candidate = |words: Range<usize>| Candidate { gain: gain_of(&words), words };
	let mut left: Vec<Candidate> = spans.into_iter().map(candidate).collect();
	let mut chosen: Vec<Candidate> = Vec::new();
	while chosen.len() < limit {
		let order = |c: &Candidate| (c.gain, c.words.len(), Reverse(c.words.start));
		let Some(best) = left.iter().max_by_key(|candidate| order(candidate)).cloned() else {
			break;
		};
		let mut remaining = Vec::with_capacity(left.len());
		for other in left {
			if other.words.end <= best.words.start || best.words.end <= other.words.start {
				remaining.push(other);
			} else {
				let before = other.words.start..best.words.start;
				let after = best.words.end..other.words.end;
				let pieces = [before, after].into_iter();
				let long = pieces.filter(|piece| piece.len() >= MIN_SPAN_WORDS as usize);
				remaining.extend(long.map(candidate));
			}
		}
		left = remaining;
		chosen.push(best);
	}
	chosen
}
