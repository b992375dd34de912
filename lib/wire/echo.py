"""Separate the prompt from the answer in a response that repeats its prompt (`echo`)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from lib.core.request import Request
from lib.tokenizers.tokenizer import Tokenizer
from lib.wire.formats import Format
from lib.wire.positions import Positions
from lib.wire.resolve_ids import with_ids
from lib.wire.response import Answer, Response
from lib.wire.spelling_check import spelled_length


def prompt_text_of(request: Request | None, tokenizer: Tokenizer | None) -> str:
    """The prompt as the model reads it; "" if it isn't known."""
    if request is None:
        return ""
    if request.prompt is None and tokenizer is not None:
        return tokenizer.prompt_text(request) or ""
    return request.prompt or ""


def without_echo(response: Response, answer: Answer, prompt_text: str, tokenizer: Tokenizer | None) -> Answer:
    """The answer, its prompt separated if it repeats it.

    An echo shows by a first token without logprob, and by the number of the prompt's tokens.
    """
    found, count = answer.generated, _echoed_count(response, answer, prompt_text)
    if (
        response.wire_format is not Format.OPENAI
        or found is None
        or answer.prompt is not None
        or count is None
        or not 0 < count <= len(found)
        or found.chosen[0] < 0
        or not np.isnan(found.logprobs[found.chosen[0]])
    ):
        return answer
    own, rest = found.between(0, count), found.between(count, len(found))
    repeated = bool(prompt_text) and answer.text.startswith(prompt_text)
    length = len(prompt_text) if repeated else spelled_length(_chosen_literals(own), answer.text)
    prompt = own if tokenizer is None else with_ids(own, answer.text[:length], tokenizer)
    return replace(answer, prompt=prompt, generated=rest, text=answer.text[length:])


def _echoed_count(response: Response, answer: Answer, text: str) -> int | None:
    """How many of an answer's tokens are the prompt's, if the answer repeats it; None if nothing shows.

    The text of the prompt decides if it is known, else the service's count of the prompt. If the two counts don't add
    up to the tokens listed, as when BOS is counted but not listed, the count of the answer decides.
    """
    found, count, generated = answer.generated, response.prompt_tokens, response.generated_tokens
    if found is None:
        return None
    if text and answer.text.startswith(text) and found.literals is not None and (found.chosen >= 0).all():
        place, data = 0, text.encode("utf-8", "surrogatepass")
        for number, name in enumerate(_chosen_literals(found)):
            if place >= len(data):
                return number
            place += len(name) if data.startswith(name, place) else 0
        return len(found) if place >= len(data) else count
    if count is not None and generated is not None and len(response.answers) == 1 and count + generated != len(found):
        return len(found) - generated if 0 < generated < len(found) else count
    return count


def _chosen_literals(found: Positions) -> list[bytes]:
    literals = found.literals or ()
    return [literals[place] for place in found.chosen.tolist() if place >= 0 and literals]
