"""The failback, with the runbook's data sources in real instances of Apache Superset.

Each run begins with the disaster: home's cluster is dead, and the applications of away are served by
away's. Clusters are MariaDB servers; a file says which of them stands for which cluster.

Usage: suite.py FAILBACK TOOLS SCRATCH     called by `run`
"""

import json
import socket
import sys
import threading
import urllib.parse
from pathlib import Path

from parts import PASSWORD, PORT, ADMIN_PASSWORD, USER, ADMIN, Aws, Database, Superset, fail

BINARY, TOOLS, SCRATCH = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
HOSTS = SCRATCH / "hosts.json"
# Waits pass a thousand times as fast; a function has the time that it really takes.
SPEED = 1000
OLD_HOME, OLD_AWAY, HOME, AWAY = (
    "gdb1-cluster", "gdb2-cluster", "gdb1-cluster-restored", "gdb2-cluster-restored")
WRITE_1, READ_2, WRITE_2 = "mysql aurora-gdb1-write", "mysql aurora-gdb2-read", "mysql aurora-gdb2-write"
ADDRESS = {"home": "127.0.0.2", "away": "127.0.0.3", "rebuilt away": "127.0.0.4"}
DEAD, SILENT = "127.0.0.9", "127.0.0.8"

checks = 0


def holds(condition, sentence, seen=""):
    global checks
    if not condition:
        fail(f"{sentence} {seen}")
    checks += 1
    print(f"  ok {sentence}", flush=True)


def hosts(**changes):
    """Which address stands for which cluster; those that are not named, as a run finds them."""
    usual = {OLD_HOME: DEAD, OLD_AWAY: ADDRESS["away"], HOME: ADDRESS["home"],
             AWAY: ADDRESS["rebuilt away"]}
    HOSTS.write_text(json.dumps(usual | {k.replace("_", "-"): v for k, v in changes.items()}))


def listen_in_silence():
    """A host that accepts every connection and then says nothing."""
    listener = socket.create_server((SILENT, PORT), backlog=64)
    kept = []

    def accept():
        while True:
            kept.append(listener.accept())

    threading.Thread(target=accept, daemon=True).start()


class Scene:
    """The workshop after the disaster, its secrets, and its data sources as they were left."""

    def __init__(self, primary, secondary, name):
        self.primary, self.secondary, self.name = primary, secondary, name
        self.aws = Aws(BINARY, SCRATCH, SPEED)
        before = {**self.aws.clusters("us-east-1"), **self.aws.clusters("us-west-2")}
        self.api = self.aws.secret("us-west-2", "failback-superset",
                                   {"username": ADMIN, "password": ADMIN_PASSWORD})
        self.login = {"username": USER, "password": PASSWORD}
        self.database = self.aws.secret("us-west-2", "failback-database", self.login)
        for instance in (primary, secondary):
            instance.remove_all()
        # Superset takes no data source that it cannot connect to: home was alive when this was made.
        hosts(gdb1_cluster=ADDRESS["home"])
        primary.add(WRITE_1, before[OLD_HOME][1])
        secondary.add(READ_2, before[OLD_AWAY][2])
        secondary.add(WRITE_2, before[OLD_AWAY][1])
        hosts()

    def request(self, primary, secondary, *others, seconds=30):
        request = json.loads(Path("statemachine/examples/workshop.json").read_text())
        request["limits"] = {"applications_s": seconds}
        request["endpoints"]["superset"] = [
            {"url": url, "plain_http": True, "login_secret_arn": self.api, "data_sources": sources}
            for url, sources in ((self.primary.url, primary), (self.secondary.url, secondary), *others)
        ]
        return request

    def point(self, name, to, **more):
        return {"name": name, "points_to": to, "password_secret_arn": self.database, **more}

    def end(self):
        said = self.aws.histories()
        holds("CutOverSuperset" in said and self.database in said, "histories are complete")
        secrets = (PASSWORD, ADMIN_PASSWORD, "wrong-password-of-the-test")
        forms = [f for s in secrets for f in (s, json.dumps(s)[1:-1], urllib.parse.quote(s, safe=""))]
        holds(not any(form in said for form in forms), f"no execution of '{self.name}' keeps a password")
        self.aws.stop()

    def database_is_home(self):
        home, away = self.aws.clusters("us-east-1"), self.aws.clusters("us-west-2")
        return list(home) == [HOME] and list(away) == [AWAY] and \
            home[HOME][0] == away[AWAY][0] == "available"


def shown(title, scene):
    print(f"  {title}")
    rows = []
    for instance, names in ((scene.primary, [WRITE_1]), (scene.secondary, [READ_2, WRITE_2, WRITE_1])):
        for name in names:
            rows.append((instance.name, name, instance.rows(name)))
            print("    {:<10} {:<26} {}".format(*rows[-1]))
    return {row[:2]: row[2] for row in rows}


def row(name):
    return f"{name}, written at {ADDRESS[name]}"


def renaming(primary, secondary):
    print("\n-- the runbook's three cases, the last one by renaming")
    scene = Scene(primary, secondary, "renaming")
    before = shown("SQL Lab before:", scene)
    holds(before["primary", WRITE_1] == "no answer", "home is dead", before)
    holds(before["secondary", WRITE_2] == row("away"), "away's writer answers", before)
    kept = {**primary.sources(), **secondary.sources()}
    request = scene.request(
        [scene.point(WRITE_1, "home_writer")],
        [scene.point(READ_2, "away_reader"), scene.point(WRITE_2, "home_writer", rename_to=WRITE_1)])

    ended = scene.aws.run("first", request)
    holds(ended["status"] == "SUCCEEDED", "the failback succeeds", ended)
    after = shown("SQL Lab after:", scene)
    holds(after["primary", WRITE_1] == row("home"), "the primary's writer is home", after)
    holds(after["secondary", READ_2] == row("rebuilt away"), "the reader is the rebuilt away", after)
    holds(after["secondary", WRITE_1] == row("home"), "the renamed one is home", after)
    holds(after["secondary", WRITE_2] == "no such data source", "its old name is free", after)
    now = secondary.sources()
    holds(now[WRITE_1]["id"] == kept[WRITE_2]["id"], "it is the same data source", now)
    holds(now[READ_2]["kept"] == kept[READ_2]["kept"] and now[WRITE_1]["kept"] == kept[WRITE_2]["kept"],
          "nothing but hosts and the name was changed", (now, kept))
    report = json.loads(ended["output"])
    moved = {(s["url"], s["name"]): s for s in report["data_sources"]}
    holds(len(moved) == 3 and all(s["moved"] for s in moved.values()), "the report lists all three", moved)
    holds(moved[primary.url, WRITE_1]["from"].startswith(f"{OLD_HOME}."), "and says from where", moved)

    stamps = [source["id"] for source in now.values()]
    ended = scene.aws.run("again", request)
    holds(ended["status"] == "SUCCEEDED", "a second run succeeds", ended)
    holds([s["id"] for s in secondary.sources().values()] == stamps, "and finds nothing to change")
    scene.end()


def removing(primary, secondary):
    print("\n-- the runbook's third case by removing, first with a dataset in the way")
    scene = Scene(primary, secondary, "removing")
    body = {"database": secondary.sources()[WRITE_2]["id"], "schema": "mylab", "table_name": "place"}
    status, answer, _ = secondary.call("POST", "/api/v1/dataset/", body)
    holds(status == 201, "a dataset is made of it", answer)
    request = scene.request([scene.point(WRITE_1, "home_writer")],
                            [scene.point(READ_2, "away_reader"), {"name": WRITE_2, "remove": True}])

    ended = scene.aws.run("first", request)
    holds(ended["error"] == "ApplicationsNotMoved", "the run ends by its name", ended)
    holds(f"`{WRITE_2}` of {secondary.url}" in ended["cause"] and WRITE_1 not in ended["cause"],
          "which says what is left", ended["cause"])
    holds(WRITE_2 in secondary.sources(), "what is used is not removed")
    secondary.call("DELETE", f"/api/v1/dataset/{answer['id']}")

    ended = scene.aws.run("again", request)
    holds(ended["status"] == "SUCCEEDED", "without the dataset a second run finishes it", ended)
    after = shown("SQL Lab after:", scene)
    holds(after["secondary", WRITE_2] == "no such data source", "it is gone", after)
    holds(after["primary", WRITE_1] == row("home"), "the writer's is home", after)
    scene.end()


def trouble(primary, secondary):
    print("\n-- an instance that is down, a wrong password, a silent host, one missing, one renamed by hand")
    scene = Scene(primary, secondary, "trouble")
    wrong = scene.aws.secret("us-west-2", "failback-wrong",
                             {"username": USER, "password": "wrong-password-of-the-test"})
    hosts(**{AWAY: SILENT})
    # Somebody has begun by hand: renamed it already, but left its host.
    source = secondary.sources()[WRITE_2]
    secondary.call("PUT", f"/api/v1/database/{source['id']}",
                   {"database_name": WRITE_1, "configuration_method": "sqlalchemy_form"})
    down = f"http://127.0.0.1:{PORT + 99}"
    request = scene.request(
        [scene.point(WRITE_1, "home_writer", password_secret_arn=wrong),
         scene.point("mysql that nobody made", "home_writer")],
        [scene.point(READ_2, "away_reader"), scene.point(WRITE_2, "home_writer", rename_to=WRITE_1)],
        (down, [scene.point(WRITE_1, "home_writer")]))
    hosts_before = {name: s["host"] for name, s in {**secondary.sources(), **primary.sources()}.items()}

    ended = scene.aws.run("first", request)
    cause = ended.get("cause", "")
    print("   ", ended["status"], ended.get("error"))
    print("   ", cause)
    holds(ended["error"] == "ApplicationsNotMoved", "the run ends by its name", ended)
    holds(scene.database_is_home(), "the failback of the database is complete all the same")
    for words, what in (
        (f"`{WRITE_1}` of {primary.url}", "the one with the wrong password is named"),
        (f"`{READ_2}` of {secondary.url}", "the one with the silent host is named"),
        (f"`{WRITE_1}` of {down}", "the instance that is down is named"),
        (f"`mysql that nobody made` of {primary.url}", "the missing one is named"),
        ("failback-wrong", "which secret is wrong is said"),
        ("does not answer", "that an instance does not answer is said"),
        ("there is no data source", "that one is missing is said"),
    ):
        holds(words in cause, what, cause)
    holds(f"`{WRITE_2}`" not in cause, "the one that was renamed by hand is moved", cause)
    after = shown("SQL Lab after:", scene)
    holds(after["secondary", WRITE_1] == row("home"), "and answers from home", after)
    now = {name: s["host"] for name, s in {**secondary.sources(), **primary.sources()}.items()}
    holds(now[READ_2] == hosts_before[READ_2], "the one whose new host is silent is as it was", now)
    holds(primary.sources()[WRITE_1]["host"].startswith(f"{OLD_HOME}."), "the one with the wrong password, too")

    hosts()
    scene.aws.change_secret(wrong, scene.login, "1" * 32)
    primary.add("mysql that nobody made", scene.aws.clusters("us-east-1")[HOME][1])
    third = Superset("third", PORT + 99, TOOLS, SCRATCH, HOSTS)
    try:
        third.ready()
        third.add(WRITE_1, scene.aws.clusters("us-west-2")[AWAY][1])
        ended = scene.aws.run("again", request)
        holds(ended["status"] == "SUCCEEDED", "mended, a second run finishes the rest", ended)
        after = shown("SQL Lab after the second run:", scene)
        holds(after["primary", WRITE_1] == row("home"), "the primary's writer is home", after)
        holds(after["secondary", READ_2] == row("rebuilt away"), "the reader is the rebuilt away", after)
        holds(third.rows(WRITE_1) == row("home"), "the instance that was down is home, too")
    finally:
        third.stop()
    scene.end()


def main():
    running = []
    hosts()
    try:
        instances = []
        for name, port in (("primary", PORT + 1), ("secondary", PORT + 2)):
            instances.append(Superset(name, port, TOOLS, SCRATCH, HOSTS))
            running.append(instances[-1])
        for name, address in ADDRESS.items():
            label = name.replace(" ", "-")
            running.append(Database(name, address, TOOLS, SCRATCH, read_only=label == "rebuilt-away"))
        listen_in_silence()
        for instance in instances:
            instance.ready()
        renaming(*instances)
        removing(*instances)
        trouble(*instances)
    finally:
        for process in reversed(running):
            process.stop()
    print(f"{checks} passed, 0 failed")


if __name__ == "__main__":
    main()
