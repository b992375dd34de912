"""Imports of version 0.1 that have another place now: the ImportError says which. Goes with version 0.3."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

# A former module or package, and where it is now.
MOVED = {
    "lib.answer": "lib.core.answer_parser",
    "lib.arrays": "lib.core.arrays",
    "lib.asking": "lib.jobs.run_plan",
    "lib.bedrock": "lib.engines.bedrock",
    "lib.branching": "lib.core.branching",
    "lib.completion": "lib.core.completion",
    "lib.engine": "lib.engines.base",
    "lib.exports": "lib.display.export",
    "lib.foreign": "lib.sandbox",
    "lib.formats": "lib.formatting",
    "lib.local": "lib.engines.local",
    "lib.many": "lib.jobs.batch",
    "lib.packed": "lib.core.serialization",
    "lib.pieces": "lib.core.pieces",
    "lib.policy": "lib.access.policy",
    "lib.ranking": "lib.scores.ranking",
    "lib.request": "lib.core.request",
    "lib.scales": "lib.display.scales",
    "lib.several": "lib.jobs.plan",
    "lib.sources": "lib.core.sources",
    "lib.tokenizer": "lib.tokenizers.tokenizer",
    "lib.tokenizer_files": "lib.models.tokenizer_files",
    "lib.tokens": "lib.core.tokens",
    "lib.view": "lib.display.token_map_view",
    "lib.vocabulary": "lib.tokenizers.vocabulary",
}
# Functions of what was the module lib.scores and is a package now.
OF_SCORES = (
    "answer_mask", "boosted_probability", "entropy_bounds", "margin", "others_mass", "probability", "seen_mass",
    "summarise", "summarise_answer", "summarise_prompt", "surprisal",
)  # fmt: skip


def _error(old: str, new: str) -> ImportError:
    return ImportError(f"{old} is now {new}. Change the import; names in `lib` itself, such as `lib.Request`, stay.")


class _Former(MetaPathFinder):
    """Finds nothing. Says where a former module is."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        del path, target
        if fullname in MOVED:
            raise _error(fullname, MOVED[fullname])
        return None


def explain() -> None:
    """From now on, have imports of former modules say where they are."""
    if not any(isinstance(each, _Former) for each in sys.meta_path):
        sys.meta_path.append(_Former())


def former_score(name: str) -> ImportError | AttributeError:
    """The error for an attribute that the package `lib.scores` does not have."""
    if name in OF_SCORES:
        return _error(f"lib.scores.{name}", f"lib.scores.token_scores.{name}")
    return AttributeError(f"module 'lib.scores' has no attribute {name!r}")
