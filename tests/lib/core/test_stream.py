"""Folding deltas restores the completions they were made from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.core.completion import Completion, Timing
from lib.core.stream import Delta, End, Fold, fold
from lib.core.tokens import NO_TOKENS
from tests.support.strategies import NAN, completion_of, completions, table_of, tokens_of, tokens_on


def small(**fields: object) -> Completion:
    return completion_of(tokens_of("a", "b", logprobs=[NAN, -1]), tokens_of("c", logprobs=[-2]), **fields)


@st.composite
def streams(draw: st.DrawFn) -> tuple[tuple[Completion, ...], list[Delta]]:
    """Completions, and their deltas interleaved in some order."""
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


def test_an_answer_in_one_piece_beside_one_that_has_begun() -> None:
    done = small()
    deltas = [
        Delta(1, start=replace(done, generated=done.generated[:0])),
        Delta(0, whole=done),
    ]
    whole, started = fold(deltas)
    assert whole is done
    assert (len(started.generated), started.stop_reason) == (0, "incomplete")
