//! Interrupted runs end with the same bytes as uninterrupted ones.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::{
	fs,
	panic::{catch_unwind, AssertUnwindSafe},
	path::{Path, PathBuf},
	process::Command,
	thread,
	time::{Duration, Instant},
};

use common::{golden, model, model_in, Run};
use openledger_engine::{CancelFlag, Model};
use openledger_trainer::{
	CheckpointError, CheckpointPolicy, Example, ProgressEvent, TrainError, Trained,
};

fn policy(directory: &Path) -> CheckpointPolicy {
	CheckpointPolicy { directory: directory.to_owned(), every_steps: Some(2), every: None }
}

fn bytes(trained: &Trained) -> Vec<u8> {
	trained.to_bytes().unwrap()
}

fn uninterrupted(model: &Model) -> Vec<u8> {
	bytes(&Run::new(model).train().unwrap().0)
}

fn with_checkpoints<'a>(model: &'a Model, directory: &Path) -> Run<'a> {
	Run { checkpoints: Some(policy(directory)), ..Run::new(model) }
}

fn resumed_at(events: &[ProgressEvent]) -> u32 {
	match events.first() {
		Some(ProgressEvent::Started { resumed_at, .. }) => *resumed_at,
		other => panic!("{other:?}"),
	}
}

/// Runs until step `step` is reported and dies there, without a chance to save anything.
fn die_at(run: &Run, step: u32) {
	let died = catch_unwind(AssertUnwindSafe(|| {
		run.observe(&mut |event| match event {
			ProgressEvent::Step { step: now, .. } if now == step => panic!("killed by the test"),
			_ => (),
		})
		.map(drop)
	}));
	assert!(died.is_err());
}

#[test]
fn same_run_should_give_the_same_bytes() {
	let model = model();
	assert_eq!(uninterrupted(&model), uninterrupted(&model));
}

#[test]
fn another_seed_should_give_another_adapter() {
	let model = model();
	let mut other = Run::new(&model);
	other.spec.seed += 1;
	assert_ne!(bytes(&other.train().unwrap().0), uninterrupted(&model));
}

#[test]
fn killed_run_should_go_on_from_its_checkpoint_and_end_with_the_same_adapter() {
	let model = model();
	let expected = uninterrupted(&model);
	for step in [1, 2, 3, 7, 11] {
		let directory = tempfile::tempdir().unwrap();
		let run = with_checkpoints(&model, directory.path());
		die_at(&run, step);
		let (trained, events) = run.train().unwrap();
		// The process dies in the report of a step, before that step's checkpoint.
		assert_eq!(resumed_at(&events), (step - 1) / 2 * 2);
		assert_eq!(bytes(&trained), expected, "killed at step {step}");
	}
}

#[test]
fn run_killed_twice_should_end_with_the_same_adapter_and_metrics() {
	let model = model();
	let directory = tempfile::tempdir().unwrap();
	let run = with_checkpoints(&model, directory.path());
	die_at(&run, 4);
	die_at(&run, 9);
	let (trained, events) = run.train().unwrap();
	assert_eq!(resumed_at(&events), 8);
	let (through, _) = Run::new(&model).train().unwrap();
	assert_eq!(bytes(&trained), bytes(&through));
	let seconds = trained.metrics.seconds;
	let expected = openledger_trainer::TrainingMetrics { seconds, ..through.metrics };
	assert_eq!(trained.metrics, expected);
}

#[test]
fn cancelled_run_should_save_where_it_is_and_go_on_from_there() {
	let model = model();
	let directory = tempfile::tempdir().unwrap();
	let mut run = with_checkpoints(&model, directory.path());
	let cancel = &run.cancel;
	let error = run
		.observe(&mut |event| {
			if matches!(event, ProgressEvent::Step { step: 5, .. }) {
				cancel.cancel();
			}
		})
		.map(drop)
		.unwrap_err();
	assert!(matches!(error, TrainError::Cancelled { step: 5 }), "{error}");
	run.cancel = CancelFlag::default();
	let (trained, events) = run.train().unwrap();
	assert_eq!(resumed_at(&events), 5);
	assert_eq!(bytes(&trained), uninterrupted(&model));
}

#[test]
fn cut_checkpoint_should_fall_back_to_the_one_before() {
	let model = model();
	let directory = tempfile::tempdir().unwrap();
	let run = with_checkpoints(&model, directory.path());
	die_at(&run, 7);
	let newest = directory.path().join("step-0000000006.checkpoint");
	let whole = fs::read(&newest).unwrap();
	fs::write(&newest, &whole[..whole.len() / 2]).unwrap();
	let (trained, events) = run.train().unwrap();
	assert_eq!(resumed_at(&events), 4);
	match &events[0] {
		ProgressEvent::Started { damaged_checkpoints, .. } => {
			assert_eq!(*damaged_checkpoints, [newest]);
		},
		other => panic!("{other:?}"),
	}
	assert_eq!(bytes(&trained), uninterrupted(&model));
}

#[test]
fn checkpoint_of_another_run_should_be_refused() {
	let model = model();
	let directory = tempfile::tempdir().unwrap();
	die_at(&with_checkpoints(&model, directory.path()), 3);
	let refusal = |change: &dyn Fn(&mut Run)| {
		let mut run = with_checkpoints(&model, directory.path());
		change(&mut run);
		match run.train().map(drop).unwrap_err() {
			TrainError::Checkpoint(error) => error,
			other => panic!("{other}"),
		}
	};
	let error = refusal(&|run| run.spec.learning_rate *= 2.0);
	assert!(matches!(error, CheckpointError::OtherSpec { .. }), "{error}");
	let error = refusal(&|run| run.spec.rank = 4);
	assert!(matches!(error, CheckpointError::OtherSpec { .. }), "{error}");
	let error = refusal(&|run| run.base_model = "another");
	assert!(matches!(error, CheckpointError::OtherModel { .. }), "{error}");
	let error = refusal(&|run| {
		run.dataset.training.push(Example::new(vec![1, 2, 3], 1).unwrap());
	});
	assert!(matches!(error, CheckpointError::OtherData { .. }), "{error}");
}

#[test]
fn finished_run_should_only_be_measured_again() {
	let model = model();
	let directory = tempfile::tempdir().unwrap();
	let mut run = with_checkpoints(&model, directory.path());
	run.checkpoints.as_mut().unwrap().every_steps = Some(1);
	let (first, _) = run.train().unwrap();
	let (again, events) = run.train().unwrap();
	assert!(!events.iter().any(|event| matches!(event, ProgressEvent::Step { .. })));
	assert_eq!(bytes(&again), bytes(&first));
	assert_eq!(again.metrics, first.metrics);
}

/// A copy of the tiny model whose last norm makes every logit overflow.
fn overflowing_model(directory: &Path) -> Model {
	for name in ["config.json", "tokenizer.json", "tokenizer_config.json"] {
		fs::copy(golden("model").join(name), directory.join(name)).unwrap();
	}
	let mut bytes = fs::read(golden("model/model.safetensors")).unwrap();
	let (header, metadata) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
	let (start, end) = metadata.info("model.norm.weight").unwrap().data_offsets;
	for weight in bytes[8 + header..][start..end].chunks_mut(4) {
		weight.copy_from_slice(&3e38f32.to_le_bytes());
	}
	fs::write(directory.join("model.safetensors"), bytes).unwrap();
	model_in(directory.to_owned())
}

#[test]
fn non_finite_loss_should_be_named_and_leave_the_last_checkpoint() {
	let model = model();
	let directory = tempfile::tempdir().unwrap();
	let run = with_checkpoints(&model, &directory.path().join("run"));
	die_at(&run, 3);
	let broken = overflowing_model(directory.path());
	// The model's name is the caller's word: this one lies, to fail in the middle of a run.
	let failing = with_checkpoints(&broken, &directory.path().join("run"));
	let error = failing.train().map(drop).unwrap_err();
	assert!(matches!(error, TrainError::NonFiniteLoss { step: 3, .. }), "{error}");
	let (trained, events) = run.train().unwrap();
	assert_eq!(resumed_at(&events), 2);
	assert_eq!(bytes(&trained), uninterrupted(&model));
}

#[test]
fn full_disk_should_be_named() {
	let model = model();
	let directory = tempfile::tempdir().unwrap();
	let blocked = directory.path().join("run");
	fs::write(&blocked, "a file where the directory should be").unwrap();
	let error = with_checkpoints(&model, &blocked).train().map(drop).unwrap_err();
	assert!(matches!(error, TrainError::Checkpoint(CheckpointError::Io { .. })), "{error}");
}

const CHILD_DIRECTORY: &str = "OPENLEDGER_TRAINER_TEST_CHILD";

/// Not a test of its own: what the next one kills. Takes its time between steps.
#[test]
fn child_trains() {
	let Some(directory) = std::env::var_os(CHILD_DIRECTORY) else { return };
	let model = model();
	with_checkpoints(&model, &PathBuf::from(directory))
		.observe(&mut |_| thread::sleep(Duration::from_millis(30)))
		.unwrap();
}

#[test]
fn process_killed_by_the_system_should_lose_nothing_that_was_saved() {
	let model = model();
	let directory = tempfile::tempdir().unwrap();
	let mut child = Command::new(std::env::current_exe().unwrap())
		.args(["child_trains", "--exact"])
		.env(CHILD_DIRECTORY, directory.path())
		.spawn()
		.unwrap();
	let third = directory.path().join("step-0000000006.checkpoint");
	let patience = Instant::now() + Duration::from_secs(60);
	while !third.exists() {
		assert!(Instant::now() < patience, "the child wrote no checkpoint");
		thread::sleep(Duration::from_millis(5));
	}
	child.kill().unwrap();
	child.wait().unwrap();
	let (trained, events) = with_checkpoints(&model, directory.path()).train().unwrap();
	assert!(resumed_at(&events) >= 6);
	assert_eq!(bytes(&trained), uninterrupted(&model));
}
