"""The tokenizer from the S3 location that a model was imported from: real boto3 against moto's S3."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import boto3
import pytest
from moto.server import ThreadedMotoServer

from lib.core.sources import BedrockModel
from lib.engines.bedrock import s3_files
from lib.engines.bedrock.account import Account
from lib.engines.bedrock.s3_files import fetch
from lib.engines.bedrock.tokenizers import NONE
from lib.errors import ModelUnavailable, ServiceError
from tests.lib.engines.bedrock.test_engine import ARN
from tests.support import tiny
from tests.support.loopback import Canned

BUCKET, URI = "imports", "s3://imports/of/ours/"


@pytest.fixture(scope="module")
def s3_url() -> Iterator[str]:
    """A local S3, started once, as it takes a second to stop."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        yield f"http://{host}:{port}"
    finally:
        server.stop()


@pytest.fixture
def s3(s3_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    """A client of an empty local S3, which Candor's own calls go to as well."""
    monkeypatch.setenv("CANDOR_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", s3_url)
    with urlopen(Request(f"{s3_url}/moto-api/reset", method="POST")):
        pass
    with closing(boto3.Session(region_name="us-east-1").client("s3", endpoint_url=s3_url)) as client:
        client.create_bucket(Bucket=BUCKET)
        yield client


@pytest.fixture
def uploaded(s3: Any, tmp_path: Path) -> Path:
    """A tokenizer's directory. The bucket has its files too, along with files that must not be fetched."""
    directory = tmp_path / "tokenizer"
    tiny.make_tokenizer(chat=tiny.CHAT).save_pretrained(directory)
    for file in directory.iterdir():
        s3.put_object(Bucket=BUCKET, Key=f"of/ours/{file.name}", Body=file.read_bytes())
    s3.put_object(Bucket=BUCKET, Key="of/ours/model.safetensors", Body=b"weights")
    s3.put_object(Bucket=BUCKET, Key="of/ours/malicious.py", Body=b"raise SystemExit")
    return directory


class Counted:
    """An S3 client that records which objects were requested, and which were sent."""

    def __init__(self, client: Any) -> None:
        self._client, self.exceptions, self.meta = client, client.exceptions, client.meta
        self.requested: list[str] = []
        self.sent: list[str] = []

    def get_object(self, **asked: Any) -> Any:
        name = asked["Key"].rpartition("/")[2]
        self.requested.append(name)
        answer = self._client.get_object(**asked)
        self.sent.append(name)
        return answer


def test_only_the_tokenizers_files_are_fetched(s3: Any, uploaded: Path) -> None:
    place = fetch(s3, URI)
    found = {file.name for file in place.iterdir()} - {"etags.json"}
    assert found == {file.name for file in uploaded.iterdir()} & set(s3_files.FILES)
    assert (place / "tokenizer.json").read_bytes() == (uploaded / "tokenizer.json").read_bytes()


def test_unchanged_files_are_not_fetched_again(s3: Any, uploaded: Path) -> None:
    first = Counted(s3)
    place = fetch(first, URI)
    again = Counted(s3)
    assert fetch(again, URI) == place
    assert first.sent
    assert again.sent == []
    assert again.requested == list(s3_files.FILES)


def test_changed_files_are_fetched_again(s3: Any, uploaded: Path) -> None:
    fetch(s3, URI)
    changed = json.dumps({"chat_template": "{{ messages }}"}).encode()
    s3.put_object(Bucket=BUCKET, Key="of/ours/tokenizer_config.json", Body=changed)
    counted = Counted(s3)
    place = fetch(counted, URI)
    assert counted.sent == ["tokenizer_config.json"]
    assert (place / "tokenizer_config.json").read_bytes() == changed


def test_deleted_files_are_removed(s3: Any, uploaded: Path) -> None:
    place = fetch(s3, URI)
    s3.delete_object(Bucket=BUCKET, Key="of/ours/tokenizer_config.json")
    assert fetch(s3, URI) == place
    assert not (place / "tokenizer_config.json").exists()


def test_a_damaged_cached_file_is_fetched_again(s3: Any, uploaded: Path) -> None:
    place = fetch(s3, URI)
    (place / "tokenizer.json").unlink()
    fetch(s3, URI)
    assert (place / "tokenizer.json").read_bytes() == (uploaded / "tokenizer.json").read_bytes()
    (place / "etags.json").write_text("no JSON")
    fetch(s3, URI)
    assert json.loads((place / "etags.json").read_text())


def test_a_file_too_large_for_a_tokenizer(s3: Any, uploaded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(s3_files.FILES, "tokenizer.json", 100)
    with pytest.raises(ModelUnavailable, match=r"tokenizer.json has [\d,]+ bytes"):
        fetch(s3, URI)


@pytest.mark.parametrize("uri", ["s3://imports/nothing/here", "s3://imports"])
def test_no_tokenizer_there(s3: Any, uri: str) -> None:
    with pytest.raises(ModelUnavailable, match="no tokenizer under"):
        fetch(s3, uri)


@pytest.mark.parametrize("uri", ["", "https://example.org/a", "s3:///a", "bucket/prefix"])
def test_an_invalid_s3_uri(s3: Any, uri: str) -> None:
    with pytest.raises(ModelUnavailable, match="not an S3 URI"):
        fetch(s3, uri)


def test_no_such_bucket(s3: Any) -> None:
    with pytest.raises(ServiceError) as raised:
        fetch(s3, "s3://no-such-bucket/prefix")
    assert raised.value.code == "NoSuchBucket"


class Refusing(Counted):
    """Without s3:GetObject. Without s3:ListBucket, S3 refuses missing objects the same way."""

    def __init__(self, client: Any, allowed: tuple[str, ...] = ()) -> None:
        super().__init__(client)
        self._allowed = allowed

    def get_object(self, **asked: Any) -> Any:
        if asked["Key"].rpartition("/")[2] not in self._allowed:
            refusal = {"Error": {"Code": "AccessDenied", "Message": "Access Denied"}}
            raise self.exceptions.ClientError(refusal, "GetObject")
        return super().get_object(**asked)


def test_files_that_may_not_be_read(s3: Any, uploaded: Path) -> None:
    with pytest.raises(ServiceError) as raised:
        fetch(Refusing(s3), URI)
    statement = json.loads(raised.value.statement)
    assert statement["Action"] == ["s3:GetObject"]
    assert statement["Resource"] == "arn:aws:s3:::imports/of/ours/*"


def test_no_listing_is_needed(s3: Any, uploaded: Path) -> None:
    place = fetch(Refusing(s3, ("tokenizer.json", "tokenizer_config.json")), URI)
    assert (place / "tokenizer.json").exists()


def described(uri: str) -> dict[str, Any]:
    return {"/imported-models/": {"modelArn": ARN, "modelDataSource": {"s3DataSource": {"s3Uri": uri}}}}


def test_the_imports_own_tokenizer_is_found(s3: Any, uploaded: Path, canned: Canned, url: str) -> None:
    canned.control = described(URI)
    with closing(Account()) as account:
        found = account.tokenizer(BedrockModel(ARN, endpoint=url))
        assert found.tokenizer is not None
        assert found.tokenizer.encode("abc")
        assert found.where == f"from the import, {URI}"
        assert not found.tried
        assert account.tokenizer(BedrockModel(ARN, endpoint=url)) is found, "asked once"


def test_a_path_takes_precedence_over_the_import(s3: Any, uploaded: Path, canned: Canned, url: str) -> None:
    canned.control = described(URI)
    with closing(Account()) as account:
        found = account.tokenizer(BedrockModel(ARN, endpoint=url, tokenizer=str(uploaded)))
        assert found.where == f"from {uploaded}"
        with pytest.raises(ModelUnavailable, match="no tokenizer at"):
            account.tokenizer(BedrockModel(ARN, endpoint=url, tokenizer="/no/such/place"))


def test_a_hub_id_is_tried_after_the_import(
    s3: Any, uploaded: Path, canned: Canned, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lib.models import tokenizer_files

    monkeypatch.setattr(tokenizer_files, "from_hub", lambda *_, **__: uploaded)  # the tests have no hub
    canned.control = described(URI)
    model = BedrockModel(ARN, endpoint=url, tokenizer="team/llama")
    with closing(Account()) as account:
        assert account.tokenizer(model).where == f"from the import, {URI}"
    canned.control = described("s3://imports/nothing/")
    with closing(Account()) as account:
        found = account.tokenizer(model)
        assert found.where == "from the hub, team/llama"
        assert [type(error) for error in found.tried] == [ModelUnavailable]


def test_without_a_tokenizer_there_are_only_ids(s3: Any, canned: Canned, url: str) -> None:
    canned.control = {"/imported-models/": (403, "AccessDeniedException", "no")}
    with closing(Account()) as account:
        found = account.tokenizer(BedrockModel(ARN, endpoint=url))
        assert found.tokenizer is None
        assert found.where == NONE
        (error,) = found.tried
        assert isinstance(error, ServiceError)
        assert "bedrock:GetImportedModel" in error.statement
