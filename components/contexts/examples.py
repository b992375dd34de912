"""Questions with passages that look alike, to try."""

from __future__ import annotations

from typing import Any

from lib.core.request import Mode

_HEATERS = """\
The Harlow 3 room heater uses 1,200 watts and weighs 4.1 kg. It turns itself off after eight hours.
---
The Harlow 5 room heater uses 1,800 watts and weighs 5.3 kg. It turns itself off after twelve hours.
---
The Corwin 3 room heater uses 900 watts and weighs 3.8 kg. It turns itself off after six hours.
---
The Corwin 5 room heater uses 1,500 watts and weighs 4.9 kg. It turns itself off after ten hours.
---
Room heaters of both series are guaranteed for three years. Keep the receipt and the serial number.
---
To clean a heater, unplug it, let it cool, and wipe it with a dry cloth."""
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
        "question": "How many watts does the Corwin 5 use?",
        "passages": _HEATERS,
    },
    "No word in common": {
        "mode": Mode.CHAT,
        "question": "My luggage got lost, what do I receive?",
        "passages": _TRAVEL,
    },
}
