"""Rows of labelled questions from relations: which facts are asked, and the text of each prompt."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tests.making.facts import NO_SUCH, Fact, Relation, words
from tests.making.invented import INVENTED
from tests.making.splitting import DESIGN, SHOTS, order, parts_of_entities, parts_of_relations

Row = dict[str, Any]
_ONE_FORM = ("calendar", "words")
COUNTS = {DESIGN: 10}  # rows of a template by part
_OWN = 16  # of the template's own part
FEWEST = 20  # rows that a template needs
_INVENTED = {DESIGN: 1, "own": 2}
# A chat answers in sentences, in which these are found without being the answer.
_COMMON = words("common words")


@dataclass(frozen=True)
class Template:
    """One way to ask for one relation."""

    relation: Relation
    style: str  # "few-shot" or "chat"
    form: str  # "statements", "questions" or "chat"

    @property
    def name(self) -> str:
        return f"{self.relation.name} ({self.form})"


def templates(relations: Sequence[Relation]) -> Iterator[Template]:
    """Every way to ask for every relation; with examples, some domains have statements or questions, in turns."""
    for place, relation in enumerate(relations):
        turn = place % 2 if relation.domain in _ONE_FORM and relation.question else None
        if turn != 1:
            yield Template(relation, "few-shot", "statements")
        if relation.question and turn != 0:
            yield Template(relation, "few-shot", "questions")
        if relation.question and relation.chat:
            yield Template(relation, "chat", "chat")


def all_rows(relations: Sequence[Relation], wanted: Callable[[str], bool], parts: Sequence[str] = ()) -> Iterator[Row]:
    """The rows of all templates whose names are wanted, in order; of the given parts, or of all."""
    entities, own_parts = parts_of_entities(relations), parts_of_relations(relations)
    for template in templates(relations):
        if wanted(template.name):
            rows = list(_rows(template, entities, own_parts[template.relation.name]))
            if len(rows) >= FEWEST:
                yield from (row for row in rows if not parts or row["part"] in parts)


def _rows(template: Template, entities: dict[str, str], own: str) -> Iterator[Row]:
    relation = template.relation
    shown = _shown(template, [each for each in relation.facts if entities[each.entity] == SHOTS])
    number = 0
    for part, count in ((DESIGN, COUNTS[DESIGN]), (own, _OWN)):
        real = [each for each in relation.facts if entities[each.entity] == part]
        made = _invented(relation, entities, part)[: _INVENTED[DESIGN if part == DESIGN else "own"]]
        taken: list[Fact] = []
        for each in sorted(real, key=lambda each: order(f"{template.name} {each.entity} {each.subjects}")):
            if len(taken) < count and each not in taken and _can_be_asked(template, each, shown):
                taken.append(each)
        for each in (*taken, *made):
            number += 1
            yield {
                "id": f"{template.name} {number}",
                "template": template.name,
                "relation": relation.name,
                "domain": relation.domain,
                "entity": each.entity,
                "part": part,
                "invented": each.entity.startswith("invented"),
                "style": template.style,
                "prompt": _prompt(template, each, shown),
                "expected": list(each.answers),
            }


def _invented(relation: Relation, entities: dict[str, str], part: str) -> list[Fact]:
    kind = relation.invented
    names = [each for each in INVENTED.get(kind, ()) if entities[f"invented {kind}: {each}"] == part]
    names.sort(key=lambda each: order(f"{relation.name} {each}"))
    return [Fact(f"invented {kind}: {each}", (each,), NO_SUCH) for each in names]


def _shown(template: Template, facts: list[Fact]) -> tuple[Fact, ...]:
    """Three examples about different entities, with different answers if there are any."""
    if template.style == "chat":
        return ()
    facts.sort(key=lambda each: order(f"{template.relation.name} {each.entity} {each.subjects}"))
    found: list[Fact] = []
    for strict in (True, False):
        for each in facts:
            others = {other.entity for other in found}
            answers = {other.answers[0] for other in found}
            if len(found) < 3 and each.entity not in others and not (strict and each.answers[0] in answers):
                found.append(each)
    if len(found) < 3:
        raise ValueError(f"{template.name} has {len(found)} examples.")
    return tuple(found)


def _can_be_asked(template: Template, asked: Fact, shown: Sequence[Fact]) -> bool:
    """Whether no example names what is asked.

    In a chat, also whether an answer is told from other text: it is not in the question, not in another answer, as
    Guinea is in Equatorial Guinea, and no common word.
    """
    examples = " ".join(f"{_line(template, each)} {each.answers[0]}" for each in shown)
    name = asked.entity.split(": ")[1]
    if any(_has(examples, each) for each in (name, *asked.subjects[: 1 if len(asked.subjects) == 1 else 0])):
        return False
    if template.style == "few-shot":
        return True
    others = {each for other in template.relation.facts for each in other.answers} - set(asked.answers)
    elsewhere = "\n".join((_line(template, asked), *sorted(others)))
    return not any(_has(elsewhere, each) or each.lower().strip(".") in _COMMON for each in asked.answers)


def _has(text: str, words: str) -> bool:
    plain, wanted = text.replace("’", "'"), re.escape(words.replace("’", "'"))
    return re.search(rf"(?<!\w){wanted}(?!\w)", plain, re.IGNORECASE) is not None


def _line(template: Template, about: Fact) -> str:
    """What is asked, up to where the answer begins."""
    asked = template.relation.line if template.form == "statements" else template.relation.question
    text = asked.format(*about.subjects)
    text = text[0].upper() + text[1:]
    return f"Q: {text}\nA:" if template.form == "questions" else text


def _prompt(template: Template, asked: Fact, shown: Sequence[Fact]) -> str:
    examples = "".join(f"{_line(template, each)} {each.answers[0]}\n" for each in shown)
    return examples + _line(template, asked)
