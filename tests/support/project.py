"""What a format can carry of a completion.

The law of the wire: `decode(encode(c, form), request, tokenizer) == project(c, form, request, tokenizer)`.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from lib.core.answer_parser import without_opening
from lib.core.completion import Completion, Origin, Scale
from lib.core.request import Request
from lib.core.tokens import NO_TOKENS, Tokens
from lib.tokenizers.tokenizer import Tokenizer
from lib.wire.encode_positions import sent_answer, sent_prompt
from lib.wire.formats import Format, asked_top, carried_k
from lib.wire.positions import to_tokens
from lib.wire.resolve_ids import ranks_of, with_ids
from lib.wire.token_kinds import Shape, answer_kinds


def project(done: Completion, form: Format, request: Request, tokenizer: Tokenizer) -> Completion:
    """The completion as it comes out at the other end, read with the model's own tokenizer.

    BedrockCompletion keeps the sampled token alone and no rank; before 2025-11-11 it keeps prompt scores, too, each
    with the likeliest token where that is another. The OpenAI formats keep everything of the prompt; of the answer
    they send strings, so that an id is kept where string and text tell it, and a rank where the list does. A chat's
    list begins with the sampled token, which takes a place in it.
    """
    k = carried_k(form, request.k)
    vocabulary = tokenizer.vocabulary
    known = list(done.prompt.ids.tolist()) in tokenizer.readings(request)
    if form.scores_prompts and request.prompt_scores and len(done.prompt):
        found = sent_prompt(done.prompt, form)
        own = done.prompt.ids if known else np.full(len(found), -1, np.int32)
        prompt = replace(to_tokens(found, own, k, vocabulary), kinds=done.prompt.kinds)
    else:
        prompt = _unscored(done.prompt) if known else NO_TOKENS
    sent = sent_answer(done.generated, form, asked_top(form, request.k))
    if not form.is_bedrock:
        names = tokenizer.names
        hidden = {blob for blob in sent.literals or () if len(names.get(blob.decode(), ())) > 1}
        openai = form is Format.OPENAI
        sent = ranks_of(sent, k, hidden if openai else None, roomy=openai)
        sent = with_ids(sent, done.text, tokenizer)
    generated = to_tokens(sent, np.full(len(sent), -1, np.int32), k, vocabulary, done.generated.kinds)
    # What was not known before is not known afterwards.
    generated = replace(generated, ranks=np.where(done.generated.ranks > 0, generated.ranks, np.int32(-1)))
    if any(ref >= 0 and is_lossy(generated, ref) for ref in generated.refs.tolist()):
        generated = without_opening(replace(generated, kinds=_told_kinds(generated, done, request, tokenizer)))
    written = len(generated) > 0
    how = ["prompt: tokens"] * bool(len(prompt))
    how += [f"answer: {'single entry' if form.is_bedrock else 'name'}"] * written
    return replace(
        done,
        request=request,
        model="" if form.is_bedrock else done.model,
        prompt=prompt,
        generated=generated,
        stop_reason=done.stop_reason if done.stop_reason in ("stop", "length") else None,
        scale=Scale.RAW,
        origin=Origin.GENERATED,
        overlap=0,
        chosen_by="; ".join(how),
        vocabulary_size=len(vocabulary),
    )


def is_lossy(tokens: Tokens, ref: int) -> bool:
    """Whether only a string is known of a token, and that has lost its bytes."""
    return bool(tokens.pieces.ids[ref] < 0) and "\N{REPLACEMENT CHARACTER}".encode() in tokens.pieces.bytes_of(ref)


def _told_kinds(tokens: Tokens, done: Completion, request: Request, tokenizer: Tokenizer) -> NDArray[np.uint8]:
    """Where bytes are lost, what a token is for is only known as far as the text tells."""
    pieces = [(tokens.pieces.bytes_of(ref), bool(tokens.pieces.special[ref])) for ref in tokens.refs.tolist()]
    prompt = tokenizer.prompt_text(request) or ""
    shape = Shape(done.text, done.stop_reason != "length", prompt=prompt, stops=request.stop)
    return answer_kinds(pieces, shape)[0]


def _unscored(tokens: Tokens) -> Tokens:
    count = len(tokens)
    return replace(
        tokens,
        logprobs=np.full(count, np.nan, np.float32),
        ranks=np.full(count, -1, np.int32),
        top_refs=np.empty((count, 0), np.int32),
        top_logprobs=np.empty((count, 0), np.float32),
    )
