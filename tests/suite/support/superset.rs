//! The workshop with the applications that the runbook points at the new endpoints.

use failback_cli::drill::Drill;
use failback_sandbox::World;
use failback_sandbox::superset::{Database, Instance};
use serde_json::Value;

use super::given::Given;

pub const AT_HOME: &str = "https://superset.us-east-1.workshop.internal";
pub const AWAY: &str = "https://superset.us-west-2.workshop.internal";
pub const WRITE_1: &str = "mysql aurora-gdb1-write";
pub const READ_2: &str = "mysql aurora-gdb2-read";
pub const WRITE_2: &str = "mysql aurora-gdb2-write";

/// The workshop with the runbook's three data sources, the last of them renamed.
pub fn with_superset() -> Given {
    let mut given = Given::workshop();
    let input = include_str!("../../../statemachine/examples/superset.json");
    given.input = serde_json::from_str(input).expect("the example is JSON");
    given
}

/// The same, and the last of them is removed.
pub fn removing() -> Given {
    let mut given = with_superset();
    *source(&mut given, WRITE_2) = serde_json::json!({ "name": WRITE_2, "remove": true });
    given
}

/// The same as the first, and one more data source, which is removed.
pub fn moving_and_removing() -> Given {
    const OLD: &str = "mysql of the drill";
    let mut given = with_superset();
    let instance = &mut given.world.supersets[1];
    let more = failback_sandbox::spec::SupersetDatabaseSpec {
        name: OLD.to_owned(),
        ..instance.databases[1].clone()
    };
    instance.databases.push(more);
    // Secrets of which the account keeps the key itself.
    let away = given.region(super::AWAY);
    let key = away.kms_keys.first().cloned();
    away.secrets.iter_mut().for_each(|secret| secret.kms_key.clone_from(&key));
    let sources = &mut given.input["endpoints"]["superset"][1]["data_sources"];
    let removed = serde_json::json!({ "name": OLD, "remove": true });
    sources.as_array_mut().expect("a list").push(removed);
    given
}

/// What the request says of a data source.
pub fn source<'a>(given: &'a mut Given, name: &str) -> &'a mut Value {
    let instances = given.input["endpoints"]["superset"].as_array_mut().expect("instances");
    let mut all = instances
        .iter_mut()
        .flat_map(|i| i["data_sources"].as_array_mut().expect("a list").iter_mut());
    all.find(|source| source["name"] == name).expect("the request names it")
}

/// Changes an instance by hand.
pub fn change(drill: &Drill, url: &str, change: impl FnOnce(&mut Instance)) {
    drill.sandbox.change_world(|world: &mut World| {
        change(world.supersets.at_mut(url).expect("the instance"));
    });
}

/// A data source as it is.
pub fn database(drill: &Drill, url: &str, name: &str) -> Option<Database> {
    drill.sandbox.with_world(|world| world.supersets.at(url)?.database(name).cloned())
}

/// The cluster whose host a data source has.
pub fn cluster_of(drill: &Drill, url: &str, name: &str) -> String {
    let host = database(drill, url, name).map(|d| d.host()).unwrap_or_default();
    drill.sandbox.with_world(|world| {
        world.resolve_endpoint(&host).map(|target| target.cluster_id).unwrap_or_default()
    })
}
