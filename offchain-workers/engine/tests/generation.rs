//! Generation: stop conditions, streaming, log-probabilities, determinism, cancelling.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use burn::tensor::{Distribution, Tensor};
use openledger_engine::{
	tiny, Adapter, CancelFlag, FinishReason, ForwardError, GenerateError, GenerateOptions,
	Generation, LoadOptions, LoraConfig, LoraLinear, LoraWeights, Model, Sampling, SamplingError,
	TargetModule,
};
use tempfile::TempDir;

const PROMPT: &str = "Tell me about walls.";

fn model() -> (TempDir, Model) {
	let directory = tempfile::tempdir().unwrap();
	tiny::write_model(directory.path(), 21).unwrap();
	let model = Model::from_huggingface(directory.path(), LoadOptions::default()).unwrap();
	(directory, model)
}

fn adapter(model: &Model) -> Adapter {
	let config = LoraConfig::new(4, 8.0, [TargetModule::VProj, TargetModule::DownProj]);
	let device = model.device();
	device.seed(5);
	let mut weights = LoraWeights::new(model.config().num_hidden_layers);
	for layer in 0..model.config().num_hidden_layers {
		for &target in &config.target_modules {
			let (input, output) = target.widths(model.config());
			let random = |shape| Tensor::random(shape, Distribution::Normal(0.0, 0.1), device);
			let scale = config.scale(layer, target);
			let linear = LoraLinear { a: random([input, 4]), b: random([4, output]), scale };
			weights.insert(layer, target, linear).unwrap();
		}
	}
	Adapter::new(config, weights, model.config()).unwrap()
}

fn prompt(model: &Model) -> Vec<u32> {
	model.tokenizer().encode(PROMPT, false).unwrap()
}

fn sampled(max_tokens: usize) -> GenerateOptions {
	GenerateOptions {
		max_tokens,
		sampling: Sampling { temperature: 1.0, top_p: 0.95, seed: 1, request: 2 },
		..Default::default()
	}
}

fn generate(model: &Model, options: &GenerateOptions) -> (Generation, String) {
	let mut streamed = String::new();
	let answer = model
		.generate(&prompt(model), None, options, &mut |event| streamed.push_str(event.text))
		.unwrap();
	(answer, streamed)
}

#[test]
fn answers_should_tile_their_text_and_stream_it() {
	let (_directory, model) = model();
	let (answer, streamed) = generate(&model, &sampled(60));
	assert_eq!(answer.finish_reason, FinishReason::Length);
	assert_eq!((answer.tokens.len(), answer.prompt_tokens), (60, PROMPT.len()));
	let mut end = 0;
	for token in &answer.tokens {
		assert_eq!(token.text_range.start, end);
		end = token.text_range.end;
		assert!(token.logprob <= 0.0 && token.base_logprob.is_none());
	}
	assert_eq!(end, answer.text.len());
	assert!(answer.text.starts_with(&streamed), "{streamed:?} {:?}", answer.text);
	// At most one incomplete character is left for the end.
	assert!(answer.text.len() - streamed.len() <= '\u{FFFD}'.len_utf8());
	let ids: Vec<u32> = answer.tokens.iter().map(|token| token.id).collect();
	assert_eq!(model.tokenizer().decode(&ids).unwrap().text, answer.text);
}

#[test]
fn sampling_should_depend_on_seed_and_request_only() {
	let (directory, model) = model();
	let (first, _) = generate(&model, &sampled(30));
	let other_request = GenerateOptions {
		sampling: Sampling { request: 3, ..sampled(30).sampling },
		..sampled(30)
	};
	assert_ne!(generate(&model, &other_request).0.text, first.text);
	assert_eq!(generate(&model, &sampled(30)).0, first);
	let again = Model::from_huggingface(directory.path(), LoadOptions::default()).unwrap();
	assert_eq!(generate(&again, &sampled(30)).0, first);
	// A shorter answer is the beginning of a longer one.
	let (longer, _) = generate(&model, &sampled(40));
	assert_eq!(
		longer.tokens[..30].iter().map(|t| t.id).collect::<Vec<_>>(),
		first.tokens.iter().map(|t| t.id).collect::<Vec<_>>()
	);
}

#[test]
fn a_stop_string_should_cut_the_text_and_never_be_streamed() {
	let (_directory, model) = model();
	let (whole, _) = generate(&model, &sampled(60));
	// Three characters from the middle, spelled by several tokens, and a decoy with their start.
	let characters: Vec<(usize, char)> = whole.text.char_indices().collect();
	let (at, _) = characters[characters.len() / 2];
	let stop: String = whole.text[at..].chars().take(3).collect();
	let decoy = format!("{}never", stop.chars().next().unwrap());
	let at = whole.text.find(&stop).unwrap();
	let options = GenerateOptions { stop_strings: vec![decoy, stop.clone()], ..sampled(60) };
	let (cut, streamed) = generate(&model, &options);
	assert_eq!(cut.finish_reason, FinishReason::StopString(stop));
	assert_eq!(cut.text, whole.text[..at]);
	assert_eq!(streamed, cut.text);
	assert!(cut.tokens.len() < whole.tokens.len());
	assert_eq!(cut.tokens.last().unwrap().text_range.end, cut.text.len());
}

#[test]
fn a_stop_token_should_end_the_answer_without_being_part_of_it() {
	let (_directory, model) = model();
	let (whole, _) = generate(&model, &sampled(20));
	let stop = whole.tokens[7].id;
	let first = whole.tokens.iter().position(|token| token.id == stop).unwrap();
	let options = GenerateOptions { stop_tokens: vec![stop], ..sampled(20) };
	let (cut, _) = generate(&model, &options);
	assert_eq!(cut.finish_reason, FinishReason::StopToken(stop));
	assert_eq!(cut.tokens, whole.tokens[..first]);
}

#[test]
fn log_probabilities_should_be_those_of_one_pass_with_and_without_the_adapter() {
	let (_directory, model) = model();
	let adapter = adapter(&model);
	let prompt = prompt(&model);
	let options = GenerateOptions { base_logprobs: true, ..sampled(100) };
	let answer = model.generate(&prompt, Some(&adapter), &options, &mut |_| ()).unwrap();
	let ids: Vec<u32> = answer.tokens.iter().map(|token| token.id).collect();

	let whole = [prompt.as_slice(), &ids].concat();
	for (lora, ours) in [
		(Some(adapter.weights()), answer.tokens.iter().map(|t| t.logprob).collect::<Vec<_>>()),
		(None, answer.tokens.iter().map(|t| t.base_logprob.unwrap()).collect()),
	] {
		let hidden = model.hidden(&[&whole], None, lora).unwrap();
		let log_probabilities = burn::tensor::activation::log_softmax(model.logits(hidden), 1);
		let values = log_probabilities.try_into_vec_as::<f32>().unwrap();
		let rows: Vec<&[f32]> = values.chunks(model.config().vocab_size).collect();
		for (index, (id, ours)) in ids.iter().zip(&ours).enumerate() {
			let expected = rows[prompt.len() - 1 + index][*id as usize];
			assert!((ours - expected).abs() < 1e-3, "{index}: {ours} {expected}");
		}
		let scores = model.score(&prompt, &ids, lora).unwrap();
		assert!(scores.iter().zip(&ours).all(|(a, b)| (a - b).abs() < 1e-3));
	}
	let gain = |token: &openledger_engine::GeneratedToken| {
		(token.logprob - token.base_logprob.unwrap()).abs()
	};
	assert!(answer.tokens.iter().map(gain).fold(0.0, f32::max) > 0.1);
	assert!(model.score(&prompt, &[], None).unwrap().is_empty());
}

#[test]
fn long_prompts_should_be_prefilled_and_scored_in_chunks() {
	let (_directory, model) = model();
	let prompt: Vec<u32> = (0..1_300).map(|i| 3 + (i * 31) % 256).collect();
	let adapter = adapter(&model);
	let options = GenerateOptions { base_logprobs: true, ..sampled(3) };
	let answer = model.generate(&prompt, Some(&adapter), &options, &mut |_| ()).unwrap();
	let ids: Vec<u32> = answer.tokens.iter().map(|token| token.id).collect();
	let whole = [prompt.as_slice(), &ids].concat();
	for lora in [None, Some(adapter.weights())] {
		let hidden = model.hidden(&[&whole], None, lora).unwrap();
		let logits = model.logits(hidden.narrow(0, prompt.len() - 1, 3));
		let values = burn::tensor::activation::log_softmax(logits, 1).try_into_vec_as::<f32>();
		let values = values.unwrap();
		for (index, token) in answer.tokens.iter().enumerate() {
			let expected = values[index * model.config().vocab_size + token.id as usize];
			let ours = if lora.is_some() { token.logprob } else { token.base_logprob.unwrap() };
			assert!((ours - expected).abs() < 1e-3, "{ours} {expected}");
		}
	}
	// An answer that is longer than a chunk of scored rows.
	let scores = model.score(&prompt[..600], &prompt[600..], None).unwrap();
	assert_eq!(scores.len(), 700);
	let tail = model.score(&prompt[..1_200], &prompt[1_200..], None).unwrap();
	assert!(scores[600..].iter().zip(&tail).all(|(a, b)| (a - b).abs() < 1e-3));
}

#[test]
fn a_cancelled_generation_should_end_with_what_it_has() {
	let (_directory, model) = model();
	let cancel = CancelFlag::default();
	let options = GenerateOptions { cancel: cancel.clone(), ..sampled(50) };
	let mut seen = 0;
	let answer = model
		.generate(&prompt(&model), None, &options, &mut |_| {
			seen += 1;
			if seen == 4 {
				cancel.cancel();
			}
		})
		.unwrap();
	assert_eq!(answer.finish_reason, FinishReason::Cancelled);
	assert_eq!(answer.tokens.len(), 4);
	let nothing = model.generate(&prompt(&model), None, &options, &mut |_| ()).unwrap();
	assert_eq!((nothing.finish_reason, nothing.tokens.len()), (FinishReason::Cancelled, 0));
}

#[test]
fn the_context_should_end_an_answer() {
	let (directory, _) = model();
	let options = LoadOptions { max_context: 32, ..LoadOptions::default() };
	let model = Model::from_huggingface(directory.path(), options).unwrap();
	let prompt = prompt(&model);
	let answer = model.generate(&prompt, None, &sampled(500), &mut |_| ()).unwrap();
	assert_eq!(answer.finish_reason, FinishReason::Length);
	assert_eq!(answer.tokens.len(), 32 - prompt.len());
	assert!(matches!(
		model.generate(&[3; 32], None, &sampled(1), &mut |_| ()),
		Err(GenerateError::PromptTooLong { tokens: 32, max_context: 32 })
	));
}

#[test]
fn bad_requests_should_be_refused_by_name() {
	let (_directory, model) = model();
	let refuse = |prompt: &[u32], options: &GenerateOptions| {
		model.generate(prompt, None, options, &mut |_| ()).unwrap_err()
	};
	let options = GenerateOptions::default;
	assert!(matches!(refuse(&[], &options()), GenerateError::EmptyPrompt));
	assert!(matches!(
		refuse(&[3], &GenerateOptions { max_tokens: 0, ..options() }),
		GenerateError::NothingAskedFor
	));
	assert!(matches!(
		refuse(&[9_999], &options()),
		GenerateError::Forward(ForwardError::TokenOutsideVocabulary { token: 9_999, .. })
	));
	let stops = |stops: Vec<String>| GenerateOptions { stop_strings: stops, ..options() };
	assert!(matches!(
		refuse(&[3], &stops(vec!["x".into(); 17])),
		GenerateError::TooManyStops { count: 17, .. }
	));
	for stop in [String::new(), "x".repeat(2_000)] {
		let error = refuse(&[3], &stops(vec![stop]));
		assert!(matches!(error, GenerateError::StopLength { .. }));
	}
	let sampling = Sampling { top_p: 0.0, ..Sampling::GREEDY };
	assert!(matches!(
		refuse(&[3], &GenerateOptions { sampling, ..options() }),
		GenerateError::Sampling(SamplingError::BadTopP(_))
	));
	assert!(matches!(model.score(&[], &[3], None), Err(GenerateError::EmptyPrompt)));
}
