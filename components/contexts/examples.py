"""Questions with passages that look alike, to try."""

from __future__ import annotations

from typing import Any

from lib.core.request import Mode

_MUSEUMS = """\
The Harlow museum shows ships. It is closed on Mondays.
---
The Corwin museum shows clocks. It is closed on Tuesdays.
---
The Marlow museum shows toys. It is closed on Wednesdays.
---
The Selby museum shows trains. It is closed on Fridays.
---
Tickets for the museums of the town are sold at the station. Children go in free.
---
Dogs may not enter a museum, but there is a place to leave them."""
_TRAVEL = """\
Anyone who falls ill on a journey should ring the number on the back of their card before seeing a doctor.
---
Suitcases that do not turn up are replaced up to 600 euros, once the airline has confirmed it in writing.
---
Flights that are put off by more than five hours give a right to a meal and, at night, to a room.
---
Rented cars are not part of this policy, nor is anything that happens at sea.
---
The contract ends by itself after twelve months unless it is extended in time."""
EXAMPLES: dict[str, dict[str, Any]] = {
    "Look-alike passages": {
        "mode": Mode.CHAT,
        "question": "When is the Selby museum closed?",
        "passages": _MUSEUMS,
    },
    "No word in common": {
        "mode": Mode.CHAT,
        "question": "My luggage got lost, what do I receive?",
        "passages": _TRAVEL,
    },
}
