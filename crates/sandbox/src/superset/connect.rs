//! What a data source finds when it connects.

use serde_json::Value;

use super::uri::Uri;
use crate::network::{Connection, Flow};
use crate::world::World;

/// How a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Connected {
    Yes,
    /// The host is not reached, not known, or given up on.
    HostDown,
    Denied,
    /// It hangs: nothing limits how long it may take.
    Hangs,
}

/// Connects from an instance, with the engine's parameters.
pub(super) fn connect(
    world: &World,
    instance: usize,
    uri: &Uri,
    password: Option<&str>,
    extra: &str,
) -> Connected {
    let supersets = &world.supersets;
    if supersets.silent_hosts.contains(&uri.host) {
        let extra: Value = serde_json::from_str(extra).unwrap_or_default();
        let limits = &extra["engine_params"]["connect_args"];
        // PyMySQL's `connect_timeout` ends with the connection, libpq's with the log-in.
        let limited = if uri.is_mysql() { "read_timeout" } else { "connect_timeout" };
        return if limits[limited].is_null() { Connected::Hangs } else { Connected::HostDown };
    }
    let target = world.resolve_endpoint(&uri.host);
    let cluster = target.and_then(|t| world.rds.cluster(&t.region, &t.cluster_id));
    let Some(cluster) = cluster.filter(|c| world.rds.serves(c)) else {
        return Connected::HostDown;
    };
    let subnets = world.cluster_subnets(&cluster.region, &cluster.id);
    let flow = Flow {
        region: &cluster.region,
        subnets: &subnets,
        groups: &cluster.settings.security_groups,
        client: supersets.instances[instance].location.ip,
        port: u16::try_from(cluster.settings.port).unwrap_or_default(),
    };
    if !world.network.reachable(&flow, Connection::New) {
        return Connected::HostDown;
    }
    let account = (uri.user.clone(), password.unwrap_or_default().to_owned());
    if supersets.accounts.contains(&account) { Connected::Yes } else { Connected::Denied }
}
