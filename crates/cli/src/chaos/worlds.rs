//! Random worlds: what a failback may meet when it begins.

use failback_sandbox::rds::Membership;
use failback_sandbox::spec::{ClusterSpec, InstanceSpec, MemberSpec, SecretSpec, SnapshotSpec};
use failback_sandbox::{Behaviour, World};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};

use super::names::THIRD;
use crate::approver::Approver;
use crate::drill::Setup;

/// The port of clusters that are none of the run's business: clients cannot reach it, so that such
/// a cluster is never taken for a second one that is written to.
const BYSTANDER_PORT: i32 = 3307;

/// A world that has to be refused at first.
#[derive(Debug, Clone, Copy)]
pub struct Refused {
    /// Words of the refusal.
    pub words: &'static str,
    /// What the operator then puts right; nothing can be done when absent.
    pub remedy: Option<fn(&mut World, &mut Value)>,
}

/// A world, a request, and what is peculiar about them.
#[derive(Debug, Clone)]
pub struct Scene {
    /// The world as a file could describe it, and the request.
    pub setup: Setup,
    /// How the services behave.
    pub behaviour: Behaviour,
    /// What no file can say.
    pub at_start: Vec<fn(&mut World)>,
    /// What is peculiar, for the trace.
    pub traits: Vec<String>,
    /// Why it has to be refused, if it has.
    pub refused: Option<Refused>,
    /// A managed failover was made, and home has rejoined as a reader.
    pub rejoined: bool,
    /// Who answers when the first run asks.
    pub approver: Approver,
    /// A side is fenced by a security group.
    pub by_group: bool,
}

/// Draws a world.
pub fn draw(seed: u64, rng: &mut SmallRng) -> Scene {
    let mut scene = Scene {
        setup: Setup::workshop(seed),
        behaviour: Behaviour::default(),
        at_start: Vec::new(),
        traits: Vec::new(),
        refused: None,
        rejoined: false,
        approver: Approver::Auto,
        by_group: false,
    };
    clients(&mut scene, rng);
    instances(&mut scene, rng);
    third_region(&mut scene, rng);
    bystanders(&mut scene);
    snapshots(&mut scene, rng);
    protection(&mut scene, rng);
    approvals(&mut scene, rng);
    former(&mut scene, rng);
    behaviour(&mut scene, rng);
    applications(&mut scene, seed);
    secrets(&mut scene, seed);
    scene
}

/// Some worlds have applications with data sources of their own. Drawn apart, so that everything else
/// of a world is as it would be without them.
fn applications(scene: &mut Scene, seed: u64) {
    let mut rng = SmallRng::seed_from_u64(seed.rotate_left(17));
    if !rng.random_bool(0.2) {
        return;
    }
    let example = include_str!("../../../../statemachine/examples/superset.json");
    let example: Value = serde_json::from_str(example).expect("the shipped example is JSON");
    scene.setup.input["endpoints"]["superset"] = example["endpoints"]["superset"].clone();
    if rng.random_bool(0.3) {
        let last = &mut scene.setup.input["endpoints"]["superset"][1]["data_sources"][1];
        *last = json!({ "name": last["name"], "remove": true });
    }
    scene.traits.push("applications with data sources of their own".to_owned());
}

/// In some worlds applications read in a secret where the database is. Drawn apart, too.
fn secrets(scene: &mut Scene, seed: u64) {
    let mut rng = SmallRng::seed_from_u64(seed.rotate_left(29));
    if !rng.random_bool(0.2) {
        return;
    }
    let Setup { world, input, .. } = &mut scene.setup;
    let cluster = world.regions[1].clusters[0].id.clone();
    let away = format!("{}/{cluster}", world.regions[1].name);
    let mut wanted = Vec::new();
    for (name, kind, points_to) in [
        ("orders/writer", "writer", Some("home_writer")),
        ("orders/reader", "reader", Some("away_reader")),
        ("orders/other", "writer", None),
    ] {
        let region = &mut world.regions[rng.random_range(0..2_usize)];
        let host = format!("{{{kind}:{away}}}");
        let mut value = json!({ "username": "orders", "password": "not-a-secret", "host": host });
        if rng.random_bool(0.5) {
            value["dbClusterIdentifier"] = json!(cluster);
        }
        let name = name.to_owned();
        if let Some(points_to) = points_to {
            wanted.push(json!({ "name": name, "region": region.name, "points_to": points_to }));
        }
        let (kms_key, owning_service, replicas) = (None, None, Vec::new());
        region.secrets.push(SecretSpec { name, value, kms_key, owning_service, replicas });
    }
    input["endpoints"]["secrets"] = wanted.into();
    scene.traits.push("secrets that say where the database is".to_owned());
}

/// The security group that closes a cluster, in the Regions of the workshop.
const FENCE_GROUPS: [(&str, &str); 2] =
    [("home", "sg-0fe9ce0a11c105e01"), ("away", "sg-0fe9ce0a11c105e02")];

/// Draws by what each side is fenced. From a source of chance of its own: where it is a network ACL,
/// a seed means what it would mean without this.
pub fn draw_fences(scene: &mut Scene, rng: &mut SmallRng) {
    for (side, group) in FENCE_GROUPS {
        if rng.random_bool(0.4) {
            let network = &mut scene.setup.input[side]["network"];
            network["fence"] = json!("security_group");
            network["fence_group_id"] = json!(group);
            scene.by_group = true;
            scene.traits.push(format!("{side}: fenced by a security group"));
        }
    }
}

fn clients(scene: &mut Scene, rng: &mut SmallRng) {
    for client in &mut scene.setup.world.clients {
        client.write_every_ms = rng.random_range(700..4_000);
        client.read_every_ms = rng.random_range(2_000..9_000);
        client.dns_cache_ms_min = *pick(rng, &[0, 0, 5_000, 60_000]);
    }
}

fn instances(scene: &mut Scene, rng: &mut SmallRng) {
    let counts = [rng.random_range(0..4_usize), rng.random_range(1..4_usize)];
    for (region, count) in scene.setup.world.regions.iter_mut().zip(counts) {
        let cluster = &mut region.clusters[0];
        let model = cluster.instances[0].clone();
        cluster.instances = (1..=count)
            .map(|i| InstanceSpec { id: format!("{}-node{i}", &cluster.id[..4]), ..model.clone() })
            .collect();
    }
    // Settings of instances are taken from the old ones: without one there is nothing to take.
    let stale = counts[0].max(1);
    if counts[0] == 0 {
        scene.traits.push("the stale cluster has no instance".to_owned());
        let region = &mut scene.setup.world.regions[0];
        let model = scene_model(&region.clusters[0]);
        region.clusters[0].instances = vec![model];
        scene.at_start.push(behead_stale);
    }
    for (side, old) in [("home", stale), ("away", counts[1])] {
        let count = rng.random_range(1..=3_usize);
        let names = (1..=count).map(|i| json!({ "id": format!("{side}-node{i}-restored") }));
        scene.setup.input[side]["restored_instances"] = names.collect();
        scene.traits.push(format!("{side}: {old} instances, rebuilt with {count}"));
    }
}

fn scene_model(cluster: &ClusterSpec) -> InstanceSpec {
    let workshop = failback_sandbox::WorldSpec::workshop();
    let mut clusters = workshop.regions.into_iter().flat_map(|r| r.clusters);
    let original = clusters.find(|c| c.id == cluster.id).expect("the workshop has this cluster");
    original.instances.into_iter().next().expect("it has an instance")
}

/// Its only instance is `failed`: it serves nobody.
fn behead_stale(world: &mut World) {
    for region in world.rds.regions.values_mut() {
        for instance in region.instances.values_mut().filter(|i| i.cluster_id == "gdb1-cluster") {
            "failed".clone_into(&mut instance.status);
        }
    }
}

fn third_region(scene: &mut Scene, rng: &mut SmallRng) {
    if !rng.random_bool(0.15) {
        return;
    }
    let world = &mut scene.setup.world;
    let mut third = world.regions[0].clone();
    third.name = THIRD.to_owned();
    third.clusters = vec![copy_of(&third.clusters[0], "gdb3-cluster")];
    world.regions.push(third);
    scene.traits.push("a third Region".to_owned());
}

/// Clusters, snapshots and names beside those of the request: nobody may touch them.
fn bystanders(scene: &mut Scene) {
    for region in scene.setup.world.regions.iter_mut().take(2) {
        let own = region.clusters[0].id.clone();
        let copy = copy_of(&region.clusters[0], &format!("{}-bystander", &own[..4]));
        region.snapshots.push(SnapshotSpec {
            id: format!("{}-manual", copy.id),
            cluster: copy.id.clone(),
            rows: copy.rows,
        });
        region.clusters.push(copy);
    }
    let zone = &mut scene.setup.world.hosted_zones[0];
    let mut record = zone.records[0].clone();
    "db-other.workshop.internal".clone_into(&mut record.name);
    zone.records.push(record);
}

fn copy_of(cluster: &ClusterSpec, id: &str) -> ClusterSpec {
    let instance = InstanceSpec { id: format!("{id}-node"), ..scene_model(cluster) };
    let mut copy = cluster.clone();
    id.clone_into(&mut copy.id);
    copy.instances = vec![instance];
    copy.settings.port = BYSTANDER_PORT;
    copy.rows_of_its_own = 0;
    copy
}

fn snapshots(scene: &mut Scene, rng: &mut SmallRng) {
    for (region, side) in scene.setup.world.regions.iter_mut().take(2).zip(["home", "away"]) {
        let (cluster, rows) = (region.clusters[0].id.clone(), region.clusters[0].rows);
        if rng.random_bool(0.4) {
            let id = format!("{cluster}-before-the-disaster");
            region.snapshots.push(SnapshotSpec { id, cluster: cluster.clone(), rows });
            scene.traits.push(format!("{side}: an older snapshot"));
        }
        if rng.random_bool(0.1) {
            let id = format!("{cluster}-chosen");
            scene.setup.input[side]["final_snapshot_id"] = json!(id);
            scene.traits.push(format!("{side}: a final snapshot's id of its own"));
            if rng.random_bool(0.2) && scene.refused.is_none() {
                region.snapshots.push(SnapshotSpec { id, cluster, rows });
                let remedy: fn(&mut World, &mut Value) = match side {
                    "home" => |_, input| input["home"]["final_snapshot_id"] = Value::Null,
                    _ => |_, input| input["away"]["final_snapshot_id"] = Value::Null,
                };
                scene.refused = Some(Refused { words: "is taken in", remedy: Some(remedy) });
                scene.traits.push(format!("{side}: which is taken"));
            }
        }
    }
}

/// In some worlds the run asks, and is not always told yes.
fn approvals(scene: &mut Scene, rng: &mut SmallRng) {
    if !rng.random_bool(0.3) {
        return;
    }
    for gate in ["retire_home", "promote_home", "retire_away"] {
        scene.setup.input["approvals"][gate] = json!(rng.random_bool(0.7));
    }
    scene.approver =
        *pick(rng, &[Approver::Auto, Approver::Auto, Approver::Reject, Approver::Nobody]);
    scene.traits.push(format!("approvals, answered by {:?}", scene.approver));
}

fn protection(scene: &mut Scene, rng: &mut SmallRng) {
    let mut any = false;
    for region in scene.setup.world.regions.iter_mut().take(2) {
        let protected = rng.random_bool(0.5);
        region.clusters[0].settings.deletion_protection = protected;
        any |= protected;
    }
    let may_clear = rng.random_bool(0.9);
    scene.setup.input["clear_deletion_protection"] = json!(may_clear);
    if any && !may_clear && scene.refused.is_none() {
        let remedy: fn(&mut World, &mut Value) =
            |_, input| input["clear_deletion_protection"] = json!(true);
        scene.refused = Some(Refused { words: "deletion protection of", remedy: Some(remedy) });
        scene.traits.push("protected, and nobody allowed to clear it".to_owned());
    } else if any && !may_clear {
        scene.setup.input["clear_deletion_protection"] = json!(true);
    }
}

/// The global cluster from before the disaster: with its stale member, empty, gone, protected, with
/// a member in a third Region, or whole again after a managed failover.
fn former(scene: &mut Scene, rng: &mut SmallRng) {
    let third = scene.setup.world.regions.len() > 2;
    let globals = &mut scene.setup.world.global_clusters;
    match rng.random_range(0..100) {
        0..20 => {
            globals.clear();
            scene.traits.push("the former global cluster is gone".to_owned());
        }
        20..40 => {
            scene.at_start.push(empty_former);
            scene.traits.push("the former global cluster is empty".to_owned());
        }
        40..45 if scene.refused.is_none() => {
            globals[0].deletion_protection = true;
            let remedy: fn(&mut World, &mut Value) = |world, _| {
                world.rds.globals.values_mut().for_each(|g| g.deletion_protection = false);
            };
            let words = "deletion protection of the global cluster";
            scene.refused = Some(Refused { words, remedy: Some(remedy) });
            scene.traits.push("the former global cluster is protected".to_owned());
        }
        45..55 if third && scene.refused.is_none() => {
            let (region, cluster) = (THIRD.to_owned(), "gdb3-cluster".to_owned());
            globals[0].members.push(MemberSpec { region, cluster, writer: false });
            let words = "still has the member";
            scene.refused = Some(Refused { words, remedy: Some(third_leaves) });
            scene
                .traits
                .push("the former global cluster has a member in a third Region".to_owned());
        }
        55..62 if scene.refused.is_none() => rejoin(scene),
        _ => {}
    }
}

fn rejoin(scene: &mut Scene) {
    let world = &mut scene.setup.world;
    let (home, away) = (world.regions[0].name.clone(), world.regions[1].name.clone());
    world.regions[0].clusters[0].rows_of_its_own = 0;
    world.regions[0].clusters[0].rows = world.regions[1].clusters[0].rows;
    for subnet in &mut world.regions[0].vpcs[0].subnets {
        subnet.network_acl = None;
    }
    world.global_clusters[0].members = vec![
        MemberSpec { region: away, cluster: "gdb2-cluster".to_owned(), writer: true },
        MemberSpec { region: home, cluster: "gdb1-cluster".to_owned(), writer: false },
    ];
    scene.rejoined = true;
    scene.at_start.retain(|change| !std::ptr::fn_addr_eq(*change, behead_stale as fn(&mut World)));
    scene.traits.push("a managed failover, and home has rejoined".to_owned());
    scene.refused = Some(Refused { words: "", remedy: None });
}

fn empty_former(world: &mut World) {
    world.rds.globals.values_mut().for_each(|global| global.members.clear());
    for cluster in world.rds.regions.values_mut().flat_map(|r| r.clusters.values_mut()) {
        cluster.membership = Membership::Standalone;
        cluster.shown_global = None;
    }
}

fn third_leaves(world: &mut World, _: &mut Value) {
    for global in world.rds.globals.values_mut() {
        global.members.retain(|m| !m.arn.contains(THIRD));
    }
    let now_ms = world.now_ms;
    let third = world.rds.regions.get_mut(THIRD).into_iter().flat_map(|r| r.clusters.values_mut());
    for cluster in third {
        cluster.membership = Membership::Standalone;
        cluster.shown_global = None;
        world.rows.cut(&cluster.resource_id, now_ms);
    }
}

/// Switches under which a run ends well, whichever way they stand.
const SWITCHES: [(&str, bool); 12] = [
    ("eventually_consistent", false),
    ("headless_detach_settles", true),
    ("second_removal_accepted", true),
    ("writer_removal_is_invalid_parameter", false),
    ("writer_removal_modifies", true),
    ("backs_up_when_available", true),
    ("unknown_statuses", true),
    ("new_instance_backs_up", true),
    ("reader_shows_a_writer_instance", false),
    ("same_acl_is_associated_anew", false),
    ("second_deletion_refused", false),
    ("dns_served_before_sync", true),
];

fn behaviour(scene: &mut Scene, rng: &mut SmallRng) {
    let mut all = serde_json::to_value(&scene.behaviour).expect("switches are JSON");
    for (name, value) in SWITCHES {
        if rng.random_bool(0.15) {
            all[name] = json!(value);
            scene.traits.push(format!("{name} = {value}"));
        }
    }
    let pace = *pick(rng, &[0.2, 0.5, 1.0, 1.0, 1.5]);
    let timings = all["timings"].as_object_mut().expect("a structure");
    for (name, seconds) in timings.iter_mut() {
        if name != "jitter" && name != "dns_sync_s" {
            *seconds = json!(seconds.as_f64().unwrap_or_default() * pace);
        }
    }
    scene.traits.push(format!("durations × {pace}"));
    all["replication_lag_ms"] = json!(pick(rng, &[20, 80, 80, 400, 700]));
    all["global_reads_lag_ms"] = json!(pick(rng, &[0, 4_000, 4_000, 15_000]));
    scene.behaviour = serde_json::from_value(all).expect("a behaviour");
}

/// One of a few.
pub(super) fn pick<'a, T>(rng: &mut SmallRng, of: &'a [T]) -> &'a T {
    &of[rng.random_range(0..of.len())]
}
