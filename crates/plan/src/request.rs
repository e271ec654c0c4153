//! The execution's input: what an operator, or the environment, asks for.

mod network;
mod secret;
pub mod superset;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use network::{FenceKind, Network};

use crate::settings::Captured;
use crate::task::Limits;

pub use superset::SupersetRequest;

/// A failback request. `statemachine/failback.schema.json` is generated from it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// How the writer comes home.
    #[serde(default)]
    pub strategy: Strategy,
    /// The Region we fail back to.
    pub home: Side,
    /// The Region that runs meanwhile.
    pub away: Side,
    /// The three generations of the global cluster.
    pub global_clusters: GlobalClusters,
    /// Whether deletion protection of clusters that must be deleted may be switched off.
    #[serde(default)]
    pub clear_deletion_protection: bool,
    /// What a person is asked before it is done.
    #[serde(default)]
    pub approvals: Approvals,
    /// Bounds of the run.
    #[serde(default)]
    pub limits: Limits,
    /// What the applications use to find the database.
    #[serde(default)]
    pub endpoints: Endpoints,
    /// Delete the former away cluster although nothing that is remembered proves that home holds
    /// what it acknowledged: somebody has compared them.
    #[serde(default)]
    pub accept_unproven_promotion: bool,
    /// Plan, say what would be done, and change nothing.
    #[serde(default)]
    pub dry_run: bool,
}

/// How the writer comes home.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// Rebuild home as a reader, fence away, detach home so that it becomes the writer; then
    /// rebuild away.
    #[default]
    Detach,
    /// Switch the writer over to home within its global cluster: to the cluster that Aurora's
    /// managed failover has brought back as a reader, or else to a rebuilt one. Away stays.
    Switchover,
    /// `switchover` where Aurora allows it, `detach` where an earlier run or Aurora rules it out.
    Auto,
}

/// Steps before which the run stops and asks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Approvals {
    /// Before the stale home cluster is deleted.
    pub retire_home: bool,
    /// Before away is fenced and home is promoted.
    pub promote_home: bool,
    /// Before the former away cluster is deleted.
    pub retire_away: bool,
}

impl Approvals {
    /// A person is asked before each of them.
    pub fn all() -> Self {
        Self { retire_home: true, promote_home: true, retire_away: true }
    }
}

/// One of the two Regions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Side {
    /// Region name, such as `us-east-1`.
    pub region: String,
    /// The cluster that is there now: stale in home, the writer in away.
    pub cluster_id: String,
    /// The cluster that takes its place.
    pub restored_cluster_id: String,
    /// Instances of the cluster that takes its place, the intended writer first.
    pub restored_instances: Vec<RestoredInstance>,
    /// How the Region's database subnets are closed and opened.
    pub network: Network,
    /// Id of the final snapshot; derived from the cluster's resource id when absent.
    #[serde(default)]
    pub final_snapshot_id: Option<String>,
    /// Settings an earlier execution captured, for a cluster that is gone by now; those that the
    /// stack remembers when absent.
    #[serde(default)]
    pub captured: Option<Captured>,
    /// How the position of the cluster that is there now is read, which proves more than lag does;
    /// used of away.
    #[serde(default)]
    pub data_api: Option<DataApi>,
}

/// Access to a cluster's SQL through the Data API of RDS, which no network ACL stands in front of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DataApi {
    /// ARN of the Secrets Manager secret with a user that may read the replication status.
    pub secret_arn: String,
}

/// An instance of a rebuilt cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RestoredInstance {
    /// `DBInstanceIdentifier`.
    pub id: String,
    /// The instance whose settings it takes; in order, the writer first, when absent.
    #[serde(default)]
    pub like: Option<String>,
}

/// Ids of global clusters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GlobalClusters {
    /// The one from before the disaster, if it still exists.
    pub former: String,
    /// The one in which home catches up.
    pub restoring: String,
    /// The final one.
    pub restored: String,
}

/// Names the applications use.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Endpoints {
    /// Route 53 CNAME records.
    pub dns: Vec<DnsRequest>,
    /// Secrets of Secrets Manager that say where the database is.
    pub secrets: Vec<SecretRequest>,
    /// Instances of Apache Superset whose data sources follow the database.
    pub superset: Vec<SupersetRequest>,
}

/// A Route 53 CNAME record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DnsRequest {
    /// Hosted zone id.
    pub zone_id: String,
    /// Record name.
    pub name: String,
    /// What it shall point at.
    pub points_to: PointsTo,
    /// Time to live, in seconds; when absent 5, that of Aurora's own names. A record with a set
    /// identifier keeps the one that it has.
    #[serde(default)]
    pub ttl_s: Option<i64>,
    /// `SetIdentifier` of a record with a routing policy.
    #[serde(default)]
    pub set_identifier: Option<String>,
}

/// A secret of Secrets Manager whose JSON says where the database is: `host`, and where they are
/// there `dbClusterIdentifier` and `port`. Nothing else of it is changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SecretRequest {
    /// Its ARN, or else its name and its Region.
    #[serde(default)]
    pub secret_arn: Option<String>,
    /// Its name, where no ARN is given.
    #[serde(default)]
    pub name: Option<String>,
    /// Its Region, where no ARN is given: the one it is written in, not one of a replica.
    #[serde(default)]
    pub region: Option<String>,
    /// What it shall point at.
    pub points_to: PointsTo,
}

impl SecretRequest {
    /// What Secrets Manager knows it by.
    pub fn id(&self) -> &str {
        self.secret_arn.as_deref().or(self.name.as_deref()).unwrap_or_default()
    }

    /// The Region that it is asked for in.
    pub fn region(&self) -> &str {
        let of_arn = self.secret_arn.as_deref().and_then(|arn| arn.split(':').nth(3));
        of_arn.or(self.region.as_deref()).unwrap_or_default()
    }

    /// The name without what only an ARN has.
    pub fn short_name(&self) -> &str {
        self.id().split(":secret:").last().unwrap_or_default()
    }
}

/// The endpoint a name shall have once the failback is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PointsTo {
    /// Home's cluster endpoint; moves straight after the promotion.
    HomeWriter,
    /// Home's reader endpoint; moves with the writer.
    HomeReader,
    /// Away's reader endpoint; moves when away is rebuilt.
    AwayReader,
}

/// Input that cannot be acted on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the input's field `{field}` {problem}. Nothing was changed. Correct the input and start again"
)]
pub struct InvalidRequest {
    /// Path of the field, such as `home.region`.
    pub field: String,
    /// What is wrong with it.
    pub problem: String,
}

impl InvalidRequest {
    fn new(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { field: field.into(), problem: problem.into() }
    }
}

/// The JSON Schema of an execution's input.
pub fn schema() -> Value {
    schemars::schema_for!(Request).to_value()
}

impl Request {
    /// Reads and checks an execution input.
    ///
    /// # Errors
    /// The first field that is unknown, missing, of the wrong type, or that contradicts another.
    pub fn parse(value: &Value) -> Result<Self, InvalidRequest> {
        secret::none_in("", value)?;
        let request: Self = serde_path_to_error::deserialize(value).map_err(|error| {
            let path = error.path().to_string();
            let field = if path == "." { "(top level)".to_owned() } else { path };
            InvalidRequest::new(field, format!("cannot be read: {}", error.inner()))
        })?;
        request.check()?;
        Ok(request)
    }

    fn check(&self) -> Result<(), InvalidRequest> {
        for (name, side) in [("home", &self.home), ("away", &self.away)] {
            side.check(name)?;
        }
        if self.home.region == self.away.region {
            return Err(InvalidRequest::new(
                "away.region",
                format!("is `{}`, the same Region as home.region", self.away.region),
            ));
        }
        let globals = &self.global_clusters;
        for (field, id) in [
            ("global_clusters.former", &globals.former),
            ("global_clusters.restoring", &globals.restoring),
            ("global_clusters.restored", &globals.restored),
        ] {
            check_id(field, id)?;
        }
        distinct(&[
            ("global_clusters.former", &globals.former),
            ("global_clusters.restoring", &globals.restoring),
            ("global_clusters.restored", &globals.restored),
        ])?;
        // Aurora wants cluster ids unique across all Regions of one global database.
        distinct(&[
            ("home.cluster_id", &self.home.cluster_id),
            ("home.restored_cluster_id", &self.home.restored_cluster_id),
            ("away.cluster_id", &self.away.cluster_id),
            ("away.restored_cluster_id", &self.away.restored_cluster_id),
        ])?;
        self.endpoints.check()?;
        superset::check(&self.endpoints.superset, [&self.home.region, &self.away.region])?;
        self.check_limits()
    }

    fn check_limits(&self) -> Result<(), InvalidRequest> {
        let l = &self.limits;
        for (field, value) in [
            ("limits.detach_s", l.detach_s),
            ("limits.delete_s", l.delete_s),
            ("limits.create_s", l.create_s),
            ("limits.configure_s", l.configure_s),
            ("limits.fence_s", l.fence_s),
            ("limits.catch_up_s", l.catch_up_s),
            ("limits.promote_s", l.promote_s),
            ("limits.dns_s", l.dns_s),
            ("limits.applications_s", l.applications_s),
            ("limits.verify_s", l.verify_s),
            ("limits.lag_samples", l.lag_samples),
            ("limits.approval_s", l.approval_s),
            ("limits.stable_s", l.stable_s),
            ("limits.recover_s", l.recover_s),
        ] {
            if value == 0 {
                return Err(InvalidRequest::new(field, "is 0; it must be at least 1"));
            }
            if value > 86_400 {
                return Err(InvalidRequest::new(
                    field,
                    format!("is {value}; at most 86400 is allowed"),
                ));
            }
        }
        if l.stable_s >= l.recover_s {
            let problem = format!("is {}; it must be less than limits.recover_s", l.stable_s);
            return Err(InvalidRequest::new("limits.stable_s", problem));
        }
        Ok(())
    }
}

impl Side {
    fn check(&self, name: &str) -> Result<(), InvalidRequest> {
        if !is_region(&self.region) {
            return Err(InvalidRequest::new(
                format!("{name}.region"),
                format!("is `{}`, which is not the name of a Region", self.region),
            ));
        }
        check_id(&format!("{name}.cluster_id"), &self.cluster_id)?;
        check_id(&format!("{name}.restored_cluster_id"), &self.restored_cluster_id)?;
        if self.restored_instances.is_empty() {
            return Err(InvalidRequest::new(
                format!("{name}.restored_instances"),
                "is empty; a cluster without an instance cannot be promoted",
            ));
        }
        let mut ids = Vec::new();
        for (i, instance) in self.restored_instances.iter().enumerate() {
            let field = format!("{name}.restored_instances[{i}].id");
            check_id(&field, &instance.id)?;
            if ids.contains(&&instance.id) {
                return Err(InvalidRequest::new(field, format!("repeats `{}`", instance.id)));
            }
            ids.push(&instance.id);
        }
        if let Some(id) = &self.final_snapshot_id {
            let field = format!("{name}.final_snapshot_id");
            if !is_identifier(id, 255) {
                return Err(InvalidRequest::new(
                    field,
                    format!("is `{id}`, which {SNAPSHOT_GRAMMAR}"),
                ));
            }
        }
        self.network.check(name)?;
        if let Some(DataApi { secret_arn }) = &self.data_api {
            let parts: Vec<&str> = secret_arn.split(':').collect();
            let is_secret = matches!(parts[..], ["arn", _, "secretsmanager", region, _, "secret", _] if region == self.region);
            if !is_secret {
                return Err(InvalidRequest::new(
                    format!("{name}.data_api.secret_arn"),
                    format!("is not the ARN of a Secrets Manager secret in {}", self.region),
                ));
            }
        }
        Ok(())
    }
}

impl Endpoints {
    fn check(&self) -> Result<(), InvalidRequest> {
        for (i, record) in self.dns.iter().enumerate() {
            let field = format!("endpoints.dns[{i}]");
            record.check(&field)?;
            let is_it = |other: &DnsRequest| other.key() == record.key();
            if self.dns[..i].iter().any(is_it) {
                return Err(InvalidRequest::new(format!("{field}.name"), "stands there twice"));
            }
        }
        for (i, secret) in self.secrets.iter().enumerate() {
            secret.check(&format!("endpoints.secrets[{i}]"))?;
        }
        Ok(())
    }
}

impl SecretRequest {
    fn check(&self, field: &str) -> Result<(), InvalidRequest> {
        let refuse = |part: &str, problem: &str| {
            Err(InvalidRequest::new(format!("{field}.{part}"), problem))
        };
        match (&self.secret_arn, &self.name, &self.region) {
            (Some(arn), None, None) => {
                let parts: Vec<&str> = arn.split(':').collect();
                match parts[..] {
                    ["arn", _, "secretsmanager", region, _, "secret", name]
                        if is_region(region) && !name.is_empty() =>
                    {
                        Ok(())
                    }
                    _ => refuse("secret_arn", "is not the ARN of a Secrets Manager secret"),
                }
            }
            (Some(_), _, _) => {
                refuse("secret_arn", "stands beside a name or a Region; one of both")
            }
            (None, None, _) => refuse("secret_arn", "is missing; give it, or a name and a Region"),
            (None, Some(_), None) => refuse("region", "is missing; a name alone is not enough"),
            (None, Some(name), Some(region)) => {
                let fits = |c: char| c.is_ascii_alphanumeric() || "/_+=.@!-".contains(c);
                if name.is_empty() || name.len() > 512 || !name.chars().all(fits) {
                    return refuse("name", "is not the name of a Secrets Manager secret");
                }
                if !is_region(region) {
                    return refuse("region", "is not the name of a Region");
                }
                Ok(())
            }
        }
    }
}

impl DnsRequest {
    /// Which record it is, whatever the name is written like.
    fn key(&self) -> (&str, String, Option<&str>) {
        let name = self.name.trim_end_matches('.').to_ascii_lowercase();
        (&self.zone_id, name, self.set_identifier.as_deref())
    }

    fn check(&self, field: &str) -> Result<(), InvalidRequest> {
        if self.zone_id.is_empty() {
            return Err(InvalidRequest::new(format!("{field}.zone_id"), "is empty"));
        }
        if self.name.trim_end_matches('.').is_empty() {
            return Err(InvalidRequest::new(format!("{field}.name"), "is empty"));
        }
        if let Some(ttl_s) = self.ttl_s.filter(|ttl_s| !(0..=86_400).contains(ttl_s)) {
            return Err(InvalidRequest::new(
                format!("{field}.ttl_s"),
                format!("is {ttl_s}; it must be between 0 and 86400 seconds"),
            ));
        }
        Ok(())
    }
}

const ID_GRAMMAR: &str = "is not 1 to 63 lower-case letters, digits and single hyphens that start \
                          with a letter and do not end with a hyphen";
const SNAPSHOT_GRAMMAR: &str = "is not 1 to 255 letters, digits and single hyphens that start with \
                                a letter and do not end with a hyphen";

/// RDS stores identifiers in lower case: an upper-case letter here would never be found again.
fn check_id(field: &str, id: &str) -> Result<(), InvalidRequest> {
    if is_identifier(id, 63) && !id.contains(|c: char| c.is_ascii_uppercase()) {
        return Ok(());
    }
    Err(InvalidRequest::new(field, format!("is `{id}`, which {ID_GRAMMAR}")))
}

fn is_identifier(id: &str, longest: usize) -> bool {
    id.len() <= longest
        && id.starts_with(|c: char| c.is_ascii_alphabetic())
        && id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
        && !id.contains("--")
        && !id.ends_with('-')
}

/// Two or three words and a number, as in `us-gov-west-1`.
fn is_region(name: &str) -> bool {
    let parts: Vec<&str> = name.split('-').collect();
    let [words @ .., number] = &parts[..] else { return false };
    (2..=3).contains(&words.len())
        && words.iter().all(|w| !w.is_empty() && w.chars().all(|c| c.is_ascii_lowercase()))
        && !number.is_empty()
        && number.chars().all(|c| c.is_ascii_digit())
}

fn distinct(fields: &[(&str, &String)]) -> Result<(), InvalidRequest> {
    for (i, (field, id)) in fields.iter().enumerate() {
        if let Some((other, _)) = fields[..i].iter().find(|(_, earlier)| earlier == id) {
            return Err(InvalidRequest::new(*field, format!("is `{id}`, the same as {other}")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn workshop() -> Value {
        serde_json::from_str(include_str!("../../../statemachine/examples/workshop.json"))
            .expect("the example is JSON")
    }

    fn refused(change: impl FnOnce(&mut Value)) -> InvalidRequest {
        let mut value = workshop();
        change(&mut value);
        Request::parse(&value).expect_err("it must be refused")
    }

    #[test]
    fn example_of_the_workshop_is_accepted() {
        Request::parse(&workshop()).expect("the example parses");
    }

    #[test]
    fn unknown_field_is_refused_by_its_path() {
        let error = refused(|v| v["home"]["clusterid"] = json!("x"));
        assert_eq!(error.field, "home.clusterid");
        assert!(error.problem.contains("unknown field `clusterid`"), "{error}");
    }

    #[test]
    fn boolean_given_as_text_is_refused() {
        let error = refused(|v| v["clear_deletion_protection"] = json!("False"));
        assert_eq!(error.field, "clear_deletion_protection");
    }

    #[test]
    fn input_that_looks_like_a_secret_is_refused_without_repeating_it() {
        for secret in [
            "AKIAIOSFODNN7EXAMPLE",
            "mysql://admin:hunter2@db.example.com/app",
            "host=db password=hunter2",
            "-----BEGIN RSA PRIVATE KEY-----",
        ] {
            let error = refused(|v| v["endpoints"]["dns"][0]["set_identifier"] = json!(secret));
            assert_eq!(error.field, "endpoints.dns[0].set_identifier");
            assert!(!error.to_string().contains(secret), "{error}");
        }
        let error = refused(|v| v["password"] = json!("hunter2"));
        assert_eq!(error.field, "password", "unknown fields are refused anyway");
    }

    #[test]
    fn secret_of_the_data_api_is_one_of_the_cluster_s_region() {
        let arn = "arn:aws:secretsmanager:us-west-2:1:secret:x-AbCdEf";
        let error = refused(|v| v["home"]["data_api"] = json!({ "secret_arn": arn }));
        assert_eq!(error.field, "home.data_api.secret_arn");
        let mut value = workshop();
        value["away"]["data_api"] = json!({ "secret_arn": arn });
        Request::parse(&value).expect("it is of away's Region");
    }

    #[test]
    fn secret_is_named_by_its_arn_or_by_its_name_and_region() {
        let arn = "arn:aws:secretsmanager:us-west-2:1:secret:orders/db-AbCdEf";
        let with = |secret: Value| {
            let mut value = workshop();
            value["endpoints"]["secrets"] = json!([secret]);
            Request::parse(&value)
        };
        for (secret, id) in [
            (json!({"secret_arn": arn, "points_to": "home_writer"}), arn),
            (
                json!({"name": "orders/db", "region": "us-west-2", "points_to": "home_writer"}),
                "orders/db",
            ),
        ] {
            let request = with(secret).expect("it is named");
            let secret = &request.endpoints.secrets[0];
            assert_eq!((secret.id(), secret.region()), (id, "us-west-2"));
            assert!(secret.short_name().starts_with("orders/db"));
        }
        for (secret, field) in [
            (json!({"points_to": "home_writer"}), "secret_arn"),
            (json!({"secret_arn": "orders", "points_to": "home_writer"}), "secret_arn"),
            (json!({"secret_arn": arn, "name": "x", "points_to": "home_writer"}), "secret_arn"),
            (json!({"name": "x", "points_to": "home_writer"}), "region"),
            (json!({"name": "x", "region": "home", "points_to": "home_writer"}), "region"),
            (json!({"name": "a b", "region": "us-east-1", "points_to": "home_writer"}), "name"),
        ] {
            let error = with(secret.clone()).expect_err("it is not named");
            assert_eq!(error.field, format!("endpoints.secrets[0].{field}"), "{secret}");
        }
    }

    #[test]
    fn record_that_stands_there_twice_is_refused() {
        let error = refused(|v| {
            let mut again = v["endpoints"]["dns"][0].clone();
            again["name"] = json!("DB-writer.workshop.internal.");
            again["points_to"] = json!("away_reader");
            v["endpoints"]["dns"].as_array_mut().expect("a list").push(again);
        });
        assert_eq!(error.field, "endpoints.dns[2].name");
    }

    #[test]
    fn same_region_twice_is_refused() {
        let error = refused(|v| v["away"]["region"] = v["home"]["region"].clone());
        assert_eq!(error.field, "away.region");
    }

    #[test]
    fn same_id_twice_is_refused() {
        let error = refused(|v| v["away"]["restored_cluster_id"] = v["home"]["cluster_id"].clone());
        assert_eq!(error.field, "away.restored_cluster_id");
        let error = refused(|v| v["global_clusters"]["restored"] = json!("reinvent-dat348-gdb"));
        assert_eq!(error.field, "global_clusters.restored");
    }

    #[test]
    fn id_that_rds_would_store_differently_is_refused() {
        for bad in ["", "1abc", "a--b", "a-", "Abc", "a_b", &"a".repeat(64)] {
            let error = refused(|v| v["home"]["restored_cluster_id"] = json!(bad));
            assert_eq!(error.field, "home.restored_cluster_id", "{bad}");
        }
    }

    #[test]
    fn region_must_look_like_one() {
        for bad in ["", "us-east", "useast1", "US-EAST-1", "us-east-x"] {
            assert!(!is_region(bad), "{bad}");
        }
        for good in ["us-east-1", "us-gov-west-1", "ap-southeast-2"] {
            assert!(is_region(good), "{good}");
        }
    }

    #[test]
    fn wait_without_an_end_is_refused() {
        let error = refused(|v| v["limits"] = json!({ "create_s": 0 }));
        assert_eq!(error.field, "limits.create_s");
    }

    #[test]
    fn fence_that_could_not_be_lifted_is_refused() {
        let error = refused(|v| {
            v["home"]["network"]["open_acl_id"] = v["home"]["network"]["fence_acl_id"].clone();
        });
        assert_eq!(error.field, "home.network.open_acl_id");
    }

    #[test]
    fn missing_field_is_named() {
        let error = refused(|v| {
            v.as_object_mut().expect("an object").remove("away");
        });
        assert!(error.problem.contains("missing field `away`"), "{error}");
    }
}
