"""A response that somebody saved: what was pasted or uploaded, and the tokenizer that turns its ids into text."""

from __future__ import annotations

from dataclasses import dataclass

from lib.access.policy import Policy
from lib.core.completion import Completion
from lib.core.sources import EMBEDDED
from lib.errors import InvalidRequest
from lib.models.tokenizer_files import load_tokenizer, tokenizer_from_uploads
from lib.tokenizers.tokenizer import Tokenizer
from lib.wire.saved_responses import completions_of, read_saved


@dataclass(frozen=True)
class TokenizerChoice:
    """source: a path, a hub id or EMBEDDED, "" for none. files: uploaded ones, (name, bytes) each; None for none."""

    source: str = ""
    files: tuple[tuple[str, bytes], ...] | None = None

    @property
    def size(self) -> int:
        """Of the uploaded files, in bytes."""
        return sum(len(data) for _, data in self.files or ())

    def load(self) -> Tokenizer | None:
        """The tokenizer, None where none was chosen. Raises InvalidRequest or ModelUnavailable."""
        if self.files is not None:
            if not self.files:
                raise InvalidRequest(
                    "No file of the tokenizer has been uploaded yet.",
                    'Upload tokenizer.json or tokenizer.model, or choose "None: show ids".',
                )
            return tokenizer_from_uploads(dict(self.files))
        return load_tokenizer(self.source) if self.source else None

    def check(self, policy: Policy) -> None:
        """Raise InvalidRequest for a path or hub id where visitors may give none."""
        if self.source not in ("", EMBEDDED) and not policy.open:
            raise InvalidRequest(
                "This server reads no tokenizers from paths or from the hub.", "Upload the tokenizer's files instead."
            )


@dataclass(frozen=True)
class SavedResponse:
    """What was pasted or uploaded, and the tokenizer to read it with."""

    data: bytes
    tokenizer: TokenizerChoice

    def completions(self) -> tuple[Completion, ...]:
        """All completions in it. Raises CandorError."""
        responses = read_saved(self.data)
        return completions_of(responses, self.tokenizer.load())
