mod bonds;
mod conservation;
mod offences;
mod sessions;
mod views;

use crate::{mock::*, Error, Event, HoldReason, Status, Validator};
use frame_support::{assert_noop, assert_ok, traits::fungible::InspectHold};
use openledger_primitives::Balance;

fn signed(who: AccountId) -> RuntimeOrigin {
	RuntimeOrigin::signed(who)
}

fn held(who: AccountId) -> Balance {
	Balances::balance_on_hold(&HoldReason::Bond.into(), &who)
}

fn stored(who: AccountId) -> Validator {
	crate::Validators::<Test>::get(who).unwrap()
}

fn status(who: AccountId) -> Status {
	stored(who).status
}

fn assert_event(event: Event<Test>) {
	System::assert_has_event(event.into());
}
