"""What is not known of the real service: for each open question a switch, with all answers that it may have.

A client that works under every setting does not depend on a guess.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from lib.errors import InvalidRequest


@dataclass(frozen=True)
class Question:
    """choices: the answers, the first of which is taken unless told otherwise."""

    text: str
    choices: tuple[str, ...]


QUESTIONS: dict[str, Question] = {
    "both-lengths": Question("max_tokens and max_gen_len in one body select", ("openai", "bedrock", "reject")),
    "both-inputs": Question("messages and prompt in one body select", ("chat", "completion", "reject")),
    "legacy-logprobs": Question("return_logprobs for a model from before 2025-07-31 is", ("ignored", "rejected")),
    "early-fields": Question("fields that a model from before 2025-11-11 does not know are", ("ignored", "rejected")),
    "max-logprobs": Question("the most alternatives that may be asked for", ("20", "1", "5", "10")),
    "prompt-logprobs-0": Question("prompt_logprobs: 0", ("ignored", "scores")),
    "echo": Question("echo", ("ignored", "passed")),
    "token-prompts": Question("a prompt given as token ids is", ("rejected", "read")),
    "token-ids": Question("return_token_ids", ("ignored", "passed")),
    "continue-final-message": Question("continue_final_message", ("ignored", "passed")),
    "tokens-as-ids": Question("return_tokens_as_token_ids", ("ignored", "passed")),
    "error-texts": Question("the text of an error of the model server comes", ("plain", "as-json")),
    "bedrock-prompt-logprobs": Question("prompt_logprobs of BedrockCompletion since 2025-11-11", ("absent", "null")),
    "second-entry": Question(
        "a sampled token that was not the likeliest comes, in BedrockCompletion,", ("alone", "with-likeliest")
    ),
    "stream-logprobs": Question("logprobs of a BedrockCompletion stream come with", ("their-tokens", "the-last-chunk")),
    "stream-prompt-logprobs": Question("prompt_logprobs of a stream come with", ("the-first-chunk", "the-last-chunk")),
    "metrics": Question("invocation metrics in streams of OpenAI's formats", ("last-chunk", "own-chunk", "absent")),
    "done-marker": Question("a last part [DONE] in streams of OpenAI's formats", ("absent", "present")),
    "seed": Question("a seed makes logprobs", ("stay", "go-missing")),
    "count-headers": Question("headers with latency and token counts", ("absent", "present")),
    "cold-probe": Question("the body {} sent to a model that is not ready", ("not-ready", "formats")),
}


@dataclass(frozen=True)
class Switches:
    """An answer to every question."""

    answers: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, answer in self.answers.items():
            if name not in QUESTIONS:
                raise InvalidRequest(f"There is no switch {name!r}.", f"The switches are {', '.join(QUESTIONS)}.")
            if answer not in QUESTIONS[name].choices:
                raise InvalidRequest(
                    f"{answer!r} is no setting of {name}.", f"Choose from {', '.join(QUESTIONS[name].choices)}."
                )

    def __getitem__(self, name: str) -> str:
        return self.answers.get(name, QUESTIONS[name].choices[0])

    def all(self) -> dict[str, str]:
        """Every switch and its setting."""
        return {name: self[name] for name in QUESTIONS}


def read_switches(settings: Iterable[str]) -> Switches:
    """Switches from lines like NAME=SETTING. Raises InvalidRequest."""
    answers = {}
    for setting in settings:
        name, equals, answer = setting.partition("=")
        if not equals:
            raise InvalidRequest(f"{setting!r} sets no switch.", "Write NAME=SETTING.")
        answers[name] = answer
    return Switches(answers)
