"""Teacher forcing: candidates are scored as if the model had generated them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from lib.core.request import Message, Request
from lib.core.tokens import TokenKind
from lib.engines.local.engine import LocalEngine
from lib.errors import InvalidRequest
from tests.support import tiny

EngineOf = Callable[[str], LocalEngine]
Markov = Callable[..., LocalEngine]
_LONG = "".join(chr(97 + number) for number in np.random.default_rng(1).integers(0, 26, 800))


@pytest.mark.parametrize("architecture", tiny.ARCHITECTURES)
@pytest.mark.parametrize("prompt", ["hello", _LONG[:100], _LONG[:600]])
def test_texts_with_a_shared_prefix_score_as_each_alone(
    random_engine: EngineOf, architecture: str, prompt: str
) -> None:
    """Sliding windows of 64 tokens have moved on, and chunks have ended, when the second text starts."""
    engine = random_engine(architecture)
    request = Request(prompt=prompt, k=2)
    texts = ["abc", "abd", _LONG[600:680], "x", "abcabcabc"]
    for text, together in zip(texts, engine.score(request, texts), strict=True):
        (alone,) = engine.score(request, [text])
        assert together.text == text
        assert together.origin == "scored"
        assert together.generated.ids.tolist() == alone.generated.ids.tolist() == list(text.encode())
        np.testing.assert_allclose(together.generated.logprobs, alone.generated.logprobs, atol=1e-4)
        np.testing.assert_allclose(together.prompt.logprobs, alone.prompt.logprobs, atol=1e-4)
        assert np.isfinite(together.generated.logprobs).all()


def test_scores_match_the_models_probabilities(markov: Markov) -> None:
    logits = tiny.chain("abc", odds=3.0)
    engine = markov(logits)
    (scored,) = engine.score(Request(prompt="a"), ["bcb"])
    rows = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    expected = [rows[ord("a"), ord("b")], rows[ord("b"), ord("c")], rows[ord("c"), ord("b")]]
    np.testing.assert_allclose(scored.generated.logprobs, expected, atol=1e-5)
    assert scored.request.max_tokens == 0
    assert scored.stop_reason is None


def test_texts_that_share_nothing_at_all(markov: Markov) -> None:
    """Both start with a token that straddles the boundary, so they don't even share the prompt."""
    tokenizer = tiny.make_tokenizer(merges=[(b"a", b"b"), (b"a", b"c")])
    engine = markov(tiny.chain("abc"), tokenizer=tokenizer)
    first, second = engine.score(Request(prompt="a"), ["bc", "cb"])
    for scored, piece in ((first, "ab"), (second, "ac")):
        assert len(scored.prompt) == 0
        assert scored.pieces.text_of(scored.generated.refs[0]) == piece
        assert np.isnan(scored.generated.logprobs[0])
        assert np.isfinite(scored.generated.logprobs[1])
        assert scored.overlap == 1


def test_a_prompt_and_text_that_are_a_single_token(markov: Markov) -> None:
    engine = markov(tiny.chain("abc"), tokenizer=tiny.make_tokenizer(merges=[(b"a", b"b")]))
    (scored,) = engine.score(Request(prompt="a"), ["b"])
    assert len(scored.generated) == 1
    assert np.isnan(scored.generated.logprobs[0])
    assert scored.vocabulary_size == tiny.VOCABULARY


def test_a_straddling_token_counts_as_text_and_is_reported(markov: Markov) -> None:
    engine = markov(tiny.chain("xyab"), tokenizer=tiny.make_tokenizer(merges=[(b"y", b"a")]))
    plain, straddling = engine.score(Request(prompt="xy"), ["ba", "ab"])
    assert (plain.overlap, plain.warnings) == (0, ())
    assert straddling.overlap == 1
    assert [straddling.pieces.text_of(ref) for ref in straddling.prompt.refs] == ["x"]
    assert [straddling.pieces.text_of(ref) for ref in straddling.generated.refs] == ["ya", "b"]
    assert any("'ya'" in warning for warning in straddling.warnings)


def test_a_token_that_straddles_within_a_character_is_counted_in_bytes(markov: Markov) -> None:
    """The first byte of "é" is merged with the letter before it, so the second is a separate token."""
    engine = markov(tiny.chain("xyé"), tokenizer=tiny.make_tokenizer(merges=[(b"y", b"\xc3")]))
    (scored,) = engine.score(Request(prompt="xy"), ["é!"])
    assert scored.overlap == 1
    assert [scored.pieces.bytes_of(ref) for ref in scored.generated.refs] == [b"y\xc3", b"\xa9", b"!"]
    assert any(r"'y\\xc3'" in warning for warning in scored.warnings)
    (inside,) = engine.score(Request(prompt="xyé"), ["!"])
    assert (inside.overlap, len(inside.generated)) == (0, 1)


@pytest.mark.parametrize(
    "text", ["é", "∞ and more", "\N{THUMBS UP SIGN}\N{EMOJI MODIFIER FITZPATRICK TYPE-4}", " \n\t"]
)
def test_texts_of_any_characters(random_engine: EngineOf, text: str) -> None:
    (scored,) = random_engine("llama").score(Request(prompt="naïve"), [text])
    assert scored.generated.pieces.select(scored.generated.refs).data.tobytes() == text.encode()
    assert scored.overlap == 0
    assert scored.text == text
    assert np.isfinite(scored.generated.logprobs).all()


def test_nothing_to_score(random_engine: EngineOf) -> None:
    engine = random_engine("llama")
    assert engine.score(Request(prompt="hello"), []) == ()
    with pytest.raises(InvalidRequest, match="empty"):
        engine.score(Request(prompt="hello"), ["fine", ""])
    with pytest.raises(InvalidRequest, match="NUL"):
        engine.score(Request(prompt="hello"), ["a\0b"])


def test_a_text_beyond_the_context_is_refused(markov: Markov) -> None:
    engine = markov(tiny.chain("ab"), context=50)
    assert len(engine.score(Request(prompt="a" * 20), ["b" * 30])[0].generated) == 30
    with pytest.raises(InvalidRequest, match="at most 50") as raised:
        engine.score(Request(prompt="a" * 20), ["b", "b" * 37])
    assert "7 tokens" in raised.value.remedy


def test_reasoning_in_a_candidate_is_separated(markov: Markov) -> None:
    texts = ["<think>x</think>yz", "x</think>yz"]  # the second as if the chat template had opened it
    for scored in markov(tiny.chain("ab")).score(Request(prompt="a"), texts):
        counted = scored.generated.refs[scored.generated.kinds == TokenKind.TEXT]
        assert [scored.pieces.text_of(ref) for ref in counted.tolist()] == ["y", "z"]


def test_a_chat_can_be_scored(markov: Markov) -> None:
    engine = markov(tiny.chain("ab"), tokenizer=tiny.make_tokenizer(chat=tiny.CHAT, bos=True))
    (scored,) = engine.score(Request(messages=(Message("user", "hi"),)), ["yes"])
    assert scored.generated.ids.tolist() == list(b"yes")
    assert scored.prompt.ids.tolist()[0] == tiny.USER
    assert scored.prompt.kinds.tolist()[0] == TokenKind.SPECIAL


@pytest.mark.parametrize("architecture", tiny.ARCHITECTURES)
def test_one_text_under_several_prompts(random_engine: EngineOf, architecture: str) -> None:
    """Each is scored as if alone, however much of it is shared with the first prompt."""
    engine, text = random_engine(architecture), "an answer"
    prompts = [_LONG[:200], _LONG[:90] + _LONG[120:200], _LONG[50:200], _LONG[:200] + "z", "q"]
    requests = [Request(prompt=prompt, k=2) for prompt in prompts]
    for request, under in zip(requests, engine.score_under(requests, text), strict=True):
        (alone,) = engine.score(request, [text])
        assert (under.text, under.origin, under.request) == (text, "scored", alone.request)
        assert under.prompt.ids.tolist() == alone.prompt.ids.tolist()
        assert np.isnan(under.prompt.logprobs).all()
        assert under.generated.ids.tolist() == alone.generated.ids.tolist()
        np.testing.assert_allclose(under.generated.logprobs, alone.generated.logprobs, atol=1e-4)
        assert (under.generated.ranks == alone.generated.ranks).all()
    assert engine.score_under([], text) == ()


def test_a_cached_prompt_is_not_read_again(random_engine: EngineOf) -> None:
    engine, request = random_engine("llama"), Request(prompt=_LONG[:200], k=2)
    (before,) = engine.score(request, ["one"])
    (sampled,) = engine.complete(Request(prompt=_LONG[:200], k=2, max_tokens=5, temperature=0.0))
    for text in ("one", "two", sampled.text):
        (scored,) = engine.score(request, [text])
        assert scored.prompt.ids.tolist() == before.prompt.ids.tolist()
        np.testing.assert_allclose(scored.prompt.logprobs, before.prompt.logprobs, atol=1e-4)
        np.testing.assert_array_equal(scored.prompt.ranks, before.prompt.ranks)
    np.testing.assert_allclose(scored.generated.logprobs, sampled.generated.logprobs, atol=1e-4)


@pytest.mark.parametrize("known", [20, 195, 200])
def test_several_texts_after_a_partly_cached_prompt(random_engine: EngineOf, known: int) -> None:
    loaded, texts, prefix = random_engine("llama").loaded, ["one", "other", "t"], f"{known} "
    engine, forgetful = LocalEngine(loaded, budget=10**9), LocalEngine(loaded, budget=10**9, kept=0)
    request = Request(prompt=prefix + _LONG[:200], k=2)
    engine.score(Request(prompt=prefix + _LONG[:known], k=2), ["?"])
    for done, text in zip(engine.score(request, texts), texts, strict=True):
        (expected,) = forgetful.score(request, [text])
        assert done.prompt.ids.tolist() == expected.prompt.ids.tolist()
        np.testing.assert_allclose(done.prompt.logprobs, expected.prompt.logprobs, atol=1e-4)
        np.testing.assert_array_equal(done.prompt.ranks, expected.prompt.ranks)
        np.testing.assert_allclose(done.generated.logprobs, expected.generated.logprobs, atol=1e-4)
    engine.close()
    forgetful.close()
