"""Tests use what the product offers: no name of `lib` or `components` that begins with an underscore."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.support.paths import ROOT

FILES = sorted(path for path in (ROOT / "tests").rglob("*.py") if "node_modules" not in path.parts)
# Of other libraries, which offer no other way.
OF_OTHERS = {"_exit", "_request_signer", "_credentials", "_timeout", "_sqlite3", "_actions"}
OF_OTHERS |= {"_SubParsersAction", "_HelpAction"}


def private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__") and name not in OF_OTHERS


def reached(tree: ast.AST) -> list[str]:
    """Private names of other objects than the test's own."""
    own = {node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef | ast.FunctionDef)}
    own |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)}
    found = []
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=ast.Name(id="self" | "cls")):
                pass
            case ast.Attribute(attr=name) if private(name) and name not in own:
                found.append(f"line {node.lineno}: {ast.unparse(node)}")
            case ast.ImportFrom(module=str(module), names=names) if module.split(".")[0] in ("lib", "components"):
                found += [f"line {node.lineno}: {module}.{each.name}" for each in names if private(each.name)]
            case ast.Call(func=ast.Attribute(attr="setattr"), args=[*_, ast.Constant(value=str(name)), _]) if private(
                name.rpartition(".")[2]
            ):
                found.append(f"line {node.lineno}: {ast.unparse(node)[:80]}")
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_test_reaches_into_a_private_name(path: Path) -> None:
    assert reached(ast.parse(path.read_text(encoding="utf-8"))) == []
