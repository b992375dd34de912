"""Answers with a forced prefix: a cached prefix gives the same numbers as a fresh pass, in any model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lib.core.branching import fork_of, merge_into_parent
from lib.core.completion import Completion
from lib.core.request import Message, Request
from lib.core.tokens import TokenKind
from lib.engines.local.engine import LocalEngine
from lib.engines.local.loading import LoadedModel, load
from lib.engines.local.prompt_lookup import MAX_DRAFT
from lib.errors import InvalidRequest, TooLong
from tests.support import tiny
from tests.support.local_models import passes_of

EngineOf = Callable[[str], LocalEngine]
_EXACT = 1e-4  # nats


def same(one: Completion, other: Completion) -> None:
    """Equal ids and kinds, and scores to within rounding."""
    for part in ("prompt", "generated"):
        ours, theirs = getattr(one, part), getattr(other, part)
        assert ours.ids.tolist() == theirs.ids.tolist()
        assert ours.kinds.tolist() == theirs.kinds.tolist()
        np.testing.assert_allclose(ours.logprobs, theirs.logprobs, rtol=0, atol=_EXACT)
        np.testing.assert_allclose(ours.top_logprobs, theirs.top_logprobs, rtol=0, atol=_EXACT)
    assert one.text == other.text


@pytest.fixture(scope="module")
def forgetful(embedded: LoadedModel) -> Iterator[LocalEngine]:
    """The embedded model without a prefix cache."""
    engine = LocalEngine(embedded, kept=0)
    yield engine
    engine.close()


def test_a_branch_from_the_cache_equals_a_fresh_one(embedded_engine: LocalEngine, forgetful: LocalEngine) -> None:
    original = Request(messages=(Message("user", "Name three colours of the rainbow."),), max_tokens=14, k=10)
    (before,) = embedded_engine.complete(original)
    row = len(before.prompt) + 8
    other = int(before.generated.top_ids[8, 1])
    fork, request = fork_of(before, row, [other], "", replace(original, max_tokens=8), original)
    with passes_of(embedded_engine.loaded) as lengths:
        (branch,) = embedded_engine.complete(request)
    assert lengths[0] == 1, "the cache holds all but the forced token, whose score it knows"
    assert max(lengths) <= 1 + MAX_DRAFT, "later passes read a draft along with the last token"
    (afresh,) = forgetful.complete(request)
    same(branch, afresh)
    assert branch.generated.ids[:9].tolist() == list(fork.prefix_ids)
    assert (branch.generated.kinds[:9] == TokenKind.FORCED).all()
    assert np.isfinite(branch.generated.logprobs).all()
    assert branch.generated.logprobs[8] == pytest.approx(float(before.generated.top_logprobs[8, 1]), abs=_EXACT)
    done = merge_into_parent(branch, fork)
    assert done.generated[:8] == merge_into_parent(afresh, fork).generated[:8]
    np.testing.assert_array_equal(done.generated.logprobs[:8], before.generated.logprobs[:8])
    assert done.generated.kinds[:10].tolist() == [*before.generated.kinds[:8], TokenKind.FORCED, TokenKind.TEXT]

    # A branch of the branch continues from the branch's own cache.
    again, request = fork_of(done, row + 5, [other], "", replace(original, max_tokens=3), original)
    (second,) = embedded_engine.complete(request)
    same(second, forgetful.complete(request)[0])
    assert merge_into_parent(second, again).generated.kinds[8] == TokenKind.FORCED


@pytest.mark.parametrize("temperature", [0.0, 0.7])
def test_drafts_change_no_token(temperature: float, embedded_engine: LocalEngine, forgetful: LocalEngine) -> None:
    original = Request(prompt="1, 2, 3, 4, 5, 6, 7, 8,", max_tokens=20, temperature=temperature, seed=5, k=3)
    (before,) = embedded_engine.complete(original)
    forced = (*before.generated.ids[:8].tolist(), int(before.generated.top_ids[8, 1]))
    request = replace(original, prefix_ids=forced, max_tokens=16)
    with passes_of(embedded_engine.loaded) as lengths:
        (branch,) = embedded_engine.complete(request)
    assert max(lengths) > 1, "a list of numbers repeats itself, so there must have been a draft"
    assert len(branch.generated) > len(lengths), "and some of it must have been right"
    same(branch, forgetful.complete(request)[0])


@pytest.mark.parametrize("architecture", sorted(tiny.ARCHITECTURES))
def test_every_architecture_continues_a_prefix(
    architecture: str, random_engine: EngineOf, random_model: Callable[[str], Path]
) -> None:
    engine, afresh = random_engine(architecture), LocalEngine(load(str(random_model(architecture))), kept=0)
    try:
        original = Request(prompt="hello there, a prompt of some length", max_tokens=24, k=3)
        (before,) = engine.complete(original)
        prefix = (*before.generated.ids[:9].tolist(), int(before.generated.top_ids[9, 2]))
        request = replace(original, prefix_ids=prefix, max_tokens=6)
        same(engine.complete(request)[0], afresh.complete(request)[0])
    finally:
        afresh.close()


def test_continuing_an_unchanged_prefix_gives_the_same_answer(random_engine: EngineOf) -> None:
    engine = random_engine("llama")
    original = Request(prompt="hello there, how are you", max_tokens=20, k=3)
    (before,) = engine.complete(original)
    prefix = tuple(before.generated.ids[:8].tolist())
    (after,) = engine.complete(replace(original, prefix_ids=prefix, max_tokens=12))
    assert after.generated.ids.tolist() == before.generated.ids.tolist()
    assert after.text == before.text
    np.testing.assert_allclose(after.generated.logprobs, before.generated.logprobs, atol=_EXACT)


def test_several_samples_continue_one_prefix(random_engine: EngineOf) -> None:
    engine = random_engine("llama")
    (before,) = engine.complete(Request(prompt="hello there, how are you", max_tokens=20, k=3))
    prefix = tuple(before.generated.ids[:10].tolist())
    original = Request(
        prompt="hello there, how are you", prefix_ids=prefix, max_tokens=8, temperature=1.5, seed=3, n=4, k=3
    )
    samples = engine.complete(original)
    assert len({tuple(each.generated.ids.tolist()) for each in samples}) == 4
    for each in samples:
        assert each.generated.ids[:10].tolist() == list(prefix)
        np.testing.assert_allclose(each.generated.logprobs[:10], before.generated.logprobs[:10], atol=_EXACT)


def test_cached_prefixes_stay_within_their_budget(random_engine: EngineOf) -> None:
    shared = random_engine("llama")
    budget = 3 * shared.runner.cache_bytes(120)
    engine = LocalEngine(shared.loaded, kept=budget)
    try:
        for word in ("one", "two", "three", "four", "five", "six"):
            engine.complete(Request(prompt=f"{word} " * 20, max_tokens=4))
        cached = engine.prefix_cache
        before = len(cached), cached.size
        assert 1 <= len(cached) < 6
        assert len(cached) * engine.runner.cache_bytes(80) <= cached.size <= budget
        engine.complete(Request(prompt="word " * 200, max_tokens=2))
        assert (len(cached), cached.size) == before, "an entry larger than the budget displaces nothing"
    finally:
        engine.close()
    assert len(cached) == 0


def test_a_cache_that_lacks_requested_scores_is_not_used(random_engine: EngineOf) -> None:
    engine = random_engine("llama")
    prompt = "a prompt that no other test uses"
    (before,) = engine.complete(Request(prompt=prompt, max_tokens=8, k=2, prompt_scores=False))
    prefix = tuple(before.generated.ids[:5].tolist())
    (more,) = engine.complete(Request(prompt=prompt, prefix_ids=prefix, max_tokens=2, k=6))
    assert more.generated.k == 6
    assert np.isfinite(more.generated.top_logprobs).all()
    assert np.isfinite(more.prompt.logprobs[1:]).all()
    (fewer,) = engine.complete(Request(prompt=prompt, prefix_ids=prefix, max_tokens=2, k=3, prompt_scores=False))
    assert fewer.generated.k == 3
    assert np.isnan(fewer.prompt.logprobs).all()
    assert np.isfinite(fewer.generated.logprobs).all()


def test_a_cancelled_answer_is_cached_as_far_as_it_got(embedded_engine: LocalEngine) -> None:
    original = Request(prompt="A very long story begins like this, and then goes on and on:", max_tokens=500, k=2)
    stream = embedded_engine.stream(original)
    ids: list[int] = []
    for delta in stream:
        ids += [] if delta.generated is None else delta.generated.ids.tolist()
        if len(ids) >= 10:
            break
    stream.close()
    embedded_engine.complete(Request(prompt="x", max_tokens=1))
    with passes_of(embedded_engine.loaded) as lengths:
        embedded_engine.complete(replace(original, prefix_ids=(*ids[:8], 5), max_tokens=1))
    assert lengths[0] == 2


def test_stop_strings_match_only_generated_text(random_engine: EngineOf) -> None:
    engine = random_engine("llama")
    prefix = tuple(b"stop here")
    (done,) = engine.complete(Request(prompt="hello", prefix_ids=prefix, stop=("stop",), max_tokens=5))
    assert done.text.startswith("stop here")
    assert len(done.generated) == len(prefix) + 5


def test_a_character_may_begin_in_the_prefix_and_end_after_it(markov: Callable[..., LocalEngine]) -> None:
    logits = np.zeros((tiny.VOCABULARY, tiny.VOCABULARY))
    first, second = "é".encode()
    logits[first, second] = 50
    logits[second, ord("!")] = 50
    (done,) = markov(logits).complete(Request(prompt="x", prefix_ids=(ord("a"), first), max_tokens=2))
    assert done.text == "aé!"


def test_reasoning_in_the_prefix_continues_as_reasoning(random_engine: EngineOf) -> None:
    prefix = (tiny.THINK, *b"hm ")
    (done,) = random_engine("llama").complete(Request(prompt="hello", prefix_ids=prefix, max_tokens=4))
    assert done.generated.kinds[len(prefix) :].tolist() == [TokenKind.REASONING] * 4


@pytest.mark.parametrize(
    ("prefix", "error"), [((10**6,), InvalidRequest), ((tiny.VOCABULARY,), InvalidRequest), ((5,) * 3000, TooLong)]
)
def test_impossible_prefixes_are_refused(
    prefix: tuple[int, ...], error: type[InvalidRequest], random_engine: EngineOf
) -> None:
    with pytest.raises(error):
        random_engine("llama").complete(Request(prompt="hello", prefix_ids=prefix, max_tokens=1))


def test_an_end_token_cannot_be_continued(embedded_engine: LocalEngine) -> None:
    (end,) = embedded_engine.loaded.eos_ids
    assert "end the answer" in embedded_engine.continuation_obstacle(Request(prompt="x", prefix_ids=(end,)))
    assert embedded_engine.continuation_obstacle(Request(prompt="x", prefix_ids=(5, 6))) == ""


def test_typed_text_is_tokenized_as_the_model_would_read_it(embedded_engine: LocalEngine) -> None:
    original = Request(prompt="The quick brown fox")
    ids, differs = embedded_engine.encode_continuation(original, " jumps over")
    pieces = embedded_engine.loaded.vocabulary.pieces
    assert [pieces.text_of(number) for number in ids] == [" jumps", " over"]
    assert not differs
    ids, differs = embedded_engine.encode_continuation(replace(original, prompt="The quick brown f"), "ox")
    assert b"".join(pieces.bytes_of(number) for number in ids) == b"ox"
    assert differs, "as one text they end with the token ' fox'"
    with pytest.raises(InvalidRequest):
        embedded_engine.encode_continuation(original, "a\0b")
