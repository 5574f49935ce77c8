//! What the pallet promises, one file per topic.

mod authorisation;
mod base_models;
mod conservation;
mod deadlines;
mod disputes;
mod licences;
mod models;
mod offchain;
mod request;
mod training;
mod transitions;
