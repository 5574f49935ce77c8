//! Small pieces that several pallets share.
//!
//! - [`agenda`]: things that fall due at a block, served with whatever weight a block has left.
//!
//! Must not know any of our pallets.

#![cfg_attr(not(feature = "std"), no_std)]

pub mod agenda;
