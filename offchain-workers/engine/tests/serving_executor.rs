//! The serving path against the forward pass on burn, and against itself in other batches.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{path::Path, sync::Arc};

use openledger_engine::{
	random,
	serving::{
		executor::{Executor, Segment, LOGIT_ROWS},
		pages::PAGE_TOKENS,
		PackedAdapter, Precision, ServingModel, ServingOptions,
	},
	tiny::{random_adapter, TinyModel},
	Adapter, LoadOptions, LoraConfig, Model, TargetModule,
};

const PAGES: usize = 64;

struct Fixture {
	reference: Model,
	model: Arc<ServingModel>,
	adapters: Vec<Adapter>,
}

impl Fixture {
	fn new(tied: bool, precision: Precision) -> Self {
		let folder = tempfile::tempdir().unwrap();
		// Heads of 64 and of 32 go different ways through attention.
		let hidden_size = if tied { 256 } else { 128 };
		let tiny = TinyModel { tie_word_embeddings: tied, hidden_size, ..TinyModel::default() };
		tiny.write(folder.path(), 3).unwrap();
		let reference = Model::from_huggingface(folder.path(), LoadOptions::default()).unwrap();
		let options = ServingOptions { precision, ..ServingOptions::default() };
		let model = ServingModel::from_huggingface(folder.path(), options).unwrap();
		Self::of(reference, model)
	}

	/// A model whose matrices have the most various number formats.
	fn quantised() -> Self {
		let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/tiny.gguf");
		let reference = Model::from_gguf(&path, LoadOptions::default()).unwrap();
		let model = ServingModel::from_gguf(&path, ServingOptions::default()).unwrap();
		Self::of(reference, model)
	}

	fn of(reference: Model, model: ServingModel) -> Self {
		let adapters = (0..3).map(|index| adapter(&reference, index)).collect();
		Self { reference, model: Arc::new(model), adapters }
	}

	fn executor(&self, threads: usize) -> Executor {
		let mut executor = Executor::new(self.model.clone(), threads, 256, PAGES, 4).unwrap();
		for (slot, adapter) in self.adapters.iter().enumerate() {
			let packed = self.packed(adapter);
			executor.set_adapter(slot, Some(Arc::new(packed)));
		}
		executor
	}

	fn packed(&self, adapter: &Adapter) -> PackedAdapter {
		PackedAdapter::pack(adapter, self.model.config(), self.model.precision()).unwrap()
	}

	fn prompt(&self, length: usize, seed: u64) -> Vec<u32> {
		let vocabulary = self.reference.config().vocab_size as f64;
		(0..length as u64).map(|i| (random::uniform(seed, 7, i) * vocabulary) as u32).collect()
	}

	/// Logits of every position by the forward pass on burn.
	fn expected(&self, tokens: &[u32], slot: Option<usize>) -> Vec<f32> {
		let lora = slot.map(|slot| self.adapters[slot].weights());
		let hidden = self.reference.hidden(&[tokens], None, lora).unwrap();
		self.reference.logits(hidden).try_into_vec_as::<f32>().unwrap()
	}
}

/// Adapters of several ranks, one of them on all layers, one with a rank of its own for a layer.
fn adapter(model: &Model, index: usize) -> Adapter {
	use TargetModule::{DownProj, GateProj, KProj, QProj, VProj};
	let mut config = match index {
		0 => LoraConfig::new(4, 4.0, [QProj, VProj]),
		1 => LoraConfig::new(20, 20.0, TargetModule::ALL),
		_ => LoraConfig::new(8, 8.0, [KProj, GateProj, DownProj]),
	};
	if index == 2 {
		config.rank_pattern.push(("layers.1.mlp.down_proj".into(), 35));
	}
	random_adapter(config, model.config(), index as u64).unwrap()
}

/// All logits of the last step.
fn logits(executor: &mut Executor, rows: usize) -> Vec<f32> {
	let mut all = Vec::new();
	for first in (0..rows).step_by(LOGIT_ROWS) {
		all.extend_from_slice(executor.logits(first));
	}
	all
}

fn greatest_difference(a: &[f32], b: &[f32]) -> f32 {
	assert_eq!(a.len(), b.len());
	a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

fn pages(from: u32, count: usize) -> Vec<u32> {
	// Not in order: a table may say anything.
	(0..count as u32).map(|index| from + index).rev().collect()
}

#[test]
fn logits_should_be_those_of_the_forward_pass_on_burn() {
	let plain = |tied| Fixture::new(tied, Precision::F32);
	for fixture in [plain(false), plain(true), Fixture::quantised()] {
		let mut executor = fixture.executor(2);
		for slot in [None, Some(0), Some(1), Some(2)] {
			let tokens = fixture.prompt(83, 5);
			let table = pages(0, 6);
			let segment =
				Segment { slot, start: 0, tokens: &tokens, pages: &table, logits_from: 0 };
			let rows = executor.step(&[segment]).unwrap();
			assert_eq!(rows, tokens.len());
			let found = logits(&mut executor, rows);
			let difference = greatest_difference(&found, &fixture.expected(&tokens, slot));
			let config = fixture.model.config();
			assert!(difference < 2e-4, "slot {slot:?}, {config:?}: {difference}");
		}
	}
}

#[test]
fn bf16_should_be_near_f32() {
	let fixture = Fixture::new(true, Precision::Bf16);
	let mut executor = fixture.executor(2);
	let tokens = fixture.prompt(40, 6);
	let table = pages(3, 3);
	let segment =
		Segment { slot: Some(1), start: 0, tokens: &tokens, pages: &table, logits_from: 0 };
	let rows = executor.step(&[segment]).unwrap();
	let (found, expected) = (logits(&mut executor, rows), fixture.expected(&tokens, Some(1)));
	let largest = expected.iter().fold(0.0f32, |largest, logit| largest.max(logit.abs()));
	let difference = greatest_difference(&found, &expected);
	assert!(difference > 0.0 && difference < 0.05 * largest, "{difference} of {largest}");

	let adapter = &fixture.adapters[1];
	let wide = PackedAdapter::pack(adapter, fixture.model.config(), Precision::F32).unwrap();
	assert_eq!(2 * fixture.packed(adapter).bytes(), wide.bytes());
}

/// Every sequence alone, whole, on one thread; then all together, in pieces, on two: the same bytes.
#[test]
fn a_sequence_should_not_depend_on_its_batch_pieces_or_threads() {
	let plain = [Precision::F32, Precision::Bf16].map(|precision| Fixture::new(true, precision));
	for (model, fixture) in plain.into_iter().chain([Fixture::quantised()]).enumerate() {
		let (mut alone, mut together) = (fixture.executor(1), fixture.executor(2));
		let sequences: Vec<(Option<usize>, Vec<u32>, Vec<u32>)> = (0..7)
			.map(|index| {
				let slot = [None, Some(0), Some(0), Some(1), Some(2), Some(2), None][index];
				let tokens = fixture.prompt(17 + 13 * index, index as u64);
				let needed = tokens.len().div_ceil(PAGE_TOKENS);
				(slot, tokens, pages(index as u32 * 8, needed))
			})
			.collect();
		let mut expected = Vec::new();
		for (slot, tokens, table) in &sequences {
			let segment = Segment { slot: *slot, start: 0, tokens, pages: table, logits_from: 0 };
			let rows = alone.step(&[segment]).unwrap();
			expected.push(logits(&mut alone, rows));
		}
		let vocabulary = fixture.model.config().vocab_size;
		for round in 0..75u64 {
			let mut done = [0; 7];
			let mut found = vec![Vec::new(); 7];
			let mut step = 0;
			while done.iter().zip(&sequences).any(|(done, (_, tokens, _))| *done < tokens.len()) {
				let mut segments = Vec::new();
				let mut order = Vec::new();
				for (index, (slot, tokens, table)) in sequences.iter().enumerate() {
					step += 1;
					let draw = random::uniform(round, step, index as u64);
					let piece = [0, 1, 2, 15, 31][(draw * 5.0) as usize];
					let piece = piece.min(tokens.len() - done[index]);
					if piece == 0 {
						continue;
					}
					let start = done[index];
					done[index] += piece;
					order.push((index, piece));
					segments.push(Segment {
						slot: *slot,
						start,
						tokens: &tokens[start..start + piece],
						pages: table,
						logits_from: 0,
					});
				}
				if segments.is_empty() {
					continue;
				}
				let rows = together.step(&segments).unwrap();
				let mut all = &logits(&mut together, rows)[..];
				for (index, piece) in order {
					let (mine, rest) = all.split_at(piece * vocabulary);
					found[index].extend_from_slice(mine);
					all = rest;
				}
			}
			for (found, expected) in found.iter().zip(&expected) {
				assert!(found == expected, "model {model}, round {round}");
			}
		}
	}
}

#[test]
fn what_another_sequence_left_in_a_page_should_not_be_seen() {
	let fixture = Fixture::new(true, Precision::F32);
	let mut executor = fixture.executor(2);
	// An adapter without bounds fills the pages with what is not a number.
	let wild = LoraConfig::new(8, 1e38, TargetModule::ALL);
	let wild = random_adapter(wild, fixture.model.config(), 9).unwrap();
	let packed = fixture.packed(&wild);
	executor.set_adapter(3, Some(Arc::new(packed)));
	let (table, long) = (pages(0, 2), fixture.prompt(32, 1));
	let segment =
		Segment { slot: Some(3), start: 0, tokens: &long, pages: &table, logits_from: 31 };
	let rows = executor.step(&[segment]).unwrap();
	assert!(logits(&mut executor, rows).iter().any(|logit| !logit.is_finite()));

	let tokens = fixture.prompt(21, 2);
	let segment = Segment { slot: None, start: 0, tokens: &tokens, pages: &table, logits_from: 0 };
	let rows = executor.step(&[segment]).unwrap();
	let found = logits(&mut executor, rows);
	assert!(greatest_difference(&found, &fixture.expected(&tokens, None)) < 2e-4);
}

#[test]
fn a_bad_batch_should_be_refused() {
	let fixture = Fixture::new(true, Precision::F32);
	let mut executor = fixture.executor(1);
	let tokens = fixture.prompt(20, 1);
	let table = pages(0, 2);
	let good = Segment { slot: None, start: 0, tokens: &tokens, pages: &table, logits_from: 0 };
	let mut refused = |segment: Segment<'_>, part: &str| {
		let error = executor.step(&[good, segment]).unwrap_err().to_string();
		assert!(error.contains(part), "{error}");
	};
	refused(Segment { tokens: &[], ..good }, "no tokens");
	refused(Segment { slot: Some(3), ..good }, "slot 3 holds no adapter");
	refused(Segment { slot: Some(30), ..good }, "slot 30 holds no adapter");
	refused(Segment { pages: &table[..1], ..good }, "holds 16 tokens");
	refused(Segment { pages: &[0, 900], ..good }, "no page 900");
	refused(Segment { tokens: &[u32::MAX], ..good }, "outside the vocabulary");
	refused(Segment { start: 5_000, ..good }, "beyond the context");
	let many = vec![1; 250];
	refused(Segment { tokens: &many, ..good }, "more than the 256");
	assert!(executor.step(&[good]).is_ok());
}
