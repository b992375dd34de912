"""A store and services of a test's own, in place of those that all tests share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import streamlit as st

from components.shell.services import services


@contextmanager
def own_store(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Keep runs in a file in the folder until the end of the block, and write all of them by then."""
    monkeypatch.setenv("CANDOR_STORE", f"sqlite:///{folder}/runs.sqlite")
    st.cache_resource.clear()
    yield
    writer = services().store.writer
    assert writer is not None
    assert writer.close(10)
    st.cache_resource.clear()
