"""A model's tokenizer, as far as reading its responses needs it: text to ids, ids to bytes, a chat to its prompt."""

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
    """encode: ids of a text as it stands; names of special tokens in it are recognised, and none are added.

    prefix: ids that the model's own set-up puts before a raw prompt. bos: the beginning-of-sequence id, if there is
    one. render: a chat as the prompt that the model reads; None where no chat template is known. render_on: the same as
    on another day (ISO 8601, "" for a server without a clock); None where the template does not write the date.
    """

    name: str
    vocabulary: Vocabulary
    encode: Callable[[str], list[int]]
    prefix: tuple[int, ...] = ()
    bos: int | None = None
    render: Callable[[Sequence[Message]], str] | None = None
    render_on: Callable[[Sequence[Message], str], str] | None = None

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the vocabulary."""
        return self.vocabulary.fingerprint

    @cached_property
    def names(self) -> dict[str, tuple[int, ...]]:
        """The ids behind what a single id decodes to: the strings that services send instead of ids.

        Parts of characters decode to U+FFFD, and some decoders drop the space at the front; so a name may stand for
        several ids.
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
        """The ids of each spelling in bytes."""
        found: dict[bytes, list[int]] = defaultdict(list)
        pieces = self.vocabulary.pieces
        data, offsets = pieces.data.tobytes(), pieces.offsets.tolist()
        for number in range(len(pieces)):
            found[data[offsets[number] : offsets[number + 1]]].append(number)
        return {blob: tuple(ids) for blob, ids in found.items() if blob}

    def knows(self, ids: np.ndarray) -> bool:
        """Whether every id has a piece here."""
        if len(ids) == 0:
            return True
        if ids.min() < 0 or ids.max() >= len(self.vocabulary):
            return False
        offsets = self.vocabulary.pieces.offsets
        return bool((offsets[ids + 1] > offsets[ids]).all())

    def prompt_text(self, request: Request) -> str | None:
        """The text that the model reads for a request; None for a chat without a template, or one it refuses."""
        if request.prompt is not None:
            return request.prompt
        if self.render is None:
            return None
        try:
            return self.render(request.messages)
        except Exception:  # a template is a program of the model's makers, and may raise what it likes
            return None

    def readings(self, request: Request, created: int | None = None) -> list[list[int]]:
        """How the model may have tokenised the prompt, likeliest first: as set up, as it stands, with and without BOS.

        created: when it did, in seconds since 1970, for a chat template that writes the date; None for now. Empty where
        the text of the prompt is not known.
        """
        text = self.prompt_text(request)
        if text is None:
            return []
        texts = list(dict.fromkeys([*self._texts_on(request, created), text]))
        found = [reading for each in texts for reading in self._readings(request, each)]
        return [reading for place, reading in enumerate(found) if reading not in found[:place]]

    def _texts_on(self, request: Request, created: int | None) -> list[str]:
        """The prompt as on the days that the server may have written, as its time zone is not known."""
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
