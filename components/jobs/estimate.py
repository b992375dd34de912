"""What several questions take, said before they are asked."""

from __future__ import annotations

from components.shell.services import ledger
from lib import formatting
from lib.jobs.plan import Several


def budget(several: Several) -> str:
    """Calls of a service, and whether the session's cap allows them; tokens to write; texts to score."""
    calls, left = several.billed_calls, ledger().calls_left
    short = left is not None and calls > left
    parts = [
        formatting.count(calls, "call") if calls else "",
        f"the session's cap allows {formatting.count(left or 0, 'more call')}: raise it under Connection"
        if short
        else "",
        f"at most {formatting.count(several.max_new_tokens, 'token')} to write" if several.max_new_tokens else "",
        f"{formatting.count(several.scored_texts, 'text')} to score" if several.scored_texts else "",
    ]
    return " · ".join(filter(None, parts))
