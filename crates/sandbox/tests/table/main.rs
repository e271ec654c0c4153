//! DynamoDB through the unchanged SDK: conditions, updates, and what a read may miss.

mod expressions;
mod items;
#[path = "../network_support/mod.rs"]
mod network_support;
mod support;
