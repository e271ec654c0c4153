//! Rehearsals: the real state machines, the real functions and the unchanged AWS SDK, in a sandbox
//! of two simulated Regions and in virtual time.

pub mod approver;
pub mod bench;
pub mod chaos;
pub mod definitions;
pub mod drill;
pub mod floor;
pub mod lambda;
pub mod phases;
pub mod progress;
pub mod rehearse;
pub mod report;
pub mod scenario;
pub mod serve;
pub mod states;
pub mod stopwatch;
pub mod text;
