//! Checkpoints: what a killed run continues from, to end with the same adapter.
//!
//! A file holds a safetensors blob (per trained matrix: value, first and second moment) whose
//! `__metadata__` has the [header](Header) as JSON, and then the Blake2b-256 of that blob. It is
//! written beside its place, synced and renamed into it, so that a file of the right name is a
//! whole one unless the disk lied; the digest catches that. Two are kept: if the newest is
//! damaged, the one before is used.

use std::{
	collections::HashMap,
	fs::{self, File},
	io::{self, Read, Write},
	path::{Path, PathBuf},
	time::Duration,
};

use safetensors::{tensor::TensorView, Dtype, SafeTensors};
use serde::{Deserialize, Serialize};

use crate::{optimiser::ParameterState, random::Blake2b256};

/// Checkpoints kept: the newest and one to fall back to.
const KEPT: usize = 2;
const PREFIX: &str = "step-";
const SUFFIX: &str = ".checkpoint";
const TEMPORARY: &str = "unfinished.tmp";
const HEADER_KEY: &str = "checkpoint";
const DIGEST_BYTES: usize = 32;
const FORMAT: u32 = 1;
/// A longer file is not one of ours: it would hold 350 million trained parameters.
const MAX_CHECKPOINT_BYTES: u64 = 4 << 30;

/// Where checkpoints go and how often. With neither interval only a cancelled run leaves one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckpointPolicy {
	/// A directory of this run alone; made if it is missing.
	pub directory: PathBuf,
	/// After every so many steps.
	pub every_steps: Option<u32>,
	/// When so much time has passed since the last one.
	pub every: Option<Duration>,
}

/// What a checkpoint belongs to. Hashes in hex.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunIdentity {
	/// [`TrainingSpec::hash`](crate::spec::TrainingSpec::hash).
	pub spec: String,
	/// The base model, as the caller names it.
	pub base_model: String,
	/// [`Dataset::hash`](crate::dataset::Dataset::hash).
	pub data: String,
}

/// A checkpoint without its matrices. Floats are kept as bits: JSON numbers need not come back
/// exactly.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
	format: u32,
	/// The run it belongs to.
	pub run: RunIdentity,
	/// Steps taken.
	pub step: u32,
	/// Completion tokens trained on, every time they were.
	pub tokens: u64,
	/// Time spent on steps, without what other runs did in between.
	pub microseconds: u64,
	/// Held-out loss before the first step, as [`f64::to_bits`].
	pub heldout_before: Option<u64>,
	/// Loss of the first step, as [`f64::to_bits`].
	pub first_loss: Option<u64>,
	/// Loss of the last step, as [`f64::to_bits`].
	pub last_loss: Option<u64>,
}

impl Header {
	/// The header of a run that has not taken a step.
	pub fn start(run: RunIdentity) -> Self {
		Self {
			format: FORMAT,
			run,
			step: 0,
			tokens: 0,
			microseconds: 0,
			heldout_before: None,
			first_loss: None,
			last_loss: None,
		}
	}
}

/// A run at a certain step.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
	/// Everything but the tensors.
	pub header: Header,
	/// The trained matrices, in the order of the adapter.
	pub parameters: Vec<ParameterState>,
}

/// Why a checkpoint could not be written or must not be used.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
	/// The file system said no.
	#[error("cannot {action} {path}: {source}")]
	Io {
		/// What was tried.
		action: &'static str,
		/// On what.
		path: PathBuf,
		/// What the system said.
		source: io::Error,
	},
	/// The tensors could not be put into a safetensors blob.
	#[error("cannot write the checkpoint: {0}")]
	Format(#[from] safetensors::SafeTensorError),
	/// The header could not be written as JSON.
	#[error("cannot write the checkpoint's header: {0}")]
	Json(#[from] serde_json::Error),
	/// A valid checkpoint of another specification.
	#[error(
		"{path} is of another training specification ({found}, this one is {expected}): \
		 use another directory"
	)]
	OtherSpec {
		/// The file.
		path: PathBuf,
		/// The hash it has.
		found: String,
		/// The hash of this run.
		expected: String,
	},
	/// A valid checkpoint of another base model.
	#[error(
		"{path} is of another base model ({found}, this one is {expected}): use another directory"
	)]
	OtherModel {
		/// The file.
		path: PathBuf,
		/// The model it names.
		found: String,
		/// The model of this run.
		expected: String,
	},
	/// A valid checkpoint of other data.
	#[error("{path} is of other data ({found}, this is {expected}): use another directory")]
	OtherData {
		/// The file.
		path: PathBuf,
		/// The hash it has.
		found: String,
		/// The hash of this run.
		expected: String,
	},
	/// A valid checkpoint of this run whose matrices are not those of the adapter.
	#[error("{path} does not hold the adapter's matrices: {why}")]
	OtherParameters {
		/// The file.
		path: PathBuf,
		/// The first difference.
		why: String,
	},
}

/// A directory of checkpoints.
#[derive(Debug)]
pub struct CheckpointStore {
	directory: PathBuf,
}

impl CheckpointStore {
	/// Opens `directory`, makes it if it is missing, and removes what a killed run left unfinished.
	pub fn open(directory: &Path) -> Result<Self, CheckpointError> {
		fs::create_dir_all(directory).map_err(failed("create", directory))?;
		let temporary = directory.join(TEMPORARY);
		match fs::remove_file(&temporary) {
			Err(error) if error.kind() != io::ErrorKind::NotFound => {
				Err(failed("remove", &temporary)(error))
			},
			_ => Ok(Self { directory: directory.to_owned() }),
		}
	}

	/// Writes a checkpoint so that it is there whole or not at all, and removes older ones.
	pub fn save(&self, checkpoint: &Checkpoint) -> Result<PathBuf, CheckpointError> {
		let bytes = encode(checkpoint)?;
		let temporary = self.directory.join(TEMPORARY);
		let path = self.directory.join(file_name(checkpoint.header.step));
		let mut file = File::create(&temporary).map_err(failed("create", &temporary))?;
		file.write_all(&bytes).map_err(failed("write", &temporary))?;
		file.sync_all().map_err(failed("sync", &temporary))?;
		drop(file);
		fs::rename(&temporary, &path).map_err(failed("rename into place", &path))?;
		let directory = File::open(&self.directory).map_err(failed("open", &self.directory))?;
		directory.sync_all().map_err(failed("sync", &self.directory))?;
		for (_, old) in self.list()?.into_iter().skip(KEPT) {
			fs::remove_file(&old).map_err(failed("remove", &old))?;
		}
		Ok(path)
	}

	/// The newest checkpoint that is whole, with the damaged ones before it; none in an empty
	/// directory. A whole checkpoint of another run is an error: it means that the directory is
	/// not this run's.
	///
	/// `shapes` has the name and shape of every matrix that the run trains.
	pub fn newest(
		&self,
		run: &RunIdentity,
		shapes: &[(String, [usize; 2])],
	) -> Result<(Option<Checkpoint>, Vec<DamagedCheckpoint>), CheckpointError> {
		let mut damaged = Vec::new();
		for (_, path) in self.list()? {
			let read = read_whole(&path).and_then(|blob| Ok((read_header(&blob)?, blob)));
			let (header, blob) = match read {
				Ok(read) => read,
				Err(why) => {
					damaged.push(DamagedCheckpoint { path, why });
					continue;
				},
			};
			check_run(&path, &header.run, run)?;
			let parameters = read_parameters(&blob, shapes)
				.map_err(|why| CheckpointError::OtherParameters { path, why })?;
			return Ok((Some(Checkpoint { header, parameters }), damaged));
		}
		Ok((None, damaged))
	}

	/// Checkpoint files with their steps, newest first.
	fn list(&self) -> Result<Vec<(u32, PathBuf)>, CheckpointError> {
		let mut found = Vec::new();
		for entry in fs::read_dir(&self.directory).map_err(failed("list", &self.directory))? {
			let path = entry.map_err(failed("list", &self.directory))?.path();
			let step = path
				.file_name()
				.and_then(|name| name.to_str()?.strip_prefix(PREFIX)?.strip_suffix(SUFFIX))
				.and_then(|step| step.parse().ok());
			if let Some(step) = step {
				found.push((step, path));
			}
		}
		found.sort_unstable_by(|a, b| b.cmp(a));
		Ok(found)
	}
}

/// A checkpoint that was passed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DamagedCheckpoint {
	/// The file.
	pub path: PathBuf,
	/// What is wrong with it.
	pub why: String,
}

fn failed<'a>(
	action: &'static str,
	path: &'a Path,
) -> impl FnOnce(io::Error) -> CheckpointError + 'a {
	move |source| CheckpointError::Io { action, path: path.to_owned(), source }
}

/// Padded so that names sort by step.
fn file_name(step: u32) -> String {
	format!("{PREFIX}{step:010}{SUFFIX}")
}

fn encode(checkpoint: &Checkpoint) -> Result<Vec<u8>, CheckpointError> {
	let bytes = |values: &[f32]| values.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>();
	let mut tensors = Vec::with_capacity(checkpoint.parameters.len() * 3);
	for parameter in &checkpoint.parameters {
		for (part, values) in
			PARTS.iter().zip([&parameter.value, &parameter.first_moment, &parameter.second_moment])
		{
			tensors.push((tensor_name(&parameter.name, part), parameter.shape, bytes(values)));
		}
	}
	let views = tensors
		.iter()
		.map(|(name, shape, bytes)| {
			Ok((name.as_str(), TensorView::new(Dtype::F32, shape.to_vec(), bytes)?))
		})
		.collect::<Result<Vec<_>, safetensors::SafeTensorError>>()?;
	let header = serde_json::to_string(&checkpoint.header)?;
	let metadata = HashMap::from([(HEADER_KEY.to_owned(), header)]);
	let mut blob = safetensors::serialize(views, Some(metadata))?;
	let digest = Blake2b256::hash(&blob);
	blob.extend_from_slice(&digest);
	Ok(blob)
}

const PARTS: [&str; 3] = ["value", "first_moment", "second_moment"];

fn tensor_name(parameter: &str, part: &str) -> String {
	format!("{parameter}.{part}")
}

/// The blob of a whole file; the error says what is damaged.
fn read_whole(path: &Path) -> Result<Vec<u8>, String> {
	let mut bytes = Vec::new();
	File::open(path)
		.and_then(|file| file.take(MAX_CHECKPOINT_BYTES + 1).read_to_end(&mut bytes))
		.map_err(|error| format!("cannot read it: {error}"))?;
	if bytes.len() as u64 > MAX_CHECKPOINT_BYTES {
		return Err(format!("it is longer than {MAX_CHECKPOINT_BYTES} bytes"));
	}
	let end = bytes.len().checked_sub(DIGEST_BYTES).ok_or("it is too short")?;
	let digest = bytes.split_off(end);
	if Blake2b256::hash(&bytes).as_slice() != digest {
		return Err("its digest does not match: it was cut short or changed".into());
	}
	Ok(bytes)
}

fn read_header(blob: &[u8]) -> Result<Header, String> {
	let (_, metadata) =
		SafeTensors::read_metadata(blob).map_err(|error| format!("its header: {error}"))?;
	let header = metadata
		.metadata()
		.as_ref()
		.and_then(|metadata| metadata.get(HEADER_KEY))
		.ok_or("it has no header")?;
	let header: Header =
		serde_json::from_str(header).map_err(|error| format!("its header: {error}"))?;
	match header.format {
		FORMAT => Ok(header),
		other => Err(format!("its format is {other}, not {FORMAT}")),
	}
}

/// The matrices named in `shapes`, in that order.
fn read_parameters(
	blob: &[u8],
	shapes: &[(String, [usize; 2])],
) -> Result<Vec<ParameterState>, String> {
	let tensors = SafeTensors::deserialize(blob).map_err(|error| error.to_string())?;
	if tensors.len() != shapes.len() * PARTS.len() {
		return Err(format!("it has {} tensors", tensors.len()));
	}
	let read = |name: &str, shape: [usize; 2], part: &str| {
		let name = tensor_name(name, part);
		let tensor = tensors.tensor(&name).map_err(|error| error.to_string())?;
		if tensor.dtype() != Dtype::F32 || tensor.shape() != shape {
			return Err(format!("`{name}` is {:?} {:?}", tensor.dtype(), tensor.shape()));
		}
		let (words, _) = tensor.data().as_chunks::<4>();
		Ok(words.iter().copied().map(f32::from_le_bytes).collect())
	};
	shapes
		.iter()
		.map(|(name, shape)| {
			let [value, first_moment, second_moment] = PARTS.map(|part| read(name, *shape, part));
			Ok(ParameterState {
				name: name.clone(),
				shape: *shape,
				value: value?,
				first_moment: first_moment?,
				second_moment: second_moment?,
			})
		})
		.collect()
}

fn check_run(
	path: &Path,
	found: &RunIdentity,
	expected: &RunIdentity,
) -> Result<(), CheckpointError> {
	let path = || path.to_owned();
	let pair = |found: &String, expected: &String| (found.clone(), expected.clone());
	if found.base_model != expected.base_model {
		let (found, expected) = pair(&found.base_model, &expected.base_model);
		return Err(CheckpointError::OtherModel { path: path(), found, expected });
	}
	if found.spec != expected.spec {
		let (found, expected) = pair(&found.spec, &expected.spec);
		return Err(CheckpointError::OtherSpec { path: path(), found, expected });
	}
	if found.data != expected.data {
		let (found, expected) = pair(&found.data, &expected.data);
		return Err(CheckpointError::OtherData { path: path(), found, expected });
	}
	Ok(())
}

#[cfg(test)]
mod tests;
