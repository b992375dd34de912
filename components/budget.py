"""What several questions take, said before they are asked."""

from __future__ import annotations

from components.process import ledger
from lib import formats
from lib.several import Several


def budget(several: Several) -> str:
    """Calls of a service, and whether the session's cap allows them; tokens to write; texts to score."""
    calls, left = several.calls_of_a_service, ledger().calls_left
    short = left is not None and calls > left
    parts = [
        formats.count(calls, "call") if calls else "",
        f"the session's cap allows {formats.count(left or 0, 'more call')}: raise it under Connection" if short else "",
        f"at most {formats.count(several.most_written, 'token')} to write" if several.most_written else "",
        f"{formats.count(several.scored, 'text')} to score" if several.scored else "",
    ]
    return " · ".join(filter(None, parts))
