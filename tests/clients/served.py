"""A served world for a test: the process, its clients, and how to wait for it."""

import contextlib
import selectors
import signal
import subprocess
import time
from datetime import datetime
from email.utils import parsedate_to_datetime

import boto3
import botocore.exceptions
from botocore.config import Config

READY_WITHIN_S = 20
ENDS_WITHIN_S = 5


class Served:
    """The clients of one server. Services are told apart by the signature, so one URL is enough."""

    def __init__(self, url: str):
        self.url = url
        self._clients = {}

    def client(self, service: str, region: str):
        if (service, region) not in self._clients:
            self._clients[service, region] = boto3.client(
                service,
                region_name=region,
                endpoint_url=self.url,
                aws_access_key_id="AKIDSANDBOX",
                aws_secret_access_key="not-a-secret",
                # A refusal is what a test asks for: it must not be tried again.
                config=Config(retries={"total_max_attempts": 1}, read_timeout=10),
            )
        return self._clients[service, region]


@contextlib.contextmanager
def serve(binary: str, *arguments: str):
    """Starts the server on a free port and stops it whatever happens."""
    command = [binary, "serve", "--port", "0", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        yield Served(_url_of(process))
        process.send_signal(signal.SIGTERM)
        assert process.wait(ENDS_WITHIN_S) == 0, "the server ends cleanly when it is told to"
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def _url_of(process: subprocess.Popen) -> str:
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        assert selector.select(READY_WITHIN_S), "the server says that it is ready"
    line = process.stdout.readline()
    urls = [word for word in line.split() if word.startswith("http://127.0.0.1:")]
    assert urls, f"the server says where it listens, and on this machine only: {line!r}"
    return urls[0]


def world_time(answer: dict) -> datetime:
    """When the world gave this answer: its clock is not this machine's."""
    return parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])


def eventually(what: str, look, within_s: float = 30.0):
    """What `look` answers as soon as it is true."""
    deadline = time.monotonic() + within_s
    while True:
        answer = look()
        if answer:
            return answer
        assert time.monotonic() < deadline, f"waited {within_s} s in vain until {what}"
        time.sleep(0.02)


def refusal(call, **arguments) -> tuple[str, str, int]:
    """Code, message and HTTP status with which a call is refused."""
    try:
        answer = call(**arguments)
    except botocore.exceptions.ClientError as error:
        said = error.response["Error"]
        return said["Code"], said["Message"], error.response["ResponseMetadata"]["HTTPStatusCode"]
    raise AssertionError(f"not refused: {answer}")
