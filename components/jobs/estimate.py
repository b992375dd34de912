"""What a set of calls will take, shown before they are made."""

from __future__ import annotations

from components.shell.services import ledger
from lib import formatting
from lib.jobs.plan import Several


def budget(several: Several) -> str:
    """Billed calls, whether the session's cap allows them, new tokens, and texts to score, as one line."""
    calls, left = several.billed_calls, ledger().calls_left
    short = left is not None and calls > left
    parts = [
        formatting.count(calls, "call") if calls else "",
        f"the session's cap allows {left or 0:,} more: raise it in Connection" if short else "",
        f"up to {formatting.count(several.max_new_tokens, 'new token')}" if several.max_new_tokens else "",
        f"{formatting.count(several.scored_texts, 'text')} to score" if several.scored_texts else "",
    ]
    return " · ".join(filter(None, parts))
