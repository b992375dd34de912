"""What the child process can be asked to do. A task imports its libraries at its start: later it can open no file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lib.errors import ModelUnavailable
from lib.segmentation.char_classes import encodable

_MOST_TEXT = 5_000_000  # characters that a template may write
_MOST_SPELLED = 60_000_000  # bytes of a vocabulary


class TokenizerTask:
    """A tokenizer from the bytes of its files: texts to ids."""

    files = 0

    def __init__(self) -> None:
        import google.protobuf.message  # type: ignore[import-untyped]  # noqa: F401
        import sentencepiece.sentencepiece_model_pb2  # noqa: F401
        import tiktoken  # noqa: F401
        import tokenizers  # noqa: F401

        from lib.tokenizers.build import build
        from lib.tokenizers.check import check

        self._build, self._check = build, check

    def open(self, given: Any) -> Any:
        """given: {"files": bytes by name}. Returns the vocabulary's arrays and the ids with a meaning."""
        self._built = built = self._build(given["files"])
        self._check(built, given["files"])  # panics, where it would at every text
        pieces = built.vocabulary.pieces
        if len(pieces.data) > _MOST_SPELLED:
            raise ModelUnavailable(
                "The vocabulary is far larger than any model's.", "Give the model's own tokenizer.json."
            )
        return {
            "offsets": pieces.offsets.astype("<i4").tobytes(),
            "data": pieces.data.tobytes(),
            "special": pieces.special.tobytes(),
            "exact": built.vocabulary.exact,
            "drops_space": built.vocabulary.drops_space,
            "garbled": list(built.vocabulary.garbled),
            "prefix": list(built.prefix),
            "bos": built.bos,
            "has_template": built.template is not None,
            "writes_date": built.template is not None and "strftime_now" in built.template.source,
        }

    def encode(self, given: str) -> bytes:
        """int32 ids of a text."""
        import numpy as np

        return np.array(self._built.encode(given), "<i4").tobytes()


class ChatTokenizerTask(TokenizerTask):
    """A tokenizer with its chat template, whose renderer takes longer to import."""

    def __init__(self) -> None:
        super().__init__()
        from lib.tokenizers import chat_templates

        chat_templates.warm_up()

    def render(self, given: Any) -> str:
        """The prompt of a chat; given: [{"role", "content"}]."""
        template = self._built.template
        if template is None:
            raise ModelUnavailable("This tokenizer has no chat template.", "Use a raw prompt instead.")
        return _rendered(template, given)

    def render_on(self, given: Any) -> str:
        """The prompt of a chat as on another day; given: {"turns", "day"}, see `chat_templates.render`."""
        template = self._built.template
        if template is None:
            raise ModelUnavailable("This tokenizer has no chat template.", "Use a raw prompt instead.")
        return _rendered(template, given["turns"], given["day"])


class TemplateTask:
    """A chat template alone."""

    files = 0

    def __init__(self) -> None:
        from lib.tokenizers import chat_templates

        chat_templates.warm_up()

    def open(self, given: Any) -> None:
        """given: {"source", "names"}, see `lib.tokenizers.build.Template`."""
        from lib.tokenizers.build import Template

        self._template = Template(given["source"], given["names"])

    def render(self, given: Any) -> str:
        """The prompt of a chat; given: [{"role", "content"}]."""
        return _rendered(self._template, given)


class GgufTask:
    """The metadata of a GGUF file."""

    files = 2  # the file itself, which mapping it opens twice

    def __init__(self) -> None:
        import gguf  # noqa: F401
        import sentencepiece.sentencepiece_model_pb2  # noqa: F401

        from lib.tokenizers.gguf_metadata import check

        self._check = check

    def open(self, given: str) -> Any:
        """given: the file's path."""
        return self._check(given)


def _rendered(template: Any, turns: Any, day: str | None = None) -> str:
    from lib.tokenizers.chat_templates import render

    text = render(template, turns, day)
    if len(text) > _MOST_TEXT:
        raise ModelUnavailable("The chat template writes too long a prompt.", "Use a raw prompt instead.")
    return encodable(text)


TASKS: dict[str, Callable[[], Any]] = {
    "tokenizer": TokenizerTask,
    "chat-tokenizer": ChatTokenizerTask,
    "template": TemplateTask,
    "gguf": GgufTask,
}
