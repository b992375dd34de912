"""Make lib/evaluation/sets/contexts.jsonl: questions with several passages, one of which is right.

Half of the questions have look-alike passages: sentences of the same shape about other entities. The other half is
re-worded: question and right passage share no content word, so that no search by words can find it. Facts are from the
packages in requirements.txt; all sentences are the project's own. Run it as ready_sets.md says.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from babel.numbers import get_territory_currencies

from lib.doubts.function_words import FUNCTION_WORDS
from tests.making import catalogue, countries, elements, geography
from tests.making.aliases import CAPITALS
from tests.making.facts import Relation
from tests.making.splitting import DEVELOPMENT, HELD_OUT, order

FILE = Path(__file__).parents[2] / "lib" / "evaluation" / "sets" / "contexts.jsonl"
LOOK_ALIKE, REWORDED, CATALOGUE = "look-alike", "re-worded", "catalogue"
_PAIRS = Path(__file__).parent / "reworded.txt"
_FEWEST, _MOST = 6, 10  # passages of a question
_WORDS = re.compile(r"[^\W_]+(?:['’][^\W_]+)?")


@dataclass(frozen=True)
class Entity:
    """What a passage is about, and the questions that it answers."""

    name: str  # unique within a domain; the unit of the split
    passage: str
    questions: tuple[tuple[str, str], ...]  # (question, answer)
    near: tuple[str, ...] = ()  # names of entities that are easily confused with it


def content_words(text: str) -> set[str]:
    """The words of a text that say something, in lower case."""
    return {each for each in map(str.lower, _WORDS.findall(text)) if each not in FUNCTION_WORDS}


def shared(question: str, passage: str) -> set[tuple[str, str]]:
    """Pairs of content words of both that may have the same stem: the shorter one, but for its last two letters."""
    return {
        (one, other)
        for one in content_words(question)
        for other in content_words(passage)
        if one == other or one[: (size := max(3, min(len(one), len(other)) - 2))] == other[:size]
    }


def _countries(*, with_capital: bool) -> Iterator[Entity]:
    rows = countries.countries()
    for code, row in rows.items():
        money = get_territory_currencies(code)
        if len(money) != 1 or code in ("SG", "DJ", "PA", "GT", "MX", "KW", "LU", "MC", "SM", "VA", "ST", "DZ", "TN"):
            continue
        name, unit = countries.named(code), countries.ENGLISH.currencies[money[0]].split()[-1].lower()
        beside = [each for each in str(row["neighbours"]).split(",") if each in rows]
        borders = _listed([countries.named(each) for each in beside[:4]])
        capital = CAPITALS.get(code, (row["capital"],))[0]
        begin = name[0].upper() + name[1:]
        bordering = f" It shares borders with {borders}." if beside else " It shares no border with any country."
        near = tuple(countries.name_of(each) for each in beside)
        if with_capital:
            people = _people(row["population"])
            passage = (
                f"{begin} is a country. Its capital is {capital}, and people there pay with the {unit}.{bordering} "
                f"About {people} people live there."
            )
            asked = (
                (f"What is the capital of {name}?", capital),
                (f"How many people live in {name}?", people),
                (f"What is the currency of {name}?", unit),
            )
        else:
            passage = f"In {name}, shops are paid in {unit}s.{bordering} Websites from there end in {row['tld']}."
            asked = (
                (f"What money would I need in {capital}?", unit),
                (f"Which internet domain do companies in {capital} use?", row["tld"]),
            )
        yield Entity(countries.name_of(code), passage, asked, near)


def _people(number: int) -> str:
    return f"{number / 1e6:,.0f} million" if number > 2_000_000 else f"{round(number, -4):,}"


def _listed(names: Sequence[str]) -> str:
    return " and ".join((", ".join(names[:-1]), names[-1])) if len(names) > 1 else "".join(names)


def _answers(relations: Iterator[Relation], *names: str) -> dict[str, dict[str, str]]:
    """By relation, the usual answer about each entity."""
    found = {each.name: each for each in relations if each.name in names}
    return {name: {each.entity.split(": ")[1]: each.answers[0] for each in found[name].facts} for name in names}


def _states(*, with_capital: bool) -> Iterator[Entity]:
    known = _answers(geography.relations(), "state capital", "largest city", "statehood", "state's letters")
    for name, year in known["statehood"].items():
        capital, letters = known["state capital"][name], known["state's letters"][name]
        largest = known["largest city"][name]
        if with_capital:
            passage = (
                f"{name} is a state of the USA with the postal abbreviation {letters}. It joined the Union in {year}. "
                f"Its capital is {capital}, and its largest city is {largest}."
            )
            asked = (
                (f"In which year did {name} join the Union?", year),
                (f"What is the capital of {name}?", capital),
                (f"What is the largest city of {name}?", largest),
            )
        elif capital != largest:
            passage = f"{name} joined the Union in {year}. On letters it is written {letters}. Most live in {largest}."
            asked = ((f"When did the area governed from {capital} become part of America?", year),)
        else:
            continue
        yield Entity(name, passage, asked)


def _elements(*, with_symbol: bool) -> Iterator[Entity]:
    known = _answers(
        elements.relations(), "symbol", "atomic number", "series", "discovery year", "atomic weight", "period"
    )
    for name, year in known["discovery year"].items():
        if name not in known["series"] or name not in known["atomic weight"]:
            continue
        symbol, number, family = (known[each][name] for each in ("symbol", "atomic number", "series"))
        weight, period = known["atomic weight"][name], known["period"][name]
        article = "an" if family[0] in "aeiou" else "a"
        if with_symbol:
            passage = (
                f"{name.capitalize()} has the symbol {symbol} and the atomic number {number}. It is {article} "
                f"{family} in period {period}. It was discovered in {year}, and its atomic weight is about {weight}."
            )
            asked = (
                (f"What is the symbol of {name}?", symbol),
                (f"What is the atomic number of {name}?", number),
                (f"When was {name} discovered?", year),
            )
        else:
            passage = (
                f"{name.capitalize()} is {article} {family} in row {period} of the periodic table, at place {number}. "
                f"It was discovered in {year}."
            )
            asked = (
                (f"How many protons does an atom of {symbol} have?", number),
                (f"When did chemists first find {symbol}?", year),
            )
        yield Entity(name, passage, asked)


_TOWNS = (
    "Aldbrook", "Bexwater", "Carrowmoor", "Dunvale", "Eastlyn", "Farholt", "Grimsel", "Hartmere", "Inverlow",
    "Jarnwick", "Kelstow", "Lambrigg", "Marlock", "Nunhope", "Ovingdale", "Pendry", "Quarley", "Ramsholt", "Skelby",
    "Tolverne", "Ulcombe", "Varnish Cross", "Wetherden", "Yoxley", "Zealbury", "Ashfleet", "Brantham", "Coldreath",
    "Dovercourt Hill", "Elmsett",
)  # fmt: skip
_SUBJECTS = ("clocks", "ships", "dolls", "coins", "maps", "trams", "glass", "bells", "kites", "toys")
_FIRST = ("Ada", "Bruno", "Clara", "Dorian", "Edith", "Felix", "Greta", "Hugo", "Irene", "Jonas", "Karin", "Leo")
_LAST = ("Abbot", "Barlow", "Crane", "Dunn", "Ellery", "Frost", "Garland", "Hale", "Ingram", "Judd", "Kemp", "Lowe")


def _museums() -> Iterator[Entity]:
    """Invented museums, about which a model knows nothing."""
    chance = random.Random(11)
    for town in _TOWNS:
        subject, hour, price = chance.choice(_SUBJECTS), chance.randrange(8, 12), chance.randrange(3, 19)
        director, founded = f"{chance.choice(_FIRST)} {chance.choice(_LAST)}", chance.randrange(1850, 1990)
        passage = (
            f"The museum of {town} shows {subject}. It was founded in {founded} and is led by {director}. It opens at "
            f"{hour} in the morning, and a ticket costs {price} euros."
        )
        asked = (
            (f"What does a ticket to the museum of {town} cost?", f"{price} euros"),
            (f"Who leads the museum of {town}?", director),
            (f"What does the museum of {town} show?", subject),
            (f"When was the museum of {town} founded?", str(founded)),
        )
        yield Entity(town, passage, asked)


def _pairs() -> Iterator[Entity]:
    """Passages and questions that were written for this set; the answer is not graded."""
    for number, pair in enumerate(_PAIRS.read_text(encoding="utf-8").strip().split("\n\n"), 1):
        passage, question = pair.split("\n")
        yield Entity(f"pair {number}", passage, ((question, ""),))


def _products() -> Iterator[Entity]:
    values: dict[str, dict[str, str]] = {}
    for each in catalogue.facts():
        values.setdefault(each.product, {})[each.attribute] = each.value
    for name, own in values.items():
        kind = name.split()[-1]
        passage = (
            f"The Ardenworks {name} is made of {own['material']} in {own['town']} and comes in {own['colour']}. "
            f"It weighs {own['weight']} and costs {own['price']}, with a warranty of {own['warranty']}."
        )
        asked = tuple((text.format(name=name), own[attribute]) for attribute, text in catalogue.HELD_OUT.items())
        near = tuple(each for each in values if each.split()[-1] == kind and each != name)
        yield Entity(name, passage, asked, near)


def rows() -> Iterator[dict[str, object]]:
    """All rows, in order."""
    for kind, domain, found, most in (
        (LOOK_ALIKE, "countries", list(_countries(with_capital=True)), 20),
        (LOOK_ALIKE, "states", list(_states(with_capital=True)), 14),
        (LOOK_ALIKE, "elements", list(_elements(with_symbol=True)), 14),
        (LOOK_ALIKE, "museums", list(_museums()), 22),
        (REWORDED, "countries", list(_countries(with_capital=False)), 12),
        (REWORDED, "states", list(_states(with_capital=False)), 8),
        (REWORDED, "elements", list(_elements(with_symbol=False)), 8),
        (REWORDED, "everyday", list(_pairs()), 42),
        (CATALOGUE, CATALOGUE, list(_products()), 40),
    ):
        names = sorted((each.name for each in found), key=lambda name: order(f"contexts {name}"))
        part = {name: (DEVELOPMENT, HELD_OUT)[place % 2] for place, name in enumerate(names)}
        if kind == CATALOGUE:
            part = dict.fromkeys(names, CATALOGUE)
        yield from _rows(kind, domain, found, part, most)


def _rows(
    kind: str, domain: str, found: Sequence[Entity], part: dict[str, str], most: int
) -> Iterator[dict[str, object]]:
    entities = {each.name: each for each in found}
    taken = 0
    for name in part:
        entity = entities[name]
        asked = sorted(entity.questions, key=lambda each: order(f"{name} {each[0]}"))
        if kind == REWORDED:
            asked = [each for each in asked if not shared(each[0], entity.passage)]
        if not asked or taken == most:
            continue
        taken += 1
        question, answer = asked[0]
        chance = random.Random(order(f"{kind} {domain} {name}"))
        others = [each for each in found if part[each.name] == part[name] and each.name != name]
        chance.shuffle(others)
        others.sort(key=lambda each: each.name not in entity.near)
        passages = [entity, *others[: chance.randrange(_FEWEST, _MOST + 1) - 1]]
        chance.shuffle(passages)
        yield {
            "id": f"{kind} {domain} {taken}",
            "kind": kind,
            "domain": domain,
            "entity": name,
            "part": part[name],
            "question": question,
            "expected": [answer] if answer else [],
            "right": str(1 + passages.index(entity)),
            "passages": [{"id": str(place), "text": each.passage} for place, each in enumerate(passages, 1)],
        }


def main() -> int:
    """Write the set, or compare it with the one that is there."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare with the committed file instead")
    options = parser.parse_args()
    for pair in _pairs():
        if common := shared(pair.questions[0][0], pair.passage):
            print(f"{pair.name} shares {sorted(common)}: {pair.questions[0][0]}", file=sys.stderr)
            return 1
    found = list(rows())
    data = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in found).encode()
    if options.check and FILE.read_bytes() != data:
        print(f"{FILE.name} differs from what the packages give now.", file=sys.stderr)
        return 1
    if not options.check:
        FILE.write_bytes(data)
    counts: dict[tuple[object, object], int] = {}
    for row in found:
        counts[row["kind"], row["part"]] = counts.get((row["kind"], row["part"]), 0) + 1
    print(f"{len(found)} rows: {counts}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
