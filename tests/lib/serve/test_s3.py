"""The tokenizer files of served models, fetched with boto3's S3 client and by Candor's own engines."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lib.core.request import Request
from lib.core.sources import AwsTarget
from lib.engines.bedrock.account import Account
from lib.engines.local.engine import LocalEngine
from lib.serve import s3 as s3_module
from lib.serve.server import in_thread
from lib.tokenizers.build import FILES
from tests.support.serve_clients import Served, service_of

BUCKET = "candor-123456789012"
ASK = Request(prompt="abc", max_tokens=4, k=2)


@pytest.fixture
def cache(nobody: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty cache."""
    monkeypatch.setenv("CANDOR_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def s3(served: Served) -> Any:
    return served.client("s3")


@pytest.mark.parametrize("name", ["early", "current"])
def test_an_engine_reads_with_the_tokenizer_that_it_fetched(
    served: Served, open_account: Any, tiny_engine: LocalEngine, cache: Path, name: str
) -> None:
    with closing(open_account(served)) as opened:
        found = opened.account.tokenizer(opened.model(name))
        assert found.tokenizer is not None
        assert found.where == f"from the import, s3://{BUCKET}/{name}/"
        assert not found.tried
        (done,) = opened.engine(name).complete(ASK)
    assert (cache / "s3").exists()
    assert done.warnings == ()
    (exact,) = tiny_engine.complete(ASK)
    assert done.prompt.ids.tolist() == exact.prompt.ids.tolist() == [97, 98, 99]
    assert [done.prompt.pieces.text_of(ref) for ref in done.prompt.refs.tolist()] == ["a", "b", "c"]
    known = done.generated.ids >= 0  # some of a random model's tokens are no text, which OpenAI's formats can't name
    assert done.generated.ids[known].tolist() == exact.generated.ids[known].tolist()
    assert known.all() == (name == "early")


def test_objects_are_the_tokenizers_files(s3: Any, tiny_directory: Path) -> None:
    listed = s3.list_objects_v2(Bucket=BUCKET, Prefix="current/")["Contents"]
    names = [each["Key"].removeprefix("current/") for each in listed]
    assert names == sorted(file.name for file in tiny_directory.iterdir() if file.name in FILES)
    assert "tokenizer.json" in names
    for each, name in zip(listed, names, strict=True):
        data = (tiny_directory / name).read_bytes()
        answer = s3.get_object(Bucket=BUCKET, Key=each["Key"])
        assert answer["Body"].read() == data
        head = s3.head_object(Bucket=BUCKET, Key=each["Key"])
        assert head["ContentLength"] == each["Size"] == len(data)
        assert head["ETag"] == answer["ETag"] == each["ETag"]
    tag = s3.head_object(Bucket=BUCKET, Key="current/tokenizer.json")["ETag"]
    with pytest.raises(ClientError) as raised:
        s3.get_object(Bucket=BUCKET, Key="current/tokenizer.json", IfNoneMatch=tag)
    assert raised.value.response["Error"]["Code"] == "304"


@pytest.mark.parametrize(
    ("bucket", "key", "code"),
    [
        (BUCKET, "current/model.safetensors", "NoSuchKey"),
        (BUCKET, "current/config.json", "NoSuchKey"),
        (BUCKET, "current/../current/tokenizer.json", "NoSuchKey"),
        (BUCKET, "tokenizer.json", "NoSuchKey"),
        ("other-bucket", "current/tokenizer.json", "NoSuchBucket"),
        ("imported-models", "current", "NoSuchBucket"),
        ("model", "x/invoke", "NoSuchBucket"),
    ],
)
def test_nothing_else_is_served(s3: Any, bucket: str, key: str, code: str) -> None:
    with pytest.raises(ClientError) as raised:
        s3.get_object(Bucket=bucket, Key=key)
    assert raised.value.response["Error"]["Code"] == code
    with pytest.raises(ClientError, match="404"):
        s3.head_object(Bucket=bucket, Key=key)


def test_nothing_can_be_written(s3: Any) -> None:
    with pytest.raises(ClientError) as raised:
        s3.put_object(Bucket=BUCKET, Key="current/tokenizer.json", Body=b"{}")
    assert raised.value.response["Error"]["Code"] == "MethodNotAllowed"


def test_pages_of_a_listing(s3: Any) -> None:
    whole = [each["Key"] for each in s3.list_objects_v2(Bucket=BUCKET)["Contents"]]
    assert {key.split("/")[0] for key in whole} == {"legacy", "early", "current"}
    pages = list(s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, PaginationConfig={"PageSize": 2}))
    assert all(page["KeyCount"] <= 2 for page in pages)
    assert [each["Key"] for page in pages for each in page["Contents"]] == whole
    assert "Contents" not in s3.list_objects_v2(Bucket=BUCKET, Prefix="nothing/")


def test_a_file_too_large_for_a_tokenizer_is_not_served(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(s3_module.FILES, "tokenizer.json", 100)
    with pytest.raises(ClientError, match="NoSuchKey"):
        s3.get_object(Bucket=BUCKET, Key="current/tokenizer.json")


def test_a_bucket_may_have_the_name_of_a_route(tiny_directory: Path, tiny_engine: LocalEngine) -> None:
    service = service_of(tiny_directory, tiny_engine)
    service.models = [replace(each, s3_uri=f"s3://imported-models/of/{each.name}/") for each in service.models]
    with in_thread(service) as url, closing(Served(service, url)) as served:
        key = "of/current/tokenizer.json"
        answer = served.client("s3").get_object(Bucket="imported-models", Key=key)
        assert answer["Body"].read() == (tiny_directory / "tokenizer.json").read_bytes()
        assert served.client("bedrock").get_imported_model(modelIdentifier="current")["modelName"] == "current"


def test_aws_itself_is_never_asked_for_files_of_a_server_on_this_machine(served: Served, nobody: None) -> None:
    with closing(Account()) as account:
        place = AwsTarget("us-east-1", "", served.url)
        found = account.details(place, served.arn())
        assert found.has_files
        assert account.place_of_files(place, found) == place
        assert account.place_of_files(place, replace(found, has_files=False)) == place
        assert account.place_of_files(AwsTarget("us-east-1"), found) == AwsTarget("us-east-1")
        assert account.clients.get("s3", place).meta.endpoint_url == served.url
        far = AwsTarget("us-east-1", "", "http://bedrock.example.org")
        assert account.place_of_files(far, found) == far
        assert account.place_of_files(far, replace(found, has_files=False)).endpoint == ""


def test_the_environment_may_name_the_server(served: Served, nobody: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_BEDROCK", served.url)
    with closing(Account()) as account:
        place = AwsTarget("us-east-1")
        assert account.place_of_files(place, account.details(place, served.arn())).endpoint == served.url


def test_an_endpoint_configured_for_s3_is_used(served: Served, nobody: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")
    with closing(Account()) as account:
        place = AwsTarget("us-east-1", "", served.url)
        assert account.clients.get("s3", place).meta.endpoint_url == "http://127.0.0.1:1"
