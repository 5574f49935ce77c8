//! Tests of the span index and of attribution, one module per topic.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod attribution;
mod index;
mod matches;
mod properties;
mod vectors;

use openledger_attribution::{IndexedContribution, SpanIndex, TokenGain};
use openledger_primitives::{
	contribution::{ContributionContent, SaltedRecord},
	hashing, record, ContributionId, DatanetId,
};

fn id(datanet: u32, index: u32) -> ContributionId {
	ContributionId { datanet: DatanetId(datanet), index }
}

/// A record of a text, with a salt that follows from the text.
fn text(text: &str) -> SaltedRecord {
	salted(record::canonical_text(text).unwrap().into_bytes())
}

fn fields(fields: &[(&str, &str)]) -> SaltedRecord {
	salted(record::canonical_fields(fields).unwrap())
}

fn salted(canonical: Vec<u8>) -> SaltedRecord {
	SaltedRecord { salt: hashing::hash("test/salt", &[&canonical]).0, canonical }
}

/// A contribution to datanet 0.
fn contribution(index: u32, at: u64, records: Vec<SaltedRecord>) -> IndexedContribution {
	let content = ContributionContent { records };
	IndexedContribution { id: id(0, index), contributed_at: at, content }
}

/// An index over one text per contribution, contributed one after the other.
fn index_of(texts: &[&str]) -> SpanIndex {
	let one = |(index, of): (u32, &&str)| contribution(index, u64::from(index), vec![text(of)]);
	SpanIndex::build((0..).zip(texts).map(one).collect()).unwrap()
}

/// A token for every word with what follows it, each with this gain.
fn even_gains(answer: &str, gain_nats: f32) -> Vec<TokenGain> {
	let mut gains = Vec::new();
	let mut start = 0;
	for token in answer.split_inclusive(' ') {
		gains.push(TokenGain { range: start..start + token.len(), gain_nats });
		start += token.len();
	}
	gains
}
