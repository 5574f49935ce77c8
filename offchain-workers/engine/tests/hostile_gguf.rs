//! GGUF files that are broken or lie: a named error each, never a panic.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{fs, io::Cursor, path::Path};

use openledger_engine::{
	gguf::Gguf,
	quantization::{NumberFormat, Numbers},
	ConfigError, GgufError, LoadError, LoadOptions, Model, TokenizerError,
};
use proptest::prelude::*;

const STRING: u32 = 8;
const ARRAY: u32 = 9;
const U32: u32 = 4;

/// Writes the parts of a GGUF file, true or not.
#[derive(Clone)]
struct File(Vec<u8>);

impl File {
	fn new(version: u32, tensors: u64, metadata: u64) -> Self {
		Self(b"GGUF".to_vec()).u32(version).u64(tensors).u64(metadata)
	}

	fn u32(mut self, value: u32) -> Self {
		self.0.extend(value.to_le_bytes());
		self
	}

	fn u64(mut self, value: u64) -> Self {
		self.0.extend(value.to_le_bytes());
		self
	}

	fn bytes(mut self, bytes: &[u8]) -> Self {
		self.0.extend(bytes);
		self
	}

	fn string(self, text: &str) -> Self {
		self.u64(text.len() as u64).bytes(text.as_bytes())
	}

	fn tensor(self, name: &str, shape: &[u64], kind: u32, offset: u64) -> Self {
		let start = self.string(name).u32(shape.len() as u32);
		shape.iter().fold(start, |file, n| file.u64(*n)).u32(kind).u64(offset)
	}

	/// Pads to the data section and appends data.
	fn data(mut self, length: usize) -> Self {
		let padded = self.0.len().next_multiple_of(32);
		self.0.resize(padded + length, 0);
		self
	}

	fn parse(&self) -> Result<(), GgufError> {
		Gguf::parse(Cursor::new(&self.0)).map(|_| ())
	}

	fn error(&self) -> GgufError {
		self.parse().unwrap_err()
	}
}

fn tiny() -> Vec<u8> {
	fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/tiny.gguf")).unwrap()
}

fn load(bytes: &[u8]) -> Result<Model, LoadError> {
	let file = tempfile::NamedTempFile::new().unwrap();
	fs::write(file.path(), bytes).unwrap();
	Model::from_gguf(file.path(), LoadOptions { threads: 1, ..LoadOptions::default() })
}

/// The tiny model with another 32-bit value under a metadata key.
fn with_u32(key: &str, value: u32) -> Vec<u8> {
	let mut bytes = tiny();
	let at = bytes.windows(key.len()).position(|window| window == key.as_bytes()).unwrap();
	// Behind the key: its type, then the value.
	let at = at + key.len() + 4;
	bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
	bytes
}

#[test]
fn what_is_no_gguf_file_should_be_refused() {
	let error = |bytes: &[u8]| Gguf::parse(Cursor::new(bytes)).map(|_| ()).unwrap_err();
	assert!(matches!(error(b""), GgufError::Truncated { needed: 4, left: 0, .. }));
	assert!(matches!(error(b"PK\x03\x04...."), GgufError::BadMagic(_)));
	for version in [0, 1, 4, 3u32.swap_bytes()] {
		let error = File::new(version, 0, 0).error();
		assert!(matches!(error, GgufError::UnsupportedVersion(v) if v == version));
	}
	assert!(matches!(
		Model::from_gguf("no such file", LoadOptions::default()),
		Err(LoadError::Gguf(GgufError::Io(_)))
	));
}

#[test]
fn a_file_cut_anywhere_should_be_refused() {
	let bytes = tiny();
	for end in (0..bytes.len()).filter(|end| *end < 2_000 || end % 101 == 0) {
		let error = Gguf::parse(Cursor::new(&bytes[..end])).map(|_| ()).unwrap_err();
		assert!(
			matches!(error, GgufError::Truncated { .. } | GgufError::TensorBeyondFile { .. }),
			"{end}: {error}"
		);
	}
}

#[test]
fn declared_sizes_should_not_decide_what_is_allocated() {
	const HUGE: u64 = 1 << 60;
	let too_many =
		|file: File| assert!(matches!(file.error(), GgufError::TooMany { count: HUGE, .. }));
	let truncated = |file: File| assert!(matches!(file.error(), GgufError::Truncated { .. }));
	too_many(File::new(3, HUGE, 0));
	too_many(File::new(3, 0, HUGE));
	truncated(File::new(3, 60_000, 0));
	truncated(File::new(3, 0, 16_000));
	truncated(File::new(3, 0, 1).u64(HUGE));
	truncated(File::new(3, 0, 1).u64(u64::MAX));
	truncated(File::new(3, 0, 1).string("key").u32(STRING).u64(HUGE));
	let array = |kind: u32| File::new(3, 0, 1).string("key").u32(ARRAY).u32(kind);
	too_many(array(U32).u64(HUGE));
	for kind in [0, U32, STRING, 12] {
		truncated(array(kind).u64(1 << 22));
	}
	let long = File::new(3, 0, 1).string("key").u32(STRING).string(&"x".repeat((1 << 20) + 1));
	assert!(matches!(long.error(), GgufError::TooMany { .. }));
}

#[test]
fn bad_metadata_should_be_refused_by_name() {
	let one = || File::new(3, 0, 1);
	let key = || one().string("key");
	assert!(matches!(key().u32(99).error(), GgufError::UnknownValueType { kind: 99, .. }));
	assert!(matches!(
		key().u32(ARRAY).u32(77).u64(0).error(),
		GgufError::UnknownValueType { kind: 77, .. }
	));
	let nested = key().u32(ARRAY).u32(ARRAY).u64(1);
	assert!(matches!(nested.error(), GgufError::NestedArray(key) if key == "key"));
	assert!(matches!(one().u64(2).bytes(&[0xFF, 0xFE]).error(), GgufError::NotUtf8(_)));
	let twice = File::new(3, 0, 2).string("key").u32(U32).u32(1).string("key").u32(U32).u32(2);
	assert!(matches!(twice.error(), GgufError::DuplicateKey(key) if key == "key"));
	for alignment in [0, 3, 1 << 17] {
		let file = one().string("general.alignment").u32(U32).u32(alignment);
		assert!(matches!(file.error(), GgufError::BadAlignment(a) if a == u64::from(alignment)));
	}
	let text = one().string("general.alignment").u32(STRING).string("32");
	assert!(matches!(text.error(), GgufError::MissingKey(_)));
}

#[test]
fn bad_tensors_should_be_refused_by_name() {
	let one =
		|shape: &[u64], kind, offset| File::new(3, 1, 0).tensor("w", shape, kind, offset).data(128);
	one(&[32], 0, 0).parse().unwrap();
	one(&[32, 2], 2, 32).parse().unwrap();
	assert!(matches!(
		one(&[32], 14, 0).error(),
		GgufError::UnsupportedTensorType { kind: 14, name } if name == "w"
	));
	assert!(matches!(one(&[1; 5], 0, 0).error(), GgufError::TooMany { count: 5, .. }));
	let bad_shapes: [(&[u64], u32); 5] =
		[(&[16, 2], 2), (&[33], 8), (&[0, 4], 0), (&[1 << 40, 1 << 40], 0), (&[1 << 62], 0)];
	for (shape, kind) in bad_shapes {
		assert!(matches!(one(shape, kind, 0).error(), GgufError::BadDimensions(_)), "{shape:?}");
	}
	assert!(matches!(one(&[4], 0, 7).error(), GgufError::Misaligned { offset: 7, .. }));
	for offset in [96, 128, u64::MAX - 31] {
		let error = one(&[32], 0, offset).error();
		assert!(matches!(error, GgufError::TensorBeyondFile { available: 128, .. }), "{error}");
	}
	assert!(matches!(one(&[1 << 40], 0, 0).error(), GgufError::TensorBeyondFile { .. }));
	let twice = File::new(3, 2, 0).tensor("w", &[1], 0, 0).tensor("w", &[1], 0, 0).data(32);
	assert!(matches!(twice.error(), GgufError::DuplicateTensor(name) if name == "w"));
}

#[test]
fn version_2_and_other_alignments_should_be_read() {
	let mut file = File::new(2, 1, 1).string("general.alignment").u32(U32).u32(64);
	file = file.tensor("w", &[2, 3], 0, 64);
	let start = file.0.len().next_multiple_of(64) + 64;
	file.0.resize(start, 0xAA);
	file.0.extend((0..6).flat_map(|i| (i as f32).to_le_bytes()));
	let mut gguf = Gguf::parse(Cursor::new(&file.0)).unwrap();
	let info = &gguf.tensors()["w"];
	assert_eq!((info.shape.as_slice(), info.format), ([3, 2].as_slice(), NumberFormat::F32));
	let numbers = gguf.read_tensor("w").unwrap().unwrap();
	assert_eq!(numbers, Numbers::Plain(vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0]));
	assert_eq!(gguf.read_tensor("v").unwrap(), None);
}

#[test]
fn models_that_contradict_themselves_should_be_refused_by_name() {
	load(&tiny()).unwrap();
	assert!(matches!(
		load(&with_u32("llama.attention.head_count", 3)),
		Err(LoadError::Config(
			ConfigError::HeadsDoNotDivide { .. } | ConfigError::UnsupportedSetting { .. }
		))
	));
	assert!(matches!(
		load(&with_u32("llama.feed_forward_length", 96)),
		Err(LoadError::WrongShape { name, .. }) if name == "blk.0.ffn_gate.weight"
	));
	assert!(matches!(
		load(&with_u32("llama.block_count", 3)),
		Err(LoadError::MissingTensor(name)) if name == "blk.2.attn_norm.weight"
	));
	assert!(matches!(
		load(&with_u32("llama.block_count", 1)),
		Err(LoadError::UnexpectedTensor(name)) if name.starts_with("blk.1.")
	));
	assert!(matches!(
		load(&with_u32("llama.block_count", u32::MAX)),
		Err(LoadError::Config(ConfigError::OutOfBounds { field: "num_hidden_layers", .. }))
	));
	assert!(matches!(
		load(&with_u32("tokenizer.ggml.eos_token_id", 300)),
		Err(LoadError::Config(ConfigError::TokenOutsideVocabulary { .. }))
	));
	assert!(matches!(
		load(&with_u32("llama.rope.freq_base", f32::NAN.to_bits())),
		Err(LoadError::Config(ConfigError::NotPositive { field: "rope_theta", .. }))
	));
	let replaced = |from: &[u8], to: &[u8]| {
		let mut bytes = tiny();
		let at = bytes.windows(from.len()).position(|window| window == from).unwrap();
		bytes[at..at + to.len()].copy_from_slice(to);
		load(&bytes)
	};
	assert!(matches!(
		replaced(b"\x05\0\0\0\0\0\0\0llama", b"\x05\0\0\0\0\0\0\0gemma"),
		Err(LoadError::Config(ConfigError::UnsupportedArchitecture(name))) if name == "gemma"
	));
	assert!(matches!(
		replaced(b"smollm", b"gemmaa"),
		Err(LoadError::Tokenizer(TokenizerError::Unsupported { part: "pre-tokenizer", .. }))
	));
	assert!(matches!(
		replaced(b"tokenizer.ggml.tokens", b"tokenizer.ggml.jokens"),
		Err(LoadError::Gguf(GgufError::MissingKey(_)))
	));
}

#[test]
fn weights_that_are_not_finite_should_be_refused() {
	// The last tensor in the file is a norm in F32.
	let mut bytes = tiny();
	let end = bytes.len();
	bytes[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
	assert!(matches!(
		load(&bytes),
		Err(LoadError::NonFiniteWeight(name)) if name == "blk.1.ffn_norm.weight"
	));
}

proptest! {
	#![proptest_config(ProptestConfig {
		cases: 300,
		failure_persistence: None,
		..Default::default()
	})]

	/// Whatever is done to a file, it loads or is refused; a model that loads can be run.
	#[test]
	fn mutated_files_should_never_panic(
		// Most mutations hit the header, where they matter.
		changes in prop::collection::vec((prop_oneof![3 => 0usize..12_000, 1 => 0usize..138_000], any::<u8>()), 1..6),
		end in prop_oneof![4 => Just(usize::MAX), 1 => 0usize..138_000],
	) {
		let mut bytes = tiny();
		for (at, byte) in changes {
			if let Some(place) = bytes.get_mut(at) {
				*place = byte;
			}
		}
		bytes.truncate(end);
		if let Ok(model) = load(&bytes) {
			let tokens = model.tokenizer().encode("The roof 12 €", false).unwrap();
			if !tokens.is_empty() && tokens.len() < model.max_context() {
				let _ = model.hidden(&[tokens], None, None).unwrap();
			}
		}
	}
}
