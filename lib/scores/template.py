"""Which tokens of a chat prompt are the messages' own text, and which the chat template added."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lib.core.completion import Completion
from lib.core.tokens import Tokens

Mask = NDArray[np.bool_]


def message_mask(tokens: Tokens, contents: Sequence[str]) -> Mask:
    """bool[n]: tokens inside a message's text. Messages are trimmed, as chat templates may do."""
    return _inside(tokens, contents)[0]


def template_mask(completion: Completion) -> Mask:
    """bool[n]: the prompt's tokens that the chat template added: role names, default system prompts, line breaks.

    Empty for a raw prompt, and where a message is not found as it was written.
    """
    request = completion.request
    none: Mask = np.zeros(len(completion.prompt), bool)
    if request is None or not request.messages:
        return none
    inside, all_found = _inside(completion.prompt, [message.content for message in request.messages])
    return ~inside if all_found else none


def _inside(tokens: Tokens, contents: Sequence[str]) -> tuple[Mask, bool]:
    parts = [tokens.pieces.bytes_of(int(ref)) if ref >= 0 else b"" for ref in tokens.refs]
    ends = np.cumsum([len(part) for part in parts])
    starts = ends - [len(part) for part in parts]
    data, reached, all_found = b"".join(parts), 0, True
    inside: Mask = np.zeros(len(tokens), bool)
    for content in contents:
        wanted = content.strip().encode(errors="surrogatepass")
        place = data.find(wanted, reached)
        all_found &= place >= 0
        if wanted and place >= 0:
            reached = place + len(wanted)
            inside |= (starts >= place) & (ends <= reached) & (ends > starts)
    return inside, all_found
