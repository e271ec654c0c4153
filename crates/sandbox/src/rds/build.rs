//! RDS as a world's spec describes it at the start.

use std::collections::{BTreeMap, BTreeSet};

use super::backup::{schedule_daily_backup, schedule_maintenance};
use super::event::RdsEvent;
use super::settings::ClusterSettings;
use super::{
    Cluster, CustomEndpoint, GlobalCluster, Instance, Member, Membership, ParameterGroup, Rds,
    RdsRegion, Snapshot, SubnetGroup,
};
use crate::rows::{NewStream, Rows};
use crate::spec::{
    ClusterSpec, GlobalClusterSpec, ParameterGroupSpec, RegionSpec, SpecError, WorldSpec,
};
use crate::world::{EndpointKind, World};

/// Builds what the spec says about RDS, and the data.
///
/// # Errors
/// [`SpecError`] when something refers to what is not there.
pub fn build(spec: &WorldSpec, seed: u64, now_ms: i64) -> Result<(Rds, Rows), SpecError> {
    let clusters = || spec.regions.iter().flat_map(|region| &region.clusters);
    let initial = clusters().map(|cluster| cluster.rows).max().unwrap_or_default();
    let mut rows = Rows::new(seed, initial, now_ms);
    let mut rds = Rds { account: spec.account.clone(), ..Rds::default() };
    for region in &spec.regions {
        rds.regions.insert(region.name.clone(), groups(region)?);
        for cluster in &region.clusters {
            add_cluster(&mut rds, &mut rows, region, cluster, now_ms)?;
        }
        add_snapshots(&mut rds, &mut rows, region, now_ms)?;
    }
    for global in &spec.global_clusters {
        add_global(&mut rds, &mut rows, global, now_ms)?;
    }
    Ok((rds, rows))
}

fn groups(region: &RegionSpec) -> Result<RdsRegion, SpecError> {
    let parameter_groups = |specs: &[ParameterGroupSpec]| {
        specs
            .iter()
            .map(|spec| {
                let ParameterGroupSpec { name, family, description } = spec.clone();
                (name.clone(), ParameterGroup { name, family, description })
            })
            .collect::<BTreeMap<_, _>>()
    };
    let mut subnet_groups = BTreeMap::new();
    for group in &region.subnet_groups {
        let mut vpc_id = None;
        for subnet in &group.subnets {
            let vpc = region.vpcs.iter().find(|vpc| vpc.subnets.iter().any(|s| s.id == *subnet));
            let vpc = vpc.ok_or_else(|| SpecError::dangling("subnet", subnet, &group.name))?;
            vpc_id = Some(vpc.id.clone());
        }
        let built = SubnetGroup {
            name: group.name.clone(),
            description: group.description.clone(),
            vpc_id: vpc_id.unwrap_or_default(),
            subnets: group.subnets.clone(),
        };
        subnet_groups.insert(group.name.clone(), built);
    }
    Ok(RdsRegion {
        subnet_groups,
        cluster_parameter_groups: parameter_groups(&region.cluster_parameter_groups),
        parameter_groups: parameter_groups(&region.parameter_groups),
        option_groups: region.option_groups.clone(),
        kms_keys: region.kms_keys.clone(),
        ..RdsRegion::default()
    })
}

fn add_cluster(
    rds: &mut Rds,
    rows: &mut Rows,
    region: &RegionSpec,
    spec: &ClusterSpec,
    now_ms: i64,
) -> Result<(), SpecError> {
    check_references(region, spec)?;
    let created_at_ms = now_ms - 30 * 24 * 3_600_000;
    let resource_id = rds.new_resource_id("cluster");
    rows.create_volume(&resource_id, spec.rows);
    rows.add_own(&resource_id, spec.rows_of_its_own, now_ms);
    for instance in &spec.instances {
        let built = Instance {
            region: region.name.clone(),
            id: instance.id.clone(),
            resource_id: rds.new_resource_id("db"),
            arn: rds.arn(&region.name, "db", &instance.id),
            status: "available".to_owned(),
            cluster_id: spec.id.clone(),
            settings: instance.settings.clone(),
            created_at_ms,
            answers_until_ms: 0,
            recovers_after_ms: None,
            wants_reboot: false,
            booted_ms: created_at_ms,
        };
        let instances = &mut rds.regions.entry(region.name.clone()).or_default().instances;
        instances.insert(instance.id.clone(), built);
    }
    let endpoints = spec.custom_endpoints.iter().map(|endpoint| {
        let built = CustomEndpoint {
            id: endpoint.id.clone(),
            endpoint_type: endpoint.endpoint_type.clone(),
            static_members: endpoint.static_members.clone(),
            excluded_members: endpoint.excluded_members.clone(),
            active_from_ms: now_ms,
            tags: BTreeMap::new(),
        };
        (endpoint.id.clone(), built)
    });
    let cluster = Cluster {
        status: "available".to_owned(),
        engine: spec.engine.clone(),
        engine_version: spec.engine_version.clone(),
        database_name: spec.database_name.clone(),
        master_username: spec.master_username.clone(),
        managed_secret_arn: spec.managed_secret_arn.clone(),
        kms_key: spec.kms_key.clone(),
        settings: spec.settings.clone(),
        created_at_ms,
        writer_instance: spec.instances.first().map(|instance| instance.id.clone()),
        endpoints: endpoints.collect(),
        ..Cluster::new(rds, &region.name, &spec.id, resource_id)
    };
    let clusters = &mut rds.regions.entry(region.name.clone()).or_default().clusters;
    clusters.insert(spec.id.clone(), cluster);
    Ok(())
}

fn check_references(region: &RegionSpec, spec: &ClusterSpec) -> Result<(), SpecError> {
    let settings = &spec.settings;
    let by = || spec.id.clone();
    if !region.subnet_groups.iter().any(|group| group.name == settings.subnet_group) {
        return Err(SpecError::dangling("DB subnet group", &settings.subnet_group, by()));
    }
    let groups = &region.cluster_parameter_groups;
    if !groups.iter().any(|group| group.name == settings.parameter_group) {
        let group = &settings.parameter_group;
        return Err(SpecError::dangling("DB cluster parameter group", group, by()));
    }
    if let Some(key) = spec.kms_key.as_ref().filter(|key| !region.kms_keys.contains(key)) {
        return Err(SpecError::dangling("KMS key", key, by()));
    }
    for instance in &spec.instances {
        let group = &instance.settings.parameter_group;
        if !region.parameter_groups.iter().any(|known| known.name == *group) {
            return Err(SpecError::dangling("DB parameter group", group, &instance.id));
        }
    }
    Ok(())
}

fn add_snapshots(
    rds: &mut Rds,
    rows: &mut Rows,
    region: &RegionSpec,
    now_ms: i64,
) -> Result<(), SpecError> {
    for spec in &region.snapshots {
        let cluster = rds
            .cluster(&region.name, &spec.cluster)
            .ok_or_else(|| SpecError::dangling("DB cluster", &spec.cluster, &spec.id))?;
        let vpc_id = rds.vpc_of(cluster);
        let mut snapshot = Snapshot::of(cluster, &spec.id, "manual", vpc_id, now_ms - 3_600_000);
        snapshot.arn = rds.arn(&region.name, "cluster-snapshot", &spec.id);
        snapshot.status = "available".to_owned();
        snapshot.rows = spec.rows;
        rows.keep_first(&snapshot.arn, spec.rows);
        let snapshots = &mut rds.regions.entry(region.name.clone()).or_default().snapshots;
        snapshots.insert(spec.id.clone(), snapshot);
    }
    Ok(())
}

fn add_global(
    rds: &mut Rds,
    rows: &mut Rows,
    spec: &GlobalClusterSpec,
    now_ms: i64,
) -> Result<(), SpecError> {
    let writers: Vec<_> = spec.members.iter().filter(|member| member.writer).collect();
    let [writer] = writers.as_slice() else {
        let message = format!("the global cluster `{}` must have exactly one writer", spec.id);
        return Err(SpecError::Invalid(message));
    };
    let find = |rds: &Rds, region: &str, id: &str| {
        rds.cluster(region, id)
            .cloned()
            .ok_or_else(|| SpecError::dangling("DB cluster", id, &spec.id))
    };
    let source = find(rds, &writer.region, &writer.cluster)?;
    let resource_id = rds.new_resource_id("cluster").to_ascii_lowercase();
    let mut global = GlobalCluster::of(&source, &spec.id, resource_id, &rds.account);
    global.status = "available".to_owned();
    global.deletion_protection = spec.deletion_protection;
    for member in &spec.members {
        let cluster = find(rds, &member.region, &member.cluster)?;
        global.members.push(Member {
            arn: cluster.arn.clone(),
            is_writer: member.writer,
            synchronization: (!member.writer).then(|| "connected".to_owned()),
            leaving: false,
        });
        if !member.writer {
            let stream = NewStream {
                region: &cluster.region,
                cluster_id: &cluster.id,
                volume: &cluster.resource_id,
                source_region: &source.region,
                source: &source.resource_id,
                lag_ms: crate::Behaviour::default().replication_lag_ms,
            };
            rows.connect(stream, now_ms);
        }
        let membership = if member.writer {
            Membership::Writer { global: spec.id.clone() }
        } else {
            Membership::Reader { global: spec.id.clone(), source: source.arn.clone() }
        };
        if let Some(cluster) = rds.cluster_mut(&member.region, &member.cluster) {
            cluster.membership = membership;
            cluster.shown_global = Some(spec.id.clone());
        }
    }
    rds.globals.insert(spec.id.clone(), global);
    Ok(())
}

/// The spec with `{writer:<region>/<cluster>}` and `{reader:…}` replaced by host names, in DNS
/// records and in what clients connect to.
///
/// # Errors
/// [`SpecError::Dangling`] when there is no such cluster.
pub fn name_endpoints(rds: &Rds, spec: &WorldSpec) -> Result<WorldSpec, SpecError> {
    let mut spec = spec.clone();
    for record in spec.hosted_zones.iter_mut().flat_map(|zone| &mut zone.records) {
        for value in &mut record.values {
            name_endpoint(rds, value, &record.name)?;
        }
    }
    for secret in spec.regions.iter_mut().flat_map(|region| &mut region.secrets) {
        let fields = secret.value.as_object_mut();
        for value in fields.into_iter().flat_map(|fields| fields.values_mut()) {
            if let serde_json::Value::String(text) = value {
                name_endpoint(rds, text, &secret.name)?;
            }
        }
    }
    for client in &mut spec.clients {
        for host in [&mut client.writes_to, &mut client.reads_from].into_iter().flatten() {
            name_endpoint(rds, host, &client.name)?;
        }
    }
    for database in spec.supersets.iter_mut().flat_map(|superset| &mut superset.databases) {
        let uri = &mut database.sqlalchemy_uri;
        if let Some((from, to)) = uri.find('{').zip(uri.find('}')).filter(|(from, to)| from < to) {
            let mut host = uri[from..=to].to_owned();
            name_endpoint(rds, &mut host, &database.name)?;
            uri.replace_range(from..=to, &host);
        }
    }
    Ok(spec)
}

fn name_endpoint(rds: &Rds, host: &mut String, by: &str) -> Result<(), SpecError> {
    let Some(inner) = host.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) else {
        return Ok(());
    };
    let named = inner.split_once(':').and_then(|(kind, name)| {
        let kind = match kind {
            "writer" => EndpointKind::Writer,
            "reader" => EndpointKind::Reader,
            _ => return None,
        };
        let (region, id) = name.split_once('/')?;
        Some(rds.cluster(region, id)?.host(kind, &rds.account))
    });
    *host = named.ok_or_else(|| SpecError::dangling("endpoint", inner, by))?;
    Ok(())
}

/// Checks what RDS refers to in the network.
///
/// # Errors
/// [`SpecError::Dangling`].
pub fn check(world: &World, spec: &WorldSpec) -> Result<(), SpecError> {
    for region in &spec.regions {
        for cluster in &region.clusters {
            for group in &cluster.settings.security_groups {
                if !world.network.has_group(&region.name, group) {
                    return Err(SpecError::dangling("security group", group, &cluster.id));
                }
            }
        }
    }
    Ok(())
}

/// Lets begin what happens by itself.
pub fn start(world: &mut World) {
    let clusters: Vec<String> = world.rds.clusters().map(|c| c.resource_id.clone()).collect();
    for resource_id in clusters {
        schedule_daily_backup(world, RdsEvent::DailyBackup { resource_id: resource_id.clone() });
        schedule_maintenance(world, &resource_id);
    }
}

impl Rds {
    /// The VPC a cluster is in, by its subnet group.
    pub(crate) fn vpc_of(&self, cluster: &Cluster) -> String {
        self.regions
            .get(&cluster.region)
            .and_then(|region| region.subnet_groups.get(&cluster.settings.subnet_group))
            .map(|group| group.vpc_id.clone())
            .unwrap_or_default()
    }
}

impl Snapshot {
    /// A snapshot of a cluster, without its rows and its ARN.
    pub(crate) fn of(
        cluster: &Cluster,
        id: &str,
        snapshot_type: &str,
        vpc_id: String,
        now_ms: i64,
    ) -> Self {
        let copies_tags = cluster.settings.copy_tags_to_snapshot;
        Self {
            region: cluster.region.clone(),
            id: id.to_owned(),
            arn: String::new(),
            status: "creating".to_owned(),
            snapshot_type: snapshot_type.to_owned(),
            cluster_id: cluster.id.clone(),
            cluster_resource_id: cluster.resource_id.clone(),
            engine: cluster.engine.clone(),
            engine_version: cluster.engine_version.clone(),
            kms_key: cluster.kms_key.clone(),
            master_username: cluster.master_username.clone(),
            port: cluster.settings.port,
            vpc_id,
            created_at_ms: now_ms,
            cluster_created_at_ms: cluster.created_at_ms,
            rows: 0,
            tags: if copies_tags { cluster.settings.tags.clone() } else { BTreeMap::new() },
        }
    }
}

impl Cluster {
    /// A cluster that is being created, alone and with nothing chosen.
    pub(crate) fn new(rds: &Rds, region: &str, id: &str, resource_id: String) -> Self {
        Self {
            region: region.to_owned(),
            id: id.to_owned(),
            arn: rds.arn(region, "cluster", id),
            resource_id,
            status: "creating".to_owned(),
            engine: String::new(),
            engine_version: String::new(),
            database_name: None,
            master_username: None,
            managed_secret_arn: None,
            kms_key: None,
            encrypted_by_default: false,
            settings: ClusterSettings::default(),
            pending: None,
            new_id: None,
            host_mark: String::new(),
            created_at_ms: 0,
            membership: Membership::Standalone,
            shown_global: None,
            writer_instance: None,
            guarded_until_ms: 0,
            keeps_backups: false,
            attached_ms: BTreeMap::new(),
            detached_ms: BTreeMap::new(),
            invalid_roles: BTreeSet::new(),
            endpoints: BTreeMap::new(),
        }
    }
}

impl GlobalCluster {
    /// A global cluster whose engine and encryption are those of a cluster; without members.
    pub(crate) fn of(source: &Cluster, id: &str, resource_id: String, account: &str) -> Self {
        Self {
            id: id.to_owned(),
            resource_id,
            arn: format!("arn:aws:rds::{account}:global-cluster:{id}"),
            status: "creating".to_owned(),
            engine: source.engine.clone(),
            engine_version: source.engine_version.clone(),
            database_name: source.database_name.clone(),
            storage_encrypted: source.kms_key.is_some(),
            encrypted_by_default: source.encrypted_by_default,
            engine_lifecycle_support: source
                .settings
                .engine_lifecycle_support
                .clone()
                .filter(|_| source.engine == "aurora-postgresql"),
            deletion_protection: false,
            tags: BTreeMap::new(),
            members: Vec::new(),
            operation: None,
            not_empty_until_ms: 0,
            setting_up_until_ms: 0,
        }
    }
}
