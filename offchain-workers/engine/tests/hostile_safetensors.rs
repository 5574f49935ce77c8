//! Safetensors files: written ones are read by others, broken ones are refused by name.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;

use openledger_engine::{
	tensor_file::{self, NamedTensor, TensorFile},
	TensorFileError,
};
use safetensors::{tensor::TensorView, Dtype};

/// A safetensors file with this header.
fn with_header(header: &str, data: usize) -> Vec<u8> {
	let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
	bytes.extend(header.as_bytes());
	bytes.resize(bytes.len() + data, 0);
	bytes
}

fn parse_error(bytes: &[u8]) -> TensorFileError {
	TensorFile::from_bytes(bytes).map(|_| ()).unwrap_err()
}

#[test]
fn safetensors_that_lie_should_be_refused_by_name() {
	use TensorFileError::*;
	assert!(matches!(parse_error(b""), TooShort(0)));
	for size in [1 << 60, u64::MAX] {
		let mut bytes = with_header("{}", 0);
		bytes[..8].copy_from_slice(&size.to_le_bytes());
		assert!(matches!(parse_error(&bytes), HeaderBeyondFile { size: s, .. } if s == size));
	}
	assert!(matches!(parse_error(&with_header(&" ".repeat(17 << 20), 0)), HeaderTooLarge(_)));
	assert!(matches!(parse_error(&with_header("[1]", 0)), Header(_)));
	let tensor = |name: &str, shape: &str, from: u64, to: u64| {
		format!(r#""{name}":{{"dtype":"F32","shape":{shape},"data_offsets":[{from},{to}]}}"#)
	};
	let one = |shape: &str, from, to| format!("{{{}}}", tensor("w", shape, from, to));
	TensorFile::from_bytes(&with_header(&one("[2]", 0, 8), 8)).unwrap();
	for (shape, from, to) in
		[("[3]", 0, 8), ("[2]", 4, 12), ("[2]", 8, 0), ("[4611686018427387904,4]", 0, 8)]
	{
		assert!(matches!(parse_error(&with_header(&one(shape, from, to), 8)), Header(_)));
	}
	for data in [0, 7, 9] {
		let error = parse_error(&with_header(&one("[2]", 0, 8), data));
		assert!(matches!(error, WrongDataLength { declared: 8, .. }));
	}
	let overlapping = format!("{{{},{}}}", tensor("a", "[2]", 0, 8), tensor("b", "[2]", 4, 12));
	assert!(matches!(parse_error(&with_header(&overlapping, 12)), Header(_)));
	// Sizes that add up to almost 2^64, where adding the header's length would overflow.
	let step = 1u64 << 60;
	let parts: Vec<String> = (0..16)
		.map(|i| {
			let length = if i == 15 { step - 8 } else { step };
			tensor(&i.to_string(), &format!("[{}]", length / 4), i * step, i * step + length)
		})
		.collect();
	let huge = format!("{{{}}}", parts.join(","));
	assert!(matches!(parse_error(&with_header(&huge, 8)), WrongDataLength { .. }));
}

#[test]
fn half_precision_should_be_read_and_integers_refused() {
	let one = half::f16::from_f32(1.5).to_le_bytes();
	let other = half::bf16::from_f32(-2.0).to_le_bytes();
	let view = |dtype, data| TensorView::new(dtype, vec![1], data).unwrap();
	let tensors = [
		("half", view(Dtype::F16, one.as_slice())),
		("brain", view(Dtype::BF16, other.as_slice())),
		("integer", view(Dtype::I16, &[1, 0])),
	];
	let bytes = safetensors::serialize(tensors, None).unwrap();
	let mut file = TensorFile::from_bytes(&bytes).unwrap();
	assert_eq!(file.read("half").unwrap().unwrap(), [1.5]);
	assert_eq!(file.read("brain").unwrap().unwrap(), [-2.0]);
	assert_eq!(file.read("nothing").unwrap(), None);
	assert!(matches!(
		file.read("integer"),
		Err(TensorFileError::UnsupportedDtype { name, dtype }) if name == "integer" && dtype == "I16"
	));
}

#[test]
fn written_files_should_be_read_by_the_safetensors_crate() {
	let tensor = |name: &str, shape: Vec<usize>, values: Vec<f32>| NamedTensor {
		name: name.into(),
		shape,
		values,
	};
	let tensors = vec![
		tensor("z", vec![2, 2], vec![1.0, 2.0, 3.0, 4.0]),
		tensor("a\"\u{e9}", vec![1], vec![5.0]),
	];
	let metadata: BTreeMap<String, String> =
		(0..20).map(|i| (format!("key {i}"), format!("\"{i}\n"))).collect();
	let bytes = tensor_file::serialize(tensors.clone(), &metadata).unwrap();
	let reversed = tensors.iter().rev().cloned().collect();
	assert_eq!(tensor_file::serialize(reversed, &metadata).unwrap(), bytes);
	let read = safetensors::SafeTensors::deserialize(&bytes).unwrap();
	assert_eq!(read.tensor("z").unwrap().shape(), [2, 2]);
	assert_eq!(read.tensor("a\"\u{e9}").unwrap().data(), 5f32.to_le_bytes());
	let (length, header) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
	assert_eq!(header.metadata().as_ref().unwrap().len(), 20);
	assert_eq!(length % 8, 0);
	assert_eq!(TensorFile::from_bytes(&bytes).unwrap().free_metadata(), metadata);

	let twice = vec![tensor("a", vec![1], vec![0.0]); 2];
	assert!(matches!(
		tensor_file::serialize(twice, &metadata),
		Err(TensorFileError::DuplicateTensor(name)) if name == "a"
	));
	assert!(matches!(
		tensor_file::serialize(vec![tensor("a", vec![3], vec![0.0])], &metadata),
		Err(TensorFileError::WrongValueCount { values: 1, expected: 3, .. })
	));
}
