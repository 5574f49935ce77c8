//! Golden vectors: what every implementation of the formats must give. The files are checked a
//! second time, from the specification only, by `scripts/check-vectors.py`.
//!
//! After a deliberate change of format, write them anew with `OPENLEDGER_WRITE_VECTORS=1`.

use codec::Encode;
use openledger_primitives::{
	claim::ContributionShare,
	content::content_hash,
	merkle::{self, Tree},
	mmr::{contribution_leaf, MountainRange, RangeBuilder, RecordProof},
	record::{canonical_fields, canonical_text, record_leaf, salt_hash, salts_root},
	selection::{seed, weighted_index},
	shares::{divide, FeeSplit},
	span::{evidence_root, shares_of, MatchedSpan},
	Balance, ContributionId, DatanetId, H256,
};
use serde_json::{json, Value};
use std::{env, fs, path::PathBuf};

/// Compares with the file of this name, or writes it.
pub fn check(name: &str, computed: Value) {
	let path: PathBuf =
		[env!("CARGO_MANIFEST_DIR"), "tests", "vectors", &format!("{name}.json")].iter().collect();
	if env::var_os("OPENLEDGER_WRITE_VECTORS").is_some() {
		let text = serde_json::to_string_pretty(&computed).unwrap();
		fs::write(&path, format!("{text}\n")).unwrap();
	}
	let golden: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
	assert_eq!(golden, computed, "{name} differs from its golden vectors");
}

fn hexed(bytes: impl AsRef<[u8]>) -> String {
	hex::encode(bytes)
}

/// Leaf `index` of the vectors: 32 times the byte `index + 1`.
fn leaf(index: u32) -> H256 {
	H256::repeat_byte(index as u8 + 1)
}

/// Salt `index` of the vectors: 32 times the byte `0xa0 + index`.
fn salt(index: usize) -> [u8; 32] {
	[0xa0 + index as u8; 32]
}

#[test]
fn records_should_match_their_vectors() {
	let texts = [
		"plain",
		"  The fee\r\n\tis due\u{a0}at once. ",
		"Cafe\u{301} \u{212b}ngstro\u{308}m",
		"\u{1112}\u{1161}\u{11ab}\u{3000}q\u{307}\u{323}",
		"\u{958}\u{2028}\u{fb01}\u{200d}",
	];
	let fields: [&[(&str, &str)]; 2] = [
		&[("question", " Who signs\nthe permit?"), ("answer", "The  office.")],
		&[("\u{e9}", "2"), ("z", "1"), ("a", "Cafe\u{301}")],
	];
	let leaves = |salt: [u8; 32], canonical: Vec<u8>| {
		json!({
			"canonical": hexed(&canonical),
			"salt": hexed(salt),
			"salt_hash": hexed(salt_hash(&salt)),
			"leaf": hexed(record_leaf(&salt, &canonical)),
		})
	};
	let texts: Vec<Value> = texts
		.iter()
		.enumerate()
		.map(|(at, text)| {
			let canonical = canonical_text(text).unwrap().into_bytes();
			json!({ "text": text, "record": leaves(salt(at), canonical) })
		})
		.collect();
	let fields: Vec<Value> = fields
		.iter()
		.enumerate()
		.map(|(at, fields)| {
			let canonical = canonical_fields(fields).unwrap();
			json!({ "fields": fields, "record": leaves(salt(16 + at), canonical) })
		})
		.collect();
	let refused: Vec<Value> =
		["", " \u{2003}\n", "a\0b", "a\u{1c}b", "\u{9f}", "\u{ffff}", "\u{fdd0}"]
			.iter()
			.map(|text| {
				assert!(canonical_text(text).is_err());
				json!(text)
			})
			.collect();
	check("records", json!({ "texts": texts, "fields": fields, "refused": refused }));
}

#[test]
fn trees_should_match_their_vectors() {
	let trees: Vec<Value> = [1u32, 2, 3, 5, 11]
		.into_iter()
		.map(|count| {
			let leaves: Vec<H256> = (0..count).map(leaf).collect();
			let tree = Tree::new(&leaves).unwrap();
			let indices = [0, count / 2, count - 1];
			let mut many = indices.to_vec();
			many.dedup();
			let multi = tree.prove_many(&many).unwrap();
			json!({
				"leaf_count": count,
				"root": hexed(tree.root()),
				"proofs": indices.map(|at| hexed(tree.prove(at).unwrap().encode())),
				"multi_proof": hexed(multi.encode()),
			})
		})
		.collect();
	check("merkle", Value::Array(trees));
}

#[test]
fn ranges_should_match_their_vectors() {
	let mut range = MountainRange::default();
	let mut states = Vec::new();
	for index in 0..11 {
		range.push(leaf(index)).unwrap();
		states.push(json!({
			"leaves": range.leaves(),
			"root": hexed(range.root().unwrap()),
			"range": hexed(range.encode()),
		}));
	}
	let builder = RangeBuilder::from_leaves((0..11).map(leaf)).unwrap();
	let proofs: Vec<Value> = [(0, 1), (0, 3), (2, 3), (5, 8), (5, 11), (9, 11), (10, 11)]
		.into_iter()
		.map(|(index, count)| {
			json!({
				"leaf_index": index,
				"leaf_count": count,
				"proof": hexed(builder.prove(index, count).unwrap().encode()),
			})
		})
		.collect();
	check("ranges", json!({ "states": states, "proofs": proofs }));
}

/// The worked example of the specification.
#[test]
fn record_proof_should_match_its_vector() {
	let pairs = [
		(
			0,
			vec![
				("Who signs the permit?", "The office."),
				("How long?", "A month."),
				("Fee?", "None."),
			],
		),
		(2, vec![("Where?", "At the town hall.")]),
		(3, vec![("When?", "On Mondays."), ("Why?", "It is the law.")]),
	];
	let mut builder = RangeBuilder::default();
	let mut trees = Vec::new();
	let mut contributions = Vec::new();
	for (place, (index, pairs)) in pairs.iter().enumerate() {
		let mut records = Vec::new();
		let mut leaves = Vec::new();
		let mut salts = Vec::new();
		for (at, (question, answer)) in pairs.iter().enumerate() {
			let salt = salt(16 * place + at);
			let canonical =
				canonical_fields(&[("question", question), ("answer", answer)]).unwrap();
			let leaf = record_leaf(&salt, &canonical);
			leaves.push(leaf);
			salts.push(salt);
			records.push(json!({
				"fields": [["question", question], ["answer", answer]],
				"canonical": hexed(&canonical),
				"salt": hexed(salt),
				"leaf": hexed(leaf),
			}));
		}
		let tree = Tree::new(&leaves).unwrap();
		let leaf = contribution_leaf(*index, tree.root(), tree.leaf_count());
		builder.push(leaf).unwrap();
		contributions.push(json!({
			"index": index,
			"records": records,
			"root": hexed(tree.root()),
			"salts_root": hexed(salts_root(&salts).unwrap()),
			"leaf": hexed(leaf),
			"version_root": hexed(builder.root_at(place as u32 + 1).unwrap()),
		}));
		trees.push((leaves, tree));
	}
	let (leaves, tree) = &trees[2];
	let proof = RecordProof {
		contribution: 3,
		record: tree.prove(1).unwrap(),
		range: builder.prove(2, 3).unwrap(),
	};
	let version_root = builder.root_at(3).unwrap();
	assert_eq!(proof.verify(version_root, leaves[1]), Ok(()));
	assert_eq!(merkle::root(leaves), Some(tree.root()));
	check(
		"record-proof",
		json!({
			"contributions": contributions,
			"record_leaf": hexed(leaves[1]),
			"version_root": hexed(version_root),
			"proof": hexed(proof.encode()),
		}),
	);
}

#[test]
fn divisions_should_match_their_vectors() {
	let cases: [(Balance, Vec<u64>); 7] = [
		(10, vec![1, 1, 1]),
		(10, vec![2, 3, 1]),
		(1, vec![0, 1, 0]),
		(1_000_000_000_007, vec![500_000, 300_000, 150_000, 49_999, 1]),
		(99, vec![7, 7, 7, 7, 7, 7, 7, 6]),
		(Balance::MAX, vec![u64::MAX, 1, u64::MAX - 1]),
		(Balance::MAX, vec![1; 7]),
	];
	let divisions: Vec<Value> = cases
		.iter()
		.map(|(amount, weights)| {
			let parts = divide(*amount, weights).unwrap();
			let parts: Vec<String> = parts.iter().map(Balance::to_string).collect();
			json!({ "amount": amount.to_string(), "weights": weights, "parts": parts })
		})
		.collect();
	let fees: Vec<Value> = [0, 1, 7, 1_000_003, Balance::MAX]
		.into_iter()
		.map(|fee: Balance| {
			let parts = FeeSplit::GENESIS.divide(fee).unwrap();
			let parts = [
				parts.contributors,
				parts.host,
				parts.model_owner,
				parts.validators,
				parts.treasury,
			];
			json!({ "fee": fee.to_string(), "parts": parts.map(|part| part.to_string()) })
		})
		.collect();
	check("shares", json!({ "divisions": divisions, "fees": fees }));
}

#[test]
fn choices_should_match_their_vectors() {
	let weights: [Balance; 5] = [0, 1_000, 1, Balance::MAX, Balance::MAX / 2];
	let choices: Vec<Value> = (0..12)
		.map(|attempt| {
			let seed = seed(H256::repeat_byte(0x11), b"request/7", attempt);
			json!({
				"attempt": attempt,
				"seed": hexed(seed),
				"index": weighted_index(seed, weights.into_iter()).unwrap(),
			})
		})
		.collect();
	check(
		"selection",
		json!({
			"randomness": hexed([0x11; 32]),
			"subject": hexed(b"request/7"),
			"weights": weights.map(|weight| weight.to_string()),
			"choices": choices,
		}),
	);
}

#[test]
fn spans_should_match_their_vectors() {
	let tree = Tree::new(&[leaf(0), leaf(1), leaf(2)]).unwrap();
	let span = |datanet: u32, index: u32, number: u32, start: u32, gain_micro: u32| MatchedSpan {
		contribution: ContributionId { datanet: DatanetId(datanet), index },
		leaf: leaf(number),
		proof: tree.prove(number).unwrap(),
		answer_start: start,
		record_start: 2,
		words: 5,
		gain_micro,
	};
	let claims = [
		vec![],
		vec![span(1, 2, 0, 0, 7)],
		vec![span(1, 2, 0, 0, 1_000_000), span(0, 9, 2, 5, 3), span(1, 2, 1, 11, 2_500_001)],
		// Less than half a millionth rounds to nothing, and the contribution is left out.
		vec![span(3, 1, 0, 0, u32::MAX), span(3, 0, 2, 8, 1)],
	];
	let claims: Vec<Value> = claims
		.iter()
		.map(|spans| {
			let span = |span: &MatchedSpan| {
				json!({
					"contribution": [span.contribution.datanet.0, span.contribution.index],
					"leaf": hexed(span.leaf),
					"leaf_index": span.proof.leaf_index,
					"leaf_count": span.proof.leaf_count,
					"siblings": span.proof.siblings.iter().map(hexed).collect::<Vec<_>>(),
					"answer_start": span.answer_start,
					"record_start": span.record_start,
					"words": span.words,
					"gain_micro": span.gain_micro,
				})
			};
			let share = |share: &ContributionShare| {
				let ContributionShare { contribution, parts } = share;
				json!([contribution.datanet.0, contribution.index, parts])
			};
			json!({
				"spans": spans.iter().map(span).collect::<Vec<_>>(),
				"evidence_root": hexed(evidence_root(spans)),
				"shares": shares_of(spans).iter().map(share).collect::<Vec<_>>(),
			})
		})
		.collect();
	check(
		"spans",
		json!({
			"content": { "bytes": hexed("an answer"), "hash": hexed(content_hash(b"an answer")) },
			"claims": claims,
		}),
	);
}
