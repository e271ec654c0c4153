"""The processes of the test, and the stack in them."""

import contextlib
import io
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
import urllib.request
import zipfile
from pathlib import Path

import boto3
from botocore.config import Config
from samtranslator.yaml_helper import yaml_parse

HOME, AWAY = "us-east-1", "us-west-2"
ACCOUNT = "123456789012"
STACK = "failback-engine"
BUCKET = "artefacts"
# What the functions ask of the world; whatever else they ask, they ask the engine.
OF_THE_WORLD = ["RDS", "RDS_DATA", "EC2", "ROUTE_53", "CLOUDWATCH", "SECRETS_MANAGER"]


class Broken(Exception):
    """What does not hold, as a sentence."""


def holds(condition, sentence: str):
    if not condition:
        raise Broken(sentence)
    print(f"  ok {sentence}", flush=True)


def eventually(what: str, look, within_s: float):
    """What `look` answers as soon as it is true."""
    deadline = time.monotonic() + within_s
    while True:
        answer = look()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise Broken(f"waited {within_s} s in vain until {what}")
        time.sleep(0.1)


def client(url: str, service: str, region: str):
    return boto3.client(
        service,
        region_name=region,
        endpoint_url=url,
        aws_access_key_id=ACCOUNT,
        aws_secret_access_key="not-a-secret",
        config=Config(retries={"total_max_attempts": 1}, read_timeout=60),
    )


@contextlib.contextmanager
def process(command: list[str], **arguments):
    """Runs a command and ends it whatever happens."""
    started = subprocess.Popen(command, text=True, **arguments)
    try:
        yield started
    finally:
        if started.poll() is None:
            started.send_signal(signal.SIGTERM)
            try:
                started.wait(5)
            except subprocess.TimeoutExpired:
                started.kill()
                started.wait()


@contextlib.contextmanager
def world(binary: str, speed: float):
    """`failback serve`; its URL."""
    command = [binary, "serve", "--port", "0", "--speed", str(speed)]
    with process(command, stdout=subprocess.PIPE) as served:
        with selectors.DefaultSelector() as selector:
            selector.register(served.stdout, selectors.EVENT_READ)
            holds(selector.select(20), "the world is served")
        yield next(word for word in served.stdout.readline().split() if word.startswith("http://127.0.0.1:"))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Engine:
    """ministack, where it listens, and the way of AWS's services to its bus."""

    def __init__(self, url: str, started: subprocess.Popen):
        self.url = url
        self._started = started

    def client(self, service: str):
        return client(self.url, service, AWAY)

    def says(self, event: dict):
        """One of AWS's services says something."""
        self._started.stdin.write(json.dumps(event) + "\n")
        self._started.stdin.flush()


@contextlib.contextmanager
def engine(world_url: str, speed: float, scratch: Path):
    """ministack on a free port of the loopback interface."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(scratch),
        "TMPDIR": str(scratch),
        "BIND_HOST": "127.0.0.1",
        "MINISTACK_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "MINISTACK_ACCOUNT_ID": ACCOUNT,
        "MINISTACK_REGION": AWAY,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "SFN_WAIT_SCALE": str(1 / speed),
        "LAMBDA_EXECUTOR": "local",
        "AWS_ENDPOINT_URL": url,
        **{f"AWS_ENDPOINT_URL_{service}": world_url for service in OF_THE_WORLD},
    }
    command = [sys.executable, str(Path(__file__).with_name("engine.py")), world_url, str(speed)]
    with open(scratch / "engine.log", "w") as log:
        with process(command, stdin=subprocess.PIPE, stdout=log, stderr=log, env=environment) as started:
            eventually("the engine answers", lambda: answers(url, started), 20)
            yield Engine(url, started)


def answers(url: str, started: subprocess.Popen) -> bool:
    if started.poll() is not None:
        raise Broken("the engine has ended")
    try:
        with urllib.request.urlopen(f"{url}/_ministack/health", timeout=2) as answer:
            return answer.status == 200
    except OSError:
        return False


def zipped(bootstrap: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        entry = zipfile.ZipInfo("bootstrap")
        entry.external_attr = 0o755 << 16
        archive.writestr(entry, bootstrap, zipfile.ZIP_DEFLATED, 1)
    return out.getvalue()


def packaged(s3, bootstrap: Path) -> str:
    """What `sam package` does: artefacts go to a bucket, and the template names them there. Nothing else of
    it is changed; the engine transforms it."""
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": AWAY})

    def upload(key: str, body: bytes) -> dict:
        s3.put_object(Bucket=BUCKET, Key=key, Body=body)
        return {"Bucket": BUCKET, "Key": key}

    template = yaml_parse(Path("template.yaml").read_text())
    template["Globals"]["Function"]["CodeUri"] = upload("bootstrap.zip", zipped(bootstrap.read_bytes()))
    for resource in template["Resources"].values():
        properties = resource.get("Properties", {})
        if "DefinitionUri" in properties:
            path = properties["DefinitionUri"]
            properties["DefinitionUri"] = upload(path, Path(path).read_bytes())
        if resource["Type"] == "AWS::CloudFormation::Stack":
            path = properties["TemplateURL"]
            upload(path, Path(path).read_bytes())
            properties["TemplateURL"] = f"https://s3.{AWAY}.amazonaws.com/{BUCKET}/{path}"
    upload("template.json", json.dumps(template).encode())
    return f"https://s3.{AWAY}.amazonaws.com/{BUCKET}/template.json"


def deployed(engine: Engine, template_url: str, request: dict) -> dict:
    """The outputs of the stack."""
    cloudformation = engine.client("cloudformation")
    # The engine has no composite alarms.
    parameters = {"Request": json.dumps(request), "HomeRegion": HOME, "AwayRegion": AWAY, "Watch": "false"}
    cloudformation.create_stack(
        StackName=STACK,
        TemplateURL=template_url,
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
        Parameters=[{"ParameterKey": k, "ParameterValue": v} for k, v in parameters.items()],
    )

    def stack():
        (found,) = cloudformation.describe_stacks(StackName=STACK)["Stacks"]
        return None if found["StackStatus"] == "CREATE_IN_PROGRESS" else found

    found = eventually("the stack is there", stack, 120)
    if found["StackStatus"] != "CREATE_COMPLETE":
        for event in cloudformation.describe_stack_events(StackName=STACK)["StackEvents"]:
            if "FAILED" in event["ResourceStatus"]:
                print(event["LogicalResourceId"], event.get("ResourceStatusReason"), file=sys.stderr)
        raise Broken(f"the stack is {found['StackStatus']}: {found.get('StackStatusReason')}")
    return {output["OutputKey"]: output["OutputValue"] for output in found["Outputs"]}
