"""What a plan will take, shown before it runs."""

from __future__ import annotations

from collections.abc import Iterable

from components.shell.services import services
from lib import formatting
from lib.jobs.call import Call
from lib.jobs.plan import estimate


def budget(calls: Iterable[Call]) -> str:
    """Billed calls, whether the session's cap allows them, new tokens, and texts to score, as one line."""
    takes, left = estimate(calls), services().ledger.calls_left
    short = left is not None and takes.billed_calls > left
    parts = [
        formatting.count(takes.billed_calls, "call") if takes.billed_calls else "",
        f"the session's cap allows {left or 0:,} more: raise it in Connection" if short else "",
        f"up to {formatting.count(takes.max_new_tokens, 'new token')}" if takes.max_new_tokens else "",
        f"{formatting.count(takes.scored_texts, 'text')} to score" if takes.scored_texts else "",
    ]
    return " · ".join(filter(None, parts))
