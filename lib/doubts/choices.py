"""The distribution over a fixed set of labels: scored as candidates, or read off the alternatives of one answer."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lib.core.completion import Completion
from lib.core.pieces import Ints
from lib.core.tokens import TokenKind, Tokens
from lib.doubts.spread import MOST_TEXTS, Texts, spread
from lib.errors import InvalidRequest
from lib.formatting import beginning
from lib.scores.confidence import choice_probabilities, scored_tokens, total
from lib.scores.ranking import joined, normalised
from lib.scores.token_scores import answer_mask
from lib.segmentation.char_classes import marked

Column = NDArray[np.float64]

_LONGEST = 1_000  # characters of a label
_MOST_NOTES = 3  # of one kind
_NOTHING = 1e-6  # probability that is rounding, as logprobs have single precision
_LARGEST_REST = 0.5  # probability outside the labels above which a note says so
_MARKUP = " \t\r\n\"'“”‘’`*_#>([{<:-–—•"  # what may come before the first content of an answer


@dataclass(frozen=True)
class DistributionRow:
    """A label with its probability. NaN for what is not known."""

    label: str
    logprob: float  # sum over its tokens, in nats; from one answer, the log of its probability
    probability: float  # among the labels; from one answer, what the alternatives show of it, NaN if none leads to it
    prior: float = math.nan  # its probability among the labels after a prompt without a question
    corrected: float = math.nan  # probability / prior, adding up to 1
    by_token: float = math.nan  # from the mean logprob of its tokens, adding up to 1
    by_character: float = math.nan  # from its logprob per character, adding up to 1


@dataclass(frozen=True)
class Distribution:
    """The labels in their order, with what the numbers do not show."""

    rows: tuple[DistributionRow, ...]
    others: float = 0.0  # probability outside the labels; 0 for candidates, which are compared with each other only
    undecided: float = 0.0  # probability of tokens that begin several labels, or only white space and markup
    notes: tuple[str, ...] = ()


def checked_labels(labels: Sequence[str]) -> tuple[str, ...]:
    """The labels without spaces around them.

    Raises InvalidRequest if there are fewer than two, or if two are equal but for case, spaces or final punctuation.
    """
    found = tuple(each.strip() for each in labels)
    if not 2 <= len(found) <= MOST_TEXTS:
        raise InvalidRequest(f"The number of labels is {len(found):,}.", f"Give 2 to {MOST_TEXTS} labels.")
    seen: dict[str, str] = {}
    for label in found:
        if not label:
            raise InvalidRequest("A label is empty.", "Remove it, or give it a text.")
        if len(label) > _LONGEST:
            raise InvalidRequest(f"A label has {len(label):,} characters.", f"Use at most {_LONGEST:,}.")
        key = normalised(label) or label
        if key in seen:
            raise InvalidRequest(
                f"The labels {_named(seen[key])} and {_named(label)} are the same.", "Remove one of them."
            )
        seen[key] = label
    return found


def candidates_of(prompt: str, labels: Sequence[str], end: str = "") -> tuple[str, ...]:
    """The texts to score after a prompt, one for each label. Raises InvalidRequest as `checked_labels` does.

    end: a text that ends every label, such as a line break. It makes labels that begin each other comparable.
    """
    return tuple(joined(prompt, each) + end for each in checked_labels(labels))


def distribution(
    labels: Sequence[str], scored: Sequence[Completion], prior: Sequence[Completion] = (), *, end: str = ""
) -> Distribution:
    """The distribution over labels from their scores as candidates.

    A label's logprob is the sum over its tokens, so that one of several tokens is neither favoured nor penalized: it is
    the probability that the model writes it. Its stop token counts if all labels have one.

    scored: the candidates' completions, in the labels' order. prior: the same after a prompt without a question, such
    as "Answer:"; dividing by it takes out how common each label is by itself (Zhao et al. 2021, "Calibrate Before Use";
    Holtzman et al. 2021, "Surface Form Competition"). end: as for `candidates_of`.
    """
    names = checked_labels(labels)
    if len(scored) != len(names) or len(prior) not in (0, len(names)):
        raise InvalidRequest("Some labels are not scored.", "Retry those that failed.")
    stops = all(map(_stops, (*scored, *prior)))
    sums = _sums(scored, stop=stops)
    probabilities = choice_probabilities(sums)
    prior_sums = _sums(prior, stop=stops) if prior else np.full(len(names), np.nan)
    tokens = np.array([max(len(scored_tokens(each, stop=stops)), 1) for each in scored])
    columns = {
        "logprob": sums,
        "probability": probabilities,
        "prior": choice_probabilities(prior_sums),
        "corrected": _corrected(sums, prior_sums),
        "by_token": choice_probabilities(sums / tokens),
        "by_character": choice_probabilities(sums / np.array([len(each) for each in names])),
    }
    rows = tuple(
        DistributionRow(name, **{column: float(values[place]) for column, values in columns.items()})
        for place, name in enumerate(names)
    )
    notes = [
        f"The label {_named(name)} has no logprobs." for name, each in zip(names, sums, strict=True) if math.isnan(each)
    ]
    if not np.isnan(sums).any() and np.isnan(probabilities).any():
        notes.append("The model gives all labels a probability of 0.")
    if prior and np.isnan(columns["corrected"]).any() and not np.isnan(probabilities).any():
        notes.append("The prior cannot be divided out: it has no logprobs, or gives a label a probability of 0.")
    if not stops and not end:
        notes += _begun(names, scored)
    return Distribution(rows, notes=tuple(notes))


def from_answer(completion: Completion, labels: Sequence[str]) -> Distribution:
    """What an answer's first content token, and those after it, show of the labels. Needs no further call.

    White space, quotes and markup before the content are passed over. Spelling is compared without case. A label's
    probability is that of the alternatives that lead to it, where the answer's own beginning is given. Where labels
    begin alike, the answer's own way is followed until they differ; other ways stay undecided. A label that no listed
    alternative leads to is NaN, unless nothing is left for it: tokens that are not listed can lead to it.
    """
    names = checked_labels(labels)
    rows = _content(completion, names)
    if not len(rows):
        unknown = tuple(DistributionRow(each, math.nan, math.nan) for each in names)
        return Distribution(unknown, math.nan, math.nan, ("The answer has no content.",))
    texts = Texts(tuple(map(str.casefold, names)), ends=_ends_a_word, folded=_folding(names))
    found = spread(completion.generated, rows, texts)
    notes = []
    if math.isnan(found.others):
        notes.append("The first content token has no logprob.")
    elif found.others > _LARGEST_REST:
        notes.append("Most of the probability is outside the labels: the answer may not begin with one.")
    if completion.generated.k < 2:
        notes.append("The format lists no alternatives, so only the answer's own label has a probability.")
    notes += _open_end(completion, rows, names)
    left = found.undecided + found.others > _NOTHING
    shown = [math.nan if left and not each else each for each in found.probabilities]
    with np.errstate(divide="ignore"):
        logs = np.log(shown).tolist()
    made = tuple(map(DistributionRow, names, logs, shown))
    return Distribution(made, found.others, found.undecided, tuple(notes))


def _stops(completion: Completion) -> bool:
    """Whether an answer ends with a scored stop token."""
    tokens = completion.generated
    return bool(len(tokens)) and tokens.kinds[-1] == TokenKind.STOP and not np.isnan(tokens.logprobs[-1])


def _sums(scored: Sequence[Completion], *, stop: bool) -> Column:
    return np.array([total(each, stop=stop) for each in scored], np.float64)


def _corrected(sums: Column, prior: Column) -> Column:
    if not np.isfinite(prior).all():
        return np.full(len(sums), np.nan)
    return choice_probabilities(sums - prior)


def _begun(names: Sequence[str], scored: Sequence[Completion]) -> list[str]:
    """A note for each label whose tokens begin those of another."""
    spelt = [tuple(map(each.pieces.bytes_of, _answer(each).refs.tolist())) for each in scored]
    found = []
    for name, own in zip(names, spelt, strict=True):
        longer = [
            each
            for each, tokens in zip(names, spelt, strict=True)
            if each != name and each.startswith(name) and tokens[: len(own)] == own
        ]
        if longer:
            found.append(
                f"The label {_named(name)} begins {_named(longer[0])}. Its probability includes that of the longer "
                "one, as nothing marks where it ends."
            )
    return found[:_MOST_NOTES]


def _answer(completion: Completion) -> Tokens:
    tokens = completion.generated
    return tokens[answer_mask(tokens)]


def _open_end(completion: Completion, rows: Ints, names: Sequence[str]) -> list[str]:
    """A note if the answer is a label that begins another, and no stop token says that it ends there."""
    tokens = completion.generated
    if tokens.kinds[rows[-1]] == TokenKind.STOP:
        return []
    spelt = b"".join(map(tokens.pieces.bytes_of, tokens.refs[rows].tolist())).decode("utf-8", "replace")
    written = _folding(names)(spelt)
    for name in names:
        longer = [each for each in names if each != name and each.casefold().startswith(written)]
        if name.casefold() == written and longer:
            what = f"The label {_named(name)} begins {_named(longer[0])}"
            return [f"{what}, and nothing marks where the answer ends. Which of the two it is stays undecided."]
    return []


def _content(completion: Completion, names: Sequence[str]) -> Ints:
    """The rows from the first content token on: one that has more than markup, or that a label can begin with."""
    tokens = completion.generated
    rows = np.flatnonzero(answer_mask(tokens, stop=True)).astype(np.int32)
    passed = _passed_over(names)
    for place, row in enumerate(rows.tolist()):
        if tokens.kinds[row] == TokenKind.STOP:
            break
        if tokens.pieces.text_of(int(tokens.refs[row])).strip(passed):
            return rows[place:]
    return rows[:0]


def _passed_over(names: Sequence[str]) -> str:
    """The markup that no label begins with."""
    return "".join(each for each in _MARKUP if each.isspace() or not any(name.startswith(each) for name in names))


def _folding(names: Sequence[str]) -> Callable[[str], str]:
    passed = _passed_over(names)
    return lambda spelt: spelt.lstrip(passed).casefold()


def _ends_a_word(character: str) -> bool:
    return not character.isalnum()


def _named(label: str) -> str:
    return f"“{marked(beginning(label, 80))}”"
