//! The forward pass against itself: caches, batches, threads, gradients, refusals.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use burn::tensor::{Distribution, Tensor};
use openledger_engine::{
	tiny, ForwardError, KvCache, LoadOptions, LoraError, LoraLinear, LoraWeights, Model,
	TargetModule,
};
use tempfile::TempDir;

/// Two ways to the same sum differ by rounding only.
const ROUNDING: f32 = 2e-4;

fn model() -> (TempDir, Model) {
	let directory = tempfile::tempdir().unwrap();
	tiny::write_model(directory.path(), 7).unwrap();
	let model = Model::from_huggingface(directory.path(), LoadOptions::default()).unwrap();
	(directory, model)
}

fn tokens(length: u32, seed: u32) -> Vec<u32> {
	(0..length).map(|i| 3 + (i * 37 + seed * 101) % 256).collect()
}

fn values(tensor: Tensor<2>) -> Vec<f32> {
	tensor.try_into_vec_as::<f32>().unwrap()
}

fn assert_close(a: &[f32], b: &[f32]) {
	assert_eq!(a.len(), b.len());
	let difference = a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
	assert!(difference < ROUNDING, "{difference}");
}

fn lora(model: &Model, autodiff: bool) -> LoraWeights {
	let config = model.config();
	let device = if autodiff { model.device().clone().autodiff() } else { model.device().clone() };
	device.seed(3);
	let mut weights = LoraWeights::new(config.num_hidden_layers);
	for layer in 0..config.num_hidden_layers {
		for target in TargetModule::ALL {
			let (input, output) = target.widths(config);
			let random = |shape| Tensor::random(shape, Distribution::Normal(0.0, 0.1), &device);
			let (mut a, mut b) = (random([input, 4]), random([4, output]));
			if autodiff {
				(a, b) = (a.require_grad(), b.require_grad());
			}
			weights.insert(layer, target, LoraLinear { a, b, scale: 0.5 }).unwrap();
		}
	}
	weights
}

#[test]
fn cached_steps_should_equal_one_uncached_pass() {
	let (_directory, model) = model();
	let lora = lora(&model, false);
	for lora in [None, Some(&lora)] {
		let rows = [tokens(40, 1), tokens(40, 2)];
		let whole = values(model.hidden(&rows, None, lora).unwrap());
		let mut cache = KvCache::new(&model, 2, 40).unwrap();
		let hidden_size = model.config().hidden_size;
		let mut cached = [Vec::new(), Vec::new()];
		// A prefill, a second chunk, then token by token.
		for part in [0..20, 20..33, 33..34, 34..35, 35..40] {
			let chunk: Vec<&[u32]> = rows.iter().map(|row| &row[part.clone()]).collect();
			let hidden = values(model.hidden(&chunk, Some(&mut cache), lora).unwrap());
			for (row, hidden) in cached.iter_mut().zip(hidden.chunks(part.len() * hidden_size)) {
				row.extend_from_slice(hidden);
			}
		}
		assert_eq!(cache.len(), 40);
		assert_close(&cached.concat(), &whole);
		cache.clear();
		let again = model.hidden(&[&rows[0][..5], &rows[1][..5]], Some(&mut cache), lora).unwrap();
		assert_close(&values(again)[..5 * hidden_size], &whole[..5 * hidden_size]);
	}
}

#[test]
fn rows_of_a_padded_batch_should_equal_solo_rows() {
	let (_directory, model) = model();
	let rows = [tokens(9, 1), tokens(23, 2), tokens(1, 3)];
	let width = model.config().hidden_size;
	let batch = values(model.hidden(&rows, None, None).unwrap());
	for (row, batch) in rows.iter().zip(batch.chunks(23 * width)) {
		let solo = values(model.hidden(&[row], None, None).unwrap());
		assert_close(&batch[..row.len() * width], &solo);
	}
}

#[test]
fn results_should_not_depend_on_the_number_of_threads() {
	let (directory, model) = model();
	let options = LoadOptions { threads: 1, ..LoadOptions::default() };
	let alone = Model::from_huggingface(directory.path(), options).unwrap();
	let lora = lora(&model, true);
	let rows = [tokens(30, 5), tokens(70, 6)];
	let results = |model: &Model| {
		model.run(|| {
			let hidden = model.hidden(&rows, None, Some(&lora)).unwrap();
			let mut gradients = hidden.clone().square().sum().backward();
			let leaves = lora.iter().flat_map(|(_, _, linear)| [&linear.a, &linear.b]);
			let gradients = leaves.map(|leaf| leaf.grad_remove(&mut gradients).unwrap());
			let gradients: Vec<Vec<f32>> = gradients.map(values).collect();
			(values(model.logits(hidden.inner())), gradients)
		})
	};
	assert_eq!(results(&model), results(&alone));
}

#[test]
fn lora_leaves_should_get_the_gradients_of_finite_differences() {
	let (_directory, model) = model();
	let lora = lora(&model, true);
	let rows = [tokens(6, 1), tokens(4, 2)];
	let loss = |lora: &LoraWeights| model.hidden(&rows, None, Some(lora)).unwrap().square().mean();
	let mut gradients = loss(&lora).backward();
	for (layer, target, linear) in lora.iter() {
		for leaf in [&linear.a, &linear.b] {
			let gradient = leaf.grad_remove(&mut gradients);
			let gradient = gradient.unwrap_or_else(|| panic!("{layer} {target:?} has no gradient"));
			assert!(values(gradient.inner()).iter().any(|value| *value != 0.0));
		}
	}

	// One entry of one matrix in the first layer, whose effect goes through everything.
	let mut gradients = loss(&lora).backward();
	let key = lora.get(0, TargetModule::KProj).unwrap();
	let gradient = values(key.b.grad_remove(&mut gradients).unwrap().inner())[0];
	let nudged = |step: f32| {
		let mut nudged = lora.without_autodiff();
		let linear = nudged.get(0, TargetModule::KProj).unwrap().clone();
		let one = Tensor::<2>::full([1, 1], step, model.device());
		let b = linear
			.b
			.clone()
			.slice_assign([0..1, 0..1], linear.b.clone().narrow(0, 0, 1).narrow(1, 0, 1) + one);
		nudged.insert(0, TargetModule::KProj, LoraLinear { b, ..linear }).unwrap();
		loss(&nudged).into_scalar::<f32>()
	};
	let step = 0.05;
	let difference = (nudged(step) - nudged(-step)) / (2.0 * step);
	assert!(
		(gradient - difference).abs() < 1e-4 + 0.05 * difference.abs(),
		"{gradient} against {difference}"
	);
}

#[test]
fn bad_batches_should_be_refused_by_name() {
	let (_directory, model) = model();
	let none: [Vec<u32>; 0] = [];
	assert!(matches!(model.hidden(&none, None, None), Err(ForwardError::Empty)));
	assert!(matches!(model.hidden(&[[3].as_slice(), &[]], None, None), Err(ForwardError::Empty)));
	let vocab_size = model.config().vocab_size;
	assert!(matches!(
		model.hidden(&[[vocab_size as u32]], None, None),
		Err(ForwardError::TokenOutsideVocabulary { .. })
	));
	assert!(matches!(
		model.hidden(&[tokens(2_049, 1)], None, None),
		Err(ForwardError::ContextExceeded { position: 2_048, max_context: 2_048 })
	));
	assert!(matches!(
		model.hidden(&vec![[3u32]; 1_025], None, None),
		Err(ForwardError::TooManyRows { .. })
	));
	assert!(matches!(
		model.hidden(&vec![tokens(2_000, 1); 33], None, None),
		Err(ForwardError::TooManyTokens { .. })
	));
}

#[test]
fn bad_caches_should_be_refused_by_name() {
	let (_directory, model) = model();
	assert!(matches!(KvCache::new(&model, 0, 1), Err(ForwardError::Empty)));
	assert!(matches!(KvCache::new(&model, 1, 4_000), Err(ForwardError::ContextExceeded { .. })));
	assert!(matches!(KvCache::new(&model, 2_000, 1), Err(ForwardError::TooManyRows { .. })));
	let mut cache = KvCache::new(&model, 2, 4).unwrap();
	let ragged = [tokens(2, 1), tokens(3, 1)];
	let mut run = |rows: &[Vec<u32>], lora: Option<&LoraWeights>| {
		model.hidden(rows, Some(&mut cache), lora).map(|_| ())
	};
	assert!(matches!(run(&ragged, None), Err(ForwardError::RaggedRowsWithCache)));
	assert!(matches!(
		run(&[tokens(2, 1)], None),
		Err(ForwardError::WrongCache { expected: 2, found: 1 })
	));
	let rows = [tokens(3, 1), tokens(3, 2)];
	let leaves = lora(&model, true);
	assert!(matches!(run(&rows, Some(&leaves)), Err(ForwardError::CacheWithGradients)));
	run(&rows, None).unwrap();
	assert!(matches!(run(&rows, None), Err(ForwardError::CacheFull { needed: 6, capacity: 4 })));
}

#[test]
fn adapters_of_another_model_should_be_refused_by_name() {
	let (_directory, model) = model();
	let run = |weights: &LoraWeights| model.hidden(&[[3u32]], None, Some(weights)).unwrap_err();
	assert!(matches!(
		run(&LoraWeights::new(3)),
		ForwardError::Lora(LoraError::LayerCount { expected: 4, found: 3 })
	));
	let mut weights = LoraWeights::new(4);
	let zeros = |shape| Tensor::<2>::zeros(shape, model.device());
	let wrong = LoraLinear { a: zeros([128, 4]), b: zeros([4, 65]), scale: 1.0 };
	weights.insert(1, TargetModule::KProj, wrong.clone()).unwrap();
	assert!(matches!(
		run(&weights),
		ForwardError::Lora(LoraError::WrongShape { a: [128, 4], b: [4, 65], .. })
	));
	assert!(matches!(
		weights.insert(4, TargetModule::KProj, wrong),
		Err(LoraError::NoSuchLayer { layer: 4, layers: 4 })
	));
}
