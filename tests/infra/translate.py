"""Prints what AWS SAM makes of a template: the resources that CloudFormation is given, roles and all.

Usage: translate.py TEMPLATE
"""

import json
import os
import sys

from samtranslator.translator.managed_policy_translator import ManagedPolicyLoader
from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse


class NamedPolicies(ManagedPolicyLoader):
    """SAM asks IAM for the ARNs of AWS's policies; here only their names are wanted."""

    def __init__(self):
        pass

    def load(self):
        return {}


def main(path):
    os.environ.setdefault("AWS_DEFAULT_REGION", "eu-west-1")
    with open(path, encoding="utf-8") as file:
        template = yaml_parse(file)
    # The translator takes code and definitions that were uploaded; here there are none to upload.
    uploaded = "s3://bucket/key"
    template["Globals"]["Function"]["CodeUri"] = uploaded
    for resource in template["Resources"].values():
        if "DefinitionUri" in resource.get("Properties", {}):
            resource["Properties"]["DefinitionUri"] = uploaded
    json.dump(transform(template, {}, NamedPolicies()), sys.stdout, indent=1)


if __name__ == "__main__":
    main(sys.argv[1])
