use super::*;
use codec::Encode;
use openledger_primitives::contribution::{ContributionContent, SaltedRecord};

const ANSWER: &str =
	"Well: the permit is signed by the OFFICE, of the harbour! And naïve visitors \
	should always pay the small fee. Bye.";

struct Story {
	evidence: Evidence,
	committed: Committed,
}

fn record(fields: &[(&str, &str)], salt: u8) -> SaltedRecord {
	SaltedRecord { salt: [salt; 32], canonical: record::canonical_fields(fields).unwrap() }
}

fn span_of(
	content: &ContributionContent,
	contribution: ContributionId,
	number: u32,
	places: (u32, u32, u32),
	gain_micro: u32,
) -> MatchedSpan {
	MatchedSpan {
		contribution,
		leaf: content.records[number as usize].leaf(),
		proof: content.tree().unwrap().prove(number).unwrap(),
		answer_start: places.0,
		record_start: places.1,
		words: places.2,
		gain_micro,
	}
}

fn shown(span: &MatchedSpan, content: &ContributionContent) -> SpanEvidence {
	let record = &content.records[span.proof.leaf_index as usize];
	SpanEvidence {
		scale: format!("0x{}", hex::encode(span.encode())),
		record: RecordEvidence {
			number: span.proof.leaf_index,
			salt: Some(format!("0x{}", hex::encode(record.salt))),
			canonical: Some(format!("0x{}", hex::encode(&record.canonical))),
		},
	}
}

/// Two contributions, of which an answer has a span each.
fn story() -> Story {
	let first = ContributionContent {
		records: vec![
			record(&[("question", "Fee?"), ("answer", "None.")], 1),
			// Words of the answer field come first: fields are sorted by name.
			record(
				&[
					("answer", "The permit is signed by the office of the harbour."),
					("question", "Who signs it?"),
				],
				2,
			),
		],
	};
	let second = ContributionContent {
		records: vec![SaltedRecord {
			salt: [3; 32],
			canonical: "It is said that naïve visitors should always pay the small fee twice"
				.into(),
		}],
	};
	let ids = [contribution_id(0, 2), contribution_id(4, 0)];
	let spans = [
		span_of(&first, ids[0], 1, (1, 0, 10), 3_000_000),
		span_of(&second, ids[1], 0, (12, 4, 8), 1_000_000),
	];
	let known = |content: &ContributionContent| {
		let commitment = content.commitment().unwrap();
		KnownContribution { root: commitment.root, records: commitment.records }
	};
	let root = span::evidence_root(&spans);
	Story {
		evidence: Evidence {
			evidence_root: root,
			answer: ANSWER.into(),
			spans: vec![shown(&spans[0], &first), shown(&spans[1], &second)],
		},
		committed: Committed {
			answer_hash: content_hash(ANSWER.as_bytes()),
			evidence_root: root,
			shares: vec![(ids[0], 750_000), (ids[1], 250_000)],
			contributions: [(ids[0], known(&first)), (ids[1], known(&second))].into(),
		},
	}
}

/// Changes a span of a story and commits the chain to the change, as a worker would that lied when it
/// was paid.
fn forge(story: &mut Story, number: usize, change: impl FnOnce(&mut MatchedSpan)) {
	let mut spans: Vec<MatchedSpan> = story
		.evidence
		.spans
		.iter()
		.map(|shown| MatchedSpan::decode_all(&mut &bytes(&shown.scale).unwrap()[..]).unwrap())
		.collect();
	change(&mut spans[number]);
	story.evidence.spans[number].scale = hex::encode(spans[number].encode());
	story.evidence.evidence_root = span::evidence_root(&spans);
	story.committed.evidence_root = story.evidence.evidence_root;
}

#[test]
fn true_evidence_holds_and_says_where_the_words_are() {
	let story = story();
	let result = verify(&story.evidence, &story.committed);
	assert_eq!(result.doubts, []);
	let [first, second] = &result.spans[..] else { panic!("{:?}", result.spans) };
	assert_eq!(
		&ANSWER[first.answer_bytes.clone()],
		"the permit is signed by the OFFICE, of the harbour"
	);
	let passage = |span: &VerifiedSpan| {
		let passage = span.passage.clone().unwrap();
		(passage.text[passage.bytes].to_owned(), passage.text)
	};
	let text = "The permit is signed by the office of the harbour.";
	assert_eq!(passage(first), (text.trim_end_matches('.').into(), text.into()));
	assert_eq!((first.contribution, first.record), (contribution_id(0, 2), 1));
	assert_eq!(
		&ANSWER[second.answer_bytes.clone()],
		"naïve visitors should always pay the small fee"
	);
	assert_eq!(passage(second).0, "naïve visitors should always pay the small fee");
}

#[test]
fn an_answer_without_spans_owes_nobody() {
	let evidence =
		Evidence { evidence_root: H256::zero(), answer: "Hm.".into(), spans: Vec::new() };
	let committed = Committed {
		answer_hash: content_hash(b"Hm."),
		evidence_root: H256::zero(),
		shares: Vec::new(),
		contributions: BTreeMap::new(),
	};
	assert!(verify(&evidence, &committed).holds());
}

#[test]
fn another_answer_is_found_out() {
	let mut story = story();
	story.evidence.answer.push('!');
	let result = verify(&story.evidence, &story.committed);
	assert_eq!(result.doubts, [Doubt::AnswerDiffers]);
	// Its places are in no answer that was paid for.
	assert_eq!(result.spans, []);
}

#[test]
fn spans_that_were_not_paid_for_are_found_out() {
	let mut missing = story();
	missing.evidence.spans.pop();
	let doubts = verify(&missing.evidence, &missing.committed).doubts;
	assert_eq!(doubts, [Doubt::EvidenceRootDiffers, Doubt::SharesDiffer]);

	let mut unreadable = story();
	unreadable.evidence.spans[0].scale.push_str("00");
	let doubts = verify(&unreadable.evidence, &unreadable.committed).doubts;
	assert!(doubts.contains(&Doubt::Unreadable { span: 1 }));
	assert!(doubts.contains(&Doubt::EvidenceRootDiffers));

	let mut many = story();
	many.evidence.spans = vec![many.evidence.spans[0].clone(); 65];
	assert_eq!(verify(&many.evidence, &many.committed).doubts, [Doubt::TooManySpans]);
}

#[test]
fn shares_that_do_not_follow_are_found_out() {
	let mut story = story();
	story.committed.shares[0].1 += 1;
	story.committed.shares[1].1 -= 1;
	assert_eq!(verify(&story.evidence, &story.committed).doubts, [Doubt::SharesDiffer]);
}

#[test]
fn a_record_that_is_not_in_its_contribution_is_found_out() {
	let mut other_root = story();
	let id = contribution_id(4, 0);
	other_root.committed.contributions.get_mut(&id).unwrap().root = H256([9; 32]);
	let doubts = verify(&other_root.evidence, &other_root.committed).doubts;
	assert_eq!(doubts, [Doubt::NotInContribution { span: 2 }]);

	let mut other_size = story();
	other_size.committed.contributions.get_mut(&id).unwrap().records = 2;
	let doubts = verify(&other_size.evidence, &other_size.committed).doubts;
	assert_eq!(doubts, [Doubt::NotInContribution { span: 2 }]);

	let mut unknown = story();
	unknown.committed.contributions.remove(&id);
	let doubts = verify(&unknown.evidence, &unknown.committed).doubts;
	assert_eq!(doubts, [Doubt::ContributionUnknown { span: 2 }]);
}

#[test]
fn a_record_in_place_of_another_is_found_out() {
	let changes: [fn(&mut RecordEvidence); 5] = [
		|record| record.salt = Some(hex::encode([8; 32])),
		|record| record.salt = Some("0x01".into()),
		|record| record.canonical = Some(hex::encode("other words than the ones")),
		|record| record.canonical = Some("zz".into()),
		|record| record.number = 0,
	];
	for change in changes {
		let mut story = story();
		change(&mut story.evidence.spans[0].record);
		let result = verify(&story.evidence, &story.committed);
		assert_eq!(result.doubts, [Doubt::RecordDiffers { span: 1 }]);
		assert_eq!(result.spans.len(), 1);
	}
}

#[test]
fn a_record_that_the_worker_erased_is_no_lie() {
	let mut story = story();
	story.evidence.spans[0].record.salt = None;
	story.evidence.spans[0].record.canonical = None;
	let result = verify(&story.evidence, &story.committed);
	assert_eq!(result.doubts, []);
	assert_eq!(result.spans[0].passage, None);
	assert!(result.spans[1].passage.is_some());
	// Its place in the contribution is checked all the same.
	forge(&mut story, 0, |span| span.leaf = H256([1; 32]));
	let doubts = verify(&story.evidence, &story.committed).doubts;
	assert_eq!(doubts, [Doubt::NotInContribution { span: 1 }]);
}

#[test]
fn words_that_are_not_there_are_found_out() {
	let changes: [fn(&mut MatchedSpan); 5] = [
		|span| span.answer_start = 0,
		|span| span.record_start = 1,
		// It would reach from the answer field into the question field.
		|span| span.words = 11,
		|span| span.record_start = u32::MAX,
		|span| (span.words, span.record_start) = (u32::MAX, 0),
	];
	for change in changes {
		let mut story = story();
		forge(&mut story, 0, change);
		let doubts = verify(&story.evidence, &story.committed).doubts;
		assert!(doubts.contains(&Doubt::WordsDiffer { span: 1 }), "{doubts:?}");
	}
}

#[test]
fn spans_that_no_claim_may_hold_are_found_out() {
	let mut story = story();
	forge(&mut story, 1, |span| span.answer_start = 5);
	let doubts = verify(&story.evidence, &story.committed).doubts;
	assert!(doubts.contains(&Doubt::SpansNotAllowed), "{doubts:?}");
}

#[test]
fn the_workers_json_is_read() {
	// As in docs/spec/worker-api.md, with all that a worker says besides.
	let json = r#"{
		"evidence_root": "0x0000000000000000000000000000000000000000000000000000000000000001",
		"answer": "…",
		"spans": [{
			"scale": "0x00",
			"contribution": {"datanet": 0, "index": 2},
			"answer_start": 3, "record_start": 11, "words": 9,
			"answer_bytes": [18, 74],
			"gain_micro": 5310000,
			"content": "0x00", "count": 1,
			"record": {"number": 17, "salt": "0x00", "canonical": "0x00", "text": "…"}
		}, {"scale": "0x00", "record": {"number": 18}}],
		"unpaid": []
	}"#;
	let evidence: Evidence = serde_json::from_str(json).unwrap();
	assert_eq!(evidence.spans[0].record.number, 17);
	assert_eq!(evidence.spans[1].record.salt, None);
}
