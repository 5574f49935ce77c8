//! What user interfaces read.

use super::*;
use openledger_primitives::ModelId;

#[test]
fn quote_should_be_what_is_held() {
	ExtBuilder.build_and_execute(|| {
		assert_eq!(Inference::quote(MODEL, 100, 50), Some(MOST));
		ask();
		assert_eq!(on_hold(REQUESTER), MOST);
		assert_eq!(Inference::quote(FREE_MODEL, 100, 50), Some(0));
		assert_eq!(Inference::quote(ABSURD_MODEL, 100, 50), None);
		assert_eq!(Inference::quote(ModelId(99), 100, 50), None);
	});
}

#[test]
fn lists_should_follow_requests_when_they_begin_and_end() {
	ExtBuilder.build_and_execute(|| {
		let first = ask();
		let second = ask();
		let others = ask_by(OTHER_REQUESTER);
		assert_eq!(Inference::open_requests(REQUESTER), vec![first, second]);
		assert_eq!(Inference::open_requests(OTHER_REQUESTER), vec![others]);
		assert_eq!(Inference::pending_for(WORKER), vec![first, second]);
		assert_eq!(Inference::pending_for(OTHER_WORKER), vec![others]);

		assert_ok!(Submission::fitting(first).submit_by(OPERATOR));
		assert_eq!(Inference::open_requests(REQUESTER), vec![second]);
		assert_eq!(Inference::pending_for(WORKER), vec![second]);
		assert_eq!(Inference::open_requests(MODEL_OWNER), vec![]);
	});
}

#[test]
fn contents_should_be_shown_while_they_are_needed() {
	ExtBuilder.build_and_execute(|| {
		let id = ask();
		assert_eq!(Inference::prompt(id), Some(bytes("why?")));
		assert_eq!(Inference::answer(id), None);
		assert_ok!(Submission::fitting(id).submit_by(OPERATOR));
		assert_eq!(Inference::prompt(id), Some(Content::Hash(content_hash(b"why?"))));
		assert_eq!(Inference::answer(id), Some(bytes("because.")));
		assert_eq!(Inference::prompt(RequestId(9)), None);
		assert_eq!(Inference::answer(RequestId(9)), None);
	});
}

#[test]
fn content_should_have_one_hash_however_it_travels() {
	let content = bytes("why?");
	assert_eq!(Content::Hash(content.hash()).hash(), content.hash());
	assert_ne!(content.hash(), bytes("why!").hash());
	// The format: BLAKE2b-256 over the domain's length, the domain and the bytes.
	let mut input = vec![18u8];
	input.extend_from_slice(b"openledger/content");
	input.extend_from_slice(b"why?");
	assert_eq!(content.hash().0, sp_io::hashing::blake2_256(&input));
}

#[test]
fn content_should_be_refused_when_longer_than_the_bound() {
	let longest = vec![b'a'; MAX_CONTENT_BYTES as usize];
	assert!(ContentBytes::try_from(longest.clone()).is_ok());
	let longer = [longest, vec![b'a']].concat();
	assert!(ContentBytes::try_from(longer.clone()).is_err());
	// Nor can it be smuggled in encoded.
	let encoded = codec::Encode::encode(&(1u8, longer));
	assert!(<Content as codec::Decode>::decode(&mut &encoded[..]).is_err());
}
