"""A model's tokenizer, as needed to read its responses: text to IDs, IDs to bytes, a chat to its prompt."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property

import numpy as np

from lib.core.request import Message, Request
from lib.tokenizers.vocabulary import Vocabulary


@dataclass(frozen=True, eq=False)
class Tokenizer:
    """A tokenizer, wherever it runs."""

    name: str  # shown to the user
    vocabulary: Vocabulary
    encode: Callable[[str], list[int]]  # IDs of a text; recognizes special tokens in it, adds none
    prefix: tuple[int, ...] = ()  # IDs that the model's configuration puts before a raw prompt
    bos: int | None = None  # beginning-of-sequence ID; None if there is none
    # Renders a chat as the prompt that the model reads; None if no chat template is known.
    render: Callable[[Sequence[Message]], str] | None = None
    # The same for another date: ISO 8601, or "" for a server without a clock. None if the template writes no date.
    render_on: Callable[[Sequence[Message], str], str] | None = None
    context: int | None = None  # tokens that the model takes, as its tokenizer_config.json says; None if it doesn't

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the vocabulary."""
        return self.vocabulary.fingerprint

    @cached_property
    def names(self) -> dict[str, tuple[int, ...]]:
        """IDs by the text that each decodes to alone, which is what services send instead of IDs.

        A name may stand for several IDs: parts of characters decode to U+FFFD, and some decoders drop a leading space.
        """
        found: dict[str, list[int]] = defaultdict(list)
        pieces = self.vocabulary.pieces
        data, offsets = pieces.data.tobytes(), pieces.offsets.tolist()
        for number in range(len(pieces)):
            blob = data[offsets[number] : offsets[number + 1]]
            if blob:
                text = blob.decode("utf-8", "replace")
                found[text].append(number)
                if text.startswith(" ") and len(text) > 1 and self.vocabulary.drops_space:
                    found[text[1:]].append(number)
        for number, written in self.vocabulary.garbled:
            found[written.decode("utf-8", "replace")].append(number)
        return {name: tuple(ids) for name, ids in found.items()}

    @cached_property
    def ids_of_bytes(self) -> dict[bytes, tuple[int, ...]]:
        """IDs by their bytes."""
        found: dict[bytes, list[int]] = defaultdict(list)
        pieces = self.vocabulary.pieces
        data, offsets = pieces.data.tobytes(), pieces.offsets.tolist()
        for number in range(len(pieces)):
            found[data[offsets[number] : offsets[number + 1]]].append(number)
        return {blob: tuple(ids) for blob, ids in found.items() if blob}

    def knows(self, ids: np.ndarray) -> bool:
        """Whether every ID has a piece in the vocabulary. ids: int[n]."""
        if len(ids) == 0:
            return True
        if ids.min() < 0 or ids.max() >= len(self.vocabulary):
            return False
        offsets = self.vocabulary.pieces.offsets
        return bool((offsets[ids + 1] > offsets[ids]).all())

    def prompt_text(self, request: Request) -> str | None:
        """The prompt of a request as text; None for a chat without a template, or one that the template rejects."""
        if request.prompt is not None:
            return request.prompt
        if self.render is None:
            return None
        try:
            return self.render(request.messages)
        except Exception:  # a template is a program that came with the model, and may raise anything
            return None

    def readings(self, request: Request, created: int | None = None) -> list[list[int]]:
        """The ways the model may have tokenized the prompt, most likely first: with and without its prefix and BOS.

        created: when it did, in seconds since 1970, for a chat template that writes the date; None for now. Returns
        nothing if the text of the prompt is unknown.
        """
        text = self.prompt_text(request)
        if text is None:
            return []
        texts = list(dict.fromkeys([*self._texts_on(request, created), text]))
        found = [reading for each in texts for reading in self._readings(request, each)]
        return [reading for place, reading in enumerate(found) if reading not in found[:place]]

    def _texts_on(self, request: Request, created: int | None) -> list[str]:
        """The prompt with each date that the server may have written, as its time zone is unknown."""
        if self.render_on is None or created is None or request.prompt is not None:
            return []
        try:
            moment = datetime.fromtimestamp(created, UTC)
            days = [(moment + timedelta(days=off)).date().isoformat() for off in (0, -1, 1)]
        except (OverflowError, ValueError, OSError):
            return []
        texts = []
        for day in (*days, ""):
            with contextlib.suppress(Exception):  # as for `prompt_text`
                texts.append(self.render_on(request.messages, day))
        return texts

    def _readings(self, request: Request, text: str) -> list[list[int]]:
        plain = self.encode(text)
        readings = [[*self.prefix, *plain], plain]
        if request.prompt is None:
            readings.reverse()  # a template writes its own special tokens
        if self.bos is not None:
            readings.append([self.bos, *plain])
            if plain[:1] == [self.bos]:
                readings.append(plain[1:])
        return readings
