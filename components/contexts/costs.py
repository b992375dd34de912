"""What an answer from the kept passages costs against one from all of them."""

from __future__ import annotations

import streamlit as st

from components.shell.escaping import as_text
from components.shell.services import services
from lib import formatting
from lib.core.sources import Source
from lib.costs.bedrock_prices import WindowPrice
from lib.studies.contexts_cost import AnswerCosts


def answer_reads(costs: AnswerCosts) -> None:
    """Show the tokens that an answer reads."""
    st.metric(
        "Prompt of the answer", f"{costs.kept:,} of {costs.everything:,}", width="content",
        help="Tokens of template, question and passages, without the blank lines between them. The second number is "
        "for all passages.",
    )  # fmt: skip


def cost_note(source: Source, costs: AnswerCosts) -> None:
    """Say how long the prompts take to read, and what the answers cost in dollars."""
    price = services().price(source)
    if price is None:
        st.caption(as_text(f"{_reading(costs)} This model is not billed.".strip()))
    else:
        st.caption(as_text(f"{_calls(costs)} {_dollars(price)}".strip()))


def _calls(costs: AnswerCosts) -> str:
    """The time of calls to a service, most of which may not depend on the length of the prompt."""
    if not costs.calls:
        return ""
    low, high = min(costs.calls), max(costs.calls)
    return f"Scoring calls took {low:.1f} s to {high:.1f} s each (n = {len(costs.calls):,})."


def _reading(costs: AnswerCosts) -> str:
    pace = costs.pace
    if pace is None or not costs.kept:
        return ""
    kept, everything = (f"{pace.seconds_of(each):.1f} s" for each in (costs.kept, costs.everything))
    return (
        f"Reading the prompt takes about {kept} instead of {everything}, at the pace of the scoring calls: "
        f"{pace.tokens:,} tokens in {pace.seconds:.1f} s."
    )


def _dollars(price: WindowPrice) -> str:
    dollars = formatting.dollars(price.dollars)
    whose = "Bedrock bills" if price.billed else "This endpoint isn't AWS, so nothing is billed. Bedrock would bill"
    assumed = "" if price.known else ", assuming one Custom Model Unit"
    left = f" ({formatting.seconds(price.open_for)} left)" if price.open_for > 0 else ""
    return (
        f"{whose} each copy of the model by five-minute windows, not by tokens: about {dollars} a window{assumed}. "
        f"Within a window that is open{left}, neither answer adds cost. Fewer tokens save dollars only if more "
        "answers fit into a window."
    )
