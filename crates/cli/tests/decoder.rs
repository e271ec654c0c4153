//! Random requests: none of them may panic, and none that is refused may change anything.
//!
//! `FAILBACK_FUZZ_SEED` and `FAILBACK_FUZZ_REQUESTS` choose others than the usual ones.

mod served;

use std::sync::Arc;

use aws_smithy_cbor::Encoder;
use failback_sandbox::{Outcome, Sandbox, WorldSpec};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use served::signature;

const SEED: u64 = 2_026;
const REQUESTS: u64 = 4_000;

#[derive(Clone)]
struct Request {
    method: String,
    uri: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Request {
    fn new(method: &str, service: &str, uri: &str, body: impl Into<Vec<u8>>) -> Self {
        let headers = vec![("Authorization".to_owned(), signature(service, "us-east-1"))];
        Self { method: method.to_owned(), uri: uri.to_owned(), headers, body: body.into() }
    }
}

/// Calls of all four protocols, each of which a client may make of the workshop.
fn valid() -> Vec<Request> {
    let form = |service: &str, body: &str| Request::new("POST", service, "/", body);
    let home = "arn:aws:rds:us-east-1:123456789012:cluster:gdb1-cluster";
    let zone = "/2013-04-01/hostedzone/Z04873361KQ3ZLLX2R0JB";
    vec![
        form("rds", "Action=DescribeDBClusters&DBClusterIdentifier=gdb1-cluster&MaxRecords=20"),
        form(
            "rds",
            "Action=DescribeDBInstances&Filters.Filter.1.Name=db-cluster-id\
            &Filters.Filter.1.Values.Value.1=gdb1-cluster&Marker=0",
        ),
        form("rds", "Action=DescribeGlobalClusters&GlobalClusterIdentifier=reinvent-dat348-gdb"),
        form("rds", "Action=DescribeEvents&Duration=60&SourceType=db-cluster"),
        form("rds", &format!("Action=ListTagsForResource&ResourceName={home}")),
        form(
            "rds",
            &format!(
                "Action=AddTagsToResource&ResourceName={home}\
            &Tags.Tag.1.Key=a&Tags.Tag.1.Value=b"
            ),
        ),
        form(
            "rds",
            &format!(
                "Action=RemoveFromGlobalCluster&DbClusterIdentifier={home}\
            &GlobalClusterIdentifier=reinvent-dat348-gdb"
            ),
        ),
        form(
            "rds",
            "Action=CreateGlobalCluster&GlobalClusterIdentifier=new&Engine=aurora-mysql\
            &StorageEncrypted=true&DeletionProtection=false",
        ),
        form(
            "rds",
            "Action=ModifyDBCluster&DBClusterIdentifier=gdb1-cluster\
            &DeletionProtection=false&BackupRetentionPeriod=8&PreferredBackupWindow=01:00-02:00\
            &ServerlessV2ScalingConfiguration.MinCapacity=0.5&Port=3306&ApplyImmediately=true",
        ),
        form(
            "rds",
            "Action=CreateDBCluster&DBClusterIdentifier=new&Engine=aurora-mysql\
            &EngineVersion=8.0.mysql_aurora.3.08.0&MasterUsername=u&MasterUserPassword=p\
            &DBSubnetGroupName=gdb1-subnet-group&VpcSecurityGroupIds.VpcSecurityGroupId.1=\
            sg-0d1e2f3a4b5c6d7e8&StorageEncrypted=false",
        ),
        form(
            "rds",
            "Action=CreateDBInstance&DBInstanceIdentifier=new&Engine=aurora-mysql\
            &DBClusterIdentifier=gdb1-cluster&DBInstanceClass=db.r6g.large&PromotionTier=1\
            &MonitoringInterval=0",
        ),
        form("rds", "Action=DeleteDBInstance&DBInstanceIdentifier=gdb1-node1"),
        form(
            "rds",
            "Action=DeleteDBCluster&DBClusterIdentifier=gdb1-cluster\
            &FinalDBSnapshotIdentifier=last",
        ),
        form(
            "rds",
            "Action=ModifyGlobalCluster&GlobalClusterIdentifier=reinvent-dat348-gdb\
            &DeletionProtection=true&NewGlobalClusterIdentifier=renamed",
        ),
        form(
            "ec2",
            "Action=DescribeNetworkAcls&Filter.1.Name=vpc-id&Filter.1.Value.1=vpc-*\
            &MaxResults=5",
        ),
        form("ec2", "Action=DescribeSubnets&SubnetId.1=subnet-0a1b7c93d2e4f5061"),
        form(
            "ec2",
            "Action=ReplaceNetworkAclAssociation&AssociationId=aclassoc-1\
            &NetworkAclId=acl-0e5f1a37b6c8d9405&DryRun=false",
        ),
        form(
            "ec2",
            "Action=CreateTags&ResourceId.1=vpc-0a4d3c6e8f1b27590&Tag.1.Key=a\
            &Tag.1.Value=b",
        ),
        Request::new("GET", "route53", "/2013-04-01/hostedzone?maxitems=1", ""),
        Request::new("GET", "route53", &format!("{zone}/rrset?name=a&type=CNAME"), ""),
        Request::new("GET", "route53", "/2013-04-01/change/C1", ""),
        Request::new("POST", "route53", &format!("{zone}/rrset"), record_change()),
        Request::new("POST", "monitoring", "/service/G/operation/GetMetricData", metric_data()),
        Request::new("POST", "monitoring", "/service/G/operation/ListMetrics", [0xbf, 0xff]),
    ]
}

fn record_change() -> &'static str {
    r#"<ChangeResourceRecordSetsRequest xmlns="https://route53.amazonaws.com/doc/2013-04-01/">
    <ChangeBatch><Changes><Change><Action>UPSERT</Action><ResourceRecordSet>
    <Name>db-writer.workshop.internal</Name><Type>CNAME</Type><TTL>5</TTL><ResourceRecords>
    <ResourceRecord><Value>a.example.com</Value></ResourceRecord></ResourceRecords>
    </ResourceRecordSet></Change></Changes></ChangeBatch></ChangeResourceRecordSetsRequest>"#
}

fn metric_data() -> Vec<u8> {
    let mut e = Encoder::new(Vec::new());
    e.begin_map().str("StartTime").long(1_767_578_400_000).str("EndTime").long(1_767_582_000_000);
    e.str("MaxDatapoints").long(10).str("MetricDataQueries").begin_array().begin_map();
    e.str("Id").str("a").str("MetricStat").begin_map().str("Period").long(60).str("Stat").str("p9");
    e.str("Metric").begin_map().str("Namespace").str("AWS/RDS");
    e.str("MetricName").str("AuroraGlobalDBReplicationLag").str("Dimensions").begin_array();
    for (name, value) in [("DBClusterIdentifier", "gdb1-cluster"), ("SourceRegion", "us-west-2")] {
        e.begin_map().str("Name").str(name).str("Value").str(value).end();
    }
    e.end().end().end().end().end().end();
    e.into_writer()
}

/// Values that have broken parsers before.
const NASTY: [&str; 20] = [
    "",
    "-1",
    "0",
    "9223372036854775807",
    "-9223372036854775808",
    "18446744073709551615",
    "1e309",
    "NaN",
    "true",
    "null",
    "%00",
    "%ff%fe",
    "%F0%9F%92%A9",
    "arn:aws:rds:::cluster:",
    "::::::",
    "*",
    "99999999999:00-01:00",
    "-9999999:-9-",
    "points-18446744073709551615",
    "<a>&amp;]]>",
];

/// Another request, made of this one.
fn mutate(random: &mut StdRng, request: &mut Request) {
    match random.random_range(0..12) {
        0 => flip(random, &mut request.body),
        1 => {
            let length = random.random_range(0..=request.body.len());
            request.body.truncate(length);
        }
        2 => {
            let at = random.random_range(0..=request.body.len());
            let noise: Vec<u8> = (0..random.random_range(1..40)).map(|_| random.random()).collect();
            request.body.splice(at..at, noise);
        }
        3..=6 => change_a_value(random, &mut request.body),
        7 => {
            let other = valid();
            request.body = other.choose(random).expect("there are some").body.clone();
        }
        8 => {
            let service = ["rds", "ec2", "route53", "monitoring", "states", "", "rds/x"];
            let region = ["us-east-1", "us-west-2", "eu-west-1", "", "*"];
            let (service, region) = (pick(random, &service), pick(random, &region));
            request.headers = vec![("authorization".to_owned(), signature(service, region))];
        }
        9 => {
            let nasty = pick(random, &NASTY);
            request.headers = vec![
                ("Authorization".to_owned(), format!("Credential={nasty}/{nasty}/{nasty}")),
                (nasty.to_owned(), nasty.to_owned()),
            ];
        }
        10 => request.method = pick(random, &["GET", "POST", "PUT", "", "post"]).to_owned(),
        _ => {
            let mut uri = request.uri.clone().into_bytes();
            flip(random, &mut uri);
            request.uri = String::from_utf8_lossy(&uri).into_owned() + pick(random, &NASTY);
        }
    }
}

fn flip(random: &mut StdRng, bytes: &mut [u8]) {
    for _ in 0..random.random_range(1..4) {
        if let Some(at) = bytes.len().checked_sub(1) {
            bytes[random.random_range(0..=at)] ^= 1 << random.random_range(0..8);
        }
    }
}

/// Puts a nasty value in place of what stands between `=` and `&`, or between two tags.
fn change_a_value(random: &mut StdRng, body: &mut Vec<u8>) {
    let begins = |byte: u8| byte == b'=' || byte == b'>';
    let starts: Vec<usize> = (0..body.len()).filter(|at| begins(body[*at])).collect();
    let Some(start) = starts.choose(random).map(|at| at + 1) else { return };
    let length = body[start..].iter().position(|byte| *byte == b'&' || *byte == b'<');
    let end = length.map_or(body.len(), |length| start + length);
    let mut value = pick(random, &NASTY).as_bytes().to_vec();
    if random.random_bool(0.1) {
        value = value.repeat(random.random_range(1..2_000));
    }
    body.splice(start..end, value);
}

fn pick<'a>(random: &mut StdRng, from: &[&'a str]) -> &'a str {
    from.choose(random).copied().unwrap_or_default()
}

fn chosen(variable: &str, usual: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

fn workshop(seed: u64) -> Sandbox {
    let mut world = WorldSpec::workshop();
    world.clients.clear();
    Sandbox::new(&world, seed, Arc::new(|| 1_767_582_000_000)).unwrap()
}

fn answer(sandbox: &Sandbox, request: &Request) -> Option<u16> {
    let Request { method, uri, headers, body } = request.clone();
    match sandbox.handle(&method, &uri, headers, body) {
        Outcome::Answered(response) => Some(response.status),
        Outcome::ConnectionBroken => None,
    }
}

#[test]
fn valid_requests_are_understood() {
    let sandbox = workshop(1);
    for request in valid() {
        let status = answer(&sandbox, &request).expect("an answer");
        assert!(status < 500, "{} {}", request.uri, String::from_utf8_lossy(&request.body));
    }
}

#[test]
fn random_request_never_panics_and_a_refused_one_changes_nothing() {
    let seed = chosen("FAILBACK_FUZZ_SEED", SEED);
    println!("FAILBACK_FUZZ_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let valid = valid();
    let mut sandbox = workshop(seed);
    let mut before = sandbox.fingerprint();
    let (mut accepted, mut changed) = (0_u64, 0_u64);
    for n in 0..chosen("FAILBACK_FUZZ_REQUESTS", REQUESTS) {
        let mut request = valid.choose(&mut random).expect("there are some").clone();
        for _ in 0..random.random_range(1..4) {
            mutate(&mut random, &mut request);
        }
        let status = answer(&sandbox, &request).expect("no fault breaks a connection here");
        let after = sandbox.fingerprint();
        let body = String::from_utf8_lossy(&request.body);
        assert!(status < 500, "request {n}: {status} {} {} {body}", request.method, request.uri);
        let same = after == before;
        assert!(same || status == 200, "request {n} was refused and changed the world: {body}");
        let reads = ["Action=Describe", "Action=List"].iter().any(|read| body.starts_with(read));
        assert!(same || !reads, "request {n} reads and changed the world: {body}");
        accepted += u64::from(status == 200);
        if !same {
            changed += 1;
            // From the workshop again, so that there is always something to break.
            sandbox = workshop(seed);
            before = sandbox.fingerprint();
        }
    }
    println!("{accepted} accepted, {changed} of them changed the world");
    assert!(accepted > 0 && changed > 0, "the mutations are too wild to find anything");
}

#[test]
fn request_that_nests_without_end_is_refused() {
    let sandbox = workshop(1);
    let metrics = "/service/G/operation/GetMetricData";
    for byte in [0x81, 0x9f, 0xbf, 0xc1, 0xd8] {
        let nested = vec![byte; 1_000_000];
        let status = answer(&sandbox, &Request::new("POST", "monitoring", metrics, nested));
        assert_eq!(status, Some(400), "{byte:#x}");
    }
    let xml = "<a>".repeat(300_000);
    let records = "/2013-04-01/hostedzone/Z04873361KQ3ZLLX2R0JB/rrset";
    assert_eq!(answer(&sandbox, &Request::new("POST", "route53", records, xml)), Some(400));
    let stars = format!(
        "Action=DescribeVpcs&Filter.1.Name=vpc-id&Filter.1.Value.1={}",
        "*a".repeat(400_000)
    );
    assert_eq!(answer(&sandbox, &Request::new("POST", "ec2", "/", stars)), Some(200));
}

#[test]
fn metrics_of_all_time_are_answered_at_once() {
    let sandbox = workshop(1);
    for (start, end, period) in
        [(i64::MIN, i64::MAX, i64::MAX), (0, 1, 60), (i64::MAX - 1, i64::MAX, 1)]
    {
        let mut e = Encoder::new(Vec::new());
        e.begin_map().str("StartTime").long(start).str("EndTime").long(end);
        e.str("MetricDataQueries").begin_array().begin_map().str("Id").str("a").str("MetricStat");
        e.begin_map().str("Period").long(period / 60 * 60).str("Stat").str("Maximum");
        e.str("Metric").begin_map().str("Namespace").str("AWS/RDS");
        e.str("MetricName").str("AuroraGlobalDBReplicationLag").end().end().end().end().end();
        let body = e.into_writer();
        let metrics = "/service/G/operation/GetMetricData";
        let status = answer(&sandbox, &Request::new("POST", "monitoring", metrics, body));
        assert!(matches!(status, Some(200 | 400)), "{status:?}");
    }
}
