"""From a request to ids: templates, special tokens, and where a prompt ends."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lib.core.request import Message, Request
from lib.engines.base import Capabilities, Unsupported, window_of
from lib.engines.local.engine import LocalEngine
from lib.engines.local.loading import load
from lib.engines.local.prompts import render
from lib.errors import InvalidRequest, TooLong
from tests.support import tiny

Markov = Callable[..., LocalEngine]
_NONE = np.zeros((tiny.VOCABULARY, tiny.VOCABULARY))


def test_messages_go_through_the_template(markov: Markov) -> None:
    engine = markov(_NONE, tokenizer=tiny.make_tokenizer(chat=tiny.CHAT))
    assert engine.capabilities(chat=True) == Capabilities()
    rendered = render(engine.loaded, Request(messages=(Message("system", "be kind"), Message("user", "hi"))))
    assert rendered.text == "<|user|>system:be kind\n<|user|>user:hi\n>"
    assert rendered.ids == [tiny.USER, *b"system:be kind\n", tiny.USER, *b"user:hi\n>"]


def test_a_template_that_takes_parts_gets_them(markov: Markov) -> None:
    template = (
        "{% for m in messages %}{% for part in m.content %}{% if part.type == 'text' %}{{ part.text }}{% endif %}"
    )
    engine = markov(_NONE, tokenizer=tiny.make_tokenizer(chat=template + "{% endfor %}{% endfor %}"))
    (completion,) = engine.complete(Request(messages=(Message("user", "hi"),), max_tokens=0))
    assert [completion.pieces.text_of(ref) for ref in completion.prompt.refs] == ["h", "i"]


def test_messages_without_a_template_are_refused(markov: Markov) -> None:
    engine = markov(_NONE)
    assert isinstance(engine.capabilities(chat=True), Unsupported)
    assert engine.capabilities(chat=False) == Capabilities()
    with pytest.raises(InvalidRequest, match="no chat template") as raised:
        engine.complete(Request(messages=(Message("user", "hi"),)))
    assert "raw prompt" in raised.value.remedy


def test_the_error_of_a_template_is_quoted(markov: Markov) -> None:
    template = "{{ raise_exception('roles must alternate') }}"
    engine = markov(_NONE, tokenizer=tiny.make_tokenizer(chat=template))
    with pytest.raises(InvalidRequest, match="roles must alternate"):
        engine.complete(Request(messages=(Message("user", "hi"),)))


def test_bos_comes_first_and_once(markov: Markov) -> None:
    loaded = markov(_NONE, tokenizer=tiny.make_tokenizer(bos=True)).loaded
    assert render(loaded, Request(prompt="hi")).ids == [tiny.BOS, *b"hi"]
    assert render(loaded, Request(prompt="<s>hi")).ids == [tiny.BOS, *b"hi"]
    assert render(loaded, Request(prompt="<s><s>hi")).ids == [tiny.BOS, tiny.BOS, *b"hi"]  # as typed


def test_bos_of_a_template_is_the_only_one(markov: Markov) -> None:
    loaded = markov(_NONE, tokenizer=tiny.make_tokenizer(bos=True, chat="<s>" + tiny.CHAT)).loaded
    ids = render(loaded, Request(messages=(Message("user", "hi"),))).ids
    assert ids[:2] == [tiny.BOS, tiny.USER]
    assert ids.count(tiny.BOS) == 1


def test_bos_is_scored_as_the_unscored_first_row(markov: Markov) -> None:
    engine = markov(_NONE, tokenizer=tiny.make_tokenizer(bos=True))
    (answer,) = engine.complete(Request(prompt="hi", max_tokens=0))
    assert answer.prompt.ids.tolist() == [tiny.BOS, *b"hi"]
    assert np.isnan(answer.prompt.logprobs).tolist() == [True, False, False]
    (scored,) = engine.score(Request(prompt="hi"), ["ho"])
    assert scored.prompt.ids.tolist() == [tiny.BOS, *b"hi"]
    assert scored.generated.ids.tolist() == [*b"ho"]


def test_an_end_token_that_the_tokenizer_adds_is_removed(markov: Markov) -> None:
    engine = markov(_NONE, tokenizer=tiny.make_tokenizer(bos=True, eos=True))
    assert render(engine.loaded, Request(prompt="hi")).ids == [tiny.BOS, *b"hi"]
    assert render(engine.loaded, Request(prompt="hi</s>")).ids[-1] == tiny.EOS
    (scored,) = engine.score(Request(prompt="hi"), ["ho"])
    assert scored.generated.ids.tolist() == [*b"ho"]


def test_a_prompt_of_no_tokens_is_refused(markov: Markov, tmp_path: Path) -> None:
    from tokenizers import normalizers

    tokenizer = tiny.make_tokenizer()
    tokenizer.backend_tokenizer.normalizer = normalizers.Replace("x", "")
    engine = markov(_NONE, tokenizer=tokenizer)
    with pytest.raises(InvalidRequest, match="has no tokens"):
        engine.complete(Request(prompt="xxx"))


def test_a_token_that_the_model_lacks_is_refused(markov: Markov) -> None:
    tokenizer = tiny.make_tokenizer()
    tokenizer.add_tokens([f"<extra{number}>" for number in range(4)])
    engine = markov(_NONE, tokenizer=tokenizer)
    assert render(engine.loaded, Request(prompt="<extra0>")).ids == [261]
    with pytest.raises(InvalidRequest, match="<extra3>") as raised:
        engine.complete(Request(prompt="a <extra3>"))
    assert "264 tokens" in raised.value.cause


def test_a_normalised_text_is_cut_by_the_tokenizers_own_offsets(markov: Markov) -> None:
    """The pieces don't spell the text, as with a lowercasing tokenizer."""
    from tokenizers import normalizers

    tokenizer = tiny.make_tokenizer(merges=[(b"y", b"a")], bos=True, eos=True)
    tokenizer.backend_tokenizer.normalizer = normalizers.Lowercase()
    engine = markov(_NONE, tokenizer=tokenizer)
    plain, straddling = engine.score(Request(prompt="XY"), ["BA", "AB"])
    assert plain.prompt.ids.tolist() == [tiny.BOS, *b"xy"]
    assert plain.generated.ids.tolist() == [*b"ba"]
    assert plain.overlap == 0
    assert straddling.prompt.ids.tolist() == [tiny.BOS, *b"x"]
    assert straddling.overlap == 1


def test_one_tokenizer_serves_many_threads(tmp_path: Path) -> None:
    """The file turns on truncation and padding; turning them off lazily would break concurrent calls."""
    tokenizer = tiny.make_tokenizer(chat=tiny.CHAT)
    tokenizer.backend_tokenizer.enable_truncation(4)
    tokenizer.backend_tokenizer.enable_padding(length=64, pad_id=0, pad_token="!")
    loaded = load(str(tiny.make_markov(tmp_path / "model", _NONE, tokenizer=tokenizer, context=100_000)))
    errors: list[BaseException] = []

    def work() -> None:
        try:
            for number in range(30):
                text = "word " * (number * 20 + 1)
                assert render(loaded, Request(prompt=text)).ids == [*text.encode()]
                render(loaded, Request(messages=(Message("user", text),)))
        except BaseException as error:  # for the assertion below
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def test_a_text_of_many_megabytes_is_refused_before_it_is_tokenised(markov: Markov) -> None:
    engine = markov(_NONE)
    began = time.monotonic()
    with pytest.raises(TooLong, match="20,000,000 characters"):
        render(engine.loaded, Request(prompt="ab " * 6_666_666 + "ab"))
    assert time.monotonic() - began < 1


def test_prompts_are_counted_even_if_they_are_too_long(markov: Markov) -> None:
    engine = markov(_NONE, tokenizer=tiny.make_tokenizer(bos=True, chat=tiny.CHAT))
    found = window_of(engine, wait=False)
    assert found is not None
    assert found.context == engine.loaded.context
    for request in (Request(prompt="hi there"), Request(messages=(Message("user", "hi"),))):
        assert found.count(request) == len(render(engine.loaded, request).ids)
    assert found.count(Request(prompt="x" * 5_000)) == 5_001 > found.context
