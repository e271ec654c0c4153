//! What to do next, decided from what was seen. No I/O, no clock, no AWS types.
//!
//! Everything here is a function of its arguments, so every rule that protects data can be
//! tested by listing topologies. The dependencies enforce it: neither an async runtime nor an
//! AWS SDK is there to be called.
//!
//! The words are those of `docs/glossary.md`: **home** is the Region we fail back to, **away** the
//! Region that runs meanwhile; *writer* and *reader* are roles and move.

pub mod approval;
pub mod basis;
pub mod decide;
pub mod fence;
pub mod incident;
pub mod memory;
pub mod network;
pub mod plan;
pub mod recovery;
pub mod refusal;
pub mod replication;
pub mod request;
pub mod secret;
pub mod seen;
pub mod settings;
pub mod steps;
pub mod superset;
pub mod task;
pub mod verify;
pub mod versions;

pub use basis::Basis;
pub use decide::decide;
pub use memory::Memory;
pub use plan::{Decision, Phase, Phases, Plan};
pub use refusal::Refusal;
pub use request::{InvalidRequest, Request};
pub use task::{Answer, ClusterRef, Progress};
