"""ministack, with the world's clock behind `$millis()` and AWS's own events on its bus.

The definitions take the present from `$millis()` and compare it with what CloudWatch says of the world.
The world of `failback serve` goes faster than real time, so the engine must read its clock and not this
machine's. Waits are shortened by the same factor (SFN_WAIT_SCALE).

`PutEvents` refuses a source `aws.…` here as in AWS: only AWS's services may say so. So an event is taken from
standard input, one JSON document a line, and put on the bus by the way of ministack's own services.

A `TimeoutSeconds` that is an expression is evaluated, which ministack leaves out.

Nothing else of ministack is touched. docs/engine.md lists where it differs from AWS.

Usage: engine.py URL-OF-THE-WORLD SPEED     ministack is told the rest by its environment
"""

import json
import sys
import threading
import time
import urllib.error
import urllib.request
from email.utils import parsedate_to_datetime
from types import SimpleNamespace

from jsonata import jsonata, timebox
from ministack.app import main
from ministack.core import responses
from ministack.services import eventbridge, stepfunctions


def world_ms(url: str) -> float:
    """What the world's clock shows, to the second: every answer bears it, a refusal, too."""
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            date = answer.headers["date"]
    except urllib.error.HTTPError as refusal:
        date = refusal.headers["date"]
    return parsedate_to_datetime(date).timestamp() * 1000


def set_clock(url: str, speed: float):
    began_ms, began = world_ms(url), time.monotonic()

    class WorldTime(timebox.Timebox):
        """What `$millis()` and `$now()` read. How long an expression may take is still told in real time."""

        @staticmethod
        def current_milli_time() -> int:
            return round(began_ms + (time.monotonic() - began) * 1000 * speed)

    jsonata.timebox = SimpleNamespace(Timebox=WorldTime)


def evaluate_timeouts():
    execute = stepfunctions._execute_task

    def execute_task(state, raw_input, execution, ctx):
        if isinstance(state.get("TimeoutSeconds"), str):
            seconds = stepfunctions._jsonata_state_field(state, "TimeoutSeconds", "number", raw_input, ctx)
            state = {**state, "TimeoutSeconds": seconds}
        return execute(state, raw_input, execution, ctx)

    stepfunctions._execute_task = execute_task


def hear():
    """Puts what arrives on standard input on the default bus."""
    for line in sys.stdin:
        event = json.loads(line)
        entry = {
            "Source": event["source"],
            "DetailType": event["detail-type"],
            "Resources": event["resources"],
            "Detail": json.dumps(event["detail"]),
        }
        with responses.request_scope(event["account"], responses.get_region()):
            eventbridge._put_events({"Entries": [entry]}, allow_aws_source=True)


if __name__ == "__main__":
    set_clock(sys.argv[1], float(sys.argv[2]))
    sys.argv = sys.argv[:1]
    evaluate_timeouts()
    threading.Thread(target=hear, daemon=True).start()
    main()
