"""The embedded model in other number formats, and in llama.cpp: how much faster, and how far off.

llama.cpp is measured where LLAMA_CPP_PYTHON names a Python that has the package llama-cpp-python.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lib.core.request import Request
from lib.engines.local.engine import LocalEngine
from lib.engines.local.loading import load
from lib.models import embedded
from tests.benchmarks.engine import text_of, without_end
from tests.benchmarks.report import Figure, alternated

_TOKENS, _SCORED = 64, 500
_PROMPT = "Counting: 1, 2, 3, 4, 5, 6, 7, 8, 9, 10,"


def figures() -> Iterator[Figure]:
    """Each figure as soon as it is known."""
    exact, short = LocalEngine(load("embedded")), LocalEngine(load("embedded", dtype="bfloat16"))
    text = text_of(exact, _SCORED)
    usual, other = alternated(partial(_write, exact), partial(_write, short), 5)
    yield Figure("the embedded model in float32, tokens/s", _TOKENS / usual)
    yield Figure("… in bfloat16 ÷ in float32, tokens/s", usual / other)
    logprobs = _scored(exact, text)
    off = np.nanmax(np.abs(logprobs - _scored(short, text)))
    yield Figure(f"… the largest difference on {_SCORED} tokens, nats", float(off))
    short.close()
    if python := os.environ.get("LLAMA_CPP_PYTHON"):
        for threads in (1, 2):
            ids = exact.loaded.tokenizer.ids(text, special=True)
            found = _llama(python, threads, ids)
            name = "… in llama.cpp" if threads == 1 else f"… in llama.cpp with {threads} threads"
            yield Figure(f"{name} ÷ in float32, tokens/s", found["speed"] * usual / _TOKENS)
        off = np.nanmax(np.abs(logprobs[1:] - np.array(found["logprobs"])))
        yield Figure(f"… the largest difference on {_SCORED} tokens, nats", float(off))
    exact.close()


def _write(engine: LocalEngine) -> None:
    with without_end(engine):
        engine.complete(Request(prompt=_PROMPT, max_tokens=_TOKENS, temperature=0.0, k=10))


def _scored(engine: LocalEngine, text: str) -> NDArray[np.float32]:
    (done,) = engine.complete(Request(prompt=text, max_tokens=0, k=5))
    return done.prompt.logprobs


_SCRIPT = """
import json, math, sys, time
from llama_cpp import Llama
path, threads, prompt, tokens, ids = json.load(sys.stdin)
options = dict(n_threads=threads, n_threads_batch=2, n_ctx=1024, verbose=False)
model = Llama(path, **options)
speeds = []
for _ in range(5):
    model.reset()
    model.eval(model.tokenize(prompt.encode()))
    began = time.perf_counter()
    for _ in range(tokens):
        model.eval([model.sample(temp=0.0)])
    speeds.append(tokens / (time.perf_counter() - began))
model = Llama(path, logits_all=True, **options)
model.eval(ids)
logprobs = []
for row, token in zip(model.scores[:len(ids) - 1], ids[1:]):
    top = max(row)
    logprobs.append(float(row[token] - top - math.log(sum(math.exp(each - top) for each in row))))
print(json.dumps({"speed": sorted(speeds)[2], "logprobs": logprobs}))
"""


def _llama(python: str, threads: int, ids: list[int]) -> dict[str, object]:
    asked = json.dumps([str(Path(embedded.fetch())), threads, _PROMPT, _TOKENS, [int(each) for each in ids]])
    done = subprocess.run([python, "-c", _SCRIPT], input=asked, capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))
