"""Branches of answers of imported models, against the local Bedrock over HTTP."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from lib.core.branching import CUT_DIFFERENTLY, fork_of
from lib.core.completion import Completion
from lib.core.request import Message, Request
from lib.core.sources import LocalModel
from lib.core.tokens import TokenKind
from lib.errors import InvalidRequest
from lib.jobs.batch import Batch
from lib.jobs.call import Call
from lib.jobs.engine_pool import Engines
from lib.jobs.job import Job
from lib.wire.formats import Format
from tests.support.asking import answer, job_for
from tests.support.serve_clients import Served

_ROUNDING = 1e-4


def asked(*, chat: bool, **changes: Any) -> Request:
    values: dict[str, Any] = {"messages": (Message("user", "abc"),)} if chat else {"prompt": "abc, a prompt"}
    return Request(**{**values, "max_tokens": 12, "k": 3, **changes})


def same(done: Completion, exact: Completion) -> None:
    """The same answer. What a random model writes is often no text, and which token that was cannot always be told."""
    known = done.generated.ids >= 0
    assert known.sum() >= 8
    np.testing.assert_array_equal(done.generated.ids[known], exact.generated.ids[known])
    scored = known & np.isfinite(done.generated.logprobs)
    np.testing.assert_allclose(done.generated.logprobs[scored], exact.generated.logprobs[scored], atol=_ROUNDING)


def letters(served: Served, form: Format, request: Request) -> tuple[Any, Completion]:
    """An engine, and an answer of it that begins with letters: what a random model writes is often no text."""
    engine = served.engine(form)
    begun = tuple(b"well, this")
    (before,) = engine.complete(replace(request, prefix_ids=begun))
    return engine, before


def branched(engine: Any, before: Completion, row: int, forced: tuple[int, ...], request: Request) -> Job[Batch]:
    fork, wanted = fork_of(before, len(before.prompt) + row, forced, "", replace(request, max_tokens=5), request)
    job = job_for(Engines(lambda _: engine), Call(LocalModel("any"), wanted, fork))
    job.run()
    return job


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(("form", "chat"), [(Format.OPENAI, False), (Format.OPENAI, True), (Format.BEDROCK, False)])
def test_a_branch_goes_on_as_the_model_itself_would(
    served: Served, tiny_engine: Any, form: Format, chat: bool, streamed: bool
) -> None:
    request = asked(chat=chat, prompt_scores=not streamed)
    engine, before = letters(served, Format.CHAT if chat else form, request)
    forced = (ord("!"),)
    job = branched(engine, before, 6, forced, request)
    assert job.error is None
    done = answer(job.result)
    assert done is not None
    given = (*before.generated.ids[:6].tolist(), *forced)
    assert done.generated.ids[:7].tolist() == list(given)
    assert done.generated.kinds[6] == TokenKind.FORCED
    assert done.text.startswith("well, !")
    assert CUT_DIFFERENTLY not in done.warnings
    assert len(done.generated) == 12
    # The local engine, told the very ids, gives the same. A template's text goes out as a prompt of its own.
    (exact,) = tiny_engine.complete(replace(request, prefix_ids=given, max_tokens=5, prompt_scores=True))
    same(done, exact)
    assert done.prompt.ids.tolist() == exact.prompt.ids.tolist()


def test_kept_tokens_keep_their_scores_and_a_forced_one_has_that_of_the_list(served: Served) -> None:
    request = asked(chat=False, prompt_scores=False)
    engine = served.engine(Format.OPENAI)
    (before,) = engine.complete(replace(request, prompt_scores=True, prefix_ids=tuple(b"well, this")))
    listed = before.generated.top_ids[2:10]
    row, place = np.argwhere((listed >= 0) & (listed < 128))[-1] + (2, 0)  # one that is no half of a character
    forced = int(before.generated.top_ids[row, place])
    done = answer(branched(engine, before, row, (forced,), request).result)
    assert done is not None
    np.testing.assert_array_equal(done.generated.logprobs[:row], before.generated.logprobs[:row])
    assert done.generated.logprobs[row] == before.generated.top_logprobs[row, place]
    assert done.generated.kinds[row] == TokenKind.FORCED
    np.testing.assert_array_equal(done.prompt.logprobs, before.prompt.logprobs)


def test_a_beginning_that_ends_inside_a_character_is_refused(served: Served) -> None:
    engine = served.engine(Format.OPENAI)
    first = "é".encode()[0]
    request = asked(chat=False, prefix_ids=(ord("a"), first))
    assert "inside a character" in engine.continuation_obstacle(request)
    with pytest.raises(InvalidRequest, match="inside a character"):
        engine.complete(request)


def test_a_model_without_a_tokenizer_says_what_it_lacks(served: Served) -> None:
    engine = served.engine(Format.OPENAI, read_with=lambda _: None)
    assert "needs the model's tokenizer" in engine.continuation_obstacle(asked(chat=False, prefix_ids=(97,)))


def test_a_chat_without_a_template_says_what_it_lacks(served: Served) -> None:
    engine = served.engine(Format.CHAT, read_with=lambda own: replace(own, render=None))
    assert "No chat template" in engine.continuation_obstacle(asked(chat=True, prefix_ids=(97,)))


@pytest.mark.parametrize("setting", ["passed", "ignored"])
def test_a_chat_may_be_continued_as_one_where_that_is_switched_on(
    served: Served, tiny_engine: Any, setting: str
) -> None:
    served.switches(**{"continue-final-message": setting})
    request = asked(chat=True, prefix_ids=tuple(b"well"))
    engine = served.engine(Format.CHAT)
    engine.model = replace(engine.model, continues=True)
    (done,) = engine.complete(request)
    if setting == "passed":
        same(done, tiny_engine.complete(request)[0])
    else:
        assert any("did not continue" in each for each in done.warnings), done.warnings


@pytest.mark.parametrize("chat", [False, True])
def test_no_bos_is_doubled(served: Served, chat: bool) -> None:
    """Where the service puts one before every prompt, none goes out with the text."""
    from lib.engines.remote.continuation import continuation
    from tests.support import tiny

    engine = served.engine(Format.OPENAI)
    bos = tiny.SPECIALS[tiny.BOS]
    tokenizer = replace(engine.tokenizer, prefix=(tiny.BOS,), bos=tiny.BOS, render=lambda _: f"{bos}hello>")
    prompt = {"prompt": f"{bos}hello>"} if not chat else {"messages": (Message("user", "x"),)}
    raw, request = engine.abilities.format_for(chat=False), Request(**prompt, prefix_ids=tuple(b"ab"))
    how = continuation(request, raw, tokenizer, by_chat=False)
    assert how.request.prompt == "hello>ab"
    without = continuation(request, raw, replace(tokenizer, prefix=()), by_chat=False)
    assert without.request.prompt == f"{bos}hello>ab", "here it is the template that brings it"


def test_what_is_not_known_is_off(served: Served) -> None:
    from lib.core.sources import BedrockModel

    assert BedrockModel("arn").continues is False


def test_text_that_the_model_cuts_anew_is_said_to_be(served: Served, tiny_directory: Any) -> None:
    """The tokenizer here has no merges, so that nothing can be cut otherwise: a token that no text gives stands in."""
    engine = served.engine(Format.OPENAI)
    vocabulary = engine.tokenizer.vocabulary
    spare = next(i for i in range(len(vocabulary)) if vocabulary.pieces.bytes_of(i) == b"<think>")
    request = asked(chat=False, prefix_ids=(*b"a<think", ord(">")))
    (done,) = engine.complete(request)
    assert spare in done.generated.ids.tolist()
    assert CUT_DIFFERENTLY in done.warnings
