"""Generation: samples, seeds, ends, limits and streams, mostly with models whose odds the test chooses."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import closing

import numpy as np
import pytest

from lib.core.completion import Completion
from lib.core.request import Request
from lib.core.stream import Fold, fold
from lib.core.tokens import TokenKind
from lib.engines.base import CallContext, complete
from lib.engines.local.engine import LocalEngine
from lib.errors import Cancelled, InvalidRequest, OutOfMemory
from tests.support import tiny

EngineOf = Callable[[str], LocalEngine]
Markov = Callable[..., LocalEngine]
_WAIT = 20.0  # seconds; a timeout that no test reaches


def test_greedy_equals_every_sample_of_a_greedy_batch(random_engine: EngineOf) -> None:
    for architecture in ("llama", "mistral", "gemma2", "gpt2", "qwen3_next"):
        engine = random_engine(architecture)
        (alone,) = engine.complete(Request(prompt="hello", max_tokens=20))
        for sample in engine.complete(Request(prompt="hello", max_tokens=20, n=3)):
            assert sample.generated.ids.tolist() == alone.generated.ids.tolist()
            np.testing.assert_allclose(sample.generated.logprobs, alone.generated.logprobs, atol=1e-4)


def test_a_seed_determines_every_sample(random_engine: EngineOf) -> None:
    engine = random_engine("llama")
    request = Request(prompt="hello", max_tokens=12, temperature=1.5, seed=7, n=4)
    first, again = engine.complete(request), engine.complete(request)
    assert first == again
    assert len({tuple(sample.generated.ids.tolist()) for sample in first}) == 4
    (alone,) = engine.complete(Request(prompt="hello", max_tokens=12, temperature=1.5, seed=7))
    assert alone.generated.ids.tolist() == first[0].generated.ids.tolist()
    np.testing.assert_allclose(alone.generated.logprobs, first[0].generated.logprobs, atol=1e-4)


def test_seeds_differ_and_no_seed_is_random(random_engine: EngineOf) -> None:
    engine = random_engine("llama")

    def ids(seed: int | None) -> tuple[int, ...]:
        (sample,) = engine.complete(Request(prompt="hello", max_tokens=12, temperature=1.5, seed=seed))
        return tuple(sample.generated.ids.tolist())

    assert len({ids(seed) for seed in (0, 1, 2, 2**31, 2**40)}) == 5
    assert ids(None) != ids(None)
    assert ids(3) == ids(3)


def test_temperature_does_not_change_the_logprobs_reported(markov: Markov) -> None:
    logits = np.zeros((tiny.VOCABULARY, tiny.VOCABULARY))
    logits[:, ord("a")], logits[:, ord("b")] = 9.0, 8.0
    engine = markov(logits)
    samples = engine.complete(Request(prompt="x", max_tokens=1, temperature=3.0, seed=1, n=32))
    exact = logits[0] - np.log(np.exp(logits[0]).sum())
    for sample in samples:
        assert sample.generated.logprobs[0] == pytest.approx(exact[sample.generated.ids[0]], abs=1e-5)
        assert sample.scale == "raw"


def test_samples_that_end_early_do_not_disturb_the_others(tmp_path_factory: pytest.TempPathFactory) -> None:
    """In this random model one token in twenty ends the answer: some samples end at once, others continue."""
    from lib.engines.local.loading import load

    directory = tmp_path_factory.mktemp("early") / "model"
    engine = LocalEngine(load(str(tiny.make_random(directory, "llama", eos_token_id=list(range(13))))), budget=10**9)
    try:
        request = Request(prompt="hello there", max_tokens=30, temperature=1.0, seed=11, n=12)
        samples = engine.complete(request)
        lengths = [len(sample.generated) for sample in samples]
        assert len(set(lengths)) > 4
        assert {sample.stop_reason for sample in samples} == {"stop", "length"}
        for sample in samples:
            # There is reasoning if a sample happens to contain a closing marker.
            shown = sample.generated.refs[np.isin(sample.generated.kinds, (TokenKind.TEXT, TokenKind.REASONING))]
            assert sample.text == sample.pieces.select(shown).data.tobytes().decode("utf-8", "replace")
            assert (sample.generated.kinds[-1] == TokenKind.STOP) == (sample.stop_reason == "stop")
            ids = [*sample.prompt.ids.tolist(), *sample.generated.ids.tolist()]
            _check_against_plain_pass(directory, ids, len(sample.prompt), sample.generated.logprobs)
    finally:
        engine.close()


def _check_against_plain_pass(directory: object, ids: list[int], first: int, logprobs: np.ndarray) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    with torch.inference_mode():
        model = AutoModelForCausalLM.from_pretrained(directory, attn_implementation="eager")
        rows = model(torch.tensor([ids])).logits[0].log_softmax(-1)
    expected = [float(rows[place - 1, ids[place]]) for place in range(first, len(ids))]
    np.testing.assert_allclose(logprobs, expected, atol=1e-4)


def test_the_end_token_is_scored_but_not_part_of_the_text(markov: Markov) -> None:
    (answer,) = markov(tiny.chain("abc", follow={ord("c"): tiny.EOS})).complete(Request(prompt="a", max_tokens=9))
    assert answer.text == "bc"
    assert answer.stop_reason == "stop"
    assert answer.generated.ids.tolist() == [ord("b"), ord("c"), tiny.EOS]
    assert answer.generated.kinds.tolist() == [TokenKind.TEXT, TokenKind.TEXT, TokenKind.STOP]
    assert np.isfinite(answer.generated.logprobs).all()


def test_several_end_tokens(markov: Markov) -> None:
    engine = markov(tiny.chain("abcd"), eos=[tiny.EOS, ord("c")])
    (answer,) = engine.complete(Request(prompt="a", max_tokens=9))
    assert (answer.text, answer.stop_reason) == ("b", "stop")


def test_characters_of_several_bytes_arrive_whole(markov: Markov) -> None:
    engine = markov(tiny.chain("aé∞", follow={"∞".encode()[-1]: tiny.EOS}))
    texts = [delta.text for delta in engine.stream(Request(prompt="a", max_tokens=9)) if delta.text]
    assert texts == ["é", "∞"]


def test_a_character_cut_off_by_the_limit_is_marked(markov: Markov) -> None:
    (answer,) = markov(tiny.chain("aé∞")).complete(Request(prompt="a", max_tokens=3))
    assert answer.text == "é\N{REPLACEMENT CHARACTER}"
    assert len(answer.generated) == 3


def test_reasoning_is_separated_from_the_answer(markov: Markov) -> None:
    follow = {ord("?"): tiny.THINK, tiny.THINK: ord("x"), ord("y"): tiny.THOUGHT, tiny.THOUGHT: ord("z")}
    engine = markov(tiny.chain("xy", follow=follow))
    (answer,) = engine.complete(Request(prompt="?", max_tokens=5))
    assert answer.generated.kinds.tolist() == [TokenKind.REASONING] * 4 + [TokenKind.TEXT]


def test_a_request_for_no_tokens_scores_only_the_prompt(random_engine: EngineOf) -> None:
    samples = random_engine("llama").complete(Request(prompt="hello", max_tokens=0, n=2))
    assert len(samples) == 2
    for sample in samples:
        assert (len(sample.generated), sample.text, sample.stop_reason) == (0, "", "length")
        assert np.isfinite(sample.prompt.logprobs[1:]).all()
        assert sample.timing.first_token is None


def test_a_prompt_beyond_the_context_is_refused(markov: Markov) -> None:
    engine = markov(tiny.chain("ab"), context=1000)
    with pytest.raises(InvalidRequest, match="1,012 tokens") as raised:
        engine.complete(Request(prompt="a" * 1012))
    assert "at most 1,000" in raised.value.cause
    assert "12 tokens" in raised.value.remedy


def test_an_answer_is_truncated_at_the_context(markov: Markov) -> None:
    engine = markov(tiny.chain("ab", follow={ord("b"): ord("a")}), context=20)
    (answer,) = engine.complete(Request(prompt="a" * 17, max_tokens=10))
    assert answer.text == "bab"
    assert answer.stop_reason == "length"
    assert any("room for 3 tokens" in warning for warning in answer.warnings)
    (full,) = engine.complete(Request(prompt="a" * 20, max_tokens=10))
    assert len(full.generated) == 0
    assert any("room for 0 tokens" in warning for warning in full.warnings)
    (fits,) = engine.complete(Request(prompt="a" * 17, max_tokens=3))
    assert fits.warnings == ()


def test_a_request_that_cannot_fit_in_memory_is_refused(markov: Markov) -> None:
    engine = LocalEngine(markov(tiny.chain("ab")).loaded, budget=1000)
    try:
        with pytest.raises(OutOfMemory, match="needs about") as raised:
            engine.complete(Request(prompt="ab"))
        assert "Shorten" in raised.value.remedy
    finally:
        engine.close()


def test_the_memory_of_a_request_is_not_estimated_too_low(embedded_engine: LocalEngine) -> None:
    cache = 30 * 2 * 3 * 64 * 4  # layers, keys and values, heads, width, bytes: of one token of the embedded model
    logits = 128 * 49152 * 4
    request_bytes = embedded_engine.runner.request_bytes
    for tokens in (100, 1000, 8000):
        assert request_bytes(tokens, tokens) >= tokens * cache + 2 * logits * min(tokens, 128) / 128
    assert request_bytes(10, 1000, 64) - request_bytes(10, 1000) >= 50 * 2 * 49152 * 4


@pytest.mark.parametrize("n", [1, 3])
def test_folding_a_stream_gives_the_completion(random_engine: EngineOf, n: int) -> None:
    engine = random_engine("llama")
    request = Request(prompt="hello", max_tokens=15, temperature=1.0, seed=2, n=n, stop=("zz", "qx"))
    assert fold(engine.stream(request)) == engine.complete(request)


def test_deltas_arrive_one_by_one(random_engine: EngineOf) -> None:
    stream = random_engine("llama").stream(Request(prompt="hello", max_tokens=200))
    collected = Fold()
    collected.add(next(stream))
    so_far = collected.completions()[0]
    assert so_far.stop_reason == "incomplete"
    assert len(so_far.prompt) == 5
    deltas = list(stream)
    assert [delta.end is None for delta in deltas] == [True] * (len(deltas) - 1) + [False]
    for delta in deltas:
        assert delta.generated is None or len(delta.generated) <= 2
        collected.add(delta)
    (done,) = collected.completions()
    assert done.stop_reason in ("length", "stop")
    assert len(deltas) > len(done.generated) / 2


def test_deltas_arrive_while_the_answer_is_generated(markov: Markov) -> None:
    engine = markov(tiny.chain("ab", follow={ord("b"): ord("a")}), context=100_000)
    with closing(engine.stream(Request(prompt="a", max_tokens=90_000))) as stream:
        first, *others = [next(stream) for _ in range(20)]
        assert not stream.ended  # 90,000 tokens take minutes
    assert first.start is not None
    assert [delta.text for delta in others[:2]] == ["b", "a"]
    assert all(delta.end is None for delta in [first, *others])


def test_closing_a_stream_cancels_it_and_frees_its_slot(markov: Markov) -> None:
    engine = markov(tiny.chain("ab", follow={ord("b"): ord("a")}), context=100_000)
    stream = engine.stream(Request(prompt="a", max_tokens=90_000))
    for _ in range(3):
        next(stream)
    stream.close()
    with pytest.raises(Cancelled):
        for _ in stream:
            pass
    with pytest.raises(Cancelled):
        next(stream)
    assert len(engine.complete(Request(prompt="a", max_tokens=2))[0].generated) == 2
    assert not engine.busy


def test_closing_from_another_thread_wakes_the_reader(markov: Markov) -> None:
    engine = markov(tiny.chain("ab", follow={ord("b"): ord("a")}), context=100_000)
    stream = engine.stream(Request(prompt="a", max_tokens=90_000))
    reading, errors = threading.Event(), []

    def read() -> None:
        try:
            for _ in stream:
                reading.set()
        except Cancelled as error:
            errors.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    assert reading.wait(_WAIT)
    stream.close()
    reader.join(_WAIT)
    assert not reader.is_alive()
    assert len(errors) == 1


def test_a_long_prompt_can_be_cancelled_between_its_chunks(random_engine: EngineOf) -> None:
    engine = random_engine("llama")
    entered, closed, passes = threading.Event(), threading.Event(), []

    def hold(*_: object) -> None:
        """Block the first chunk until the stream is closed."""
        passes.append(1)
        entered.set()
        assert closed.wait(_WAIT)

    handle = engine.loaded.model.get_decoder().register_forward_pre_hook(hold)
    try:
        stream = engine.stream(Request(prompt="and so on " * 200, max_tokens=0))
        assert entered.wait(_WAIT)
        stream.close()
        closed.set()
        with pytest.raises(Cancelled):
            next(stream)
    finally:
        handle.remove()
    assert len(passes) == 1, "of four chunks"


def test_requests_are_answered_concurrently(random_engine: EngineOf) -> None:
    engine = random_engine("llama")
    requests = [Request(prompt=f"{number} hello", max_tokens=10, temperature=1.0, seed=number) for number in range(12)]
    expected = [engine.complete(request)[0] for request in requests]
    found: dict[int, Completion] = {}
    threads = [
        threading.Thread(
            target=lambda n=number: found.update({n: complete(engine, requests[n], CallContext(str(n % 3)))[0]})
        )
        for number in range(12)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    for number, alone in enumerate(expected):
        done = found[number]
        assert (done.text, done.stop_reason, done.prompt) == (alone.text, alone.stop_reason, alone.prompt)
        assert done.generated.ids.tolist() == alone.generated.ids.tolist()
        # Joint passes add numbers in a different order.
        np.testing.assert_allclose(done.generated.logprobs, alone.generated.logprobs, atol=1e-4)
        np.testing.assert_allclose(done.generated.top_logprobs, alone.generated.top_logprobs, atol=1e-4)


def test_timing_starts_when_the_request_is_made(random_engine: EngineOf) -> None:
    (answer,) = random_engine("llama").complete(Request(prompt="hello", max_tokens=5))
    timing = answer.timing
    assert 0 <= timing.queued <= timing.first_token <= timing.total < 60
