"""What goes wrong before the service is reached, or because of whoever asks: each in its own words."""

from __future__ import annotations

import json
import time
from contextlib import closing
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.bedrock.account import Account
from lib.bedrock.engine import BedrockEngine
from lib.bedrock.faults import in_words
from lib.bedrock.patience import Patience
from lib.bedrock.permissions import least_policy, statement
from lib.errors import ServiceError
from lib.request import Request
from lib.sources import BedrockModel, Place
from tests.bedrock.loopback import Canned
from tests.bedrock.test_engine import ARN

HASTE = Patience(cold=0, throttled=1, failed=1)
NOWHERE = "http://127.0.0.1:1"


def failure(**fields: Any) -> ServiceError:
    """What asking a model comes to."""
    engine = BedrockEngine(BedrockModel(fields.pop("arn", ARN), **fields), patience=HASTE)
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
    monkeypatch.setenv("HOME", str(tmp_path))  # where the tokens of logins would be
    error = failure(endpoint=NOWHERE, profile="sso")
    assert error.cause == "The AWS login has expired."
    assert "aws sso login" in error.remedy


def test_a_helper_that_gives_no_credentials(tmp_path: Path) -> None:
    (tmp_path / "config").write_text("[profile helped]\ncredential_process = false\n")
    assert failure(endpoint=NOWHERE, profile="helped").code == "CredentialRetrievalError"


def test_a_configuration_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "config").write_text("no sections\n")
    assert failure(endpoint=NOWHERE, profile="any").code == "ConfigParseError"


def test_an_address_that_nobody_answers() -> None:
    error = failure(endpoint=NOWHERE)
    assert error.code == "EndpointConnectionError"
    assert "network" in error.remedy


def test_a_region_that_is_none() -> None:
    assert "region" in failure(arn="a", region="not a region").cause


@pytest.mark.parametrize("minutes", [-90, 17])
def test_a_clock_that_is_wrong(canned: Canned, url: str, minutes: int) -> None:
    canned.error = (403, "InvalidSignatureException", "Signature expired: 20260101T000000Z is now earlier than")
    canned.headers = {"Date": formatdate(time.time() - minutes * 60, usegmt=True)}
    error = failure(endpoint=url)
    assert f"clock is {abs(minutes)} minutes {'ahead' if minutes > 0 else 'behind'}" in error.cause
    assert "clock" in error.remedy


def test_a_wrong_secret_is_not_taken_for_a_wrong_clock(canned: Canned, url: str) -> None:
    canned.error = (403, "InvalidSignatureException", "The request signature we calculated does not match")
    canned.headers = {"Date": formatdate(usegmt=True)}
    assert "minutes" not in failure(endpoint=url).cause


def test_an_expired_token_is_looked_up_again(canned: Canned, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has logged in again need not start the program again."""
    canned.error = (403, "ExpiredTokenException", "The security token included in the request is expired")
    with closing(Account()) as account:
        engine = BedrockEngine(BedrockModel(ARN, endpoint=url, form="OPENAI"), account=account, patience=HASTE)
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
    place = Place("us-east-1", "", url)
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


def test_the_services_own_words_name_what_is_missing() -> None:
    words = "User: arn:aws:iam::1:user/me is not authorized to perform: kms:Decrypt on resource: arn:aws:kms:k"
    error = in_words(Refused(words, "GetObject", "AccessDenied"), "arn:aws:s3:::b/*")
    assert json.loads(error.statement)["Action"] == ["kms:Decrypt"]
    assert json.loads(error.statement)["Resource"] == "arn:aws:kms:k"


def test_no_statement_helps_against_an_explicit_deny() -> None:
    error = in_words(Refused("not authorized to perform: bedrock:InvokeModel with an explicit deny in a policy"))
    assert not error.statement
    assert "denies it explicitly" in error.remedy


def test_the_least_policy() -> None:
    policy = least_policy(ARN, "s3://bucket/some/prefix/")
    by_sid = {each["Sid"]: each for each in policy["Statement"]}
    assert set(by_sid) == {"Invoke", "Describe", "List", "Tokenizer"}
    assert by_sid["Invoke"]["Resource"] == "arn:aws:bedrock:us-east-1:123456789012:imported-model/*"
    assert by_sid["Tokenizer"]["Resource"] == "arn:aws:s3:::bucket/some/prefix/*"
    assert statement("bedrock:ListImportedModels", ARN)["Resource"] == "*"
    granted = {action for each in policy["Statement"] for action in each["Action"]}
    assert not any(action.split(":")[1].startswith(("Create", "Delete", "Put")) for action in granted)


@given(st.text(), st.text(), st.text(), st.sampled_from(["", "InvokeModel", "GetObject", "SomethingElse"]))
def test_any_refusal_is_put_into_words(code: str, message: str, resource: str, operation: str) -> None:
    error = in_words(Refused(message, operation, code), resource)
    assert error.cause
    assert error.remedy
    if error.statement:
        assert json.loads(error.statement)["Effect"] == "Allow"
