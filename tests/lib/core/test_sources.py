"""Sources as JSON: what was stored is read, and anything else is a ValueError."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from lib.core.sources import EMBEDDED, BedrockModel, LocalModel, Source, named_source, source_of

IMPORTED = BedrockModel("arn:x", "tok", date(2025, 12, 1), "OPENAI", "us-east-1", "me", "http://127.0.0.1:1", True)


@pytest.mark.parametrize("source", [EMBEDDED, LocalModel("~/models/mine"), BedrockModel("arn:x"), IMPORTED])
def test_a_source_survives_json(source: Source) -> None:
    assert source_of(source.as_json()) == source
    assert hash(source_of(source.as_json())) == hash(source)


def test_the_json_is_that_of_version_0_1() -> None:
    assert EMBEDDED.as_json() == "embedded"
    assert IMPORTED.as_json() == {
        "arn": "arn:x", "tokenizer": "tok", "imported": "2025-12-01", "form": "OPENAI", "region": "us-east-1",
        "profile": "me", "endpoint": "http://127.0.0.1:1", "continues": True,
    }  # fmt: skip


_JSON = IMPORTED.as_json()


@pytest.mark.parametrize(
    "about",
    [
        None, 7, [], ["embedded"], {}, {"arn": "arn:x"}, {"kind": []}, {"kind": "none of these", "path": "x"},
        {"kind": "local"}, *({**_JSON, name: 1} for name in _JSON), *({**_JSON, name: []} for name in _JSON),
        {**_JSON, "imported": "yesterday"}, *({key: _JSON[key] for key in _JSON if key != name} for name in _JSON),
    ],
)  # fmt: skip
def test_anything_else_is_refused(about: Any) -> None:
    with pytest.raises(ValueError, match=r"source|Expected|Invalid"):
        source_of(about)


def test_names() -> None:
    assert named_source("arn:aws:x") == BedrockModel("arn:aws:x")
    assert named_source("owner/name") == LocalModel("owner/name")
