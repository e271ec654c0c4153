"""Holds the metric filters of infra/watch.yaml to what functions and definitions really say.

A filter that looks for a name which nothing says any more never matches, and its alarm is silent for
ever. So every name in it must exist, the lists must be complete, and lines as they are really logged
must be counted as intended.

Usage: signals.py [WATCH-TEMPLATE]     from the root of the repository
"""

import json
import re
import sys
from pathlib import Path

from samtranslator.yaml_helper import yaml_parse

STACK = "failback-test"
LONGEST_PATTERN = 1024  # PutMetricFilter refuses more


class Broken(Exception):
    """What does not hold, as a sentence."""


def expect(holds, sentence):
    if not holds:
        raise Broken(sentence)


# ── Filter patterns: the part of CloudWatch Logs' syntax for JSON that watch.yaml uses ──

TOKEN = re.compile(r'\s*(\$(?:\.\w+)+|"[^"]*"|&&|\|\||!=|[(){}=])')


def tokens(pattern):
    position, out = 0, []
    while pattern[position:].strip():
        match = TOKEN.match(pattern, position)
        expect(match, f"this is no filter pattern from here on: {pattern[position:]!r}")
        out.append(match.group(1))
        position = match.end()
    return out


def parse(pattern):
    """A pattern as nested tuples: ("||" | "&&", terms…) and ("=", path, text)."""
    rest = tokens(pattern)

    def take(wanted=None):
        expect(rest and wanted in (None, rest[0]), f"{wanted} is missing in {pattern}")
        return rest.pop(0)

    def chain(operator, term):
        terms = [term()]
        while rest and rest[0] == operator:
            take()
            terms.append(term())
        return terms[0] if len(terms) == 1 else (operator, *terms)

    def anything():
        return chain("||", lambda: chain("&&", term))

    def term():
        if rest and rest[0] == "(":
            take()
            inner = anything()
            take(")")
            return inner
        path = take()
        expect(path.startswith("$."), f"{path} is no field in {pattern}")
        take("=")
        return "=", path[2:], take().strip('"')

    take("{")
    tree = anything()
    take("}")
    expect(not rest, f"{rest} is left over in {pattern}")
    return tree


def matches(tree, line):
    kind, *parts = tree
    if kind == "=":
        path, text = parts
        for field in path.split("."):
            line = line.get(field) if isinstance(line, dict) else None
        wildcards = ".*".join(re.escape(part) for part in text.split("*"))
        return isinstance(line, str) and re.fullmatch(wildcards, line, re.DOTALL) is not None
    return (any if kind == "||" else all)(matches(part, line) for part in parts)


def texts(tree, path):
    """What a pattern compares a field with."""
    kind, *parts = tree
    if kind == "=":
        return {parts[1]} if parts[0] == path else set()
    return set().union(*(texts(part, path) for part in parts))


def under(tree, machine):
    """The branches of a pattern that are about one machine's executions."""
    kind, *parts = tree
    if kind == "||":
        return set().union(*(under(part, machine) for part in parts))
    if any(f"-{machine}:" in text for text in texts(tree, "span.execution")):
        return texts(tree, "span.phase")
    return set()


# ── What there is ──


def definitions():
    paths = sorted(Path("statemachine").glob("*.asl.json"))
    return {p.name.removesuffix(".asl.json"): json.loads(p.read_text()) for p in paths}


def tasks_from(definition, start):
    """The Task states that can be entered from a state on, itself included."""
    states, seen, open_ = definition["States"], set(), [start]
    while open_:
        name = open_.pop()
        if name in seen:
            continue
        seen.add(name)
        state = states[name]
        rules = [state, *state.get("Choices", []), *state.get("Catch", [])]
        open_ += [rule[key] for rule in rules for key in ("Next", "Default") if key in rule]
    return {name for name in seen if states[name]["Type"] == "Task"}


def filters(path):
    """Name of the resource → (pattern, metric, value)."""
    out = {}
    for name, resource in yaml_parse(Path(path).read_text())["Resources"].items():
        if resource["Type"] != "AWS::Logs::MetricFilter":
            continue
        pattern = resource["Properties"]["FilterPattern"]
        pattern = pattern["Fn::Sub"] if isinstance(pattern, dict) else pattern
        pattern = pattern.replace("${Name}", STACK)
        expect("${" not in pattern, f"{name}: only the stack's name is put into a pattern")
        expect(len(pattern) <= LONGEST_PATTERN, f"{name}: the pattern is too long")
        (metric,) = resource["Properties"]["MetricTransformations"]
        out[name] = parse(pattern), metric["MetricName"], metric["MetricValue"]
    return out


# ── What must hold ──


def names_exist(found):
    machines = definitions()
    template = yaml_parse(Path("template.yaml").read_text())["Resources"].values()
    properties = [resource.get("Properties", {}) for resource in template]
    handlers = {p["Handler"] for p in properties if "Handler" in p}
    for p in properties:
        if "DefinitionUri" in p:
            machine = Path(p["DefinitionUri"]).name.removesuffix(".asl.json")
            expect(
                p.get("Name") == {"Fn::Sub": "${AWS::StackName}-" + machine},
                f"the machine of {p['DefinitionUri']} is not named after stack and file",
            )
    headings = re.findall(r"^### (\w+)$", Path("docs/runbook.md").read_text(), re.MULTILINE)
    sources = "".join(p.read_text() for p in Path("functions").glob("*.rs"))
    phases = {
        name
        for machine in machines.values()
        for name, state in machine["States"].items()
        if state["Type"] == "Task"
    }
    children = json.dumps(machines["bring-home"])
    checked = 0
    for name, (tree, _, _) in found.items():
        def each(path, known, what):
            nonlocal checked
            for text in texts(tree, path):
                expect(text in known, f"{name}: {text} is no {what}")
                checked += 1

        each("span.phase", phases, "Task state")
        each("span.function", handlers, "function")
        each("details.error", headings, "heading of docs/runbook.md")
        for path in ("span.execution", "execution_arn"):
            for text in texts(tree, path):
                machine, _, run = text.removeprefix(f"*:execution:{STACK}-").partition(":")
                expect(machine in machines, f"{name}: {text} names no state machine")
                if run != "*":
                    expect(run.strip("*") in children, f"{name}: no child is named like {text}")
                checked += 1
        for path in ("fields.detail", "fields.message"):
            for text in texts(tree, path):
                expect(text.strip("*") in sources, f"{name}: no function says {text!r}")
                checked += 1
    return checked


def lists_are_complete(found):
    fenced = tasks_from(definitions()["promote-home"], "FenceWrites")
    refused = under(found["WritesRefusedFilter"][0], "promote-home")
    expect(refused == fenced, f"behind the fence: {sorted(fenced)}, in the filter: {sorted(refused)}")
    up = under(found["FenceUpFilter"][0], "promote-home")
    expect(up == fenced - {"LiftFence"}, f"FenceUpFilter: {sorted(up ^ (fenced - {'LiftFence'}))}")
    named = texts(found["ClientsCannotWriteFilter"][0], "details.error")
    sections = Path("docs/runbook.md").read_text().split("\n### ")[1:]
    for section in sections:
        heading = section.splitlines()[0]
        emphasized = " ".join(re.findall(r"\*\*([^*]+)\*\*", section.split("- **Not done:**")[0]))
        outage = re.search(r"writes are refused|write|find a reader", emphasized, re.IGNORECASE)
        expect(not outage or heading in named, f"ClientsCannotWriteFilter leaves out {heading}")
    return 2 + len(sections)


def said(machine, phase, function, message="answered", detail='"…"', run="r1"):
    """A line as the functions log it: functions/lib.rs, on lambda_runtime's JSON subscriber."""
    arn = f"arn:aws:states:eu-west-1:123456789012:execution:{STACK}-{machine}:{run}"
    span = {"execution": arn, "function": function, "phase": phase, "name": "invocation"}
    fields = {"message": message, "decision": '"DONE"', "detail": detail}
    return {"level": "INFO", "fields": fields, "span": span, "spans": [span]}


def event(machine, kind, **details):
    """An event as Step Functions logs it: Developer Guide, "Using CloudWatch Logs to log execution history"."""
    arn = f"arn:aws:states:eu-west-1:123456789012:execution:{STACK}-{machine}:r1"
    return {"id": "7", "type": kind, "details": details, "execution_arn": arn}


LIFTED = '"gdb2 is off the fence: 3 subnets in eu-west-1 are on [acl-1], 3 newly"'
LINES = [
    (said("promote-home", "CheckReplicationBeforeFence", "check_replication"), set()),
    (said("promote-home", "FenceWrites", "fence_writes"), {"FenceUp=1", "WritesRefused=1"}),
    (
        said("promote-home", "FenceWrites", "fence_writes", "failed"),
        {"FenceUp=1", "WritesRefused=1", "FunctionErrors=1"},
    ),
    (said("bring-home", "FenceWritesHome", "fence_writes"), set()),
    (said("retire-cluster", "DetachMember", "detach_member"), set()),
    (said("promote-home", "RestartInstances", "restart_instances"), {"FenceUp=1", "WritesRefused=1"}),
    (said("bring-home", "RestartInstancesHome", "restart_instances"), set()),
    (said("promote-home", "DetachMember", "detach_member"), {"FenceUp=1", "WritesRefused=1"}),
    (said("promote-home", "LiftFence", "lift_fence", detail=LIFTED), {"FenceUp=0", "WritesRefused=1"}),
    (said("bring-home", "LiftFence", "lift_fence", detail=LIFTED), {"FenceUp=0"}),
    (said("failback", "LiftLeftFence", "lift_left_fence", detail=LIFTED), {"FenceUp=0"}),
    (said("failback", "LiftLeftFence", "lift_left_fence", detail='"the fence stays: …"'), set()),
    (said("failback", "LiftLeftFence", "lift_left_fence", detail='"a dry run changes nothing"'), set()),
    (said("cut-over", "CutOverDns", "cut_over_dns", run="r1-cut-over-writer-0-0"), {"WritesRefused=1"}),
    (said("cut-over", "CutOverDns", "cut_over_dns", run="r1-cut-over-readers-0-0"), set()),
    (said("switch-over", "CheckSwitchover", "check_switchover"), {"WritesRefused=1"}),
    (event("promote-home", "TaskStateEntered", name="FenceWrites"), {"EndedBadly=0"}),
    (event("failback", "ExecutionSucceeded"), {"EndedBadly=0"}),
    (event("failback", "ExecutionAborted"), {"EndedBadly=1"}),
    (event("promote-home", "ExecutionAborted"), set()),
    (event("failback", "ExecutionFailed", error="FailbackRefused"), {"EndedBadly=1"}),
    (event("failback", "ExecutionFailed", error="FenceStillUp"), {"EndedBadly=1", "EndedWithoutWrites=1"}),
    (event("promote-home", "ExecutionFailed", error="FenceStillUp"), set()),
    ({"type": "platform.report", "record": {"status": "success"}}, set()),
    ({"type": "platform.report", "record": {"status": "error"}}, set()),
    ({"type": "platform.report", "record": {"status": "timeout"}}, {"FunctionBroken=1"}),
]


def lines_are_counted(found):
    for line, wanted in LINES:
        counted = {f"{metric}={value}" for tree, metric, value in found.values() if matches(tree, line)}
        expect(counted == wanted, f"{json.dumps(line)} counts as {counted}, not {wanted}")
    return len(LINES)


def main(path="infra/watch.yaml"):
    found = filters(path)
    checks = names_exist(found) + lists_are_complete(found) + lines_are_counted(found)
    print(f"{len(found)} filters: {checks} checks passed, 0 failed")


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except Broken as broken:
        sys.exit(f"signals: {broken}")
