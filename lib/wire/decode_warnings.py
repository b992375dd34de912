"""The warnings about a decoded response."""

from __future__ import annotations

from lib.core.completion import Completion

NO_LOGPROBS = (
    "The response has no logprobs. Either they weren't requested (return_logprobs for BedrockCompletion, logprobs for "
    "the other formats), or the model was imported before 2025-07-31 and returns none. In that case, import it again."
)
NO_ANSWER_LOGPROBS = (
    "The response has logprobs for the prompt but none for the answer. Request those too: logprobs in OpenAI's formats."
)
NO_PROMPT_LOGPROBS = "Prompt logprobs were requested, but the response has none."
OTHER_TOKENIZATION = "The tokenizer splits the prompt differently from the model."
DATED_TEMPLATE = " Its chat template inserts the date; the day the response was created and today were tried."
PROMPT_COUNT_DIFFERS = (
    "The model counts {model:,} tokens in the prompt, the tokenizer {tokenizer:,}. It may be another model's "
    "tokenizer, or the prompt may not be the one that was sent."
)
UNDECIDED = (
    "At {places} of the {part}, the response lists several tokens and nothing shows which one was chosen; the order of "
    "its keys may have changed. They are left unscored. Opening it with the request and the model's tokenizer usually "
    "settles it."
)
GUARDED = "A guardrail changed the text. The tokens and their logprobs are the model's own, from before the guardrail."
NOT_SPELLED = (
    "The tokens in the response don't spell its text. They are shown as the service listed them, so a score may belong "
    "to another token. Read the text itself below the map."
)
GARBLED = (
    "The service writes some of the vocabulary's added tokens with other characters, because its decoder reads them as "
    "bytes. The map shows the vocabulary's own spelling."
)
LONGER = (
    "The response lists more tokens than its text has. Those after the text count as the answer. Read the text itself "
    "below the map."
)
TOO_FEW = "The response lists {listed:,} of the answer's {count:,} tokens. The rest of its text has no logprobs."
GAPS = "The response lists only some of the answer's tokens. The rest of its text has no logprobs."
NO_STRINGS = (
    "The response lists {count:,} tokens without their text; they are parts of characters. The answer's text shows "
    "what they spell together."
)
INFERRED_K = "The number of alternatives requested for the {part} is unknown; {k} {are} inferred."
NO_SCORES = "The response lists the answer's tokens without logprobs."
NO_NAMES = "The response lists alternatives but not the answer's own tokens, so the answer has no scores."
ECHO = (
    "The first token has no logprob, as in a response that repeats its prompt (echo). The prompt may be part of this "
    "answer. Open the response with its request to separate the two."
)
UNOPENED = "Everything before the marker that closes the reasoning counts as reasoning, although no marker opens it."
UNSEPARATED_REASONING = (
    "The answer contains reasoning, which can't be separated without the model's tokenizer: every score includes it. "
    "Choose the tokenizer that was imported with the model."
)
WRONG_TOKENIZER = (
    "This is not the model's tokenizer: its tokens don't spell the text of the response. Tokens are shown as the "
    "service names them. Choose the tokenizer that was imported with the model."
)
MISMATCH = (
    "This is not the model's tokenizer: its tokens don't spell the text of the response. Trust the scores, not the "
    "texts of the tokens. Choose the tokenizer that was imported with the model."
)


def text_differs(done: Completion) -> bool:
    """Whether an answer's tokens don't spell its text, according to its warnings."""
    return not {GUARDED, LONGER, MISMATCH, NOT_SPELLED, WRONG_TOKENIZER}.isdisjoint(done.warnings)


def undecided(count: int, part: str) -> list[str]:
    """The warning about positions whose token isn't known, if there are any. part: "prompt" or "answer"."""
    if not count:
        return []
    return [UNDECIDED.format(places="one position" if count == 1 else f"{count:,} positions", part=part)]


def inferred_k(k: int, part: str) -> str:
    """The warning about an inferred number of alternatives. part: "prompt" or "answer"."""
    return INFERRED_K.format(part=part, k=k, are="is" if k == 1 else "are")


def missing_tokens(listed: int, count: int | None) -> str:
    """The warning about tokens that aren't listed. count: the answer's tokens as the service counts them."""
    return GAPS if count is None else TOO_FEW.format(listed=listed, count=count)
