"""Checks what `sam build` has made, and leaves the functions' binary where it is told to.

Usage: check.py BUILD-DIRECTORY ARCHITECTURE DESTINATION
"""

import hashlib
import http.server
import io
import os
import re
import shutil
import struct
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

from samtranslator.yaml_helper import yaml_parse

ZIP_BYTES_MAX = 5_000_000
# Of `provided.al2023`.
GLIBC_MAX = (2, 34)
MACHINES = {"x86_64": 62, "arm64": 183}
PATIENCE_S = 20

checks = 0


def holds(that, what):
    global checks
    if not that:
        sys.exit(f"tests/artefact/check.py: does not hold: {what}")
    checks += 1
    print(f"  ok {what}")


def functions(build):
    """Handlers and binaries of the template that was built."""
    template = yaml_parse((build / "template.yaml").read_text(encoding="utf-8"))
    found = {}
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            properties = resource["Properties"]
            found[properties["Handler"]] = build / properties["CodeUri"] / "bootstrap"
    return found


def glibc(binary):
    """The newest version of the C library that a symbol asks for."""
    return max(tuple(map(int, found)) for found in re.findall(rb"GLIBC_(\d+)\.(\d+)", binary))


class RuntimeApi(http.server.BaseHTTPRequestHandler):
    """Hears who asks for an event, and gives none."""

    asked = None

    def do_GET(self):
        if self.path.endswith("/invocation/next"):
            RuntimeApi.asked.set()
            threading.Event().wait()

    def do_POST(self):
        self.send_response(202)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def starts(binary, handler, address):
    """Whether the binary, as this handler, asks for an event."""
    RuntimeApi.asked = threading.Event()
    environment = {
        "AWS_LAMBDA_RUNTIME_API": address,
        "AWS_LAMBDA_FUNCTION_NAME": handler,
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "192",
        "_HANDLER": handler,
        "AWS_REGION": "us-west-2",
        "AWS_ACCESS_KEY_ID": "AKIDSANDBOX",
        "AWS_SECRET_ACCESS_KEY": "not-a-secret",
    }
    null = subprocess.DEVNULL
    process = subprocess.Popen([binary], env=environment, stdout=null, stderr=null)
    try:
        for _ in range(PATIENCE_S * 100):
            if RuntimeApi.asked.wait(0.01):
                return True
            if process.poll() is not None:
                return False
        return False
    finally:
        process.kill()
        process.wait()


def main(build, architecture, destination):
    found = functions(build)
    declared = Path("functions/lib.rs").read_text(encoding="utf-8")
    names = re.search(r"^functions! \{\n(.*?)^\}", declared, re.S | re.M).group(1)
    holds(set(found) == set(re.findall(r"\w+", names)), f"{len(found)} functions were built")
    sums = {hashlib.sha256(path.read_bytes()).hexdigest() for path in found.values()}
    holds(len(sums) == 1, "all are the same binary")
    path = next(iter(found.values()))
    binary = path.read_bytes()
    holds(binary[:4] == b"\x7fELF" and binary[4:6] == b"\x02\x01", "it is a binary of Linux")
    holds(struct.unpack_from("<H", binary, 18)[0] == MACHINES[architecture], f"for {architecture}")
    version = glibc(binary)
    holds(version <= GLIBC_MAX, f"it needs glibc {version[0]}.{version[1]}, and AL2023 has 2.34")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(path, "bootstrap")
    packed = len(packed.getvalue())
    megabytes = f"{len(binary) / 1e6:.1f} MB, zipped {packed / 1e6:.1f} MB"
    holds(packed <= ZIP_BYTES_MAX, f"{megabytes}, of at most {ZIP_BYTES_MAX / 1e6:.0f} MB")

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), RuntimeApi)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"127.0.0.1:{server.server_port}"
    stuck = [handler for handler in found if not starts(path, handler, address)]
    holds(not stuck, f"it starts as every one of them {stuck or ''}".rstrip())
    holds(not starts(path, "no_such_function", address), "and as no other")

    # Whole or not at all: others run it.
    shutil.copy2(path, f"{destination}.new")
    os.replace(f"{destination}.new", destination)
    print(f"{checks} passed, 0 failed\n{destination}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
