//! Clusters in which every setting that can be chosen was chosen.

use std::collections::BTreeMap;

use failback_sandbox::rds::settings::{
    ClusterSettings, Domain, InstanceSettings, Monitoring, PerformanceInsights, Role, ServerlessV2,
};
use failback_sandbox::spec::{
    ClusterSpec, CustomEndpointSpec, InstanceSpec, SecurityGroupSpec, SubnetGroupSpec,
};
use serde_json::json;

use super::given::Given;
use super::{AWAY, HOME};

/// A cluster of each Region that was given nothing, to tell what was chosen from what is usual.
pub const PLAIN: &str = "plain";

/// The workshop with three instances at home, two away, and no setting left as it usually is.
pub fn rich() -> Given {
    let mut given = Given::workshop();
    // They connect to the usual port.
    given.world.clients.clear();
    for (side, number, region, instances) in [("home", 1, HOME, 3), ("away", 2, AWAY, 2)] {
        enrich(&mut given, number, region, instances);
        add_plain(&mut given, region);
        let ids = (1..=instances).map(|i| json!({ "id": format!("gdb{number}-restored{i}") }));
        given.input[side]["restored_instances"] = ids.collect();
    }
    given.add_secrets();
    given.add_weighted_name();
    // The stale cluster is behind: what is rebuilt must have the writer's version.
    given.cluster(AWAY).engine_version = "8.0.mysql_aurora.3.08.1".to_owned();
    given
}

fn enrich(given: &mut Given, number: i32, region: &str, instances: i32) {
    let group = SecurityGroupSpec {
        id: format!("sg-0{number}"),
        name: format!("gdb{number}-reporting"),
        ingress: Vec::new(),
        tags: BTreeMap::new(),
    };
    given.vpc(region).security_groups.push(group);
    given.region(region).option_groups.push(format!("gdb{number}-options"));
    let insights_key = given.region(region).kms_keys[1].clone();
    let cluster = given.cluster(region);
    enrich_cluster(&mut cluster.settings, number);
    let node = |i: i32| format!("gdb{number}-node{i}");
    cluster.instances = (1..=instances)
        .map(|i| InstanceSpec {
            id: node(i),
            settings: instance(number, i, i == instances, &insights_key, region),
        })
        .collect();
    let endpoint =
        |name: &str, kind: &str, only: &[String], without: &[String]| CustomEndpointSpec {
            id: format!("gdb{number}-{name}"),
            endpoint_type: kind.to_owned(),
            static_members: only.to_vec(),
            excluded_members: without.to_vec(),
        };
    cluster.custom_endpoints = vec![
        endpoint("reporting", "READER", &[node(2)], &[]),
        endpoint("rest", "ANY", &[], &[node(1)]),
    ];
}

fn enrich_cluster(settings: &mut ClusterSettings, number: i32) {
    settings.security_groups.push(format!("sg-0{number}"));
    settings.port = 3306 + number;
    settings.option_group = Some(format!("gdb{number}-options"));
    settings.storage_type = Some("aurora-iopt1".to_owned());
    settings.iam_authentication = true;
    settings.http_endpoint = true;
    settings.network_type = "DUAL".to_owned();
    settings.serverless_v2 = Some(ServerlessV2 {
        min_capacity: 0.5 * f64::from(number),
        max_capacity: 16.0 * f64::from(number),
        seconds_until_auto_pause: Some(600 * number),
    });
    let insights = settings.performance_insights.as_mut().expect("the workshop has it");
    insights.retention_days = [465, 731][usize::from(number == 2)];
    settings.database_insights_mode = Some("advanced".to_owned());
    settings.domain = Some(Domain {
        id: format!("d-900000000{number}"),
        role_name: format!("gdb{number}-directory"),
    });
    settings.roles.push(Role {
        arn: format!("arn:aws:iam::123456789012:role/gdb{number}-lambda"),
        feature: Some("Lambda".to_owned()),
    });
    settings.local_write_forwarding = true;
}

fn instance(
    number: i32,
    i: i32,
    serverless: bool,
    insights_key: &str,
    region: &str,
) -> InstanceSettings {
    let zone = ["a", "b", "c"][usize::try_from(i - 1).expect("from 1")];
    let class = ["db.r6g.4xlarge", "db.r6g.8xlarge"][usize::from(number == 2)];
    InstanceSettings {
        class: if serverless { "db.serverless" } else { class }.to_owned(),
        parameter_group: format!("gdb{number}-node-mysql8"),
        availability_zone: Some(format!("{region}{zone}")),
        promotion_tier: 1 + number + i,
        publicly_accessible: true,
        auto_minor_version_upgrade: false,
        maintenance_window: format!("tue:0{number}:0{i}-tue:0{number}:3{i}"),
        monitoring: Some(Monitoring {
            interval_s: [5, 10][usize::from(number == 2)],
            role_arn: format!("arn:aws:iam::123456789012:role/gdb{number}-node{i}-monitoring"),
        }),
        performance_insights: Some(PerformanceInsights {
            kms_key: Some(insights_key.to_owned()),
            retention_days: 31 * (number + i),
        }),
        ca_certificate: ["rds-ca-rsa4096-g1", "rds-ca-ecc384-g1"][usize::from(number == 2)]
            .to_owned(),
        copy_tags_to_snapshot: true,
        tags: BTreeMap::from([("node".to_owned(), format!("{number}-{i}"))]),
        network_type: "DUAL".to_owned(),
    }
}

fn add_plain(given: &mut Given, region: &str) {
    let subnets = given.region(region).subnet_groups[0].subnets.clone();
    let groups = &mut given.region(region).subnet_groups;
    groups.push(SubnetGroupSpec {
        name: format!("{PLAIN}-subnet-group"),
        description: String::new(),
        subnets,
    });
    let default = "default.aurora-mysql8.0".to_owned();
    let plain = ClusterSpec {
        id: PLAIN.to_owned(),
        kms_key: None,
        settings: ClusterSettings {
            parameter_group: default.clone(),
            subnet_group: format!("{PLAIN}-subnet-group"),
            ..ClusterSettings::default()
        },
        instances: vec![InstanceSpec {
            id: format!("{PLAIN}-node"),
            settings: InstanceSettings { parameter_group: default, ..InstanceSettings::default() },
        }],
        custom_endpoints: Vec::new(),
        ..given.cluster(region).clone()
    };
    given.region(region).clusters.push(plain);
}
