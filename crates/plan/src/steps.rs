//! The next step of each action: act, wait, or nothing to do. Aurora checks every action again,
//! so a decision taken on a stale topology costs a refusal, never data.

mod configure;
mod detach;
mod guard;
mod rebuild;
mod retire;
mod switch;
#[cfg(test)]
mod tests;

pub use configure::{LateChange, configure};
pub use detach::{LeavesAs, detach, detachment, promotion_begun, still_listed};
pub use guard::{GuardSeen, may_be_deleted};
pub use rebuild::{
    create_cluster, create_global_cluster, create_instances, global_cluster, member,
};
pub use retire::{
    Deletion, delete_cluster, delete_global_cluster, delete_instances, deletion,
    deletion_protection,
};
pub(crate) use switch::differ;
pub use switch::{Moving, switch_over, switchover};

use crate::seen::{ClusterSeen, InstanceSeen};

/// What to do now.
#[derive(Debug, Clone, PartialEq)]
pub enum Step<T> {
    /// It is so already.
    Done(String),
    /// It may not be done yet.
    Wait(String),
    /// Do this, once.
    Act(T),
}

/// The thing that was planned for is not the thing that is there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}. Nothing was changed by this step")]
pub struct NotAsPlanned(pub String);

/// A step's decision or why the thing may not be touched.
pub type Decided<T> = Result<Step<T>, NotAsPlanned>;

/// Statuses out of which a cluster does not come by itself. Source: Aurora User Guide, "Viewing DB
/// cluster status", and the failure states of the CloudFormation resource handler.
pub const TERMINAL_CLUSTER_STATUSES: [&str; 9] = [
    "cloning-failed",
    "failed",
    "inaccessible-encryption-credentials",
    "incompatible-network",
    "incompatible-parameters",
    "incompatible-restore",
    "migration-failed",
    "restore-failed",
    "upgrade_failed",
];

/// Statuses out of which an instance does not come by itself. `insufficient-capacity` is missing
/// on purpose: RDS goes on trying, and the deadline bounds it.
pub const TERMINAL_INSTANCE_STATUSES: [&str; 11] = [
    "failed",
    "inaccessible-encryption-credentials",
    "incompatible-create",
    "incompatible-credentials",
    "incompatible-network",
    "incompatible-option-group",
    "incompatible-parameters",
    "incompatible-restore",
    "restore-error",
    "storage-full",
    "upgrade_failed",
];

/// An instance in one of these serves clients.
const SERVING_INSTANCE_STATUSES: [&str; 3] = ["available", "backing-up", "storage-optimization"];

/// Whether an instance serves clients.
pub fn is_serving(instance: &InstanceSeen) -> bool {
    SERVING_INSTANCE_STATUSES.contains(&instance.status.as_str())
}

fn not_terminal(cluster: &ClusterSeen) -> Result<(), NotAsPlanned> {
    if TERMINAL_CLUSTER_STATUSES.contains(&cluster.status.as_str()) {
        return Err(NotAsPlanned(format!("{} is {}", cluster.id, cluster.status)));
    }
    Ok(())
}
