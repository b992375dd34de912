"""Errors before a call reaches the service, and errors that the caller causes: each has its own text."""

from __future__ import annotations

import json
import re
import time
from contextlib import closing
from email.utils import formatdate
from pathlib import Path
from typing import Any

import botocore.exceptions
import pytest
from botocore.exceptions import BotoCoreError, EndpointProviderError
from hypothesis import given
from hypothesis import strategies as st

from lib.core.request import Request
from lib.core.sources import AwsTarget, BedrockModel
from lib.engines.bedrock.account import Account
from lib.engines.bedrock.clients import partition_of_region
from lib.engines.bedrock.engine import BedrockEngine
from lib.engines.bedrock.errors import in_words
from lib.engines.bedrock.permissions import least_policy, statement
from lib.engines.remote.retry import RetryPolicy
from lib.errors import InvalidRequest, ServiceError
from tests.lib.engines.bedrock.test_engine import ARN
from tests.support.loopback import Canned

HASTE = RetryPolicy(cold_timeout=0, throttled_attempts=1, transient_attempts=1)
NOWHERE = "http://127.0.0.1:1"


def failure(**fields: Any) -> ServiceError:
    """The error that a call ends with."""
    engine = BedrockEngine(BedrockModel(fields.pop("arn", ARN), **fields), retry_policy=HASTE)
    with closing(engine), pytest.raises(ServiceError) as raised:
        engine.complete(Request(prompt="x"))
    assert raised.value.cause
    assert raised.value.remedy
    assert "secret-example" not in str(raised.value)
    return raised.value


def test_no_region() -> None:
    error = failure(arn="my-model")
    assert error.code == "NoRegionError"
    assert "AWS_DEFAULT_REGION" in error.remedy


def test_no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    error = failure(endpoint=NOWHERE)
    assert error.code == "NoCredentialsError"
    assert "aws sso login" in error.remedy


def test_half_of_the_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    assert failure(endpoint=NOWHERE).code == "PartialCredentialsError"


def test_no_such_profile() -> None:
    assert failure(endpoint=NOWHERE, profile="nobody").code == "ProfileNotFound"


SSO = {
    "session": "[profile sso]\nsso_session = ours\nsso_account_id = 123456789012\nsso_role_name = Reader\n\n"
    "[sso-session ours]\nsso_region = us-east-1\nsso_start_url = https://example.awsapps.com/start\n",
    "legacy": "[profile sso]\nsso_start_url = https://example.awsapps.com/start\nsso_region = us-east-1\n"
    "sso_account_id = 123456789012\nsso_role_name = Reader\n",
}


@pytest.mark.parametrize("kind", SSO)
def test_an_sso_login_that_has_expired(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config").write_text(SSO[kind])
    monkeypatch.setenv("HOME", str(tmp_path))  # SSO tokens would be stored here
    error = failure(endpoint=NOWHERE, profile="sso")
    assert error.cause == "The AWS login has expired."
    assert "aws sso login" in error.remedy


def test_a_credential_process_without_credentials(tmp_path: Path) -> None:
    (tmp_path / "config").write_text("[profile helped]\ncredential_process = false\n")
    assert failure(endpoint=NOWHERE, profile="helped").code == "CredentialRetrievalError"


def test_a_configuration_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "config").write_text("no sections\n")
    assert failure(endpoint=NOWHERE, profile="any").code == "ConfigParseError"


def test_an_address_without_a_server() -> None:
    error = failure(endpoint=NOWHERE)
    assert error.code == "EndpointConnectionError"
    assert "network" in error.remedy


# An environment that boto3 rejects, the endpoint called, and words of the cause and of the remedy.
SETTINGS = {
    "an address without a scheme": ({"AWS_ENDPOINT_URL": "127.0.0.1:9911"}, "", "complete URL", "AWS_ENDPOINT_URL"),
    "one of the service": (
        {"AWS_ENDPOINT_URL_BEDROCK_RUNTIME": "127.0.0.1:9911"}, "", "complete URL", "AWS_ENDPOINT_URL_BEDROCK_RUNTIME",
    ),
    "a port that is none": ({"AWS_ENDPOINT_URL": "http://127.0.0.1:99999"}, "", "complete URL", "AWS_ENDPOINT_URL"),
    "brackets left open": ({"AWS_ENDPOINT_URL": "http://[::1"}, "", "complete URL", "AWS_ENDPOINT_URL"),
    "nobody there": ({"AWS_ENDPOINT_URL": NOWHERE}, "", "can't be reached", "AWS_ENDPOINT_URL"),
    "defaults": ({"AWS_DEFAULTS_MODE": "odd"}, NOWHERE, "odd", "AWS_"),
    "an account's endpoint": ({"AWS_ACCOUNT_ID_ENDPOINT_MODE": "odd"}, NOWHERE, "account_id_endpoint_mode", "AWS_"),
    "a key with a line break": ({"AWS_SESSION_TOKEN": "secret-example\n"}, NOWHERE, "line break", "session token"),
    "an API key over http": ({"AWS_BEARER_TOKEN_BEDROCK": "secret-example"}, NOWHERE, "https only", "Unset"),
    "a proxy that is none": ({"HTTPS_PROXY": "foo bar"}, "https://127.0.0.1:1", "before AWS answered", "HTTPS_PROXY"),
}  # fmt: skip


@pytest.mark.parametrize("kind", SETTINGS)
def test_invalid_settings_are_named(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    variables, endpoint, cause, remedy = SETTINGS[kind]
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    error = failure(endpoint=endpoint)
    assert cause in error.cause
    assert remedy in error.remedy
    assert not re.search(r"Error\b|Exception|ValueError", f"{error.cause} {error.remedy}"), "no names of Python classes"


@pytest.mark.parametrize("variable", ["AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT"])
def test_a_custom_endpoint_is_used_or_the_conflicting_setting_named(
    variable: str, canned: Canned, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some versions of botocore refuse the combination; this one uses the endpoint."""
    monkeypatch.setenv(variable, "true")
    canned.control = {"/imported-models": {"modelSummaries": []}}
    with closing(Account()) as account:
        assert account.models(AwsTarget("us-east-1", "", url)) == ()
    refused = {
        "AWS_USE_FIPS_ENDPOINT": "Invalid Configuration: FIPS and custom endpoint are not supported",
        "AWS_USE_DUALSTACK_ENDPOINT": "Invalid Configuration: Dualstack and custom endpoint are not supported",
    }
    error = in_words(EndpointProviderError(msg=refused[variable]))
    assert "are on" in error.cause
    assert variable in error.remedy


def test_an_endpoint_works_however_it_is_written(canned: Canned, url: str) -> None:
    canned.control = {"/imported-models": {"modelSummaries": []}}
    with closing(Account()) as account:
        for spelled in (url.removeprefix("http://"), f" '{url}/' ", url.replace("//", "/")):
            client = account.client("bedrock", AwsTarget("us-east-1", "", spelled))
            assert client.list_imported_models()["modelSummaries"] == []
    with closing(Account()) as account, pytest.raises(InvalidRequest, match="no scheme"):
        account.client("bedrock", AwsTarget("us-east-1", "", "gpu-box:9911"))


@pytest.mark.parametrize("written", ["config", "credentials"])
def test_a_configuration_in_utf_16(written: str, tmp_path: Path) -> None:
    """PowerShell's > writes UTF-16."""
    (tmp_path / written).write_bytes("[default]\nregion = us-east-1\n".encode("utf-16"))
    error = failure(endpoint=NOWHERE, profile="default")
    assert error.cause
    assert not re.search(r"Error\b|Exception", f"{error.cause} {error.remedy}")


PLAIN = [
    kind
    for kind in vars(botocore.exceptions).values()
    if isinstance(kind, type) and getattr(kind, "__init__", None) is BotoCoreError.__init__
]


@pytest.mark.parametrize("kind", PLAIN)
def test_every_error_of_botocore_has_a_cause_and_a_remedy(kind: type[BotoCoreError]) -> None:
    error = in_words(kind(**dict.fromkeys(re.findall(r"{(\w+)", kind.fmt), "x")))
    assert error.cause
    assert error.remedy
    assert kind.__name__ not in f"{error.cause} {error.remedy}"


@given(st.sampled_from([ValueError, TypeError, RuntimeError, OSError, KeyError, AttributeError]), st.text())
def test_nothing_that_may_hold_credentials_is_repeated(kind: type[Exception], said: str) -> None:
    error = in_words(kind(f"{said} secret-example"))
    assert "secret-example" not in f"{error} {error.detail}"
    assert kind.__name__ not in f"{error.cause} {error.remedy}"


def test_an_invalid_region_name() -> None:
    assert "region" in failure(arn="a", region="not a region").cause


@pytest.mark.parametrize("minutes", [-90, 17])
def test_a_wrong_clock(canned: Canned, url: str, minutes: int) -> None:
    canned.error = (403, "InvalidSignatureException", "Signature expired: 20260101T000000Z is now earlier than")
    canned.headers = {"Date": formatdate(time.time() - minutes * 60, usegmt=True)}
    error = failure(endpoint=url)
    assert f"clock is {abs(minutes)} minutes {'ahead' if minutes > 0 else 'behind'}" in error.cause
    assert "clock" in error.remedy


def test_a_wrong_secret_is_not_mistaken_for_a_wrong_clock(canned: Canned, url: str) -> None:
    canned.error = (403, "InvalidSignatureException", "The request signature we calculated does not match")
    canned.headers = {"Date": formatdate(usegmt=True)}
    assert "minutes" not in failure(endpoint=url).cause


def test_an_expired_token_is_reloaded(canned: Canned, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """After logging in again, the user need not restart Candor."""
    canned.error = (403, "ExpiredTokenException", "The security token included in the request is expired")
    with closing(Account()) as account:
        engine = BedrockEngine(BedrockModel(ARN, endpoint=url, form="OPENAI"), account=account, retry_policy=HASTE)
        place = engine.model.place
        before = account.client("bedrock-runtime", place)
        with pytest.raises(ServiceError, match="expired"):
            engine.complete(Request(prompt="x"))
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIANEWLOGIN")
        after = account.client("bedrock-runtime", place)
        assert after is not before
        assert after._request_signer._credentials.access_key == "AKIANEWLOGIN"
        before.close()


@pytest.mark.parametrize(
    ("operation", "action", "resource"),
    [
        ("GetImportedModel", "bedrock:GetImportedModel", ARN),
        ("ListImportedModels", "bedrock:ListImportedModels", "*"),
    ],
)
def test_the_control_plane_refuses(canned: Canned, url: str, operation: str, action: str, resource: str) -> None:
    canned.control = {"/imported-models": (403, "AccessDeniedException", "You are not allowed")}
    place = AwsTarget("us-east-1", "", url)
    with closing(Account()) as account:
        ask = (
            (lambda: account.details(place, ARN)) if operation == "GetImportedModel" else lambda: account.models(place)
        )
        with pytest.raises(ServiceError) as raised:
            ask()
    assert json.loads(raised.value.statement)["Action"] == [action]
    assert json.loads(raised.value.statement)["Resource"] == resource


class Refused(Exception):
    """As botocore raises it."""

    def __init__(self, message: str, operation: str = "InvokeModel", code: str = "AccessDeniedException") -> None:
        super().__init__(message)
        self.operation_name = operation
        self.response = {"Error": {"Code": code, "Message": message}}


def test_the_services_message_names_the_missing_permission() -> None:
    words = "User: arn:aws:iam::1:user/me is not authorized to perform: kms:Decrypt on resource: arn:aws:kms:k"
    error = in_words(Refused(words, "GetObject", "AccessDenied"), "arn:aws:s3:::b/*")
    assert json.loads(error.statement)["Action"] == ["kms:Decrypt"]
    assert json.loads(error.statement)["Resource"] == "arn:aws:kms:k"


def test_no_statement_helps_against_an_explicit_deny() -> None:
    error = in_words(Refused("not authorized to perform: bedrock:InvokeModel with an explicit deny in a policy"))
    assert not error.statement
    assert "denies it explicitly" in error.remedy


@pytest.mark.parametrize(
    ("partition", "region"), [("aws-us-gov", "us-gov-west-1"), ("aws-cn", "cn-north-1"), ("aws-iso", "us-iso-east-1")]
)
def test_the_policy_uses_the_partition_of_the_arn(partition: str, region: str) -> None:
    arn = f"arn:{partition}:bedrock:{region}:123456789012:imported-model/abc123def456"
    by_arn = least_policy(arn, "s3://bucket/prefix/")
    by_sid = {each["Sid"]: each["Resource"] for each in by_arn["Statement"]}
    assert by_sid["Invoke"] == f"arn:{partition}:bedrock:{region}:123456789012:imported-model/*"
    assert by_sid["Tokenizer"] == f"arn:{partition}:s3:::bucket/prefix/*"
    for policy in (by_arn, least_policy(arn), least_policy(partition=partition_of_region(region))):
        named = re.findall(r"arn:[a-z-]+:", json.dumps(policy))
        assert set(named) == {f"arn:{partition}:"}


def test_an_unknown_region_counts_as_the_usual_partition() -> None:
    assert partition_of_region("us-east-1") == "aws"
    assert partition_of_region("") == "aws"
    assert partition_of_region("nowhere") == "aws"


def test_the_minimum_policy() -> None:
    policy = least_policy(ARN, "s3://bucket/some/prefix/")
    by_sid = {each["Sid"]: each for each in policy["Statement"]}
    assert set(by_sid) == {"Invoke", "Describe", "List", "Tokenizer"}
    assert by_sid["Invoke"]["Resource"] == "arn:aws:bedrock:us-east-1:123456789012:imported-model/*"
    assert by_sid["Tokenizer"]["Resource"] == "arn:aws:s3:::bucket/some/prefix/*"
    assert statement("bedrock:ListImportedModels", ARN)["Resource"] == "*"
    granted = {action for each in policy["Statement"] for action in each["Action"]}
    assert not any(action.split(":")[1].startswith(("Create", "Delete", "Put")) for action in granted)


@given(st.text(), st.text(), st.text(), st.sampled_from(["", "InvokeModel", "GetObject", "SomethingElse"]))
def test_every_refusal_has_a_cause_and_a_remedy(code: str, message: str, resource: str, operation: str) -> None:
    error = in_words(Refused(message, operation, code), resource)
    assert error.cause
    assert error.remedy
    if error.statement:
        assert json.loads(error.statement)["Effect"] == "Allow"
