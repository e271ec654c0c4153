"""Holds the examples, and every environment's request, to the JSON Schema of the input.

Usage: inputs.py SCHEMA DIRECTORY-OF-EXAMPLES DIRECTORY-OF-ENVIRONMENTS
"""

import json
import sys
from pathlib import Path

from jsonschema import Draft202012Validator
from samtranslator.yaml_helper import yaml_parse


def problems(validator, request):
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(request)]


def main(schema, examples, environments):
    schema = json.loads(Path(schema).read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    requests = {path: json.loads(path.read_text(encoding="utf-8")) for path in Path(examples).glob("*.json")}
    examples = len(requests)
    for path in Path(environments).glob("*.yaml"):
        requests[path] = json.loads(yaml_parse(path.read_text(encoding="utf-8"))["Request"])
    if not 0 < examples < len(requests):
        sys.exit("there are no examples, or no environments")
    failed = False
    for path, request in sorted(requests.items()):
        found = problems(validator, request)
        # A schema that takes whatever it is given would say nothing.
        if not problems(validator, request | {"no_such_field": 1}):
            found.append("$: a field that does not exist is taken")
        for problem in found:
            print(f"{path}: {problem}", file=sys.stderr)
        failed |= bool(found)
        print(f"  {'no' if found else 'ok'} {path}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main(*sys.argv[1:])
