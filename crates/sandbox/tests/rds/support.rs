//! The workshop's world, its clock, and short words for what tests do with it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use aws_credential_types::Credentials;
use aws_sdk_rds::Client;
use aws_sdk_rds::config::retry::RetryConfig;
use aws_sdk_rds::config::{BehaviorVersion, Region};
use aws_sdk_rds::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_rds::types::{DbCluster, DbInstance, GlobalCluster};
use failback_sandbox::{Behaviour, Sandbox, WorldSpec};

pub const HOME: &str = "us-east-1";
pub const AWAY: &str = "us-west-2";
pub const FORMER: &str = "reinvent-dat348-gdb";
pub const RESTORING: &str = "reinvent-dat348-gdb-restoring";
pub const START_MS: i64 = 1_767_225_600_000;
pub const VERSION: &str = "8.0.mysql_aurora.3.08.0";
pub const HOME_KEY: &str =
    "arn:aws:kms:us-east-1:123456789012:key/7c1e0b52-6a0d-4f3b-9a51-0c6d2f8e1b73";

pub struct Lab {
    pub sandbox: Sandbox,
    now_ms: Arc<AtomicI64>,
}

impl Lab {
    pub fn new() -> Self {
        Self::of(&WorldSpec::workshop(), 7)
    }

    pub fn of(spec: &WorldSpec, seed: u64) -> Self {
        let now_ms = Arc::new(AtomicI64::new(START_MS));
        let clock = Arc::clone(&now_ms);
        let clock = Arc::new(move || clock.load(Ordering::SeqCst));
        Self { sandbox: Sandbox::new(spec, seed, clock).unwrap(), now_ms }
    }

    pub fn behaving(change: impl FnOnce(&mut Behaviour)) -> Self {
        let lab = Self::new();
        let mut behaviour = Behaviour::default();
        change(&mut behaviour);
        lab.sandbox.set_behaviour(behaviour);
        lab
    }

    pub fn rds(&self, region: &'static str) -> Client {
        Client::from_conf(
            aws_sdk_rds::Config::builder()
                .behavior_version(BehaviorVersion::latest())
                .region(Region::new(region))
                .credentials_provider(Credentials::new("AKIDSANDBOX", "secret", None, None, "test"))
                .retry_config(RetryConfig::disabled())
                .http_client(self.sandbox.http_client())
                .build(),
        )
    }

    pub fn now_ms(&self) -> i64 {
        self.now_ms.load(Ordering::SeqCst)
    }

    pub fn wait_s(&self, seconds: i64) {
        self.now_ms.fetch_add(seconds * 1_000, Ordering::SeqCst);
        self.sandbox.advance();
    }

    pub async fn cluster(&self, region: &'static str, id: &str) -> DbCluster {
        let described =
            self.rds(region).describe_db_clusters().db_cluster_identifier(id).send().await;
        described.unwrap().db_clusters()[0].clone()
    }

    pub async fn status(&self, region: &'static str, id: &str) -> String {
        self.cluster(region, id).await.status().unwrap().to_owned()
    }

    pub async fn instance(&self, region: &'static str, id: &str) -> DbInstance {
        let described =
            self.rds(region).describe_db_instances().db_instance_identifier(id).send().await;
        described.unwrap().db_instances()[0].clone()
    }

    pub async fn global(&self, id: &str) -> GlobalCluster {
        let rds = self.rds(AWAY);
        let described =
            rds.describe_global_clusters().global_cluster_identifier(id).send().await.unwrap();
        described.global_clusters()[0].clone()
    }

    /// Detaches home's stale cluster and begins its deletion, with its instance and the snapshot `final`.
    pub async fn retire_home(&self) {
        self.detach(FORMER, HOME, "gdb1-cluster").await;
        self.unprotect(HOME, "gdb1-cluster").await;
        self.wait_s(120);
        self.delete_instance(HOME, "gdb1-node1").await;
        self.delete_cluster(HOME, "gdb1-cluster", "final").await;
    }

    pub async fn detach(
        &self,
        global: &str,
        region: &'static str,
        cluster: &str,
    ) -> Option<String> {
        refusal(
            self.rds(region)
                .remove_from_global_cluster()
                .global_cluster_identifier(global)
                .db_cluster_identifier(arn(region, cluster))
                .send()
                .await,
        )
    }

    pub async fn unprotect(&self, region: &'static str, cluster: &str) {
        let modify = self.rds(region).modify_db_cluster().db_cluster_identifier(cluster);
        modify.deletion_protection(false).apply_immediately(true).send().await.unwrap();
    }

    pub async fn delete_instance(&self, region: &'static str, id: &str) -> Option<String> {
        let rds = self.rds(region);
        refusal(rds.delete_db_instance().db_instance_identifier(id).send().await)
    }

    pub async fn delete_cluster(
        &self,
        region: &'static str,
        id: &str,
        snapshot: &str,
    ) -> Option<String> {
        let delete = self.rds(region).delete_db_cluster().db_cluster_identifier(id);
        refusal(delete.final_db_snapshot_identifier(snapshot).send().await)
    }

    pub async fn create_global(
        &self,
        id: &str,
        region: &'static str,
        cluster: &str,
    ) -> Option<String> {
        let create = self.rds(region).create_global_cluster().global_cluster_identifier(id);
        refusal(create.source_db_cluster_identifier(arn(region, cluster)).send().await)
    }

    /// Joins a cluster in home to a global cluster.
    pub async fn join_home(&self, global: &str, id: &str) -> Option<String> {
        refusal(join(&self.rds(HOME), global, id).send().await)
    }

    pub async fn create_instance(
        &self,
        region: &'static str,
        cluster: &str,
        id: &str,
    ) -> Option<String> {
        let create = self.rds(region).create_db_instance().db_instance_identifier(id);
        let create = create.db_cluster_identifier(cluster).db_instance_class("db.r6g.large");
        refusal(create.engine("aurora-mysql").send().await)
    }

    /// A global cluster of away's cluster, with a connected reader in home.
    pub async fn with_reader_in_home(&self) {
        assert_eq!(self.create_global(RESTORING, AWAY, "gdb2-cluster").await, None);
        self.wait_s(120);
        assert_eq!(self.join_home(RESTORING, "gdb1-cluster-restored").await, None);
        let instance = "gdb1-node2-restored";
        assert_eq!(self.create_instance(HOME, "gdb1-cluster-restored", instance).await, None);
        self.wait_s(900);
    }
}

type Join = aws_sdk_rds::operation::create_db_cluster::builders::CreateDBClusterFluentBuilder;

pub fn join(rds: &Client, global: &str, id: &str) -> Join {
    rds.create_db_cluster()
        .db_cluster_identifier(id)
        .global_cluster_identifier(global)
        .engine("aurora-mysql")
        .engine_version(VERSION)
        .storage_encrypted(true)
        .kms_key_id(HOME_KEY)
        .db_subnet_group_name("gdb1-subnet-group")
        .db_cluster_parameter_group_name("gdb1-cluster-mysql8")
        .vpc_security_group_ids("sg-0d1e2f3a4b5c6d7e8")
}

pub fn arn(region: &str, cluster: &str) -> String {
    format!("arn:aws:rds:{region}:123456789012:cluster:{cluster}")
}

/// `code: message` of a refusal.
pub fn refusal<T, E: ProvideErrorMetadata + std::fmt::Debug>(
    result: Result<T, SdkError<E>>,
) -> Option<String> {
    let error = result.err()?;
    let code = error.code().unwrap_or("none").to_owned();
    Some(format!("{code}: {}", error.message().unwrap_or_default()))
}

#[track_caller]
pub fn assert_refused(refusal: Option<String>, code: &str, words: &str) {
    let refusal = refusal.expect("the call is refused");
    assert!(refusal.starts_with(&format!("{code}: ")), "{refusal}");
    assert!(refusal.contains(words), "{refusal}");
}
