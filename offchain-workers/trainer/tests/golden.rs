//! The run of tests/golden/make.py, and what Python's peft makes of our export.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::{fs, sync::OnceLock};

use burn::tensor::Tensor;
use common::{golden, model, Run};
use openledger_engine::{Adapter, Model};
use openledger_trainer::{
	loss, Dataset, Example, HeldoutStage, ProgressEvent, Trained, TrainingSpec,
};
use serde::Deserialize;

#[derive(Deserialize)]
struct GoldenExample {
	tokens: Vec<u32>,
	completion_start: usize,
}

#[derive(Deserialize)]
struct GoldenStep {
	loss: f64,
	tokens: u64,
	grad_norm: f64,
	learning_rate: f64,
}

#[derive(Deserialize)]
struct GoldenRun {
	spec: serde_json::Value,
	training: Vec<GoldenExample>,
	heldout: Vec<GoldenExample>,
	steps: Vec<GoldenStep>,
	heldout_before: f64,
	heldout_after: f64,
}

fn examples(examples: &[GoldenExample]) -> Vec<Example> {
	examples.iter().map(|e| Example::new(e.tokens.clone(), e.completion_start).unwrap()).collect()
}

fn golden_run() -> GoldenRun {
	serde_json::from_slice(&fs::read(golden("run.json")).unwrap()).unwrap()
}

/// Our run of the same, once for all tests.
fn our_run() -> &'static (Model, Trained, Vec<ProgressEvent>) {
	static RUN: OnceLock<(Model, Trained, Vec<ProgressEvent>)> = OnceLock::new();
	RUN.get_or_init(|| {
		let golden = golden_run();
		let model = model();
		let spec = TrainingSpec::parse(&serde_json::to_vec(&golden.spec).unwrap()).unwrap();
		let dataset = Dataset::new(examples(&golden.training), examples(&golden.heldout)).unwrap();
		let run = Run { spec, dataset, ..Run::new(&model) };
		let (trained, events) = run.train().unwrap();
		(model, trained, events)
	})
}

fn close(name: &str, ours: f64, theirs: f64, tolerance: f64) {
	assert!((ours - theirs).abs() <= tolerance, "{name}: {ours} here, {theirs} there");
}

fn matrices(adapter: &Adapter) -> Vec<(String, Vec<f32>)> {
	let values = |matrix: &Tensor<2>| matrix.try_to_vec_as().unwrap();
	adapter
		.weights()
		.iter()
		.flat_map(|(layer, target, linear)| {
			let path = target.path(layer);
			[(format!("{path}.a"), values(&linear.a)), (format!("{path}.b"), values(&linear.b))]
		})
		.collect()
}

fn matrices_should_be_close(ours: &Adapter, theirs: &Adapter, tolerance: f32) {
	let (ours, theirs) = (matrices(ours), matrices(theirs));
	assert_eq!(ours.len(), theirs.len());
	for ((name, ours), (_, theirs)) in ours.iter().zip(&theirs) {
		assert_eq!(ours.len(), theirs.len());
		let differences = ours.iter().zip(theirs).map(|(a, b)| (a - b).abs());
		let largest = differences.fold(0f32, f32::max);
		assert!(largest <= tolerance, "{name} differs by up to {largest}");
	}
}

#[test]
fn every_step_should_be_that_of_pytorch() {
	let golden = golden_run();
	let steps: Vec<_> = our_run()
		.2
		.iter()
		.filter_map(|event| match event {
			ProgressEvent::Step { step, loss, tokens, learning_rate, grad_norm, .. } => {
				Some((*step, *loss, *tokens, *learning_rate, *grad_norm))
			},
			_ => None,
		})
		.collect();
	assert_eq!(steps.len(), golden.steps.len());
	for ((step, loss, tokens, learning_rate, grad_norm), theirs) in steps.iter().zip(&golden.steps)
	{
		let name = |what: &str| format!("{what} of step {step}");
		assert_eq!(*tokens, theirs.tokens, "{}", name("tokens"));
		close(&name("loss"), *loss, theirs.loss, 1e-4);
		close(&name("learning rate"), *learning_rate, theirs.learning_rate, 1e-12);
		close(&name("gradient norm"), *grad_norm, theirs.grad_norm, 1e-3);
	}
}

#[test]
fn heldout_losses_should_be_those_of_pytorch() {
	let golden = golden_run();
	let measured: Vec<_> = our_run()
		.2
		.iter()
		.filter_map(|event| match event {
			ProgressEvent::Heldout { stage, loss, .. } => Some((*stage, *loss)),
			_ => None,
		})
		.collect();
	let [(HeldoutStage::Before, before), (HeldoutStage::After, after)] = measured[..] else {
		panic!("{measured:?}");
	};
	close("held-out loss before", before, golden.heldout_before, 1e-4);
	close("held-out loss after", after, golden.heldout_after, 1e-4);
}

#[test]
fn final_weights_should_be_those_of_pytorch() {
	let (model, trained, _) = our_run();
	let theirs = Adapter::read_directory(golden("trained"), model.config()).unwrap();
	assert_eq!(trained.adapter.config().target_modules, theirs.config().target_modules);
	matrices_should_be_close(&trained.adapter, &theirs, 1e-4);
}

#[derive(Deserialize)]
struct GoldenLogits {
	tokens: Vec<u32>,
	last_rows: Vec<Vec<f32>>,
}

/// With `UPDATE_GOLDEN` set, writes the export that `make.py exported` measures; otherwise
/// compares with the checked-in one.
#[test]
fn exported_directory_should_give_peft_our_logits() {
	let (model, trained, _) = our_run();
	if std::env::var_os("UPDATE_GOLDEN").is_some() {
		trained.adapter.write_directory(golden("exported")).unwrap();
		println!("written; now run `python make.py exported` in tests/golden");
		return;
	}
	let now = tempfile::tempdir().unwrap();
	trained.adapter.write_directory(now.path()).unwrap();
	let config = |directory| fs::read_to_string(directory).unwrap();
	assert_eq!(
		config(now.path().join("adapter_config.json")),
		config(golden("exported").join("adapter_config.json"))
	);
	let checked_in = Adapter::read_directory(golden("exported"), model.config()).unwrap();
	matrices_should_be_close(&trained.adapter, &checked_in, 1e-5);

	let theirs = fs::read(golden("exported/logits.json")).unwrap();
	let theirs: Vec<GoldenLogits> = serde_json::from_slice(&theirs).unwrap();
	assert_eq!(theirs.len(), 2);
	for GoldenLogits { tokens, last_rows } in theirs {
		let hidden = model.hidden(&[&tokens], None, Some(checked_in.weights())).unwrap();
		let rows = last_rows.len();
		let logits: Vec<f32> =
			model.logits(hidden.narrow(0, tokens.len() - rows, rows)).try_into_vec_as().unwrap();
		let theirs = last_rows.concat();
		assert_eq!(logits.len(), theirs.len());
		for (a, b) in logits.iter().zip(theirs) {
			assert!((a - b).abs() < 1e-3, "{a} here, {b} in peft");
		}
	}
}

#[test]
fn loss_through_the_models_head_should_not_depend_on_the_chunks() {
	let (model, ..) = our_run();
	let tokens: Vec<u32> = (0..40).collect();
	let hidden = model.hidden(&[&tokens], None, None).unwrap();
	let head = |rows: Tensor<2>| model.logits(rows);
	let targets: Vec<u32> = (100..140).collect();
	let whole = loss::loss_and_gradient(head, hidden.clone(), &targets, 1.0, 40);
	let chunked = loss::loss_and_gradient(head, hidden, &targets, 1.0, 7);
	close("loss", chunked.sum, whole.sum, 1e-4);
	let difference = (whole.gradient - chunked.gradient).abs().max().into_scalar::<f32>();
	assert!(difference < 1e-5, "{difference}");
}
