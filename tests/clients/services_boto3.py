"""The services beside the runbook's, with boto3: a lock, a message, a token.

Usage: services_boto3.py PATH-TO-failback
"""

import sys

from served import refusal, serve

AWAY = "us-west-2"
TABLE = f"arn:aws:dynamodb:{AWAY}:123456789012:table/failback"
TOPIC = f"arn:aws:sns:{AWAY}:123456789012:failback"


def check(served) -> None:
    dynamodb = served.client("dynamodb", AWAY)

    def lock(run: str) -> dict:
        return {
            "TableName": TABLE,
            "Item": {"id": {"S": "lock"}, "run": {"S": run}},
            "ConditionExpression": "attribute_not_exists(id) OR run = :run",
            "ExpressionAttributeValues": {":run": {"S": run}},
        }

    dynamodb.put_item(**lock("first"))
    dynamodb.put_item(**lock("first"))
    code, message, status = refusal(dynamodb.put_item, **lock("second"))
    assert (code, status) == ("ConditionalCheckFailedException", 400), (code, message)
    key = {"id": {"S": "lock"}}
    item = dynamodb.get_item(TableName="failback", Key=key, ConsistentRead=True)["Item"]
    assert item["run"] == {"S": "first"}, item
    print("  ok a lock is held by one run")

    sns = served.client("sns", AWAY)
    assert sns.publish(TopicArn=TOPIC, Subject="Failback asks", Message="Promote?")["MessageId"]
    code, message, status = refusal(sns.publish, TopicArn=TOPIC + "-other", Message="x")
    assert (code, status) == ("NotFound", 404), (code, message)
    print("  ok a topic takes a message")

    states = served.client("stepfunctions", AWAY)
    code, message, _ = refusal(states.send_task_success, taskToken="none", output="{}")
    assert code == "InvalidToken", (code, message)
    print("  ok a token that nobody waits for is refused")

    data = served.client("rds-data", AWAY)
    cluster = f"arn:aws:rds:{AWAY}:123456789012:cluster:none"
    statement = {"resourceArn": cluster, "secretArn": "arn:aws:secretsmanager:none", "sql": "SELECT 1"}
    code, message, status = refusal(data.execute_statement, **statement)
    assert (code, status) == ("BadRequestException", 400), (code, message)
    print("  ok a cluster that is not there answers no statement")


    secrets = served.client("secretsmanager", AWAY)
    secrets.create_secret(Name="orders", SecretString='{"host": "before"}')
    token = "token-of-thirty-two-characters-0"
    for _ in range(2):
        secrets.put_secret_value(SecretId="orders", SecretString='{"host": "after"}', ClientRequestToken=token)
    assert secrets.get_secret_value(SecretId="orders")["SecretString"] == '{"host": "after"}'
    previous = secrets.get_secret_value(SecretId="orders", VersionStage="AWSPREVIOUS")
    assert previous["SecretString"] == '{"host": "before"}', previous
    code, message, status = refusal(secrets.describe_secret, SecretId="none")
    assert (code, status) == ("ResourceNotFoundException", 400), (code, message)
    print("  ok a secret has a new version and keeps the one before")


with serve(sys.argv[1], "--speed", "100") as served:
    check(served)
