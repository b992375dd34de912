"""A call: one request to one model."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace

from lib.core.branching import Fork
from lib.core.request import MAX_SEED, Request
from lib.core.serialization import request_as_json
from lib.core.sources import Source


@dataclass(frozen=True)
class Call:
    """One request to one model, which samples `request.n` answers or scores the given candidates."""

    source: Source
    request: Request
    fork: Fork | None = None  # where a branch leaves another answer
    candidates: tuple[str, ...] = ()  # texts to score as answers; if there are any, nothing is generated

    @property
    def answers(self) -> int:
        """The number of answers: samples, or candidates."""
        return len(self.candidates) or self.request.n

    @property
    def key(self) -> str:
        """SHA-256, in hex, of everything in the call that decides its answers: equal calls have equal answers.

        The weights behind the source's name are known only once its engine is open; `KnownAnswers` compares them.
        """
        decides = [self.source.as_json(), request_as_json(self.request), list(self.candidates)]
        return hashlib.sha256(json.dumps(decides, sort_keys=True).encode("utf-8", "surrogatepass")).hexdigest()

    @property
    def max_new_tokens(self) -> int:
        """The limit on new tokens of all samples together."""
        return 0 if self.candidates else self.request.max_tokens * self.request.n

    @property
    def max_characters_read(self) -> int:
        """An upper limit on the characters that the model reads, without its own answers."""
        request = self.request
        prompt = len(request.prompt or "") + sum(len(each.content) for each in request.messages)
        return prompt * max(request.n, len(self.candidates)) + sum(map(len, self.candidates))

    @property
    def original_request(self) -> Request:
        """The request that the user entered; for a branch, that of its root."""
        return self.request if self.fork is None else self.fork.asked


def answer_alone(call: Call, number: int) -> Call:
    """The call for one answer of a call: a sample or a candidate. number: its place among the answers.

    A sample's seed is the request's plus its number, however many samples are drawn at once.
    """
    if call.candidates:
        return replace(call, candidates=(call.candidates[number],))
    seed = call.request.seed
    seed = None if seed is None else (seed + number) % MAX_SEED
    return replace(call, request=replace(call.request, n=1, seed=seed))
