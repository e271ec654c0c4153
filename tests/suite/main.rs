//! Sentences about the whole system, in one binary: each binary would be linked with the AWS SDK anew.

mod applications;
mod approvals;
mod behaviours;
mod bootstrap;
mod calls;
mod chaos;
mod consumers;
mod dependencies;
mod deployment;
mod docs;
mod events;
mod fences;
mod idempotence;
mod lockstep;
mod permissions;
mod proof;
mod refusals;
mod resume;
mod scenarios;
mod schema;
mod settings;
mod simulation;
mod support;
mod switchover;
