"""For tests of everything that speaks to AWS; and what is said loudly at the end."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import pytest

from tests.support.postgres import MISSING

pytest_plugins = ["tests.support.local_models", "tests.support.local_bedrock"]


def pytest_configure() -> None:
    """Runs that tests make are not kept among those of whoever runs them."""
    os.environ["CANDOR_DATA"] = tempfile.mkdtemp(prefix="candor-tests-")
    os.environ["CANDOR_SETTINGS"] = "off"  # what one test chose is not the next one's default


def pytest_unconfigure() -> None:
    """Nor do they stay."""
    shutil.rmtree(os.environ.pop("CANDOR_DATA"), ignore_errors=True)


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Credentials of nobody, and never those of whoever runs the tests; what is fetched goes to a folder of its own."""
    for name in ("AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_BEARER_TOKEN_BEDROCK", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret-example")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Tests that did not run for want of a PostgreSQL are not to be overlooked."""
    skipped = [report for report in terminalreporter.stats.get("skipped", ()) if MISSING in str(report.longrepr)]
    if skipped:
        terminalreporter.section(f"{len(skipped)} tests did not run", red=True, bold=True)
        terminalreporter.write_line(MISSING, red=True)
