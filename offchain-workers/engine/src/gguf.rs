//! Reader for the GGUF container, versions 2 and 3, little-endian.
//!
//! Layout (specification: `ggml/docs/gguf.md`): magic, version, counts, metadata (key, type,
//! value), tensor descriptions (name, dimensions, type, offset), padding to the alignment, data.
//! Every count and length is compared with what is left of the file before anything is allocated.

use std::{
	collections::BTreeMap,
	fs::File,
	io::{self, BufReader, Read, Seek, SeekFrom},
	path::Path,
};

use crate::quantization::{NumberFormat, Numbers};

const MAGIC: [u8; 4] = *b"GGUF";
/// Alignment of the data section and its tensors unless the file says otherwise.
const DEFAULT_ALIGNMENT: u64 = 32;
/// Metadata keys; real models have some dozens.
pub const MAX_METADATA: u64 = 16_384;
/// Tensors; the largest published models have some thousands.
pub const MAX_TENSORS: u64 = 65_536;
/// Bytes of one string: chat templates are the longest, at some tens of kilobytes.
pub const MAX_STRING: u64 = 1 << 20;
/// Elements of one array: vocabularies and merges have some hundred thousand.
pub const MAX_ARRAY: u64 = 1 << 22;
/// Dimensions of a tensor, as in ggml.
pub const MAX_DIMENSIONS: u32 = 4;

/// Why a file is not a usable GGUF file.
#[derive(Debug, thiserror::Error)]
pub enum GgufError {
	#[error("cannot read the GGUF file: {0}")]
	Io(#[from] io::Error),
	#[error("this is not a GGUF file: it begins with {0:?}")]
	BadMagic([u8; 4]),
	#[error("GGUF version {0} is not supported: versions 2 and 3, little-endian, are")]
	UnsupportedVersion(u32),
	#[error("the file ends inside {what}: {needed} bytes are needed, {left} are left")]
	Truncated { what: &'static str, needed: u64, left: u64 },
	#[error("{what}: {count} are declared, at most {max} are allowed")]
	TooMany { what: &'static str, count: u64, max: u64 },
	#[error("a string in {0} is not UTF-8")]
	NotUtf8(&'static str),
	#[error("metadata `{key}` has the unknown type {kind}")]
	UnknownValueType { key: String, kind: u32 },
	#[error("metadata `{0}` holds an array of arrays, which no Llama model needs")]
	NestedArray(String),
	#[error("metadata `{0}` stands twice in the file")]
	DuplicateKey(String),
	#[error("metadata `{0}` is missing or has another type than expected")]
	MissingKey(String),
	#[error("the alignment {0} is not a power of two between 1 and 65536")]
	BadAlignment(u64),
	#[error("tensor `{0}` stands twice in the file")]
	DuplicateTensor(String),
	#[error("tensor `{name}` has the number format {kind}, which is not supported")]
	UnsupportedTensorType { name: String, kind: u32 },
	#[error("tensor `{0}` has dimensions that overflow or do not fill whole blocks")]
	BadDimensions(String),
	#[error("tensor `{name}` begins at {offset}, which is not aligned to {alignment} bytes")]
	Misaligned { name: String, offset: u64, alignment: u64 },
	#[error("tensor `{name}` ends at {end}, beyond the {available} bytes of data in the file")]
	TensorBeyondFile { name: String, end: u64, available: u64 },
}

/// A metadata value; integers of all widths are widened.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
	Unsigned(u64),
	Signed(i64),
	Float(f64),
	Bool(bool),
	Text(String),
	Array(Array),
}

/// A metadata array.
#[derive(Clone, Debug, PartialEq)]
pub enum Array {
	Unsigned(Vec<u64>),
	Signed(Vec<i64>),
	Float(Vec<f64>),
	Bool(Vec<bool>),
	Text(Vec<String>),
}

/// Where a tensor lies and how it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorInfo {
	/// Dimensions, row-major: the last one is contiguous (GGUF stores them the other way round).
	pub shape: Vec<usize>,
	pub format: NumberFormat,
	/// From the beginning of the data section, bytes.
	offset: u64,
	/// Bytes in the file.
	length: u64,
}

/// An opened GGUF file: metadata and tensor descriptions in memory, data read on demand.
#[derive(Debug)]
pub struct Gguf<R> {
	reader: R,
	metadata: BTreeMap<String, Value>,
	tensors: BTreeMap<String, TensorInfo>,
	data_start: u64,
}

impl Gguf<BufReader<File>> {
	/// Opens a file and reads everything but the tensors' data.
	pub fn open(path: &Path) -> Result<Self, GgufError> {
		Self::parse(BufReader::new(File::open(path)?))
	}
}

impl<R: Read + Seek> Gguf<R> {
	/// Reads everything but the tensors' data.
	pub fn parse(mut reader: R) -> Result<Self, GgufError> {
		let length = reader.seek(SeekFrom::End(0))?;
		reader.seek(SeekFrom::Start(0))?;
		let mut input = Input { reader: &mut reader, left: length };
		let magic = input.array("the magic")?;
		if magic != MAGIC {
			return Err(GgufError::BadMagic(magic));
		}
		let version = input.u32("the version")?;
		if !matches!(version, 2 | 3) {
			return Err(GgufError::UnsupportedVersion(version));
		}
		let tensor_count = bounded("tensors", input.u64("the tensor count")?, MAX_TENSORS)?;
		let metadata_count =
			bounded("metadata keys", input.u64("the metadata count")?, MAX_METADATA)?;

		let mut metadata = BTreeMap::new();
		for _ in 0..metadata_count {
			let key = input.string("a metadata key")?;
			let kind = input.u32("a metadata type")?;
			let value = input.value(&key, kind)?;
			if metadata.insert(key.clone(), value).is_some() {
				return Err(GgufError::DuplicateKey(key));
			}
		}
		let alignment = match metadata.get("general.alignment") {
			None => DEFAULT_ALIGNMENT,
			Some(Value::Unsigned(n)) if n.is_power_of_two() && *n <= 65_536 => *n,
			Some(Value::Unsigned(n)) => return Err(GgufError::BadAlignment(*n)),
			Some(_) => return Err(GgufError::MissingKey("general.alignment".into())),
		};

		let mut tensors = BTreeMap::new();
		for _ in 0..tensor_count {
			let name = input.string("a tensor's name")?;
			let info = input.tensor(&name, alignment)?;
			if tensors.insert(name.clone(), info).is_some() {
				return Err(GgufError::DuplicateTensor(name));
			}
		}

		let end_of_header = length - input.left;
		let data_start = end_of_header.next_multiple_of(alignment);
		let available = length.saturating_sub(data_start);
		for (name, info) in &tensors {
			let end = info.offset.saturating_add(info.length);
			if end > available {
				return Err(GgufError::TensorBeyondFile { name: name.clone(), end, available });
			}
		}
		Ok(Self { reader, metadata, tensors, data_start })
	}

	/// Names and descriptions of all tensors.
	pub fn tensors(&self) -> &BTreeMap<String, TensorInfo> {
		&self.tensors
	}

	/// Reads a tensor's numbers; `None` when the file has no such tensor.
	pub fn read_tensor(&mut self, name: &str) -> Result<Option<Numbers>, GgufError> {
		let Some(info) = self.tensors.get(name) else { return Ok(None) };
		self.reader.seek(SeekFrom::Start(self.data_start + info.offset))?;
		// The length was compared with the file's when it was opened; `take` holds even if the
		// file has shrunk since.
		let mut bytes = Vec::with_capacity(info.length as usize);
		self.reader.by_ref().take(info.length).read_to_end(&mut bytes)?;
		if bytes.len() as u64 != info.length {
			return Err(GgufError::Truncated {
				what: "a tensor's data",
				needed: info.length,
				left: bytes.len() as u64,
			});
		}
		Ok(Some(info.format.decode(&bytes)))
	}

	/// The metadata value under `key`, if any.
	pub fn get(&self, key: &str) -> Option<&Value> {
		self.metadata.get(key)
	}

	/// An unsigned integer; signed ones that are not negative count too.
	pub fn unsigned(&self, key: &str) -> Result<u64, GgufError> {
		match self.get(key) {
			Some(Value::Unsigned(n)) => Ok(*n),
			Some(Value::Signed(n)) => {
				u64::try_from(*n).map_err(|_| GgufError::MissingKey(key.into()))
			},
			_ => Err(GgufError::MissingKey(key.into())),
		}
	}

	/// A floating-point number.
	pub fn float(&self, key: &str) -> Result<f64, GgufError> {
		match self.get(key) {
			Some(Value::Float(x)) => Ok(*x),
			_ => Err(GgufError::MissingKey(key.into())),
		}
	}

	/// A string.
	pub fn text(&self, key: &str) -> Result<&str, GgufError> {
		match self.get(key) {
			Some(Value::Text(text)) => Ok(text),
			_ => Err(GgufError::MissingKey(key.into())),
		}
	}

	/// An array of strings.
	pub fn texts(&self, key: &str) -> Result<&[String], GgufError> {
		match self.get(key) {
			Some(Value::Array(Array::Text(texts))) => Ok(texts),
			_ => Err(GgufError::MissingKey(key.into())),
		}
	}
}

fn bounded(what: &'static str, count: u64, max: u64) -> Result<u64, GgufError> {
	if count > max {
		return Err(GgufError::TooMany { what, count, max });
	}
	Ok(count)
}

/// What is left of the file while its header is read.
struct Input<'a, R> {
	reader: &'a mut R,
	left: u64,
}

impl<R: Read> Input<'_, R> {
	/// Takes `needed` bytes off what is left, before anything of that size is allocated.
	fn claim(&mut self, what: &'static str, needed: u64) -> Result<(), GgufError> {
		self.left = self.left.checked_sub(needed).ok_or(GgufError::Truncated {
			what,
			needed,
			left: self.left,
		})?;
		Ok(())
	}

	fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], GgufError> {
		self.claim(what, N as u64)?;
		let mut bytes = [0; N];
		self.reader.read_exact(&mut bytes)?;
		Ok(bytes)
	}

	fn u32(&mut self, what: &'static str) -> Result<u32, GgufError> {
		self.array(what).map(u32::from_le_bytes)
	}

	fn u64(&mut self, what: &'static str) -> Result<u64, GgufError> {
		self.array(what).map(u64::from_le_bytes)
	}

	fn string(&mut self, what: &'static str) -> Result<String, GgufError> {
		let length = self.u64(what)?;
		self.claim(what, length)?;
		let length = bounded("bytes of a string", length, MAX_STRING)?;
		let mut bytes = vec![0; length as usize];
		self.reader.read_exact(&mut bytes)?;
		String::from_utf8(bytes).map_err(|_| GgufError::NotUtf8(what))
	}

	fn value(&mut self, key: &str, kind: u32) -> Result<Value, GgufError> {
		const WHAT: &str = "a metadata value";
		Ok(match kind {
			0 => Value::Unsigned(self.array::<1>(WHAT).map(u8::from_le_bytes)?.into()),
			1 => Value::Signed(self.array::<1>(WHAT).map(i8::from_le_bytes)?.into()),
			2 => Value::Unsigned(self.array(WHAT).map(u16::from_le_bytes)?.into()),
			3 => Value::Signed(self.array(WHAT).map(i16::from_le_bytes)?.into()),
			4 => Value::Unsigned(self.u32(WHAT)?.into()),
			5 => Value::Signed(self.array(WHAT).map(i32::from_le_bytes)?.into()),
			6 => Value::Float(self.array(WHAT).map(f32::from_le_bytes)?.into()),
			7 => Value::Bool(self.array::<1>(WHAT)? != [0]),
			8 => Value::Text(self.string(WHAT)?),
			9 => Value::Array(self.array_value(key)?),
			10 => Value::Unsigned(self.u64(WHAT)?),
			11 => Value::Signed(self.array(WHAT).map(i64::from_le_bytes)?),
			12 => Value::Float(self.array(WHAT).map(f64::from_le_bytes)?),
			_ => return Err(GgufError::UnknownValueType { key: key.into(), kind }),
		})
	}

	fn array_value(&mut self, key: &str) -> Result<Array, GgufError> {
		let kind = self.u32("an array's type")?;
		let count = bounded("elements of an array", self.u64("an array's length")?, MAX_ARRAY)?;
		let width = match kind {
			0 | 1 | 7 => 1,
			2 | 3 => 2,
			4..=6 => 4,
			// A string is at least its length.
			8 | 10..=12 => 8,
			9 => return Err(GgufError::NestedArray(key.into())),
			_ => return Err(GgufError::UnknownValueType { key: key.into(), kind }),
		};
		let needed = count * width;
		if needed > self.left {
			return Err(GgufError::Truncated { what: "an array", needed, left: self.left });
		}
		macro_rules! elements {
			($variant:ident) => {
				Array::$variant(self.elements(key, kind, count, |value| match value {
					Value::$variant(value) => Some(value),
					_ => None,
				})?)
			};
		}
		Ok(match kind {
			0 | 2 | 4 | 10 => elements!(Unsigned),
			1 | 3 | 5 | 11 => elements!(Signed),
			6 | 12 => elements!(Float),
			7 => elements!(Bool),
			_ => elements!(Text),
		})
	}

	fn elements<T>(
		&mut self,
		key: &str,
		kind: u32,
		count: u64,
		take: fn(Value) -> Option<T>,
	) -> Result<Vec<T>, GgufError> {
		let element =
			|_| take(self.value(key, kind)?).ok_or_else(|| GgufError::MissingKey(key.into()));
		(0..count).map(element).collect()
	}

	fn tensor(&mut self, name: &str, alignment: u64) -> Result<TensorInfo, GgufError> {
		const WHAT: &str = "a tensor's description";
		let dimensions = self.u32(WHAT)?;
		bounded("dimensions of a tensor", dimensions.into(), MAX_DIMENSIONS.into())?;
		let bad = || GgufError::BadDimensions(name.into());
		let mut shape = Vec::with_capacity(dimensions as usize);
		for _ in 0..dimensions {
			shape.push(usize::try_from(self.u64(WHAT)?).map_err(|_| bad())?);
		}
		let kind = self.u32(WHAT)?;
		let format = NumberFormat::from_ggml(kind)
			.ok_or(GgufError::UnsupportedTensorType { name: name.into(), kind })?;
		let offset = self.u64(WHAT)?;
		if !offset.is_multiple_of(alignment) {
			return Err(GgufError::Misaligned { name: name.into(), offset, alignment });
		}
		// Blocks lie along the contiguous dimension, GGUF's first.
		let per_block = format.block().0;
		if shape.first().is_some_and(|row| row % per_block != 0) || shape.contains(&0) {
			return Err(bad());
		}
		let values = shape
			.iter()
			.try_fold(1u64, |product, n| product.checked_mul(*n as u64))
			.ok_or_else(bad)?;
		let length = format.byte_length(values).ok_or_else(bad)?;
		shape.reverse();
		Ok(TensorInfo { shape, format, offset, length })
	}
}
