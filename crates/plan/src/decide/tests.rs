//! Decisions of whole topologies.
