"""The sentences of fact sheets: text with [relations], whose values are the fields."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Shape:
    """One form of sheet about one kind of thing."""

    name: str
    kind: str  # of the entity, as in `Fact.entity`
    text: str  # {0} is the subject, [name] the value of a relation
    subject: str = ""  # the relation whose subjects are named, such as cities of a country; "" names the entity
    most: int = 1  # subjects of one entity


_CITY = "city's country"
_STATE_CITY = "city's state"
SHAPES = (
    Shape(
        "country, facts", "country",
        "{0} is a country in [continent]. Its capital is [capital], its currency is the [currency], and its people "
        "speak [language].",
    ),
    Shape(
        "country, capital first", "country",
        "The capital of {0} is [capital]. Its official language is [language], its money is the [currency], and one of "
        "its neighbours is [neighbour].",
    ),
    Shape(
        "country, people", "country",
        "Someone from {0} is [people]. The language spoken there is [language], the currency is the [currency], and "
        "the capital is [capital].",
    ),
    Shape(
        "country, codes", "country",
        "The two-letter code of {0} is [two letters]. Its three-letter code is [three letters], its currency code is "
        "[currency code], and its internet domain is [internet domain].",
    ),
    Shape(
        "country, neighbours", "country",
        "{0} has a border with [neighbour]. The continent is [continent], the capital is [capital], and the people "
        "pay in [currency].",
    ),
    Shape(
        "city, country", "country",
        "{0} is a city in [city's country]. The continent is [continent], the people speak [language], and they pay in "
        "[currency].",
        _CITY, 2,
    ),
    Shape(
        "city, capital", "country",
        "People who live in {0} are citizens of [city's country]. The capital of the country is [capital], and its "
        "official language is [language].",
        _CITY, 2,
    ),
    Shape(
        "state, facts", "state",
        "{0} is a US state. Its capital is [state capital], its largest city is [largest city], and its abbreviation "
        "is [state's letters].",
    ),
    Shape(
        "state, letters first", "state",
        "The US state {0} is abbreviated as [state's letters]. It became a state in [statehood], its capital is "
        "[state capital], and its largest city is [largest city].",
    ),
    Shape(
        "city, state", "state",
        "{0} is a city in the US state of [city's state]. The capital of the state is [state capital], and the "
        "abbreviation of the state is [state's letters].",
        _STATE_CITY, 3,
    ),
    Shape(
        "city, largest", "state",
        "If you live in {0}, your US state is [city's state]. Its largest city is [largest city], its postal "
        "abbreviation is [state's letters], and it became a state in [statehood].",
        _STATE_CITY, 3,
    ),
    Shape(
        "element, facts", "element",
        "The chemical symbol of {0} is [symbol]. Its atomic number is [atomic number], its atomic weight is about "
        "[atomic weight], and it was discovered in [discovery year].",
    ),
    Shape(
        "element, place", "element",
        "The element {0} is in period [period] of the table. Its symbol is [symbol], its atomic number is "
        "[atomic number], and the next element is [next element].",
    ),
    Shape(
        "element, family", "element",
        "The element {0} has the symbol [symbol]. Its family is called [series], it is in block [block], and it was "
        "discovered in the [discovery century].",
    ),
    Shape(
        "year, before and after", "year",
        "The year {0} was in the [century]. The decade is called the [decade], ten years before it was "
        "[decade earlier], and 100 years after it was [century later].",
    ),
    Shape(
        "year, born", "year",
        "Someone born in {0} turned 20 in [age]. They were born in the [century], and ten years before their birth was "
        "[decade earlier].",
    ),
    Shape(
        "date, days", "date",
        "The day after {0} is [day after]. The day before {0} is [day before], and one week after {0} it is "
        "[week after].",
    ),
    Shape(
        "date, week", "date",
        "One week after {0} it is [week after]. The day after {0} is [day after], the day before {0} is [day before], "
        "and {0} is in the [quarter] quarter of the year.",
    ),
    Shape(
        "number, forms", "number",
        "The number {0} is [odd or even]. Twice the number is [double], ten more is [ten more], and its digits add up "
        "to [digits' sum].",
    ),
    Shape(
        "number, Roman", "number",
        "In Roman numerals {0} is [to Roman]. Ten times the number is [ten times], its ordinal is [ordinal], and its "
        "digits add up to [digits' sum].",
    ),
)  # fmt: skip
# Fields whose expected number is rounded: the share by which a value may differ.
TOLERANCES = {"atomic weight": 0.002}
# Shapes that say which languages people speak, rather than which are official.
SPOKEN = {"country, facts", "country, people", "city, country"}
# Other names of right values, as the facts of the ready sets do not have them.
OTHER_NAMES = {
    "Slovenian": ("Slovene",),
    "Ukrainian": ("Ukranian",),
    "Bangla": ("Bengali",),
    "real": ("reais",),
    "Oceania": ("Pacific",),
}
# Regions that are no continents, but may be where a country is.
REGIONS = (
    "Middle East",
    "Caribbean",
    "Balkans",
    "Scandinavia",
    "West Indies",
    "Pacific Ocean",
    "Indian Ocean",
    "Eurasia",
)
# What people may be called besides the name of their country's people.
WIDER_PEOPLES = ("Arab", "African", "European", "Asian", "American", "Caribbean", "Latin American", "Hispanic")
