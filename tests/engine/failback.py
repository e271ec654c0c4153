"""A failback on an engine that we did not write: from the event on the bus to the last table.

template.yaml as it is deployed, the binary that runs in Lambda, ministack for Step Functions, Lambda, EventBridge,
DynamoDB, SNS, IAM and CloudFormation; `failback serve` for RDS, EC2, Route 53 and CloudWatch.

Usage: failback.py PATH-TO-bootstrap PATH-TO-failback     from the root of the repository
"""

import json
import re
import sys
import tempfile
import time
from pathlib import Path

from stack import ACCOUNT, AWAY, HOME, Broken, Engine, client, deployed, engine, eventually, holds, packaged, world, zipped

# The world's seconds in one of ours. Functions run in real time: each of their calls has to be short for the world, too.
SPEED = 40
LIMITS = {"stable_s": 120, "recover_s": 7200}
CRASHES = b"#!/bin/sh\nexit 1\n"


def step(title: str):
    print(f"\n-- {title} ({time.monotonic() - BEGAN:.0f} s)", flush=True)


def event(name: str) -> dict:
    return json.loads(Path(f"tests/events/{name}.json").read_text())


class Test:
    def __init__(self, engine: Engine, world_url: str, outputs: dict):
        self.engine = engine
        self.world_url = world_url
        self.states = engine.client("stepfunctions")
        self.functions = engine.client("lambda")
        self.failback = outputs["FailbackStateMachineArn"]
        machines = self.states.list_state_machines()["stateMachines"]
        self.awaits = next(m["stateMachineArn"] for m in machines if m["name"].endswith("-await-recovery"))
        self.mail = self.subscribed(outputs["ApprovalTopicArn"])

    def subscribed(self, topic: str) -> str:
        """A mailbox of whoever is on duty."""
        sqs = self.engine.client("sqs")
        url = sqs.create_queue(QueueName="on-duty")["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        self.engine.client("sns").subscribe(
            TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes={"RawMessageDelivery": "true"}
        )
        return url

    def executions(self, machine: str) -> list[dict]:
        return self.states.list_executions(stateMachineArn=machine)["executions"]

    def ended(self, arn: str, within_s: float) -> dict:
        def look():
            found = self.states.describe_execution(executionArn=arn)
            return None if found["status"] == "RUNNING" else found

        return eventually(f"{arn} has ended", look, within_s)

    def started(self, machine: str, count: int, within_s: float = 20) -> list[dict]:
        """The executions of a machine, once there are so many."""
        what = f"{count} executions of {machine} have started"
        return eventually(what, lambda: len(self.executions(machine)) >= count and self.executions(machine), within_s)

    def question(self) -> str:
        sqs = self.engine.client("sqs")

        def look():
            messages = sqs.receive_message(QueueUrl=self.mail, WaitTimeSeconds=0).get("Messages", [])
            for message in messages:
                sqs.delete_message(QueueUrl=self.mail, ReceiptHandle=message["ReceiptHandle"])
                return message["Body"]

        return eventually("somebody is asked", look, 120)

    def answer(self, message: str) -> str:
        """Does what the message says, to go on."""
        command = re.search(r"--function-name (\S+) .*--payload '(\{[^']*\})'", message)
        function, payload = command.groups()
        said = {**json.loads(payload), "who": "the engine's test", "why": "it is one"}
        answer = self.functions.invoke(FunctionName=function, Payload=json.dumps(said))
        holds("FunctionError" not in answer, f"the answer to {said['approval_id']} is taken")
        return said["approval_id"]

    def recorded(self, arn: str) -> list[dict]:
        pages = self.states.get_paginator("get_execution_history").paginate(executionArn=arn)
        return [event for page in pages for event in page["events"]]


def crashing_function_ends_by_name(test: Test, bootstrap: Path):
    name = next(
        f["FunctionName"]
        for page in test.functions.get_paginator("list_functions").paginate()
        for f in page["Functions"]
        if "PlanFailback" in f["FunctionName"]
    )
    test.functions.update_function_code(FunctionName=name, ZipFile=zipped(CRASHES))
    arn = test.states.start_execution(stateMachineArn=test.failback, name="crash", input="{}")["executionArn"]
    found = test.ended(arn, 60)
    holds(found["status"] == "FAILED" and found.get("error") == "FailbackRefused", "plan_failback crashes: FailbackRefused")
    holds("exited" in found["cause"], f"and its cause says so: {found['cause'].split('Reason: ')[-1]}")
    test.functions.update_function_code(FunctionName=name, S3Bucket="artefacts", S3Key="bootstrap.zip")


def refusing_function_ends_by_name(test: Test):
    given = json.dumps({"home": {"clusterid": "x"}})
    arn = test.states.start_execution(stateMachineArn=test.failback, name="typo", input=given)["executionArn"]
    found = test.ended(arn, 30)
    holds(found.get("error") == "FailbackRefused", "an unknown field is refused: FailbackRefused")
    holds("home.clusterid" in found["cause"], "by its name")


def event_starts_it(test: Test) -> str:
    test.engine.says(event("health-open"))
    test.engine.says(event("health-resolved-open"))
    (wait,) = test.started(test.awaits, 1)
    found = test.ended(wait["executionArn"], 60)
    output = json.loads(found.get("output") or "{}")
    holds(found["status"] == "SUCCEEDED" and output.get("started") is True, f"the recovery was awaited: {output.get('detail')}")
    runs = [run for run in test.executions(test.failback) if run["name"].startswith("incident-")]
    holds(len(runs) == 1 and runs[0]["name"] == wait["name"], f"one failback runs, named after the incident: {runs[0]['name']}")
    return runs[0]["executionArn"]


def copies_start_nothing(test: Test):
    before = [len(test.executions(machine)) for machine in (test.awaits, test.failback)]
    for name in ["health-duplicate", "health-backup-copy", "health-open"]:
        test.engine.says(event(name))
    # Heard after them, and by the same rule.
    test.engine.says(event("health-account-open"))
    table = test.engine.client("dynamodb")

    def heard():
        (name,) = table.list_tables()["TableNames"]
        item = table.get_item(TableName=name, Key={"id": {"S": f"events#{HOME}"}}, ConsistentRead=True)["Item"]
        return any("RDS" in thing for thing in json.loads(item["register"]["S"])["things"])

    eventually("the last event is heard", heard, 20)
    time.sleep(1)
    after = [len(test.executions(machine)) for machine in (test.awaits, test.failback)]
    holds(before == after, "a duplicate, a backup copy and a late one start nothing")


def second_start_is_refused(test: Test, first: str):
    arn = test.states.start_execution(stateMachineArn=test.failback, name="second", input="{}")["executionArn"]
    found = test.ended(arn, 30)
    holds(found.get("error") == "AnotherRunInProgress", "a second start by hand is refused: AnotherRunInProgress")
    holds(first in found["cause"], "and names the run that is at work")
    test.engine.says(event("health-closed"))
    test.started(test.awaits, 2)
    newest = max(test.executions(test.awaits), key=lambda e: e["startDate"])
    found = test.ended(newest["executionArn"], 30)
    output = json.loads(found["output"])
    holds(output["started"] is False, f"the end of another incident starts no second one: {output['detail']}")


def table_of(world_url: str) -> list[str]:
    """The last table of the runbook, as the world has it."""
    rows = []
    (found,) = client(world_url, "rds", HOME).describe_global_clusters()["GlobalClusters"]
    for region in (HOME, AWAY):
        for cluster in client(world_url, "rds", region).describe_db_clusters()["DBClusters"]:
            members = found["GlobalClusterMembers"]
            roles = ["Writer" if m["IsWriter"] else "Reader" for m in members if m["DBClusterArn"] == cluster["DBClusterArn"]]
            scope = "Global" if roles else "Regional"
            rows.append(f"{region} {cluster['DBClusterIdentifier']} {scope} {cluster['Status']} {roles[0] if roles else '-'}")
    return [f"{found['GlobalClusterIdentifier']}"] + rows


def it_ends_as_the_runbook_says(test: Test, run: str):
    for gate in ["retire-home", "promote-home", "retire-away"]:
        holds(test.answer(test.question()).endswith(gate), f"it asked before {gate}")
    found = test.ended(run, 180)
    holds(found["status"] == "SUCCEEDED", f"the failback is {found['status']} {found.get('error', '')} {found.get('cause', '')}")
    seen = table_of(test.world_url)
    expected = [
        "reinvent-dat348-gdb-restored",
        f"{HOME} gdb1-cluster-restored Global available Writer",
        f"{AWAY} gdb2-cluster-restored Global available Reader",
    ]
    print("\n".join(f"     {row}" for row in seen))
    holds(seen == expected, "the last table holds")
    zone = "Z04873361KQ3ZLLX2R0JB"
    records = client(test.world_url, "route53", HOME).list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"]
    values = {r["Name"]: r["ResourceRecords"][0]["Value"] for r in records if r["Type"] == "CNAME"}
    holds("gdb1-cluster-restored" in values["db-writer.workshop.internal."], "clients write at home")
    report = json.loads(found["output"])
    holds(report["outcome"] == "COMPLETE", f"the report says {report['outcome']}: {report['proof']['detail']}")
    holds({a["who"] for a in report["approvals"]} == {"the engine's test"}, "and who approved each step")
    last = test.recorded(run)[-1]["type"]
    holds(last == "ExecutionSucceeded", f"its history ends with {last}")


def main(bootstrap: str, failback: str):
    request = json.loads(Path("statemachine/examples/workshop.json").read_text())
    request["limits"] = LIMITS
    with tempfile.TemporaryDirectory() as directory:
        scratch = Path(directory)
        with world(failback, SPEED) as world_url, engine(world_url, SPEED, scratch) as ministack:
            try:
                step("the stack")
                template = packaged(ministack.client("s3"), Path(bootstrap))
                outputs = deployed(ministack, template, request)
                holds(ACCOUNT in outputs["FailbackStateMachineArn"], "template.yaml is deployed")
                test = Test(ministack, world_url, outputs)
                step("functions that fail")
                refusing_function_ends_by_name(test)
                crashing_function_ends_by_name(test, Path(bootstrap))
                step("an event starts it")
                run = event_starts_it(test)
                copies_start_nothing(test)
                second_start_is_refused(test, run)
                step("the run, and its questions")
                it_ends_as_the_runbook_says(test, run)
            except BaseException:
                sys.stderr.write((scratch / "engine.log").read_text()[-6000:])
                raise
    step("all good")


if __name__ == "__main__":
    BEGAN = time.monotonic()
    try:
        main(*sys.argv[1:])
    except Broken as broken:
        sys.exit(f"does not hold: {broken}")
