"""The tasks of the child process. A task imports its libraries when it starts, as it can't open files later."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lib.errors import ModelUnavailable
from lib.segmentation.char_classes import encodable

_MAX_PROMPT = 5_000_000  # characters that a template may write
_MAX_VOCABULARY = 60_000_000  # bytes


class TokenizerTask:
    """Encodes texts with a tokenizer built from the bytes of its files."""

    files = 0

    def __init__(self) -> None:
        import google.protobuf.message  # type: ignore[import-untyped]  # noqa: F401
        import sentencepiece.sentencepiece_model_pb2  # noqa: F401
        import tiktoken  # noqa: F401
        import tokenizers  # noqa: F401

        from lib.tokenizers.build import build
        from lib.tokenizers.check import check

        self._build, self._check = build, check

    def open(self, source: Any) -> Any:
        """Build the tokenizer; return the arrays of its vocabulary and its special IDs.

        source: {"files": bytes by name}.
        """
        self._built = built = self._build(source["files"])
        self._check(built, source["files"])  # panics here rather than at every text
        pieces = built.vocabulary.pieces
        if len(pieces.data) > _MAX_VOCABULARY:
            raise ModelUnavailable(
                "The vocabulary is far larger than any real model's.", "Use the model's own tokenizer.json."
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
            "context": built.context,
            "writes_date": built.template is not None and "strftime_now" in built.template.source,
        }

    def encode(self, text: str) -> bytes:
        """Little-endian int32 IDs of a text."""
        import numpy as np

        return np.array(self._built.encode(text), "<i4").tobytes()


class ChatTokenizerTask(TokenizerTask):
    """The same with the tokenizer's chat template, whose renderer takes longer to import."""

    def __init__(self) -> None:
        super().__init__()
        from lib.tokenizers import chat_templates

        chat_templates.warm_up()

    def render(self, turns: Any) -> str:
        """Render a chat as a prompt. turns: [{"role", "content"}]."""
        template = self._built.template
        if template is None:
            raise ModelUnavailable("This tokenizer has no chat template.", "Use a raw prompt instead.")
        return _rendered(template, turns)

    def render_on(self, dated: Any) -> str:
        """Render a chat for another date. dated: {"turns", "day"}, see `chat_templates.render`."""
        template = self._built.template
        if template is None:
            raise ModelUnavailable("This tokenizer has no chat template.", "Use a raw prompt instead.")
        return _rendered(template, dated["turns"], dated["day"])


class TemplateTask:
    """Renders chats with a chat template alone."""

    files = 0

    def __init__(self) -> None:
        from lib.tokenizers import chat_templates

        chat_templates.warm_up()

    def open(self, source: Any) -> None:
        """Take the template: {"source", "names"}, see `lib.tokenizers.built.Template`."""
        from lib.tokenizers.built import Template

        self._template = Template(source["source"], source["names"])

    def render(self, turns: Any) -> str:
        """Render a chat as a prompt. turns: [{"role", "content"}]."""
        return _rendered(self._template, turns)


class GgufTask:
    """Reads the metadata of a GGUF file."""

    files = 2  # mapping the file opens it twice

    def __init__(self) -> None:
        import gguf  # noqa: F401
        import sentencepiece.sentencepiece_model_pb2  # noqa: F401

        from lib.tokenizers.gguf_metadata import check

        self._check = check

    def open(self, path: str) -> Any:
        """Read the metadata, see `lib.tokenizers.gguf_metadata.check`."""
        return self._check(path)


class ParquetTask:
    """Reads the rows of a Parquet file."""

    files = 0

    def __init__(self) -> None:
        from lib.sandbox import parquet_rows

        parquet_rows.prepare()
        self._read = parquet_rows.json_lines

    def open(self, source: Any) -> str:
        """The rows as JSON Lines. source: {"data", "most_rows", "most_bytes"}, see `parquet_rows.json_lines`."""
        return self._read(source["data"], source["most_rows"], source["most_bytes"])


def _rendered(template: Any, turns: Any, day: str | None = None) -> str:
    from lib.tokenizers.chat_templates import render

    text = render(template, turns, day)
    if len(text) > _MAX_PROMPT:
        raise ModelUnavailable("The chat template writes a prompt that is too long.", "Use a raw prompt instead.")
    return encodable(text)


TASKS: dict[str, Callable[[], Any]] = {
    "tokenizer": TokenizerTask,
    "chat-tokenizer": ChatTokenizerTask,
    "template": TemplateTask,
    "gguf": GgufTask,
    "parquet": ParquetTask,
}
