"""The responses found in a file, and how chunks are joined into responses."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from lib.wire.chunks import Chunk, Group, groups_of
from lib.wire.foreign_formats import NoResponse
from lib.wire.join_chunks import join_chunks
from lib.wire.json_fields import fields_of
from lib.wire.records import SDK_ONLY
from lib.wire.top_level import TopLevel


@dataclass(frozen=True)
class Part:
    """A response, or a chunk of one."""

    body: bytes  # JSON
    request: bytes | None = None  # JSON; None if it wasn't saved
    model: str = ""  # the model that was called; "" if not stated
    place: str = ""  # as in `Document`
    stream: int | None = None  # as in `Document`
    cut: bool = False  # whether it is a stream without its end
    passing: bool = False  # whether the stream repeats it as a whole when it ends
    top: TopLevel | None = field(default=None, repr=False, compare=False)  # of `body`; None if not read yet


Found = list[Part | NoResponse]


def without_repeats(parts: list[Part]) -> list[Part]:
    """Remove the chunks of a response that is repeated as a whole after them."""
    found: list[Part] = []
    for part in parts:
        if part.stream is not None and not part.passing:
            while found and found[-1].passing and found[-1].stream == part.stream:
                found.pop()
        found.append(part)
    return found


def without_metadata(parts: list[Part]) -> list[Part]:
    """Remove the metadata that the AWS CLI and SDKs print beside a body."""
    if len(parts) == 1:
        return parts
    return [part for part in parts if len(part.body) > 10_000 or not _is_metadata(part.body)]


def _is_metadata(body: bytes) -> bool:
    fields = fields_of(body)
    return fields is not None and bool(fields) and set(fields) <= SDK_ONLY


def joined(parts: list[Part]) -> list[Part]:
    """Join the chunks of each response."""
    if len(parts) == 1 and parts[0].stream is None:
        return parts
    groups = groups_of(Chunk(part.body, part.stream, part.request is not None) for part in parts)
    return [_joined_group(parts[group.first], group) for group in groups]


def _joined_group(part: Part, group: Group) -> Part:
    """Join a group of chunks into a response."""
    cut = not group.over and (len(group.bodies) > 1 or part.stream is not None)
    return replace(
        part, body=join_chunks(group.bodies), cut=part.cut or cut, top=part.top if len(group.bodies) == 1 else None
    )


def inheriting(inner: Part, part: Part) -> Part:
    """The inner part, with the outer part's request and model if it has none of its own."""
    return replace(inner, request=inner.request or part.request, model=inner.model or part.model)


def answers_in(part: Part, found: Found) -> Found:
    """Join the chunks in a value of a record. Only the first response gets the record's request."""
    if part.stream is not None:
        return [each if isinstance(each, NoResponse) else inheriting(each, part) for each in found]
    inner = without_repeats([each for each in found if isinstance(each, Part)])
    groups = groups_of(Chunk(each.body, each.stream, each.request is not None) for each in inner)
    whole = [replace(_joined_group(inner[group.first], group), stream=None) for group in groups]
    first = [inheriting(each, part) for each in whole[:1]]
    others = [inheriting(each, replace(part, request=None)) for each in whole[1:]]
    return [*first, *others, *(each for each in found if isinstance(each, NoResponse))]
