"""Answers to fact sheets and ready sets that are made up, without a model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from lib.core.completion import Completion, StopReason
from lib.core.request import Request
from lib.doubts.sheets import Sheet, sheets
from tests.support.scripted_engine import tokens_of

WRONG = "Xanadu"


def is_wrong(name: str) -> bool:
    """Whether the answer to something is wrong, by its name: about half are."""
    return sum(name.encode()) % 2 == 1


def sheet_answer(sheet: Sheet) -> tuple[str, list[tuple[int, int]]]:
    """A complete answer to a sheet, and where its wrong values are: (start, end) of each."""
    text, wrong = "", []
    for field in sheet.fields:
        text += f"{', and ' if text else ''}{field.cue} " if field.cue else " "
        value = WRONG if is_wrong(sheet.row_id + field.name) or not field.expected else field.expected[0]
        if value == WRONG:
            wrong.append((len(text), len(text) + len(value)))
        text += value
    return f"{text}.", wrong


def answer_of(request: Request) -> Completion:
    """What a model says whose wrong values have a low logprob; to other prompts, one short answer."""
    known = {each.prompt: each for each in sheets()}
    sheet = known.get(request.prompt or "")
    text, wrong = sheet_answer(sheet) if sheet is not None else (f" {request.last_user_text[-9:].strip()}", [])
    tokens = tokens_of(text, -0.01 - 0.01 * (len(request.last_user_text) % 7))
    logprobs = tokens.logprobs.copy()
    for start, end in wrong:
        logprobs[start:end] = -1.0 - 0.1 * (start % 5)
    return Completion(request, "m", tokens_of("x"), replace(tokens, logprobs=logprobs), text, StopReason.STOP)


def completion_of(sheet: Sheet) -> Completion:
    """The answer to a sheet."""
    return answer_of(Request(sheet.prompt, max_tokens=64, stop=sheet.stop))


def logprobs_of(completion: Completion, start: int, end: int) -> np.ndarray:
    """float[n]: the logprobs of the characters, each of which is a token."""
    return np.asarray(completion.generated.logprobs[start:end], np.float64)
