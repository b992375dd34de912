"""ListImportedModels and GetImportedModel, asked by boto3."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from lib.errors import InvalidRequest
from lib.serve.models import read_models
from tests.support.serve_clients import Served


def names(answer: dict[str, object]) -> list[str]:
    return [summary["modelName"] for summary in answer["modelSummaries"]]  # type: ignore[attr-defined]


def test_a_model_by_name_and_by_arn(served: Served) -> None:
    client = served.client("bedrock")
    found = client.get_imported_model(modelIdentifier="early")
    assert found["modelArn"] == served.arn("early")
    assert found["creationTime"] == datetime(2025, 9, 1, tzinfo=UTC)
    assert found["modelArchitecture"] == "llama"
    assert found["instructSupported"] is False
    assert found["modelDataSource"]["s3DataSource"]["s3Uri"] == "s3://candor-123456789012/early/"
    assert found["customModelUnits"]["customModelUnitsPerModelCopy"] == 1
    same = client.get_imported_model(modelIdentifier=served.arn("early"))
    assert same["jobArn"] == found["jobArn"]
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.get_imported_model(modelIdentifier="nobody")


def test_filters_and_order(served: Served) -> None:
    client = served.client("bedrock")
    assert names(client.list_imported_models()) == ["current", "early", "legacy"]
    assert names(client.list_imported_models(sortOrder="Ascending", sortBy="CreationTime")) == ["legacy", "early", "current"]  # fmt: skip # noqa: E501
    assert names(client.list_imported_models(nameContains="r")) == ["current", "early"]
    assert names(client.list_imported_models(creationTimeAfter=datetime(2025, 8, 1, tzinfo=UTC))) == ["current", "early"]  # fmt: skip # noqa: E501
    assert names(client.list_imported_models(creationTimeBefore=datetime(2025, 8, 1, tzinfo=UTC))) == ["legacy"]
    assert names(client.list_imported_models(nameContains="nobody")) == []


def test_pages(served: Served) -> None:
    client = served.client("bedrock")
    pages = list(client.get_paginator("list_imported_models").paginate(PaginationConfig={"PageSize": 2}))
    assert [names(page) for page in pages] == [["current", "early"], ["legacy"]]
    first = client.list_imported_models(maxResults=1)
    assert names(client.list_imported_models(maxResults=5, nextToken=first["nextToken"])) == ["early", "legacy"]
    for wrong in ("nonsense", "AAAA", first["nextToken"][:-4]):
        with pytest.raises(ClientError, match="nextToken is invalid"):
            client.list_imported_models(nextToken=wrong)
    with pytest.raises(ClientError, match="nextToken is invalid"):
        client.list_imported_models(nextToken=first["nextToken"], nameContains="e")


@pytest.mark.parametrize(
    "query",
    ["maxResults=0", "maxResults=1001", "maxResults=x", "sortOrder=Up", "sortBy=Name", "creationTimeAfter=soon"],
)
def test_wrong_queries(served: Served, query: str) -> None:
    status, headers, _ = served.call("GET", f"/imported-models?{query}")
    assert (status, headers["x-amzn-errortype"].split(":")[0]) == (400, "ValidationException")


@given(st.text(max_size=30))
def test_lines_that_describe_models(text: str) -> None:
    try:
        (model,) = read_models([f"m={text}"])
    except InvalidRequest:
        assert not text or text.startswith("@")
    else:
        assert text.startswith(model.source)


def test_a_model_may_have_an_arn_of_its_own() -> None:
    arn = "arn:aws:bedrock:eu-central-1:210987654321:imported-model/abcdefgh1234"
    (model,) = read_models([f"{arn}=embedded@2025-09-01"], s3="s3://b")
    assert (model.arn, model.name, model.s3_uri) == (arn, "abcdefgh1234", "s3://b/abcdefgh1234/")
    with pytest.raises(InvalidRequest, match="two models"):
        read_models([f"{arn}=embedded", f"{arn}=embedded"])


def test_what_a_line_says() -> None:
    mine, odd, today = read_models(["mine=embedded@2025-09-01T10:00:00+02:00", "odd=/a@b/c", "x=~/m"], s3="s3://b/p/")
    assert mine.imported == datetime(2025, 9, 1, 8, tzinfo=UTC)
    assert (mine.has_logprobs, mine.has_three_formats) == (True, False)
    assert odd.source == "/a@b/c"
    assert today.has_three_formats
    assert mine.s3_uri == "s3://b/p/mine/"
    assert len({mine.arn, odd.arn, today.arn}) == 3
    for wrong in ("embedded", "=embedded", "a b=embedded", "a=", "a/b=c"):
        with pytest.raises(InvalidRequest):
            read_models([wrong])
