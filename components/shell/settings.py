"""Settings that survive a reload and a restart: the model, where it is called, and each page's parameters.

They are stored with the runs, for the user of this machine and for those who have signed in. What is typed as a prompt
is not a setting; a run brings its own back.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import Any

import streamlit as st

from components.shell.access import visitor
from components.shell.services import services
from lib.core.pasted_arn import as_arn
from lib.core.pasted_endpoint import as_endpoint
from lib.core.request import MAX_K, MAX_SAMPLES, Mode
from lib.errors import BadFile, CandorError, InvalidRequest
from lib.evaluation.calibration import MOST_IN_USE, calibration_of
from lib.policies.policy_file import policy_of
from lib.store.settings import read_settings, write_settings

_KNOWN = "settings.known"  # what is stored, as far as this session knows
_LONGEST = 2_000  # characters of a text
_LONGEST_POLICY = 15_000  # characters of it as JSON
_LONGEST_CALIBRATIONS = 15_000  # characters of all of them as JSON

log = logging.getLogger(__name__)
Check = Callable[[Any], bool]


def _text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= _LONGEST


def _read_by(parse: Callable[[str], str]) -> Check:
    """A text that a field accepts as it is. What it refuses, or reads out of more, may contain a password."""

    def check(value: Any) -> bool:
        try:
            return _text(value) and parse(value) in (value.strip(), f"http://{value.strip()}")
        except InvalidRequest:
            return False

    return check


def _whole(least: int, most: int) -> Check:
    return lambda value: type(value) is int and least <= value <= most


def _share(least: float, most: float) -> Check:
    return lambda value: type(value) in (int, float) and least <= value <= most


def _mode(value: Any) -> bool:
    return value in list(Mode)


def _calibrations(value: Any) -> bool:
    if not isinstance(value, list) or len(value) > MOST_IN_USE or len(json.dumps(value)) > _LONGEST_CALIBRATIONS:
        return False
    try:
        return all(calibration_of(each) for each in value)
    except BadFile:
        return False


def _policy(value: Any) -> bool:
    try:
        return len(json.dumps(value)) <= _LONGEST_POLICY and policy_of(value) is not None
    except BadFile:
        return False


_TEMPERATURE = _share(0.0, 2.0)
_ANSWER: Mapping[str, Check] = {"mode": _mode, "max_tokens": _whole(1, 10_000), "temperature": _TEMPERATURE}

# What is kept, by the key of its field. A key that ends in a dot is followed by an ARN.
_KEPT: Mapping[str, Check] = {
    "model.choice": _text,
    "model.source": _text,
    "model.profile": _text,
    "model.region": _text,
    "model.endpoint": _read_by(as_endpoint),
    "model.imported_model": _text,
    "model.arn": _read_by(as_arn),
    "model.form.": _text,
    "model.tokenizer.": _text,
    "model.imported.": lambda value: value is None or isinstance(value, date),
    "model.continues.": lambda value: isinstance(value, bool),
    "explore.mode": _mode,
    "explore.max_tokens": _whole(0, 100_000),
    "explore.k": _whole(0, MAX_K),
    "explore.temperature": _TEMPERATURE,
    "explore.top_p": _share(0.05, 1.0),
    "explore.n": _whole(1, MAX_SAMPLES),
    "explore.seed": lambda value: value is None or _whole(0, 2**31)(value),
    "explore.stop": _text,
    **{f"prompts.{name}": check for name, check in _ANSWER.items()},
    "prompts.samples": _whole(2, MAX_SAMPLES),
    **{f"rank.{name}": check for name, check in _ANSWER.items()},
    "rank.samples": _whole(0, MAX_SAMPLES),
    "doubts.mode": _mode,
    "doubts.max_tokens": _whole(1, 100_000),
    "doubts.temperature": _TEMPERATURE,
    "calibrations": _calibrations,
    "policy": _policy,
}


def restore_settings() -> None:
    """At the start of a visit: give the fields the values of the last one."""
    if _KNOWN in st.session_state:
        return
    known = _stored()
    st.session_state[_KNOWN] = known
    for key, value in known.items():
        st.session_state.setdefault(key, value)


def keep_settings() -> None:
    """At the end of a run of the page: store what has changed."""
    known: dict[str, Any] | None = st.session_state.get(_KNOWN)
    if known is None or (owner := _owner()) is None:
        return
    now = known | {str(key): value for key, value in st.session_state.items() if _is_kept(str(key), value)}
    if now != known:
        st.session_state[_KNOWN] = now
        _writer().submit(_write, owner, {key: _as_json(value) for key, value in now.items()})


def among(key: str, options: list[str]) -> None:
    """Forget the value of a field that is not among its options any more, which Streamlit would refuse."""
    if st.session_state.get(key) not in (None, *options):
        del st.session_state[key]


def _stored() -> dict[str, Any]:
    owner, store = _owner(), services().store.runs()
    if owner is None or store is None:
        return {}
    try:
        found = read_settings(store.database, owner)
    except CandorError as error:
        log.warning("settings cannot be read: %s", error.cause)
        return {}
    values = {key: _from_json(key, value) for key, value in found.items()}
    return {key: value for key, value in values.items() if _is_kept(key, value)}


def _owner() -> str | None:
    """Whom the settings belong to; None if they are not kept: a visit without an account ends with its tab."""
    who = visitor()
    if os.environ.get("CANDOR_SETTINGS") == "off" or not (who.alone or (who.signed_in and who.owner)):
        return None
    return who.owner


def _is_kept(key: str, value: Any) -> bool:
    part, dot, arn = key.partition(".arn:")
    check = _KEPT.get(f"{part}." if dot else key)
    return check is not None and len(arn) <= _LONGEST and check(value)


def _as_json(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date) else value


def _from_json(key: str, value: Any) -> Any:
    if not key.startswith("model.imported.") or not isinstance(value, str):
        return value
    try:
        return date.fromisoformat(value)
    except ValueError:
        return value  # which is refused, as it is no date


def _write(owner: str, values: Mapping[str, Any]) -> None:
    store = services().store.runs()
    try:
        if store is not None:
            write_settings(store.database, owner, values)
    except CandorError as error:
        log.warning("settings cannot be stored: %s", error.cause)


@st.cache_resource(show_spinner=False)
def _writer() -> ThreadPoolExecutor:
    """The thread that stores settings, so that no page waits for the database."""
    return ThreadPoolExecutor(1, "candor-settings")
