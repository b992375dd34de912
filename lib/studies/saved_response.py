"""A saved response: pasted or uploaded data, and the tokenizer that turns its ids into text."""

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
    """Where the tokenizer of a saved response comes from."""

    source: str = ""  # a path, a hub id or "embedded"; "" for none
    files: tuple[tuple[str, bytes], ...] | None = None  # uploaded (name, bytes); None if files are not used

    @property
    def size(self) -> int:
        """Bytes of the uploaded files."""
        return sum(len(data) for _, data in self.files or ())

    def load(self) -> Tokenizer | None:
        """Load the tokenizer; None if none was chosen. Raises InvalidRequest or ModelUnavailable."""
        if self.files is not None:
            if not self.files:
                raise InvalidRequest(
                    "No tokenizer file has been uploaded yet.",
                    'Upload tokenizer.json or tokenizer.model, or choose "None: show ids".',
                )
            return tokenizer_from_uploads(dict(self.files))
        return load_tokenizer(self.source) if self.source else None

    def check(self, policy: Policy) -> None:
        """Raise InvalidRequest for a path or hub id if the server does not allow them."""
        if self.source not in ("", EMBEDDED.path) and not policy.open:
            raise InvalidRequest(
                "This server reads no tokenizers from paths or from the hub.", "Upload the tokenizer's files instead."
            )


@dataclass(frozen=True)
class SavedResponse:
    """A pasted or uploaded response."""

    data: bytes  # JSON or JSON Lines
    tokenizer: TokenizerChoice

    def completions(self) -> tuple[Completion, ...]:
        """All completions in the data. Raises CandorError."""
        responses = read_saved(self.data)
        return completions_of(responses, self.tokenizer.load())
