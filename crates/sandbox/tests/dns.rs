//! Route 53 through the unchanged SDK, and the resolvers of clients.

mod network_support;

use aws_sdk_route53::Client;
use aws_sdk_route53::error::ProvideErrorMetadata;
use aws_sdk_route53::types::{
    Change, ChangeAction, ChangeBatch, ChangeInfo, ChangeStatus, ResourceRecord, ResourceRecordSet,
    RrType,
};
use failback_sandbox::dns::Resolver;
use failback_sandbox::{Behaviour, ClientLocation, Fault, Verb};
use network_support::{AWAY, HOME, Lab, NAME, ZONE, sdk, world};
use serde_json::{Value, json};

const OLD: &str = "gdb2.cluster-";
const NEW: &str = "new.cluster-x.us-east-1.rds.amazonaws.com";

fn record(name: &str, kind: RrType, ttl_s: i64, values: &[&str]) -> ResourceRecordSet {
    let values = values.iter().map(|v| ResourceRecord::builder().value(*v).build().unwrap());
    let record = ResourceRecordSet::builder().name(name).r#type(kind).ttl(ttl_s);
    record.set_resource_records(Some(values.collect())).build().unwrap()
}

fn cname(name: &str, value: &str) -> ResourceRecordSet {
    record(name, RrType::Cname, 60, &[value])
}

fn change(action: ChangeAction, record: ResourceRecordSet) -> Change {
    Change::builder().action(action).resource_record_set(record).build().unwrap()
}

/// Sends a batch; a refusal comes back as code and message.
async fn send(
    route53: &Client,
    zone: &str,
    changes: Vec<Change>,
) -> Result<ChangeInfo, (String, String)> {
    let batch = ChangeBatch::builder().set_changes(Some(changes)).build().unwrap();
    let call = route53.change_resource_record_sets().hosted_zone_id(zone).change_batch(batch);
    match call.send().await {
        Ok(answer) => Ok(answer.change_info().unwrap().clone()),
        Err(error) => Err((
            error.code().unwrap_or_default().to_owned(),
            error.message().unwrap_or_default().to_owned(),
        )),
    }
}

async fn upsert(route53: &Client, record: ResourceRecordSet) -> ChangeInfo {
    send(route53, ZONE, vec![change(ChangeAction::Upsert, record)]).await.unwrap()
}

async fn status(route53: &Client, change: &ChangeInfo) -> ChangeStatus {
    let answer = route53.get_change().id(change.id()).send().await.unwrap();
    answer.change_info().unwrap().status().clone()
}

/// The records of the zone as `name type value`, without NS and SOA.
async fn records(route53: &Client) -> Vec<String> {
    let answer = route53.list_resource_record_sets().hosted_zone_id(ZONE).send().await.unwrap();
    let shown = answer
        .resource_record_sets()
        .iter()
        .filter(|r| !matches!(r.r#type(), RrType::Ns | RrType::Soa));
    shown
        .map(|r| format!("{} {} {}", r.name(), r.r#type(), r.resource_records()[0].value()))
        .collect()
}

fn at_home() -> ClientLocation {
    let ip = "10.1.20.5".parse().unwrap();
    ClientLocation { region: HOME.to_owned(), vpc: "vpc-0000000000000e000".to_owned(), ip }
}

fn resolve(lab: &Lab, resolver: &mut Resolver, from: &ClientLocation) -> Option<String> {
    lab.sandbox.with_world(|world| resolver.resolve(&world.dns, from, NAME, world.now_ms))
}

#[tokio::test]
async fn change_is_pending_for_up_to_a_minute_and_shown_at_once() {
    let lab = Lab::new(world());
    let route53 = sdk!(aws_sdk_route53, lab, HOME);

    let pending = upsert(&route53, cname(NAME, NEW)).await;

    assert_eq!(pending.status(), &ChangeStatus::Pending);
    assert_eq!(records(&route53).await, [format!("{NAME}. CNAME {NEW}")]);
    lab.wait_s(10);
    assert_eq!(status(&route53, &pending).await, ChangeStatus::Pending);
    lab.wait_s(50);
    assert_eq!(status(&route53, &pending).await, ChangeStatus::Insync);
}

#[tokio::test]
async fn name_servers_answer_with_the_new_value_only_once_in_sync() {
    let lab = Lab::new(world());
    let route53 = sdk!(aws_sdk_route53, lab, HOME);

    upsert(&route53, cname(NAME, NEW)).await;

    let fresh = || resolve(&lab, &mut Resolver::new(0), &at_home()).unwrap();
    assert!(fresh().starts_with(OLD));
    lab.wait_s(60);
    assert_eq!(fresh(), NEW);
}

#[tokio::test]
async fn name_servers_may_answer_early_when_told_so() {
    let lab = Lab::new(world());
    let behaviour = Behaviour { dns_served_before_sync: true, ..Behaviour::default() };
    lab.sandbox.set_behaviour(behaviour);
    let route53 = sdk!(aws_sdk_route53, lab, HOME);

    let pending = upsert(&route53, cname(NAME, NEW)).await;

    assert_eq!(pending.status(), &ChangeStatus::Pending);
    assert_eq!(resolve(&lab, &mut Resolver::new(0), &at_home()).unwrap(), NEW);
}

#[tokio::test]
async fn resolver_keeps_the_old_answer_for_the_ttl_after_the_change_is_in_sync() {
    let lab = Lab::new(world());
    let route53 = sdk!(aws_sdk_route53, lab, HOME);
    let mut cached = Resolver::new(0);
    let mut stubborn = Resolver::new(600_000);
    upsert(&route53, cname(NAME, NEW)).await;
    lab.wait_s(20);

    assert!(resolve(&lab, &mut cached, &at_home()).unwrap().starts_with(OLD));
    assert!(resolve(&lab, &mut stubborn, &at_home()).unwrap().starts_with(OLD));
    lab.wait_s(59);
    assert!(resolve(&lab, &mut cached, &at_home()).unwrap().starts_with(OLD));
    lab.wait_s(1);
    assert_eq!(resolve(&lab, &mut cached, &at_home()).unwrap(), NEW);
    assert!(resolve(&lab, &mut stubborn, &at_home()).unwrap().starts_with(OLD));
}

#[tokio::test]
async fn change_that_is_stuck_stays_pending_and_holds_up_no_later_one() {
    let lab = Lab::new(world());
    let route53 = sdk!(aws_sdk_route53, lab, HOME);
    lab.sandbox.inject(Fault::next(Verb::Stuck, "ChangeResourceRecordSets"));

    let stuck = upsert(&route53, cname(NAME, NEW)).await;
    let later = upsert(&route53, cname(NAME, "later.example.org")).await;
    lab.wait_s(24 * 3_600);

    assert_eq!(status(&route53, &stuck).await, ChangeStatus::Pending);
    assert_eq!(status(&route53, &later).await, ChangeStatus::Insync);
    let answer = resolve(&lab, &mut Resolver::new(0), &at_home());
    assert_eq!(answer.as_deref(), Some("later.example.org"));
}

#[tokio::test]
async fn batch_that_breaks_a_rule_is_refused_whole() {
    use ChangeAction::{Create, Delete, Upsert};
    let lab = Lab::new(world());
    let route53 = sdk!(aws_sdk_route53, lab, HOME);
    let before = records(&route53).await;
    let address = |name: &str| record(name, RrType::A, 60, &["10.0.0.1"]);

    for (broken, message) in [
        (change(Upsert, cname("example.internal", NEW)), "apex"),
        (change(Upsert, address(NAME)), "conflicts with other records"),
        (change(Delete, cname(NAME, "other.example.com")), "do not match the current values"),
        (change(Delete, cname("gone.example.internal", NEW)), "it was not found"),
        (change(Create, cname(NAME, NEW)), "it already exists"),
        (
            change(Upsert, record("two.example.internal", RrType::Cname, 60, &["a.com", "b.com"])),
            "more than one value",
        ),
        (change(Upsert, cname("orders.example.com", NEW)), "is not permitted in zone"),
    ] {
        let sound = change(Create, address("sound.example.internal"));
        let (code, said) = send(&route53, ZONE, vec![sound, broken]).await.unwrap_err();
        assert_eq!(code, "InvalidChangeBatch", "{said}");
        assert!(said.contains(message), "{said}");
    }

    assert_eq!(records(&route53).await, before);
}

#[tokio::test]
async fn cname_may_replace_an_address_within_one_batch() {
    let lab = Lab::new(world());
    let route53 = sdk!(aws_sdk_route53, lab, HOME);
    let name = "reports.example.internal";
    let address = record(name, RrType::A, 60, &["10.0.0.1"]);
    upsert(&route53, address.clone()).await;

    let swap =
        vec![change(ChangeAction::Delete, address), change(ChangeAction::Create, cname(name, NEW))];
    send(&route53, ZONE, swap).await.unwrap();

    assert!(records(&route53).await.contains(&format!("{name}. CNAME {NEW}")));
}

#[tokio::test]
async fn delete_takes_the_exact_record_away() {
    let lab = Lab::new(world());
    let route53 = sdk!(aws_sdk_route53, lab, HOME);
    upsert(&route53, cname(NAME, NEW)).await;

    let other_ttl = record(NAME, RrType::Cname, 30, &[NEW]);
    let refused = send(&route53, ZONE, vec![change(ChangeAction::Delete, other_ttl)]).await;
    assert_eq!(refused.unwrap_err().0, "InvalidChangeBatch");
    send(&route53, ZONE, vec![change(ChangeAction::Delete, cname(NAME, NEW))]).await.unwrap();

    assert!(records(&route53).await.is_empty());
    lab.wait_s(61);
    assert_eq!(resolve(&lab, &mut Resolver::new(0), &at_home()), None);
}

#[tokio::test]
async fn identifier_that_does_not_match_makes_a_second_record() {
    let lab = Lab::new(world());
    let route53 = sdk!(aws_sdk_route53, lab, HOME);
    let weighted = |name: &str, identifier: &str, weight: i64| {
        let value = format!("{identifier}.example.com");
        let plain = cname(name, &value);
        ResourceRecordSet::builder()
            .name(name)
            .r#type(RrType::Cname)
            .ttl(60)
            .set_identifier(identifier)
            .weight(weight)
            .set_resource_records(Some(plain.resource_records().to_vec()))
            .build()
            .unwrap()
    };
    let name = "shared.example.internal";

    upsert(&route53, weighted(name, "home", 10)).await;
    upsert(&route53, weighted(name, "away", 20)).await;
    let mixed =
        send(&route53, ZONE, vec![change(ChangeAction::Upsert, weighted(NAME, "home", 10))]);

    assert_eq!(mixed.await.unwrap_err().0, "InvalidChangeBatch");
    let answer = route53.list_resource_record_sets().hosted_zone_id(ZONE).send().await.unwrap();
    let shared: Vec<(&str, i64)> = answer
        .resource_record_sets()
        .iter()
        .filter(|r| r.name() == format!("{name}."))
        .map(|r| (r.set_identifier().unwrap(), r.weight().unwrap()))
        .collect();
    assert_eq!(shared, [("away", 20), ("home", 10)]);
}

#[tokio::test]
async fn what_does_not_exist_is_refused_by_its_own_code() {
    let lab = Lab::new(world());
    let route53 = sdk!(aws_sdk_route53, lab, HOME);
    let batch = vec![change(ChangeAction::Upsert, cname(NAME, NEW))];

    assert_eq!(send(&route53, "ZGONE", batch).await.unwrap_err().0, "NoSuchHostedZone");
    let zone = route53.get_hosted_zone().id("ZGONE").send().await;
    assert_eq!(zone.unwrap_err().code(), Some("NoSuchHostedZone"));
    let list = route53.list_resource_record_sets().hosted_zone_id("ZGONE").send().await;
    assert_eq!(list.unwrap_err().code(), Some("NoSuchHostedZone"));
    let change = route53.get_change().id("C0").send().await;
    assert_eq!(change.unwrap_err().code(), Some("NoSuchChange"));
}

#[tokio::test]
async fn zone_that_is_still_busy_refuses_the_next_batch() {
    let lab = Lab::new(world());
    lab.sandbox.set_behaviour(Behaviour { dns_busy_ms: 5_000, ..Behaviour::default() });
    let route53 = sdk!(aws_sdk_route53, lab, HOME);
    let batch = || vec![change(ChangeAction::Upsert, cname(NAME, NEW))];

    send(&route53, ZONE, batch()).await.unwrap();
    let second = send(&route53, ZONE, batch()).await;
    lab.wait_s(5);
    let third = send(&route53, ZONE, batch()).await;

    assert_eq!(second.unwrap_err().0, "PriorRequestNotComplete");
    assert!(third.is_ok());
}

#[tokio::test]
async fn records_are_listed_from_the_right_and_over_pages() {
    let lab = Lab::new(world());
    let route53 = sdk!(aws_sdk_route53, lab, HOME);
    for name in ["z.example.internal", "a.orders.example.internal", "b.example.internal"] {
        upsert(&route53, cname(name, NEW)).await;
    }

    let mut names = Vec::new();
    let mut call = route53.list_resource_record_sets().hosted_zone_id(ZONE).max_items(2);
    loop {
        let page = call.send().await.unwrap();
        names.extend(page.resource_record_sets().iter().map(|r| r.name().to_owned()));
        if !page.is_truncated() {
            break;
        }
        call = route53
            .list_resource_record_sets()
            .hosted_zone_id(ZONE)
            .max_items(2)
            .set_start_record_name(page.next_record_name().map(str::to_owned))
            .set_start_record_type(page.next_record_type().cloned());
    }

    let expected = [
        "example.internal.",
        "example.internal.",
        "b.example.internal.",
        "orders.example.internal.",
        "a.orders.example.internal.",
        "z.example.internal.",
    ];
    assert_eq!(names, expected);
}

/// The world with a public zone of the private one's name, and one that sorts before both.
fn with_public_zones() -> Value {
    let mut world = world();
    let zones = world["hosted_zones"].as_array_mut().unwrap();
    let record =
        json!({"name": NAME, "type": "CNAME", "ttl_s": 60, "values": ["public.example.org"]});
    zones.push(json!({"id": "ZPUBLIC1", "name": "example.internal.", "records": [record]}));
    zones.push(json!({"id": "ZPUBLIC2", "name": "example.com"}));
    world
}

#[tokio::test]
async fn zones_are_found_by_name_and_say_whether_they_are_private() {
    let lab = Lab::new(with_public_zones());
    let route53 = sdk!(aws_sdk_route53, lab, HOME);

    let call = route53.list_hosted_zones_by_name().dns_name("example.internal");
    let found = call.send().await.unwrap();
    let one = route53.list_hosted_zones_by_name().max_items(1).send().await.unwrap();
    let private = route53.get_hosted_zone().id(ZONE).send().await.unwrap();

    let is_private = |zone: &aws_sdk_route53::types::HostedZone| {
        (zone.id().to_owned(), zone.config().unwrap().private_zone())
    };
    let found: Vec<_> = found.hosted_zones().iter().map(is_private).collect();
    let expected =
        [(format!("/hostedzone/{ZONE}"), true), ("/hostedzone/ZPUBLIC1".to_owned(), false)];
    assert_eq!(found, expected);
    assert_eq!(one.hosted_zones()[0].name(), "example.com.");
    assert_eq!(one.next_hosted_zone_id(), Some(ZONE));
    assert_eq!(private.vpcs().len(), 2);
}

#[test]
fn private_zone_is_seen_from_its_vpcs_only() {
    let lab = Lab::new(with_public_zones());
    let outside = ClientLocation { vpc: "vpc-elsewhere".to_owned(), ..at_home() };

    assert!(resolve(&lab, &mut Resolver::new(0), &at_home()).unwrap().starts_with(OLD));
    assert_eq!(resolve(&lab, &mut Resolver::new(0), &outside).unwrap(), "public.example.org");
}

#[tokio::test]
async fn zone_is_the_same_from_every_region() {
    let lab = Lab::new(world());

    upsert(&sdk!(aws_sdk_route53, lab, AWAY), cname(NAME, NEW)).await;

    let home = sdk!(aws_sdk_route53, lab, HOME);
    assert_eq!(records(&home).await, [format!("{NAME}. CNAME {NEW}")]);
}

/// A public zone with a record that stands alone.
fn with_public_zone(mut world: Value) -> Value {
    let record = json!({"name": "db.example.com", "type": "CNAME", "ttl_s": 5, "values": [OLD]});
    let zone = json!({"id": "ZPUBLIC1", "name": "example.com", "records": [record]});
    world["hosted_zones"].as_array_mut().unwrap().push(zone);
    world
}

#[tokio::test]
async fn name_servers_of_a_public_zone_can_be_asked_and_those_of_a_private_one_cannot() {
    let lab = Lab::new(with_public_zone(world()));
    let route53 = sdk!(aws_sdk_route53, lab, HOME);
    let ask = |zone: &str, name: &str| {
        let call = route53.test_dns_answer().hosted_zone_id(zone).record_name(name);
        call.record_type(RrType::Cname).send()
    };
    let moved = record("db.example.com", RrType::Cname, 5, &[NEW]);
    send(&route53, "ZPUBLIC1", vec![change(ChangeAction::Upsert, moved)]).await.unwrap();

    let at_once = ask("ZPUBLIC1", "db.example.com").await.unwrap();
    lab.wait_s(60);
    let later = ask("ZPUBLIC1", "db.example.com").await.unwrap();
    let nothing = ask("ZPUBLIC1", "no.example.com").await.unwrap();
    let private = ask(ZONE, NAME).await.unwrap_err();

    assert_eq!(at_once.record_data(), [OLD], "what the servers know, not what the API shows");
    assert_eq!(later.record_data(), [NEW]);
    assert_eq!((nothing.response_code(), nothing.record_data().len()), ("NXDOMAIN", 0));
    assert_eq!(private.code(), Some("InvalidInput"));
    assert!(
        lab.sandbox
            .take_calls()
            .iter()
            .all(|call| call.mutating == (call.operation != "TestDNSAnswer"))
    );
}

#[tokio::test]
async fn weighted_records_of_a_group_have_the_same_time_to_live() {
    let mut spec = world();
    let record = |id: &str, weight: u8| {
        json!({"name": "w.example.internal", "type": "CNAME", "ttl_s": 60, "values": [OLD],
               "set_identifier": id, "routing": {"weight": weight}, "health_check_id": "check"})
    };
    let records = spec["hosted_zones"][0]["records"].as_array_mut().unwrap();
    records.extend([record("blue", 10), record("green", 0)]);
    let lab = Lab::new(spec);
    let route53 = sdk!(aws_sdk_route53, lab, HOME);
    let list = route53.list_resource_record_sets().hosted_zone_id(ZONE);
    let listed = list.send().await.unwrap().resource_record_sets;
    let mut blue = listed.into_iter().find(|r| r.set_identifier() == Some("blue")).unwrap();
    assert_eq!((blue.weight(), blue.health_check_id()), (Some(10), Some("check")));

    blue.ttl = Some(5);
    let refused = send(&route53, ZONE, vec![change(ChangeAction::Upsert, blue.clone())]).await;
    blue.ttl = Some(60);
    blue.resource_records = Some(vec![ResourceRecord::builder().value(NEW).build().unwrap()]);
    send(&route53, ZONE, vec![change(ChangeAction::Upsert, blue)]).await.unwrap();

    let (code, message) = refused.unwrap_err();
    assert_eq!(code, "InvalidChangeBatch");
    assert!(message.contains("same TTL"), "{message}");
}
