//! Reasons not to act. A person decides, not a retry.

/// Why a topology is not touched. Every text names the resource and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the error text of each variant is its documentation")]
pub enum Refusal {
    #[error(
        "`{cluster}` in {region} is the writer of the live global cluster `{global_cluster}`, which \
         has other members: it is not a stale cluster. Check `home.cluster_id`"
    )]
    HomeIsLiveWriter { cluster: String, region: String, global_cluster: String },
    #[error(
        "the former global cluster `{global_cluster}` still has the member {member} besides home's \
         cluster. Remove that Region from it first, so that nothing follows a stale writer"
    )]
    FormerGlobalClusterHasOtherMembers { global_cluster: String, member: String },
    #[error("the away cluster `{cluster}` does not exist in {region}. Check `away.cluster_id`")]
    AwayMissing { cluster: String, region: String },
    #[error(
        "the away cluster `{cluster}` in {region} is `{status}`, not `available`. Wait, or repair \
         it, and start again"
    )]
    AwayNotAvailable { cluster: String, region: String, status: String },
    #[error(
        "the away cluster `{cluster}` in {region} is not a writer: it replicates from {source_arn}. \
         Its data is not the newest, so home must not be rebuilt from it"
    )]
    AwayNotWriter { cluster: String, region: String, source_arn: String },
    #[error(
        "the away cluster `{cluster}` in {region} has no writer instance that is available. A \
         cluster without one cannot feed a new Region"
    )]
    AwayHasNoWriterInstance { cluster: String, region: String },
    #[error(
        "the away cluster `{cluster}` is a member of the global cluster `{global_cluster}`. The \
         strategy `detach` starts from a cluster that stands alone"
    )]
    AwayInAnotherGlobalCluster { cluster: String, global_cluster: String },
    #[error(
        "the away cluster `{cluster}` in {region} is closed to clients: {closed}. The stack remembers \
         no run that did it, so that nothing would open it before home is the writer. Make sure that \
         home was not promoted, give away back what it has when it is open, as the runbook says under \
         FenceStillUp, and start again"
    )]
    AwayClosed { cluster: String, region: String, closed: String },
    #[error(
        "RDS manages the master password of `{cluster}` in {region}, which Aurora does not allow in \
         a global database. Set `ManageMasterUserPassword` to false on it and start again"
    )]
    ManagedMasterSecret { cluster: String, region: String },
    #[error(
        "`{cluster}` has backtrack switched on, which Aurora does not allow in a global database"
    )]
    Backtrack { cluster: String },
    #[error(
        "`away.data_api` asks for the position of `{cluster}` in {region}, whose Data API is off. \
         Enable its HTTP endpoint, or leave the field out and have replication lag judged instead"
    )]
    DataApiOff { cluster: String, region: String },
    #[error(
        "the stale home cluster `{cluster}` runs {home_engine} and away runs {away_engine}: a \
         cluster of one engine cannot be rebuilt from the other"
    )]
    EnginesDiffer { cluster: String, home_engine: String, away_engine: String },
    #[error(
        "{group} belongs to family `{family}`, but away runs {runs}, which needs `{wanted}`. Make a \
         group of that family and set it on the cluster first"
    )]
    VersionsCannotJoin { group: String, family: String, runs: String, wanted: String },
    #[error(
        "the engine mode `{mode}` of `{cluster}` cannot be part of a global database; only \
         `provisioned` can"
    )]
    EngineModeUnsupported { cluster: String, mode: String },
    #[error("the id `{id}` (`{field}`) is in use in {region} by {holder}. Choose another")]
    IdInUse { field: &'static str, id: String, region: String, holder: String },
    #[error(
        "the global cluster id `{id}` (`{field}`) is in use by another global database. Choose \
         another, or delete it"
    )]
    GlobalClusterIdInUse { field: &'static str, id: String },
    #[error(
        "the final snapshot id `{id}` (`{field}`) is taken in {region}. Choose another: a snapshot \
         that this run did not make proves nothing"
    )]
    SnapshotIdTaken { field: &'static str, id: String, region: String },
    #[error(
        "deletion protection of {what} is on and the input does not allow it to be switched off \
         (`clear_deletion_protection`)"
    )]
    DeletionProtectionOn { what: String },
    #[error(
        "deletion protection of the global cluster `{global_cluster}` is on, which this program never \
         switches off. Switch it off and start again"
    )]
    GlobalClusterProtected { global_cluster: String },
    #[error(
        "{kind} `{name}` does not exist in {region}, so `{cluster}` could not be rebuilt as it was"
    )]
    MissingDependency { kind: &'static str, name: String, region: String, cluster: String },
    #[error(
        "{field} names `{fence}`, which {problem}. Clients could not be kept from writing to two \
         clusters"
    )]
    FenceUnusable { field: String, fence: String, problem: String },
    #[error("the network of {region} cannot be restored: {problem}. Give `{field}`")]
    NetworkTargetUnknown { region: String, problem: String, field: String },
    #[error(
        "the cluster `{cluster}` in {region} is gone and nothing says what it was like. Give the \
         settings an earlier execution captured as `{field}`"
    )]
    SettingsUnknown { cluster: String, region: String, field: &'static str },
    #[error(
        "`{cluster}` in {region} is `{status}`: its settings can no longer be read as they were. \
         Give the settings an earlier execution captured as `{field}`"
    )]
    SettingsUnreadable { cluster: String, region: String, status: String, field: &'static str },
    #[error(
        "`{field}` names another cluster than the one that this failback began with, {known}: \
         {problem}. Give that one its name back and start again. If nobody needs it any more, delete \
         the item `{item}` from the stack's table, which remembers it, and start again"
    )]
    NotTheSameCluster { field: &'static str, known: String, problem: String, item: String },
    #[error("`{field}` asks for settings like those of `{like}`, which `{cluster}` does not have")]
    NoInstanceLike { field: String, like: String, cluster: String },
    #[error("DNS record {name}: {problem}. Correct `{field}`")]
    DnsUnusable { field: String, name: String, problem: String },
    #[error("secret {secret} in {region}: {problem}. Correct `{field}`")]
    SecretUnusable { field: String, secret: String, region: String, problem: String },
    #[error(
        "the topology fits no step of the failback: {what}. Put it in order by hand, then start again"
    )]
    UnknownTopology { what: String },
    #[error(
        "an operation runs on the global cluster `{global_cluster}` ({operation}). Wait for its end"
    )]
    OperationRuns { global_cluster: String, operation: String },
    #[error(
        "home's cluster `{cluster}` follows away in the global cluster `{global_cluster}`: it is not \
         stale, and `detach` would delete it. Ask for the strategy `switchover` or `auto`"
    )]
    HomeFollowsAway { cluster: String, global_cluster: String },
    #[error(
        "away's cluster `{away}` is the writer of `{global_cluster}`, which does not list home's \
         cluster `{home}`. After a managed failover Aurora brings it back by itself once home's \
         Region is healthy: wait until it is listed as a reader, and start again"
    )]
    HomeNotRejoined { home: String, away: String, global_cluster: String },
    #[error("the writer cannot be switched over to `{cluster}`: {why}. {remedy}")]
    SwitchoverNotPossible { cluster: String, why: String, remedy: &'static str },
}
