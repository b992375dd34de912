"""The local engine compared with plain transformers, and the first view of the page."""

from __future__ import annotations

import contextlib
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForCausalLM, DynamicCache

from lib.core.request import Request
from lib.engines.local.engine import LocalEngine
from lib.engines.local.loading import load
from lib.models import embedded
from lib.segmentation.cells import split
from tests.benchmarks.report import Figure, alternated, seconds

ENGLISH = (
    "When the tide went out that morning, the harbour looked like a drawing that somebody had begun and then left. "
    "Boats leaned on their keels in the mud; a boy walked between them with a bucket, counting out loud. In 1987 the "
    "town had 4,312 people, two bakeries and one cinema, which showed whatever the distributor could spare. "
)
CHINESE = "潮水退去的早晨，港口看起来像一幅刚开始就被人放下的画。船只歪在泥里，一个男孩提着桶在中间数数。"
JAPANESE = "朝の港は、描きかけの絵のように静かだった。少年がバケツを持って、泥の中の船を数えている。"


def figures() -> Iterator[Figure]:
    """Yield each figure as soon as it is measured."""
    loaded = load("embedded")
    engine = LocalEngine(loaded)
    plain = AutoModelForCausalLM.from_pretrained(embedded.model_directory(), dtype=torch.float32).eval()
    yield _generation(engine, plain)
    yield _scoring(engine, plain)
    yield from _batch(engine)
    yield from _cells(engine)
    yield _first_sight()


def text_of(engine: LocalEngine, tokens: int) -> str:
    """A text of exactly this many tokens."""
    ids = engine.loaded.tokenizer.ids(ENGLISH * (tokens // 60 + 2), special=True)[:tokens]
    return engine.loaded.vocabulary.decode(np.array(ids))


def _generation(engine: LocalEngine, plain: Any) -> Figure:
    prompt, count = text_of(engine, 30), 64
    request = Request(prompt=prompt, max_tokens=count, k=20)
    ids = torch.tensor([engine.loaded.tokenizer.ids(prompt, special=True)])

    @torch.inference_mode()
    def bare() -> None:
        cache = DynamicCache(config=plain.config)
        token = plain(ids, past_key_values=cache).logits[:, -1].argmax(-1, keepdim=True)
        for _ in range(count - 1):
            token = plain(token, past_key_values=cache).logits[:, -1].argmax(-1, keepdim=True)

    ours, theirs = alternated(lambda: engine.complete(request), bare, 5)
    return Figure("generation with top-20 ÷ bare transformers loop, tokens/s", theirs / ours, 0.93, at_least=True)


def _scoring(engine: LocalEngine, plain: Any) -> Figure:
    prompt = text_of(engine, 1000)
    request = Request(prompt=prompt, max_tokens=0, k=20)
    ids = torch.tensor([engine.loaded.tokenizer.ids(prompt, special=True)])

    @torch.inference_mode()
    def one_pass() -> None:
        assert plain(ids).logits.shape[1] == ids.shape[1]

    ours, theirs = alternated(lambda: engine.complete(request), one_pass, 5)
    return Figure("scoring 1,000 tokens with top-20 and ranks ÷ one pass with all logits", ours / theirs, 1.12)


def _batch(engine: LocalEngine) -> Iterator[Figure]:
    for tokens, goal in ((30, 5.0), (500, None)):
        prompt = text_of(engine, tokens)
        single = [Request(prompt=prompt, max_tokens=64, temperature=1.0, seed=seed) for seed in range(16)]
        together = Request(prompt=prompt, max_tokens=64, temperature=1.0, seed=0, n=16)
        # Both sides generate all 64 tokens of every sample; stopping early would distort the ratio.
        with without_end(engine):
            at_once = seconds(lambda request=together: engine.complete(request))  # type: ignore[misc]
            one_by_one = seconds(lambda requests=single: [engine.complete(each) for each in requests])  # type: ignore[misc]
            at_once = statistics.mean((at_once, seconds(lambda request=together: engine.complete(request))))  # type: ignore[misc]
        name = f"sixteen samples in a batch ÷ one after another, {tokens}-token prompt, tokens/s"
        yield Figure(name, one_by_one / at_once, goal, at_least=True)


@contextlib.contextmanager
def without_end(engine: LocalEngine) -> Iterator[None]:
    ends = engine.loaded.eos_ids
    object.__setattr__(engine.loaded, "eos_ids", frozenset())
    yield
    object.__setattr__(engine.loaded, "eos_ids", ends)


def _cells(engine: LocalEngine) -> Iterator[Figure]:
    tokenizer, pieces = engine.loaded.tokenizer.built.backend, engine.loaded.vocabulary.pieces
    for name, text, goal in (("English", ENGLISH, 10.0), ("Chinese", CHINESE, 5.0), ("Japanese", JAPANESE, 5.0)):
        some = tokenizer.encode(text).ids
        ids = np.array((some * (100_000 // len(some) + 1))[:100_000], np.int32)
        numbers = ids.tolist()
        ours, theirs = alternated(
            lambda ids=ids: split(pieces, ids),  # type: ignore[misc]
            lambda numbers=numbers: [tokenizer.decode([number]) for number in numbers],  # type: ignore[misc]
            3,
        )
        yield Figure(f"100,000 ids to cells, {name}: tokenizer.decode([id]) ÷ ours", theirs / ours, goal, at_least=True)


def _first_sight() -> Figure:
    """Time from opening the page in a new browser context to a visible Generate button; the model loads meanwhile."""
    from playwright.sync_api import sync_playwright

    from tests.support.browser import CHROMIUM_ARGS, chromium_path, serving

    def visit(browser: Any, url: str) -> None:
        context = browser.new_context()
        page = context.new_page()
        page.goto(url)
        page.get_by_role("button", name="Generate").wait_for()
        if url == explore:
            page.get_by_label("Prompt", exact=True).wait_for()
        context.close()

    here = Path(__file__).parent
    with (
        serving("app.py", {}) as explore,
        serving(here / "one_button.py", {}) as button,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=list(CHROMIUM_ARGS))
        # The first visit waits for imports; later ones must not wait for the model to load.
        seconds(lambda: visit(browser, explore))
        ours, theirs = alternated(lambda: visit(browser, explore), lambda: visit(browser, button), 9)
        browser.close()
    return Figure("prompt box and Generate visible ÷ a one-button app", ours / theirs, 1.7)
