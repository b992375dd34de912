"""Facts about words: forms of English words, names in other languages, codes of languages and currencies."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from itertools import product

import inflect
from babel import Locale
from babel.core import UnknownLocaleError
from lemminflect import getInflection

from tests.making.aliases import TONGUES
from tests.making.dates import DAYS, MONTHS
from tests.making.facts import Fact, Relation, as_number, fact, words

_NOUNS = words("nouns")
_VERBS = words("verbs")
_ADJECTIVES = words("adjectives")
_LANGUAGES = words("languages that name days and months here")
_MORE_LANGUAGES = words("more languages")

_CURRENCIES = words("currencies")
_ENGLISH = Locale("en")
_ENGINE = inflect.engine()


def _forms(listed: tuple[str, ...], tag: str) -> Iterator[Fact]:
    """A form of each word by lemminflect; its second spelling is an alias."""
    for word in listed:
        found = getInflection(word, tag)
        if found:
            yield fact("word", word, found)


def _plurals() -> Iterator[Fact]:
    """By inflect; lemminflect knows other spellings."""
    for word in _NOUNS:
        other = [each for each in getInflection(word, "NNS") if each != word]
        yield fact("word", word, (str(_ENGINE.plural_noun(word)), *other))


def _letters(answer: Callable[[str], str | tuple[str, ...]]) -> Iterator[Fact]:
    for word in dict.fromkeys((*_NOUNS, *_VERBS, *_ADJECTIVES)):
        if len(word) > 3 and answer(word) != "a":  # graders leave out articles
            yield fact("word", word, answer(word))


@cache
def _names(code: str) -> tuple[str, ...]:
    """Names of a language in English."""
    name = _ENGLISH.languages[code]
    return (name, *TONGUES.get(name, ()))


def _locales() -> Iterator[tuple[str, Locale]]:
    for code in _LANGUAGES:
        try:
            yield code, Locale(code)
        except UnknownLocaleError:
            continue


def _days() -> Iterator[Fact]:
    for (code, locale), place in product(_locales(), range(7)):
        names = locale.days["format"]["wide"]
        yield fact("language", _names(code)[0], names[place], DAYS[place], _names(code)[0])


def _from_days() -> Iterator[Fact]:
    for (code, locale), place in product(_locales(), range(7)):
        names = locale.days["format"]["wide"]
        yield fact("language", _names(code)[0], DAYS[place], names[place], _names(code)[0])


def _months() -> Iterator[Fact]:
    for (code, locale), place in product(_locales(), range(12)):
        name = locale.months["stand-alone"]["wide"][place + 1]
        yield fact("language", _names(code)[0], name, MONTHS[place], _names(code)[0])


def _from_months() -> Iterator[Fact]:
    for (code, locale), place in product(_locales(), range(12)):
        name = locale.months["stand-alone"]["wide"][place + 1]
        if name.lower() != MONTHS[place].lower():
            yield fact("language", _names(code)[0], MONTHS[place], name, _names(code)[0])


def _which_language() -> Iterator[Fact]:
    """Names of days that only one of the languages has."""
    owners: dict[str, list[str]] = {}
    for (code, locale), place in product(_locales(), range(7)):
        owners.setdefault(locale.days["format"]["wide"][place].lower(), []).append(code)
    for (code, locale), place in product(_locales(), range(7)):
        name = locale.days["format"]["wide"][place]
        if owners[name.lower()] == [code]:
            yield fact("language", _names(code)[0], _names(code), name)


def _own_names() -> Iterator[Fact]:
    for code in (*_LANGUAGES, *_MORE_LANGUAGES):
        own = Locale(code).get_language_name(code)
        if own and own.lower() != _names(code)[0].lower():
            yield fact("language", _names(code)[0], _names(code), own)


def _codes() -> Iterator[Fact]:
    for code in (*_LANGUAGES, *_MORE_LANGUAGES):
        yield fact("language", _names(code)[0], _names(code), code)


def _to_codes() -> Iterator[Fact]:
    for code in (*_LANGUAGES, *_MORE_LANGUAGES):
        yield fact("language", _names(code)[0], (code, "no") if code == "nb" else code)


def _currency_names() -> Iterator[Fact]:
    for code in _CURRENCIES:
        full = _ENGLISH.currencies[code]
        yield fact("currency", code, (full.split()[-1].lower(), full.lower()))


def relations() -> Iterator[Relation]:
    """All relations of words and languages."""

    def of(
        name: str, line: str, question: str, facts: Iterator[Fact], chat: bool = True, domain: str = "words"
    ) -> Relation:
        return Relation(name, domain, line, question, tuple(facts), chat=chat)

    yield of("plural", "one {0}, two", "What is the plural of “{0}”?", _plurals())
    yield of("past", "The past tense of “{0}” is", "What is the past tense of “{0}”?", _forms(_VERBS, "VBD"))
    yield of("participle", "{0}, has", "What is the past participle of “{0}”?", _forms(_VERBS, "VBN"))
    yield of("ing", "{0}, is", "What is the -ing form of “{0}”?", _forms(_VERBS, "VBG"))
    yield of(
        "comparative", "{0}, but this one is even", "What is the comparative of “{0}”?", _forms(_ADJECTIVES, "JJR")
    )
    yield of("superlative", "{0}, but this one is the", "What is the superlative of “{0}”?", _forms(_ADJECTIVES, "JJS"))
    yield of("third person", "I {0}, she", "What is the third person singular of “{0}”?", _forms(_VERBS, "VBZ"))
    yield of("first letter", "The first letter of “{0}” is", "", _letters(lambda word: word[0]))
    yield of("last letter", "The last letter of “{0}” is", "", _letters(lambda word: word[-1]))
    yield of("second letter", "The second letter of “{0}” is", "", _letters(lambda word: word[1]))
    yield of("length", "Number of letters in “{0}”:", "How many letters does the word “{0}” have?",
             _letters(lambda word: as_number(len(word))))  # fmt: skip
    yield of("upper case", "“{0}” in capital letters:", "", _letters(str.upper), chat=False)
    yield of("part of speech", "Noun, verb or adjective? {0}:", "", _parts_of_speech(), chat=False)
    world = {"domain": "language"}
    yield of("weekday abroad", "{0} in {1}:", "What is {0} called in {1}?", _days(), **world)
    yield of("weekday from abroad", "{0} ({1}) in English:", "What does “{0}” mean in {1}?", _from_days(), **world)
    yield of("month abroad", "{0} in {1}:", "How do you say {0} in {1}?", _months(), **world)
    yield of(
        "month from abroad", "{0} ({1}) in English:", "In {1}, which month is called “{0}”?", _from_months(), **world
    )
    yield of("language of a word", "Language of the word “{0}”:", "Which language is the word “{0}” from?",
             _which_language(), **world)  # fmt: skip
    yield of(
        "language's own name",
        "Someone who calls their language “{0}” speaks",
        "Which language calls itself “{0}”?",
        _own_names(),
        **world,
    )
    yield of("language code", "The code “{0}” stands for", "Which language has the code “{0}”?", _codes(), **world)
    yield of(
        "language to code", "Code of {0}:", "What is the two-letter code of the language {0}?", _to_codes(), **world
    )
    yield of("currency's name", "{0} is short for the", "Which currency has the code {0}?", _currency_names(), **world)


def _parts_of_speech() -> Iterator[Fact]:
    kinds = {"noun": set(_NOUNS), "verb": set(_VERBS), "adjective": set(_ADJECTIVES)}
    for word in dict.fromkeys((*_NOUNS, *_VERBS, *_ADJECTIVES)):
        found = [kind for kind, own in kinds.items() if word in own]
        if len(found) == 1 and (found[0] == "adjective" or not _is_both(word)):
            yield fact("word", word, found[0])


def _is_both(word: str) -> bool:
    """Whether a noun is usual as a verb, or a verb as a noun."""
    return word in words("nouns that are verbs, too, and the other way round")
