"""A page with one token map of a completion with every special case. Run by test_token_map.py."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from lib.core.completion import Completion
from lib.core.pieces import Pieces, make_pieces
from lib.core.request import Request
from lib.core.tokens import TokenKind, Tokens, make_tokens
from lib.display.token_map_view import TokenMapView
from lib.jobs.batch import Batch, batch_of
from lib.jobs.job import Job
from tests.support.hostile_text import STRINGS

Likely = Sequence[tuple[str | bytes, float]]


@dataclass(frozen=True)
class Row:
    """A token: its bytes, p (None = unscored), rank (-1 = unknown) and kind; `likely` are the alternatives and p."""

    text: str | bytes
    p: float | None = 0.95
    rank: int = 1
    kind: TokenKind = TokenKind.TEXT
    likely: Likely | None = None

    @property
    def data(self) -> bytes:
        return _data(self.text)

    @property
    def alternatives(self) -> Likely:
        """The alternatives at this position; by default the token itself and two others."""
        if self.likely is not None:
            return self.likely
        p = self.p or 0.0
        return sorted([(self.text, p), (" the", 0.5 * (1 - p)), (" a", 0.3 * (1 - p))], key=lambda each: -each[1])


def _data(text: str | bytes) -> bytes:
    return text.encode() if isinstance(text, str) else text


PROMPT = (
    Row("<|im_start|>", None, -1, TokenKind.SPECIAL, ()),
    Row("user", 0.42, 2),
    Row("\n", 0.99),
    *(Row(word, p) for word, p in (("What", 0.08), (" is", 0.61), (" the", 0.72), (" capital", 0.03))),
    *(Row(word, p) for word, p in ((" of", 0.98), (" France", 0.02), ("?", 0.91))),
    Row("<|im_end|>", 0.97, 1, TokenKind.SPECIAL),
    Row("\n", 0.99),
    Row("<|im_start|>", 0.99, 1, TokenKind.SPECIAL),
    Row("assistant", 0.99),
    Row("\n", 0.99),
)
REASONING = (
    Row("<think>", 0.99, 1, TokenKind.REASONING),
    *(
        Row(word, p, 1, TokenKind.REASONING)
        for word, p in (("\n", 0.9), ("They", 0.31), (" ask", 0.64), (" for", 0.55))
    ),
    *(
        Row(word, p, 2, TokenKind.REASONING)
        for word, p in ((" the", 0.2), (" capital", 0.81), (".", 0.4), ("\n", 0.95))
    ),
    Row("</think>", 0.98, 1, TokenKind.REASONING),
    Row("\n\n", 0.99, 1, TokenKind.REASONING),
)
EMOJI = (Row(b"\xf0\x9f", 0.12, 4), Row(b"\x98\x80", 0.4, 1))
ANSWER = (
    Row("The", 0.62),
    Row(" capital", 0.97),
    Row(" of", 0.999),
    Row(" France", 0.94),
    Row(" is", 0.96),
    Row(" Paris", 0.586, 1, likely=((" Paris", 0.586), (" Lyon", 0.2), (" called", 0.1), ("\n", 0.05))),
    Row(",", 0.31),
    Row(" never", 0.004, 310, likely=((" the", 0.5), (" which", 0.2), (" a", 0.1), (" and", 0.05))),
    Row(" impossible", 0.0, 50_001, likely=((" the", 0.6), (" a", 0.3))),
    Row(" words", 6.1e-6, -1, likely=((" the", 0.6), (" a", 0.3))),
    Row(".", 0.9),
    Row("\n", 0.8),
    Row("def", 0.2, 5),
    Row(" f", 0.12),
    Row("(x):", 0.33),
    Row("\n", 0.99),
    Row("    ", 0.97),
    Row("return", 0.88),
    Row(" x", 0.66),
    Row("\t", 0.04, 40),
    Row("# tab", 0.16),
    Row("\n\n", 0.7),
    *EMOJI,
    Row(" cafe", 0.5),
    Row("\u0301", 0.28),
    Row("世", 0.45),
    Row("界", 0.93),
    Row(" <script>window.pwned=1</script>", 0.02, 900),
    Row("<img src=x onerror=window.pwned=1>", 0.01, 1200),
    Row("</style>", 0.06, 60),
    Row("</i></div>", 0.07, 61),
    Row("&lt;b&gt;", 0.2),
    Row(" \u202e", 0.005, 400),
    Row("evil", 0.2),
    Row("\u200b", 0.03, 99),
    Row(" done", 0.74),
    Row(".", 0.86),
)
STOP = (Row("<|im_end|>", 0.52, 1, TokenKind.STOP),)
MORE = tuple(
    Row(word, p)
    for line in range(30)
    for word, p in ((" More", 0.3), (" text", 0.6), (f" in line {line}", 0.011), (".", 0.95), ("\n", 0.9))
)
SCRIPTS = (
    *(Row(word, 0.6) for word in ("שלום", " עולם", ",", " abc", " טוב", "\n")),  # right to left
    *(Row(word, 0.3) for word in ("سل", "ام", " عليكم", "\n")),  # … with letters that join across tokens
    *(Row(word, 0.4) for word in ("नम", "स्ते", " 世", "界", "。", "e", "\u0301", "\n")),
    *(Row(word, 0.2) for word in ("👨", "\u200d", "👩", "\u200d", "👧", " 🇩", "🇪", " 👍", "🏽", "\n")),
    *(Row(word, 0.9) for word in ("if", " x", ":", "\n", "    ", "if", " y", ":", "\n", "        ", "z", "\n")),
)
OTHER = (Row("Lyon", 0.3), Row(" it", 0.02), Row(" is", 0.9), Row(".", 0.97))


def _table(rows: Iterable[Row]) -> tuple[Pieces, dict[bytes, int]]:
    names: dict[bytes, bool] = {}
    for row in rows:
        names[row.data] = names.get(row.data, False) or row.kind in (TokenKind.SPECIAL, TokenKind.STOP)
        for text, _ in row.alternatives:
            names.setdefault(_data(text), False)
    pieces = make_pieces([(1000 + i, name, special) for i, (name, special) in enumerate(sorted(names.items()))])
    return pieces, {name: i for i, name in enumerate(sorted(names))}


def _log(p: float | None) -> float:
    return math.nan if p is None else math.log(p) if p else -math.inf


def _tokens(rows: Sequence[Row], pieces: Pieces, place: dict[bytes, int], k: int) -> Tokens:
    refs = np.full((len(rows), k), -1, np.int32)
    logprobs = np.full((len(rows), k), np.nan, np.float32)
    for i, row in enumerate(rows):
        for j, (text, p) in enumerate(row.alternatives[:k]):
            refs[i, j], logprobs[i, j] = place[_data(text)], _log(p)
    return make_tokens(
        pieces,
        np.array([place[row.data] for row in rows], np.int32),
        logprobs=np.array([_log(row.p) for row in rows], np.float32),
        ranks=np.array([row.rank for row in rows], np.int32),
        top_refs=refs,
        top_logprobs=logprobs,
        kinds=np.array([row.kind for row in rows], np.uint8),
    )


def completion(prompt: Sequence[Row], answer: Sequence[Row], k: int = 4) -> Completion:
    """A completion of these tokens."""
    pieces, place = _table([*PROMPT, *REASONING, *ANSWER, *STOP, *MORE, *OTHER, *SCRIPTS, *prompt, *answer])
    return Completion(
        request=Request("a question"),
        model="synthetic",
        prompt=_tokens(prompt, pieces, place, k),
        generated=_tokens(answer, pieces, place, k),
        text="",
        vocabulary_size=60_000,
    )


def examples() -> dict[str, Completion]:
    """The completions that the page can show, by name."""
    answer = (*REASONING, *ANSWER)
    half = answer[: answer.index(EMOJI[0]) + 1]  # ends within a character
    return {
        "half": completion(PROMPT, half),
        "whole": completion(PROMPT, (*answer, *STOP)),
        "longer": completion(PROMPT, (*answer, *MORE)),
        "other": completion(PROMPT, OTHER),
        "no alternatives": completion([replace(row, rank=-1) for row in PROMPT], OTHER_UNRANKED, k=0),
        "scripts": completion((), SCRIPTS),
        "nothing": completion((), ()),
    }


def hostile() -> Completion:
    """Every hostile text as a token, and as an alternative of the next."""
    before = ("x", *STRINGS)
    rows = [Row(text, 0.4, likely=((text, 0.4), (other, 0.3))) for text, other in zip(STRINGS, before, strict=False)]
    names = sorted({name for row in rows for name, _ in row.alternatives}, key=_data)
    pieces = make_pieces([(i, _data(name), False) for i, name in enumerate(names)])
    place = {_data(name): i for i, name in enumerate(names)}
    prompt, answer = _tokens(rows[:1], pieces, place, 2), _tokens(rows, pieces, place, 2)
    return Completion(Request(STRINGS[0]), STRINGS[0], prompt, answer, "", warnings=STRINGS[:3])


OTHER_UNRANKED = tuple(replace(row, rank=-1) for row in OTHER)


def many(tokens: int) -> Completion:
    """A long answer that ends in a word that occurs nowhere else."""
    rows = (REASONING[2:8] + ANSWER[:25] + MORE[:40])[:60]
    long = [replace(rows[i % len(rows)], kind=TokenKind.TEXT) for i in range(tokens - 1)]
    return completion(PROMPT, [*long, Row(" Farewell")])


def long_prompt(tokens: int) -> Completion:
    """A prompt long enough to scroll, with an answer half as long."""
    long = [replace(MORE[i % len(MORE)], kind=TokenKind.TEXT) for i in range(tokens)]
    return completion([*PROMPT, *long], [*ANSWER[:20], *long[: tokens // 2]])


def grown(name: str) -> int | None:
    """Draw an example as a job's answer so far; returns the pinned cell."""
    import streamlit as st

    from components.token_map import growing_map
    from components.token_map.feed import key_for

    job: Job[Batch] = st.session_state.setdefault("job", Job(lambda _: Batch()))
    job.publish(batch_of([examples()[name]]))
    return growing_map(key_for(job), key="map")[1]


def page() -> None:
    """Draw the page."""
    import streamlit as st

    from components.token_map import token_map

    st.set_page_config(layout="wide")
    state = st.session_state
    state.runs = state.get("runs", 0) + 1
    state.setdefault("shown", "whole")
    with st.container(horizontal=True):
        for name in (*examples(), "no map"):
            if st.button(name):
                state.shown = name
    if "beside" in st.query_params:
        for name, column, length in zip(("left", "right"), st.columns(2), (900, 400), strict=True):
            with column:
                pinned = token_map(TokenMapView(long_prompt(length)), key=name, beside="both")
                st.write(f"{name} pinned: {pinned}")
        return
    if "hostile" in st.query_params:
        view = TokenMapView(hostile())
    elif tokens := st.query_params.get("many"):
        if "many" not in state:
            state.many = TokenMapView(many(int(tokens)))
        view = state.many
    elif state.shown == "no map":
        st.write("shown: no map · ")
        return
    else:
        view = TokenMapView(examples()[state.shown])
    pinned = grown(state.shown) if state.shown in ("half", "longer") else token_map(view, key="map")
    st.write(f"shown: {state.shown} · runs: {state.runs} · pinned: {pinned}")


if __name__ == "__main__":
    page()
