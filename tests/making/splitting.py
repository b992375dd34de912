"""Which part an entity and a relation belong to, by hashes of their names: the same in every run.

An entity has one part, whatever is asked about it. A relation is asked about entities of the part "design", by which
its templates are kept or dropped, and about those of its own part: development or held-out. So these two share
neither entities nor relations.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence

from tests.making.facts import Relation
from tests.making.invented import INVENTED

SHOTS, DESIGN, DEVELOPMENT, HELD_OUT = "shots", "design", "development", "held-out"
_SHARES = ((DESIGN, 0.30), (DEVELOPMENT, 0.32))  # of the entities of a kind; the rest is held out
# Kinds whose examples should be well known.
_WELL_KNOWN = {
    "country": ("Egypt", "Poland", "Brazil", "Canada", "Thailand", "Norway"),
    "state": ("Ohio", "Oregon", "Florida", "Maine"),
    "element": ("oxygen", "sodium", "zinc", "helium", "uranium", "bromine"),
    "language": ("French", "Swedish", "Polish", "Turkish"),
}


def order(name: str) -> str:
    """A key that sorts names in an order that looks random."""
    return hashlib.sha256(f"candor {name}".encode()).hexdigest()


def parts_of_entities(relations: Sequence[Relation]) -> dict[str, str]:
    """The part of each entity, invented ones included."""
    shown = _shown(relations)
    kinds: dict[str, set[str]] = defaultdict(set)
    for entity in {each.entity for relation in relations for each in relation.facts} - shown:
        kinds[entity.split(": ")[0]].add(entity)
    found = dict.fromkeys(shown, SHOTS)
    for _, entities in sorted(kinds.items()):
        found.update(_dealt(sorted(entities, key=order)))
    for kind, names in INVENTED.items():
        found.update(_dealt(sorted((f"invented {kind}: {name}" for name in names), key=order)))
    return found


def _shown(relations: Sequence[Relation]) -> set[str]:
    """The entities that are in examples only: for every relation three, with three answers if it has as many."""
    found = {f"{kind}: {name}" for kind, names in _WELL_KNOWN.items() for name in names}
    for relation in relations:
        facts = sorted(relation.facts, key=lambda each: order(each.entity))
        answers = {each.answers[0] for each in facts if each.entity in found}
        for wanted in ("answers", "entities"):
            for each in facts:
                enough = len(answers) if wanted == "answers" else len({one.entity for one in facts} & found)
                if enough < 3 and (wanted == "entities" or each.answers[0] not in answers):
                    found.add(each.entity)
                    answers.add(each.answers[0])
    return found


def _dealt(entities: Sequence[str]) -> dict[str, str]:
    found, first = {}, 0
    for part, share in _SHARES:
        last = first + round(share * len(entities))
        found.update(dict.fromkeys(entities[first:last], part))
        first = last
    return found | dict.fromkeys(entities[first:], HELD_OUT)


def parts_of_relations(relations: Sequence[Relation]) -> dict[str, str]:
    """Development or held-out for each relation, in turns within each domain."""
    found = {}
    for domain in sorted({each.domain for each in relations}):
        names = sorted((each.name for each in relations if each.domain == domain), key=order)
        found.update({name: DEVELOPMENT if place % 2 else HELD_OUT for place, name in enumerate(names)})
    return found
