"""What is installed is what the lock files name, and nothing floats."""

from __future__ import annotations

import json
import re
from importlib.metadata import distributions, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.licences import PAGE, ROOT, licence_of, locked

APP, TESTS = ROOT / "requirements.lock", ROOT / "tests" / "requirements.lock"
OF_APP, OF_TESTS = ROOT / "requirements.txt", ROOT / "tests" / "requirements.txt"
CPU, GPU = ROOT / "requirements-cpu.lock", ROOT / "requirements-gpu.lock"
DIRECT = [(OF_APP, APP), (OF_APP, TESTS), (OF_TESTS, TESTS)]


@pytest.mark.parametrize(("asked", "lock"), DIRECT)
def test_the_lock_has_what_is_asked_for(asked: Path, lock: Path) -> None:
    lines = [line.partition("#")[0].strip() for line in asked.read_text(encoding="utf-8").splitlines()]
    wanted = [Requirement(line) for line in lines if line]
    assert len(wanted) > 10
    found = locked(lock)
    assert {canonicalize_name(each.name): f"=={found.get(canonicalize_name(each.name))}" for each in wanted} == {
        canonicalize_name(each.name): str(each.specifier) for each in wanted
    }


@pytest.mark.parametrize("lock", [APP, TESTS, CPU, GPU])
def test_every_entry_has_a_version_and_a_hash(lock: Path) -> None:
    text = lock.read_text(encoding="utf-8")
    entries = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]
    assert len(entries) >= len(locked(lock)) > {CPU: 0, GPU: 10}.get(lock, 80)
    for entry in entries:
        assert re.match(r"\S+==\S+ ", entry), entry[:80]
        assert re.search(r"--hash=sha256:[0-9a-f]{64}\b", entry), entry[:80]
    assert "://" not in text, "no registry is named"


def test_the_app_is_the_same_with_and_without_tests() -> None:
    app, everything = locked(APP), locked(TESTS)
    assert {name: everything.get(name) for name in app} == app


def test_no_cuda_comes_along() -> None:
    assert not [name for name in locked(TESTS) if re.match(r"nvidia|cuda|triton", name)]


def test_both_builds_of_torch_have_the_version_that_is_asked_for() -> None:
    assert locked(CPU) == {"torch": locked(APP)["torch"]}
    assert "torch" not in locked(GPU)
    assert all(locked(TESTS).get(name, version) == version for name, version in locked(GPU).items())


def test_what_is_installed_is_what_is_locked() -> None:
    installed = {canonicalize_name(each.name): each.version.partition("+")[0] for each in distributions()}
    installed.pop("pip", None)
    installed.pop("candor", None)  # this checkout itself
    wanted = locked(TESTS)
    if any("cuda" in each for each in requires("torch") or ()):
        wanted |= locked(GPU)
    assert {name: version.partition("+")[0] for name, version in wanted.items()} == installed


def test_every_licence_is_listed() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for name, version in locked(TESTS).items():
        assert f"| {name} | {version} | {licence_of(name)} |" in text, "run `make licences`"


def test_the_makefile_installs_by_hash_alone() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    installs = re.findall(r"pip .*install.*", makefile)
    assert installs
    others = [each for each in installs if "--require-hashes" not in each or "--no-deps" not in each]
    assert [each.split("install ")[1] for each in others] == ["--quiet --no-deps --no-index --no-build-isolation -e ."]
    assert re.findall(r"npm .*", makefile)[-1].startswith("npm ci --ignore-scripts ")


def test_what_npm_installs_has_a_version_and_a_hash() -> None:
    text = (ROOT / "tests" / "browser_js" / "package-lock.json").read_text()
    assert "://" not in text, "no registry is named"
    packages = {name: each for name, each in json.loads(text)["packages"].items() if name}
    assert packages
    for name, each in packages.items():
        assert re.fullmatch(r"\d+\.\d+\.\d+", each["version"]), name
        assert each["integrity"].startswith("sha512-"), name
