"""Names of countries, towns, states and elements that do not exist."""

from __future__ import annotations

from tests.making.facts import words

INVENTED = {kind: words(f"invented {kind}") for kind in ("country", "town", "state", "element")}
