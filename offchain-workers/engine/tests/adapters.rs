//! PEFT adapters: round trips, and refusals by name.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{collections::BTreeMap, fs, path::Path};

use openledger_engine::{
	tensor_file::{self, NamedTensor, TensorFile},
	tiny, Adapter, LoadOptions, LoraConfig, LoraError, LoraWeights, Model, PeftError, TargetModule,
	TensorFileError,
};
use proptest::prelude::*;
use serde_json::{json, Value};
use tempfile::TempDir;

fn golden() -> std::path::PathBuf {
	Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn model() -> Model {
	let options = LoadOptions { threads: 1, ..LoadOptions::default() };
	Model::from_huggingface(golden().join("tiny"), options).unwrap()
}

/// A copy of a golden adapter that can be changed.
struct Copy(TempDir);

impl Copy {
	fn new(name: &str) -> Self {
		let directory = tempfile::tempdir().unwrap();
		for file in ["adapter_config.json", "adapter_model.safetensors"] {
			let from = golden().join("adapters").join(name).join(file);
			fs::copy(from, directory.path().join(file)).unwrap();
		}
		Self(directory)
	}

	fn edit(&self, edit: impl FnOnce(&mut Value)) -> &Self {
		let path = self.0.path().join("adapter_config.json");
		let mut json = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
		edit(&mut json);
		fs::write(path, json.to_string()).unwrap();
		self
	}

	fn tensors(&self, change: impl FnOnce(&mut Vec<NamedTensor>)) -> &Self {
		let path = self.0.path().join("adapter_model.safetensors");
		let mut file = TensorFile::open(&path).unwrap();
		let mut tensors = file
			.names()
			.into_iter()
			.map(|name| NamedTensor {
				shape: file.shape(&name).unwrap().to_vec(),
				values: file.read(&name).unwrap().unwrap(),
				name,
			})
			.collect();
		change(&mut tensors);
		fs::write(&path, tensor_file::serialize(tensors, &BTreeMap::new()).unwrap()).unwrap();
		self
	}

	fn read(&self, model: &Model) -> Result<Adapter, PeftError> {
		Adapter::read_directory(self.0.path(), model.config())
	}

	fn error(&self, model: &Model) -> PeftError {
		self.read(model).map(|_| ()).unwrap_err()
	}
}

#[test]
fn adapters_should_survive_both_forms_unchanged() {
	let model = model();
	for name in ["qv-r4", "all-r8", "patterns", "rslora-r8"] {
		let original = Copy::new(name).read(&model).unwrap();
		let free = BTreeMap::from([("job".into(), "17".into()), ("spec".into(), "{}".into())]);
		let bytes = original.to_bytes(&free).unwrap();
		let (from_bytes, metadata) = Adapter::from_bytes(&bytes, model.config()).unwrap();
		assert_eq!(metadata, free);
		assert_eq!(from_bytes.config(), original.config());
		assert_eq!(from_bytes.to_bytes(&free).unwrap(), bytes);

		let directory = tempfile::tempdir().unwrap();
		let directory = directory.path().join("new");
		from_bytes.write_directory(&directory).unwrap();
		let again = Adapter::read_directory(&directory, model.config()).unwrap();
		assert_eq!(again.to_bytes(&free).unwrap(), bytes);
		// Value for value what peft wrote.
		let file = "adapter_model.safetensors";
		let mut ours = TensorFile::open(&directory.join(file)).unwrap();
		let mut theirs =
			TensorFile::open(&golden().join("adapters").join(name).join(file)).unwrap();
		assert_eq!(ours.names(), theirs.names());
		for tensor in ours.names() {
			assert_eq!(ours.shape(&tensor), theirs.shape(&tensor));
			assert_eq!(ours.read(&tensor).unwrap(), theirs.read(&tensor).unwrap());
		}
	}
}

#[test]
fn patterns_should_decide_rank_and_scale_as_in_peft() {
	let adapter = Copy::new("patterns").read(&model()).unwrap();
	let scale = |layer, target| adapter.weights().get(layer, target).unwrap().scale;
	let rank = |layer, target| adapter.weights().get(layer, target).unwrap().rank();
	use TargetModule::*;
	assert_eq!((rank(0, QProj), scale(0, QProj)), (4, 2.0));
	assert_eq!((rank(1, QProj), scale(1, QProj)), (6, 8.0 / 6.0));
	assert_eq!((rank(0, KProj), scale(0, KProj)), (4, 0.75));
	assert_eq!((rank(1, KProj), scale(1, KProj)), (4, 3.0));
	assert_eq!((rank(0, DownProj), scale(0, DownProj)), (2, 4.0));
	let rslora = Copy::new("rslora-r8").read(&model()).unwrap();
	assert_eq!(rslora.weights().get(0, OProj).unwrap().scale, (4.0 / 8f64.sqrt()) as f32);
}

#[test]
fn the_first_pattern_in_the_file_should_count() {
	let json = r#"{"peft_type":"LORA","r":8,"lora_alpha":8,"target_modules":["q_proj"],
		"rank_pattern":{"q_proj":3,"layers.0.self_attn.q_proj":5,"a":7}}"#;
	let config = LoraConfig::from_json(json.as_bytes()).unwrap();
	assert_eq!(config.rank(0, TargetModule::QProj), 3);
	let swapped = json.replace(r#""q_proj":3,"#, "").replace(r#""a":7"#, r#""q_proj":3"#);
	let config = LoraConfig::from_json(swapped.as_bytes()).unwrap();
	assert_eq!(config.rank(0, TargetModule::QProj), 5);
	assert_eq!(config.rank(10, TargetModule::QProj), 3);
	let again = LoraConfig::from_json(config.to_json().unwrap().as_bytes()).unwrap();
	assert_eq!(again, config);
}

#[test]
fn configurations_that_change_the_computation_should_be_refused_by_name() {
	let model = model();
	let refuse = |setting: &str, value: Value| {
		Copy::new("qv-r4").edit(|config| config[setting] = value).error(&model)
	};
	for (setting, value) in [
		("use_dora", json!(true)),
		("bias", json!("all")),
		("bias", json!("lora_only")),
		("lora_bias", json!(true)),
		("modules_to_save", json!(["lm_head"])),
		("fan_in_fan_out", json!(true)),
		("layers_to_transform", json!([0])),
		("exclude_modules", json!(["k_proj"])),
		("layer_replication", json!([[0, 1]])),
		("init_lora_weights", json!("pissa_niter_4")),
		("init_lora_weights", json!("olora")),
		("trainable_token_indices", json!([1])),
		("alora_invocation_tokens", json!([1])),
		("target_parameters", json!(["experts"])),
		("use_qalora", json!(true)),
		("a_setting_of_the_future", json!(1)),
	] {
		let error = refuse(setting, value.clone());
		assert!(
			matches!(&error, PeftError::UnsupportedSetting { setting: s, .. } if s == setting),
			"{setting}: {error}"
		);
	}
	assert!(matches!(refuse("peft_type", json!("IA3")), PeftError::NotLora(kind) if kind == "IA3"));
	for target in ["lm_head", "embed_tokens", "../q_proj"] {
		let error = refuse("target_modules", json!(["q_proj", target]));
		assert!(matches!(error, PeftError::UnknownTarget(name) if name == target));
	}
	assert!(matches!(refuse("target_modules", json!([])), PeftError::NoTargets));
	assert!(matches!(refuse("target_modules", json!(".*_proj")), PeftError::Config(_)));
	assert!(matches!(refuse("lora_alpha", json!(1e300)), PeftError::AlphaNotFinite(_)));
	for pattern in [".*q_proj", "layers\\.0", "(q|v)_proj", "", "^", "a b"] {
		let error = refuse("rank_pattern", json!({ pattern: 4 }));
		assert!(matches!(error, PeftError::UnsupportedPattern(name) if name == pattern));
	}
	let many: BTreeMap<String, u64> = (0..9_000).map(|i| (format!("p{i}"), 4)).collect();
	assert!(matches!(refuse("rank_pattern", json!(many)), PeftError::TooManyPatterns { .. }));
	for rank in [json!(0), json!(1_025), json!(u64::MAX)] {
		assert!(matches!(refuse("r", rank), PeftError::RankOutOfBounds(_)));
	}
	assert!(matches!(refuse("rank_pattern", json!({ "a": 0 })), PeftError::RankOutOfBounds(0)));
	assert!(matches!(refuse("r", json!(-1)), PeftError::Config(_)));
}

#[test]
fn weights_that_do_not_fit_should_be_refused_by_name() {
	let model = model();
	let copy = || Copy::new("qv-r4");
	assert!(matches!(
		copy().edit(|config| config["r"] = 8.into()).error(&model),
		PeftError::WrongShape { expected: [8, 64], found, .. } if found == [4, 64]
	));
	assert!(matches!(
		copy().edit(|config| config["target_modules"] = json!(["q_proj"])).error(&model),
		PeftError::UnexpectedTensor(name) if name.contains("v_proj")
	));
	assert!(matches!(
		copy().edit(|config| config["target_modules"] = json!(["q_proj", "v_proj", "o_proj"])).error(&model),
		PeftError::MissingTensor(name) if name.contains("o_proj.lora_A")
	));
	assert!(matches!(
		copy().tensors(|tensors| drop(tensors.remove(1))).error(&model),
		PeftError::MissingTensor(name) if name.contains("lora_B")
	));
	assert!(matches!(
		copy().tensors(|tensors| tensors[0].values[0] = f32::NAN).error(&model),
		PeftError::File(TensorFileError::NonFinite(_))
	));
	assert!(matches!(
		copy().tensors(|tensors| tensors[0].name = "../../x".into()).error(&model),
		PeftError::MissingTensor(_)
	));

	// Another base.
	let directory = tempfile::tempdir().unwrap();
	tiny::write_model(directory.path(), 1).unwrap();
	let other = Model::from_huggingface(directory.path(), LoadOptions::default()).unwrap();
	assert!(matches!(copy().error(&other), PeftError::WrongShape { .. }));

	let empty = tempfile::tempdir().unwrap();
	assert!(matches!(
		Adapter::read_directory(empty.path(), model.config()),
		Err(PeftError::Read(_))
	));
}

#[test]
fn adapters_should_be_what_their_configuration_says() {
	let model = model();
	let adapter = Copy::new("qv-r4").read(&model).unwrap();
	let rebuild = |change: fn(&mut LoraConfig, &mut LoraWeights)| {
		let (mut config, mut weights) = (adapter.config().clone(), adapter.weights().clone());
		change(&mut config, &mut weights);
		Adapter::new(config, weights, model.config()).map(|_| ())
	};
	rebuild(|_, _| ()).unwrap();
	use LoraError::*;
	assert!(matches!(rebuild(|config, _| config.r = 5), Err(WrongRank { expected: 5, .. })));
	assert!(matches!(rebuild(|config, _| config.lora_alpha = 9.0), Err(WrongScale { .. })));
	assert!(matches!(
		rebuild(|config, _| config.target_modules.extend([TargetModule::OProj])),
		Err(MissingModule(name)) if name == "model.layers.0.self_attn.o_proj"
	));
	assert!(matches!(
		rebuild(|config, _| config.target_modules.retain(|target| *target != TargetModule::QProj)),
		Err(UnexpectedModule(_))
	));
	assert!(matches!(
		rebuild(|_, weights| *weights = LoraWeights::new(1)),
		Err(LayerCount { expected: 2, found: 1 })
	));
}

#[test]
fn single_files_should_be_refused_by_name() {
	let model = model();
	let adapter = Copy::new("qv-r4").read(&model).unwrap();
	for key in ["adapter_config", "format"] {
		let free = BTreeMap::from([(key.into(), "mine".into())]);
		let error = adapter.to_bytes(&free).unwrap_err();
		assert!(matches!(error, PeftError::ReservedKey(name) if name == key));
	}
	let directory = golden().join("adapters/qv-r4/adapter_model.safetensors");
	let plain = fs::read(directory).unwrap();
	assert!(matches!(Adapter::from_bytes(&plain, model.config()), Err(PeftError::NoConfig)));
	assert!(matches!(Adapter::from_bytes(b"", model.config()), Err(PeftError::File(_))));
	let bytes = adapter.to_bytes(&BTreeMap::new()).unwrap();
	for end in (0..bytes.len()).step_by(7) {
		assert!(Adapter::from_bytes(&bytes[..end], model.config()).is_err());
	}
}

thread_local! {
	static MODEL: Model = model();
}

proptest! {
	#![proptest_config(ProptestConfig {
		cases: 1_000,
		failure_persistence: None,
		..Default::default()
	})]

	#[test]
	fn mutated_adapters_should_never_panic(
		changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..5),
		header_only: bool,
	) {
		MODEL.with(|model| {
			let adapter = Copy::new("patterns").read(model).unwrap();
			let mut bytes = adapter.to_bytes(&BTreeMap::new()).unwrap();
			let reach = if header_only { 3_000 } else { bytes.len() };
			for (at, byte) in changes {
				bytes[at.index(reach)] = byte;
			}
			if let Ok((adapter, _)) = Adapter::from_bytes(&bytes, model.config()) {
				model.hidden(&[[3, 4, 5]], None, Some(adapter.weights())).unwrap();
			}
		});
	}
}
