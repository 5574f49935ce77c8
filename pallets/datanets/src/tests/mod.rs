//! One file per topic. Every test ends with the pallet's invariants and a count of all holds.

mod access;
mod contributions;
mod curation;
mod invariants;
mod limits;
mod registry;
mod sequences;
mod terms;
mod versions;

use crate::mock::*;
// By name: the storage map of that name comes with the pallet.
use crate::mock::Datanets;
use crate::*;
use frame_support::{assert_noop, assert_ok};
use openledger_primitives::{
	licence::{LicenceTerms, Purposes},
	mmr,
	traits::{AcceptedContribution, DatanetRegistry, VersionCommitment},
	Balance, ContributionId, DatanetId, DatanetVersion, H256,
};

type Problem = Error<Test>;

/// A datanet that is not.
const NOWHERE: DatanetId = DatanetId(77);
