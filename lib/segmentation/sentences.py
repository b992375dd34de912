"""Split a prompt into sentences, and remove each of them, for leave-one-out ablation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lib.core.pieces import make_pieces
from lib.segmentation.cells import split
from lib.segmentation.groups import Groups

MOST = 60  # parts; more are merged with their neighbours


@dataclass(frozen=True)
class Part:
    """A range of characters of a text."""

    start: int
    end: int  # exclusive


def parts_of(text: str) -> tuple[Part, ...]:
    """The sentences of a text, each with the white space after it. Concatenated, they are the text.

    A sentence never continues past its line. Text without a letter or digit belongs to the sentence before it.
    """
    if not text:
        return ()
    # Treat every character as a token, to get the same sentences as the map.
    characters = sorted(set(text))
    pieces = make_pieces([(number, each.encode(), False) for number, each in enumerate(characters)])
    rows = {each: number for number, each in enumerate(characters)}
    cells = split(pieces, np.array([rows[each] for each in text], np.int32))
    begins = np.flatnonzero(Groups(cells, np.zeros(len(cells), bool)).sentences)
    lengths = np.array([len(cells.text_of(cell)) for cell in range(len(cells))])
    places = np.concatenate([[0], np.cumsum(lengths)])
    starts = [int(places[cell]) for cell in begins]
    found: list[Part] = []
    for start, end in zip(starts, [*starts[1:], len(text)], strict=True):
        if found and not any(each.isalnum() for each in text[start:end]):
            found[-1] = Part(found[-1].start, end)
        else:
            found.append(Part(start, end))
    step = -(-len(found) // MOST)
    return tuple(
        Part(some[0].start, some[-1].end) for some in (found[at : at + step] for at in range(0, len(found), step))
    )


def without(text: str, part: Part) -> str:
    """The text with one part removed."""
    return text[: part.start] + text[part.end :]
