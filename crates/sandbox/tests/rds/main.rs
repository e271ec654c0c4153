//! RDS through the unchanged AWS SDK: one test per rule, named after what the rule says.

mod cluster;
mod failback;
mod faults;
mod global_cluster;
mod instance;
mod moves;
mod settings;
mod support;
