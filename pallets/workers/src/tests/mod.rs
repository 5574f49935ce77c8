mod assignment;
mod availability;
mod bond;
mod invariants;
mod pools;
mod registration;
mod slashing;
