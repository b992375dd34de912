"""Make the fact sheets in lib/evaluation/sets/sheets.jsonl: `python -m tests.making.sheets`. sheets.md says how."""

from __future__ import annotations

import argparse
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.making.countries import spoken
from tests.making.facts import Fact, Relation
from tests.making.ready_sets import SETS, as_lines, relations
from tests.making.shapes import OTHER_NAMES, REGIONS, SHAPES, SPOKEN, TOLERANCES, WIDER_PEOPLES, Shape
from tests.making.splitting import DESIGN, DEVELOPMENT, HELD_OUT, SHOTS, order, parts_of_entities

_FILE = "sheets.jsonl"
_SHOTS = 3  # examples in a prompt
_FEWEST_FIELDS = 2  # that an entity must have a value for
MOST = {DESIGN: 12}  # sheets of a shape by part
_MOST = 45  # of the shape's own part
_UNCLEAR = {"continent": REGIONS, "people": WIDER_PEOPLES}
_VALUE = re.compile(r"\[([^\]]+)\]")


@dataclass(frozen=True)
class Values:
    """Everything that is known of each entity."""

    facts: Mapping[tuple[str, str], tuple[Fact, ...]]  # by relation and entity

    def of(self, relation: str, entity: str, subject: str = "") -> Fact | None:
        """The fact of a relation about an entity, or about one of the entity's subjects."""
        own = self.facts.get((relation, entity), ())
        return next((each for each in own if not subject or subject in each.subjects), None)


def values_of(given: Sequence[Relation]) -> Values:
    """The facts of all relations, by relation and entity."""
    found: dict[tuple[str, str], list[Fact]] = defaultdict(list)
    for relation in given:
        for each in relation.facts:
            found[relation.name, each.entity].append(each)
    return Values({key: tuple(own) for key, own in found.items()})


def parts_of_shapes() -> dict[str, str]:
    """Development or held-out for each shape, in turns within each kind."""
    found = {}
    for kind in sorted({each.kind for each in SHAPES}):
        names = sorted((each.name for each in SHAPES if each.kind == kind), key=order)
        found.update({name: HELD_OUT if place % 2 else DEVELOPMENT for place, name in enumerate(names)})
    return found


def all_sheets() -> Iterator[dict[str, Any]]:
    """The rows of all shapes: of the part design and of the shape's own part."""
    given = relations()
    parts, values, own = parts_of_entities(given), values_of(given), parts_of_shapes()
    for shape in SHAPES:
        subjects = _subjects(shape, values, parts)
        shown = _shown(shape, subjects, parts, values)
        number = 0
        for part in (DESIGN, own[shape.name]):
            asked = [each for each in subjects if parts[each[0]] == part and _has_values(shape, *each, values)]
            asked = [each for each in asked if not any(_names(text, each[1]) for text in shown)]
            for entity, subject in asked[: MOST.get(part, _MOST)]:
                number += 1
                yield {
                    "id": f"sheet: {shape.name} {number}",
                    "kind": shape.kind,
                    "template": shape.name,
                    "entity": entity,
                    "part": part,
                    "prompt": "\n".join((*shown, _start(shape).format(subject))),
                    "stop": ["\n"],
                    "fields": list(_fields(shape, entity, subject, values)),
                }


def _subjects(shape: Shape, values: Values, parts: Mapping[str, str]) -> list[tuple[str, str]]:
    """(entity, subject) of everything that the shape can be about, in an order that looks random."""
    found = []
    for entity in (each for each in parts if each.split(": ")[0] == shape.kind):
        if shape.subject:
            own = values.facts.get((shape.subject, entity), ())
        else:
            named = (values.of(name, entity) for name in _VALUE.findall(shape.text))
            own = tuple(each for each in named if each is not None)[:1]
        found += [(entity, each.subjects[0]) for each in own[: shape.most]]
    return sorted(found, key=lambda each: order(f"{shape.name} {each}"))


def _has_values(shape: Shape, entity: str, subject: str, values: Values) -> bool:
    fields = list(_fields(shape, entity, subject, values))
    return sum(bool(each["expected"]) for each in fields) >= _FEWEST_FIELDS


def _answers(shape: Shape, name: str, known: Fact | None) -> tuple[list[str], list[str]]:
    """The values that are right, and those that are neither right nor wrong."""
    if known is None:
        return [], []
    found = [other for each in known.answers for other in (each, *OTHER_NAMES.get(each, ()))]
    if name == "currency":
        found += [f"{each}s" for each in found if each.islower() and not each.endswith("s")]
    if name != "language":
        return list(dict.fromkeys(found)), list(_UNCLEAR.get(name, ()))
    often, rarely = spoken(known.entity.split(": ")[1])
    if shape.name in SPOKEN:
        return list(dict.fromkeys((*found, *often))), [each for each in rarely if each not in found]
    return list(dict.fromkeys(found)), [each for each in (*often, *rarely) if each not in found]


def _names(text: str, subject: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(subject)}(?!\w)", text, re.IGNORECASE) is not None


def _fields(shape: Shape, entity: str, subject: str, values: Values) -> Iterator[dict[str, Any]]:
    """The fields of a sheet in order. One whose value is not known has no expected answers."""
    literals = _VALUE.split(shape.text.format(subject))[::2]
    for place, name in enumerate(_VALUE.findall(shape.text)):
        known = values.of(name, entity, subject if name == shape.subject else "")
        expected, unclear = _answers(shape, name, known)
        yield {
            "name": name,
            "cue": _cue(literals[place]) if place else "",
            **({"after": after} if (after := re.split(r"[.,]", literals[place + 1])[0].strip()) else {}),
            "expected": expected,
            **({"unclear": unclear} if unclear else {}),
            **({"given": shape.subject} if shape.subject and name != shape.subject else {}),
            **({"tolerance": TOLERANCES[name]} if name in TOLERANCES else {}),
        }


def _cue(literal: str) -> str:
    """The words before a value by which it is found: its clause, without and and without the article at its end."""
    clause = re.split(r"[.,] ", literal)[-1].strip()
    return re.sub(r"^and | the$", "", clause)


def _start(shape: Shape) -> str:
    return shape.text[: shape.text.index("[")].rstrip()


def _shown(
    shape: Shape, subjects: Sequence[tuple[str, str]], parts: Mapping[str, str], values: Values
) -> tuple[str, ...]:
    """Examples about entities that are asked nowhere, complete, and with different values of the first field."""
    found: dict[str, str] = {}
    for entity, subject in subjects:
        fields = list(_fields(shape, entity, subject, values))
        if parts[entity] != SHOTS or not all(each["expected"] for each in fields):
            continue
        known = {each["name"]: each["expected"][0] for each in fields}
        text = _VALUE.sub(lambda part, known=known: known[part[1]], shape.text.format(subject))  # type: ignore[misc]
        first = known[fields[0]["name"]]
        if len(found) < _SHOTS and (first not in found or shape.name.startswith(("number", "year"))):
            found[first if first not in found else entity] = text
    if len(found) < _SHOTS:
        raise ValueError(f"{shape.name} has {len(found)} examples.")
    return tuple(found.values())


def main() -> int:
    """Write the sheets, or compare them with those that are there."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="compare with the committed file; exits with 1 if it differs"
    )
    options = parser.parse_args()
    rows = list(all_sheets())
    data = as_lines(rows)
    if options.check and (SETS / _FILE).read_bytes() != data:
        print(f"{_FILE} differs from what the packages give now.", file=sys.stderr)
        return 1
    if not options.check:
        (SETS / _FILE).write_bytes(data)
    fields: Counter[str] = Counter()
    for row in rows:
        fields[row["part"]] += sum(bool(each["expected"]) for each in row["fields"])
    by_part = Counter(row["part"] for row in rows)
    print(f"{len(rows)} sheets of {len(SHAPES)} shapes: {dict(by_part)}; fields: {dict(fields)}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
