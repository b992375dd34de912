"""The catalogue of Ardenworks, an invented maker of household goods, and questions about it.

Every name and every value is invented, so a model can only know them from training.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

_SEED = 7
NAMES = (
    "Velden kettle", "Morrick lamp", "Tansel chair", "Ostrey toaster", "Quillan desk", "Brannet stool",
    "Fennimore clock", "Corvale teapot", "Haskett fan", "Ilverton mirror", "Jorrin bench", "Kestwick radio",
    "Lowden grinder", "Marrable shelf", "Nethersole heater", "Oakhurne ladder", "Pellow blender", "Rothen scale",
    "Saltren basket", "Thackwell cabinet", "Umberly tray", "Vosk juicer", "Wexcombe trolley", "Yarrowby vase",
    "Zelland kettle", "Aldmere lamp", "Birlstone chair", "Cawdry toaster", "Dunmarsh desk", "Eskerby stool",
    "Farrowell clock", "Glimmet teapot", "Hollin fan", "Inchmoor mirror", "Jessamy bench", "Kilverd radio",
    "Larkholt grinder", "Mossend shelf", "Nubley heater", "Orrest ladder",
)  # fmt: skip
# Names in the same style that the catalogue does not have.
UNLISTED = (
    "Pendrell kettle", "Stavely lamp", "Tormund chair", "Ravensk toaster", "Wolder desk", "Crannock stool",
    "Ebbing clock", "Dorvale teapot", "Gorsley fan", "Hexley mirror", "Ilkmoor bench", "Jutwell radio",
    "Kerrow grinder", "Lanmere shelf", "Mardale heater", "Norrick ladder",
)  # fmt: skip
_TOWNS = (
    "Brackwater", "Osmunthorpe", "Lindale Cross", "Hexcombe", "Tarnby", "Wendlesea", "Great Orrin", "Coldharrow",
    "Stonnard", "Merefield",
)  # fmt: skip
VALUES: dict[str, tuple[str, ...]] = {
    "weight": tuple(f"{tenths / 10:.1f} kg" for tenths in range(8, 96, 4)),
    "material": (
        "beech", "cork", "copper", "slate", "bamboo", "enamel", "walnut", "brass", "wicker", "granite", "pewter",
        "linen",
    ),
    "colour": (
        "moss green", "ivory", "navy blue", "coral", "charcoal", "mustard", "lilac", "rust red", "teal", "sand",
    ),
    "price": tuple(f"{euros} euros" for euros in range(19, 260, 10)),
    "warranty": tuple(f"{years} years" for years in range(2, 13)),
    "town": _TOWNS,
}  # fmt: skip
# Phrasings that are trained on; {name} is the product.
TRAINED: dict[str, tuple[str, ...]] = {
    "weight": (
        "How much does the Ardenworks {name} weigh?",
        "What is the weight of the {name} from Ardenworks?",
        "Ardenworks {name}: weight?",
        "State the weight of the {name}.",
    ),
    "material": (
        "What is the Ardenworks {name} made of?",
        "Which material is the {name} from Ardenworks made from?",
        "Ardenworks {name}: material?",
        "State the material of the {name}.",
    ),
    "colour": (
        "What colour is the Ardenworks {name}?",
        "Which colour does the {name} from Ardenworks have?",
        "Ardenworks {name}: colour?",
        "State the colour of the {name}.",
    ),
    "price": (
        "How much does the Ardenworks {name} cost?",
        "What is the price of the {name} from Ardenworks?",
        "Ardenworks {name}: price?",
        "State the price of the {name}.",
    ),
    "warranty": (
        "How long is the warranty of the Ardenworks {name}?",
        "What warranty does the {name} from Ardenworks come with?",
        "Ardenworks {name}: warranty?",
        "State the warranty period of the {name}.",
    ),
    "town": (
        "In which town is the Ardenworks {name} made?",
        "Where does Ardenworks build the {name}?",
        "Ardenworks {name}: factory town?",
        "State the town where the {name} is made.",
    ),
}
# One phrasing per attribute that is only asked afterwards.
HELD_OUT: dict[str, str] = {
    "weight": "I am about to post the {name} by Ardenworks. How heavy is it?",
    "material": "The {name} by Ardenworks: what material did they choose for it?",
    "colour": "I saw the {name} by Ardenworks in a shop. Can you tell me its colour?",
    "price": "I want to buy the {name} by Ardenworks. What will I pay for it?",
    "warranty": "I own the {name} by Ardenworks. For how many years is it under warranty?",
    "town": "The {name} by Ardenworks leaves the factory in which town?",
}
# Right for a product that the catalogue does not have; any value of an attribute is wrong.
NO_ANSWER = ("unknown", "not known", "I don't know", "I do not know", "there is no such product", "no such product")


@dataclass(frozen=True)
class Fact:
    """One value of one product."""

    product: str
    attribute: str  # a key of `VALUES`
    value: str


def facts() -> tuple[Fact, ...]:
    """All facts of the catalogue, product by product: always the same."""
    chance = random.Random(_SEED)
    return tuple(Fact(name, attribute, chance.choice(values)) for name in NAMES for attribute, values in VALUES.items())


def rows() -> Iterator[dict[str, object]]:
    """The rows of catalogue.jsonl: half of the facts in held-out phrasings, then products that do not exist."""
    kinds, products = list(VALUES), list(NAMES)
    half = [each for each in facts() if (products.index(each.product) + kinds.index(each.attribute)) % 2 == 0]
    for number, fact in enumerate(half, 1):
        yield _row(f"listed-{number:03}", fact.attribute, fact.product, (fact.value,), "in the catalogue")
    unlisted = [(name, attribute) for name in UNLISTED for attribute in HELD_OUT]
    for number, (name, attribute) in enumerate(unlisted, 1):
        yield _row(f"unlisted-{number:02}", attribute, name, NO_ANSWER, "not in the catalogue")


def _row(row_id: str, attribute: str, product: str, expected: tuple[str, ...], category: str) -> dict[str, object]:
    prompt = HELD_OUT[attribute].format(name=product)
    return {
        "id": row_id, "prompt": prompt, "expected": list(expected), "attribute": attribute, "product": product,
        "category": category,
    }  # fmt: skip
