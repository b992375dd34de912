"""The AWS permissions that Candor needs, as IAM statements ready to copy.

Source of the actions: the service authorization reference of Amazon Bedrock and of Amazon S3.
"""

from __future__ import annotations

import json
from typing import Any

from lib.core.sources import account_of, partition_of, region_of

_INVOKE = ("bedrock:InvokeModel", "bedrock:InvokeModelWithResponseStream")
_LIST, _DESCRIBE, _READ = "bedrock:ListImportedModels", "bedrock:GetImportedModel", "s3:GetObject"
_SIDS = {_INVOKE[0]: "Invoke", _INVOKE[1]: "Invoke", _LIST: "List", _DESCRIBE: "Describe", _READ: "Tokenizer"}
ACTIONS = {
    "InvokeModel": _INVOKE[0],
    "InvokeModelWithResponseStream": _INVOKE[1],
    "ListImportedModels": _LIST,
    "GetImportedModel": _DESCRIBE,
    "GetObject": _READ,
}


def statement(action: str, resource: str) -> dict[str, Any]:
    """The statement that allows an action on a resource. The two ways to invoke a model go together."""
    actions = list(_INVOKE) if action in _INVOKE else [action]
    resource = "*" if action == _LIST else resource
    named = {"Sid": _SIDS[action]} if action in _SIDS else {}
    return {**named, "Effect": "Allow", "Action": actions, "Resource": resource or "*"}


def least_policy(arn: str = "", s3_uri: str = "", partition: str = "aws") -> dict[str, Any]:
    """The policy with the minimum permissions for everything Candor does.

    arn: of an imported model, whose partition, account and region are allowed. s3_uri: the location of its files.
    partition: the AWS partition, if there is no ARN.
    """
    partition = partition_of(arn) or partition
    region, account = region_of(arn) or "REGION", account_of(arn) or "ACCOUNT"
    models = f"arn:{partition}:bedrock:{region}:{account}:imported-model/*"
    return {
        "Version": "2012-10-17",
        "Statement": [
            statement(_INVOKE[0], models),
            statement(_DESCRIBE, models),
            statement(_LIST, "*"),
            statement(_READ, objects_of(s3_uri or "s3://BUCKET/PREFIX", partition)),
        ],
    }


def objects_of(s3_uri: str, partition: str) -> str:
    """The ARN of everything under an S3 URI."""
    return f"arn:{partition}:s3:::{s3_uri.removeprefix('s3://').rstrip('/')}/*"


def as_json(policy: dict[str, Any]) -> str:
    """Format a policy for people to copy."""
    return json.dumps(policy, indent=2)
