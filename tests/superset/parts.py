"""What the suite runs: MariaDB servers, instances of Superset, and the served sandbox."""

import json
import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

ADMIN, ADMIN_PASSWORD = "admin", "api-%pass/1"
USER, PASSWORD = "app", "d@tabase/p%ss:1"
PORT = 13306
HERE = Path(__file__).parent


class Process:
    """A server that ends with the suite."""

    def __init__(self, arguments, log, **more):
        self.log = log
        with open(log, "ab") as out:
            self.process = subprocess.Popen(arguments, stdout=out, stderr=out, **more)

    def wait_until(self, holds, what, seconds=60):
        end = time.monotonic() + seconds
        while not holds():
            ended = self.process.poll() is not None
            if ended or time.monotonic() > end:
                said = self.log.read_text(errors="replace")[-2000:]
                why = "has ended" if ended else f"is not ready after {seconds} s"
                raise SystemExit(f"tests/superset: {what} {why}:\n{said}")
            time.sleep(0.05)

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


class Database(Process):
    """A MariaDB server at an address of its own, whose only row says which one it is."""

    def __init__(self, name, address, tools, scratch, read_only=False):
        data = scratch / f"data-{name}"
        subprocess.run(["cp", "-r", f"{tools}/empty", data], check=True)
        self.socket = scratch / f"{name}.sock"
        account = os.environ.get("USER") or "root"
        statements = scratch / f"{name}.sql"
        password = PASSWORD.replace("\\", "\\\\").replace("'", "\\'")
        statements.write_text(
            "create database mylab;\n"
            "create table mylab.place (server varchar(40), note varchar(80));\n"
            f"insert into mylab.place values ('{name}', 'written at {address}');\n"
            f"create user '{USER}'@'%' identified by '{password}';\n"
            f"grant select, insert on mylab.* to '{USER}'@'%';\n"
        )
        arguments = [
            "mariadbd", "--no-defaults", f"--user={account}", f"--datadir={data}",
            f"--socket={self.socket}", f"--bind-address={address}", f"--port={PORT}",
            f"--pid-file={scratch}/{name}.pid", f"--init-file={statements}",
            "--innodb-buffer-pool-size=16M", "--performance-schema=off",
        ]
        super().__init__(arguments + (["--read-only"] if read_only else []), scratch / f"{name}.log")
        self.wait_until(self.answers, f"the server {name}")

    def answers(self):
        command = ["mariadb", "--no-defaults", f"--socket={self.socket}", "--user=root", "-Ne",
                   "select server from mylab.place"]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0


class Superset(Process):
    """An instance of Apache Superset."""

    def __init__(self, name, port, tools, scratch, hosts):
        home = scratch / f"superset-{name}"
        subprocess.run(["cp", "-r", f"{tools}/metadata", home], check=True)
        self.name, self.url = name, f"http://127.0.0.1:{port}"
        environment = {
            **os.environ, "SUPERSET_HOME": str(home), "SUPERSET_HOSTS": str(hosts),
            "SUPERSET_CONFIG_PATH": str(HERE / "superset_config.py"),
        }
        arguments = [f"{tools}/bin/gunicorn", "--bind", f"127.0.0.1:{port}", "--workers", "1",
                     "--worker-class", "gthread", "--threads", "4", "--timeout", "200",
                     "superset.app:create_app()"]
        super().__init__(arguments, scratch / f"superset-{name}.log", env=environment)
        self.headers = {}

    def ready(self):
        self.wait_until(lambda: self.call("GET", "/health")[0] == 200, f"Superset {self.name}", 180)
        body = {"username": ADMIN, "password": ADMIN_PASSWORD, "provider": "db"}
        _, answer, _ = self.call("POST", "/api/v1/security/login", body)
        self.headers = {"Authorization": f"Bearer {answer['access_token']}", "Referer": self.url}
        _, answer, headers = self.call("GET", "/api/v1/security/csrf_token/")
        cookie = next(c for c in headers.get_all("Set-Cookie") if c.startswith("session="))
        self.headers |= {"X-CSRFToken": answer["result"], "Cookie": cookie.split(";")[0]}

    def call(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, method=method, headers={
            **self.headers, "Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                text, status, headers = answer.read(), answer.status, answer.headers
        except urllib.error.HTTPError as error:
            text, status, headers = error.read(), error.code, error.headers
        except OSError:
            return 0, None, None
        try:
            return status, json.loads(text), headers
        except ValueError:
            return status, text.decode(errors="replace"), headers

    def sources(self):
        """Name → (id, host, user, rest of the connection) of every data source."""
        _, answer, _ = self.call("GET", "/api/v1/database/?q=(page_size:100)")
        out = {}
        for source in answer["result"]:
            _, connection, _ = self.call("GET", f"/api/v1/database/{source['id']}/connection")
            result = connection["result"]
            uri = urllib.parse.urlsplit(result["sqlalchemy_uri"])
            kept = {k: result.get(k) for k in ("configuration_method", "extra", "impersonate_user")}
            kept |= {"scheme": uri.scheme, "user": uri.username, "port": uri.port,
                     "path": uri.path, "query": uri.query}
            out[source["database_name"]] = {"id": source["id"], "host": uri.hostname, "kept": kept}
        return out

    def add(self, name, host):
        password = urllib.parse.quote(PASSWORD, safe="")
        uri = f"mysql+pymysql://{USER}:{password}@{host}:{PORT}/mylab?charset=utf8mb4"
        body = {"database_name": name, "sqlalchemy_uri": uri, "configuration_method": "sqlalchemy_form",
                "expose_in_sqllab": True,
                "extra": json.dumps({"engine_params": {"connect_args": {"connect_timeout": 4}}})}
        status, answer, _ = self.call("POST", "/api/v1/database/", body)
        if status != 201:
            raise SystemExit(f"tests/superset: {name} cannot be made: {status} {answer}")
        return answer["id"]

    def remove_all(self):
        for dataset in self.call("GET", "/api/v1/dataset/")[1]["result"]:
            self.call("DELETE", f"/api/v1/dataset/{dataset['id']}")
        for source in self.sources().values():
            self.call("DELETE", f"/api/v1/database/{source['id']}")

    def rows(self, name):
        """What SQL Lab shows of a data source: its row, or that there is none."""
        source = self.sources().get(name)
        if source is None:
            return "no such data source"
        body = {"database_id": source["id"], "sql": "select server, note from place", "runAsync": False}
        status, answer, _ = self.call("POST", "/api/v1/sqllab/execute/", body)
        if status != 200:
            return "no answer"
        return "; ".join(f"{row['server']}, {row['note']}" for row in answer["data"])


class Aws(Process):
    """The served sandbox, by the protocols of AWS."""

    REGIONS = ("us-east-1", "us-west-2")

    def __init__(self, binary, scratch, speed):
        log = scratch / "serve.log"
        log.write_bytes(b"")
        super().__init__([binary, "serve", "--port", "0", "--speed", str(speed)], log)
        found = lambda: re.search(rb"http://127\.0\.0\.1:\d+", log.read_bytes())
        self.wait_until(found, "failback serve", 20)
        self.url = found().group().decode()

    def send(self, region, service, headers, data):
        scope = f"AKIDSANDBOX/20260101/{region}/{service}/aws4_request"
        signature = f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"
        request = urllib.request.Request(self.url, data, {**headers, "Authorization": signature})
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.read().decode()

    def json(self, region, service, version, target, body):
        headers = {"X-Amz-Target": target, "Content-Type": f"application/x-amz-json-{version}"}
        return json.loads(self.send(region, service, headers, json.dumps(body).encode()))

    def states(self, operation, **body):
        return self.json("us-west-2", "states", "1.0", f"AWSStepFunctions.{operation}", body)

    def secret(self, region, name, value):
        body = {"Name": name, "SecretString": json.dumps(value), "ClientRequestToken": "0" * 32}
        return self.json(region, "secretsmanager", "1.1", "secretsmanager.CreateSecret", body)["ARN"]

    def change_secret(self, arn, value, token):
        body = {"SecretId": arn, "SecretString": json.dumps(value), "ClientRequestToken": token}
        self.json(arn.split(":")[3], "secretsmanager", "1.1", "secretsmanager.PutSecretValue", body)

    def clusters(self, region):
        """Cluster → (status, endpoint, reader endpoint)."""
        form = b"Action=DescribeDBClusters&Version=2014-10-31"
        content = {"Content-Type": "application/x-www-form-urlencoded"}
        xml = self.send(region, "rds", content, form)
        field = lambda part, name: (re.search(f"<{name}>([^<]*)</{name}>", part) or [None, None])[1]
        parts = [p for p in xml.split("<DBCluster>")[1:]]
        return {field(p, "DBClusterIdentifier"): (
            field(p, "Status"), field(p, "Endpoint"), field(p, "ReaderEndpoint")) for p in parts}

    def run(self, name, request):
        """Runs the failback to its end; answers how it ended."""
        arn = self.states("StartExecution", name=name, input=json.dumps(request),
                          stateMachineArn="arn:aws:states:us-west-2:123456789012:stateMachine:failback")
        end = time.monotonic() + 180
        while True:
            execution = self.states("DescribeExecution", executionArn=arn["executionArn"])
            if execution["status"] != "RUNNING":
                return execution
            if time.monotonic() > end:
                raise SystemExit("tests/superset: the execution does not end")
            time.sleep(0.1)

    def histories(self):
        """Everything that all executions of all machines keep, as text."""
        out = []
        for machine in self.states("ListStateMachines")["stateMachines"]:
            executions = self.states("ListExecutions", stateMachineArn=machine["stateMachineArn"])
            for execution in executions["executions"]:
                token = {}
                while True:
                    page = self.states("GetExecutionHistory", executionArn=execution["executionArn"],
                                       maxResults=1000, **token)
                    out.append(json.dumps(page))
                    if not page.get("nextToken"):
                        break
                    token = {"nextToken": page["nextToken"]}
        return "\n".join(out)


def fail(sentence):
    sys.exit(f"tests/superset: does not hold: {sentence}")
