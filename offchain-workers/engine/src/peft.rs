//! LoRA adapters in PEFT's format: as a directory, and as one file.
//!
//! A directory holds `adapter_config.json` and `adapter_model.safetensors`. The single file is
//! that safetensors file with the configuration as JSON under the metadata key `adapter_config`,
//! beside free keys; whoever reads only tensors reads it like any other. Both are written the
//! same way every time, so that their bytes can be hashed.

use std::{
	collections::{BTreeMap, HashMap},
	fs,
	io::{self, Read},
	path::{Path, PathBuf},
};

use burn::tensor::{Device, Tensor, TensorData};

use crate::{
	config::LlamaConfig,
	error::LoadError,
	huggingface::read_bounded,
	kernel::{
		product::{transpose::transpose, Rows, Window},
		Instructions,
	},
	lora::{Adapter, LoraError, LoraLinear, LoraWeights, TargetModule},
	peft_config::{shorten, LoraConfig},
	tensor_file::{self, NamedTensor, TensorFile, TensorFileError},
};

const CONFIG_FILE: &str = "adapter_config.json";
const WEIGHTS_FILE: &str = "adapter_model.safetensors";
/// Bytes of a configuration; one pattern per module of a large model stays below.
const MAX_CONFIG: u64 = 1 << 20;
/// Metadata key of the configuration in the single file.
pub const CONFIG_KEY: &str = "adapter_config";
/// What transformers and PEFT ask a safetensors file to say of itself.
const FORMAT_KEY: &str = "format";
const FORMAT: &str = "pt";
/// Bytes of an adapter: rank 64 on all layers of an 8-billion-parameter model takes 0.7 GB in F32.
pub const MAX_ADAPTER: u64 = 2 << 30;

/// Why an adapter cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum PeftError {
	#[error("{0}")]
	Read(#[source] Box<LoadError>),
	#[error("cannot write {}: {source}", path.display())]
	Write { path: PathBuf, source: io::Error },
	#[error(transparent)]
	File(#[from] TensorFileError),
	#[error("the adapter has {bytes} bytes, more than the {MAX_ADAPTER} allowed")]
	TooLarge { bytes: u64 },
	#[error("the adapter's configuration is not valid: {0}")]
	Config(serde_json::Error),
	#[error("the file's metadata has no `{CONFIG_KEY}`: it is not a single-file adapter")]
	NoConfig,
	#[error("the adapter's type is `{0}`, but only LORA is supported")]
	NotLora(String),
	#[error("the adapter's setting `{setting}` is {value}, which is not supported")]
	UnsupportedSetting { setting: String, value: String },
	#[error("the adapter changes no module")]
	NoTargets,
	#[error("the adapter changes `{0}`, which is no linear layer of a Llama decoder")]
	UnknownTarget(String),
	#[error("the adapter has {count} patterns, more than the {max} allowed")]
	TooManyPatterns { count: usize, max: usize },
	#[error("the pattern `{0}` is not the end of a module's path")]
	UnsupportedPattern(String),
	#[error("the rank {0} is not supported: it must be at least 1 and at most 1024")]
	RankOutOfBounds(u64),
	#[error("the alpha {0} is not a finite number")]
	AlphaNotFinite(f64),
	#[error("the adapter lacks the tensor `{0}`")]
	MissingTensor(String),
	#[error("the adapter has the tensor `{0}`, which its configuration does not ask for")]
	UnexpectedTensor(String),
	#[error("tensor `{name}` has the shape {found:?}, but {expected:?} is needed")]
	WrongShape { name: String, expected: [usize; 2], found: Vec<usize> },
	#[error("the metadata key `{0}` is taken by the format")]
	ReservedKey(String),
	#[error(transparent)]
	Lora(#[from] LoraError),
	#[error("reading a tensor from the device failed: {0}")]
	Device(String),
}

impl Adapter {
	/// Reads a PEFT directory for a model of these dimensions.
	pub fn read_directory(
		directory: impl AsRef<Path>,
		model: &LlamaConfig,
	) -> Result<Self, PeftError> {
		let directory = directory.as_ref();
		let read = |error| PeftError::Read(Box::new(error));
		let config = read_bounded(&directory.join(CONFIG_FILE), MAX_CONFIG).map_err(read)?;
		let config = LoraConfig::from_json(&config)?;
		let path = directory.join(WEIGHTS_FILE);
		let size = fs::metadata(&path)
			.map_err(|source| read(LoadError::Read { path: path.clone(), source }))?
			.len();
		check_size(size)?;
		AdapterFile::new(config, TensorFile::open(&path)?, model)?.weights(model)
	}

	/// Reads a single-file adapter for a model of these dimensions. Returns its free metadata keys beside it.
	pub fn from_bytes(
		bytes: &[u8],
		model: &LlamaConfig,
	) -> Result<(Self, BTreeMap<String, String>), PeftError> {
		let (file, metadata) = AdapterFile::from_reader(bytes, bytes.len() as u64, model)?;
		Ok((file.weights(model)?, metadata))
	}

	/// Writes a PEFT directory, which Python's `peft` loads. The directory is created if needed.
	pub fn write_directory(&self, directory: impl AsRef<Path>) -> Result<(), PeftError> {
		let directory = directory.as_ref();
		let write = |path: &Path, bytes: &[u8]| {
			fs::write(path, bytes).map_err(|source| PeftError::Write { path: path.into(), source })
		};
		fs::create_dir_all(directory)
			.map_err(|source| PeftError::Write { path: directory.into(), source })?;
		let metadata = BTreeMap::from([(FORMAT_KEY.into(), FORMAT.into())]);
		let weights = tensor_file::serialize(self.matrices()?, &metadata)?;
		write(&directory.join(WEIGHTS_FILE), &weights)?;
		write(&directory.join(CONFIG_FILE), self.config().to_json()?.as_bytes())
	}

	/// The single-file form. `free` goes into the metadata, beside the configuration.
	pub fn to_bytes(&self, free: &BTreeMap<String, String>) -> Result<Vec<u8>, PeftError> {
		let mut metadata = free.clone();
		let own = [(CONFIG_KEY, self.config().to_json()?), (FORMAT_KEY, FORMAT.into())];
		for (key, value) in own {
			if metadata.insert(key.into(), value).is_some() {
				return Err(PeftError::ReservedKey(key.into()));
			}
		}
		Ok(tensor_file::serialize(self.matrices()?, &metadata)?)
	}

	/// All matrices in PEFT's names and orientation.
	fn matrices(&self) -> Result<Vec<NamedTensor>, PeftError> {
		let mut matrices = Vec::new();
		for (layer, target, linear) in self.weights().iter() {
			for (half, matrix) in [(Half::A, &linear.a), (Half::B, &linear.b)] {
				let matrix = matrix.clone().without_autodiff().transpose();
				let shape = matrix.dims().to_vec();
				let values = matrix
					.try_into_vec_as::<f32>()
					.map_err(|error| PeftError::Device(error.to_string()))?;
				matrices.push(NamedTensor {
					name: MatrixPlace { layer, target, half }.tensor_name(),
					shape,
					values,
				});
			}
		}
		Ok(matrices)
	}
}

fn check_size(bytes: u64) -> Result<(), PeftError> {
	if bytes > MAX_ADAPTER {
		return Err(PeftError::TooLarge { bytes });
	}
	Ok(())
}

/// One of the two matrices of a linear layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct MatrixPlace {
	pub(crate) layer: usize,
	pub(crate) target: TargetModule,
	pub(crate) half: Half,
}

/// As PEFT keeps them, row-major.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Half {
	/// `[rank, in]`.
	A,
	/// `[out, rank]`.
	B,
}

impl MatrixPlace {
	/// PEFT's name of the matrix.
	fn tensor_name(&self) -> String {
		let half = match self.half {
			Half::A => 'A',
			Half::B => 'B',
		};
		format!("base_model.model.{}.lora_{half}.weight", self.target.path(self.layer))
	}
}

/// An adapter's file with exactly the matrices that its configuration asks for, in the shapes that fit a
/// model.
pub(crate) struct AdapterFile<R> {
	pub(crate) config: LoraConfig,
	file: TensorFile<R>,
	/// What its tensors are.
	places: HashMap<String, MatrixPlace>,
}

impl<R: Read> AdapterFile<R> {
	/// Opens the single-file form, `length` bytes, and gives its free metadata keys too.
	pub(crate) fn from_reader(
		reader: R,
		length: u64,
		model: &LlamaConfig,
	) -> Result<(Self, BTreeMap<String, String>), PeftError> {
		check_size(length)?;
		let file = TensorFile::from_reader(reader, length)?;
		let mut metadata = file.free_metadata();
		metadata.remove(FORMAT_KEY);
		let config = metadata.remove(CONFIG_KEY).ok_or(PeftError::NoConfig)?;
		let config = LoraConfig::from_json(config.as_bytes())?;
		Ok((Self::new(config, file, model)?, metadata))
	}

	fn new(
		config: LoraConfig,
		file: TensorFile<R>,
		model: &LlamaConfig,
	) -> Result<Self, PeftError> {
		let mut places = HashMap::new();
		for layer in 0..model.num_hidden_layers {
			for &target in &config.target_modules {
				let (input, output) = target.widths(model);
				let rank = config.rank(layer, target);
				for (half, expected) in [(Half::A, [rank, input]), (Half::B, [output, rank])] {
					let place = MatrixPlace { layer, target, half };
					let name = place.tensor_name();
					match file.shape(&name) {
						Some(found) if found == expected => places.insert(name, place),
						Some(found) => {
							let found = found.into();
							return Err(PeftError::WrongShape { name, expected, found });
						},
						None => return Err(PeftError::MissingTensor(name)),
					};
				}
			}
		}
		match file.names().iter().find(|name| !places.contains_key(*name)) {
			Some(name) => Err(PeftError::UnexpectedTensor(shorten(name))),
			None => Ok(Self { config, file, places }),
		}
	}

	/// Reads all matrices, in the order of the file.
	pub(crate) fn read_all(
		self,
		mut take: impl FnMut(MatrixPlace, &mut [f32]),
	) -> Result<(), PeftError> {
		let places = self.places;
		self.file.read_all(|name, values| {
			if let Some(place) = places.get(name) {
				take(*place, values);
			}
		})?;
		Ok(())
	}

	/// Reads all of it onto the CPU's device.
	fn weights(self, model: &LlamaConfig) -> Result<Adapter, PeftError> {
		let (device, config) = (Device::flex(), self.config.clone());
		let mut matrices = HashMap::new();
		self.read_all(|place, values| {
			let (input, output) = place.target.widths(model);
			let rank = config.rank(place.layer, place.target);
			let (rows, columns) = match place.half {
				Half::A => (rank, input),
				Half::B => (output, rank),
			};
			// PEFT keeps `[out, in]`; a transposed view would be slow to multiply by.
			let mut turned = vec![0.0; values.len()];
			let (values, window) = (Rows::new(values, columns), Window::new(&mut turned, rows));
			transpose(Instructions::detect(), values, rows, columns, window);
			let turned = TensorData::new(turned, [columns, rows]);
			matrices.insert(place, Tensor::from_data(turned, &device));
		})?;
		let mut weights = LoraWeights::new(model.num_hidden_layers);
		for layer in 0..model.num_hidden_layers {
			for &target in &config.target_modules {
				let mut matrix = |half| {
					let place = MatrixPlace { layer, target, half };
					let missing = || PeftError::MissingTensor(place.tensor_name());
					matrices.remove(&place).ok_or_else(missing)
				};
				let (a, b) = (matrix(Half::A)?, matrix(Half::B)?);
				let scale = config.scale(layer, target);
				weights.insert(layer, target, LoraLinear { a, b, scale })?;
			}
		}
		Ok(Adapter::new(config, weights, model)?)
	}
}
