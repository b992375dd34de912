"""Reading responses against json.loads, and the memory it takes."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from lib.core.request import Request
from lib.models.tokenizer_files import load_tokenizer
from lib.wire.decode import decode
from lib.wire.saved_responses import completions_of, read_saved
from tests.benchmarks.report import Figure, alternated

_MEMORY = Path(__file__).with_name("wire_memory.py")


def response_of(ids: list[int], vocabulary: list[str], k: int) -> bytes:
    """An OpenAICompletion response with scores of these prompt tokens and two generated ones."""
    dice = random.Random(1)
    positions: list[dict[str, dict[str, object]] | None] = [None]
    for own in ids[1:]:
        others = dice.sample(range(len(vocabulary)), k)
        positions.append(
            {
                str(number): {
                    "logprob": -dice.random() * 12,
                    "rank": place or 40,
                    "decoded_token": vocabulary[number],
                }
                for place, number in enumerate([own, *others])
            }
        )
    spelling = {
        "text_offset": [0, 3],
        "token_logprobs": [-0.1, -0.2],
        "tokens": [" in", " the"],
        "top_logprobs": [{" in": -0.1, " on": -3.0}, {" the": -0.2, " a": -3.0}],
    }
    choice = {
        "index": 0,
        "text": " in the",
        "logprobs": spelling,
        "finish_reason": "length",
        "stop_reason": None,
        "token_ids": None,
        "prompt_logprobs": positions,
    }
    usage = {"prompt_tokens": len(ids), "completion_tokens": 2, "total_tokens": len(ids) + 2}
    return json.dumps({"object": "text_completion", "model": "m", "choices": [choice], "usage": usage}).encode()


def prompt_of(tokens: int) -> tuple[Request, list[int], list[str]]:
    """(request, ids, what every id decodes to) of a prompt of that many tokens of the embedded model."""
    from tests.benchmarks.engine import ENGLISH

    tokenizer = load_tokenizer("embedded")
    ids = tokenizer.encode(ENGLISH * (tokens // 60 + 2))[:tokens]
    return Request(prompt=tokenizer.vocabulary.decode(ids), k=5), ids, tokenizer.vocabulary.pieces.texts  # type: ignore[arg-type]


def figures() -> Iterator[Figure]:
    """Each figure as soon as it is known."""
    request, ids, names = prompt_of(2000)
    tokenizer = load_tokenizer("embedded")
    response = response_of(ids, names, 5)
    (done,) = decode(response, request, tokenizer)
    assert len(done.prompt) == len(ids) == 2000
    assert done.chosen_by.startswith("prompt: tokens")
    assert not done.warnings
    ours, theirs = alternated(lambda: decode(response, request, tokenizer), lambda: json.loads(response), 25)
    yield Figure(
        "OpenAICompletion response, 2,000 prompt tokens, top-5, to Completion ÷ json.loads", ours / theirs, 1.2
    )
    (saved,) = read_saved(response)
    assert saved.completions(tokenizer)[0].generated == decode(response, None, tokenizer)[0].generated
    opened, read = alternated(
        lambda: completions_of(read_saved(response), tokenizer), lambda: decode(response, None, tokenizer), 15
    )
    yield Figure("the same response opened as a saved file ÷ decoded as it is", opened / read, 1.1)
    run = subprocess.run([sys.executable, str(_MEMORY)], capture_output=True, text=True, check=True, cwd=Path.cwd())
    yield Figure("peak memory of decoding a 20 MB response, response counted ÷ the response", float(run.stdout), 4.0)
