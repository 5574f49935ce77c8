//! Safetensors files: read tensor by tensor, written byte for byte the same every time.
//!
//! The header is parsed and checked by the `safetensors` crate. Its own `deserialize` is not used:
//! it wants the whole file in memory and adds up declared sizes without overflow checks
//! (safetensors 0.8.0). Its writer keeps metadata in a hash map, whose order differs from run to
//! run; ours sorts, so that the bytes can be hashed.

use std::{
	collections::{BTreeMap, HashSet},
	fs::File,
	io::{self, BufReader, Cursor, Read, Seek, SeekFrom},
	path::Path,
};

use safetensors::{
	tensor::{Metadata, TensorInfo},
	Dtype,
};
use serde::Serialize;

use crate::quantization::NumberFormat;

/// Bytes of a header: each tensor takes about a hundred.
pub const MAX_HEADER: u64 = 16 << 20;
/// The length of the header stands before it.
const LENGTH_FIELD: u64 = 8;

/// Why a safetensors file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TensorFileError {
	#[error("cannot read the safetensors file: {0}")]
	Io(#[from] io::Error),
	#[error("the file has {0} bytes, too few for a safetensors header")]
	TooShort(u64),
	#[error("the header has {size} bytes, but the file only {available} after its length field")]
	HeaderBeyondFile { size: u64, available: u64 },
	#[error("the header has {0} bytes, more than the {MAX_HEADER} allowed")]
	HeaderTooLarge(u64),
	#[error("the header is not valid: {0}")]
	Header(serde_json::Error),
	#[error("the header declares {declared} bytes of data, but {available} follow it")]
	WrongDataLength { declared: u64, available: u64 },
	#[error("tensor `{name}` holds {dtype}, but only F32, F16 and BF16 are supported")]
	UnsupportedDtype { name: String, dtype: String },
	#[error("tensor `{0}` holds a value that is not finite")]
	NonFinite(String),
	#[error("tensor `{name}` is given {values} values, but its shape asks for {expected}")]
	WrongValueCount { name: String, values: usize, expected: usize },
	#[error("tensor `{0}` is given twice")]
	DuplicateTensor(String),
}

/// An opened safetensors file: header in memory, data read on demand.
#[derive(Debug)]
pub struct TensorFile<R> {
	reader: R,
	metadata: Metadata,
	data_start: u64,
}

impl TensorFile<BufReader<File>> {
	/// Opens a file and reads its header.
	pub fn open(path: &Path) -> Result<Self, TensorFileError> {
		let file = File::open(path)?;
		let length = file.metadata()?.len();
		Self::from_reader(BufReader::new(file), length)
	}
}

impl<'a> TensorFile<Cursor<&'a [u8]>> {
	/// Reads the header of a file in memory.
	pub fn from_bytes(bytes: &'a [u8]) -> Result<Self, TensorFileError> {
		Self::from_reader(Cursor::new(bytes), bytes.len() as u64)
	}
}

impl<R: Read> TensorFile<R> {
	/// Reads the header of a file of `length` bytes, which is all that `reader` gives.
	pub fn from_reader(mut reader: R, length: u64) -> Result<Self, TensorFileError> {
		let available =
			length.checked_sub(LENGTH_FIELD).ok_or(TensorFileError::TooShort(length))?;
		let mut size = [0; LENGTH_FIELD as usize];
		reader.read_exact(&mut size)?;
		let size = u64::from_le_bytes(size);
		if size > available {
			return Err(TensorFileError::HeaderBeyondFile { size, available });
		}
		if size > MAX_HEADER {
			return Err(TensorFileError::HeaderTooLarge(size));
		}
		let mut header = vec![0; size as usize];
		reader.read_exact(&mut header)?;
		let metadata: Metadata =
			serde_json::from_slice(&header).map_err(TensorFileError::Header)?;
		let (declared, available) = (metadata.data_len() as u64, available - size);
		if declared != available {
			return Err(TensorFileError::WrongDataLength { declared, available });
		}
		Ok(Self { reader, metadata, data_start: LENGTH_FIELD + size })
	}

	/// Names of all tensors, sorted.
	pub fn names(&self) -> Vec<String> {
		let mut names = self.metadata.offset_keys();
		names.sort_unstable();
		names
	}

	/// A tensor's shape, if the file has it.
	pub fn shape(&self, name: &str) -> Option<&[usize]> {
		self.metadata.info(name).map(|info| info.shape.as_slice())
	}

	/// The free keys under `__metadata__`.
	pub fn free_metadata(&self) -> BTreeMap<String, String> {
		self.metadata.metadata().iter().flatten().map(|(k, v)| (k.clone(), v.clone())).collect()
	}

	/// Reads all tensors' values, row-major, in the order of the file, and hands over each with its name.
	/// For a file of which nothing was read but its header.
	///
	/// # Errors
	/// Those of [`read`](Self::read).
	pub(crate) fn read_all(
		mut self,
		mut take: impl FnMut(&str, &mut [f32]),
	) -> Result<(), TensorFileError> {
		let mut values = Vec::new();
		// Each begins where the one before it ends: the header was checked for that.
		for name in self.metadata.offset_keys() {
			let Some(info) = self.metadata.info(&name) else { continue };
			read_values(&mut self.reader, &name, info, &mut values)?;
			take(&name, &mut values);
		}
		Ok(())
	}
}

impl<R: Read + Seek> TensorFile<R> {
	/// Reads a tensor's values, row-major; `None` when the file has no such tensor.
	///
	/// # Errors
	/// Besides read errors: a number format other than F32, F16 and BF16, or a value that is not
	/// finite.
	pub fn read(&mut self, name: &str) -> Result<Option<Vec<f32>>, TensorFileError> {
		let Some(info) = self.metadata.info(name) else { return Ok(None) };
		self.reader.seek(SeekFrom::Start(self.data_start + info.data_offsets.0 as u64))?;
		let mut values = Vec::new();
		read_values(&mut self.reader, name, info, &mut values)?;
		Ok(Some(values))
	}
}

/// Reads the values of the tensor that comes next, into memory that may have been used before.
fn read_values(
	reader: &mut impl Read,
	name: &str,
	info: &TensorInfo,
	values: &mut Vec<f32>,
) -> Result<(), TensorFileError> {
	// Offsets lie within the file and fit the shape, checked when it was opened.
	let (start, end) = info.data_offsets;
	let mut decoded = |format: NumberFormat| -> io::Result<_> {
		let mut bytes = vec![0; end - start];
		reader.read_exact(&mut bytes)?;
		Ok(format.decode(&bytes).into_values())
	};
	match info.dtype {
		Dtype::F32 => {
			values.resize((end - start) / size_of::<f32>(), 0.0);
			reader.read_exact(bytemuck::cast_slice_mut(values))?;
			// Nothing, unless this CPU has the highest byte first.
			let number = |value: &mut f32| *value = f32::from_le_bytes(value.to_ne_bytes());
			values.iter_mut().for_each(number);
		},
		Dtype::F16 => *values = decoded(NumberFormat::F16)?,
		Dtype::BF16 => *values = decoded(NumberFormat::Bf16)?,
		other => {
			return Err(TensorFileError::UnsupportedDtype {
				name: name.into(),
				dtype: format!("{other:?}"),
			})
		},
	}
	// The largest magnitude, by its bits: without an early end the compiler can vectorise it.
	let magnitude = |value: &f32| value.to_bits() & 0x7FFF_FFFF;
	let largest = values.iter().map(magnitude).fold(0, u32::max);
	if largest >= f32::INFINITY.to_bits() {
		return Err(TensorFileError::NonFinite(name.into()));
	}
	Ok(())
}

/// A tensor to be written.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedTensor {
	pub name: String,
	pub shape: Vec<usize>,
	/// Row-major.
	pub values: Vec<f32>,
}

/// Writes a safetensors file in F32: tensors sorted by name, metadata sorted by key, the header
/// padded with spaces to eight bytes, as the `safetensors` crate does.
pub fn serialize(
	mut tensors: Vec<NamedTensor>,
	metadata: &BTreeMap<String, String>,
) -> Result<Vec<u8>, TensorFileError> {
	#[derive(Serialize)]
	struct Entry<'a> {
		dtype: &'static str,
		shape: &'a [usize],
		data_offsets: (usize, usize),
	}

	tensors.sort_by(|a, b| a.name.cmp(&b.name));
	let mut seen = HashSet::new();
	let mut fields = Vec::with_capacity(tensors.len() + 1);
	let mut field = |name: &str, value: String| -> Result<(), TensorFileError> {
		let name = serde_json::to_string(name).map_err(TensorFileError::Header)?;
		fields.push(format!("{name}:{value}"));
		Ok(())
	};
	if !metadata.is_empty() {
		field("__metadata__", serde_json::to_string(metadata).map_err(TensorFileError::Header)?)?;
	}
	let mut offset = 0;
	for tensor in &tensors {
		let expected = tensor.shape.iter().product();
		if tensor.values.len() != expected {
			return Err(TensorFileError::WrongValueCount {
				name: tensor.name.clone(),
				values: tensor.values.len(),
				expected,
			});
		}
		if !seen.insert(tensor.name.as_str()) {
			return Err(TensorFileError::DuplicateTensor(tensor.name.clone()));
		}
		let end = offset + 4 * expected;
		let entry = Entry { dtype: "F32", shape: &tensor.shape, data_offsets: (offset, end) };
		field(&tensor.name, serde_json::to_string(&entry).map_err(TensorFileError::Header)?)?;
		offset = end;
	}
	let mut header = format!("{{{}}}", fields.join(",")).into_bytes();
	header.resize(header.len().next_multiple_of(LENGTH_FIELD as usize), b' ');

	let mut file = Vec::with_capacity(LENGTH_FIELD as usize + header.len() + offset);
	file.extend((header.len() as u64).to_le_bytes());
	file.extend(header);
	for tensor in &tensors {
		file.extend(tensor.values.iter().flat_map(|value| value.to_le_bytes()));
	}
	Ok(file)
}
