use super::*;
use crate::chain::inference::{DatanetPart, FeeParts};

fn account(number: u8) -> AccountId32 {
	AccountId32([number; 32])
}

fn report() -> AnswerReport {
	let line = SettlementLine {
		contribution: ContributionNumber { datanet: 0, index: 2 },
		owner: account(1),
		parts: 1_000_000,
		amount: 500_000_000_000,
	};
	let payment = Explanation {
		request: 7,
		model: 3,
		payer: account(2),
		host: account(3),
		model_owner: account(4),
		fee: 1_000_000_000_000,
		split: FeeParts {
			contributors: 500_000_000_000,
			host: 200_000_000_000,
			model_owner: 100_000_000_000,
			validators: 100_000_000_000,
			treasury: 100_000_000_000,
		},
		unattributed: false,
		datanets: vec![DatanetPart {
			datanet: 0,
			amount: 500_000_000_000,
			contributions: vec![line],
		}],
		evidence_root: H256([5; 32]),
		answer_hash: H256([6; 32]),
		at: 9,
	};
	AnswerReport {
		request: 7,
		model: 3,
		answer: Some("Ja: die Straße führt nach Süden.".into()),
		payment,
		spans: vec![ShownSpan {
			datanet: 0,
			contribution: 2,
			record: 17,
			owner: Some(account(1)),
			words: 4,
			gain_micro: 5_310_000,
			answer_bytes: [4, 22],
			passage: Some(Passage { text: "Die Straße führt nach Süden".into(), bytes: 0..18 }),
		}],
		evidence: EvidenceState::Checked,
	}
}

fn human(report: &AnswerReport) -> String {
	let mut text = String::new();
	report.human(&mut text, Style { colour: false }).unwrap();
	text
}

#[test]
fn people_see_the_words_who_was_paid_and_what_was_checked() {
	let text = human(&report());
	assert!(text.starts_with("Ja: «die Straße führt»[1] nach Süden.\n"), "{text}");
	for said in [
		"[1] 4 words of datanet 0, contribution 2, record 17",
		"gain 5.310000 nats",
		"«Die Straße führt» nach Süden",
		"1 OPEN paid by",
		"0.5 ",
		"(100.00 %)",
		"the worker that answered",
		"checked: the answer",
	] {
		assert!(text.contains(said), "{said} is not in {text}");
	}
}

#[test]
fn what_does_not_agree_is_said_and_fails() {
	let mut report = report();
	let doubts = vec![Doubt::WordsDiffer { span: 1 }, Doubt::SharesDiffer];
	report.evidence = EvidenceState::Refuted { doubts };
	let text = human(&report);
	assert!(text.contains("DOES NOT AGREE WITH THE CHAIN"));
	assert!(text.contains("the words of span 1 are not the same"));
	assert!(matches!(report.ensure_holds(), Err(Error::Unverified(doubts)) if doubts.len() == 2));
}

#[test]
fn a_record_that_was_erased_is_said() {
	let mut report = report();
	report.spans[0].passage = None;
	let text = human(&report);
	assert!(text.contains("«die Straße führt»[1]"), "{text}");
	assert!(text.contains("the worker has erased the record"), "{text}");
}

#[test]
fn evidence_that_is_not_there_is_said_and_the_payment_shown() {
	let mut report = report();
	report.answer = None;
	report.spans.clear();
	report.evidence = EvidenceState::Unavailable { reason: "nobody is there".into() };
	let text = human(&report);
	assert!(text.contains("was not checked: nobody is there"));
	assert!(text.contains("1 OPEN paid by"));
	assert!(report.ensure_holds().is_ok());
}

#[test]
fn an_answer_is_json_of_this_shape() {
	let json = serde_json::to_value(report()).unwrap();
	assert_eq!(json["payment"]["fee"], "1");
	assert_eq!(json["payment"]["split"]["contributors"], "0.5");
	assert_eq!(
		json["payment"]["datanets"][0]["contributions"][0],
		serde_json::json!({
			"contribution": { "datanet": 0, "index": 2 },
			"owner": account(1).to_string(),
			"parts": 1_000_000,
			"amount": "0.5",
		})
	);
	assert_eq!(json["evidence"], serde_json::json!({ "state": "checked" }));
	assert_eq!(json["spans"][0]["answer_bytes"], serde_json::json!([4, 22]));
	assert_eq!(
		json["spans"][0]["passage"],
		serde_json::json!({ "text": "Die Straße führt nach Süden", "bytes": [0, 18] })
	);
	let refuted = EvidenceState::Refuted { doubts: vec![Doubt::Unreadable { span: 2 }] };
	assert_eq!(
		serde_json::to_value(refuted).unwrap(),
		serde_json::json!({ "state": "refuted", "doubts": [{ "doubt": "unreadable", "span": 2 }] })
	);
}

#[test]
fn long_records_are_cut_around_the_span() {
	let text = format!("{}die Straße führt{}", "ä".repeat(500), "ö".repeat(500));
	let quoted = quote(&Passage { text, bytes: 1_000..1_018 }, Style { colour: false });
	assert!(quoted.starts_with("…ä") && quoted.ends_with("ö…"), "{quoted}");
	assert!(quoted.contains("ä«die Straße führt»"), "{quoted}");
	assert!(quoted.chars().count() < 130);
}
