"""The tokenizer of a model that runs in this process."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from lib.errors import InvalidRequest, ModelUnavailable
from lib.models.tokenizer_files import files_in
from lib.sandbox.sandbox import Sandbox
from lib.tokenizers import chat_templates
from lib.tokenizers.build import ANY_OF, build
from lib.tokenizers.built import Built

_checked: set[bytes] = set()  # digests of files that a child process has read safely


def open_tokenizer(directory: Path, *, foreign: bool) -> LocalTokenizer:
    """Open the tokenizer in a model's directory. Raises ModelUnavailable.

    foreign: have a child process read the files first.
    """
    files = files_in(directory)
    if not any(name in files for name in ANY_OF):
        raise ModelUnavailable(
            f"There is no tokenizer in {directory}.", "Add the model's tokenizer.json, which most models have."
        )
    if foreign and (digest := _digest(files)) not in _checked:
        what = f"The tokenizer in {directory}"
        sandbox = Sandbox("tokenizer", {"files": files}, what=what, remedy="Add the model's own tokenizer.json.")
        sandbox.open()
        sandbox.close()
        _checked.add(digest)
    return LocalTokenizer(build(files), foreign)


def _digest(files: Mapping[str, bytes]) -> bytes:
    digest = hashlib.sha256()
    for name, data in sorted(files.items()):
        digest.update(f"{name} {len(data)}\n".encode())
        digest.update(data)
    return digest.digest()


@dataclass(frozen=True, eq=False)
class LocalTokenizer:
    """A tokenizer in this process, as the engine encodes all the time. A foreign template runs in a child process."""

    built: Built
    foreign: bool = True  # the files are not Candor's own

    @property
    def bos(self) -> int | None:
        """The beginning-of-sequence ID; None if there is none."""
        return self.built.bos

    @property
    def eos(self) -> int | None:
        """The end-of-sequence ID; None if there is none."""
        return self.built.eos

    def ids(self, text: str, *, special: bool) -> list[int]:
        """IDs of a text. special: with the tokens that the tokenizer adds around it.

        Raises InvalidRequest if the tokenizer fails on the text.
        """
        try:
            if self.built.backend is None or not special:
                return [*(self.built.prefix if special else ()), *self.built.encode(text)]
            return list(self.built.backend.encode_batch_fast([text])[0].ids)
        except (KeyboardInterrupt, SystemExit, MemoryError):
            raise
        except BaseException as error:  # its panics are not Exceptions
            raise InvalidRequest(
                "The model's tokenizer fails on this text.", "Shorten the text, or choose another model."
            ) from error

    def offsets(self, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        """IDs of a text with the tokens added around it, and their positions: (start, end) in characters."""
        if self.built.spans is not None:
            before = [(0, 0)] * len(self.built.prefix)
            return self.ids(text, special=True), [*before, *self.built.spans(text)]
        encoded = self.built.backend.encode(text)
        return list(encoded.ids), list(encoded.offsets)

    def name_of(self, number: int) -> str:
        """An ID's token as text; the ID itself if it is out of range."""
        pieces = self.built.vocabulary.pieces
        return pieces.text_of(number) if 0 <= number < len(pieces) else str(number)

    def render(self, turns: Sequence[Mapping[str, str]]) -> str:
        """Render a chat as a prompt. Raises ModelUnavailable, or whatever the embedded model's template raises."""
        if self._sandbox is not None:
            return str(self._sandbox.call("render", list(turns)))
        if self.built.template is None:
            raise ModelUnavailable("This model has no chat template.", "Use a raw prompt instead.")
        return chat_templates.render(self.built.template, turns)

    @cached_property
    def _sandbox(self) -> Sandbox | None:
        """The child process that renders a foreign template; None if the template is trusted or there is none."""
        if self.built.template is None or not self.foreign:
            return None
        return Sandbox(
            "template",
            {"source": self.built.template.source, "names": dict(self.built.template.names)},
            what="The model's chat template",
            remedy="Leave out the system message, or use a raw prompt.",
        )
