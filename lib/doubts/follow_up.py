"""Drafts of what to do next about an answer's doubtful terms: a search, a question to the user, a list to check.

Templates only, no model. Ordinary words state nothing to look up, so they are left out unless there is nothing else.
Terms and questions are other people's text: it is bounded, on one line, and shows hidden characters as code points.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

import regex

from lib.doubts.function_words import FUNCTION_WORDS
from lib.doubts.words import Kind
from lib.formatting import beginning
from lib.segmentation.char_classes import HIDDEN, marked

LONGEST_QUERY = 300  # characters
MOST_CLAIMS = 20
_MOST_ASKED = 3  # terms in one clarifying question
_LONGEST_TERM = 80  # characters
_LONGEST_BEFORE = 60
_LONGEST_QUESTION = 500
_LONGEST_READ = 5_000  # characters of a question that are looked through for names
_READ_BEFORE = 200  # characters before a term that are looked through
_OF_QUESTION = 150  # characters of a query that the question's own words may take
_WORDS_ASKED = 3  # of a line that asks something, …
_LONG_LINE = 20  # … or characters, as not every script has spaces between words
_WORDS_BEFORE = 2  # content words before a number or date that say what it is of

_WORD = regex.compile(r"[\p{L}\p{N}][\p{L}\p{M}\p{N}'’&.+#-]*")
_NAME = regex.compile(r"\p{Lu}|\p{N}")
_BLANK = regex.compile(r"\s+")
_QUOTES = str.maketrans(dict.fromkeys('“”„«»"', "'"))
_CHECK = (
    "Check each of these details of an answer against a source that you can name. For each, write its number, then "
    "“right”, “wrong” or “cannot tell”, and the source. Correct what is wrong."
)


class Doubtful(Protocol):
    """A doubtful term, such as a `Flag`."""

    @property
    def text(self) -> str:
        """The term as it is in the answer."""

    @property
    def kind(self) -> Kind:
        """What it states."""

    @property
    def before(self) -> str:
        """The text before it."""


def question_at_the_end(prompt: str) -> str:
    """What a raw prompt asks: its last lines, from the last one on that has three words.

    Examples before that are other questions, and a line such as "Answer:" asks nothing by itself.
    """
    text = prompt[-_LONGEST_READ:].rstrip()
    begin = len(text)
    while begin > 0:
        begin = max(text.rfind("\n", 0, begin), 0)
        asked = text[begin:].strip()
        if len(asked) >= _LONG_LINE or len(_WORD.findall(asked)) >= _WORDS_ASKED:
            break
    return text[begin:].strip()


def retrieval_query(question: str, terms: Sequence[Doubtful]) -> str:
    """Keywords for a search: the question's names, and the doubtful terms in quotes; at most 300 characters.

    In the place of a doubtful number or date come the words before it, which say what it is of: a search for a wrong
    number finds it wherever it is right. If the question has no names, its other content words are taken.
    """
    found: list[str] = []
    _add(found, _names(question[:_LONGEST_READ]), _OF_QUESTION)
    _add(found, (keyword for term in _stated(terms)[:MOST_CLAIMS] for keyword in _keywords(term)), LONGEST_QUERY)
    return " ".join(found)


def clarifying_question(question: str, terms: Sequence[Doubtful]) -> str:
    """What to ask the user before an answer goes out; "" without doubtful terms."""
    stated = [each for each in _stated(terms)[:MOST_CLAIMS] if each.text.strip()]
    asked = list(dict.fromkeys(_asked(question.casefold(), each) for each in stated))
    return " ".join(asked[:_MOST_ASKED])


def verification_prompt(question: str, terms: Sequence[Doubtful]) -> str:
    """A prompt with the doubtful terms as a numbered list of claims to check; "" without doubtful terms."""
    claims = list(dict.fromkeys(_claim(each) for each in _stated(terms) if each.text.strip()))
    if not claims:
        return ""
    more = len(claims) - MOST_CLAIMS
    lines = [f"{number}. {claim}" for number, claim in enumerate(claims[:MOST_CLAIMS], 1)]
    return "\n".join(
        [
            _CHECK,
            "",
            *([f"Question: {_quotable(question, _LONGEST_QUESTION)}", ""] if question.strip() else []),
            "Details:",
            *lines,
            *([f"({more:,} more are left out.)"] if more > 0 else []),
        ]
    )


def _stated(terms: Sequence[Doubtful]) -> Sequence[Doubtful]:
    """The names, numbers, dates and quoted terms; if there are none, the ordinary words."""
    return [each for each in terms if each.kind is not Kind.WORD] or terms


def _asked(question: str, term: Doubtful) -> str:
    name = f"“{_quotable(term.text, _LONGEST_TERM)}”"
    if term.text.strip().casefold() in question:
        return f"You mention {name}. What exactly do you mean by it?"
    if term.kind in (Kind.NUMBER, Kind.DATE):
        of = _BLANK.sub(" ", " ".join(_content(term.before[-_READ_BEFORE:])[-_WORDS_BEFORE:]))
        about = f" after “{_quotable(of, _LONGEST_BEFORE)}”" if of else ""
        return f"The answer gives the {term.kind} {name}{about}. Do you have one to compare it with?"
    return f"The answer mentions {name}. Is that what you mean?"


def _claim(term: Doubtful) -> str:
    before = _quotable(_from_a_word(term.before), _LONGEST_BEFORE)
    place = f", after “{before}”" if before else ""
    return f"The {term.kind} “{_quotable(term.text, _LONGEST_TERM)}”{place}"


def _from_a_word(before: str) -> str:
    """The last characters of a text, without the part of a word that they begin with; "…" says that more is before."""
    if len(before) < _LONGEST_BEFORE:
        return before
    end = before[1 - _LONGEST_BEFORE :]
    words = _BLANK.split(end, maxsplit=1)
    return "…" + (words[1] if len(words) > 1 and words[1].strip() else end)


def _keywords(term: Doubtful) -> Iterator[str]:
    if term.kind in (Kind.NUMBER, Kind.DATE):
        yield from _content(term.before[-_READ_BEFORE:])[-_WORDS_BEFORE:]
    else:
        yield _in_quotes(term.text)


def _names(question: str) -> Iterator[str]:
    """The names and numbers of a question, words of one name together; its content words if it has none."""
    text = HIDDEN.sub("", question)
    names: list[list[str]] = []
    end = -1
    for match in _WORD.finditer(text):
        word = match[0].rstrip(".'’-")
        if not _NAME.match(word) or word.casefold() in FUNCTION_WORDS:
            continue
        if names and not text[end : match.start()].strip(" ") and end >= 0:
            names[-1].append(word)
        else:
            names.append([word])
        end = match.start() + len(word)
    if names:
        yield from (_in_quotes(" ".join(each)) if len(each) > 1 else each[0] for each in names)
    else:
        yield from _content(text)


def _content(text: str) -> list[str]:
    """The words of a text that are not function words."""
    words = (match[0].rstrip(".'’-") for match in _WORD.finditer(HIDDEN.sub("", text[-_LONGEST_READ:])))
    return [beginning(each, _LONGEST_TERM) for each in words if each.casefold() not in FUNCTION_WORDS]


def _in_quotes(text: str) -> str:
    """A term as search engines read one: in straight quotes, without any inside."""
    plain = beginning(
        HIDDEN.sub("", text[: 4 * _LONGEST_TERM]).translate(_QUOTES).replace("'", " "), _LONGEST_TERM
    ).strip()
    return f'"{plain}"' if plain else ""


def _add(found: list[str], keywords: Iterable[str], most: int) -> None:
    """Add keywords that are not there yet while they fit into `most` characters."""
    for each in keywords:
        words = each.strip('"').casefold()
        said = " ".join(found)
        plain = said.casefold().replace('"', "")
        if words and f" {words} " not in f" {plain} " and len(said) + len(each) < most:
            found.append(each)


def _quotable(text: str, most: int) -> str:
    """A text to put in quotes: on one line, bounded, hidden characters as code points."""
    shown = marked(beginning(text, most)).translate(_QUOTES)
    return shown if len(shown) <= 2 * most else shown[: 2 * most - 1] + "…"
