//! Networks of real processes: one node with what anybody can do to it and the main job on it, and four
//! validators. In one binary, because several run at a time on a machine. They start in the order of
//! their names, by which the longest, those of `faults`, are not the last.

mod bad_input;
mod faults;
mod four_nodes;
mod main_job;
mod polkadot_js;
