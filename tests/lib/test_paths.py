"""Paths as visitors see them."""

from __future__ import annotations

import pytest

from lib.paths import without_directories

SHOWN = {
    "There is no model at '/srv/models/llama'.": "There is no model at '…/llama'.",
    "/srv/models/ holds no weights.": "…/ holds no weights.",
    "Converting needs 3 GB of disk space in /home/me/.cache/candor.": "Converting needs 3 GB of disk space "
    "in …/candor.",
    "In ~/.cache/candor/x and C:\\Users\\me\\models\\x.": "In …/x and …/x.",
    "(/a/b/c): /d/e": "(…/c): …/e",
}
UNCHANGED = [
    "and/or", "1/2/3", "https://bedrock.example/model/x", "s3://bucket/models/x", "/model", "imported-model/abc", "",
    "owner/name of the hub", "arn:aws:bedrock:us-east-1:1:imported-model/a/b",
]  # fmt: skip


@pytest.mark.parametrize("text", SHOWN)
def test_directories_are_left_out(text: str) -> None:
    assert without_directories(text) == SHOWN[text]


@pytest.mark.parametrize("text", UNCHANGED)
def test_all_else_is_left(text: str) -> None:
    assert without_directories(text) == text
