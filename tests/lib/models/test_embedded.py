"""The embedded model: the check values of the requirements."""

from __future__ import annotations

import numpy as np
import pytest

from lib.core.request import Message, Request
from lib.engines.base import Capabilities
from lib.engines.local.engine import LocalEngine
from lib.engines.local.loading import LoadedModel

_ROUNDING = 1e-5  # nats; the sixth decimal of float32 depends on the processor's kernels
_FOX = "The quick brown fox jumps"


def test_check_values_of_the_prompt(embedded_engine: LocalEngine) -> None:
    (completion,) = embedded_engine.complete(Request(prompt=_FOX, max_tokens=0))
    assert [completion.pieces.text_of(ref) for ref in completion.prompt.refs] == [
        "The",
        " quick",
        " brown",
        " fox",
        " jumps",
    ]
    assert np.isnan(completion.prompt.logprobs[0])
    quick, brown, fox, jumps = np.exp(completion.prompt.logprobs[1:].astype(float))
    assert quick == pytest.approx(6.1e-07, abs=0.05e-07)
    assert brown == pytest.approx(0.00188, abs=0.000005)
    assert fox == pytest.approx(0.24271, abs=0.000005)
    assert jumps == pytest.approx(0.000874, abs=0.0000005)
    assert completion.warnings == ()
    assert completion.vocabulary_size == 49152


def test_check_values_of_the_greedy_answer(embedded_engine: LocalEngine) -> None:
    (completion,) = embedded_engine.complete(Request(prompt=_FOX, max_tokens=4))
    assert completion.text == " over a lazy dog"
    np.testing.assert_allclose(
        completion.generated.logprobs, [-0.005013, -0.111987, -0.897059, -0.175463], rtol=0, atol=_ROUNDING
    )
    assert completion.generated.ranks.tolist() == [1, 1, 1, 1]
    assert completion.stop_reason == "length"
    assert completion.origin == "generated"


def test_check_values_of_the_scored_answer(embedded_engine: LocalEngine) -> None:
    (completion,) = embedded_engine.score(Request(prompt=_FOX), [" over a lazy dog"])
    np.testing.assert_allclose(
        completion.generated.logprobs, [-0.005013, -0.111987, -0.897059, -0.175463], rtol=0, atol=_ROUNDING
    )


def test_tokenization_splits_digits_and_joins_spaces(embedded_engine: LocalEngine) -> None:
    (completion,) = embedded_engine.complete(Request(prompt="x =    42", max_tokens=0))
    pieces = [completion.pieces.text_of(ref) for ref in completion.prompt.refs]
    assert pieces == ["x", " =", "    ", "4", "2"]


def test_facts_about_the_model(embedded: LoadedModel, embedded_engine: LocalEngine) -> None:
    assert embedded.name == embedded_engine.name == "SmolLM2-135M-Instruct"
    assert embedded.context == embedded_engine.loaded.context == 8192
    assert embedded_engine.capabilities(chat=True) == Capabilities()
    assert embedded.warnings == ()
    assert embedded.vocabulary.exact
    provenance = dict(embedded.provenance)
    assert provenance["engine"] == "local"
    assert provenance["dtype"] == "float32"
    assert len(provenance["weights"]) == len(provenance["vocabulary"]) == 64


def test_chat_ends_with_the_models_own_end_token(embedded_engine: LocalEngine) -> None:
    request = Request(messages=(Message("user", "Answer with one word: what colour is the sky?"),), max_tokens=60)
    (completion,) = embedded_engine.complete(request)
    assert completion.stop_reason == "stop"
    assert "<|im_end|>" not in completion.text
    assert completion.generated.kinds[-1] == 2  # TokenKind.STOP
    assert completion.pieces.text_of(completion.generated.refs[-1]) == "<|im_end|>"


@pytest.mark.parametrize(
    ("stop", "text", "tokens", "stops"),
    [
        (("az",), " over a l", 3, 0),  # within a token, which therefore counts as text
        ((" lazy dog",), " over a", 4, 2),  # over two tokens
        (("zy d",), " over a la", 4, 1),  # from the middle of one to the middle of the next
        ((" lazy cat", "dog"), " over a lazy ", 4, 0),  # one that begins and is not completed, then another
    ],
)
def test_stop_strings(embedded_engine: LocalEngine, stop: tuple[str, ...], text: str, tokens: int, stops: int) -> None:
    (completion,) = embedded_engine.complete(Request(prompt=_FOX, max_tokens=20, stop=stop))
    assert completion.text == text
    assert completion.stop_reason == "stop"
    assert len(completion.generated) == tokens
    assert int((completion.generated.kinds == 2).sum()) == stops
    assert np.isfinite(completion.generated.logprobs).all()


def test_greedy_alone_and_in_a_batch_are_the_same(embedded_engine: LocalEngine) -> None:
    (alone,) = embedded_engine.complete(Request(prompt=_FOX, max_tokens=16))
    for sample in embedded_engine.complete(Request(prompt=_FOX, max_tokens=16, n=3)):
        assert sample.generated.ids.tolist() == alone.generated.ids.tolist()
        np.testing.assert_allclose(sample.generated.logprobs, alone.generated.logprobs, atol=1e-4)


def test_scoring_a_generated_answer_gives_its_logprobs(embedded_engine: LocalEngine) -> None:
    request = Request(prompt=_FOX, max_tokens=16, temperature=0.9, seed=5)
    (written,) = embedded_engine.complete(request)
    (scored,) = embedded_engine.score(request, [written.text])
    assert scored.generated.ids.tolist() == written.generated.ids.tolist()
    np.testing.assert_allclose(scored.generated.logprobs, written.generated.logprobs, atol=1e-4)
    np.testing.assert_allclose(scored.prompt.logprobs, written.prompt.logprobs, atol=1e-4)


def test_scoring_several_answers_in_one_pass_gives_the_logprobs_they_were_generated_with(embedded: LoadedModel) -> None:
    """One pass reads the prompt and all of them, as nothing of it is cached."""
    engine = LocalEngine(embedded, kept=0)
    request = Request(prompt=_FOX, max_tokens=12, temperature=0.6, seed=3, n=3)
    written = engine.complete(request)
    for before, scored in zip(written, engine.score(request, [each.text for each in written]), strict=True):
        assert scored.generated.ids.tolist() == before.generated.ids.tolist()
        np.testing.assert_allclose(scored.generated.logprobs, before.generated.logprobs, atol=1e-3)
        np.testing.assert_allclose(scored.prompt.logprobs, before.prompt.logprobs, atol=1e-3)
    engine.close()
