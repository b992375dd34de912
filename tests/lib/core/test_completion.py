from __future__ import annotations

from collections.abc import Iterator
from dataclasses import FrozenInstanceError, replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.core.completion import Completion, Timing
from lib.core.pieces import make_pieces
from lib.core.request import Request
from lib.core.stream import Delta, End, Fold, fold
from lib.core.tokens import NO_TOKENS, Tokens, concatenate
from tests.support.strategies import NAN, completion_of, completions, table_of, tokens_of, tokens_on


def small(**fields: object) -> Completion:
    return completion_of(tokens_of("a", "b", logprobs=[NAN, -1]), tokens_of("c", logprobs=[-2]), **fields)


def test_prompt_and_answer_share_one_table_of_what_they_use() -> None:
    pieces = make_pieces([(9, b"unused", False), (5, b"b", False), (-1, b"lit", False), (2, b"a", False)])
    done = completion_of(tokens_on(pieces, [1, 2]), tokens_on(pieces, [3]))
    assert done.prompt.pieces is done.generated.pieces is done.pieces
    assert done.pieces.ids.tolist() == [-1, 2, 5]
    assert done.pieces.texts == ["lit", "a", "b"]
    assert done.prompt.ids.tolist() == [5, -1]


def test_the_way_a_table_came_together_leaves_no_trace() -> None:
    rows = [(-1, b"z", False), (-1, b"a", False), (3, b"c", True), (1, b"d", False)]
    one = make_pieces(rows)
    other = make_pieces([(8, b"unused", False), *reversed(rows)])
    listed = {"top_logprobs": [[-1, -2]] * 2}
    first = completion_of(tokens_on(one, [0, 2], top_refs=[[1, 3], [0, 0]], **listed), tokens_on(one, [3]))
    again = completion_of(
        tokens_on(other, [4, 2], top_refs=[[3, 1], [4, 4]], **listed),
        tokens_on(make_pieces([(1, b"d", False)]), [0]),
    )
    assert first == again
    assert first.identical(again)


DIFFERENT = {
    "request": Request(prompt="y"),
    "model": "other",
    "prompt": tokens_of("a", "b", logprobs=[NAN, -1.5]),
    "generated": tokens_of("c", logprobs=[-0.0]),
    "text": "other",
    "stop_reason": "length",
    "scale": "processed",
    "origin": "scored",
    "chosen_by": "text",
    "overlap": 1,
    "vocabulary_size": 9,
}
CIRCUMSTANCES = {"timing": Timing(total=1.0), "warnings": ("w",), "provenance": (("torch", "2"),)}


@pytest.mark.parametrize("name", DIFFERENT)
def test_everything_the_model_said_counts_in_equality(name: str) -> None:
    other = replace(small(), **{name: DIFFERENT[name]})
    assert small() != other
    assert not small().identical(other)


@pytest.mark.parametrize("name", CIRCUMSTANCES)
def test_circumstances_count_in_identity_only(name: str) -> None:
    other = small(**{name: CIRCUMSTANCES[name]})
    assert small() == other
    assert not small().identical(other)
    assert other.identical(small(**{name: CIRCUMSTANCES[name]}))


def test_equality_compares_bits() -> None:
    def zero(sign: float) -> Completion:
        return replace(small(), generated=tokens_of("c", logprobs=[sign * 0.0]))

    assert small() == small()
    assert zero(1) != zero(-1)
    assert small() != "something else"


def test_a_completion_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        small().text = "other"  # type: ignore[misc]
    with pytest.raises(ValueError, match="read-only"):
        small().prompt.logprobs[0] = 0
    with pytest.raises(TypeError, match="unhashable"):
        hash(small())


@st.composite
def streams(draw: st.DrawFn) -> tuple[tuple[Completion, ...], list[Delta]]:
    """Completions, and deltas of them, interleaved in some order."""
    done = draw(st.lists(completions(), max_size=2))
    done = [replace(each, stop_reason=each.stop_reason or "stop") for each in done]
    queues = [list(deltas_of(draw, number, each)) for number, each in enumerate(done)]
    mixed: list[Delta] = []
    while any(queues):
        mixed.append(draw(st.sampled_from([queue for queue in queues if queue])).pop(0))
    return tuple(done), mixed


def deltas_of(draw: st.DrawFn, sample: int, done: Completion) -> Iterator[Delta]:
    kept = draw(st.integers(0, len(done.warnings)))
    start = replace(
        done, generated=NO_TOKENS, text="", stop_reason=None, timing=Timing(), warnings=done.warnings[:kept]
    )
    yield Delta(sample, start=start)
    places = sorted(draw(st.lists(st.integers(0, len(done.generated)), max_size=3)))
    letter = draw(st.integers(0, len(done.text)))
    end = End(done.stop_reason, done.timing, done.warnings[kept:])
    edges = [0, *places, len(done.generated)]
    for i, (first, last) in enumerate(pairwise(edges)):
        yield Delta(sample, generated=done.generated[first:last], text=done.text[:letter] if i == 0 else "")
    yield Delta(sample, text=done.text[letter:], end=end)


@given(streams())
def test_folding_a_stream_gives_the_completions_built_at_once(
    stream: tuple[tuple[Completion, ...], list[Delta]],
) -> None:
    done, deltas = stream
    folded = fold(deltas)
    assert len(folded) == len(done)
    assert all(one.identical(other) for one, other in zip(folded, done, strict=True))


@given(streams())
def test_asking_on_the_way_changes_nothing(stream: tuple[tuple[Completion, ...], list[Delta]]) -> None:
    done, deltas = stream
    collected = Fold()
    started: set[int] = set()
    ended: set[int] = set()
    for delta in deltas:
        collected.add(delta)
        started |= {delta.sample}
        ended |= {delta.sample} if delta.end else set()
        for sample, sofar in zip(sorted(started), collected.completions(), strict=True):
            assert done[sample].text.startswith(sofar.text)
            assert sofar.generated.ids.tolist() == done[sample].generated.ids[: len(sofar.generated)].tolist()
            assert sofar.stop_reason == (done[sample].stop_reason if sample in ended else "incomplete")
    assert all(one.identical(other) for one, other in zip(collected.completions(), done, strict=True))


def test_midway_there_is_what_has_come_and_it_is_incomplete() -> None:
    collected = Fold()
    collected.add(Delta(0, start=replace(small(), generated=NO_TOKENS)))
    collected.add(Delta(0, generated=tokens_of("c", logprobs=[-2]), text="c"))
    (sofar,) = collected.completions()
    assert (sofar.stop_reason, sofar.text) == ("incomplete", "c")
    assert sofar.generated == small().generated
    collected.add(Delta(0, end=End("stop", Timing(total=2.0), ("late",))))
    (done,) = collected.completions()
    assert (done.stop_reason, done.timing.total, done.warnings) == ("stop", 2.0, ("late",))


def test_a_sample_that_never_started_is_refused() -> None:
    with pytest.raises(ValueError, match="sample 1 was never started"):
        fold([Delta(0, start=small()), Delta(1, text="a")])


def test_starting_again_forgets_the_first_try() -> None:
    start = replace(small(), generated=NO_TOKENS)
    first = [Delta(0, start=start), Delta(0, generated=tokens_of("c"), text="c", end=End("stop"))]
    (done,) = fold([*first, Delta(0, start=start)])
    assert (done.text, len(done.generated), done.stop_reason) == ("", 0, "incomplete")


def test_lists_of_different_lengths_are_padded() -> None:
    one = tokens_on(table_of("a"), [0], logprobs=[-1], top_refs=[[0]], top_logprobs=[[-1]])
    two = tokens_on(table_of("a", "b"), [1], logprobs=[-1], top_refs=[[1, 0]], top_logprobs=[[-1, -2]])
    start = completion_of(NO_TOKENS, NO_TOKENS)
    (done,) = fold([Delta(0, start=start), Delta(0, generated=one), Delta(0, generated=two, end=End("stop"))])
    assert done.generated.k == 2
    assert done.generated.top_ids.tolist() == [[0, -1], [1, 0]]
    assert np.isnan(done.generated.top_logprobs[0, 1])


def test_folding_nothing() -> None:
    assert fold([]) == ()


@given(completions())
def test_prompt_and_answer_can_be_put_back_together(done: Completion) -> None:
    together: Tokens = concatenate([done.prompt, done.generated])
    read = len(done.prompt)
    again = replace(done, prompt=together[:read], generated=together[read:])
    assert again.prompt.ids.tolist() == done.prompt.ids.tolist()
    assert again.pieces == done.pieces


def test_an_answer_in_one_piece_and_notes_on_the_way() -> None:
    done = small()
    deltas = [
        Delta(0, note="It sleeps"),
        Delta(1, start=replace(done, generated=done.generated[:0])),
        Delta(0, whole=done),
    ]
    whole, begun = fold(deltas)
    assert whole is done
    assert (len(begun.generated), begun.stop_reason) == (0, "incomplete")


@given(completions())
def test_what_is_on_one_table_already_stays_as_it_is(done: Completion) -> None:
    again = replace(done, timing=Timing(total=1.0))
    assert again == done
    assert again.pieces == done.pieces
    parts = [done.prompt[:1], done.generated[1:]]
    assert replace(done, prompt=parts[0], generated=parts[1]) == replace(
        done, prompt=concatenate([parts[0]]), generated=concatenate([parts[1]])
    )


def test_rows_of_tokens_cannot_be_written_into() -> None:
    some = small().prompt[np.array([True, False])]
    with pytest.raises(ValueError, match="read-only"):
        some.logprobs[0] = 0.0
    with pytest.raises(ValueError, match="shape"):
        some.with_kinds(np.zeros(3, np.uint8))
