use super::*;
use std::collections::BTreeSet;

#[test]
fn validator_view_should_show_what_is_stored_when_registered() {
	ExtBuilder::build_and_execute(|| {
		assert_eq!(Validators::validator(1), Some(stored(1)));
		assert_eq!(Validators::validator(5), None);
		assert_eq!(Validators::min_bond(), MIN_BOND);
	});
}

#[test]
fn pages_should_cover_everybody_once_when_followed() {
	ExtBuilder::build_and_execute(|| {
		for who in 5..=10 {
			register(who, MIN_BOND);
		}
		let mut seen = BTreeSet::new();
		let mut after = None;
		loop {
			let page = Validators::validators(after, 3);
			assert!(page.len() <= 3);
			let Some((last, _)) = page.last() else { break };
			after = Some(*last);
			for (who, validator) in page {
				assert_eq!(validator, stored(who));
				assert!(seen.insert(who));
			}
		}
		assert_eq!(seen, (1..=10).collect());
		assert_eq!(Validators::validators(None, u32::MAX).len(), 10);
	});
}

#[test]
fn next_set_should_be_what_the_next_plan_chooses_when_asked() {
	ExtBuilder::build_and_execute(|| {
		register(5, 5_000);
		assert_ok!(Validators::leave(signed(4)));
		let next = Validators::next_set();
		assert_eq!(next, [(5, 5_000), (1, 1_000), (2, 900), (3, 800)]);
		assert!(!Validators::is_active(5));
		assert!(Validators::is_active(4));
		pass_sessions(2);
		assert_eq!(Session::validators(), [5, 1, 2, 3]);
		assert!(Validators::is_active(5));
		assert!(!Validators::is_active(4));
	});
}
