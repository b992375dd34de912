"""How probability divides among texts: by hand, and against a model whose every continuation is known."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.core.tokens import TokenKind, Tokens
from lib.doubts.spread import Spread, Texts, spread
from tests.support.strategies import INF, NAN, table_of, tokens_on

Step = tuple[str, Mapping[str, float]]  # the chosen token, and the probabilities of all listed ones


def way(*steps: Step, special: Sequence[str] = (), stop: bool = False) -> Tokens:
    """An answer's tokens, each with what is listed there; a chosen token that is not listed has 0.01."""
    names = list(dict.fromkeys(name for chosen, listed in steps for name in (chosen, *listed)))
    k = max(len(listed) for _, listed in steps)
    table = table_of(*names, special=[names.index(each) for each in special])
    with np.errstate(divide="ignore"):
        return tokens_on(
            table,
            [names.index(chosen) for chosen, _ in steps],
            logprobs=[np.log(listed.get(chosen, 0.01)) for chosen, listed in steps],
            top_refs=[[*map(names.index, listed), *[-1] * (k - len(listed))] for _, listed in steps],
            top_logprobs=[[*np.log(list(listed.values())), *[NAN] * (k - len(listed))] for _, listed in steps],
            kinds=[TokenKind.TEXT] * (len(steps) - stop) + [TokenKind.STOP] * stop,
        )


def found(tokens: Tokens, *texts: str, **options: object) -> Spread:
    return spread(tokens, np.arange(len(tokens), dtype=np.int32), Texts(texts, **options))  # type: ignore[arg-type]


def near(made: Spread, probabilities: Sequence[float], undecided: float, others: float) -> None:
    assert made.probabilities == pytest.approx(probabilities, abs=1e-6)
    assert (made.undecided, made.others) == pytest.approx((undecided, others), abs=1e-6)


def test_texts_that_differ_at_the_first_token() -> None:
    tokens = way(("Par", {"Par": 0.6, "Lon": 0.3, "Ber": 0.05}), ("is", {"is": 1.0}))
    near(found(tokens, "Paris", "London"), [0.6, 0.3], 0, 0.1)


def test_texts_that_differ_later_on_the_answers_way() -> None:
    tokens = way(("in", {"in": 0.8, "out": 0.2}), ("side", {"side": 0.5, "come": 0.3, "x": 0.2}))
    near(found(tokens, "inside", "income", "outside"), [0.4, 0.24, 0.2], 0, 0.16)


def test_an_alternative_that_fits_several_is_undecided() -> None:
    tokens = way(
        ("out", {"out": 0.7, "in": 0.3}),
    )
    near(found(tokens, "inside", "income", "outside"), [0, 0, 0.7], 0.3, 0)


def test_a_text_that_begins_another_takes_an_end() -> None:
    tokens = way(("yes", {"yes": 0.9, "no": 0.1}), ('"', {'"': 0.75, ", but": 0.25}))
    near(found(tokens, 'yes"', 'yes, but"', 'no"'), [0.675, 0.225, 0.1], 0, 0)
    tokens = way(("yes", {"yes": 0.9, "no": 0.1}), ("</s>", {"</s>": 0.75, ", but": 0.25}), special=["</s>"], stop=True)
    near(found(tokens, "yes", "yes, but", "no", ends=str.isspace), [0.675, 0.225, 0.1], 0, 0)
    near(found(way(("yes", {"yes": 0.9, "no": 0.1})), "yes", "yes, but", "no"), [0, 0, 0.1], 0.9, 0)


def test_numbers_that_begin_others() -> None:
    tokens = way(("1", {"1": 0.5, "10": 0.2, "1,": 0.1, "2": 0.2}), ("0", {"0": 0.5, "}": 0.5}))
    near(found(tokens, "1", "10", ends=",}".__contains__), [0.1 + 0.25, 0.2 + 0.25], 0, 0.2)


def test_what_comes_before_in_the_first_token() -> None:
    tokens = way((' "Par', {' "Par': 0.6, ' "Lon': 0.2, "Lon": 0.1, " ": 0.1}), ("is", {"is": 1.0}))
    near(found(tokens, "Paris", "London", before=' "'), [0.6, 0.2], 0.1, 0.1)


def test_a_chosen_token_that_is_not_listed() -> None:
    near(found(way(("b", {"a": 0.9})), "a", "b"), [0.9, 0.01], 0, 0.09)
    near(found(way(("x", {"a": 0.9})), "a", "b"), [0.9, 0], 0, 0.1)


def test_parts_of_characters_and_broken_bytes() -> None:
    smile, frown = "😀".encode(), "😞".encode()
    table = table_of(smile[:3], smile[3:], frown[3:], b"\xff", b"x")
    tokens = tokens_on(
        table, [0, 1], logprobs=np.log([0.8, 0.6]),
        top_refs=[[0, 3, 4], [1, 2, 3]], top_logprobs=np.log([[0.8, 0.15, 0.05], [0.6, 0.3, 0.1]]),
    )  # fmt: skip
    near(found(tokens, "😀", "😞"), [0.48, 0.24], 0, 0.28)


def test_unscored_and_impossible_tokens() -> None:
    tokens = way(("a", {"a": 0.5, "b": 0.5}))
    unscored = tokens_on(tokens.pieces, tokens.refs.tolist(), logprobs=[NAN], top_refs=tokens.top_refs.tolist(),
                         top_logprobs=tokens.top_logprobs.tolist())  # fmt: skip
    made = found(unscored, "a", "b")
    assert all(map(math.isnan, (*made.probabilities, made.undecided, made.others)))
    impossible = tokens_on(table_of("a"), [0], logprobs=[-INF])
    near(found(impossible, "a", "b"), [0, 0], 0, 1)
    near(found(way(("a", {"a": 1.0}))[:0], "a", "b"), [0, 0], 1, 0)


@st.composite
def models(draw: st.DrawFn) -> tuple[list[str], dict[str, float], str]:
    """Texts, the probability of each next letter after each beginning, and the text that was chosen."""
    texts = draw(st.lists(st.text("ab", min_size=1, max_size=4), min_size=2, max_size=6, unique=True))
    texts = [each + "." for each in texts]
    weights = [draw(st.floats(0.05, 1)) for _ in texts]
    return texts, dict(zip(texts, weights, strict=True)), draw(st.sampled_from(texts))


@given(models())
def test_the_spread_bounds_the_true_probabilities(model: tuple[list[str], dict[str, float], str]) -> None:
    texts, weights, chosen = model
    whole = sum(weights.values())
    steps: list[Step] = []
    for place, letter in enumerate(chosen):
        following = {
            each: sum(w for text, w in weights.items() if text.startswith(chosen[:place] + each)) for each in "ab."
        }
        total = sum(following.values())
        steps.append((letter, {each: share / total for each, share in following.items() if share}))
    made = found(way(*steps), *texts)
    assert sum(made.probabilities) + made.undecided == pytest.approx(1, abs=1e-5)
    for text, probability in zip(texts, made.probabilities, strict=True):
        true = weights[text] / whole
        assert probability <= true + 1e-5
        assert probability + made.undecided >= true - 1e-5
    assert made.probabilities[texts.index(chosen)] == pytest.approx(weights[chosen] / whole, abs=1e-5)
