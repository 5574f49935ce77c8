//! Compares with transformers and peft: values made by `golden/make.py`.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{
	collections::{BTreeSet, HashMap},
	env, fs,
	path::{Path, PathBuf},
};

use openledger_engine::{
	tensor_file::TensorFile, Adapter, ChatMessage, FinishReason, GenerateOptions, LoadOptions,
	Model,
};
use serde::Deserialize;

const NEW_TOKENS: usize = 32;
const TOLERANCE: f32 = 1e-3;

#[derive(Deserialize)]
struct Expected {
	tokenizations: Vec<Tokenization>,
	messages: Vec<ChatMessage>,
	chat: String,
	cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Tokenization {
	text: String,
	ids: Vec<u32>,
	decoded: String,
}

#[derive(Deserialize)]
struct Case {
	/// Name of the logits in the tensor file.
	name: String,
	source: String,
	adapter: Option<String>,
	prompt: Vec<u32>,
	greedy: Vec<u32>,
}

fn golden() -> PathBuf {
	Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// The expected values and logits by case, each with its number of columns.
fn expected(name: &str) -> (Expected, HashMap<String, (Vec<f32>, usize)>) {
	let json = fs::read(golden().join(format!("{name}.json"))).unwrap();
	let mut file = TensorFile::open(&golden().join(format!("{name}.safetensors"))).unwrap();
	let logits = file
		.names()
		.into_iter()
		.map(|name| {
			let columns = file.shape(&name).unwrap()[1];
			let values = file.read(&name).unwrap().unwrap();
			(name, (values, columns))
		})
		.collect();
	(serde_json::from_slice(&json).unwrap(), logits)
}

/// Logits at every `stride`th column against the expected ones; returns the largest difference.
fn compare(
	model: &Model,
	adapter: Option<&Adapter>,
	prompt: &[u32],
	expected: &(Vec<f32>, usize),
	stride: usize,
) -> f32 {
	let hidden = model.hidden(&[prompt], None, adapter.map(Adapter::weights)).unwrap();
	let logits = model.logits(hidden).try_into_vec_as::<f32>().unwrap();
	let (expected, columns) = expected;
	assert_eq!(expected.len(), prompt.len() * columns);
	let rows = logits.chunks(model.config().vocab_size);
	let ours = rows.flat_map(|row| row.iter().step_by(stride));
	ours.zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

fn check_text(model: &Model, expected: &Expected) {
	let tokenizer = model.tokenizer();
	for Tokenization { text, ids, decoded } in &expected.tokenizations {
		assert_eq!(&tokenizer.encode(text, false).unwrap(), ids, "{text:?}");
		assert_eq!(&tokenizer.decode(ids).unwrap().text, decoded, "{text:?}");
	}
	let prompt = model.chat().unwrap().render(&expected.messages, true).unwrap();
	assert_eq!(prompt, expected.chat);
}

fn check_greedy(model: &Model, adapter: Option<&Adapter>, case: &Case) {
	let options = GenerateOptions { max_tokens: NEW_TOKENS, ..Default::default() };
	let answer = model.generate(&case.prompt, adapter, &options, &mut |_| ()).unwrap();
	let mut ids: Vec<u32> = answer.tokens.iter().map(|token| token.id).collect();
	// transformers keeps the token that ends the answer.
	if let FinishReason::StopToken(id) = answer.finish_reason {
		ids.push(id);
	}
	assert_eq!(ids, case.greedy, "{}", case.name);
}

#[test]
fn tiny_models_and_adapters_should_answer_as_transformers_and_peft_do() {
	let (expected, logits) = expected("expected");
	let models = HashMap::from([
		(
			"huggingface",
			Model::from_huggingface(golden().join("tiny"), LoadOptions::default()).unwrap(),
		),
		("gguf", Model::from_gguf(golden().join("tiny.gguf"), LoadOptions::default()).unwrap()),
	]);
	models.values().for_each(|model| check_text(model, &expected));
	let mut adapters = BTreeSet::new();
	for case in &expected.cases {
		let model = &models[case.source.as_str()];
		let adapter = case.adapter.as_ref().map(|name| {
			adapters.insert(name.clone());
			Adapter::read_directory(golden().join("adapters").join(name), model.config()).unwrap()
		});
		let difference = compare(model, adapter.as_ref(), &case.prompt, &logits[&case.name], 1);
		assert!(difference < TOLERANCE, "{}: {difference}", case.name);
		check_greedy(model, adapter.as_ref(), case);
	}
	assert_eq!(adapters.len(), 4);
	assert_eq!(expected.cases.len(), 24);
}

#[test]
fn expected_logits_should_tell_adapters_apart() {
	// Otherwise the test above would not notice a missing adapter.
	let (_, logits) = expected("expected");
	let (base, _) = &logits["huggingface/base/0"];
	for adapter in ["qv-r4", "all-r8", "patterns", "rslora-r8"] {
		let (adapted, _) = &logits[&format!("huggingface/{adapter}/0")];
		let difference = base.iter().zip(adapted).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
		assert!(difference > 100.0 * TOLERANCE, "{adapter}: {difference}");
	}
}

#[test]
fn smollm2_should_answer_as_transformers_does() {
	let Some(path) = env::var_os("OPENLEDGER_SMOLLM2") else {
		eprintln!("skipped: OPENLEDGER_SMOLLM2 does not name SmolLM2-135M-Instruct.Q4_1.gguf");
		return;
	};
	const STRIDE: usize = 97;
	let (expected, logits) = expected("smollm2");
	let model = Model::from_gguf(path, LoadOptions::default()).unwrap();
	check_text(&model, &expected);
	for case in &expected.cases {
		let difference = compare(&model, None, &case.prompt, &logits[&case.name], STRIDE);
		eprintln!("{}: largest difference {difference:e}", case.name);
		assert!(difference < TOLERANCE, "{}: {difference}", case.name);
		check_greedy(&model, None, case);
	}
}
