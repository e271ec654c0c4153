//! RDS through the unchanged AWS SDK: one test per rule, named after what the rule says.

mod cluster;
mod deletion;
mod events;
mod failback;
mod faults;
mod global_cluster;
mod instance;
mod joining;
mod keys;
mod listing;
mod moves;
mod names;
mod order;
mod quiet;
mod rejoin;
mod restart;
mod settings;
mod statuses;
mod support;
mod upgrade;
