"""A server on loopback instead of AWS, and fake credentials."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.loopback import Canned, bedrock


@pytest.fixture(autouse=True)
def _nobody(nobody: None) -> None:
    """Use fake credentials in every test here."""


@pytest.fixture
def canned() -> Canned:
    return Canned()


@pytest.fixture
def url(canned: Canned) -> Iterator[str]:
    with bedrock(canned) as address:
        yield address
