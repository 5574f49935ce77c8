//! What a run does and refuses.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::{model, Run};
use openledger_trainer::{
	micronats, Dataset, Example, HeldoutStage, ProgressEvent, SpecError, TrainError,
	TrainingLength, TrainingSpec,
};

fn example(tokens: Vec<u32>) -> Example {
	Example::new(tokens, 1).unwrap()
}

#[test]
fn run_should_learn_what_the_examples_have_in_common() {
	let model = model();
	let mut run = Run::new(&model);
	run.spec.length = TrainingLength::Epochs(60);
	run.spec.learning_rate = 3e-2;
	let (trained, _) = run.train().unwrap();
	let metrics = trained.metrics;
	let (before, after) = (metrics.heldout_before.unwrap(), metrics.heldout_after.unwrap());
	assert!(after < 0.7 * before, "{before} before, {after} after");
	assert!(metrics.last_loss < 0.5 * metrics.first_loss, "{metrics:?}");
}

#[test]
fn events_should_tell_the_run_in_order() {
	let model = model();
	let run = Run::new(&model);
	let (trained, events) = run.train().unwrap();
	let completion: usize = run.dataset.training.iter().map(Example::completion_tokens).sum();
	// Seven examples three times, two at a time.
	let steps = 11;
	match &events[0] {
		ProgressEvent::Started { steps: 11, resumed_at: 0, examples: 7, parameters, .. } => {
			// Rank 2 on every linear layer of two layers.
			assert_eq!(*parameters, 2 * 2 * (2 * 64 + 2 * 48 + 3 * 96));
		},
		other => panic!("{other:?}"),
	}
	assert!(matches!(events[1], ProgressEvent::Heldout { stage: HeldoutStage::Before, .. }));
	let mut seen = 0;
	for (index, event) in events[2..2 + steps].iter().enumerate() {
		match event {
			ProgressEvent::Step { step, of: 11, loss, tokens, grad_norm, .. } => {
				assert_eq!(*step as usize, index + 1);
				assert!(loss.is_finite() && *grad_norm > 0.0);
				seen += tokens;
			},
			other => panic!("{other:?}"),
		}
	}
	assert_eq!(seen as usize, 3 * completion);
	assert!(matches!(events[13], ProgressEvent::Heldout { stage: HeldoutStage::After, .. }));
	assert_eq!(events[14], ProgressEvent::Finished { metrics: trained.metrics });
	assert_eq!(events.len(), 15);
	assert_eq!((trained.metrics.steps, trained.metrics.tokens), (11, seen));
}

#[test]
fn run_without_heldout_examples_should_say_so() {
	let model = model();
	let mut run = Run::new(&model);
	run.dataset.heldout.clear();
	let (trained, events) = run.train().unwrap();
	assert_eq!((trained.metrics.heldout_before, trained.metrics.heldout_after), (None, None));
	assert!(!events.iter().any(|event| matches!(event, ProgressEvent::Heldout { .. })));
}

#[test]
fn batch_with_padding_should_weigh_its_tokens_and_nothing_else() {
	let model = model();
	let first_loss = |training: Vec<Example>| {
		let mut run = Run::new(&model);
		run.dataset = Dataset::new(training, Vec::new()).unwrap();
		run.spec = TrainingSpec { batch_size: 2, length: TrainingLength::MaxSteps(1), ..run.spec };
		let metrics = run.train().unwrap().0.metrics;
		(metrics.first_loss, metrics.tokens)
	};
	let (short, long) = (example(vec![1, 2, 3]), example((10..30).collect()));
	let (alone_short, tokens_short) = first_loss(vec![short.clone(), short.clone()]);
	let (alone_long, tokens_long) = first_loss(vec![long.clone(), long.clone()]);
	assert_eq!((tokens_short, tokens_long), (4, 38));
	let (together, tokens) = first_loss(vec![short, long]);
	assert_eq!(tokens, 21);
	let expected = (2.0 * alone_short + 19.0 * alone_long) / 21.0;
	assert!((together - expected).abs() < 1e-5, "{together} and {expected}");
}

#[test]
fn runs_that_cannot_work_should_be_refused_by_name() {
	let model = model();
	let refuse = |change: &dyn Fn(&mut Run)| {
		let mut run = Run::new(&model);
		change(&mut run);
		run.train().map(drop).unwrap_err()
	};
	let error = refuse(&|run| run.dataset.training.clear());
	assert!(matches!(error, TrainError::NoExamples), "{error}");
	let error = refuse(&|run| run.dataset.heldout.push(example(vec![1; 129])));
	assert!(
		matches!(error, TrainError::ExampleTooLong { tokens: 129, max_context: 128 }),
		"{error}"
	);
	let error = refuse(&|run| run.dataset.training.push(example(vec![1, 264])));
	assert!(
		matches!(error, TrainError::TokenOutsideVocabulary { token: 264, vocab_size: 264 }),
		"{error}"
	);
	let error = refuse(&|run| run.spec.packing = true);
	assert!(matches!(error, TrainError::Spec(SpecError::PackingNotImplemented)), "{error}");
	let long_name = "x".repeat(257);
	let mut run = Run::new(&model);
	run.base_model = &long_name;
	let error = run.train().map(drop).unwrap_err();
	assert!(matches!(error, TrainError::BaseModelNameTooLong { bytes: 257 }), "{error}");
}

#[test]
fn micronats_should_be_whole_and_saturate() {
	assert_eq!(micronats(2.345_678_4), 2_345_678);
	assert_eq!(micronats(-0.0), 0);
	assert_eq!(micronats(f64::NAN), u64::MAX);
	assert_eq!(micronats(f64::INFINITY), u64::MAX);
}
