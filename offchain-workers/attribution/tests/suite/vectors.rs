//! The golden vectors, which `scripts/check-span-index.py` computes from the specification.

use crate::id;
use openledger_attribution::{
	attribute, IndexedContribution, Occurrence, SpanEvidence, SpanIndex, TokenGain,
};
use openledger_primitives::{
	claim::ContributionShare,
	contribution::{ContributionContent, SaltedRecord},
	record,
	span::MatchedSpan,
};
use serde_json::Value;

const VECTORS: &str = include_str!("../vectors/span-index.json");

fn number(value: &Value) -> u32 {
	u32::try_from(value.as_u64().unwrap()).unwrap()
}

fn text(value: &Value) -> &str {
	value.as_str().unwrap()
}

fn list(value: &Value) -> &[Value] {
	value.as_array().unwrap()
}

fn salted_record(value: &Value) -> SaltedRecord {
	let canonical = match value.get("fields") {
		Some(fields) => {
			let fields = list(fields).iter().map(|field| (text(&field[0]), text(&field[1])));
			record::canonical_fields(&fields.collect::<Vec<_>>()).unwrap()
		},
		None => record::canonical_text(text(&value["text"])).unwrap().into_bytes(),
	};
	SaltedRecord { salt: hex::decode(text(&value["salt"])).unwrap().try_into().unwrap(), canonical }
}

fn contribution(value: &Value) -> IndexedContribution {
	IndexedContribution {
		id: id(number(&value["datanet"]), number(&value["index"])),
		contributed_at: value["contributed_at"].as_u64().unwrap(),
		content: ContributionContent {
			records: list(&value["records"]).iter().map(salted_record).collect(),
		},
	}
}

fn token_gain(value: &Value) -> TokenGain {
	let range = number(&value[0]) as usize..number(&value[1]) as usize;
	TokenGain { range, gain_nats: value[2].as_f64().unwrap() as f32 }
}

fn occurrence(value: &Value) -> Occurrence {
	Occurrence {
		contribution: id(number(&value[0]), number(&value[1])),
		record: number(&value[2]),
		record_start: number(&value[3]),
	}
}

fn share(value: &Value) -> ContributionShare {
	let contribution = id(number(&value[0]), number(&value[1]));
	ContributionShare { contribution, parts: number(&value[2]) }
}

/// The SCALE bytes of a span, put together by hand: the crate knows no SCALE.
fn span_bytes(span: &MatchedSpan) -> String {
	let mut bytes = Vec::new();
	let numbers = |numbers: &[u32], bytes: &mut Vec<u8>| {
		bytes.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
	};
	numbers(&[span.contribution.datanet.0, span.contribution.index], &mut bytes);
	bytes.extend(span.leaf.as_bytes());
	numbers(&[span.proof.leaf_index, span.proof.leaf_count], &mut bytes);
	bytes.push(u8::try_from(span.proof.siblings.len()).unwrap() << 2);
	bytes.extend(span.proof.siblings.iter().flat_map(|sibling| sibling.0));
	numbers(&[span.answer_start, span.record_start, span.words, span.gain_micro], &mut bytes);
	hex::encode(bytes)
}

#[test]
fn everything_should_be_as_the_specification_says() {
	let cases: Value = serde_json::from_str(VECTORS).unwrap();
	assert!(list(&cases).len() >= 8);
	for case in list(&cases) {
		let (name, expected) = (text(&case["name"]), &case["expected"]);
		let contributions = list(&case["contributions"]).iter().map(contribution).collect();
		let index = SpanIndex::build(contributions).unwrap();
		assert_eq!(index.record_count() as u64, expected["records"], "{name}");
		assert_eq!(index.word_count() as u64, expected["words"], "{name}");
		assert_eq!(index.distinct_word_count() as u64, expected["distinct_words"], "{name}");
		assert_eq!(hex::encode(index.root()), text(&expected["root"]), "{name}");

		let answer = text(&case["answer"]);
		let found = index.matches(answer).unwrap();
		assert_eq!(found.len(), list(&expected["matches"]).len(), "{name}");
		for (span, expected) in found.iter().zip(list(&expected["matches"])) {
			assert_eq!(span.words.start, number(&expected["words"][0]), "{name}");
			assert_eq!(span.words.end, number(&expected["words"][1]), "{name}");
			assert_eq!(span.bytes.start as u64, expected["bytes"][0], "{name}");
			assert_eq!(span.bytes.end as u64, expected["bytes"][1], "{name}");
			assert_eq!(span.count, number(&expected["count"]), "{name}");
			let places: Vec<Occurrence> =
				list(&expected["occurrences"]).iter().map(occurrence).collect();
			assert_eq!(span.owner, places[0], "{name}");
			assert_eq!(index.occurrences(span), places, "{name}");
		}

		let gains: Vec<TokenGain> = list(&case["token_gains"]).iter().map(token_gain).collect();
		let attribution = attribute(&index, answer, &gains).unwrap();
		let bytes = |shown: &[SpanEvidence]| {
			shown.iter().map(|shown| span_bytes(&shown.span)).collect::<Vec<_>>()
		};
		let golden = |list_of: &str| {
			list(&expected[list_of]).iter().map(|span| text(span).to_string()).collect::<Vec<_>>()
		};
		assert_eq!(bytes(&attribution.evidence), golden("spans"), "{name}");
		assert_eq!(bytes(&attribution.unpaid), golden("unpaid"), "{name}");
		let shares: Vec<ContributionShare> = list(&expected["shares"]).iter().map(share).collect();
		assert_eq!(attribution.shares.to_vec(), shares, "{name}");
		assert_eq!(
			hex::encode(attribution.evidence_root),
			text(&expected["evidence_root"]),
			"{name}"
		);
	}
}
