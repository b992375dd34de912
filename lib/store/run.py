"""A saved run: its record, its answers, and the limits on both."""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from lib.core.completion import Completion
from lib.core.serialization import pack_completion
from lib.formatting import beginning

EARLIEST, LATEST = 0, 253_402_300_799_000_000  # microseconds since 1970, up to the end of the year 9999
TITLE, EXCERPT = 120, 240  # characters of the generated title and excerpt
MAX_TITLE, MAX_NOTE, MAX_MODEL = 1_000, 100_000, 4_000  # characters
SET_LATER = frozenset({"grades"})  # details that are no part of what was asked, and may be set once the run is over
MAX_TAGS = 100  # per run
MAX_TAG = 200  # characters of one tag


class RunState(StrEnum):
    """How far a run got. The values are stored in the database and in exported files."""

    INCOMPLETE = "incomplete"  # still being written, or the process ended first
    FINISHED = "finished"
    CANCELLED = "cancelled"
    FAILED = "failed"
    DAMAGED = "damaged"  # never stored: the row cannot be read as a run


STORED_STATES = frozenset(RunState) - {RunState.DAMAGED}


@dataclass(frozen=True)
class Answer:
    """One answer of a run."""

    completion: Completion | None = None  # None if no token arrived
    error: tuple[str, str] | None = None  # (cause, remedy) if the answer failed


@dataclass(frozen=True)
class Run:
    """Everything about a run except its answers."""

    page: str  # the page that started it
    model: str  # display name
    id: str = field(default_factory=lambda: secrets.token_urlsafe(16))  # 128 random bits: the id grants read access
    source: str = ""  # path, hub id or ARN of the model
    owner: str = ""  # who sees it in lists; "" for the user of this machine
    shared: bool = False  # whether other signed-in users see it, too
    title: str = ""  # the start of the prompt, unless renamed
    excerpt: str = ""  # the start of the first answer that has text
    note: str = ""
    tags: tuple[str, ...] = ()
    parent: str = ""  # id of the run this one branches from; "" for none
    details: dict[str, Any] = field(default_factory=dict)  # JSON: what the page needs to show the run again
    state: RunState = RunState.INCOMPLETE
    error: tuple[str, str] | None = None  # (cause, remedy) if the run failed
    version: str = ""  # of Candor
    created: int = 0  # microseconds since 1970
    touched: int = 0  # last write, microseconds since 1970
    seconds: float | None = None  # duration; None if unknown
    tokens: int = 0  # prompt and generated tokens of all answers
    bytes: int = 0  # stored size of all answers
    text_bytes: int = 0  # stored size of the searchable text
    digest: str = ""  # SHA-256 of the answers in hex; "" until the run is over
    model_fingerprint: str = ""  # as the engine reports it; "" if it does not
    tokenizer_fingerprint: str = ""  # as the engine reports it; "" if it does not


@dataclass(frozen=True)
class Known:
    """What identifies a saved run, including one that is removed but not yet erased."""

    owner: str
    shared: bool
    digest: str  # "" until the run is over
    removed: bool


def microseconds() -> int:
    """The current time in microseconds since 1970."""
    return time.time_ns() // 1000


def completed(run: Run, answers: Sequence[Answer]) -> Run:
    """Fill in what follows from the answers: model, excerpt, tokens, digest and fingerprints."""
    done = [each.completion for each in answers if each.completion is not None]
    model, tokenizer = fingerprints(done[0]) if done else (run.model_fingerprint, run.tokenizer_fingerprint)
    return replace(
        run,
        model=run.model or next((each.model for each in done), ""),
        excerpt=run.excerpt or next((beginning(each.text, EXCERPT) for each in done if each.text.strip()), ""),
        tokens=sum(len(each.prompt) + len(each.generated) for each in done),
        digest=digest_of(answers),
        model_fingerprint=model,
        tokenizer_fingerprint=tokenizer,
    )


def fingerprints(completion: Completion) -> tuple[str, str]:
    """The fingerprints of the model and of its tokenizer, "" for those the engine does not report."""
    return completion.weights, dict(completion.provenance).get("vocabulary", "")


def digest_of(answers: Sequence[Answer]) -> str:
    """SHA-256 of the answers, in hex."""
    digest = hashlib.sha256()
    for each in answers:
        packed = b"" if each.completion is None else pack_completion(each.completion)
        for part in (packed, error_as_json(each.error).encode()):
            digest.update(len(part).to_bytes(8, "little"))
            digest.update(part)
    return digest.hexdigest()


def error_as_json(error: tuple[str, str] | None) -> str:
    """The JSON list [cause, remedy]; "" for no error."""
    return "" if error is None else json.dumps(list(error))
