"""The duty of `set_deletion_protection` where nothing is to be changed, as one would write it in Python."""

import boto3
from botocore.config import Config

CLIENTS = {}


def rds(region):
    if region not in CLIENTS:
        config = Config(connect_timeout=3, read_timeout=8, retries={"mode": "standard", "total_max_attempts": 3})
        CLIENTS[region] = boto3.client("rds", region_name=region, config=config)
    return CLIENTS[region]


def handler(event, _context):
    cluster = event["cluster"]
    found = rds(cluster["region"]).describe_db_clusters(DBClusterIdentifier=cluster["cluster_id"])
    seen = found["DBClusters"][0]
    if seen["DeletionProtection"] != event["enabled"]:
        raise RuntimeError("this one only looks")
    return {"state": "DONE", "detail": f"deletion protection is {event['enabled']}"}
