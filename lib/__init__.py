"""Candor without a screen: engines, scores and files for notebooks and programs. Never imports Streamlit.

The names in `__all__` stay where they are; everything else may move between versions.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from lib import moved

if TYPE_CHECKING:
    from lib.core.completion import Completion
    from lib.core.request import Message, Request
    from lib.core.tokens import TokenKind, Tokens
    from lib.display.export import to_csv, to_json
    from lib.engines.local.opening import open_local as load_model
    from lib.errors import CandorError
    from lib.models.tokenizer_files import load_tokenizer
    from lib.scores.token_scores import summarise_answer, summarise_prompt, surprisal
    from lib.wire.saved_responses import completions_of, read_saved

VERSION = "0.2.0"

_PLACES = {
    "CandorError": "lib.errors",
    "Completion": "lib.core.completion",
    "Message": "lib.core.request",
    "Request": "lib.core.request",
    "TokenKind": "lib.core.tokens",
    "Tokens": "lib.core.tokens",
    "completions_of": "lib.wire.saved_responses",
    "load_model": "lib.engines.local.opening:open_local",
    "load_tokenizer": "lib.models.tokenizer_files",
    "read_saved": "lib.wire.saved_responses",
    "summarise_answer": "lib.scores.token_scores",
    "summarise_prompt": "lib.scores.token_scores",
    "surprisal": "lib.scores.token_scores",
    "to_csv": "lib.display.export",
    "to_json": "lib.display.export",
}
__all__ = [
    "VERSION",
    "CandorError",
    "Completion",
    "Message",
    "Request",
    "TokenKind",
    "Tokens",
    "completions_of",
    "load_model",
    "load_tokenizer",
    "read_saved",
    "summarise_answer",
    "summarise_prompt",
    "surprisal",
    "to_csv",
    "to_json",
]

moved.explain()


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: none of them costs an import before."""
    if name not in _PLACES:
        raise AttributeError(f"module 'lib' has no attribute {name!r}")
    module, _, attribute = _PLACES[name].partition(":")
    found = globals()[name] = getattr(import_module(module), attribute or name)
    return found


def __dir__() -> list[str]:
    return sorted(__all__)
