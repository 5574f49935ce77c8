//! Development chains of one node: what anybody can do to it, and the main job on it. Two at a time run on
//! a machine, so they are in one binary.

mod bad_input;
mod main_job;
mod main_job_faults;
mod polkadot_js;
