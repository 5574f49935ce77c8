//! Networks of real processes: one node with what anybody can do to it and the main job on it, and four
//! validators. In one binary, because several run at a time on a machine.

mod bad_input;
mod four_nodes;
mod main_job;
mod main_job_faults;
mod polkadot_js;
