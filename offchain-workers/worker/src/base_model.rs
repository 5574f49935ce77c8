//! Base models as the chain knows them: by the hash of their weights and that of their tokenizer.
//!
//! | | GGUF file | Hugging Face directory |
//! |---|---|---|
//! | weights | the file's bytes | the manifest of `config.json`, `*.safetensors` and `model.safetensors.index.json` |
//! | tokenizer | [`gguf_tokenizer`] | the manifest of `tokenizer.json`, `tokenizer_config.json` and `chat_template.jinja` |
//!
//! Both hashes are [`content hashes`](openledger_primitives::content::content_hash). A *manifest* has a
//! line for each file that is there, sorted by name: the content hash of its bytes in 64 hexadecimal
//! digits, two spaces, its name, a line feed. `docs/spec/worker-api.md` says the same to others.

use openledger_engine::{
	gguf::{Array, Gguf, Value},
	model::LoadOptions,
	serving::{Precision, ServingModel, ServingOptions},
	GgufError, LlamaConfig, LoadError, Model,
};
use openledger_primitives::{
	content::{content_hash, content_hasher},
	worker_api::BaseModelHashes,
	H256,
};
use std::{
	fs::{self, File},
	io::{self, Read},
	path::{Path, PathBuf},
	time::SystemTime,
};

/// Bytes that are read and hashed at a time.
const PIECE_BYTES: usize = 1 << 20;
/// Files of a directory that are looked at; the largest models have some hundreds of shards.
const MAX_FILES: usize = 4_096;
/// The files that decide what text is which tokens, and how a conversation becomes text.
const TOKENIZER_FILES: [&str; 3] =
	["chat_template.jinja", "tokenizer.json", "tokenizer_config.json"];
/// The files that decide the forward pass, besides `*.safetensors`.
const MODEL_FILES: [&str; 2] = ["config.json", "model.safetensors.index.json"];
/// What decides the tokenizer in a GGUF file, sorted.
const GGUF_TOKENIZER_KEYS: [&str; 14] = [
	"tokenizer.chat_template",
	"tokenizer.ggml.add_bos_token",
	"tokenizer.ggml.add_eos_token",
	"tokenizer.ggml.add_space_prefix",
	"tokenizer.ggml.bos_token_id",
	"tokenizer.ggml.eos_token_id",
	"tokenizer.ggml.eot_token_id",
	"tokenizer.ggml.merges",
	"tokenizer.ggml.model",
	"tokenizer.ggml.padding_token_id",
	"tokenizer.ggml.pre",
	"tokenizer.ggml.token_type",
	"tokenizer.ggml.tokens",
	"tokenizer.ggml.unknown_token_id",
];

/// Why a base model cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum BaseModelError {
	/// A file cannot be read.
	#[error("cannot read {path}: {source}")]
	Read {
		/// The file.
		path: PathBuf,
		/// Why.
		#[source]
		source: io::Error,
	},
	/// The directory has too many files.
	#[error("{path} has more than {MAX_FILES} files: give the model's own directory")]
	TooManyFiles {
		/// The directory.
		path: PathBuf,
	},
	/// The GGUF file is not valid.
	#[error("{path} cannot be read: {source}")]
	Gguf {
		/// The file.
		path: PathBuf,
		/// Why.
		#[source]
		source: GgufError,
	},
	/// The tokenizer has a value of a kind that tokenizers do not have.
	#[error("{path} has a value under `{key}` that no tokenizer has")]
	OddTokenizer {
		/// The file.
		path: PathBuf,
		/// The metadata's key.
		key: &'static str,
	},
	/// The model cannot be loaded.
	#[error("{path} cannot be loaded: {source}")]
	Load {
		/// The base model.
		path: PathBuf,
		/// Why.
		#[source]
		source: LoadError,
	},
}

/// A base model that is served.
#[derive(Clone, Debug)]
pub struct BaseModel {
	/// The GGUF file or Hugging Face directory.
	pub path: PathBuf,
	/// What the chain knows it by.
	pub hashes: BaseModelHashes,
	/// Its file's or directory's name.
	pub name: String,
	/// Its architecture, as `config.json` names it.
	pub architecture: &'static str,
	/// Number of its weights.
	pub parameters: u64,
	/// Tokens that it reads at most.
	pub max_context: usize,
	/// Size and time of last change of each file that was hashed.
	stamps: Vec<(PathBuf, u64, Option<SystemTime>)>,
}

impl BaseModel {
	/// Hashes a base model and loads it for answers.
	pub fn open(path: &Path, precision: Precision) -> Result<(Self, ServingModel), BaseModelError> {
		let path = path.canonicalize().map_err(|e| read_error(path, e))?;
		let (files, hashes) =
			if path.is_dir() { hash_directory(&path)? } else { hash_gguf(&path)? };
		let stamps = files.into_iter().map(stamp).collect::<Result<_, _>>()?;
		let mut base = Self {
			name: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
			path,
			hashes,
			// The engine refuses all others.
			architecture: "LlamaForCausalLM",
			parameters: 0,
			max_context: 0,
			stamps,
		};
		let model = base
			.load_for_serving(precision)
			.map_err(|source| BaseModelError::Load { path: base.path.clone(), source })?;
		base.parameters = parameters(model.config());
		base.max_context = model.max_context();
		Ok((base, model))
	}

	/// Loads the model for training.
	pub fn load_for_training(&self, threads: usize) -> Result<Model, LoadError> {
		let options = LoadOptions { threads, ..LoadOptions::default() };
		if self.path.is_dir() {
			Model::from_huggingface(&self.path, options)
		} else {
			Model::from_gguf(&self.path, options)
		}
	}

	fn load_for_serving(&self, precision: Precision) -> Result<ServingModel, LoadError> {
		let options = ServingOptions { precision, ..ServingOptions::default() };
		if self.path.is_dir() {
			ServingModel::from_huggingface(&self.path, options)
		} else {
			ServingModel::from_gguf(&self.path, options)
		}
	}

	/// Whether the files look as they did when they were hashed.
	pub fn is_unchanged(&self) -> bool {
		self.stamps.iter().all(|then| stamp(then.0.clone()).is_ok_and(|now| now == *then))
	}
}

fn stamp(path: PathBuf) -> Result<(PathBuf, u64, Option<SystemTime>), BaseModelError> {
	let data = fs::metadata(&path).map_err(|e| read_error(&path, e))?;
	Ok((path, data.len(), data.modified().ok()))
}

fn read_error(path: &Path, source: io::Error) -> BaseModelError {
	BaseModelError::Read { path: path.into(), source }
}

/// Number of weights of a Llama model, norms included, a tied head counted once.
fn parameters(config: &LlamaConfig) -> u64 {
	let [hidden, intermediate, query, key_value, vocabulary, layers] = [
		config.hidden_size,
		config.intermediate_size,
		config.query_size(),
		config.key_value_size(),
		config.vocab_size,
		config.num_hidden_layers,
	]
	.map(|size| size as u64);
	let attention = 2 * hidden * query + 2 * hidden * key_value;
	let layer = attention + 3 * hidden * intermediate + 2 * hidden;
	let heads = if config.tie_word_embeddings { 1 } else { 2 };
	heads * vocabulary * hidden + layers * layer + hidden
}

type Hashed = (Vec<PathBuf>, BaseModelHashes);

fn hash_gguf(path: &Path) -> Result<Hashed, BaseModelError> {
	let weights = hash_file(path)?;
	let file =
		Gguf::open(path).map_err(|source| BaseModelError::Gguf { path: path.into(), source })?;
	let tokenizer = gguf_tokenizer(|key| file.get(key))
		.map_err(|key| BaseModelError::OddTokenizer { path: path.into(), key })?;
	let tokenizer = content_hash(tokenizer.as_bytes());
	Ok((vec![path.into()], BaseModelHashes { weights, tokenizer }))
}

/// The canonical form of the tokenizer in a GGUF file: a JSON object of those of
/// [`GGUF_TOKENIZER_KEYS`] that are there, sorted, without white space, text as it is (only `"`,
/// `\` and control characters escaped). The error is the key whose value is a fraction, which JSON
/// has no one form of.
fn gguf_tokenizer<'a>(
	value: impl Fn(&'static str) -> Option<&'a Value>,
) -> Result<String, &'static str> {
	use serde_json::Value as Json;
	let mut object = serde_json::Map::new();
	for key in GGUF_TOKENIZER_KEYS {
		let json = match value(key) {
			None => continue,
			Some(Value::Unsigned(number)) => Json::from(*number),
			Some(Value::Signed(number)) => Json::from(*number),
			Some(Value::Bool(truth)) => Json::from(*truth),
			Some(Value::Text(text)) => Json::from(text.as_str()),
			Some(Value::Array(Array::Unsigned(numbers))) => Json::from(numbers.as_slice()),
			Some(Value::Array(Array::Signed(numbers))) => Json::from(numbers.as_slice()),
			Some(Value::Array(Array::Bool(truths))) => Json::from(truths.as_slice()),
			Some(Value::Array(Array::Text(texts))) => Json::from(texts.as_slice()),
			Some(Value::Float(_) | Value::Array(Array::Float(_))) => return Err(key),
		};
		object.insert(key.into(), json);
	}
	Ok(Json::Object(object).to_string())
}

fn hash_directory(path: &Path) -> Result<Hashed, BaseModelError> {
	let mut names = Vec::new();
	for entry in fs::read_dir(path).map_err(|e| read_error(path, e))? {
		let entry = entry.map_err(|e| read_error(path, e))?;
		if names.len() >= MAX_FILES {
			return Err(BaseModelError::TooManyFiles { path: path.into() });
		}
		// A name that is not Unicode is none of the model's files.
		names.extend(entry.file_name().into_string().ok());
	}
	names.sort_unstable();
	let (mut weights, mut tokenizer) = (String::new(), String::new());
	let mut files = Vec::new();
	for name in names {
		let manifest = match name.as_str() {
			name if TOKENIZER_FILES.contains(&name) => &mut tokenizer,
			name if MODEL_FILES.contains(&name) || name.ends_with(".safetensors") => &mut weights,
			_ => continue,
		};
		let file = path.join(&name);
		manifest.push_str(&format!("{:x}  {name}\n", hash_file(&file)?));
		files.push(file);
	}
	let hash = |manifest: String| content_hash(manifest.as_bytes());
	Ok((files, BaseModelHashes { weights: hash(weights), tokenizer: hash(tokenizer) }))
}

fn hash_file(path: &Path) -> Result<H256, BaseModelError> {
	let mut file = File::open(path).map_err(|e| read_error(path, e))?;
	let mut hasher = content_hasher();
	let mut piece = vec![0; PIECE_BYTES];
	loop {
		match file.read(&mut piece) {
			Ok(0) => return Ok(hasher.finish()),
			Ok(count) => hasher.update(piece.get(..count).unwrap_or_default()),
			Err(error) if error.kind() == io::ErrorKind::Interrupted => {},
			Err(error) => return Err(read_error(path, error)),
		}
	}
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn gguf_tokenizer_should_be_the_documented_json() {
		let tokens = Value::Array(Array::Text(vec!["a\"\u{1}é".into(), "Ġb".into()]));
		let types = Value::Array(Array::Signed(vec![1, 3]));
		let value = |key| match key {
			"tokenizer.ggml.tokens" => Some(&tokens),
			"tokenizer.ggml.token_type" => Some(&types),
			_ => None,
		};
		// What Python's json.dumps(…, ensure_ascii=False, sort_keys=True, separators=(',', ':'))
		// writes.
		assert_eq!(
			gguf_tokenizer(value).unwrap(),
			r#"{"tokenizer.ggml.token_type":[1,3],"tokenizer.ggml.tokens":["a\"\u0001é","Ġb"]}"#
		);
		let odd = Value::Float(0.5);
		assert_eq!(gguf_tokenizer(|_| Some(&odd)), Err("tokenizer.chat_template"));
	}

	#[test]
	fn manifest_should_list_the_model_and_nothing_else() {
		let folder = tempfile::tempdir().unwrap();
		let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
		write("model.safetensors", "weights");
		write("config.json", "{}");
		write("tokenizer.json", "tokens");
		let (files, hashes) = hash_directory(folder.path()).unwrap();
		let manifest = format!(
			"{:x}  config.json\n{:x}  model.safetensors\n",
			content_hash(b"{}"),
			content_hash(b"weights")
		);
		assert_eq!(hashes.weights, content_hash(manifest.as_bytes()));
		let manifest = format!("{:x}  tokenizer.json\n", content_hash(b"tokens"));
		assert_eq!(hashes.tokenizer, content_hash(manifest.as_bytes()));
		assert_eq!(files.len(), 3);
		write("README.md", "words");
		assert_eq!(hash_directory(folder.path()).unwrap().1, hashes);
		write("config.json", "{ }");
		assert_ne!(hash_directory(folder.path()).unwrap().1.weights, hashes.weights);
	}
}
