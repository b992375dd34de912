"""Render a request as the ids a model reads."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lib.core.pieces import Ints
from lib.core.request import Request
from lib.core.tokens import TokenKind
from lib.engines.local.loading import LoadedModel
from lib.engines.local.preview import NO_TEMPLATE
from lib.errors import CandorError, InvalidRequest, TooLong
from lib.models.tokenizer_files import turns_of
from lib.tokenizers.boundary import token_at


@dataclass(frozen=True, eq=False)
class Rendered:
    """A prompt as the model will read it."""

    ids: list[int]
    text: str  # with the chat template applied
    templated: bool  # whether a chat template was applied; False for a raw prompt
    scores_from: int  # place of the first id to score; the number of ids if none is


def render(loaded: LoadedModel, request: Request) -> Rendered:
    """Render and encode a request's prompt.

    Raises InvalidRequest if it cannot be rendered or has no tokens, TooLong.
    """
    text = prompt_text(loaded, request)
    templated = request.prompt is None
    ids = encode(loaded, text, templated=templated)
    if not ids:
        raise InvalidRequest("The prompt has no tokens.", "Enter some text for the model to read.")
    if max(request.prefix_ids, default=0) >= (size := _readable(loaded)):
        raise InvalidRequest(
            f"The answer's beginning contains token id {max(request.prefix_ids):,}; {loaded.name} has {size:,} tokens.",
            "Choose a token from this model's vocabulary.",
        )
    check_context(loaded, len(ids) + len(request.prefix_ids))
    return Rendered(ids, text, templated, _first_scored(loaded, request, ids, text))


def _first_scored(loaded: LoadedModel, request: Request, ids: list[int], text: str) -> int:
    """The place of the first id that needs a score. A token that begins earlier and ends later does."""
    if not request.prompt_scores:
        return len(ids)
    message = request.last_user_text
    start = text.rfind(message.strip())  # chat templates may trim a message
    if not request.scores_from or start < 0:
        return 0
    lead = len(message) - len(message.lstrip())
    return boundary(loaded, ids, text, text[: start + max(request.scores_from - lead, 0)])[0]


def prompt_text(loaded: LoadedModel, request: Request) -> str:
    """The prompt as text, with the chat template applied. Raises InvalidRequest if it cannot be rendered."""
    return request.prompt if request.prompt is not None else _templated(loaded, request)


_MAX_CHARACTERS = 4_000_000  # about a million tokens


def encode(loaded: LoadedModel, text: str, *, templated: bool) -> list[int]:
    """Encode a text.

    A chat template writes its own special tokens; a raw prompt gets the tokenizer's, but BOS only once. An EOS added by
    the tokenizer is removed, since the text continues.

    Raises InvalidRequest if the model lacks one of the tokens, TooLong.
    """
    tokenizer = loaded.tokenizer
    if len(text) > _MAX_CHARACTERS:  # encoding it would take much time and memory
        raise TooLong(
            f"The text has {len(text):,} characters; the limit is {_MAX_CHARACTERS:,}.",
            "Shorten it.",
            len(text),
            loaded.context or _MAX_CHARACTERS,
        )
    ids = tokenizer.ids(text, special=not templated)
    bos, eos = tokenizer.bos, tokenizer.eos
    if not templated and ids and ids[-1] == eos != bos and not text.endswith(tokenizer.name_of(eos)):
        del ids[-1]
    if not templated and len(ids) > 1 and bos is not None and ids[0] == ids[1] == bos:
        del ids[0]
    if ids and max(ids) >= (size := _readable(loaded)):
        name = tokenizer.name_of(max(ids))
        raise InvalidRequest(
            f"The text contains the token {name!r}, but {loaded.name} has only {size:,} tokens and not this one.",
            "Remove it from the text.",
        )
    return ids


def _readable(loaded: LoadedModel) -> int:
    """Number of input embeddings; ids from there on don't exist in the model."""
    return int(loaded.model.get_input_embeddings().weight.shape[0])


def check_context(loaded: LoadedModel, tokens: int) -> None:
    """Raise TooLong if that many tokens do not fit into the model's context."""
    if loaded.context is not None and tokens > loaded.context:
        limit = f"{loaded.name} reads at most {loaded.context:,}."
        raise TooLong(
            f"The prompt has {tokens:,} tokens; {limit} {loaded.context_note}".strip(),
            f"Shorten it by at least {tokens - loaded.context:,} tokens, or choose a model with a longer context.",
            tokens,
            loaded.context,
        )


def prompt_kinds(loaded: LoadedModel, ids: list[int]) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
    """The `TokenKind` of each token of a prompt, uint8 [n]."""
    special = loaded.vocabulary.pieces.special[np.array(ids, np.int32)]
    return np.where(special, TokenKind.SPECIAL, TokenKind.TEXT).astype(np.uint8)


def boundary(loaded: LoadedModel, ids: list[int], text: str, prompt: str) -> tuple[int, int]:
    """Find where the prompt ends among the ids of `text`, which begins with `prompt`.

    Returns (number of tokens in the prompt, bytes of the next token that belong to the prompt too). A token that
    straddles the boundary counts as part of the continuation. Counts bytes of the pieces if these spell the text
    exactly, else uses the tokenizer's own offsets.
    """
    pieces = loaded.vocabulary.pieces.select(np.array(ids, np.int32))
    whole = text.encode()
    lead = _leading(ids, pieces.data.tobytes(), pieces.offsets, whole)
    if lead is not None:
        return token_at(np.diff(pieces.offsets), lead + len(prompt.encode()))
    everything, spans = loaded.tokenizer.offsets(text)
    added = next((skip for skip in range(3) if everything[skip : skip + len(ids)] == ids), 0)  # a BOS missing in `ids`
    for number, (start, end) in enumerate(spans[added : added + len(ids)]):
        if end > len(prompt):
            return number, len(prompt[start : len(prompt)].encode()) if start < len(prompt) else 0
    return len(ids), 0


def _leading(ids: list[int], spelled: bytes, offsets: Ints, whole: bytes) -> int | None:
    """Bytes that the pieces add before the text (BOS, SentencePiece's space); None if they don't spell it exactly."""
    if not ids or not spelled.endswith(whole):
        return None
    lead = len(spelled) - len(whole)
    return lead if lead in (0, 1) or lead in (int(offsets[1]), int(offsets[1]) + 1) else None


def _templated(loaded: LoadedModel, request: Request) -> str:
    if not loaded.has_chat_template:
        raise InvalidRequest(NO_TEMPLATE, "Use a raw prompt instead.")
    try:
        return loaded.tokenizer.render(turns_of(request.messages))
    except CandorError as error:
        raise InvalidRequest(error.cause, error.remedy) from error
    except Exception as error:  # a template is foreign code and may raise anything
        raise InvalidRequest(
            f"The model's chat template does not accept these messages: {error}",
            "Leave out the system message, or use a raw prompt.",
        ) from error
