"""Plans as JSON in the details of a run, and back. Those of earlier versions are read, too."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

import msgspec

from lib.core.branching import Fork
from lib.core.completion import Completion
from lib.core.request import Request
from lib.core.serialization import request_as_json, request_of
from lib.core.sources import Source, source_of
from lib.core.tokens import NO_TOKENS
from lib.errors import BadFile, InvalidRequest
from lib.jobs.call import Call
from lib.jobs.plan import Plan
from lib.store.earlier_plans import EarlierPrompts, EarlierRank, earlier_plan
from lib.store.run import Run
from lib.studies.exploration import ExplorePlan
from lib.studies.plans import PLANS

_MAX_CALLS = 1_000  # of a run of an earlier version
_UNREADABLE = "The request of this run cannot be read."
_REMEDY = "Its answers can still be viewed. To continue, start a new run."


def details_of(plan: Plan | None) -> dict[str, Any]:
    """The details of a plan's run. None for a saved response, whose answers are all there is."""
    if plan is None:
        return {"saved": True}
    if isinstance(plan, ExplorePlan):
        return {"question": call_as_json(plan.call)}
    if isinstance(plan, EarlierPrompts | EarlierRank):
        return {"questions": [call_as_json(each) for each in plan.stored]}
    return {"plan": {"kind": plan.kind, **_as_json(plan)}}


def plan_of(run: Run, before: Completion | None = None) -> Plan | None:
    """What a run asked; None for a saved response, or if it cannot be read.

    before: the answer that its call branches from.
    """
    try:
        return _plan_of(run, before)
    except (BadFile, InvalidRequest, msgspec.ValidationError, LookupError, TypeError, ValueError, AttributeError):
        return None


def call_as_json(call: Call) -> dict[str, Any]:
    """A call as JSON. The answer that it branches from is not included: it belongs to the parent run."""
    fork = call.fork
    about: dict[str, Any] = {"source": call.source.as_json(), "request": request_as_json(call.request)}
    about["fork"] = None
    if call.candidates:
        about["given"] = list(call.candidates)
    if fork is not None:
        about["fork"] = {
            "kept": fork.kept,
            "forced": list(fork.forced),
            "text": fork.text,
            "asked": request_as_json(fork.asked),
            "warning": fork.warning,
        }
    return about


def call_of(about: Any, before: Completion | None = None) -> Call:
    """The call in JSON. before: the answer that it branches from. Raises BadFile."""
    try:
        candidates = tuple(about.get("given", ()))
        if not all(isinstance(text, str) for text in candidates):
            raise TypeError("candidates must be texts")
        fork = _fork(about["fork"], before)
        return Call(source_of(about["source"]), request_of(about["request"]), fork, candidates)
    except (KeyError, TypeError, ValueError, AttributeError, InvalidRequest) as error:
        raise BadFile(_UNREADABLE, _REMEDY) from error


def _as_json(value: Any) -> Any:
    """Dataclasses as objects and sequences as lists, except that a source has its own form."""
    if isinstance(value, Source):
        return value.as_json()
    if is_dataclass(value):
        return {each.name: _as_json(getattr(value, each.name)) for each in fields(value)}
    return [_as_json(each) for each in value] if isinstance(value, tuple) else value


def _source(kind: type, about: Any) -> Any:
    """Read a field that is a source. Raises ValueError."""
    if kind is not Source:
        raise NotImplementedError
    return source_of(about)


def _plan_of(run: Run, before: Completion | None) -> Plan | None:
    if (about := run.details.get("question")) is not None:
        return ExplorePlan(call_of(about, before))
    if isinstance(about := run.details.get("plan"), dict):
        plan: Plan = msgspec.convert({**about, "kind": None}, type=PLANS[about["kind"]], dec_hook=_source)
        plan.calls()  # raises if a field is out of bounds
        return plan
    if isinstance(calls := run.details.get("questions"), list) and len(calls) <= _MAX_CALLS:
        return earlier_plan(run.page, tuple(map(call_of, calls)), run.details.get("marks", []))
    return None


def _fork(about: Any, before: Completion | None) -> Fork | None:
    if about is None:
        return None
    asked: Request = request_of(about["asked"])
    kept, forced = about["kept"], tuple(about["forced"])
    if not isinstance(kept, int) or not all(isinstance(number, int) for number in forced):
        raise TypeError("token ids must be integers")
    if before is None:  # the parent run was erased; the branch itself has what remains
        before = Completion(asked, "", NO_TOKENS, NO_TOKENS, "")
    return Fork(before, kept, forced, str(about["text"]), asked, str(about["warning"]))
