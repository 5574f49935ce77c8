//! Hugging Face directories: split ones are read, broken ones are refused by name and never panic.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{
	collections::BTreeMap,
	fs,
	path::{Path, PathBuf},
};

use openledger_engine::{
	tensor_file::{self, NamedTensor, TensorFile},
	tiny::{self, TinyModel},
	ChatMessage, ConfigError, LoadError, LoadOptions, Model, TensorFileError, TokenizerError,
};
use proptest::prelude::*;
use serde_json::{json, Value};
use tempfile::TempDir;

/// Small enough to be loaded some hundred times.
fn write_small(directory: &Path) {
	let small = TinyModel {
		hidden_size: 16,
		intermediate_size: 32,
		num_hidden_layers: 1,
		num_attention_heads: 2,
		num_key_value_heads: 1,
		max_position_embeddings: 64,
		tie_word_embeddings: true,
	};
	small.write(directory, 1).unwrap();
}

struct Directory(TempDir);

impl Directory {
	fn new() -> Self {
		let directory = tempfile::tempdir().unwrap();
		write_small(directory.path());
		Self(directory)
	}

	fn path(&self, name: &str) -> PathBuf {
		self.0.path().join(name)
	}

	fn edit(&self, name: &str, edit: impl FnOnce(&mut Value)) -> &Self {
		let path = self.path(name);
		let mut json = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
		edit(&mut json);
		fs::write(path, json.to_string()).unwrap();
		self
	}

	fn tensors(&self) -> Vec<NamedTensor> {
		let mut file = TensorFile::open(&self.path("model.safetensors")).unwrap();
		file.names()
			.into_iter()
			.map(|name| NamedTensor {
				shape: file.shape(&name).unwrap().to_vec(),
				values: file.read(&name).unwrap().unwrap(),
				name,
			})
			.collect()
	}

	fn write_tensors(&self, file: &str, tensors: Vec<NamedTensor>) -> &Self {
		let bytes = tensor_file::serialize(tensors, &BTreeMap::new()).unwrap();
		fs::write(self.path(file), bytes).unwrap();
		self
	}

	fn write_index(&self, files: &[&str]) -> &Self {
		let map: BTreeMap<String, &str> =
			files.iter().enumerate().map(|(i, file)| (format!("tensor {i}"), *file)).collect();
		let index = json!({ "metadata": {}, "weight_map": map }).to_string();
		fs::write(self.path("model.safetensors.index.json"), index).unwrap();
		self
	}

	fn load(&self) -> Result<Model, LoadError> {
		let options = LoadOptions { threads: 1, ..LoadOptions::default() };
		Model::from_huggingface(self.0.path(), options)
	}

	fn error(&self) -> LoadError {
		self.load().map(|_| ()).unwrap_err()
	}
}

fn logits(model: &Model) -> Vec<f32> {
	let tokens = model.tokenizer().encode("walls", false).unwrap();
	let hidden = model.hidden(&[tokens], None, None).unwrap();
	model.logits(hidden).try_into_vec_as::<f32>().unwrap()
}

#[test]
fn tiny_models_should_be_deterministic_and_load() {
	let [a, b, c] = [(); 3].map(|()| tempfile::tempdir().unwrap());
	for (directory, seed) in [(&a, 5), (&b, 5), (&c, 6)] {
		tiny::write_model(directory.path(), seed).unwrap();
	}
	let read = |directory: &TempDir| fs::read(directory.path().join("model.safetensors")).unwrap();
	assert_eq!(read(&a), read(&b));
	assert_ne!(read(&a), read(&c));
	assert!((900_000 * 4..1_300_000 * 4).contains(&read(&a).len()));
	let model = Model::from_huggingface(a.path(), LoadOptions::default()).unwrap();
	assert_eq!(model.config(), &TinyModel::default().config());
	let messages = [ChatMessage::new("user", "Hi")];
	assert_eq!(
		model.chat().unwrap().render(&messages, true).unwrap(),
		"<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
	);
	let logits = logits(&model);
	let deviation = (logits.iter().map(|x| x * x).sum::<f32>() / logits.len() as f32).sqrt();
	assert!((0.5..2.0).contains(&deviation), "{deviation}");
}

#[test]
fn split_models_should_answer_as_whole_ones() {
	let directory = Directory::new();
	let whole = logits(&directory.load().unwrap());
	let mut first = directory.tensors();
	let second = first.split_off(first.len() / 2);
	fs::remove_file(directory.path("model.safetensors")).unwrap();
	let names = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];
	directory.write_tensors(names[0], first).write_tensors(names[1], second).write_index(&names);
	assert_eq!(logits(&directory.load().unwrap()), whole);
}

#[test]
fn shard_names_should_not_leave_the_directory() {
	for name in [
		"../model.safetensors",
		"/etc/model.safetensors",
		"sub/model.safetensors",
		"..\\model.safetensors",
		"C:model.safetensors",
		".hidden.safetensors",
		"..safetensors",
		"model.safetensors\0",
		"model.bin",
		"",
	] {
		let directory = Directory::new();
		let error = directory.write_index(&[name]).error();
		assert!(matches!(error, LoadError::UnsafeShardName(n) if n == name), "{name:?}");
	}
	let directory = Directory::new();
	let many: Vec<String> = (0..1_025).map(|i| format!("{i}.safetensors")).collect();
	let many: Vec<&str> = many.iter().map(String::as_str).collect();
	assert!(matches!(directory.write_index(&many).error(), LoadError::TooManyShards { .. }));
	fs::write(directory.path("model.safetensors.index.json"), "{").unwrap();
	assert!(matches!(directory.error(), LoadError::ShardIndex(_)));
}

#[test]
fn missing_files_should_be_named() {
	for (name, expected) in [
		("model.safetensors", "model.safetensors"),
		("config.json", "config.json"),
		("tokenizer.json", "tokenizer.json"),
	] {
		let directory = Directory::new();
		fs::remove_file(directory.path(name)).unwrap();
		assert!(directory.error().to_string().contains(expected));
	}
	let directory = Directory::new();
	fs::remove_file(directory.path("tokenizer_config.json")).unwrap();
	assert!(directory.load().unwrap().chat().is_none());
}

#[test]
fn configurations_should_be_refused_by_name() {
	let refuse = |edit: fn(&mut Value)| match Directory::new().edit("config.json", edit).error() {
		LoadError::Config(error) => error,
		other => panic!("{other}"),
	};
	use ConfigError::*;
	assert!(matches!(
		refuse(|c| c["model_type"] = "gpt2".into()),
		UnsupportedArchitecture(name) if name == "gpt2"
	));
	assert!(matches!(
		refuse(|c| c["hidden_act"] = "gelu".into()),
		UnsupportedSetting { field: "hidden_act", .. }
	));
	assert!(matches!(
		refuse(|c| c["attention_bias"] = true.into()),
		UnsupportedSetting { field: "attention_bias", .. }
	));
	for scaling in ["rope_scaling", "rope_parameters"] {
		let directory = Directory::new();
		directory.edit("config.json", |c| c[scaling] = json!({ "type": "linear", "factor": 2.0 }));
		assert!(matches!(
			directory.error(),
			LoadError::Config(UnsupportedRopeScaling(kind)) if kind == "linear"
		));
	}
	assert!(matches!(refuse(|c| c["hidden_size"] = "x".into()), Missing(f) if f == "hidden_size"));
	assert!(matches!(refuse(|c| c["vocab_size"] = Value::Null), Missing(f) if f == "vocab_size"));
	assert!(matches!(
		refuse(|c| c["intermediate_size"] = u64::MAX.into()),
		OutOfBounds { field: "intermediate_size", .. }
	));
	assert!(matches!(refuse(|c| c["num_attention_heads"] = 0.into()), OutOfBounds { .. }));
	assert!(matches!(refuse(|c| *c = json!([])), UnsupportedArchitecture(_)));
	let directory = Directory::new();
	fs::write(directory.path("config.json"), "not json").unwrap();
	assert!(matches!(directory.error(), LoadError::Config(Json(_))));
	fs::write(directory.path("config.json"), " ".repeat(5 << 20)).unwrap();
	assert!(matches!(directory.error(), LoadError::TooLarge { .. }));
}

#[test]
fn weights_should_be_exactly_what_the_configuration_asks_for() {
	let directory = Directory::new();
	let tensors = || directory.tensors();
	let refuse = |tensors| directory.write_tensors("model.safetensors", tensors).error();
	let original = tensors();

	let mut changed = tensors();
	let missing = changed.pop().unwrap().name;
	assert!(matches!(refuse(changed), LoadError::MissingTensor(name) if name == missing));

	let mut changed = original.clone();
	let bias = "model.layers.0.self_attn.q_proj.bias";
	changed.push(NamedTensor { name: bias.into(), shape: vec![2], values: vec![0.0; 2] });
	assert!(matches!(refuse(changed), LoadError::UnexpectedTensor(name) if name == bias));

	let mut changed = original.clone();
	changed[3].shape.reverse();
	changed[3].shape.push(1);
	assert!(matches!(refuse(changed), LoadError::WrongShape { .. }));

	for value in [f32::NAN, f32::INFINITY] {
		let mut changed = original.clone();
		changed[2].values[1] = value;
		assert!(matches!(
			refuse(changed),
			LoadError::TensorFile { source: TensorFileError::NonFinite(_), .. }
		));
	}

	// A tied model may carry its head along.
	let mut changed = original.clone();
	let head = NamedTensor { name: "lm_head.weight".into(), ..original[0].clone() };
	changed.push(head);
	directory.write_tensors("model.safetensors", changed).load().unwrap();
}

#[test]
fn tokenizers_that_do_not_fit_should_be_refused() {
	let token = |id: u64| {
		json!({
			"id": id, "content": "<|new|>", "special": true, "single_word": false,
			"lstrip": false, "rstrip": false, "normalized": false,
		})
	};
	let with = |id: u64| {
		let directory = Directory::new();
		directory.edit("tokenizer.json", |json| {
			json["added_tokens"].as_array_mut().unwrap().push(token(id));
		});
		directory.error()
	};
	assert!(matches!(with(259), LoadError::VocabularyMismatch { tokens: 260, vocab_size: 259 }));
	assert!(matches!(
		with(7_000),
		LoadError::Tokenizer(TokenizerError::AddedTokenId { declared: 7_000, found: 259, .. })
	));
	let directory = Directory::new();
	directory.edit("tokenizer.json", |json| json["model"]["vocab"]["a"] = 4_000_000_000u64.into());
	assert!(matches!(directory.error(), LoadError::VocabularyMismatch { .. }));
	let directory = Directory::new();
	directory.edit("tokenizer.json", |json| {
		json["truncation"] = json!({
			"direction": "Right", "max_length": 1, "strategy": "LongestFirst", "stride": 0,
		});
	});
	assert_eq!(directory.load().unwrap().tokenizer().encode("abc", false).unwrap().len(), 3);
}

proptest! {
	#![proptest_config(ProptestConfig {
		cases: 300,
		failure_persistence: None,
		..Default::default()
	})]

	#[test]
	fn mutated_directories_should_never_panic(
		file in prop::sample::select(vec![
			"model.safetensors", "config.json", "tokenizer.json", "tokenizer_config.json",
		]),
		changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..5),
		header_only: bool,
		cut in prop::option::weighted(0.2, any::<prop::sample::Index>()),
	) {
		let directory = Directory::new();
		let path = directory.path(file);
		let mut bytes = fs::read(&path).unwrap();
		let reach = if header_only { bytes.len().min(1_500) } else { bytes.len() };
		for (at, byte) in changes {
			bytes[at.index(reach)] = byte;
		}
		if let Some(cut) = cut {
			bytes.truncate(cut.index(bytes.len()));
		}
		fs::write(&path, bytes).unwrap();
		if let Ok(model) = directory.load() {
			let tokens = model.tokenizer().encode("The roof 12 €", false).unwrap();
			if !tokens.is_empty() && tokens.len() < model.max_context() {
				model.hidden(&[tokens], None, None).unwrap();
			}
		}
	}
}
