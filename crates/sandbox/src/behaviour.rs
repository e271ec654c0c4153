//! How the modelled services behave where their documentation leaves a choice.

use serde::{Deserialize, Serialize};

/// Switches and durations. The defaults are the best guess; tests try the other side too.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Behaviour {
    /// How long things take.
    pub timings: Timings,
    /// A removed member stays listed for a while, a new source is listed late, and guards outlive
    /// their reason.
    pub eventually_consistent: bool,
    /// Detaching a member that has no instance never settles.
    pub headless_detach_settles: bool,
    /// A reader member without instances may be deleted while it is still a member.
    pub headless_member_may_be_deleted: bool,
    /// A second removal is accepted while the first is under way; refused with
    /// `InvalidDBClusterStateFault` otherwise.
    pub second_removal_accepted: bool,
    /// Removing the writer before the other members is refused with `InvalidParameterValue`;
    /// with `InvalidGlobalClusterStateFault` otherwise.
    pub writer_removal_is_invalid_parameter: bool,
    /// The last writer shows `modifying` while it is being removed.
    pub writer_removal_modifies: bool,
    /// A member whose source is encrypted has to be given a key; it takes the Region's first one
    /// otherwise.
    pub encrypted_join_needs_a_key: bool,
    /// Performance Insights and monitoring given when a cluster joins are silently dropped.
    pub joining_drops_insights: bool,
    /// An available cluster shows `backing-up` once a day in its backup window.
    pub backs_up_daily: bool,
    /// A cluster backs up soon after it became available, whatever its backup window says: when it
    /// is new, and after every promotion and modification.
    pub backs_up_when_available: bool,
    /// New clusters and instances pass through a status that no documentation lists.
    pub unknown_statuses: bool,
    /// New instances show `modifying` and `backing-up` before they are `available`.
    pub new_instance_backs_up: bool,
    /// A reader of a global cluster shows the instance that would be promoted as its writer.
    pub reader_shows_a_writer_instance: bool,
    /// `FailoverState` is an empty element while nothing is under way; absent otherwise.
    pub idle_failover_state_is_empty: bool,
    /// How long reads of global clusters lag at most in the Regions in which a change was not
    /// made, in milliseconds; each change is late by a quarter of it at least. Zero turns it off.
    pub global_reads_lag_ms: i64,
    /// `SwitchoverGlobalCluster` is refused outside of the writer's Region, and a failover with
    /// data loss outside of its target's.
    pub moves_are_bound_to_a_region: bool,
    /// A switchover to the writer or to what is no member is refused with
    /// `InvalidDBClusterStateFault`; with `InvalidGlobalClusterStateFault` otherwise.
    pub unsuitable_target_is_cluster_state: bool,
    /// Aurora cancels every switchover half-way, and the roles stay as they were.
    pub switchovers_are_cancelled: bool,
    /// Some events of RDS are missing and some come twice.
    pub events_are_unreliable: bool,
    /// Giving a subnet the network ACL it has issues a new association id all the same.
    pub same_acl_is_associated_anew: bool,
    /// Deleting a cluster, an instance or a global cluster that is already being deleted is
    /// refused.
    pub second_deletion_refused: bool,
    /// A failed-over global cluster leaves a system snapshot of the former writer.
    pub failover_takes_snapshot: bool,
    /// Time between a row's acknowledgement and its arrival in another Region, in milliseconds.
    pub replication_lag_ms: i64,
    /// How long after its time stamp a CloudWatch data point can be read, in milliseconds.
    pub metric_delay_ms: i64,
    /// Replication metrics are published under `DBClusterIdentifier` alone as well, and not only
    /// together with `SourceRegion`.
    pub metric_without_source_region: bool,
    /// Replication metrics have no data points at all.
    pub metric_data_missing: bool,
    /// Name servers answer with a record's new value while its change is still `PENDING`.
    pub dns_served_before_sync: bool,
    /// In which order the checks of a call come; a call that breaks rules of several kinds is
    /// refused for the first one.
    pub check_order: [Check; 7],
    /// The codes of refusals that nobody has seen.
    pub codes: Codes,
    /// How many global clusters an account may have.
    pub global_clusters_max: usize,
    /// A new cluster that no key was asked for is encrypted with a key of AWS's own.
    pub encrypts_by_default: bool,
    /// A cluster that would be encrypted by default may join a global cluster that is not.
    pub default_encryption_joins_unencrypted: bool,
    /// Joining an encrypted global cluster takes a pre-signed URL.
    pub encrypted_join_needs_a_presigned_url: bool,
    /// The first cluster of an empty global cluster has to be given a master user; without one it
    /// becomes an empty writer otherwise.
    pub first_writer_needs_a_user: bool,
    /// All members of a global cluster have the same storage type.
    pub members_share_a_storage_type: bool,
    /// A cluster made again under its name gets other host names.
    pub endpoints_are_made_anew: bool,
    /// `PromoteReadReplicaDBCluster` detaches a reader; refused otherwise.
    pub promoting_a_replica_detaches: bool,
    /// `RemoveFromGlobalCluster` is refused outside of the member's Region.
    pub removal_is_bound_to_a_region: bool,
    /// A global cluster shows `modifying` while it is modified.
    pub global_modification_shows: bool,
    /// The source of a new global cluster shows `modifying` until it is listed.
    pub new_global_modifies_its_source: bool,
    /// A new instance is not available before its cluster is.
    pub instances_wait_for_their_cluster: bool,
    /// A deleted instance shows `delete-precheck` first, which is no `deleting`.
    pub deletion_is_prechecked: bool,
    /// Members show `modifying` during a switchover, and `available` otherwise.
    pub switchover_shows_modifying: bool,
    /// The former writer stays listed after a failover with data loss; it is listed again only
    /// once it is being rebuilt otherwise.
    pub former_writer_stays_listed: bool,
    /// A failover with data loss keeps the former writer from taking writes; it times out and the
    /// former writer goes on until it is rebuilt otherwise.
    pub failover_fences_writes: bool,
    /// Changing IAM authentication shows `update-iam-db-auth`, as documented, and not
    /// `configuring-iam-database-auth`.
    pub documented_iam_status: bool,
    /// An available cluster shows `maintenance` once a week in its maintenance window.
    pub maintained_weekly: bool,
    /// A cluster is maintained soon after it became available, whatever its window says.
    pub maintained_when_available: bool,
    /// How many calls of a hundred are throttled.
    pub throttled_percent: u8,
    /// For how long after a change its hosted zone refuses another one with
    /// `PriorRequestNotComplete`, in milliseconds.
    pub dns_busy_ms: i64,
    /// How long a change of an item is not seen by reads of DynamoDB that are not consistent, in
    /// milliseconds.
    pub item_reads_lag_ms: i64,
    /// Network ACLs that let nobody through to a cluster keep the Data API out as well.
    pub data_api_is_fenced: bool,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            timings: Timings::default(),
            eventually_consistent: true,
            headless_detach_settles: false,
            headless_member_may_be_deleted: false,
            second_removal_accepted: false,
            writer_removal_is_invalid_parameter: true,
            writer_removal_modifies: false,
            encrypted_join_needs_a_key: true,
            joining_drops_insights: true,
            backs_up_daily: true,
            backs_up_when_available: false,
            unknown_statuses: false,
            new_instance_backs_up: false,
            reader_shows_a_writer_instance: true,
            idle_failover_state_is_empty: true,
            global_reads_lag_ms: 4_000,
            moves_are_bound_to_a_region: true,
            unsuitable_target_is_cluster_state: true,
            switchovers_are_cancelled: false,
            events_are_unreliable: false,
            same_acl_is_associated_anew: true,
            second_deletion_refused: true,
            failover_takes_snapshot: true,
            replication_lag_ms: 80,
            metric_delay_ms: 20_000,
            metric_without_source_region: false,
            metric_data_missing: false,
            dns_served_before_sync: false,
            check_order: Check::USUAL,
            codes: Codes::default(),
            global_clusters_max: 40,
            encrypts_by_default: true,
            default_encryption_joins_unencrypted: true,
            encrypted_join_needs_a_presigned_url: false,
            first_writer_needs_a_user: true,
            members_share_a_storage_type: false,
            endpoints_are_made_anew: false,
            promoting_a_replica_detaches: true,
            removal_is_bound_to_a_region: false,
            global_modification_shows: false,
            new_global_modifies_its_source: false,
            instances_wait_for_their_cluster: true,
            deletion_is_prechecked: false,
            switchover_shows_modifying: true,
            former_writer_stays_listed: true,
            failover_fences_writes: true,
            documented_iam_status: false,
            maintained_weekly: true,
            maintained_when_available: false,
            throttled_percent: 0,
            dns_busy_ms: 0,
            item_reads_lag_ms: 1_000,
            data_api_is_fenced: false,
        }
    }
}

/// A kind of check that a call has to pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    /// What the call names exists.
    NotFound,
    /// Every parameter that is needed is there and can be read.
    Malformed,
    /// What the call makes does not exist yet.
    Exists,
    /// There is room for it.
    Quota,
    /// What the call names is in a state that allows it.
    State,
    /// The parameters fit one another and the global cluster.
    Combination,
    /// The groups and keys that the call refers to exist and may be used.
    Dependencies,
}

impl Check {
    /// The best guess.
    pub const USUAL: [Self; 7] = [
        Self::NotFound,
        Self::Malformed,
        Self::Exists,
        Self::Quota,
        Self::State,
        Self::Combination,
        Self::Dependencies,
    ];

    /// The other way round.
    #[must_use]
    pub fn reversed() -> [Self; 7] {
        let mut order = Self::USUAL;
        order.reverse();
        order
    }
}

/// The codes of refusals of which only the reason is known. Any string may stand here that the
/// service might use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Codes {
    /// Deleting a protected global cluster.
    pub protected_global: String,
    /// A global cluster whose source is of another Region than the call.
    pub source_elsewhere: String,
    /// An ARN where a global cluster's identifier belongs.
    pub arn_as_global_id: String,
    /// An ARN of another Region where a cluster's identifier belongs.
    pub cluster_elsewhere: String,
    /// Joining in the Region of a member.
    pub region_taken: String,
    /// Joining under the identifier of a member.
    pub name_taken: String,
    /// A password managed by RDS in a global cluster.
    pub managed_secret: String,
    /// Backtrack in a global cluster.
    pub backtrack: String,
    /// Joining an encrypted global cluster without a key.
    pub key_missing: String,
    /// Deleting a cluster with two words on its final snapshot, or none.
    pub snapshot_arguments: String,
    /// A final snapshot of a cluster whose key is lost.
    pub snapshot_without_key: String,
    /// A call that belongs into another Region.
    pub called_elsewhere: String,
    /// `PromoteReadReplicaDBCluster` where it does not detach.
    pub not_promotable: String,
}

impl Default for Codes {
    fn default() -> Self {
        let (value, combination) = ("InvalidParameterValue", "InvalidParameterCombination");
        let global_state = "InvalidGlobalClusterStateFault";
        let code = str::to_owned;
        Self {
            protected_global: code(combination),
            source_elsewhere: code(value),
            arn_as_global_id: code(value),
            cluster_elsewhere: code(value),
            region_taken: code(value),
            name_taken: code(value),
            managed_secret: code(combination),
            backtrack: code(combination),
            key_missing: code(combination),
            snapshot_arguments: code(combination),
            snapshot_without_key: code("KMSKeyNotAccessibleFault"),
            called_elsewhere: code(global_state),
            not_promotable: code("InvalidDBClusterStateFault"),
        }
    }
}

/// Durations in virtual seconds; each is jittered by ±`jitter`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Timings {
    /// Part by which a duration may be shorter or longer.
    pub jitter: f64,
    /// A cluster from `creating` to `available`.
    pub create_cluster_s: f64,
    /// What copying the volume adds when it joins a global cluster.
    pub join_extra_s: f64,
    /// From an available joined cluster to `connected`.
    pub connect_s: f64,
    /// An instance from `creating` to `available`.
    pub create_instance_s: f64,
    /// An instance from `deleting` to gone.
    pub delete_instance_s: f64,
    /// A cluster from `deleting` to gone.
    pub delete_cluster_s: f64,
    /// A final snapshot from `creating` to `available`.
    pub snapshot_s: f64,
    /// For how long the statements of a reader that is being deleted may go on.
    pub reader_grace_s: f64,
    /// How long a joined cluster is not yet listed as a member.
    pub member_listed_s: f64,
    /// How long a removed member is still listed.
    pub removed_still_listed_s: f64,
    /// How long a detached reader is `promoting`.
    pub promote_s: f64,
    /// A global cluster from `creating` to `available`.
    pub create_global_s: f64,
    /// How long a source is not yet listed after its global cluster is made.
    pub source_listed_s: f64,
    /// A global cluster from `deleting` to gone.
    pub delete_global_s: f64,
    /// How long a removed member's deletion is refused after it is no longer listed.
    pub part_of_global_s: f64,
    /// How long a global cluster "is not empty" after its last member is no longer listed.
    pub not_empty_s: f64,
    /// A modification.
    pub modify_s: f64,
    /// A restart of an instance that a caller asked for.
    pub reboot_s: f64,
    /// A failover between instances of a cluster.
    pub fail_over_instance_s: f64,
    /// A switchover.
    pub switchover_s: f64,
    /// How long a switchover is refused after another one and after a member has connected.
    pub replication_setup_s: f64,
    /// A failover with data loss.
    pub failover_s: f64,
    /// How long the former writer is rebuilt after one.
    pub resync_s: f64,
    /// A daily backup.
    pub backup_s: f64,
    /// A role from `PENDING` to `ACTIVE`, an endpoint from `creating` to `available`.
    pub attach_s: f64,
    /// A change of DNS records from `PENDING` to `INSYNC`; a minute at most.
    pub dns_sync_s: f64,
    /// A cluster from `renaming` to its new name.
    pub rename_s: f64,
    /// A cluster or a global cluster from `upgrading` to its new version.
    pub upgrade_s: f64,
    /// A weekly maintenance.
    pub maintenance_s: f64,
    /// A cluster restored from a snapshot, from `creating` to `available`.
    pub restore_s: f64,
    /// How long a new IAM role cannot be used.
    pub role_propagation_s: f64,
    /// How long it takes until a cluster notices that its key is lost, or usable again.
    pub key_noticed_s: f64,
    /// How long a deleted instance shows `delete-precheck`, if it does.
    pub delete_precheck_s: f64,
}

impl Default for Timings {
    fn default() -> Self {
        Self {
            jitter: 0.3,
            create_cluster_s: 120.0,
            join_extra_s: 180.0,
            connect_s: 20.0,
            create_instance_s: 420.0,
            delete_instance_s: 300.0,
            delete_cluster_s: 90.0,
            snapshot_s: 120.0,
            reader_grace_s: 180.0,
            member_listed_s: 10.0,
            removed_still_listed_s: 45.0,
            promote_s: 60.0,
            create_global_s: 15.0,
            source_listed_s: 45.0,
            delete_global_s: 20.0,
            part_of_global_s: 15.0,
            not_empty_s: 30.0,
            modify_s: 20.0,
            reboot_s: 30.0,
            fail_over_instance_s: 30.0,
            switchover_s: 120.0,
            replication_setup_s: 300.0,
            failover_s: 180.0,
            resync_s: 900.0,
            backup_s: 120.0,
            attach_s: 10.0,
            dns_sync_s: 30.0,
            rename_s: 30.0,
            upgrade_s: 600.0,
            maintenance_s: 300.0,
            restore_s: 450.0,
            role_propagation_s: 60.0,
            key_noticed_s: 60.0,
            delete_precheck_s: 15.0,
        }
    }
}
