//! Random faults from the closed list.

use failback_sandbox::{Fault, Struck, Verb};
use rand::Rng;
use rand::rngs::SmallRng;

use super::worlds::pick;
use crate::lambda::mishap::{Mishap, Planned};

/// What goes wrong in one run.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    /// With calls of the API.
    pub calls: Vec<Fault>,
    /// With invocations.
    pub invocations: Vec<Planned>,
    /// A Region whose API fails for a while: when, for how long, and which, in milliseconds.
    pub impaired: Option<(i64, i64, &'static str)>,
    /// The execution is aborted then, in milliseconds.
    pub aborted_ms: Option<i64>,
    /// What is armed stays armed when the aborted run is started again.
    pub outlast_abortion: bool,
}

/// Operations that change something, and about how often a run calls each.
const CHANGES: [(&str, u32); 11] = [
    ("CreateGlobalCluster", 2),
    ("RemoveFromGlobalCluster", 3),
    ("DeleteGlobalCluster", 2),
    ("CreateDBCluster", 2),
    ("ModifyDBCluster", 6),
    ("DeleteDBCluster", 2),
    ("CreateDBInstance", 4),
    ("DeleteDBInstance", 4),
    ("ModifyDBInstance", 2),
    ("ReplaceNetworkAclAssociation", 12),
    ("ChangeResourceRecordSets", 2),
];

/// Operations that read, and about how often a run calls each.
const READS: [(&str, u32); 8] = [
    ("DescribeDBClusters", 150),
    ("DescribeDBInstances", 120),
    ("DescribeGlobalClusters", 120),
    ("DescribeDBClusterSnapshots", 20),
    ("DescribeNetworkAcls", 24),
    ("GetMetricData", 40),
    ("ListResourceRecordSets", 6),
    ("GetChange", 6),
];

/// What takes time, and so can be slow or stuck.
const STEPS: [&str; 8] = [
    "CreateGlobalCluster",
    "RemoveFromGlobalCluster",
    "DeleteGlobalCluster",
    "CreateDBCluster",
    "DeleteDBCluster",
    "CreateDBInstance",
    "DeleteDBInstance",
    "ChangeResourceRecordSets",
];

/// Functions that change something.
const ACTING: [&str; 13] = [
    "fence_writes",
    "lift_fence",
    "restore_network",
    "detach_member",
    "set_deletion_protection",
    "delete_instances",
    "delete_cluster",
    "delete_global_cluster",
    "create_global_cluster",
    "create_cluster",
    "create_instances",
    "configure_cluster",
    "cut_over_dns",
];

/// Draws what goes wrong.
pub fn draw(rng: &mut SmallRng) -> Faults {
    let mut faults = Faults::default();
    for _ in 0..rng.random_range(0..4) {
        faults.calls.push(of_a_call(rng));
    }
    for _ in 0..*pick(rng, &[0, 0, 1, 1, 2]) {
        faults.invocations.push(of_an_invocation(rng));
    }
    if rng.random_bool(0.12) {
        let region = *pick(rng, &["us-east-1", "us-west-2"]);
        let at_ms = rng.random_range(0..40 * 60_000);
        faults.impaired = Some((at_ms, rng.random_range(1..40) * 60_000, region));
    }
    if rng.random_bool(0.2) {
        faults.aborted_ms = Some(rng.random_range(0..40 * 60_000));
        faults.outlast_abortion = rng.random_bool(0.5);
    }
    faults
}

/// What only a fence by a security group calls, and about how often a run does.
const BY_GROUP: [(&str, u32); 3] =
    [("ModifyDBCluster", 3), ("RebootDBInstance", 4), ("DescribeDBInstances", 40)];

/// Functions that act only, or in another way, where the fence is a security group.
const ACTING_BY_GROUP: [&str; 4] =
    ["restart_instances", "restart_instances", "fence_writes", "lift_fence"];

/// Draws what goes wrong with a fence by a security group, beside the rest.
pub fn draw_by_group(faults: &mut Faults, rng: &mut SmallRng) {
    if rng.random_bool(0.4) {
        let (operation, often) = *pick(rng, &BY_GROUP);
        let verb = match rng.random_range(0..5) {
            0 => Verb::Throttle,
            1 => Verb::InternalError,
            2 => Verb::StaleRead { age_ms: rng.random_range(1_000..20_000) },
            3 => Verb::Slow { factor: f64::from(rng.random_range(2..7)) },
            _ => Verb::LoseReply,
        };
        let fault = Fault::next(verb, operation).after(rng.random_range(0..often));
        faults.calls.push(fault.repeated(rng.random_range(1..3)));
    }
    if rng.random_bool(0.3) {
        faults.invocations.push(Planned {
            mishap: mishap(rng),
            function: Some((*pick(rng, &ACTING_BY_GROUP)).to_owned()),
            skip: rng.random_range(0..6),
        });
    }
}

fn of_a_call(rng: &mut SmallRng) -> Fault {
    let (operation, often) =
        if rng.random_bool(0.6) { *pick(rng, &CHANGES) } else { *pick(rng, &READS) };
    let any = |verb| Fault::next(verb, operation);
    let skip = rng.random_range(0..often);
    match rng.random_range(0..8) {
        0 => any(Verb::Throttle).after(skip).repeated(rng.random_range(1..6)),
        1 => any(Verb::InternalError).after(skip).repeated(rng.random_range(1..6)),
        2 => any(Verb::LoseRequest).after(skip),
        3 => {
            let (operation, often) = *pick(rng, &CHANGES);
            Fault::next(Verb::LoseReply, operation).after(rng.random_range(0..often))
        }
        4 => {
            let (operation, often) = *pick(rng, &READS[..4]);
            let verb = Verb::StaleRead { age_ms: rng.random_range(1_000..20_000) };
            let times = rng.random_range(1..4);
            Fault::next(verb, operation).after(rng.random_range(0..often)).repeated(times)
        }
        5 => {
            let factor = f64::from(rng.random_range(2..7));
            Fault::next(Verb::Slow { factor }, pick::<&str>(rng, &STEPS))
                .after(rng.random_range(0..2))
        }
        6 => Fault::next(Verb::Stuck, pick::<&str>(rng, &STEPS)).after(rng.random_range(0..2)),
        _ => {
            let operation = *pick(rng, &["CreateDBCluster", "CreateDBInstance"]);
            let status = pick(rng, &["failed", "incompatible-network", "insufficient-capacity"]);
            let verb = Verb::Fail { status: (*status).to_owned() };
            Fault::next(verb, operation).after(rng.random_range(0..2))
        }
    }
}

fn of_an_invocation(rng: &mut SmallRng) -> Planned {
    let acting = rng.random_bool(0.8);
    Planned {
        mishap: mishap(rng),
        function: acting.then(|| (*pick(rng, &ACTING)).to_owned()),
        skip: if acting { rng.random_range(0..3) } else { rng.random_range(0..150) },
    }
}

fn mishap(rng: &mut SmallRng) -> Mishap {
    match rng.random_range(0..7) {
        0 => Mishap::CrashBefore,
        1 => Mishap::CrashAfter,
        2 => Mishap::KilledBefore,
        3 => Mishap::KilledAfter,
        4 => Mishap::Unanswered,
        5 => Mishap::Late { by_ms: rng.random_range(55_000..90_000) },
        _ => Mishap::Twice,
    }
}

/// The kind of a fault that met a call, as reports count it.
pub fn kind(struck: &Struck) -> &'static str {
    match struck.verb {
        _ if struck.wide => "region impaired",
        Verb::Throttle => "throttle",
        Verb::InternalError => "internal error",
        Verb::LoseRequest => "request lost",
        Verb::LoseReply => "reply lost",
        Verb::StaleRead { .. } => "stale read",
        Verb::Slow { .. } => "slow step",
        Verb::Stuck => "stuck step",
        Verb::Fail { .. } | Verb::FailForAWhile { .. } => "failed step",
        Verb::BackUpFirst => "backup in the way",
        Verb::Refuse { .. } => "refused",
    }
}
