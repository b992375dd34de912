"""What other sampling settings would have changed, for the whole answer and at the pinned token."""

from __future__ import annotations

import math

import numpy as np
import streamlit as st

from components.shell.escaping import as_text
from lib import formatting
from lib.core.completion import Completion
from lib.display.tables import alternatives
from lib.display.token_map_view import TokenMapView
from lib.scores.resampling import Elsewhere, Sampling, elsewhere, reason_against, resample

_MAX_ROWS = 20  # tokens in the table
_CONTEXT = 3  # tokens shown before each of them


def what_if(view: TokenMapView) -> None:
    """Show settings, the chance of the same answer under them, and where it could have differed."""
    done = view.completion
    if reason := reason_against(done):
        st.caption(as_text(reason))
        return
    sampling = _settings()
    found = elsewhere(done, sampling)
    if not len(found.rows):
        st.caption("No sampled token of this answer has alternatives. Generate again with Top logprobs (k) above 0.")
        return
    st.markdown(_again(found))
    st.caption(
        f"Computed from the top {done.generated.k:,} logprobs at each position, n = "
        f"{formatting.count(len(found.rows), 'token')}. Tokens outside that list widen a number to a range."
    )
    st.markdown("**Where the answer could have differed**")
    _places(done, sampling, found)


def what_if_here(view: TokenMapView, cell: int | None) -> None:
    """Show the pinned token's alternatives under the settings last chosen."""
    if cell is None or reason_against(view.completion):
        return
    row = view.tokens_of(cell)[0]
    sampling = _chosen()
    if math.isnan(float(view.tokens.logprobs[row])) or sampling == Sampling():
        return
    rows = _alternatives(view, row, sampling)
    st.caption(f"With {_in_words(sampling)}, computed from the alternatives:")
    st.dataframe(rows, hide_index=True, height="content", row_height=27)


def _alternatives(view: TokenMapView, row: int, sampling: Sampling) -> list[dict[str, str]]:
    """The alternatives of a token, each with its probability now and under other settings."""
    tokens = view.tokens[row : row + 1]
    found = resample(tokens, sampling, view.completion.vocabulary_size)
    listed = alternatives(view.tokens, row)
    brackets = {int(number): place for place, number in enumerate(tokens.top_ids[0].tolist()) if number >= 0}
    own = int(tokens.ids[0])
    rows = []
    for number, text, share, role in zip(
        listed["id"].fillna(-1), listed["text"], listed["probability"], listed["role"], strict=True
    ):
        if role == "others":
            low, high = float(found.others_low[0]), float(found.others_high[0])
        elif int(number) in brackets:
            place = brackets[int(number)]
            low, high = float(found.low[0, place]), float(found.high[0, place])
        elif int(number) == own:
            low, high = float(found.chosen_low[0]), float(found.chosen_high[0])
        else:
            continue
        name = "all others" if role == "others" else formatting.visible(text) + (" ◂" if role == "chosen" else "")
        rows.append({"Alternative": name, "Model": formatting.percent(share), "Sampled": _bracket(low, high)})
    return rows


def _settings() -> Sampling:
    with st.container(horizontal=True, gap="medium"):
        st.slider(
            "Temperature", 0.0, 2.0, 1.0, 0.1, key="whatif.temperature", persist_state="session",
            help="Below 1, likely tokens become more likely. 0 always picks the most likely token.",
        )  # fmt: skip
        st.slider(
            "Top-p", 0.05, 1.0, 1.0, 0.05, key="whatif.top_p", persist_state="session",
            help="Sample only from the most likely tokens that together reach this probability.",
        )  # fmt: skip
        st.slider(
            "Min-p", 0.0, 0.5, 0.0, 0.01, key="whatif.min_p", persist_state="session",
            help="Sample only tokens with at least this share of the most likely token's probability.",
        )  # fmt: skip
    return _chosen()


def _chosen() -> Sampling:
    values = st.session_state
    return Sampling(
        float(values.get("whatif.temperature", 1.0)),
        float(values.get("whatif.top_p", 1.0)),
        float(values.get("whatif.min_p", 0.0)),
    )


def _in_words(sampling: Sampling) -> str:
    words = [f"temperature {sampling.temperature:g}"]
    words += [f"top-p {sampling.top_p:g}"] * (sampling.top_p < 1) + [f"min-p {sampling.min_p:g}"] * (sampling.min_p > 0)
    return ", ".join(words)


def _again(found: Elsewhere) -> str:
    low, high = found.again_low, found.again_high
    if high == -math.inf:
        return "With these settings, this exact answer **could not be sampled**: they exclude some of its tokens."
    if low > math.log(0.995):
        return "With these settings, this exact answer would be sampled **nearly every time**."
    if high - low < 0.1:
        return f"With these settings, this exact answer would be sampled **about once in {_times(high)}**."
    rarest = "never" if low == -math.inf else f"once in {_times(low)}"
    return (
        f"With these settings, this exact answer would be sampled between **{rarest}** and **once in {_times(high)}**."
    )


def _times(log_chance: float) -> str:
    """One over a probability, given its logarithm: "40", "1,200", "10^23"."""
    digits = -log_chance / math.log(10)
    return f"{math.exp(-log_chance):,.0f}" if digits < 6 else f"10^{digits:.0f}"


def _bracket(low: float, high: float) -> str:
    least, most = formatting.percent(low), formatting.percent(high)
    if high == 0:
        return "excluded"
    return least if least == most or high - low < 0.0005 else f"{least} to {most}"


def _places(done: Completion, sampling: Sampling, found: Elsewhere) -> None:
    order = np.argsort(-found.low, kind="stable")[:_MAX_ROWS]
    places = found.rows[order]
    shown = done.generated[np.isin(np.arange(len(done.generated)), places)]
    at = resample(shown, sampling, done.vocabulary_size)
    by_row = {int(row): place for place, row in enumerate(np.sort(places))}
    rows = []
    for place in order:
        row = int(found.rows[place])
        number = by_row[row]
        other = np.where(shown.top_refs[number] == shown.refs[number], -1.0, np.nan_to_num(at.high[number], nan=-1.0))
        best = int(other.argmax()) if len(other) and other.max() > 0 else -1
        instead = formatting.visible(shown.pieces.text_of(int(shown.top_refs[number, best]))) if best >= 0 else "–"
        most = f"{at.least[number]:,}" if at.least[number] == at.most[number] else f"up to {at.most[number]:,}"
        rows.append(
            {
                "Token": row + 1,
                "Text": _in_context(done, row),
                "Chance of another token": _bracket(float(found.low[place]), float(found.high[place])),
                "Most likely alternative": instead,
                "Possible tokens": f"{most} and unlisted" if at.beyond[number] else most,
            }
        )
    st.dataframe(rows, hide_index=True)


def _in_context(done: Completion, row: int) -> str:
    tokens = done.generated
    before = "".join(tokens.pieces.text_of(int(ref)) for ref in tokens.refs[max(0, row - _CONTEXT) : row])
    return formatting.visible(f"{before}[{tokens.pieces.text_of(int(tokens.refs[row]))}]").replace("·", " ")
