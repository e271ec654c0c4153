"""The failback runbook, driven by hand with boto3, and every refusal that lies beside the way.

Usage: runbook_boto3.py PATH-TO-failback
"""

import sys
from datetime import timedelta

from served import Served, eventually, refusal, serve, world_time

# Fast, and yet slow enough that a call made at once still meets what lasts 45 seconds.
SPEED = 150

HOME, AWAY = "us-east-1", "us-west-2"
ZONE = "Z04873361KQ3ZLLX2R0JB"
STALE, FORMER = "gdb1-cluster", "gdb2-cluster"
HOME_NEW, AWAY_NEW = "gdb1-cluster-restored", "gdb2-cluster-restored"
GLOBAL_FORMER = "reinvent-dat348-gdb"
GLOBAL_RESTORING = "reinvent-dat348-gdb-restoring"
GLOBAL_RESTORED = "reinvent-dat348-gdb-restored"
HOME_FENCE, HOME_OPEN = "acl-0deadbeef0a11c105", "acl-0e5f1a37b6c8d9405"
HOME_KEY = "arn:aws:kms:us-east-1:123456789012:key/7c1e0b52-6a0d-4f3b-9a51-0c6d2f8e1b73"
AWAY_KEY = "arn:aws:kms:us-west-2:123456789012:key/19a6d3f0-c8e4-4b7a-a2d5-5f0b8e7c4d61"
ENGINE, VERSION = "aurora-mysql", "8.0.mysql_aurora.3.08.0"

passed = 0


def holds(condition, sentence: str) -> None:
    global passed
    assert condition, f"does not hold: {sentence}"
    passed += 1
    print(f"  ok {sentence}")


def refused(sentence: str, expected: str, status: int, call, **arguments) -> None:
    """`expected` is the code, and after a colon a part of the message."""
    code, _, part = expected.partition(": ")
    found = refusal(call, **arguments)
    right = found[0] == code and part in found[1] and found[2] == status
    holds(right, f"{sentence}: {found[2]} {found[0]}: {found[1]}")


def arn(region: str, cluster: str) -> str:
    return f"arn:aws:rds:{region}:123456789012:cluster:{cluster}"


class Runbook:
    def __init__(self, served: Served):
        self.served = served
        self.rds = {region: served.client("rds", region) for region in (HOME, AWAY)}
        self.ec2 = {region: served.client("ec2", region) for region in (HOME, AWAY)}
        self.route53 = served.client("route53", "us-east-1")

    # What there is.

    def cluster(self, region: str, name: str) -> dict | None:
        rds = self.rds[region]
        try:
            return rds.describe_db_clusters(DBClusterIdentifier=name)["DBClusters"][0]
        except rds.exceptions.DBClusterNotFoundFault:
            return None

    def members(self, name: str, region: str) -> dict[str, bool] | None:
        """The members' ARNs and whether each is the writer; None without a global cluster."""
        rds = self.rds[region]
        try:
            found = rds.describe_global_clusters(GlobalClusterIdentifier=name)["GlobalClusters"][0]
        except rds.exceptions.GlobalClusterNotFoundFault:
            return None
        return {m["DBClusterArn"]: m["IsWriter"] for m in found["GlobalClusterMembers"]}

    def row(self, region: str, name: str) -> tuple[str, str] | None:
        """Scope and status, as the runbook's tables have them."""
        cluster = self.cluster(region, name)
        if cluster is None:
            return None
        listed = self.rds[region].describe_global_clusters()["GlobalClusters"]
        member = any(
            m["DBClusterArn"] == cluster["DBClusterArn"]
            for g in listed
            for m in g["GlobalClusterMembers"]
        )
        return ("Global" if member else "Regional"), cluster["Status"]

    # The steps.

    def run(self) -> None:
        self.look_around()
        self.retire(HOME, STALE, ["gdb1-node1"], GLOBAL_FORMER)
        self.restore_network()
        self.rebuild(HOME, HOME_NEW, "gdb1-node2-restored", GLOBAL_RESTORING, AWAY, FORMER)
        self.bring_writer_home()
        self.cut_over("db-writer.workshop.internal", self.cluster(HOME, HOME_NEW)["Endpoint"])
        self.retire(AWAY, FORMER, ["gdb2-node1"], GLOBAL_RESTORING)
        self.rebuild(AWAY, AWAY_NEW, "gdb2-node2-restored", GLOBAL_RESTORED, HOME, HOME_NEW)
        reader = self.cluster(AWAY, AWAY_NEW)["ReaderEndpoint"]
        self.cut_over("db-reader.workshop.internal", reader)
        self.final_table()

    def look_around(self) -> None:
        print("The situation, and what is not there")
        account = self.served.client("sts", HOME).get_caller_identity()["Account"]
        holds(account == "123456789012", "STS knows the account")
        holds(self.row(HOME, STALE) == ("Global", "available"), "home is stale and a member")
        holds(self.row(AWAY, FORMER) == ("Regional", "available"), "away stands alone")
        home = self.rds[HOME]
        refused(
            "an unknown cluster", "DBClusterNotFoundFault", 404,
            home.describe_db_clusters, DBClusterIdentifier="no-such-cluster",
        )
        refused(
            "an unknown instance", "DBInstanceNotFound", 404,
            home.describe_db_instances, DBInstanceIdentifier="no-such-instance",
        )
        refused(
            "an unknown global cluster", "GlobalClusterNotFoundFault", 404,
            home.describe_global_clusters, GlobalClusterIdentifier="no-such-global",
        )
        refused(
            "an unknown snapshot", "DBClusterSnapshotNotFoundFault", 404,
            home.describe_db_cluster_snapshots, DBClusterSnapshotIdentifier="no-such-snapshot",
        )
        refused(
            "an ARN where an identifier belongs",
            "InvalidParameterValue: Invalid global cluster identifier", 400,
            home.describe_global_clusters,
            GlobalClusterIdentifier=f"arn:aws:rds::123456789012:global-cluster:{GLOBAL_FORMER}",
        )
        refused(
            "an operation that is not modelled", "InvalidAction", 400,
            home.describe_db_proxies,
        )
        refused(
            "a Region outside of this world", "InvalidParameterValue: not part of this world", 400,
            self.served.client("rds", "eu-south-2").describe_db_clusters,
        )

    def retire(self, region: str, name: str, nodes: list[str], listed_in: str) -> None:
        print(f"Retire {name} in {region}")
        rds, snapshot = self.rds[region], f"{name}-final"
        delete = {"DBClusterIdentifier": name, "FinalDBSnapshotIdentifier": snapshot}
        if self.members(listed_in, region):
            self.detach_last(region, name, listed_in, delete)
        # A member that has just been removed counts as one for a while.
        eventually(
            "the deletion is refused for the protection alone",
            lambda: refusal(rds.delete_db_cluster, **delete)[0] != "InvalidDBClusterStateFault",
        )
        refused(
            "a protected cluster",
            "InvalidParameterCombination: Cannot delete protected Cluster", 400,
            rds.delete_db_cluster, **delete,
        )
        rds.modify_db_cluster(
            DBClusterIdentifier=name, DeletionProtection=False, ApplyImmediately=True
        )
        eventually(
            "the protection is off",
            lambda: not self.cluster(region, name)["DeletionProtection"]
            and self.cluster(region, name)["Status"] == "available",
        )
        refused(
            "a cluster with live instances",
            "InvalidDBClusterStateFault: still contains DB instances", 400,
            rds.delete_db_cluster, **delete,
        )
        for node in nodes:
            rds.delete_db_instance(DBInstanceIdentifier=node)
            refused(
                "an instance that is already being deleted",
                "InvalidDBInstanceState: already being deleted", 400,
                rds.delete_db_instance, DBInstanceIdentifier=node,
            )
        self.delete_with_snapshot(region, name, snapshot)
        rds.delete_global_cluster(GlobalClusterIdentifier=listed_in)
        eventually(f"{listed_in} is gone", lambda: self.members(listed_in, region) is None)
        refused(
            "a global cluster twice", "GlobalClusterNotFoundFault", 404,
            rds.delete_global_cluster, GlobalClusterIdentifier=listed_in,
        )

    def detach_last(self, region: str, name: str, listed_in: str, delete: dict) -> None:
        rds = self.rds[region]
        member = {"GlobalClusterIdentifier": listed_in, "DbClusterIdentifier": arn(region, name)}
        refused(
            "a member", "InvalidDBClusterStateFault: part of a global cluster", 400,
            rds.delete_db_cluster, **delete,
        )
        refused(
            "a global cluster with a member", "InvalidGlobalClusterStateFault: is not empty", 400,
            rds.delete_global_cluster, GlobalClusterIdentifier=listed_in,
        )
        refused(
            "a member by its bare name", "InvalidParameterValue: Malformed db cluster arn", 400,
            rds.remove_from_global_cluster, **{**member, "DbClusterIdentifier": name},
        )
        rds.remove_from_global_cluster(**member)
        eventually(f"{name} is not listed", lambda: self.members(listed_in, region) == {})
        refused(
            "a member removed twice", "InvalidParameterValue: is not found in global cluster", 400,
            rds.remove_from_global_cluster, **member,
        )

    def delete_with_snapshot(self, region: str, name: str, snapshot: str) -> None:
        rds = self.rds[region]
        refused(
            "neither a snapshot nor none", "InvalidParameterCombination", 400,
            rds.delete_db_cluster, DBClusterIdentifier=name,
        )
        delete = {"DBClusterIdentifier": name, "FinalDBSnapshotIdentifier": snapshot}
        rds.delete_db_cluster(**delete)
        refused(
            "a cluster that is already being deleted",
            "InvalidDBClusterStateFault: already being deleted", 400,
            rds.delete_db_cluster, **delete,
        )
        eventually(f"{name} is gone", lambda: self.cluster(region, name) is None)
        kept = rds.describe_db_cluster_snapshots(DBClusterSnapshotIdentifier=snapshot)
        status = kept["DBClusterSnapshots"][0]["Status"]
        holds(status == "available", f"{name} is gone and its snapshot is available")
        refused(
            "a cluster that is gone", "DBClusterNotFoundFault", 404, rds.delete_db_cluster, **delete
        )

    def restore_network(self) -> None:
        print("Restore the network")
        ec2 = self.ec2[HOME]
        fenced = ec2.describe_network_acls(NetworkAclIds=[HOME_FENCE])["NetworkAcls"][0]
        old = [association["NetworkAclAssociationId"] for association in fenced["Associations"]]
        holds(len(old) == 3, "three subnets are behind the deny-all network ACL")
        refused(
            "an unknown network ACL", "InvalidNetworkAclID.NotFound", 400,
            ec2.replace_network_acl_association,
            AssociationId=old[0], NetworkAclId="acl-00000000000000000",
        )
        for association in old:
            answer = ec2.replace_network_acl_association(
                AssociationId=association, NetworkAclId=HOME_OPEN
            )
            holds(answer["NewAssociationId"] != association, "a new association has a new id")
        refused(
            "an association that was replaced", "InvalidAssociationID.NotFound", 400,
            ec2.replace_network_acl_association, AssociationId=old[0], NetworkAclId=HOME_OPEN,
        )
        after = ec2.describe_network_acls(NetworkAclIds=[HOME_FENCE])["NetworkAcls"][0]
        holds(after["Associations"] == [], "no subnet is behind the deny-all network ACL")

    def rebuild(
        self, region: str, name: str, node: str, joined: str, from_region: str, source: str
    ) -> None:
        print(f"Rebuild {name} in {region}")
        self.make_global(joined, from_region, source)
        self.join(region, name, node, joined, arn(from_region, source))
        self.wait_for_lag(region, name, from_region)

    def make_global(self, name: str, region: str, source: str) -> None:
        rds = self.rds[region]
        make = {"GlobalClusterIdentifier": name, "SourceDBClusterIdentifier": arn(region, source)}
        refused(
            "a source in another Region", "InvalidParameterValue: Expected region", 400,
            self.rds[HOME if region == AWAY else AWAY].create_global_cluster, **make,
        )
        refused(
            "a source and an engine",
            "InvalidParameterCombination: inherited from source cluster", 400,
            rds.create_global_cluster, **make, Engine=ENGINE,
        )
        refused(
            "neither a source nor an engine", "InvalidParameterValue: engineName", 400,
            rds.create_global_cluster, GlobalClusterIdentifier=name,
        )
        rds.create_global_cluster(**make)
        refused(
            "a global cluster created twice", "GlobalClusterAlreadyExistsFault", 400,
            rds.create_global_cluster, **make,
        )
        joins = self.joining(HOME if region == AWAY else AWAY, "too-early", name)
        refused(
            "a join before the source is listed",
            "InvalidDBClusterStateFault: not valid for physical replication", 400,
            self.rds[HOME if region == AWAY else AWAY].create_db_cluster, **joins,
        )
        writer = {arn(region, source): True}
        eventually("the source is the writer", lambda: self.members(name, region) == writer)

    def joining(self, region: str, name: str, joined: str) -> dict:
        home = region == HOME
        return {
            "DBClusterIdentifier": name,
            "GlobalClusterIdentifier": joined,
            "Engine": ENGINE,
            "EngineVersion": VERSION,
            "StorageEncrypted": True,
            "KmsKeyId": HOME_KEY if home else AWAY_KEY,
            "DBSubnetGroupName": "gdb1-subnet-group" if home else "gdb2-subnet-group",
            "VpcSecurityGroupIds": ["sg-0d1e2f3a4b5c6d7e8" if home else "sg-0e2f3a4b5c6d7e8f9"],
            # Where the next deletion looks for it.
            "DeletionProtection": home,
        }

    def join(self, region: str, name: str, node: str, joined: str, source_arn: str) -> None:
        rds, joins = self.rds[region], self.joining(region, name, joined)
        refused(
            "another engine version", "InvalidParameterValue: engineVersion", 400,
            rds.create_db_cluster, **{**joins, "EngineVersion": "8.0.mysql_aurora.3.07.1"},
        )
        refused(
            "master credentials on a join", "InvalidParameterCombination: Cannot specify", 400,
            rds.create_db_cluster,
            **joins, MasterUsername="masteruser", MasterUserPassword="not-a-secret",
        )
        refused(
            "another encryption", "InvalidParameterValue: storageEncrypted", 400,
            rds.create_db_cluster,
            **{k: v for k, v in joins.items() if k != "KmsKeyId"} | {"StorageEncrypted": False},
        )
        refused(
            "a global cluster that is not there", "GlobalClusterNotFoundFault", 404,
            rds.create_db_cluster, **{**joins, "GlobalClusterIdentifier": "no-such-global"},
        )
        refused(
            "a subnet group that is not there", "DBSubnetGroupNotFoundFault", 404,
            rds.create_db_cluster, **{**joins, "DBSubnetGroupName": "no-such-group"},
        )
        instance = {
            "DBInstanceIdentifier": node,
            "DBClusterIdentifier": name,
            "DBInstanceClass": "db.r6g.large",
            "Engine": ENGINE,
        }
        refused(
            "an instance of no cluster", "DBClusterNotFoundFault", 404,
            rds.create_db_instance, **instance,
        )

        def accepted() -> bool:
            # Membership travels between the Regions.
            try:
                return bool(rds.create_db_cluster(**joins))
            except rds.exceptions.InvalidDBClusterStateFault as error:
                assert "not valid for physical replication" in str(error), error
                return False

        eventually("the join is accepted", accepted)
        refused(
            "a cluster created twice", "DBClusterAlreadyExistsFault", 400,
            rds.create_db_cluster, **joins,
        )
        rds.create_db_instance(**instance)
        refused(
            "an instance created twice", "DBInstanceAlreadyExists", 400,
            rds.create_db_instance, **instance,
        )
        members = {source_arn: True, arn(region, name): False}
        eventually(f"{name} is listed", lambda: self.members(joined, region) == members)

        def ready() -> bool:
            found = rds.describe_db_instances(DBInstanceIdentifier=node)["DBInstances"][0]
            statuses = {found["DBInstanceStatus"], self.cluster(region, name)["Status"]}
            return statuses == {"available"}

        eventually(f"{name} and {node} are available", ready)

        def connected() -> bool:
            found = rds.describe_global_clusters(GlobalClusterIdentifier=joined)
            listed = found["GlobalClusters"][0]["GlobalClusterMembers"]
            return any(m.get("SynchronizationStatus") == "connected" for m in listed)

        eventually(f"{name} is connected", connected)

    def wait_for_lag(self, region: str, name: str, from_region: str) -> None:
        cloudwatch = self.served.client("cloudwatch", region)
        dimensions = [
            {"Name": "DBClusterIdentifier", "Value": name},
            {"Name": "SourceRegion", "Value": from_region},
        ]
        metric = {
            "Namespace": "AWS/RDS",
            "MetricName": "AuroraGlobalDBReplicationLag",
            "Dimensions": dimensions,
        }
        stat = {"Metric": metric, "Period": 60, "Stat": "Maximum"}
        query = [{"Id": "lag", "MetricStat": stat}]

        def samples() -> list[float]:
            now = world_time(cloudwatch.list_metrics(Namespace="AWS/RDS"))
            since = now - timedelta(minutes=10)
            asked = cloudwatch.get_metric_data(
                MetricDataQueries=query, StartTime=since, EndTime=now
            )
            values = asked["MetricDataResults"][0]["Values"]
            return values if len(values) >= 3 else []

        values = eventually("there are three samples of the lag", samples)
        holds(max(values) < 1_000, f"the lag is {max(values):.0f} ms")
        wrong = cloudwatch.get_metric_data(
            MetricDataQueries=[
                {"Id": "lag", "MetricStat": {**stat, "Metric": {**metric, "Dimensions": []}}}
            ],
            StartTime=world_time(asked := cloudwatch.list_metrics()) - timedelta(minutes=10),
            EndTime=world_time(asked),
        )
        found = wrong["MetricDataResults"][0]["Values"]
        holds(found == [], "the lag without its dimensions is no data, and no error")

    def bring_writer_home(self) -> None:
        print("Bring the writer home")
        away, home = arn(AWAY, FORMER), arn(HOME, HOME_NEW)
        refused(
            "the writer while others are listed",
            "InvalidParameterValue: Can't remove writer cluster", 400,
            self.rds[AWAY].remove_from_global_cluster,
            GlobalClusterIdentifier=GLOBAL_RESTORING, DbClusterIdentifier=away,
        )
        refused(
            "the writer's last instance while others are listed",
            "InvalidDBClusterStateFault: Delete the replica cluster before", 400,
            self.rds[AWAY].delete_db_instance, DBInstanceIdentifier="gdb2-node1",
        )
        self.rds[HOME].remove_from_global_cluster(
            GlobalClusterIdentifier=GLOBAL_RESTORING, DbClusterIdentifier=home
        )
        holds(self.cluster(HOME, HOME_NEW)["Status"] == "promoting", "home is being promoted")
        eventually(
            "home stands alone",
            lambda: self.row(HOME, HOME_NEW) == ("Regional", "available"),
        )
        refused(
            "a snapshot's name that is taken", "DBClusterSnapshotAlreadyExistsFault", 400,
            self.rds[HOME].delete_db_cluster,
            DBClusterIdentifier=HOME_NEW, FinalDBSnapshotIdentifier=f"{STALE}-final",
        )
        eventually(
            "away is the only member",
            lambda: self.members(GLOBAL_RESTORING, AWAY) == {away: True},
        )

    def cut_over(self, name: str, endpoint: str) -> None:
        print(f"Cut over {name}")

        def change(action: str, to: str, zone: str = ZONE, kind: str = "CNAME") -> dict:
            record = {
                "Name": name, "Type": kind, "TTL": 5, "ResourceRecords": [{"Value": to}],
            }
            batch = {"Changes": [{"Action": action, "ResourceRecordSet": record}]}
            return {"HostedZoneId": zone, "ChangeBatch": batch}

        ask = self.route53.change_resource_record_sets
        refused(
            "an unknown hosted zone", "NoSuchHostedZone", 404,
            ask, **change("UPSERT", endpoint, zone="Z00000000000000000000"),
        )
        refused(
            "a record that is there", "InvalidChangeBatch", 400, ask, **change("CREATE", endpoint)
        )
        refused(
            "the deletion of another value", "InvalidChangeBatch", 400,
            ask, **change("DELETE", "elsewhere.example.com"),
        )
        refused(
            "an A record beside a CNAME", "InvalidChangeBatch", 400,
            ask, **change("UPSERT", "10.0.0.1", kind="A"),
        )
        info = ask(**change("UPSERT", endpoint))["ChangeInfo"]
        holds(info["Status"] == "PENDING", "a change is pending at first")
        eventually(
            "the change is in sync",
            lambda: self.route53.get_change(Id=info["Id"])["ChangeInfo"]["Status"] == "INSYNC",
        )
        listed = self.route53.list_resource_record_sets(
            HostedZoneId=ZONE, StartRecordName=name, StartRecordType="CNAME", MaxItems="1"
        )["ResourceRecordSets"][0]
        value = listed["ResourceRecords"][0]["Value"]
        holds(value == endpoint, f"{name} points to {value}")
        refused("an unknown change", "NoSuchChange", 404, self.route53.get_change, Id="C0")

    def final_table(self) -> None:
        print("The final table")
        for region, name in [(HOME, HOME_NEW), (AWAY, AWAY_NEW)]:
            row = self.row(region, name)
            holds(row == ("Global", "available"), f"{region} {name}: {row}")
        members = {arn(HOME, HOME_NEW): True, arn(AWAY, AWAY_NEW): False}
        holds(self.members(GLOBAL_RESTORED, AWAY) == members, "home is the writer, away a reader")
        for region, name in [(HOME, STALE), (AWAY, FORMER)]:
            holds(self.row(region, name) is None, f"{region} {name}: deleted")


def main() -> None:
    with serve(sys.argv[1], "--speed", str(SPEED)) as served:
        Runbook(served).run()
    print(f"{passed} passed, 0 failed")


if __name__ == "__main__":
    main()
