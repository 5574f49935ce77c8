use super::*;
use openledger_primitives::licence::{allows, LicenceTerms, Use};
use proptest::prelude::*;

fn terms(licence: &Licence) -> LicenceTerms {
	LicenceTerms {
		commercial: licence.commercial,
		derivatives: licence.derivatives,
		share_alike: licence.share_alike,
		revenue_share: licence.revenue_share,
		expires_at: licence.expires_at,
		purposes: Purposes(licence.purposes),
	}
}

fn any_terms() -> impl Strategy<Value = LicenceTerms> {
	let flags = (any::<bool>(), any::<bool>(), any::<bool>());
	(flags, 0u16..5_000, proptest::option::of(1u64..5), 1u8..16).prop_map(
		|((commercial, derivatives, share_alike), revenue_share, expires_at, purposes)| {
			LicenceTerms {
				commercial,
				derivatives,
				share_alike,
				revenue_share,
				expires_at,
				purposes: Purposes(purposes),
			}
		},
	)
}

fn is_allowed(sources: &[LicenceTerms], result: LicenceTerms) -> bool {
	let wanted = Use {
		purposes: Purposes::TRAINING.and(Purposes::SERVING),
		commercial: false,
		derivative: Some(result),
		until: result.expires_at,
	};
	allows(sources, &wanted).is_ok()
}

proptest! {
	#[test]
	fn the_derived_licence_is_refused_only_where_every_licence_would_be(
		sources in proptest::collection::vec(any_terms(), 1..4),
		other in any_terms(),
	) {
		let licences: Vec<Licence> = sources.iter().map(|terms| (*terms).into()).collect();
		let derived = terms(&strictest(&licences));
		if is_allowed(&sources, other) {
			prop_assert!(is_allowed(&sources, derived), "{derived:?}");
		}
	}
}

#[test]
fn progress_is_told_in_words() {
	let said = |json: &str| progress_line(&serde_json::from_str(json).unwrap());
	let heldout = r#"{"event":"heldout","number":1,"stage":"before","loss":2.5,"tokens":9}"#;
	assert_eq!(said(heldout), "held-out loss before: 2.5000");
	let step = r#"{"event":"step","number":2,"step":1,"of":4,"loss":1.25}"#;
	assert_eq!(said(step), "step 1/4: loss 1.2500");
	let failed = r#"{"event":"failed","number":3,"detail":"no \u001b[2J spec","hint":"mend it"}"#;
	assert_eq!(said(failed), "failed: no \\u{1b}[2J spec; mend it");
	assert_eq!(said(r#"{"event":"started","number":1,"of":4}"#), "started");
}

#[test]
fn lines_are_json_of_this_shape() {
	let json = |line: &TrainingLine| serde_json::to_value(line).unwrap();
	assert_eq!(
		json(&TrainingLine::Requested { job: 3, budget: "1.5".parse().unwrap() }),
		serde_json::json!({ "line": "requested", "job": 3, "budget": "1.5" })
	);
	let phase = TrainingPhase::Open { expires_at: 9 };
	assert_eq!(
		json(&TrainingLine::Phase { job: 3, phase }),
		serde_json::json!({ "line": "phase", "job": 3, "phase": "open", "expires_at": 9 })
	);
	let event = r#"{"event":"step","number":7,"step":2,"of":9,"loss":1.5,"new":"field"}"#;
	let event = serde_json::from_str(event).unwrap();
	assert_eq!(
		json(&TrainingLine::Progress { event }),
		serde_json::json!({
			"line": "progress", "event": "step", "number": 7, "step": 2, "of": 9, "loss": 1.5
		})
	);
	let metrics = Metrics {
		heldout_loss_before_micro: 2_000_000,
		heldout_loss_after_micro: 1,
		trained_tokens: 5,
		steps: 6,
	};
	assert_eq!(
		json(&TrainingLine::Finished { job: 3, model: 4, metrics }),
		serde_json::json!({ "line": "finished", "job": 3, "model": 4, "metrics": {
			"heldout_loss_before_micro": 2_000_000, "heldout_loss_after_micro": 1,
			"trained_tokens": 5, "steps": 6,
		} })
	);
}
