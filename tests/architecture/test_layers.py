"""The layers of docs/architecture.md: a package imports only from packages in layers below its own."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.paths import ROOT

# From the ground up. Packages in one layer do not know each other.
LIB = (
    ("lib.errors", "lib.hosts", "lib.import_lock", "lib.moved"),
    ("lib.core", "lib.costs", "lib.paths"),
    ("lib.access", "lib.segmentation", "lib.tokenizers", "lib.engines.base"),
    ("lib.formatting", "lib.measurements", "lib.sandbox", "lib.scores", "lib.statistics", "lib.terminal", "lib.wire"),
    ("lib.display", "lib.engines.remote", "lib.models"),
    ("lib.engines.bedrock", "lib.engines.local"),
    ("lib.engines.registry",),
    ("lib.jobs",),
    ("lib.evaluation", "lib.serve"),
    ("lib.doubts",),
    ("lib.json_answers", "lib.policies"),
    ("lib.contexts",),
    ("lib.studies",),
    ("lib.store",),
    ("lib.services",),
    ("lib.model_options",),
    (
        "lib.contexts_options",
        "lib.contexts_report",
        "lib.doubts_items",
        "lib.doubts_options",
        "lib.doubts_report",
        "lib.earlier_runs",
        "lib.evaluate_folder",
        "lib.evaluate_options",
    ),
    ("lib.answers_in_folder",),
    ("lib.evaluate_output",),
    ("lib.contexts_command", "lib.doubts_command", "lib.evaluate_command"),
    ("lib.cli",),
    ("lib.__main__",),
)
COMPONENTS = (
    ("components.shell",),
    (
        "components.calibrated",
        "components.policies",
        "components.charts",
        "components.difference_map",
        "components.jobs",
        "components.pickers",
        "components.token_map",
    ),
    (
        "components.connection",
        "components.contexts",
        "components.doubts",
        "components.evaluate",
        "components.explore",
        "components.history",
        "components.models",
        "components.prompts",
        "components.rank",
    ),
    ("components.navigation",),
    ("components.main", "components.server"),
)
# What pages may know of lib besides components: what was asked and what came.
OF_PAGES = {"lib.core", "lib.errors", "lib.jobs", "lib.studies"}


def modules(top: str) -> list[str]:
    files = (ROOT / top).rglob("*.py")
    return sorted(".".join(each.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for each in files)


def imported(module: str) -> Iterator[str]:
    """Full names of what a module imports from Candor or Streamlit, at its top or inside a function."""
    path = ROOT.joinpath(*module.split("."))
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{each.name}" for each in node.names)


def package(name: str, known: set[str]) -> str:
    """The entry of a layer that a module belongs to."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        if (prefix := ".".join(parts[:length])) in known:
            return prefix
    raise LookupError(f"{name} is in no layer: add its package to LIB or COMPONENTS.")


@pytest.mark.parametrize(("top", "layers"), [("lib", LIB), ("components", COMPONENTS)])
def test_imports_point_downwards(top: str, layers: tuple[tuple[str, ...], ...]) -> None:
    level = {name: number for number, names in enumerate(layers) for name in names}
    found = []
    for module in modules(top):
        if module in (top, "lib.engines"):  # `lib` itself lists names of all layers
            continue
        here = package(module, set(level))
        for name in imported(module):
            if name.split(".")[0] != top or name in ("lib.VERSION", "lib.moved"):
                continue
            there = package(name, set(level))
            if there != here and level[there] >= level[here]:
                found.append(f"{module} imports {name}")
    assert not found


def test_every_package_is_in_a_layer() -> None:
    named = {name for layer in (*LIB, *COMPONENTS) for name in layer}
    packages = {
        ".".join(each.parent.relative_to(ROOT).parts)
        for top in ("lib", "components")
        for each in (ROOT / top).rglob("__init__.py")
    }
    assert packages - {"components", "lib", "lib.engines"} <= named
    assert {name for name in named if not ROOT.joinpath(*name.split(".")).exists()} == {
        name for name in named if Path(ROOT, *name.split(".")).with_suffix(".py").exists()
    }


def test_lib_does_not_know_streamlit() -> None:
    assert [module for module in modules("lib") for name in imported(module) if name.split(".")[0] == "streamlit"] == []


def test_pages_know_components_and_data() -> None:
    for module in modules("pages"):
        names = {name for name in imported(module) if name.split(".")[0] == "lib"}
        assert {".".join(name.split(".")[:2]) for name in names} <= OF_PAGES, module


def _tested_types(module: str) -> Iterator[str]:
    """Names of the types in the isinstance tests and match patterns of a module."""
    for node in ast.walk(ast.parse(ROOT.joinpath(*module.split(".")).with_suffix(".py").read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "isinstance":
            yield from (each.id for each in ast.walk(node.args[1]) if isinstance(each, ast.Name))
        elif isinstance(node, ast.MatchClass) and isinstance(node.cls, ast.Name):
            yield node.cls.id


@pytest.mark.parametrize("top", ["components", "pages"])
def test_pages_never_ask_which_engine_they_have(top: str) -> None:
    """They ask for capabilities instead, so that a new engine needs no change of theirs."""
    forbidden = {"LocalModel", "BedrockModel", "LocalEngine", "BedrockEngine"}
    files = (each for each in modules(top) if (ROOT.joinpath(*each.split(".")).with_suffix(".py")).is_file())
    assert [(each, name) for each in files for name in _tested_types(each) if name in forbidden] == []
