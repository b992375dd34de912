"""Read files of saved responses, each with its request if that was saved too."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from lib.core.completion import Completion
from lib.core.request import Request
from lib.core.tokens import MOST_CELLS, Tokens, cells_of
from lib.errors import BadResponse, InvalidRequest
from lib.tokenizers.tokenizer import Tokenizer
from lib.wire.decode import decode
from lib.wire.envelopes import contents, placed
from lib.wire.foreign_formats import flattened
from lib.wire.formats import Format
from lib.wire.parts import Part
from lib.wire.requests import decode_request, route
from lib.wire.stream_decoder import CUT_OFF
from lib.wire.top_level import TopLevel

MAX_RESPONSES = 1000
MAX_ANSWERS = 10_000  # in all responses of a file
_MOST_NAMED = 5  # records without a response


@dataclass(frozen=True)
class Saved:
    """A saved response."""

    response: bytes  # JSON
    request: Request | None = None  # None if it wasn't saved
    place: str = ""  # its place in a file of many, such as "Line 3"
    warnings: tuple[str, ...] = ()
    model: str = ""  # the model that was called; "" if only the response may say
    top: TopLevel | None = field(default=None, repr=False, compare=False)  # of `response`; None if not read yet

    def completions(self, tokenizer: Tokenizer | None) -> tuple[Completion, ...]:
        """The completions in the response. Raises BadResponse."""
        try:
            return decode(self.response, self.request, tokenizer, model=self.model, top=self.top)
        except BadResponse as error:
            raise placed(self.place, flattened(self.response) or error) from error


def completions_of(responses: Iterable[Saved], tokenizer: Tokenizer | None) -> tuple[Completion, ...]:
    """The completions in all responses, with their warnings. A warning lists the responses that can't be read.

    Raises BadResponse if none can be read, or if there are too many answers.
    """
    found: list[Completion] = []
    failed: list[BadResponse] = []
    notes: tuple[str, ...] = ()  # about responses that were skipped
    cells = 0
    for response in responses:
        try:
            own = response.completions(tokenizer)
        except BadResponse as error:
            failed.append(error)
            notes += response.warnings
            continue
        found += (replace(done, warnings=(*response.warnings, *done.warnings)) for done in own)
        cells += sum(cells_of((done.prompt, done.generated)) for done in own)
        if len(found) > MAX_ANSWERS:
            raise BadResponse(f"The file holds more than {MAX_ANSWERS:,} answers.", "Cut it into several files.")
        if cells > 2 * MOST_CELLS:
            raise BadResponse("The file holds more positions and alternatives than are opened at once.", "Cut it up.")
    if failed and not found:
        raise failed[0]
    notes += _left_out(failed)
    return (replace(found[0], warnings=(*notes, *found[0].warnings)), *found[1:]) if notes else tuple(found)


def read_saved(data: bytes) -> list[Saved]:
    """The responses in a file or in pasted text, however they were saved. Raises BadResponse, which names the place.

    Records without a response, such as those of failed calls, are skipped and listed in the first response's warnings.
    If no record has a response, BadResponse is raised.
    """
    found = contents(data)
    if len(found.parts) > MAX_RESPONSES:
        raise BadResponse(
            f"The file holds {len(found.parts):,} responses; at most {MAX_RESPONSES:,} are opened at once.",
            "Cut it into several files.",
        )
    saved = []
    for number, part in enumerate(found.parts):
        try:
            own = _paired(part)
        except BadResponse as error:
            raise placed(part.place, error) from error
        notes: tuple[str, ...] = (CUT_OFF,) if part.cut else ()
        notes += _left_out(found.left_out) if number == 0 else ()
        saved.append(replace(own, warnings=(*own.warnings, *notes)))
    return saved


def _left_out(errors: Sequence[BadResponse]) -> tuple[str, ...]:
    if not errors:
        return ()
    listed = " ".join(error.cause for error in errors[:_MOST_NAMED])
    more = f" And {len(errors) - _MOST_NAMED:,} more." if len(errors) > _MOST_NAMED else ""
    count = "One record of the file holds" if len(errors) == 1 else f"{len(errors):,} records of the file hold"
    return (f"{count} no response. {listed}{more}",)


def _paired(part: Part) -> Saved:
    if part.request is None:
        return Saved(part.body, None, part.place, model=part.model, top=part.top)
    try:
        body: Any = json.loads(part.request)
        if not isinstance(body, dict):
            raise InvalidRequest("It is not an object.")
        request = decode_request(body, _wire_format(body, part.body))
        return Saved(part.body, request, part.place, model=part.model, top=part.top)
    except (ValueError, RecursionError, InvalidRequest) as error:
        reason = error.cause if isinstance(error, InvalidRequest) else "It is not JSON."
        note = f"The request that was saved with the response cannot be used: {reason}"
        return Saved(part.body, None, part.place, (note,), part.model, part.top)


def _wire_format(body: dict[str, Any], response: bytes) -> Format:
    """The format of a request. The response decides the generation: only early models return prompt logprobs."""
    wire_format = route(body)
    return Format.EARLY if wire_format is Format.BEDROCK and b'"prompt_logprobs"' in response else wire_format


def decoded(done: Completion) -> dict[str, list[dict[str, list[Any]] | None]]:
    """Per position, {id: [text, p rounded to four decimals]}, as published with the first responses that had logprobs.

    The chosen token comes first, then the others, most likely first. An unscored position is null. A token without an
    id is keyed by its text.
    """
    return {
        name: list(_decoded(getattr(done, part)))
        for name, part in (("prompt_logprobs", "prompt"), ("logprobs", "generated"))
    }


def _decoded(tokens: Tokens) -> Iterator[dict[str, list[Any]] | None]:
    for row in range(len(tokens)):
        entries = [(int(tokens.refs[row]), float(tokens.logprobs[row]))]
        entries += zip(tokens.top_refs[row].tolist(), tokens.top_logprobs[row].tolist(), strict=True)
        found: dict[str, list[Any]] = {}
        for ref, logprob in entries:
            if ref >= 0 and not math.isnan(logprob):
                number, text = int(tokens.pieces.ids[ref]), tokens.pieces.text_of(ref)
                found.setdefault(str(number) if number >= 0 else text, [text, round(math.exp(logprob), 4)])
        yield found or None
