"""Open questions about the real service's behaviour: a switch for each, with every answer it may have.

A client that works under every setting does not depend on a guess.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from lib.errors import InvalidRequest


@dataclass(frozen=True)
class OpenQuestion:
    """Something that AWS does not document."""

    text: str  # the beginning of a sentence that a setting completes
    settings: tuple[str, ...]  # the possible answers; the first is the default


QUESTIONS: dict[str, OpenQuestion] = {
    "both-lengths": OpenQuestion("max_tokens and max_gen_len in one body select", ("openai", "bedrock", "reject")),
    "both-inputs": OpenQuestion("messages and prompt in one body select", ("chat", "completion", "reject")),
    "legacy-logprobs": OpenQuestion(
        "return_logprobs, for a model imported before 2025-07-31, is", ("ignored", "rejected")
    ),
    "early-fields": OpenQuestion("a field unknown to a model imported before 2025-11-11 is", ("ignored", "rejected")),
    "max-logprobs": OpenQuestion("the largest number of alternatives is", ("20", "1", "5", "10")),
    "prompt-logprobs-0": OpenQuestion("prompt_logprobs: 0 is taken as", ("ignored", "scores")),
    "echo": OpenQuestion("echo is", ("ignored", "passed")),
    "token-prompts": OpenQuestion("a prompt of token ids is", ("rejected", "read")),
    "token-ids": OpenQuestion("return_token_ids is", ("ignored", "passed")),
    "continue-final-message": OpenQuestion("continue_final_message is", ("ignored", "passed")),
    "tokens-as-ids": OpenQuestion("return_tokens_as_token_ids is", ("ignored", "passed")),
    "error-texts": OpenQuestion("error texts of the model server arrive", ("plain", "as-json")),
    "bedrock-prompt-logprobs": OpenQuestion(
        "prompt_logprobs in BedrockCompletion responses since 2025-11-11 is", ("absent", "null")
    ),
    "second-entry": OpenQuestion(
        "a sampled token that was not the most likely comes, in BedrockCompletion,", ("alone", "with-most-likely")
    ),
    "stream-logprobs": OpenQuestion(
        "logprobs in a BedrockCompletion stream come with", ("their-tokens", "the-last-chunk")
    ),
    "stream-prompt-logprobs": OpenQuestion(
        "prompt_logprobs in a stream come with", ("the-first-chunk", "the-last-chunk")
    ),
    "metrics": OpenQuestion(
        "invocation metrics in streams of OpenAI's formats are in", ("last-chunk", "own-chunk", "absent")
    ),
    "done-marker": OpenQuestion("a final [DONE] in streams of OpenAI's formats is", ("absent", "present")),
    "seed": OpenQuestion("with a seed, logprobs", ("stay", "go-missing")),
    "count-headers": OpenQuestion("headers with latency and token counts are", ("absent", "present")),
    "cold-probe": OpenQuestion(
        "the body {} sent to a model that is not ready is answered with", ("not-ready", "formats")
    ),
}


_FORMER = {"with-likeliest": "with-most-likely"}  # settings as version 0.1 called them


@dataclass(frozen=True)
class Behaviours:
    """A setting for every open question. Raises InvalidRequest for an unknown name or setting."""

    chosen: Mapping[str, str] = field(default_factory=dict)  # settings by question; the default if missing

    def __post_init__(self) -> None:
        object.__setattr__(self, "chosen", {name: _FORMER.get(each, each) for name, each in self.chosen.items()})
        for name, setting in self.chosen.items():
            if name not in QUESTIONS:
                raise InvalidRequest(f"There is no switch {name!r}.", f"The switches are {', '.join(QUESTIONS)}.")
            if setting not in QUESTIONS[name].settings:
                raise InvalidRequest(
                    f"{setting!r} is not a setting of {name}.", f"Choose from {', '.join(QUESTIONS[name].settings)}."
                )

    def __getitem__(self, name: str) -> str:
        return self.chosen.get(name, QUESTIONS[name].settings[0])

    def all(self) -> dict[str, str]:
        """Every switch with its setting."""
        return {name: self[name] for name in QUESTIONS}


def read_behaviours(lines: Iterable[str]) -> Behaviours:
    """Parse lines of the form NAME=SETTING. Raises InvalidRequest."""
    chosen = {}
    for line in lines:
        name, equals, setting = line.partition("=")
        if not equals:
            raise InvalidRequest(f"{line!r} does not set a switch.", "Write NAME=SETTING.")
        chosen[name] = setting
    return Behaviours(chosen)
