//! Inference engine for Llama-architecture models, on the CPU.
//!
//! There are two forward passes over the same files. [`Model`] is on burn: LoRA weights that require
//! gradients keep their graph, so training uses it, and it is what the other one is tested against. A
//! [`serving::Service`] answers any number of requests at a time, each with its own LoRA [`Adapter`] or
//! with none, without a tensor library.
//!
//! | file | what it is about |
//! |---|---|
//! | [`config`] | dimensions of a Llama model, checked |
//! | [`gguf`], [`quantization`], `llama_gguf` | the GGUF container, its number formats, a Llama model in it |
//! | [`tensor_file`], `huggingface` | safetensors files, a Llama model in a Hugging Face directory |
//! | [`tokenizer`], [`text`], [`chat`] | token ids, text with the bytes that each token contributed, chat templates |
//! | `opened`, [`weights`], `rotary` | a model's files opened, its weights, its positions |
//! | `kernel` | the arithmetic of both forward passes, for the instructions that the CPU has |
//! | `operations` | differentiable operations for burn made of it |
//! | `forward`, [`kv_cache`], [`model`] | the forward pass on burn |
//! | [`lora`], [`peft`], `peft_config` | adapters in memory and in PEFT's format |
//! | [`random`], [`sampling`], [`generate`], `growing_answer` | choosing tokens, log-probabilities, stop conditions |
//! | [`serving`] | many requests on many adapters at once |
//! | [`tiny`] | small random models and adapters, for tests and benchmarks of this and other crates |
//!
//! *Invariants.* This crate knows neither the chain nor HTTP: no account, price, job or socket.
//! It never follows a path that a model or adapter file names, never executes anything from one
//! (chat templates run in a sandbox with a bounded number of steps), and allocates only what the
//! bytes actually present in a file justify. Bad input ends in a named error, not in a panic.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod chat;
pub mod config;
pub mod error;
mod forward;
pub mod generate;
pub mod gguf;
mod growing_answer;
mod huggingface;
mod kernel;
pub mod kv_cache;
mod llama_gguf;
pub mod lora;
pub mod model;
mod opened;
mod operations;
pub mod peft;
mod peft_config;
pub mod quantization;
pub mod random;
mod rotary;
pub mod sampling;
pub mod serving;
pub mod tensor_file;
pub mod text;
pub mod tiny;
pub mod tokenizer;
pub mod weights;

pub use chat::{ChatError, ChatMessage, ChatTemplate};
pub use config::{ConfigError, LlamaConfig};
pub use error::{ForwardError, GenerateError, LoadError};
pub use generate::{
	CancelFlag, FinishReason, GenerateOptions, GeneratedToken, Generation, TokenEvent,
};
pub use gguf::GgufError;
pub use kv_cache::KvCache;
pub use lora::{Adapter, LoraError, LoraLinear, LoraWeights, TargetModule};
pub use model::{LoadOptions, Model};
pub use operations::cross_entropy::cross_entropy;
pub use peft::PeftError;
pub use peft_config::LoraConfig;
pub use sampling::{Sampling, SamplingError};
pub use tensor_file::TensorFileError;
pub use text::DecodedText;
pub use tokenizer::{Tokenizer, TokenizerError};
