//! LoRA fine-tuning of a frozen base model: records and a specification in, an adapter out.
//!
//! ```text
//! TrainingSpec::parse ─┐
//! records ─ Dataset::from_records ─ TrainingRun::train ─ Trained (PEFT directory or one file)
//! Model ───────────────┘                  └─ progress events, checkpoints
//! ```
//!
//! | file | what it is about |
//! |---|---|
//! | [`spec`] | every number that decides the adapter, bounded |
//! | [`dataset`], [`batch`], [`order`] | records as examples, examples side by side, which step sees which |
//! | [`train`], [`parameters`], [`loss`], [`clip`], [`schedule`], [`optimiser`] | the loop and its parts |
//! | [`checkpoint`] | what a killed run goes on from |
//! | [`progress`] | what a run tells while it goes on |
//! | [`random`] | the seeded streams behind order and initial weights |
//!
//! *Invariants.* This crate knows neither the chain nor HTTP: no account, job, licence or socket.
//! The forward pass and PEFT's formats are the engine's; there is no second one here. The same
//! model, specification and records give the same adapter bit for bit on the same machine, whether
//! or not the run was killed in between, and nothing but the seed is random. Logits of a whole
//! batch never exist at once, and the base model never gets a gradient.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod batch;
pub mod checkpoint;
pub mod clip;
pub mod dataset;
pub mod error;
pub mod loss;
pub mod optimiser;
pub mod order;
pub mod parameters;
pub mod progress;
pub mod random;
pub mod schedule;
pub mod spec;
pub mod train;

pub use checkpoint::{CheckpointError, CheckpointPolicy};
pub use dataset::{Dataset, DatasetError, Example, Record};
pub use error::TrainError;
pub use progress::{micronats, HeldoutStage, Observer, ProgressEvent, TrainingMetrics};
pub use spec::{SpecError, TrainingLength, TrainingSpec};
pub use train::{Trained, TrainingRun};
