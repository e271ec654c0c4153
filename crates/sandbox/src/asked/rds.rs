//! What calls of RDS ask.

use super::Asked;
use crate::wire::{Params, Request};
use crate::world::World;

/// Parameters that name a resource, and its type in an ARN.
const NAMES: [(&str, &str); 16] = [
    ("DBClusterIdentifier", "cluster"),
    ("DbClusterIdentifier", "cluster"),
    ("TargetDbClusterIdentifier", "cluster"),
    ("SourceDBClusterIdentifier", "cluster"),
    ("GlobalClusterIdentifier", "global-cluster"),
    ("DBInstanceIdentifier", "db"),
    ("DBClusterParameterGroupName", "cluster-pg"),
    ("DBParameterGroupName", "pg"),
    ("DBInstanceParameterGroupName", "pg"),
    ("DBSubnetGroupName", "subgrp"),
    ("OptionGroupName", "og"),
    ("FinalDBSnapshotIdentifier", "cluster-snapshot"),
    ("DBClusterSnapshotIdentifier", "cluster-snapshot"),
    ("DBClusterEndpointIdentifier", "cluster-endpoint"),
    ("ResourceName", "cluster"),
    ("ResourceArn", "cluster"),
];

/// Resources that a request may leave to their defaults, or to what the cluster has. AWS fills them
/// in before it decides, and its refusals name them; so they are taken to be asked for.
const NEVER_LEFT_OUT: [(&str, &[&str]); 3] = [
    ("CreateDBCluster", &["cluster-pg", "og", "subgrp"]),
    ("CreateDBInstance", &["pg", "og", "subgrp"]),
    ("ModifyDBCluster", &["cluster-pg"]),
];

/// Parameters by which a change of a cluster changes its instances.
const OF_INSTANCES: [&str; 5] = [
    "EnablePerformanceInsights",
    "PerformanceInsightsKMSKeyId",
    "DatabaseInsightsMode",
    "MonitoringInterval",
    "MonitoringRoleArn",
];

const KEYS: [&str; 3] = ["kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey"];

pub(super) fn asked(world: &World, request: &Request, operation: &str) -> Vec<Asked> {
    let call = Call { world, request, operation, params: request.params() };
    let action = format!("rds:{operation}");
    let mut named = call.named();
    if named.is_empty() && operation.starts_with("Describe") {
        named.push(("", "*".to_owned()));
    }
    if named.is_empty() {
        named.push(("", String::new()));
    }
    let mut asked: Vec<Asked> =
        named.iter().map(|(_, resource)| Asked::new(&action, resource)).collect();
    if !operation.starts_with("Describe") {
        call.tags(&named, &mut asked);
        call.snapshot(&named, &mut asked);
        call.instances(&mut asked);
        call.roles(&mut asked);
        call.keys(&mut asked);
    }
    asked
}

struct Call<'a> {
    world: &'a World,
    request: &'a Request,
    operation: &'a str,
    params: Params,
}

impl Call<'_> {
    fn arn(&self, kind: &str, name: &str) -> String {
        if name.starts_with("arn:") {
            return name.to_owned();
        }
        // A global cluster belongs to no Region.
        let region = if kind == "global-cluster" { "" } else { self.request.region.as_str() };
        format!("arn:aws:rds:{region}:{}:{kind}:{name}", self.world.account)
    }

    /// Types and ARNs of the resources that the request names.
    fn named(&self) -> Vec<(&'static str, String)> {
        let mut named: Vec<(&'static str, String)> = NAMES
            .iter()
            .filter_map(|(param, kind)| Some((*kind, self.arn(kind, self.params.get(param)?))))
            .collect();
        let needed = NEVER_LEFT_OUT.iter().filter(|(operation, _)| *operation == self.operation);
        for kind in needed.flat_map(|(_, kinds)| *kinds) {
            if !named.iter().any(|(other, _)| other == kind) {
                named.push((kind, self.arn(kind, "default")));
            }
        }
        named
    }

    /// What is made with tags is tagged.
    fn tags(&self, named: &[(&str, String)], asked: &mut Vec<Asked>) {
        let made = match self.operation {
            "CreateDBCluster" => "cluster",
            "CreateDBInstance" => "db",
            "CreateGlobalCluster" => "global-cluster",
            "CreateDBClusterEndpoint" => "cluster-endpoint",
            _ => return,
        };
        if !self.params.has("Tags") {
            return;
        }
        for (_, resource) in named.iter().filter(|(kind, _)| *kind == made) {
            let tag = Asked::new("rds:AddTagsToResource", resource);
            asked.push(tag.because("it is made with tags"));
        }
    }

    /// A cluster that is deleted with a final snapshot is first copied, with its tags.
    fn snapshot(&self, named: &[(&str, String)], asked: &mut Vec<Asked>) {
        if self.operation != "DeleteDBCluster" || !self.params.has("FinalDBSnapshotIdentifier") {
            return;
        }
        for (_, resource) in named {
            for action in ["rds:CreateDBClusterSnapshot", "rds:AddTagsToResource"] {
                let copy = Asked::new(action, resource);
                asked.push(copy.because("a final snapshot is made, with the cluster's tags"));
            }
        }
    }

    /// A cluster's monitoring is its instances'.
    fn instances(&self, asked: &mut Vec<Asked>) {
        let changed = OF_INSTANCES.iter().any(|param| self.params.has(param));
        if self.operation != "ModifyDBCluster" || !changed {
            return;
        }
        let id = self.params.get("DBClusterIdentifier").unwrap_or_default();
        let here = self.world.rds.regions.get(&self.request.region);
        let all = here.into_iter().flat_map(|here| here.instances.values());
        for instance in all.filter(|instance| instance.cluster_id == id) {
            let modify = Asked::new("rds:ModifyDBInstance", self.arn("db", &instance.id));
            asked.push(modify.because("a cluster's monitoring is changed at its instances"));
        }
    }

    /// Roles that RDS, or its monitoring, is to take on.
    fn roles(&self, asked: &mut Vec<Asked>) {
        for (param, service) in [
            ("MonitoringRoleArn", "monitoring.rds.amazonaws.com"),
            ("DomainIAMRoleName", "rds.amazonaws.com"),
            ("RoleArn", "rds.amazonaws.com"),
        ] {
            let Some(role) = self.params.get(param) else { continue };
            let arn = match role {
                arn if arn.starts_with("arn:") => arn.to_owned(),
                name => format!("arn:aws:iam::{}:role/{name}", self.world.account),
            };
            let pass = Asked::new("iam:PassRole", arn);
            let pass = pass.key("iam:PassedToService", [service.to_owned()]);
            asked.push(pass.because("it hands a role on"));
        }
    }

    /// Keys that RDS is to encrypt with, in its caller's name.
    fn keys(&self, asked: &mut Vec<Asked>) {
        for param in ["KmsKeyId", "PerformanceInsightsKMSKeyId"] {
            let Some(key) = self.params.get(param) else { continue };
            let region = &self.request.region;
            let arn = match key {
                arn if arn.starts_with("arn:") => arn.to_owned(),
                id => format!("arn:aws:kms:{region}:{}:key/{id}", self.world.account),
            };
            let of = |action: &str| {
                let through = format!("rds.{region}.amazonaws.com");
                let asked = Asked::new(action, &arn).key("kms:ViaService", [through]);
                asked.because("RDS encrypts with a key in its caller's name")
            };
            asked.extend(KEYS.map(of));
            let lasting = of("kms:CreateGrant");
            asked.push(lasting.key("kms:GrantIsForAWSResource", ["true".to_owned()]));
        }
    }
}
