//! Serving: many requests on many adapters at once over one base model (OpenLoRA).
//!
//! A [`Service`] takes requests and runs them together, step by step: in each step every running
//! request advances by one token, or by a piece of its prompt, whatever adapter it uses
//! (continuous batching, arXiv 2310.18547 and 2311.03285).
//!
//! | file | what it is about |
//! |---|---|
//! | [`request`] | what is asked, and what comes back |
//! | [`service`] | the door: taking requests in |
//! | `stepper`, `active`, `sampler`, `loader` | the thread that steps, each request's state, tokens from logits, reading adapters |
//! | [`model`], [`packed_adapter`], [`paged_cache`] | weights, adapters, keys and values, as they are multiplied with |
//! | [`executor`], `forward`, `attention`, `team` | one step over a ragged batch, on all threads |

mod active;
mod attention;
pub mod executor;
mod forward;
mod loader;
pub mod model;
pub mod packed_adapter;
pub mod paged_cache;
pub mod pages;
pub mod request;
mod sampler;
pub mod scheduler;
pub mod service;
pub mod slots;
mod stepper;
mod team;
pub mod tenants;

pub use model::{Precision, ServingModel, ServingOptions};
pub use packed_adapter::PackedAdapter;
pub use request::{
	AdapterKey, AdapterSource, AdapterUnavailable, Alternative, Answer, Constraint,
	ConstraintError, Event, Failed, Refused, Request, ScoredToken, Tenant,
};
pub use scheduler::Limits;
pub use service::{Counts, Service, ServiceOptions, Sink, StartError, Ticket};
pub use slots::{AdapterLimits, AdapterStatus, Residency};
